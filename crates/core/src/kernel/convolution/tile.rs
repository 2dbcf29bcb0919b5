//! A block of sums in registers: some rows of a few vectors each.
//!
//! All the multiplications of a convolution and of its transposes happen here.
//! The block is large enough that the CPU always has independent additions to
//! overlap, and that each vector read is used several times.

use pulp::{Simd, WithSimd};

use crate::scalar::{ARCH, Real, lanes};

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

    /// Adds `a[k][row] b[k]` to each row, for the pairs of `a` and `b`.
    #[inline(always)]
    pub(super) fn add_columns<'a>(
        &mut self,
        simd: S,
        pairs: impl Iterator<Item = (&'a [T], &'a [T])>,
    ) {
        let mut all = self.sums;
        for (a, b) in pairs {
            let a = &a[..ROWS];
            let b = load::<T, S, VECTORS>(b);
            for row in 0..ROWS {
                let a = T::splat(simd, a[row]);
                for v in 0..VECTORS {
                    all[row][v] = T::multiply_add(simd, a, b[v], all[row][v]);
                }
            }
        }
        self.sums = all;
    }

    /// Writes the rows to `out`, `distance` elements from one to the next.
    #[inline(always)]
    pub(super) fn store(&self, distance: usize, out: &mut [T]) {
        for (row, sums) in self.sums.iter().enumerate() {
            store::<T, S, VECTORS>(sums, &mut out[row * distance..]);
        }
    }

    /// Adds the rows to those of `out`, `distance` elements from one to the next.
    #[inline(always)]
    pub(super) fn add_to(&self, simd: S, distance: usize, out: &mut [T]) {
        let one = T::splat(simd, T::one());
        for (row, sums) in self.sums.iter().enumerate() {
            let out = &mut out[row * distance..][..vector_width::<T, S>()];
            for (out, &sum) in T::vectors_mut::<S>(out).iter_mut().zip(sums) {
                *out = T::multiply_add(simd, one, *out, sum);
            }
        }
    }
}

/// Adds sums to those in double precision.
#[inline(always)]
pub(super) fn widen<T: Real, const ROWS: usize>(
    sums: &[[T; MOST]; ROWS],
    wide: &mut [[f64; MOST]; ROWS],
) {
    for (wide, sum) in wide.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
        *wide += sum.as_f64();
    }
}

/// Writes sums in double precision to others, and begins again with zeros.
#[inline(always)]
pub(super) fn narrow<T: Real, const ROWS: usize>(
    wide: &mut [[f64; MOST]; ROWS],
    sums: &mut [[T; MOST]; ROWS],
) {
    for (sum, wide) in sums.as_flattened_mut().iter_mut().zip(wide.as_flattened_mut()) {
        *sum = T::from_f64(std::mem::take(wide));
    }
}

/// Vectors of the elements at the beginning of a slice.
#[inline(always)]
pub(super) fn load<T: Real, S: Simd, const COUNT: usize>(xs: &[T]) -> [T::Vector<S>; COUNT] {
    let vectors = &T::vectors::<S>(&xs[..COUNT * lanes::<T, S>()])[..COUNT];
    std::array::from_fn(|v| vectors[v])
}

/// The vector of the elements at the beginning of a slice.
#[inline(always)]
pub(super) fn load_one<T: Real, S: Simd>(xs: &[T]) -> T::Vector<S> {
    T::vectors::<S>(&xs[..lanes::<T, S>()])[0]
}

/// Writes a vector to the beginning of a slice.
#[inline(always)]
pub(super) fn store_one<T: Real, S: Simd>(vector: T::Vector<S>, out: &mut [T]) {
    T::vectors_mut::<S>(&mut out[..lanes::<T, S>()])[0] = vector;
}

/// Writes vectors to the beginning of a slice.
#[inline(always)]
fn store<T: Real, S: Simd, const COUNT: usize>(vectors: &[T::Vector<S>; COUNT], out: &mut [T]) {
    T::vectors_mut::<S>(&mut out[..COUNT * lanes::<T, S>()])[..COUNT].copy_from_slice(vectors);
}
