//! Code in memory that can be run, and the one place that runs it.
//!
//! Pages are written first and made executable then, and are never both at once. Where a system
//! refuses that (a hardened kernel, an interpreter of Rust), there is no code, and programs run
//! as they did without.

use std::iter::repeat;
use std::marker::PhantomData;
use std::ops::Range;

use memmap2::{Mmap, MmapMut};
use smallvec::SmallVec;

use super::encode::BIAS;
pub(in crate::program) use super::encode::Width;
use super::generate::generate;
use super::schedule::Outside;
use super::{Operand, is_supported};
use crate::scalar::Real;
use crate::scalar::ir::{Code, Precision};

/// The most numbers of a vector.
const WIDEST: usize = 16;
/// The boundary at which constants begin: a cache line, as long as the widest register.
const LINE: usize = 64;

/// What a function takes: a pointer to the numbers, or to a table of pointers to them; a pointer to
/// its constants; and, for a loop, the bytes of each array. It gives 0 if it came to its end.
type Entry = unsafe extern "sysv64" fn(*const u8, *const u8, usize) -> u32;

/// A function in memory: its instructions, and its constants behind them.
struct Mapped {
    map: Mmap,
    constants: usize,
}

impl Mapped {
    /// Code of some width; `None` if it needed too much of the stack, or if the system allows no
    /// such code.
    ///
    /// # Panics
    /// If this CPU has no vectors of this width.
    fn new(code: &Code, width: Width, outside: &Outside) -> Option<Self> {
        assert!(is_supported(width), "{width:?} is none of the widths of this CPU");
        let function = generate(code, width, outside)?;
        let (number, register) = (code.precision.bytes(), width.register_bytes());
        let constants = function.bytes.len().next_multiple_of(LINE);
        let mut map = MmapMut::map_anon(constants + function.constants.len() * register).ok()?;
        map[..function.bytes.len()].copy_from_slice(&function.bytes);
        for (pool, constant) in map[constants..].chunks_exact_mut(register).zip(&function.constants)
        {
            for (own, bits) in pool.chunks_exact_mut(number).zip(constant.bits()) {
                own.copy_from_slice(&bits.to_le_bytes()[..number]);
            }
        }
        Some(Self { map: map.make_exec().ok()?, constants })
    }

    /// Runs the function. Gives whether it came to its end.
    ///
    /// # Safety
    /// The function was generated for vector instructions that this CPU has. `numbers` points to all
    /// that it reads and writes: to its memory, or to its table of pointers, each to `bytes` bytes
    /// at least (to one vector, for an array that is uniform). All of it is valid until the
    /// call returns; nobody else writes any of it, or reads what the function writes.
    unsafe fn call(&self, numbers: *const u8, bytes: usize) -> bool {
        let start = self.map.as_ptr();
        // SAFETY: the map begins with a function that takes these arguments, and can be executed,
        // as it was made so. A pointer to code is as large as one to data.
        let entry: Entry = unsafe { std::mem::transmute::<*const u8, Entry>(start) };
        let constants = start.wrapping_add(self.constants + BIAS);
        // SAFETY: the caller promises what the function needs of `numbers`, and its constants lie
        // behind it, in the same map.
        unsafe { entry(numbers, constants, bytes) == 0 }
    }
}

/// The places that a code reads and writes are below this.
fn places(code: &Code) -> usize {
    code.read().chain(code.written()).max().map_or(0, |place| place as usize + 1)
}

/// Code over arrays, which computes a vector of each at a time.
pub(in crate::program) struct OverArrays<T> {
    mapped: Mapped,
    /// Numbers of a vector.
    pub(super) lanes: usize,
    is_uniform: Vec<bool>,
    written: usize,
    numbers: PhantomData<T>,
}

impl<T: Real> OverArrays<T> {
    /// Of a code that reads the first places, one for each of `is_uniform`, and writes to the
    /// `written` places after them.
    pub(in crate::program) fn new(
        code: &Code,
        width: Width,
        is_uniform: Vec<bool>,
        written: usize,
    ) -> Option<Self> {
        assert_eq!(code.precision, Precision::of::<T>(), "code of these numbers");
        assert!(places(code) <= is_uniform.len() + written, "an array for each place");
        let lanes = width.bytes(code.precision) / size_of::<T>();
        let mapped = Mapped::new(code, width, &Outside::Arrays { is_uniform: is_uniform.clone() })?;
        Some(Self { mapped, lanes, is_uniform, written, numbers: PhantomData })
    }

