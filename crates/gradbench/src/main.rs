//! The program: one line of JSON in, one line out, until the input ends.

use std::io::{BufRead, Write, stdin, stdout};

use clap::Parser;
use wengert::threads;
use wengert_gradbench::protocol::answer;

/// Wengert as a tool of GradBench: reads messages on standard input, answers on standard output.
#[derive(Parser)]
struct Options {
    /// Computes with all CPUs that the process may use, instead of one.
    #[arg(long)]
    multithreaded: bool,
}

fn main() -> std::io::Result<()> {
    if !Options::parse().multithreaded {
        threads::set(1);
    }
    let (mut input, mut output) = (stdin().lock(), stdout().lock());
    // Bytes, as a line that is no UTF-8 is answered, too.
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        serde_json::to_writer(&mut output, &answer(&line))?;
        output.write_all(b"\n")?;
        output.flush()?;
        line.clear();
    }
    Ok(())
}
