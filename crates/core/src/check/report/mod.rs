//! What a check found, in an order in which one wants to read it: the verdict, the
//! likely cause, where, and then the evidence.
//!
//! The first three lines are to lead to the mistake by themselves; a table that nobody reads to its
//! end is no evidence.

use std::fmt;

mod picture;

use super::evidence::cause::Cause;
use super::evidence::comparison::{Comparison, Entry, Part};
use super::evidence::identity::Identity;
use super::evidence::rate::{Rate, Rung};
use super::evidence::verdict::Verdict;
use crate::json::Json;
use crate::trace::number;

/// The resolution that a part of a gradient must have beside the whole.
const BESIDE: f64 = 1e-2;

/// What a check of a derivative found.
///
/// `Display` is meant to be read, [`to_json`](Self::to_json) for machines, and
/// [`to_svg`](Self::to_svg) draws the error against the size of the step;
/// [`assert`](Self::assert) panics with what `Display` says.
#[derive(Clone, Debug)]
#[must_use = "a report says whether the derivative is right: `assert` it, or ask `is_right`"]
#[non_exhaustive]
pub struct Report {
    pub(in crate::check) subject: String,
    /// Whose derivative is in question: "tape", "hand-written" or "in f32".
    pub(in crate::check) suspect: &'static str,
    /// What entries are compared with: "difference quotient", "complex step" or "tape".
    pub(in crate::check) trusted: &'static str,
    /// The names of the inputs.
    pub(in crate::check) names: Vec<String>,
    pub(in crate::check) verdict: Verdict,
    pub(in crate::check) first: Option<Rate>,
    pub(in crate::check) second: Option<Rate>,
    /// The rate of the tape's own gradient, where another one is in question.
    pub(in crate::check) tape: Option<Rate>,
    pub(in crate::check) identities: Vec<Identity>,
    pub(in crate::check) comparison: Option<Comparison>,
    pub(in crate::check) cause: Option<Cause>,
    /// The operation whose rule is wrong.
    pub(in crate::check) culprit: Option<String>,
    pub(in crate::check) note: Option<String>,
    /// Whether errors are relative to the gradient of more than this function's inputs.
    pub(in crate::check) is_beside: bool,
    /// The number of elements of all inputs.
    pub(in crate::check) entries: usize,
    pub(in crate::check) directions: usize,
    pub(in crate::check) seed: u64,
}

impl Report {
    /// What the check concludes.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether the derivative is right, as far as rounding can tell.
    pub fn is_right(&self) -> bool {
        self.verdict.is_right()
    }

    /// The rate at which the remainder of the gradient falls.
    pub fn rate(&self) -> Option<&Rate> {
        self.first.as_ref()
    }

    /// The rate of the remainder with the Hessian's term.
    pub fn second_order_rate(&self) -> Option<&Rate> {
        self.second.as_ref()
    }

    /// Numbers that were computed in two ways.
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// The entries that are wrong, if some are.
    pub fn comparison(&self) -> Option<&Comparison> {
        self.comparison.as_ref()
    }

    /// The likely cause, if the derivative is wrong.
    pub fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// The operation whose rule is wrong, with the line that recorded it, if the derivatives are
    /// the tape's.
    pub fn culprit(&self) -> Option<&str> {
        self.culprit.as_deref()
    }

