//! The product of the Hessian of the perceptron's loss (see `mlp`) with a direction, as a
//! function of the parameters and of the direction: forward over reverse.

use std::hint::black_box;

use wengert::nn::loss::cross_entropy_with;
use wengert::prelude::*;

use super::Workload;
use super::mlp::{BATCH, SIZES, data};
use super::training::{uniform, weight};
use crate::measure::{Reps, Timing, time};

pub(super) const EAGER: Workload =
    Workload { name: "hvp", variant: "eager", unit: "product", run: eager };

pub(super) const COMPILED: Workload =
    Workload { name: "hvp", variant: "compiled", unit: "product", run: compiled };

fn loss<'t>(p: &[Var<'t, f32>; 6], [x, t]: [Var<'t, f32>; 2]) -> Var<'t, f32> {
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
type Given = ([Tensor<f32>; 6], [Tensor<f32>; 6], [Tensor<f32>; 2]);

fn given() -> Given {
    let parameters: [Tensor<f32>; 6] = std::array::from_fn(|i| {
        let (inputs, outputs) = (SIZES[i / 2], SIZES[i / 2 + 1]);
        match i % 2 {
            0 => weight(&[inputs, outputs], inputs, outputs, 20 + i as u32 / 2),
            _ => Tensor::zeros([outputs]),
        }
    });
    let direction = std::array::from_fn(|i| uniform(parameters[i].shape(), 90 + i as u32, 1.0));
    (parameters, direction, data(BATCH))
}

/// The product of the Hessian's product with the direction: the checksum.
fn dot(products: &[Tensor<f32>], direction: &[Tensor<f32>]) -> f64 {
    let pairs = products.iter().zip(direction);
    pairs.map(|(p, d)| p.iter().zip(d.iter()).map(|(a, b)| f64::from(a * b)).sum::<f64>()).sum()
}

fn eager(reps: Reps) -> (Timing, f64) {
    let (parameters, direction, inputs) = given();
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

fn compiled(reps: Reps) -> (Timing, f64) {
    let (parameters, direction, inputs) = given();
    let mut program = compile_n(
        |(parameters, direction, inputs)| product(parameters, direction, inputs),
        (parameters.each_ref(), direction.each_ref(), inputs.each_ref()),
    )
    .expect("the loss decides on no value");
    program.execute();
    let check = dot(&[0, 1, 2, 3, 4, 5].map(|i| program.output(i)), &direction);
    (time(reps, 1, || program.execute()), check)
}
