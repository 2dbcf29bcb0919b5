//! Lorenz's equations, by 10,000 steps of the classical method of Runge and Kutta: a long loop over
//! few numbers, in double precision. A unit is a step.
//!
//! The sum of the last state is differentiated with respect to the three parameters. A test holds value
//! and gradient against a plain loop that carries the sensitivities along by hand.

use std::hint::black_box;

use wengert::checkpoint::{Scan, Steps};
use wengert::prelude::*;

use super::Workload;
use crate::measure::{Reps, Timing, time};

const UNIT: &str = "step";

/// All ways of running it: values alone, and with the gradient by loops that keep more or fewer states.
pub(super) const ALL: [Workload; 7] = [
    Workload { name: "lorenz_value", variant: "eager", unit: UNIT, run: |reps| value(reps, N) },
    Workload { name: "lorenz", variant: "eager", unit: UNIT, run: |reps| steps(reps, N, None) },
    Workload {
        name: "lorenz",
        variant: "keep10",
        unit: UNIT,
        run: |reps| steps(reps, N, Some(10)),
    },
    Workload {
        name: "lorenz",
        variant: "keep100",
        unit: UNIT,
        run: |reps| steps(reps, N, Some(100)),
    },
    Workload { name: "lorenz", variant: "compiled", unit: UNIT, run: |reps| compiled(reps, N) },
    Workload { name: "lorenz", variant: "scan", unit: UNIT, run: |reps| scan(reps, N) },
    Workload { name: "lorenz_first", variant: "eager", unit: "loop of ten steps", run: first },
];

const N: usize = 10_000;

/// A step of time, short enough that 10,000 of them end before chaos takes over.
const H: f64 = 0.001;

const START: [f64; 3] = [1.0, 1.0, 1.0];

/// Prandtl's number, Rayleigh's, and the ratio of the cell's sides.
const PARAMETERS: [f64; 3] = [10.0, 28.0, 8.0 / 3.0];

fn field<'t>([x, y, z]: [Var<'t, f64>; 3], [s, r, b]: [Var<'t, f64>; 3]) -> [Var<'t, f64>; 3] {
    [s * (y - x), x * (r - z) - y, x * y - b * z]
}

/// From a state some way along a slope.
fn along<'t>(x: [Var<'t, f64>; 3], slope: [Var<'t, f64>; 3], h: f64) -> [Var<'t, f64>; 3] {
    std::array::from_fn(|i| x[i] + slope[i] * h)
}

fn step<'t>(x: [Var<'t, f64>; 3], p: [Var<'t, f64>; 3]) -> [Var<'t, f64>; 3] {
    let k1 = field(x, p);
    let k2 = field(along(x, k1, H / 2.0), p);
    let k3 = field(along(x, k2, H / 2.0), p);
    let k4 = field(along(x, k3, H), p);
    std::array::from_fn(|i| x[i] + (k1[i] + (k2[i] + k3[i]) * 2.0 + k4[i]) * (H / 6.0))
}

fn gradient_of<'t>(end: [Var<'t, f64>; 3], p: [Var<'t, f64>; 3]) -> [Var<'t, f64>; 4] {
    let [x, y, z] = end;
    let y = x + y + z;
    let [ds, dr, db] = y.grad(p);
    [y, ds, dr, db]
}

/// The checksum: the value and the gradient's absolute values, added up.
fn checksum([y, gradient @ ..]: [f64; 4]) -> f64 {
    y + gradient.iter().map(|x| x.abs()).sum::<f64>()
}

fn value(reps: Reps, n: usize) -> (Timing, f64) {
    let steps = Steps::new(|_, x, p| step(x, p));
    let mut tape = Tape::new();
    let mut run = || {
        tape.reset();
        let [x, y, z] =
            steps.run(n, START.map(|x| tape.constant(x)), PARAMETERS.map(|p| tape.constant(p)));
        (x + y + z).item()
    };
    let check = run();
    let timing = time(reps, n, || {
        black_box(run());
    });
    (timing, check)
}

fn steps(reps: Reps, n: usize, keep: Option<usize>) -> (Timing, f64) {
    let steps = Steps::new(|_, x, p| step(x, p));
    let steps = match keep {
        Some(c) => steps.keep(c),
        None => steps,
    };
    recorded(reps, n, |start, p| steps.run(n, start, p))
}

fn scan(reps: Reps, n: usize) -> (Timing, f64) {
    let scan = Scan::new(|x, [_], p| (step(x, p), []));
    let times = Tensor::from_fn([n], |k| k as f64 * H);
    recorded(reps, n, |start, p| {
        let times = start[0].tape().constant(&times);
        let (end, []) = scan.run(start, [times], p);
        end
    })
}

