//! Options of ops whose window slides over the last axes, two of them if nothing
//! else is said.

use crate::kernel::window::Slide;
use crate::tensor::Shape;

/// A number for each axis that a window slides along, such as down and across; a
/// single one is for all.
pub trait PerAxis<const D: usize = 2> {
    /// The numbers.
    fn per_axis(self) -> [usize; D];
}

impl<const D: usize> PerAxis<D> for usize {
    fn per_axis(self) -> [usize; D] {
        [self; D]
    }
}

impl<const D: usize> PerAxis<D> for [usize; D] {
    fn per_axis(self) -> [usize; D] {
        self
    }
}

/// A number for each side: `[[top, bottom], [left, right]]` of planes. A single one
/// is for all, and one for each axis is for both sides along it.
pub trait PerSide<const D: usize = 2> {
    /// The numbers before and after the elements, for each axis.
    fn per_side(self) -> [[usize; 2]; D];
}

impl<const D: usize> PerSide<D> for usize {
    fn per_side(self) -> [[usize; 2]; D] {
        [[self; 2]; D]
    }
}

impl<const D: usize> PerSide<D> for [usize; D] {
    fn per_side(self) -> [[usize; 2]; D] {
        self.map(|both| [both; 2])
    }
}

impl<const D: usize> PerSide<D> for [[usize; 2]; D] {
    fn per_side(self) -> [[usize; 2]; D] {
        self
    }
}

/// How a window slides over the last two axes of a shape, of planes, or why it does not.
///
/// The shape has two axes at least. With the padding it is small enough for memory, so that
/// kernels may copy the planes with their padding, and no place in them is too large a number.
pub(in crate::op) fn slides(
    x: &[usize],
    window: [usize; 2],
    stride: [usize; 2],
    padding: [[usize; 2]; 2],
    dilation: [usize; 2],
) -> Result<[Slide; 2], String> {
    if stride.contains(&0) || dilation.contains(&0) || window.contains(&0) {
        return Err("windows, strides and dilations are at least 1".to_owned());
    }
    let (lead, plane) = x.split_at(x.len() - 2);
    let padded = |axis: usize| {
        let [before, after] = padding[axis];
        plane[axis].saturating_add(before).saturating_add(after)
    };
    let padded = [padded(0), padded(1)];
    lead.iter().copied().chain(padded).collect::<Shape>().check_elements()?;
    let slide = |axis: usize| {
        Slide::new(plane[axis], window[axis], stride[axis], padding[axis], dilation[axis])
    };
    match (slide(0), slide(1)) {
        (Some(down), Some(across)) => Ok([down, across]),
        _ => {
            let span =
                |axis: usize| (window[axis] - 1).saturating_mul(dilation[axis]).saturating_add(1);
            Err(format!(
                "a window of {} x {} does not fit into a plane of {} x {}, padding included",
                span(0),
                span(1),
                padded[0],
                padded[1]
            ))
        }
    }
}
