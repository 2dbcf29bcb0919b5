//! The first models of somebody who knows PyTorch or JAX, written as one would there: each is about as
//! long as it is there, trains in a second or two, and ends at what a closed form says.

mod heat;
mod neural_ode;
mod oscillator;
