//! From a list of operations to instructions: which registers hold what, and for how long.
//!
//! One pass over the list, in its order. Where no register is free, the number goes whose next use is
//! furthest away (Belady, 1966): a constant and a number from outside are found where they were,
//! another is kept on the stack. In loops, the constants that are read most often stay in registers.

mod operands;

use smallvec::SmallVec;

use super::encode::{Assembler, FusedOrder, Place, Register, Width};
use super::schedule::{Outside, Schedule, Step};
use crate::scalar::ir::{Binary, Code, Comparison, Effect, Id, Node, Test};
use operands::{InMemory, fetched};

/// A function's bytes, and the constants to which its second argument points.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) bytes: Vec<u8>,
    pub(crate) constants: Vec<Constant>,
}

/// A constant, which fills a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    /// The same number all along, by its bits.
    Number(u64),
    /// The distances of some places from the first, and 0 beyond them.
    Distances { step: i32, count: u8 },
}

impl Constant {
    /// The bits of each number.
    pub(crate) fn bits(self) -> impl Iterator<Item = u64> {
        (0..).map(move |k: i32| match self {
            Self::Number(bits) => bits,
            Self::Distances { step, count } if k < i32::from(count) => {
                i64::from(k * step).cast_unsigned()
            }
            Self::Distances { .. } => 0,
        })
    }
}

/// The most bytes on the stack: a page, which a function may use without touching it step by step.
const FRAME: usize = 4096;
/// Registers of a loop that are left for what it computes.
const UNPINNED: usize = 6;

/// Generates code; `None` if it needed more of the stack than there is.
pub(crate) fn generate(code: &Code, width: Width, outside: &Outside) -> Option<Function> {
    let schedule = Schedule::of(code);
    let pinnable = match outside {
        Outside::Memory => Vec::new(),
        Outside::Arrays { .. } => schedule.invariants(code, outside),
    };
    let mut pins = pinnable.len().min(width.registers() - UNPINNED);
    loop {
        let pinned = &pinnable[..pins];
        let mut generator = Generator::new(code, width, outside, &schedule, pinned);
        generator.run(pinned);
        if generator.slot_count == 0 || pins == 0 {
            return (generator.frame() <= FRAME).then(|| generator.finish(pinned));
        }
        pins /= 2;
    }
}

struct Generator<'c> {
    code: &'c Code,
    width: Width,
    outside: &'c Outside,
    schedule: &'c Schedule,
    assembler: Assembler,
    /// Of each node, which of its reads is the next.
    next_read: Vec<u32>,
    /// What each register holds.
    holds: Vec<Option<Id>>,
    register_of: Vec<Option<Register>>,
    /// Registers that hold what the loop finds again, by their number from here on.
    first_pinned: usize,
    /// Registers that the step at hand reads or writes.
    locked: SmallVec<[Register; 6]>,
    /// Where on the stack a node is kept.
    slots: Vec<Option<usize>>,
    /// Slots whose numbers nothing reads any more; those of the step at hand, which its instruction
    /// may still read; and how many slots there are.
    free_slots: Vec<usize>,
    ended_slots: Vec<usize>,
    slot_count: usize,
    constants: Vec<Constant>,
    /// Where in the pool a constant stands: the distances of places as well.
    constant_of: Vec<Option<usize>>,
    /// Which numbers of a vector are read and written, as was said last.
    first: Option<u32>,
    leaves: Vec<usize>,
}

impl<'c> Generator<'c> {
    fn new(
        code: &'c Code,
        width: Width,
        outside: &'c Outside,
        schedule: &'c Schedule,
        pinned: &[Id],
    ) -> Self {
        let first_pinned = width.registers() - pinned.len();
        let mut register_of = vec![None; code.nodes.len()];
        for (k, id) in pinned.iter().enumerate() {
            register_of[id.index()] = Some(Register((first_pinned + k) as u8));
        }
        Self {
            code,
            width,
            outside,
            schedule,
            assembler: Assembler::new(width, code.precision),
            next_read: schedule.first_reads(),
            holds: vec![None; first_pinned],
            register_of,
            first_pinned,
            locked: SmallVec::new(),
            slots: vec![None; code.nodes.len()],
            free_slots: Vec::new(),
            ended_slots: Vec::new(),
            slot_count: 0,
            constants: Vec::new(),
            constant_of: vec![None; code.nodes.len()],
            first: None,
            leaves: Vec::new(),
        }
    }

    /// The steps; what stands around them is known at the [end](Self::finish).
    fn run(&mut self, pinned: &[Id]) {
        // Constants in registers are the first of the pool.
        for &id in pinned {
            if let Node::Constant(bits) = self.code.nodes[id.index()] {
                self.constant(id, Constant::Number(bits));
            }
        }
        for position in 0..self.schedule.steps.len() {
            self.locked.clear();
            self.free_slots.append(&mut self.ended_slots);
            match self.schedule.steps[position] {
                Step::Compute(id) => self.compute(position, id),
                Step::Effect(Effect::Write(id, place)) => {
                    let source = self.register(id);
                    self.pass(position);
                    let address = self.outside_address(place, false);
                    match self.is_mixed() {
                        true => self.assembler.store_first(address, source),
                        false => self.assembler.store(address, source),
                    }
                }
                Step::Effect(Effect::WriteVector(id, span)) => {
                    let source = self.register(id);
                    self.pass(position);
                    let address = self.outside_address(span.place, false);
                    if self.is_whole(span) {
                        self.assembler.store(address, source);
                    } else {
                        self.first_are(span.count);
                        self.assembler.store_some(address, source);
                    }
                }
                Step::Effect(Effect::Require(comparison)) => self.require(position, comparison),
            }
        }
    }

