//! How much memory a tape holds.

use std::fmt;

/// What a tape holds, in bytes: the numbers, without the list of operations.
/// Tensors from outside, whose memory the tape shares, do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The values of the recording.
    pub values: usize,
    /// What backward sweeps have left: gradients, and the memory in which
    /// intermediate adjoints took turns.
    pub adjoints: usize,
    /// What waits for its next use.
    pub idle: usize,
    /// The most that was held at any time since the tape was made.
    pub peak: usize,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { values, adjoints, idle, peak } = *self;
        let [values, adjoints, idle, peak] = [values, adjoints, idle, peak].map(Bytes);
        write!(f, "values {values}, adjoints {adjoints}, idle {idle}; peak {peak}")
    }
}

/// Bytes in a unit that leaves few digits.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut amount = self.0 as f64;
        for unit in ["B", "KiB", "MiB"] {
            if amount < 1024.0 {
                return write!(f, "{amount:.*} {unit}", usize::from(unit != "B"));
            }
            amount /= 1024.0;
        }
        write!(f, "{amount:.1} GiB")
    }
}
