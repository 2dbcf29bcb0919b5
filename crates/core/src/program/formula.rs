//! What instructions compute, written down as one formula: a loop over blocks, or a run of
//! instructions on short values. Of these [`native`](super::native) makes machine code.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use smallvec::SmallVec;

use super::fused::{Block, Step};
use super::memory::Place;
use super::run::{Instruction, ShortCall, Update};
use crate::hash::Words;
use crate::kernel::block::BlockKernel;
use crate::kernel::gemm::ShortProduct;
use crate::kernel::pairwise::LANES;
use crate::scalar::ir::{Code, Id, Node};
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
        values.insert(*target, kernel.read(&operands));
        if writer.took_opaque() {
            return None;
        }
    }
    let results = (0..written).map(Block::Written);
    let results = results.chain(summed.iter().map(|&register| Block::Register(register)));
    let results: Vec<Id> = results.map(|block| values[&block].id()).collect();
    let mut code = writer.finish();
    (loads..).zip(results).for_each(|(place, id)| code.write(id, place as u32));
    Some(code)
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
    /// The operations of all runs of a program up to which there is code of them.
    const LARGEST = 1 << 20, tiny 1 << 12;
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

/// The runs among a program's instructions; none if they are so long that memory brings instructions more
/// slowly than an interpreter carries them out.
pub(super) fn runs<T: Real>(instructions: &[Instruction<T>], places: &Places<'_, T>) -> Vec<Run> {
    let (mut drafts, mut first, mut operations) = (Vec::new(), 0, 0);
    while first < instructions.len() {
        let (taken, draft) = Draft::of(&instructions[first..], places, Angles::Near);
        if taken > 1 {
            operations += draft.code.nodes.len();
            drafts.push((first..first + taken, draft));
        }
        if operations > LARGEST {
            return Vec::new();
        }
        first += taken.max(1);
    }
    let ranges: Vec<Range<usize>> = drafts.iter().map(|(range, _)| range.clone()).collect();
    let mut needed = needed(instructions, &ranges, places);
    let own_updates = match drafts.last() {
        Some((range, draft)) if range.end == instructions.len() => draft.own_updates(places),
        _ => Vec::new(),
    };
    for update in places.updates.iter().filter(|update| !own_updates.contains(update)) {
        if let Place::Short(start) = update.next {
            needed[start..start + update.elements].fill(true);
        }
    }
    let mut runs: Vec<Run> = Vec::with_capacity(drafts.len());
    for (range, draft) in drafts {
        let is_last = range.end == instructions.len();
        let updates = if is_last { own_updates.clone() } else { Vec::new() };
        let narrow = draft.code.requires().then(|| {
            let (_, draft) = Draft::of(&instructions[range.clone()], places, Angles::Small);
            draft.finish(&needed, &updates)
        });
        let code = draft.finish(&needed, &updates);
        runs.push(Run { instructions: range, code, narrow, updates });
    }
    runs
}

/// The formula of instructions that are a run and write to the given places, as it was made.
pub(super) fn of_run<T: Real>(
    instructions: &[Instruction<T>],
    places: &Places<'_, T>,
    to: &[u32],
) -> Code {
    let mut needed = vec![false; places.memory.len()];
    to.iter().for_each(|&place| needed[place as usize] = true);
    Draft::of(instructions, places, Angles::Near).1.finish(&needed, places.updates)
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

/// The formula of a run, and what it computes of each place, in the order of the instructions.
struct Draft {
    code: Code,
    written: Vec<(usize, Id)>,
}

impl Draft {
    /// Of the first instructions, as many as are a run, and how many that are.
    fn of<T: Real>(
        instructions: &[Instruction<T>],
        places: &Places<'_, T>,
        angles: Angles,
    ) -> (usize, Self) {
        let writer = Writer::new(angles);
        let mut run =
            Writing { writer: &writer, places, values: HashMap::default(), written: Vec::new() };
        let taken = instructions.iter().take_while(|one| run.take(one)).count();
        let written = run.written;
        (taken, Self { code: writer.finish(), written })
    }

    /// The updates of states by values that this run computes. Values that it reads may not be there
    /// any more when states have been written.
    fn own_updates<T>(&self, places: &Places<'_, T>) -> Vec<Update> {
        let is_read = |id: Id| matches!(self.code.nodes[id.index()], Node::Read(_));
        let computed = self.written.iter().filter(|(_, id)| !is_read(*id));
        let computed: HashSet<usize, Words> = computed.map(|(place, _)| *place).collect();
        let is_own = |update: &&Update| match (update.input, update.next) {
            (Place::Short(_), Place::Short(from)) => {
                (from..from + update.elements).all(|place| computed.contains(&place))
            }
            _ => false,
        };
        places.updates.iter().filter(is_own).copied().collect()
    }

    /// Writes the places to memory that are needed there, and then the states: nothing that the
    /// run reads or requires comes after them.
    fn finish(self, needed: &[bool], updates: &[Update]) -> Code {
        let Self { mut code, written } = self;
        for &(place, id) in written.iter().filter(|(place, _)| needed[*place]) {
            code.write(id, place as u32);
        }
        let values: HashMap<usize, Id, Words> = match updates {
            [] => HashMap::default(),
            _ => written.into_iter().collect(),
        };
        for update in updates {
            let (Place::Short(to), Place::Short(from)) = (update.input, update.next) else {
                unreachable!("states of a run are short")
            };
            for k in 0..update.elements {
                code.write(values[&(from + k)], (to + k) as u32);
            }
        }
        code
    }
}

/// A formula in the making.
struct Writing<'c, 'a, T> {
    writer: &'c Writer<T>,
    places: &'a Places<'a, T>,
    values: HashMap<usize, Symbol<'c, T>, Words>,
    written: Vec<(usize, Id)>,
}

impl<'c, T: Real> Writing<'c, '_, T> {
    fn at(&mut self, place: usize) -> Symbol<'c, T> {
        let (writer, places) = (self.writer, self.places);
        *self.values.entry(place).or_insert_with(|| match places.constant(place) {
            Some(constant) => writer.constant(constant),
            None => writer.read(place as u32),
        })
    }

    fn set(&mut self, place: usize, value: Symbol<'c, T>) {
        self.values.insert(place, value);
        self.written.push((place, value.id()));
    }

    /// Appends an instruction, unless it is no formula or the run is long enough.
    fn take(&mut self, instruction: &Instruction<T>) -> bool {
        let before = self.written.len();
        let is_taken = self.writer.len() <= LONGEST && self.append(instruction);
        let is_formula = !self.writer.took_opaque();
        if !(is_taken && is_formula) {
            self.written.truncate(before);
        }
        is_taken && is_formula
    }

    fn append(&mut self, instruction: &Instruction<T>) -> bool {
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
            self.set(call.out as usize + i, kernel.read(&operands));
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
