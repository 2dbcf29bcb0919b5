//! Which mistake would make two gradients differ as they do.
//!
//! Each cause is a hypothesis that is tested on the numbers: all entries that are wrong must follow
//! from it, to more digits than chance would give. The first one that holds is told, the more
//! particular before the more general, and if none holds the report says no more than it knows.

use std::fmt;

use crate::Shape;

/// What the differences look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// All wrong entries have the wrong sign.
    Sign,
    /// All wrong entries are off by one factor.
    Factor(f64),
    /// The matrix of this input is the transpose of what it should be, or its elements lie column
    /// by column.
    Transposed {
        /// The input, counted from 0.
        input: usize,
    },
    /// Two inputs have each other's gradient.
    Exchanged {
        /// The inputs, counted from 0.
        inputs: [usize; 2],
    },
    /// All wrong entries are zero.
    Missing,
    /// What is missing is this multiple of the input itself.
    Penalty(f64),
    /// All wrong entries are off by the same number.
    Constant(f64),
    /// All errors are small, at most this beside the largest entry: rounding to fewer digits, or
    /// difference quotients.
    Precision(f64),
    /// A term is missing or wrong.
    Term,
    /// Forward and reverse mode differ: the op's jvp or vjp is wrong.
    Modes,
    /// The gradient is right, the second derivative is not.
    SecondOrder,
}

impl Cause {
    /// The cause in words, with names for the inputs.
    pub(super) fn describe(&self, name: impl Fn(usize) -> String) -> String {
        match self {
            Self::Sign => "sign: the gradient is -1 x what it should be".to_owned(),
            Self::Factor(factor) => {
                format!("factor: the gradient is {factor:.4} x what it should be")
            }
            Self::Transposed { input } => format!(
                "transpose: {} holds the transpose of its gradient, or its elements column by \
                 column",
                name(*input)
            ),
            Self::Exchanged { inputs: [a, b] } => {
                format!("exchange: {} has the gradient of {}, and the reverse", name(*a), name(*b))
            }
            Self::Missing => "missing term: the gradient is 0 where it should not be".to_owned(),
            Self::Penalty(factor) => format!(
                "missing term: {factor:.4} x the input itself, as of a penalty {:.4} |x|^2",
                factor / 2.0
            ),
            Self::Constant(offset) => {
                format!("constant: every wrong entry is off by {offset:.4}")
            }
            Self::Precision(error) => format!(
                "precision: errors of {error:.0e} beside the largest entry, as numbers of fewer \
                 digits or difference quotients leave them"
            ),
            Self::Term => "a term or a factor within one that is wrong or missing".to_owned(),
            Self::Modes => "forward and reverse mode disagree: a jvp or vjp is wrong".to_owned(),
            Self::SecondOrder => {
                "the gradient is right but its own derivative is not: part of a rule is not \
                 recorded, or was taken as constant"
                    .to_owned()
            }
        }
    }

    /// A word for machines to read.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Factor(_) => "factor",
            Self::Transposed { .. } => "transposed",
            Self::Exchanged { .. } => "exchanged",
            Self::Missing => "missing",
            Self::Penalty(_) => "penalty",
            Self::Constant(_) => "constant",
            Self::Precision(_) => "precision",
            Self::Term => "term",
            Self::Modes => "modes",
            Self::SecondOrder => "second order",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(|input| format!("input {}", input + 1)))
    }
}

/// Values of the entries that are compared: position within the input and the
/// two numbers, input by input.
pub(super) type Pairs = Vec<Vec<(usize, f64, f64)>>;
/// The entries that differ, each with its input.
pub(super) type Wrong = Vec<(usize, (usize, f64, f64))>;

/// Errors up to this, beside the largest entry, are those of single precision.
const SINGLE: f64 = 3e-6;

