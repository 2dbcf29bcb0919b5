//! A training step of the perceptron 784-512-256-10 on a batch of 128: ReLU,
//! softmax cross-entropy, stochastic gradient with momentum. And the product of
//! the loss's Hessian with a direction.

use std::hint::black_box;

use wengert::nn::loss::cross_entropy_with;
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, constant, one_hot, uniform, weight};
use crate::measure::{Reps, Timing, time};

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
        optimiser: Sgd::new(0.01).momentum(0.9),
    }
}

fn loss<'t>(p: &[Var<'t, f32>], [x, t]: [Var<'t, f32>; 2]) -> Var<'t, f32> {
    let h = (x.matmul(p[0]) + p[1]).relu();
    let h = (h.matmul(p[2]) + p[3]).relu();
    cross_entropy_with(h.matmul(p[4]) + p[5], t)
}

/// The product of the Hessian with a direction, forward over reverse: the tangents
/// of the gradients.
fn product<'t>(
    parameters: [Var<'t, f32>; 6],
    direction: [Var<'t, f32>; 6],
    inputs: [Var<'t, f32>; 2],
) -> [Var<'t, f32>; 6] {
    let tape = inputs[0].tape();
    let gradients = loss(&parameters, inputs).grad(parameters);
    let pairs: [_; 6] = std::array::from_fn(|i| (parameters[i], direction[i]));
    tape.without_gradients(|| tape.jvp(gradients, &pairs))
}

/// Parameters, direction and data.
type HvpInputs = ([Tensor<f32>; 6], [Tensor<f32>; 6], [Tensor<f32>; 2]);

fn hvp_inputs() -> HvpInputs {
    let Training { parameters, inputs, .. } = training();
    let direction = std::array::from_fn(|i| uniform(parameters[i].shape(), 90 + i as u32, 1.0));
    (std::array::from_fn(|i| parameters[i].value().clone()), direction, inputs)
}

/// The product of the Hessian's product with the direction: the checksum.
fn dot(products: &[Tensor<f32>], direction: &[Tensor<f32>]) -> f64 {
    let pairs = products.iter().zip(direction);
    pairs.map(|(p, d)| p.iter().zip(d.iter()).map(|(a, b)| f64::from(a * b)).sum::<f64>()).sum()
}

fn hvp_eager(reps: Reps) -> (Timing, f64) {
    let (parameters, direction, inputs) = hvp_inputs();
    let mut tape = Tape::new();
    let mut run = |read: &mut dyn FnMut([Var<'_, f32>; 6])| {
        tape.reset();
        let vars = parameters.each_ref().map(|p| tape.variable(p));
        let tangents = direction.each_ref().map(|d| tape.constant(d));
        read(product(vars, tangents, inputs.each_ref().map(|input| tape.constant(input))));
    };
    let mut check = f64::NAN;
    run(&mut |products| check = dot(&products.map(|p| p.value()), &direction));
    let timing = time(reps, 1, || {
        run(&mut |products| {
            black_box(products);
        });
    });
    (timing, check)
}

fn hvp_compiled(reps: Reps) -> (Timing, f64) {
    let (parameters, direction, inputs) = hvp_inputs();
    let mut program = compile(
        |(parameters, direction, inputs)| product(parameters, direction, inputs),
        (parameters.each_ref(), direction.each_ref(), inputs.each_ref()),
    )
    .expect("the loss decides on no value");
    program.execute();
    let check = dot(&[0, 1, 2, 3, 4, 5].map(|i| program.output(i)), &direction);
    (time(reps, 1, || program.execute()), check)
}
