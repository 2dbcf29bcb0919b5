//! Linear algebra: the property that defines each result, checked by plain products.
//!
//! Factors are not unique to the last bit, and differ much where a matrix is nearly singular, but
//! their product does not: it is the operand, within roundings of its size.

mod algebra;
mod properties;

use std::any::Any;

use wengert_core::op::{
    Cholesky, Cofactors, Det, DistinctColumns, Eigh, Expm, LogAbsDet, Logm, OverGaps, Pinv, Qr,
    SignDet, Solve, SolveTriangular, Svd,
};

use self::algebra::*;
use self::properties::*;
use crate::estimate::{Estimate, Total, exact, unknown};
use crate::{Array, Precision, What};

/// The factor of `n epsilon` that residuals may have.
const ROUNDINGS: f64 = 16.0;

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
