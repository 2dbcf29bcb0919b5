//! What is checked: functions on a tape and of slices, models, programs, recordings.

mod complex;
mod function;
pub(super) mod health;
pub(super) mod parameters;
pub mod plain;
pub(super) mod program;
pub mod reference;
