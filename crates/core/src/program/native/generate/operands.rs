//! Where numbers lie while code is generated: in registers, on the stack, in the pool of constants, or
//! where they came from.

use super::{Constant, Generator};
use crate::program::native::encode::{Address, BIAS, Base, Place, Register, Width};
use crate::program::native::schedule::Outside;
use crate::scalar::ir::{Comparison, Id, Node, Span};

/// Which operands of an instruction may lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InMemory {
    /// Those that fill a register there.
    Constants,
    Any,
}

impl Generator<'_> {
    /// The place in the pool of a constant that belongs to a node.
    pub(super) fn constant(&mut self, id: Id, constant: Constant) -> usize {
        *self.constant_of[id.index()].get_or_insert_with(|| {
            self.constants.push(constant);
            self.constants.len() - 1
        })
    }

    /// Whether single numbers of one memory are computed beside vectors: they are vectors then, too, of the
    /// same number all along.
    pub(super) fn is_mixed(&self) -> bool {
        self.width == Width::Bits512 && matches!(self.outside, Outside::Memory)
    }

    /// Whether places are those of a whole vector in memory.
    pub(super) fn is_whole(&self, span: Span) -> bool {
        span.step == 1 && usize::from(span.count) == self.lanes()
    }

    /// Numbers of a register.
    fn lanes(&self) -> usize {
        self.width.register_bytes() / self.code.precision.bytes()
    }

    /// Says that the first `count` numbers of a vector are read and written.
    pub(super) fn first_are(&mut self, count: u8) {
        let numbers = (1_u32 << count) - 1;
        if self.first != Some(numbers) {
            self.assembler.first_are(numbers);
            self.first = Some(numbers);
        }
    }

    /// Constants fill whole registers, so that every instruction can read them from memory.
    pub(super) fn constant_address(&self, index: usize) -> Address {
        let displacement = (index * self.width.register_bytes()) as i32 - BIAS as i32;
        Address { base: Base::Second, displacement, moves: false }
    }

    pub(super) fn outside_address(&mut self, place: u32, is_uniform: bool) -> Address {
        match self.outside {
            Outside::Memory => {
                let displacement = place as usize * self.code.precision.bytes();
                Address { base: Base::First, displacement: displacement as i32, moves: false }
            }
            Outside::Arrays { .. } => {
                self.assembler.fetch(place);
                fetched(!is_uniform)
            }
        }
    }

    pub(super) fn slot_address(&self, slot: usize) -> Address {
        let displacement = (slot * self.width.register_bytes()) as i32;
        Address { base: Base::Stack, displacement, moves: false }
    }

    /// Where a node that is in no register can be read.
    pub(super) fn address(&mut self, id: Id) -> Address {
        match self.code.nodes[id.index()] {
            Node::Constant(bits) => {
                let index = self.constant(id, Constant::Number(bits));
                self.constant_address(index)
            }
            Node::ReadVector(span) => self.outside_address(span.place, false),
            Node::Read(place) => self.outside_address(place, self.outside.is_uniform(place)),
            _ => self.slot_address(self.slots[id.index()].expect("it is kept on the stack")),
        }
    }

    /// A register with a node in it.
    pub(super) fn register(&mut self, id: Id) -> Register {
        if let Some(register) = self.register_of[id.index()] {
            self.locked.push(register);
            return register;
        }
        let target = self.free();
        self.load(target, id);
        self.hold(target, id);
        target
    }

    pub(super) fn load(&mut self, target: Register, id: Id) {
        let address = self.address(id);
        match self.code.nodes[id.index()] {
            Node::Constant(_) => self.assembler.load_whole(target, address),
            Node::Read(_) if self.is_mixed() => self.assembler.broadcast(target, address),
            Node::ReadVector(span) if !self.is_whole(span) => {
                self.load_span(target, id, span, address);
            }
            _ => self.assembler.load(target, Place::Memory(address)),
        }
    }

    /// Loads numbers that are no whole vector in memory.
    pub(super) fn load_span(&mut self, target: Register, id: Id, span: Span, address: Address) {
        let Span { step, count, .. } = span;
        if step == 1 {
            self.assembler.broadcast(target, address);
            self.first_are(count);
            return self.assembler.load_some(target, address);
        }
        let distances = self.constant(id, Constant::Distances { step, count });
        // Another register than the target, for the time of this instruction.
        self.locked.push(target);
        let held = self.holds[target.0 as usize].replace(id);
        let index = self.free();
        self.holds[target.0 as usize] = held;
        self.assembler.load_whole(index, self.constant_address(distances));
        self.first_are(self.lanes() as u8);
        self.assembler.gather(target, index, address);
        self.first = None;
    }

    pub(super) fn hold(&mut self, register: Register, id: Id) {
        self.holds[register.0 as usize] = Some(id);
        self.register_of[id.index()] = Some(register);
        self.locked.push(register);
    }

    /// A node where it lies: in its register, or in memory if it is read once more only or no register
    /// is free. Nothing may be [fetched](Assembler::fetch) between this and the instruction.
    pub(super) fn place(&mut self, id: Id, in_memory: InMemory) -> Place {
        let is_constant = matches!(self.code.nodes[id.index()], Node::Constant(_));
        let fills_a_register = match self.code.nodes[id.index()] {
            Node::Read(_) => !self.is_mixed(),
            Node::ReadVector(span) => self.is_whole(span),
            _ => true,
        };
        let may_lie_in_memory = is_constant || (in_memory == InMemory::Any && fills_a_register);
        let is_worth_loading = self.reads(id).len() > 1 && self.holds.contains(&None);
        if self.has_register(id) || !may_lie_in_memory || is_worth_loading {
            return Place::Register(self.register(id));
        }
        Place::Memory(self.address(id))
    }

    pub(super) fn has_register(&self, id: Id) -> bool {
        self.register_of[id.index()].is_some()
    }

    /// The positions that are still to read a node.
    pub(super) fn reads(&self, id: Id) -> &[u32] {
        self.schedule.reads(id, self.next_read[id.index()])
    }

    /// A register for something new: a free one, or that whose number is needed last.
    pub(super) fn free(&mut self) -> Register {
        if let Some(index) = self.holds.iter().position(Option::is_none) {
            return Register(index as u8);
        }
        let next_use = |index: usize| {
            let id = self.holds[index].expect("no register is free");
            self.reads(id).first().copied().unwrap_or(u32::MAX)
        };
        let furthest = (0..self.holds.len())
            .filter(|&index| !self.locked.contains(&Register(index as u8)))
            .max_by_key(|&index| next_use(index))
            .expect("a step reads fewer numbers than there are registers");
        self.evict(Register(furthest as u8));
        Register(furthest as u8)
    }

    pub(super) fn evict(&mut self, register: Register) {
        let id = self.holds[register.0 as usize].take().expect("it holds something");
        self.register_of[id.index()] = None;
        let is_computed = !self.code.nodes[id.index()].is_given();
        if is_computed && self.slots[id.index()].is_none() {
            let slot = self.free_slots.pop().unwrap_or_else(|| {
                self.slot_count += 1;
                self.slot_count - 1
            });
            self.slots[id.index()] = Some(slot);
            self.assembler.store(self.slot_address(slot), register);
        }
    }

    /// The operands of a position have been read once more; registers of those that nothing
    /// else reads are free.
    pub(super) fn pass(&mut self, position: usize) {
        for id in self.schedule.steps[position].operands(self.code) {
            while self.reads(id).first() == Some(&(position as u32)) {
                self.next_read[id.index()] += 1;
            }
            if !self.reads(id).is_empty() {
                continue;
            }
            if let Some(slot) = self.slots[id.index()].take() {
                self.ended_slots.push(slot);
            }
            if let Some(register) = self.register_of[id.index()]
                && (register.0 as usize) < self.first_pinned
            {
                self.holds[register.0 as usize] = None;
                self.register_of[id.index()] = None;
            }
        }
    }

    /// A register for a comparison, which mask registers make unnecessary.
    pub(super) fn spare(&mut self) -> Register {
        match self.width {
            Width::Bits512 => Register(0),
            _ => {
                let spare = self.free();
                self.locked.push(spare);
                spare
            }
        }
    }

    pub(super) fn compared(
        &mut self,
        Comparison { of: [a, b], .. }: Comparison,
    ) -> (Register, Place) {
        let a = self.register(a);
        (a, self.place(b, InMemory::Constants))
    }

    /// The register in which a result is to be.
    pub(super) fn result(&mut self, position: usize, id: Id) -> Register {
        self.pass(position);
        // What the instruction reads may be overwritten by it.
        self.locked.clear();
        let target = self.free();
        self.hold(target, id);
        target
    }

    /// Whether a node's register can be overwritten by the result of this position.
    pub(super) fn ends(&self, id: Id, position: usize) -> bool {
        let is_last = self.reads(id).last().is_none_or(|&last| last == position as u32);
        let own = self.register_of[id.index()];
        is_last && own.is_some_and(|register| (register.0 as usize) < self.first_pinned)
    }
}

pub(super) fn fetched(moves: bool) -> Address {
    Address { base: Base::Fetched, displacement: 0, moves }
}
