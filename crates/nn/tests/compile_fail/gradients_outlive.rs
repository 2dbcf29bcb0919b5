//! Gradients live on their tape.

use wengert_core::Tape;

fn main() {
    let gradients = {
        let tape = Tape::new();
        let x = tape.variable(1.0);
        (x * x).backward()
    };
    println!("{gradients:?}");
}
