//! What is done to data before training, and to batches while it runs.
//!
//! What is learnt from the training set, such as a mean, is a value that is fitted once
//! and applied to every set. The statistics are taken in double precision, and samples
//! stand along axis 0. What was fitted can be read and made again from its numbers, so that a
//! model's weights and what its inputs went through may stand in one file.
//!
//! The preprocessing of MatConvNet's CIFAR example, with which the paper trains its large
//! network, is three of them in a row: [`Centring`], [`Contrast`] with a floor of 40 and
//! [`Whitening`] with a floor of 10.
//!
//! ```
//! use wengert_core::Tensor;
//! use wengert_nn::data::transform::{Centring, Contrast, Whitening};
//!
//! let images = Tensor::<f64>::from_fn([20, 1, 2, 2], |i| (i * i % 23) as f64);
//! let centring = Centring::fit(&images);
//! let images = centring.apply(&images);
//! let contrast = Contrast::fit(&images, 0.5);
//! let images = contrast.apply(&images);
//! let images = Whitening::fit(&images, 1e-3).apply(&images);
//! assert_eq!(images.shape()[..], [20, 1, 2, 2]);
//! ```

use rand::Rng;
use wengert_core::{Real, Shape, Tape, Tensor};

use crate::random::{index, uniform};

/// Subtracts the mean of the samples: of images, the mean image.
#[derive(Clone, Debug, PartialEq)]
pub struct Centring<T: Real> {
    mean: Tensor<T>,
}

impl<T: Real> Centring<T> {
    /// The mean of some samples.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub fn fit(samples: &Tensor<T>) -> Self {
        Self { mean: moments(samples).0.cast() }
    }

    /// A mean that was [fitted](Self::fit) before.
    pub fn from_mean(mean: impl Into<Tensor<T>>) -> Self {
        Self { mean: mean.into() }
    }

    /// The mean, in the shape of a sample.
    pub fn mean(&self) -> &Tensor<T> {
        &self.mean
    }

    /// The samples less the mean.
    ///
    /// # Panics
    /// If samples have another shape than those it was fitted to.
    #[track_caller]
    pub fn apply(&self, samples: &Tensor<T>) -> Tensor<T> {
        samples.zip_map(&for_each(samples, &self.mean), |x, mean| x - mean)
    }
}

/// Subtracts the mean of each feature and divides by its standard deviation (of the
/// `n - 1` form); a feature that never changes becomes 0.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::data::transform::Standardising;
///
/// let samples = Tensor::from([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]);
/// let scaled = Standardising::fit(&samples).apply(&samples);
/// assert_eq!(scaled.to_vec(), [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Standardising<T: Real> {
    mean: Tensor<T>,
    deviation: Tensor<T>,
}

impl<T: Real> Standardising<T> {
    /// Mean and deviation of some samples.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub fn fit(samples: &Tensor<T>) -> Self {
        let (mean, deviation) = moments(samples);
        let deviation = deviation.map(|x| if x == 0.0 { 1.0 } else { x });
        Self { mean: mean.cast(), deviation: deviation.cast() }
    }

    /// Mean and deviation that were [fitted](Self::fit) before.
    ///
    /// # Panics
    /// If their shapes differ.
    #[track_caller]
    pub fn from_parts(mean: impl Into<Tensor<T>>, deviation: impl Into<Tensor<T>>) -> Self {
        let (mean, deviation) = (mean.into(), deviation.into());
        assert!(
            mean.shape() == deviation.shape(),
            "expected a deviation for each mean, got the shapes {} and {}",
            deviation.shape(),
            mean.shape()
        );
        Self { mean, deviation }
    }

    /// The mean of each feature.
    pub fn mean(&self) -> &Tensor<T> {
        &self.mean
    }

    /// What each feature is divided by.
    pub fn deviation(&self) -> &Tensor<T> {
        &self.deviation
    }

    /// The samples in units of deviations from the mean.
    ///
    /// # Panics
    /// If samples have another shape than those it was fitted to.
    #[track_caller]
    pub fn apply(&self, samples: &Tensor<T>) -> Tensor<T> {
        let (mean, deviation) = self.for_each(samples);
        samples.zip_map(&mean, |x, mean| x - mean).zip_map(&deviation, |x, deviation| x / deviation)
    }

    /// Samples in units of deviations as they were before: what a model predicts, in the
    /// units of its targets.
    ///
    /// # Panics
    /// As [`apply`](Self::apply).
    #[track_caller]
    pub fn undo(&self, samples: &Tensor<T>) -> Tensor<T> {
        let (mean, deviation) = self.for_each(samples);
        samples.zip_map(&deviation, |x, deviation| x * deviation).zip_map(&mean, |x, mean| x + mean)
    }

    #[track_caller]
    fn for_each(&self, samples: &Tensor<T>) -> (Tensor<T>, Tensor<T>) {
        (for_each(samples, &self.mean), for_each(samples, &self.deviation))
    }
}