    fn require(&mut self, position: usize, comparison: Comparison) {
        let Comparison { test, of: [a, b] } = comparison;
        let jump = match (self.width, test) {
            (Width::Scalar, Test::Less | Test::LessEqual) => {
                let b = self.register(b);
                let a = self.place(a, InMemory::Any);
                self.pass(position);
                self.assembler.leave_unless_less(test == Test::LessEqual, a, b)
            }
            _ => {
                let (a, b) = self.compared(comparison);
                let spare = self.spare();
                self.pass(position);
                self.assembler.leave_unless(test, spare, a, b)
            }
        };
        self.leaves.push(jump);
    }

    fn frame(&self) -> usize {
        self.slot_count * self.width.register_bytes()
    }

    /// The function, with what comes before the steps and after them.
    fn finish(self, pinned: &[Id]) -> Function {
        let frame = self.frame() as u32;
        let mut whole = Assembler::new(self.width, self.code.precision);
        whole.enter(frame);
        for (k, id) in pinned.iter().enumerate() {
            let target = Register((self.first_pinned + k) as u8);
            match self.code.nodes[id.index()] {
                Node::Constant(_) => {
                    let index = self.constant_of[id.index()].expect("it is in the pool");
                    whole.load_whole(target, self.constant_address(index));
                }
                Node::Read(place) => {
                    whole.fetch(place);
                    whole.load_whole(target, fetched(false));
                }
                _ => unreachable!("constants and numbers from outside are pinned"),
            }
        }
        let is_loop = matches!(self.outside, Outside::Arrays { .. });
        let start = if is_loop { whole.begin() } else { 0 };
        let before = whole.bytes.len();
        whole.bytes.extend(&self.assembler.bytes);
        if is_loop {
            whole.repeat(start);
        }
        whole.leave(frame, false);
        if !self.leaves.is_empty() {
            self.leaves.iter().for_each(|place| whole.land(before + place));
            whole.leave(frame, true);
        }
        Function { bytes: whole.bytes, constants: self.constants }
    }

    fn compute(&mut self, position: usize, id: Id) {
        match self.code.nodes[id.index()] {
            Node::Binary(binary, [a, b]) => {
                let (a, b) =
                    if is_symmetric(binary) && !self.has_register(a) && self.has_register(b) {
                        (b, a)
                    } else {
                        (a, b)
                    };
                let a = self.register(a);
                let b = self.place(b, in_memory(binary));
                let target = self.result(position, id);
                self.assembler.binary(binary, target, a, b);
            }
            Node::Sqrt(x) => {
                let x = self.place(x, InMemory::Any);
                let target = self.result(position, id);
                self.assembler.sqrt(target, x);
            }
            Node::Round(rounding, x) => {
                let x = self.place(x, InMemory::Any);
                let target = self.result(position, id);
                self.assembler.round(rounding, target, x);
            }
            Node::ShiftLeft(x, by) | Node::ShiftRight(x, by) => {
                let is_left = matches!(self.code.nodes[id.index()], Node::ShiftLeft(..));
                let x = self.register(x);
                let target = self.result(position, id);
                self.assembler.shift(is_left, target, x, by);
            }
            Node::MulAdd(of) => self.fused(position, id, of),
            Node::Select(comparison, [yes, no]) => {
                let compared = self.compared(comparison);
                let no = self.register(no);
                let yes = self.place(yes, InMemory::Constants);
                let spare = self.spare();
                let target = self.result(position, id);
                self.assembler.select(comparison.test, [target, spare], compared, (yes, no));
            }
            Node::Read(_) | Node::ReadVector(_) | Node::Constant(_) => {
                unreachable!("they are read where they lie")
            }
        }
    }

    /// `a * b + c`, where one of the three gives its register to the result.
    fn fused(&mut self, position: usize, id: Id, [a, b, c]: [Id; 3]) {
        let ends = |x: Id| self.ends(x, position);
        let is_apart = |x: Id| [a, b, c].iter().filter(|&&other| other == x).count() == 1;
        let gives = |x: Id| ends(x) && is_apart(x);
        // Of two factors, the one in a register is read from there, and the other may lie in memory.
        let (first, second) = if self.has_register(a) { (a, b) } else { (b, a) };
        let (order, own, other, rm) = match () {
            () if gives(c) => (FusedOrder::Order231, c, first, second),
            () if gives(first) && self.has_register(c) && !self.has_register(second) => {
                (FusedOrder::Order132, first, c, second)
            }
            () if gives(first) => (FusedOrder::Order213, first, second, c),
            () if gives(second) => (FusedOrder::Order213, second, first, c),
            () => (FusedOrder::Order231, c, first, second),
        };
        let target = match self.register_of[own.index()] {
            Some(register) if gives(own) => {
                self.register_of[own.index()] = None;
                register
            }
            Some(register) => {
                self.locked.push(register);
                let target = self.free();
                self.assembler.load(target, Place::Register(register));
                target
            }
            None => {
                let target = self.free();
                self.load(target, own);
                target
            }
        };
        self.hold(target, id);
        let other = self.register(other);
        let rm = self.place(rm, InMemory::Any);
        self.pass(position);
        self.assembler.fused(order, target, other, rm);
    }
}

fn is_symmetric(binary: Binary) -> bool {
    matches!(
        binary,
        Binary::Add | Binary::Mul | Binary::And | Binary::Or | Binary::Xor | Binary::AddBits
    )
}

/// What an instruction can read from memory: those on bits read whole registers.
fn in_memory(binary: Binary) -> InMemory {
    use Binary::{AddBits, And, Or, SubBits, Xor};
    match binary {
        And | Or | Xor | AddBits | SubBits => InMemory::Constants,
        _ => InMemory::Any,
    }
}
