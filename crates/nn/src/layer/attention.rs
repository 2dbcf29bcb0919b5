//! Attention in several heads.

use rand::Rng;
use wengert_core::{Real, Tape, Tensor, Var};

use super::{Dropout, Layer, Linear};
use crate::{Module, Param, init};

/// What the score of a key becomes that may not be seen. Its share is 0 all the same, and
/// being finite it leaves a query that may see nothing with equal shares instead of NaN.
const UNSEEN: f64 = -1e30;

/// Scaled dot-product attention in heads (Vaswani et al., 2017):
///
/// ```text
/// softmax(Q K^T / sqrt(width / heads)) V  for each head, put together, mapped by `out_proj`
/// ```
///
/// where queries, keys and values are linear maps of the inputs. Sequences have shape
/// `[batch, time, width]`. Parameters have PyTorch's names: `in_proj_weight` of shape `[3
/// width, width]` and `in_proj_bias` of shape `[3 width]`, for queries, keys and values in
/// this order, and `out_proj.weight`, `out_proj.bias`.
///
/// As a [`Layer`] a sequence attends to itself; [`attend`](Self::attend) has other keys and
/// values, and masks.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::random::MatlabRng;
/// use wengert_nn::{Layer, MultiHeadAttention};
///
/// let attention = MultiHeadAttention::<f64>::new(8, 2, &mut MatlabRng::new(1)).causal();
/// let tape = Tape::new();
/// let x = tape.variable(Tensor::from_fn([1, 3, 8], |i| (i as f64).sin()));
/// let first = attention.forward(x).slice(1, ..1).sum();
/// // What comes later is not seen.
/// assert_eq!(first.backward().wrt(x).slice(1, 1, 2, 1).norm(), 0.0);
/// ```
#[derive(Clone, Debug, Module)]
pub struct MultiHeadAttention<T: Real> {
    /// The maps to queries, keys and values, of shape `[3 width, width]`.
    pub in_proj_weight: Param<T>,
    /// What is added to them, of shape `[3 width]`.
    pub in_proj_bias: Param<T>,
    /// The map of what the heads give, put together.
    pub out_proj: Linear<T>,
    heads: usize,
    causal: bool,
    dropout: Dropout,
}

