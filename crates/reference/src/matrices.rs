//! Linear algebra: the property that defines each result, checked by plain products.
//!
//! Factors are not unique to the last bit, and differ much where a matrix is nearly singular, but
//! their product does not: it is the operand, within roundings of its size.

use std::any::Any;

use wengert_core::op::{Cholesky, Eigh, Expm, LogAbsDet, Qr, SignDet, Solve, SolveTriangular, Svd};

use crate::estimate::{Estimate, Total, exact, unknown};
use crate::{Array, Precision, What};

/// The factor of `n epsilon` that residuals may have.
const ROUNDINGS: f64 = 16.0;

fn matrix(m: usize, n: usize, of: impl Fn(usize, usize) -> f64) -> Array {
    Array::from_fn([m, n], |index| of(index[0], index[1]))
}

fn product(a: &Array, b: &Array) -> Array {
    let terms = a.shape[1];
    matrix(a.shape[0], b.shape[1], |i, j| {
        Total::of((0..terms).map(|k| a.at(&[i, k]) * b.at(&[k, j]))).value()
    })
}

fn transposed(a: &Array) -> Array {
    matrix(a.shape[1], a.shape[0], |i, j| a.at(&[j, i]))
}

fn symmetric(a: &Array) -> Array {
    matrix(a.shape[0], a.shape[0], |i, j| (a.at(&[i, j]) + a.at(&[j, i])) / 2.0)
}

fn rows(a: &Array, from: usize, to: usize) -> Array {
    matrix(to - from, a.shape[1], |i, j| a.at(&[from + i, j]))
}

fn columns(a: &Array, from: usize, to: usize) -> Array {
    matrix(a.shape[0], to - from, |i, j| a.at(&[i, from + j]))
}

fn identity(n: usize) -> Array {
    matrix(n, n, |i, j| if i == j { 1.0 } else { 0.0 })
}

fn largest(a: &Array) -> f64 {
    a.elements.iter().fold(0.0, |largest, x| x.abs().max(largest))
}

fn is_finite(a: &Array) -> bool {
    a.elements.iter().all(|x| x.is_finite())
}

/// `a` and `b` are the same within an error.
fn equal(what: &str, a: &Array, b: &Array, error: f64) -> Result<(), String> {
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

fn holds(what: &str, condition: bool) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("{what} does not hold")) }
}

