//! The data of a trace.

use super::{Expression, Quantity, Reference, Values, Work};

/// A tape as evaluation trace: see [`Tape::trace`](crate::tape::Tape::trace).
///
/// It prints as a table: downwards each value with its formula, upwards what each row's adjoint passes
/// on to its operands.
#[derive(Clone, Debug)]
pub struct Trace {
    pub(super) rows: Vec<Row>,
    pub(super) precision: &'static str,
    pub(super) products: Option<[f64; 2]>,
    pub(super) shows_lines: bool,
    pub(super) depth: Option<usize>,
}

/// What part a row has in the evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An input with respect to which there are derivatives.
    Independent,
    /// A value from outside that derivatives treat as fixed.
    Constant,
    /// A result on the way.
    Intermediate,
    /// The output.
    Dependent,
}

/// What derivatives make of a row (Griewank & Walther, section 6.2). All rows of a trace are useful: the
/// output depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Varied and useful: it depends on an independent, and derivatives go through it.
    Active,
    /// It depends on an independent, and derivatives end here: at a comparison, at `stop_gradient`, or
    /// without gradients.
    Cut,
    /// It depends on no independent.
    Constant,
}

/// One row: a value, its adjoint, and what the adjoint passes on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// Its number on the tape, the same as in messages. Numbers that stand in formulas have no row, so
    /// some are left out.
    pub number: usize,
    /// The [given](crate::tape::Var::named) name, or `v` and the number.
    pub name: String,
    /// The name that its adjoint has of its [own](crate::tape::Var::adjoint_named), if any.
    pub own_adjoint_name: Option<String>,
    /// What part it has.
    pub role: Role,
    /// The op, if it is a result.
    pub op: Option<&'static str>,
    /// What it is computed by; for a value from outside, its name.
    pub formula: Expression,
    /// The rows of its operands, by number.
    pub operands: Vec<usize>,
    /// The value.
    pub value: Values,
    /// The adjoint, if derivatives go through it.
    pub adjoint: Option<Values>,
    /// What the adjoint passes on, one for each operand, in the order of the sweep.
    pub terms: Vec<Term>,
    /// The tangent, if a direction was given and derivatives go through it.
    pub tangent: Option<Values>,
    /// What the tangent is computed by.
    pub tangent_formula: Option<Expression>,
    /// What derivatives make of it.
    pub activity: Activity,
    /// Whether it only looks at its operand's memory.
    pub is_view: bool,
    /// The scopes and layers that it stands in, from the outside in; where a recording has none, those that
    /// names of parameters tell (`hidden.weight` stands in `hidden`).
    pub scope: Vec<String>,
    /// The file that recorded it, as the compiler names it.
    pub file: &'static str,
    /// The line that recorded it.
    pub line: u32,
    /// The text of that line, if the file can be read.
    pub source: Option<String>,
    /// What computing the value takes.
    pub forward: Work,
    /// What passing the adjoint on takes in a fast sweep.
    pub reverse: Work,
}

/// What a row's adjoint adds to the adjoint of an operand.
#[derive(Clone, Debug)]
pub struct Term {
    /// The row that it is added to, by number.
    pub to: usize,
    /// Its formula, as the op's rule has recorded it.
    pub formula: Expression,
    /// The number.
    pub value: Values,
    /// Between numbers, the local partial derivative.
    pub partial: Option<Partial>,
}

/// A local partial derivative: of a row with respect to one operand.
#[derive(Clone, Debug)]
pub struct Partial {
    /// Its formula.
    pub formula: Expression,
    /// The number.
    pub value: f64,
}