impl<T: Real> MultiHeadAttention<T> {
    /// For vectors of some width, in so many heads. As in PyTorch, the maps of the inputs
    /// start by Xavier's rule, that of the heads as a [`Linear`], and the biases with 0.
    ///
    /// # Panics
    /// If the width does not divide into the heads.
    #[track_caller]
    pub fn new<R: Rng + ?Sized>(width: usize, heads: usize, rng: &mut R) -> Self {
        assert!(
            heads > 0 && width.is_multiple_of(heads),
            "a width of {width} does not divide into {heads} heads"
        );
        let mut out_proj = Linear::new(width, width, rng);
        out_proj.bias = Some(Param::new(Tensor::zeros([width])));
        Self {
            in_proj_weight: Param::new(init::xavier_uniform([3 * width, width], rng)),
            in_proj_bias: Param::new(Tensor::zeros([3 * width])),
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

    /// A sequence attends to itself, without the keys that a mask is not 0 for: of shape
    /// `[batch, time]`, where sequences were filled up to one length, say (PyTorch's
    /// `key_padding_mask`).
    ///
    /// # Panics
    /// If the shapes are not of this kind.
    #[track_caller]
    pub fn attend_self<'t>(&self, x: Var<'t, T>, mask: Option<Var<'t, T>>) -> Var<'t, T> {
        let [batch, time, width] = self.sequence("x", x);
        let tape = x.tape();
        let projected =
            x.matmul_transposed(self.in_proj_weight.on(tape)) + self.in_proj_bias.on(tape);
        let head = width / self.heads;
        // One product and one view serve all three.
        let parts = projected.reshape([batch, time, 3, self.heads, head]).permute([2, 0, 3, 1, 4]);
        let [q, k, v] = [0, 1, 2].map(|i| parts.slice(0, i..i + 1).squeeze(0));
        self.mix(q, k, v, mask)
    }

    /// Queries of one sequence, keys and values of others, which have one time: without the
    /// keys that a mask of shape `[batch, time]` is not 0 for.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// # use wengert_nn::{MultiHeadAttention, random::MatlabRng};
    /// let attention = MultiHeadAttention::<f64>::new(4, 2, &mut MatlabRng::new(1));
    /// let tape = Tape::new();
    /// let ones = |time| tape.constant(Tensor::ones([1, time, 4]));
    /// let mask = tape.constant([[0.0, 0.0, 1.0]]);
    /// let y = attention.attend(ones(2), ones(3), ones(3), Some(mask));
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
        mask: Option<Var<'t, T>>,
    ) -> Var<'t, T> {
        let shapes = [self.sequence("query", query), self.sequence("key", key)];
        assert!(
            self.sequence("value", value) == shapes[1] && shapes[0][0] == shapes[1][0],
            "keys and values are of one shape and queries of their batch\n  query: {}\n  key: {}\n  value: {}",
            query.describe(),
            key.describe(),
            value.describe()
        );
        let width = shapes[0][2];
        let tape = query.tape();
        let (weight, bias) = (self.in_proj_weight.on(tape), self.in_proj_bias.on(tape));
        let project = |x: Var<'t, T>, part: usize| {
            let rows = part * width..(part + 1) * width;
            let y = x.matmul_transposed(weight.slice(0, rows.clone())) + bias.slice(0, rows);
            let shape = x.shape();
            y.reshape([shape[0], shape[1], self.heads, width / self.heads]).permute([0, 2, 1, 3])
        };
        self.mix(project(query, 0), project(key, 1), project(value, 2), mask)
    }

    /// The values of all heads in the shares that their keys have in a query.
    #[track_caller]
    fn mix<'t>(
        &self,
        q: Var<'t, T>,
        k: Var<'t, T>,
        v: Var<'t, T>,
        mask: Option<Var<'t, T>>,
    ) -> Var<'t, T> {
        let shape = q.shape();
        let &[batch, heads, time, head] = &shape[..] else { unreachable!("four axes were made") };
        let keys = k.shape()[2];
        let scores = q.matmul_transposed(k) / T::from_f64((head as f64).sqrt());
        let scores = if self.causal {
            scores.masked_fill(later(q.tape(), time, keys), UNSEEN)
        } else {
            scores
        };
        let scores = match mask {
            Some(mask) => {
                assert!(
                    mask.shape()[..] == [batch, keys],
                    "a mask of keys has shape [{batch}, {keys}], and this is {}",
                    mask.describe()
                );
                scores.masked_fill(mask.reshape([batch, 1, 1, keys]), UNSEEN)
            }
            None => scores,
        };
        let shares = self.dropout.forward(scores.softmax(-1));
        let mixed = shares.matmul(v).permute([0, 2, 1, 3]).reshape([batch, time, heads * head]);
        self.out_proj.forward(mixed)
    }

    /// The extents of a sequence.
    #[track_caller]
    fn sequence(&self, name: &str, x: Var<'_, T>) -> [usize; 3] {
        let width = self.out_proj.inputs();
        match x.shape()[..] {
            [batch, time, given] if given == width => [batch, time, width],
            _ => panic!(
                "attention takes sequences [batch, time, {width}]\n  {name}: {}",
                x.describe()
            ),
        }
    }
}

impl<T: Real> Layer<T> for MultiHeadAttention<T> {
    /// A sequence attends to itself.
    ///
    /// # Panics
    /// If the input is not `[batch, time, width]`.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.attend_self(x, None)
    }
}

/// 1 where a key is later than the query, and else 0.
fn later<T: Real>(tape: &Tape<T>, queries: usize, keys: usize) -> Var<'_, T> {
    tape.constant(T::one()).broadcast_to([queries, keys]).triu(1)
}
