//! Determinants by minors: each row is expanded along the columns that the rows before it have left.
//!
//! There are factorially many minors. Those of one size go side by side, as a batch: a row of a batch of matrices makes
//! a larger batch of smaller ones. The last rows are expanded term by term, and each term is an operation
//! of the whole batch.

use serde_json::Value;
use wengert::prelude::*;

use super::{Evaluate, Named};
use crate::clock::Clock;
use crate::input::{Error, Input, lists};

pub(super) const FUNCTIONS: &[Named<Evaluate>] = &[("primal", primal), ("gradient", gradient)];

/// Rows that are expanded term by term.
const TERMS: usize = 5;
/// The greatest order. A batch of the next one would be one of 52 million minors.
const GREATEST: usize = 12;

/// A batch of matrices: rows of entries, each of which has that entry of all matrices.
type Matrices<'t> = Vec<Vec<Var<'t, f64>>>;

/// The determinants of a batch of matrices.
fn determinants<'t>(a: &Matrices<'t>) -> Var<'t, f64> {
    let order = a.len();
    if order <= TERMS {
        return expansion(a, &(0..order).collect::<Vec<_>>());
    }
    let dets = determinants(&minors(a)).reshape([order, a[0][0].elements()]);
    let signs = Tensor::from_fn([order, 1], |k| if k % 2 == 0 { 1.0 } else { -1.0 });
    (stack(&a[0], 0) * dets * &signs).sum_over(0)
}

/// The minors of the first row's entries, those of the first entry of all matrices first.
fn minors<'t>(a: &Matrices<'t>) -> Matrices<'t> {
    let order = a.len();
    let minor = |row: &Vec<Var<'t, f64>>| -> Vec<Var<'t, f64>> {
        // Without column `k`, column `j` is the one that was there, or the next.
        let column =
            |j| concat(&(0..order).map(|k| row[j + usize::from(j >= k)]).collect::<Vec<_>>(), 0);
        (0..order - 1).map(column).collect()
    };
    a[1..].iter().map(minor).collect()
}

/// The determinants of the last rows in some columns.
fn expansion<'t>(a: &Matrices<'t>, columns: &[usize]) -> Var<'t, f64> {
    let row = &a[a.len() - columns.len()];
    let term = |k: usize| {
        let mut left = columns.to_vec();
        let entry = row[left.remove(k)];
        if left.is_empty() { entry } else { entry * expansion(a, &left) }
    };
    (1..columns.len())
        .fold(term(0), |sum, k| if k % 2 == 0 { sum + term(k) } else { sum - term(k) })
}

/// The determinant of a matrix, which is a batch of one.
fn determinant(a: Var<'_, f64>) -> Var<'_, f64> {
    let order = a.shape()[0];
    let rows = a.split(0, &vec![1; order]).into_iter();
    determinants(&rows.map(|row| row.reshape([order]).split(0, &vec![1; order])).collect()).sum()
}

fn read(input: Input<'_>) -> Result<Tensor<f64>, Error> {
    let order = input.integer("ell")?;
    if !(1..=GREATEST).contains(&order) {
        return Err(Error(format!("`ell`: expected 1 to {GREATEST}, got {order}")));
    }
    let elements = input.tensor("A")?;
    if elements.len() != order * order {
        let got = elements.len();
        return Err(Error(format!("`A`: expected {order} x {order} numbers, got {got}")));
    }
    Ok(elements.reshape([order, order]))
}

fn primal(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let a = read(input)?;
    Ok(lists(&clock.run(determinant, &a)?))
}

fn gradient(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let a = read(input)?;
    let [gradient] = clock.run_n(|a| determinant(a).grad([a]), &a)?;
    Ok(lists(&gradient.reshape([a.len()])))
}
