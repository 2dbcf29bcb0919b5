//! What a tape holds, and what a backward sweep hands back.

use wengert_core::{Tape, Tensor};

/// The bytes of one value.
const VALUE: usize = 1024 * size_of::<f64>();

fn input() -> Tensor<f64> {
    Tensor::from_fn([1024], |i| (i as f64).sin())
}

#[test]
fn a_sweep_needs_the_memory_of_a_few_adjoints() {
    let mut tape = Tape::new();
    for _ in 0..3 {
        tape.reset();
        let x = tape.variable(input());
        let mut y = x;
        for _ in 0..50 {
            y = (y.tanh() * 1.5).reshape([32, 32]).transpose().reshape([1024]);
        }
        let gradients = y.sum().backward();
        let memory = tape.memory();
        assert!(memory.values >= 100 * VALUE, "{memory}");
        assert!((VALUE..6 * VALUE).contains(&memory.adjoints), "{memory}");
        assert!(memory.peak < memory.values + 8 * VALUE, "{memory}");
        assert!(gradients.wrt(x).iter().all(f64::is_finite));
    }
}

#[test]
fn gradients_outlive_later_sweeps() {
    let tape = Tape::new();
    let (x, w) = (tape.variable(input()), tape.variable(input()));
    let first = (x * w).sin().sum().backward();
    let before = [first.wrt(x), first.wrt(w)];
    let second = ((x + w).tanh() * x).cos().sum().backward();
    assert!(second.wrt(x) != before[0]);
    assert_eq!([first.wrt(x), first.wrt(w)], before);
}

#[test]
fn values_of_the_recording_outlive_its_sweeps() {
    let tape = Tape::new();
    let x = tape.variable(input());
    let (y, before) = (x.tanh(), x.tanh().value());
    let z = (y * x).sin();
    let kept = z.value();
    z.sum().backward();
    assert_eq!((y.value(), z.value()), (before, kept));
    assert_eq!(tape.first_non_finite(), None);
}

#[test]
fn what_is_not_used_again_is_idle() {
    let mut tape = Tape::new();
    let x = input();
    tape.variable(&x).exp().sin();
    let before = tape.memory();
    assert_eq!((before.values / VALUE, before.adjoints), (2, 0));
    tape.reset();
    let after = tape.memory();
    assert_eq!((after.values, after.peak), (0, before.peak));
    assert!(after.idle >= 2 * VALUE);
    assert!(before.to_string().contains("values 16.0 KiB, adjoints 0 B"), "{before}");
}

#[test]
#[should_panic(expected = "`output.grad([x])` gives those of any values")]
fn the_adjoint_of_an_intermediate_value_is_not_kept() {
    let tape = Tape::new();
    let x = tape.variable(2.0);
    let y = x.sin();
    (y * x).backward().wrt(y);
}
