//! Is a derivative right?
//!
//! A check compares a derivative with what the function itself does nearby. It
//! looks not at one difference quotient but at the *rate* at which the remainder
//! of Taylor's formula falls with the step, which separates an error of a few per
//! cent in one term from a strongly curved function. Beside that, forward and
//! reverse mode must give the same number, and so must two ways to the second
//! derivative. All directions and cotangents are random, and repeat.
//!
//! - [`gradient`]: the tape's derivatives of a function
//! - [`against`]: a gradient written by hand
//! - [`op`]: an op of one's own, on all of its samples
//! - [`ops`]: all ops of the [registry](crate::op::registry)
//!
//! ```
//! use wengert_core::{Tensor, check};
//!
//! let x = Tensor::from([0.5, -1.0]);
//! check::gradient(|x| (x.sin() * x).sum(), &x).assert();
//!
//! let report = check::against(|x| (x * x).sum(), |x| x.map(|x| -2.0 * x), &x);
//! assert!(!report.is_right());
//! assert!(report.to_string().contains("likely cause: sign"));
//! ```
//!
//! *Invariant*: a check uses what every user can use: it records, sweeps, and
//! evaluates elsewhere. It knows no op by name.

mod adjoint;
mod case;
mod conditions;
mod diagnosis;
mod harness;
mod layouts;
mod problem;
mod report;
mod stacked;
mod taylor;

use crate::op::{Operation, SampleSet};
use crate::transform::{Function, Inputs};
use crate::{Real, Tape, Tensor, Var};

pub use adjoint::Identity;
pub use diagnosis::{Cause, Comparison, Entry};
pub use harness::{Finding, OpReport};
pub use report::{Report, Verdict};
pub use taylor::{Rate, Rung};

use problem::{Draw, Kinks, Problem, inner};
use taylor::{Candidate, Walk};

/// Checks the tape's derivatives of a function at `x`: the gradient by its rate,
/// forward against reverse mode, and the second derivative.
///
/// The function's value may have any shape; it is contracted with a random
/// cotangent. For `f32` the differences are taken in `f32`, and a report says how
/// small an error they can show.
///
/// ```
/// use wengert_core::{Tensor, check};
///
/// let (w, b) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([0.1, 0.2]));
/// check::gradient(|[w, b]| (w.matmul(b) + b).tanh(), [&w, &b]).assert();
/// ```
pub fn gradient<T: Real, I: Inputs<T>>(f: impl for<'t> Function<'t, T, I>, x: I) -> Report {
    Options::default().gradient(f, x)
}

/// Checks a gradient of a scalar function that was written by hand: by its rate,
/// and entry by entry against the tape's.
///
/// ```
/// use wengert_core::{Tensor, check};
///
/// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
/// check::against(|x| (x * x).sum(), |x| x.map(|x| 2.0 * x), &x).assert();
/// ```
///
/// # Panics
/// If the gradient has another shape than `x`, or the function's value more than
/// one element.
#[track_caller]
pub fn against<T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
    by_hand: impl FnOnce(I) -> I::Tensors,
    x: I,
) -> Report {
    Options::default().against(f, by_hand, x)
}

/// Checks an op of any family on all of its samples. The parameters are those of
/// the samples.
///
/// What it checks: the shape rule and the evaluation, forward against reverse
/// mode, the rates of both, second derivatives in all four orders of the modes,
/// one operand in two places, operands that are transposed, sliced, reversed or
/// stretched views, recorded against fast sweeps, `f32` against `f64`, the error
/// samples, and that no class of shapes is left out.
///
/// ```
/// use wengert_core::{check, op::Sin};
///
/// check::op(Sin).assert();
/// ```
pub fn op<O, Family>(op: O) -> OpReport
where
    O: Operation<f64, Family> + Operation<f32, Family>,
{
    let _ = op;
    let singles = <O as Operation<f32, Family>>::sample_set();
    samples(&<O as Operation<f64, Family>>::sample_set(), Some(&singles))
}

/// Checks an op, as [`op`] does, on given samples; with the same
/// samples in single precision, also `f32` against `f64`.
pub fn samples(samples: &SampleSet<f64>, singles: Option<&SampleSet<f32>>) -> OpReport {
    harness::run(samples, singles, Options::default().seed)
}

/// Checks all ops of the [registry](crate::op::registry).
// Inline, so that all ops in both precisions are compiled where they are asked for
// and not in every build of this crate, which they would make several times longer.
#[inline]
pub fn ops() -> Vec<OpReport> {
    let singles = crate::op::registry::ops::<f32>();
    let entries = crate::op::registry::ops::<f64>().into_iter().zip(&singles);
    entries.map(|(entry, single)| samples(&entry.samples, Some(&single.samples))).collect()
}

