//! Datasets: the samples of a list of indices.
//!
//! *Invariant*: a batch depends on its indices and the generator that it is given, and
//! on nothing else, so that it is the same on whatever thread it is made.

use std::sync::Arc;

use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus};
use wengert_core::{Real, Tensor};

use crate::FileError;
use crate::random::shuffle;
use crate::sampler::members;

/// Samples that can be had by index, several at a time.
///
/// A tensor is one, of samples along axis 0; so is a list, of labels for instance, and
/// a tuple of datasets of one length, whose batches are tuples. Other kinds read
/// their samples when they are asked for:
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_core::random::Xoshiro256PlusPlus;
/// use wengert_nn::FileError;
/// use wengert_nn::data::{DataLoader, Dataset};
///
/// /// The squares of the numbers below a thousand.
/// struct Squares;
///
/// impl Dataset for Squares {
///     type Batch = (Tensor<f32>, Tensor<f32>);
///     fn len(&self) -> usize {
///         1000
///     }
///     fn batch(
///         &self,
///         indices: &[usize],
///         _: &mut Xoshiro256PlusPlus,
///     ) -> Result<Self::Batch, FileError> {
///         let x = Tensor::from_fn([indices.len(), 1], |i| indices[i] as f32);
///         Ok((x.clone(), x.map(|x| x * x)))
///     }
/// }
///
/// let (x, y) = DataLoader::new(Squares, 4).epoch(0).next().unwrap()?;
/// assert_eq!((x.to_vec()[3], y.to_vec()[3]), (3.0, 9.0));
/// # Ok::<(), FileError>(())
/// ```
pub trait Dataset: Send + Sync + 'static {
    /// Several samples together.
    type Batch: Send + 'static;

    /// The number of samples.
    fn len(&self) -> usize;

    /// The samples of some indices, in their order. What is random about them is drawn
    /// from `rng`.
    ///
    /// # Errors
    /// If they are read from a file that is not as it should be.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    fn batch(
        &self,
        indices: &[usize],
        rng: &mut Xoshiro256PlusPlus,
    ) -> Result<Self::Batch, FileError>;

    /// Whether there is no sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All samples, in their order, as one batch; what is random about them is drawn from
    /// the seed 0.
    ///
    /// # Errors
    /// As [`batch`](Self::batch).
    fn all(&self) -> Result<Self::Batch, FileError> {
        let indices: Vec<usize> = (0..self.len()).collect();
        self.batch(&indices, &mut Xoshiro256PlusPlus::seed_from_u64(0))
    }

    /// The dataset with a function applied to each batch, which may draw: flips, crops,
    /// noise, or a change of type.
    ///
    /// ```
    /// use wengert_core::Tensor;
    /// use wengert_nn::data::{DataLoader, Dataset, transform};
    ///
    /// let images = Tensor::from_fn([4, 1, 2, 2], |i| i as f32);
    /// let flipped = images.augmented(|x, rng| transform::flip_some(&x, 0.5, rng));
    /// let batch = DataLoader::new(flipped, 4).epoch(0).next().unwrap()?;
    /// assert_eq!(batch.shape()[..], [4, 1, 2, 2]);
    /// # Ok::<(), wengert_nn::FileError>(())
    /// ```
    fn augmented<B, F>(self, function: F) -> Augmented<Self, F>
    where
        Self: Sized,
        F: Fn(Self::Batch, &mut Xoshiro256PlusPlus) -> B + Send + Sync + 'static,
    {
        Augmented { dataset: self, function }
    }

    /// Two parts of the dataset, the first one of `count` samples, drawn at random:
    /// to train on and to validate with.
    ///
    /// ```
    /// use wengert_nn::data::Dataset;
    /// use wengert_nn::random::seeded;
    ///
    /// let (train, validation) = vec!["a", "b", "c"].random_split(2, &mut seeded(1));
    /// assert_eq!((train.len(), validation.len()), (2, 1));
    /// ```
    ///
    /// # Panics
    /// If there are fewer samples.
    #[track_caller]
    fn random_split<R: rand::Rng + ?Sized>(
        self,
        count: usize,
        rng: &mut R,
    ) -> (Subset<Self>, Subset<Self>)
    where
        Self: Sized,
    {
        let samples = self.len();
        assert!(count <= samples, "{samples} samples have no part of {count}");
        let mut indices: Vec<usize> = (0..samples).collect();
        shuffle(&mut indices, rng);
        let rest = indices.split_off(count);
        let dataset = Arc::new(self);
        (Subset { dataset: dataset.clone(), indices }, Subset { dataset, indices: rest })
    }

    /// As [`random_split`](Self::random_split), with the classes' shares of the whole in both parts:
    /// each class gives its share of `count` rounded down, and the classes with the largest remainders
    /// one more, of equal ones the first.
    ///
    /// ```
    /// use wengert_nn::data::Dataset;
    /// use wengert_nn::random::seeded;
    ///
    /// let labels: Vec<usize> = (0..20).map(|i| usize::from(i >= 15)).collect();
    /// let (train, validation) = labels.clone().stratified_split(16, &labels, &mut seeded(1));
    /// let rare = |part: Vec<usize>| part.iter().sum::<usize>();
    /// assert_eq!((rare(train.all()?), rare(validation.all()?)), (4, 1));
    /// # Ok::<(), wengert_nn::FileError>(())
    /// ```
    ///
    /// # Panics
    /// If there are fewer samples, or not one label for each.
    #[track_caller]
    fn stratified_split<R: rand::Rng + ?Sized>(
        self,
        count: usize,
        labels: &[usize],
        rng: &mut R,
    ) -> (Subset<Self>, Subset<Self>)
    where
        Self: Sized,
    {
        let (samples, given) = (self.len(), labels.len());
        assert!(count <= samples, "{samples} samples have no part of {count}");
        assert!(given == samples, "expected a label for each of {samples} samples, got {given}");
        let (mut indices, mut rest) = (Vec::new(), Vec::new());
        let classes = members(labels);
        let counts = apportioned(count, &classes);
        for (mut class, count) in classes.into_iter().zip(counts) {
            shuffle(&mut class, rng);
            rest.extend(class.split_off(count));
            indices.extend(class);
        }
        // Not one class after the other.
        shuffle(&mut indices, rng);
        shuffle(&mut rest, rng);
        let dataset = Arc::new(self);
        (Subset { dataset: dataset.clone(), indices }, Subset { dataset, indices: rest })
    }
}

