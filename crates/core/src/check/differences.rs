//! Difference quotients: along a direction, and column by column.

use super::options::Options;
use super::problem::{Evaluate, scale_of};
use crate::{Real, Tensor};

/// The step of a central quotient, relative to the size of what it moves.
fn step<T: Real>(largest: f64) -> f64 {
    T::epsilon().as_f64().cbrt().min(largest)
}

/// `J v`, by a central quotient.
pub(super) fn along<T: Real>(
    function: &dyn Evaluate<T>,
    x: &[Tensor<T>],
    v: &[Tensor<T>],
    largest: f64,
) -> Tensor<T> {
    let h = step::<T>(largest);
    let at = |h: f64| {
        let moved = x
            .iter()
            .zip(v)
            .map(|(x, v)| x.zip_map(v, |x, v| T::from_f64(x.as_f64() + h * v.as_f64())));
        function.value(&moved.collect::<Vec<_>>())
    };
    at(h).zip_map(&at(-h), |b, a| T::from_f64((b.as_f64() - a.as_f64()) / (2.0 * h)))
}

/// The Jacobian as a matrix: one column for each element of the inputs.
pub(super) fn columns<T: Real>(
    function: &dyn Evaluate<T>,
    x: &[Tensor<T>],
    rows: usize,
    largest: f64,
    options: &Options<'_>,
) -> Tensor<T> {
    let count: usize = x.iter().map(Tensor::len).sum();
    let mut entries = vec![T::zero(); rows * count];
    let mut there = x.to_vec();
    let mut column = 0;
    for (input, x) in x.iter().enumerate() {
        let h = scale_of(x) * step::<T>(largest);
        for (position, origin) in x.iter().enumerate() {
            let mut at = |h: f64| {
                let moved = T::from_f64(origin.as_f64() + h);
                there[input].as_mut_slice()[position] = moved;
                (moved.as_f64(), function.value(&there))
            };
            let ((a, low), (b, high)) = (at(-h), at(h));
            there[input].as_mut_slice()[position] = origin;
            for (row, (low, high)) in low.iter().zip(high.iter()).enumerate() {
                let quotient = (high.as_f64() - low.as_f64()) / (b - a);
                entries[row * count + column] = T::from_f64(quotient);
            }
            column += 1;
            if let Some(progress) = options.progress {
                progress(column, count);
            }
        }
    }
    Tensor::new([rows, count], entries)
}