/// Elimination with pivots: `P A = L U`, with `L` below the diagonal of the first result, and the
/// sign of `P`.
fn eliminated(a: &Array) -> (Array, Vec<usize>, f64) {
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
fn condition(a: &Array) -> f64 {
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
fn is_nearly_singular(a: &Array, precision: &Precision) -> bool {
    condition(a) * a.shape[0] as f64 * precision.epsilon > 0.01
}

/// A property of each matrix of a result, given the matrices of the operands.
fn property(
    args: &[Array],
    shape: impl Fn(&[Array]) -> [usize; 2],
    of: impl Fn(&[Array], &Array) -> Result<(), String> + 'static,
) -> What {
    let operands: Vec<Vec<Array>> = args.iter().map(Array::matrices).collect();
    let count = operands[0].len();
    let batch: Vec<Vec<Array>> =
        (0..count).map(|k| operands.iter().map(|operand| operand[k].clone()).collect()).collect();
    let mut expected = args[0].shape[..args[0].rank() - 2].to_vec();
    let last: Vec<Array> =
        args.iter().map(|arg| Array::from_fn(&arg.shape[arg.rank() - 2..], |_| 0.0)).collect();
    expected.extend(shape(&last));
    What::Property(Box::new(move |result| {
        if result.shape != expected {
            return Err(format!("the shape is {:?}, not {expected:?}", result.shape));
        }
        for (k, (operands, result)) in batch.iter().zip(result.matrices()).enumerate() {
            // Of what is not finite nothing is said.
            if operands.iter().all(is_finite) {
                of(operands, &result).map_err(|reason| format!("matrix {k}: {reason}"))?;
            }
        }
        Ok(())
    }))
}

pub(crate) fn define(op: &dyn Any, args: &[Array], precision: &Precision) -> Option<What> {
    let precision = *precision;
    let epsilon = move |a: &Array| ROUNDINGS * (1 + a.shape[0]) as f64 * precision.epsilon;
    if let Some(Solve) = op.downcast_ref() {
        return Some(property(
            args,
            |args| [args[1].shape[0], args[1].shape[1]],
            move |args, x| {
                if !is_finite(x) {
                    return holds("A is nearly singular", is_nearly_singular(&args[0], &precision));
                }
                residual(&args[0], x, &args[1], epsilon(&args[0]))
            },
        ));
    }
    if let Some(&SolveTriangular { upper }) = op.downcast_ref() {
        return Some(property(
            args,
            |args| [args[1].shape[0], args[1].shape[1]],
            move |args, x| {
                let n = args[0].shape[0];
                let is_read = |i: usize, j: usize| if upper { j >= i } else { j <= i };
                let a = matrix(n, n, |i, j| if is_read(i, j) { args[0].at(&[i, j]) } else { 0.0 });
                if !is_finite(x) {
                    return holds("A is nearly singular", is_nearly_singular(&a, &precision));
                }
                residual(&a, x, &args[1], epsilon(&a))
            },
        ));
    }
    if let Some(LogAbsDet) = op.downcast_ref() {
        return Some(of_matrices(&args[0], |a| {
            let (lu, _, _) = eliminated(a);
            let logarithms = (0..a.shape[0]).map(|k| lu.at(&[k, k]).abs().ln());
            let total = Total::of(logarithms).estimate();
            let growth = condition(a);
            if is_nearly_singular(a, &precision) {
                return unknown();
            }
            let error = total.error + ROUNDINGS * a.shape[0] as f64 * growth;
            Estimate { value: total.value, error }
        }));
    }
    if let Some(SignDet) = op.downcast_ref() {
        return Some(of_matrices(&args[0], |a| {
            if is_nearly_singular(a, &precision) {
                return unknown();
            }
            let (lu, _, sign) = eliminated(a);
            exact((0..a.shape[0]).fold(sign, |sign, k| sign * lu.at(&[k, k]).signum()))
        }));
    }
    if let Some(Cholesky) = op.downcast_ref() {
        return Some(property(
            args,
            |args| [args[0].shape[0]; 2],
            move |args, l| cholesky(&symmetric(&args[0]), l, epsilon(l)),
        ));
    }
    if let Some(Eigh) = op.downcast_ref() {
        return Some(property(
            args,
            |args| [args[0].shape[0], args[0].shape[0] + 1],
            move |args, y| eigh(&symmetric(&args[0]), y, epsilon(y)),
        ));
    }
    if let Some(Qr) = op.downcast_ref() {
        let shape = |args: &[Array]| [args[0].shape[0] + args[0].shape[1], args[0].shape[1]];
        return Some(property(args, shape, move |args, y| qr(&args[0], y, epsilon(&args[0]))));
    }
    if let Some(Svd) = op.downcast_ref() {
        let shape = |args: &[Array]| [args[0].shape[0] + 1 + args[0].shape[1], args[0].shape[1]];
        return Some(property(args, shape, move |args, y| svd(&args[0], y, epsilon(&args[0]))));
    }
    if let Some(Expm) = op.downcast_ref() {
        let elements = args[0].matrices().iter().flat_map(exponential).collect();
        return Some((args[0].shape.clone(), elements).into());
    }
    None
}

/// A number for each matrix.
fn of_matrices(x: &Array, of: impl Fn(&Array) -> Estimate) -> What {
    let of = |a: &Array| if is_finite(a) { of(a) } else { unknown() };
    let lead = x.shape[..x.rank() - 2].to_vec();
    (lead, x.matrices().iter().map(of).collect()).into()
}

/// `A X = B`, within errors of the terms that add up to it.
fn residual(a: &Array, x: &Array, b: &Array, epsilon: f64) -> Result<(), String> {
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
fn orthonormal(what: &str, q: &Array, epsilon: f64) -> Result<(), String> {
    equal(what, &product(&transposed(q), q), &identity(q.shape[1]), epsilon)
}

/// The component of largest magnitude of each column is positive; where two are as large, either may be.
fn first_positive(what: &str, v: &Array, epsilon: f64) -> Result<(), String> {
    for j in 0..v.shape[1] {
        let column = columns(v, j, j + 1);
        let size = largest(&column);
        let is_large = |x: &&f64| x.abs() >= size * (1.0 - epsilon);
        holds(what, column.elements.iter().filter(is_large).any(|&x| x > 0.0))?;
    }
    Ok(())
}

fn cholesky(a: &Array, l: &Array, epsilon: f64) -> Result<(), String> {
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

fn eigh(a: &Array, packed: &Array, epsilon: f64) -> Result<(), String> {
    let n = a.shape[0];
    let (values, v) = (columns(packed, 0, 1), columns(packed, 1, n + 1));
    holds("ascending eigenvalues", values.elements.windows(2).all(|pair| pair[0] <= pair[1]))?;
    let scaled = matrix(n, n, |i, j| v.at(&[i, j]) * values.elements[j]);
    let size = product(&a.abs(), &Array::new([n, 1], vec![1.0; n]));
    equal("A V = V diag(l)", &product(a, &v), &scaled, epsilon * largest(&size))?;
    orthonormal("V^T V = 1", &v, epsilon)?;
    first_positive("a positive largest component", &v, epsilon)
}

fn qr(a: &Array, packed: &Array, epsilon: f64) -> Result<(), String> {
    let (m, n) = (a.shape[0], a.shape[1]);
    let (q, r) = (rows(packed, 0, m), rows(packed, m, m + n));
    holds("0 below the diagonal of R", (0..n).all(|i| (0..i).all(|j| r.at(&[i, j]) == 0.0)))?;
    holds("a diagonal of R that is not negative", (0..n).all(|i| r.at(&[i, i]) >= 0.0))?;
    equal("Q R = A", &product(&q, &r), a, epsilon * n as f64 * largest(a))?;
    orthonormal("Q^T Q = 1", &q, epsilon)
}

fn svd(a: &Array, packed: &Array, epsilon: f64) -> Result<(), String> {
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

/// `sum of A^k / k!`, with the errors of the same sum of magnitudes.
fn exponential(a: &Array) -> Vec<Estimate> {
    let n = a.shape[0];
    let (mut term, mut size) = (identity(n), identity(n));
    let mut totals = vec![Total::default(); n * n];
    let mut magnitudes = vec![0.0; n * n];
    let mut k = 0.0;
    while !(largest(&size) < 1e-20 * magnitudes.iter().copied().fold(0.0, f64::max)) || k == 0.0 {
        for i in 0..n * n {
            totals[i].add(term.elements[i]);
            magnitudes[i] += size.elements[i];
        }
        k += 1.0;
        if k > 300.0 || !is_finite(&size) {
            return vec![unknown(); n * n];
        }
        (term, size) = (product(&term, a), product(&size, &a.abs()));
        term.elements.iter_mut().chain(&mut size.elements).for_each(|x| *x /= k);
        if n == 0 {
            break;
        }
    }
    // Scaling and squaring mixes all elements.
    let magnitude = magnitudes.iter().copied().fold(0.0, f64::max);
    let error = ROUNDINGS * (1 + n) as f64 * magnitude;
    totals.iter().map(|total| Estimate { value: total.value(), error }).collect()
}
