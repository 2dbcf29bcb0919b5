//! The tests of the core, in one program: ops are generic, so each test program
//! compiles all that it uses of them anew, and one is built in a fraction of the
//! time that a dozen take.
//!
//! Apart stand `allocation`, which counts what its process asks for, and `threads`,
//! which sets how many threads its process has.

mod adjoints;
mod check;
mod closed_forms;
mod convolution;
mod custom;
mod elementary;
mod harness;
mod memory;
mod messages;
mod mutation;
mod program;
mod properties;
mod random_tapes;
mod recordings;
mod table;
mod taylor;
