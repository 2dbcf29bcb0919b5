//! The dense Hessian of Rosenbrock's function of 100 variables, in double
//! precision.
//!
//! It is tridiagonal, and the framework finds that out: three products with the
//! Hessian give all of its entries. The eager variant finds pattern and colours again
//! at every step; both variants write all 10,000 numbers.

use std::hint::black_box;

use wengert::prelude::*;
use wengert::sparse;

use super::Workload;
use crate::data::fill;
use crate::measure::{Reps, Timing, time};

pub(super) const EAGER: Workload =
    Workload { name: "rosenbrock_hessian", variant: "eager", unit: "Hessian", run: eager };

pub(super) const COMPILED: Workload =
    Workload { name: "rosenbrock_hessian", variant: "compiled", unit: "Hessian", run: compiled };

const N: usize = 100;

fn rosenbrock<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    let (ahead, here) = (x.slice(0, 1..), x.slice(0, ..N - 1));
    ((ahead - here.square()).square() * 100.0 + (1.0 - here).square()).sum()
}

fn point() -> Tensor<f64> {
    Tensor::from(fill(N, 99))
}

fn sum(hessian: &Tensor<f64>) -> f64 {
    hessian.iter().sum()
}

fn eager(reps: Reps) -> (Timing, f64) {
    let x = point();
    let check = sum(&sparse::hessian(rosenbrock, &x).to_dense());
    let timing = time(reps, 1, || {
        black_box(sparse::hessian(rosenbrock, &x).to_dense());
    });
    (timing, check)
}

fn compiled(reps: Reps) -> (Timing, f64) {
    let x = point();
    let mut hessian = sparse::Hessian::of(rosenbrock, &x).compile(&x).expect("no value is read");
    let check = sum(&hessian.at(&x).to_dense());
    let timing = time(reps, 1, || {
        black_box(hessian.at(&x).to_dense());
    });
    (timing, check)
}
