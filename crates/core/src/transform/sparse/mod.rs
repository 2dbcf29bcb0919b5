//! Sparse Jacobians and Hessians: pattern, colours, compressed products, recovery.
//!
//! Of a large Jacobian most entries are often zero, whatever the point. The *pattern*
//! of the others follows from the tape, by a pass that hands sets of input elements
//! from operands to results (`domains`; G&W, section 7.3). Columns that share no row
//! are *coloured* alike ([`Colouring`]), and one product with a vector of zeros and
//! ones gives all columns of a colour at once (`plan`; G&W, chapter 8). So the cost
//! depends on the number of colours, which is that of diagonals for a banded matrix
//! of any size, and not on the number of variables.
//!
//! Nothing here guesses: the pattern never misses an entry, a pattern that the user
//! gives is checked by a product that needs none, and where the function records other
//! operations than before, the pattern is found again.

mod colouring;
mod derivative;
pub(crate) mod domains;
mod error;
mod matrix;
mod pattern;
mod plan;

pub use colouring::Colouring;
pub use derivative::{Compiled, Derivative, First, Hessian, Jacobian, Kind, Second};
pub use error::PatternError;
pub use matrix::Matrix;
pub use pattern::Pattern;
pub use plan::Compression;

use crate::scalar::Real;
use crate::var::{Function, Inputs};

/// The Jacobian of a function at `x`, with its pattern. Rows are the elements of the
/// value, columns those of all inputs, one after another, each in row-major order.
///
/// ```
/// use wengert_core::{Tensor, sparse};
///
/// let x = Tensor::from([1.0, 2.0, 3.0]);
/// let j = sparse::jacobian(|x| x.slice(0, 1..) - x.slice(0, ..2).square(), &x);
/// assert_eq!(j.pattern().to_string(), "xx.\n.xx");
/// assert_eq!(j.values(), [-2.0, 1.0, -4.0, 1.0]);
/// ```
#[track_caller]
pub fn jacobian<T: Real, I: Inputs<T>>(f: impl for<'t> Function<'t, T, I>, x: I) -> Matrix<T> {
    derivative::once::<First, T, I>(f, &x)
}

/// The Hessian of a scalar function at `x`, with its pattern. Rows and columns are the
/// elements of all inputs, one after another, each in row-major order.
///
/// ```
/// use wengert_core::{Tensor, sparse};
///
/// let x = Tensor::from([1.0, 2.0, 3.0]);
/// let h = sparse::hessian(|x| (x.slice(0, 1..) * x.slice(0, ..2).square()).sum(), &x);
/// assert_eq!(h.pattern().to_string(), "xx.\nxxx\n.x.");
/// assert_eq!(h.values(), [4.0, 2.0, 2.0, 6.0, 4.0, 4.0]);
/// ```
///
/// # Panics
/// As [`Derivative::of`].
#[track_caller]
pub fn hessian<T: Real, I: Inputs<T>>(f: impl for<'t> Function<'t, T, I>, x: I) -> Matrix<T> {
    derivative::once::<Second, T, I>(f, &x)
}
