//! `wengert-fuzz`: checks random programs, for a time or a number of them.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use wengert_fuzz::checks::NAMES;
use wengert_fuzz::{Options, run};

/// Random programs of all ops, checked in every way. Ends with one line, and with 1 if something
/// was found.
#[derive(Parser)]
struct Arguments {
    /// From where programs are drawn.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// For how long.
    #[arg(long)]
    seconds: Option<u64>,
    /// How many programs.
    #[arg(long)]
    programs: Option<u64>,
    /// The number of the first program.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Only these checks, separated by commas.
    #[arg(long, value_delimiter = ',')]
    checks: Vec<String>,
    /// All but these checks.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Only these ops.
    #[arg(long, value_delimiter = ',')]
    ops: Vec<String>,
    /// Failures after which to stop.
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Tells of programs that fail as they were drawn.
    #[arg(long)]
    whole: bool,
    /// Tells how often each op was drawn.
    #[arg(long)]
    drawn: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let unknown = arguments.checks.iter().chain(&arguments.without);
    if let Some(unknown) = unknown.into_iter().find(|name| !NAMES.contains(&name.as_str())) {
        eprintln!("there is no check `{unknown}`; the checks are {}", NAMES.join(", "));
        return ExitCode::from(2);
    }
    let wanted = |name: &&str| {
        let among = |names: &[String]| names.iter().any(|own| own == name);
        (arguments.checks.is_empty() || among(&arguments.checks)) && !among(&arguments.without)
    };
    let unlimited = arguments.seconds.is_none() && arguments.programs.is_none();
    let options = Options {
        seed: arguments.seed,
        first: arguments.first,
        programs: if unlimited { Some(1000) } else { arguments.programs },
        time: arguments.seconds.map(Duration::from_secs),
        checks: NAMES.into_iter().filter(|name| wanted(name)).collect(),
        failures: arguments.failures,
        shrink: !arguments.whole,
        ops: arguments.ops,
    };
    let summary = run(&options, |found| {
        println!(
            "program {} of seed {}: {}: {}\n",
            found.number, options.seed, found.failure.check, found.failure.message
        );
        println!("{}", found.source);
    });
    if arguments.drawn {
        for (op, times) in &summary.drawn {
            println!("{times:8} {op}");
        }
    }
    println!("{summary}");
    ExitCode::from(u8::from(summary.failures > 0))
}
