//! Optimisers: how a gradient changes the parameters.
//!
//! An [`Optimiser`] is a [`Rule`], the formula by which one number moves, and what
//! is remembered of each parameter. A step is a loop over the model's parameters
//! that looks each one's gradient up by its key; memory is kept by that key too.

mod adam;
mod descent;
mod optimiser;
mod rule;
mod sgd;

pub use adam::{Adam, Moments};
pub use descent::{Descent, Outcome, StopReason};
pub use optimiser::Optimiser;
pub(crate) use optimiser::States;
pub use rule::{Rule, Settings};
pub use sgd::{Momentum, Sgd};

use wengert_core::{Gradients, Real};

use crate::{Module, Path};

/// The Euclidean norm of the gradient with respect to all parameters, in double
/// precision.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::Param;
/// use wengert_nn::optim::gradient_norm;
///
/// let net = (Param::new(3.0), Param::new(4.0));
/// let tape = Tape::new();
/// let cost = (net.0.on(&tape).square() + net.1.on(&tape).square()) * 0.5;
/// assert_eq!(gradient_norm(&net, &cost.backward()), 5.0);
/// ```
pub fn gradient_norm<T: Real, M: Module<T> + ?Sized>(net: &M, gradients: &Gradients<'_, T>) -> f64 {
    let mut sum = 0.0;
    net.visit(&Path::root(), &mut |_, param| {
        gradients.with_parameter(param.key(), |gradient| {
            sum += gradient.iter().map(|x| x.as_f64().powi(2)).sum::<f64>();
        });
    });
    sum.sqrt()
}
