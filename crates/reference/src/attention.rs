//! Attention, query by query.

use std::any::Any;

use wengert_core::op::Attention;

use crate::estimate::{Estimate, Total};
use crate::rows::softmax;
use crate::{Array, Precision, What};

pub(crate) fn define(op: &dyn Any, args: &[Array], precision: &Precision) -> Option<What> {
    let &Attention { scale, causal } = op.downcast_ref()?;
    let [q, k, v] = [0, 1, 2].map(|arg| args[arg].matrices());
    let (rank, outputs) = (args[2].rank(), args[2].shape[args[2].rank() - 1]);
    let mut shape = args[0].shape.clone();
    shape[rank - 1] = outputs;
    let scale = precision.round(scale);
    let mut elements = Vec::new();
    for ((q, k), v) in q.iter().zip(&k).zip(&v) {
        for query in 0..q.shape[0] {
            let seen = if causal { k.shape[0].min(query + 1) } else { k.shape[0] };
            elements
                .extend((0..outputs).map(|column| mixed([q, k, v], query, seen, column, scale)));
        }
    }
    Some((shape, elements).into())
}

/// An element of the result: the values of a column in the shares of the keys that a query sees.
fn mixed([q, k, v]: [&Array; 3], query: usize, seen: usize, column: usize, scale: f64) -> Estimate {
    let score = |key: usize| {
        let terms = (0..q.shape[1]).map(|i| scale * q.at(&[query, i]) * k.at(&[key, i]));
        Total::of(terms).in_order()
    };
    let scores: Vec<Estimate> = (0..seen).map(score).collect();
    // An error of a score is a relative error of its own share, and of all by the sum.
    let largest = scores.iter().fold(0.0_f64, |largest, score| largest.max(score.error));
    let shares = softmax(&scores.iter().map(|score| score.value).collect::<Vec<_>>());
    let values: Vec<f64> = (0..seen).map(|key| v.at(&[key, column])).collect();
    let total = Total::of(shares.iter().zip(&values).map(|(share, value)| share.value * value));
    let of_shares = shares
        .iter()
        .zip(&values)
        .map(|(share, value)| (share.error + 2.0 * share.value * largest) * value.abs());
    let Estimate { value, error } = total.in_order();
    Estimate { value, error: error + of_shares.sum::<f64>() }
}
