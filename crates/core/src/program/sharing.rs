//! Which values share a buffer.
//!
//! Values that are not needed at the same time can lie in one. The longest get theirs first, each a buffer
//! that is free while the value is needed, of several the one that became free last; where there is none, a
//! new one ("greedy by size": Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
//! Inference", 2020). So a program needs little more memory than the values that are alive at once.

use std::cmp::Reverse;
use std::collections::BTreeSet;

tuned! {
    /// Gaps between values that are looked at for one more: a long program has thousands.
    const GAPS = 64, tiny 1;
}

/// When a value needs memory: from the unit that computes it to the last one that reads it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) elements: usize,
    pub(super) first: usize,
    /// `None` for a value that outlives a run, whose buffer nothing else uses.
    pub(super) last: Option<usize>,
}

/// The buffer of each value, and the elements of each buffer.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) buffer_of: Vec<usize>,
    pub(super) elements: Vec<usize>,
}

/// Gives each value a buffer.
pub(super) fn share(lives: &[Life]) -> Shared {
    let mut shared = Shared { buffer_of: vec![0; lives.len()], elements: Vec::new() };
    let mut gaps = Gaps::default();
    let mut by_size: Vec<usize> = (0..lives.len()).collect();
    by_size.sort_by_key(|&value| (Reverse(lives[value].elements), lives[value].first));
    for value in by_size {
        let Life { elements, first, last } = lives[value];
        let found = last.and_then(|last| gaps.find(first, last + 1));
        let gap = found.unwrap_or_else(|| {
            shared.elements.push(elements);
            Gap { from: 0, until: usize::MAX, buffer: shared.elements.len() - 1 }
        });
        if let Some(last) = last {
            gaps.fill(gap, first, last + 1);
        }
        shared.buffer_of[value] = gap.buffer;
    }
    shared
}

/// Units in which a buffer is free: `from` is the first, `until` the first that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    from: usize,
    until: usize,
    buffer: usize,
}

/// The gaps of all buffers.
#[derive(Default)]
struct Gaps {
    all: BTreeSet<Gap>,
    /// Those before a buffer's first value, by their ends.
    heads: BTreeSet<(usize, Gap)>,
    /// Those after its last one.
    tails: BTreeSet<Gap>,
}

impl Gaps {
    /// A gap for a value that needs memory from unit `from` until `until`: of those looked at, the one
    /// that began last.
    fn find(&self, from: usize, until: usize) -> Option<Gap> {
        let latest = Gap { from, until: usize::MAX, buffer: usize::MAX };
        let near = self.all.range(..=latest).rev().take(GAPS).find(|gap| gap.until >= until);
        let tail = || self.tails.range(..=latest).next_back();
        let head = || self.heads.range((until, Gap { from: 0, until: 0, buffer: 0 })..).next();
        near.or_else(tail).or_else(|| head().map(|(_, gap)| gap)).copied()
    }

    /// Leaves what remains of a gap before and after a value.
    fn fill(&mut self, gap: Gap, from: usize, until: usize) {
        self.all.remove(&gap);
        self.heads.remove(&(gap.until, gap));
        self.tails.remove(&gap);
        self.add(Gap { until: from, ..gap });
        self.add(Gap { from: until, ..gap });
    }

    fn add(&mut self, gap: Gap) {
        if gap.from >= gap.until {
            return;
        }
        self.all.insert(gap);
        if gap.from == 0 {
            self.heads.insert((gap.until, gap));
        }
        if gap.until == usize::MAX {
            self.tails.insert(gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn life(elements: usize, first: usize, last: Option<usize>) -> Life {
        Life { elements, first, last }
    }

    #[test]
    fn a_value_takes_the_buffer_that_became_free_last() {
        let lives =
            [life(8, 0, Some(1)), life(8, 0, Some(2)), life(5, 3, Some(4)), life(5, 2, Some(3))];
        let shared = share(&lives);
        assert_eq!(shared.elements, [8, 8]);
        // The last one is the first that asks: at unit 2 the second is still read.
        assert_eq!(shared.buffer_of, [0, 1, 1, 0]);
    }

    #[test]
    fn the_longest_value_does_not_find_a_short_buffer_first() {
        // In the order of time, 10 elements would be left lying beside 100.
        let lives = [life(10, 0, Some(1)), life(100, 2, Some(3)), life(10, 4, Some(5))];
        assert_eq!(share(&lives).elements, [100]);
    }

    #[test]
    fn what_outlives_a_run_is_alone() {
        let lives = [life(8, 0, Some(1)), life(8, 2, None), life(8, 4, Some(5))];
        let shared = share(&lives);
        assert_eq!(shared.elements.len(), 2);
        assert!(shared.buffer_of[0] == shared.buffer_of[2]);
    }

    proptest! {
        #[test]
        fn no_two_values_need_a_buffer_at_once(
            values in vec((1..1000_usize, 0..60_usize, 0..20_usize, 0..10_u8), 0..80)
        ) {
            let lives: Vec<Life> = values
                .into_iter()
                .map(|(elements, first, units, kept)| life(elements, first, (kept > 0).then_some(first + units)))
                .collect();
            let shared = share(&lives);
            let end = |life: &Life| life.last.unwrap_or(usize::MAX);
            for (i, a) in lives.iter().enumerate() {
                prop_assert!(a.elements <= shared.elements[shared.buffer_of[i]]);
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    if shared.buffer_of[i] == shared.buffer_of[j] {
                        prop_assert!(a.last.is_some() && b.last.is_some());
                        prop_assert!(end(a) < b.first || end(b) < a.first);
                    }
                }
            }
            let all: usize = lives.iter().map(|life| life.elements).sum();
            prop_assert!(shared.elements.iter().sum::<usize>() <= all);
        }
    }
}
