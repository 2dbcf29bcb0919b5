//! Singular values and vectors to the last digits.
//!
//! The eigenvectors of `A^T A` are orthonormal however little rank it has, and nearly the `V` of
//! `A = U diag(s) V^T`: where singular values are small beside the largest, squares have lost their
//! digits. So the columns of `A V` are nearly orthogonal, and rotations of pairs of them make them so
//! (the one-sided method of Jacobi, Hestenes 1958). Their lengths are the singular values, and small
//! ones keep their digits as large ones do.

use nalgebra::DMatrix;

use super::eigen;
use super::norm::unit;

type Matrix = DMatrix<f64>;

/// Sweeps after which columns are as orthogonal as they get. Two are usual, twelve where the matrix
/// lacks rank, more where its rows are of magnitudes far apart.
const SWEEPS: usize = 100;
/// Below this, relative to the largest number of the matrix, the square of a column's length has no
/// digits to tell whether another is orthogonal.
const VANISHES: f64 = 1e-140;

/// `U`, `s` and `V` of `A = U diag(s) V^T`, for a matrix with as many rows as columns at least,
/// with `s` descending. `None` if the iteration for eigenvectors does not converge.
pub(super) fn decomposed(mut a: Matrix) -> Option<(Matrix, Vec<f64>, Matrix)> {
    let unit = unit(a.as_slice());
    a /= unit;
    let (_, vectors) = eigen::symmetric(a.ncols(), a.tr_mul(&a).as_slice().to_vec())?;
    let n = a.ncols();
    // Long columns first: rotations of short ones leave them as they are.
    let mut v = Matrix::from_fn(n, n, |i, j| vectors[(n - 1 - j) * n + i]);
    let mut b = a * &v;
    make_orthogonal(&mut b, &mut v);
    let lengths: Vec<f64> = b.column_iter().map(|column| column.norm()).collect();
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by(|&i, &j| lengths[j].total_cmp(&lengths[i]));
    let (mut u, v) = (b.select_columns(&order), v.select_columns(&order));
    let known = lengths.iter().filter(|&&length| length > VANISHES).count();
    for (place, &i) in order[..known].iter().enumerate() {
        u.column_mut(place).unscale_mut(lengths[i]);
    }
    complete(&mut u, known);
    Some((u, order.iter().map(|&i| lengths[i] * unit).collect(), v))
}

/// Rotates pairs of columns of `b`, and of `v` with them, until all of `b` are orthogonal.
fn make_orthogonal(b: &mut Matrix, v: &mut Matrix) {
    let n = b.ncols();
    // What rounding makes of the product of two columns that are orthogonal.
    let negligible = f64::EPSILON * (b.nrows() as f64).sqrt().max(4.0);
    let mut squares: Vec<f64> = b.column_iter().map(|column| column.norm_squared()).collect();
    for _ in 0..SWEEPS {
        let mut is_done = true;
        for i in 0..n {
            for j in i + 1..n {
                let product = b.column(i).dot(&b.column(j));
                let (p, q) = (squares[i], squares[j]);
                let room = negligible * (p.sqrt() * q.sqrt());
                if product.abs() <= room || p.min(q) <= VANISHES * VANISHES {
                    continue;
                }
                is_done = false;
                let zeta = (q - p) / (2.0 * product);
                let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let cosine = tangent.hypot(1.0).recip();
                rotate(b, [i, j], cosine, cosine * tangent);
                rotate(v, [i, j], cosine, cosine * tangent);
                squares[i] = b.column(i).norm_squared();
                squares[j] = b.column(j).norm_squared();
            }
        }
        if is_done {
            break;
        }
    }
}

fn rotate(of: &mut Matrix, [i, j]: [usize; 2], cosine: f64, sine: f64) {
    let (mut x, mut y) = of.columns_range_pair_mut(i, j);
    for (x, y) in x.iter_mut().zip(y.iter_mut()) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

/// Makes the columns from `known` on orthogonal to those before them, of length 1: of singular values
/// of 0 any will do.
fn complete(u: &mut Matrix, known: usize) {
    let rows = u.nrows();
    let mut place = known;
    // What is left of a unit vector gets no longer as columns are added.
    for at in 0..rows {
        if place == u.ncols() {
            return;
        }
        let mut column = nalgebra::DVector::zeros(rows);
        column[at] = 1.0;
        // Twice, since what is left of the first time has lost digits.
        for _ in 0..2 {
            for other in 0..place {
                let share = u.column(other).dot(&column);
                column.axpy(-share, &u.column(other), 1.0);
            }
        }
        // The longest of the rest is at least this long.
        let length = column.norm();
        if length * (rows as f64).sqrt() >= 0.5 {
            u.set_column(place, &column.unscale(length));
            place += 1;
        }
    }
}
