//! What is no input of a function, no value for a tape, and no axis.

use wengert_core::{Tape, Tensor, grad, hessian};

fn main() {
    let x = Tensor::from([1.0, 2.0]);
    grad(|x| x.sum(), x);
    let (x, axis) = (Tensor::from([1.0, 2.0]), 0_usize);
    hessian(|(x, y)| (x * y).sum(), (&x, &x));
    let tape = Tape::<f64>::new();
    tape.variable([1, 2]);
    tape.constant(Tensor::<f32>::zeros([2])).sum_over(axis);
}
