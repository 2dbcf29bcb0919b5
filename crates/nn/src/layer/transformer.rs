//! The layers of a transformer (Vaswani et al., 2017).

use rand::Rng;
use wengert_core::{Real, Var};

use super::{AttentionMask, Dropout, Layer, LayerNorm, Linear, MultiHeadAttention};
use crate::Module;

/// What both kinds of layer can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Options {
    norm_first: bool,
    activation: Activation,
}

/// Between the two linear maps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Activation {
    #[default]
    Relu,
    Gelu,
    GeluTanh,
}

impl Activation {
    #[track_caller]
    fn of<T: Real>(self, x: Var<'_, T>) -> Var<'_, T> {
        match self {
            Self::Relu => x.relu(),
            Self::Gelu => x.gelu(),
            Self::GeluTanh => x.gelu_tanh(),
        }
    }
}

impl Options {
    /// A part of a layer with the way around it, normalised before the part or after the
    /// sum.
    #[track_caller]
    fn around<'t, T: Real>(
        self,
        x: Var<'t, T>,
        norm: &LayerNorm<T>,
        dropout: Dropout,
        part: impl FnOnce(Var<'t, T>) -> Var<'t, T>,
    ) -> Var<'t, T> {
        if self.norm_first {
            x + dropout.forward(part(norm.forward(x)))
        } else {
            norm.forward(x + dropout.forward(part(x)))
        }
    }
}

/// A layer of an encoder: a sequence attends to itself, and then each of its positions goes
/// through two linear maps with an activation between them; around either part a sum and a
/// [`LayerNorm`].
///
/// From `[batch, time, width]` to the same. Parameters have PyTorch's names: `self_attn.*`,
/// `linear1.*`, `linear2.*`, `norm1.*` and `norm2.*`. As there, it normalises after the sums
/// and has a ReLU, unless told otherwise; unlike there, it has no dropout unless told so.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::random::seeded;
/// use wengert_nn::{Layer, TransformerEncoderLayer};
///
/// let rng = &mut seeded(1);
/// let block = TransformerEncoderLayer::<f64>::new(8, 2, 32, rng).norm_first().gelu().causal();
/// let tape = Tape::new();
/// let y = block.forward(tape.constant(Tensor::ones([1, 5, 8])));
/// assert_eq!(y.shape()[..], [1, 5, 8]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct TransformerEncoderLayer<T: Real> {
    /// The attention of the sequence to itself.
    pub self_attn: MultiHeadAttention<T>,
    /// The linear map to the hidden width.
    pub linear1: Linear<T>,
    /// The linear map back.
    pub linear2: Linear<T>,
    /// The normalisation about the attention.
    pub norm1: LayerNorm<T>,
    /// The normalisation about the linear maps.
    pub norm2: LayerNorm<T>,
    #[module(skip)]
    options: Options,
    dropout: Dropout,
}

/// A layer of a decoder: as [`TransformerEncoderLayer`], with attention to another
/// sequence, the memory, in the middle.
///
/// From `[batch, time, width]`, and a memory `[batch, other time, width]`, to `[batch,
/// time, width]`. Parameters have PyTorch's names: `self_attn.*`, `multihead_attn.*`,
/// `linear1.*`, `linear2.*`, `norm1.*`, `norm2.*` and `norm3.*`.
///
/// The attention of the sequence to itself is causal.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::TransformerDecoderLayer;
/// use wengert_nn::random::seeded;
///
/// let block = TransformerDecoderLayer::<f64>::new(8, 2, 32, &mut seeded(1));
/// let tape = Tape::new();
/// let ones = |time| tape.constant(Tensor::ones([1, time, 8]));
/// assert_eq!(block.forward(ones(3), ones(5)).shape()[..], [1, 3, 8]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct TransformerDecoderLayer<T: Real> {
    /// The attention of the sequence to itself.
    pub self_attn: MultiHeadAttention<T>,
    /// The attention to the memory.
    pub multihead_attn: MultiHeadAttention<T>,
    /// The linear map to the hidden width.
    pub linear1: Linear<T>,
    /// The linear map back.
    pub linear2: Linear<T>,
    /// The normalisation about the first attention.
    pub norm1: LayerNorm<T>,
    /// The normalisation about the second attention.
    pub norm2: LayerNorm<T>,
    /// The normalisation about the linear maps.
    pub norm3: LayerNorm<T>,
    #[module(skip)]
    options: Options,
    dropout: Dropout,
}