    /// Stops with the report unless the derivative is right.
    ///
    /// # Panics
    /// If it is wrong or could not be judged.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.is_right(), "{self}");
    }

    /// The error against the size of the step, as an SVG image: how a difference quotient comes
    /// closer to the derivative in question as its step gets smaller, until rounding takes over.
    /// Of a wrong derivative it keeps a distance. `None` if no step could be taken.
    pub fn to_svg(&self) -> Option<String> {
        picture::draw(self.first.as_ref()?, self.verdict, &self.subject)
    }

    /// The report as a line of JSON.
    ///
    /// ```
    /// # use wengert_core::{Tensor, check};
    /// let report = check::gradient(|x| x.exp().sum(), &Tensor::from([0.5, 1.0]));
    /// assert!(report.to_json().starts_with(r#"{"verdict":"right","subject":"#));
    /// ```
    pub fn to_json(&self) -> String {
        self.json().write()
    }

    /// The error of the gradient, `|g - g*| / |g*|`, once entries are known, and else what shows
    /// along a direction.
    pub(in crate::check) fn error(&self, rate: &Rate) -> f64 {
        self.comparison.as_ref().map_or(rate.error, |comparison| comparison.error)
    }

    /// A gradient that is too small to be judged by itself is judged beside another one, of which it
    /// is a part: one that is 0 but for rounding, as that of a bias before a normalisation.
    pub(in crate::check) fn beside(&mut self, whole: &Report) {
        let (Some(own), Some(whole)) = (&mut self.first, &whole.first) else { return };
        let resolution = own.resolution * own.natural / whole.natural;
        if self.verdict == Verdict::Unresolved && resolution <= BESIDE {
            (own.resolution, own.natural) = (resolution, whole.natural);
            own.verdict = Verdict::RoundingFloor;
            self.verdict = Verdict::RoundingFloor;
            self.is_beside = true;
        }
    }

    pub(in crate::check) fn json(&self) -> Json {
        // The parts.
        let rung = |rung: Rung| {
            let Rung { h, remainder, floor } = rung;
            Json::List([h, remainder, floor].map(Json::Number).into())
        };
        let rate = |rate: &Rate| {
            Json::Object(vec![
                ("verdict", Json::text(rate.verdict.headline())),
                ("order", Json::Count(rate.order as usize)),
                ("slope", Json::option(rate.slope, Json::Number)),
                ("relative_error", Json::Number(rate.error)),
                ("resolution", Json::Number(rate.resolution)),
                ("best_step", Json::option(rate.best_step(), Json::Number)),
                ("natural", Json::Number(rate.natural)),
                ("h_remainder_floor", Json::list(rate.rungs.iter().copied(), rung)),
                ("below_the_floor", Json::list(rate.tail.iter().copied(), rung)),
            ])
        };
        let identity = |identity: &Identity| {
            Json::Object(vec![
                ("left", Json::text(identity.left_name.trim())),
                ("left_value", Json::Number(identity.left)),
                ("right", Json::text(identity.right_name.trim())),
                ("right_value", Json::Number(identity.right)),
                ("relative_difference", Json::Number(identity.error())),
                ("holds", Json::Bool(identity.holds())),
            ])
        };
        let entry = |entry: &Entry| {
            Json::Object(vec![
                ("input", Json::text(self.name(entry.input))),
                ("index", Json::list(entry.index.iter().copied(), Json::Count)),
                ("suspect", Json::Number(entry.suspect)),
                ("trusted", Json::Number(entry.trusted)),
            ])
        };
        let comparison = |comparison: &Comparison| {
            let part = |(input, part): (usize, &Part)| {
                Json::Object(vec![
                    ("input", Json::text(self.name(input))),
                    ("entries", Json::Count(part.entries)),
                    ("compared", Json::Count(part.compared)),
                    ("differing", Json::Count(part.differing)),
                ])
            };
            Json::Object(vec![
                ("entries", Json::Count(comparison.entries)),
                ("compared", Json::Count(comparison.compared)),
                ("differing", Json::Count(comparison.differing)),
                ("relative_error", Json::Number(comparison.error)),
                ("inputs", Json::list(comparison.parts.iter().enumerate(), part)),
                ("worst", Json::list(&comparison.worst, entry)),
            ])
        };
        // The whole.
        let text = |text: &String| Json::text(text);
        Json::Object(vec![
            ("verdict", Json::text(self.verdict.headline())),
            ("subject", Json::text(&self.subject)),
            ("suspect", Json::text(self.suspect)),
            ("trusted", Json::text(self.trusted)),
            ("cause", Json::option(self.cause.as_ref(), |cause| Json::text(cause.kind()))),
            ("cause_in_words", Json::option(self.described_cause(), Json::Text)),
            ("culprit", Json::option(self.culprit.as_ref(), text)),
            ("note", Json::option(self.note.as_ref(), text)),
            ("rate", Json::option(self.first.as_ref(), rate)),
            ("second_order_rate", Json::option(self.second.as_ref(), rate)),
            ("identities", Json::list(&self.identities, identity)),
            ("comparison", Json::option(self.comparison.as_ref(), comparison)),
            ("not_checked", Json::list(self.unchecked(), Json::Text)),
            ("directions", Json::Count(self.directions)),
            ("seed", Json::Count(self.seed as usize)),
        ])
    }

    pub(in crate::check) fn name(&self, input: usize) -> String {
        if let Some(of) = self.comparison.as_ref().and_then(|comparison| comparison.of) {
            return of.to_owned();
        }
        self.names.get(input).cloned().unwrap_or_else(|| format!("input {}", input + 1))
    }

    pub(in crate::check) fn described_cause(&self) -> Option<String> {
        let cause = self.cause.as_ref()?;
        let what = self.comparison.as_ref().and_then(|comparison| comparison.of);
        let text = cause.describe(what.unwrap_or("gradient"), |input| self.name(input));
        Some(text + &self.extent(cause))
    }

    /// Which inputs share a term that is wrong, where that says where to look.
    fn extent(&self, cause: &Cause) -> String {
        let Some(comparison) = self.comparison.as_ref().filter(|_| *cause == Cause::Term) else {
            return String::new();
        };
        let parts = || comparison.parts.iter().filter(|part| part.compared > 0);
        let wrong = parts().filter(|part| 2 * part.differing > part.compared).count();
        match parts().count() {
            0 | 1 => String::new(),
            count if wrong == count => {
                "; it lies in what all inputs share: the end of the function, where its derivative \
                 begins"
                    .to_owned()
            }
            _ if wrong > 1 => "; it lies in what the wrong inputs share".to_owned(),
            _ => String::new(),
        }
    }

    /// What the check did not look at, in words.
    pub fn unchecked(&self) -> Vec<String> {
        let mut list = Vec::new();
        if self.first.is_none() {
            return vec!["the derivative".to_owned()];
        }
        match &self.comparison {
            None => list.push("entries one by one".to_owned()),
            Some(Comparison { compared, entries, .. }) if compared < entries => {
                list.push(format!("{} of {entries} entries one by one", entries - compared));
            }
            Some(_) => {}
        }
        if self.second.is_none() {
            list.push("the second derivative".to_owned());
        }
        list
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict.headline(), self.subject)?;
        if let Some(cause) = self.described_cause() {
            write!(f, "\n  likely cause: {cause}")?;
        }
        if let Some(note) = &self.note {
            write!(f, "\n  {note}")?;
        }
        if let Some(culprit) = &self.culprit {
            write!(f, "\n  wrong rule: {culprit}")?;
        }
        let comparison = self.comparison.as_ref();
        let whereabouts = comparison.and_then(|c| c.whereabouts(|input| self.name(input)));
        if let Some(whereabouts) = whereabouts {
            write!(f, "\n  where: {whereabouts}")?;
        }
        if let Some(comparison) = &self.comparison {
            entries(f, comparison, self)?;
        }
        if let Some(rate) = &self.first {
            let of = format!("|f(x + hv) - f(x) - h <g, v>|, g: {}", self.suspect);
            ladder(f, &of, rate, self.comparison.is_none())?;
        }
        if let Some(rate) = &self.tape {
            write!(f, "\n\n  the tape's own gradient: {}", Summary(rate, true))?;
        }
        if let Some(rate) = &self.second {
            ladder(f, "the same, less h^2/2 <v, H v>", rate, true)?;
        }
        for identity in &self.identities {
            let Identity { left_name, left, right_name, right, .. } = identity;
            let mark = if identity.holds() { "rounding only" } else { "THEY DIFFER" };
            let width = left_name.chars().count().max(right_name.chars().count());
            write!(
                f,
                "\n\n  {left_name:<width$} = {}\n  {right_name:<width$} = {}   relative difference {:.1e}: {mark}",
                number(*left, 16),
                number(*right, 16),
                identity.error(),
            )?;
        }
        let unchecked = self.unchecked();
        if !unchecked.is_empty() {
            write!(f, "\n\n  not checked: {}", unchecked.join(", "))?;
        }
        let directions = match self.directions {
            1 => "1 direction".to_owned(),
            n => format!("{n} directions"),
        };
        write!(f, "\n  ({directions}, seed {})", self.seed)
    }
}

