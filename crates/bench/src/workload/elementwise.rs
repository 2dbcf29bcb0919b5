//! `y = sum(tanh(1.3 x + 0.1) sigmoid(x))` and its gradient over long vectors: what
//! memory and elementary functions cost. The limit is one pass that computes both.

use std::hint::black_box;

use wengert::prelude::*;

use super::Workload;
use super::training::uniform;
use crate::measure::{Reps, Timing, time};

macro_rules! length {
    ($name:literal, $length:expr) => {
        [
            Workload {
                name: $name,
                variant: "eager",
                unit: "gradient",
                run: |reps| eager($length, reps),
            },
            Workload {
                name: $name,
                variant: "compiled",
                unit: "gradient",
                run: |reps| compiled($length, reps),
            },
        ]
    };
}

pub(super) const SHORT: [Workload; 2] = length!("elementwise_1e6", 1_000_000);
pub(super) const LONG: [Workload; 2] = length!("elementwise_1e7", 10_000_000);

fn f<'t>(x: Var<'t, f32>) -> Var<'t, f32> {
    ((x * 1.3 + 0.1).tanh() * x.sigmoid()).sum()
}

/// Value and sum of the gradient are 0.02 percent apart at these lengths, so their
/// sum tells errors in either.
fn checksum(y: f32, gradient: &Tensor<f32>) -> f64 {
    f64::from(y) + gradient.iter().map(f64::from).sum::<f64>()
}

fn eager(length: usize, reps: Reps) -> (Timing, f64) {
    let input = uniform(&[length], 70, 3.0);
    let mut tape = Tape::new();
    let mut run = || {
        tape.reset();
        let x = tape.variable(&input);
        let y = f(x);
        let gradient = y.backward().wrt(x);
        (y.item(), gradient)
    };
    let (y, gradient) = run();
    let check = checksum(y, &gradient);
    drop(gradient);
    let timing = time(reps, 1, || {
        black_box(run());
    });
    (timing, check)
}

fn compiled(length: usize, reps: Reps) -> (Timing, f64) {
    let input = uniform(&[length], 70, 3.0);
    let mut program = compile_n(
        |x| {
            let y = f(x);
            [y, y.backward().on_tape(x)]
        },
        &input,
    )
    .expect("the function decides on no value");
    program.execute();
    let check = checksum(program.output(0).item(), &program.output(1));
    let timing = time(reps, 1, || {
        program.set_input(0, &input);
        program.execute();
    });
    (timing, check)
}
