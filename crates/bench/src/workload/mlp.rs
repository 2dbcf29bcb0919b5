//! A training step of the perceptron 784-512-256-10 on a batch of 128: ReLU,
//! softmax cross-entropy, stochastic gradient with momentum. And the product of
//! the loss's Hessian with a direction.

use std::hint::black_box;

use wengert::nn::loss::cross_entropy_with;
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, constant, one_hot, uniform, weight};
use crate::measure::{Timing, time};

pub(super) const EAGER: Workload =
    Workload { name: "mlp", variant: "eager", unit: "step", run: |reps| training().eager(reps) };

pub(super) const COMPILED: Workload = Workload {
    name: "mlp",
    variant: "compiled",
    unit: "step",
    run: |reps| training().compiled(reps),
};

pub(super) const HVP_EAGER: Workload =
    Workload { name: "hvp", variant: "eager", unit: "product", run: hvp_eager };

pub(super) const HVP_COMPILED: Workload =
    Workload { name: "hvp", variant: "compiled", unit: "product", run: hvp_compiled };

const BATCH: usize = 128;
const SIZES: [usize; 4] = [784, 512, 256, 10];

pub(super) fn training() -> Training<2> {
    let layer = |l: usize| {
        let (inputs, outputs) = (SIZES[l], SIZES[l + 1]);
        [weight(&[inputs, outputs], inputs, outputs, 20 + l as u32), constant(outputs, 0.0)]
    };
    Training {
        parameters: (0..3).flat_map(layer).collect(),
        inputs: [uniform(&[BATCH, SIZES[0]], 10, 1.0), one_hot(BATCH, SIZES[3], 11)],
        loss,
        sgd: Sgd::new(0.01).momentum(0.9),
    }
}

fn loss<'t>(p: &[Var<'t, f32>], [x, t]: [Var<'t, f32>; 2]) -> Var<'t, f32> {
    let h = (x.matmul(p[0]) + p[1]).relu();
    let h = (h.matmul(p[2]) + p[3]).relu();
    cross_entropy_with(h.matmul(p[4]) + p[5], t)
}

/// The product of the Hessian with `v`, forward over reverse: the tangent of the
/// gradient.
fn product<'t>(
    parameters: &[Var<'t, f32>],
    directions: &[Var<'t, f32>],
    inputs: [Var<'t, f32>; 2],
) -> Vec<Var<'t, f32>> {
    let cost = loss(parameters, inputs);
    let pairs: Vec<_> = parameters.iter().copied().zip(directions.iter().copied()).collect();
    let gradients: [Var<'t, f32>; 6] = cost.grad(std::array::from_fn(|i| parameters[i]));
    gradients.iter().map(|gradient| gradient.jvp(&pairs)).collect()
}

fn hvp_inputs() -> (Vec<Tensor<f32>>, Vec<Tensor<f32>>, [Tensor<f32>; 2]) {
    let Training { parameters, inputs, .. } = training();
    let parameters: Vec<_> = parameters.iter().map(|p| p.value().clone()).collect();
    let directions =
        parameters.iter().zip(90..).map(|(p, seed)| uniform(p.shape(), seed, 1.0)).collect();
    (parameters, directions, inputs)
}

/// What the products with a direction sum to: the checksum.
fn dot(products: &[Tensor<f32>], directions: &[Tensor<f32>]) -> f64 {
    let pairs = products.iter().zip(directions);
    pairs.map(|(p, d)| p.iter().zip(d.iter()).map(|(a, b)| f64::from(a * b)).sum::<f64>()).sum()
}

fn hvp_eager(reps: usize) -> (Timing, f64) {
    let (parameters, directions, inputs) = hvp_inputs();
    let mut tape = Tape::new();
    let mut run = |read: &mut dyn FnMut(&[Var<'_, f32>])| {
        tape.reset();
        let vars: Vec<_> = parameters.iter().map(|p| tape.variable(p)).collect();
        let tangents: Vec<_> = directions.iter().map(|d| tape.constant(d)).collect();
        read(&product(&vars, &tangents, inputs.each_ref().map(|input| tape.constant(input))));
    };
    let mut check = f64::NAN;
    run(&mut |products| {
        let products: Vec<_> = products.iter().map(|p| p.value()).collect();
        check = dot(&products, &directions);
    });
    let timing = time(reps, 1, || {
        run(&mut |products| {
            black_box(products);
        });
    });
    (timing, check)
}

fn hvp_compiled(reps: usize) -> (Timing, f64) {
    let (parameters, directions, inputs) = hvp_inputs();
    let tape = Tape::new();
    let vars: Vec<_> = parameters.iter().map(|p| tape.variable(p)).collect();
    let tangents: Vec<_> = directions.iter().map(|d| tape.constant(d)).collect();
    let data = inputs.each_ref().map(|input| tape.constant(input));
    let products = product(&vars, &tangents, data);
    let all: Vec<_> = vars.iter().chain(&tangents).chain(&data).copied().collect();
    let mut program = tape.compile(&all, &products).expect("the loss decides on no value");
    program.execute();
    let products: Vec<_> = (0..products.len()).map(|i| program.output(i)).collect();
    let check = dot(&products, &directions);
    drop(products);
    (time(reps, 1, || program.execute()), check)
}
