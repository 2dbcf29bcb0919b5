//! Functions of matrices: systems of equations, factorisations, determinants.

pub(super) mod degenerate;
pub(super) mod determinant;
pub(super) mod expm;
pub(super) mod factorise;
pub(super) mod solve;
pub(super) mod symmetric;

pub use degenerate::*;
pub use determinant::*;
pub use expm::*;
pub use factorise::*;
pub use solve::*;
pub use symmetric::*;
