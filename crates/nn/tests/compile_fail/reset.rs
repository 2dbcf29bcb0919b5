//! No handle outlives the recording that it belongs to.

use wengert_core::Tape;

fn main() {
    let mut tape = Tape::new();
    let x = tape.variable(1.0);
    tape.reset();
    let _ = x.sin();
}
