//! What an op computes, and its derivative, to be read.

/// A formula as plain text and as TeX: the value, and the rule.
///
/// A dot marks a tangent, a bar an adjoint, as in Griewank & Walther.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Formula {
    /// What is computed, as text.
    pub value: &'static str,
    /// The derivative, as text.
    pub derivative: &'static str,
    /// Both in TeX.
    pub tex: &'static str,
    /// Which derivative is taken where there is none: at kinks, at jumps, and where the
    /// formula has no value. Empty for functions that are smooth on their domain.
    pub convention: &'static str,
}

impl Formula {
    /// A formula from its three spellings.
    pub const fn new(value: &'static str, derivative: &'static str, tex: &'static str) -> Self {
        Self { value, derivative, tex, convention: "" }
    }

    /// The same formula with a convention for what it leaves open.
    pub const fn with_convention(self, convention: &'static str) -> Self {
        Self { convention, ..self }
    }
}
