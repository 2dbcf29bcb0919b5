//! A variable does not leave the closure that it was given to.

use wengert_core::{Tensor, grad};

fn main() {
    let mut kept = None;
    let x = Tensor::from([1.0, 2.0]);
    grad(
        |x| {
            kept = Some(x);
            x.sum()
        },
        &x,
    );
}
