//! Options of ops whose window slides over the last two axes.

use crate::kernel::window::Slide;

/// A number for each of two axes, down and across; a single one is for both.
pub trait PerAxis {
    /// The two numbers.
    fn per_axis(self) -> [usize; 2];
}

impl PerAxis for usize {
    fn per_axis(self) -> [usize; 2] {
        [self; 2]
    }
}

impl PerAxis for [usize; 2] {
    fn per_axis(self) -> [usize; 2] {
        self
    }
}

/// A number for each side: `[[top, bottom], [left, right]]`. A single one is for
/// all four, and two are for the sides along each axis.
pub trait PerSide {
    /// The numbers of `[[top, bottom], [left, right]]`.
    fn per_side(self) -> [[usize; 2]; 2];
}

impl PerSide for usize {
    fn per_side(self) -> [[usize; 2]; 2] {
        [[self; 2]; 2]
    }
}

impl PerSide for [usize; 2] {
    fn per_side(self) -> [[usize; 2]; 2] {
        self.map(|both| [both; 2])
    }
}

impl PerSide for [[usize; 2]; 2] {
    fn per_side(self) -> [[usize; 2]; 2] {
        self
    }
}

/// How a window slides over both axes of a plane, or why it does not.
pub(super) fn slides(
    plane: [usize; 2],
    window: [usize; 2],
    stride: [usize; 2],
    padding: [[usize; 2]; 2],
    dilation: [usize; 2],
) -> Result<[Slide; 2], String> {
    if stride.contains(&0) || dilation.contains(&0) || window.contains(&0) {
        return Err("windows, strides and dilations are at least 1".to_owned());
    }
    let slide = |axis: usize| {
        Slide::new(plane[axis], window[axis], stride[axis], padding[axis], dilation[axis])
    };
    match (slide(0), slide(1)) {
        (Some(down), Some(across)) => Ok([down, across]),
        _ => {
            let [[top, bottom], [left, right]] = padding;
            let span = |axis: usize| (window[axis] - 1) * dilation[axis] + 1;
            Err(format!(
                "a window of {} x {} does not fit into a plane of {} x {}, padding included",
                span(0),
                span(1),
                top + plane[0] + bottom,
                left + plane[1] + right
            ))
        }
    }
}
