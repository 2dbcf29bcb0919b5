//! Square matrix products, n = 256, 512, 1024 and 2048, in both precisions.
//! Divide `2 n^3` by the time for the rate.

use std::hint::black_box;

use wengert::prelude::*;

use super::Workload;
use crate::data::fill;
use crate::measure::{Reps, Timing, time};

macro_rules! product {
    ($name:literal, $t:ty, $n:literal) => {
        Workload {
            name: $name,
            variant: "eager",
            unit: "product",
            run: |reps| product::<$t>($n, reps),
        }
    };
}

pub(super) const ALL: [Workload; 8] = [
    product!("gemm_f32_256", f32, 256),
    product!("gemm_f32_512", f32, 512),
    product!("gemm_f32_1024", f32, 1024),
    product!("gemm_f32_2048", f32, 2048),
    product!("gemm_f64_256", f64, 256),
    product!("gemm_f64_512", f64, 512),
    product!("gemm_f64_1024", f64, 1024),
    product!("gemm_f64_2048", f64, 2048),
];

fn product<T: Real>(n: usize, reps: Reps) -> (Timing, f64) {
    // The hash in single precision, in either precision: the same factors.
    let factor = |seed: u32| {
        let numbers = fill(n * n, seed);
        Tensor::new([n, n], numbers.into_iter().map(|x| T::from_f64(f64::from(x as f32))).collect())
    };
    let (a, b) = (factor(80), factor(81));
    let mut tape = Tape::new();
    let mut run = |read: &mut dyn FnMut(Var<'_, T>)| {
        tape.reset();
        read(tape.constant(&a).matmul(tape.constant(&b)));
    };
    let mut check = f64::NAN;
    run(&mut |c| check = c.value().iter().map(|x| x.as_f64()).sum());
    let timing = time(reps, 1, || {
        run(&mut |c| {
            black_box(c);
        });
    });
    (timing, check)
}
