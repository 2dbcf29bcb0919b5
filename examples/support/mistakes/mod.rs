//! Back propagation as a user would write it, Lemma 1 of Higham & Higham over plain slices, with
//! a mistake of the user's choice.
//!
//! No tape here: the cost and its gradient are functions of 23 numbers, W2, W3, W4, b2, b3 and b4 one
//! after another, matrices by rows. What stands below in comments is the paper's numbering.

pub mod formulas;

use std::cell::RefCell;

use clap::ValueEnum;
use wengert::check::{Options, Report};

/// Of which tensors the 23 numbers consist.
pub const PARTS: [(&str, &[usize]); 6] =
    [("W2", &[2, 2]), ("W3", &[3, 2]), ("W4", &[2, 3]), ("b2", &[2]), ("b3", &[3]), ("b4", &[2])];

/// The factor of the penalty that one of the mistakes forgets.
const PENALTY: f64 = 0.02;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mistake {
    /// No mistake
    None,
    /// (22) with y - a instead of a - y
    Sign,
    /// The cost is a mean over the points, the gradient their sum
    Mean,
    /// The gradient of W2 is a delta^T instead of delta a^T
    Transpose,
    /// W3's gradient is stored column by column
    Order,
    /// The gradient of b3 is forgotten
    Missing,
    /// b2 and b4 receive each other's gradients
    Exchange,
    /// (22) without the slope of the last activation
    LastSlope,
    /// (23) without the slope of the activation
    HiddenSlope,
    /// One entry of W3's gradient takes the wrong activation
    Entry,
    /// The cost has a penalty on the weights, and its gradient is forgotten
    Penalty,
    /// Computed in single precision
    Single,
    /// The sum over the points is not cleared between calls
    Accumulate,
}

/// The weights and bias of one layer, by rows.
type Layer = (Vec<Vec<f64>>, Vec<f64>);

const SIZES: [usize; 4] = [2, 2, 3, 2];

fn layers(p: &[f64]) -> Vec<Layer> {
    let mut rest = p.iter().copied();
    let mut take = |count: usize| -> Vec<f64> { rest.by_ref().take(count).collect() };
    let weights: Vec<Vec<Vec<f64>>> =
        (0..3).map(|l| (0..SIZES[l + 1]).map(|_| take(SIZES[l])).collect()).collect();
    weights.into_iter().zip((0..3).map(|l| take(SIZES[l + 1]))).collect()
}

/// (7), (19), (20): all activations, the input first.
fn forward(layers: &[Layer], x: [f64; 2]) -> Vec<Vec<f64>> {
    let mut activations = vec![x.to_vec()];
    for (w, b) in layers {
        let a = &activations[activations.len() - 1];
        let z =
            w.iter().zip(b).map(|(row, b)| row.iter().zip(a).map(|(w, a)| w * a).sum::<f64>() + b);
        activations.push(z.map(|z| 1.0 / (1.0 + (-z).exp())).collect());
    }
    activations
}

/// Labelled points, their cost (6), and a gradient by hand.
pub struct Problem {
    points: Vec<([f64; 2], [f64; 2])>,
    mistake: Mistake,
    /// What a mistake leaves behind between calls.
    left: RefCell<Vec<f64>>,
}

impl Problem {
    /// The ten points of Figure 1.
    pub fn new(mistake: Mistake) -> Self {
        let a = [[0.1, 0.1], [0.3, 0.4], [0.1, 0.5], [0.6, 0.9], [0.4, 0.2]];
        let b = [[0.6, 0.3], [0.5, 0.6], [0.9, 0.2], [0.4, 0.4], [0.7, 0.6]];
        let points = a.map(|x| (x, [1.0, 0.0])).into_iter().chain(b.map(|x| (x, [0.0, 1.0])));
        Self { points: points.collect(), mistake, left: RefCell::new(vec![0.0; 23]) }
    }

