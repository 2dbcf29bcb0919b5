//! The gemm library's micro-kernels, for the CPU that runs the program.
//!
//! The CPU's [width](super::width) decides which set, and may be limited.
//!
//! A micro-kernel keeps a tile of the result in registers, a few rows of a few
//! vectors each, while it goes through the terms. That is what a library does
//! better than anyone; the loops around it are ours (`kernel::product`), as
//! they decide what is copied, how often, and in what order terms are added.

mod transpose;

pub(crate) use transpose::transpose;

use gemm_common::Parallelism;
use gemm_common::gemm::gemm_basic_generic;
use gemm_common::microkernel::MicroKernelFn;
use gemm_common::simd::MixedSimd;

use super::{InstructionSet, instruction_set};
use transpose::Transpose;

/// The rows or the columns of a factor, by pointer. Term `t` of line `l` lies
/// `l * step + t * term` elements behind `start`.
///
/// *`lines` have `terms`* below means that `start` is valid for reads at all of these offsets, for
/// `l` below the one and `t` below the other.
#[derive(Clone, Copy)]
pub(crate) struct Lines<T> {
    pub(crate) start: *const T,
    pub(crate) step: isize,
    pub(crate) term: isize,
}

impl<T> Lines<T> {
    /// From this line and this term on.
    ///
    /// # Safety
    /// Term `term` of line `line` lies in the buffer of `start`, or one element behind it.
    pub(crate) unsafe fn from(self, line: usize, term: usize) -> Self {
        let offset = line as isize * self.step + term as isize * self.term;
        // SAFETY: the caller promises that the offset stays in the buffer.
        Self { start: unsafe { self.start.offset(offset) }, ..self }
    }
}

/// Tells the CPU that the cache line of an address will be needed. No address is wrong.
#[inline(always)]
pub(crate) fn prefetch<T>(place: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: the instruction, which each of these CPUs has, reads nothing, and does nothing for an
        // address without memory.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(place.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = place;
}

/// A product, or a stripe of one.
///
/// It is *valid* if `left` has `terms` in `rows` lines and `right` has `terms` in `columns` lines,
/// if `out` is valid for reads and writes of `columns` elements at each of `rows` offsets
/// `r * out_row`, and if nobody else reads or writes these while the product is computed.
#[derive(Clone, Copy)]
pub(crate) struct Product<T> {
    pub(crate) rows: usize,
    pub(crate) terms: usize,
    pub(crate) columns: usize,
    /// The rows of `A`.
    pub(crate) left: Lines<T>,
    /// The columns of `B`.
    pub(crate) right: Lines<T>,
    /// The first element of the result, whose columns lie side by side.
    pub(crate) out: *mut T,
    /// How far it is to the next row.
    pub(crate) out_row: usize,
    /// Whether the result is added to what stands there.
    pub(crate) adds: bool,
}

/// The micro-kernels of an instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Micro<T: 'static> {
    /// Elements of a vector.
    pub(crate) lanes: usize,
    /// The most rows of a tile.
    pub(crate) rows: usize,
    /// For a tile of `v` vectors and `r` rows, number `(v - 1) rows + (r - 1)`.
    pub(crate) kernels: &'static [MicroKernelFn<T>],
    /// Transposes a square as wide as a vector.
    pub(crate) transpose: Transpose<T>,
    /// The library's own loops around these kernels, on this thread.
    ///
    /// The factors have to lie inside of their buffers, and the result, which overlaps neither,
    /// has to have memory.
    pub(crate) library: unsafe fn(Product<T>),
}

impl<T> Micro<T> {
    /// Columns of the widest tile.
    pub(crate) fn columns(&self) -> usize {
        self.kernels.len() / self.rows * self.lanes
    }
}

macro_rules! micro {
    ($krate:ident :: $set:ident, $t:ident, $simd:ident, $lanes:literal, $transpose:path) => {{
        use $krate::microkernel::$set::$t::{H_M, H_N, H_UKR, MR_DIV_N, NR, UKR};
        static KERNELS: [[MicroKernelFn<$t>; NR]; MR_DIV_N] = UKR;

        /// # Safety
        /// As [`Micro::library`] asks for.
        #[inline(never)]
        unsafe fn library(product: Product<$t>) {
            type Set = gemm_common::simd::$simd;
            let Product { rows, terms, columns, left, right, out, out_row, adds } = product;
            let set = <Set as MixedSimd<$t, $t, $t, $t>>::try_new().expect("a set of this CPU");
            // The transposed product, B^T A^T: the kernels write columns, and those are the rows
            // of the result.
            //
            // SAFETY: the factors and the result are as the caller promises, and the kernels are
            // those of `set`, which this CPU has.
            unsafe {
                gemm_basic_generic::<_, $t, $lanes, { MR_DIV_N * $lanes }, NR, MR_DIV_N, H_M, H_N>(
                    set,
                    columns,
                    rows,
                    terms,
                    out,
                    out_row as isize,
                    1,
                    adds,
                    right.start,
                    right.term,
                    right.step,
                    left.start,
                    left.step,
                    left.term,
                    if adds { 1.0 } else { 0.0 },
                    1.0,
                    // Nothing is complex.
                    false,
                    false,
                    false,
                    |a, b, c| a * b + c,
                    &UKR,
                    &H_UKR,
                    false,
                    Parallelism::None,
                );
            }
        }

        let kernels = KERNELS.as_flattened();
        Micro { lanes: $lanes, rows: NR, kernels, transpose: $transpose, library }
    }};
}

/// The sets of an element type; `None` where the CPU has not got it.
macro_rules! sets {
    ($name:ident, $t:ident, $krate:ident, $avx512:literal $square:ident, $avx2:literal, $neon:literal) => {
        pub(crate) mod $name {
            use super::*;

            #[inline]
            pub(crate) fn of(set: InstructionSet) -> Option<Micro<$t>> {
                match set {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 if is_x86_feature_detected!("avx512f") => {
                        let transpose = transpose::avx512::$square;
                        Some(micro!($krate::avx512f, $t, V4, $avx512, transpose))
                    }
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 if is_x86_feature_detected!("fma") => {
                        Some(micro!($krate::fma, $t, V3, $avx2, transpose::avx::$square))
                    }
                    #[cfg(target_arch = "aarch64")]
                    InstructionSet::Neon if std::arch::is_aarch64_feature_detected!("neon") => {
                        let transpose = transpose::plain::<$t, $neon>;
                        Some(micro!($krate::neon, $t, Scalar, $neon, transpose))
                    }
                    InstructionSet::Portable => {
                        Some(micro!($krate::scalar, $t, Scalar, 1, transpose::plain::<$t, 1>))
                    }
                    _ => None,
                }
            }

            /// The widest that there is and that may be used.
            #[inline]
            pub(crate) fn widest() -> Micro<$t> {
                of(instruction_set()).expect("a set of this CPU")
            }

            /// All of this CPU.
            #[cfg(test)]
            pub(crate) fn all() -> impl Iterator<Item = Micro<$t>> {
                InstructionSet::ALL.into_iter().filter_map(of)
            }
        }
    };
}

sets!(singles, f32, gemm_f32, 16 f32s, 8, 4);
sets!(doubles, f64, gemm_f64, 8 f64s, 4, 2);