/// Gives each sample the same contrast: subtracts the mean of its elements and divides
/// by their standard deviation (of the `n - 1` form), but by no less than a floor, so
/// that what is nearly uniform is not blown up; and multiplies by the mean of all
/// deviations, so that the scale stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    floor: f64,
    deviation: f64,
}

impl Contrast {
    /// The mean deviation of some samples, and the floor: MatConvNet's is 40, for images
    /// with numbers from 0 to 255.
    pub fn fit<T: Real>(samples: &Tensor<T>, floor: f64) -> Self {
        let elements = samples.to_vec();
        let deviations = rows(&elements, samples.shape()).map(|row| mean_and_deviation(row).1);
        let count = samples.shape().first().map_or(0, |&count| count);
        Self { floor, deviation: deviations.sum::<f64>() / count as f64 }
    }

    /// A mean deviation that was [fitted](Self::fit) before, and the floor.
    pub fn from_parts(deviation: f64, floor: f64) -> Self {
        Self { floor, deviation }
    }

    /// The mean deviation of the samples that it was fitted to.
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    /// The samples at the same contrast.
    pub fn apply<T: Real>(&self, samples: &Tensor<T>) -> Tensor<T> {
        let mut elements = samples.to_vec();
        let size = row_length(samples.shape());
        for row in elements.chunks_exact_mut(size.max(1)) {
            let (mean, deviation) = mean_and_deviation(row);
            let scale = self.deviation / deviation.max(self.floor);
            for x in row {
                *x = T::from_f64((x.as_f64() - mean) * scale);
            }
        }
        Tensor::new(samples.shape(), elements)
    }
}

/// Makes the elements of samples uncorrelated and of nearly one variance, and leaves
/// images images: `V diag(s / max(sqrt(d), floor)) V'`, where `V diag(d) V'` is the
/// covariance `Z' Z / N` of the samples, which are taken as centred, and `s` the square
/// root of the mean of `d`. Directions of little variance, which are noise, keep it.
///
/// MatConvNet's CIFAR example does this with a floor of 10; there, `N` is 60,000 where
/// 50,000 images are summed up, which [`fit_divided_by`](Self::fit_divided_by) repeats.
///
/// For `n` elements a sample, fitting takes the eigenvectors of an `n x n` matrix, by
/// [`Var::eigh`](wengert_core::Var::eigh): half a minute or so for the 3072 of a small image
/// in colour. So keep the [matrix](Self::matrix).
#[derive(Clone, Debug, PartialEq)]
pub struct Whitening<T: Real> {
    matrix: Tensor<T>,
}

impl<T: Real> Whitening<T> {
    /// The whitening of some samples.
    pub fn fit(samples: &Tensor<T>, floor: f64) -> Self {
        Self::fit_divided_by(samples, floor, samples.shape().first().map_or(0, |&count| count))
    }

