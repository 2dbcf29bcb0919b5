//! The dense Hessian of Rosenbrock's function of 100 variables, in double
//! precision.
//!
//! All rows at once: the function is taken of 100 copies of the point, and one
//! reverse sweep over the gradients, with the identity as cotangent, gives row `i`
//! of the Hessian in copy `i`.

use std::hint::black_box;

use wengert::prelude::*;

use super::Workload;
use crate::data::fill;
use crate::measure::{Reps, Timing, time};

pub(super) const EAGER: Workload =
    Workload { name: "rosenbrock_hessian", variant: "eager", unit: "Hessian", run: eager };

pub(super) const COMPILED: Workload =
    Workload { name: "rosenbrock_hessian", variant: "compiled", unit: "Hessian", run: compiled };

const N: usize = 100;

/// The sum over all rows of Rosenbrock's function of a row.
fn rosenbrock<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    let (ahead, here) = (x.slice(-1, 1..), x.slice(-1, ..N - 1));
    ((ahead - here.square()).square() * 100.0 + (1.0 - here).square()).sum()
}

fn rows<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    let copies = x.broadcast_to([N, N]);
    let [gradients] = rosenbrock(copies).grad([copies]);
    let identity = Tensor::from_fn([N, N], |i| f64::from(u8::from(i / N == i % N)));
    // No third derivative is wanted.
    x.tape().without_gradients(|| gradients.vjp(x.tape().constant(identity), &[copies])[0])
}

fn point() -> Tensor<f64> {
    Tensor::from(fill(N, 99))
}

fn sum(hessian: &Tensor<f64>) -> f64 {
    hessian.iter().sum()
}

fn eager(reps: Reps) -> (Timing, f64) {
    let x = point();
    let check = sum(&hessian(rosenbrock, &x));
    let timing = time(reps, 1, || {
        black_box(hessian(rosenbrock, &x));
    });
    (timing, check)
}

fn compiled(reps: Reps) -> (Timing, f64) {
    let x = point();
    let mut program = compile(|x| [rows(x)], &x).expect("the function decides on no value");
    program.execute();
    let check = sum(&program.output(0));
    let timing = time(reps, 1, || {
        program.set_input(0, &x);
        program.execute();
    });
    (timing, check)
}
