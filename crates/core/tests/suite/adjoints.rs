//! Adjoints that share memory until one of them grows.

use wengert_core::Tape;

#[test]
fn a_sum_that_is_passed_on_twice_is_not_added_into() {
    let tape = Tape::new();
    let (a, b) = (tape.variable([0.3, 0.4]), tape.variable([1.0, 2.0]));
    // Reverse: the adjoint of `s` is a sum of two terms; `s` hands it to both `a`
    // and `b`; then `early` adds one more term to that of `a` alone.
    let early = a * 10.0;
    let s = a + b;
    let y = (s * 2.0 + s * 3.0 + early).sum();
    let gradients = y.backward();
    assert_eq!(gradients.wrt(a).to_vec(), [15.0, 15.0]);
    assert_eq!(gradients.wrt(b).to_vec(), [5.0, 5.0]);
}

#[test]
fn large_adjoints_likewise() {
    let tape = Tape::new();
    let (a, b) = (tape.variable(vec![0.5; 1000]), tape.variable(vec![1.5; 1000]));
    let early = a * 10.0;
    let s = a + b;
    let y = (s * 2.0 + s * 3.0 + s * 4.0 + early + early).sum();
    let gradients = y.backward();
    assert!(gradients.wrt(a).iter().all(|g| g == 29.0));
    assert!(gradients.wrt(b).iter().all(|g| g == 9.0));
}
