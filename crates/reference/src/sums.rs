//! Sums over axes, at places and along an axis.

use std::any::Any;

use wengert_core::op::{CumSum, Gather, Mean, ScatterAdd, Sum, SumTo};

use crate::array::with;
use crate::estimate::{Estimate, Total, exact};
use crate::rows::along;
use crate::{Array, What, indices};

pub(crate) fn define(op: &dyn Any, args: &[Array]) -> Option<What> {
    if let Some(Sum { axes, keep }) = op.downcast_ref() {
        return Some(over_axes(&args[0], axes, *keep, |total, _| total.estimate()));
    }
    if let Some(Mean { axes, keep }) = op.downcast_ref() {
        return Some(over_axes(&args[0], axes, *keep, |total, count| {
            let Estimate { value, error } = total.estimate();
            Estimate { value: value / count, error: error / count + value.abs() / count }
        }));
    }
    if let Some(SumTo { shape }) = op.downcast_ref() {
        return Some(sum_to(&args[0], shape));
    }
    if let Some(Gather { axis, indices: places }) = op.downcast_ref() {
        let mut shape = args[0].shape.clone();
        shape[*axis] = places.len();
        let at = |index: Vec<usize>| exact(args[0].at(&with(&index, *axis, places[index[*axis]])));
        let elements = indices(&shape).map(at).collect();
        return Some((shape, elements).into());
    }
    if let Some(ScatterAdd { axis, indices: places, extent }) = op.downcast_ref() {
        let mut shape = args[0].shape.clone();
        shape[*axis] = *extent;
        return Some(added(&args[0], shape, |index| with(index, *axis, places[index[*axis]])));
    }
    if let Some(CumSum { axis, reverse }) = op.downcast_ref() {
        let mut total = Total::default();
        return Some(along(&args[0].shape, *axis, *reverse, |index, before| {
            if before.is_none() {
                total = Total::default();
            }
            total.add(args[0].at(index));
            total.in_order()
        }));
    }
    None
}

/// Each element of `x` added to the element of a result whose index is a function of its own.
pub(crate) fn added(x: &Array, shape: Vec<usize>, to: impl Fn(&[usize]) -> Vec<usize>) -> What {
    let places = Array::from_fn(&shape[..], |_| 0.0);
    let mut totals = vec![Total::default(); places.elements.len()];
    for (index, &x) in indices(&x.shape).zip(&x.elements) {
        totals[places.place(&to(&index))].add(x);
    }
    (shape, totals.iter().map(Total::in_order).collect()).into()
}

fn over_axes(
    x: &Array,
    axes: &[usize],
    keep: bool,
    finish: impl Fn(&Total, f64) -> Estimate,
) -> What {
    // Summed axes have the extent 1 at first.
    let mut kept = Array::from_fn(
        (0..x.rank()).map(|i| if axes.contains(&i) { 1 } else { x.shape[i] }).collect::<Vec<_>>(),
        |_| 0.0,
    );
    let mut totals = vec![Total::default(); kept.elements.len()];
    for (mut index, &x) in indices(&x.shape).zip(&x.elements) {
        axes.iter().for_each(|&axis| index[axis] = 0);
        totals[kept.place(&index)].add(x);
    }
    if !keep {
        let shape = (0..x.rank()).filter(|i| !axes.contains(i)).map(|i| x.shape[i]);
        kept.shape = shape.collect();
    }
    let count = axes.iter().map(|&axis| x.shape[axis] as f64).product();
    (kept.shape, totals.iter().map(|total| finish(total, count)).collect()).into()
}

/// The sum over all that broadcasting `shape` would repeat.
fn sum_to(x: &Array, shape: &[usize]) -> What {
    let places = Array::from_fn(shape, |_| 0.0);
    let mut totals = vec![Total::default(); places.elements.len()];
    for (index, &x) in indices(&x.shape).zip(&x.elements) {
        let last = index[index.len() - shape.len()..].iter().zip(shape);
        let to: Vec<usize> = last.map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
        totals[places.place(&to)].add(x);
    }
    (shape.to_vec(), totals.iter().map(Total::estimate).collect()).into()
}
