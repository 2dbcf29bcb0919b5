//! Attention: the function beside plain loops, heads and transformer layers beside PyTorch's.

use wengert_core::{Tape, Tensor, check};
use wengert_nn::Module;
use wengert_nn::layer::*;

use crate::agreement::{agrees, input_value};
use crate::layers::{layer, rng};
use crate::mistakes::message;

/// `softmax(Q K^T / sqrt(width) + mask) V` of the heads of a batch, by loops.
fn by_loops([q, k, v]: [&Tensor<f64>; 3], mask: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let [heads, queries, width] = q.shape()[..] else { unreachable!() };
    let (keys, outputs) = (k.shape()[1], v.shape()[2]);
    let mut all = Vec::new();
    for head in 0..heads {
        for query in 0..queries {
            let score = |key: usize| {
                let dot: f64 =
                    (0..width).map(|c| q.at(&[head, query, c]) * k.at(&[head, key, c])).sum();
                (dot / (width as f64).sqrt() + mask(query, key)).exp()
            };
            let sum: f64 = (0..keys).map(score).sum();
            for output in 0..outputs {
                let of = |key: usize| score(key) * v.at(&[head, key, output]);
                let mixed: f64 = (0..keys).map(of).sum();
                all.push(if sum == 0.0 { 0.0 } else { mixed / sum });
            }
        }
    }
    all
}

#[test]
fn attention_is_a_plain_loop() {
    for [queries, keys, width, outputs] in
        [[1, 1, 1, 1], [3, 5, 4, 2], [4, 2, 1, 3], [17, 33, 8, 9]]
    {
        let tensor = |shape: [usize; 3], i| input_value(shape.into(), i);
        let (q, k) = (tensor([2, queries, width], 0), tensor([2, keys, width], 1));
        let v = tensor([2, keys, outputs], 2);
        // The first query sees nothing, the others not the first key.
        let added = |query: usize, key: usize| match (query, key) {
            (0, _) | (_, 0) => f64::NEG_INFINITY,
            _ => (query as f64 - key as f64).sin(),
        };
        let tape = Tape::new();
        let mask = Tensor::from_fn([queries, keys], |at| added(at / keys, at % keys));
        let [vars, plain] = [Some(tape.constant(mask)), None].map(|mask| {
            attention(tape.constant(&q), tape.constant(&k), tape.constant(&v), mask).value()
        });
        for (value, expected) in
            [(vars, by_loops([&q, &k, &v], added)), (plain, by_loops([&q, &k, &v], |_, _| 0.0))]
        {
            assert_eq!(value.shape()[..], [2, queries, outputs]);
            for (value, expected) in value.iter().zip(expected) {
                assert!((value - expected).abs() < 1e-13, "{value} and not {expected}");
            }
        }
        check::gradient(|[q, k, v]| attention(q, k, v, None).sin().sum(), [&q, &k, &v]).assert();
    }
}

/// Of few keys, whose scores are all held, and of many.
#[test]
fn causal_attention_is_a_plain_loop() {
    for [queries, keys] in
        [[1, 1], [5, 3], [64, 64], [65, 65], [3, 65], [130, 100], [3, 256], [3, 257], [20, 300]]
    {
        let tensor = |rows: usize, i| input_value([2, rows, 6].into(), i);
        let [q, k, v] = [tensor(queries, 0), tensor(keys, 1), tensor(keys, 2)];
        let tape = Tape::new();
        let [x, y, z] = [&q, &k, &v].map(|x| tape.constant(x));
        let later = |query: usize, key: usize| if key > query { f64::NEG_INFINITY } else { 0.0 };
        for (value, expected) in [
            (causal_attention(x, y, z), by_loops([&q, &k, &v], later)),
            (attention(x, y, z, None), by_loops([&q, &k, &v], |_, _| 0.0)),
        ] {
            for (value, expected) in value.value().iter().zip(expected) {
                assert!((value - expected).abs() < 1e-13, "{value} and not {expected}");
            }
        }
    }
    let [q, k, v] = [0, 1, 2].map(|i| input_value([1, 70, 3].into(), i));
    check::gradient(|[q, k, v]| causal_attention(q, k, v).sin().sum(), [&q, &k, &v]).assert();
}

