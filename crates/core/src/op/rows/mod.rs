//! Functions of whole rows: the last axis at a time.

pub(super) mod order;
pub(super) mod product;
pub(super) mod softmax;

pub use order::*;
pub use product::*;
pub use softmax::*;
