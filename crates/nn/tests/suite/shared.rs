//! The gradient of a layer's parameters for a batch is the sum of those of single samples, at
//! batches around the constants of the sums. The sum is a plain loop.

use wengert_core::{Tape, Tensor, Var};
use wengert_nn::random::MatlabRng;
use wengert_nn::*;

const BATCHES: [usize; 5] = [1, 31, 32, 33, 65];

fn samples(from: usize, count: usize, shape: &[usize]) -> Tensor<f64> {
    let each: usize = shape.iter().product();
    let shape = [&[count], shape].concat();
    Tensor::from_fn(shape, |i| 1.5 * (1.1 * (i + from * each) as f64 + 0.3).sin())
}

/// A loss that is a sum over samples, each with weights of its own.
fn loss(y: Var<'_, f64>, from: usize) -> Var<'_, f64> {
    let each = y.elements() / y.shape()[0];
    let weight = |i| 1.0 + (0.9 * (i + from * each) as f64).cos() / 2.0;
    let weights = Tensor::from_fn(y.shape(), weight);
    (y.square() * y.tape().constant(weights)).sum()
}

/// Compares the gradient for batches of inputs of the given shape.
fn by_a_batch<L: Layer<f64>>(name: &str, net: L, shape: &[usize]) {
    let gradient = |from: usize, count: usize| {
        let tape = Tape::new();
        let y = net.forward(tape.constant(samples(from, count, shape)));
        net.gradient_vector(&loss(y, from).backward())
    };
    let single: Vec<Vec<f64>> = (0..BATCHES[4]).map(|sample| gradient(sample, 1)).collect();
    for count in BATCHES {
        for (i, found) in gradient(0, count).into_iter().enumerate() {
            let terms = || single[..count].iter().map(|gradient| gradient[i]);
            let (sum, size) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
            assert!(
                (found - sum).abs() <= 1e-12 * (1.0 + size),
                "{name}, {count} samples: got {found}, expected {sum} for number {i}"
            );
        }
    }
}

#[test]
fn by_every_layer_with_parameters() {
    let rng = &mut MatlabRng::new(1);
    by_a_batch("Linear", Linear::new(3, 2, rng), &[3]);
    by_a_batch("Linear of sequences", Linear::new(3, 2, rng), &[2, 3]);
    by_a_batch("Conv2d", Conv2d::new(2, 3, 3, rng).padding(1), &[2, 5, 4]);
    by_a_batch("Conv2d of many channels", Conv2d::new(16, 16, 3, rng).padding(1), &[16, 4, 5]);
    by_a_batch("ConvTranspose2d", ConvTranspose2d::new(2, 3, 2, rng).stride(2), &[2, 2, 3]);
    by_a_batch("LayerNorm", LayerNorm::new([4]), &[4]);
    by_a_batch("LayerNorm over two axes", LayerNorm::new([3, 4]), &[3, 4]);
    by_a_batch("RmsNorm", RmsNorm::new([4]), &[3, 4]);
    by_a_batch("RmsNorm over two axes", RmsNorm::new([3, 4]), &[3, 4]);
    by_a_batch("GroupNorm", GroupNorm::new(2, 4), &[4, 3]);
    by_a_batch("InstanceNorm", InstanceNorm::affine(3), &[3, 4]);
    by_a_batch("BatchNorm in evaluation", BatchNorm::new(3), &[3, 4]);
    by_a_batch("Prelu", Prelu::new(3), &[3, 2]);
    by_a_batch("LearnedPositions", LearnedPositions::new(5, 4, rng), &[5, 4]);
    by_a_batch("Rnn", Rnn::new(3, 2, rng), &[4, 3]);
    by_a_batch("Lstm", Lstm::bidirectional(3, 3, 2, rng).projected(2, rng), &[4, 3]);
    by_a_batch("Gru", Gru::new(3, 2, rng), &[4, 3]);
    by_a_batch("MultiHeadAttention", MultiHeadAttention::new(4, 2, rng).causal(), &[3, 4]);
    let block = TransformerEncoderLayer::new(4, 2, 6, rng).gelu();
    by_a_batch("TransformerEncoderLayer", block, &[3, 4]);
    let net = sequential![Linear::new(3, 4, rng), Residual(Linear::new(4, 4, rng)), Tanh];
    by_a_batch("Sequential", net, &[2, 3]);
}

#[test]
fn by_an_embedding_and_a_bilinear_form() {
    let rng = &mut MatlabRng::new(1);
    let table = Embedding::<f64>::new(5, 3, rng);
    for count in BATCHES {
        // The indices 0, 1, 2, ... in turn: a row's gradient counts how often it is looked up.
        let indices: Vec<usize> = (0..count).map(|i| i % 5).collect();
        let tape = Tape::new();
        let gradient = table.gradient_vector(&table.lookup(&tape, &indices).sum().backward());
        for (i, found) in gradient.into_iter().enumerate() {
            let times = indices.iter().filter(|&&index| index == i / 3).count();
            assert_eq!(found, times as f64, "{count} indices, number {i}");
        }
    }
    let form = Bilinear::new(2, 3, 2, rng);
    for count in BATCHES {
        let gradient = |from: usize, count: usize| {
            let tape = Tape::new();
            let [x, y] = [2, 3].map(|width| tape.constant(samples(from, count, &[width])));
            form.gradient_vector(&loss(form.forward(x, y), from).backward())
        };
        let mut sum = vec![0.0; form.parameter_count()];
        for sample in 0..count {
            for (sum, x) in sum.iter_mut().zip(gradient(sample, 1)) {
                *sum += x;
            }
        }
        for (found, sum) in gradient(0, count).into_iter().zip(sum) {
            assert!((found - sum).abs() <= 1e-11 * (1.0 + sum.abs()), "{count}: {found}, {sum}");
        }
    }
}
