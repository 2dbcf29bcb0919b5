//! Functions of symmetric matrices, and their derivatives by divided differences.
//!
//! With `A = V diag(l) V^T`, `f(A) = V diag(f(l)) V^T`. Its derivative of order `k` in the
//! directions `E_1, ..., E_k` is a sum, over the orders of the directions, of
//!
//! ```text
//! V T V^T,  T[i, j] = sum over paths i = p_0, p_1, ..., p_k = j of
//!                     f[l_(p_0), ..., l_(p_k)] F_1[p_0, p_1] ... F_k[p_(k-1), p_k],
//! ```
//!
//! where `F = V^T E V` and `f[...]` is a divided difference (Daleckii & Krein 1965; Higham,
//! *Functions of Matrices*, 2008, section 3.2). Equal eigenvalues are no exception: `f[x, x]`
//! is the derivative. Nothing is divided by a difference of vectors' eigenvalues.
//!
//! A divided difference is a sum of Taylor terms where its points are close together, and a
//! difference of shorter ones where they are apart. Both come with an estimate of their
//! error, and the better one is taken.

use std::cell::RefCell;
use std::collections::HashMap;

use super::linalg::Matrix;
use super::norm::unit;
use super::{eigen, linalg};

/// Taylor coefficients that a function brings at each eigenvalue. Points within a third of
/// the radius of convergence are reached to the last digit.
pub(crate) const TERMS: usize = 32;
/// Terms in a row that count for nothing, after which a series is taken as summed: it may
/// have every second or third one zero.
const NEGLIGIBLE: usize = 4;

pub(crate) type Coefficients = [f64; TERMS];

/// A function of a number, as this kernel sees it.
pub(crate) trait Function {
    /// The Taylor coefficients of `f(at + unit t)`.
    fn coefficients(&self, at: f64, unit: f64) -> Coefficients;
    /// The distance to the nearest point where it has no derivative.
    fn kink_distance(&self, at: f64) -> f64;
}

/// The eigenvalues, ascending, and what a function is around them; lengths are multiples of
/// a unit, so that no power of one overflows.
struct Points {
    /// What has been found before, by points.
    found: RefCell<HashMap<Vec<usize>, (f64, f64)>>,
    x: Vec<f64>,
    series: Vec<Coefficients>,
    /// How far each series holds.
    reach: Vec<f64>,
}

impl Points {
    fn new(values: &[f64], unit: f64, f: &dyn Function) -> Self {
        Self {
            found: RefCell::default(),
            x: values.iter().map(|x| x / unit).collect(),
            series: values.iter().map(|&x| f.coefficients(x, unit)).collect(),
            reach: values.iter().map(|&x| f.kink_distance(x) / unit).collect(),
        }
    }

    /// The divided difference of the function at some of the points, in ascending order, and
    /// an estimate of its error.
    fn divided(&self, at: &[usize]) -> (f64, f64) {
        if let Some(&found) = self.found.borrow().get(at) {
            return found;
        }
        let found = self.computed(at);
        self.found.borrow_mut().insert(at.to_vec(), found);
        found
    }

    fn computed(&self, at: &[usize]) -> (f64, f64) {
        let (first, last) = (at[0], at[at.len() - 1]);
        if at.len() == 1 {
            let value = self.series[first][0];
            return (value, f64::EPSILON * value.abs());
        }
        let (value, error) = self.summed(at);
        let gap = self.x[last] - self.x[first];
        if gap == 0.0 || error <= 4.0 * f64::EPSILON * value.abs() {
            return (value, error);
        }
        let (upper, of_upper) = self.divided(&at[1..]);
        let (lower, of_lower) = self.divided(&at[..at.len() - 1]);
        let difference = (upper - lower) / gap;
        let of_difference = (of_upper + of_lower) / gap + f64::EPSILON * difference.abs();
        // Of series that have no sum, the error is no number.
        if error <= of_difference { (value, error) } else { (difference, of_difference) }
    }

    /// The divided difference by the Taylor series at a point in the middle: `f[x_0, ..., x_k]`
    /// is the sum of `c_m h_(m - k)(x_0 - c, ..., x_k - c)`, `h` the complete homogeneous
    /// symmetric polynomials.
    fn summed(&self, at: &[usize]) -> (f64, f64) {
        let (first, last) = (self.x[at[0]], self.x[at[at.len() - 1]]);
        let span = |&i: &usize| (last - self.x[i]).max(self.x[i] - first);
        let centre = *at.iter().min_by(|i, j| span(i).total_cmp(&span(j))).expect("not empty");
        if last > first && span(&centre) >= self.reach[centre] {
            return (f64::NAN, f64::NAN);
        }
        let mut polynomials = vec![1.0; at.len()];
        let (mut sum, mut size, mut tail) = (0.0_f64, 0.0, [0.0_f64; NEGLIGIBLE]);
        for (m, &coefficient) in self.series[centre].iter().enumerate().skip(at.len() - 1) {
            let polynomial = polynomials[at.len() - 1];
            let term = if polynomial == 0.0 { 0.0 } else { coefficient * polynomial };
            sum += term;
            size += term.abs();
            tail[m % NEGLIGIBLE] = term.abs();
            if tail.iter().all(|&term| term <= 0.125 * f64::EPSILON * sum.abs())
                && m + 1 >= at.len() - 1 + NEGLIGIBLE
            {
                break;
            }
            let mut before = 0.0;
            for (polynomial, &i) in polynomials.iter_mut().zip(at) {
                *polynomial = before + (self.x[i] - self.x[centre]) * *polynomial;
                before = *polynomial;
            }
        }
        (sum, f64::EPSILON * size + tail.iter().sum::<f64>())
    }

