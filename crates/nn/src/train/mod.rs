//! Training: a loop with all that belongs to it, and the parts of it.
//!
//! The loop itself is seven lines, and whoever wants another one writes them:
//!
//! ```
//! use wengert_core::{Tape, Tensor};
//! use wengert_nn::data::DataLoader;
//! use wengert_nn::loss::cross_entropy;
//! use wengert_nn::random::{derived_seed, seeded};
//! use wengert_nn::{Adam, Layer, Linear};
//!
//! let (x, labels) = (Tensor::from([[0.0_f32], [1.0], [2.0], [3.0]]), vec![0, 0, 1, 1]);
//! let loader = DataLoader::new((x, labels), 2).shuffled(1);
//! let mut net = Linear::new(1, 2, &mut seeded(1));
//! let (mut adam, mut tape) = (Adam::new(0.1), Tape::new());
//! for epoch in 0..10 {
//!     for (number, batch) in (0..).zip(loader.epoch(epoch)) {
//!         let (x, labels) = batch?;
//!         tape.train(derived_seed(derived_seed(1, epoch), number));
//!         tape.reset();
//!         let loss = cross_entropy(net.forward(tape.constant(&x)), &labels);
//!         adam.step(&mut net, &loss.backward());
//!     }
//! }
//! # Ok::<(), wengert_nn::FileError>(())
//! ```
//!
//! A [`Trainer`] does the same, to the last bit, and around it what a long run wants:
//! validation, [`Metrics`], a progress bar, early stopping, a [`Checkpoint`] after each epoch or
//! within it from which it goes on as if nothing had happened, and a [`History`] that becomes a
//! picture. [`DataParallel`] computes the gradient of a batch on several threads, and with an
//! [`Exchange`] on several processes. [`Trainer::fit_compiled`] compiles its steps.
//!
//! *Invariant*: what a run draws follows from seed, epoch and batch. Nothing depends on what
//! was drawn before, on threads, on processes or on time.

mod bar;
mod checkpoint;
mod compiled;
mod confusion;
mod curves;
mod exchange;
mod fit;
mod history;
mod interrupt;
mod loaders;
mod measure;
mod metrics;
mod outcome;
mod parallel;
mod places;
mod pool;
mod run;
mod screen;
mod shard;
mod state;
mod steps;
mod sum;
mod trainer;

pub use checkpoint::{Checkpoint, Multipliers};
pub use compiled::{BatchLoss, TensorBatch};
pub use confusion::Confusion;
pub use exchange::{Alone, Exchange, Group, InProcess};
pub use history::{Best, History};
pub use loaders::Loaders;
pub use measure::measure;
pub use metrics::{Metrics, RSquared, in_top};
pub use outcome::{Report, StopReason, TrainError};
pub use parallel::DataParallel;
pub use trainer::{Every, Progress, Trainer};
