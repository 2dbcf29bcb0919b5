//! Functions of rows, and of elements along an axis.

use std::any::Any;

use wengert_core::op::{
    ArgSort, FirstMax, LayerNorm, LinearRecurrence, LogCumSumExp, LogSoftmax, LogSumExp, Max, Norm,
    Prod, ScatterAlong, Softmax, TakeAlong,
};

use crate::array::with;
use crate::estimate::{Estimate, Total, exact, within};
use crate::{Array, Precision, What, indices};

/// A function of each row, which gives as many numbers as it likes: none, so that the axis goes,
/// if `axis` is `None`.
fn of_rows(x: &Array, axis: Option<usize>, of: impl Fn(&[f64]) -> Vec<Estimate>) -> What {
    let [ref lead @ .., extent] = x.shape[..] else { panic!("a scalar has no rows") };
    let count: usize = lead.iter().product();
    let row = |k: usize| of(&x.elements[k * extent..(k + 1) * extent]);
    let shape = lead.iter().copied().chain(axis).collect();
    (shape, (0..count).flat_map(row).collect()).into()
}

/// The order of numbers in which a NaN is the largest.
fn order(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn first_largest(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, i| if order(row[i], row[best]).is_gt() { i } else { best })
}

/// The largest element, and the logarithm of the sum of exponentials of distances from it.
fn log_sum_exp(row: &[f64]) -> (f64, f64) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if row.iter().any(|x| x.is_nan()) {
        return (f64::NAN, f64::NAN);
    }
    if largest.is_infinite() {
        return (largest, 0.0);
    }
    (largest, Total::of(row.iter().map(|x| (x - largest).exp())).value().ln())
}

/// `shift + small`, which may cancel.
fn shifted((shift, small): (f64, f64)) -> Estimate {
    let value = shift + small;
    let size = if value.is_finite() { shift.abs() + small.abs() } else { 0.0 };
    Estimate { value, error: 4.0 * (size + 1.0) }
}

pub(crate) fn softmax(row: &[f64]) -> Vec<Estimate> {
    let (largest, ln_sum) = log_sum_exp(row);
    let at = |&x: &f64| {
        let distance = x - largest - ln_sum;
        let value = distance.exp();
        // The exponent is rounded where the largest is subtracted.
        let size = if distance.is_finite() { distance.abs() } else { 0.0 };
        Estimate { value, error: 8.0 * value * (1.0 + size) }
    };
    row.iter().map(at).collect()
}

fn log_softmax(row: &[f64]) -> Vec<Estimate> {
    let (largest, ln_sum) = log_sum_exp(row);
    let at = |&x: &f64| {
        let value = (x - largest) - ln_sum;
        let size = if value.is_finite() { x.abs() + largest.abs() + ln_sum.abs() } else { 0.0 };
        Estimate { value, error: 4.0 * (size + 1.0) }
    };
    row.iter().map(at).collect()
}

pub(crate) fn layer_norm(row: &[f64], epsilon: f64) -> Vec<Estimate> {
    let count = row.len() as f64;
    let mean = Total::of(row.iter().copied()).value() / count;
    let squares = row.iter().map(|x| (x - mean) * (x - mean));
    let deviation = (Total::of(squares).value() / count + epsilon).sqrt();
    let largest = row.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    let scale = largest / deviation;
    let at = |x: &f64| {
        let value = (x - mean) / deviation;
        Estimate { value, error: 8.0 * (value.abs() + scale) }
    };
    row.iter().map(at).collect()
}

fn norm(row: &[f64], epsilon: f64) -> Estimate {
    let largest = row.iter().fold(epsilon.sqrt(), |largest, x| largest.max(x.abs()));
    if row.iter().any(|x| x.is_nan()) {
        return exact(f64::NAN);
    }
    if largest == 0.0 || largest.is_infinite() {
        return exact(largest);
    }
    let squares = Total::of(row.iter().map(|x| (x / largest) * (x / largest)));
    let smooth = squares.value() + epsilon / largest / largest;
    within(8.0, largest * smooth.sqrt())
}