    /// `T` of directions in the basis of eigenvectors, row by row.
    fn along(&self, directions: &[Matrix]) -> Matrix {
        let n = self.x.len();
        let mut sums = Matrix::zeros(n, n);
        for i in 0..n {
            self.walk(directions, &mut vec![i], 1.0, &mut sums);
        }
        sums
    }

    /// Adds all paths that go on from one.
    fn walk(&self, directions: &[Matrix], path: &mut Vec<usize>, weight: f64, sums: &mut Matrix) {
        let (first, last) = (path[0], path[path.len() - 1]);
        let Some((direction, rest)) = directions.split_first() else {
            let mut at = path.clone();
            at.sort_unstable();
            sums[(first, last)] += weight * self.divided(&at).0;
            return;
        };
        for next in 0..self.x.len() {
            let element = direction[(last, next)];
            // Where nothing moves, nothing is asked of the function.
            if element != 0.0 {
                path.push(next);
                self.walk(rest, path, weight * element, sums);
                path.pop();
            }
        }
    }
}

/// A function of the symmetric part of the first matrix of `n` rows, or its derivative in
/// the directions of the others, each in its place.
pub(crate) fn function(n: usize, args: &[&[f64]], f: &dyn Function, out: &mut [f64]) -> Option<()> {
    let (values, vectors) =
        eigen::symmetric(n, linalg::symmetric(n, args[0])?.as_slice().to_vec())?;
    // Rows are vectors, and matrices are given by columns.
    let vectors = Matrix::from_column_slice(n, n, &vectors);
    let unit = unit(&values);
    let points = Points::new(&values, unit, f);
    let direction = |e: &&[f64]| Some(vectors.tr_mul(&linalg::matrix(n, e)?) * &vectors / unit);
    let directions = args[1..].iter().map(direction).collect::<Option<Vec<_>>>()?;
    let rotated = points.along(&directions);
    let mut result = &vectors * rotated * vectors.transpose();
    if directions.is_empty() {
        // To the last bit.
        result.fill_upper_triangle_with_lower_triangle();
    }
    linalg::write(&result, out);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `e^x`, and what its divided differences are: `e^c` times a series in which nothing
    /// cancels, about the least point.
    struct Exp;

    impl Function for Exp {
        fn coefficients(&self, at: f64, unit: f64) -> Coefficients {
            let mut coefficient = at.exp();
            std::array::from_fn(|k| {
                if k > 0 {
                    coefficient *= unit / k as f64;
                }
                coefficient
            })
        }

        fn kink_distance(&self, _: f64) -> f64 {
            f64::INFINITY
        }
    }

    fn expected(x: &[f64]) -> f64 {
        let mut polynomials = vec![1.0; x.len()];
        let (mut sum, mut coefficient) = (0.0, x[0].exp());
        for m in 1..180 {
            coefficient /= f64::from(m);
            if m as usize + 1 >= x.len() {
                sum += coefficient * polynomials[x.len() - 1];
                let mut before = 0.0;
                for (polynomial, y) in polynomials.iter_mut().zip(x) {
                    *polynomial = before + (y - x[0]) * *polynomial;
                    before = *polynomial;
                }
            }
        }
        sum
    }

    /// Ties, near ties and far ones, of every order, have all their digits.
    #[test]
    fn divided_differences_of_the_exponential() {
        for gap in [0.0, 1e-15, 1e-9, 1e-5, 1e-3, 0.1, 0.7, 2.0, 5.0, 12.0] {
            let x: Vec<f64> = [0.0, 1.0, 1.0, 1.3, 2.9].iter().map(|i| 0.3 + gap * i).collect();
            let points = Points::new(&x, 1.0, &Exp);
            for at in [
                &[0, 1][..],
                &[1, 2],
                &[0, 3],
                &[0, 1, 2],
                &[1, 2, 3],
                &[0, 2, 4],
                &[0, 1, 2, 3, 4],
            ] {
                let of: Vec<f64> = at.iter().map(|&i| x[i]).collect();
                let (found, right) = (points.divided(at).0, expected(&of));
                assert!(
                    (found - right).abs() <= 100.0 * f64::EPSILON * right,
                    "{found} is not {right}, at {of:?}"
                );
            }
        }
    }
}
