//! The tape as something to read.
//!
//! *Invariant*: a trace reads the tape and records nothing.

mod dot;
mod line;
mod table;

use std::panic::Location;

pub use line::Line;
pub use table::Table;

/// The file and line where a node was recorded.
fn source_line(location: &Location<'_>) -> String {
    // The directory is the reader's own.
    let file = location.file().rsplit(['/', '\\']).next().unwrap_or_default();
    format!("{file}:{}", location.line())
}

/// A number with so many significant digits, as short as they allow.
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
