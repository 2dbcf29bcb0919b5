//! Formulas, read off what was recorded.
//!
//! Nothing here knows a derivative. The formula of a row is its op on its operands; the formula of what
//! a rule passes on is what the rule has recorded, written as one expression in values and adjoints.

use std::fmt;

use super::notation::{self, Notation};
use crate::scalar::Real;
use crate::tape::elemental::DynOp;
use crate::tape::{NodeId, Tape, Var};

/// Operations that a formula may have. What is longer is written as the transpose of its op.
const LONGEST: usize = 60;

/// Which quantity of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// `v3`
    Value,
    /// `v3bar`
    Adjoint,
    /// `v3dot`
    Tangent,
}

/// A quantity of a row, with the row's name.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Which one.
    pub quantity: Quantity,
    /// The [number](super::Row::number) of the row.
    pub row: usize,
    /// The name of the row; of an adjoint that has one, its own.
    pub name: String,
    /// Whether it is an adjoint with a name of its own.
    pub is_own: bool,
}

/// A formula in the values, adjoints and tangents of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A number.
    Number(f64),
    /// A quantity of a row.
    Reference(Reference),
    /// A constant tensor, or what is too long to be written out, in words.
    Words(String),
    /// An operation.
    Call {
        /// The op's name.
        op: &'static str,
        /// Its parameters as Rust writes them: `axes: [0]`.
        parameters: String,
        /// Its operands.
        args: Vec<Expression>,
    },
}

/// A part of a written formula.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// Text that stands there.
    Text(String),
    /// A quantity, for which its name or its number may be written.
    Reference(Reference),
}

impl fmt::Display for Reference {
    /// As text: `v3bar`, or `bar(a[2])` where the name is more than a word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match self.quantity {
            _ if self.is_own => return f.write_str(&self.name),
            Quantity::Value => return f.write_str(&self.name),
            Quantity::Adjoint => "bar",
            Quantity::Tangent => "dot",
        };
        match self.name.chars().all(char::is_alphanumeric) {
            true => write!(f, "{}{suffix}", self.name),
            false => write!(f, "{suffix}({})", self.name),
        }
    }
}

impl Reference {
    /// In TeX: `\bar v_{3}`.
    pub fn to_latex(&self) -> String {
        let split = self.name.find(|c: char| c.is_ascii_digit()).unwrap_or(self.name.len());
        let (letters, digits) = self.name.split_at(split);
        let is_plain = |part: &str, of: fn(&char) -> bool| part.chars().all(|c| of(&c));
        let is_greek = notation::GREEK.contains(&letters);
        let name = if (is_greek
            || letters.len() == 1 && is_plain(letters, char::is_ascii_alphabetic))
            && is_plain(digits, char::is_ascii_digit)
        {
            let letters = if is_greek { format!("\\{letters}") } else { letters.to_owned() };
            if digits.is_empty() { letters } else { format!("{letters}_{{{digits}}}") }
        } else {
            format!("\\mathit{{{}}}", notation::escaped(&self.name))
        };
        match self.quantity {
            _ if self.is_own => name,
            Quantity::Value => name,
            Quantity::Adjoint => format!("\\bar{{{name}}}"),
            Quantity::Tangent => format!("\\dot{{{name}}}"),
        }
    }
}

impl Expression {
    /// The parts of the written formula, in order.
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.write(0, &mut tokens);
        tokens
    }

    /// The formula in TeX.
    pub fn to_latex(&self) -> String {
        match self {
            Self::Number(x) => notation::number_latex(*x),
            Self::Reference(reference) => reference.to_latex(),
            Self::Words(words) => format!("\\text{{{}}}", notation::escaped(words)),
            Self::Call { op, parameters, args } => notation::latex(op, parameters, args),
        }
    }

    /// How strongly the formula holds together: a part of less strength is put in brackets.
    pub(super) fn strength(&self) -> u8 {
        match self {
            Self::Number(x) if x.is_sign_negative() => notation::SIGN,
            Self::Call { op, parameters, args } => {
                Notation::of(op, parameters, args.len()).strength()
            }
            _ => notation::ATOM,
        }
    }

    fn write(&self, least: u8, out: &mut Vec<Token>) {
        let brackets = self.strength() < least;
        if brackets {
            text(out, "(");
        }
        match self {
            Self::Number(x) => text(out, &super::number(*x, 6)),
            Self::Reference(reference) => out.push(Token::Reference(reference.clone())),
            Self::Words(words) => text(out, words),
            Self::Call { op, parameters, args } => match Notation::of(op, parameters, args.len()) {
                Notation::Between { sign, strength, right } => {
                    args[0].write(strength, out);
                    text(out, sign);
                    args[1].write(right, out);
                }
                Notation::Around { before, after, inner, .. } => {
                    text(out, &before);
                    args[0].write(inner, out);
                    text(out, &after);
                }
                Notation::Function { parameters } => {
                    text(out, op);
                    text(out, "(");
                    for (i, arg) in args.iter().enumerate() {
                        text(out, if i > 0 { ", " } else { "" });
                        arg.write(0, out);
                    }
                    if !parameters.is_empty() {
                        text(out, "; ");
                        text(out, parameters);
                    }
                    text(out, ")");
                }
            },
        }
        if brackets {
            text(out, ")");
        }
    }
}

