//! Products of the shapes that training meets, by Wengert and by the libraries that
//! it could have been built on: the rate of each, in GFLOP/s on one thread.
//!
//! ```text
//! cargo run --release -p wengert-bench --features libraries --bin products
//! ```
//!
//! Wengert's figure is that of a whole operation: recorded, on a tape that repeats itself.
//! The four take turns, and the best of many short runs of each counts, so that what
//! else the machine does falls on all of them. Results are compared.

#![expect(unsafe_code, reason = "the libraries take pointers")]

use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use gemm_common::Parallelism;
use wengert::prelude::*;

/// Rows, terms, columns, and where the product comes from.
const SHAPES: [(usize, usize, usize, &str); 12] = [
    (128, 784, 512, "a layer of a perceptron"),
    (128, 512, 256, "another"),
    (128, 256, 10, "its last"),
    (512, 128, 784, "a weight's adjoint"),
    (32, 128, 512, "a recurrent layer"),
    (32, 512, 128, "its state's adjoint"),
    (1600, 64, 512, "its inputs: tall"),
    (128, 64, 128, "an attention's head"),
    (1024, 256, 768, "its projections"),
    (16, 16, 64, "small"),
    (8, 8, 8, "tiny"),
    (512, 512, 512, "square"),
];

/// Rounds in which everybody has a turn.
const ROUNDS: usize = 30;
/// Operations of a turn.
const TURN: f64 = 1e7;

/// A product's extents, and which factors lie by columns.
#[derive(Clone, Copy)]
struct Case {
    m: usize,
    k: usize,
    n: usize,
    turned: [bool; 2],
}

/// Row and column strides of a matrix.
fn strides(rows: usize, columns: usize, is_turned: bool) -> (isize, isize) {
    if is_turned { (1, rows as isize) } else { (columns as isize, 1) }
}

impl Case {
    fn strides(&self) -> [(isize, isize); 2] {
        [strides(self.m, self.k, self.turned[0]), strides(self.k, self.n, self.turned[1])]
    }

    /// By the crate whose micro-kernels Wengert uses, in its own loops.
    fn by_gemm(&self, a: &[f32], b: &[f32], out: &mut [f32]) {
        let [(a_row, a_column), (b_row, b_column)] = self.strides();
        let Self { m, k, n, .. } = *self;
        assert!(a.len() >= m * k && b.len() >= k * n && out.len() >= m * n);
        // SAFETY: the factors and the result have these extents.
        unsafe {
            // Transposed, as the crate writes columns.
            gemm_f32::gemm::f32::get_gemm_fn()(
                n,
                m,
                k,
                out.as_mut_ptr(),
                n as isize,
                1,
                false,
                b.as_ptr(),
                b_row,
                b_column,
                a.as_ptr(),
                a_row,
                a_column,
                0.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }

    fn by_matrixmultiply(&self, a: &[f32], b: &[f32], out: &mut [f32]) {
        let [(a_row, a_column), (b_row, b_column)] = self.strides();
        let Self { m, k, n, .. } = *self;
        assert!(a.len() >= m * k && b.len() >= k * n && out.len() >= m * n);
        let (a, b, out) = (a.as_ptr(), b.as_ptr(), out.as_mut_ptr());
        // SAFETY: the factors and the result have these extents.
        unsafe {
            matrixmultiply::sgemm(
                m, k, n, 1.0, a, a_row, a_column, b, b_row, b_column, 0.0, out, n as isize, 1,
            );
        }
    }

    fn by_faer(&self, a: &[f32], b: &[f32], out: &mut [f32]) {
        let Self { m, k, n, turned } = *self;
        let matrix = |data, rows, columns, is_turned| match is_turned {
            true => MatRef::from_column_major_slice(data, rows, columns),
            false => MatRef::from_row_major_slice(data, rows, columns),
        };
        let (a, b) = (matrix(a, m, k, turned[0]), matrix(b, k, n, turned[1]));
        matmul(MatMut::from_row_major_slice_mut(out, m, n), Accum::Replace, a, b, 1.0, Par::Seq);
    }
}

/// The rate of one turn.
fn turn(case: Case, mut product: impl FnMut()) -> f64 {
    let operations = (2 * case.m * case.k * case.n) as f64;
    let times = (TURN / operations).ceil();
    let start = Instant::now();
    (0..times as usize).for_each(|_| product());
    times * operations / start.elapsed().as_secs_f64() / 1e9
}

fn main() {
    wengert::threads::set(1);
    println!(
        "{:>5}{:>6}{:>6}  {:6} {:>9}{:>9}{:>9}{:>9}",
        "rows", "terms", "cols", "form", "wengert", "gemm", "matrixm.", "faer"
    );
    for (m, k, n, what) in SHAPES {
        for (form, turned) in
            [("A B", [false; 2]), ("A B^T", [false, true]), ("A^T B", [true, false])]
        {
            let case = Case { m, k, n, turned };
            let rates = rates(case);
            print!("{m:>5}{k:>6}{n:>6}  {form:6} ");
            rates.iter().for_each(|rate| print!("{rate:>9.1}"));
            println!("  {}", if form == "A B" { what } else { "" });
        }
    }
}

fn record<'t>(
    tape: &'t Tape<f32>,
    a: &Tensor<f32>,
    b: &Tensor<f32>,
    turned: [bool; 2],
) -> Var<'t, f32> {
    let (a, b) = (tape.constant(a), tape.constant(b));
    match turned {
        [false, true] => a.matmul_transposed(b),
        [true, _] => a.transpose().matmul(b),
        _ => a.matmul(b),
    }
}

/// Wengert's, gemm's, matrixmultiply's and faer's.
fn rates(case: Case) -> [f64; 4] {
    let Case { m, k, n, turned } = case;
    let fill = |len: usize, seed: usize| -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed) % 1009) as f32 / 504.5 - 1.0).collect()
    };
    let (a, b) = (fill(m * k, 1), fill(k * n, 2));
    let mut tape = Tape::new();
    let tensor = |data: &[f32], rows, columns, is_turned| match is_turned {
        true => Tensor::new([columns, rows], data.to_vec()),
        false => Tensor::new([rows, columns], data.to_vec()),
    };
    let (left, right) = (tensor(&a, m, k, turned[0]), tensor(&b, k, n, turned[1]));
    let mut results = [(); 4].map(|()| vec![0.0; m * n]);
    let mut best = [0.0_f64; 4];
    for _ in 0..ROUNDS {
        let [own, by_gemm, by_matrixmultiply, by_faer] = &mut results;
        let now = [
            turn(case, || {
                tape.reset();
                record(&tape, &left, &right, turned);
            }),
            turn(case, || case.by_gemm(&a, &b, by_gemm)),
            turn(case, || case.by_matrixmultiply(&a, &b, by_matrixmultiply)),
            turn(case, || case.by_faer(&a, &b, by_faer)),
        ];
        tape.reset();
        own.copy_from_slice(&record(&tape, &left, &right, turned).value().to_vec());
        best.iter_mut().zip(now).for_each(|(best, now)| *best = best.max(now));
    }
    for other in &results[1..] {
        let agrees = |(x, y): (&f32, &f32)| (x - y).abs() <= 1e-4 * k as f32;
        assert!(results[0].iter().zip(other).all(agrees), "the libraries disagree");
    }
    best
}
