//! Faults that a test switches on, to prove that the definitions of `crates/reference` notice
//! them: a remainder that is dropped, a row too many, a lane that is left out.
//!
//! They exist with the hidden feature `tiny-kernels` only. In every other build
//! [`damaged`] is the constant `false`, and nothing is left of the places that ask.

#[cfg(feature = "tiny-kernels")]
use std::sync::atomic::{AtomicUsize, Ordering};

macro_rules! damages {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// A fault in one kernel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Damage {
            $($(#[$doc])* $name,)+
        }

        #[cfg(feature = "tiny-kernels")]
        impl Damage {
            /// All of them.
            pub const ALL: &[Damage] = &[$(Damage::$name),+];
        }
    };
}

damages! {
    /// Sums lose the elements behind the last whole vector of a leaf.
    LeafRemainder,
    /// Sums lose the last of the lanes that are added side by side.
    LeafLane,
    /// Sums add the second leaf twice.
    LeafTwice,
    /// The last leaf of a sum of rows reads on into the rows of the next result.
    RowsOfNext,
    /// Sums of a few rows skip the last one.
    LastRow,
    /// Blocks of elementwise functions begin one element early.
    BlockEarly,
    /// The last lane that is in use computes with the operand of its neighbour.
    LastLane,
    /// Copies of transposed matrices leave the last column of each tile out.
    TileColumn,
    /// Running sums forget what stands before a block.
    Carry,
    /// Products in blocks leave the last term out.
    LastTerm,
    /// Tiny products leave the last row out.
    TinyRow,
    /// Products of one term compute each row from the element before.
    OuterRow,
    /// The adjoint of filters loses the last images.
    LastImages,
    /// Images are laid out without the first channel behind those that go together.
    Channel,
    /// Convolutions by fewer multiplications compute all patches from the first ones.
    Patches,
    /// Poolings leave the first vector of each row out.
    PoolVector,
    /// The second piece of what is shared out to threads is nobody's.
    Piece,
    /// Reflections of eigenvectors do not reach the last column of a stripe.
    Stripe,
    /// Rows that are taken at places lose their last element.
    TakenRow,
    /// Queries do not see the last of their keys.
    LastKey,
}

/// The number of the fault that is switched on, or one that no fault has.
#[cfg(feature = "tiny-kernels")]
static ACTIVE: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Switches a fault on in the whole process, and all others off.
#[cfg(feature = "tiny-kernels")]
#[doc(hidden)]
pub fn damage(damage: Option<Damage>) {
    ACTIVE.store(damage.map_or(usize::MAX, |damage| damage as usize), Ordering::SeqCst);
}

/// Whether a fault is switched on.
#[cfg(feature = "tiny-kernels")]
#[inline]
pub(crate) fn damaged(damage: Damage) -> bool {
    ACTIVE.load(Ordering::Relaxed) == damage as usize
}

/// Whether a fault is switched on: never.
#[cfg(not(feature = "tiny-kernels"))]
#[inline(always)]
pub(crate) const fn damaged(_: Damage) -> bool {
    false
}
