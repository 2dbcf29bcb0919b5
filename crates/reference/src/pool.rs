//! Windows that slide over planes: means, and where the largest element is.

use std::any::Any;

use wengert_core::op::{AvgPool2d, AvgUnpool2d, GatherMax2d, MaxPool2d, Pooling, ScatterMax2d};

use crate::estimate::{Estimate, Total, exact};
use crate::{Array, What};

/// For each element of the result of a pooling, the places in the operand that its window
/// covers, in row-major order; and the result's shape.
fn windows(pooling: &Pooling, x: &[usize]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let [ref lead @ .., height, width] = *x else { panic!("{x:?} has no planes") };
    let along = |axis: usize, extent: usize| -> Vec<Vec<usize>> {
        let [before, after] = pooling.padding[axis];
        let positions = (before + extent + after - pooling.window[axis]) / pooling.stride[axis] + 1;
        let covered = |position: usize| {
            let padded = |tap: usize| position * pooling.stride[axis] + tap;
            let element = |tap: usize| padded(tap).checked_sub(before).filter(|&i| i < extent);
            (0..pooling.window[axis]).filter_map(element).collect()
        };
        (0..positions).map(covered).collect()
    };
    let (down, across) = (along(0, height), along(1, width));
    let shape = lead.iter().copied().chain([down.len(), across.len()]).collect();
    let mut windows = Vec::new();
    for plane in 0..lead.iter().product() {
        for rows in &down {
            for columns in &across {
                let of_row = |&row: &usize| {
                    columns.iter().map(move |column| (plane * height + row) * width + column)
                };
                windows.push(rows.iter().flat_map(of_row).collect());
            }
        }
    }
    (shape, windows)
}

/// The first of the largest elements at some places; a NaN is larger than all.
fn first_largest(x: &Array, places: &[usize]) -> usize {
    let is_better = |new: f64, best: f64| new > best || (new.is_nan() && !best.is_nan());
    let better = |best: usize, place: usize| {
        if is_better(x.elements[place], x.elements[best]) { place } else { best }
    };
    places.iter().copied().reduce(better).expect("windows cover an element")
}

/// The shape of planes of a given size, as many as `y` has.
fn planes(y: &Array, size: [usize; 2]) -> Vec<usize> {
    y.shape[..y.rank() - 2].iter().copied().chain(size).collect()
}

pub(crate) fn define(op: &dyn Any, args: &[Array]) -> Option<What> {
    let x = args.first()?;
    if let Some(AvgPool2d(pooling)) = op.downcast_ref() {
        let (shape, windows) = windows(pooling, &x.shape);
        let mean = |places: &Vec<usize>| {
            let count = places.len() as f64;
            let Estimate { value, error } =
                Total::of(places.iter().map(|&place| x.elements[place])).estimate();
            Estimate { value: value / count, error: (error + value.abs()) / count }
        };
        return Some((shape, windows.iter().map(mean).collect()).into());
    }
    if let Some(AvgUnpool2d { pooling, size }) = op.downcast_ref() {
        let shape = planes(x, *size);
        let mut totals = vec![Total::default(); shape.iter().product()];
        let (_, windows) = windows(pooling, &shape);
        for (places, y) in windows.iter().zip(&x.elements) {
            for &place in places {
                totals[place].add(y / places.len() as f64);
            }
        }
        return Some((shape, totals.iter().map(Total::estimate).collect()).into());
    }
    if let Some(MaxPool2d(pooling)) = op.downcast_ref() {
        let (shape, windows) = windows(pooling, &x.shape);
        let largest = |places: &Vec<usize>| exact(x.elements[first_largest(x, places)]);
        return Some((shape, windows.iter().map(largest).collect()).into());
    }
    if let Some(GatherMax2d(pooling)) = op.downcast_ref() {
        let (shape, windows) = windows(pooling, &x.shape);
        let at = |places: &Vec<usize>| exact(args[1].elements[first_largest(x, places)]);
        return Some((shape, windows.iter().map(at).collect()).into());
    }
    if let Some(ScatterMax2d(pooling)) = op.downcast_ref() {
        let mut totals = vec![Total::default(); x.elements.len()];
        let (_, windows) = windows(pooling, &x.shape);
        for (places, &u) in windows.iter().zip(&args[1].elements) {
            totals[first_largest(x, places)].add(u);
        }
        let elements = totals.iter().map(Total::estimate).collect();
        return Some((x.shape.clone(), elements).into());
    }
    None
}
