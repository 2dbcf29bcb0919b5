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
/// use wengert_nn::random::seeded;
///
/// let w: Tensor<f64> = init::uniform([2, 3], -1.0, 1.0, &mut seeded(1));
/// assert!(w.iter().all(|x| (-1.0..1.0).contains(&x)));
/// ```
#[track_caller]
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
/// use wengert_nn::random::seeded;
///
/// // as MatConvNet starts the filters of its first block
/// let w: Tensor<f32> = init::normal([32, 3, 5, 5], 0.0, 0.01, &mut seeded(1));
/// assert_eq!(w.len(), 2400);
/// ```
#[track_caller]
pub fn normal<T: Real, R: Rng + ?Sized>(
    shape: impl Into<Shape>,
    mean: f64,
    deviation: f64,
    rng: &mut R,
) -> Tensor<T> {
    Tensor::from_fn(shape, |_| T::from_f64(mean + deviation * random::normal(rng)))
}

/// Normal numbers of a mean and a standard deviation, within two deviations of the mean:
/// others are drawn again.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::init;
/// use wengert_nn::random::seeded;
///
/// let w: Tensor<f64> = init::truncated_normal([100], 1.0, 0.1, &mut seeded(1));
/// assert!(w.iter().all(|x| (x - 1.0).abs() <= 0.2));
/// ```
#[track_caller]
pub fn truncated_normal<T: Real, R: Rng + ?Sized>(
    shape: impl Into<Shape>,
    mean: f64,
    deviation: f64,
    rng: &mut R,
) -> Tensor<T> {
    let mut within = || loop {
        let x = random::normal(rng);
        if x.abs() <= 2.0 {
            return x;
        }
    };
    Tensor::from_fn(shape, |_| T::from_f64(mean + deviation * within()))
}

/// Which side of a weight its variance is to preserve the signal for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fan {
    /// Forwards: the inputs of an output.
    In,
    /// Backwards: the outputs that an input feeds.
    Out,
    /// The mean of both.
    Mean,
}

impl Fan {
    #[track_caller]
    fn of(self, shape: &Shape) -> f64 {
        let (inputs, outputs) = fans(shape);
        match self {
            Self::In => inputs,
            Self::Out => outputs,
            Self::Mean => (inputs + outputs) / 2.0,
        }
    }
}

/// What activations take from the deviation of a signal, and weights have to give back:
/// PyTorch's `calculate_gain`.
pub mod gain {
    /// Of none, and of the sigmoid.
    pub const LINEAR: f64 = 1.0;
    /// Of the hyperbolic tangent.
    pub const TANH: f64 = 5.0 / 3.0;
    /// Of the ReLU, which takes half of the variance.
    pub const RELU: f64 = std::f64::consts::SQRT_2;
    /// Of the self-normalising activation.
    pub const SELU: f64 = 0.75;

    /// Of a ReLU that leaks with some slope.
    pub fn leaky_relu(slope: f64) -> f64 {
        (2.0 / (1.0 + slope * slope)).sqrt()
    }
}

/// Uniform numbers of variance `gain^2 / fan`: the rule behind Xavier's and He's.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::init::{self, Fan, gain};
/// use wengert_nn::random::seeded;
///
/// let rng = &mut seeded(1);
/// let w: Tensor<f64> = init::scaled_uniform([8, 3], Fan::Out, gain::RELU, rng);
/// assert!(w.iter().all(|x| x.abs() <= (6.0_f64 / 8.0).sqrt()));
/// ```
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn scaled_uniform<T: Real, R: Rng + ?Sized>(
    shape: impl Into<Shape>,
    fan: Fan,
    gain: f64,
    rng: &mut R,
) -> Tensor<T> {
    let shape = shape.into();
    let bound = gain * (3.0 / fan.of(&shape)).sqrt();
    uniform(shape, -bound, bound, rng)
}

/// Normal numbers of variance `gain^2 / fan`.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn scaled_normal<T: Real, R: Rng + ?Sized>(
    shape: impl Into<Shape>,
    fan: Fan,
    gain: f64,
    rng: &mut R,
) -> Tensor<T> {
    let shape = shape.into();
    let deviation = gain / fan.of(&shape).sqrt();
    normal(shape, 0.0, deviation, rng)
}

/// Xavier's rule, uniform: within `sqrt(6 / (in + out))` of 0.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::init;
/// use wengert_nn::random::seeded;
///
/// let w: Tensor<f64> = init::xavier_uniform([4, 2], &mut seeded(1));
/// assert!(w.iter().all(|x| x.abs() <= 1.0));
/// ```
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn xavier_uniform<T: Real, R: Rng + ?Sized>(shape: impl Into<Shape>, rng: &mut R) -> Tensor<T> {
    scaled_uniform(shape, Fan::Mean, gain::LINEAR, rng)
}

/// Xavier's rule, normal: of variance `2 / (in + out)`.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn xavier_normal<T: Real, R: Rng + ?Sized>(shape: impl Into<Shape>, rng: &mut R) -> Tensor<T> {
    scaled_normal(shape, Fan::Mean, gain::LINEAR, rng)
}

