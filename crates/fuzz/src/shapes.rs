//! Shapes for the operands of an op, beyond those of its samples.
//!
//! What an op takes is known from its shape rule alone. So shapes are found by trying: beginning
//! with those of a sample, an extent is changed wherever it stands, or in one place, an axis is
//! put before all operands or some, an axis is taken away; what the rule takes is kept. No op is
//! known by name, and a new one is drawn in shapes of its own from the day it has a sample.

use wengert_core::Shape;
use wengert_core::op::{Domain, DynOp};

use crate::dice::Dice;

/// Extents around the constants of the kernels, and small ones.
const EXTENTS: [usize; 16] = [1, 1, 2, 2, 3, 3, 4, 4, 5, 17, 33, 33, 64, 65, 65, 130];
/// Axes that a value may have.
pub const AXES: usize = 5;

/// How large values may be, and what they may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Elements of a value.
    pub elements: usize,
    /// Scalar operations of an op.
    pub cost: u64,
}

/// Shapes that an op takes, grown from those of a sample. `known` are shapes of values that
/// there are already, which are tried as well.
pub fn grown(
    op: &dyn DynOp<f64>,
    sample: &[(Shape, Domain)],
    known: &[Shape],
    limits: Limits,
    dice: &mut Dice,
) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = sample.iter().map(|(shape, _)| shape.clone()).collect();
    for _ in 0..dice.below(8) {
        // Nothing is computed of nothing: only a few programs have empty values.
        let extent = if dice.chance(0.01) { 0 } else { *dice.pick(&EXTENTS) };
        let changed = changed(&shapes, extent, known, dice);
        if fits(op, sample, &changed, limits) {
            shapes = changed;
        }
    }
    shapes
}

/// The shapes with one change.
fn changed(shapes: &[Shape], extent: usize, known: &[Shape], dice: &mut Dice) -> Vec<Shape> {
    let one = dice.below(shapes.len());
    let axis = (shapes[one].rank() > 0).then(|| dice.below(shapes[one].rank()));
    let from_right = axis.map(|axis| shapes[one].rank() - axis);
    let old = axis.map(|axis| shapes[one][axis]);
    let map = |f: &dyn Fn(usize, &Shape) -> Vec<usize>| -> Vec<Shape> {
        shapes.iter().enumerate().map(|(i, shape)| f(i, shape).into()).collect()
    };
    match dice.below(9) {
        // Wherever the extent stands.
        0..=2 => map(&|_, shape| {
            shape.iter().map(|&e| if Some(e) == old { extent } else { e }).collect()
        }),
        // Wherever it stands at the same axis, counted from the right.
        3 => map(&|_, shape| {
            let at = |i: usize| Some(shape.rank() - i) == from_right && Some(shape[i]) == old;
            (0..shape.rank()).map(|i| if at(i) { extent } else { shape[i] }).collect()
        }),
        // In one place.
        4 => map(&|i, shape| {
            let at = |a: usize| i == one && Some(a) == axis;
            (0..shape.rank()).map(|a| if at(a) { extent } else { shape[a] }).collect()
        }),
        5 => map(&|_, shape| [&[extent], &shape[..]].concat()),
        6 => {
            let some: Vec<bool> = shapes.iter().map(|_| dice.chance(0.5)).collect();
            map(&|i, shape| match some[i] {
                true => [&[extent], &shape[..]].concat(),
                false => shape.to_vec(),
            })
        }
        7 => map(&|_, shape| shape[1.min(shape.rank())..].to_vec()),
        _ if known.is_empty() => shapes.to_vec(),
        _ => {
            let shape = dice.pick(known).clone();
            vec![shape; shapes.len()]
        }
    }
}

/// Whether an op takes operands of such shapes, and they are not too large.
fn fits(op: &dyn DynOp<f64>, sample: &[(Shape, Domain)], shapes: &[Shape], limits: Limits) -> bool {
    let small = |shape: &Shape| shape.rank() <= AXES && shape.elements() <= limits.elements;
    if !shapes.iter().all(small) {
        return false;
    }
    let places =
        sample.iter().zip(shapes).any(|((_, domain), shape)| domain.is_mask && !shape.contains(&0));
    if places && greatest_place(sample, shapes).is_none() {
        return false;
    }
    let args: Vec<&Shape> = shapes.iter().collect();
    op.shape(&args)
        .is_ok_and(|result| small(&result) && op.cost(&args, &result).total() <= limits.cost)
}

/// The greatest place along an axis that is one in every operand, whichever axis it is. `None`
/// if there is no place.
pub fn greatest_place(sample: &[(Shape, Domain)], shapes: &[Shape]) -> Option<usize> {
    let operands = sample.iter().zip(shapes).filter(|((_, domain), _)| !domain.is_mask);
    let extents = operands.flat_map(|(_, shape)| shape.iter().copied());
    extents.min().unwrap_or(usize::MAX).checked_sub(1)
}
