//! What an op is to a compiler, to a sweep that adds in place, and to a check of formulas.
//!
//! They compute with ops in another way than operation by operation: fused into a loop, added to an
//! adjoint that is there, or number by number. Each family has one [`Role`], which answers their
//! questions; an op that has none is computed as a whole. So a new question of a compiler is a
//! method of one role, and no op grows by it.

use std::fmt;
use std::sync::Arc;

use super::{Call, DynOp};
use crate::kernel::block::BlockKernel;
use crate::kernel::gemm::MatrixLayout;
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Layout, Shape, View};

/// What else an op is than an op.
#[doc(hidden)]
pub enum Role<'a, T: Real> {
    /// Nothing: it is computed as a whole.
    Opaque,
    /// A function of each element.
    Elementwise(&'a dyn Elementary<T>),
    /// A linear map, perhaps one that adds everything up.
    Linear(&'a dyn Summing),
    /// A product, perhaps of two matrices.
    Product(&'a dyn TwoFactors<T>),
    /// A sum that takes the place of its first operand.
    Accumulation(&'a dyn Accumulating<T>),
}

impl<T: Real> fmt::Debug for Role<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opaque => "Opaque",
            Self::Elementwise(_) => "Elementwise",
            Self::Linear(_) => "Linear",
            Self::Product(_) => "Product",
            Self::Accumulation(_) => "Accumulation",
        })
    }
}

/// A function of each element.
#[doc(hidden)]
pub trait Elementary<T: Real> {
    /// The function of contiguous blocks.
    fn kernel(&self) -> Option<Arc<dyn BlockKernel<T>>> {
        None
    }

    /// Which operand the result equals, where some are known to be one number throughout.
    fn identity(&self, _known: &[Option<T>]) -> Option<usize> {
        None
    }

    /// The local partials at numbers, by the op's formula.
    fn partials(&self, args: &[T]) -> Option<Vec<T>>;
}

/// A linear map, perhaps one that adds everything up.
#[doc(hidden)]
pub trait Summing {
    /// If it adds up all elements of an operand of this shape: by what it then divides the sum.
    fn total(&self, arg: &Shape) -> Option<f64>;

    /// If it adds up rows, all that stands along the first axes: by what it then divides each sum.
    fn sum_of_rows(&self, arg: &Shape) -> Option<f64>;
}

/// A product, perhaps of two matrices.
#[doc(hidden)]
pub trait TwoFactors<T: Real> {
    /// If it is a product of matrices: how their elements lie.
    fn factors(&self, _left: &Layout, _right: &Layout) -> Option<[MatrixLayout; 2]> {
        None
    }

    /// The factors of what the [rule](DynOp::vjp) gives, where that is the product of two
    /// matrices, which can be added to an adjoint as it is computed.
    fn vjp_factors<'t>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        bar: Var<'t, T>,
    ) -> Option<[Var<'t, T>; 2]>;
}

/// A sum that takes the place of its first operand.
#[doc(hidden)]
pub trait Accumulating<T: Real> {
    /// Adds the other operands to `sum`, which holds the first one.
    fn add_into(&self, terms: &[View<'_, T>], sum: &mut [T]);

    /// The sum as a function of contiguous blocks, if it is elementwise.
    fn kernel(&self) -> Option<Arc<dyn BlockKernel<T>>> {
        None
    }
}

/// The questions, each asked of the role that has an answer.
impl<T: Real> dyn DynOp<T> + '_ {
    /// The op as a function of contiguous blocks, if it is elementwise.
    pub(crate) fn kernel(&self) -> Option<Arc<dyn BlockKernel<T>>> {
        match self.role() {
            Role::Elementwise(role) => role.kernel(),
            Role::Accumulation(role) => role.kernel(),
            _ => None,
        }
    }

    /// As [`Elementary::identity`].
    pub(crate) fn identity(&self, known: &[Option<T>]) -> Option<usize> {
        match self.role() {
            Role::Elementwise(role) => role.identity(known),
            _ => None,
        }
    }

    /// As [`Elementary::partials`], if it is elementwise.
    #[doc(hidden)]
    pub fn partials(&self, args: &[T]) -> Option<Vec<T>> {
        match self.role() {
            Role::Elementwise(role) => role.partials(args),
            _ => None,
        }
    }

    /// As [`Summing::total`], if it is linear.
    pub(crate) fn total(&self, arg: &Shape) -> Option<f64> {
        match self.role() {
            Role::Linear(role) => role.total(arg),
            _ => None,
        }
    }

    /// As [`Summing::sum_of_rows`], if it is linear.
    pub(crate) fn sum_of_rows(&self, arg: &Shape) -> Option<f64> {
        match self.role() {
            Role::Linear(role) => role.sum_of_rows(arg),
            _ => None,
        }
    }

    /// As [`TwoFactors::factors`], if it is a product.
    #[doc(hidden)]
    pub fn factors(&self, left: &Layout, right: &Layout) -> Option<[MatrixLayout; 2]> {
        match self.role() {
            Role::Product(role) => role.factors(left, right),
            _ => None,
        }
    }

    /// As [`TwoFactors::vjp_factors`], if it is a product.
    #[doc(hidden)]
    pub fn vjp_factors<'t>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        bar: Var<'t, T>,
    ) -> Option<[Var<'t, T>; 2]> {
        match self.role() {
            Role::Product(role) => role.vjp_factors(call, arg, bar),
            _ => None,
        }
    }

    /// Whether it adds to its first operand, and can do so in place.
    pub(crate) fn adds(&self) -> bool {
        matches!(self.role(), Role::Accumulation(_))
    }

    /// As [`Accumulating::add_into`].
    ///
    /// # Panics
    /// If it does not [add](Self::adds).
    pub(crate) fn add_into(&self, terms: &[View<'_, T>], sum: &mut [T]) {
        match self.role() {
            Role::Accumulation(role) => role.add_into(terms, sum),
            _ => unreachable!("{} does not add to its first operand", self.name()),
        }
    }
}
