//! A training step of a network that obeys a differential equation (Raissi et al., 2019): u(x, t)
//! with u_t + u u_x - 0.05 u_xx equal to a given source at 1024 points, by a perceptron 2-64-64-64-1
//! of tanh; stochastic gradient with momentum. So the loss has second derivatives of the network, and
//! its gradient third ones.
//!
//! `pinn` takes the gradient of a gradient, `pinn_jvp` tangents of tangents; both are the same number.

use wengert::nn::loss::mse;
use wengert::nn::random::MatlabRng;
use wengert::nn::{Sequential, Tanh, sequential};
use wengert::prelude::*;

use super::Workload;
use super::training::{Loss, Training, hashed, trained, uniform};

pub(super) const ALL: [Workload; 6] = trained! {
    "pinn": training(by_gradients);
    "pinn_jvp": training(by_tangents);
};

const POINTS: usize = 1024;
const UNITS: usize = 64;
const VISCOSITY: f32 = 0.05;

type Net = Sequential<f32>;

/// How far u and its derivatives, of shape `[points, 1]`, are from the equation.
fn residual<'t>([u, u_x, u_t, u_xx]: [Var<'t, f32>; 4], source: Var<'t, f32>) -> Var<'t, f32> {
    mse(u_t + u * u_x - u_xx * VISCOSITY, source)
}

fn by_gradients<'t>(net: &Net, points: Var<'t, f32>, source: Var<'t, f32>) -> Var<'t, f32> {
    let u = net.forward(points);
    let [slope] = u.sum().grad([points]);
    let [u_x, u_t] = [0, 1].map(|axis| slope.slice(1, axis..axis + 1));
    let [curvature] = u_x.sum().grad([points]);
    residual([u, u_x, u_t, curvature.slice(1, ..1)], source)
}

fn by_tangents<'t>(net: &Net, points: Var<'t, f32>, source: Var<'t, f32>) -> Var<'t, f32> {
    let tape = points.tape();
    let u = net.forward(points);
    let [along_x, along_t] = [0, 1]
        .map(|axis| tape.constant(Tensor::from_fn([POINTS, 2], |i| [1.0, 0.0][(i + axis) % 2])));
    let u_x = u.jvp(&[(points, along_x)]);
    let u_t = u.jvp(&[(points, along_t)]);
    let u_xx = u_x.jvp(&[(points, along_x)]);
    residual([u, u_x, u_t, u_xx], source)
}

fn training(loss: Loss<Net>) -> Training<Net> {
    let rng = &mut MatlabRng::new(0);
    let mut layer = |inputs, outputs| Linear::new(inputs, outputs, rng);
    let model = sequential![
        layer(2, UNITS),
        Tanh,
        layer(UNITS, UNITS),
        Tanh,
        layer(UNITS, UNITS),
        Tanh,
        layer(UNITS, 1),
    ];
    Training {
        model: hashed(model, 200),
        input: uniform(&[POINTS, 2], 36, 1.0),
        target: uniform(&[POINTS, 1], 37, 1.0),
        loss,
        optimiser: Sgd::new(0.01).momentum(0.9),
    }
}
