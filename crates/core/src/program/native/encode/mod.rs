//! Instructions of x86-64 as bytes: the few forms that code of programs is made of.
//!
//! Vector instructions come in two encodings. VEX has vectors of 256 bits, single numbers, and 16
//! registers; EVEX has 512 bits and 32 registers. Both are written by one function each
//! ([`Assembler::vex`], [`Assembler::evex`]) from the same description of an instruction ([`Form`]).
//! The tests have every form decoded by an independent disassembler.
//!
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, sections 2.3
//! and 2.7, and the pages of the instructions.

mod parts;

use crate::scalar::ir::{Binary, Precision, Rounding, Test};

/// How many numbers an instruction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// One, by VEX.
    Scalar,
    /// A vector of 256 bits, by VEX.
    Bits256,
    /// A vector of 512 bits, by EVEX.
    Bits512,
}

impl Width {
    /// Bytes of what is computed at once.
    pub(crate) fn bytes(self, precision: Precision) -> usize {
        match self {
            Self::Scalar => precision.bytes(),
            Self::Bits256 => 32,
            Self::Bits512 => 64,
        }
    }

    /// Bytes of the registers that instructions on bits work on, which know no single numbers.
    pub(crate) fn register_bytes(self) -> usize {
        match self {
            Self::Scalar => 16,
            Self::Bits256 => 32,
            Self::Bits512 => 64,
        }
    }

    pub(crate) fn registers(self) -> usize {
        match self {
            Self::Scalar | Self::Bits256 => 16,
            Self::Bits512 => 32,
        }
    }
}

/// A register of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Register(pub(crate) u8);

/// A register of addresses, by its number in the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// The first argument of the function (`rdi`).
    First = 7,
    /// The second argument (`rsi`), which points to [`BIAS`] bytes behind the first constant.
    Second = 6,
    /// The stack (`rsp`).
    Stack = 4,
    /// What [`Assembler::fetch`] has fetched (`r10`).
    Fetched = 10,
}

/// A place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) base: Base,
    pub(crate) displacement: i32,
    /// Whether the loop's offset (`rax`) is added.
    pub(crate) moves: bool,
}

/// An operand that may lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Register(Register),
    Memory(Address),
}

/// An instruction but for its operands and its width.
#[derive(Clone, Copy, Debug)]
struct Form {
    opcode: u8,
    /// The number of the opcode's table: 1 for 0F, 2 for 0F 38, 3 for 0F 3A.
    map: u8,
    /// The mandatory prefix: 0 for none, 1 for 66, 2 for F3, 3 for F2.
    prefix: u8,
    wide: bool,
}

/// Short displacements go as far back as ahead.
pub(crate) const BIAS: usize = 128;
/// Vectors of 256 bits have this bit, single numbers and 128 bits have not.
const VEX_256: u8 = 1;
/// EVEX counts vector lengths: 0 for 128 bits, 1, and this for 512 bits.
const EVEX_512: u8 = 2;
/// The mask register that comparisons write and selections read, in EVEX.
const MASK: u8 = 1;

/// Bytes of a function that is being written.
#[derive(Debug)]
pub(crate) struct Assembler {
    pub(crate) bytes: Vec<u8>,
    width: Width,
    precision: Precision,
}

/// Which operand of a fused product and sum is replaced, and the order of the others: the digits of
/// the instruction's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FusedOrder {
    /// `target = target * rm + other`.
    Order132,
    /// `target = other * target + rm`.
    Order213,
    /// `target = other * rm + target`.
    Order231,
}

impl Assembler {
    pub(crate) fn new(width: Width, precision: Precision) -> Self {
        Self { bytes: Vec::new(), width, precision }
    }

    /// An instruction of floats: packed or of one number, in the precision of the code.
    fn float(&self, opcode: u8) -> Form {
        let is_double = self.precision == Precision::Double;
        let prefix = match (self.width, is_double) {
            (Width::Scalar, false) => 2,
            (Width::Scalar, true) => 3,
            (_, false) => 0,
            (_, true) => 1,
        };
        // VEX ignores the bit for these.
        let wide = is_double && self.width == Width::Bits512;
        Form { opcode, map: 1, prefix, wide }
    }

    /// An instruction of floats that has no form for one number: such are computed with garbage
    /// beside them.
    fn packed(&self, opcode: u8) -> Form {
        let is_double = self.precision == Precision::Double;
        Form {
            opcode,
            map: 1,
            prefix: u8::from(is_double),
            wide: is_double && self.width == Width::Bits512,
        }
    }

