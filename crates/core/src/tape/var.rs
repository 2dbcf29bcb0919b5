//! Handles of the values on a tape.

use std::fmt;

use super::{NodeId, Tape};
use crate::scalar::Real;
use crate::tensor::{Axes, AxisList, Shape, Tensor, View, resolve_axis};

/// A value on a tape: a small `Copy` handle.
///
/// Operations read as formulas, without `clone` or `&`:
///
/// ```
/// use wengert_core::Tape;
///
/// let tape = Tape::<f64>::new();
/// let x = tape.variable([1.0, 2.0]);
/// let y = 2.0 * x * x + x.sin();
/// assert_eq!(y.shape()[..], [2]);
/// ```
pub struct Var<'t, T: Real> {
    tape: &'t Tape<T>,
    id: NodeId,
}

impl<T: Real> Clone for Var<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Real> Copy for Var<'_, T> {}

/// # The value
impl<'t, T: Real> Var<'t, T> {
    #[inline]
    pub(crate) fn new(tape: &'t Tape<T>, id: NodeId) -> Self {
        Self { tape, id }
    }

    #[inline]
    pub(crate) fn id(self) -> NodeId {
        self.id
    }

    /// The tape that it lives on.
    #[inline]
    pub fn tape(self) -> &'t Tape<T> {
        self.tape
    }

    /// The extents.
    #[doc(alias = "size")]
    pub fn shape(self) -> Shape {
        self.tape.shape_of(self.id)
    }

    /// The number of axes.
    #[doc(alias("dim", "ndim"))]
    pub fn rank(self) -> usize {
        self.tape.rank_of(self.id)
    }

    /// The number of elements.
    #[doc(alias("numel", "size"))]
    pub fn elements(self) -> usize {
        self.tape.elements_of(self.id)
    }

    /// The value.
    #[doc(alias("asarray", "data"))]
    #[track_caller]
    pub fn value(self) -> Tensor<T> {
        self.tape.note_read(self.id);
        self.tape.value_of(self.id)
    }

    /// The value of a variable with one element.
    ///
    /// # Panics
    /// If it has more elements, or none.
    #[track_caller]
    pub fn item(self) -> T {
        self.tape.note_read(self.id);
        let single = self.tape.with_value(self.id, |view| (view.len() == 1).then(|| view.first()));
        match single {
            Some(x) => x,
            None => panic!(
                "item: expected a single element, got shape {}\n  operand: {}",
                self.shape(),
                self.describe()
            ),
        }
    }

    /// Lets `read` see the value without copying it.
    ///
    /// # Panics
    /// If `read` records on the same tape.
    #[track_caller]
    pub fn with_value<R>(self, read: impl FnOnce(View<'_, T>) -> R) -> R {
        self.tape.note_read(self.id);
        self.tape.with_value(self.id, read)
    }

    /// Whether derivatives reach a variable through it.
    #[doc(alias = "requires_grad")]
    #[inline]
    pub fn is_active(self) -> bool {
        self.tape.is_active(self.id)
    }

    /// A scalar constant on the same tape, which broadcasts.
    #[track_caller]
    pub(crate) fn constant_like(self, value: f64) -> Self {
        self.tape.scalar_constant(T::from_f64(value))
    }

    #[track_caller]
    pub(crate) fn resolve(self, name: &str, axes: impl Axes) -> AxisList {
        match axes.resolve(&self.shape()) {
            Ok(axes) => axes,
            Err(reason) => panic!("{name}: {reason}\n  operand: {}", self.describe()),
        }
    }

    #[track_caller]
    pub(crate) fn resolve_axis(self, name: &str, axis: isize, rank: usize) -> usize {
        match resolve_axis(axis, rank) {
            Some(axis) => axis,
            None => panic!("{name}: there is no axis {axis}\n  operand: {}", self.describe()),
        }
    }

    /// Stops unless what goes with this value has its shape.
    #[track_caller]
    pub(crate) fn expect_shape_of_its(self, name: &str, what: &str, got: &Shape) {
        assert!(
            self.shape() == *got,
            "{name}: expected a {what} of shape {}, that of its value, got {got}\n  value: {}",
            self.shape(),
            self.describe()
        );
    }

    /// Stops unless this is a single number; `instead` says what takes more.
    #[track_caller]
    pub(crate) fn assert_scalar(self, name: &str, instead: &str) {
        assert!(
            self.elements() == 1,
            "{name}: expected a single number, got shape {}; take its `sum()` or `mean()`, or call \
             {instead}\n  value: {}",
            self.shape(),
            self.describe()
        );
    }

    /// What it is, its shape, and the source line that recorded it. Within a layer of a list, the
    /// layer is named, too: this is what messages about a layer's input end with.
    pub fn describe(self) -> String {
        let (node, layer) = (self.tape.describe(self.id), self.tape.place());
        if node.ends_with(&layer) { node } else { format!("{node}\n  stopped{layer}") }
    }
}

impl<T: Real> fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}
