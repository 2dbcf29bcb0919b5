//! Layers that rearrange: what stands in a row of layers and has no numbers of its own.

use wengert_core::{Real, Tensor, Var};

use super::Layer;
use crate::Module;

/// All axes but the first as one: from `[batch, ..]` to `[batch, features]`.
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::{Flatten, Layer};
///
/// let tape = Tape::<f64>::new();
/// let y = Flatten.forward(tape.constant(Tensor::zeros([2, 3, 4, 5])));
/// assert_eq!(y.shape()[..], [2, 60]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Flatten;

impl<T: Real> Layer<T> for Flatten {
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        assert!(x.rank() >= 2, "flattening keeps the batch's axis, and this is {}", x.describe());
        x.flatten(1, -1)
    }
}

/// Images `n` times as large: from `[.., height, width]` to `[.., n height, n width]`.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{Layer, Upsample};
///
/// let tape = Tape::new();
/// let x = tape.constant([[1.0, 3.0]]);
/// let nearest = Upsample::nearest(2).forward(x);
/// assert_eq!(nearest.value().to_vec(), [1.0, 1.0, 3.0, 3.0, 1.0, 1.0, 3.0, 3.0]);
/// let bilinear = Upsample::bilinear(2).forward(x);
/// assert_eq!(bilinear.value().to_vec(), [1.0, 1.5, 2.5, 3.0, 1.0, 1.5, 2.5, 3.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct Upsample {
    times: usize,
    bilinear: bool,
}

impl Upsample {
    /// Each pixel becomes a square.
    pub fn nearest(times: usize) -> Self {
        Self { times, bilinear: false }
    }

    /// Pixels between those that are there lie on straight lines, along both axes. A pixel
    /// is taken to stand in the middle of its square, and beyond the outermost ones the
    /// image goes on as it is (PyTorch's `align_corners=False`).
    pub fn bilinear(times: usize) -> Self {
        Self { times, bilinear: true }
    }

    /// How much of each of some elements is in each of `times` as many.
    fn shares<T: Real>(self, extent: usize) -> Tensor<T> {
        Tensor::from_fn([extent * self.times, extent], |place| {
            let (to, from) = (place / extent, place % extent);
            let centre = (to as f64 + 0.5) / self.times as f64 - 0.5;
            let centre = centre.clamp(0.0, (extent - 1) as f64);
            T::from_f64((1.0 - (centre - from as f64).abs()).max(0.0))
        })
    }
}

impl<T: Real> Layer<T> for Upsample {
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let (shape, tape) = (x.shape(), x.tape());
        let &[.., height, width] = &shape[..] else {
            panic!("images have axes [.., height, width], and this is {}", x.describe());
        };
        if self.bilinear {
            let [rows, columns] = [height, width].map(|n| tape.constant(self.shares(n)));
            rows.matmul(x).matmul(columns.transpose())
        } else {
            x.repeat(-2, self.times).repeat(-1, self.times)
        }
    }
}

/// `x + f(x)`, of a layer `f` that keeps the shape (He et al., 2016).
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{Layer, Relu, Residual};
///
/// let tape = Tape::new();
/// let y = Residual(Relu).forward(tape.constant([1.0, -1.0]));
/// assert_eq!(y.value().to_vec(), [2.0, -1.0]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Module)]
pub struct Residual<L>(
    /// The layer.
    pub L,
);

impl<T: Real, L: Layer<T>> Layer<T> for Residual<L> {
    /// # Panics
    /// If the layer changes the shape.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let change = self.0.forward(x);
        assert!(
            change.shape() == x.shape(),
            "what is added to {} keeps its shape, and this is {}",
            x.describe(),
            change.describe()
        );
        x + change
    }
}
