//! The log-likelihood of a Gaussian mixture, with a Wishart prior on the inverse covariances.
//!
//! All points meet all components in one product of matrices, and in a second one on the way back. So the time is that of products,
//! and the tape has a few dozen operations for any number of points.

use std::f64::consts::PI;

use serde_json::{Value, json};
use wengert::prelude::*;

use super::{Evaluate, Named};
use crate::clock::Clock;
use crate::input::{Error, Input, lists};

pub(super) const FUNCTIONS: &[Named<Evaluate>] =
    &[("objective", objective), ("jacobian", jacobian)];

/// The prior's parameters.
#[derive(Clone, Copy)]
struct Wishart {
    gamma: f64,
    m: f64,
}

/// The log-likelihood for weights `alpha` `[k]`, means `mu` `[k, d]`, the logarithms of diagonals `q` `[k, d]`,
/// what is below these diagonals, `l`, and the points `x` `[n, d]`.
fn log_likelihood<'t>([alpha, mu, q, l, x]: [Var<'t, f64>; 5], prior: Wishart) -> Var<'t, f64> {
    let ([k, d], n) = ([mu.shape()[0], mu.shape()[1]], x.shape()[0]);
    let factors = triangles(q, l);
    // Q (x - mu) of all points and components, [n, k, d].
    let (rows, centres) = (factors.reshape([k * d, d]), factors.matmul(mu.unsqueeze(-1)));
    let whitened = (x.matmul_transposed(rows) - centres.reshape([k * d])).reshape([n, k, d]);
    let log_dets = q.sum_over(-1);
    let terms = alpha + log_dets - 0.5 * whitened.square().sum_over(-1);
    let data = terms.log_sum_exp(-1).sum() - n as f64 * alpha.log_sum_exp(0);
    let constant = -0.5 * (n * d) as f64 * (2.0 * PI).ln();
    data + constant + log_prior(q, l, log_dets, prior)
}

/// Lower triangular matrices `[k, d, d]`. What is below the diagonals comes column by column.
fn triangles<'t>(q: Var<'t, f64>, l: Var<'t, f64>) -> Var<'t, f64> {
    let (k, d) = (q.shape()[0], q.shape()[1]);
    // Each row of `parts` has the diagonal, what is below it, and a zero.
    let parts = concat(&[q.exp(), l, q.tape().constant(Tensor::zeros([k, 1]))], 1);
    let zero = d + l.shape()[1];
    let mut places = vec![zero; d * d];
    let below = (0..d).flat_map(|column| (column + 1..d).map(move |row| row * d + column));
    for (number, place) in below.enumerate() {
        places[place] = d + number;
    }
    (0..d).for_each(|i| places[i * d + i] = i);
    parts.gather(1, places).reshape([k, d, d])
}

fn log_prior<'t>(
    q: Var<'t, f64>,
    l: Var<'t, f64>,
    log_dets: Var<'t, f64>,
    prior: Wishart,
) -> Var<'t, f64> {
    let (k, d) = (q.shape()[0] as f64, q.shape()[1]);
    let Wishart { gamma, m } = prior;
    let nu = d as f64 + m + 1.0;
    let halves = Tensor::from_fn([d], |j| 0.5 * (nu - j as f64));
    let log_gamma = 0.25 * (d * d.saturating_sub(1)) as f64 * PI.ln()
        + q.tape().constant(halves).ln_gamma().sum();
    let constant = nu * d as f64 * (gamma.ln() - 0.5 * 2_f64.ln()) - log_gamma;
    let squares = (2.0 * q).exp().sum() + l.square().sum();
    k * constant + m * log_dets.sum() - 0.5 * gamma * gamma * squares
}

/// The parameters and the points, and the prior.
fn read(input: Input<'_>) -> Result<([Tensor<f64>; 5], Wishart), Error> {
    let [d, k, n] = [input.integer("d")?, input.integer("k")?, input.integer("n")?];
    let tensors = [
        input.shaped("alpha", [k])?,
        input.shaped("mu", [k, d])?,
        input.shaped("q", [k, d])?,
        input.shaped("l", [k, d * d.saturating_sub(1) / 2])?,
        input.shaped("x", [n, d])?,
    ];
    Ok((tensors, Wishart { gamma: input.number("gamma")?, m: input.number("m")? }))
}

fn objective(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let (tensors, prior) = read(input)?;
    Ok(lists(&clock.run(|vars| log_likelihood(vars, prior), tensors.each_ref())?))
}

fn jacobian(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let (tensors, prior) = read(input)?;
    let [alpha, mu, q, l] = clock.run_n(
        |[alpha, mu, q, l, x]| log_likelihood([alpha, mu, q, l, x], prior).grad([alpha, mu, q, l]),
        tensors.each_ref(),
    )?;
    Ok(json!({ "alpha": lists(&alpha), "mu": lists(&mu), "q": lists(&q), "l": lists(&l) }))
}
