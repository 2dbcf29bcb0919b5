//! Where two gradients differ, and what mistake would make them differ so.
//!
//! A rate says that a gradient is wrong but not where. So the entries are compared
//! one by one with numbers that can be trusted more: difference quotients, or, for
//! a gradient written by hand, the tape's. The commonest mistakes leave a [mark](Cause):
//! a sign, a factor, a transpose, or nothing where something should be.

use super::cause::{Pairs, Wrong, cause};
use super::differences;
use super::options::Options;
use super::problem::{Evaluate, scale_of};
use crate::scalar::Real;
use crate::tensor::{Shape, Tensor};
use crate::trace::number;

pub use super::cause::Cause;

/// Entries for which difference quotients are taken, at most.
pub(in crate::check) const ENTRIES: usize = 600;
/// Entries that a report shows.
const SHOWN: usize = 5;

/// Two values of one entry of a gradient.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The input, counted from 0.
    pub input: usize,
    /// The index within it.
    pub index: Vec<usize>,
    /// What the gradient in question says.
    pub suspect: f64,
    /// What it is compared with.
    pub trusted: f64,
}

/// How many entries of one input differ.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Part {
    /// How many entries differ.
    pub differing: usize,
    /// How many were compared.
    pub compared: usize,
    /// How many there are.
    pub entries: usize,
}

/// How two gradients differ.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The entries that differ most, worst first.
    pub worst: Vec<Entry>,
    /// How many entries differ.
    pub differing: usize,
    /// How many were compared.
    pub compared: usize,
    /// How many there are.
    pub entries: usize,
    /// `|g - g*| / |g*|` over the entries that were compared: the relative error of what is in
    /// question. Infinite if all of `g*` is 0.
    pub error: f64,
    /// The relative error that two numbers may have and do not differ.
    pub tolerance: f64,
    /// What the entries are of, if not of the inputs' gradients: a product with the Jacobian.
    pub of: Option<&'static str>,
    /// The same, input by input.
    pub parts: Vec<Part>,
    /// What the differences look like.
    pub cause: Option<Cause>,
}

impl Comparison {
    fn new(
        pairs: &Pairs,
        shapes: &[Shape],
        x: Option<&[Vec<f64>]>,
        tolerance: f64,
        absolute: f64,
    ) -> Self {
        let magnitude = pairs
            .iter()
            .flatten()
            .map(|&(_, a, b)| a.abs().max(b.abs()))
            .filter(|x| x.is_finite())
            .fold(0.0, f64::max);
        // Beside a relative error, an entry may have what rounding leaves of the
        // largest ones.
        let differs = |&&(_, a, b): &&(usize, f64, f64)| {
            let room = tolerance * (a.abs().max(b.abs()) + 0.01 * magnitude) + absolute;
            // A NaN differs.
            a != b && ((a - b).abs() > room || (a - b).is_nan())
        };
        let mut wrong: Wrong = Vec::new();
        let mut parts = Vec::new();
        for (input, (pairs, shape)) in pairs.iter().zip(shapes).enumerate() {
            let before = wrong.len();
            wrong.extend(pairs.iter().filter(differs).map(|&pair| (input, pair)));
            let differing = wrong.len() - before;
            parts.push(Part { differing, compared: pairs.len(), entries: shape.elements() });
        }
        let cause = (!wrong.is_empty()).then(|| {
            cause(&wrong, pairs, shapes, x, magnitude, [10.0 * tolerance, 10.0 * absolute])
        });
        wrong.sort_by(|(_, (_, a, b)), (_, (_, c, d))| (c - d).abs().total_cmp(&(a - b).abs()));
        let worst = wrong.iter().take(SHOWN).map(|&(input, (position, suspect, trusted))| Entry {
            input,
            index: index_of(position, &shapes[input]),
            suspect,
            trusted,
        });
        let squares = |f: fn(f64, f64) -> f64| -> f64 {
            pairs.iter().flatten().map(|&(_, a, b)| f(a, b).powi(2)).sum()
        };
        let (off, size) = (squares(|a, b| a - b), squares(|_, b| b));
        Self {
            worst: worst.collect(),
            error: if off == 0.0 { 0.0 } else { (off / size).sqrt() },
            tolerance,
            of: None,
            differing: wrong.len(),
            compared: parts.iter().map(|part| part.compared).sum(),
            entries: parts.iter().map(|part| part.entries).sum(),
            parts,
            cause,
        }
    }

    /// Which inputs are wrong, which right, and the worst entry, with names for the inputs.
    pub(in crate::check) fn whereabouts(&self, name: impl Fn(usize) -> String) -> Option<String> {
        let Entry { input, index, suspect, trusted } = self.worst.first()?;
        let parts = || self.parts.iter().enumerate();
        let wrong = parts().filter(|(_, part)| part.differing > 0).map(|(input, part)| {
            match part.differing == part.compared {
                true => format!("all of {}", name(input)),
                false => format!("{} of {} in {}", part.differing, part.compared, name(input)),
            }
        });
        let right = parts().filter(|(_, part)| part.differing == 0 && part.compared > 0);
        let right: Vec<_> = right.map(|(input, _)| name(input)).collect();
        let right = match right.is_empty() {
            true => String::new(),
            false => format!("; right: {}", right.join(", ")),
        };
        // As many digits as show that they differ.
        let digits = if number(*suspect, 6) == number(*trusted, 6) { 15 } else { 6 };
        Some(format!(
            "{}, worst {} {index:?}: got {}, expected {}{right}",
            wrong.collect::<Vec<_>>().join(", "),
            name(*input),
            number(*suspect, digits),
            number(*trusted, digits)
        ))
    }

