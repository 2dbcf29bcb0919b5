//! Groups of parameters, by name.

use wengert_core::Real;

use crate::{Module, Param, Path};

/// The parameters whose names match a pattern, for changing their multipliers: `*` stands
/// for any characters, dots included. Buffers have no part in it.
///
/// ```
/// use wengert_nn::optim::group;
/// use wengert_nn::{Linear, random::seeded};
///
/// let rng = &mut seeded(1);
/// let mut net = vec![Linear::<f64>::new(2, 3, rng), Linear::new(3, 1, rng)];
/// for bias in group(&mut net, "*.bias") {
///     bias.set_rate(2.0);
///     bias.set_decay(0.0);
/// }
/// for param in group(&mut net, "0.*") {
///     param.set_trainable(false);
/// }
/// assert_eq!(net[1].bias.as_ref().unwrap().rate(), 2.0);
/// ```
///
/// # Panics
/// If no parameter matches, since a name that is misspelt would otherwise change nothing
/// and say so nowhere.
#[track_caller]
pub fn group<'n, T: Real, M: Module<T> + ?Sized>(
    net: &'n mut M,
    pattern: &str,
) -> Vec<&'n mut Param<T>> {
    let (mut found, mut names) = (Vec::new(), Vec::new());
    net.visit_mut(&Path::root(), &mut |path, param| {
        let name = path.to_string();
        if !param.is_buffer() {
            if matches(pattern, &name) {
                found.push(param);
            }
            names.push(name);
        }
    });
    let names = names.join(", ");
    assert!(!found.is_empty(), "no parameter matches {pattern:?}; there are {names}");
    found
}

/// Whether a name is the pattern with something in place of each star.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(head) else { return false };
    let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
    ends.any(|at| matches(rest, &name[at..]))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("a.b", "a.b") && !matches("a.b", "a.bc") && !matches("a", ""));
        assert!(matches("*", "") && matches("*.bias", "layers.0.bias"));
        assert!(!matches("*.bias", "layers.0.bias.x"));
        assert!(matches("layers.*.w*", "layers.10.weight") && matches("*a*a*", "banana"));
        assert!(!matches("*a*a*a*a*", "banana"));
    }
}
