//! What quotients tend to as their step falls, and how far that can be trusted.
//!
//! Truncation falls as a known power of the step, so two quotients give a better one (Richardson).
//! Rounding grows as the step falls, so some step in between is best. Of all quotients and
//! extrapolations the one counts that may be off by least: by its rounding, and by as much as it
//! differs from the one before. Three differences in a row must say so, each smaller by the power
//! than the one before: so quotients that agree by chance are not taken for exact. And no finer
//! quotient may contradict it, as it does where a kink lies between two steps.

/// Quotients near which a limit must lie to be told from one that is still moving.
const STEADY: usize = 3;
/// How near, and by how much a quotient must stand out from its rounding.
const NEAR: f64 = 0.5;

/// A quotient of a difference, whose step is a fixed part of the one before.
#[derive(Clone, Copy)]
pub(in crate::check) struct Quotient {
    pub(in crate::check) value: f64,
    /// What rounding may have added.
    pub(in crate::check) noise: f64,
}

/// What quotients tend to.
#[derive(Clone, Copy)]
pub(in crate::check) struct Limit {
    pub(in crate::check) value: f64,
    /// How far it may be off at most.
    pub(in crate::check) doubt: f64,
    /// What rounding has of that.
    pub(in crate::check) noise: f64,
    /// The place of the finest quotient that it was made of.
    pub(in crate::check) place: usize,
    /// Whether the finest quotients that stand out from rounding lie near it.
    pub(in crate::check) is_steady: bool,
}

/// The limit of quotients whose steps fall by `ratio`, coarsest first. Their truncation is a series
/// of the given powers of the step. `None` if there are too few of them.
pub(in crate::check) fn limit(quotients: &[Quotient], ratio: f64, powers: &[i32]) -> Option<Limit> {
    let mut best: Option<Limit> = None;
    let mut column = quotients.to_vec();
    for (order, &power) in powers.iter().enumerate() {
        let gain = ratio.powi(power);
        for i in 2..column.len() {
            let apart = |i: usize| (column[i].value - column[i - 1].value).abs();
            let before = if i > 2 { apart(i - 2) / (gain * gain) } else { 0.0 };
            let truncation = apart(i).max(apart(i - 1) / gain).max(before);
            let Quotient { value, noise } = column[i];
            let doubt = noise + truncation;
            let place = i + order;
            if best.is_none_or(|best| doubt < best.doubt)
                && !is_contradicted(&quotients[place..], value, doubt)
            {
                let is_steady = is_steady(&column, value);
                best = Some(Limit { value, doubt, noise, place, is_steady });
            }
        }
        column = column
            .windows(2)
            .map(|pair| Quotient {
                value: pair[1].value + (pair[1].value - pair[0].value) / (gain - 1.0),
                noise: (gain * pair[1].noise + pair[0].noise) / (gain - 1.0),
            })
            .collect();
    }
    best
}

/// Whether a quotient after the first one lies further from a value than rounding and truncation
/// explain.
fn is_contradicted(quotients: &[Quotient], value: f64, doubt: f64) -> bool {
    quotients.windows(2).any(|pair| {
        let truncation = (pair[1].value - pair[0].value).abs();
        (pair[1].value - value).abs() > pair[1].noise + truncation + doubt
    })
}

/// Whether the finest quotients that stand out from rounding lie near a value.
fn is_steady(quotients: &[Quotient], value: f64) -> bool {
    let room = NEAR * value.abs();
    let finest = quotients.iter().rev().filter(|quotient| quotient.noise <= room).take(STEADY);
    let near = finest.map(|quotient| (quotient.value - value).abs() <= room);
    let near: Vec<bool> = near.collect();
    near.len() == STEADY && near.into_iter().all(|near| near)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `value(h)` at steps that fall by 4, with rounding of 1e-15 in a value.
    fn quotients(value: impl Fn(f64) -> f64) -> Vec<Quotient> {
        let steps = (0..14).map(|i| 0.125 * 0.25_f64.powi(i));
        steps.map(|h| Quotient { value: value(h), noise: 1e-15 / h }).collect()
    }

    #[test]
    fn a_series_has_the_limit_that_it_begins_with() {
        let found = limit(&quotients(|h| 3.0 + 2.0 * h * h - h.powi(4)), 4.0, &[2, 4, 6]);
        let found = found.expect("there are enough");
        assert!((found.value - 3.0).abs() <= found.doubt && found.doubt < 1e-11);
        assert!(found.is_steady);
    }

    #[test]
    fn what_still_moves_is_not_steady_and_what_changes_is_contradicted() {
        // Falls to 0 as h.
        let found = limit(&quotients(|h| 5.0 * h), 4.0, &[1, 3]).expect("there are enough");
        assert!(found.value.abs() <= found.doubt);
        // One number at coarse steps and another at fine ones.
        let two = |h: f64| if h > 1e-5 { 1.0 } else { 2.0 };
        let found = limit(&quotients(two), 4.0, &[2, 4]).expect("there are enough");
        assert!((found.value - 2.0).abs() <= found.doubt && found.doubt < 1e-3);
    }
}
