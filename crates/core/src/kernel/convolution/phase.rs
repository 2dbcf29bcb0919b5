//! Which element of its source each element of a convolution, or of its
//! transpose, reads along one axis.
//!
//! A convolution reads element `p s + i d` of its source for position `p` and tap
//! `i`, with stride `s` and dilation `d`. Its transpose reads `(a + b - i d) / s`
//! for element `a`, with `b` elements thought before the first, and only where
//! that is a whole number: which taps take part depends on the remainder of
//! `a + b` by `s`. So targets fall into *phases*; within one, all targets read
//! with the same taps at the same distances. A convolution has a single phase.
//! Both are thus the same loop, and a stride wastes no work in either.

use crate::kernel::window::Slide;

/// Elements of a result that read their source in the same way.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    /// The elements of the result, each with the element of the padded source
    /// from which its taps count.
    pub(super) targets: Vec<[usize; 2]>,
    /// The taps by the distance at which they read, and the distance.
    pub(super) taps: Vec<[usize; 2]>,
}

impl Phase {
    /// Whether the taps read neighbours.
    pub(super) fn is_dense(&self) -> bool {
        self.taps.windows(2).all(|pair| pair[0][1] + 1 == pair[1][1])
    }
}

/// How a source is padded with zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Padding {
    /// Zeros before the first element.
    pub(super) before: usize,
    /// The extent with zeros. What lies beyond it is not read.
    pub(super) extent: usize,
}

/// How a source is padded, and who reads it.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) padding: Padding,
    pub(super) phases: Vec<Phase>,
}

impl Reading {
    /// How a convolution reads the input.
    pub(super) fn of_input(slide: &Slide) -> Self {
        let Slide { taps, positions, stride, dilation, before, .. } = *slide;
        let phase = Phase {
            targets: (0..positions).map(|position| [position, position * stride]).collect(),
            taps: (0..taps).map(|tap| [tap, tap * dilation]).collect(),
        };
        let extent = (positions - 1) * stride + (taps - 1) * dilation + 1;
        Self { padding: Padding { before, extent }, phases: vec![phase] }
    }

    /// How the transpose reads the output.
    pub(super) fn of_output(slide: &Slide) -> Self {
        let Slide { extent, taps, stride, dilation, before, .. } = *slide;
        let reach = (taps - 1) * dilation / stride;
        let phase = |remainder: usize| Phase {
            targets: (0..extent)
                .filter(|element| (element + before) % stride == remainder)
                .map(|element| [element, (element + before) / stride])
                .collect(),
            taps: (0..taps)
                .rev()
                .filter(|tap| tap * dilation % stride == remainder)
                .map(|tap| [tap, reach - tap * dilation / stride])
                .collect(),
        };
        let padded = reach + (extent - 1 + before) / stride + 1;
        Self {
            padding: Padding { before: reach, extent: padded },
            phases: (0..stride).map(phase).collect(),
        }
    }
}