/// More text, joined to what stands there.
fn text(out: &mut Vec<Token>, more: &str) {
    match out.last_mut() {
        Some(Token::Text(text)) => *text += more,
        _ if more.is_empty() => {}
        _ => out.push(Token::Text(more.to_owned())),
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens().iter().try_for_each(|token| match token {
            Token::Text(text) => f.write_str(text),
            Token::Reference(reference) => write!(f, "{reference}"),
        })
    }
}

/// What a variable was computed by, down to what `name` gives a name; in words if that is long.
pub(super) fn expression<T: Real>(
    var: Var<'_, T>,
    name: &dyn Fn(NodeId) -> Option<Expression>,
    words: impl FnOnce() -> String,
) -> Expression {
    let mut left = LONGEST;
    read(var.tape(), var.id(), name, &mut left).unwrap_or_else(|| Expression::Words(words()))
}

fn read<T: Real>(
    tape: &Tape<T>,
    id: NodeId,
    name: &dyn Fn(NodeId) -> Option<Expression>,
    left: &mut usize,
) -> Option<Expression> {
    if let Some(named) = name(id) {
        return Some(named);
    }
    let Some((op, args)) = tape.call(id) else { return Some(constant(tape, id)) };
    *left = left.checked_sub(1)?;
    let mut operands = Vec::new();
    for arg in &args {
        operands.push(read(tape, arg.id(), name, left)?);
    }
    Some(call(op.get(), &tape.shape_of(id), &args, operands))
}

/// An op on written operands.
pub(super) fn call<T: Real>(
    op: &dyn DynOp<T>,
    shape: &crate::tensor::Shape,
    args: &[Var<'_, T>],
    mut operands: Vec<Expression>,
) -> Expression {
    let (name, is_one) = (op.name(), |x: &Expression| *x == Expression::Number(1.0));
    let same_shape = || args.iter().all(|arg| arg.shape() == *shape);
    match (name, &operands[..]) {
        // What computes nothing.
        ("reshape", [_]) if same_shape() => operands.remove(0),
        ("broadcast" | "reshape", [Expression::Number(_)]) => operands.remove(0),
        ("mul", [a, _]) if is_one(a) => operands.remove(1),
        ("mul", [_, b]) if is_one(b) => operands.remove(0),
        ("neg", [Expression::Number(x)]) => Expression::Number(-x),
        _ => Expression::Call { op: name, parameters: parameters(op), args: operands },
    }
}

/// A value from outside: its number, where all its elements are one.
fn constant<T: Real>(tape: &Tape<T>, id: NodeId) -> Expression {
    let single = tape.with_value(id, |view| {
        let first = view.iter().next()?;
        view.iter().all(|x| x == first).then(|| first.as_f64())
    });
    match single {
        Some(x) => Expression::Number(x),
        None => Expression::Words(format!("constant {}", tape.shape_of(id))),
    }
}

/// An op's parameters, as `Debug` writes them within the shells of its family: `axes: [0]`.
fn parameters<T: Real>(op: &dyn DynOp<T>) -> String {
    const LONGEST: usize = 48;
    let text = format!("{op:?}");
    let mut inner = text.as_str();
    loop {
        let Some(start) = inner.find(['(', '{']) else { return String::new() };
        let Some(end) = inner.rfind([')', '}']) else { return String::new() };
        let within = inner[start + 1..end].trim();
        let is_shell =
            inner[start..].starts_with('(') && within.starts_with(|c: char| c.is_ascii_uppercase());
        if !is_shell {
            let mut text = within.to_owned();
            if text.chars().count() > LONGEST {
                text = text.chars().take(LONGEST).collect::<String>() + "..";
            }
            return text;
        }
        inner = within;
    }
}