    /// Computes the first `count` numbers of each array. A result that takes the place of an operand
    /// is right for a code that reads [before it writes](Code::reads_before_it_writes). Gives whether all that was required held; if
    /// not, it has written some of the results.
    ///
    /// # Panics
    /// If there are other arrays than the code has places, one is too short, or a uniform one is a
    /// result.
    #[inline]
    pub(in crate::program) fn run(
        &self,
        read: &[Operand<'_, T>],
        written: &mut [&mut [T]],
        count: usize,
    ) -> bool {
        if count < self.lanes {
            return self.less_than_a_vector(read, written, 0..count);
        }
        assert!(read.len() == self.is_uniform.len() && written.len() == self.written, "all arrays");
        let mut table: SmallVec<[*const T; 32]> = SmallVec::new();
        let mut is_in_place = false;
        for (operand, &is_uniform) in read.iter().zip(&self.is_uniform) {
            match operand {
                Operand::Array(array) => {
                    let needed = if is_uniform { self.lanes } else { count };
                    assert!(array.len() >= needed, "an array that is read is too short");
                    table.push(array.as_ptr());
                }
                Operand::Result(index) => {
                    assert!(!is_uniform, "a result is no single vector");
                    table.push(written[*index].as_mut_ptr());
                    is_in_place = true;
                }
            }
        }
        for array in &mut *written {
            assert!(array.len() >= count, "an array that is written is too short");
            table.push(array.as_mut_ptr());
        }
        let rest = count % self.lanes;
        // SAFETY: the code is of a width that this CPU has (`Mapped::new`). The table has an array of
        // `count` numbers for each of its places, or of one vector, where the code reads no more.
        // They are borrowed until the call returns, those that are written exclusively; what is
        // read of these, the code alone reads. The pointers of the second call, moved on, have a
        // vector left.
        let call = |table: &[*const T], count: usize| unsafe {
            self.mapped.call(table.as_ptr().cast(), count * size_of::<T>())
        };
        if !call(&table, count - rest) {
            return false;
        }
        if rest == 0 {
            return true;
        }
        if is_in_place {
            return self.less_than_a_vector(read, written, count - rest..count);
        }
        // The last vector ends with the last number, and computes some before it once more.
        for (pointer, is_uniform) in
            table.iter_mut().zip(self.is_uniform.iter().chain(repeat(&false)))
        {
            if !is_uniform {
                *pointer = pointer.wrapping_add(count - self.lanes);
            }
        }
        call(&table, self.lanes)
    }

    /// Numbers in vectors of which the last one is repeated.
    #[cold]
    fn less_than_a_vector(
        &self,
        read: &[Operand<'_, T>],
        written: &mut [&mut [T]],
        range: Range<usize>,
    ) -> bool {
        let count = range.len();
        if count == 0 {
            return true;
        }
        let mut operands: SmallVec<[[T; WIDEST]; 16]> = SmallVec::new();
        for (operand, &is_uniform) in read.iter().zip(&self.is_uniform) {
            let own = match *operand {
                Operand::Array(array) if is_uniform => &array[..1],
                Operand::Array(array) => &array[range.clone()],
                Operand::Result(index) => &written[index][range.clone()],
            };
            let mut vector = [own[own.len() - 1]; WIDEST];
            vector[..own.len()].copy_from_slice(own);
            operands.push(vector);
        }
        let mut results: SmallVec<[[T; WIDEST]; 16]> =
            written.iter().map(|_| [T::zero(); WIDEST]).collect();
        let operands: SmallVec<[Operand<'_, T>; 16]> =
            operands.iter().map(|vector| Operand::Array(vector)).collect();
        let mut targets: SmallVec<[&mut [T]; 16]> =
            results.iter_mut().map(|vector| &mut vector[..]).collect();
        let is_done = self.run(&operands, &mut targets, self.lanes);
        drop(targets);
        for (array, vector) in written.iter_mut().zip(&results) {
            array[range.clone()].copy_from_slice(&vector[..count]);
        }
        is_done
    }
}

/// Code over numbers in one memory.
pub(in crate::program) struct InMemory<T> {
    mapped: Mapped,
    places: usize,
    numbers: PhantomData<T>,
}

impl<T: Real> InMemory<T> {
    /// Of a code whose places are indices into the memory.
    pub(in crate::program) fn new(code: &Code) -> Option<Self> {
        assert_eq!(code.precision, Precision::of::<T>(), "code of these numbers");
        let places = places(code);
        // A displacement has 32 bits.
        i32::try_from(places * size_of::<T>()).ok()?;
        let width = if code.has_vectors() { Width::Bits512 } else { Width::Scalar };
        let mapped = Mapped::new(code, width, &Outside::Memory)?;
        Some(Self { mapped, places, numbers: PhantomData })
    }

    /// Runs the code. Gives whether all that was required held; if not, it has written some of the
    /// results.
    ///
    /// # Panics
    /// If the memory is shorter than the code needs.
    #[inline]
    pub(in crate::program) fn run(&self, memory: &mut [T]) -> bool {
        assert!(memory.len() >= self.places, "the memory is too short");
        // SAFETY: this CPU has the instructions of the code (`Mapped::new`); all its places lie in the
        // memory, which is borrowed exclusively until the call returns.
        unsafe { self.mapped.call(memory.as_mut_ptr().cast::<u8>(), 0) }
    }
}
