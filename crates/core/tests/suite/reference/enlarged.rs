//! Samples of the registry with one axis as long as a kernel's constant.
//!
//! Nothing here knows an op by name: which axes may grow together, the op's rule for shapes says.

use wengert_core::op::Domain;
use wengert_core::op::registry::ops;
use wengert_core::op::samples::Sample;
use wengert_core::{Real, Shape};

use super::operands::Layout;
use super::sizes;
use super::trial::{Trials, operands};

/// What a comparison may cost, in scalar operations and in elements.
const MOST: usize = 40_000;

/// Sets of axes that may have to grow together, as `(operand, axis)`: one alone, that of every
/// operand counted from the front or from the back, and all of the same extent.
fn together(shapes: &[Shape]) -> Vec<Vec<(usize, usize)>> {
    let axes: Vec<(usize, usize)> = (0..shapes.len())
        .flat_map(|arg| (0..shapes[arg].rank()).map(move |axis| (arg, axis)))
        .collect();
    let mut sets = Vec::new();
    for &(arg, axis) in &axes {
        let behind = shapes[arg].rank() - axis;
        let from_front = |&&(_, other): &&(usize, usize)| other == axis;
        let from_back = |&&(k, other): &&(usize, usize)| shapes[k].rank() - other == behind;
        let as_long = |&&(k, other): &&(usize, usize)| shapes[k][other] == shapes[arg][axis];
        sets.push(vec![(arg, axis)]);
        sets.push(axes.iter().filter(from_front).copied().collect());
        sets.push(axes.iter().filter(from_back).copied().collect());
        sets.push(axes.iter().filter(as_long).copied().collect());
    }
    sets.sort();
    sets.dedup();
    sets
}

/// A sample, and axes of it that grow together.
struct Way<'a, T: Real> {
    sample: &'a Sample<T>,
    axes: Vec<(usize, usize)>,
}

impl<'a, T: Real> Way<'a, T> {
    /// All ways that the op's rule for shapes lets pass.
    fn all(samples: &'a [Sample<T>]) -> Vec<Self> {
        let of = |sample: &'a Sample<T>| {
            let shapes: Vec<Shape> = sample.args.iter().map(|(shape, _)| shape.clone()).collect();
            together(&shapes).into_iter().map(move |axes| Way { sample, axes })
        };
        samples.iter().flat_map(of).filter(|way| way.enlarged(2).is_some()).collect()
    }

    /// Operands with these axes of another extent, if they fit the op and are not too large.
    fn enlarged(&self, extent: usize) -> Option<Vec<(Shape, Domain)>> {
        let Way { sample, axes } = self;
        let mut args = sample.args.clone();
        for &(arg, axis) in axes {
            let mut extents = args[arg].0.to_vec();
            extents[axis] = extent;
            args[arg].0 = Shape::from(&extents[..]);
        }
        let shapes: Vec<&Shape> = args.iter().map(|(shape, _)| shape).collect();
        let result = sample.op.shape(&shapes).ok()?;
        let elements: usize = shapes.iter().chain([&&result]).map(|shape| shape.elements()).sum();
        let cost = sample.op.cost(&shapes, &result).total() as usize;
        // Places are numbers up to the extent that the sample's domain knows.
        let has_places = args.iter().any(|(_, domain)| domain.is_mask);
        let is_shorter = axes.iter().any(|&(arg, axis)| extent < sample.args[arg].0[axis]);
        (elements <= MOST && cost <= 8 * MOST && !(has_places && is_shorter)).then_some(args)
    }
}

pub fn all<T: Real>(mut trials: Trials) -> Trials {
    for (number, entry) in ops::<T>().into_iter().enumerate() {
        let ways = Way::all(&entry.samples.cases);
        assert!(!ways.is_empty(), "{} has no sample that can be enlarged", entry.name);
        // Elementwise ops share the kernels that walk: each takes every size, in a few ways.
        let turns = if entry.family == "elementwise" { 2 } else { 12 };
        let every = ways.len().div_ceil(turns);
        for (turn, size) in sizes::around().into_iter().enumerate() {
            for (which, way) in ways.iter().enumerate() {
                let turn = turn + which + number;
                let is_next = turn.is_multiple_of(every) && trials.is_due();
                let Some(args) = is_next.then(|| way.enlarged(size)).flatten() else { continue };
                let (args, axis) = (operands::<T>(&args), way.axes[0].1);
                let layouts = [
                    Layout::Transposed,
                    Layout::Strided,
                    Layout::Backwards(axis),
                    Layout::Part(axis),
                ];
                trials.all(&way.sample.op, &args, &layouts[size % 4..][..1]);
                if size % 5 == 0 {
                    trials.repeated(&way.sample.op, &args, axis);
                }
            }
        }
    }
    trials
}
