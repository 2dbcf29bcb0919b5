//! A program that repeats itself asks the system for no memory.

use wengert_core::checkpoint::{Scan, Steps};
use wengert_core::{Gradients, Tape, Tensor};

/// Allocations of a step, once the tape has seen a few of them.
fn allocations(mut step: impl FnMut(&mut Tape<f64>)) -> u64 {
    let mut tape = Tape::new();
    for _ in 0..3 {
        step(&mut tape);
    }
    allocation_counter::measure(|| step(&mut tape)).count_total
}

fn read(gradients: &Gradients<'_, f64>, key: u64) -> f64 {
    gradients.with_parameter(key, |g| g.iter().sum()).expect("the output depends on it")
}

#[test]
fn scalars() {
    let count = allocations(|tape| {
        tape.reset();
        let x = tape.variable(0.7);
        let mut y = x;
        for _ in 0..100 {
            y = (y.sin() * 1.01).powi(2) + x.maximum(y);
        }
        let [dx] = y.grad([x]);
        assert!(dx.item().is_finite());
    });
    // `grad` returns its variables through one list.
    assert!(count <= 4, "{count} allocations");
}

#[test]
fn a_small_network() {
    let fill = |shape: [usize; 2]| Tensor::from_fn(shape, |i| (i as f64).sin());
    let parameters = [fill([3, 5]), fill([1, 3]), fill([3, 4])];
    let x = fill([6, 5]);
    let count = allocations(|tape| {
        tape.reset();
        let [w, b, v] = [0, 1, 2].map(|i| tape.parameter(i as u64, &parameters[i]));
        let hidden = (tape.constant(&x).matmul(w.transpose()) + b).tanh();
        let gradients = hidden.matmul(v).log_softmax(-1).slice(1, 1..2).mean().backward();
        let sum: f64 = (0..3).map(|key| read(&gradients, key)).sum();
        assert!(sum.is_finite());
    });
    assert_eq!(count, 0);
}

#[test]
fn large_tensors() {
    let x = Tensor::from_fn([100, 50], |i| (i as f64).sin());
    let row = Tensor::from_fn([50], |i| (i as f64).cos());
    let count = allocations(|tape| {
        tape.reset();
        let (x, row) = (tape.parameter(0, &x), tape.parameter(1, &row));
        let y = ((x * row).tanh() + x.transpose().reshape([100, 50])).softmax(-1);
        let gradients = (y * x).sum_over(0).square().sum().backward();
        assert!((read(&gradients, 0) + read(&gradients, 1)).is_finite());
    });
    assert_eq!(count, 0);
}

#[test]
fn scans_and_orders() {
    let x = Tensor::from_fn([30, 200], |i| (i as f64).sin() + 1.0);
    let count = allocations(|tape| {
        tape.reset();
        let x = tape.parameter(0, &x);
        let scans = x.cumsum(0) * x.cumprod(-1) + x.log_cumsum_exp(-1);
        let (sorted, places) = (scans * 0.01).sort(-1);
        let (largest, _) = x.topk(7, -1);
        let chosen = sorted.take_along_axis(-1, places).tril(0).sum();
        let cost = chosen + largest.prod_over(-1).sum() + x.median(-1).std_over(.., 1);
        let hot = x.argmax(-1).one_hot(200) * x;
        let gradients = (cost + hot.sum()).backward();
        assert!(read(&gradients, 0).is_finite());
    });
    assert_eq!(count, 0);
}

#[test]
fn large_products() {
    let a = Tensor::from_fn([60, 50], |i| (i as f64).sin());
    let count = allocations(|tape| {
        tape.reset();
        let a = tape.parameter(0, &a);
        a.matmul(a.transpose()).sum().backward();
    });
    assert_eq!(count, 0);
}

