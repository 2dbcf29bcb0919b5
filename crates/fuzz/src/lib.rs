//! Random programs: whatever ops one chains, in whatever shapes, all ways to compute agree.
//!
//! A program is drawn from the [registry](wengert_core::op::registry) of ops (`draw`, `shapes`),
//! run and differentiated in every way there is (`checks`), and made small if one way disagrees
//! with another or with the definition of an op (`shrink`, `print`). Equal seeds draw equal
//! programs. How much two ways may differ is measured for each program (`measure`).
//!
//! ```
//! use wengert_fuzz::{Options, run};
//!
//! let summary = run(&Options { programs: Some(20), ..Options::default() }, |_| {});
//! assert_eq!((summary.programs, summary.failures), (20, 0));
//! ```

pub mod checks;
mod dice;
pub mod draw;
mod measure;
mod noise;
mod print;
pub mod program;
pub mod readers;
mod shapes;
mod shrink;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use checks::{Failure, NAMES, Session, guarded};
use draw::Catalogue;
use program::Program;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// From where programs are drawn.
    pub seed: u64,
    /// The number of the first program.
    pub first: u64,
    /// How many programs.
    pub programs: Option<u64>,
    /// For how long.
    pub time: Option<Duration>,
    /// Which checks.
    pub checks: Vec<&'static str>,
    /// Failures after which to stop.
    pub failures: usize,
    /// Whether to make programs small that fail.
    pub shrink: bool,
    /// The names of the ops to draw, if not all.
    pub ops: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            first: 0,
            programs: None,
            time: None,
            checks: NAMES.to_vec(),
            failures: 1,
            shrink: true,
            ops: Vec::new(),
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Programs that were checked.
    pub programs: u64,
    /// Checks that were made.
    pub checks: usize,
    /// How long it took.
    pub time: Duration,
    /// Programs that failed.
    pub failures: usize,
    /// How often each op was drawn.
    pub drawn: BTreeMap<&'static str, usize>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { programs, checks, time, failures, .. } = self;
        write!(
            f,
            "{programs} programs, {checks} checks, {:.0} seconds, {failures} failures",
            time.as_secs_f64()
        )
    }
}

/// Something that was found.
#[derive(Debug)]
pub struct Found {
    /// The number of the program.
    pub number: u64,
    /// What did not hold.
    pub failure: Failure,
    /// The program, made small.
    pub program: Program,
    /// Source that reproduces it.
    pub source: String,
}

/// Runs random programs, and tells of each that fails.
pub fn run(options: &Options, tell: impl FnMut(&Found)) -> Summary {
    let catalogue = Catalogue::all();
    let catalogue = if options.ops.is_empty() { catalogue } else { catalogue.only(&options.ops) };
    run_of(&catalogue, &Session::default(), options, tell)
}

/// The same with other ops than those of the registry.
pub fn run_of(
    catalogue: &Catalogue,
    session: &Session,
    options: &Options,
    mut tell: impl FnMut(&Found),
) -> Summary {
    let begin = Instant::now();
    let mut summary = Summary::default();
    for number in options.first.. {
        let enough = options.programs.is_some_and(|programs| summary.programs >= programs)
            || options.time.is_some_and(|time| begin.elapsed() >= time)
            || summary.failures >= options.failures;
        if enough {
            break;
        }
        summary.programs += 1;
        let drawn = guarded(|| Ok(catalogue.program(options.seed, number)));
        let (program, failure) = match drawn {
            Err(message) => (Program::default(), Some(Failure { check: "drawing", message })),
            Ok(program) => {
                for step in &program.steps {
                    *summary.drawn.entry(step.op.double.name()).or_default() += 1;
                }
                let (made, failure) = checks::run(session, &program, &options.checks);
                summary.checks += made;
                (program, failure)
            }
        };
        let Some(failure) = failure else { continue };
        summary.failures += 1;
        let fails_again =
            options.shrink && shrink::fails(session, &program, failure.check).is_some();
        let (program, failure) = match fails_again {
            true => shrink::shrunk(session, &program, &failure),
            false => (program, failure),
        };
        let source = match program.steps.is_empty() {
            true => String::new(),
            false => print::source(&program, &failure),
        };
        tell(&Found { number, failure, program, source });
    }
    summary.time = begin.elapsed();
    summary
}
