//! What factorisations have to satisfy.

use super::algebra::*;
use crate::Array;

/// `A X = B`, within errors of the terms that add up to it.
pub(super) fn residual(a: &Array, x: &Array, b: &Array, epsilon: f64) -> Result<(), String> {
    let (ax, size) = (product(a, x), product(&a.abs(), &x.abs()));
    // The largest of a column, since elimination mixes its elements.
    for j in 0..b.shape[1] {
        let column = |y: &Array| columns(y, j, j + 1);
        let size = largest(&column(&size)).max(largest(&column(b)));
        equal("A X = B", &column(&ax), &column(b), epsilon * size)?;
    }
    Ok(())
}

/// The columns of `q` are orthonormal.
pub(super) fn orthonormal(what: &str, q: &Array, epsilon: f64) -> Result<(), String> {
    equal(what, &product(&transposed(q), q), &identity(q.shape[1]), epsilon)
}

/// The component of largest magnitude of each column is positive; where two are as large, either may be.
pub(super) fn first_positive(what: &str, v: &Array, epsilon: f64) -> Result<(), String> {
    for j in 0..v.shape[1] {
        let column = columns(v, j, j + 1);
        let size = largest(&column);
        let is_large = |x: &&f64| x.abs() >= size * (1.0 - epsilon);
        holds(what, column.elements.iter().filter(is_large).any(|&x| x > 0.0))?;
    }
    Ok(())
}

pub(super) fn cholesky(a: &Array, l: &Array, epsilon: f64) -> Result<(), String> {
    let n = a.shape[0];
    let size = largest(a);
    if !is_finite(l) {
        // Some pivot of the textbook's elimination is no clearly positive number.
        let mut pivots = a.clone();
        for k in 0..n {
            let pivot = pivots.at(&[k, k]);
            if pivot <= epsilon * size || pivot.is_nan() {
                return Ok(());
            }
            for i in k + 1..n {
                for j in k + 1..n {
                    pivots.elements[i * n + j] -= pivots.at(&[i, k]) * pivots.at(&[k, j]) / pivot;
                }
            }
        }
        return Err("a positive definite matrix has no NaN".to_owned());
    }
    holds("0 above the diagonal", (0..n).all(|i| (i + 1..n).all(|j| l.at(&[i, j]) == 0.0)))?;
    holds("a positive diagonal", (0..n).all(|i| l.at(&[i, i]) > 0.0))?;
    equal("L L^T = A", &product(l, &transposed(l)), a, epsilon * size)
}

pub(super) fn eigh(a: &Array, packed: &Array, epsilon: f64) -> Result<(), String> {
    let n = a.shape[0];
    let (values, v) = (columns(packed, 0, 1), columns(packed, 1, n + 1));
    holds("ascending eigenvalues", values.elements.windows(2).all(|pair| pair[0] <= pair[1]))?;
    let scaled = matrix(n, n, |i, j| v.at(&[i, j]) * values.elements[j]);
    let size = product(&a.abs(), &Array::new([n, 1], vec![1.0; n]));
    equal("A V = V diag(l)", &product(a, &v), &scaled, epsilon * largest(&size))?;
    orthonormal("V^T V = 1", &v, epsilon)?;
    first_positive("a positive largest component", &v, epsilon)
}

pub(super) fn qr(a: &Array, packed: &Array, epsilon: f64) -> Result<(), String> {
    let (m, n) = (a.shape[0], a.shape[1]);
    let (q, r) = (rows(packed, 0, m), rows(packed, m, m + n));
    holds("0 below the diagonal of R", (0..n).all(|i| (0..i).all(|j| r.at(&[i, j]) == 0.0)))?;
    holds("a diagonal of R that is not negative", (0..n).all(|i| r.at(&[i, i]) >= 0.0))?;
    equal("Q R = A", &product(&q, &r), a, epsilon * n as f64 * largest(a))?;
    orthonormal("Q^T Q = 1", &q, epsilon)
}

pub(super) fn svd(a: &Array, packed: &Array, epsilon: f64) -> Result<(), String> {
    let (m, n) = (a.shape[0], a.shape[1]);
    let u = rows(packed, 0, m);
    let s = packed.elements[m * n..(m + 1) * n].to_vec();
    let v = rows(packed, m + 1, m + 1 + n);
    holds("descending singular values", s.windows(2).all(|pair| pair[0] >= pair[1]))?;
    holds("singular values that are not negative", s.iter().all(|&s| s >= 0.0))?;
    let scaled = matrix(m, n, |i, j| u.at(&[i, j]) * s[j]);
    let error = epsilon * n as f64 * largest(a);
    equal("U diag(s) V^T = A", &product(&scaled, &transposed(&v)), a, error)?;
    orthonormal("U^T U = 1", &u, epsilon)?;
    orthonormal("V^T V = 1", &v, epsilon)?;
    first_positive("a positive largest component", &v, epsilon)
}
