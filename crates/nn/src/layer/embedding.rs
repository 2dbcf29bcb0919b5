//! Vectors for words, and for positions in a sequence.

use rand::Rng;
use wengert_core::{Real, Shape, Tape, Tensor, Var};

use super::{Layer, not_empty};
use crate::{Module, Param, init};

/// A table with a vector for each of some indices, words for instance.
///
/// The weight has shape `[count, width]` and is standard normal at first, as in PyTorch.
///
/// There are two ways in. [`lookup`](Self::lookup) takes a list of indices, which are part
/// of the recording. As a [`Layer`] it takes a variable of whole numbers of any shape
/// `[..]`, to `[.., width]`, so that a compiled step can have other indices at each run;
/// the tape's own type counts them exactly, `f32` to 2^24.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{Embedding, Layer};
///
/// let table = Embedding::from_table([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// let tape = Tape::new();
/// assert_eq!(table.lookup(&tape, &[2, 0]).value().to_vec(), [5.0, 6.0, 1.0, 2.0]);
/// let words = tape.constant([[0.0, 1.0], [1.0, 2.0]]);
/// assert_eq!(table.forward(words).shape()[..], [2, 2, 2]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct Embedding<T: Real> {
    /// The table, of shape `[count, width]`.
    pub weight: Param<T>,
    #[module(skip)]
    padding: Option<usize>,
}

impl<T: Real> Embedding<T> {
    /// A table of `count` vectors of some width.
    ///
    /// # Panics
    /// If there is nothing to look up, or vectors have no elements.
    #[track_caller]
    pub fn new<R: Rng + ?Sized>(count: usize, width: usize, rng: &mut R) -> Self {
        not_empty("Embedding", &[("vectors", count), ("width", width)]);
        Self {
            weight: Param::named("weight", init::normal([count, width], 0.0, 1.0, rng)),
            padding: None,
        }
    }

    /// A given table, of shape `[count, width]`.
    ///
    /// # Panics
    /// If it has another number of axes.
    #[track_caller]
    pub fn from_table(table: impl Into<Tensor<T>>) -> Self {
        let table = table.into();
        let shape = table.shape();
        assert!(shape.rank() == 2, "a table has shape [count, width], and this has {shape}");
        Self { weight: Param::named("weight", table), padding: None }
    }

    /// With an index that fills up what is too short: its vector is 0, and no gradient reaches
    /// it, so that it stays what it is.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// # use wengert_nn::{Embedding, Module};
    /// let table = Embedding::from_table([[1.0], [2.0], [3.0]]).padding(0);
    /// let tape = Tape::new();
    /// let y = table.lookup(&tape, &[0, 2, 0, 1]);
    /// assert_eq!(y.value().to_vec(), [0.0, 3.0, 0.0, 2.0]);
    /// assert_eq!(table.gradient_vector(&y.sum().backward()), [0.0, 1.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If the index is not below the table's count.
    #[must_use]
    #[track_caller]
    pub fn padding(mut self, index: usize) -> Self {
        let (count, width) = (self.weight.shape()[0], self.weight.shape()[1]);
        assert!(index < count, "the padding's index {index} is none of 0..{count}");
        self.weight.elements_mut()[index * width..][..width].fill(T::zero());
        Self { padding: Some(index), ..self }
    }

    /// Vectors of some indices, of which no gradient reaches the padding's.
    fn without_padding<'t>(&self, indices: Var<'t, T>, vectors: Var<'t, T>) -> Var<'t, T> {
        let Some(padding) = self.padding else { return vectors };
        let index = indices.tape().constant(T::from_f64(padding as f64));
        let is_padding = indices.equal(index).unsqueeze(-1);
        is_padding.select(vectors.stop_gradient(), vectors)
    }

    /// The vectors of some indices, of shape `[indices, width]`.
    ///
    /// # Panics
    /// If an index is not below the table's count.
    #[track_caller]
    pub fn lookup<'t>(&self, tape: &'t Tape<T>, indices: &[usize]) -> Var<'t, T> {
        let count = self.weight.shape()[0];
        if let Some((i, index)) = indices.iter().enumerate().find(|&(_, &index)| index >= count) {
            panic!("index {index} at place {i} is none of 0..{count}");
        }
        let vectors = self.weight.on(tape).gather(0, indices);
        let numbers = indices.iter().map(|&index| T::from_f64(index as f64)).collect::<Vec<_>>();
        self.without_padding(tape.constant(Tensor::new([indices.len()], numbers)), vectors)
    }
}

