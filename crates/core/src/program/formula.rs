//! What instructions compute, written down as one formula: a loop over blocks, or a run of
//! instructions on short values. Of these [`native`](super::native) makes machine code.

use std::collections::HashMap;
use std::ops::Range;

use smallvec::SmallVec;

use super::fused::{Block, Step};
use super::memory::Place;
use super::run::{Instruction, Packed, ShortCall, ShortSum, Update};
use crate::hash::Words;
use crate::kernel::block::BlockKernel;
use crate::kernel::gemm::ShortProduct;
use crate::kernel::pairwise::{LANES, LEAF};
use crate::scalar::ir::{Code, Effect, Id, Span};
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
    /// Elements of a short value up to which each is computed by itself. Of more, a vector is computed at
    /// once, where code can.
    const FEW = 8, tiny 2;
    /// Multiplications of a product that are written out one by one.
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
    /// Numbers of a vector of short values; 1 where code computes one number at a time.
    pub(super) lanes: usize,
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

/// What a run computes of some places, side by side: one number, or a vector of them.
#[derive(Clone, Copy)]
struct Written {
    place: usize,
    count: usize,
    id: Id,
    /// Whether it is in memory already.
    is_stored: bool,
}

impl Written {
    fn places(&self) -> Range<usize> {
        self.place..self.place + self.count
    }

    /// The effect that writes it to memory, from a place on.
    fn to(&self, place: usize) -> Effect {
        match self.count {
            1 => Effect::Write(self.id, place as u32),
            count => Effect::WriteVector(self.id, span(place, 1, count)),
        }
    }
}

fn span(place: usize, step: i32, count: usize) -> Span {
    Span { place: place as u32, step, count: count as u8 }
}

/// The formula of a run, and what it computes of each place, in the order of the instructions.
struct Draft {
    code: Code,
    written: Vec<Written>,
}

impl Draft {
    /// Of the first instructions, as many as are a run, and how many that are.
    fn of<T: Real>(
        instructions: &[Instruction<T>],
        places: &Places<'_, T>,
        angles: Angles,
    ) -> (usize, Self) {
        let writer = Writer::new(angles);
        let mut run = Writing::new(&writer, places);
        let taken = instructions.iter().take_while(|one| run.take(one)).count();
        let written = run.written;
        (taken, Self { code: writer.finish(), written })
    }

    /// The updates of states by values that this run computes. Values that it reads may not be there
    /// any more when states have been written.
    fn own_updates<T>(&self, places: &Places<'_, T>) -> Vec<Update> {
        let is_given = |id: Id| self.code.nodes[id.index()].is_given();
        let computed = self.written.iter().filter(|written| !is_given(written.id));
        let computed: HashMap<usize, usize, Words> =
            computed.map(|written| (written.place, written.count)).collect();
        let is_own = |update: &&Update| {
            let (Place::Short(_), Place::Short(from)) = (update.input, update.next) else {
                return false;
            };
            let mut done = 0;
            while let Some(count) = computed.get(&(from + done)).filter(|_| done < update.elements)
            {
                done += count;
            }
            done == update.elements
        };
        places.updates.iter().filter(is_own).copied().collect()
    }

    /// Writes the places to memory that are needed there, and then the states: nothing that the
    /// run reads or requires comes after them.
    fn finish(self, needed: &[bool], updates: &[Update]) -> Code {
        let Self { mut code, written } = self;
        let is_needed = |written: &Written| written.places().any(|place| needed[place]);
        for written in written.iter().filter(|own| !own.is_stored && is_needed(own)) {
            code.append(written.to(written.place));
        }
        let by_place: HashMap<usize, Written, Words> = match updates {
            [] => HashMap::default(),
            _ => written.into_iter().map(|written| (written.place, written)).collect(),
        };
        for update in updates {
            let (Place::Short(to), Place::Short(from)) = (update.input, update.next) else {
                unreachable!("states of a run are short")
            };
            let mut done = 0;
            while done < update.elements {
                let written = by_place[&(from + done)];
                code.append(written.to(to + done));
                done += written.count;
            }
        }
        code
    }
}

