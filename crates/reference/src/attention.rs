//! Attention and its adjoint, query by query.

use std::any::Any;

use wengert_core::op::{Attention, AttentionAdjoint};

use crate::estimate::{Estimate, Total};
use crate::rows::softmax;
use crate::{Array, Precision, What};

pub(crate) fn define(op: &dyn Any, args: &[Array], precision: &Precision) -> Option<What> {
    let rounded = |op: &Attention| Attention { scale: precision.round(op.scale), ..*op };
    let heads = |arg: usize| args[arg].matrices();
    let rank = args.first()?.rank();
    let shape =
        |rows: usize, columns: usize| [&args[0].shape[..rank - 2], &[rows, columns]].concat();
    if let Some(op) = op.downcast_ref::<Attention>() {
        let (op, outputs) = (rounded(op), args[2].shape[rank - 1]);
        let mut elements = Vec::new();
        for ((q, k), v) in heads(0).iter().zip(&heads(1)).zip(&heads(2)) {
            for query in 0..q.shape[0] {
                let shares = shares(op, q, k, query);
                elements.extend((0..outputs).map(|column| {
                    let mut sum = Sum::default();
                    for (key, &share) in shares.iter().enumerate() {
                        sum.add(share, v.at(&[key, column]));
                    }
                    sum.estimate()
                }));
            }
        }
        return Some((shape(args[0].shape[rank - 2], outputs), elements).into());
    }
    let AttentionAdjoint(op) = op.downcast_ref()?;
    let [queries, keys] = [0, 1].map(|arg: usize| args[arg].shape[rank - 2]);
    let (q, k, v, c) = (heads(0), heads(1), heads(2), heads(3));
    let adjoints = (0..q.len())
        .flat_map(|head| adjoint(rounded(op), [&q[head], &k[head], &v[head], &c[head]]));
    Some((shape(queries + 2 * keys, args[0].shape[rank - 1]), adjoints.collect()).into())
}

/// A sum of products, of which one factor is not exact.
#[derive(Clone, Default)]
struct Sum {
    total: Total,
    error: f64,
}

impl Sum {
    fn add(&mut self, factor: Estimate, other: f64) {
        self.total.add(factor.value * other);
        self.error += factor.error * other.abs();
    }

    fn estimate(&self) -> Estimate {
        let Estimate { value, error } = self.total.in_order();
        Estimate { value, error: error + self.error }
    }
}

/// The product of two rows of matrices.
fn dot(a: &Array, i: usize, b: &Array, j: usize) -> Total {
    Total::of((0..a.shape[1]).map(|column| a.at(&[i, column]) * b.at(&[j, column])))
}

/// The shares of the keys that a query sees.
fn shares(
    Attention { scale, causal }: Attention,
    q: &Array,
    k: &Array,
    query: usize,
) -> Vec<Estimate> {
    let seen = if causal { k.shape[0].min(query + 1) } else { k.shape[0] };
    let scores: Vec<Estimate> = (0..seen).map(|key| dot(q, query, k, key).in_order()).collect();
    // An error of a score is a relative error of its share, and of all by the sum.
    let largest = scores.iter().fold(0.0_f64, |largest, score| largest.max(score.error));
    let shares = softmax(&scores.iter().map(|score| scale * score.value).collect::<Vec<_>>());
    let of_scores = 2.0 * scale.abs() * largest;
    let with = |share: Estimate| Estimate { error: share.error + share.value * of_scores, ..share };
    shares.into_iter().map(with).collect()
}

/// The adjoints of the queries, the keys and the values of a head.
fn adjoint(op: Attention, [q, k, v, c]: [&Array; 4]) -> Vec<Estimate> {
    let (width, keys) = (q.shape[1], k.shape[0]);
    let sums = |rows: usize| vec![Sum::default(); rows * width];
    let [mut q_bar, mut k_bar, mut v_bar] = [sums(q.shape[0]), sums(keys), sums(keys)];
    for query in 0..q.shape[0] {
        let shares = shares(op, q, k, query);
        let bars: Vec<Estimate> =
            (0..shares.len()).map(|key| dot(c, query, v, key).in_order()).collect();
        let mut mean = Sum::default();
        for (&share, bar) in shares.iter().zip(&bars) {
            mean.add(share, bar.value);
            mean.error += share.value * bar.error;
        }
        let mean = mean.estimate();
        for (key, (&share, bar)) in shares.iter().zip(&bars).enumerate() {
            let distance = bar.value - mean.value;
            let of_distance = bar.error + mean.error + 2.0 * (bar.value.abs() + mean.value.abs());
            let error = share.error * distance.abs() + share.value * of_distance;
            let score = Estimate {
                value: op.scale * share.value * distance,
                error: op.scale.abs() * (error + 4.0 * (share.value * distance).abs()),
            };
            for column in 0..width {
                q_bar[query * width + column].add(score, k.at(&[key, column]));
                k_bar[key * width + column].add(score, q.at(&[query, column]));
                v_bar[key * width + column].add(share, c.at(&[query, column]));
            }
        }
    }
    [q_bar, k_bar, v_bar].iter().flatten().map(Sum::estimate).collect()
}