/// How to check.
///
/// ```
/// use wengert_core::{Tensor, check};
///
/// let x = Tensor::from([1.0_f32, 2.0]);
/// check::Options::default().seed(7).gradient(|x| x.exp().sum(), &x).assert();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Options {
    seed: u64,
    second_order: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1964, second_order: true }
    }
}

impl Options {
    /// The seed of all random directions and cotangents.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Leaves out the second derivative, which costs a few gradients.
    pub fn first_order(self) -> Self {
        Self { second_order: false, ..self }
    }

    /// As [`check::gradient`](gradient).
    pub fn gradient<T: Real, I: Inputs<T>>(
        self,
        f: impl for<'t> Function<'t, T, I>,
        x: I,
    ) -> Report {
        let mut values = Vec::new();
        x.values(&mut values);
        let record = recorder(|_, vars| f(I::unflatten(&mut vars.iter().copied())));
        self.examine(&Problem::new(&record, values), None)
    }

    /// As [`check::against`](against).
    ///
    /// # Panics
    /// If the gradient has another shape than `x`, or the function's value more
    /// than one element.
    #[track_caller]
    pub fn against<T: Real, I: Inputs<T>>(
        self,
        f: impl for<'t> Function<'t, T, I>,
        by_hand: impl FnOnce(I) -> I::Tensors,
        x: I,
    ) -> Report {
        let mut values = Vec::new();
        x.values(&mut values);
        let mut gradient = Vec::new();
        I::flatten_tensors(by_hand(x), &mut gradient);
        for (i, (g, x)) in gradient.iter().zip(&values).enumerate() {
            let (own, given) = (g.shape(), x.shape());
            assert!(
                own == given,
                "the hand-written gradient of input {} has shape {own}, the input {given}",
                i + 1
            );
        }
        let record = recorder(|_, vars| f(I::unflatten(&mut vars.iter().copied())));
        self.examine(&Problem::new(&record, values), Some(&gradient))
    }

    /// Checks the tape's derivatives, and a gradient by hand if there is one.
    #[track_caller]
    fn examine<T: Real>(self, problem: &Problem<'_, T>, by_hand: Option<&[Tensor<T>]>) -> Report {
        let mut draw = Draw::new(self.seed);
        let tape = Tape::new();
        let (vars, y) = problem.record(&tape);
        assert!(
            by_hand.is_none() || y.elements() == 1,
            "a gradient belongs to a single number, and the function's value is {}",
            y.describe()
        );
        let (value, kinks) = (y.value(), Kinks::of(y));
        let (v, u) = (draw.direction(&problem.x), draw.direction(&problem.x));
        let w = match y.elements() {
            1 => Tensor::ones(y.shape()),
            _ => draw.signed(&y.shape(), 1.0),
        };
        let derivatives = Derivatives::of(&vars, y, &w, [&v, &u], self.second_order);
        let Derivatives { gradient, tangent, .. } = &derivatives;

        let suspect = by_hand.unwrap_or(gradient);
        let mut report = Report {
            subject: subject(&problem.x, &value, by_hand.is_some()),
            suspect: if by_hand.is_some() { "hand-written" } else { "tape" },
            trusted: if by_hand.is_some() { "tape" } else { "difference quotient" },
            verdict: Verdict::NotFinite,
            first: None,
            second: None,
            tape: None,
            identities: Vec::new(),
            comparison: None,
            cause: None,
            note: None,
            seed: self.seed,
        };
        let mut numbers = value.iter().chain(suspect.iter().flat_map(Tensor::iter));
        if !numbers.all(|x| x.is_finite()) {
            report.note = tape.first_non_finite();
            return report;
        }
        let across = inner(std::slice::from_ref(&w), std::slice::from_ref(tangent));
        let back = inner(gradient, &v);
        // Steps are relative to the size of x, so a value, its slope and its
        // curvature are numbers of one kind, and what rounding leaves of the larger
        // is no error of the smaller.
        let size = inner(std::slice::from_ref(&w), std::slice::from_ref(&value)).1;
        report.identities.push(Identity::new::<T>(
            ("<w, J v> forward ", across.0),
            ("<J' w, v> reverse", back.0),
            across.1 + back.1 + size,
        ));

        let candidates = [Candidate::Gradient(suspect), Candidate::Gradient(gradient)];
        let (kinks, y) = (&kinks, &value);
        let walk = Walk { problem, tape: &tape, kinks, y, v: &v, w: &w, candidates: &candidates };
        let line = walk.descend();
        let first = line.rate::<T>(0, None);
        let own = line.rate::<T>(1, None);
        if first.verdict == Verdict::Kink {
            report.note.clone_from(&line.obstacle);
        }
        report.verdict = first.verdict;
        if by_hand.is_some() {
            let comparison = Comparison::of(suspect, gradient);
            if comparison.differing > 0 && own.verdict != Verdict::Wrong {
                report.verdict = Verdict::Wrong;
                report.cause.clone_from(&comparison.cause);
            }
            report.comparison = Some(comparison);
            report.tape = Some(own.clone());
        } else if first.verdict == Verdict::Wrong {
            let comparison = Comparison::with_differences(problem, &w, gradient, line.largest);
            report.cause.clone_from(&comparison.cause);
            report.comparison = Some(comparison);
        }
        report.first = Some(first);
        if !report.identities[0].holds() {
            report.verdict = Verdict::Wrong;
            report.cause = report.cause.take().or(Some(Cause::Modes));
        }
        if let Some(bend) =
            derivatives.bend.filter(|_| report.is_right() && own.verdict != Verdict::Wrong)
        {
            let second = line.rate::<T>(1, Some((bend.along, bend.scale)));
            let ways = Identity::new::<T>(
                ("<u, H v> forward over reverse", bend.across),
                ("<v, H u> reverse over reverse", bend.back),
                bend.scale + back.1 + size,
            );
            if second.verdict == Verdict::Wrong || !ways.holds() {
                report.verdict = Verdict::Wrong;
                report.cause = Some(Cause::SecondOrder);
            }
            report.second = Some(second);
            report.identities.push(ways);
        }
        report
    }
}

