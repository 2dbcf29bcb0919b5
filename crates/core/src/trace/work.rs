//! What operations cost: in arithmetic, and in memory that is read and written.

use crate::scalar::Real;
use crate::tape::elemental::Cost;
use crate::tape::{NodeId, Tape};
use crate::tensor::{Layout, Shape};

/// Operations of scalars, and bytes that they read and write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// The scalar operations.
    pub cost: Cost,
    /// The bytes of operands and results. A view moves none.
    pub bytes: u64,
}

impl Work {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { cost: self.cost.and(other.cost), bytes: self.bytes + other.bytes }
    }

    /// The scalar operations of all kinds.
    pub fn operations(self) -> u64 {
        self.cost.total()
    }
}

impl<T: Real> Tape<T> {
    /// What a node takes, and whether it is a view.
    pub(super) fn work_of(&self, id: NodeId) -> (Work, bool) {
        let Some((op, args)) = self.call(id) else { return (Work::default(), false) };
        let result = self.shape_of(id);
        let shapes: Vec<Shape> = args.iter().map(|arg| arg.shape()).collect();
        let is_view = match &shapes[..] {
            [arg] => op.get().view(&Layout::contiguous(arg.clone())).is_some(),
            _ => false,
        };
        let refs: Vec<&Shape> = shapes.iter().collect();
        let elements = shapes.iter().chain([&result]).map(Shape::elements).sum::<usize>();
        let bytes = if is_view { 0 } else { elements * size_of::<T>() };
        (Work { cost: op.get().cost(&refs, &result), bytes: bytes as u64 }, is_view)
    }

    /// What all nodes from a number on take.
    pub(super) fn work_since(&self, first: usize) -> Work {
        (first..self.len())
            .map(|index| self.work_of(NodeId::new(index)).0)
            .fold(Work::default(), Work::and)
    }
}
