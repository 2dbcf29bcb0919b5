//! The tape's lines as values, for programs that read them.

use crate::scalar::Real;
use crate::tape::elemental::Cost;
use crate::tape::{NodeId, Tape};
use crate::tensor::Shape;

/// A line of a tape: what a node's value has cost, and its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The op's name; `None` for a value from outside.
    pub op: Option<&'static str>,
    /// For a parameter or state, its [key](Tape::parameter).
    pub key: Option<u64>,
    /// The value's shape.
    pub shape: Shape,
    /// The scalar operations of computing it from its operands.
    pub cost: Cost,
}

impl<T: Real> Tape<T> {
    /// The lines of the tape, in the order of recording.
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let weight = Tensor::from([1.0, 2.0]);
    /// tape.parameter(7, &weight).exp();
    /// let lines = tape.lines();
    /// assert_eq!((lines[0].key, lines[0].op), (Some(7), None));
    /// assert_eq!((lines[1].op, lines[1].cost.nonlinear), (Some("exp"), 2));
    /// ```
    pub fn lines(&self) -> Vec<Line> {
        let line = |index| {
            let id = NodeId::new(index);
            let shape = self.shape_of(id);
            let Some((op, args)) = self.call(id) else {
                return Line { op: None, key: self.key_of(id), shape, cost: Cost::NONE };
            };
            let operands: Vec<Shape> = args.iter().map(|arg| arg.shape()).collect();
            let operands: Vec<&Shape> = operands.iter().collect();
            let cost = op.get().cost(&operands, &shape);
            Line { op: Some(op.get().name()), key: None, shape, cost }
        };
        (0..self.len()).map(line).collect()
    }
}
