//! A program as text: what became of the tape.

use std::fmt;
use std::panic::Location;

use smallvec::SmallVec;

use super::Program;
use super::fuse::Unit;
use super::graph::{Graph, Operand, ValueId};
use super::lower::Lowered;
use crate::scalar::Real;
use crate::tape::elemental::Cost;

/// What a compilation made, kept to be printed and asked.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// One line for each instruction.
    lines: Vec<String>,
    /// The lines of the user where it was recorded.
    places: Vec<SmallVec<[&'static Location<'static>; 1]>>,
    recorded: usize,
    computed: usize,
    fused: usize,
    buffers: usize,
    bytes: usize,
    cost: Cost,
}

impl Report {
    pub(super) fn new<T: Real>(
        graph: &Graph<T>,
        operands: &[Operand],
        units: &[Unit],
        lowered: &Lowered<T>,
    ) -> Self {
        let name = |id: &ValueId| graph.op(*id).expect("units are computed").0.name();
        let shape = |id: &ValueId| graph.value(*id).shape.to_string();
        let line = |unit: &Unit| {
            let Unit { members, is_loop, product } = unit;
            let names: Vec<&str> = members.iter().map(name).collect();
            let last = members.last().expect("a unit has members");
            let behind =
                product.as_ref().map_or(String::new(), |id| format!(" behind {}", name(id)));
            match is_loop {
                true => format!("loop over {}{behind}: {}", shape(&members[0]), names.join(", ")),
                false => format!("{} -> {}", names.join(", "), shape(last)),
            }
        };
        let places = |unit: &Unit| {
            let mut places: SmallVec<_> =
                unit.values().map(|id| graph.value(id).location).collect();
            places.dedup();
            places
        };
        let computed = graph.ids().filter(|&id| operands[id.index()].root == id);
        Self {
            lines: units.iter().map(line).collect(),
            places: units.iter().map(places).collect(),
            recorded: graph.recorded,
            computed: computed.filter(|&id| graph.op(id).is_some()).count(),
            fused: units.iter().filter(|unit| unit.is_loop).map(|unit| unit.values().count()).sum(),
            buffers: lowered.buffers,
            bytes: lowered.buffer_bytes + lowered.memory.short.len() * size_of::<T>(),
            cost: graph.cost(),
        }
    }
}

impl Report {
    /// One line for each instruction, with the lines of the user where it was recorded.
    pub(super) fn sources(&self) -> impl Iterator<Item = String> {
        self.lines.iter().zip(&self.places).map(|(line, places)| {
            let places: Vec<String> = places.iter().map(ToString::to_string).collect();
            format!("{line}, at {}", places.join(", "))
        })
    }
}

impl<T: Real> Program<T> {
    /// The number of instructions of a run.
    pub fn instructions(&self) -> usize {
        self.report.lines.len()
    }

    /// The bytes that a run writes to: all of a program's memory but its inputs and
    /// large constants.
    pub fn bytes(&self) -> usize {
        self.report.bytes
    }

    /// The scalar operations of one run.
    pub fn cost(&self) -> Cost {
        self.report.cost
    }
}

impl<T: Real> fmt::Display for Program<T> {
    /// One line for each instruction, then the totals. A loop that goes on with the tiles of a product
    /// stands `behind` it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { lines, recorded, computed, fused, buffers, bytes, cost, .. } = &self.report;
        let width = lines.len().to_string().len();
        for (index, line) in lines.iter().enumerate() {
            writeln!(f, "{:>width$}  {line}", index + 1)?;
        }
        writeln!(f, "{recorded} operations recorded, {computed} kept, {fused} of them in loops",)?;
        let Cost { adds, muls, divs, nonlinear } = cost;
        write!(
            f,
            "{buffers} buffers, {bytes} bytes; {adds} additions, {muls} multiplications, {divs} \
             divisions, {nonlinear} nonlinear"
        )
    }
}

impl<T: Real> fmt::Debug for Program<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program of {} instructions", self.instructions())
    }
}
