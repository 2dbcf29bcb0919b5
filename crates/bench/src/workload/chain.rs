//! The gradient of 500 pairs (sine, times 1.01) on one number: what a single
//! scalar operation costs, recorded, forward and reverse.

use wengert::{Tape, Tensor, compile_n};

use super::Workload;
use crate::measure::{Reps, Timing, time};

const PAIRS: usize = 500;

pub(super) const EAGER: Workload =
    Workload { name: "chain", variant: "eager", unit: "operation", run };

pub(super) const COMPILED: Workload =
    Workload { name: "chain", variant: "compiled", unit: "operation", run: run_compiled };

fn gradient(tape: &mut Tape<f64>) -> f64 {
    tape.reset();
    let x = tape.variable(0.7);
    let mut y = x;
    for _ in 0..PAIRS {
        y = y.sin() * 1.01;
    }
    y.backward().wrt(x).item()
}

fn run(reps: Reps) -> (Timing, f64) {
    let mut tape = Tape::new();
    let check = gradient(&mut tape);
    let timing = time(reps, 2 * PAIRS, || {
        std::hint::black_box(gradient(&mut tape));
    });
    (timing, check)
}

fn run_compiled(reps: Reps) -> (Timing, f64) {
    let mut program = compile_n(
        |x| {
            let y = (0..PAIRS).fold(x, |y, _| y.sin() * 1.01);
            [y.backward().on_tape(x)]
        },
        &Tensor::from(0.7),
    )
    .expect("the chain decides on no value");
    program.execute();
    let check = program.output(0).item();
    let timing = time(reps, 2 * PAIRS, || {
        program.set_input(0, std::hint::black_box(0.7));
        program.execute();
        std::hint::black_box(&program);
    });
    (timing, check)
}
