//! Difference quotients: along a direction, and column by column.

use super::options::Options;
use super::problem::{Evaluate, moved, scale_of};
use crate::scalar::Real;
use crate::tensor::Tensor;

/// The step of a central quotient, relative to the size of what it moves.
pub(in crate::check) fn step<T: Real>(largest: f64) -> f64 {
    T::epsilon().as_f64().cbrt().min(largest)
}

/// `J v`, by a central quotient.
pub(in crate::check) fn along<T: Real>(
    function: &dyn Evaluate<T>,
    x: &[Tensor<T>],
    v: &[Tensor<T>],
    largest: f64,
) -> Tensor<T> {
    let h = step::<T>(largest);
    let at = |h: f64| {
        let there: Vec<_> = x.iter().zip(v).map(|(x, v)| moved(x, h, v)).collect();
        function.value(&there)
    };
    at(h).zip_map(&at(-h), |b, a| T::from_f64((b.as_f64() - a.as_f64()) / (2.0 * h)))
}

/// The values before and behind a point, `h` away along one element of it, and how far apart
/// that leaves them after rounding.
pub(in crate::check) fn around<T: Real>(
    function: &dyn Evaluate<T>,
    point: &mut [Tensor<T>],
    (input, position): (usize, usize),
    h: f64,
) -> ([Tensor<T>; 2], f64) {
    let origin = point[input].as_mut_slice()[position];
    let ends = [-h, h].map(|h| T::from_f64(origin.as_f64() + h));
    let values = ends.map(|end| {
        point[input].as_mut_slice()[position] = end;
        function.value(point)
    });
    point[input].as_mut_slice()[position] = origin;
    (values, ends[1].as_f64() - ends[0].as_f64())
}

/// The Jacobian as a matrix: one column for each element of the inputs.
pub(in crate::check) fn columns<T: Real>(
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
        for position in 0..x.len() {
            let ([low, high], apart) = around(function, &mut there, (input, position), h);
            for (row, (low, high)) in low.iter().zip(high.iter()).enumerate() {
                let quotient = (high.as_f64() - low.as_f64()) / apart;
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
