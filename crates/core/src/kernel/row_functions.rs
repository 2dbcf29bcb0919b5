//! Functions of one row, and their derivatives: a few loops over memory that stays
//! in the first-level cache from one to the next.
//!
//! Rows are shifted by their largest element where exponentials could overflow, and scaled
//! by it where squares do. What is added to a shift is lost beside it, so that a logarithm of
//! a sum stays apart from the shift until the end. Sums are pairwise.

use super::reduce::{largest_of, pairwise, pairwise_of, pairwise_product};
use crate::scalar::{Real, dispatched, vectorised};

/// The largest element, or 0 if that is infinite: subtracting infinity from
/// itself would make a NaN of a row that has a value.
#[inline(always)]
fn finite_shift<T: Real>(x: &[T]) -> T {
    let largest = largest_of(x, T::neg_infinity(), |x| x);
    if largest.is_infinite() { T::zero() } else { largest }
}

/// The shift, and the logarithm of the sum of exponentials of what is left after it; within
/// vectorised code.
#[inline(always)]
fn log_sum<T: Real>(x: &[T]) -> (T, T) {
    let shift = finite_shift(x);
    // Elements that are the shift add 1 each. Without the first of them, a sum that hardly
    // differs from 1 keeps its digits.
    let ties = x.iter().filter(|&&x| x == shift).count();
    let others = pairwise_of(
        x,
        #[inline(always)]
        |x| if x == shift { T::zero() } else { (x - shift).exp() },
    );
    (shift, (T::from_f64(ties as f64 - 1.0) + others).ln_1p())
}

/// The logarithm of the sum of exponentials.
pub(crate) fn log_sum_exp<T: Real>(x: &[T]) -> T {
    dispatched(
        #[inline(always)]
        || {
            let (shift, log) = log_sum(x);
            shift + log
        },
    )
}

/// Exponentials, divided by their sum; 0 where all are 0.
pub(crate) fn softmax<T: Real>(x: &[T], y: &mut [T]) {
    dispatched(
        #[inline(always)]
        || {
            let shift = finite_shift(x);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - shift).exp();
            }
            divide_by_sum(y);
        },
    );
}

/// [`softmax`] of a row that is not needed any more.
pub(crate) fn softmax_in_place<T: Real>(row: &mut [T]) {
    dispatched(
        #[inline(always)]
        || {
            let shift = finite_shift(row);
            for y in &mut *row {
                *y = (*y - shift).exp();
            }
            divide_by_sum(row);
        },
    );
}

/// Exponentials as shares in their sum; within vectorised code.
#[inline(always)]
fn divide_by_sum<T: Real>(y: &mut [T]) {
    let sum = pairwise(y);
    let scale = if sum == T::zero() { sum } else { sum.recip() };
    for y in y {
        *y *= scale;
    }
}

/// The adjoint of [`softmax`], which is its derivative as well: `y (c - sum of c y)`.
pub(crate) fn softmax_adjoint<T: Real>(y: &[T], c: &[T], out: &mut [T]) {
    vectorised(
        y.len(),
        #[inline(always)]
        || {
            let mean = pairwise_product(c, y);
            for ((out, &y), &c) in out.iter_mut().zip(y).zip(c) {
                *out = y * (c - mean);
            }
        },
    );
}

/// [`softmax_adjoint`] of cotangents that are not needed any more.
pub(crate) fn softmax_adjoint_in_place<T: Real>(y: &[T], c: &mut [T]) {
    vectorised(
        y.len(),
        #[inline(always)]
        || {
            let mean = pairwise_product(c, y);
            for (c, &y) in c.iter_mut().zip(y) {
                *c = y * (*c - mean);
            }
        },
    );
}

/// The logarithm of [`softmax`], without its underflow.
pub(crate) fn log_softmax<T: Real>(x: &[T], y: &mut [T]) {
    dispatched(
        #[inline(always)]
        || {
            let (shift, log) = log_sum(x);
            // Of nothing but minus infinities, all shares are 0.
            let log = if log == T::neg_infinity() { T::zero() } else { log };
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - shift) - log;
            }
        },
    );
}

/// The adjoint of [`log_softmax`]: `c - e^y sum of c`.
pub(crate) fn log_softmax_adjoint<T: Real>(y: &[T], c: &[T], out: &mut [T]) {
    dispatched(
        #[inline(always)]
        || {
            let total = pairwise(c);
            for ((out, &y), &c) in out.iter_mut().zip(y).zip(c) {
                *out = c - y.exp() * total;
            }
        },
    );
}

/// The product of all elements, in double precision: rounding errors of many factors add up.
pub(crate) fn product<T: Real>(x: &[T]) -> T {
    // Products kept side by side, so that multiplications overlap.
    let mut lanes = [1.0; 8];
    let (chunks, rest) = x.as_chunks::<8>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane *= x.as_f64();
        }
    }
    let product: f64 = lanes.iter().product();
    T::from_f64(rest.iter().fold(product, |product, x| product * x.as_f64()))
}

