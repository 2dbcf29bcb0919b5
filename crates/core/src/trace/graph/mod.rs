//! A trace as computational graph (Griewank & Walther, section 2.2): rows, or folded scopes, with arcs from
//! each value to those that are computed from it.

mod dot;
mod layout;
mod svg;

use std::collections::BTreeSet;

pub(super) use svg::escaped;

use super::row::Part;
use super::{Activity, Role, Row, Trace};

/// Boxes up to which a picture shows all rows, if scopes could be folded.
const READABLE: usize = 80;

struct Graph {
    boxes: Vec<Box>,
    /// From box to box, and whether derivatives go along.
    arcs: Vec<(usize, usize, bool)>,
}

/// What a row, or a folded scope, is drawn as.
struct Box {
    /// The first line: name and formula.
    title: String,
    /// Value and adjoint, each in a line.
    notes: Vec<String>,
    /// For whoever points at it.
    hint: String,
    kind: Kind,
    operations: u64,
    /// The row, unless it is a scope.
    row: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Independent,
    Constant,
    Active,
    Cut,
    Output,
    Scope,
}

impl Kind {
    fn of(row: &Row) -> Self {
        match (row.role, row.activity) {
            (Role::Dependent, _) => Self::Output,
            (Role::Independent, _) => Self::Independent,
            (_, Activity::Active) => Self::Active,
            (_, Activity::Cut) => Self::Cut,
            (_, Activity::Constant) => Self::Constant,
        }
    }
}

impl Graph {
    fn of(trace: &Trace) -> Self {
        let parts = trace.parts();
        let mut box_of = vec![0; trace.output().number + 1];
        for (i, part) in parts.iter().enumerate() {
            for row in part.rows {
                box_of[row.number] = i;
            }
        }
        let mut arcs = BTreeSet::new();
        for row in &trace.rows {
            for &operand in &row.operands {
                let (from, to) = (box_of[operand], box_of[row.number]);
                let Some(source) = trace.numbered(operand) else { continue };
                let is_active = [source, row].iter().all(|row| row.activity == Activity::Active);
                if from != to {
                    arcs.insert((from, to, is_active));
                }
            }
        }
        // An arc with derivatives stands for those without between the same boxes.
        let arcs =
            arcs.iter().copied().filter(|&(a, b, active)| active || !arcs.contains(&(a, b, true)));
        Self { arcs: arcs.collect(), boxes: parts.iter().map(Box::of).collect() }
    }

    /// The graph of a trace that is folded if it would not be readable.
    fn readable(trace: &Trace) -> Self {
        let deepest = trace.rows.iter().map(|row| row.scope.len()).max().unwrap_or(0);
        let mut folded = trace.clone();
        for depth in (0..deepest).rev().filter(|_| trace.depth.is_none()) {
            if folded.parts().len() <= READABLE {
                break;
            }
            folded = folded.folded(depth);
        }
        Self::of(&folded)
    }
}

impl Box {
    fn of(part: &Part<'_>) -> Self {
        let row = part.rows.last().expect("a part has rows");
        let operations = part.rows.iter().map(|row| row.forward.operations()).sum();
        let mut notes = vec![row.value.brief()];
        notes.extend(row.adjoint.as_ref().map(|adjoint| format!("bar {}", adjoint.brief())));
        let (title, kind, hint) = match part.scope {
            None => {
                let shape = &row.value.shape;
                let shape = if shape.rank() > 0 { format!(" {shape}") } else { String::new() };
                let title = match row.is_leaf() {
                    true => format!("{}{shape}", row.name),
                    false => format!("{} = {}", row.name, row.formula),
                };
                let source = row.source.as_deref().unwrap_or_default().trim();
                let hint =
                    format!("{title}{shape}\n{operations} operations\n{}: {source}", row.place());
                (title, Kind::of(row), hint)
            }
            Some(scope) => {
                let name = scope.last().cloned().unwrap_or_default();
                let title = format!("{name} {}", row.value.shape);
                let count = part.rows.len();
                notes.insert(0, format!("{count} rows, {} operations", short(operations)));
                let hint = format!("{}\n{count} rows, {operations} operations", scope.join(", "));
                (title, Kind::Scope, hint)
            }
        };
        let number = part.scope.is_none().then_some(row.number);
        Self { title, notes, hint, kind, operations, row: number }
    }
}

/// A count in a few digits: `12.3 M`.
fn short(count: u64) -> String {
    let count = count as f64;
    match count {
        0.0..1e4 => format!("{count}"),
        1e4..1e6 => format!("{:.1} k", count / 1e3),
        1e6..1e9 => format!("{:.1} M", count / 1e6),
        _ => format!("{:.1} G", count / 1e9),
    }
}
