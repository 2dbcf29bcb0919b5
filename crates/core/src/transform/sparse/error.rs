//! Why a pattern is not that of a derivative.

use thiserror::Error;

/// Why a pattern does not hold.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum PatternError {
    /// It is one of matrices of another size.
    #[error(
        "the pattern is {} x {}, and the derivative {} x {}",
        given[0], given[1], expected[0], expected[1]
    )]
    Size {
        /// Rows and columns of the pattern.
        given: [usize; 2],
        /// Elements of the value and of the inputs.
        expected: [usize; 2],
    },
    /// The derivative has an entry where the pattern has none.
    #[error("the entry at row {row}, column {column} is {value:e}, outside of the pattern")]
    Outside {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// A Hessian's pattern, or the Hessian, is not that of its transpose.
    #[error(
        "a Hessian equals its transpose, and this does not; of a gradient whose rules are no \
         derivatives (clipping, reversal), take the Jacobian"
    )]
    NotSymmetric,
}
