//! Attention in several heads.

use std::panic::Location;

use rand::Rng;
use wengert_core::op::Attention;
use wengert_core::{Real, Shape, Tensor, Var};

use super::{Dropout, Layer, Linear, not_empty};
use crate::{Module, Param, init};

/// The score of a key that may not be seen: its share is 0. Of a query that may see nothing, all
/// shares are 0 (see [`Softmax`](wengert_core::op::Softmax)), and so is what it gets.
const UNSEEN: f64 = f64::NEG_INFINITY;

/// What queries do not see, or see less of. One that may see nothing gets zeros for each head, and
/// nothing of the keys and values has a gradient by it.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::random::seeded;
/// use wengert_nn::layer::{AttentionMask, MultiHeadAttention};
///
/// let attention = MultiHeadAttention::<f64>::new(4, 2, &mut seeded(1));
/// let tape = Tape::new();
/// let x = tape.constant(Tensor::ones([1, 3, 4]));
/// let filled_up = AttentionMask::Keys(tape.constant([[0.0, 0.0, 1.0]]));
/// let distance = tape.constant([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]]);
/// let near = AttentionMask::Added(-0.5 * distance);
/// let y = attention.attend_self(x, &[filled_up, near]);
/// assert_eq!(y.shape()[..], [1, 3, 4]);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum AttentionMask<'t, T: Real> {
    /// No query sees the keys for which this is not 0, of shape `[batch, keys]`: where sequences
    /// were filled up to one length, say (PyTorch's `key_padding_mask`).
    Keys(Var<'t, T>),
    /// A query does not see a key where this is not 0, of a shape that broadcasts to `[batch, heads,
    /// queries, keys]`: PyTorch's `attn_mask` of truth values.
    Pairs(Var<'t, T>),
    /// This is added to the scores, of a shape as for [`Pairs`](Self::Pairs): PyTorch's `attn_mask`
    /// of floats. It may be a parameter, such as a bias for each distance; where it is minus
    /// infinity, a query does not see a key.
    Added(Var<'t, T>),
}

impl<'t, T: Real> AttentionMask<'t, T> {
    /// Scores `[batch, heads, queries, keys]` within the mask.
    #[track_caller]
    fn on(self, scores: Var<'t, T>) -> Var<'t, T> {
        let shape = scores.shape();
        match self {
            Self::Keys(mask) => {
                let (batch, keys) = (shape[0], shape[3]);
                assert!(
                    mask.shape()[..] == [batch, keys],
                    "a mask of keys has shape [{batch}, {keys}], and this is {}",
                    mask.describe()
                );
                scores.masked_fill(mask.reshape([batch, 1, 1, keys]), UNSEEN)
            }
            Self::Pairs(mask) => {
                must_broadcast(mask, &shape);
                scores.masked_fill(mask, UNSEEN)
            }
            Self::Added(mask) => {
                must_broadcast(mask, &shape);
                scores + mask
            }
        }
    }
}

/// Panics at the caller's line if a mask does not suit the scores.
#[track_caller]
fn must_broadcast<T: Real>(mask: Var<'_, T>, scores: &Shape) {
    assert!(
        mask.shape().broadcasts_to(scores),
        "a mask broadcasts to the scores {scores} of queries and keys, and this is {}",
        mask.describe()
    );
}

/// Scaled dot-product attention (Vaswani et al., 2017), without parameters:
///
/// ```text
/// softmax(Q K^T / sqrt(width)) V
/// ```
///
/// of queries `[.., queries, width]`, keys `[.., keys, width]` and values `[.., keys, outputs]`, whose
/// leading axes (batch, heads) are the same: it gives `[.., queries, outputs]`. A mask is added to
/// the scores, of a shape that broadcasts to `[.., queries, keys]`: minus infinity where a query does
/// not see a key. As PyTorch's `scaled_dot_product_attention` with a mask of floats; a query that may
/// see nothing gets zeros.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::layer::attention;
///
/// let tape = Tape::new();
/// let (q, k) = (tape.constant([[0.0, 0.0]]), tape.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
/// let v = tape.constant([[1.0], [2.0], [6.0]]);
/// // A query that is 0 likes all keys alike.
/// assert!((attention(q, k, v, None).item() - 3.0_f64).abs() < 1e-12);
/// let last_unseen = tape.constant([[0.0, 0.0, f64::NEG_INFINITY]]);
/// assert!((attention(q, k, v, Some(last_unseen)).item() - 1.5).abs() < 1e-12);
/// ```
///
/// # Panics
/// If the shapes are not of this kind.
#[track_caller]
pub fn attention<'t, T: Real>(
    query: Var<'t, T>,
    key: Var<'t, T>,
    value: Var<'t, T>,
    mask: Option<Var<'t, T>>,
) -> Var<'t, T> {
    let keys = keys_of(query, key, value);
    if mask.is_none() && holds_few(keys, false) {
        return query.attention(key, value, op(query, false));
    }
    let mut scores = scores(query, key);
    if let Some(mask) = mask {
        must_broadcast(mask, &scores.shape());
        scores += mask;
    }
    scores.softmax(-1).matmul(value)
}

/// [`attention`] of queries that see keys up to their own time: number `i` sees the first `i + 1`. As PyTorch's
/// `scaled_dot_product_attention` with `is_causal`.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::layer::causal_attention;
///
/// let tape = Tape::new();
/// let (x, v) = (tape.constant([[0.0], [0.0], [0.0]]), tape.constant([[1.0], [2.0], [6.0]]));
/// assert_eq!(causal_attention(x, x, v).value().to_vec(), [1.0, 1.5, 3.0]);
/// ```
///
/// # Panics
/// As [`attention`].
#[track_caller]
pub fn causal_attention<'t, T: Real>(
    query: Var<'t, T>,
    key: Var<'t, T>,
    value: Var<'t, T>,
) -> Var<'t, T> {
    let keys = keys_of(query, key, value);
    let op = op(query, true);
    if holds_few(keys, true) {
        return query.attention(key, value, op);
    }
    op.masked(scores(query, key)).softmax(-1).matmul(value)
}

