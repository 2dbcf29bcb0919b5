//! Elementary functions that loops can be vectorised over.
//!
//! Each function is straight-line code for one number: no call, no table, no
//! branch (but for the circular functions, see [`circular`]). Put into a loop over
//! a block, the compiler turns it into vector instructions of whatever width the
//! loop is compiled for. It is written over a [`Lane`], which may be a float or what
//! records the formula, and of a [`Format`] knows the constants.
//!
//! Only additions, subtractions, multiplications, divisions, fused multiply-adds and
//! operations on bits are used, each rounded as IEEE 754 says. A function has
//! therefore one value, the same bits, on every CPU, in every vector width, and for
//! a number by itself. A CPU without fused multiply-adds (before 2013) pays the
//! price: a library function computes them, correctly and slowly. So does code that
//! is not compiled for the CPU that runs it: see `kernel::dispatched`.
//!
//! The greatest errors found, in ulp: units in the last place of the exact value.
//! `tests/suite/elementary.rs` measures them again.
//!
//! | | `f32` | `f64` |
//! | --- | --- | --- |
//! | `exp` | 0.99 | 0.97 |
//! | `exp2` | 1.00 | 0.96 |
//! | `expm1` | 1.62 | 1.29 |
//! | `ln`, `ln1p` | 0.77 | 0.74 |
//! | `log2` | 1.48 | 1.47 |
//! | `powf` | 1.18 | 1.03 |
//! | `sin`, `cos` | 1.53 | 1.36 |
//! | `tanh` | 1.46 | 1.31 |
//! | `sigmoid` | 2.00 | 1.97 |
//! | `erf` | 1.32 | 1.25 |
//! | `erfc` | 5.22 | 4.81 |
//!
//! Methods: Muller, *Elementary Functions*, 3rd edition, chapters 3 and 11;
//! polynomials without another source are minimax (Remez), computed for this
//! crate.

/// The polynomial in `x` with the given coefficients, from the constant term
/// upwards, as straight-line code.
///
/// Estrin's scheme: neighbours become pairs, `a + b x`, which are the coefficients
/// of a polynomial in `x^2`, and so on. A few more multiplications than Horner's
/// rule, and a chain of dependent ones that grows with the logarithm of the degree.
macro_rules! polynomial {
    ($x:expr; $($coefficient:expr),+ $(,)?) => {{
        let x = $x;
        polynomial!(@pairs x, []; $(x.constant($coefficient)),+)
    }};
    (@pairs $x:ident, [$pair:expr];) => { $pair };
    (@pairs $x:ident, [$($pair:expr),+];) => {{
        let square = $x * $x;
        polynomial!(@pairs square, []; $($pair),+)
    }};
    (@pairs $x:ident, []; $a:expr) => { $a };
    (@pairs $x:ident, [$($pair:expr),+]; $a:expr) => {
        polynomial!(@pairs $x, [$($pair,)+ $a];)
    };
    (@pairs $x:ident, [$($pair:expr),*]; $a:expr, $b:expr $(, $rest:expr)*) => {
        polynomial!(@pairs $x, [$($pair,)* $b.mul_add($x, $a)]; $($rest),*)
    };
}

mod bits;
mod circular;
mod erf;
mod exponential;
mod format;
mod lane;
mod logarithm;
mod power;
mod reduce;

pub(crate) use circular::{cos, cos_near, cos_small, is_near, is_small, sin, sin_near, sin_small};
pub(crate) use erf::{erf, erfc};
pub(crate) use exponential::{exp, exp2, expm1, sigmoid, tanh};
pub use format::Format;
pub use lane::Lane;
pub(crate) use logarithm::{ln, ln1p, log2};
pub(crate) use power::powf;
