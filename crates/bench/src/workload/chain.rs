//! The gradient of 500 pairs (sine, times 1.01) on one number: what a single
//! scalar operation costs, recorded, forward and reverse.

use wengert::Tape;

use super::Workload;
use crate::measure::{Timing, time};

const PAIRS: usize = 500;

pub(super) const EAGER: Workload =
    Workload { name: "chain", variant: "eager", unit: "operation", run };

fn gradient(tape: &mut Tape<f64>) -> f64 {
    tape.reset();
    let x = tape.variable(0.7);
    let mut y = x;
    for _ in 0..PAIRS {
        y = y.sin() * 1.01;
    }
    y.backward().wrt(x).item()
}

fn run(reps: usize) -> (Timing, f64) {
    let mut tape = Tape::new();
    let check = gradient(&mut tape);
    let timing = time(reps, 2 * PAIRS, || {
        std::hint::black_box(gradient(&mut tape));
    });
    (timing, check)
}