/// The Euclidean norm, with `epsilon` added to the sum of squares.
pub(crate) fn norm<T: Real>(x: &[T], epsilon: T) -> T {
    vectorised(
        x.len(),
        #[inline(always)]
        || {
            let square = pairwise_of(x, |x| x * x) + epsilon;
            if is_exact(square) {
                return square.sqrt();
            }
            let scale = largest_of(x, T::zero(), |x| x.abs());
            if scale > T::zero() && scale.is_finite() {
                let square = pairwise_of(x, |x| (x / scale) * (x / scale));
                scale * (square + epsilon / scale / scale).sqrt()
            } else {
                square.sqrt()
            }
        },
    )
}

/// Whether a sum of squares has all of its digits: it has not overflowed, and what it has
/// lost by underflow is below its last place.
#[inline(always)]
fn is_exact<T: Real>(square: T) -> bool {
    let least = T::min_positive_value() / (T::epsilon() * T::epsilon());
    square >= least && square.is_finite()
}

/// Where the elements of a row lie, and how far apart.
struct Moments<T> {
    /// The first element: what all have in common would cost the others their digits.
    first: T,
    /// The mean of what is left without it.
    mean: T,
    /// One over the root of the variance plus `epsilon`.
    scale: T,
}

impl<T: Real> Moments<T> {
    #[inline(always)]
    fn of(x: &[T], epsilon: T) -> Self {
        let count = T::from_f64(x.len() as f64);
        let first = x.first().copied().unwrap_or_else(T::zero);
        let mean = pairwise_of(x, |x| x - first) / count;
        let variance = pairwise_of(x, |x| ((x - first) - mean) * ((x - first) - mean)) / count;
        let scale = (variance + epsilon).sqrt().recip();
        if is_exact(variance + epsilon) {
            return Self { first, mean, scale };
        }
        let largest = largest_of(x, T::zero(), |x| ((x - first) - mean).abs());
        if largest == T::zero() || !largest.is_finite() {
            return Self { first, mean, scale };
        }
        let relative = |x: T| ((x - first) - mean) / largest;
        let variance = pairwise_of(x, |x| relative(x) * relative(x)) / count;
        let scale = (largest * (variance + epsilon / largest / largest).sqrt()).recip();
        Self { first, mean, scale }
    }
}

/// The row with mean 0 and variance 1, but for `epsilon`.
pub(crate) fn layer_norm<T: Real>(x: &[T], epsilon: T, y: &mut [T]) {
    vectorised(
        x.len(),
        #[inline(always)]
        || {
            let Moments { first, mean, scale } = Moments::of(x, epsilon);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = ((x - first) - mean) * scale;
            }
        },
    );
}

/// The adjoint of [`layer_norm`], times a factor, from `x` alone: its value is computed once more
/// and lies in `out` meanwhile.
pub(crate) fn scaled_norm_adjoint<T: Real>(x: &[T], epsilon: T, factor: T, c: &[T], out: &mut [T]) {
    vectorised(
        x.len(),
        #[inline(always)]
        || {
            let count = T::from_f64(x.len() as f64);
            let Moments { first, mean, scale } = Moments::of(x, epsilon);
            for (y, &x) in out.iter_mut().zip(x) {
                *y = ((x - first) - mean) * scale;
            }
            let (middle, along) = (pairwise(c) / count, pairwise_product(c, out) / count);
            let scale = scale * factor;
            for (y, &c) in out.iter_mut().zip(c) {
                *y = (c - middle - *y * along) * scale;
            }
        },
    );
}

/// The mean, and the sum of squared distances from it divided by `freedom`.
pub(crate) fn mean_and_variance<T: Real>(x: &[T], freedom: T) -> [T; 2] {
    vectorised(
        x.len(),
        #[inline(always)]
        || {
            let count = T::from_f64(x.len() as f64);
            let first = x.first().copied().unwrap_or_else(T::zero);
            let mean = pairwise_of(x, |x| x - first) / count;
            let squares = pairwise_of(x, |x| ((x - first) - mean) * ((x - first) - mean));
            [first + mean, squares / freedom]
        },
    )
}

/// The sum of products with the [normalised](layer_norm) row, which is written to `y`.
pub(crate) fn product_with_norm<T: Real>(x: &[T], epsilon: T, c: &[T], y: &mut [T]) -> T {
    layer_norm(x, epsilon, y);
    vectorised(
        x.len(),
        #[inline(always)]
        || pairwise_product(c, y),
    )
}

/// The adjoint of [`layer_norm`], which is its derivative as well:
/// `(c - mean of c - y mean of c y) / sqrt(variance + epsilon)`.
pub(crate) fn layer_norm_adjoint<T: Real>(x: &[T], y: &[T], epsilon: T, c: &[T], out: &mut [T]) {
    vectorised(
        x.len(),
        #[inline(always)]
        || {
            let count = T::from_f64(x.len() as f64);
            let Moments { scale, .. } = Moments::of(x, epsilon);
            let (mean, along) = (pairwise(c) / count, pairwise_product(c, y) / count);
            for ((out, &y), &c) in out.iter_mut().zip(y).zip(c) {
                *out = (c - mean - y * along) * scale;
            }
        },
    );
}
