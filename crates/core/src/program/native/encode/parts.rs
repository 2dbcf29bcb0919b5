//! Parts of vectors of 512 bits: single numbers, some of the first ones, and numbers from many places.

use super::{Address, Assembler, EVEX_512, Form, Place, Register};

/// The mask register of the numbers of a vector that are read or written.
const FIRST: u8 = 2;

impl Assembler {
    /// An instruction of EVEX that reads or writes one number in memory.
    fn single(&mut self, form: Form, reg: Register, address: Address) {
        let rm = Place::Memory(address);
        self.evex(form, reg.0, 0, rm, 0);
        self.operand(reg.0, rm, self.precision.bytes() as i32);
    }

    /// One number from memory, all along a vector of 512 bits.
    pub(crate) fn broadcast(&mut self, target: Register, source: Address) {
        let wide = self.is_double();
        let form = Form { opcode: 0x18 + u8::from(wide), map: 2, prefix: 1, wide };
        self.single(form, target, source);
    }

    /// The first number of a vector of 512 bits.
    pub(crate) fn store_first(&mut self, target: Address, source: Register) {
        let wide = self.is_double();
        let form = Form { opcode: 0x11, map: 1, prefix: 2 + u8::from(wide), wide };
        self.single(form, source, target);
    }

    /// Says which numbers of a vector are read and written, as bits.
    pub(crate) fn first_are(&mut self, numbers: u32) {
        // mov eax, numbers; kmovw k2, eax
        self.bytes.push(0xB8);
        self.bytes.extend(numbers.to_le_bytes());
        self.bytes.extend([0xC5, 0xF8, 0x92, 0xC0 | FIRST << 3]);
    }

    /// Those numbers from memory; the others stay.
    pub(crate) fn load_some(&mut self, target: Register, source: Address) {
        let form = self.float(0x10);
        self.instruction(form, target.0, 0, Place::Memory(source), FIRST);
    }

    pub(crate) fn store_some(&mut self, target: Address, source: Register) {
        let form = self.float(0x11);
        self.instruction(form, source.0, 0, Place::Memory(target), FIRST);
    }

    /// Those numbers from as many places: `index` has their distances from the address, in numbers. It
    /// is another register than the target. No numbers are to be read any more then.
    pub(crate) fn gather(&mut self, target: Register, index: Register, source: Address) {
        let (wide, reg, Register(index)) = (self.is_double(), target.0, index);
        let base = source.base as u8;
        self.bytes.extend([
            0x62,
            (!reg >> 3 & 1) << 7
                | (!index >> 3 & 1) << 6
                | (!base >> 3 & 1) << 5
                | (!reg >> 4 & 1) << 4
                | 2,
            u8::from(wide) << 7 | 15 << 3 | 1 << 2 | 1,
            EVEX_512 << 5 | (!index >> 4 & 1) << 3 | FIRST,
            0x92 + u8::from(wide),
            // A long displacement, behind a base and an index.
            2 << 6 | (reg & 7) << 3 | 4,
            (2 + u8::from(wide)) << 6 | (index & 7) << 3 | base & 7,
        ]);
        self.bytes.extend(source.displacement.to_le_bytes());
    }
}
