//! Why a recording cannot be compiled.

use thiserror::Error;

/// Why a recording cannot be replayed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompileError {
    /// The recording looked at a number that depends on the inputs and went on:
    /// what followed may hold for that number only.
    #[error(
        "the value of {value} was read at {line} while the program was recorded; what was recorded \
         after that may hold for this value only. Decide by `select`, or read after compiling"
    )]
    ValueRead {
        /// The value that was read.
        value: String,
        /// Where.
        line: String,
    },
    /// A constant that a rule of a backward sweep took in was overwritten when the
    /// sweep had no more use for it.
    #[error(
        "the memory of {value} was used again by a backward sweep; take the constant in before it"
    )]
    Overwritten {
        /// The constant.
        value: String,
    },
    /// What was given as an input is a result, or given twice.
    #[error("{value} is no input: an input is a variable or a constant of the tape, given once")]
    NoInput {
        /// What was given.
        value: String,
    },
}
