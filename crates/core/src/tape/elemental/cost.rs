//! What an evaluation costs, in scalar operations.

/// Counts of scalar operations: what one evaluation costs (G&W, section 2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Additions, subtractions, negations and comparisons.
    pub adds: u64,
    /// Multiplications.
    pub muls: u64,
    /// Divisions.
    pub divs: u64,
    /// Square roots and transcendental functions.
    pub nonlinear: u64,
}

impl Cost {
    /// An operation that computes nothing: it only moves elements or looks at
    /// them in another way.
    pub const NONE: Cost = Cost { adds: 0, muls: 0, divs: 0, nonlinear: 0 };

    /// `adds` additions.
    pub const fn adds(adds: u64) -> Cost {
        Cost { adds, ..Cost::NONE }
    }

    /// `muls` multiplications.
    pub const fn muls(muls: u64) -> Cost {
        Cost { muls, ..Cost::NONE }
    }

    /// `divs` divisions.
    pub const fn divs(divs: u64) -> Cost {
        Cost { divs, ..Cost::NONE }
    }

    /// `nonlinear` square roots or transcendental functions.
    pub const fn nonlinear(nonlinear: u64) -> Cost {
        Cost { nonlinear, ..Cost::NONE }
    }

    /// Both costs together.
    pub const fn and(self, other: Cost) -> Cost {
        Cost {
            adds: self.adds + other.adds,
            muls: self.muls + other.muls,
            divs: self.divs + other.divs,
            nonlinear: self.nonlinear + other.nonlinear,
        }
    }

    /// The cost of doing it `count` times.
    pub const fn times(self, count: usize) -> Cost {
        let count = count as u64;
        Cost {
            adds: self.adds * count,
            muls: self.muls * count,
            divs: self.divs * count,
            nonlinear: self.nonlinear * count,
        }
    }

    /// All operations, whatever their kind.
    pub const fn total(self) -> u64 {
        self.adds + self.muls + self.divs + self.nonlinear
    }
}
