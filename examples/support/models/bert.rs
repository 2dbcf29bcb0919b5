//! BERT (Devlin et al., 2019), and the mean of its vectors as what a sentence means
//! (Reimers and Gurevych, 2019).
//!
//! It is an encoder of transformer layers, which normalise after their sums, over the sum of three
//! tables: of a token, of its place, and of the part of the text, which is here always the
//! first. Published weights have the names of Hugging Face's transformers, where queries, keys
//! and values are maps of their own; [`Bert::from_state`] brings them to the nn crate's.

use wengert::Shape;
use wengert::nn::layer::AttentionMask;
use wengert::nn::random::MatlabRng;
use wengert::nn::{Embedding, LayerNorm, LearnedPositions, StateError, TransformerEncoderLayer};
use wengert::prelude::*;

/// What is added to a variance.
const EPSILON: f64 = 1e-12;

/// The sizes of a model.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Different tokens.
    pub vocabulary: usize,
    /// Tokens of a text, at most.
    pub longest: usize,
    /// Numbers of a vector.
    pub width: usize,
    /// Numbers between the two maps of a layer.
    pub hidden: usize,
    pub heads: usize,
    pub layers: usize,
}

/// The model `all-MiniLM-L6-v2`.
pub const MINI_LM: Sizes =
    Sizes { vocabulary: 30_522, longest: 512, width: 384, hidden: 1536, heads: 12, layers: 6 };

/// The model.
#[derive(Module)]
pub struct Bert {
    words: Embedding<f64>,
    places: LearnedPositions<f64>,
    parts: Embedding<f64>,
    norm: LayerNorm<f64>,
    layers: Vec<TransformerEncoderLayer<f64>>,
}

/// Parts of published names and what stands for them here, in the order of replacement.
const NAMES: [(&str, &str); 10] = [
    ("embeddings.word_embeddings.", "words."),
    ("embeddings.position_embeddings.", "places."),
    ("embeddings.token_type_embeddings.", "parts."),
    ("embeddings.LayerNorm.", "norm."),
    ("encoder.layer.", "layers."),
    ("attention.output.dense.", "self_attn.out_proj."),
    ("attention.output.LayerNorm.", "norm1."),
    ("intermediate.dense.", "linear1."),
    ("output.dense.", "linear2."),
    ("output.LayerNorm.", "norm2."),
];

impl Bert {
    /// A model with the weights of a state. Its `pooler`, which other tasks want, and its list
    /// `position_ids` are left out.
    ///
    /// # Errors
    /// If a weight is missing, unknown, or of another shape.
    pub fn from_state(
        sizes: Sizes,
        state: impl IntoIterator<Item = (String, Tensor<f64>)>,
    ) -> Result<Self, StateError> {
        let Sizes { vocabulary, longest, width, hidden, heads, layers } = sizes;
        let rng = &mut MatlabRng::new(1);
        let mut model = Self {
            words: Embedding::new(vocabulary, width, rng),
            places: LearnedPositions::new(longest, width, rng),
            parts: Embedding::new(2, width, rng),
            norm: LayerNorm::new([width]).epsilon(EPSILON),
            layers: (0..layers)
                .map(|_| {
                    TransformerEncoderLayer::new(width, heads, hidden, rng).gelu().epsilon(EPSILON)
                })
                .collect(),
        };
        let mut state: Vec<(String, Tensor<f64>)> = state
            .into_iter()
            .filter(|(name, _)| !name.starts_with("pooler.") && name != "embeddings.position_ids")
            .map(|(name, value)| (own_name(name), value))
            .collect();
        // Queries, keys and values are one parameter, in this order.
        for layer in 0..layers {
            for kind in ["weight", "bias"] {
                let parts = ["query", "key", "value"].map(|part| {
                    let name = format!("layers.{layer}.attention.self.{part}.{kind}");
                    let place = state.iter().position(|(other, _)| *other == name);
                    place.map(|place| state.swap_remove(place).1)
                });
                // What is missing is missed when the model is loaded.
                if let [Some(q), Some(k), Some(v)] = parts {
                    let rows = 3 * q.shape()[0];
                    let shape: Shape =
                        [rows].into_iter().chain(q.shape()[1..].iter().copied()).collect();
                    let joined = [q, k, v].map(|part| part.to_vec()).concat();
                    let name = format!("layers.{layer}.self_attn.in_proj_{kind}");
                    state.push((name, Tensor::new(shape, joined)));
                }
            }
        }
        model.load_state_dict(&state.into_iter().collect())?;
        Ok(model)
    }

    /// What texts become, `[texts, time, width]`: of the tables, and after each layer. Tokens
    /// and mask are `[texts, time]`; the mask is 0 where a text was filled up, and else 1.
    #[track_caller]
    pub fn forward<'t>(&self, tokens: Var<'t, f64>, mask: Var<'t, f64>) -> Vec<Var<'t, f64>> {
        let part = self.parts.lookup(tokens.tape(), &[0]);
        let x = self.places.forward(self.words.forward(tokens) + part);
        let mut values = vec![self.norm.forward(x)];
        for layer in &self.layers {
            let x = values[values.len() - 1];
            values.push(layer.forward_masked(x, &[AttentionMask::Keys(1.0 - mask)]));
        }
        values
    }
}

/// The mean of each text's vectors, `[texts, time, width]`, where the mask is not 0, with length 1.
#[track_caller]
pub fn embeddings<'t>(vectors: Var<'t, f64>, mask: Var<'t, f64>) -> Var<'t, f64> {
    // The length of the sum is divided out, and so would be their number.
    let sum = (vectors * mask.unsqueeze(2)).sum_over(1);
    sum / sum.norm(1).unsqueeze(1)
}

/// What a published name is called here.
fn own_name(name: String) -> String {
    NAMES.iter().fold(name, |name, (other, own)| name.replacen(other, own, 1))
}
