//! Newton's method for a partial differential equation, with a sparse Jacobian.
//!
//! Bratu's problem, a model of combustion: `-u'' = lambda exp(u)` on the unit square,
//! with `u = 0` on its border. On a grid of `n` by `n` points it becomes `n^2` equations
//! `F(u) = 0`, each of which knows a point and its four neighbours. Newton's method wants
//! the Jacobian of `F`, which has `n^4` numbers, nearly all of them 0.
//!
//! Nobody tells the program so. It records `F` once, finds which equation depends on which
//! point, and colours the columns such that those of one colour share no row. One product
//! with a vector of zeros and ones then gives all columns of a colour: a handful of
//! products for any `n`. Compiled, they cost about as much as that number of evaluations of `F`.
//!
//! ```text
//! cargo run --release --example sparse_jacobian
//! ```
//!
//! The picture shows the Jacobian of a small grid, each column in its colour.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use support::{figures, options};
use wengert::prelude::*;
use wengert::sparse::{Jacobian, Matrix};

/// Solves Bratu's problem by Newton's method with a sparse Jacobian.
#[derive(Parser)]
struct Options {
    /// Points of the grid along each side
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=1000))]
    points: u32,
    /// The parameter lambda; beyond 6.8 there is no solution
    #[arg(long, default_value_t = 6.0, value_parser = options::finite)]
    lambda: f64,
    /// Where the picture goes
    #[arg(long, default_value = "target/sparse_jacobian", value_parser = options::folder)]
    out: PathBuf,
}

/// The residual at each point of the grid, times the square of its width.
fn residual<'t>(u: Var<'t, f64>, lambda: f64) -> Var<'t, f64> {
    let n = u.shape()[0];
    let width = 1.0 / (n + 1) as f64;
    // The neighbours on both sides along an axis; beyond the border there are zeros.
    let beside = |axis| u.slice(axis, 1..).pad(axis, 0, 1) + u.slice(axis, ..n - 1).pad(axis, 1, 0);
    4.0 * u - beside(0) - beside(1) - u.exp() * (lambda * width * width)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves a system with a symmetric positive definite matrix by conjugate gradients, to
/// a residual of `tolerance`.
fn conjugate_gradients(matrix: &Matrix<f64>, right: &[f64], tolerance: f64) -> Vec<f64> {
    let mut x = vec![0.0; right.len()];
    let (mut residual, mut direction) = (right.to_vec(), right.to_vec());
    let mut square = dot(&residual, &residual);
    while square > tolerance * tolerance {
        let image = matrix.product(&direction);
        let step = square / dot(&direction, &image);
        for i in 0..x.len() {
            x[i] += step * direction[i];
            residual[i] -= step * image[i];
        }
        let next = dot(&residual, &residual);
        for (direction, residual) in direction.iter_mut().zip(&residual) {
            *direction = residual + next / square * *direction;
        }
        square = next;
    }
    x
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { points, lambda, out } = Options::parse();
    let n = points as usize;
    let f = func(move |u| residual(u, lambda));

    // Pattern and colours, once.
    let mut u = Tensor::zeros([n, n]);
    let start = Instant::now();
    let mut jacobian = Jacobian::of(f, &u);
    let found = start.elapsed();
    let (pattern, colours) = (jacobian.pattern(), jacobian.colouring().count());
    println!(
        "{0} equations of {0} unknowns: {1} entries of {2}",
        n * n,
        pattern.entries(),
        n.pow(4)
    );
    println!("{colours} products instead of {}; found in {found:.1?}", n * n);

    // The products, compiled.
    let mut jacobian = jacobian.compile(&u)?;
    let mut values = compile(f, &u)?;
    println!("\nstep    |F|         max u      Jacobian");
    for step in 0..20 {
        let value = values.run(&u)[0].to_vec();
        let norm = dot(&value, &value).sqrt();
        let start = Instant::now();
        let matrix = jacobian.at(&u);
        let taken = start.elapsed();
        let largest = u.iter().fold(0.0, f64::max);
        println!("{step:>4}    {norm:<9.2e}   {largest:<8.6}   {taken:.1?}");
        if norm < 1e-11 * n as f64 {
            break;
        }
        let correction = conjugate_gradients(matrix, &value, 1e-8 * norm);
        u = Tensor::new([n, n], u.iter().zip(correction).map(|(u, d)| u - d).collect());
    }

    let small = Jacobian::of(f, &Tensor::zeros([8, 8]));
    let (pattern, colours) = (small.pattern(), small.colouring());
    figures::derivatives::coloured_matrix(&out, "pattern", 64, pattern.iter(), colours.colours())?;
    println!("\nthe Jacobian of an 8 x 8 grid, in {} colours: {}", colours.count(), out.display());
    Ok(())
}
