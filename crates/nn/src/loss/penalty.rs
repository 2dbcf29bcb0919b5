//! What large weights cost.

use wengert_core::{Real, Tape, Var};

use crate::{Module, Path};

/// The paper's penalty (33), `lambda / N sum of ||W||^2` over the weights of a model, to be
/// added to a cost over N samples.
///
/// Weights are the trained parameters with two axes or more; biases and the scales of
/// normalisations, which have one, are left out. The norm is that of Frobenius: the sum of
/// squares. A parameter's [multiplier of the decay](crate::Param::with_decay) is a factor of
/// its part.
///
/// An optimiser's weight decay does much the same without a term of the cost: for plain
/// stochastic gradient a decay of `2 lambda / N`.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::Linear;
/// use wengert_nn::loss::penalty;
///
/// let net = Linear::from_parts([[1.0, 2.0]], [5.0]);
/// let tape = Tape::new();
/// assert_eq!(penalty(&net, &tape, 0.1, 2).item(), 0.05 * (1.0 + 4.0));
/// ```
///
/// # Panics
/// If there are no samples.
#[track_caller]
pub fn penalty<'t, T: Real, M: Module<T> + ?Sized>(
    net: &M,
    tape: &'t Tape<T>,
    lambda: f64,
    samples: usize,
) -> Var<'t, T> {
    assert!(samples > 0, "a penalty is relative to a cost over at least one sample");
    let mut sum = None;
    net.visit(&Path::root(), &mut |_, param| {
        if param.is_trainable() && param.shape().rank() > 1 && param.decay() != 0.0 {
            let part = param.on(tape).square().sum() * T::from_f64(param.decay());
            sum = Some(sum.map_or(part, |sum| sum + part));
        }
    });
    let sum = sum.unwrap_or_else(|| tape.constant(T::zero()));
    sum * T::from_f64(lambda / samples as f64)
}
