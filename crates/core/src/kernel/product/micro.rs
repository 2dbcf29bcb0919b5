//! The gemm library's micro-kernels, for the CPU that runs the program.
//!
//! The CPU's [width](crate::kernel::width) decides which set, and may be limited.
//!
//! A micro-kernel keeps a tile of the result in registers, a few rows of a few
//! vectors each, while it goes through the terms. That is what a library does
//! better than anyone; the loops around it are ours ([blocked](super::blocked)), as
//! they decide what is copied, how often, and in what order terms are added.

use gemm_common::Parallelism;
use gemm_common::gemm::gemm_basic_generic;
use gemm_common::microkernel::MicroKernelFn;
use gemm_common::simd::MixedSimd;

use super::blocked::Product;
use super::transpose::{self, Transpose};
use crate::kernel::width::{InstructionSet, instruction_set};

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
    /// The library's own loops around these kernels, on this thread.
    ///
    /// The factors have to lie inside of their buffers, and the result, which overlaps neither,
    /// has to have memory.
    pub(super) library: unsafe fn(Product<T>),
}

impl<T> Micro<T> {
    /// Columns of the widest tile.
    pub(super) fn columns(&self) -> usize {
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
            pub(super) fn of(set: InstructionSet) -> Option<Micro<$t>> {
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
