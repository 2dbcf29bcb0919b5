//! The loops over elements, and the only rooms with `unsafe`.
//!
//! *Invariant*: kernels see slices and views, never tapes or derivatives. SIMD
//! width is chosen here, for the CPU that runs the program. Reductions add in an
//! order that depends on the shape alone, so that results repeat to the last bit.

pub(crate) mod along;
pub(crate) mod block;
pub(crate) mod convolution;
pub(crate) mod damage;
mod eigen;
pub(crate) mod elementary;
pub(crate) mod factor;
pub(crate) mod map;
pub(crate) mod minors;
pub(crate) mod order;
pub(crate) mod pairwise;
pub(crate) mod pool;
#[allow(unsafe_code)]
pub(crate) mod product;
pub(crate) mod reduce;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod simd;
mod singular;
pub(crate) mod special;
pub(crate) mod spectral;
pub mod threads;
pub(crate) mod width;
pub(crate) mod window;

use std::borrow::Cow;
use std::sync::LazyLock;

use pulp::Arch;

use crate::Real;
use crate::tensor::View;
use crate::tuned::Size;

/// The widest vector instructions of this CPU that may be used, found once.
static ARCH: LazyLock<Arch> = LazyLock::new(width::arch);

tuned! {
    /// Below this many elements a loop is over before wider vectors pay.
    const WORTH_DISPATCH = 64, tiny 2;
}

/// The tuned sizes of all files of this room.
pub(crate) const SIZES_OF_FILES: &[&[Size]] = &[
    SIZES,
    along::SIZES,
    block::SIZES,
    convolution::SIZES,
    convolution::correlate::SIZES,
    convolution::planes::SIZES,
    convolution::weights::SIZES,
    convolution::winograd::SIZES,
    convolution::winograd::weights::SIZES,
    eigen::SIZES,
    map::SIZES,
    pool::row::SIZES,
    product::SIZES,
    product::blocked::SIZES,
    product::tiny::SIZES,
    reduce::SIZES,
    rows::SIZES,
    scan::SIZES,
    threads::SIZES,
];

/// Reads the variables of the environment that kernels go by, so that a wrong one is told before
/// anything is computed.
///
/// # Panics
/// If one of them has a value that means nothing.
#[track_caller]
pub(crate) fn check_environment() {
    threads::count();
    width::instruction_set();
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

/// The elements in row-major order, copied only where they are not.
pub(crate) fn contiguous<'a, T: Real>(x: View<'a, T>) -> Cow<'a, [T]> {
    x.as_slice().map_or_else(|| Cow::Owned(x.iter().collect()), Cow::Borrowed)
}
