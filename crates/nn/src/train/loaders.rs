//! What a trainer takes its batches from: a loader, or one to train on and one to validate
//! with.

use crate::data::{DataLoader, Dataset};

/// Loaders of one kind of batches: a `&DataLoader` to train on, or a pair of them, the
/// second of which validates.
pub trait Loaders {
    /// A batch of either.
    type Batch: Send + 'static;
    /// What is trained on.
    type Training: Dataset<Batch = Self::Batch>;
    /// What validates.
    type Validation: Dataset<Batch = Self::Batch>;

    /// The loader to train on.
    fn training(&self) -> &DataLoader<Self::Training>;

    /// The loader to validate with, if there is one.
    fn validation(&self) -> Option<&DataLoader<Self::Validation>>;
}

impl<D: Dataset> Loaders for &DataLoader<D> {
    type Batch = D::Batch;
    type Training = D;
    type Validation = D;

    fn training(&self) -> &DataLoader<D> {
        self
    }

    fn validation(&self) -> Option<&DataLoader<D>> {
        None
    }
}

impl<D: Dataset, V: Dataset<Batch = D::Batch>> Loaders for (&DataLoader<D>, &DataLoader<V>) {
    type Batch = D::Batch;
    type Training = D;
    type Validation = V;

    fn training(&self) -> &DataLoader<D> {
        self.0
    }

    fn validation(&self) -> Option<&DataLoader<V>> {
        Some(self.1)
    }
}