    /// An instruction of whole numbers.
    fn whole(&self, single: u8, double: u8) -> Form {
        let is_double = self.precision == Precision::Double;
        Form {
            opcode: if is_double { double } else { single },
            map: 1,
            prefix: 1,
            wide: is_double && self.width == Width::Bits512,
        }
    }

    fn instruction(&mut self, form: Form, reg: u8, other: u8, rm: Place, mask: u8) {
        match self.width {
            Width::Scalar | Width::Bits256 => self.vex(form, reg, other, rm),
            Width::Bits512 => self.evex(form, reg, other, rm, mask),
        }
        // EVEX counts a short displacement in vectors.
        self.operand(reg, rm, if self.width == Width::Bits512 { 64 } else { 1 });
    }

    /// Bits 3 and 4 of the registers of an operand, as the prefixes have them: of the base or the
    /// register itself, and of the index or the register's fifth bit.
    fn extensions(rm: Place) -> [u8; 2] {
        match rm {
            Place::Register(Register(number)) => [number >> 3 & 1, number >> 4 & 1],
            Place::Memory(Address { base, .. }) => [base as u8 >> 3 & 1, 0],
        }
    }

    /// In two bytes where they say all, else in three.
    fn vex(&mut self, form: Form, reg: u8, other: u8, rm: Place) {
        let [b, _] = Self::extensions(rm);
        let length = if self.width == Width::Bits256 { VEX_256 } else { 0 };
        let r = (!reg >> 3 & 1) << 7;
        let rest = (!other & 15) << 3 | length << 2 | form.prefix;
        if b == 0 && form.map == 1 && !form.wide {
            self.bytes.extend([0xC5, r | rest, form.opcode]);
        } else {
            let first = r | 1 << 6 | (b ^ 1) << 5 | form.map;
            let second = u8::from(form.wide) << 7 | rest;
            self.bytes.extend([0xC4, first, second, form.opcode]);
        }
    }

