//! Runs named workloads and prints one JSON line for each.
//!
//! ```text
//! cargo run --release -p wengert-bench -- --list
//! cargo run --release -p wengert-bench -- netbp chain --reps 51
//! cargo run --release -p wengert-bench -- --ratio
//! cargo run --release -p wengert-bench -- netbp chain --instructions
//! cargo run --release -p wengert-bench -- --sweep mul softmax
//! cargo run --release -p wengert-bench -- mlp lstm --vs "peers/bin/python crates/bench/peers/jax_peer.py"
//! ```

mod data;
mod instructions;
mod measure;
mod sweep;
mod versus;
mod workload;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use measure::{Peak, Reps};
use serde_json::json;
use versus::Versus;
use workload::{COST_RATIOS, Workload, workloads};

/// Measures Wengert on named workloads; one JSON line each.
#[derive(Parser)]
struct Options {
    /// The workloads to run, or the ops to sweep; all if none is named
    workloads: Vec<String>,
    /// Run this variant only: eager, frugal or compiled
    #[arg(long)]
    variant: Option<String>,
    /// Instead of times, the cost of value and gradient over that of the value alone
    #[arg(long)]
    ratio: bool,
    /// Instead of times, the instructions of a unit of work, by valgrind; for the small
    /// workloads
    #[arg(long)]
    instructions: bool,
    /// Run this number of times and tell no time: for tools that count
    #[arg(long)]
    runs: Option<usize>,
    /// Instead of workloads, every op of the registry (or those named) at growing sizes, with each
    /// place where a larger size costs more an element
    #[arg(long)]
    sweep: bool,
    /// A peer's command, split at spaces, to run by turns with this program: `COMMAND NAME` prints a JSON
    /// line, and `COMMAND --list` the names that it knows. It may be given several times; ratios are to
    /// the fastest
    #[arg(long, value_name = "COMMAND")]
    vs: Vec<String>,
    /// Turns beside the peers, of which the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print the comparison with the peers as a table
    #[arg(long)]
    table: bool,
    /// The most elements of a sweep
    #[arg(long, default_value_t = 10_000_000)]
    largest: usize,
    /// List the workloads and exit
    #[arg(long)]
    list: bool,
    /// The most samples of each workload
    #[arg(long, default_value_t = 101, value_parser = clap::value_parser!(u32).range(1..))]
    reps: u32,
    /// The most seconds that samples of a workload take, three samples aside
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Threads to compute with
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.workloads.is_empty() || self.workloads.iter().any(|own| own == name)
    }

    fn reps(&self) -> Reps {
        let budget = Duration::from_secs(self.seconds.into());
        let timed = Reps::Timed { samples: self.reps as usize, budget };
        self.runs.map_or(timed, Reps::Counted)
    }
}

fn main() -> ExitCode {
    let (options, all) = (Options::parse(), workloads());
    if options.sweep {
        wengert::threads::set(options.threads as usize);
        sweep::sweep(&options.workloads, options.largest);
        return ExitCode::SUCCESS;
    }
    if let Some(name) = options.workloads.iter().find(|name| !all.iter().any(|w| w.name == **name))
    {
        eprintln!("there is no workload '{name}'; --list shows them");
        return ExitCode::from(2);
    }
    wengert::threads::set(options.threads as usize);
    if options.ratio {
        print_ratios(&options);
        return ExitCode::SUCCESS;
    }
    let is_variant =
        |workload: &&Workload| options.variant.as_ref().is_none_or(|own| own == workload.variant);
    let wanted = all.into_iter().filter(|workload| options.wants(workload.name));
    let wanted: Vec<Workload> = wanted.filter(|workload| is_variant(&workload)).collect();
    if !options.vs.is_empty() {
        return compare(&options, &wanted);
    }
    for workload in &wanted {
        if options.list {
            println!("{} {} (time per {})", workload.name, workload.variant, workload.unit);
        } else if options.instructions {
            if let Err(error) = print_instructions(workload) {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        } else {
            print_times(workload, &options);
        }
    }
    ExitCode::SUCCESS
}

fn compare(options: &Options, workloads: &[Workload]) -> ExitCode {
    let versus = Versus {
        peers: options.vs.clone(),
        rounds: options.rounds,
        threads: options.threads,
        seconds: options.seconds,
        reps: options.reps,
        table: options.table,
    };
    match versus.run(workloads) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print_ratios(options: &Options) {
    for ratio in COST_RATIOS.iter().filter(|ratio| options.wants(ratio.name)) {
        let value = (ratio.measure)(options.reps());
        println!(
            "{}",
            json!({
                "workload": ratio.name,
                "threads": options.threads,
                "reps": options.reps,
                "gradient_over_primal": value,
            })
        );
    }
}

fn print_instructions(workload: &Workload) -> std::io::Result<()> {
    let (timing, _) = (workload.run)(Reps::Counted(1));
    println!(
        "{}",
        json!({
            "workload": workload.name,
            "variant": workload.variant,
            "unit": workload.unit,
            "instructions": instructions::count(workload, timing.units)?,
        })
    );
    Ok(())
}

fn print_times(workload: &Workload, options: &Options) {
    let peak = Peak::start();
    let (timing, check) = (workload.run)(options.reps());
    println!(
        "{}",
        json!({
            "workload": workload.name,
            "variant": workload.variant,
            "threads": options.threads,
            "unit": workload.unit,
            "median_us": timing.median_us,
            "min_us": timing.min_us,
            "reps": timing.samples,
            "check": check,
            "peak_bytes": peak.bytes(),
        })
    );
}