pub(super) fn cause(
    wrong: &Wrong,
    pairs: &Pairs,
    shapes: &[Shape],
    x: Option<&[Vec<f64>]>,
    magnitude: f64,
    [tolerance, absolute]: [f64; 2],
) -> Cause {
    // Beside a relative error, what rounding leaves of the largest entries.
    let slack = absolute + 0.01 * tolerance * magnitude;
    let near = |a: f64, b: f64| (a - b).abs() <= tolerance * b.abs() + slack;
    if wrong.iter().all(|&(_, (_, a, b))| a.abs() <= 0.1 * slack && !near(a, b)) {
        return Cause::Missing;
    }
    if wrong.iter().all(|&(_, (_, a, b))| near(-a, b)) {
        return Cause::Sign;
    }
    let error = wrong.iter().fold(0.0, |most: f64, &(_, (_, a, b))| most.max((a - b).abs()));
    if error <= SINGLE * magnitude {
        return Cause::Precision(error / magnitude);
    }
    if let Some(factor) = multiple(wrong.iter().map(|&(_, (_, a, b))| (a, b)), tolerance, slack) {
        return Cause::Factor(factor);
    }
    let is_wrong = |input: usize| wrong.iter().any(|&(i, _)| i == input);
    let suspects: Vec<usize> = (0..shapes.len()).filter(|&input| is_wrong(input)).collect();
    let complete = |input: usize| pairs[input].len() == shapes[input].elements();
    let transposed = suspects
        .iter()
        .copied()
        .find(|&input| complete(input) && is_transposed(&pairs[input], &shapes[input], near));
    if let Some(input) = transposed {
        return Cause::Transposed { input };
    }
    for (k, &a) in suspects.iter().enumerate() {
        for &b in &suspects[k + 1..] {
            let crossed =
                |a: usize, b: usize| pairs[a].iter().zip(&pairs[b]).all(|(p, q)| near(p.1, q.2));
            let same = shapes[a].elements() == shapes[b].elements() && complete(a) && complete(b);
            if same && crossed(a, b) && crossed(b, a) {
                return Cause::Exchanged { inputs: [a, b] };
            }
        }
    }
    if wrong.len() < 2 {
        return Cause::Term;
    }
    // What is missing: a multiple of the input itself, or one number. It is a difference of
    // numbers, and has what rounding leaves of them.
    let slack = slack + tolerance * magnitude;
    if let Some(x) = x {
        let entries = suspects.iter().flat_map(|&input| {
            pairs[input].iter().map(move |&(position, a, b)| (b - a, x[input][position]))
        });
        if let Some(factor) = multiple(entries, tolerance, slack) {
            return Cause::Penalty(factor);
        }
    }
    let offsets = wrong.iter().map(|&(_, (_, a, b))| (a - b, error));
    multiple(offsets, tolerance, slack).map_or(Cause::Term, |share| Cause::Constant(share * error))
}

/// The number by which all right sides are multiplied to give the left ones, if there is one.
fn multiple(
    pairs: impl Iterator<Item = (f64, f64)> + Clone,
    tolerance: f64,
    slack: f64,
) -> Option<f64> {
    let (ab, bb) = pairs.clone().fold((0.0, 0.0), |(ab, bb), (a, b)| (ab + a * b, bb + b * b));
    let factor = ab / bb;
    let slack = slack * factor.abs().max(1.0);
    let fits =
        |(a, b): (f64, f64)| (a - factor * b).abs() <= tolerance * (factor * b).abs() + slack;
    (factor.is_finite() && pairs.into_iter().all(fits)).then_some(factor)
}

/// Whether the matrices of the last two axes hold each other's transposes, as they lie in memory.
fn is_transposed(
    pairs: &[(usize, f64, f64)],
    shape: &Shape,
    near: impl Fn(f64, f64) -> bool,
) -> bool {
    let [.., rows, columns] = shape[..] else { return false };
    let is_one = |chunk: &[(usize, f64, f64)]| {
        (0..rows)
            .all(|i| (0..columns).all(|j| near(chunk[j * rows + i].1, chunk[i * columns + j].2)))
    };
    rows > 1 && columns > 1 && pairs.chunks(rows * columns).all(is_one)
}
