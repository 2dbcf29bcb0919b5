//! Functions of one row, and their derivatives: a few loops over memory that stays
//! in the first-level cache from one to the next.
//!
//! Rows are shifted by their largest element where exponentials could overflow,
//! and scaled by it where squares could. Sums are pairwise.

use super::reduce::{largest_of, pairwise, pairwise_of, pairwise_product};
use super::{dispatched, vectorised};
use crate::Real;

/// The largest element, or 0 if that is infinite: subtracting infinity from
/// itself would make a NaN of a row that has a value.
#[inline(always)]
fn finite_shift<T: Real>(x: &[T]) -> T {
    let largest = largest_of(x, T::neg_infinity(), |x| x);
    if largest.is_infinite() { T::zero() } else { largest }
}

/// The logarithm of the sum of exponentials, within vectorised code.
#[inline(always)]
fn log_sum<T: Real>(x: &[T]) -> T {
    let shift = finite_shift(x);
    shift
        + pairwise_of(
            x,
            #[inline(always)]
            |x| (x - shift).exp(),
        )
        .ln()
}

/// The logarithm of the sum of exponentials.
pub(crate) fn log_sum_exp<T: Real>(x: &[T]) -> T {
    dispatched(
        #[inline(always)]
        || log_sum(x),
    )
}

/// Exponentials, divided by their sum.
pub(crate) fn softmax<T: Real>(x: &[T], y: &mut [T]) {
    dispatched(
        #[inline(always)]
        || {
            let shift = finite_shift(x);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - shift).exp();
            }
            let scale = pairwise(y).recip();
            for y in y {
                *y *= scale;
            }
        },
    );
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

/// The logarithm of [`softmax`], without its underflow.
pub(crate) fn log_softmax<T: Real>(x: &[T], y: &mut [T]) {
    dispatched(
        #[inline(always)]
        || {
            let total = log_sum(x);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x - total;
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

/// The Euclidean norm.
pub(crate) fn norm<T: Real>(x: &[T]) -> T {
    vectorised(
        x.len(),
        #[inline(always)]
        || {
            let scale = largest_of(x, T::zero(), |x| x.abs());
            if scale > T::zero() && scale.is_finite() {
                scale * pairwise_of(x, |x| (x / scale) * (x / scale)).sqrt()
            } else {
                pairwise_of(x, |x| x * x).sqrt()
            }
        },
    )
}

/// The mean, and one over the root of the variance plus `epsilon`.
#[inline(always)]
fn moments<T: Real>(x: &[T], epsilon: T) -> (T, T) {
    let count = T::from_f64(x.len() as f64);
    let mean = pairwise(x) / count;
    let variance = pairwise_of(x, |x| (x - mean) * (x - mean)) / count;
    (mean, (variance + epsilon).sqrt().recip())
}

/// The row with mean 0 and variance 1, but for `epsilon`.
pub(crate) fn layer_norm<T: Real>(x: &[T], epsilon: T, y: &mut [T]) {
    vectorised(
        x.len(),
        #[inline(always)]
        || {
            let (mean, scale) = moments(x, epsilon);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - mean) * scale;
            }
        },
    );
}

/// The adjoint of [`layer_norm`], which is its derivative as well:
/// `(c - mean of c - y mean of c y) / sqrt(variance + epsilon)`.
pub(crate) fn layer_norm_adjoint<T: Real>(x: &[T], y: &[T], epsilon: T, c: &[T], out: &mut [T]) {
    vectorised(
        x.len(),
        #[inline(always)]
        || {
            let count = T::from_f64(x.len() as f64);
            let (_, scale) = moments(x, epsilon);
            let (mean, along) = (pairwise(c) / count, pairwise_product(c, y) / count);
            for ((out, &y), &c) in out.iter_mut().zip(y).zip(c) {
                *out = (c - mean - y * along) * scale;
            }
        },
    );
}
