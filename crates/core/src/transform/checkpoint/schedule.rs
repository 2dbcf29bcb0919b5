//! In which order steps are repeated, and which states are kept: the binomial
//! schedule (G&W, section 12.3; Griewank & Walther's algorithm 799, *revolve*).
//!
//! A reverse sweep over `n` steps wants the states in reverse order. With room for
//! `c` of them, the first one included, others are recomputed. Of all schedules this
//! one takes the fewest forward steps: `r n - beta(c + 1, r - 1)`, where
//! `beta(c, r) = (c + r)! / c! r!` is the number of steps that can be reversed if none
//! is repeated more than `r` times, and `r` the least with `n <= beta(c, r)`.
//!
//! Where the number of steps is not known beforehand, states are kept by the rule of
//! Wang, Moin & Iaccarino (2009), which repeats no step more often than the
//! binomial schedule would; from the end on, both are the same.
//!
//! Nothing here computes: a schedule is an iterator of what to do.

/// What to do next. There is one *current* state, and a stack of kept ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take this number of steps from the current state.
    Advance(usize),
    /// Keep the current state, which is the one before this step.
    Keep(usize),
    /// Make the last one kept the current state; it stays kept.
    Restore,
    /// Forget the last one kept.
    Drop,
    /// Take the step of this number from the current state, with a recording, and
    /// sweep back over it.
    Reverse(usize),
}

/// The steps that can be reversed with `c` states kept, if none is taken forward more
/// than `r` times: `beta(c, r)` of G&W, equation (12.6), at most `usize::MAX`.
pub fn reach(c: usize, r: usize) -> usize {
    // A product of binomial coefficients, each of which is whole.
    let (small, large) = (c.min(r) as u128, c.max(r) as u128);
    let mut reach: u128 = 1;
    for k in 1..=small {
        reach = reach.saturating_mul(large + k) / k;
        if reach > usize::MAX as u128 {
            return usize::MAX;
        }
    }
    reach as usize
}

/// The least number of repetitions with which `n` steps can be reversed.
fn repetitions(n: usize, c: usize) -> usize {
    if c == 1 {
        return n.saturating_sub(1);
    }
    (0..).find(|&r| reach(c, r) >= n).expect("the reach grows")
}

/// The fewest forward steps that reverse `n` steps with `c` states kept, beside the
/// `n` steps that are recorded: G&W, proposition 12.3.
///
/// ```
/// use wengert_core::checkpoint::forward_steps;
///
/// assert_eq!(forward_steps(10, 10), 9);
/// assert_eq!(forward_steps(10, 3), 15);
/// assert_eq!(forward_steps(10, 1), 45);
/// ```
///
/// # Panics
/// If no state may be kept.
pub fn forward_steps(n: usize, c: usize) -> usize {
    assert!(c > 0, "the first state is kept at least");
    match repetitions(n, c) {
        0 => 0,
        r => r * n - reach(c + 1, r - 1),
    }
}

/// From the first state of some steps to the state to be kept next.
fn stride(n: usize, c: usize) -> usize {
    let r = repetitions(n, c);
    // The longest stretch that the states before the next one can reverse in r - 1
    // repetitions, and so that what remains is not too short to need r.
    reach(c, r - 1).min(n - reach(c - 1, r - 1))
}

/// A schedule for a known number of steps, or the rest of one from the end on.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The states kept, by the number of the step that comes after them.
    kept: Vec<usize>,
    room: usize,
    current: usize,
    /// The first step, counted from the front, that is reversed already.
    end: usize,
    /// Whether the current state is of use.
    is_at_hand: bool,
}

impl Schedule {
    /// For `n` steps, with room for `c` states; the first state is kept already, and
    /// current.
    ///
    /// # Panics
    /// If no state may be kept.
    pub fn new(n: usize, c: usize) -> Self {
        Self::from_end(n, vec![0], c, Some(0))
    }

    /// For `n` steps that were taken, with some states kept, the first one among them.
    pub(super) fn from_end(n: usize, kept: Vec<usize>, c: usize, current: Option<usize>) -> Self {
        assert!(c > 0, "the first state is kept at least");
        let is_at_hand = current.is_some();
        Self { kept, room: c, current: current.unwrap_or(0), end: n, is_at_hand }
    }
}

impl Iterator for Schedule {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        if self.end == 0 {
            return None;
        }
        let last = *self.kept.last().expect("the first state is kept to the end");
        if last == self.end {
            self.kept.pop();
            return Some(Action::Drop);
        }
        if !self.is_at_hand {
            (self.current, self.is_at_hand) = (last, true);
            return Some(Action::Restore);
        }
        let steps = self.end - self.current;
        if steps == 1 {
            self.end -= 1;
            self.is_at_hand = false;
            return Some(Action::Reverse(self.end));
        }
        if self.current > last {
            // An advance came before, to where a state is kept.
            self.kept.push(self.current);
            return Some(Action::Keep(self.current));
        }
        let free = self.room - self.kept.len();
        let stride = if free == 0 { steps - 1 } else { stride(steps, free + 1) };
        self.current += stride;
        Some(Action::Advance(stride))
    }
}

