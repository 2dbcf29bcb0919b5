//! The gradient of attention, by the op and by composed operations: recorded, on one thread.
//!
//! ```text
//! cargo run --release -p wengert-bench --bin attention
//! ```
//!
//! Both take turns, and medians count. Layers choose between them by the number of keys.

use std::hint::black_box;
use std::time::Instant;

use wengert::op::Attention;
use wengert::prelude::*;
use wengert::threads;

/// Heads, and as many queries as keys. All are of width 64.
const SHAPES: [[usize; 2]; 9] =
    [[64, 16], [64, 32], [64, 48], [64, 64], [64, 96], [64, 128], [16, 256], [4, 1024], [2, 2048]];
const WIDTH: usize = 64;
const TURNS: usize = 21;

type Heads<'t> = [Var<'t, f32>; 3];

fn by_op<'t>([q, k, v]: Heads<'t>, op: Attention) -> Var<'t, f32> {
    q.attention(k, v, op)
}

fn composed<'t>([q, k, v]: Heads<'t>, op: Attention) -> Var<'t, f32> {
    op.masked(q.matmul_transposed(k) * op.scale as f32).softmax(-1).matmul(v)
}

/// The microseconds of a gradient.
fn time(
    tape: &mut Tape<f32>,
    heads: &[Tensor<f32>; 3],
    f: impl for<'t> Fn(Heads<'t>) -> Var<'t, f32>,
) -> f64 {
    tape.reset();
    let start = Instant::now();
    let inputs = heads.each_ref().map(|x| tape.variable(x));
    let gradients = f(inputs).square().sum().backward();
    black_box(inputs.map(|x| gradients.wrt(x)));
    start.elapsed().as_secs_f64() * 1e6
}

fn main() {
    threads::set(1);
    println!(
        "| sees | heads | keys | op, µs | composed, µs | ratio |\n| --- | --- | --- | --- | --- | --- |"
    );
    for causal in [true, false] {
        let op = Attention { scale: 1.0 / (WIDTH as f64).sqrt(), causal };
        for [count, keys] in SHAPES {
            let number = |i: usize, seed: usize| ((i * 7919 + seed) % 1000) as f32 / 500.0 - 1.0;
            let heads =
                [1, 2, 3].map(|seed| Tensor::from_fn([count, keys, WIDTH], |i| number(i, seed)));
            let mut tapes = [Tape::new(), Tape::new()];
            let mut times = [Vec::new(), Vec::new()];
            // The first turns record what later ones follow.
            for turn in 0..TURNS + 2 {
                let own = time(&mut tapes[0], &heads, |heads| by_op(heads, op));
                let other = time(&mut tapes[1], &heads, |heads| composed(heads, op));
                if turn >= 2 {
                    times[0].push(own);
                    times[1].push(other);
                }
            }
            times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
            let [own, other] = times.map(|times| times[TURNS / 2]);
            let sees = if causal { "what came before" } else { "all" };
            println!("| {sees} | {count} | {keys} | {own:.0} | {other:.0} | {:.2} |", own / other);
        }
    }
}
