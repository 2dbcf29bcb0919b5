//! Runs named workloads and prints one JSON line for each.
//!
//! ```text
//! cargo run --release -p wengert-bench -- --list
//! cargo run --release -p wengert-bench -- netbp chain --reps 51
//! cargo run --release -p wengert-bench -- --ratio
//! ```

mod data;
mod measure;
mod workload;

use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use workload::{COST_RATIOS, workloads};

/// Measures Wengert on named workloads; one JSON line each.
#[derive(Parser)]
struct Options {
    /// The workloads to run; all if none is named
    workloads: Vec<String>,
    /// Run this variant only: eager or compiled
    #[arg(long)]
    variant: Option<String>,
    /// Instead of times, the cost of value and gradient over that of the value alone
    #[arg(long)]
    ratio: bool,
    /// List the workloads and exit
    #[arg(long)]
    list: bool,
    /// Samples of each workload
    #[arg(long, default_value_t = 101, value_parser = clap::value_parser!(u32).range(1..))]
    reps: u32,
    /// Threads to compute with
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
}

fn main() -> ExitCode {
    let (options, all) = (Options::parse(), workloads());
    if let Some(name) = options.workloads.iter().find(|name| !all.iter().any(|w| w.name == **name))
    {
        eprintln!("there is no workload '{name}'; --list shows them");
        return ExitCode::from(2);
    }
    wengert::threads::set(options.threads as usize);
    let is_wanted =
        |name: &str| options.workloads.is_empty() || options.workloads.iter().any(|n| n == name);
    if options.ratio {
        for ratio in COST_RATIOS.iter().filter(|ratio| is_wanted(ratio.name)) {
            let value = (ratio.measure)(options.reps as usize);
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
        return ExitCode::SUCCESS;
    }
    for workload in &all {
        if options.list {
            println!("{} {} (time per {})", workload.name, workload.variant, workload.unit);
            continue;
        }
        let is_variant = options.variant.as_ref().is_none_or(|own| own == workload.variant);
        if !is_wanted(workload.name) || !is_variant {
            continue;
        }
        let (timing, check) = (workload.run)(options.reps as usize);
        println!(
            "{}",
            json!({
                "workload": workload.name,
                "variant": workload.variant,
                "threads": options.threads,
                "unit": workload.unit,
                "median_us": timing.median_us,
                "min_us": timing.min_us,
                "reps": options.reps,
                "check": check,
            })
        );
    }
    ExitCode::SUCCESS
}
