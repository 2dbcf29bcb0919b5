//! Linear maps: sums, and elements that move.

pub(super) mod index;
pub(super) mod join;
pub(super) mod movement;
pub(super) mod scan;
pub(super) mod sum;
pub(super) mod take_along;
pub(super) mod triangle;

pub use index::*;
pub use join::*;
pub use movement::*;
pub use scan::*;
pub use sum::*;
pub use take_along::*;
pub use triangle::*;
