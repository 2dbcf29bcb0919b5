//! The first models of somebody who knows PyTorch or JAX, written as one would there: each is about as
//! long as it is there, trains in a second or two, and ends at what is known otherwise: a closed form, an
//! entropy, what a club did.

mod graph_net;
mod heat;
mod neural_ode;
mod oscillator;
mod tied;
mod vae;
