//! The tests of the crate, in one program, which is built in a fraction of the time
//! that several take.

mod compile_fail;
mod derive;
mod gradients;
mod module;
mod optim;
mod rules;
mod schedules;
mod solvers;
