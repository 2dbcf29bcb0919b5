//! Runs named workloads and prints one JSON line for each.
//!
//! ```text
//! cargo run --release -p wengert-bench -- --list
//! cargo run --release -p wengert-bench -- netbp chain --reps 51
//! ```

mod data;
mod measure;
mod workload;

use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use workload::workloads;

/// Measures Wengert on named workloads; one JSON line each.
#[derive(Parser)]
struct Options {
    /// The workloads to run; all if none is named
    workloads: Vec<String>,
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
    for workload in &all {
        if options.list {
            println!("{} {} (time per {})", workload.name, workload.variant, workload.unit);
            continue;
        }
        if !options.workloads.is_empty() && !options.workloads.iter().any(|n| n == workload.name) {
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
