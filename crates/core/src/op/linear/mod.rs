//! Linear maps: sums, and elements that move.

pub(super) mod along;
pub(super) mod index;
pub(super) mod join;
pub(super) mod movement;
pub(super) mod scan;
pub(super) mod sum;
pub(super) mod triangle;

pub use along::*;
pub use index::*;
pub use join::*;
pub use movement::*;
pub use scan::*;
pub use sum::*;
pub use triangle::*;
