//! Matrices by plain loops.

use crate::estimate::Total;
use crate::{Array, Precision};

pub(super) fn matrix(m: usize, n: usize, of: impl Fn(usize, usize) -> f64) -> Array {
    Array::from_fn([m, n], |index| of(index[0], index[1]))
}

pub(super) fn product(a: &Array, b: &Array) -> Array {
    let terms = a.shape[1];
    matrix(a.shape[0], b.shape[1], |i, j| {
        Total::of((0..terms).map(|k| a.at(&[i, k]) * b.at(&[k, j]))).value()
    })
}

pub(super) fn transposed(a: &Array) -> Array {
    matrix(a.shape[1], a.shape[0], |i, j| a.at(&[j, i]))
}

pub(super) fn symmetric(a: &Array) -> Array {
    matrix(a.shape[0], a.shape[0], |i, j| (a.at(&[i, j]) + a.at(&[j, i])) / 2.0)
}

pub(super) fn rows(a: &Array, from: usize, to: usize) -> Array {
    matrix(to - from, a.shape[1], |i, j| a.at(&[from + i, j]))
}

pub(super) fn columns(a: &Array, from: usize, to: usize) -> Array {
    matrix(a.shape[0], to - from, |i, j| a.at(&[i, from + j]))
}

pub(super) fn identity(n: usize) -> Array {
    matrix(n, n, |i, j| if i == j { 1.0 } else { 0.0 })
}

pub(super) fn largest(a: &Array) -> f64 {
    a.elements.iter().fold(0.0, |largest, x| x.abs().max(largest))
}

pub(super) fn is_finite(a: &Array) -> bool {
    a.elements.iter().all(|x| x.is_finite())
}

/// `a` and `b` are the same within an error.
pub(super) fn equal(what: &str, a: &Array, b: &Array, error: f64) -> Result<(), String> {
    for (place, (x, y)) in a.elements.iter().zip(&b.elements).enumerate() {
        // A NaN is near nothing.
        let is_near = (x - y).abs() <= error;
        if !is_near {
            return Err(format!(
                "{what}: {x:e} and {y:e} differ at {place} by more than {error:e}"
            ));
        }
    }
    Ok(())
}

pub(super) fn holds(what: &str, condition: bool) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("{what} does not hold")) }
}

/// Elimination with pivots: `P A = L U`, with `L` below the diagonal of the first result, and the
/// sign of `P`.
pub(super) fn eliminated(a: &Array) -> (Array, Vec<usize>, f64) {
    let n = a.shape[0];
    let (mut a, mut order, mut sign) = (a.clone(), (0..n).collect::<Vec<_>>(), 1.0);
    for k in 0..n {
        let better = |best: usize, i: usize| {
            if a.at(&[i, k]).abs() > a.at(&[best, k]).abs() { i } else { best }
        };
        let pivot = (k..n).fold(k, better);
        if pivot != k {
            (0..n).for_each(|j| a.elements.swap(k * n + j, pivot * n + j));
            order.swap(k, pivot);
            sign = -sign;
        }
        let diagonal = a.at(&[k, k]);
        for i in k + 1..n {
            let factor = if diagonal == 0.0 { 0.0 } else { a.at(&[i, k]) / diagonal };
            a.elements[i * n + k] = factor;
            for j in k + 1..n {
                a.elements[i * n + j] -= factor * a.at(&[k, j]);
            }
        }
    }
    (a, order, sign)
}

/// How much relative errors of a square matrix may grow: the largest element of `|A^-1| |A|`.
pub(super) fn condition(a: &Array) -> f64 {
    let n = a.shape[0];
    let (lu, order, _) = eliminated(a);
    if (0..n).any(|k| lu.at(&[k, k]) == 0.0) {
        return f64::INFINITY;
    }
    let mut inverse = identity(n);
    for column in 0..n {
        let mut x = vec![0.0; n];
        for i in 0..n {
            let before: f64 = (0..i).map(|j| lu.at(&[i, j]) * x[j]).sum();
            x[i] = if order[i] == column { 1.0 } else { 0.0 } - before;
        }
        for i in (0..n).rev() {
            let after: f64 = (i + 1..n).map(|j| lu.at(&[i, j]) * x[j]).sum();
            x[i] = (x[i] - after) / lu.at(&[i, i]);
        }
        (0..n).for_each(|i| inverse.elements[i * n + column] = x[i]);
    }
    let growth = largest(&product(&inverse.abs(), &a.abs()));
    if growth.is_finite() { growth.max(1.0) } else { f64::INFINITY }
}

/// Whether rounding may make a matrix singular.
pub(super) fn is_nearly_singular(a: &Array, precision: &Precision) -> bool {
    condition(a) * a.shape[0] as f64 * precision.epsilon > 0.01
}
