//! What cannot stand beside a variable.

use wengert_core::{Tape, Tensor, grad};

fn main() {
    let tape = Tape::<f64>::new();
    let x = tape.variable([1.0, 2.0]);
    let _ = x * 2;
    let _ = x.maximum(0.0);
    let single = Tensor::<f32>::zeros([2]);
    let _ = grad(|w| (w - &single).sum(), &Tensor::from([1.0_f64, 2.0]));
}
