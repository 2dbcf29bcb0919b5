//! Models that others have trained give the numbers that others have computed, and their
//! derivatives are right.
//!
//! The numbers of Silero VAD come from onnxruntime (probabilities, last states) and NumPy
//! (layers). BERT's weights are too large for the repository; a small one of random weights, under
//! the published names, is held against plain loops, and `--example sentences -- --data` against
//! numbers from elsewhere.

use std::collections::HashMap;

use support::models::bert::{Bert, Sizes, embeddings};
use support::models::distance;
use support::models::silero::{Silero, chunks};
use wengert::nn::random::MatlabRng;
use wengert::nn::{check, weights};
use wengert::prelude::*;

fn data(name: &str) -> String {
    format!("{}/examples/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn silero() -> Silero {
    Silero::load(data("silero_vad.safetensors")).unwrap()
}

#[track_caller]
fn assert_near(name: &str, own: &Tensor<f64>, expected: &Tensor<f64>) {
    let difference = distance(own, expected);
    assert!(difference <= 1e-5, "{name} differs by {difference:e}");
}

#[test]
fn silero_vad_is_that_of_onnxruntime() {
    let expected = weights::load::<f64>(data("silero_vad_expected.safetensors")).unwrap();
    let recording = chunks(&expected["audio"]);
    let tape = Tape::new();
    let heard = silero().forward(tape.constant(recording), None);
    assert_near("probabilities", &heard.probabilities.value(), &expected["probabilities"]);
    let [h, c] = heard.states.map(|state| state.value());
    assert_near("h", &h, &expected["final_h"]);
    assert_near("c", &c, &expected["final_c"]);
}

#[test]
fn silero_vad_layer_by_layer() {
    let expected = weights::load::<f64>(data("silero_vad_expected.safetensors")).unwrap();
    let of = |name: &str| &expected[&format!("chunk12.{name}")];
    let tape = Tape::new();
    let states = ["h_in", "c_in"].map(|name| tape.constant(of(name).reshape([1, 1, 128])));
    let chunk = tape.constant(of("input").reshape([1, 576]));
    let heard = silero().forward(chunk, Some(states));
    for (name, value) in heard.layers {
        assert_near(name, &value.value(), of(name));
    }
    let [h, c] = heard.states.map(|state| state.value());
    assert_near("h_out", &h, of("h_out"));
    assert_near("c_out", &c, of("c_out"));
    assert_near("probability", &heard.probabilities.value(), of("probability"));
    // The chunk is also what the recording has there.
    let recorded = chunks(&expected["audio"]).slice(0, 12, 1, 1);
    assert_near("input", &recorded, of("input"));
}

/// With respect to the sound and every parameter, through two chunks.
#[test]
fn derivatives_of_silero_vad() {
    let expected = weights::load::<f64>(data("silero_vad_expected.safetensors")).unwrap();
    let recording = chunks(&expected["audio"]).slice(0, 11, 2, 1).contiguous();
    let report = check::module(&silero(), &recording, |model, x| {
        let heard = model.forward(x, None);
        let [h, c] = heard.states;
        heard.probabilities.sum() + (h * c).sum()
    });
    assert!(report.is_right(), "{report}");
}

const SIZES: Sizes =
    Sizes { vocabulary: 11, longest: 7, width: 6, hidden: 10, heads: 2, layers: 2 };

/// A small BERT's weights, named as Hugging Face's transformers do.
fn published() -> Vec<(String, Tensor<f64>)> {
    let Sizes { vocabulary, longest, width, hidden, .. } = SIZES;
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    let mut table = |name: &str, shape: &[usize]| shapes.push((name.to_owned(), shape.to_vec()));
    table("embeddings.position_ids", &[1, longest]);
    table("embeddings.word_embeddings.weight", &[vocabulary, width]);
    table("embeddings.position_embeddings.weight", &[longest, width]);
    table("embeddings.token_type_embeddings.weight", &[2, width]);
    let mut both = |name: String, shape: &[usize]| {
        table(&format!("{name}.weight"), shape);
        table(&format!("{name}.bias"), &shape[..1]);
    };
    both("embeddings.LayerNorm".into(), &[width]);
    for layer in 0..SIZES.layers {
        let mut both = |name: &str, shape: &[usize]| {
            both(format!("encoder.layer.{layer}.{name}"), shape);
        };
        for map in ["self.query", "self.key", "self.value", "output.dense"] {
            both(&format!("attention.{map}"), &[width, width]);
        }
        both("attention.output.LayerNorm", &[width]);
        both("intermediate.dense", &[hidden, width]);
        both("output.dense", &[width, hidden]);
        both("output.LayerNorm", &[width]);
    }
    both("pooler.dense".into(), &[width, width]);
    let mut rng = MatlabRng::new(7);
    let draw =
        |(name, shape): (String, Vec<usize>)| (name, Tensor::from_fn(shape, |_| rng.randn() * 0.7));
    shapes.into_iter().map(draw).collect()
}

const TOKENS: [[usize; 5]; 2] = [[3, 0, 10, 7, 7], [5, 1, 4, 0, 0]];
/// How many of them are there.
const LENGTHS: [usize; 2] = [5, 3];

fn tokens_and_mask() -> [Tensor<f64>; 2] {
    [
        Tensor::from_fn([2, 5], |i| TOKENS[i / 5][i % 5] as f64),
        Tensor::from_fn([2, 5], |i| if i % 5 < LENGTHS[i / 5] { 1.0 } else { 0.0 }),
    ]
}

/// BERT in loops, one text without what fills it up: the vectors after the tables and each layer.
fn in_loops(weights: &HashMap<String, Tensor<f64>>, tokens: &[usize]) -> Vec<Vec<Vec<f64>>> {
    let row = |name: &str, row: usize| -> Vec<f64> {
        (0..SIZES.width).map(|i| weights[name].at(&[row, i])).collect()
    };
    let map = |name: &str, x: &[f64]| -> Vec<f64> {
        let (weight, bias) =
            (&weights[&format!("{name}.weight")], &weights[&format!("{name}.bias")]);
        let product = |o| (0..x.len()).map(|i| weight.at(&[o, i]) * x[i]).sum::<f64>();
        (0..bias.len()).map(|o| product(o) + bias.at(&[o])).collect()
    };
    let normalised = |name: &str, x: &[f64]| -> Vec<f64> {
        let count = x.len() as f64;
        let mean = x.iter().sum::<f64>() / count;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let of = |part: &str, i| weights[&format!("{name}.{part}")].at(&[i]);
        let one = |i| (x[i] - mean) / (variance + 1e-12).sqrt() * of("weight", i) + of("bias", i);
        (0..x.len()).map(one).collect()
    };
    let add = |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x + y).collect() };

    let of_tables = |(place, &token): (usize, &usize)| {
        let word = row("embeddings.word_embeddings.weight", token);
        let place = row("embeddings.position_embeddings.weight", place);
        let part = row("embeddings.token_type_embeddings.weight", 0);
        normalised("embeddings.LayerNorm", &add(&add(&word, &place), &part))
    };
    let mut x: Vec<Vec<f64>> = tokens.iter().enumerate().map(of_tables).collect();
    let mut values = vec![x.clone()];
    let head = SIZES.width / SIZES.heads;
    for layer in 0..SIZES.layers {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let maps = |part: &str| -> Vec<Vec<f64>> {
            x.iter().map(|x| map(&name(&format!("attention.self.{part}")), x)).collect()
        };
        let [q, k, v] = ["query", "key", "value"].map(maps);
        let mixed = |time: usize, i: usize| {
            let own = i / head * head..i / head * head + head;
            let score = |other: usize| {
                let product: f64 = own.clone().map(|i| q[time][i] * k[other][i]).sum();
                (product / (head as f64).sqrt()).exp()
            };
            let all: f64 = (0..x.len()).map(score).sum();
            (0..x.len()).map(|other| score(other) / all * v[other][i]).sum::<f64>()
        };
        x = (0..x.len())
            .map(|time| {
                let mixed: Vec<f64> = (0..SIZES.width).map(|i| mixed(time, i)).collect();
                let attended = map(&name("attention.output.dense"), &mixed);
                let y = normalised(&name("attention.output.LayerNorm"), &add(&x[time], &attended));
                let hidden = map(&name("intermediate.dense"), &y);
                let hidden: Vec<f64> = hidden.into_iter().map(gelu).collect();
                let z = add(&y, &map(&name("output.dense"), &hidden));
                normalised(&name("output.LayerNorm"), &z)
            })
            .collect();
        values.push(x.clone());
    }
    values
}

