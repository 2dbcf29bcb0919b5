//! Tuning by gradient: the derivative of a solution, without a look at its solver.
//!
//! Ridge regression fits noisy samples of a curve with a polynomial, and a parameter
//! says how much its coefficients are held down: too little follows the noise, too much
//! misses the curve. The best parameter is the one with which samples that were held
//! back are met best. So the cost is a function of a minimiser: the inner problem finds
//! the coefficients, the outer one the parameter, by steps along a gradient
//! that goes through the inner solution.
//!
//! That solution is found by whatever solver there is, here many rounds of coordinate
//! descent. Its derivative knows nothing of them: by the implicit function theorem it is the
//! solution of one linear system.
//!
//! ```text
//! cargo run --release --example implicit
//! ```

use wengert::minimiser;
use wengert::prelude::*;

const DEGREE: usize = 9;

/// Powers of the samples' places.
fn powers(places: impl Fn(usize) -> f64, count: usize) -> Tensor<f64> {
    Tensor::from_fn([count, DEGREE], |i| places(i / DEGREE).powi((i % DEGREE) as i32))
}

fn main() {
    // A curve, sampled with noise that is always the same.
    let curve = |x: f64| (3.0 * x).sin();
    let noise = |i: usize| 0.3 * ((i * i) as f64 * 12.9898).sin();
    let (place, place_back) = (|i| i as f64 / 12.0 - 0.97, |i| i as f64 / 15.0 - 0.95);
    let (known, held_back) = (powers(place, 24), powers(place_back, 29));
    let samples = Tensor::from_fn([24], |i| curve(place(i)) + noise(i));
    let samples_back = Tensor::from_fn([29], |i| curve(place_back(i)) + noise(i + 100));

    // Coordinate descent on |A w - y|^2 + exp(s) |w|^2: one coefficient after the other.
    let (a, y) = (known.clone(), samples.clone());
    let solve = move |[s]: &[Tensor<f64>; 1]| {
        let weight = s.item().exp();
        let mut w = [0.0; DEGREE];
        let mut residual = y.to_vec();
        for _ in 0..20_000 {
            for (j, w) in w.iter_mut().enumerate() {
                let column = |i: usize| a.at(&[i, j]);
                let along: f64 = (0..24).map(|i| column(i) * residual[i]).sum();
                let square: f64 = (0..24).map(|i| column(i).powi(2)).sum();
                let step = (along - weight * *w) / (square + weight);
                *w += step;
                (0..24).for_each(|i| residual[i] -= step * column(i));
            }
        }
        Tensor::from(w)
    };
    let outer = func(|s| {
        let (solve, known, samples) = (solve.clone(), known.clone(), samples.clone());
        let fit = minimiser(
            solve,
            move |w, [s]| {
                let tape = w.tape();
                let misfit = tape.constant(&known).matmul(w) - tape.constant(&samples);
                misfit.square().sum() + s.exp() * w.square().sum()
            },
            [s],
        );
        let tape = s.tape();
        (tape.constant(&held_back).matmul(fit) - tape.constant(&samples_back)).square().mean()
    });

    println!("step   weight      cost of what was held back   derivative");
    let mut s = 2.0;
    for step in 0..12 {
        let (cost, slope) = value_and_grad(outer, &Tensor::from(s));
        println!("{step:>4}   {:<9.3e}   {cost:<26.8}   {:.3e}", f64::exp(s), slope.item());
        s -= 20.0 * slope.item();
    }
}
