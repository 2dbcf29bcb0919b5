//! What a check looks at: rates of remainders, both sides of an identity, entry beside entry.

pub(super) mod cause;
pub(super) mod comparison;
pub(super) mod differences;
pub(super) mod identity;
pub(super) mod options;
pub(super) mod problem;
pub(super) mod rate;
pub(super) mod verdict;