/// `x (1 + erf(x / sqrt(2))) / 2`, with the error function by its series.
fn gelu(x: f64) -> f64 {
    let y = x / 2_f64.sqrt();
    let mut term = y;
    let mut sum = y;
    for n in 1..200 {
        term *= -y * y / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    x * (0.5 + sum / std::f64::consts::PI.sqrt())
}

#[test]
fn bert_is_what_the_loops_say() {
    let published = published();
    let model = Bert::from_state(SIZES, published.clone()).unwrap();
    let tape = Tape::new();
    let [tokens, mask] = tokens_and_mask().map(|tensor| tape.constant(tensor));
    let values = model.forward(tokens, mask);
    let vectors = embeddings(values[SIZES.layers], mask).value();
    let published = published.into_iter().collect();
    for (text, (tokens, length)) in TOKENS.iter().zip(LENGTHS).enumerate() {
        let expected = in_loops(&published, &tokens[..length]);
        assert_eq!(values.len(), expected.len());
        for (own, expected) in values.iter().zip(&expected) {
            let own = own.value().slice(0, text, 1, 1).slice(1, 0, length, 1);
            let difference = distance(&own, &Tensor::new([length, SIZES.width], expected.concat()));
            assert!(difference < 1e-12, "text {text} differs by {difference:e}");
        }
        let last = &expected[SIZES.layers];
        let mean = |i: usize| last.iter().map(|x| x[i]).sum::<f64>() / length as f64;
        let size = (0..SIZES.width).map(|i| mean(i).powi(2)).sum::<f64>().sqrt();
        let expected = Tensor::from_fn([SIZES.width], |i| mean(i) / size);
        assert!(distance(&vectors.slice(0, text, 1, 1), &expected) < 1e-12);
    }
}

#[test]
fn derivatives_of_bert() {
    let model = Bert::from_state(SIZES, published()).unwrap();
    let [tokens, mask] = tokens_and_mask();
    // The input says what each number of the vectors counts.
    let factors = Tensor::from_fn([2, SIZES.width], |i| (i as f64).cos());
    let report = check::module(&model, &factors, |model, factors| {
        let tape = factors.tape();
        let mask = tape.constant(&mask);
        let values = model.forward(tape.constant(&tokens), mask);
        (embeddings(values[SIZES.layers], mask) * factors).sum()
    });
    assert!(report.is_right(), "{report}");
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let lacking =
        published().into_iter().filter(|(name, _)| !name.contains("1.attention.self.key"));
    let error = Bert::from_state(SIZES, lacking).err().unwrap().to_string();
    assert!(error.contains("layers.1.self_attn.in_proj_weight"), "{error}");
}
