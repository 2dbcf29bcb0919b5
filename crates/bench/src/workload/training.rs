//! What the workloads that train a model have in common: five steps for the
//! checksum, then as many as are timed, recorded anew or compiled.

use std::hint::black_box;

use wengert::nn::optim::{Momentum, Optimiser, Rule};
use wengert::prelude::*;

use crate::data::{fill, glorot};
use crate::measure::{Reps, Timing, time};

/// The loss of a model as a function of its parameters and of `N` inputs.
pub(super) type Loss<const N: usize> =
    for<'t> fn(&[Var<'t, f32>], [Var<'t, f32>; N]) -> Var<'t, f32>;

/// A model, its data, and how it is trained.
pub(super) struct Training<const N: usize, R = Momentum> {
    pub(super) parameters: Vec<Param<f32>>,
    pub(super) inputs: [Tensor<f32>; N],
    pub(super) loss: Loss<N>,
    pub(super) optimiser: Optimiser<f32, R>,
}

/// Steps before the checksum is taken.
const STEPS: usize = 5;

impl<const N: usize, R: Rule + Clone> Training<N, R> {
    /// Times steps that are recorded anew. The checksum is the loss of the fifth.
    pub(super) fn eager(self, reps: Reps) -> (Timing, f64) {
        let Self { mut parameters, inputs, loss, mut optimiser } = self;
        let mut tape = Tape::new();
        let mut step = || {
            tape.reset();
            let vars: Vec<_> = parameters.iter().map(|p| p.on(&tape)).collect();
            let cost = loss(&vars, inputs.each_ref().map(|input| tape.constant(input)));
            optimiser.step(&mut parameters, &cost.backward());
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
        let Self { parameters, inputs, loss, optimiser } = self;
        let mut step = TrainStep::compile(
            &parameters,
            &optimiser,
            |inputs: [Var<'_, f32>; N]| {
                let vars: Vec<_> = parameters.iter().map(|p| p.on(inputs[0].tape())).collect();
                loss(&vars, inputs)
            },
            inputs.each_ref(),
        )
        .expect("the loss decides on no value");
        let mut run = || {
            for (index, input) in inputs.iter().enumerate() {
                step.set_input(index, input);
            }
            step.step();
            step.loss()
        };
        let check = (0..STEPS).map(|_| run()).last();
        let timing = time(reps, 1, || {
            black_box(run());
        });
        (timing, check.map_or(f64::NAN, f64::from))
    }

    /// Times the loss and its gradients over the loss alone, both recorded anew.
    pub(super) fn cost_ratio(self, reps: Reps) -> f64 {
        let Self { parameters, inputs, loss, .. } = self;
        let mut tape = Tape::new();
        let mut evaluate = |with_gradients: bool| {
            tape.reset();
            let vars: Vec<_> = parameters.iter().map(|p| p.on(&tape)).collect();
            let cost = || loss(&vars, inputs.each_ref().map(|input| tape.constant(input)));
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

/// A tensor of numbers in [-scale, scale) from the hash.
pub(super) fn uniform(shape: &[usize], seed: u32, scale: f64) -> Tensor<f32> {
    let numbers = fill(shape.iter().product(), seed);
    Tensor::new(shape, numbers.into_iter().map(|x| (x * scale) as f32).collect())
}

/// A weight with Glorot's scale for its fans.
pub(super) fn weight(shape: &[usize], fan_in: usize, fan_out: usize, seed: u32) -> Param<f32> {
    Param::new(uniform(shape, seed, glorot(fan_in, fan_out)))
}

/// A bias of zeros, or a scale of ones.
pub(super) fn constant(length: usize, value: f32) -> Param<f32> {
    Param::new(Tensor::full([length], value))
}

/// Labels from the hash, as rows of 0 and 1.
pub(super) fn one_hot(count: usize, classes: usize, seed: u32) -> Tensor<f32> {
    let labels: Vec<usize> =
        fill(count, seed).iter().map(|x| ((x + 1.0) * 0.5 * classes as f64) as usize).collect();
    Tensor::from_fn([count, classes], |i| f32::from(u8::from(labels[i / classes] == i % classes)))
}
