//! The tests of the core, in one program: ops are generic, so each test program
//! compiles all that it uses of them, and one is built in a fraction of the
//! time that a dozen take.
//!
//! Apart stands `allocation`, which counts what its process asks for.

mod adjoints;
mod arrays;
mod attention;
mod backward_each;
mod check;
mod checkpoint;
mod closed_forms;
mod compiled_steps;
mod constants;
mod convolution;
mod custom;
mod degenerate;
mod dependencies;
mod determinants;
mod dimensions;
mod einsum;
mod elementary;
mod environment;
mod epilogue;
mod explorer;
mod factorisation_scales;
mod factorisations;
mod formulas;
mod functions;
mod harness;
mod implicit;
mod linear_algebra;
// The digits of a million terms are those of blocks of full size.
#[cfg(not(feature = "tiny-kernels"))]
mod long_sums;
mod memory;
mod messages;
mod messages_of_derivatives;
mod mutation;
mod names;
mod native;
mod nested;
mod one_term;
mod operands;
mod ops_page;
mod outliers;
mod program;
mod properties;
mod random;
mod random_tapes;
mod recordings;
mod reference;
mod reports;
mod resolution;
mod rooms;
mod scales;
mod scan;
mod selection;
mod shared;
mod sizes;
mod sparse;
mod sums;
mod taylor;
mod threads;
mod trace;
mod trace_formats;
mod verification;
mod vmap;
