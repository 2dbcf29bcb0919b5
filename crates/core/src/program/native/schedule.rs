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

/// The steps of a code, and where each node is read.
pub(super) struct Schedule {
    pub(super) steps: Vec<Step>,
    /// The positions that read each node, the last one first.
    pub(super) uses: Vec<SmallVec<[usize; 4]>>,
}

impl Schedule {
    pub(super) fn of(code: &Code) -> Self {
        let uses = code.uses();
        let mut steps = Vec::new();
        let mut effects = code.effects.iter().peekable();
        for (index, (node, uses)) in code.nodes.iter().zip(uses).enumerate() {
            while let Some((_, effect)) = effects.next_if(|(before, _)| *before <= index) {
                steps.push(Step::Effect(*effect));
            }
            if uses > 0 && !matches!(node, Node::Read(_) | Node::Constant(_)) {
                steps.push(Step::Compute(Id::new(index)));
            }
        }
        steps.extend(effects.map(|(_, effect)| Step::Effect(*effect)));
        let mut schedule = Self { steps, uses: vec![SmallVec::new(); code.nodes.len()] };
        for position in (0..schedule.steps.len()).rev() {
            for id in schedule.operands(code, position) {
                schedule.uses[id.index()].push(position);
            }
        }
        schedule
    }

    pub(super) fn operands(&self, code: &Code, position: usize) -> SmallVec<[Id; 4]> {
        match self.steps[position] {
            Step::Compute(id) => code.nodes[id.index()].operands().collect(),
            Step::Effect(Effect::Write(id, _)) => [id].into_iter().collect(),
            Step::Effect(Effect::Require(comparison)) => comparison.of.into_iter().collect(),
        }
    }

    /// What a loop finds the same at every turn, the commonest first.
    pub(super) fn invariants(&self, code: &Code, outside: &Outside) -> Vec<Id> {
        let mut found: Vec<Id> = (0..code.nodes.len())
            .map(Id::new)
            .filter(|id| !self.uses[id.index()].is_empty())
            .filter(|id| match code.nodes[id.index()] {
                Node::Constant(_) => true,
                Node::Read(place) => outside.is_uniform(place),
                _ => false,
            })
            .collect();
        found.sort_by_key(|id| std::cmp::Reverse(self.uses[id.index()].len()));
        found
    }
}