impl<T: Real> Layer<T> for Embedding<T> {
    /// # Panics
    /// If a number is not an index of the table.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let table = self.weight.on(x.tape());
        let (shape, width) = (x.shape(), self.weight.shape()[1]);
        let indices = x.reshape([x.elements()]);
        let vectors = self.without_padding(indices, table.index_select(0, indices));
        vectors.reshape(shape.iter().copied().chain([width]).collect::<Shape>())
    }
}

/// Waves of each place added to what stands there: `sin(t / 10000^(i / width))` for even
/// `i` and `cos(t / 10000^((i - 1) / width))` for odd `i` (Vaswani et al., 2017).
///
/// From `[.., time, width]` to the same, up to the longest time asked for.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::{Layer, SinusoidalPositions};
///
/// let positions = SinusoidalPositions::new(10, 2);
/// let tape = Tape::<f64>::new();
/// let y = positions.forward(tape.constant(Tensor::zeros([1, 3, 2])));
/// assert_eq!(y.value().at(&[0, 2, 1]), 2.0_f64.cos());
/// ```
#[derive(Clone, Debug, Module)]
pub struct SinusoidalPositions<T: Real> {
    #[module(skip)]
    waves: Tensor<T>,
}

impl<T: Real> SinusoidalPositions<T> {
    /// For vectors of `width` elements, at up to `longest` positions.
    pub fn new(longest: usize, width: usize) -> Self {
        let waves = Tensor::from_fn([longest, width], |place| {
            let (time, i) = (place / width, place % width);
            let angle = time as f64 * 10_000_f64.powf(-((i - i % 2) as f64) / width as f64);
            T::from_f64(if i % 2 == 0 { angle.sin() } else { angle.cos() })
        });
        Self { waves }
    }
}

/// A vector of each place, learnt, added to what stands there.
///
/// From `[.., time, width]` to the same. The weight has shape `[longest, width]` and is
/// normal with a deviation of 0.02 at first, as in GPT-2.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::random::seeded;
/// use wengert_nn::{Layer, LearnedPositions};
///
/// let positions = LearnedPositions::<f64>::new(10, 2, &mut seeded(1));
/// let tape = Tape::new();
/// let y = positions.forward(tape.constant(Tensor::zeros([1, 3, 2])));
/// assert_eq!(y.value().to_vec(), positions.weight.elements()[..6]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct LearnedPositions<T: Real> {
    /// The vectors, of shape `[longest, width]`.
    pub weight: Param<T>,
}

impl<T: Real> LearnedPositions<T> {
    /// For vectors of `width` elements, at up to `longest` positions.
    ///
    /// # Panics
    /// If there are no positions, or vectors have no elements.
    #[track_caller]
    pub fn new<R: Rng + ?Sized>(longest: usize, width: usize, rng: &mut R) -> Self {
        not_empty("LearnedPositions", &[("positions", longest), ("width", width)]);
        Self { weight: Param::named("weight", init::normal([longest, width], 0.0, 0.02, rng)) }
    }
}

/// Adds the vectors of as many positions as there are.
#[track_caller]
fn placed<'t, T: Real>(x: Var<'t, T>, positions: Var<'t, T>) -> Var<'t, T> {
    let (shape, table) = (x.shape(), positions.shape());
    let fits = matches!(shape[..], [.., time, width] if time <= table[0] && width == table[1]);
    assert!(
        fits,
        "{} positions of width {} are added to [.., time, {1}], not to {}",
        table[0],
        table[1],
        x.describe()
    );
    let time = shape[shape.rank() - 2];
    x + if time < table[0] { positions.slice(0, ..time) } else { positions }
}

impl<T: Real> Layer<T> for SinusoidalPositions<T> {
    /// # Panics
    /// If the width is another, or there are more positions than waves.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        placed(x, x.tape().constant(&self.waves))
    }
}

impl<T: Real> Layer<T> for LearnedPositions<T> {
    /// # Panics
    /// If the width is another, or there are more positions than vectors.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        placed(x, self.weight.on(x.tape()))
    }
}
