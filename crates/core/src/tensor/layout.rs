//! How the elements of a tensor lie in a buffer.
//!
//! A layout is a shape with a stride for each axis. Transposing, slicing and
//! broadcasting only change the layout, never the buffer. Strides count elements
//! and may be zero (a broadcast axis) or negative (a reversed one).
//!
//! *Invariant*: no arithmetic on extents and strides wraps around. The elements of a layout
//! are counted when it is made ([`Shape::elements`]), and so is the way from its first element
//! to the farthest. Unsafe code relies on it.

use std::hash::{Hash, Hasher};

use smallvec::SmallVec;

use super::shape::{INLINE_AXES, Shape};

type Strides = SmallVec<[isize; INLINE_AXES]>;

/// A shape and its strides. The place of the first element is kept apart, by
/// whoever holds the layout, so that equal layouts can share one entry.
///
/// What kernels and tapes ask for at every operation is worked out once, when the
/// layout is made.
#[derive(Debug)]
pub struct Layout {
    shape: Shape,
    strides: Strides,
    len: usize,
    contiguous: bool,
    splat: bool,
    hash: u64,
}

impl Layout {
    /// Row-major order without gaps.
    ///
    /// # Panics
    /// If the shape is too large; see [`Shape::checked_elements`].
    #[track_caller]
    pub fn contiguous(shape: Shape) -> Self {
        // Before anything is multiplied here.
        let len = shape.elements();
        let mut strides = SmallVec::from_elem(1, shape.rank());
        for axis in (1..shape.rank()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis] as isize;
        }
        // Each stride is a product of some extents, which leads nowhere that was not counted.
        Self::counted(shape, strides, len)
    }

    /// A shape with any strides.
    ///
    /// # Panics
    /// If the shape is too large, or the strides lead farther than any buffer reaches.
    #[track_caller]
    pub(crate) fn strided(shape: Shape, strides: Strides) -> Self {
        let len = shape.elements();
        let reach = shape.iter().zip(&strides).try_fold(0_usize, |reach, (extent, stride)| {
            reach.checked_add(extent.saturating_sub(1).checked_mul(stride.unsigned_abs())?)
        });
        let is_near = reach.is_some_and(|reach| isize::try_from(reach).is_ok());
        assert!(is_near, "strides {strides:?} of a {shape} lead farther than any buffer reaches");
        Self::counted(shape, strides, len)
    }

    /// The layout of `len` elements, none of which lies farther than any buffer reaches.
    #[inline]
    fn counted(shape: Shape, strides: Strides, len: usize) -> Self {
        let mut expected = 1;
        let mut contiguous = true;
        let mut splat = len > 0;
        // Fibonacci hashing: the golden ratio's bits spread a word over all bits.
        let mut hash = shape.rank() as u64;
        let mut mix = |word: u64| {
            hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        };
        for (&extent, &stride) in shape.iter().zip(&strides).rev() {
            contiguous &= extent == 1 || stride == expected;
            splat &= extent == 1 || stride == 0;
            expected *= extent as isize;
            mix(extent as u64);
            mix(stride as u64);
        }
        Self { shape, strides, len, contiguous: contiguous || len == 0, splat, hash }
    }

    /// The extents.
    #[inline]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The distance between neighbours along each axis, in elements.
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The number of elements.
    #[inline]
    pub fn elements(&self) -> usize {
        self.len
    }

    /// Whether the elements follow one another in row-major order.
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.contiguous
    }

    /// Whether there are elements, all read from the same place.
    #[inline]
    pub(crate) fn is_splat(&self) -> bool {
        self.splat
    }

    /// The same elements stretched to `target`, which the shape broadcasts to.
    ///
    /// # Panics
    /// If the target is too large.
    #[track_caller]
    pub(crate) fn broadcast_to(&self, target: &Shape) -> Layout {
        let lead = target.rank() - self.shape.rank();
        let mut strides = SmallVec::from_elem(0, target.rank());
        for axis in 0..self.shape.rank() {
            if self.shape[axis] != 1 {
                strides[lead + axis] = self.strides[axis];
            }
        }
        Layout::strided(target.clone(), strides)
    }

    /// The axes in another order: axis `i` of the result is axis `order[i]`.
    pub(crate) fn permuted(&self, order: &[usize]) -> Layout {
        let shape = order.iter().map(|&axis| self.shape[axis]).collect();
        let strides = order.iter().map(|&axis| self.strides[axis]).collect();
        Layout::strided(shape, strides)
    }

    /// Every `step`-th element along an axis, `count` of them from `start`; the
    /// second result is how far the first element moves. The caller has made sure that
    /// they are there ([`check_progression`]).
    pub(crate) fn sliced(
        &self,
        axis: usize,
        start: usize,
        count: usize,
        step: isize,
    ) -> (Layout, isize) {
        let mut strides: Strides = SmallVec::from_slice(&self.strides);
        let shape = self.shape.with_axis(axis, count);
        // Without elements there may be no buffer to move within.
        let moved = if shape.elements() == 0 { 0 } else { start as isize * strides[axis] };
        // The step of a single element may be any number, and leads nowhere.
        if count > 1 {
            strides[axis] *= step;
        }
        (Layout::strided(shape, strides), moved)
    }

    /// The same elements in the same order with as few axes as possible: axes that
    /// can be walked in one stride become one.
    pub(crate) fn collapsed(&self) -> Layout {
        let mut extents: SmallVec<[usize; INLINE_AXES]> = SmallVec::new();
        let mut strides: Strides = SmallVec::new();
        for (&extent, &stride) in self.shape.iter().zip(&self.strides).filter(|&(&n, _)| n != 1) {
            match (extents.last_mut(), strides.last_mut()) {
                (Some(outer), Some(step)) if *step == stride * extent as isize => {
                    *outer *= extent;
                    *step = stride;
                }
                _ => {
                    extents.push(extent);
                    strides.push(stride);
                }
            }
        }
        Layout::strided(extents[..].into(), strides)
    }

    /// The layout of all axes but the last `trailing` ones.
    pub(crate) fn leading(&self, trailing: usize) -> Layout {
        let rank = self.shape.rank().saturating_sub(trailing);
        Layout::strided(self.shape[..rank].into(), SmallVec::from_slice(&self.strides[..rank]))
    }

    /// The same elements under another shape, if that takes no copy.
    pub(crate) fn reshaped(&self, shape: &Shape) -> Option<Layout> {
        if self.contiguous {
            return Some(Layout::contiguous(shape.clone()));
        }
        // Without a copy, a strided layout takes or loses axes of extent 1 only.
        let mut rest = self.shape.iter().zip(&self.strides).filter(|&(&extent, _)| extent != 1);
        let mut strides = SmallVec::new();
        for &extent in shape.iter() {
            match extent {
                1 => strides.push(0),
                _ => match rest.next() {
                    Some((&own, &stride)) if own == extent => strides.push(stride),
                    _ => return None,
                },
            }
        }
        rest.next().is_none().then(|| Layout::strided(shape.clone(), strides))
    }
}

