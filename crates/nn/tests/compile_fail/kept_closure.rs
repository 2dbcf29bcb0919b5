//! A closure that is kept without `func` is one for a single tape. `grad` and `Function` say so in
//! their documentation: here the compiler has the word.

use wengert_core::{Tensor, Var, grad};

fn main() {
    let x = Tensor::from([1.0, 2.0]);
    let f = |x: Var<f64>| x.sum();
    grad(f, &x);
}
