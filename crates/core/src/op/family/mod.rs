//! The families of ops: from what an op states of itself, all that a tape asks follows.

pub(super) mod bilinear;
pub(super) mod elementwise;
pub(super) mod general;
pub(super) mod linear;

// Markers, by which the compiler tells the families apart.

/// The family of [`Op`](crate::op::Op).
#[derive(Clone, Copy, Debug)]
pub enum General {}
/// The family of [`Elementwise`](crate::op::Elementwise) with `N` operands.
#[derive(Clone, Copy, Debug)]
pub enum Elementwise<const N: usize> {}
/// The family of [`Linear`](crate::op::Linear).
#[derive(Clone, Copy, Debug)]
pub enum Linear {}
/// The family of [`Bilinear`](crate::op::Bilinear).
#[derive(Clone, Copy, Debug)]
pub enum Bilinear {}
