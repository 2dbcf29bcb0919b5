//! A trace as text, as Markdown and as LaTeX.

use std::fmt::{self, Write};

use super::row::Part;
use super::{Row, Trace};

/// The cells of a line: forwards statement and value (and tangent), backwards the adjoint, what it passes
/// on, and that number; the source line.
type Cells = [String; 7];

impl Trace {
    fn lines(&self) -> Vec<Cells> {
        let mut lines = Vec::new();
        for part in self.parts() {
            match part {
                Part { scope: Some(scope), rows } => lines.push(folded(scope, rows)),
                Part { scope: None, rows: [row] } => self.lines_of(row, &mut lines),
                Part { scope: None, .. } => {}
            }
        }
        lines
    }

    fn lines_of(&self, row: &Row, lines: &mut Vec<Cells>) {
        let adjoint = row.adjoint.as_ref().map(|adjoint| adjoint.brief());
        let tangent = row.tangent.as_ref().map(|tangent| tangent.brief());
        let place = if self.shows_lines { row.place() } else { String::new() };
        let head = [
            statement(row),
            row.value.brief(),
            tangent.unwrap_or_default(),
            adjoint.unwrap_or_default(),
            String::new(),
            String::new(),
            place,
        ];
        lines.push(head);
        // Read upwards, so the first that the sweep passes on stands at the bottom.
        for (i, term) in row.terms.iter().rev().enumerate() {
            if i > 0 {
                lines.push(Cells::default());
            }
            let line = lines.last_mut().expect("just pushed");
            let formula = shortened(term.formula.to_string());
            line[4] = format!("{} += {formula}", self.adjoint_name(term.to));
            line[5] = term.value.brief();
        }
    }

    fn adjoint_name(&self, number: usize) -> String {
        self.numbered(number).map_or(String::new(), Row::adjoint_name)
    }

    fn has_tangents(&self) -> bool {
        self.rows.iter().any(|row| row.tangent.is_some())
    }

    fn head(&self) -> Cells {
        let line = if self.shows_lines { "line" } else { "" };
        let tangent = if self.has_tangents() { "tangent" } else { "" };
        ["forward, down", "value", tangent, "adjoint", "reverse, up", "term", line]
            .map(str::to_owned)
    }

    /// The trace as a table in Markdown.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0).named("x");
    /// let text = tape.trace(x.exp()).without_lines().to_markdown();
    /// assert!(text.contains("| `v1 = exp(x)` | 7.38906 | 1 | `xbar += v1bar * v1` | 7.38906 |"), "{text}");
    /// ```
    pub fn to_markdown(&self) -> String {
        let lines = self.lines();
        let used = used_columns(&self.head(), &lines);
        let mut out = String::new();
        let mut line = |cells: &Cells, is_code: bool| {
            for &column in &used {
                let cell = cells[column].replace('|', "\\|");
                let code = is_code && matches!(column, 0 | 4) && !cell.is_empty();
                let _ = if code { write!(out, "| `{cell}` ") } else { write!(out, "| {cell} ") };
            }
            out.push_str("|\n");
        };
        line(&self.head(), false);
        line(&Cells::default().map(|_| "---".to_owned()), false);
        lines.iter().for_each(|cells| line(cells, true));
        out
    }