    /// The same, of what is no gradient of the inputs.
    pub(in crate::check) fn named(self, of: &'static str) -> Self {
        Self { of: Some(of), ..self }
    }

    /// Compares a gradient with another one, entry by entry, up to a relative and an absolute
    /// error. `x` is where it was taken.
    pub(in crate::check) fn of<T: Real>(
        suspect: &[Tensor<T>],
        trusted: &[Tensor<T>],
        x: Option<&[Tensor<T>]>,
        [tolerance, absolute]: [f64; 2],
    ) -> Self {
        let pairs = suspect.iter().zip(trusted).map(|(a, b)| {
            a.iter()
                .zip(b.iter())
                .enumerate()
                .map(|(i, (a, b))| (i, a.as_f64(), b.as_f64()))
                .collect()
        });
        let shapes: Vec<Shape> = suspect.iter().map(|x| x.shape().clone()).collect();
        Self::new(&pairs.collect(), &shapes, x.map(wide).as_deref(), tolerance, absolute)
    }

    /// Compares the gradient of `<w, f>` at `x`, where `f` is `y`, with central difference
    /// quotients, of steps no larger than `largest`.
    pub(in crate::check) fn with_differences<T: Real>(
        function: &dyn Evaluate<T>,
        x: &[Tensor<T>],
        y: &Tensor<T>,
        w: &Tensor<T>,
        gradient: &[Tensor<T>],
        largest: f64,
        options: &Options<'_>,
    ) -> Self {
        let count: usize = gradient.iter().map(Tensor::len).sum();
        let [tolerance, rounding] = room(y, x, largest, options);
        let stride = if options.full { 1 } else { count.div_ceil(ENTRIES).max(1) };
        let mut there = x.to_vec();
        let mut passed = 0;
        let mut done = 0;
        let pairs = gradient.iter().enumerate().map(|(input, g)| {
            let h = scale_of(&x[input]) * differences::step::<T>(largest);
            let first = (stride - passed % stride) % stride;
            passed += g.len();
            let claimed = g.to_vec();
            let entries = (first..g.len()).step_by(stride).map(|position| {
                let mut quotient = |h: f64| {
                    let (values, apart) =
                        differences::around(function, &mut there, (input, position), h);
                    let contract =
                        |y: Tensor<T>| if y.shape() == w.shape() { y.dot(w) } else { f64::NAN };
                    let [low, high] = values.map(contract);
                    (high - low) / apart
                };
                let claimed = claimed[position].as_f64();
                let mut right = quotient(h);
                // Two steps tell how far truncation and rounding let the quotient be trusted.
                let off = (claimed - right).abs();
                if off > tolerance * claimed.abs() {
                    let doubt = 3.0 * (quotient(h / 2.0) - right).abs();
                    right = if off <= doubt { claimed } else { right };
                }
                done += 1;
                if let Some(progress) = options.progress {
                    progress(done, count.div_ceil(stride));
                }
                (position, claimed, right)
            });
            entries.collect()
        });
        let pairs: Pairs = pairs.collect();
        let shapes: Vec<Shape> = gradient.iter().map(|x| x.shape().clone()).collect();
        Self::new(&pairs, &shapes, Some(&wide(x)), tolerance, rounding)
    }
}

/// The relative error that truncation leaves of central difference quotients, and the absolute
/// one that rounding of the value does.
pub(in crate::check) fn room<T: Real>(
    y: &Tensor<T>,
    x: &[Tensor<T>],
    largest: f64,
    options: &Options<'_>,
) -> [f64; 2] {
    let epsilon = T::epsilon().as_f64();
    let size = y.iter().map(|y| y.as_f64().abs()).sum::<f64>();
    let smallest = x.iter().map(scale_of).fold(f64::INFINITY, f64::min);
    let rounding = 10.0 * epsilon * size / (smallest.min(1e300) * differences::step::<T>(largest));
    [options.tolerance.max(100.0 * epsilon.powf(2.0 / 3.0)), rounding]
}

fn wide<T: Real>(x: &[Tensor<T>]) -> Vec<Vec<f64>> {
    x.iter().map(|x| x.iter().map(Real::as_f64).collect()).collect()
}

/// The index of an element, from its place in row-major order.
pub(in crate::check) fn index_of(mut position: usize, shape: &Shape) -> Vec<usize> {
    let mut index = vec![0; shape.rank()];
    for (i, &extent) in index.iter_mut().zip(shape.iter()).rev() {
        *i = position % extent;
        position /= extent;
    }
    index
}
