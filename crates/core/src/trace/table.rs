//! The tape as a numbered list, in the manner of the evaluation traces of Griewank
//! & Walther (section 2.2): what stands on each line is one elemental function.

use std::fmt;

use super::{number, source_line};
use crate::op::Cost;
use crate::tape::NodeId;
use crate::tensor::Shape;
use crate::{Real, Tape, Var};

/// Elements of a tensor that a line shows.
const SHOWN: usize = 3;
/// Significant digits of them.
const DIGITS: usize = 6;

/// A tape as a table: one line for each node, and what evaluating them cost.
///
/// ```
/// use wengert_core::Tape;
///
/// let tape = Tape::new();
/// let x = tape.variable(2.0);
/// let y = x.sin() * x;
/// println!("{}", tape.table());
/// assert_eq!(tape.table().cost().nonlinear, 1);
/// # assert!(y.is_active());
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Row>,
    cost: Cost,
    shows_lines: bool,
}

#[derive(Clone, Debug)]
struct Row {
    operation: String,
    shape: Shape,
    value: String,
    active: bool,
    line: String,
}

impl<T: Real> Tape<T> {
    /// The tape as a table to print.
    pub fn table(&self) -> Table {
        let kept = self.kept_values();
        let rows = (0..self.len()).map(|index| {
            let id = NodeId::new(index);
            Row {
                operation: operation(self.var(id)),
                shape: self.shape_of(id),
                // A backward sweep uses the memory of consumed adjoints again.
                value: if kept[index] { abbreviated(self.var(id)) } else { String::new() },
                active: self.is_active(id),
                line: source_line(self.location_of(id)),
            }
        });
        let costs = self.lines().into_iter().map(|line| line.cost);
        Table { rows: rows.collect(), cost: costs.fold(Cost::NONE, Cost::and), shows_lines: true }
    }
}

impl Table {
    /// The scalar operations of all lines together.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The table without the source lines.
    pub fn without_lines(self) -> Self {
        Self { shows_lines: false, ..self }
    }
}

/// The op and its arguments, or what kind of leaf it is.
fn operation<T: Real>(var: Var<'_, T>) -> String {
    match var.tape().call(var.id()) {
        None if var.is_active() => "variable".to_owned(),
        None => "constant".to_owned(),
        Some((op, args)) => {
            let args: Vec<_> = args.iter().map(|arg| format!("v{}", arg.id().index())).collect();
            format!("{}({})", op.get().name(), args.join(", "))
        }
    }
}

/// A scalar in full, of a tensor the first elements.
fn abbreviated<T: Real>(var: Var<'_, T>) -> String {
    var.with_value(|value| {
        if value.shape().rank() == 0 {
            return value.first().to_string();
        }
        let mut shown: Vec<_> =
            value.iter().take(SHOWN).map(|x| number(x.as_f64(), DIGITS)).collect();
        if value.len() > SHOWN {
            shown.push("...".to_owned());
        }
        shown.join(", ")
    })
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number_of = |i: usize| format!("v{i}");
        let width = |cell: &dyn Fn(usize, &Row) -> String, head: &str| {
            let cells = self.rows.iter().enumerate().map(|(i, row)| cell(i, row).chars().count());
            cells.chain([head.len()]).max().unwrap_or(0)
        };
        let a = width(&|i, _| number_of(i), "");
        let b = width(&|_, row| row.operation.clone(), "operation");
        let c = width(&|_, row| row.shape.to_string(), "shape");
        let d = width(&|_, row| row.value.clone(), "value");
        let mut line = |cells: [&str; 6]| {
            let [number, operation, shape, value, active, source] = cells;
            let text = format!(
                "{number:>a$}  {operation:<b$}  {shape:<c$}  {value:<d$}  {active:<6}  {source}"
            );
            writeln!(f, "{}", text.trim_end())
        };
        let source = if self.shows_lines { "line" } else { "" };
        line(["", "operation", "shape", "value", "active", source])?;
        for (i, row) in self.rows.iter().enumerate() {
            let source = if self.shows_lines { &*row.line } else { "" };
            let active = if row.active { "yes" } else { "" };
            let shape = row.shape.to_string();
            line([&number_of(i), &row.operation, &shape, &row.value, active, source])?;
        }
        let Cost { adds, muls, divs, nonlinear } = self.cost;
        write!(
            f,
            "{} lines: {adds} additions, {muls} multiplications, {divs} divisions, \
             {nonlinear} nonlinear",
            self.rows.len()
        )
    }
}