/// One step of the two sweeps.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Downwards: the row's value is there.
    Value(&'a Row),
    /// Turning round: the output's adjoint is given.
    Seed(&'a Row),
    /// Upwards: the row's adjoint, which is complete, adds this to an operand's.
    Adjoint(&'a Row, &'a Term),
}

impl Trace {
    /// The rows, in the order of evaluation.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of a name.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// The row of the output.
    pub fn output(&self) -> &Row {
        self.rows.last().expect("a trace has the row of its output")
    }

    /// The row of a number.
    pub(super) fn numbered(&self, number: usize) -> Option<&Row> {
        let at = self.rows.binary_search_by_key(&number, |row| row.number).ok()?;
        Some(&self.rows[at])
    }

    /// The steps of both sweeps, one by one.
    ///
    /// ```
    /// use wengert_core::Tape;
    /// use wengert_core::trace::Step;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0).named("x");
    /// let y = x.sin() * x;
    /// let trace = tape.trace(y);
    /// let told: Vec<String> = trace
    ///     .steps()
    ///     .map(|step| match step {
    ///         Step::Value(row) => format!("{} = {}", row.name, row.formula),
    ///         Step::Seed(row) => format!("{}bar = 1", row.name),
    ///         Step::Adjoint(row, term) => format!("v{}bar += {}, by {}", term.to, term.formula, row.name),
    ///     })
    ///     .collect();
    /// assert_eq!(told[1..4], ["v1 = sin(x)", "v2 = v1 * x", "v2bar = 1"]);
    /// assert_eq!(told[6], "v0bar += v1bar * cos(x), by v1");
    /// ```
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        let seed = self.rows.last().filter(|row| row.adjoint.is_some());
        let terms = |row| {
            let row: &Row = row;
            row.terms.iter().map(move |term| Step::Adjoint(row, term))
        };
        self.rows
            .iter()
            .map(Step::Value)
            .chain(seed.map(Step::Seed))
            .chain(self.rows.iter().rev().flat_map(terms))
    }

    /// `<w, J v>` by the tangents and `<J' w, v>` by the adjoints, for the trace of a direction `v`: the
    /// same number by two sweeps that have only the values in common.
    pub fn inner_products(&self) -> Option<[f64; 2]> {
        self.products
    }

    /// The trace without the source lines, as text that does not change where lines move.
    #[must_use]
    pub fn without_lines(self) -> Self {
        Self { shows_lines: false, ..self }
    }

    /// The trace with scopes shown as one, from a depth on: at 0 each outermost scope is one line.
    #[must_use]
    pub fn folded(self, depth: usize) -> Self {
        Self { depth: Some(depth), ..self }
    }

    /// The rows as they are shown: by themselves, or those of a folded scope that follow each other.
    pub(super) fn parts(&self) -> Vec<Part<'_>> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        let hidden = |row: &Row| self.depth.filter(|&depth| row.scope.len() > depth);
        for (i, row) in self.rows.iter().enumerate() {
            let rows = &self.rows[i..=i];
            match (hidden(row), parts.last_mut()) {
                (Some(depth), Some(Part { scope: Some(scope), rows }))
                    if **scope == row.scope[..=depth] =>
                {
                    *rows = &self.rows[i - rows.len()..=i];
                }
                (Some(depth), _) => parts.push(Part { scope: Some(&row.scope[..=depth]), rows }),
                (None, _) => parts.push(Part { scope: None, rows }),
            }
        }
        parts
    }
}

/// What is shown as one.
pub(super) struct Part<'a> {
    /// The scope, if it is folded.
    pub(super) scope: Option<&'a [String]>,
    pub(super) rows: &'a [Row],
}

impl Row {
    /// File and line, without the folder.
    pub fn place(&self) -> String {
        let file = self.file.rsplit(['/', '\\']).next().unwrap_or_default();
        format!("{file}:{}", self.line)
    }

    /// What its adjoint is called: `v3bar`, if it has no name of its own.
    pub fn adjoint_name(&self) -> String {
        self.reference(Quantity::Adjoint).to_string()
    }

    /// One of its quantities, as it stands in formulas.
    pub(super) fn reference(&self, quantity: Quantity) -> Reference {
        let own = self.own_adjoint_name.as_ref().filter(|_| quantity == Quantity::Adjoint);
        let name = own.unwrap_or(&self.name).clone();
        Reference { quantity, row: self.number, name, is_own: own.is_some() }
    }

    /// Whether it is a value from outside.
    pub fn is_leaf(&self) -> bool {
        self.op.is_none()
    }
}
