//! The tests of the crate, in one program, which is built in a fraction of the time
//! that several take.

mod agreement;
mod check;
mod compile_fail;
mod data;
mod derive;
mod files;
mod gradients;
mod layers;
mod limits;
mod losses;
mod module;
mod optim;
mod orders;
mod readers;
mod rules;
mod scales;
mod schedules;
mod shared;
mod solvers;
mod training;
mod weights;
