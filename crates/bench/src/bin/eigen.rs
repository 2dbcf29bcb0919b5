//! Eigenvalues and eigenvectors of symmetric matrices, by Wengert and by the libraries that it could
//! have been built on: the seconds of each on one thread, and the residual of each.
//!
//! ```text
//! cargo run --release -p wengert-bench --features libraries --bin eigen -- [LARGEST]
//! ```
//!
//! The residual is `max |A V - V diag(l)|` by a plain loop, in units of the machine's epsilon times
//! `max |l|`: the vectors of all three are right up to a factor of the size.

use std::time::Instant;

use faer::{MatRef, Par, Side};
use nalgebra::{DMatrix, SymmetricEigen};
use wengert::prelude::*;

/// Rows, each up to the largest that is wanted.
const SIZES: [usize; 8] = [31, 64, 65, 256, 512, 1024, 2048, 3072];
/// The largest of them, if none is told.
const LARGEST: usize = 1024;

/// Eigenvalues, and the eigenvectors as columns, row by row.
type Pairs = (Vec<f64>, Vec<f64>);

fn by_wengert(n: usize, a: &[f64]) -> Pairs {
    let tape = Tape::new();
    let (values, vectors) = tape.constant(&Tensor::new([n, n], a.to_vec())).eigh();
    (values.value().to_vec(), vectors.value().to_vec())
}

fn by_faer(n: usize, a: &[f64]) -> Pairs {
    let pairs = MatRef::from_row_major_slice(a, n, n).self_adjoint_eigen(Side::Lower);
    let pairs = pairs.expect("it converges");
    let vectors = (0..n * n).map(|i| pairs.U()[(i / n, i % n)]);
    (pairs.S().column_vector().iter().copied().collect(), vectors.collect())
}

fn by_nalgebra(n: usize, a: &[f64]) -> Pairs {
    let SymmetricEigen { eigenvectors, eigenvalues } =
        DMatrix::from_row_slice(n, n, a).symmetric_eigen();
    (eigenvalues.as_slice().to_vec(), eigenvectors.transpose().as_slice().to_vec())
}

/// `max |A V - V diag(l)| / (epsilon max |l|)`.
fn residual(n: usize, a: &[f64], (values, vectors): &Pairs) -> f64 {
    let mut largest = 0.0_f64;
    let mut row = vec![0.0; n];
    for i in 0..n {
        for (j, entry) in row.iter_mut().enumerate() {
            *entry = -vectors[i * n + j] * values[j];
        }
        for k in 0..n {
            for (entry, vector) in row.iter_mut().zip(&vectors[k * n..]) {
                *entry += a[i * n + k] * vector;
            }
        }
        largest = row.iter().fold(largest, |largest, entry| largest.max(entry.abs()));
    }
    let scale = values.iter().fold(0.0_f64, |scale, value| scale.max(value.abs()));
    largest / (f64::EPSILON * scale)
}

fn main() {
    let largest = std::env::args().nth(1).map_or(LARGEST, |size| {
        size.parse().unwrap_or_else(|_| panic!("the largest number of rows, not {size}"))
    });
    wengert::threads::set(1);
    faer::set_global_parallelism(Par::Seq);
    let ways: [(&str, fn(usize, &[f64]) -> Pairs); 3] =
        [("wengert", by_wengert), ("faer", by_faer), ("nalgebra", by_nalgebra)];
    println!("{:>5}  {:9}{:>10}{:>10}", "rows", "", "seconds", "residual");
    for n in SIZES.into_iter().filter(|&n| n <= largest) {
        let entry = |i: usize, j: usize| ((i * j * 7919 + i + j) % 1009) as f64 / 504.5 - 1.0;
        let a: Vec<f64> = (0..n * n).map(|i| entry(i / n, i % n)).collect();
        for (name, way) in ways {
            let start = Instant::now();
            let pairs = way(n, &a);
            let seconds = start.elapsed().as_secs_f64();
            println!("{n:>5}  {name:9}{seconds:>10.4}{:>10.1}", residual(n, &a, &pairs));
        }
    }
}
