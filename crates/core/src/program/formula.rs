//! What instructions compute, written down as one formula: a loop over blocks, or a run of
//! instructions on short values. Of these [`native`](super::native) makes machine code.

use std::collections::HashMap;
use std::ops::Range;

use smallvec::SmallVec;

use super::fused::{Block, Step};
use super::memory::Place;
use super::run::{Instruction, ShortCall, Update};
use crate::kernel::block::BlockKernel;
use crate::kernel::gemm::ShortProduct;
use crate::kernel::pairwise::LANES;
use crate::scalar::ir::Code;
use crate::scalar::{Angles, Real, Symbol, Writer};

/// The formula of a loop's steps, over its loads; `None` if a step is no formula. Of its places the
/// `loads` first are those of operands, then come the `written` results, and then the registers
/// in `summed`, which are written too.
pub(super) fn of_loop<T: Real>(
    steps: &[Step<T>],
    loads: usize,
    written: usize,
    summed: &[usize],
    angles: Angles,
) -> Option<Code> {
    let writer = Writer::new(angles);
    let mut values: HashMap<Block, Symbol<'_, T>> =
        (0..loads).map(|k| (Block::Load(k), writer.read(k as u32))).collect();
    for Step { kernel, sources, target } in steps {
        let operands: SmallVec<[_; 4]> = sources.iter().map(|source| values[source]).collect();
        let value = kernel.read(&operands);
        if value.is_opaque() {
            return None;
        }
        values.insert(*target, value);
    }
    let results = (0..written).map(Block::Written);
    let results = results.chain(summed.iter().map(|&register| Block::Register(register)));
    for (place, block) in (loads..).zip(results) {
        writer.write(values[&block], place as u32);
    }
    drop(values);
    writer.finish()
}

tuned! {
    /// The operations after which a run takes no further instruction, so that it is compiled in a time
    /// that grows with its length.
    const LONGEST = 4096, tiny 16;
    /// Elements of a short value up to which each is computed by itself. Kernels compute more of them
    /// by vectors.
    const FEW = 8, tiny 2;
    /// Multiplications of a product that are written out.
    const TERMS = 64, tiny 4;
}

/// A run of instructions on short values, as a formula over their memory.
pub(super) struct Run {
    pub(super) instructions: Range<usize>,
    pub(super) code: Code,
    /// The same for small angles, if there are any angles.
    pub(super) narrow: Option<Code>,
    /// Updates of states that the code carries out.
    pub(super) updates: Vec<Update>,
}

/// What is known of the memory of short values.
pub(super) struct Places<'a, T> {
    pub(super) memory: &'a [T],
    /// The places that hold the same number at every run.
    pub(super) constants: &'a [Range<usize>],
    /// The places that are read when all instructions are over.
    pub(super) results: &'a [Range<usize>],
    /// What happens after the last instruction.
    pub(super) updates: &'a [Update],
}

impl<T: Real> Places<'_, T> {
    fn constant(&self, place: usize) -> Option<T> {
        let index = self.constants.partition_point(|range| range.end <= place);
        let range = self.constants.get(index)?;
        range.contains(&place).then(|| self.memory[place])
    }
}

/// The runs among a program's instructions.
pub(super) fn runs<T: Real>(instructions: &[Instruction<T>], places: &Places<'_, T>) -> Vec<Run> {
    // Which instructions can be part of one, and how they are cut, is known before what they write.
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut first = 0;
    while first < instructions.len() {
        let writer = Writer::new(Angles::Near);
        let mut run = Writing::new(&writer, places);
        let taken = instructions[first..].iter().take_while(|one| run.take(one)).count();
        if taken > 1 {
            ranges.push(first..first + taken);
        }
        first += taken.max(1);
    }
    let mut needed = needed(instructions, &ranges, places);
    let write = |range: Range<usize>| {
        let own = &instructions[range.clone()];
        let is_last = range.end == instructions.len();
        let (code, updates) = written(own, places, &mut needed, is_last, Angles::Near)?;
        let narrow = code.requires().then(|| {
            let narrow = written(own, places, &mut needed, is_last, Angles::Small);
            narrow.expect("it was a formula").0
        });
        Some(Run { instructions: range, code, narrow, updates })
    };
    ranges.into_iter().filter_map(write).collect()
}

/// The formula of a run, and the updates of states that are a part of it.
fn written<T: Real>(
    instructions: &[Instruction<T>],
    places: &Places<'_, T>,
    needed: &mut [bool],
    is_last: bool,
    angles: Angles,
) -> Option<(Code, Vec<Update>)> {
    let writer = Writer::new(angles);
    let mut run = Writing::new(&writer, places);
    assert!(instructions.iter().all(|one| run.take(one)), "they were taken before");
    let updates = if is_last { run.own_updates() } else { Vec::new() };
    for update in places.updates.iter().filter(|update| !updates.contains(update)) {
        if let Place::Short(start) = update.next {
            needed[start..start + update.elements].fill(true);
        }
    }
    run.write(needed, &updates);
    drop(run);
    Some((writer.finish()?, updates))
}

/// The formula of instructions that are a run and write to the given places, as it was made.
pub(super) fn of_run<T: Real>(
    instructions: &[Instruction<T>],
    places: &Places<'_, T>,
    to: &[u32],
) -> Option<Code> {
    let mut needed = vec![false; places.memory.len()];
    to.iter().for_each(|&place| needed[place as usize] = true);
    Some(written(instructions, places, &mut needed, true, Angles::Near)?.0)
}