/// A formula in the making.
///
/// *Invariant*: numbers go from single ones to vectors, and to other vectors, by memory. So a place that
/// is read there, and that this run computes, has been written before.
struct Writing<'c, 'a, T> {
    writer: &'c Writer<T>,
    places: &'a Places<'a, T>,
    /// The single numbers that are known.
    values: HashMap<usize, Symbol<'c, T>, Words>,
    /// The vectors that are known, by their places.
    vectors: HashMap<(usize, usize), Symbol<'c, T>>,
    written: Vec<Written>,
    /// Which of `written` computes a place.
    written_by: HashMap<usize, usize, Words>,
}

impl<'c, 'a, T: Real> Writing<'c, 'a, T> {
    fn new(writer: &'c Writer<T>, places: &'a Places<'a, T>) -> Self {
        Self {
            writer,
            places,
            values: HashMap::default(),
            vectors: HashMap::default(),
            written: Vec::new(),
            written_by: HashMap::default(),
        }
    }

    /// The number at a place.
    fn at(&mut self, place: usize) -> Symbol<'c, T> {
        if let Some(&value) = self.values.get(&place) {
            return value;
        }
        self.store(place);
        let value = match self.places.constant(place) {
            Some(constant) => self.writer.constant(constant),
            None => self.writer.read(place as u32),
        };
        self.values.insert(place, value);
        value
    }

    /// The numbers at `count` places, from `start` on: as a vector, or one that is the same all along.
    fn along(&mut self, start: usize, step: i32, count: usize) -> Symbol<'c, T> {
        if step == 0 || count == 1 {
            return self.at(start);
        }
        if step == 1
            && let Some(&vector) = self.vectors.get(&(start, count))
        {
            return vector;
        }
        let span = span(start, step, count);
        span.places().for_each(|place| self.store(place as usize));
        let vector = self.writer.read_vector(span);
        if step == 1 {
            self.vectors.insert((start, count), vector);
        }
        vector
    }

    /// Writes what this run computes of a place to memory, unless it is there.
    fn store(&mut self, place: usize) {
        if let Some(&index) = self.written_by.get(&place) {
            let written = &mut self.written[index];
            if !written.is_stored {
                written.is_stored = true;
                self.writer.write(written.to(written.place));
            }
        }
    }

    fn set(&mut self, place: usize, value: Symbol<'c, T>) {
        self.values.insert(place, value);
        self.computes(place, 1, value);
    }

    fn set_along(&mut self, place: usize, count: usize, vector: Symbol<'c, T>) {
        if count == 1 {
            return self.set(place, vector);
        }
        self.vectors.insert((place, count), vector);
        self.computes(place, count, vector);
    }

    fn computes(&mut self, place: usize, count: usize, value: Symbol<'c, T>) {
        let written = Written { place, count, id: value.id(), is_stored: false };
        for place in written.places() {
            self.written_by.insert(place, self.written.len());
        }
        self.written.push(written);
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
                if !self.is_few(call.len as usize) {
                    return false;
                }
                packed.iter().for_each(|packed| self.pack(packed));
                self.call(&**kernel, call)
            }
            Instruction::ShortProduct(product) => self.product(product),
            Instruction::ShortSum(sum) => self.sum(sum),
            _ => false,
        }
    }

    /// Whether a value of this many elements can be part of a run.
    fn is_few(&self, elements: usize) -> bool {
        elements <= FEW || self.places.lanes > 1
    }

    /// The elements of an operand, as many at once as lie at equal distances.
    fn pack(&mut self, Packed { from, start }: &Packed) {
        let width = if from.len() > FEW { self.places.lanes } else { 1 };
        let mut done = 0;
        while done < from.len() {
            let rest = &from[done..from.len().min(done + width)];
            let distance = |pair: &[u32]| i64::from(pair[1]) - i64::from(pair[0]);
            let step = rest.windows(2).next().map_or(0, distance);
            let count = 1 + rest.windows(2).take_while(|pair| distance(pair) == step).count();
            let value = self.along(rest[0] as usize, step as i32, count);
            self.set_along(start + done, count, value);
            done += count;
        }
    }

    fn call(&mut self, kernel: &dyn BlockKernel<T>, call: &ShortCall) -> bool {
        let (len, out) = (call.len as usize, call.out as usize);
        if !self.is_few(len) {
            return false;
        }
        let width = if len > FEW { self.places.lanes } else { 1 };
        for i in (0..len).step_by(width) {
            let count = width.min(len - i);
            let operands: SmallVec<[_; 4]> = call
                .operands
                .iter()
                .map(|steps| self.along(steps.at(i), steps.step(), count))
                .collect();
            self.set_along(out + i, count, kernel.read(&operands));
        }
        true
    }

    /// The terms of each element from the first to the last; of many elements, those of a row or of a
    /// column at once.
    fn product(&mut self, product: &ShortProduct) -> bool {
        let ((left_start, left), (right_start, right)) = (product.left, product.right);
        let [rows, terms, columns] = [left.rows, left.columns, right.columns];
        let lanes = self.places.lanes;
        let is_short = rows * terms * columns <= TERMS;
        if terms == 0 || !(is_short || lanes > 1) {
            return false;
        }
        // Vectors of results, side by side in a row, or in the only column.
        let (down, across) = match (is_short, columns) {
            (true, _) => (1, 1),
            (_, 1) => (lanes, 1),
            _ => (1, lanes),
        };
        for row in (0..rows).step_by(down) {
            for column in (0..columns).step_by(across) {
                let (down, across) = (down.min(rows - row), across.min(columns - column));
                let term = |run: &mut Self, k: usize| {
                    let a = left.at(left_start, row, k);
                    let b = right.at(right_start, k, column);
                    let a = run.along(a, left.row_stride as i32, down);
                    a * run.along(b, right.column_stride as i32, across)
                };
                let mut sum = term(self, 0);
                for k in 1..terms {
                    sum = sum + term(self, k);
                }
                self.set_along(product.out + row * columns + column, down * across, sum);
            }
        }
        true
    }

    fn sum(&mut self, sum: &ShortSum<T>) -> bool {
        let &ShortSum { start, rows, columns, divisor, out } = sum;
        if columns == 1 {
            return self.total(sum);
        }
        if !self.is_few(columns) || (self.places.lanes == 1 && rows * columns > TERMS) {
            return false;
        }
        let width = if columns > FEW { self.places.lanes } else { 1 };
        for column in (0..columns).step_by(width) {
            let count = width.min(columns - column);
            let mut total = self.writer.constant(T::zero());
            for row in 0..rows {
                total = total + self.along(start + row * columns + column, 1, count);
            }
            let value = self.divided(total, divisor);
            self.set_along(out + column, count, value);
        }
        true
    }

    fn divided(&self, sum: Symbol<'c, T>, divisor: T) -> Symbol<'c, T> {
        if divisor == T::one() { sum } else { sum / self.writer.constant(divisor) }
    }

    /// In the order of [`leaf`](crate::kernel::pairwise).
    fn total(&mut self, sum: &ShortSum<T>) -> bool {
        let len = sum.rows;
        if len > LEAF || (len >= LANES && self.places.lanes == 1) {
            return false;
        }
        let zero = self.writer.constant(T::zero());
        let mut rest = sum.start..sum.start + len;
        let mut lanes = [zero; LANES];
        while len >= LANES && rest.len() >= LANES {
            for (lane, place) in lanes.iter_mut().zip(rest.by_ref()) {
                *lane = *lane + self.at(place);
            }
        }
        let mut total = rest.fold(zero, |total, place| total + self.at(place));
        if len >= LANES {
            let mut width = LANES / 2;
            while width > 0 {
                for i in 0..width {
                    lanes[i] = lanes[i] + lanes[i + width];
                }
                width /= 2;
            }
            total = lanes[0] + total;
        }
        let value = self.divided(total, sum.divisor);
        self.set(sum.out, value);
        true
    }
}
