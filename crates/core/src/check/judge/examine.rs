//! The one procedure by which every derivative is judged.
//!
//! A gradient, a Jacobian, a product with either: each claims how a function moves along a
//! direction, perhaps after contraction with a cotangent. So the question is always the same, and what differs
//! is where the claim comes from and how single entries are compared once it is found wrong.

use std::iter::once;
use std::slice::from_ref;

use crate::check::evidence::cause::Cause;
use crate::check::evidence::comparison::Comparison;
use crate::check::evidence::identity::Identity;
use crate::check::evidence::options::Options;
use crate::check::evidence::problem::{Draw, Evaluate, companions, first_difference, inner};
use crate::check::evidence::rate::Rate;
use crate::check::evidence::rate::line::{Candidate, Line, Walk};
use crate::check::evidence::verdict::Verdict;
use crate::check::report::Report;
use crate::scalar::Real;
use crate::tensor::{Shape, Tensor};

/// Directions that a check looks along, beside each other: in single precision, steps resolve so
/// little that errors of several entries may cancel down to that along some of them.
const SINGLE: usize = 8;
const DOUBLE: usize = 2;

/// The two products with a Jacobian.
const VJP: &str = "J' w (vjp, reverse mode)";
const JVP: &str = "J v (jvp, forward mode)";

/// A claim of the adjoint `J' w`, one tensor for each input.
pub(in crate::check) type Adjoint<'a, T> = &'a dyn Fn(&Tensor<T>) -> Vec<Tensor<T>>;
/// A claim of the tangent `J v`.
pub(in crate::check) type Tangent<'a, T> = &'a dyn Fn(&[Tensor<T>]) -> Tensor<T>;

/// A comparison of single entries: from the largest step, a cotangent and a direction.
pub(in crate::check) type Compare<'a, T> = &'a dyn Fn(f64, &Tensor<T>, &[Tensor<T>]) -> Comparison;

/// What is in question.
pub(in crate::check) struct Question<'a, T: Real> {
    pub(in crate::check) function: &'a dyn Evaluate<T>,
    pub(in crate::check) x: &'a [Tensor<T>],
    /// The value at `x`.
    pub(in crate::check) y: &'a Tensor<T>,
    pub(in crate::check) adjoint: Option<Adjoint<'a, T>>,
    pub(in crate::check) tangent: Option<Tangent<'a, T>>,
    /// Another adjoint, whose own rate is told as well.
    pub(in crate::check) tape: Option<Adjoint<'a, T>>,
    /// Compares single entries. Steps may be no larger than the first number.
    pub(in crate::check) compare: Compare<'a, T>,
    /// Whether single entries are compared even if no direction shows an error.
    pub(in crate::check) always_compares: bool,
    /// The names of what is compared.
    pub(in crate::check) names: Vec<String>,
    /// What it is, as "hand-written gradient".
    pub(in crate::check) subject: &'static str,
    /// Whose derivative is in question.
    pub(in crate::check) suspect: &'static str,
    /// What entries are compared with.
    pub(in crate::check) trusted: &'static str,
}

/// The direction of which a report tells.
struct Told<T> {
    w: Tensor<T>,
    v: Vec<Tensor<T>>,
    /// The largest step that was taken along it.
    largest: f64,
}

/// What directions found beside the report, for those who ask on.
pub(in crate::check) struct Found<T> {
    pub(in crate::check) report: Report,
    pub(in crate::check) w: Tensor<T>,
}