/// The entries that differ most.
fn entries(f: &mut fmt::Formatter<'_>, comparison: &Comparison, report: &Report) -> fmt::Result {
    let Comparison { worst, differing, compared, entries, .. } = comparison;
    if *differing == 0 && report.verdict == Verdict::Wrong {
        return write!(
            f,
            "\n\n  no entry differs by more than {:.0e} of itself, which is all that differences \
             of one entry show",
            comparison.tolerance
        );
    }
    write!(f, "\n\n  {differing} of {compared} entries differ")?;
    if compared < entries {
        write!(f, " (of {entries}, evenly picked)")?;
    }
    if *differing > 0 {
        write!(f, "; |g - g*| / |g*| = {:.1e}", comparison.error)?;
    }
    if worst.is_empty() {
        return Ok(());
    }
    let (suspect, trusted) = (report.suspect, report.trusted);
    let name = |entry: &Entry| format!("{} {:?}", report.name(entry.input), entry.index);
    let width = worst.iter().map(|entry| name(entry).len()).max().unwrap_or(0);
    write!(f, "\n  {:width$}  {suspect:>19}  {trusted:>19}", "")?;
    for entry in worst {
        let (a, b) = (number(entry.suspect, 9), number(entry.trusted, 9));
        write!(f, "\n  {:width$}  {a:>19}  {b:>19}", name(entry))?;
    }
    if worst.len() < *differing {
        write!(f, "\n  {:width$}  {:>19}  {:>19}", "", "...", "...")?;
    }
    Ok(())
}

