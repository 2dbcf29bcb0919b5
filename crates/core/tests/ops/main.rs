//! Every op through the harness, and the harness through broken rules.
//!
//! One binary, since it takes its time to compile all ops in both precisions.

mod harness;
mod mutation;
