//! A trace in the language of Graphviz.

use std::fmt::Write;

use super::{Graph, Kind};
use crate::trace::Trace;

impl Trace {
    /// The trace as a graph for Graphviz (`dot -Tsvg`), with value and adjoint in each box. What derivatives
    /// go through has solid arcs. Scopes are folded as by [`folded`](Self::folded).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0);
    /// let graph = tape.trace(x.sin() * x).to_dot();
    /// assert!(graph.contains("n0 -> n1;") && graph.contains("n1 -> n2;"));
    /// ```
    pub fn to_dot(&self) -> String {
        let graph = Graph::of(self);
        let mut out = "digraph trace {\n  node [shape=box, fontname=sans];\n".to_owned();
        for (i, item) in graph.boxes.iter().enumerate() {
            let style = match item.kind {
                Kind::Independent => "filled",
                Kind::Constant => "dashed",
                Kind::Cut => "\"rounded,dashed\"",
                Kind::Active => "rounded",
                Kind::Output | Kind::Scope => "\"rounded,bold\"",
            };
            let lines: Vec<String> =
                [&item.title].into_iter().chain(&item.notes).map(|line| quoted(line)).collect();
            let _ = writeln!(out, "  n{i} [style={style}, label=\"{}\"];", lines.join("\\n"));
        }
        for (from, to, is_active) in graph.arcs {
            let style = if is_active { "" } else { " [style=dashed]" };
            let _ = writeln!(out, "  n{from} -> n{to}{style};");
        }
        out + "}\n"
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
