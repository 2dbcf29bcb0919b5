//! What the workloads that differentiate a function of some tensors have in common: value and
//! gradient, recorded or compiled.

use std::hint::black_box;

use wengert::prelude::*;

use crate::measure::{Reps, Timing, time};

/// Recorded. A run does `units` units of work. The checksum is the value and the gradient's
/// absolute values, added up.
pub(super) fn eager<T: Real, const N: usize>(
    reps: Reps,
    units: usize,
    inputs: [Tensor<T>; N],
    f: impl for<'t> Fn([Var<'t, T>; N]) -> Var<'t, T>,
) -> (Timing, f64) {
    let mut tape = Tape::new();
    let mut run = || {
        tape.reset();
        let vars = inputs.each_ref().map(|input| tape.variable(input));
        let y = f(vars);
        let gradients = y.backward();
        (y.item(), vars.map(|var| gradients.wrt(var)))
    };
    let (y, gradients) = run();
    let check = checksum(y, gradients.iter());
    drop(gradients);
    let timing = time(reps, units, || {
        black_box(run());
    });
    (timing, check)
}

/// Compiled, with the inputs set at each run.
pub(super) fn compiled<T: Real, const N: usize>(
    reps: Reps,
    units: usize,
    inputs: [Tensor<T>; N],
    f: impl for<'t> Fn([Var<'t, T>; N]) -> Var<'t, T>,
) -> (Timing, f64) {
    let tape = Tape::lazy();
    let vars = inputs.each_ref().map(|input| tape.variable(input));
    let y = f(vars);
    let results: Vec<_> = std::iter::once(y).chain(y.grad(vars)).collect();
    let mut program = tape.compile(&vars, &results).expect("no value is read");
    drop(tape);
    program.execute();
    let gradients: Vec<_> = (1..=N).map(|i| program.output(i)).collect();
    let check = checksum(program.output(0).item(), gradients.iter());
    drop(gradients);
    let timing = time(reps, units, || {
        for (i, input) in inputs.iter().enumerate() {
            program.set_input(i, input);
        }
        program.execute();
    });
    (timing, check)
}

fn checksum<'a, T: Real>(y: T, gradients: impl Iterator<Item = &'a Tensor<T>>) -> f64 {
    y.as_f64() + gradients.flat_map(Tensor::iter).map(|x| x.as_f64().abs()).sum::<f64>()
}