/// How many of `count` samples each class gives: its share, by the largest remainders.
fn apportioned(count: usize, classes: &[Vec<usize>]) -> Vec<usize> {
    let samples = classes.iter().map(Vec::len).sum::<usize>().max(1);
    let mut counts: Vec<usize> =
        classes.iter().map(|class| count * class.len() / samples).collect();
    let left = count - counts.iter().sum::<usize>();
    let mut order: Vec<usize> = (0..classes.len()).collect();
    // A stable sort: of equal remainders the first.
    order.sort_by_key(|&class| std::cmp::Reverse(count * classes[class].len() % samples));
    order[..left].iter().for_each(|&class| counts[class] += 1);
    counts
}

impl<T: Real> Dataset for Tensor<T> {
    type Batch = Tensor<T>;

    fn len(&self) -> usize {
        self.shape().first().copied().unwrap_or(0)
    }

    fn batch(&self, indices: &[usize], _: &mut Xoshiro256PlusPlus) -> Result<Self, FileError> {
        let (samples, mut shape) = (self.len(), self.shape().to_vec());
        if let Some(&index) = indices.iter().find(|&&index| index >= samples) {
            panic!("there is no sample {index} in a tensor of shape {}", self.shape());
        }
        let row: usize = shape[1..].iter().product();
        shape[0] = indices.len();
        let mut elements = Vec::with_capacity(indices.len() * row);
        for &index in indices {
            match self.as_slice() {
                Some(all) => elements.extend_from_slice(&all[index * row..][..row]),
                None => elements.extend(self.slice(0, index, 1, 1).iter()),
            }
        }
        Ok(Tensor::new(shape, elements))
    }
}

impl<X: Clone + Send + Sync + 'static> Dataset for Vec<X> {
    type Batch = Vec<X>;

    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn batch(&self, indices: &[usize], _: &mut Xoshiro256PlusPlus) -> Result<Self, FileError> {
        Ok(indices.iter().map(|&index| self[index].clone()).collect())
    }
}

macro_rules! tuples {
    ($(($($part:ident $index:tt),*))*) => {$(
        impl<$($part: Dataset),*> Dataset for ($($part,)*) {
            type Batch = ($($part::Batch,)*);

            /// # Panics
            /// If the parts have different lengths.
            #[track_caller]
            fn len(&self) -> usize {
                let lengths = [$(self.$index.len()),*];
                let equal = lengths.iter().all(|&length| length == lengths[0]);
                assert!(equal, "the parts of a dataset have one length, not {lengths:?}");
                lengths[0]
            }

            fn batch(
                &self,
                indices: &[usize],
                rng: &mut Xoshiro256PlusPlus,
            ) -> Result<Self::Batch, FileError> {
                Ok(($(self.$index.batch(indices, rng)?,)*))
            }
        }
    )*};
}

tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

/// A dataset with a function applied to its batches: see [`Dataset::augmented`].
#[derive(Clone, Debug)]
pub struct Augmented<D, F> {
    dataset: D,
    function: F,
}

impl<D, B, F> Dataset for Augmented<D, F>
where
    D: Dataset,
    B: Send + 'static,
    F: Fn(D::Batch, &mut Xoshiro256PlusPlus) -> B + Send + Sync + 'static,
{
    type Batch = B;

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn batch(&self, indices: &[usize], rng: &mut Xoshiro256PlusPlus) -> Result<B, FileError> {
        Ok((self.function)(self.dataset.batch(indices, rng)?, rng))
    }
}

/// Some samples of a dataset: see [`Dataset::random_split`].
#[derive(Clone, Debug)]
pub struct Subset<D> {
    dataset: Arc<D>,
    indices: Vec<usize>,
}

impl<D> Subset<D> {
    /// Where its samples are in the whole.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    type Batch = D::Batch;

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn batch(
        &self,
        indices: &[usize],
        rng: &mut Xoshiro256PlusPlus,
    ) -> Result<D::Batch, FileError> {
        let indices: Vec<usize> = indices.iter().map(|&index| self.indices[index]).collect();
        self.dataset.batch(&indices, rng)
    }
}
