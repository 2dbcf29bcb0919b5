//! The tape as something to read.
//!
//! *Invariant*: a trace reads the tape and records nothing.

mod line;
mod table;

pub use line::Line;
pub use table::Table;

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
