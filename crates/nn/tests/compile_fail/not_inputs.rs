//! What is no input of a function, and no value for a tape.

use wengert_core::{Tape, Tensor, grad};

fn main() {
    let x = Tensor::from([1.0, 2.0]);
    grad(|x| x.sum(), x);
    let tape = Tape::<f64>::new();
    tape.variable([1, 2]);
    tape.constant(Tensor::<f32>::zeros([2]));
}
