//! What else is known of ops: where to test them, which elements they read, their power series.

pub(super) mod positions;
pub mod samples;
pub(super) mod series;
