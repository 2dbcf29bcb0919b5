//! Where training starts: random tensors for new parameters.
//!
//! The scale decides whether a signal fades or explodes on its way through the
//! layers. Xavier's rule (Glorot and Bengio, 2010) keeps the variance of tanh-like
//! layers in both directions, He's (He et al., 2015) that of ReLU layers forwards.
//! Both need the *fans* of a weight: how many inputs feed an output and how many
//! outputs an input feeds. A weight of shape `[out, in, ..]` has `in` and `out`
//! of them, times the extents of further axes (a convolution's window).
//!
//! All take a generator, so that a seed fixes the start.

use rand::Rng;
use wengert_core::{Real, Shape, Tensor};

use crate::random;

/// Uniform numbers in `[low, high)`.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::init;
/// use wengert_nn::random::MatlabRng;
///
/// let w: Tensor<f64> = init::uniform([2, 3], -1.0, 1.0, &mut MatlabRng::new(1));
/// assert!(w.iter().all(|x| (-1.0..1.0).contains(&x)));
/// ```
pub fn uniform<T: Real, R: Rng + ?Sized>(
    shape: impl Into<Shape>,
    low: f64,
    high: f64,
    rng: &mut R,
) -> Tensor<T> {
    Tensor::from_fn(shape, |_| T::from_f64(low + (high - low) * random::uniform(rng)))
}

/// Normal numbers of a mean and a standard deviation.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::init;
/// use wengert_nn::random::MatlabRng;
///
/// // as MatConvNet starts the filters of its first block
/// let w: Tensor<f32> = init::normal([32, 3, 5, 5], 0.0, 0.01, &mut MatlabRng::new(1));
/// assert_eq!(w.len(), 2400);
/// ```
pub fn normal<T: Real, R: Rng + ?Sized>(
    shape: impl Into<Shape>,
    mean: f64,
    deviation: f64,
    rng: &mut R,
) -> Tensor<T> {
    Tensor::from_fn(shape, |_| T::from_f64(mean + deviation * random::normal(rng)))
}

/// Xavier's rule, uniform: within `sqrt(6 / (in + out))` of 0.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::init;
/// use wengert_nn::random::MatlabRng;
///
/// let w: Tensor<f64> = init::xavier_uniform([4, 2], &mut MatlabRng::new(1));
/// assert!(w.iter().all(|x| x.abs() <= 1.0));
/// ```
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn xavier_uniform<T: Real, R: Rng + ?Sized>(shape: impl Into<Shape>, rng: &mut R) -> Tensor<T> {
    let shape = shape.into();
    let (inputs, outputs) = fans(&shape);
    let bound = (6.0 / (inputs + outputs)).sqrt();
    uniform(shape, -bound, bound, rng)
}

/// Xavier's rule, normal: of variance `2 / (in + out)`.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn xavier_normal<T: Real, R: Rng + ?Sized>(shape: impl Into<Shape>, rng: &mut R) -> Tensor<T> {
    let shape = shape.into();
    let (inputs, outputs) = fans(&shape);
    normal(shape, 0.0, (2.0 / (inputs + outputs)).sqrt(), rng)
}

/// He's rule, uniform: within `sqrt(6 / in)` of 0.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn he_uniform<T: Real, R: Rng + ?Sized>(shape: impl Into<Shape>, rng: &mut R) -> Tensor<T> {
    let shape = shape.into();
    let bound = (6.0 / fans(&shape).0).sqrt();
    uniform(shape, -bound, bound, rng)
}

/// He's rule, normal: of variance `2 / in`.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn he_normal<T: Real, R: Rng + ?Sized>(shape: impl Into<Shape>, rng: &mut R) -> Tensor<T> {
    let shape = shape.into();
    normal(shape.clone(), 0.0, (2.0 / fans(&shape).0).sqrt(), rng)
}

/// Inputs of an output and outputs of an input.
#[track_caller]
fn fans(shape: &Shape) -> (f64, f64) {
    let [outputs, inputs, window @ ..] = &shape[..] else {
        panic!("a weight of shape {shape} has no axes of outputs and inputs");
    };
    let window: usize = window.iter().product();
    ((inputs * window) as f64, (outputs * window) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::MatlabRng;

    fn variance(tensor: &Tensor<f64>) -> f64 {
        tensor.dot(tensor) / tensor.len() as f64
    }

    #[test]
    fn the_variances_are_those_of_the_rules() {
        let shape = [50, 20, 3, 3];
        let rng = &mut MatlabRng::new(1);
        let (inputs, outputs) = (20.0 * 9.0, 50.0 * 9.0);
        for (tensor, expected) in [
            (xavier_uniform(shape, rng), 2.0 / (inputs + outputs)),
            (xavier_normal(shape, rng), 2.0 / (inputs + outputs)),
            (he_uniform(shape, rng), 2.0 / inputs),
            (he_normal(shape, rng), 2.0 / inputs),
            (uniform(shape, -0.3, 0.3, rng), 0.03),
            (normal(shape, 0.0, 0.2, rng), 0.04),
        ] {
            assert!((variance(&tensor) / expected - 1.0).abs() < 0.05);
        }
    }

    #[test]
    #[should_panic(expected = "a weight of shape [3] has no axes")]
    fn a_vector_has_no_fans() {
        let _: Tensor<f64> = he_normal([3], &mut MatlabRng::new(1));
    }
}
