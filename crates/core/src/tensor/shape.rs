//! The extents of a tensor, and the one place that knows how shapes broadcast.
//!
//! A shape is a list of numbers and may say anything. What has elements is made of a shape
//! whose elements were counted, and counting refuses a shape that is too large for memory
//! ([`Shape::checked_elements`]). So no product of extents of a tensor wraps around, and the
//! kernels that check no bound may rely on it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use smallvec::SmallVec;

/// The number of axes that fit into a shape without an allocation.
pub(crate) const INLINE_AXES: usize = 4;

/// The extents of a tensor, outermost axis first. A scalar has no axes.
///
/// ```
/// use wengert_core::Shape;
///
/// let a = Shape::from([4, 1, 3]);
/// let b = Shape::from([2, 1]);
/// assert_eq!(a.elements(), 12);
/// assert_eq!(a.broadcast(&b), Some(Shape::from([4, 2, 3])));
/// assert_eq!(a.to_string(), "[4, 1, 3]");
/// ```
#[derive(Default)]
pub struct Shape(SmallVec<[usize; INLINE_AXES]>);

impl Shape {
    /// The shape of a scalar: no axes, one element.
    pub fn scalar() -> Self {
        Self::default()
    }

    /// The number of axes.
    #[inline]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// That there is such an axis.
    ///
    /// # Errors
    /// A sentence that names the axis and the shape.
    pub(crate) fn check_axis(&self, axis: usize) -> Result<(), String> {
        if axis < self.rank() {
            Ok(())
        } else {
            Err(format!("there is no axis {axis} in shape {self}"))
        }
    }

    /// The most elements of a tensor: `isize::MAX` bytes of `f64`.
    pub(crate) const MOST_ELEMENTS: usize = isize::MAX as usize / size_of::<f64>();

    /// The number of elements: the product of the extents, 1 for a scalar.
    ///
    /// # Panics
    /// If the shape is too large for memory; see
    /// [`checked_elements`](Self::checked_elements).
    #[inline]
    #[track_caller]
    pub fn elements(&self) -> usize {
        match self.checked_elements() {
            Some(elements) => elements,
            None => self.refuse(),
        }
    }

    /// The number of elements, or `None` if the shape is too large: the extents that are
    /// not 0 may have a product of `isize::MAX / 8` at most, whether another one is 0 or not.
    ///
    /// ```
    /// use wengert_core::Shape;
    ///
    /// assert_eq!(Shape::from([2, 0, 3]).checked_elements(), Some(0));
    /// assert_eq!(Shape::from([1 << 40, 1 << 40]).checked_elements(), None);
    /// assert_eq!(Shape::from([0, 1 << 40, 1 << 40]).checked_elements(), None);
    /// ```
    #[inline]
    pub fn checked_elements(&self) -> Option<usize> {
        // Extents of 0 count as 1 here, since strides are products of some extents only.
        let mut room = 1_usize;
        let mut is_empty = false;
        for &extent in self.iter() {
            is_empty |= extent == 0;
            room = room.checked_mul(extent.max(1))?;
        }
        (room <= Self::MOST_ELEMENTS).then_some(if is_empty { 0 } else { room })
    }

    /// That memory could hold the elements.
    ///
    /// # Errors
    /// A sentence that names the shape and the limit.
    pub(crate) fn check_elements(&self) -> Result<(), String> {
        self.checked_elements().map(|_| ()).ok_or_else(|| {
            format!(
                "a shape of {self} is too large: the extents that are not 0 have a product of more than {}",
                Self::MOST_ELEMENTS
            )
        })
    }

    #[cold]
    #[track_caller]
    fn refuse(&self) -> ! {
        panic!("{}", self.check_elements().expect_err("it was not counted"))
    }

    /// The shape that two operands take together, or `None` if they do not
    /// fit.
    ///
    /// Axes are aligned at the right; a missing axis counts as 1, and an axis of
    /// extent 1 stretches to the other's extent. This is NumPy's rule.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let (long, short) = if self.rank() >= other.rank() { (self, other) } else { (other, self) };
        let mut result = long.clone();
        let lead = long.rank() - short.rank();
        for (extent, &against) in result.0[lead..].iter_mut().zip(short.iter()) {
            match (*extent, against) {
                (a, b) if a == b => {}
                (1, b) => *extent = b,
                (_, 1) => {}
                _ => return None,
            }
        }
        Some(result)
    }

    /// Whether `self` stretches to `target` by the rule of
    /// [`broadcast`](Self::broadcast).
    pub fn broadcasts_to(&self, target: &Shape) -> bool {
        self.broadcast(target).is_some_and(|shape| shape == *target)
    }

    /// The shape with the given axes left out or, with `keep`, set to 1.
    pub(crate) fn reduced(&self, axes: &[usize], keep: bool) -> Shape {
        let kept = self.iter().enumerate().filter_map(|(axis, &extent)| {
            if !axes.contains(&axis) {
                Some(extent)
            } else if keep {
                Some(1)
            } else {
                None
            }
        });
        Shape(kept.collect())
    }

    /// The shape with `axis` set to `extent`.
    pub(crate) fn with_axis(&self, axis: usize, extent: usize) -> Shape {
        let mut shape = self.clone();
        shape.0[axis] = extent;
        shape
    }

    /// The shape with a new axis of the given extent before position `axis`.
    pub(crate) fn inserting(&self, axis: usize, extent: usize) -> Shape {
        let mut shape = self.clone();
        shape.0.insert(axis, extent);
        shape
    }
}

impl PartialEq for Shape {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // Written out, since a call to compare bytes costs more than the few words.
        self.len() == other.len() && self.iter().zip(&**other).all(|(a, b)| a == b)
    }
}

impl Eq for Shape {}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Clone for Shape {
    #[inline]
    fn clone(&self) -> Self {
        // Copies whole; the derived clone would go element by element.
        Shape(SmallVec::from_slice(&self.0))
    }
}

impl Deref for Shape {
    type Target = [usize];

    #[inline]
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[inline]
    fn from(extents: [usize; N]) -> Self {
        Shape(SmallVec::from_slice(&extents))
    }
}

impl From<&[usize]> for Shape {
    fn from(extents: &[usize]) -> Self {
        Shape(SmallVec::from_slice(extents))
    }
}

impl From<Vec<usize>> for Shape {
    fn from(extents: Vec<usize>) -> Self {
        Shape(SmallVec::from_vec(extents))
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(extents: I) -> Self {
        Shape(extents.into_iter().collect())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