/// Heads that hold the scores of a few queries have the values and gradients of those that hold all,
/// as they do where there is a mask; recorded and compiled.
#[test]
fn long_sequences_have_the_gradients_of_short_ones() {
    for (time, is_causal) in [(100, true), (270, false)] {
        let made = MultiHeadAttention::<f64>::new(6, 2, &mut rng());
        let layer = if is_causal { made.causal() } else { made };
        let x = input_value([2, time, 6].into(), 0);
        let by = |masks: bool| {
            let tape = Tape::new();
            let input = tape.variable(&x);
            let nothing = AttentionMask::Pairs(tape.constant(Tensor::zeros([1])));
            let y =
                layer.attend_self(input, if masks { std::slice::from_ref(&nothing) } else { &[] });
            let gradients = y.sin().sum().backward();
            let mut all = vec![y.value(), gradients.wrt(input)];
            all.extend(layer.parameters().iter().map(|param| gradients.wrt(param.on(&tape))));
            all
        };
        for (number, (few, all)) in by(false).iter().zip(by(true)).enumerate() {
            let largest = all.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
            let is_near = |(few, all): (f64, f64)| (few - all).abs() <= 1e-13 * (1.0 + largest);
            assert!(few.iter().zip(all.iter()).all(is_near), "{number} of {time}");
        }
    }
}

#[test]
fn attention_of_other_shapes_is_refused() {
    let tape = Tape::<f64>::new();
    let x = |shape: &[usize]| tape.constant(Tensor::zeros(shape));
    for [q, k, v] in [
        [&[2, 3, 4][..], &[2, 3, 5], &[2, 3, 4]],
        [&[2, 3, 4], &[2, 3, 4], &[2, 4, 4]],
        [&[2, 3, 4], &[3, 3, 4], &[3, 3, 4]],
        [&[3, 4], &[1, 3, 4], &[3, 4]],
        [&[4], &[4], &[4]],
    ] {
        let said = message(|| attention(x(q), x(k), x(v), None));
        assert!(said.starts_with("attention takes queries [.., queries, width], keys"), "{said}");
        assert!(said.contains(file!()), "{said}");
    }
    let said = message(|| attention(x(&[3, 4]), x(&[5, 4]), x(&[5, 2]), Some(x(&[5, 3]))));
    assert!(said.starts_with("a mask broadcasts to the scores [3, 5]"), "{said}");
}

/// Keys that are not seen, of two sequences.
fn filled_up(tape: &Tape<f64>) -> AttentionMask<'_, f64> {
    let mask = [[0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0]];
    AttentionMask::Keys(tape.constant(mask))
}

/// Pairs of three queries and five keys that do not see one another.
fn pairs(tape: &Tape<f64>) -> AttentionMask<'_, f64> {
    let unseen = |k: usize| f64::from(u8::from((k / 5 * (k % 5) + k / 5) % 3 == 1));
    AttentionMask::Pairs(tape.constant(Tensor::from_fn([3, 5], unseen)))
}

#[test]
#[should_panic(expected = "a mask broadcasts to the scores [1, 2, 3, 3]")]
fn a_mask_belongs_to_the_scores() {
    let (tape, attention) = (Tape::<f64>::new(), MultiHeadAttention::new(4, 2, &mut rng()));
    let mask = AttentionMask::Added(tape.constant(Tensor::zeros([2, 2, 3, 3])));
    attention.attend_self(tape.constant(Tensor::zeros([1, 3, 4])), &[mask]);
}

