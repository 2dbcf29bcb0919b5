//! k-means: the squared distance of each point to its nearest centroid, and a step of Newton's method.
//!
//! Which centroid is nearest is decided by a product of matrices and the place of the smallest element, through which
//! no derivative flows. The cost is then a sum over points, with as many terms as there are points instead of
//! points times centroids, and so are its derivatives. Its Hessian is diagonal, so one
//! product with it, forward over reverse, has all of its entries.

use serde_json::Value;
use wengert::prelude::*;

use super::{Evaluate, Named};
use crate::clock::Clock;
use crate::input::{Error, Input, lists};

pub(super) const FUNCTIONS: &[Named<Evaluate>] = &[("cost", cost), ("dir", direction)];

fn squared_distances<'t>([points, centroids]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    // |p - c|^2 without |p|^2, which is the same for all centroids.
    let nearest =
        (centroids.square().sum_over(-1) - 2.0 * points.matmul_transposed(centroids)).argmin(-1);
    (points - centroids.index_select(0, nearest)).square().sum()
}

fn newton<'t>([points, centroids]: [Var<'t, f64>; 2]) -> [Var<'t, f64>; 1] {
    let [gradient] = squared_distances([points, centroids]).grad([centroids]);
    let ones = centroids.tape().constant(Tensor::ones(centroids.shape()));
    [gradient / gradient.jvp(&[(centroids, ones)])]
}

fn cost(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let (points, centroids) = (input.tensor("points")?, input.tensor("centroids")?);
    Ok(lists(&clock.run(squared_distances, [&points, &centroids])?))
}

fn direction(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let (points, centroids) = (input.tensor("points")?, input.tensor("centroids")?);
    let [step] = clock.run_n(newton, [&points, &centroids])?;
    Ok(lists(&step))
}
