//! Which mistake would make two gradients differ as they do.
//!
//! Each cause is a hypothesis that is tested on the numbers: all entries that are wrong must follow
//! from it, to more digits than chance would give. The first one that holds is told, the more
//! particular before the more general, and if none holds the report says no more than it knows.

use std::fmt;

use crate::tensor::Shape;

/// What the differences look like.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
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
    /// What is missing, or if negative too much, is this multiple of the input itself, in the entries
    /// that are wrong.
    Penalty(f64),
    /// All but such a multiple, which is right, is off by one factor.
    Beside {
        /// The factor of all else.
        factor: f64,
        /// The multiple of the input.
        penalty: f64,
    },
    /// The elements of this input lie in the reverse order.
    Reversed {
        /// The input, counted from 0.
        input: usize,
    },
    /// All wrong entries are off by the same number.
    Constant(f64),
    /// All errors are small, at most this beside the largest entry: rounding to fewer digits, or
    /// difference quotients.
    Precision(f64),
    /// None of the others: a term, or a factor within one, is missing or wrong.
    Term,
    /// Forward and reverse mode differ: the op's jvp or vjp is wrong.
    Modes,
    /// The gradient is right, the second derivative is not.
    SecondOrder,
}

impl Cause {
    /// The cause in words, of a gradient or another derivative, with names for the inputs.
    pub(in crate::check) fn describe(&self, what: &str, name: impl Fn(usize) -> String) -> String {
        match self {
            Self::Sign => format!("sign: the {what} is -1 x what it should be"),
            Self::Factor(factor) => {
                format!("factor: the {what} is {factor:.4} x what it should be")
            }
            Self::Transposed { input } => format!(
                "transpose: {} holds the transpose of its gradient, or its elements column by \
                 column",
                name(*input)
            ),
            Self::Exchanged { inputs: [a, b] } => {
                format!("exchange: {} has the gradient of {}, and the reverse", name(*a), name(*b))
            }
            Self::Missing => format!("missing term: the {what} is 0 where it should not be"),
            Self::Penalty(factor) if *factor < 0.0 => format!(
                "excess term: {:.4} x the input itself, as of a penalty {:.4} |x|^2 that is \
                 counted twice or not in the function",
                -factor,
                -factor / 2.0
            ),
            Self::Penalty(factor) => format!(
                "missing term: {factor:.4} x the input itself, as of a penalty {:.4} |x|^2",
                factor / 2.0
            ),
            Self::Beside { factor, penalty } => format!(
                "factor: all but a penalty {:.4} |x|^2 is {factor:.4} x what it should be",
                penalty / 2.0
            ),
            Self::Reversed { input } => format!(
                "order: {} holds its gradient in the reverse order, as of a filter that is turned",
                name(*input)
            ),
            Self::Constant(offset) => {
                format!("constant: every wrong entry is off by {offset:.4}")
            }
            Self::Precision(error) => format!(
                "precision: errors of {error:.0e} beside the largest entry, as numbers of fewer \
                 digits, difference quotients or a small term leave them"
            ),
            Self::Term => {
                "unexplained: the errors fit no simple mistake (sign, factor, transpose, \
                           exchange, order, penalty, constant)"
                    .to_owned()
            }
            Self::Modes => {
                "modes: forward and reverse mode disagree, so a jvp or vjp is wrong".to_owned()
            }
            Self::SecondOrder => {
                "the gradient is right but its own derivative is not: part of a rule is not \
                 recorded, or was taken as constant"
                    .to_owned()
            }
        }
    }

    /// A word for machines to read.
    pub(in crate::check) fn kind(&self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Factor(_) => "factor",
            Self::Transposed { .. } => "transposed",
            Self::Exchanged { .. } => "exchanged",
            Self::Missing => "missing",
            Self::Penalty(_) => "penalty",
            Self::Beside { .. } => "beside a penalty",
            Self::Reversed { .. } => "reversed",
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
        f.write_str(&self.describe("gradient", |input| format!("input {}", input + 1)))
    }
}

/// Values of the entries that are compared: position within the input and the
/// two numbers, input by input.
pub(in crate::check) type Pairs = Vec<Vec<(usize, f64, f64)>>;
/// The entries that differ, each with its input.
pub(in crate::check) type Wrong = Vec<(usize, (usize, f64, f64))>;

/// Errors up to this, beside the largest entry, are those of single precision.
const SINGLE: f64 = 3e-6;
/// By chance, a hypothesis fits this rarely.
const CHANCE: f64 = 1e-3;
/// Whole numbers that a single entry may be off by.
const WHOLE: f64 = 100.0;
/// Entries that are tried as those that a penalty spares.
const SPARED: usize = 50;

