//! What a check found, in an order in which one wants to read it: the verdict, the
//! likely cause, the entries that are wrong, and then the evidence.

use std::fmt;

use super::adjoint::Identity;
use super::diagnosis::{Cause, Comparison};
use super::taylor::Rate;
use crate::trace::number;

/// What a check concludes.
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
    /// A value or derivative is infinite or not a number.
    NotFinite,
}

/// What a check of a derivative found.
///
/// `Display` is meant to be read; [`assert`](Self::assert) panics with it.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) subject: String,
    /// Whose derivative is in question: "tape" or "hand-written".
    pub(super) suspect: &'static str,
    /// What entries are compared with: "difference quotient" or "tape".
    pub(super) trusted: &'static str,
    pub(super) verdict: Verdict,
    pub(super) first: Option<Rate>,
    pub(super) second: Option<Rate>,
    /// The rate of the tape's own gradient, where another one is in question.
    pub(super) tape: Option<Rate>,
    pub(super) identities: Vec<Identity>,
    pub(super) comparison: Option<Comparison>,
    pub(super) cause: Option<Cause>,
    pub(super) note: Option<String>,
    pub(super) seed: u64,
}

impl Report {
    /// What the check concludes.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether the derivative is right, as far as rounding can tell.
    pub fn is_right(&self) -> bool {
        matches!(self.verdict, Verdict::Right | Verdict::RoundingFloor)
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

    /// Stops with the report unless the derivative is right.
    ///
    /// # Panics
    /// If it is wrong or could not be judged.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.is_right(), "{self}");
    }

    fn headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = &self.subject;
        match self.verdict {
            Verdict::Right => write!(f, "right: {subject}"),
            Verdict::RoundingFloor => {
                write!(f, "right, as far as rounding can tell: {subject}")
            }
            Verdict::Wrong => write!(f, "WRONG: {subject}"),
            Verdict::Kink => write!(f, "not judged, since there is a kink: {subject}"),
            Verdict::NotFinite => write!(f, "not judged, since it is not finite: {subject}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.headline(f)?;
        if let Some(cause) = &self.cause {
            write!(f, "\n  likely cause: {cause}")?;
        }
        if let Some(note) = &self.note {
            write!(f, "\n  {note}")?;
        }
        if let Some(comparison) = self.comparison.as_ref().filter(|c| !c.worst.is_empty()) {
            entries(f, comparison, self.suspect, self.trusted)?;
        }
        if let Some(rate) = &self.first {
            let of = format!("|f(x + hv) - f(x) - h <g, v>|, g from the {}", self.suspect);
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
        write!(f, "\n\n  (seed {})", self.seed)
    }
}

/// The entries that differ most.
fn entries(
    f: &mut fmt::Formatter<'_>,
    comparison: &Comparison,
    suspect: &str,
    trusted: &str,
) -> fmt::Result {
    let Comparison { worst, differing, compared, entries, .. } = comparison;
    write!(f, "\n\n  {differing} of {compared} entries differ")?;
    if compared < entries {
        write!(f, " (of {entries}, evenly picked)")?;
    }
    let name = |entry: &super::Entry| format!("input {} {:?}", entry.input + 1, entry.index);
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
