//! Functions of whole rows: the last axis at a time.
//!
//! Methods bring other axes to the end first, so that each kernel sees one row after another.

mod attention;
mod attention_adjoint;
mod channel;
mod max;
mod norm;
mod order;
mod product;
mod row_map;
mod softmax;

pub use attention::Attention;
pub use attention_adjoint::*;
pub use channel::*;
pub use max::*;
pub use norm::*;
pub use order::*;
pub use product::*;
pub use softmax::*;

use super::{Domain, Op, Samples, ShapeClass, operands};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{AxisList, Shape};

/// The leading axes and the length of the rows.
pub(in crate::op) fn row_shape(args: &[&Shape]) -> Result<(Shape, usize), String> {
    let [x] = operands(args)?;
    let (count, lead) = x.split_last().ok_or("a scalar has no rows")?;
    Ok((lead.into(), *count))
}

pub(in crate::op) fn rows<O: Clone>(samples: &mut Samples<O>, op: O) {
    samples.absent(ShapeClass::Scalar, "a scalar has no rows");
    for shape in [Shape::from([4]), [3, 4].into(), [2, 2, 3].into(), [3, 1].into()] {
        samples.case(op.clone(), [(shape, Domain::reals())]);
    }
    samples.error(op, &[[].into()], "a scalar has no rows");
}

pub(in crate::op) fn empty_rows<O: Clone>(samples: &mut Samples<O>, op: O, of_no_length: bool) {
    samples.case(op.clone(), [([0, 3].into(), Domain::reals())]);
    if of_no_length {
        samples.case(op, [([3, 0].into(), Domain::reals())]);
    }
}

impl<'t, T: Real> Var<'t, T> {
    /// The axes brought to the end and joined into one, for the functions of rows.
    pub(crate) fn to_rows(self, axes: &AxisList) -> Self {
        let shape = self.shape();
        if axes.len() == 1 && axes[0] + 1 == shape.rank() {
            return self;
        }
        let kept: AxisList = (0..shape.rank()).filter(|axis| !axes.contains(axis)).collect();
        let count: usize = axes.iter().map(|&axis| shape[axis]).product();
        let target: Shape = kept.iter().map(|&axis| shape[axis]).chain([count]).collect();
        let order = kept.iter().chain(axes).copied().collect();
        self.permute_axes(order).reshape(target)
    }

    /// A function of rows along one axis, which keeps the shape.
    #[track_caller]
    fn along<O: Op>(self, axis: isize, op: O) -> Self {
        let axis = self.resolve(O::NAME, axis)[0] as isize;
        self.swap_axes(axis, -1).apply(op).swap_axes(axis, -1)
    }
}