/// The number of keys.
///
/// # Panics
/// If queries, keys and values do not suit each other.
#[track_caller]
fn keys_of<T: Real>(query: Var<'_, T>, key: Var<'_, T>, value: Var<'_, T>) -> usize {
    let [q, k, v] = [query, key, value].map(|x| x.shape());
    let rank = q.rank();
    let fits = rank >= 2
        && [k.rank(), v.rank()] == [rank; 2]
        && q[..rank - 2] == k[..rank - 2]
        && k[..rank - 1] == v[..rank - 1]
        && q[rank - 1] == k[rank - 1];
    assert!(
        fits,
        "attention takes queries [.., queries, width], keys [.., keys, width] and values \
         [.., keys, outputs]\n  query: {}\n  key: {}\n  value: {}",
        query.describe(),
        key.describe(),
        value.describe()
    );
    k[rank - 2]
}

/// Whether the [op](Attention) takes no longer than holding all scores, for a number of keys. Scores that are held are
/// not computed again in the reverse sweep, but they pass through memory; and where queries do not see
/// all keys, some need not be computed at all.
fn holds_few(keys: usize, causal: bool) -> bool {
    keys > if causal { 64 } else { 256 }
}

/// Attention with scores as [`scores`] gives them, which holds those of a few queries at a time.
fn op<T: Real>(query: Var<'_, T>, causal: bool) -> Attention {
    let width = query.shape()[query.rank() - 1] as f64;
    Attention { scale: 1.0 / width.sqrt(), causal }
}

/// How well queries and keys suit each other, `Q K^T / sqrt(width)`.
#[track_caller]
fn scores<'t, T: Real>(query: Var<'t, T>, key: Var<'t, T>) -> Var<'t, T> {
    let shape = query.shape();
    let width = shape[shape.rank() - 1] as f64;
    query.matmul_transposed(key) / T::from_f64(width.sqrt())
}

/// Scaled dot-product attention in heads (Vaswani et al., 2017):
///
/// ```text
/// softmax(Q K^T / sqrt(width / heads)) V  for each head, put together, mapped by `out_proj`
/// ```
///
/// where queries, keys and values are linear maps of the inputs. Sequences have shape
/// `[batch, time, width]`. Parameters have PyTorch's names: `in_proj_weight` of shape `[3
/// width, width]` and `in_proj_bias` of shape `[3 width]`, for queries, keys and values in
/// this order, and `out_proj.weight`, `out_proj.bias`. Where keys and values are of
/// [other widths](Self::with_widths), there are `q_proj_weight`, `k_proj_weight` and
/// `v_proj_weight` in place of the first.
///
/// As a [`Layer`] a sequence attends to itself; [`attend`](Self::attend) has other keys and
/// values; both take [masks](AttentionMask).
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::random::seeded;
/// use wengert_nn::{Layer, MultiHeadAttention};
///
/// let attention = MultiHeadAttention::<f64>::new(8, 2, &mut seeded(1)).causal();
/// let tape = Tape::new();
/// let x = tape.variable(Tensor::from_fn([1, 3, 8], |i| (i as f64).sin()));
/// let first = attention.forward(x).slice(1, ..1).sum();
/// // What comes later is not seen.
/// assert_eq!(first.backward().wrt(x).slice(1, 1, 2, 1).norm(), 0.0);
/// ```
#[derive(Clone, Debug, Module)]
pub struct MultiHeadAttention<T: Real> {
    /// The maps to queries, keys and values, of shape `[3 width, width]`, if all are made of
    /// vectors of one width.
    pub in_proj_weight: Option<Param<T>>,
    /// Else the map to queries, of shape `[width, width]`.
    pub q_proj_weight: Option<Param<T>>,
    /// And that to keys, of shape `[width, width of keys]`.
    pub k_proj_weight: Option<Param<T>>,
    /// And that to values, of shape `[width, width of values]`.
    pub v_proj_weight: Option<Param<T>>,
    /// What is added to them, of shape `[3 width]`.
    pub in_proj_bias: Param<T>,
    /// The map of what the heads give, put together.
    pub out_proj: Linear<T>,
    heads: usize,
    causal: bool,
    dropout: Dropout,
}

