//! A program that repeats itself asks the system for no memory.

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
fn large_products_ask_for_packing_only() {
    let a = Tensor::from_fn([60, 50], |i| (i as f64).sin());
    let count = allocations(|tape| {
        tape.reset();
        let a = tape.parameter(0, &a);
        a.matmul(a.transpose()).sum().backward();
    });
    // Three products; the gemm library packs their factors into memory that it
    // asks for itself.
    assert!(count <= 6, "{count} allocations");
}
