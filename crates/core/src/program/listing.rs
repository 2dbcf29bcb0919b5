//! The machine code of a program as text: the operations of each function, and the lines of the user
//! that they come from.

use std::fmt::Write;

use super::Program;
use super::formula::{self, Places};
use super::fused::Loop;
use super::native;
use super::run::{Instruction, RunCode};
use crate::scalar::ir::{
    Binary, Code, Comparison, Effect, Id, Node, Precision, Rounding, Span, Test,
};
use crate::scalar::{Angles, Real};

impl<T: Real> Program<T> {
    /// The operations of the program's [machine code](Self::native), function by function, below the ops
    /// and the lines that they come from. Instructions without code are named alone.
    ///
    /// One line is one operation, which rounds once. `read` is a number from outside, by its place in
    /// the memory of short values or its array; `write` goes there. Bits are written `&`, `|`, `^`. Code stops
    /// at what it `requires`, and an interpreter goes on.
    ///
    /// ```
    /// use wengert_core::{Tensor, compile, func};
    ///
    /// let mut program = compile(func(|x| x * 2.0 + 1.0), &Tensor::scalar(3.0))?;
    /// program.native();
    /// assert!(program.listing().starts_with("mul -> [], at "));
    /// # Ok::<(), wengert_core::CompileError>(())
    /// ```
    pub fn listing(&self) -> String {
        let mut out = String::new();
        let mut lines = self.report.sources();
        for instruction in &self.instructions {
            let (count, code) = match instruction {
                Instruction::Code(code) => (code.instructions.len(), Some(self.of_run(code))),
                Instruction::Loop(blocks) => (1, of_loop(blocks)),
                _ => (1, None),
            };
            for line in lines.by_ref().take(count) {
                writeln!(out, "{line}").expect("a string takes all");
            }
            if let Some(code) = code {
                write_code(&mut out, &code);
            }
        }
        out
    }

    /// The formula of a run, written down once more.
    fn of_run(&self, code: &RunCode<T>) -> Code {
        let Self { constants, results, memory, .. } = self;
        let (memory, updates) = (&memory.short[..], &code.updates[..]);
        let lanes = native::lanes_in_memory::<T>();
        let places = Places { memory, constants, results, updates, lanes };
        formula::of_run(&code.instructions, &places, &code.written)
    }
}

fn of_loop<T: Real>(blocks: &Loop<T>) -> Option<Code> {
    let code = blocks.code.as_ref()?;
    let written = blocks.written.len();
    formula::of_loop(&blocks.steps, blocks.operands(), written, &code.summed, Angles::Near)
}

/// Writes the operations that matter.
fn write_code(out: &mut String, code: &Code) {
    let uses = code.uses();
    let mut effects = code.effects.iter().peekable();
    for (index, node) in code.nodes.iter().enumerate() {
        while let Some((_, effect)) = effects.next_if(|(before, _)| *before <= index) {
            write_effect(out, code, effect);
        }
        if uses[index] > 0 && !matches!(node, Node::Constant(_)) {
            writeln!(out, "    %{index} = {}", operation(code, node)).expect("a string takes all");
        }
    }
    effects.for_each(|(_, effect)| write_effect(out, code, effect));
}

fn write_effect(out: &mut String, code: &Code, effect: &Effect) {
    match effect {
        Effect::Write(id, place) => writeln!(out, "    write {place}: {}", name(code, *id)),
        Effect::WriteVector(id, Span { place, count, .. }) => {
            writeln!(out, "    write {place}..{}: {}", place + u32::from(*count), name(code, *id))
        }
        Effect::Require(comparison) => writeln!(out, "    require {}", compared(code, comparison)),
    }
    .expect("a string takes all");
}

/// A node by its number, or a constant by its value.
fn name(code: &Code, id: Id) -> String {
    match (code.nodes[id.index()], code.precision) {
        (Node::Constant(bits), Precision::Single) => format!("{:?}", f32::from_bits(bits as u32)),
        (Node::Constant(bits), Precision::Double) => format!("{:?}", f64::from_bits(bits)),
        _ => format!("%{}", id.index()),
    }
}

fn compared(code: &Code, Comparison { test, of: [a, b] }: &Comparison) -> String {
    let symbol = match test {
        Test::Less => "<",
        Test::LessEqual => "<=",
        Test::Equal => "==",
        Test::EqualBits => "===",
    };
    format!("{} {symbol} {}", name(code, *a), name(code, *b))
}

fn operation(code: &Code, node: &Node) -> String {
    let name = |id: Id| name(code, id);
    match *node {
        Node::Read(place) => format!("read {place}"),
        Node::ReadVector(Span { place, step, count }) => {
            let count = u32::from(count);
            match step {
                1 => format!("read {place}..{}", place + count),
                _ => format!("read {count} from {place} in steps of {step}"),
            }
        }
        Node::Constant(_) => unreachable!("constants are named by their values"),
        Node::Binary(binary, [a, b]) => {
            let symbol = match binary {
                Binary::Add => "+",
                Binary::Sub => "-",
                Binary::Mul => "*",
                Binary::Div => "/",
                Binary::And => "&",
                Binary::Or => "|",
                Binary::Xor => "^",
                Binary::Max => "max",
                Binary::Min => "min",
                Binary::AddBits => "+bits",
                Binary::SubBits => "-bits",
            };
            format!("{} {symbol} {}", name(a), name(b))
        }
        Node::Sqrt(x) => format!("sqrt {}", name(x)),
        Node::Round(rounding, x) => {
            let way = match rounding {
                Rounding::Nearest => "round",
                Rounding::Down => "floor",
                Rounding::Up => "ceil",
                Rounding::ToZero => "trunc",
            };
            format!("{way} {}", name(x))
        }
        Node::MulAdd([a, b, c]) => format!("{} * {} + {} (fused)", name(a), name(b), name(c)),
        Node::ShiftLeft(x, by) => format!("{} << {by}", name(x)),
        Node::ShiftRight(x, by) => format!("{} >> {by}", name(x)),
        Node::Select(ref comparison, [yes, no]) => {
            format!("{} where {} else {}", name(yes), compared(code, comparison), name(no))
        }
    }
}
