//! Convolutions of the shapes that image models meet: the rate of each and of its two adjoints, in
//! GFLOP/s as the definition counts them, for one thread or some.
//!
//! ```text
//! cargo run --release -p wengert-bench --bin convolutions -- 2
//! ```
//!
//! Each is a program of one operation. The least time of some runs counts.

use std::time::Instant;

use wengert::Program;
use wengert::op::Convolution;
use wengert::prelude::*;

/// Images, channels, extent of either side, features, taps of either side, stride.
const SHAPES: [[usize; 6]; 13] = [
    [32, 3, 32, 64, 3, 1],
    [32, 64, 32, 64, 3, 1],
    [32, 64, 32, 128, 3, 2],
    [32, 64, 32, 128, 1, 2],
    [32, 128, 16, 128, 3, 1],
    [32, 128, 16, 256, 3, 2],
    [32, 256, 8, 256, 3, 1],
    [32, 256, 8, 512, 3, 2],
    [32, 512, 4, 512, 3, 1],
    [1, 512, 4, 512, 3, 1],
    [8, 32, 64, 32, 3, 1],
    [8, 128, 16, 256, 3, 1],
    [100, 32, 16, 32, 5, 1],
];

/// Runs of which the least time counts.
const RUNS: usize = 7;

fn seconds(program: &mut Program<f32>) -> f64 {
    program.execute();
    let mut least = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        program.execute();
        least = least.min(start.elapsed().as_secs_f64());
    }
    least
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(1), |count| count.parse::<usize>())?;
    wengert::threads::set(threads);
    println!("images x channels x extent^2 -> features, taps^2, stride: GFLOP/s (ms) of");
    println!("{:42} {:>16} {:>16} {:>16}", "", "value", "input's adjoint", "weights'");
    for [images, channels, extent, features, taps, stride] in SHAPES {
        let numbers = |shape: [usize; 4]| {
            Tensor::from_fn(shape, |i| ((i * 7919 % 1009) as f32 / 504.5) - 1.0)
        };
        let tape = Tape::lazy();
        let x = tape.variable(numbers([images, channels, extent, extent]));
        let w = tape.variable(numbers([features, channels, taps, taps]));
        let y = x.conv2d(w, Convolution::default().stride(stride).padding(taps / 2));
        let seed = tape.variable(numbers([images, features, y.shape()[2], y.shape()[3]]));
        let [dx, dw] = [x, w].map(|operand| y.vjp(seed, &[operand])[0]);
        let work = 2 * y.shape().elements() * channels * taps * taps;
        let mut line =
            format!("{images} x {channels} x {extent}^2 -> {features}, {taps}^2, {stride}");
        line = format!("{line:42}");
        for output in [y, dx, dw] {
            let inputs = [x, w, seed];
            let mut program = tape.compile(&inputs, &[output])?;
            let seconds = seconds(&mut program);
            line += &format!(" {:7.1} ({:6.2})", work as f64 / seconds / 1e9, seconds * 1e3);
        }
        println!("{line}");
    }
    Ok(())
}
