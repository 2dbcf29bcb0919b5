//! A block of sums in registers: some rows of a few vectors each.
//!
//! All the multiplications of a convolution and of its transposes happen here.
//! The block is large enough that the CPU always has independent additions to
//! overlap, and that each vector read is used several times.

use pulp::{Simd, WithSimd};

use crate::Real;
use crate::kernel::ARCH;
use crate::kernel::simd::lanes;

/// The vectors of a row.
pub(super) const VECTORS: usize = 2;
/// No CPU has rows with more elements than this.
pub(super) const MOST: usize = 32;

/// The elements of a row.
#[inline(always)]
pub(super) const fn vector_width<T: Real, S: Simd>() -> usize {
    VECTORS * lanes::<T, S>()
}

/// The elements of a row on the CPU that runs the program.
pub(super) fn width<T: Real>() -> usize {
    struct Width<T>(std::marker::PhantomData<T>);

    impl<T: Real> WithSimd for Width<T> {
        type Output = usize;

        fn with_simd<S: Simd>(self, _: S) -> usize {
            vector_width::<T, S>()
        }
    }

    ARCH.dispatch(Width::<T>(std::marker::PhantomData))
}

/// The sums.
pub(super) struct Tile<T: Real, S: Simd, const ROWS: usize> {
    sums: [[T::Vector<S>; VECTORS]; ROWS],
}

impl<T: Real, S: Simd, const ROWS: usize> Tile<T, S, ROWS> {
    /// Zeros.
    #[inline(always)]
    pub(super) fn zeros(simd: S) -> Self {
        Self { sums: [[T::splat(simd, T::zero()); VECTORS]; ROWS] }
    }

    /// Adds `a[row][k] b(k)` to each row, for `k` from 0 to `count`.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        simd: S,
        count: usize,
        a: [&[T]; ROWS],
        b: impl Fn(usize) -> [T::Vector<S>; VECTORS],
    ) {
        let a = a.map(|a| &a[..count]);
        let mut all = self.sums;
        for k in 0..count {
            let b = b(k);
            for row in 0..ROWS {
                let a = T::splat(simd, a[row][k]);
                for v in 0..VECTORS {
                    all[row][v] = T::multiply_add(simd, a, b[v], all[row][v]);
                }
            }
        }
        self.sums = all;
    }

    /// Writes each row to the beginning of one of `out`.
    #[inline(always)]
    pub(super) fn store(&self, out: &mut [[T; MOST]; ROWS]) {
        for (sums, out) in self.sums.iter().zip(out) {
            T::vectors_mut::<S>(out)[..VECTORS].copy_from_slice(sums);
        }
    }
}

/// Vectors of the elements at the beginning of a slice.
#[inline(always)]
pub(super) fn load<T: Real, S: Simd, const COUNT: usize>(xs: &[T]) -> [T::Vector<S>; COUNT] {
    let vectors = &T::vectors::<S>(&xs[..COUNT * lanes::<T, S>()])[..COUNT];
    std::array::from_fn(|v| vectors[v])
}