impl<T: Real> Question<'_, T> {
    fn report(&self, options: &Options<'_>) -> Report {
        let shapes: Vec<_> = self.x.iter().map(|x| x.shape().to_string()).collect();
        let shapes = match &shapes[..] {
            [.., _, _, _, _] => format!(
                "{} tensors, {} elements in all,",
                shapes.len(),
                self.x.iter().map(Tensor::len).sum::<usize>()
            ),
            _ => shapes.join(", "),
        };
        let to = if self.y.len() == 1 { "a number".to_owned() } else { self.y.shape().to_string() };
        Report {
            subject: format!(
                "{} of a function from {shapes} to {to}, in {}{}",
                self.subject,
                T::NAME,
                options.mode()
            ),
            suspect: self.suspect,
            trusted: self.trusted,
            names: self.names.clone(),
            verdict: Verdict::NotFinite,
            first: None,
            second: None,
            tape: None,
            identities: Vec::new(),
            comparison: None,
            cause: None,
            culprit: None,
            note: None,
            is_beside: false,
            entries: self.x.iter().map(Tensor::len).sum(),
            directions: options.directions,
            seed: options.seed,
        }
    }

    /// Judges along random directions, and entry by entry where that is called for.
    pub(in crate::check) fn examine(&self, options: &Options<'_>) -> Found<T> {
        let mut draw = Draw::new(options.seed);
        let mut report = self.report(options);
        let found = Tensor::ones(self.y.shape());
        if let Some(note) = self.function.unrepeated(self.x, self.y) {
            report.verdict = Verdict::NotRepeatable;
            report.note = Some(note);
            return Found { report, w: found };
        }
        if let Some(y) = self.y.iter().find(|y| !y.is_finite()) {
            report.note = Some(format!("the function's value is {y}"));
            return Found { report, w: found };
        }
        if report.entries == 0 || self.y.is_empty() {
            report.verdict = Verdict::Unresolved;
            report.note = Some("there are no entries".to_owned());
            return Found { report, w: found };
        }
        let mut told: Option<Told<T>> = None;
        let mut hidden = f64::INFINITY;
        report.directions = 0;
        for direction in 0..options.directions {
            let v = draw.direction(self.x);
            let w = draw.cotangent(self.y.shape());
            let adjoint = self.adjoint.map(|adjoint| adjoint(&w));
            if direction == 0 {
                let tangent = self.tangent.map(|tangent| tangent(&v));
                let claims = (adjoint.as_deref(), tangent.as_ref());
                if let Some(note) = self.unusable(&report, claims.0, claims.1, (&w, &v)) {
                    (report.verdict, report.note) = note;
                    return Found { report, w };
                }
            }
            let claim = (&w, adjoint.as_deref());
            hidden = hidden.min(self.look_along(&v, claim, options, &mut report, &mut told));
            let tolerance = options.tolerance.max(T::epsilon().as_f64().sqrt());
            report.first.iter_mut().for_each(|first| first.among(hidden, tolerance));
        }
        let Some(told) = told else { return Found { report, w: found } };
        self.conclude(&mut report, &told, options);
        Found { report, w: told.w }
    }

    /// Looks along a direction and its companions, and keeps what is worse than before. Returns
    /// what may hide an error along all of them.
    fn look_along(
        &self,
        v: &[Tensor<T>],
        (w, adjoint): (&Tensor<T>, Option<&[Tensor<T>]>),
        options: &Options<'_>,
        report: &mut Report,
        told: &mut Option<Told<T>>,
    ) -> f64 {
        // One direction, and companions with the same numbers and other signs.
        let tape = self.tape.map(|tape| tape(w));
        let others = companions(v, if T::NAME == "f32" { SINGLE } else { DOUBLE });
        let mut first: Option<Line> = None;
        let mut errors = [Vec::new(), Vec::new()];
        for v in once(v).chain(others.iter().map(Vec::as_slice)) {
            let tangent = self.tangent.map(|tangent| tangent(v));
            if let (Some(tangent), Some(adjoint)) = (&tangent, adjoint) {
                self.compare_modes(report, options, (tangent, adjoint), (w, v));
            }
            // The function along the line, beside everything that is claimed.
            let mut candidates = Vec::new();
            candidates.extend(adjoint.map(Candidate::Gradient));
            candidates.extend(tangent.as_ref().map(|tangent| Candidate::tangent(tangent, w)));
            let own = candidates.len();
            candidates.extend(tape.as_deref().map(Candidate::Gradient));
            let walk = Walk {
                function: self.function,
                x: self.x,
                y: self.y,
                v,
                w,
                candidates: &candidates,
                tolerance: options.tolerance,
                whole: first.is_none(),
            };
            if let Some(brief) = first.as_ref().and_then(|line| walk.brief_errors(own, line)) {
                report.directions += 1;
                errors.iter_mut().zip(brief).for_each(|(errors, error)| errors.push(error));
                continue;
            }
            // The whole ladder of steps, and the worst verdict of its steps.
            let line = walk.descend();
            // Of what lies beside the point, the first direction has told.
            if first.is_some() && line.is_blocked {
                continue;
            }
            report.directions += 1;
            for (errors, (rate, note)) in errors.iter_mut().zip(self.judge(&line, own)) {
                errors.push(rate.error * rate.natural);
                let before = report.first.as_ref();
                if before.is_none_or(|first| severity(&rate) > severity(first)) {
                    report.note = note;
                    report.first = Some(rate);
                    report.tape = self.tape.map(|_| line.rate::<T>(own, None));
                    let largest = line.largest;
                    *told = Some(Told { w: w.clone(), v: v.to_vec(), largest });
                }
            }
            first.get_or_insert(line);
            if report.first.as_ref().is_some_and(|first| severity(first).0 > 2) {
                break;
            }
        }
        // What may still be hidden in all directions together.
        let Some(line) = first else { return f64::INFINITY };
        let seen = errors.iter().enumerate().filter(|(_, errors)| !errors.is_empty());
        seen.map(|(own, errors)| line.hidden(own, errors)).fold(0.0, f64::max)
    }

    /// The verdict that follows, after a comparison of single entries where that is called for.
    fn conclude(&self, report: &mut Report, told: &Told<T>, options: &Options<'_>) {
        let Some(first) = &report.first else { return };
        let is_judged = !matches!(first.verdict, Verdict::Kink | Verdict::NotFinite);
        report.verdict = match first.verdict {
            _ if is_judged && report.cause.is_some() => Verdict::Wrong,
            verdict => verdict,
        };
        let compares = self.always_compares || options.full || report.verdict == Verdict::Wrong;
        if !is_judged || !compares {
            return;
        }
        let comparison = (self.compare)(told.largest, &told.w, &told.v);
        let trusts = report.tape.as_ref().is_none_or(|tape| tape.verdict != Verdict::Wrong);
        if comparison.differing > 0 && trusts {
            report.verdict = Verdict::Wrong;
        }
        if report.verdict == Verdict::Wrong && comparison.cause.is_some() {
            report.cause.clone_from(&comparison.cause);
        }
        // What differences could not tell, exact numbers for every entry do.
        let is_told = self.always_compares && comparison.compared == comparison.entries;
        if report.verdict == Verdict::Unresolved && is_told {
            report.verdict = Verdict::RoundingFloor;
            let resolution = comparison.tolerance;
            report.first.iter_mut().for_each(|first| first.resolution = resolution);
        }
        report.comparison = Some(comparison);
    }

    /// Forward and reverse mode must give the same number.
    fn compare_modes(
        &self,
        report: &mut Report,
        options: &Options<'_>,
        (tangent, adjoint): (&Tensor<T>, &[Tensor<T>]),
        (w, v): (&Tensor<T>, &[Tensor<T>]),
    ) {
        // Steps are relative to the size of x, so a value, its slope and its
        // curvature are numbers of one kind, and what rounding leaves of the larger
        // is no error of the smaller.
        let size = inner(from_ref(w), from_ref(self.y)).1;
        let (across, back) = (inner(from_ref(w), from_ref(tangent)), inner(adjoint, v));
        let identity = Identity::new::<T>(
            ("<w, J v> forward ", across.0),
            ("<J' w, v> reverse", back.0),
            across.1 + back.1 + size,
        );
        let holds = identity.error() <= identity.tolerance.max(options.tolerance);
        if report.identities.is_empty() || !holds {
            report.identities = vec![identity];
        }
        if !holds {
            report.cause = Some(Cause::Modes);
        }
    }

    /// Judges the first `own` candidates of a line, each with what is to be said of it.
    fn judge(&self, line: &Line, own: usize) -> Vec<(Rate, Option<String>)> {
        let is_bent = !line.is_blocked && line.is_bent();
        let rates: Vec<Rate> = (0..own).map(|candidate| line.rate::<T>(candidate, None)).collect();
        let is_wrong: Vec<bool> = rates.iter().map(|rate| rate.verdict == Verdict::Wrong).collect();
        let quantised = || {
            let quantum = line.quantum?;
            Some(format!(
                "quantised: the value moves in steps of {quantum:.0e}, which hide what is smaller"
            ))
        };
        let judged = rates.into_iter().map(|mut rate| {
            let note = match rate.verdict {
                _ if is_bent => {
                    rate.verdict = Verdict::Kink;
                    Some("the function has another slope on each side of the point".to_owned())
                }
                Verdict::Kink => line.obstacle.clone(),
                Verdict::Wrong if is_wrong == [true, false] => {
                    Some(format!("{VJP} is contradicted by the function, and {JVP} is not"))
                }
                Verdict::Wrong if is_wrong == [false, true] => {
                    Some(format!("{JVP} is contradicted by the function, and {VJP} is not"))
                }
                _ => quantised(),
            };
            (rate, note)
        });
        judged.collect()
    }

    /// Why there is nothing to judge: a claim that is not finite, or not the same when it is
    /// asked again.
    fn unusable(
        &self,
        report: &Report,
        adjoint: Option<&[Tensor<T>]>,
        tangent: Option<&Tensor<T>>,
        (w, v): (&Tensor<T>, &[Tensor<T>]),
    ) -> Option<(Verdict, Option<String>)> {
        let entries = |tensors: &[Tensor<T>], what: &dyn Fn(usize) -> String| {
            tensors.iter().enumerate().find_map(|(i, tensor)| {
                let at = tensor.iter().position(|x| !x.is_finite())?;
                let value = tensor.iter().nth(at)?;
                let index = crate::check::evidence::comparison::index_of(at, tensor.shape());
                let note = format!("the derivative at {} {index:?} is {value}", what(i));
                // Of what has no derivative at the point, that is the right answer.
                let kink = self.function.kink().filter(|_| value.is_nan());
                Some(match kink {
                    Some(kink) => (Verdict::Kink, Some(format!("{note}: {kink}"))),
                    None => (Verdict::NotFinite, Some(note)),
                })
            })
        };
        let not_finite = adjoint
            .and_then(|adjoint| entries(adjoint, &|i| report.name(i)))
            .or_else(|| entries(from_ref(tangent?), &|_| "the tangent".to_owned()));
        if not_finite.is_some() {
            return not_finite;
        }
        let ask = || match (self.adjoint, self.tangent) {
            (Some(claim), _) => Some(claim(w)),
            (None, claim) => Some(vec![claim?(v)]),
        };
        let before = adjoint.or(tangent.map(from_ref))?;
        let again = ask()?;
        let (a, b) = before.iter().zip(&again).find_map(|(a, b)| first_difference(a, b))?;
        let third = ask()?;
        let sums = before
            .iter()
            .zip(&again)
            .zip(&third)
            .flat_map(|((a, b), c)| a.iter().zip(b.iter()).zip(c.iter()).collect::<Vec<_>>());
        let grows = |((a, b), c): ((T, T), T)| {
            let (first, second) = ((b - a).as_f64(), (c - b).as_f64());
            (first - second).abs() <= 1e3 * T::epsilon().as_f64() * c.as_f64().abs()
        };
        let hint = match sums.into_iter().all(grows) {
            true => ": every call adds as much, as to a sum that is not cleared between calls",
            false => "",
        };
        let note = format!("the derivative was {a} and, asked again at the same point, {b}{hint}");
        Some((Verdict::NotRepeatable, Some(note)))
    }
}

