//! Where two gradients differ, and what mistake would make them differ so.
//!
//! A rate says that a gradient is wrong but not where. So the entries are compared
//! one by one with numbers that can be trusted more: difference quotients, or, for
//! a gradient written by hand, the tape's. The commonest mistakes leave a mark:
//! a sign, a factor, a transpose, or nothing where something should be.

use std::fmt;

use super::problem::{Problem, scale_of};
use crate::{Real, Shape, Tape, Tensor};

/// Entries for which difference quotients are taken, at most.
const ENTRIES: usize = 600;
/// Entries that a report shows.
const SHOWN: usize = 5;

/// Two values of one entry of a gradient.
#[derive(Clone, Debug, PartialEq)]
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

/// What the differences look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// All wrong entries have the wrong sign.
    Sign,
    /// All wrong entries are off by one factor.
    Factor(f64),
    /// The matrix of this input is the transpose of what it should be.
    Transposed {
        /// The input, counted from 0.
        input: usize,
    },
    /// All wrong entries are zero.
    Missing,
    /// A term is missing or wrong.
    Term,
    /// Forward and reverse mode differ: the op's jvp or vjp is wrong.
    Modes,
    /// The gradient is right, the second derivative is not.
    SecondOrder,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sign => f.write_str("sign: the gradient is -1 x what it should be"),
            Self::Factor(factor) => {
                write!(f, "factor: the gradient is {factor:.4} x what it should be")
            }
            Self::Transposed { input } => {
                write!(f, "transpose: input {} holds the transpose of its gradient", input + 1)
            }
            Self::Missing => f.write_str("missing term: the gradient is 0 where it should not be"),
            Self::Term => f.write_str("a term that is wrong or missing"),
            Self::Modes => f.write_str("forward and reverse mode disagree: a jvp or vjp is wrong"),
            Self::SecondOrder => f.write_str(
                "the gradient is right but its own derivative is not: part of a rule is not \
                 recorded, or was taken as constant",
            ),
        }
    }
}

/// How two gradients differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The entries that differ most, worst first.
    pub worst: Vec<Entry>,
    /// How many entries differ.
    pub differing: usize,
    /// How many were compared.
    pub compared: usize,
    /// How many there are.
    pub entries: usize,
    /// What the differences look like.
    pub cause: Option<Cause>,
}

/// Values of the entries that are compared: position within the input and the
/// two numbers, input by input.
type Pairs = Vec<Vec<(usize, f64, f64)>>;

impl Comparison {
    fn new(pairs: &Pairs, shapes: &[Shape], tolerance: f64) -> Self {
        let magnitude = pairs
            .iter()
            .flatten()
            .map(|&(_, a, b)| a.abs().max(b.abs()))
            .filter(|x| x.is_finite())
            .fold(0.0, f64::max);
        // Beside a relative error, an entry may have what rounding leaves of the
        // largest ones.
        let differs = |&&(_, a, b): &&(usize, f64, f64)| {
            let room = tolerance * (a.abs().max(b.abs()) + 0.01 * magnitude);
            // A NaN differs.
            a != b && ((a - b).abs() > room || (a - b).is_nan())
        };
        let mut wrong: Vec<(usize, (usize, f64, f64))> = Vec::new();
        for (input, pairs) in pairs.iter().enumerate() {
            wrong.extend(pairs.iter().filter(differs).map(|&pair| (input, pair)));
        }
        let cause = (!wrong.is_empty()).then(|| cause(&wrong, pairs, shapes, 10.0 * tolerance));
        wrong.sort_by(|(_, (_, a, b)), (_, (_, c, d))| (c - d).abs().total_cmp(&(a - b).abs()));
        let worst = wrong.iter().take(SHOWN).map(|&(input, (position, suspect, trusted))| Entry {
            input,
            index: index_of(position, &shapes[input]),
            suspect,
            trusted,
        });
        Self {
            worst: worst.collect(),
            differing: wrong.len(),
            compared: pairs.iter().map(Vec::len).sum(),
            entries: shapes.iter().map(Shape::elements).sum(),
            cause,
        }
    }

