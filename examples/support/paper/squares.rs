//! The problem of section 2 as nonlinear least squares.

use wengert::nn::optim::{LevenbergMarquardt, Outcome};
use wengert::prelude::*;

use super::{Net, Points};

/// What the residuals are; the sum of their squares is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residuals {
    /// One norm `|y - F(x)|` for each point, as in the authors' `nlsrun.m`.
    Norms,
    /// Both components of `y - F(x)`.
    Components,
}

/// Minimises the sum of squares over all points by Levenberg-Marquardt with `lsqnonlin`'s
/// defaults.
pub fn solve(net: &mut Net, points: &Points, form: Residuals) -> Outcome {
    solve_by(&LevenbergMarquardt::lsqnonlin(), net, points, form)
}

/// As [`solve`], with other options.
pub fn solve_by(
    solver: &LevenbergMarquardt,
    net: &mut Net,
    points: &Points,
    form: Residuals,
) -> Outcome {
    let (x, y) = (points.inputs(), points.targets());
    solver.run(net, |net: &Net, tape: &Tape<f64>| {
        let difference = tape.constant(&y) - net.forward(tape.constant(&x));
        match form {
            Residuals::Norms => difference.norm(1),
            Residuals::Components => difference,
        }
    })
}