/// The remainders, and the rate from each step to the next.
fn ladder(f: &mut fmt::Formatter<'_>, of: &str, rate: &Rate, alone: bool) -> fmt::Result {
    write!(f, "\n\n  {of}\n  {}", Summary(rate, alone))?;
    if rate.rungs.is_empty() {
        return Ok(());
    }
    write!(f, "\n  {:>9}  {:>11}  {:>6}", "h", "remainder", "rate")?;
    for (i, rung) in rate.rungs.iter().enumerate() {
        write!(f, "\n  {:>9.1e}  {:>11.3e}", rung.h, rung.remainder)?;
        let before = i.checked_sub(1).map(|i| rate.rungs[i]);
        match before {
            _ if !rung.counts() => write!(f, "  rounding")?,
            Some(before) => {
                let slope = (before.remainder / rung.remainder).log(before.h / rung.h);
                write!(f, "  {slope:>6.2}")?;
            }
            None => {}
        }
    }
    Ok(())
}

/// A rate in one sentence, and the error that it shows, unless a comparison tells a better one.
struct Summary<'a>(&'a Rate, bool);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self(Rate { order, slope, verdict, error, resolution, is_level, .. }, alone) = self;
        let what = if *order == 2 { "gradient" } else { "Hessian" };
        match (verdict, slope) {
            (Verdict::Kink | Verdict::NotFinite, _) => {
                return f.write_str("no step could be judged");
            }
            (Verdict::Right, Some(slope)) => {
                write!(f, "falls as h^{slope:.2}, as it should (h^{order})")?;
            }
            (Verdict::Wrong, Some(slope)) => {
                write!(f, "falls as h^{slope:.2} and not as h^{order}")?;
            }
            (_, Some(slope)) if *slope > 0.5 => {
                write!(
                    f,
                    "falls as h^{slope:.2} where rounding begins: off by {error:.0e} of the {what} \
                     along this direction"
                )?;
            }
            _ => f.write_str("is rounding")?,
        }
        match verdict {
            Verdict::Wrong if alone => {
                write!(f, ": off by {error:.1e} of the {what} along this direction")?;
            }
            Verdict::Wrong => {}
            Verdict::Unresolved if *resolution < 10.0 => {
                write!(f, ": an error of the {what} by {:.0} % would not show", 100.0 * resolution)?
            }
            Verdict::Unresolved => write!(f, ", which hides the {what} altogether")?,
            _ => write!(
                f,
                "; a relative error of the {what} above {resolution:.0e} would have shown"
            )?,
        }
        if *is_level {
            f.write_str(" (relative to the slope at the largest step: here it is nearly 0)")?;
        }
        Ok(())
    }
}