/// He's rule, uniform: within `sqrt(6 / in)` of 0.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn he_uniform<T: Real, R: Rng + ?Sized>(shape: impl Into<Shape>, rng: &mut R) -> Tensor<T> {
    scaled_uniform(shape, Fan::In, gain::RELU, rng)
}

/// He's rule, normal: of variance `2 / in`.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn he_normal<T: Real, R: Rng + ?Sized>(shape: impl Into<Shape>, rng: &mut R) -> Tensor<T> {
    scaled_normal(shape, Fan::In, gain::RELU, rng)
}

/// A matrix with orthogonal rows, or columns if it has more rows, all of length `gain`
/// (Saxe et al., 2014): it turns signals and neither stretches nor loses them. Axes after the
/// first are taken as one. Uniform over all such matrices.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::init;
/// use wengert_nn::random::seeded;
///
/// let w: Tensor<f64> = init::orthogonal([2, 3], 1.0, &mut seeded(1));
/// let dot = |i: usize, j: usize| (0..3).map(|k| w.at(&[i, k]) * w.at(&[j, k])).sum::<f64>();
/// assert!((dot(0, 0) - 1.0).abs() < 1e-15 && dot(0, 1).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn orthogonal<T: Real, R: Rng + ?Sized>(
    shape: impl Into<Shape>,
    gain: f64,
    rng: &mut R,
) -> Tensor<T> {
    let shape = shape.into();
    assert!(shape.rank() > 1, "an orthogonal weight of shape {shape} has no columns");
    let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut vector: Vec<f64> = (0..length).map(|_| random::normal(rng)).collect();
        // Twice is enough, says Kahan: the second pass takes away the first one's rounding.
        for _ in 0..2 {
            for other in &basis {
                let dot: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(other).for_each(|(a, b)| *a -= dot * b);
            }
        }
        let norm = vector.iter().map(|a| a * a).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|a| *a /= norm);
        basis.push(vector);
    }
    Tensor::from_fn(shape, |place| {
        let (row, column) = (place / columns, place % columns);
        let entry = if rows <= columns { basis[row][column] } else { basis[column][row] };
        T::from_f64(gain * entry)
    })
}

/// The deviations of the filters of MatConvNet's network for CIFAR-10, layer by layer: normal
/// numbers of mean 0. The biases start with 0.
///
/// ```
/// use wengert_nn::random::seeded;
/// use wengert_nn::{Conv2d, init};
///
/// let rng = &mut seeded(1);
/// let mut layer = Conv2d::<f32>::new(3, 32, 5, rng).padding(2);
/// layer.weight.set(init::normal([32, 3, 5, 5], 0.0, init::MATCONVNET_CIFAR[0], rng));
/// layer.bias.as_mut().unwrap().elements_mut().fill(0.0);
/// ```
pub const MATCONVNET_CIFAR: [f64; 5] = [0.01, 0.05, 0.05, 0.05, 0.05];

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
    use crate::random::seeded;

    fn variance(tensor: &Tensor<f64>) -> f64 {
        tensor.dot(tensor) / tensor.len() as f64
    }

    #[test]
    fn the_variances_are_those_of_the_rules() {
        let shape = [50, 20, 3, 3];
        let rng = &mut seeded(1);
        let (inputs, outputs) = (20.0 * 9.0, 50.0 * 9.0);
        for (tensor, expected) in [
            (xavier_uniform(shape, rng), 2.0 / (inputs + outputs)),
            (xavier_normal(shape, rng), 2.0 / (inputs + outputs)),
            (he_uniform(shape, rng), 2.0 / inputs),
            (he_normal(shape, rng), 2.0 / inputs),
            (uniform(shape, -0.3, 0.3, rng), 0.03),
            (normal(shape, 0.0, 0.2, rng), 0.04),
            (scaled_uniform(shape, Fan::Out, gain::TANH, rng), 25.0 / 9.0 / outputs),
            (scaled_normal(shape, Fan::Out, gain::leaky_relu(1.0), rng), 1.0 / outputs),
            (truncated_normal(shape, 0.0, 1.0, rng), 0.773_741_252),
        ] {
            assert!((variance(&tensor) / expected - 1.0).abs() < 0.05);
        }
    }

    #[test]
    fn an_orthogonal_weight_preserves_lengths() {
        for shape in [[3, 8], [8, 3], [4, 4]] {
            let w: Tensor<f64> = orthogonal(shape, 2.0, &mut seeded(1));
            let w = if shape[0] > shape[1] { w.transpose() } else { w };
            let (rows, columns) = (w.shape()[0], w.shape()[1]);
            for (i, j) in (0..rows).flat_map(|i| (0..rows).map(move |j| (i, j))) {
                let dot: f64 = (0..columns).map(|k| w.at(&[i, k]) * w.at(&[j, k])).sum();
                assert!((dot - if i == j { 4.0 } else { 0.0 }).abs() < 1e-14);
            }
        }
    }

    #[test]
    #[should_panic(expected = "a weight of shape [3] has no axes")]
    fn a_vector_has_no_fans() {
        let _: Tensor<f64> = he_normal([3], &mut seeded(1));
    }
}
