//! Naming axes in a call: one, several, or all of them.

use std::ops::RangeFull;

use smallvec::SmallVec;

use crate::tensor::Shape;

/// A set of axes: an integer, an array of them, or `..` for all. Negative numbers
/// count from the last axis.
///
/// ```
/// use wengert_core::Tape;
///
/// let tape = Tape::new();
/// let x = tape.constant([[1.0, 2.0], [3.0, 4.0]]);
/// assert_eq!(x.sum_over(0).value().to_vec(), [4.0, 6.0]);
/// assert_eq!(x.sum_over(-1).value().to_vec(), [3.0, 7.0]);
/// assert_eq!(x.sum_over([0, 1]).value().item(), 10.0);
/// assert_eq!(x.sum_over(..).value().item(), 10.0);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no axes",
    label = "neither an `isize`, nor several, nor `..`",
    note = "axes are `isize` (negative ones count from the end): `0`, `-1`, `[0, 2]`, `..` for all; a `usize` becomes one by `as isize`"
)]
pub trait Axes {
    /// The axes counted from the first one, in ascending order.
    ///
    /// # Errors
    /// A sentence that says which axis does not exist or is named twice.
    fn resolve(self, shape: &Shape) -> Result<AxisList, String>;
}

/// Axes of a shape, ascending.
pub type AxisList = SmallVec<[usize; 4]>;

/// The axis that a possibly negative number means.
pub(crate) fn resolve_axis(axis: isize, rank: usize) -> Option<usize> {
    let resolved = if axis < 0 { axis + rank as isize } else { axis };
    usize::try_from(resolved).ok().filter(|&axis| axis < rank)
}

impl Axes for isize {
    fn resolve(self, shape: &Shape) -> Result<AxisList, String> {
        [self].resolve(shape)
    }
}

impl Axes for &[isize] {
    fn resolve(self, shape: &Shape) -> Result<AxisList, String> {
        let mut axes = AxisList::new();
        for &axis in self {
            let resolved = resolve_axis(axis, shape.rank())
                .ok_or_else(|| format!("there is no axis {axis} in shape {shape}"))?;
            if axes.contains(&resolved) {
                return Err(format!("axis {axis} of shape {shape} is named twice"));
            }
            axes.push(resolved);
        }
        axes.sort_unstable();
        Ok(axes)
    }
}

impl<const N: usize> Axes for [isize; N] {
    fn resolve(self, shape: &Shape) -> Result<AxisList, String> {
        self.as_slice().resolve(shape)
    }
}

impl Axes for RangeFull {
    fn resolve(self, shape: &Shape) -> Result<AxisList, String> {
        Ok((0..shape.rank()).collect())
    }
}

impl Axes for AxisList {
    fn resolve(self, _: &Shape) -> Result<AxisList, String> {
        Ok(self)
    }
}
