//! Training on several machines, over MPI: the bits of one process on any number of them.
//!
//! A program calls [`start`], hands the [`Cluster`] to
//! [`Trainer::fit_on`](wengert::nn::train::Trainer::fit_on), and ends with [`Cluster::finish`]. Started
//! by `mpirun -n 4`, it runs on four processes; started by itself, on one.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use wengert::nn::data::DataLoader;
//! use wengert::nn::loss::mse;
//! use wengert::nn::random::seeded;
//! use wengert::nn::train::{TrainError, Trainer};
//! use wengert::prelude::*;
//!
//! fn main() -> ExitCode {
//!     let cluster = match wengert_mpi::start() {
//!         Ok(cluster) => cluster,
//!         Err(error) => {
//!             eprintln!("{error}");
//!             return ExitCode::FAILURE;
//!         }
//!     };
//!     let trained = train(&cluster);
//!     cluster.finish(trained)
//! }
//!
//! fn train(cluster: &wengert_mpi::Cluster) -> Result<(), TrainError> {
//!     let x = Tensor::from_fn([64, 1], |i| i as f32 / 64.0);
//!     let loader = DataLoader::new((x.clone(), x.map(|x| 3.0 * x - 1.0)), 16).shuffled(1);
//!     let (mut net, mut adam) = (Linear::new(1, 1, &mut seeded(1)), Adam::new(0.1));
//!     let mut trainer = Trainer::new(100).checkpoint("run.safetensors").resume();
//!     trainer.fit_on(cluster, 8, &mut net, &mut adam, &loader, |net, tape, (x, y), _| {
//!         mse(net.forward(tape.constant(x)), tape.constant(y))
//!     })?;
//!     Ok(())
//! }
//! ```
//!
//! What is added, and in which order, stands in `wengert-nn` and is the same for every engine; this
//! crate carries numbers and never lets MPI add them. `docs/distributed.md` of the repository says how a job
//! is run, what is promised and what it costs.
//!
//! No process is left waiting for one that is gone: a panic, on whatever thread, ends all processes, and
//! so does the watchdog if nothing is exchanged for a [time](Cluster::timeout).

mod cluster;
mod start;
mod watch;

pub use cluster::Cluster;
pub use start::{StartError, start};
