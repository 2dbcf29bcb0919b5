//! The tests of the crate, in one program, which is built in a fraction of the time
//! that several take.

mod agreement;
mod compile_fail;
mod data;
mod derive;
mod files;
mod gradients;
mod layers;
mod losses;
mod module;
mod optim;
mod readers;
mod training;
mod weights;
