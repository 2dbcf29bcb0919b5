//! Gradients live on their tape.

use wengert::prelude::*;

fn main() {
    let gradients = {
        let tape = Tape::new();
        let x = tape.variable(1.0);
        (x * x).backward()
    };
    println!("{gradients:?}");
}
