//! The order in which a list of operations is computed, and when each number is read.
//!
//! Operations stand in the order in which they were written down, without those that nothing reads.
//! Numbers from outside and constants are read where they lie, so they are no steps.

use smallvec::SmallVec;

use crate::scalar::ir::{Code, Effect, Id, Node};

/// Where the numbers lie that code reads and writes.
#[derive(Clone, Debug)]
pub(super) enum Outside {
    /// In one memory, to which the function's first argument points; a place is an index into it.
    Memory,
    /// In arrays, pointers to which stand in a table to which the first argument points; a place is
    /// an index into the table. The third argument is the length in bytes.
    Arrays {
        /// For each array that is read: whether it is one vector that is read again and again.
        is_uniform: Vec<bool>,
    },
}

impl Outside {
    pub(super) fn is_uniform(&self, place: u32) -> bool {
        match self {
            Self::Memory => false,
            Self::Arrays { is_uniform } => {
                is_uniform.get(place as usize).copied().unwrap_or_default()
            }
        }
    }
}

/// What is done at a position.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Compute(Id),
    Effect(Effect),
}

impl Step {
    /// The nodes that it reads.
    #[inline]
    pub(super) fn operands(self, code: &Code) -> SmallVec<[Id; 4]> {
        match self {
            Self::Compute(id) => code.nodes[id.index()].operands().collect(),
            Self::Effect(Effect::Write(id, _) | Effect::WriteVector(id, _)) => {
                [id].into_iter().collect()
            }
            Self::Effect(Effect::Require(comparison)) => comparison.of.into_iter().collect(),
        }
    }
}

/// The steps of a code, and where each node is read.
pub(super) struct Schedule {
    pub(super) steps: Vec<Step>,
    /// Where the reads of each node begin in `reads`, and behind the last one their end.
    first_read: Vec<u32>,
    /// The positions that read the first node, ascending, then those that read the second, and so on.
    reads: Vec<u32>,
}

impl Schedule {
    pub(super) fn of(code: &Code) -> Self {
        let uses = code.uses();
        let mut steps = Vec::with_capacity(code.nodes.len());
        let mut effects = code.effects.iter().peekable();
        for (index, (node, &uses)) in code.nodes.iter().zip(&uses).enumerate() {
            while let Some((_, effect)) = effects.next_if(|(before, _)| *before <= index) {
                steps.push(Step::Effect(*effect));
            }
            if uses > 0 && !node.is_given() {
                steps.push(Step::Compute(Id::new(index)));
            }
        }
        steps.extend(effects.map(|(_, effect)| Step::Effect(*effect)));
        let mut first_read = Vec::with_capacity(uses.len() + 1);
        let mut count = 0;
        for uses in uses {
            first_read.push(count);
            count += uses as u32;
        }
        first_read.push(count);
        let mut next = first_read.clone();
        let mut reads = vec![0; count as usize];
        for (position, step) in steps.iter().enumerate() {
            for id in step.operands(code) {
                let next = &mut next[id.index()];
                reads[*next as usize] = position as u32;
                *next += 1;
            }
        }
        Self { steps, first_read, reads }
    }

    /// Where the reads of each node begin: what [`reads`](Self::reads) is asked from.
    pub(super) fn first_reads(&self) -> Vec<u32> {
        self.first_read[..self.first_read.len() - 1].to_vec()
    }

    /// The positions that read a node, from one of its reads on.
    #[inline]
    pub(super) fn reads(&self, id: Id, from: u32) -> &[u32] {
        &self.reads[from as usize..self.first_read[id.index() + 1] as usize]
    }

    /// What a loop finds the same at every turn, the commonest first.
    pub(super) fn invariants(&self, code: &Code, outside: &Outside) -> Vec<Id> {
        let count = |id: Id| self.reads(id, self.first_read[id.index()]).len();
        let mut found: Vec<Id> = (0..code.nodes.len())
            .map(Id::new)
            .filter(|&id| count(id) > 0)
            .filter(|id| match code.nodes[id.index()] {
                Node::Constant(_) => true,
                Node::Read(place) => outside.is_uniform(place),
                _ => false,
            })
            .collect();
        found.sort_by_key(|&id| std::cmp::Reverse(count(id)));
        found
    }
}
