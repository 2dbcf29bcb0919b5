//! Linear algebra: the property that defines each result, checked by plain products.
//!
//! Factors are not unique to the last bit, and differ much where a matrix is nearly singular, but
//! their product does not: it is the operand, within roundings of its size.

use std::any::Any;

use wengert_core::op::{
    Cholesky, Cofactors, Det, DistinctColumns, Eigh, Expm, LogAbsDet, Logm, OverGaps, Pinv, Qr,
    SignDet, Solve, SolveTriangular, Svd,
};

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
    if let Some(&SolveTriangular { upper, unit }) = op.downcast_ref() {
        return Some(property(
            args,
            |args| [args[1].shape[0], args[1].shape[1]],
            move |args, x| {
                let n = args[0].shape[0];
                let is_read = |i: usize, j: usize| if upper { j >= i } else { j <= i };
                let a = matrix(n, n, |i, j| match (i == j && unit, is_read(i, j)) {
                    (true, _) => 1.0,
                    (_, true) => args[0].at(&[i, j]),
                    _ => 0.0,
                });
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
    if let Some(Det) = op.downcast_ref() {
        return Some(of_matrices(&args[0], |a| {
            // Hadamard's bound, in whose units elimination errs.
            let error = ROUNDINGS * a.shape[0] as f64 * hadamard(a);
            Estimate { value: determinant(a), error }
        }));
    }
    if op.is::<Cofactors>() {
        return Some(elements_of_matrices(args, cofactors));
    }
    if let Some(&Pinv { tolerance }) = op.downcast_ref() {
        let shape = |args: &[Array]| [args[0].shape[1], args[0].shape[0]];
        return Some(property(args, shape, move |args, x| {
            penrose(&args[0], x, epsilon(&args[0]), tolerance)
        }));
    }
    if let Some(&OverGaps { of_sums }) = op.downcast_ref() {
        return Some(over_gaps(&args[0], &args[1], of_sums, &precision));
    }
    if let Some(&DistinctColumns { of_zero, marks }) = op.downcast_ref() {
        return Some(distinct_columns(&args[0], &args[1], [of_zero, marks], &precision));
    }
    if op.is::<Logm>() {
        return Some(elements_of_matrices(args, logarithm));
    }
    if let Some(Expm) = op.downcast_ref() {
        return Some(elements_of_matrices(args, |own| exponential(&own[0])));
    }
    None
}

/// A number for each matrix.
fn of_matrices(x: &Array, of: impl Fn(&Array) -> Estimate) -> What {
    let of = |a: &Array| if is_finite(a) { of(a) } else { unknown() };
    let lead = x.shape[..x.rank() - 2].to_vec();
    (lead, x.matrices().iter().map(of).collect()).into()
}

/// A square matrix for those of each operand.
fn elements_of_matrices(args: &[Array], of: impl Fn(&[Array]) -> Vec<Estimate>) -> What {
    let operands: Vec<Vec<Array>> = args.iter().map(Array::matrices).collect();
    let of_one = |k: usize| {
        let own: Vec<Array> = operands.iter().map(|operand| operand[k].clone()).collect();
        if own.iter().all(is_finite) { of(&own) } else { vec![unknown(); own[0].elements.len()] }
    };
    (args[0].shape.clone(), (0..operands[0].len()).flat_map(of_one).collect()).into()
}

fn determinant(a: &Array) -> f64 {
    let (lu, _, sign) = eliminated(a);
    (0..a.shape[0]).fold(sign, |product, k| product * lu.at(&[k, k]))
}

/// The product of the rows' lengths, which no determinant exceeds.
fn hadamard(a: &Array) -> f64 {
    let n = a.shape[0];
    let square = |i: usize| (0..n).map(|j| a.at(&[i, j]) * a.at(&[i, j])).sum::<f64>();
    (0..n).map(|i| square(i).sqrt()).product()
}

/// A determinant is linear in each row, so its derivative in some directions is the sum of
/// those in which as many rows are a direction's; a cofactor is that in a unit matrix.
fn cofactors(args: &[Array]) -> Vec<Estimate> {
    fn replaced(a: &Array, taken: &[usize], directions: &[Array], sum: &mut Estimate) {
        let Some((direction, rest)) = directions.split_first() else {
            sum.value += determinant(a);
            sum.error += ROUNDINGS * a.shape[0] as f64 * hadamard(a);
            return;
        };
        let n = a.shape[0];
        for row in (0..n).filter(|row| !taken.contains(row)) {
            let from = |i: usize, j: usize| if i == row { direction } else { a }.at(&[i, j]);
            replaced(&matrix(n, n, from), &[taken, &[row]].concat(), rest, sum);
        }
    }
    let n = args[0].shape[0];
    // As many determinants take too long.
    if n.pow(args.len() as u32 + 4) > 3_000_000 {
        return vec![unknown(); n * n];
    }
    let of =
        |at: usize| {
            let (i, j) = (at / n, at % n);
            let unit = matrix(n, n, |row, column| f64::from(u8::from([row, column] == [i, j])));
            let with_unit = matrix(n, n, |row, column| {
                if row == i { unit.at(&[i, column]) } else { args[0].at(&[row, column]) }
            });
            let mut sum = Estimate { value: 0.0, error: 0.0 };
            replaced(&with_unit, &[i], &args[1..], &mut sum);
            // The kernel's error is that of the matrix of all cofactors.
            let largest = args.iter().map(largest).fold(1.0, f64::max);
            sum.error += ROUNDINGS * (n as f64 * largest).powi(n as i32);
            sum
        };
    (0..n * n).map(of).collect()
}

/// The four equations by which a pseudoinverse is known.
fn penrose(a: &Array, x: &Array, epsilon: f64, tolerance: f64) -> Result<(), String> {
    let growth = 1.0 + largest(&product(&a.abs(), &x.abs()));
    // Where singular values are cut off, the product misses a part of the matrix.
    let error = (epsilon * growth + tolerance) * growth * a.shape.iter().sum::<usize>() as f64;
    let (ax, xa) = (product(a, x), product(x, a));
    equal("A X A = A", &product(&ax, a), a, error * largest(a))?;
    equal("X A X = X", &product(&xa, x), x, error * largest(x))?;
    equal("A X is symmetric", &ax, &transposed(&ax), error)?;
    equal("X A is symmetric", &xa, &transposed(&xa), error)
}

/// The difference up to which values count as equal.
fn resolution(values: &[f64], precision: &Precision) -> f64 {
    let largest = values.iter().fold(0.0, |largest: f64, x| x.abs().max(largest));
    values.len().max(32) as f64 * precision.epsilon * largest
}

fn over_gaps(values: &Array, x: &Array, of_sums: bool, precision: &Precision) -> What {
    let n = x.shape[x.rank() - 1];
    let elements = x.elements.iter().enumerate().map(|(at, &x)| {
        let row = &values.elements[at / (n * n) * n..][..n];
        let (i, j) = (at / n % n, at % n);
        let gap = if of_sums { row[j] + row[i] } else { row[j] - row[i] };
        if i == j || x == 0.0 {
            exact(0.0)
        } else if gap.abs() <= resolution(row, precision) {
            exact(f64::NAN)
        } else {
            (x / gap).into()
        }
    });
    (x.shape.clone(), elements.collect()).into()
}

fn distinct_columns(
    values: &Array,
    columns: &Array,
    [of_zero, marks]: [bool; 2],
    precision: &Precision,
) -> What {
    let (m, n) = (columns.shape[columns.rank() - 2], columns.shape[columns.rank() - 1]);
    let elements = columns.elements.iter().enumerate().map(|(at, &x)| {
        let row = &values.elements[at / (m * n) * n..][..n];
        let (j, least) = (at % n, resolution(row, precision));
        let is_near = |other: usize| (row[j] - row[other]).abs() <= least;
        let is_tied = j > 0 && is_near(j - 1)
            || j + 1 < n && is_near(j + 1)
            || of_zero && row[j].abs() <= least;
        exact(if marks && is_tied { f64::NAN } else { x })
    });
    (columns.shape.clone(), elements.collect()).into()
}

/// The inverse by elimination, and the least pivot: negative of a symmetric matrix that is not
/// positive definite.
fn inverted(a: &Array) -> (Array, f64) {
    let n = a.shape[0];
    let (mut a, mut inverse, mut least) = (a.clone(), identity(n), f64::INFINITY);
    for k in 0..n {
        let pivot = a.at(&[k, k]);
        least = least.min(pivot);
        for i in (0..n).filter(|&i| i != k) {
            let factor = a.at(&[i, k]) / pivot;
            for j in 0..n {
                a.elements[i * n + j] -= factor * a.at(&[k, j]);
                inverse.elements[i * n + j] -= factor * inverse.at(&[k, j]);
            }
        }
        for j in 0..n {
            a.elements[k * n + j] /= pivot;
            inverse.elements[k * n + j] /= pivot;
        }
    }
    (inverse, least)
}

/// `ln A` is the integral over positive `s` of `1 / (1 + s) - R`, `R = (A + s)^-1`, and its
/// derivatives are those of the integrand: `R E R`, `-R E R F R`, and so on. With `s = e^t`, the
/// rule of trapezoids has all digits.
fn logarithm(args: &[Array]) -> Vec<Estimate> {
    const STEP: f64 = 0.5;
    let n = args[0].shape[0];
    let a = symmetric(&args[0]);
    if inverted(&a).1 <= 1e-6 * largest(&a) {
        return vec![unknown(); n * n];
    }
    let mut totals = vec![Total::default(); n * n];
    for step in -90..=90 {
        let s = (STEP * f64::from(step)).exp();
        let shifted = matrix(n, n, |i, j| a.at(&[i, j]) + if i == j { s } else { 0.0 });
        let resolvent = inverted(&shifted).0;
        let sign = if args.len().is_multiple_of(2) { 1.0 } else { -1.0 };
        let term = args[1..].iter().fold(resolvent.clone(), |term, direction| {
            product(&product(&term, direction), &resolvent)
        });
        for (at, total) in totals.iter_mut().enumerate() {
            let shift = if args.len() == 1 && at / n == at % n { s / (1.0 + s) } else { 0.0 };
            total.add(STEP * (shift + sign * s * term.elements[at]));
        }
    }
    let magnitude = totals.iter().map(|total| total.estimate().error).fold(0.0, f64::max);
    let error = ROUNDINGS * (1 + n) as f64 * condition(&a) * magnitude;
    totals.iter().map(|total| Estimate { value: total.value(), error }).collect()
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
    let mut magnitude = 0.0;
    for k in 1..300 {
        totals.iter_mut().zip(&term.elements).for_each(|(total, &x)| total.add(x));
        magnitude += largest(&size);
        if largest(&size) < 1e-20 * magnitude || n == 0 {
            // Scaling and squaring mixes all elements.
            let error = ROUNDINGS * (1 + n) as f64 * magnitude;
            return totals.iter().map(|sum| Estimate { value: sum.value(), error }).collect();
        }
        (term, size) = (product(&term, a), product(&size, &a.abs()));
        term.elements.iter_mut().chain(&mut size.elements).for_each(|x| *x /= f64::from(k));
    }
    vec![unknown(); n * n]
}