/// The options that both layers have.
macro_rules! options {
    ($($layer:ident: $($attention:ident)*, $($norm:ident)*;)*) => {$(
        impl<T: Real> $layer<T> {
            /// With the normalisation before each part instead of after each sum.
            #[must_use]
            pub fn norm_first(mut self) -> Self {
                self.options.norm_first = true;
                self
            }

            /// With [`gelu`](Var::gelu) instead of the ReLU.
            #[must_use]
            pub fn gelu(mut self) -> Self {
                self.options.activation = Activation::Gelu;
                self
            }

            /// With [`gelu_tanh`](Var::gelu_tanh) instead of the ReLU.
            #[must_use]
            pub fn gelu_tanh(mut self) -> Self {
                self.options.activation = Activation::GeluTanh;
                self
            }

            /// With another number than 1e-5 added to the variances of the normalisations
            /// (PyTorch's `layer_norm_eps`).
            #[must_use]
            pub fn epsilon(self, epsilon: f64) -> Self {
                $(let $norm = self.$norm.epsilon(epsilon);)*
                Self { $($norm,)* ..self }
            }

            /// With a [`Dropout`] of what is added, of the hidden values, and of the shares
            /// of attention.
            ///
            /// # Panics
            /// If the chance is not in [0, 1).
            #[must_use]
            #[track_caller]
            pub fn dropout(self, p: f64) -> Self {
                $(let $attention = self.$attention.dropout(p);)*
                Self { $($attention,)* dropout: Dropout::new(p), ..self }
            }

            /// Two linear maps with an activation between them.
            #[track_caller]
            fn feed_forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
                let hidden = self.options.activation.of(self.linear1.forward(x));
                self.linear2.forward(self.dropout.forward(hidden))
            }
        }
    )*};
}

options! {
    TransformerEncoderLayer: self_attn, norm1 norm2;
    TransformerDecoderLayer: self_attn multihead_attn, norm1 norm2 norm3;
}

impl<T: Real> TransformerEncoderLayer<T> {
    /// For vectors of `width` elements, in `heads` heads, with `hidden` elements between the linear
    /// maps.
    ///
    /// # Panics
    /// If the width does not divide into the heads.
    #[track_caller]
    pub fn new<R: Rng + ?Sized>(width: usize, heads: usize, hidden: usize, rng: &mut R) -> Self {
        Self {
            self_attn: MultiHeadAttention::new(width, heads, rng),
            linear1: Linear::new(width, hidden, rng),
            linear2: Linear::new(hidden, width, rng),
            norm1: LayerNorm::new([width]),
            norm2: LayerNorm::new([width]),
            options: Options::default(),
            dropout: Dropout::new(0.0),
        }
    }

    /// With positions that see only up to their own time: a decoder without a memory, as in
    /// GPT.
    #[must_use]
    pub fn causal(self) -> Self {
        Self { self_attn: self.self_attn.causal(), ..self }
    }

    /// As [`forward`](Layer::forward), with attention within some masks.
    ///
    /// # Panics
    /// If the shapes are not of this kind.
    #[track_caller]
    pub fn forward_masked<'t>(&self, x: Var<'t, T>, masks: &[AttentionMask<'t, T>]) -> Var<'t, T> {
        let Self { options, dropout, .. } = *self;
        let x = options.around(x, &self.norm1, dropout, |x| self.self_attn.attend_self(x, masks));
        options.around(x, &self.norm2, dropout, |x| self.feed_forward(x))
    }
}

impl<T: Real> Layer<T> for TransformerEncoderLayer<T> {
    /// # Panics
    /// If the input is not `[batch, time, width]`.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.forward_masked(x, &[])
    }
}

impl<T: Real> TransformerDecoderLayer<T> {
    /// For vectors of `width` elements, in `heads` heads, with `hidden` elements between the linear
    /// maps.
    ///
    /// # Panics
    /// If the width does not divide into the heads.
    #[track_caller]
    pub fn new<R: Rng + ?Sized>(width: usize, heads: usize, hidden: usize, rng: &mut R) -> Self {
        Self {
            self_attn: MultiHeadAttention::new(width, heads, rng).causal(),
            multihead_attn: MultiHeadAttention::new(width, heads, rng),
            linear1: Linear::new(width, hidden, rng),
            linear2: Linear::new(hidden, width, rng),
            norm1: LayerNorm::new([width]),
            norm2: LayerNorm::new([width]),
            norm3: LayerNorm::new([width]),
            options: Options::default(),
            dropout: Dropout::new(0.0),
        }
    }

    /// A sequence that looks at itself, up to each place, and at a memory.
    ///
    /// # Panics
    /// If the sequences are not `[batch, time, width]` of one batch and width.
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, T>, memory: Var<'t, T>) -> Var<'t, T> {
        self.forward_masked(x, memory, &[], &[])
    }

    /// As [`forward`](Self::forward), with attention of the sequence to itself within some masks,
    /// and to the memory within others.
    ///
    /// # Panics
    /// As [`forward`](Self::forward), and if the masks are not of these sequences.
    #[track_caller]
    pub fn forward_masked<'t>(
        &self,
        x: Var<'t, T>,
        memory: Var<'t, T>,
        own_masks: &[AttentionMask<'t, T>],
        memory_masks: &[AttentionMask<'t, T>],
    ) -> Var<'t, T> {
        let Self { options, dropout, .. } = *self;
        let own = |x| self.self_attn.attend_self(x, own_masks);
        let x = options.around(x, &self.norm1, dropout, own);
        let x = options.around(x, &self.norm2, dropout, |x| {
            self.multihead_attn.attend(x, memory, memory, memory_masks)
        });
        options.around(x, &self.norm3, dropout, |x| self.feed_forward(x))
    }
}
