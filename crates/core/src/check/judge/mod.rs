//! From the evidence to a report: which questions are asked, and what the answers mean.

pub(super) mod derivatives;
pub(super) mod examine;
pub(super) mod locate;
