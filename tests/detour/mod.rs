//! A file that its test includes by a path that goes there and back.

use wengert::prelude::*;

/// Where this file stands, as the compiler has it, and what a tape and a variable that were made here say of it.
pub fn said() -> (&'static str, [String; 2]) {
    let tape = Tape::<f64>::new();
    let x = tape.variable([1.0, 2.0]);
    (file!(), [tape.to_string(), x.describe()])
}