    /// Compares a gradient with another one, entry by entry.
    pub(super) fn of<T: Real>(suspect: &[Tensor<T>], trusted: &[Tensor<T>]) -> Self {
        let pairs = suspect.iter().zip(trusted).map(|(a, b)| {
            a.iter()
                .zip(b.iter())
                .enumerate()
                .map(|(i, (a, b))| (i, a.as_f64(), b.as_f64()))
                .collect()
        });
        let shapes: Vec<Shape> = suspect.iter().map(|x| x.shape().clone()).collect();
        Self::new(&pairs.collect(), &shapes, 1e4 * T::epsilon().as_f64())
    }

    /// Compares the gradient of `<w, f>` with central difference quotients, of
    /// steps no larger than `largest`.
    pub(super) fn with_differences<T: Real>(
        problem: &Problem<'_, T>,
        w: &Tensor<T>,
        gradient: &[Tensor<T>],
        largest: f64,
    ) -> Self {
        let epsilon = T::epsilon().as_f64();
        let count: usize = gradient.iter().map(Tensor::len).sum();
        let stride = count.div_ceil(ENTRIES).max(1);
        let value = |input: usize, position: usize, h: f64| {
            let mut x = problem.x.clone();
            let element = &mut x[input].as_mut_slice()[position];
            *element = T::from_f64(element.as_f64() + h);
            let at = element.as_f64();
            let tape = Tape::new();
            let (_, y) = problem.record_at(&tape, &x);
            (at, if y.shape() == *w.shape() { y.value().dot(w) } else { f64::NAN })
        };
        let mut passed = 0;
        let pairs = gradient.iter().enumerate().map(|(input, g)| {
            let h = scale_of(&problem.x[input]) * epsilon.cbrt().min(largest);
            let first = (stride - passed % stride) % stride;
            passed += g.len();
            let at = g.to_vec();
            let entries = (first..g.len()).step_by(stride).map(|position| {
                let (a, low) = value(input, position, -h);
                let (b, high) = value(input, position, h);
                (position, at[position].as_f64(), (high - low) / (b - a))
            });
            entries.collect()
        });
        let pairs: Pairs = pairs.collect();
        let shapes: Vec<Shape> = gradient.iter().map(|x| x.shape().clone()).collect();
        Self::new(&pairs, &shapes, 100.0 * epsilon.powf(2.0 / 3.0))
    }
}

fn cause(
    wrong: &[(usize, (usize, f64, f64))],
    pairs: &Pairs,
    shapes: &[Shape],
    tolerance: f64,
) -> Cause {
    let size = |x: f64| tolerance * x.abs().max(f64::MIN_POSITIVE);
    if wrong.iter().all(|&(_, (_, a, b))| a.abs() <= size(b)) {
        return Cause::Missing;
    }
    if wrong.iter().all(|&(_, (_, a, b))| (a + b).abs() <= 2.0 * size(b)) {
        return Cause::Sign;
    }
    let (ab, bb) =
        wrong.iter().fold((0.0, 0.0), |(ab, bb), &(_, (_, a, b))| (ab + a * b, bb + b * b));
    let factor = ab / bb;
    let is_proportional = wrong
        .iter()
        .all(|&(_, (_, a, b))| (a - factor * b).abs() <= size(b) * factor.abs().max(1.0));
    if is_proportional && factor.is_finite() {
        return Cause::Factor(factor);
    }
    for (input, shape) in shapes.iter().enumerate() {
        let [lead @ .., rows, columns] = &shape[..] else { continue };
        let complete = pairs[input].len() == shape.elements();
        if rows != columns || !complete || !wrong.iter().any(|&(i, _)| i == input) {
            continue;
        }
        let count: usize = lead.iter().product();
        let at = |matrix: usize, i: usize, j: usize| pairs[input][(matrix * rows + i) * rows + j];
        let is_transposed = (0..count).all(|matrix| {
            (0..*rows).all(|i| {
                (0..*rows).all(|j| {
                    let (a, b) = (at(matrix, i, j).1, at(matrix, j, i).2);
                    (a - b).abs() <= 2.0 * size(b)
                })
            })
        });
        if is_transposed {
            return Cause::Transposed { input };
        }
    }
    Cause::Term
}

/// The index of an element, from its place in row-major order.
fn index_of(mut position: usize, shape: &Shape) -> Vec<usize> {
    let mut index = vec![0; shape.rank()];
    for (i, &extent) in index.iter_mut().zip(shape.iter()).rev() {
        *i = position % extent;
        position /= extent;
    }
    index
}
