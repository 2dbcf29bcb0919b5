//! Data: from files to batches.
//!
//! Three steps, each of which can be had alone. Readers make tensors of files:
//! [`read_idx`], [`read_cifar`], [`Table`], [`read_text`], [`read_image`], [`ImageFolder`].
//! [`transform`] makes them fit for training. A [`Dataset`] gives the samples of a list of
//! indices, which tensors, lists and tuples of them do already, and a [`DataLoader`] makes
//! epochs of shuffled batches of it, on other threads ahead of time.
//!
//! What stands in files is not to be trusted: whatever is cut short, of another kind or
//! out of range is a [`FileError`](crate::FileError) that names file, offset and
//! expectation. Indices and sizes come from the program; a wrong one panics.
//!
//! ```
//! use wengert_core::Tensor;
//! use wengert_nn::data::{DataLoader, Dataset};
//!
//! let inputs = Tensor::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
//! let loader = DataLoader::new((inputs, vec![0, 1, 1, 0]), 2).shuffled(7);
//! for epoch in 0..2 {
//!     for batch in loader.epoch(epoch) {
//!         let (x, labels) = batch?;
//!         assert_eq!((x.shape()[..].to_vec(), labels.len()), (vec![2, 2], 2));
//!     }
//! }
//! # Ok::<(), wengert_nn::FileError>(())
//! ```

mod ahead;
mod cifar;
mod dataset;
mod idx;
#[cfg(feature = "image")]
mod image;
mod loader;
#[cfg(feature = "data")]
mod table;
mod text;
pub mod transform;

pub use cifar::{read_cifar, read_cifar100};
pub use dataset::{Augmented, Dataset, Subset};
pub use idx::{read_idx, read_idx_labels};
#[cfg(feature = "image")]
pub use image::{ImageFolder, read_image, with_channels};
pub use loader::{Batches, DataLoader};
pub(crate) use loader::{Cut, part_of};
#[cfg(feature = "data")]
pub use table::{Column, Table, TableFormat};
pub use text::{Alphabet, Windows, read_text};