pub(crate) fn define(op: &dyn Any, args: &[Array], precision: &Precision) -> Option<What> {
    let x = args.first()?;
    let same = x.shape.last().copied();
    if let Some(Max) = op.downcast_ref() {
        return Some(of_rows(x, None, |row| vec![exact(row[first_largest(row)])]));
    }
    if let Some(FirstMax) = op.downcast_ref() {
        return Some(of_rows(x, same, |row| {
            let first = if row.is_empty() { 0 } else { first_largest(row) };
            (0..row.len()).map(|i| exact(if i == first { 1.0 } else { 0.0 })).collect()
        }));
    }
    if let Some(LogSumExp) = op.downcast_ref() {
        return Some(of_rows(x, None, |row| vec![shifted(log_sum_exp(row))]));
    }
    if let Some(Softmax) = op.downcast_ref() {
        return Some(of_rows(x, same, softmax));
    }
    if let Some(LogSoftmax) = op.downcast_ref() {
        return Some(of_rows(x, same, log_softmax));
    }
    if let Some(LayerNorm { epsilon }) = op.downcast_ref() {
        let epsilon = precision.round(*epsilon);
        return Some(of_rows(x, same, |row| layer_norm(row, epsilon)));
    }
    if let Some(Norm { epsilon }) = op.downcast_ref() {
        let epsilon = precision.round(*epsilon);
        return Some(of_rows(x, None, |row| vec![norm(row, epsilon)]));
    }
    if let Some(Prod) = op.downcast_ref() {
        return Some(of_rows(x, None, |row| {
            vec![within(1.0 + row.len() as f64, row.iter().product::<f64>())]
        }));
    }
    if let Some(&ArgSort { descending, count }) = op.downcast_ref() {
        return Some(of_rows(x, Some(count), |row| {
            let mut places: Vec<usize> = (0..row.len()).collect();
            // Sorting is stable.
            places.sort_by(
                |&i, &j| {
                    if descending { order(row[j], row[i]) } else { order(row[i], row[j]) }
                },
            );
            places[..count].iter().map(|&place| exact(place as f64)).collect()
        }));
    }
    if let Some(&LinearRecurrence { axis, reverse }) = op.downcast_ref() {
        let (a, b) = (&args[0], &args[1]);
        return Some(along(&b.shape, axis, reverse, |index, before| {
            let (a, b) = (a.at(index), b.at(index));
            let Some(Estimate { value, error }) = before else { return exact(b) };
            Estimate {
                value: a * value + b,
                error: a.abs() * error + 2.0 * ((a * value).abs() + b.abs()),
            }
        }));
    }
    if let Some(&LogCumSumExp { axis }) = op.downcast_ref() {
        let mut count = 0.0;
        return Some(along(&x.shape, axis, false, |index, before| {
            count = if before.is_some() { count + 1.0 } else { 1.0 };
            let x = x.at(index);
            let before = before.map_or(f64::NEG_INFINITY, |before| before.value);
            let mut estimate = shifted(log_sum_exp(&[before, x]));
            estimate.error *= 2.0 * f64::sqrt(count);
            estimate
        }));
    }
    if let Some(&TakeAlong { axis }) = op.downcast_ref() {
        let (places, x) = (&args[0], &args[1]);
        let shape = with(&x.shape, axis, places.shape[axis]);
        let at = |index: Vec<usize>| {
            exact(x.at(&with(&index, axis, places.stretched_at(&index) as usize)))
        };
        let elements = indices(&shape).map(at).collect();
        return Some((shape, elements).into());
    }
    if let Some(&ScatterAlong { axis, extent }) = op.downcast_ref() {
        let (places, u) = (&args[0], &args[1]);
        let to = |index: &[usize]| with(index, axis, places.stretched_at(index) as usize);
        return Some(crate::sums::added(u, with(&u.shape, axis, extent), to));
    }
    None
}

/// Elements each of which follows from the one before it along an axis.
pub(crate) fn along(
    shape: &[usize],
    axis: usize,
    reverse: bool,
    mut next: impl FnMut(&[usize], Option<Estimate>) -> Estimate,
) -> What {
    let places = Array::from_fn(shape, |_| 0.0);
    let mut elements = vec![exact(0.0); places.elements.len()];
    for index in indices(shape).filter(|index| index[axis] == 0) {
        let mut before = None;
        for i in 0..shape[axis] {
            let i = if reverse { shape[axis] - 1 - i } else { i };
            let index = with(&index, axis, i);
            let element = next(&index, before);
            elements[places.place(&index)] = element;
            before = Some(element);
        }
    }
    (shape.to_vec(), elements).into()
}
