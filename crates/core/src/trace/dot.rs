//! The tape as a graph, in the language of Graphviz: the computational graph of Griewank & Walther
//! (section 2.2), with an arc from each value to those that are computed from it.

use std::fmt::Write;

use super::source_line;
use crate::tape::NodeId;
use crate::{Real, Tape};

impl<T: Real> Tape<T> {
    /// The tape as a graph for Graphviz (`dot -Tsvg`): variables as filled boxes, constants as
    /// dashed ones, operations with their shape and source line. What derivatives go through has
    /// solid arcs.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0);
    /// let y = x.sin() * x;
    /// let graph = tape.to_dot();
    /// assert!(graph.contains("v0 -> v1") && graph.contains("v1 -> v2"));
    /// # assert!(y.is_active());
    /// ```
    pub fn to_dot(&self) -> String {
        let mut out = "digraph tape {\n  node [shape=box, fontname=sans];\n".to_owned();
        for index in 0..self.len() {
            let id = NodeId::new(index);
            let (call, is_active) = (self.call(id), self.is_active(id));
            let (what, style) = match &call {
                Some((op, _)) => (op.get().name(), "rounded"),
                None if is_active => ("variable", "filled"),
                None => ("constant", "dashed"),
            };
            let _ = writeln!(
                out,
                "  v{index} [style={style}, label=\"v{index} = {what} {}\\n{}\"];",
                self.shape_of(id),
                source_line(self.location_of(id))
            );
            for arg in call.iter().flat_map(|(_, args)| args) {
                let style = if is_active && arg.is_active() { "" } else { " [style=dashed]" };
                let _ = writeln!(out, "  v{} -> v{index}{style};", arg.id().index());
            }
        }
        out + "}\n"
    }
}