    /// As [`fit`](Self::fit), with another divisor of the covariance than the number of
    /// samples.
    pub fn fit_divided_by(samples: &Tensor<T>, floor: f64, divisor: usize) -> Self {
        let size = row_length(samples.shape());
        let tape = Tape::<f64>::new();
        let z = tape.constant(samples.cast::<f64>().reshape([samples.len() / size.max(1), size]));
        let covariance = z.transpose().matmul(z) / divisor as f64;
        let (values, vectors) = covariance.eigh();
        let scale = values.mean().item().sqrt();
        // Rounding may leave the smallest of them below 0.
        let scales = values.value().map(|d| scale / d.max(0.0).sqrt().max(floor));
        let matrix = (vectors * tape.constant(scales)).matmul(vectors.transpose());
        Self { matrix: matrix.value().cast() }
    }

    /// A matrix that was [fitted](Self::fit) before.
    ///
    /// # Panics
    /// If it is not square.
    #[track_caller]
    pub fn from_matrix(matrix: impl Into<Tensor<T>>) -> Self {
        let matrix = matrix.into();
        let is_square = matches!(matrix.shape()[..], [rows, columns] if rows == columns);
        assert!(is_square, "a whitening is a square matrix, not {}", matrix.shape());
        Self { matrix }
    }

    /// The matrix that a sample, as a vector, is multiplied by.
    pub fn matrix(&self) -> &Tensor<T> {
        &self.matrix
    }

    /// The samples, whitened.
    ///
    /// # Panics
    /// If samples have another number of elements than those it was fitted to.
    #[track_caller]
    pub fn apply(&self, samples: &Tensor<T>) -> Tensor<T> {
        let size = self.matrix.shape()[0];
        let own = row_length(samples.shape());
        assert!(own == size, "expected samples of {size} elements to whiten, got {own}");
        let tape = Tape::new();
        let z = tape.constant(samples.reshape([samples.len() / size.max(1), size]));
        // The matrix is symmetric.
        z.matmul(tape.constant(&self.matrix)).value().reshape(samples.shape())
    }
}

/// The images of a batch, `[.., width]`, mirrored left to right.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::data::transform::flip;
///
/// assert_eq!(flip(&Tensor::from([[1.0, 2.0], [3.0, 4.0]])).to_vec(), [2.0, 1.0, 4.0, 3.0]);
/// ```
pub fn flip<T: Real>(images: &Tensor<T>) -> Tensor<T> {
    match images.shape().last() {
        None | Some(0) => images.clone(),
        Some(&width) => images.slice(images.shape().rank() - 1, width - 1, width, -1).contiguous(),
    }
}

/// The images of a batch, each mirrored left to right with a chance of `p`. (MatConvNet
/// draws once for a whole batch.)
///
/// # Panics
/// If `p` is no chance.
#[track_caller]
pub fn flip_some<T: Real, R: Rng + ?Sized>(images: &Tensor<T>, p: f64, rng: &mut R) -> Tensor<T> {
    assert!((0.0..=1.0).contains(&p), "{p} is no chance");
    let mut elements = images.to_vec();
    let (size, width) = (row_length(images.shape()), images.shape().last().map_or(0, |&n| n));
    for image in elements.chunks_exact_mut(size.max(1)) {
        if uniform(rng) < p {
            image.chunks_exact_mut(width).for_each(<[T]>::reverse);
        }
    }
    Tensor::new(images.shape(), elements)
}

