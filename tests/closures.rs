//! Which closures the transforms take. What the borrow checker forbids stands among the
//! tests of the nn crate.

use wengert::prelude::*;

fn elided(x: Var<f64>) -> Var<f64> {
    (x * x).sum()
}

fn named<'t, T: Real>(x: Var<'t, T>) -> Var<'t, T> {
    (x * x).sum()
}

#[test]
fn every_way_of_writing_a_function() {
    let (x, w) = (Tensor::from([1.0, 2.0]), Tensor::from([0.5, -0.5]));
    // In place: one tensor, an array, tuples, with captured values.
    let captured = Tensor::from([3.0, 4.0]);
    let _: Tensor<f64> = grad(|x| x.sum(), &x);
    let [_gx, _gw] = grad(|[x, w]| (x * w).sum(), [&x, &w]);
    let (_gx, [_gw, _gv]) = grad(|(x, [w, v])| (x * w * v).sum(), (&x, [&w, &w]));
    let _ = grad(|x| (x * x.tape().constant(&captured)).sum(), &x);
    // A function, with its lifetime elided or named.
    let _ = grad(elided, &x);
    let _ = grad(named, &x);
    // Kept in a variable, used twice, by value and by reference.
    let f = func(|x| (x.sin() * x).sum());
    let _ = grad(f, &x);
    let borrowed = &f;
    let _ = hvp(borrowed, &x, &w);
    // A number on either side.
    let _ = grad(|x| (2.0 * x + 1.0).sum(), &x);
}
