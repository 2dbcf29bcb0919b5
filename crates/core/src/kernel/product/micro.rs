//! The gemm library's micro-kernels, for the CPU that runs the program.
//!
//! A micro-kernel keeps a tile of the result in registers, a few rows of a few
//! vectors each, while it goes through the terms. That is what a library does
//! better than anyone; the loops around it are ours ([blocked](super::blocked)), as
//! they decide what is copied, how often, and in what order terms are added.

use gemm_common::microkernel::MicroKernelFn;

use super::transpose::{self, Transpose};

/// The micro-kernels of an instruction set.
#[derive(Clone, Copy)]
pub struct Micro<T: 'static> {
    /// Elements of a vector.
    pub(super) lanes: usize,
    /// The most rows of a tile.
    pub(super) rows: usize,
    /// For a tile of `v` vectors and `r` rows, number `(v - 1) rows + (r - 1)`.
    pub(super) kernels: &'static [MicroKernelFn<T>],
    /// Transposes a square as wide as a vector.
    pub(super) transpose: Transpose<T>,
}

impl<T> Micro<T> {
    /// Columns of the widest tile.
    pub(super) fn columns(&self) -> usize {
        self.kernels.len() / self.rows * self.lanes
    }
}

macro_rules! micro {
    ($krate:ident :: $set:ident, $t:ident, $lanes:literal, $transpose:path) => {{
        use $krate::microkernel::$set::$t::{MR_DIV_N, NR, UKR};
        static KERNELS: [[MicroKernelFn<$t>; NR]; MR_DIV_N] = UKR;
        Micro { lanes: $lanes, rows: NR, kernels: KERNELS.as_flattened(), transpose: $transpose }
    }};
}

/// The sets of an element type, from the widest on; `None` where the CPU has not got it.
macro_rules! sets {
    ($name:ident, $t:ident, $krate:ident, $avx512:literal $square:ident, $fma:literal, $neon:literal) => {
        pub(crate) mod $name {
            use super::*;

            #[inline]
            pub(super) fn avx512() -> Option<Micro<$t>> {
                #[cfg(target_arch = "x86_64")]
                if is_x86_feature_detected!("avx512f") {
                    return Some(micro!($krate::avx512f, $t, $avx512, transpose::avx512::$square));
                }
                None
            }

            #[inline]
            pub(super) fn fma() -> Option<Micro<$t>> {
                #[cfg(target_arch = "x86_64")]
                if is_x86_feature_detected!("fma") {
                    return Some(micro!($krate::fma, $t, $fma, transpose::avx::$square));
                }
                None
            }

            #[inline]
            pub(super) fn neon() -> Option<Micro<$t>> {
                #[cfg(target_arch = "aarch64")]
                if std::arch::is_aarch64_feature_detected!("neon") {
                    return Some(micro!($krate::neon, $t, $neon, transpose::plain::<$t, $neon>));
                }
                None
            }

            #[inline]
            pub(super) fn scalar() -> Micro<$t> {
                micro!($krate::scalar, $t, 1, transpose::plain::<$t, 1>)
            }

            /// The widest of this CPU.
            #[inline]
            pub(crate) fn widest() -> Micro<$t> {
                avx512().or_else(fma).or_else(neon).unwrap_or_else(scalar)
            }

            /// All of this CPU.
            #[cfg(test)]
            pub(crate) fn all() -> impl Iterator<Item = Micro<$t>> {
                [avx512(), fma(), neon(), Some(scalar())].into_iter().flatten()
            }
        }
    };
}

sets!(singles, f32, gemm_f32, 16 f32s, 8, 4);
sets!(doubles, f64, gemm_f64, 8 f64s, 4, 2);
