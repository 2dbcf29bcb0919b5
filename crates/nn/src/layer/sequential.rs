//! Layers in a row.

use std::fmt;

use wengert_core::{Real, Var};

use super::Layer;
use crate::{Module, Param, Path};

/// How the names of this crate's types begin.
const THIS_CRATE: &str = concat!(env!("CARGO_CRATE_NAME"), "::");

/// Layers, each of which takes the value of the one before.
///
/// Parameters are named by position, as in PyTorch: `0.weight`, `0.bias`, and so
/// on, activations counted along.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::random::seeded;
/// use wengert_nn::{Layer, Linear, Module, Sequential, Sigmoid, sequential};
///
/// // the paper's network: 2-2-3-2
/// let rng = &mut seeded(1);
/// let net: Sequential<f64> = sequential![
///     Linear::new(2, 2, rng), Sigmoid, Linear::new(2, 3, rng), Sigmoid, Linear::new(3, 2, rng),
///     Sigmoid,
/// ];
/// assert_eq!(net.parameter_count(), 23);
/// assert_eq!(net.named_parameters()[2].0, "2.weight");
/// assert_eq!(net.forward(Tape::new().constant([0.1, 0.1])).shape()[..], [2]);
/// ```
#[derive(Default)]
pub struct Sequential<T: Real> {
    layers: Vec<Box<dyn Layer<T> + Send + Sync>>,
    /// Of each layer, the name of its type: for messages.
    types: Vec<&'static str>,
}

impl<T: Real> Sequential<T> {
    /// No layers: the identity.
    pub fn new() -> Self {
        Self { layers: Vec::new(), types: Vec::new() }
    }

    /// One more layer at the end.
    #[must_use]
    pub fn push<L: Layer<T> + Send + Sync + 'static>(mut self, layer: L) -> Self {
        self.layers.push(Box::new(layer));
        self.types.push(std::any::type_name::<L>());
        self
    }

    /// The number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there is no layer.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }
}

/// By hand, since the list has no name: `0.weight`, not `layers.0.weight`.
impl<T: Real> Module<T> for Sequential<T> {
    fn visit<'a>(&'a self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a Param<T>)) {
        self.layers.visit(path, f);
    }

    fn visit_mut<'a>(
        &'a mut self,
        path: &Path<'_>,
        f: &mut dyn FnMut(&Path<'_>, &'a mut Param<T>),
    ) {
        self.layers.visit_mut(path, f);
    }
}

impl<T: Real> Layer<T> for Sequential<T> {
    /// The value of the last layer.
    ///
    /// # Panics
    /// If a layer does; the message names its position.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        // Behind a trait object, a layer does not know its caller's line. Those of this crate get it
        // from the list; one of the user's has lines of its own, which say more.
        let list = x.tape().layers();
        let mut x = x;
        for (i, (layer, name)) in self.layers.iter().zip(&self.types).enumerate() {
            list.enter(i, name, name.starts_with(THIS_CRATE));
            x = layer.forward(x);
        }
        x
    }
}

impl<T: Real> fmt::Debug for Sequential<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sequential<{}> of {} layers", T::NAME, self.len())
    }
}

/// A [`Sequential`] of the layers listed, from input to output.
///
/// ```
/// use wengert_nn::{Relu, Sequential, Tanh, sequential};
///
/// let net: Sequential<f32> = sequential![Relu, Tanh];
/// assert_eq!(net.len(), 2);
/// ```
#[macro_export]
macro_rules! sequential {
    ($($layer:expr),* $(,)?) => { $crate::Sequential::new()$(.push($layer))* };
}