pub(in crate::check) fn cause(
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
    let error = wrong.iter().fold(0.0, |most: f64, &(_, (_, a, b))| most.max((a - b).abs()));
    // The share of an error that may be one of the numbers it is seen by: what an entry fits by
    // chance. A hypothesis with unknowns needs as many entries more.
    let (errors, doubts) = wrong.iter().fold((0.0, 0.0), |(errors, doubts), &(_, (_, a, b))| {
        (errors + (a - b).abs(), doubts + tolerance * b.abs() + slack)
    });
    let share = (doubts / errors).min(1.0);
    let is_evident = |equations: usize, unknowns: usize| {
        equations > unknowns && share.powi((equations - unknowns) as i32) <= CHANCE
    };
    let count = wrong.len();
    let entries = || wrong.iter().map(|&(_, (_, a, b))| (a, b));
    if entries().all(|(a, b)| near(-a, b)) {
        return Cause::Sign;
    }
    if error <= SINGLE * magnitude {
        return Cause::Precision(error / magnitude);
    }
    if let Some(factor) = multiple(entries(), tolerance, slack) {
        if is_evident(count, 1) {
            return Cause::Factor(factor);
        }
        if let Some(plain) = plain(factor, tolerance) {
            return Cause::Factor(plain);
        }
    }
    if let Some(cause) = rearranged(wrong, pairs, shapes, near).filter(|_| is_evident(count, 0)) {
        return cause;
    }
    // What is missing: a multiple of the input itself, or one number. It is a difference of
    // numbers, and has what rounding leaves of them.
    let slack = slack + tolerance * magnitude;
    if let Some(x) = x {
        let points: Vec<Point> = wrong
            .iter()
            .map(|&(input, (place, g, right))| Point { g, right, x: x[input][place] })
            .collect();
        let missing = points.iter().map(|p| (p.right - p.g, p.x));
        if let Some(factor) = multiple(missing, tolerance, slack).filter(|_| is_evident(count, 1)) {
            return Cause::Penalty(factor);
        }
        if is_evident(count, 2)
            && let Some([factor, penalty]) = beside(&points, tolerance, slack)
        {
            return Cause::Beside { factor, penalty };
        }
    }
    let offsets = entries().map(|(a, b)| (a - b, error));
    multiple(offsets, tolerance, slack)
        .filter(|_| is_evident(count, 1))
        .map_or(Cause::Term, |share| Cause::Constant(share * error))
}

/// A factor that one entry is enough for: 2, 1/2, or a whole number or a part by one.
fn plain(factor: f64, tolerance: f64) -> Option<f64> {
    let near = |whole: f64, x: f64| (x - whole).abs() <= tolerance.min(CHANCE) * whole;
    let limit = if tolerance < 1e-2 * CHANCE { WHOLE } else { 2.0 };
    let whole = |x: f64| (2.0..=limit + 0.5).contains(&x.round()) && near(x.round(), x);
    match factor {
        _ if whole(factor) => Some(factor.round()),
        _ if whole(1.0 / factor) => Some(1.0 / (1.0 / factor).round()),
        _ => None,
    }
}

/// Whether the right numbers stand in other places.
fn rearranged(
    wrong: &Wrong,
    pairs: &Pairs,
    shapes: &[Shape],
    near: impl Fn(f64, f64) -> bool + Copy,
) -> Option<Cause> {
    let is_wrong = |input: usize| wrong.iter().any(|&(i, _)| i == input);
    let complete = |input: usize| pairs[input].len() == shapes[input].elements();
    let suspects: Vec<usize> =
        (0..shapes.len()).filter(|&input| is_wrong(input) && complete(input)).collect();
    for &input in &suspects {
        if is_transposed(&pairs[input], &shapes[input], near) {
            return Some(Cause::Transposed { input });
        }
        let reverse = pairs[input].iter().rev();
        if pairs[input].iter().zip(reverse).all(|(p, q)| near(p.1, q.2)) {
            return Some(Cause::Reversed { input });
        }
    }
    let crossed = |a: usize, b: usize| pairs[a].iter().zip(&pairs[b]).all(|(p, q)| near(p.1, q.2));
    suspects.iter().enumerate().find_map(|(k, &a)| {
        let exchanged = |&&b: &&usize| {
            let same = shapes[a].elements() == shapes[b].elements();
            same && crossed(a, b) && crossed(b, a)
        };
        let &b = suspects[k + 1..].iter().find(exchanged)?;
        Some(Cause::Exchanged { inputs: [a, b] })
    })
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

/// An entry that is wrong: what was claimed, what is right, and the input there.
struct Point {
    g: f64,
    right: f64,
    x: f64,
}

/// `a` and `p` of `g = a (right - p x) + p x`: all but a penalty is off by a factor. The penalty
/// may spare some entries, such as a bias: there `g = a right`.
fn beside(points: &[Point], tolerance: f64, slack: f64) -> Option<[f64; 2]> {
    let solved = |points: &[&Point], factor: f64| {
        let rest = points.iter().map(|p| (p.g - factor * p.right, p.x));
        multiple(rest, tolerance, slack * factor.abs().max(1.0))
    };
    let all: Vec<&Point> = points.iter().collect();
    // Least squares of g = a right + b x.
    let (mut rr, mut rx, mut xx, mut gr, mut gx) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for Point { g, right, x } in points {
        rr += right * right;
        rx += right * x;
        xx += x * x;
        gr += g * right;
        gx += g * x;
    }
    let fitted = (gr * xx - gx * rx) / (rr * xx - rx * rx);
    let whole = solved(&all, fitted).map(|b| [fitted, b]);
    let spared = || {
        points.iter().take(SPARED).find_map(|spared| {
            let factor = spared.g / spared.right;
            let room = slack * factor.abs().max(1.0);
            let is_spared = |p: &&Point| {
                (p.g - factor * p.right).abs() <= tolerance * (factor * p.right).abs() + room
            };
            let (few, most): (Vec<&Point>, Vec<&Point>) = points.iter().partition(is_spared);
            // Two unknowns, and as many entries to confirm them.
            let is_fair = 2 * few.len() < most.len() && most.len() > 2;
            Some([factor, solved(&most, factor).filter(|_| is_fair)?])
        })
    };
    let [factor, b] = whole.or_else(spared)?;
    let is_factor = factor.is_finite() && (factor - 1.0).abs() > tolerance;
    is_factor.then(|| [factor, b / (1.0 - factor)])
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