/// Which states to keep on the way to an end that is not known.
#[derive(Clone, Debug)]
pub(super) struct Online {
    /// The states kept, each with its level.
    kept: Vec<(usize, usize)>,
    room: usize,
}

impl Online {
    /// With room for `c` states, of which the first one is kept already.
    pub(super) fn new(c: usize) -> Self {
        assert!(c > 0, "the first state is kept at least");
        Self { kept: vec![(0, usize::MAX)], room: c }
    }

    /// Whether to keep the state before `step`, and which of the states kept, by its
    /// position, has to go for it.
    pub(super) fn offer(&mut self, step: usize) -> Option<Option<usize>> {
        if self.kept.len() < self.room {
            self.kept.push((step, 0));
            return Some(None);
        }
        // One that stands before another of a higher level serves no one.
        let spare = (1..self.kept.len())
            .find(|&at| self.kept[at + 1..].iter().any(|later| later.1 > self.kept[at].1));
        let (gone, level) = match spare {
            Some(spare) => (spare, 0),
            None => {
                let last = self.kept.len() - 1;
                if last == 0 {
                    return None;
                }
                (last, self.kept[last].1 + 1)
            }
        };
        self.kept.remove(gone);
        self.kept.push((step, level));
        Some(Some(gone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Carries a schedule out on numbers instead of states. Gives the forward steps.
    fn simulate(
        n: usize,
        c: usize,
        schedule: impl Iterator<Item = Action>,
        kept: &[usize],
    ) -> usize {
        let (mut current, mut kept) = (kept.first().copied(), kept.to_vec());
        let (mut forward, mut next) = (0, n);
        for action in schedule {
            match action {
                Action::Advance(steps) => {
                    current = current.map(|at| at + steps);
                    forward += steps;
                }
                Action::Keep(step) => {
                    assert_eq!(current, Some(step));
                    kept.push(step);
                    assert!(kept.len() <= c, "{n} steps with {c} states");
                }
                Action::Restore => current = kept.last().copied(),
                Action::Drop => drop(kept.pop()),
                Action::Reverse(step) => {
                    assert_eq!((current, step + 1), (Some(step), next));
                    (current, next) = (None, step);
                }
            }
        }
        assert_eq!(next, 0, "{n} steps with {c} states");
        forward
    }

    #[test]
    fn the_schedule_takes_as_few_steps_as_there_can_be() {
        // The recursion that defines the optimum: G&W, equation (12.5).
        let (most, room) = (60, 8);
        let mut fewest = vec![vec![0; room + 1]; most + 1];
        for n in 2..=most {
            for c in 1..=room {
                fewest[n][c] = match c {
                    1 => n * (n - 1) / 2,
                    _ => (1..n).map(|m| m + fewest[n - m][c - 1] + fewest[m][c]).min().unwrap(),
                };
            }
        }
        for (n, row) in fewest.iter().enumerate() {
            for (c, &fewest) in row.iter().enumerate().skip(1) {
                assert_eq!(forward_steps(n, c), fewest, "closed form of {n} steps, {c} states");
                assert_eq!(
                    simulate(n, c, Schedule::new(n, c), &[0]),
                    fewest,
                    "{n} steps, {c} states"
                );
            }
        }
    }

    #[test]
    fn the_closed_form_holds_for_long_loops() {
        for (n, c) in
            [(1000, 1), (1000, 3), (1000, 10), (10_000, 5), (10_000, 50), (20_000, 20_000)]
        {
            assert_eq!(simulate(n, c, Schedule::new(n, c), &[0]), forward_steps(n, c), "{n}, {c}");
        }
    }

    #[test]
    fn an_unknown_end_repeats_no_step_more_often() {
        for c in 1..8 {
            let mut online = Online::new(c);
            for n in 1..400 {
                let kept: Vec<usize> = online.kept.iter().map(|&(step, _)| step).collect();
                assert!(kept.len() <= c && kept.is_sorted() && kept[0] == 0);
                // What is known at the end of n steps: n forward steps came before.
                let rest = Schedule::from_end(n, kept.clone(), c, None);
                let forward = n + simulate(n, c, rest, &kept);
                let bound = (repetitions(n, c) + 1) * n;
                assert!(forward <= bound, "{n} steps, {c} states: {forward} > {bound}");
                online.offer(n);
            }
        }
    }

    #[test]
    fn the_reach_is_binomial() {
        assert_eq!(reach(3, 4), 35);
        assert_eq!((reach(5, 0), reach(0, 5), reach(1, 7)), (1, 1, 8));
        assert_eq!(reach(60, 60), usize::MAX);
    }
}