#[test]
fn heads_agree_with_those_of_pytorch() {
    let rng = &mut rng();
    layer("MultiHeadAttention", MultiHeadAttention::new(4, 2, rng));
    layer("MultiHeadAttention/causal", MultiHeadAttention::new(4, 2, rng).causal());
    agrees("MultiHeadAttention/keys", MultiHeadAttention::new(4, 2, rng), |net, tape, x| {
        net.attend(x[0], x[1], x[2], &[filled_up(tape)])
    });
    agrees("MultiHeadAttention/pairs", MultiHeadAttention::new(4, 2, rng), |net, tape, x| {
        net.attend(x[0], x[1], x[2], &[pairs(tape)])
    });
    agrees("MultiHeadAttention/added", MultiHeadAttention::new(4, 2, rng), |net, tape, x| {
        let added = AttentionMask::Added(tape.constant(input_value([2, 2, 3, 5].into(), 7)));
        net.attend(x[0], x[1], x[2], &[added, filled_up(tape)])
    });
    agrees(
        "MultiHeadAttention/widths",
        MultiHeadAttention::with_widths(4, 3, 5, 2, rng),
        |net, _, x| net.attend(x[0], x[1], x[2], &[]),
    );
}

#[test]
fn attention_to_oneself_leaves_out_masked_places() {
    let attention = MultiHeadAttention::new(4, 2, &mut rng());
    let tape = Tape::new();
    let x = tape.variable(Tensor::from_fn([2, 3, 4], |i| (i as f64).sin()));
    let mask = &[AttentionMask::Keys(tape.constant([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))];
    let (own, of_others) = (attention.attend_self(x, mask), attention.attend(x, x, x, mask));
    assert!((own - of_others).abs().max_over(..).item() < 1e-14);
    let block = TransformerEncoderLayer::new(4, 2, 6, &mut rng());
    for y in [own, block.forward_masked(x, mask)] {
        // The first two places of the first sequence see one another and not the third.
        let gradient = y.slice(0, ..1).slice(1, ..2).square().sum().backward().wrt(x);
        assert!(gradient.slice(0, 0, 1, 1).slice(1, 0, 2, 1).iter().all(|g| g != 0.0));
        assert!(gradient.slice(0, 0, 1, 1).slice(1, 2, 1, 1).iter().all(|g| g == 0.0));
    }
}

#[test]
fn transformers() {
    let rng = &mut rng();
    layer("TransformerEncoderLayer", TransformerEncoderLayer::new(4, 2, 6, rng));
    let first = TransformerEncoderLayer::new(4, 2, 6, rng).norm_first().gelu().causal();
    layer("TransformerEncoderLayer/first", first);
    let decoder = TransformerDecoderLayer::new(4, 2, 6, rng);
    agrees("TransformerDecoderLayer", decoder.clone(), |net, _, x| net.forward(x[0], x[1]));
    agrees("TransformerDecoderLayer/masks", decoder, |net, tape, x| {
        net.forward_masked(x[0], x[1], &[], &[pairs(tape), filled_up(tape)])
    });
}

#[test]
fn the_epsilon_of_a_transformer_is_that_of_each_normalisation() {
    let (tape, rng) = (Tape::<f64>::new(), &mut rng());
    let x = tape.constant(Tensor::from_fn([1, 2, 4], |i| (i as f64).sin() / 8.0));
    let plain = TransformerEncoderLayer::new(4, 2, 6, rng);
    let mut by_hand = plain.clone();
    by_hand.norm1 = by_hand.norm1.epsilon(0.5);
    assert_ne!(by_hand.forward(x).value(), plain.clone().epsilon(0.5).forward(x).value());
    by_hand.norm2 = by_hand.norm2.epsilon(0.5);
    assert_eq!(by_hand.forward(x).value(), plain.epsilon(0.5).forward(x).value());

    let plain = TransformerDecoderLayer::new(4, 2, 6, rng);
    let mut by_hand = plain.clone();
    by_hand.norm1 = by_hand.norm1.epsilon(0.5);
    by_hand.norm2 = by_hand.norm2.epsilon(0.5);
    assert_ne!(by_hand.forward(x, x).value(), plain.clone().epsilon(0.5).forward(x, x).value());
    by_hand.norm3 = by_hand.norm3.epsilon(0.5);
    assert_eq!(by_hand.forward(x, x).value(), plain.epsilon(0.5).forward(x, x).value());
}
