//! Loops compiled for the widest vectors of the CPU that runs them.

use std::sync::LazyLock;

use pulp::Arch;

use super::width;

/// The widest vector instructions of this CPU that may be used, found once.
pub(crate) static ARCH: LazyLock<Arch> = LazyLock::new(width::arch);

tuned! {
    /// Below this many elements a loop is over before wider vectors pay.
    const WORTH_DISPATCH = 64, tiny 2;
}

/// Runs `loops` compiled for the widest vectors that this CPU has.
///
/// The closure is compiled once for each instruction set, so it must be small
/// and inlined (`#[inline(always)]`): a loop over slices, not a tree of calls.
///
/// ```
/// let (mut y, x) = (vec![1.0_f32; 1000], vec![2.0_f32; 1000]);
/// wengert_core::vectorised(
///     y.len(),
///     #[inline(always)]
///     || y.iter_mut().zip(&x).for_each(|(y, x)| *y += 0.5 * x),
/// );
/// assert_eq!(y[999], 2.0);
/// ```
#[inline(always)]
pub fn vectorised<R>(elements: usize, loops: impl FnOnce() -> R) -> R {
    if elements < WORTH_DISPATCH { loops() } else { dispatched(loops) }
}

/// Runs code compiled for this CPU, however short it is: the [elementary]
/// functions live on fused multiply-adds, which are calls of a library elsewhere.
#[inline(always)]
pub(crate) fn dispatched<R>(code: impl FnOnce() -> R) -> R {
    ARCH.dispatch(code)
}
