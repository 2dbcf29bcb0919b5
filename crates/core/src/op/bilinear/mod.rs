//! Products of matrices and vectors.

pub(super) mod matmul;
pub(super) mod matmul_transposed;

pub use matmul::*;
pub use matmul_transposed::*;