/// What of two findings is told.
fn severity(rate: &Rate) -> (u8, f64) {
    let rank = match rate.verdict {
        Verdict::Right => 1,
        Verdict::RoundingFloor => 0,
        Verdict::Unresolved => 2,
        Verdict::Kink | Verdict::NotFinite | Verdict::NotRepeatable => 3,
        Verdict::Wrong => 4,
    };
    (rank, if rate.verdict == Verdict::Wrong { rate.error } else { 0.0 })
}

/// `J' w` of a matrix: of the value's shape followed by the input's.
pub(in crate::check) fn against_matrix<T: Real>(
    w: &Tensor<T>,
    matrix: &Tensor<T>,
    x: &Tensor<T>,
) -> Tensor<T> {
    let (columns, rows) = (x.len(), matrix.to_vec());
    let mut sums = vec![0.0; columns];
    for (w, row) in w.iter().zip(rows.chunks(columns.max(1))) {
        for (sum, entry) in sums.iter_mut().zip(row) {
            *sum += w.as_f64() * entry.as_f64();
        }
    }
    Tensor::from_fn(x.shape(), |i| T::from_f64(sums[i]))
}

/// `J v` of one matrix for each input.
pub(in crate::check) fn along_matrix<T: Real>(
    matrices: &[Tensor<T>],
    v: &[Tensor<T>],
    shape: &Shape,
) -> Tensor<T> {
    let mut sums = vec![0.0; shape.elements()];
    for (matrix, v) in matrices.iter().zip(v) {
        let (rows, v) = (matrix.to_vec(), v.to_vec());
        for (sum, row) in sums.iter_mut().zip(rows.chunks(v.len().max(1))) {
            *sum += row.iter().zip(&v).map(|(a, b)| a.as_f64() * b.as_f64()).sum::<f64>();
        }
    }
    Tensor::from_fn(shape, |i| T::from_f64(sums[i]))
}
