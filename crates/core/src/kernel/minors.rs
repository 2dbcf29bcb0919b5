//! Determinants and their derivatives, which are polynomials and have no exceptions.
//!
//! With `A = U diag(s) V^T`, the derivative of the determinant in the directions
//! `E_1, ..., E_k` and `X` is, up to the signs of `det U` and `det V`, a sum over rows `i_1,
//! ..., i_k, a`, no two the same, and over their permutations `p`:
//!
//! ```text
//! sign(p) F_1[i_1, p(i_1)] ... F_k[i_k, p(i_k)] G[a, p(a)] (product of the other s),
//! ```
//!
//! where `F = U^T E V` and `G = U^T X V`. Nothing is divided by a singular value, so it is
//! right at matrices of any rank. What multiplies `X` is a matrix, of cofactors if `k` is 0.

use super::linalg;
use super::linalg::Matrix;

/// The determinant of a matrix of `n` rows.
pub(crate) fn det(n: usize, a: &[f64]) -> Option<f64> {
    if n == 0 {
        return Some(1.0);
    }
    let lu = linalg::matrix(n, a)?.lu();
    let permutation: f64 = lu.p().determinant();
    let mut pivots: Vec<f64> = lu.u().diagonal().iter().copied().collect();
    pivots.sort_unstable_by(|x, y| y.abs().total_cmp(&x.abs()));
    Some(permutation * product(pivots.into_iter()))
}

/// The product of numbers that fall in magnitude, without overflow on the way: large and
/// small ones take turns.
fn product(mut numbers: impl DoubleEndedIterator<Item = f64>) -> f64 {
    let mut product = 1.0_f64;
    while let Some(next) = if product.abs() > 1.0 { numbers.next_back() } else { numbers.next() } {
        product *= next;
    }
    product
}

/// The matrix by which a further direction is multiplied, in the derivative of the
/// determinant of the first matrix of `n` rows in the directions of the others.
pub(crate) fn cofactors(n: usize, args: &[&[f64]], out: &mut [f64]) -> Option<()> {
    let (u, s, v) = linalg::singular(linalg::matrix(n, args[0])?)?;
    let directions = args[1..]
        .iter()
        .map(|e| Some(u.tr_mul(&linalg::matrix(n, e)?) * &v))
        .collect::<Option<Vec<_>>>()?;
    let sign = (u.determinant() * v.determinant()).signum();
    let minors = Minors { s: &s, directions: &directions };
    let mut sums = Matrix::zeros(n, n);
    minors.walk(&mut Vec::new(), &mut sums);
    linalg::write(&(u * sums * v.transpose() * sign), out);
    Some(())
}

struct Minors<'a> {
    s: &'a [f64],
    directions: &'a [Matrix],
}

impl Minors<'_> {
    /// Adds the terms of all sets of rows that begin with the given ones.
    fn walk(&self, rows: &mut Vec<usize>, sums: &mut Matrix) {
        if rows.len() == self.directions.len() + 1 {
            let others = (0..self.s.len()).filter(|i| !rows.contains(i)).map(|i| self.s[i]);
            let others: Vec<f64> = others.collect();
            self.permute(rows, &mut Vec::new(), product(others.into_iter()), sums);
            return;
        }
        for row in 0..self.s.len() {
            if !rows.contains(&row) {
                rows.push(row);
                self.walk(rows, sums);
                rows.pop();
            }
        }
    }

    /// Adds the terms of all permutations of rows that begin with the given columns.
    fn permute(&self, rows: &[usize], columns: &mut Vec<usize>, weight: f64, sums: &mut Matrix) {
        let place = columns.len();
        // As many of the columns that are left as stand before one, as many exchanges.
        let mut sign = 1.0;
        for &column in rows {
            if columns.contains(&column) {
                continue;
            }
            match self.directions.get(place) {
                None => sums[(rows[place], column)] += sign * weight,
                Some(direction) => {
                    let element = sign * direction[(rows[place], column)];
                    if element != 0.0 {
                        columns.push(column);
                        self.permute(rows, columns, weight * element, sums);
                        columns.pop();
                    }
                }
            }
            sign = -sign;
        }
    }
}
