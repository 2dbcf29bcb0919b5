//! Layers: modules that map one variable to one.
//!
//! A layer is an ordinary struct with a `forward`; the trait serves only those
//! that stand in a row, and lets [`Sequential`] hold them behind one type. Models
//! with other connections are structs of layers with a `forward` of their own.

mod activation;
mod linear;
mod sequential;

pub use activation::{LeakyRelu, Relu, Sigmoid, Softmax, Softplus, Tanh};
pub use linear::Linear;
pub use sequential::Sequential;

use wengert_core::{Real, Var};

use crate::Module;

/// A module that maps one variable to one.
///
/// ```
/// use wengert_core::{Real, Tape, Var};
/// use wengert_nn::{Layer, Module, Param};
///
/// /// One factor for each feature.
/// #[derive(Module)]
/// struct Scale<T: Real>(Param<T>);
///
/// impl<T: Real> Layer<T> for Scale<T> {
///     fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
///         x * self.0.on(x.tape())
///     }
/// }
///
/// let tape = Tape::new();
/// let y = Scale(Param::new([2.0, 3.0])).forward(tape.constant([1.0, 1.0]));
/// assert_eq!(y.value().to_vec(), [2.0, 3.0]);
/// ```
pub trait Layer<T: Real>: Module<T> {
    /// Records the layer's value on the tape of `x`.
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T>;
}

impl<T: Real, L: Layer<T> + ?Sized> Layer<T> for Box<L> {
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        (**self).forward(x)
    }
}