/// The places that are read outside of the run that writes them, as flags.
fn needed<T: Real>(
    instructions: &[Instruction<T>],
    ranges: &[Range<usize>],
    places: &Places<'_, T>,
) -> Vec<bool> {
    let mut needed = vec![false; places.memory.len()];
    // Whoever reads a place of another run or of none needs it; what a run reads of itself, it has.
    let mut written_by = vec![usize::MAX; needed.len()];
    for (index, instruction) in instructions.iter().enumerate() {
        let own = ranges.partition_point(|range| range.end <= index);
        let own = if ranges.get(own).is_some_and(|range| range.contains(&index)) {
            own
        } else {
            usize::MAX
        };
        instruction.short_reads(&mut |place| {
            if own == usize::MAX || written_by[place] != own {
                needed[place] = true;
            }
        });
        if own != usize::MAX {
            instruction.short_writes().for_each(|place| written_by[place] = own);
        }
    }
    for range in places.results {
        needed[range.clone()].fill(true);
    }
    needed
}

/// A formula in the making.
struct Writing<'c, 'a, T> {
    writer: &'c Writer<T>,
    places: &'a Places<'a, T>,
    values: HashMap<usize, Symbol<'c, T>>,
    /// The places that were written, in order.
    written: Vec<usize>,
}

impl<'c, 'a, T: Real> Writing<'c, 'a, T> {
    fn new(writer: &'c Writer<T>, places: &'a Places<'a, T>) -> Self {
        Self { writer, places, values: HashMap::new(), written: Vec::new() }
    }

    fn at(&mut self, place: usize) -> Symbol<'c, T> {
        let (writer, places) = (self.writer, self.places);
        *self.values.entry(place).or_insert_with(|| match places.constant(place) {
            Some(constant) => writer.constant(constant),
            None => writer.read(place as u32),
        })
    }

    fn set(&mut self, place: usize, value: Symbol<'c, T>) {
        self.values.insert(place, value);
        self.written.push(place);
    }

    /// The updates of states by values that this run computes. Values that it reads may not be there
    /// any more when states have been written.
    fn own_updates(&self) -> Vec<Update> {
        let is_computed = |place: usize| {
            self.written.contains(&place) && !self.writer.is_read(self.values[&place])
        };
        let is_own = |update: &&Update| match (update.input, update.next) {
            (Place::Short(_), Place::Short(from)) => {
                (from..from + update.elements).all(is_computed)
            }
            _ => false,
        };
        self.places.updates.iter().filter(is_own).copied().collect()
    }

    /// Writes the places to memory that are needed there, and then the states: nothing that the
    /// run reads or requires comes after them.
    fn write(&self, needed: &[bool], updates: &[Update]) {
        for &place in self.written.iter().filter(|&&place| needed[place]) {
            self.writer.write(self.values[&place], place as u32);
        }
        for update in updates {
            let (Place::Short(to), Place::Short(from)) = (update.input, update.next) else {
                unreachable!("states of this run are short")
            };
            for k in 0..update.elements {
                self.writer.write(self.values[&(from + k)], (to + k) as u32);
            }
        }
    }

    /// Appends an instruction, unless it is no formula or too long.
    fn take(&mut self, instruction: &Instruction<T>) -> bool {
        if self.writer.len() > LONGEST {
            return false;
        }
        match instruction {
            Instruction::Short(kernel, call) => self.call(&**kernel, call),
            Instruction::ShortPacked(kernel, packed, call) => {
                if call.len as usize > FEW {
                    return false;
                }
                for packed in packed {
                    for (to, &from) in (packed.start..).zip(&packed.from) {
                        let value = self.at(from as usize);
                        self.set(to, value);
                    }
                }
                self.call(&**kernel, call)
            }
            Instruction::ShortProduct(product) => self.product(product),
            Instruction::ShortSum(sum) => {
                // Kernels add fewer terms than lanes one by one.
                if sum.len >= LANES {
                    return false;
                }
                let zero = self.writer.constant(T::zero());
                let total = (sum.start..sum.start + sum.len)
                    .fold(zero, |total, place| total + self.at(place));
                let value = total / self.writer.constant(sum.divisor);
                self.set(sum.out, value);
                true
            }
            _ => false,
        }
    }

    fn call(&mut self, kernel: &dyn BlockKernel<T>, call: &ShortCall) -> bool {
        if call.len as usize > FEW {
            return false;
        }
        for i in 0..call.len as usize {
            let operands: SmallVec<[_; 4]> =
                call.operands.iter().map(|steps| self.at(steps.at(i))).collect();
            let value = kernel.read(&operands);
            if value.is_opaque() {
                return false;
            }
            self.set(call.out as usize + i, value);
        }
        true
    }

    /// The terms of each element from the first to the last.
    fn product(&mut self, product: &ShortProduct) -> bool {
        let ((left_start, left), (right_start, right)) = (product.left, product.right);
        if left.columns == 0 || left.rows * left.columns * right.columns > TERMS {
            return false;
        }
        for row in 0..left.rows {
            for column in 0..right.columns {
                let term = |run: &mut Self, k: usize| {
                    let a = run.at(left.at(left_start, row, k));
                    a * run.at(right.at(right_start, k, column))
                };
                let mut sum = term(self, 0);
                for k in 1..left.columns {
                    sum = sum + term(self, k);
                }
                self.set(product.out + row * right.columns + column, sum);
            }
        }
        true
    }
}
