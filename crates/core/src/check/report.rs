//! What a check found, in an order in which one wants to read it: the verdict, the
//! likely cause, where, and then the evidence.
//!
//! The first three lines are to lead to the mistake by themselves; a table that nobody reads to its
//! end is no evidence.

use std::fmt;

use super::adjoint::Identity;
use super::diagnosis::{Cause, Comparison, Entry, Part};
use super::json::Json;
use super::taylor::{Rate, Rung};
use crate::trace::number;

/// What a check concludes: one of four verdicts, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The remainder falls as fast as it should.
    Right,
    /// It falls too slowly, or two ways to the same number differ.
    Wrong,
    /// The remainder is nothing but rounding, as it is for linear functions: right
    /// as far as rounding can tell.
    RoundingFloor,
    /// A kink or a branch lies so close that no step stays on this side of it.
    Kink,
    /// No verdict: a value or derivative is infinite or not a number.
    NotFinite,
    /// No verdict: the same question has another answer when it is asked again.
    NotRepeatable,
}

impl Verdict {
    /// Whether the derivative is right, as far as rounding can tell.
    pub fn is_right(self) -> bool {
        matches!(self, Self::Right | Self::RoundingFloor)
    }

    /// The words with which a report begins.
    pub fn headline(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::RoundingFloor => "right, as far as rounding can tell",
            Self::Wrong => "WRONG",
            Self::Kink => "not judged, since there is a kink",
            Self::NotFinite => "not judged, since it is not finite",
            Self::NotRepeatable => "not judged, since it does not repeat",
        }
    }
}

/// What a check of a derivative found.
///
/// `Display` is meant to be read, [`to_json`](Self::to_json) for machines, and
/// [`to_svg`](Self::to_svg) draws the error against the size of the step;
/// [`assert`](Self::assert) panics with what `Display` says.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) subject: String,
    /// Whose derivative is in question: "tape", "hand-written" or "in f32".
    pub(super) suspect: &'static str,
    /// What entries are compared with: "difference quotient", "complex step" or "tape".
    pub(super) trusted: &'static str,
    /// The names of the inputs.
    pub(super) names: Vec<String>,
    pub(super) verdict: Verdict,
    pub(super) first: Option<Rate>,
    pub(super) second: Option<Rate>,
    /// The rate of the tape's own gradient, where another one is in question.
    pub(super) tape: Option<Rate>,
    pub(super) identities: Vec<Identity>,
    pub(super) comparison: Option<Comparison>,
    pub(super) cause: Option<Cause>,
    /// The operation whose rule is wrong.
    pub(super) culprit: Option<String>,
    pub(super) note: Option<String>,
    /// The number of elements of all inputs.
    pub(super) entries: usize,
    pub(super) directions: usize,
    pub(super) seed: u64,
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
        super::picture::draw(self.first.as_ref()?, self.verdict, &self.subject)
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

    pub(super) fn json(&self) -> Json {
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
                ("inputs", Json::list(comparison.parts.iter().enumerate(), part)),
                ("worst", Json::list(&comparison.worst, entry)),
            ])
        };
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

    pub(super) fn name(&self, input: usize) -> String {
        self.names.get(input).cloned().unwrap_or_else(|| format!("input {}", input + 1))
    }

    pub(super) fn described_cause(&self) -> Option<String> {
        let cause = self.cause.as_ref()?;
        Some(cause.describe(|input| self.name(input)) + &self.extent(cause))
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
                ", in what all inputs share: the end of the function, where its derivative begins"
                    .to_owned()
            }
            _ if wrong > 1 => ", in what those below share and the others do not".to_owned(),
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

    /// Which inputs are wrong, which right, and the worst entry.
    fn whereabouts(&self) -> Option<String> {
        let comparison = self.comparison.as_ref()?;
        let worst = comparison.worst.first()?;
        let parts = || comparison.parts.iter().enumerate();
        let wrong = parts().filter(|(_, part)| part.differing > 0).map(|(input, part)| {
            let name = self.name(input);
            match part.differing == part.compared {
                true => format!("all of {name}"),
                false => format!("{} of {} in {name}", part.differing, part.compared),
            }
        });
        let wrong: Vec<_> = wrong.collect();
        let right: Vec<_> = parts()
            .filter(|(_, part)| part.differing == 0 && part.compared > 0)
            .map(|(input, _)| self.name(input))
            .collect();
        let right = match right.is_empty() {
            true => String::new(),
            false => format!("; right: {}", right.join(", ")),
        };
        let Entry { input, index, suspect, trusted } = worst;
        // As many digits as show that they differ.
        let digits = if number(*suspect, 6) == number(*trusted, 6) { 15 } else { 6 };
        Some(format!(
            "{}, worst {} {index:?}: {} and not {}{right}",
            wrong.join(", "),
            self.name(*input),
            number(*suspect, digits),
            number(*trusted, digits)
        ))
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
        if let Some(whereabouts) = self.whereabouts() {
            write!(f, "\n  where: {whereabouts}")?;
        }
        if let Some(comparison) = &self.comparison {
            entries(f, comparison, self)?;
        }
        if let Some(rate) = &self.first {
            let of = format!("|f(x + hv) - f(x) - h <g, v>|, g: {}", self.suspect);
            ladder(f, &of, rate)?;
        }
        if let Some(rate) = &self.tape {
            write!(f, "\n\n  the tape's own gradient: {}", Summary(rate))?;
        }
        if let Some(rate) = &self.second {
            ladder(f, "the same, less h^2/2 <v, H v>", rate)?;
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
    write!(f, "\n\n  {differing} of {compared} entries differ")?;
    if compared < entries {
        write!(f, " (of {entries}, evenly picked)")?;
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
fn ladder(f: &mut fmt::Formatter<'_>, of: &str, rate: &Rate) -> fmt::Result {
    write!(f, "\n\n  {of}\n  {}", Summary(rate))?;
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

/// A rate in one sentence.
struct Summary<'a>(&'a Rate);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rate { order, slope, verdict, error, resolution, .. } = self.0;
        match (verdict, slope) {
            (Verdict::Kink | Verdict::NotFinite, _) => f.write_str("no step could be taken"),
            (Verdict::Right, Some(slope)) => {
                write!(f, "falls as h^{slope:.2}, as it should (h^{order})")
            }
            (Verdict::Wrong, Some(slope)) => write!(
                f,
                "falls as h^{slope:.2} and not as h^{order}: a relative error of {error:.1e}"
            ),
            (Verdict::Wrong, None) => write!(f, "shows a relative error of {error:.1e}"),
            _ if *resolution < 0.1 => {
                write!(f, "is rounding; a relative error above {resolution:.0e} would have shown")
            }
            _ => f.write_str("is rounding throughout"),
        }
    }
}
