//! A run of instructions on short values, written down: single numbers, and vectors of them.

use std::collections::HashMap;
use std::ops::Range;

use smallvec::SmallVec;

use super::Places;
use crate::hash::Words;
use crate::kernel::block::BlockKernel;
use crate::kernel::gemm::ShortProduct;
use crate::kernel::pairwise::{LANES, LEAF};
use crate::program::memory::Place;
use crate::program::run::{Instruction, Packed, ShortCall, ShortSum, Update};
use crate::scalar::ir::{Code, Effect, Id, Span};
use crate::scalar::{Angles, Real, Symbol, Writer};

tuned! {
    /// The operations after which a run takes no further instruction, so that it is compiled in a time
    /// that grows with its length.
    const LONGEST = 4096, tiny 16;
    /// Elements of a short value up to which each is computed by itself. Of more, a vector is computed at
    /// once, where code can.
    const FEW = 8, tiny 2;
    /// Multiplications of a product that are written out one by one.
    const TERMS = 64, tiny 4;
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
pub(super) struct Draft {
    pub(super) code: Code,
    written: Vec<Written>,
}

impl Draft {
    /// Of the first instructions, as many as are a run, and how many that are.
    pub(super) fn of<T: Real>(
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
    pub(super) fn own_updates<T>(&self, places: &Places<'_, T>) -> Vec<Update> {
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
    pub(super) fn finish(self, needed: &[bool], updates: &[Update]) -> Code {
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