    /// The cost (6).
    pub fn cost(&self, p: &[f64]) -> f64 {
        let layers = layers(p);
        let costs = self.points.iter().map(|(x, y)| {
            let a = forward(&layers, *x).pop().expect("the last activation");
            0.5 * ((y[0] - a[0]).powi(2) + (y[1] - a[1]).powi(2))
        });
        let cost = costs.sum::<f64>() / self.points.len() as f64;
        match self.mistake {
            // (33): weights are held down, biases are not.
            Mistake::Penalty => cost + 0.5 * PENALTY * p[..16].iter().map(|p| p * p).sum::<f64>(),
            _ => cost,
        }
    }

    /// Its gradient, by Lemma 1.
    pub fn gradient(&self, p: &[f64]) -> Vec<f64> {
        let mistake = self.mistake;
        let layers = layers(p);
        let mut gradient = vec![0.0; 23];
        for (x, y) in &self.points {
            let activations = forward(&layers, *x);
            let output = &activations[3];
            // (22): delta[L] = sigma'(z[L]) o (a[L] - y), where sigma' = a (1 - a).
            let mut delta: Vec<f64> = output
                .iter()
                .zip(y)
                .map(|(a, y)| match mistake {
                    Mistake::Sign => a * (1.0 - a) * (y - a),
                    Mistake::LastSlope => a - y,
                    _ => a * (1.0 - a) * (a - y),
                })
                .collect();
            let (mut w_end, mut b_end) = (16, 23);
            for l in (0..3).rev() {
                let (w, b) = &layers[l];
                let a = &activations[l];
                let (w_start, b_start) = (w_end - a.len() * b.len(), b_end - b.len());
                // (24) and (25): dC/db = delta, dC/dW = delta a^T.
                for (j, delta_j) in delta.iter().enumerate() {
                    gradient[b_start + j] += delta_j;
                    for (k, a_k) in a.iter().enumerate() {
                        gradient[w_start + j * a.len() + k] += match mistake {
                            Mistake::Transpose if l == 0 => delta[k] * a[j],
                            Mistake::Entry if (l, j, k) == (1, 2, 1) => delta_j * a[0],
                            _ => delta_j * a_k,
                        };
                    }
                }
                // (23): delta[l] = sigma'(z[l]) o W[l+1]^T delta[l+1].
                delta = (0..a.len())
                    .map(|k| {
                        let sum: f64 = w.iter().zip(&delta).map(|(row, d)| row[k] * d).sum();
                        let slope = match mistake {
                            Mistake::HiddenSlope => 1.0,
                            _ => a[k] * (1.0 - a[k]),
                        };
                        slope * sum
                    })
                    .collect();
                (w_end, b_end) = (w_start, b_start);
            }
        }
        if mistake != Mistake::Mean {
            gradient.iter_mut().for_each(|g| *g /= self.points.len() as f64);
        }
        match mistake {
            Mistake::Order => {
                let by_rows = gradient[4..10].to_vec();
                for (j, k) in (0..3).flat_map(|j| (0..2).map(move |k| (j, k))) {
                    gradient[4 + k * 3 + j] = by_rows[j * 2 + k];
                }
            }
            Mistake::Missing => gradient[18..21].fill(0.0),
            Mistake::Exchange => (0..2).for_each(|i| gradient.swap(16 + i, 21 + i)),
            Mistake::Single => gradient.iter_mut().for_each(|g| *g = f64::from(*g as f32)),
            Mistake::Accumulate => {
                let mut left = self.left.borrow_mut();
                left.iter_mut().zip(&gradient).for_each(|(left, g)| *left += g);
                gradient.clone_from(&left);
            }
            _ => {}
        }
        gradient
    }

    /// What the check says, at the start of some training.
    pub fn report(&self) -> Report {
        let start: Vec<f64> = (0..23).map(|i| 0.6 * (1.7 * f64::from(i) + 0.4).sin()).collect();
        // 23 numbers: every one of them is compared.
        let options = Options::default().full().plain().parts(&PARTS);
        options.gradient(|p| self.cost(p), |p| self.gradient(p), &start)
    }
}