/// What the tape says about a function contracted with a cotangent `w`.
struct Derivatives<T> {
    gradient: Vec<Tensor<T>>,
    tangent: Tensor<T>,
    bend: Option<Bend>,
}

/// Products with the Hessian of `<w, f>`.
#[derive(Clone, Copy)]
struct Bend {
    /// `<v, H v>`.
    along: f64,
    /// `<u, H v>`, by the forward sweep of a reverse one.
    across: f64,
    /// `<v, H u>`, by the reverse sweep of a reverse one.
    back: f64,
    /// The sum of the absolute terms.
    scale: f64,
}

impl<T: Real> Derivatives<T> {
    fn of<'t>(
        vars: &[Var<'t, T>],
        y: Var<'t, T>,
        w: &Tensor<T>,
        [v, u]: [&[Tensor<T>]; 2],
        second_order: bool,
    ) -> Self {
        let tape = y.tape();
        let constants =
            |xs: &[Tensor<T>]| -> Vec<Var<'t, T>> { xs.iter().map(|x| tape.constant(x)).collect() };
        let values = |vars: &[Var<'t, T>]| vars.iter().map(|var| var.value()).collect::<Vec<_>>();
        let tangents: Vec<_> = vars.iter().copied().zip(constants(v)).collect();
        let gradient = y.vjp(tape.constant(w), vars);
        let tangent = tape.without_gradients(|| y.jvp(&tangents)).value();
        let bend = second_order.then(|| {
            let forward: Vec<Tensor<T>> = tape
                .without_gradients(|| gradient.iter().map(|g| g.jvp(&tangents).value()).collect());
            let products = gradient.iter().zip(constants(u)).map(|(&g, u)| (g * u).sum());
            let back = match products.reduce(|a, b| a + b) {
                Some(slope) => {
                    tape.without_gradients(|| values(&slope.vjp(tape.constant(T::one()), vars)))
                }
                None => Vec::new(),
            };
            let (along, size) = inner(&forward, v);
            let (across, across_size) = inner(&forward, u);
            let (back, back_size) = inner(&back, v);
            Bend { along, across, back, scale: size + across_size + back_size }
        });
        Self { gradient: values(&gradient), tangent, bend }
    }
}

/// What is checked, in words.
fn subject<T: Real>(x: &[Tensor<T>], y: &Tensor<T>, by_hand: bool) -> String {
    let shapes: Vec<_> = x.iter().map(|x| x.shape().to_string()).collect();
    let of = if by_hand { "hand-written gradient" } else { "derivatives" };
    let to = if y.len() == 1 { "a number".to_owned() } else { y.shape().to_string() };
    format!("{of} of a function from {} to {to}, in {}", shapes.join(", "), T::NAME)
}

/// Tells the compiler that a closure works for tapes of any lifetime.
fn recorder<T: Real, F>(f: F) -> F
where
    F: for<'t> Fn(&'t Tape<T>, &[Var<'t, T>]) -> Var<'t, T>,
{
    f
}
