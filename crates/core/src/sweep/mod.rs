//! The sweeps: walking the tape forwards for tangents, backwards for adjoints.
//!
//! *Invariant*: a sweep knows no op by name, neither sorts nor recurses, and
//! records what it computes on the same tape. A *recorded* sweep can be
//! differentiated again; a *fast* one records values only, so that elementwise
//! rules run as single loops and sums of adjoints are added in place.

mod accumulate;
mod adjoints;
mod forward;
mod reverse;
mod taylor;
mod vmap;

pub use reverse::Gradients;
