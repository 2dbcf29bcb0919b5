//! Which elements of an operand an element of a result depends on.
//!
//! Sparse derivatives need it (G&W, section 7.3), and only there. Nearly every op
//! relates its operands to its result axis by axis: an element of the result reads
//! a box of the operand, whose sides each follow one axis of the result or none. So
//! an op states a side for each axis, and whoever wants to know of elements works
//! them out. An op that states nothing may read everything, which is always right.
//! The harness compares what is stated with Jacobians.

use crate::tensor::Shape;

/// The elements of one operand of which an element of the result has a derivative
/// that can differ from zero; a statement that names too many is right, one that
/// names too few is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dependence {
    /// All of them.
    Everything,
    /// None: the derivative with respect to this operand is zero.
    Nothing,
    /// A box: for each axis of the operand its positions. A statement may go on
    /// beyond the operand's axes, as if it had further ones of extent 1.
    Axes(Vec<Along>),
}

/// The positions along one axis of an operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Along {
    /// All of them.
    All,
    /// The position that the element has along this axis of the result, or the only
    /// one, where the operand has extent 1.
    Same(usize),
    /// For each position along this axis of the result, these.
    Listed(usize, Vec<Vec<usize>>),
}

impl Dependence {
    /// That of an operand which broadcasts to the result.
    pub fn broadcast(arg: &Shape, result: &Shape) -> Self {
        let lead = result.rank() - arg.rank();
        Dependence::Axes((lead..result.rank()).map(Along::Same).collect())
    }

    /// That of functions of whole rows, the last axis: all of the row.
    pub fn rows(arg: &Shape) -> Self {
        let lead = (0..arg.rank().saturating_sub(1)).map(Along::Same);
        Dependence::Axes(lead.chain([Along::All]).collect())
    }

    /// That of an operand whose axes are the result's, but for one.
    pub(crate) fn along(arg: &Shape, axis: usize, positions: Vec<Vec<usize>>) -> Self {
        let mut axes: Vec<Along> = (0..arg.rank()).map(Along::Same).collect();
        axes[axis] = Along::Listed(axis, positions);
        Dependence::Axes(axes)
    }
}