    /// The trace as an `array` in LaTeX: the forward sweep, a rule, and the reverse sweep below it, as
    /// Griewank & Walther print theirs.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0).named("x");
    /// let text = tape.trace(x.sin()).to_latex();
    /// assert!(text.contains(r"v_{1} &=& \sin\left(x\right) &=& 0.909297 \\"), "{text}");
    /// assert!(text.contains(r"\bar{x} &\mathrel{+}=& \bar{v_{1}} \cdot \cos\left(x\right) &=& -0.416147 \\"));
    /// ```
    pub fn to_latex(&self) -> String {
        use super::{Quantity, Step};
        let name = |quantity, row: &Row| row.reference(quantity).to_latex();
        let words = |text: String| match text.parse::<f64>() {
            Ok(x) => super::notation::number_latex(x),
            Err(_) => format!("\\text{{{text}}}"),
        };
        let mut out = "\\begin{array}{rcrcl}\n".to_owned();
        for step in self.steps() {
            let _ = match step {
                Step::Value(row) if row.is_leaf() => {
                    let value = words(row.value.brief());
                    writeln!(out, "{} &=& {value} && \\\\", name(Quantity::Value, row))
                }
                Step::Value(row) => writeln!(
                    out,
                    "{} &=& {} &=& {} \\\\",
                    name(Quantity::Value, row),
                    row.formula.to_latex(),
                    words(row.value.brief())
                ),
                Step::Seed(row) => {
                    writeln!(out, "\\hline\n{} &=& 1 && \\\\", name(Quantity::Adjoint, row))
                }
                Step::Adjoint(_, term) => {
                    let Some(to) = self.numbered(term.to) else { continue };
                    writeln!(
                        out,
                        "{} &\\mathrel{{+}}=& {} &=& {} \\\\",
                        name(Quantity::Adjoint, to),
                        term.formula.to_latex(),
                        words(term.value.brief())
                    )
                }
            };
        }
        out + "\\end{array}\n"
    }
}

/// `v3 = v1 * x`, or the name of a value from outside with its shape.
fn statement(row: &Row) -> String {
    let what = match row.is_leaf() {
        true => row.name.clone(),
        false => {
            let formula = shortened(row.formula.to_string());
            format!("{} = {formula}", row.name)
        }
    };
    let shape = &row.value.shape;
    let what = if shape.rank() == 0 { what } else { format!("{what}  {shape}") };
    if row.is_view { format!("{what} view") } else { what }
}

/// A formula that a line has room for; JSON has it in full.
fn shortened(formula: String) -> String {
    const LONGEST: usize = 72;
    if formula.chars().count() <= LONGEST {
        return formula;
    }
    formula.chars().take(LONGEST - 2).collect::<String>() + ".."
}

fn folded(scope: &[String], rows: &[Row]) -> Cells {
    let last = rows.last().expect("a part has rows");
    let cost: u64 = rows.iter().map(|row| row.forward.operations()).sum();
    let operations = if cost == 1 { "operation" } else { "operations" };
    let adjoint = last.adjoint.as_ref().map(|adjoint| adjoint.brief());
    let lines = if rows.len() == 1 { "row" } else { "rows" };
    [
        format!(
            "{}: {} {lines}, to {}  {}",
            scope.join(", "),
            rows.len(),
            last.name,
            last.value.shape
        ),
        last.value.brief(),
        last.tangent.as_ref().map(|tangent| tangent.brief()).unwrap_or_default(),
        adjoint.unwrap_or_default(),
        format!("{cost} {operations}"),
        String::new(),
        String::new(),
    ]
}

/// The columns that have anything in them.
fn used_columns(head: &Cells, lines: &[Cells]) -> Vec<usize> {
    let is_used = |&column: &usize| lines.iter().any(|cells| !cells[column].is_empty());
    (0..head.len()).filter(is_used).collect()
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![self.head()];
        lines.extend(self.lines());
        let used = used_columns(&lines[0], &lines[1..]);
        let width = |column: usize| {
            lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..7).map(width).collect();
        for cells in &lines {
            let mut text = String::new();
            for &column in &used {
                let width = widths[column];
                let _ = match column {
                    1 | 2 | 3 | 5 => write!(text, "{:>width$}", cells[column]),
                    _ => write!(text, "{:<width$}", cells[column]),
                };
                text.push_str("  ");
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        if let Some([forward, reverse]) = self.products {
            writeln!(f, "<w, J v> = {forward}, <J' w, v> = {reverse}")?;
        }
        Ok(())
    }
}
