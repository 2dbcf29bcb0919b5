//! What the workloads that train a model have in common: five steps for the
//! checksum, then as many as are timed, recorded or compiled.

use std::hint::black_box;

use wengert::nn::optim::{Momentum, Optimiser, Rule};
use wengert::prelude::*;

use crate::data::{fill, glorot};
use crate::measure::{Reps, Timing, time};

/// The loss of a model for its input and what it should give.
pub(super) type Loss<M> = for<'t> fn(&M, Var<'t, f32>, Var<'t, f32>) -> Var<'t, f32>;

/// A model of the library's own layers, its data, and how it is trained.
pub(super) struct Training<M, R = Momentum> {
    pub(super) model: M,
    pub(super) input: Tensor<f32>,
    pub(super) target: Tensor<f32>,
    pub(super) loss: Loss<M>,
    pub(super) optimiser: Optimiser<f32, R>,
}

/// The recorded, the frugally recorded and the compiled workload of each training, by name.
macro_rules! trained {
    ($($name:literal: $training:expr;)*) => {
        [$(
            $crate::workload::Workload {
                name: $name,
                variant: "eager",
                unit: "step",
                run: |reps| $training.recorded(Tape::new(), reps),
            },
            $crate::workload::Workload {
                name: $name,
                variant: "frugal",
                unit: "step",
                run: |reps| $training.recorded(Tape::frugal(), reps),
            },
            $crate::workload::Workload {
                name: $name,
                variant: "compiled",
                unit: "step",
                run: |reps| $training.compiled(reps),
            },
        )*]
    };
}

pub(super) use trained;

/// Steps before the checksum is taken.
const STEPS: usize = 5;

impl<M: Module<f32>, R: Rule> Training<M, R> {
    /// Times recorded steps. The checksum is the loss of the fifth.
    pub(super) fn recorded(self, mut tape: Tape<f32>, reps: Reps) -> (Timing, f64) {
        let Self { mut model, input, target, loss, mut optimiser } = self;
        tape.train(1);
        let mut step = || {
            tape.reset();
            let cost = loss(&model, tape.constant(&input), tape.constant(&target));
            optimiser.step(&mut model, &cost.backward());
            cost.item()
        };
        let check = (0..STEPS).map(|_| step()).last();
        let timing = time(reps, 1, || {
            black_box(step());
        });
        (timing, check.map_or(f64::NAN, f64::from))
    }

    /// Times compiled steps.
    pub(super) fn compiled(self, reps: Reps) -> (Timing, f64) {
        let Self { model, input, target, loss, optimiser } = self;
        let mut step =
            TrainStep::compile(&model, &optimiser, |(x, y)| loss(&model, x, y), (&input, &target))
                .expect("the loss decides on no value");
        let mut run = || {
            step.run((&input, &target));
            step.loss()
        };
        let check = (0..STEPS).map(|_| run()).last();
        let timing = time(reps, 1, || {
            black_box(run());
        });
        (timing, check.map_or(f64::NAN, f64::from))
    }

    /// Times the loss and its gradients over the loss alone, both recorded.
    pub(super) fn cost_ratio(self, reps: Reps) -> f64 {
        let Self { model, input, target, loss, .. } = self;
        let mut tape = Tape::new();
        tape.train(1);
        let mut evaluate = |with_gradients: bool| {
            tape.reset();
            let cost = || loss(&model, tape.constant(&input), tape.constant(&target));
            if with_gradients {
                black_box(cost().backward());
            } else {
                black_box(tape.without_gradients(cost));
            }
        };
        let both = time(reps, 1, || evaluate(true));
        let primal = time(reps, 1, || evaluate(false));
        both.median_us / primal.median_us
    }
}

/// The model with other values of its parameters, in their order.
pub(super) fn starting<M: Module<f32>>(mut model: M, values: Vec<Tensor<f32>>) -> M {
    let parameters = model.parameters_mut();
    assert_eq!(parameters.len(), values.len(), "one value for each parameter");
    for (parameter, value) in parameters.into_iter().zip(values) {
        parameter.set(value);
    }
    model
}

/// The model with weights from the hash: those of two axes or more with Glorot's scale, in their
/// order with a seed each, from `seed` on; biases are 0, and a normalisation's weights stay 1.
pub(super) fn hashed<M: Module<f32>>(mut model: M, seed: u32) -> M {
    let biases: Vec<bool> =
        model.named_parameters().iter().map(|(name, _)| name.contains("bias")).collect();
    let mut seeds = seed..;
    for (parameter, is_bias) in model.parameters_mut().into_iter().zip(biases) {
        let shape = parameter.shape().to_vec();
        match shape[..] {
            [outputs, inputs, ref window @ ..] => {
                let window: usize = window.iter().product();
                let seed = seeds.next().expect("seeds do not end");
                parameter.set(weight(&shape, inputs * window, outputs * window, seed));
            }
            _ if is_bias => parameter.set(Tensor::zeros(shape)),
            _ => {}
        }
    }
    model
}

/// A tensor of numbers in [-scale, scale) from the hash.
pub(super) fn uniform(shape: &[usize], seed: u32, scale: f64) -> Tensor<f32> {
    let numbers = fill(shape.iter().product(), seed);
    Tensor::new(shape, numbers.into_iter().map(|x| (x * scale) as f32).collect())
}

/// A weight with Glorot's scale for its fans.
pub(super) fn weight(shape: &[usize], fan_in: usize, fan_out: usize, seed: u32) -> Tensor<f32> {
    uniform(shape, seed, glorot(fan_in, fan_out))
}

/// The weight of a linear layer. The workloads are stated for weights `[inputs, outputs]`,
/// and layers have them turned.
pub(super) fn linear(inputs: usize, outputs: usize, seed: u32) -> Tensor<f32> {
    turned(&weight(&[inputs, outputs], inputs, outputs, seed))
}

/// The transpose of a matrix.
pub(super) fn turned(matrix: &Tensor<f32>) -> Tensor<f32> {
    let (rows, columns) = (matrix.shape()[0], matrix.shape()[1]);
    let elements = matrix.to_vec();
    Tensor::from_fn([columns, rows], |i| elements[i % rows * columns + i / rows])
}

/// Labels from the hash, numbers from 0 to `classes - 1`.
pub(super) fn labels(count: usize, classes: usize, seed: u32) -> Vec<usize> {
    fill(count, seed).iter().map(|x| ((x + 1.0) * 0.5 * classes as f64) as usize).collect()
}

/// Labels from the hash, as rows of 0 and 1.
pub(super) fn one_hot(count: usize, classes: usize, seed: u32) -> Tensor<f32> {
    let labels = labels(count, classes, seed);
    Tensor::from_fn([count, classes], |i| f32::from(u8::from(labels[i / classes] == i % classes)))
}
