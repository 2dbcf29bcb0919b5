//! The tape as something to read: the evaluation trace of Griewank & Walther (sections 2.2 and 3.2),
//! forwards with values and tangents, backwards with adjoints.
//!
//! A [`Trace`] is plain data, made once by [`Tape::trace`](crate::tape::Tape::trace) or [`trace`](crate::trace()).
//! It comes from a second tape: the part that the output depends on is recorded there again, the real
//! sweeps run on it, and each rule is asked once more by itself, so that what it passes on has a formula
//! (what it recorded) and a number. So no derivative is stated twice, and the user's tape stays as it is.
//! All that is written of a trace (text, Markdown, LaTeX, JSON, DOT, SVG, the explorer) is written from
//! the data alone.
//!
//! *Invariant*: a trace reads the tape and records nothing on it.

mod explain;
mod explorer;

pub(crate) mod closure;
mod expression;
mod graph;
mod json;
mod line;
mod notation;
mod record;
mod replay;
mod row;
mod source;
mod text;
mod values;
mod work;

pub use explain::{Checkpointed, Explanation, Share};
pub use expression::{Expression, Quantity, Reference, Token};
pub use line::Line;
pub use row::{Activity, Partial, Role, Row, Step, Term, Trace};
pub use values::{Picture, Values};
pub use work::Work;

/// A number with `digits` significant digits, as short as they allow.
pub(crate) fn number(x: f64, digits: usize) -> String {
    let magnitude = x.abs().log10().floor();
    if x == 0.0 || !x.is_finite() {
        format!("{x}")
    } else if !(-4.0..7.0).contains(&magnitude) {
        format!("{x:.*e}", digits - 1)
    } else {
        let decimals = (digits as f64 - 1.0 - magnitude).max(0.0) as usize;
        let text = format!("{x:.decimals$}");
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    }
}
