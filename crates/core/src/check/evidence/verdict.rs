//! What a check concludes.

/// What a check concludes: right, wrong, or why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The remainder falls as fast as it should.
    Right,
    /// It falls too slowly, or two ways to the same number differ.
    Wrong,
    /// The remainder is nothing but rounding, as it is for linear functions: right
    /// as far as rounding can tell.
    RoundingFloor,
    /// No verdict: rounding of the value hides errors of more than a tenth of the derivative, or
    /// there are no entries. Nothing could be told.
    Unresolved,
    /// No verdict: a kink or a branch lies so close that no step stays on this side of it.
    Kink,
    /// No verdict: a value or derivative is infinite or not a number.
    NotFinite,
    /// No verdict: the same question has another answer when it is asked again.
    NotRepeatable,
}

impl Verdict {
    /// Whether the derivative is right, as far as rounding can tell.
    pub fn is_right(self) -> bool {
        matches!(self, Self::Right | Self::RoundingFloor)
    }

    /// The words with which a report begins.
    pub fn headline(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::RoundingFloor => "right, as far as rounding can tell",
            Self::Wrong => "WRONG",
            Self::Unresolved => "not judged, since nothing could be told",
            Self::Kink => "not judged, since there is a kink",
            Self::NotFinite => "not judged, since it is not finite",
            Self::NotRepeatable => "not judged, since it does not repeat",
        }
    }
}
