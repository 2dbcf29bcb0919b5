//! Instructions a unit of work, counted by valgrind: the same number whatever else
//! the machine is doing.
//!
//! The program runs itself under valgrind twice, with few runs and with more of them;
//! the difference is free of what comes before the runs.

use std::io;
use std::process::Command;

use crate::workload::Workload;

/// Runs before the counts are compared: the first ones record what later ones follow.
const FEW: usize = 4;
/// Runs more.
const MORE: usize = 8;

/// The instructions of one unit of a workload, on one thread.
///
/// # Errors
/// If valgrind cannot be run, or says something else than expected.
pub fn count(workload: &Workload, units: usize) -> io::Result<f64> {
    let few = whole_process(workload, FEW)?;
    let many = whole_process(workload, FEW + MORE)?;
    Ok((many as f64 - few as f64) / (MORE * units) as f64)
}

fn whole_process(workload: &Workload, runs: usize) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([workload.name, "--variant", workload.variant, "--runs", &runs.to_string()])
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("valgrind: {error}")))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split("Collected :").nth(1));
    collected.and_then(|count| count.trim().parse().ok()).ok_or_else(|| {
        io::Error::other(format!("valgrind did not say how much it collected:\n{report}"))
    })
}
