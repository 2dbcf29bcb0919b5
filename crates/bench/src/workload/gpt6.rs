//! A training step of a small GPT (Radford et al., 2019): 6 blocks of width 384 with 6 heads, 8192
//! words, 4 sequences of 256 words, Adam. Pre-norm, the tanh form of GELU, learned positions, an
//! output layer of its own. 17,045,504 parameters.

use wengert::nn::optim::Moments;
use wengert::nn::random::MatlabRng;
use wengert::nn::{Embedding, LayerNorm, TransformerEncoderLayer};
use wengert::prelude::*;

use super::Workload;
use super::training::{Training, hashed, labels, trained};

pub(super) const ALL: [Workload; 3] = trained! { "gpt6": training(); };

const BATCH: usize = 4;
const LENGTH: usize = 256;
const WORDS: usize = 8192;
const WIDTH: usize = 384;
const HEADS: usize = 6;
const BLOCKS: usize = 6;

#[derive(Module)]
pub(super) struct Gpt {
    words: Embedding<f32>,
    positions: Param<f32>,
    blocks: Vec<TransformerEncoderLayer<f32>>,
    norm: LayerNorm<f32>,
    out: Linear<f32>,
}

impl Gpt {
    fn new() -> Self {
        let rng = &mut MatlabRng::new(0);
        let mut block = || {
            let layer = TransformerEncoderLayer::new(WIDTH, HEADS, 4 * WIDTH, rng);
            layer.norm_first().gelu_tanh().causal()
        };
        let blocks = (0..BLOCKS).map(|_| block()).collect();
        Self {
            words: Embedding::from_table(Tensor::zeros([WORDS, WIDTH])),
            positions: Param::new(Tensor::zeros([LENGTH, WIDTH])),
            blocks,
            norm: LayerNorm::new([WIDTH]),
            out: Linear::new(WIDTH, WORDS, rng),
        }
    }

    /// From words `[batch, length]` to scores `[batch * length, words]` of the next one.
    fn forward<'t>(&self, words: Var<'t, f32>) -> Var<'t, f32> {
        let x = self.words.forward(words) + self.positions.on(words.tape());
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.out.forward(self.norm.forward(x)).reshape([BATCH * LENGTH, WORDS])
    }
}

/// Words from the hash, as whole numbers.
fn words(shape: &[usize], seed: u32) -> Tensor<f32> {
    let words = labels(shape.iter().product(), WORDS, seed);
    Tensor::new(shape, words.into_iter().map(|word| word as f32).collect())
}

pub(super) fn training() -> Training<Gpt, Moments> {
    Training {
        model: hashed(Gpt::new(), 170),
        input: words(&[BATCH, LENGTH], 34),
        target: words(&[BATCH * LENGTH, 1], 35),
        loss: |model, x, next| -model.forward(x).log_softmax(-1).take_along_axis(1, next).mean(),
        optimiser: Adam::new(1e-3),
    }
}
