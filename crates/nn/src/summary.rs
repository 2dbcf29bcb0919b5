//! A model as a table: its layers, the shapes that leave them, parameters and operations.
//!
//! It is read off a recording, for a tape knows when a parameter is taken in and what every
//! line costs; layers do not have to say anything.

use std::fmt;

use indexmap::IndexMap;
use wengert_core::op::Cost;
use wengert_core::{Real, Shape, Tape, Var};

use crate::Module;

/// A table of a model.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::random::seeded;
/// use wengert_nn::{Layer, Linear, Relu, Sequential, Summary, sequential};
///
/// let rng = &mut seeded(1);
/// let net: Sequential<f32> = sequential![Linear::new(64, 32, rng), Relu, Linear::new(32, 10, rng)];
/// let summary = Summary::of(&net, |net, tape| net.forward(tape.constant(Tensor::ones([1, 64]))));
/// assert_eq!(summary.rows()[0].shape.as_deref(), Some(&[1, 32][..]));
/// assert_eq!(summary.parameters(), 64 * 32 + 32 + 32 * 10 + 10);
/// println!("{summary}");
/// ```
#[derive(Clone, Debug)]
pub struct Summary {
    rows: Vec<Row>,
    trained: usize,
    bytes: usize,
}

/// What holds parameters of its own, and what is computed from there until the next one:
/// a layer and the activation behind it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// Its name: that of its parameters without their last part.
    pub name: String,
    /// The last shape that is computed there; none if it is not used, or frozen, which
    /// leaves no trace.
    pub shape: Option<Shape>,
    /// The number of elements of its parameters.
    pub parameters: usize,
    /// The operations of a forward pass.
    pub cost: Cost,
}

impl Summary {
    /// The table of a model that is used once, on whatever `forward` takes in: a batch of
    /// one sample, usually.
    pub fn of<T: Real, M: Module<T> + ?Sized>(
        net: &M,
        forward: impl for<'t> FnOnce(&M, &'t Tape<T>) -> Var<'t, T>,
    ) -> Self {
        let mut rows: IndexMap<String, Row> = IndexMap::new();
        let mut row_of: IndexMap<u64, usize> = IndexMap::new();
        let (mut trained, mut bytes) = (0, 0);
        for (name, param) in net.named_state() {
            let name = name.rsplit_once('.').map_or("", |(layer, _)| layer).to_owned();
            let entry = rows.entry(name);
            row_of.insert(param.key(), entry.index());
            let row = entry.or_insert_with_key(|name| Row {
                name: name.clone(),
                shape: None,
                parameters: 0,
                cost: Cost::NONE,
            });
            bytes += param.len() * size_of::<T>();
            if !param.is_buffer() {
                row.parameters += param.len();
            }
            if param.is_trainable() {
                trained += param.len();
            }
        }
        let tape = Tape::new();
        forward(net, &tape);
        let (mut before, mut current) = (Cost::NONE, None);
        let mut shape = None;
        for line in tape.lines() {
            current = line.key.and_then(|key| row_of.get(&key).copied()).or(current);
            if line.op.is_none() {
                continue;
            }
            match current {
                Some(row) => {
                    rows[row].cost = rows[row].cost.and(line.cost);
                    rows[row].shape = Some(line.shape);
                }
                None => (before, shape) = (before.and(line.cost), Some(line.shape)),
            }
        }
        let mut rows: Vec<Row> = rows.into_values().collect();
        if shape.is_some() {
            let name = "(before)".to_owned();
            rows.insert(0, Row { name, shape, parameters: 0, cost: before });
        }
        Self { rows, trained, bytes }
    }

    /// The rows, in the order of declaration.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The number of elements of all parameters.
    pub fn parameters(&self) -> usize {
        self.rows.iter().map(|row| row.parameters).sum()
    }

    /// The operations of a forward pass.
    pub fn cost(&self) -> Cost {
        self.rows.iter().map(|row| row.cost).fold(Cost::NONE, Cost::and)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["layer", "output", "parameters", "operations"].map(str::to_owned);
        let cells = self.rows.iter().map(|row| {
            let name = if row.name.is_empty() { "(model)".to_owned() } else { row.name.clone() };
            let shape = row.shape.as_ref().map_or("-".to_owned(), Shape::to_string);
            [name, shape, grouped(row.parameters as u64), grouped(operations(row.cost))]
        });
        let total = [grouped(self.parameters() as u64), grouped(operations(self.cost()))];
        let [parameters, operations] = total;
        let last = ["total".to_owned(), String::new(), parameters, operations];
        let lines: Vec<[String; 4]> = [head].into_iter().chain(cells).chain([last]).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
        let [a, b, c, d] = [0, 1, 2, 3].map(width);
        let rule = "-".repeat(a + b + c + d + 6);
        for (i, [name, shape, parameters, operations]) in lines.iter().enumerate() {
            if i == 1 || i + 1 == lines.len() {
                writeln!(f, "{rule}")?;
            }
            writeln!(f, "{name:<a$}  {shape:<b$}  {parameters:>c$}  {operations:>d$}")?;
        }
        let kept = self.bytes as f64 / 1024.0;
        write!(
            f,
            "{} of the parameters are trained; the state takes {kept:.1} KiB",
            grouped(self.trained as u64)
        )
    }
}

fn operations(Cost { adds, muls, divs, nonlinear }: Cost) -> u64 {
    adds + muls + divs + nonlinear
}

/// A whole number with a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