    fn evex(&mut self, form: Form, reg: u8, other: u8, rm: Place, mask: u8) {
        let [b, x] = Self::extensions(rm);
        self.bytes.extend([
            0x62,
            (!reg >> 3 & 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5 | (!reg >> 4 & 1) << 4 | form.map,
            u8::from(form.wide) << 7 | (!other & 15) << 3 | 1 << 2 | form.prefix,
            EVEX_512 << 5 | (!other >> 4 & 1) << 3 | mask,
            form.opcode,
        ]);
    }

    /// The operand that may lie in memory, beside a register's number. A short displacement is counted
    /// in units.
    fn operand(&mut self, reg: u8, rm: Place, unit: i32) {
        let reg = (reg & 7) << 3;
        match rm {
            Place::Register(Register(number)) => self.bytes.push(0xC0 | reg | number & 7),
            Place::Memory(Address { base, displacement, moves }) => {
                let base = base as u8 & 7;
                let has_index = moves || base == Base::Stack as u8;
                let short = i8::try_from(displacement / unit).ok();
                let short = short.filter(|&short| i32::from(short) * unit == displacement);
                let mode = match short {
                    Some(0) => 0,
                    Some(_) => 1,
                    None => 2,
                };
                self.bytes.push(mode << 6 | reg | if has_index { 4 } else { base });
                if has_index {
                    // No index is written as that of the stack.
                    let index = if moves { 0 } else { 4 };
                    self.bytes.push(index << 3 | base);
                }
                match short {
                    Some(0) => {}
                    Some(short) => self.bytes.extend(short.to_le_bytes()),
                    None => self.bytes.extend(displacement.to_le_bytes()),
                }
            }
        }
    }

    /// `target = source`.
    pub(crate) fn load(&mut self, target: Register, source: Place) {
        let form = match source {
            Place::Register(_) => self.packed(0x28),
            Place::Memory(_) => self.float(0x10),
        };
        self.instruction(form, target.0, 0, source, 0);
    }

    /// A whole register from memory, for code of single numbers as well: constants are laid out so.
    pub(crate) fn load_whole(&mut self, target: Register, source: Address) {
        let form = self.packed(0x10);
        self.instruction(form, target.0, 0, Place::Memory(source), 0);
    }

    pub(crate) fn store(&mut self, target: Address, source: Register) {
        let form = self.float(0x11);
        self.instruction(form, source.0, 0, Place::Memory(target), 0);
    }

    fn is_double(&self) -> bool {
        self.precision == Precision::Double
    }

    pub(crate) fn binary(&mut self, binary: Binary, target: Register, a: Register, b: Place) {
        let form = match binary {
            Binary::Add => self.float(0x58),
            Binary::Mul => self.float(0x59),
            Binary::Sub => self.float(0x5C),
            Binary::Min => self.float(0x5D),
            Binary::Div => self.float(0x5E),
            Binary::Max => self.float(0x5F),
            Binary::And => self.packed(0x54),
            Binary::Or => self.packed(0x56),
            Binary::Xor => self.packed(0x57),
            Binary::AddBits => self.whole(0xFE, 0xD4),
            Binary::SubBits => self.whole(0xFA, 0xFB),
        };
        self.instruction(form, target.0, a.0, b, 0);
    }

    pub(crate) fn sqrt(&mut self, target: Register, x: Place) {
        let form = self.float(0x51);
        // That of one number takes the others from a register, for which the target will do.
        let other = if self.width == Width::Scalar { target.0 } else { 0 };
        self.instruction(form, target.0, other, x, 0);
    }

    pub(crate) fn fused(
        &mut self,
        order: FusedOrder,
        target: Register,
        other: Register,
        rm: Place,
    ) {
        let opcode = match order {
            FusedOrder::Order132 => 0x98,
            FusedOrder::Order213 => 0xA8,
            FusedOrder::Order231 => 0xB8,
        };
        let form = Form {
            opcode: opcode + u8::from(self.width == Width::Scalar),
            map: 2,
            prefix: 1,
            wide: self.is_double(),
        };
        self.instruction(form, target.0, other.0, rm, 0);
    }

    /// Moves the bits of each number to the left or to the right.
    pub(crate) fn shift(&mut self, is_left: bool, target: Register, x: Register, by: u8) {
        let form = self.whole(0x72, 0x73);
        let extension = if is_left { 6 } else { 2 };
        self.instruction(form, extension, target.0, Place::Register(x), 0);
        self.bytes.push(by);
    }

    /// `target = if a test b { yes } else { no }`. VEX needs a register for the comparison, `spare`,
    /// which may be none of the operands.
    pub(crate) fn select(
        &mut self,
        test: Test,
        [target, spare]: [Register; 2],
        (a, b): (Register, Place),
        (yes, no): (Place, Register),
    ) {
        self.compare(test, spare, a, b);
        if self.width == Width::Bits512 {
            let form = Form { opcode: 0x65, map: 2, prefix: 1, wide: self.is_double() };
            self.instruction(form, target.0, no.0, yes, MASK);
        } else {
            let opcode = 0x4A + u8::from(self.precision == Precision::Double);
            let form = Form { opcode, map: 3, prefix: 1, wide: false };
            self.instruction(form, target.0, no.0, yes, 0);
            self.bytes.push(spare.0 << 4);
        }
    }

    /// Rounds to a whole number.
    pub(crate) fn round(&mut self, rounding: Rounding, target: Register, x: Place) {
        let is_double = self.precision == Precision::Double;
        let opcode = 0x08 + u8::from(is_double) + if self.width == Width::Scalar { 2 } else { 0 };
        let wide = is_double && self.width == Width::Bits512;
        let form = Form { opcode, map: 3, prefix: 1, wide };
        let other = if self.width == Width::Scalar { target.0 } else { 0 };
        self.instruction(form, target.0, other, x, 0);
        self.bytes.push(match rounding {
            Rounding::Nearest => 0x08,
            Rounding::Down => 0x09,
            Rounding::Up => 0x0A,
            Rounding::ToZero => 0x0B,
        });
    }

    /// Compares into the mask register, or into `spare` where there is none.
    fn compare(&mut self, test: Test, spare: Register, a: Register, b: Place) {
        let target = if self.width == Width::Bits512 { MASK } else { spare.0 };
        // The numbers of comparisons of floats that raise no exception (SDM, table 3-1).
        let predicate = match test {
            Test::Equal => 0x00,
            Test::Less => 0x11,
            Test::LessEqual => 0x12,
            Test::EqualBits => {
                let form = match self.precision {
                    Precision::Single => self.whole(0x76, 0x76),
                    Precision::Double => Form { map: 2, ..self.whole(0x29, 0x29) },
                };
                return self.instruction(form, target, a.0, b, 0);
            }
        };
        let form = self.packed(0xC2);
        self.instruction(form, target, a.0, b, 0);
        self.bytes.push(predicate);
    }

    /// Jumps where the comparison does not hold for all numbers; gives the place of the jump's
    /// distance, for [`land`](Self::land).
    pub(crate) fn leave_unless(
        &mut self,
        test: Test,
        spare: Register,
        a: Register,
        b: Place,
    ) -> usize {
        self.compare(test, spare, a, b);
        match (self.width, self.precision) {
            // kortestw k1, k1, or kortestb: carries if all 16 or 8 bits are set. Then jae.
            (Width::Bits512, Precision::Single) => self.bytes.extend([0xC5, 0xF8, 0x98, 0xC9]),
            (Width::Bits512, Precision::Double) => self.bytes.extend([0xC5, 0xF9, 0x98, 0xC9]),
            _ => {
                // vmovmskps or vmovmskpd ecx, spare; of one number, the lowest bit
                let form = self.packed(0x50);
                self.instruction(form, 1, 0, Place::Register(spare), 0);
                let numbers = self.width.bytes(self.precision) / self.precision.bytes();
                let all = (1_u32 << numbers) - 1;
                if self.width == Width::Scalar {
                    // and ecx, 1
                    self.bytes.extend([0x83, 0xE1, 0x01]);
                }
                // cmp ecx, all
                self.bytes.extend([0x81, 0xF9]);
                self.bytes.extend(all.to_le_bytes());
            }
        }
        let is_mask = self.width == Width::Bits512;
        self.bytes.extend([0x0F, if is_mask { 0x83 } else { 0x85 }]);
        self.distance()
    }

    /// The same for single numbers that are ordered: jumps unless `a` is less than `b`, or equal if
    /// that will do.
    pub(crate) fn leave_unless_less(&mut self, or_equal: bool, a: Place, b: Register) -> usize {
        // vucomiss or vucomisd b, a: carries if b is less or one is NaN. Then jb, or jbe.
        let form = self.packed(0x2E);
        self.instruction(form, b.0, 0, a, 0);
        self.bytes.extend([0x0F, if or_equal { 0x82 } else { 0x86 }]);
        self.distance()
    }

    /// Room for a jump's distance.
    fn distance(&mut self) -> usize {
        self.bytes.extend([0; 4]);
        self.bytes.len() - 4
    }

    /// Lets a jump, by the place of its distance, arrive here.
    pub(crate) fn land(&mut self, place: usize) {
        let distance = (self.bytes.len() - place - 4) as u32;
        self.bytes[place..place + 4].copy_from_slice(&distance.to_le_bytes());
    }

    /// Fetches a pointer from the table that the function's first argument points to.
    pub(crate) fn fetch(&mut self, index: u32) {
        // mov r10, [rdi + 8 index]
        match i8::try_from(8 * index) {
            Ok(short) => self.bytes.extend([0x4C, 0x8B, 0x57, short as u8]),
            Err(_) => {
                self.bytes.extend([0x4C, 0x8B, 0x97]);
                self.bytes.extend((8 * index).to_le_bytes());
            }
        }
    }

    /// Makes room on the stack.
    pub(crate) fn enter(&mut self, frame: u32) {
        if frame > 0 {
            // sub rsp, frame
            self.bytes.extend([0x48, 0x81, 0xEC]);
            self.bytes.extend(frame.to_le_bytes());
        }
    }

    /// The offset of a loop begins with 0. Gives the place to which the loop returns.
    pub(crate) fn begin(&mut self) -> usize {
        // xor eax, eax
        self.bytes.extend([0x31, 0xC0]);
        self.bytes.len()
    }

    /// Moves the offset on by the bytes of a vector, and returns to `start` while it is less than
    /// the third argument.
    pub(crate) fn repeat(&mut self, start: usize) {
        // add rax, bytes; cmp rax, rdx; jb start
        self.bytes.extend([0x48, 0x05]);
        self.bytes.extend((self.width.bytes(self.precision) as u32).to_le_bytes());
        self.bytes.extend([0x48, 0x39, 0xD0, 0x0F, 0x82]);
        let distance = start as i64 - (self.bytes.len() as i64 + 4);
        self.bytes.extend((distance as i32).to_le_bytes());
    }

    /// Returns whether the code has left early.
    pub(crate) fn leave(&mut self, frame: u32, is_early: bool) {
        if frame > 0 {
            // add rsp, frame
            self.bytes.extend([0x48, 0x81, 0xC4]);
            self.bytes.extend(frame.to_le_bytes());
        }
        if self.width != Width::Scalar {
            // vzeroupper: instructions of other code would wait for the upper halves.
            self.bytes.extend([0xC5, 0xF8, 0x77]);
        }
        // mov eax, is_early; ret
        self.bytes.extend([0xB8, u8::from(is_early), 0, 0, 0, 0xC3]);
    }
}
