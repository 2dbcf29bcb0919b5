//! Singular vectors to the last digits.
//!
//! The library's last step, of two rows, takes its rotation from `s^2 - a^2`, where all digits may
//! cancel: of a matrix of 33 rows and 2 columns, `U diag(s) V^T` was off by 3e-11. So its `V` is
//! where we begin: the columns of `A V` are nearly orthogonal, and rotations of pairs of them make
//! them so (the one-sided method of Jacobi, Hestenes 1958). A sweep or two are enough. Their
//! lengths are the singular values, and small ones keep their digits as large ones do.

use nalgebra::{DMatrix, linalg};

type Matrix = DMatrix<f64>;

/// Sweeps after which columns are as orthogonal as they get; usual are two.
const SWEEPS: usize = 30;
/// What counts as 0 among singular values, relative to their neighbours: what the library
/// takes of itself.
const NEGLIGIBLE: f64 = 5.0 * f64::EPSILON;
/// Below this, relative to the largest number of the matrix, a column's square vanishes.
const VANISHES: f64 = 1e-150;

/// `U`, `s` and `V` of `A = U diag(s) V^T`, for a matrix with as many rows as columns at least,
/// with `s` descending. `None` if the library needs more than some number of steps.
pub(super) fn decomposed(mut a: Matrix, steps: usize) -> Option<(Matrix, Vec<f64>, Matrix)> {
    // A power of 2 costs no digits.
    let largest = a.amax();
    let unit = if largest.is_normal() { largest.log2().floor().exp2() } else { 1.0 };
    a /= unit;
    let svd = linalg::SVD::try_new(a.clone(), true, true, NEGLIGIBLE, steps)?;
    let (known, mut v) = (svd.u?, svd.v_t?.transpose());
    let mut b = a * &v;
    make_orthogonal(&mut b, &mut v);
    let lengths: Vec<f64> = b.column_iter().map(|column| column.norm()).collect();
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by(|&i, &j| lengths[j].total_cmp(&lengths[i]));
    let (mut u, v) = (b.select_columns(&order), v.select_columns(&order));
    for (place, &i) in order.iter().enumerate() {
        if lengths[i] > VANISHES {
            u.column_mut(place).unscale_mut(lengths[i]);
        } else {
            complete(&mut u, place, &known);
        }
    }
    Some((u, order.iter().map(|&i| lengths[i] * unit).collect(), v))
}

/// Rotates pairs of columns of `b`, and of `v` with them, until all of `b` are orthogonal.
fn make_orthogonal(b: &mut Matrix, v: &mut Matrix) {
    let n = b.ncols();
    // What rounding makes of the product of two columns that are orthogonal.
    let negligible = f64::EPSILON * (b.nrows() as f64).sqrt().max(4.0);
    for _ in 0..SWEEPS {
        let mut is_done = true;
        for i in 0..n {
            for j in i + 1..n {
                let product = b.column(i).dot(&b.column(j));
                let (p, q) = (b.column(i).norm_squared(), b.column(j).norm_squared());
                if product.abs() <= negligible * (p.sqrt() * q.sqrt()) {
                    continue;
                }
                is_done = false;
                let zeta = (q - p) / (2.0 * product);
                let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let cosine = tangent.hypot(1.0).recip();
                rotate(b, [i, j], cosine, cosine * tangent);
                rotate(v, [i, j], cosine, cosine * tangent);
            }
        }
        if is_done {
            break;
        }
    }
}

fn rotate(of: &mut Matrix, [i, j]: [usize; 2], cosine: f64, sine: f64) {
    for row in 0..of.nrows() {
        let (x, y) = (of[(row, i)], of[(row, j)]);
        of[(row, i)] = cosine * x - sine * y;
        of[(row, j)] = sine * x + cosine * y;
    }
}

/// Makes column `place` one that is orthogonal to those before it, of length 1: of a singular
/// value of 0 any will do. One that the library knows is taken first.
fn complete(u: &mut Matrix, place: usize, known: &Matrix) {
    let rows = u.nrows();
    let units = (0..rows).map(|at| {
        let mut unit = nalgebra::DVector::zeros(rows);
        unit[at] = 1.0;
        unit
    });
    for mut column in known.column_iter().map(|column| column.clone_owned()).chain(units) {
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
            return;
        }
    }
}