impl<T: Real> MultiHeadAttention<T> {
    /// For vectors of `width` elements, in `heads` heads. As in PyTorch, the maps of the inputs
    /// start by Xavier's rule, that of the heads as a [`Linear`], and the biases with 0.
    ///
    /// # Panics
    /// If the width does not divide into the heads.
    #[track_caller]
    pub fn new<R: Rng + ?Sized>(width: usize, heads: usize, rng: &mut R) -> Self {
        Self::with_widths(width, width, width, heads, rng)
    }

    /// As [`new`](Self::new), with keys and values that are made of vectors of other widths:
    /// PyTorch's `kdim` and `vdim`.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// # use wengert_nn::{MultiHeadAttention, random::seeded};
    /// let rng = &mut seeded(1);
    /// let attention = MultiHeadAttention::<f64>::with_widths(4, 3, 5, 2, rng);
    /// let tape = Tape::new();
    /// let ones = |time, width| tape.constant(Tensor::ones([1, time, width]));
    /// let y = attention.attend(ones(2, 4), ones(7, 3), ones(7, 5), &[]);
    /// assert_eq!(y.shape()[..], [1, 2, 4]);
    /// ```
    ///
    /// # Panics
    /// If the width does not divide into the heads.
    #[track_caller]
    pub fn with_widths<R: Rng + ?Sized>(
        width: usize,
        keys: usize,
        values: usize,
        heads: usize,
        rng: &mut R,
    ) -> Self {
        not_empty("attention", &[("width", width), ("keys", keys), ("values", values)]);
        assert!(
            heads > 0 && width.is_multiple_of(heads),
            "a width of {width} does not divide into {heads} heads"
        );
        let mut out_proj = Linear::new(width, width, rng);
        out_proj.bias = Some(Param::named("bias", Tensor::zeros([width])));
        let is_one = keys == width && values == width;
        let made = Location::caller();
        let mut weight = |name: &'static str, is_there: bool, [rows, columns]: [usize; 2]| {
            let mut value = || init::xavier_uniform([rows, columns], rng);
            is_there.then(|| Param::named(name, value()).made_at(made))
        };
        Self {
            in_proj_weight: weight("in_proj_weight", is_one, [3 * width, width]),
            q_proj_weight: weight("q_proj_weight", !is_one, [width, width]),
            k_proj_weight: weight("k_proj_weight", !is_one, [width, keys]),
            v_proj_weight: weight("v_proj_weight", !is_one, [width, values]),
            in_proj_bias: Param::named("in_proj_bias", Tensor::zeros([3 * width])),
            out_proj,
            heads,
            causal: false,
            dropout: Dropout::new(0.0),
        }
    }

    /// With keys that a query sees only up to its own time.
    #[must_use]
    pub fn causal(self) -> Self {
        Self { causal: true, ..self }
    }

    /// With a [`Dropout`] of the shares that values have.
    ///
    /// # Panics
    /// If the chance is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        Self { dropout: Dropout::new(p), ..self }
    }

    /// A sequence attends to itself, within some masks.
    ///
    /// # Panics
    /// If the shapes are not of this kind, or keys and values are of other widths.
    #[track_caller]
    pub fn attend_self<'t>(&self, x: Var<'t, T>, masks: &[AttentionMask<'t, T>]) -> Var<'t, T> {
        let Some(weight) = &self.in_proj_weight else { return self.attend(x, x, x, masks) };
        let width = self.out_proj.inputs();
        let [batch, time] = sequence("x", x, width);
        let tape = x.tape();
        let projected = x.matmul_transposed(weight.on(tape)) + self.in_proj_bias.on(tape);
        let head = width / self.heads;
        // One product and one view serve all three.
        let parts = projected.reshape([batch, time, 3, self.heads, head]).permute([2, 0, 3, 1, 4]);
        let [q, k, v] = [0, 1, 2].map(|i| parts.slice(0, i..i + 1).squeeze(0));
        self.mix(q, k, v, masks)
    }

    /// Queries of one sequence, keys and values of others, which have one time, within some masks.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// # use wengert_nn::{layer::AttentionMask, MultiHeadAttention, random::seeded};
    /// let attention = MultiHeadAttention::<f64>::new(4, 2, &mut seeded(1));
    /// let tape = Tape::new();
    /// let ones = |time| tape.constant(Tensor::ones([1, time, 4]));
    /// let mask = AttentionMask::Keys(tape.constant([[0.0, 0.0, 1.0]]));
    /// let y = attention.attend(ones(2), ones(3), ones(3), &[mask]);
    /// assert_eq!(y.shape()[..], [1, 2, 4]);
    /// ```
    ///
    /// # Panics
    /// If the shapes are not of this kind.
    #[track_caller]
    pub fn attend<'t>(
        &self,
        query: Var<'t, T>,
        key: Var<'t, T>,
        value: Var<'t, T>,
        masks: &[AttentionMask<'t, T>],
    ) -> Var<'t, T> {
        let width = self.out_proj.inputs();
        let tape = query.tape();
        let weights = match &self.in_proj_weight {
            Some(weight) => {
                let weight = weight.on(tape);
                [0, 1, 2].map(|part| weight.slice(0, part * width..(part + 1) * width))
            }
            None => [&self.q_proj_weight, &self.k_proj_weight, &self.v_proj_weight]
                .map(|weight| weight.as_ref().expect("one for each, or one for all").on(tape)),
        };
        let given = [("query", query), ("key", key), ("value", value)];
        let shapes: [_; 3] =
            std::array::from_fn(|i| sequence(given[i].0, given[i].1, weights[i].shape()[1]));
        assert!(
            shapes[2] == shapes[1] && shapes[0][0] == shapes[1][0],
            "keys and values are of one time and queries of their batch\n  query: {}\n  key: {}\n  value: {}",
            query.describe(),
            key.describe(),
            value.describe()
        );
        let bias = self.in_proj_bias.on(tape);
        let [q, k, v] = std::array::from_fn(|i| {
            let bias = bias.slice(0, i * width..(i + 1) * width);
            let ([batch, time], y) = (shapes[i], given[i].1.matmul_transposed(weights[i]) + bias);
            y.reshape([batch, time, self.heads, width / self.heads]).permute([0, 2, 1, 3])
        });
        self.mix(q, k, v, masks)
    }

    /// The values of all heads in the shares that their keys have in a query.
    #[track_caller]
    fn mix<'t>(
        &self,
        q: Var<'t, T>,
        k: Var<'t, T>,
        v: Var<'t, T>,
        masks: &[AttentionMask<'t, T>],
    ) -> Var<'t, T> {
        let shape = q.shape();
        let &[batch, heads, time, head] = &shape[..] else { unreachable!("four axes were made") };
        let keys = k.shape()[2];
        let is_plain = masks.is_empty() && !self.dropout.acts_on(q.tape());
        let op = op(q, self.causal);
        let mixed = if is_plain && holds_few(keys, self.causal) {
            q.attention(k, v, op)
        } else {
            let mut scores = op.masked(scores(q, k));
            // A loop and no closure, which would not know the caller's line.
            for mask in masks {
                scores = mask.on(scores);
            }
            self.dropout.forward(scores.softmax(-1)).matmul(v)
        };
        let joined = mixed.permute([0, 2, 1, 3]).reshape([batch, time, heads * head]);
        self.out_proj.forward(joined)
    }
}

/// Batch and time of a sequence of vectors of some width.
#[track_caller]
fn sequence<T: Real>(name: &str, x: Var<'_, T>, width: usize) -> [usize; 2] {
    match x.shape()[..] {
        [batch, time, given] if given == width => [batch, time],
        _ => panic!("attention takes sequences [batch, time, {width}]\n  {name}: {}", x.describe()),
    }
}

impl<T: Real> Layer<T> for MultiHeadAttention<T> {
    /// A sequence attends to itself.
    ///
    /// # Panics
    /// If the input is not `[batch, time, width]`.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.attend_self(x, &[])
    }
}