/// The images of a batch, `[N, channels, height, width]`, each moved by up to `padding`
/// pixels in either direction, with zeros where there was nothing: a crop, of the same
/// extents, of the image with a frame of that width.
///
/// # Panics
/// If the batch has not four axes.
#[track_caller]
pub fn crop_at_random<T: Real, R: Rng + ?Sized>(
    images: &Tensor<T>,
    padding: usize,
    rng: &mut R,
) -> Tensor<T> {
    let [_, channels, height, width] = images.shape()[..] else {
        panic!("images have shape [N, channels, height, width], and this is {}", images.shape());
    };
    let elements = images.to_vec();
    let mut cropped = vec![T::zero(); elements.len()];
    let size = (channels * height * width).max(1);
    for (from, to) in elements.chunks_exact(size).zip(cropped.chunks_exact_mut(size)) {
        let [down, right] = [index(2 * padding + 1, rng), index(2 * padding + 1, rng)];
        for (row, to) in to.chunks_exact_mut(width).enumerate() {
            let (channel, y) = (row / height, row % height + down);
            let Some(y) = y.checked_sub(padding).filter(|&y| y < height) else { continue };
            let from = &from[(channel * height + y) * width..][..width];
            for (x, to) in to.iter_mut().enumerate() {
                let place = (x + right).checked_sub(padding).and_then(|x| from.get(x));
                *to = place.copied().unwrap_or(T::zero());
            }
        }
    }
    Tensor::new(images.shape(), cropped)
}

/// What was fitted to samples of this shape, for each of them. (What merely broadcasts to
/// their shape was fitted to others.)
#[track_caller]
fn for_each<T: Real>(samples: &Tensor<T>, fitted: &Tensor<T>) -> Tensor<T> {
    let (shape, sample) = (samples.shape(), fitted.shape());
    let fits = shape.split_first().is_some_and(|(_, own)| *own == sample[..]);
    assert!(fits, "expected samples of shape {sample} along axis 0, found the shape {shape}");
    fitted.broadcast_to(shape)
}

/// The number of elements of a sample.
fn row_length(shape: &Shape) -> usize {
    shape.iter().skip(1).product()
}

fn rows<'a, T: Real>(elements: &'a [T], shape: &Shape) -> impl Iterator<Item = &'a [T]> {
    elements.chunks_exact(row_length(shape).max(1))
}

/// Mean and standard deviation, of the `n - 1` form, in two passes.
fn mean_and_deviation<T: Real>(row: &[T]) -> (f64, f64) {
    let count = row.len() as f64;
    let mean = row.iter().map(|x| x.as_f64()).sum::<f64>() / count;
    let squares: f64 = row.iter().map(|x| (x.as_f64() - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

/// Mean and standard deviation of each element over the samples, as
/// [`mean_and_deviation`].
#[track_caller]
fn moments<T: Real>(samples: &Tensor<T>) -> (Tensor<f64>, Tensor<f64>) {
    let shape = samples.shape();
    assert!(!samples.is_empty(), "samples of shape {shape} have no mean");
    let (elements, size) = (samples.to_vec(), row_length(shape));
    let count = shape.first().map_or(1, |&count| count) as f64;
    let mut mean = vec![0.0; size];
    for row in rows(&elements, shape) {
        for (sum, x) in mean.iter_mut().zip(row) {
            *sum += x.as_f64();
        }
    }
    mean.iter_mut().for_each(|sum| *sum /= count);
    // A feature that never changes has no deviation, not one of rounding errors.
    let first = rows(&elements, shape).next().map(<[T]>::to_vec).unwrap_or_default();
    let mut constant = vec![true; size];
    for row in rows(&elements, shape) {
        for ((constant, x), first) in constant.iter_mut().zip(row).zip(&first) {
            *constant &= x == first;
        }
    }
    for ((mean, first), _) in mean.iter_mut().zip(&first).zip(&constant).filter(|(_, c)| **c) {
        *mean = first.as_f64();
    }
    let mut deviation = vec![0.0; size];
    for row in rows(&elements, shape) {
        for ((sum, x), mean) in deviation.iter_mut().zip(row).zip(&mean) {
            *sum += (x.as_f64() - mean).powi(2);
        }
    }
    deviation.iter_mut().for_each(|sum| *sum = (*sum / (count - 1.0).max(1.0)).sqrt());
    let sample: Shape = shape.iter().skip(1).copied().collect();
    (Tensor::new(sample.clone(), mean), Tensor::new(sample, deviation))
}
