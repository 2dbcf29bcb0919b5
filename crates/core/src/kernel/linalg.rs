//! Factorisations of matrices, by the library `nalgebra`. Two are ours: eigenvectors of symmetric
//! matrices (`eigen`, made for large ones), and singular vectors (`singular`), which are orthonormal
//! for any rank.
//!
//! They work in double precision for both types of element, so that the library's
//! generic code is compiled once, and single precision is rounded once, at the end.
//! A factorisation that does not exist, or that was asked of operands which are not
//! finite, gives `None`, and its result is filled with NaN. Signs that a
//! factorisation leaves open are fixed here, so that a result repeats and is smooth.

use nalgebra::DMatrix;

use super::norm::unit;
use super::{eigen, singular};
use crate::scalar::Real;
use crate::tensor::View;

pub(super) type Matrix = DMatrix<f64>;

/// Writes the result of one matrix of each operand, if there is one.
type Factorise<'a> = dyn Fn(&[&[f64]], &mut [f64]) -> Option<()> + 'a;

/// Computes a result of `size` elements from each matrix of the operands, which have
/// as many of them as the result. `factor` sees the elements row by row.
pub(crate) fn for_each_matrix<T: Real>(
    args: &[View<'_, T>],
    size: usize,
    out: &mut [T],
    factor: &Factorise<'_>,
) {
    if out.is_empty() {
        return;
    }
    let count = out.len() / size;
    let doubles =
        |view: &View<'_, T>| -> Vec<f64> { view.to_vec().into_iter().map(Real::as_f64).collect() };
    let args: Vec<Vec<f64>> = args.iter().map(doubles).collect();
    let mut result = vec![0.0; size];
    for (i, out) in out.chunks_exact_mut(size).enumerate() {
        let part = |arg: &Vec<f64>| arg.len() / count * i..arg.len() / count * (i + 1);
        let own: Vec<&[f64]> = args.iter().map(|arg| &arg[part(arg)]).collect();
        if factor(&own, &mut result).is_none() {
            result.fill(f64::NAN);
        }
        for (y, &x) in out.iter_mut().zip(&result) {
            *y = T::from_f64(x);
        }
    }
}

/// The least number of all matrices of the operands; 0 where one gives none.
pub(crate) fn least_of_each<T: Real>(
    args: &[View<'_, T>],
    number: &dyn Fn(&[&[f64]]) -> Option<f64>,
) -> T {
    let Some(&[.., m, n]) = args.first().map(|arg| &arg.shape()[..]) else { return T::infinity() };
    let elements: usize = args[0].shape().iter().product();
    let mut numbers = vec![T::infinity(); elements / (m * n).max(1)];
    for_each_matrix(args, 1, &mut numbers, &|args, out| {
        out[0] = number(args).unwrap_or(0.0);
        Some(())
    });
    numbers.into_iter().fold(T::infinity(), T::min)
}

/// A matrix of `rows` rows, if it is finite.
pub(super) fn matrix(rows: usize, elements: &[f64]) -> Option<Matrix> {
    let is_finite = elements.iter().all(|x| x.is_finite());
    is_finite.then(|| Matrix::from_row_slice(rows, elements.len() / rows, elements))
}

/// The symmetric part of a matrix of `n` rows.
pub(super) fn symmetric(n: usize, elements: &[f64]) -> Option<Matrix> {
    let a = matrix(n, elements)?;
    Some(a.zip_map(&a.transpose(), f64::midpoint))
}

/// Writes a matrix row by row.
pub(super) fn write(matrix: &Matrix, out: &mut [f64]) {
    for (row, out) in matrix.row_iter().zip(out.chunks_exact_mut(matrix.ncols().max(1))) {
        for (y, &x) in out.iter_mut().zip(row.iter()) {
            *y = x;
        }
    }
}

/// `X` of `A X = B`, for `A` of `n` rows.
pub(crate) fn solve(n: usize, a: &[f64], b: &[f64], x: &mut [f64]) -> Option<()> {
    let solution = matrix(n, a)?.lu().solve(&matrix(n, b)?)?;
    write(&solution, x);
    Some(())
}

/// `X` of `A X = B` for a triangular `A` of `n` rows, of which the other triangle is
/// not read, nor the diagonal where it is one of ones.
pub(crate) fn solve_triangular(
    n: usize,
    [upper, unit]: [bool; 2],
    a: &[f64],
    b: &[f64],
    x: &mut [f64],
) {
    let columns = b.len() / n;
    x.copy_from_slice(b);
    for step in 0..n {
        let i = if upper { n - 1 - step } else { step };
        let known = if upper { i + 1..n } else { 0..i };
        for j in 0..columns {
            let sum: f64 = known.clone().map(|k| a[i * n + k] * x[k * columns + j]).sum();
            let pivot = if unit { 1.0 } else { a[i * n + i] };
            x[i * columns + j] = (x[i * columns + j] - sum) / pivot;
        }
    }
}

/// `ln |det A|` and the sign of `det A`; of a singular matrix minus infinity and 0, and
/// of one without rows 0 and 1.
pub(crate) fn log_det(n: usize, a: &[f64]) -> Option<[f64; 2]> {
    if n == 0 {
        return Some([0.0, 1.0]);
    }
    let lu = matrix(n, a)?.lu();
    let permutation: f64 = lu.p().determinant();
    let pivots = lu.u().diagonal();
    let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
    Some([
        pivots.iter().map(|x| Real::ln(x.abs())).sum(),
        pivots.iter().map(|&x| sign(x)).product::<f64>() * permutation,
    ])
}

/// The lower `L` of `L L^T = A`, for the symmetric part of `A`.
pub(crate) fn cholesky(n: usize, a: &[f64], l: &mut [f64]) -> Option<()> {
    write(&symmetric(n, a)?.cholesky()?.l(), l);
    Some(())
}

/// Of the symmetric part of `A`: in each row the eigenvalue of that number, ascending,
/// and that row of the matrix whose columns are the vectors. The largest component of
/// each vector is positive.
pub(crate) fn eigh(n: usize, a: &[f64], out: &mut [f64]) -> Option<()> {
    // Of a symmetric matrix, columns are rows.
    let (values, vectors) = eigen::symmetric(n, symmetric(n, a)?.as_slice().to_vec())?;
    for (place, vector) in vectors.chunks_exact(n).enumerate() {
        let sign = sign_of_largest(vector.iter());
        out[place * (n + 1)] = values[place];
        for (i, x) in vector.iter().enumerate() {
            out[i * (n + 1) + 1 + place] = sign * x;
        }
    }
    Some(())
}

/// The eigenvalues of the symmetric part, ascending.
pub(crate) fn eigenvalues(n: usize, a: &[f64]) -> Option<Vec<f64>> {
    Some(eigen::symmetric(n, symmetric(n, a)?.as_slice().to_vec())?.0)
}

/// The singular values, descending, as few as a matrix of `m` rows has rows or columns.
pub(crate) fn singular_values(m: usize, a: &[f64]) -> Option<Vec<f64>> {
    Some(singular(tall(matrix(m, a)?))?.1)
}

/// A matrix of no more columns than rows: `a` or its transpose.
fn tall(a: Matrix) -> Matrix {
    if a.nrows() < a.ncols() { a.transpose() } else { a }
}

/// The sign of the component with the largest magnitude.
fn sign_of_largest<'a>(vector: impl Iterator<Item = &'a f64>) -> f64 {
    let largest = vector.fold(0.0, |most: f64, &x| if x.abs() > most.abs() { x } else { most });
    1.0_f64.copysign(largest)
}

/// `Q` of `m` rows above `R`, of `Q R = A` with a diagonal of `R` that is not negative.
pub(crate) fn qr(m: usize, a: &[f64], out: &mut [f64]) -> Option<()> {
    let mut a = matrix(m, a)?;
    // The library squares elements. A power of 2 that a column is divided by changes nothing
    // but that column of `R`.
    let units: Vec<f64> = a.column_iter().map(|column| unit(column.as_slice())).collect();
    a.column_iter_mut().zip(&units).for_each(|(mut column, unit)| column /= *unit);
    let size = a.len();
    let qr = a.qr();
    let (mut q, mut r) = (qr.q(), qr.r());
    r.column_iter_mut().zip(&units).for_each(|(mut column, unit)| column *= *unit);
    for i in 0..r.nrows() {
        if r[(i, i)] < 0.0 {
            r.row_mut(i).neg_mut();
            q.column_mut(i).neg_mut();
        }
    }
    let (above, below) = out.split_at_mut(size);
    write(&q, above);
    write(&r, below);
    Some(())
}

/// `U`, `s` and `V` of `U diag(s) V^T = A` with `s` descending, where `A` has no more columns
/// than rows. The largest component of each column of `V` is positive.
pub(super) fn singular(a: Matrix) -> Option<(Matrix, Vec<f64>, Matrix)> {
    let (mut u, s, mut v) = singular::decomposed(a)?;
    for i in 0..v.ncols() {
        if sign_of_largest(v.column(i).iter()) < 0.0 {
            v.column_mut(i).neg_mut();
            u.column_mut(i).neg_mut();
        }
    }
    Some((u, s, v))
}

/// `U` of `m` rows above the row of `s` above `V`.
pub(crate) fn svd(m: usize, a: &[f64], out: &mut [f64]) -> Option<()> {
    let (u, s, v) = singular(matrix(m, a)?)?;
    let (above, below) = out.split_at_mut(a.len());
    let (middle, below) = below.split_at_mut(v.ncols());
    write(&u, above);
    middle.copy_from_slice(&s);
    write(&v, below);
    Some(())
}

/// The pseudoinverse of a matrix of `m` rows: of singular values up to `tolerance` times the
/// largest, the inverse is taken as 0.
pub(crate) fn pinv(m: usize, a: &[f64], tolerance: f64, out: &mut [f64]) -> Option<()> {
    let a = matrix(m, a)?;
    let is_wide = m < a.ncols();
    let (u, s, mut v) = singular(tall(a))?;
    let least = tolerance * s[0];
    for (i, &s) in s.iter().enumerate() {
        let inverse = if s > least { s.recip() } else { 0.0 };
        v.column_mut(i).iter_mut().for_each(|x| *x *= inverse);
    }
    let inverse = v * u.transpose();
    write(&if is_wide { inverse.transpose() } else { inverse }, out);
    Some(())
}

/// The greatest row sum of magnitudes for which the library's exponential is asked: it raises
/// matrices to powers, of which no norm may overflow.
const WIDE: f64 = 1024.0;

/// The exponential of a matrix of `n` rows: scaling, an approximant of Padé, squaring.
pub(crate) fn expm(n: usize, a: &[f64], out: &mut [f64]) -> Option<()> {
    let a = matrix(n, a)?;
    let norm = a.row_iter().map(|row| row.iter().map(|x| x.abs()).sum()).fold(0.0, f64::max);
    if !norm.is_finite() {
        return None;
    }
    let halvings = if norm > WIDE { (norm / WIDE).log2().ceil() } else { 0.0 };
    let mut power = (a * (-halvings).exp2()).exp();
    for _ in 0..halvings as usize {
        power = &power * &power;
    }
    write(&power, out);
    Some(())
}
