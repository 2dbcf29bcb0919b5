//! The tests of the crate, in one program, which is built in a fraction of the time
//! that several take.

mod agreement;
mod attention;
mod check;
mod compile_fail;
mod data;
mod derive;
mod files;
mod gradients;
mod images;
mod layers;
mod least_squares;
mod limits;
mod losses;
mod metrics;
mod mistakes;
mod module;
mod nist;
mod numbers;
mod optim;
mod orders;
mod param;
mod places;
mod readers;
mod replacing;
mod rules;
mod safe_runs;
mod scales;
mod schedules;
mod shared;
mod solvers;
mod tables;
mod training;
mod unpacking;
mod weights;