#[test]
fn a_compiled_program() {
    // Short values, long ones, products, rows, sums, and states that move.
    let tape = Tape::new();
    let fill = |shape: [usize; 2]| Tensor::from_fn(shape, |i| (i as f64).sin());
    let [x, w, s] = [[6, 3], [3, 2], [40, 50]].map(|shape| tape.variable(fill(shape)));
    let short = x.matmul(w).tanh().sum();
    let long = (s.sin() * s).softmax(-1) * short + s.sum_keep(0);
    let cost = long.square().sum();
    let gradients = cost.backward();
    let updates = [w, s].map(|state| (state, state - gradients.on_tape(state) * 0.01));
    let mut program = tape.compile_updating(&[x, w, s], &[cost], &updates).unwrap();
    let input = fill([6, 3]);
    let mut step = || {
        program.set_input(0, &input);
        program.execute();
        program.with_output(0, |cost| cost.first())
    };
    step();
    let mut cost = f64::NAN;
    let count = allocation_counter::measure(|| cost = step()).count_total;
    assert!(cost.is_finite());
    assert_eq!(count, 0);
}

/// What a million steps hold at the end is what three held.
#[test]
#[ignore = "takes a minute; .ci/deep runs it"]
fn a_million_steps() {
    let fill = |shape: [usize; 2]| Tensor::from_fn(shape, |i| (i as f64).sin());
    let (w, x) = (fill([3, 5]), fill([6, 5]));
    let mut tape = Tape::new();
    let mut step = || {
        tape.reset();
        let w = tape.parameter(0, &w);
        let gradients = tape.constant(&x).matmul(w.transpose()).tanh().sum().backward();
        assert!(read(&gradients, 0).is_finite());
    };
    (0..3).for_each(|_| step());
    let info = allocation_counter::measure(|| (0..1_000_000).for_each(|_| step()));
    assert_eq!((info.count_total, info.bytes_current), (0, 0));
}

/// `x -> a x + b` five million times: the derivative is `a^n`, and each node takes some bytes.
#[test]
#[ignore = "takes gigabytes; .ci/deep runs it"]
fn ten_million_nodes() {
    const STEPS: i32 = 5_000_000;
    let a = 1.0 - 1e-7;
    let mut bytes = 0;
    let info = allocation_counter::measure(|| {
        let tape = Tape::<f64>::new();
        let x = tape.variable(0.3);
        let (a, b) = (tape.constant(a), tape.constant(1e-7));
        let y = (0..STEPS).fold(x, |y, _| y * a + b);
        assert_eq!(tape.len(), 3 + 2 * STEPS as usize);
        let slope = y.backward().wrt(x).item();
        // (1 - 1e-7)^n, by its logarithm; each of n multiplications rounds.
        let expected = (f64::from(STEPS) * (-1e-7_f64).ln_1p()).exp();
        assert!((slope / expected - 1.0).abs() < 1e-9, "{slope} instead of {expected}");
        bytes = tape.memory().peak;
    });
    let of_node = info.bytes_max as f64 / f64::from(2 * STEPS);
    println!("{of_node:.0} bytes a node, of which values and adjoints are {bytes} in all");
    assert!(of_node < 400.0, "{of_node} bytes a node");
}

/// Whatever a loop asks for, no step of it does.
#[test]
fn steps_of_loops() {
    let steps = Steps::new(|k, [x], [a]| [x * 0.9 + (x * a + k).sin() * 0.01]);
    let few = Steps::new(|k, [x], [a]| [x * 0.9 + (x * a + k).sin() * 0.01]).keep(12);
    let scan = Scan::new(|[x], [u], [a]| ([x * 0.9 + (x * a * u).sin() * 0.01], [x.sum_over(0)]));
    let of = |n: usize, size: usize| {
        let (x, u) =
            (Tensor::from_fn([size], |i| i as f64), Tensor::from_fn([n], |k| (k as f64).sin()));
        allocations(|tape| {
            tape.reset();
            let (x, a) = (tape.parameter(0, &x), tape.parameter(1, &Tensor::ones([size])));
            let ([y], [z]) = (steps.run(n, [x], [a]), few.run(n, [x], [a]));
            let ([w], [all]) = scan.run([x], [tape.constant(&u)], [a]);
            let gradients = (y * z * w).sum().backward_with(&Tensor::from(all.mean().item()));
            assert!((read(&gradients, 0) + read(&gradients, 1)).is_finite());
        })
    };
    for size in [3, 500] {
        // Lists of the states that are kept double a few times.
        let (short, long) = (of(20, size), of(2000, size));
        assert!(long < short + 40, "{size} elements: {short} and {long} allocations");
    }
}