/// That `start, start + step, …` names `count` of `extent` elements.
///
/// # Errors
/// The beginning of a sentence that says what leaves them.
pub(crate) fn check_progression(
    start: usize,
    count: usize,
    step: isize,
    extent: usize,
) -> Result<(), String> {
    let is_inside = |last: usize| match last.checked_mul(step.unsigned_abs()) {
        Some(reach) if step > 0 => start < extent && reach < extent - start,
        Some(reach) => start < extent && reach <= start,
        None => false,
    };
    match count {
        0 => Ok(()),
        1.. if is_inside(count - 1) && (step != 0 || count == 1) => Ok(()),
        _ => Err(format!("from {start} by {step}, {count} times, leaves the {extent} elements")),
    }
}

impl Clone for Layout {
    fn clone(&self) -> Self {
        // Copies whole; the derived clone would go element by element.
        Self { shape: self.shape.clone(), strides: SmallVec::from_slice(&self.strides), ..*self }
    }
}

impl PartialEq for Layout {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // Written out, since a call to compare bytes costs more than the few words.
        self.hash == other.hash
            && self.shape.len() == other.shape.len()
            && self.shape.iter().zip(&*other.shape).all(|(a, b)| a == b)
            && self.strides.iter().zip(&other.strides).all(|(a, b)| a == b)
    }
}

impl Eq for Layout {}

impl Hash for Layout {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}
