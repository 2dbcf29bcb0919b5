//! What the examples share, and the tests of the top level with them.
//!
//! [`options`] checks what an example is asked for as it is read; [`paper`] has the points, the network and Lemma 1 of
//! Higham & Higham; [`figures`] draws from plain numbers; [`models`] are made of the nn crate's layers for weights that
//! others have trained; [`mistakes`] are gradients by hand that are wrong on purpose.
#![allow(
    clippy::len_without_is_empty,
    missing_debug_implementations,
    missing_docs,
    reason = "only the examples see this crate"
)]

pub mod figures;
pub mod mistakes;
pub mod models;
pub mod options;
pub mod paper;
