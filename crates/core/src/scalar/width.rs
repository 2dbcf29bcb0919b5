//! Which vector instructions kernels use: the widest of the CPU, unless `WENGERT_SIMD` says less.
//!
//! Bits depend on it. Sums are cut into as many parts as a vector has lanes, and without fused
//! instructions a product is rounded before it is added. So the variable computes on one machine
//! what another one computes, and lets tests of all paths run on the widest.
//!
//! Factorisations go by it in our own loops; those of nalgebra choose their instructions alone.

use std::fmt;
use std::sync::OnceLock;

use pulp::Arch;

const VARIABLE: &str = "WENGERT_SIMD";
const NATIVE: &str = "WENGERT_NATIVE";

/// The vector instructions that kernels are compiled for and use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstructionSet {
    /// Those that every CPU of the architecture has.
    Portable,
    /// Of 128 bits (Arm).
    Neon,
    /// Of 256 bits, with fused multiplication and addition (x86).
    Avx2,
    /// Of 512 bits (x86).
    Avx512,
}

impl InstructionSet {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        })
    }
}

static SET: OnceLock<InstructionSet> = OnceLock::new();

/// The vector instructions that kernels use: the widest of this CPU, or what the environment
/// variable `WENGERT_SIMD` limits them to, `avx2` or `portable`.
///
/// Results of other instructions differ in their last bits, so the variable computes here what
/// another machine computes. What nalgebra factorises, large matrices in double precision, does
/// not go by it.
///
/// ```
/// println!("computing with {}", wengert_core::instruction_set());
/// ```
///
/// # Panics
/// If the variable has another value.
#[inline]
#[track_caller]
pub fn instruction_set() -> InstructionSet {
    match SET.get() {
        Some(set) => *set,
        // Once it is found, it stays; who comes second finds the same.
        None => *SET.get_or_init({
            let set = find(std::env::var_os(VARIABLE).as_deref());
            move || set
        }),
    }
}

/// The widest set of this CPU, from the value of the environment variable.
#[cold]
#[track_caller]
fn find(limit: Option<&std::ffi::OsStr>) -> InstructionSet {
    let widest = widest();
    match limit.map(|limit| limit.to_str().map(str::trim)) {
        None => widest,
        Some(Some("portable")) => InstructionSet::Portable,
        Some(Some("avx2")) if widest == InstructionSet::Avx512 => InstructionSet::Avx2,
        Some(Some("avx2")) => widest,
        Some(_) => panic!(
            "{VARIABLE} is {:?}: expected avx2 or portable, to which vector instructions are \
             limited, or no such variable",
            limit.unwrap_or_default()
        ),
    }
}

/// Whether programs may run machine code that they make: unless the environment variable
/// `WENGERT_NATIVE` is 0.
///
/// # Panics
/// If the variable is neither 0 nor 1.
#[track_caller]
pub(crate) fn allows_code() -> bool {
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    match ALLOWED.get() {
        Some(allowed) => *allowed,
        None => *ALLOWED.get_or_init({
            let value = std::env::var_os(NATIVE);
            let allowed = match value.as_deref().map(|value| value.to_str().map(str::trim)) {
                None | Some(Some("1")) => true,
                Some(Some("0")) => false,
                Some(_) => panic!(
                    "{NATIVE} is {:?}: expected 0, so that programs run no machine code of their \
                     own, or 1, or no such variable",
                    value.unwrap_or_default()
                ),
            };
            // An interpreter of Rust runs no machine code.
            move || allowed && !cfg!(miri)
        }),
    }
}

#[cfg(target_arch = "x86_64")]
fn widest() -> InstructionSet {
    match Arch::new() {
        Arch::V4(_) => InstructionSet::Avx512,
        Arch::V3(_) => InstructionSet::Avx2,
        _ => InstructionSet::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn widest() -> InstructionSet {
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        return InstructionSet::Neon;
    }
    InstructionSet::Portable
}

/// The same for loops that the compiler makes vectors of.
pub(super) fn arch() -> Arch {
    match instruction_set() {
        InstructionSet::Portable => Arch::Scalar,
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => pulp::x86::V3::try_new().map_or(Arch::Scalar, Arch::V3),
        _ => Arch::new(),
    }
}