/// What it takes to begin with: a loop that is new each time, on a new tape.
fn first(reps: Reps) -> (Timing, f64) {
    let run = || {
        let (steps, tape) = (Steps::new(|_, x, p| step(x, p)), Tape::new());
        let p = PARAMETERS.map(|p| tape.variable(p));
        let end = steps.run(10, START.map(|x| tape.constant(x)), p);
        checksum(tape.without_gradients(|| gradient_of(end, p)).map(|result| result.item()))
    };
    let check = run();
    let timing = time(reps, 1, || {
        black_box(run());
    });
    (timing, check)
}

/// A loop on a tape that repeats itself, with its gradient.
fn recorded(
    reps: Reps,
    n: usize,
    walk: impl for<'t> Fn([Var<'t, f64>; 3], [Var<'t, f64>; 3]) -> [Var<'t, f64>; 3],
) -> (Timing, f64) {
    let mut tape = Tape::new();
    let mut run = || {
        tape.reset();
        let p = PARAMETERS.map(|p| tape.variable(p));
        let end = walk(START.map(|x| tape.constant(x)), p);
        checksum(tape.without_gradients(|| gradient_of(end, p)).map(|result| result.item()))
    };
    let check = run();
    let timing = time(reps, n, || {
        black_box(run());
    });
    (timing, check)
}

fn compiled(reps: Reps, n: usize) -> (Timing, f64) {
    let steps = Steps::new(|_, x, p| step(x, p));
    let parameters = PARAMETERS.map(Tensor::from);
    let program = wengert::compile_n(
        |p| gradient_of(steps.run(n, START.map(|x| p[0].tape().constant(x)), p), p),
        parameters.each_ref(),
    );
    let mut program = program.expect("no value is read");
    program.execute();
    let check = checksum([0, 1, 2, 3].map(|result| program.output(result).item()));
    let timing = time(reps, n, || {
        program.execute();
        black_box(program.output(1));
    });
    (timing, check)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number with its derivatives by the parameters.
    type Dual = [f64; 4];

    fn add(a: Dual, b: Dual) -> Dual {
        std::array::from_fn(|i| a[i] + b[i])
    }

    fn scaled(a: Dual, by: f64) -> Dual {
        a.map(|a| a * by)
    }

    fn times(a: Dual, b: Dual) -> Dual {
        std::array::from_fn(|i| match i {
            0 => a[0] * b[0],
            _ => a[i] * b[0] + a[0] * b[i],
        })
    }

    fn field([x, y, z]: [Dual; 3], [s, r, b]: [Dual; 3]) -> [Dual; 3] {
        let minus = |a, b| add(a, scaled(b, -1.0));
        [times(s, minus(y, x)), minus(times(x, minus(r, z)), y), minus(times(x, y), times(b, z))]
    }

    fn along(x: [Dual; 3], slope: [Dual; 3], h: f64) -> [Dual; 3] {
        std::array::from_fn(|i| add(x[i], scaled(slope[i], h)))
    }

    /// Value and gradient by a plain loop over the state and its sensitivities.
    fn by_hand(n: usize) -> Dual {
        let constant = |x: f64| [x, 0.0, 0.0, 0.0];
        let mut x = START.map(constant);
        let mut p = PARAMETERS.map(constant);
        (0..3).for_each(|i| p[i][i + 1] = 1.0);
        for _ in 0..n {
            let k1 = field(x, p);
            let k2 = field(along(x, k1, H / 2.0), p);
            let k3 = field(along(x, k2, H / 2.0), p);
            let k4 = field(along(x, k3, H), p);
            x = std::array::from_fn(|i| {
                let slopes = add(add(k1[i], scaled(add(k2[i], k3[i]), 2.0)), k4[i]);
                add(x[i], scaled(slopes, H / 6.0))
            });
        }
        x.into_iter().reduce(add).expect("three numbers")
    }

    #[test]
    fn the_loops_agree_with_sensitivities_by_hand() {
        for n in [1, 7, 100, 1000] {
            let expected = by_hand(n);
            let once = Reps::Counted(0);
            let near = |found: f64, expected: f64| {
                let size = 1.0 + by_hand(n).iter().map(|x| x.abs()).sum::<f64>();
                assert!((found - expected).abs() < 1e-9 * size, "{n} steps: {found}, {expected}");
            };
            near(value(once, n).1, expected[0]);
            let all = checksum(expected);
            near(steps(once, n, None).1, all);
            near(steps(once, n, Some(1 + n / 10)).1, all);
            near(compiled(once, n).1, all);
            near(scan(once, n).1, all);
        }
        let difference = first(Reps::Counted(0)).1 - checksum(by_hand(10));
        assert!(difference.abs() < 1e-9);
    }
}
