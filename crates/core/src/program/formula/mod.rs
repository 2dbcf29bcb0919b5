//! What instructions compute, written down as one formula: a loop over blocks, or a run of
//! instructions on short values. Of these [`native`](super::native) makes machine code.

pub(super) mod draft;

use std::collections::HashMap;
use std::ops::Range;

use smallvec::SmallVec;

use super::fused::{Block, Step};
use super::memory::Place;
use super::run::{Instruction, Update};
use crate::scalar::ir::{Code, Id};
use crate::scalar::{Angles, Real, Symbol, Writer};
use draft::Draft;

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
