//! Other libraries beside Wengert: each runs a workload in a process of its own, by turns, so that
//! what else the machine does falls on all of them.
//!
//! A peer is a command that prints the names of its workloads with `--list`, and for a name a JSON
//! line for each way of computing it: `peers/*.py`. A time is the median over rounds of the medians
//! that the processes tell. Processes inherit the cores that the caller has chosen, by `taskset` say.

use std::process::Command;

use serde_json::{Map, Value, json};

use crate::measure::median;
use crate::workload::Workload;

/// How far apart two checksums of one workload may be, relative to the larger one: single precision,
/// added up in another order over five steps.
const TOLERANCE: f64 = 1e-4;

/// How to compare.
pub struct Versus {
    pub peers: Vec<String>,
    pub rounds: u32,
    pub threads: u32,
    pub seconds: u32,
    pub reps: u32,
    /// Print a table in Markdown instead of JSON lines.
    pub table: bool,
}

impl Versus {
    /// Compares what peers know of these workloads, whose variants stand together. A workload that
    /// can't be compared is told, and the others go on.
    ///
    /// # Errors
    /// If there was one, or a peer can't be run.
    pub fn run(&self, workloads: &[Workload]) -> Result<(), String> {
        let known: Vec<Vec<String>> =
            self.peers.iter().map(|peer| names(peer)).collect::<Result<_, _>>()?;
        if self.table {
            println!("{HEAD}");
        }
        let mut failed = 0;
        for variants in workloads.chunk_by(|a, b| a.name == b.name) {
            let name = variants[0].name;
            let knows = |known: &Vec<String>| known.iter().any(|other| other == name);
            let peers = self.peers.iter().zip(&known).filter(|(_, known)| knows(known));
            let peers: Vec<_> = peers.map(|(peer, _)| peer.as_str()).collect();
            if peers.is_empty() {
                eprintln!("{name}: no peer knows it");
                continue;
            }
            match self.compare(&peers, variants) {
                Ok(compared) if self.table => println!("{}", compared.row()),
                Ok(compared) => println!("{}", compared.line(self)),
                Err(error) => {
                    failed += 1;
                    eprintln!("{name}: {error}");
                }
            }
        }
        match failed {
            0 => Ok(()),
            _ => Err(format!("{failed} of the workloads could not be compared")),
        }
    }

    fn compare(&self, peers: &[&str], variants: &[Workload]) -> Result<Compared, String> {
        let name = variants[0].name;
        let own = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            for peer in peers {
                let mut command = command(peer)?;
                command.arg(name).env("BENCH_SECONDS", self.seconds.to_string());
                for variable in ["JAX_THREADS", "TORCH_THREADS"] {
                    command.env(variable, self.threads.to_string());
                }
                theirs.extend(lines(command)?);
            }
            // A process for each variant: what one leaves in memory would count as the next one's.
            for workload in variants {
                let mut command = Command::new(&own);
                command.args([name, "--variant", workload.variant]);
                for (option, value) in [
                    ("--threads", self.threads),
                    ("--seconds", self.seconds),
                    ("--reps", self.reps),
                ] {
                    command.args([option, &value.to_string()]);
                }
                ours.extend(lines(command)?);
            }
        }
        let apart = agree(theirs.iter().chain(&ours))?;
        let (theirs, ours) = (summaries(&theirs), summaries(&ours));
        Ok(Compared { workload: variants[0], theirs, ours, apart })
    }
}

/// One way of computing a workload, as a process tells of it.
#[derive(Clone)]
struct Told {
    variant: String,
    median_us: f64,
    check: f64,
    peak_bytes: Option<u64>,
}

impl Told {
    fn read(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        Some(Self {
            variant: value["variant"].as_str()?.to_owned(),
            median_us: value["median_us"].as_f64()?,
            check: value["check"].as_f64()?,
            peak_bytes: value["peak_bytes"].as_u64(),
        })
    }
}

/// A peer's command, which is split at spaces.
fn command(peer: &str) -> Result<Command, String> {
    let mut words = peer.split_whitespace();
    let program = words.next().ok_or("`--vs` wants a command, and this one is empty")?;
    let mut command = Command::new(program);
    command.args(words);
    Ok(command)
}

/// What a command prints.
fn output(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} ended with {}:\n{said}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{command:?}: {error}"))
}

/// The workloads that a peer knows.
fn names(peer: &str) -> Result<Vec<String>, String> {
    let mut command = command(peer)?;
    command.arg("--list");
    Ok(output(command)?.lines().map(str::to_owned).collect())
}

/// What a command tells of a workload.
fn lines(command: Command) -> Result<Vec<Told>, String> {
    let said = format!("{command:?}");
    let read = |line: &str| {
        Told::read(line).ok_or_else(|| {
            format!("{said} printed no JSON with variant, median_us and check, but: {line}")
        })
    };
    output(command)?.lines().map(read).collect()
}

/// How far apart the checksums are, relative to the larger one, which is not far.
fn agree<'a>(told: impl Iterator<Item = &'a Told> + Clone) -> Result<f64, String> {
    let by_size = |a: &&Told, b: &&Told| a.check.total_cmp(&b.check);
    let extremes = told.clone().min_by(by_size).zip(told.max_by(by_size));
    let (low, high) = extremes.ok_or("nobody printed a line")?;
    let size = low.check.abs().max(high.check.abs());
    let differ = |apart: f64| {
        format!(
            "the checksums differ by {apart:.1e} of the larger one, more than {TOLERANCE:e}: {} of {} \
             and {} of {}; one of them computes something else",
            low.check, low.variant, high.check, high.variant
        )
    };
    match (high.check - low.check) / size {
        _ if high.check == low.check => Ok(0.0),
        apart if apart <= TOLERANCE => Ok(apart),
        apart => Err(differ(apart)),
    }
}

/// The median over the rounds, for each variant.
fn summaries(told: &[Told]) -> Vec<Told> {
    let mut variants: Vec<&str> = Vec::new();
    for one in told {
        if !variants.contains(&one.variant.as_str()) {
            variants.push(&one.variant);
        }
    }
    let summary = |variant| {
        let rounds: Vec<&Told> = told.iter().filter(|one| one.variant == variant).collect();
        let mut medians: Vec<f64> = rounds.iter().map(|one| one.median_us).collect();
        let peak_bytes = rounds.iter().filter_map(|one| one.peak_bytes).max();
        Told { median_us: median(&mut medians), peak_bytes, ..rounds[0].clone() }
    };
    variants.into_iter().map(summary).collect()
}

/// A workload as peers and Wengert compute it.
struct Compared {
    workload: Workload,
    theirs: Vec<Told>,
    ours: Vec<Told>,
    /// How far apart the checksums are.
    apart: f64,
}

/// The head of a table of [`Compared::row`]s.
const HEAD: &str = "| workload, time a | best peer | eager | compiled | eager / peer | compiled / peer | peak MB: peer, eager, frugal, compiled |
| --- | --- | --- | --- | --- | --- | --- |";

impl Compared {
    fn best(&self) -> &Told {
        let by_time = |a: &&Told, b: &&Told| a.median_us.total_cmp(&b.median_us);
        self.theirs.iter().min_by(by_time).expect("a peer told something")
    }

    fn line(&self, versus: &Versus) -> Value {
        let told = |one: &Told| json!({ "median_us": one.median_us, "peak_bytes": one.peak_bytes });
        let best = self.best();
        let peers: Map<_, _> =
            self.theirs.iter().map(|one| (one.variant.clone(), told(one))).collect();
        let ours = self.ours.iter().map(|one| {
            let mut value = told(one);
            value["ratio"] = (one.median_us / best.median_us).into();
            (one.variant.clone(), value)
        });
        json!({
            "workload": self.workload.name,
            "threads": versus.threads,
            "unit": self.workload.unit,
            "rounds": versus.rounds,
            "checksums_apart": self.apart,
            "best_peer": best.variant,
            "peers": peers,
            "wengert": ours.collect::<Map<_, _>>(),
        })
    }

    fn row(&self) -> String {
        let best = self.best();
        let own = |variant: &str| self.ours.iter().find(|one| one.variant == variant);
        let ours = ["eager", "frugal", "compiled"].map(own);
        let none = || "-".to_owned();
        let time = |one: Option<&Told>| one.map_or_else(none, |one| duration(one.median_us));
        let ratio = |one: Option<&Told>| {
            one.map_or_else(none, |one| format!("{:.2}", one.median_us / best.median_us))
        };
        let peak = |one: Option<&Told>| {
            let bytes = one.and_then(|one| one.peak_bytes);
            bytes.map_or_else(none, |bytes| (bytes as f64 / 1e6).round().to_string())
        };
        format!(
            "| {}, {} | {} {} | {} | {} | {} | {} | {}, {}, {}, {} |",
            self.workload.name,
            self.workload.unit,
            best.variant,
            duration(best.median_us),
            time(ours[0]),
            time(ours[2]),
            ratio(ours[0]),
            ratio(ours[2]),
            peak(Some(best)),
            peak(ours[0]),
            peak(ours[1]),
            peak(ours[2]),
        )
    }
}

/// A time in a unit that suits it, with three digits.
fn duration(microseconds: f64) -> String {
    let (value, unit) = match microseconds {
        x if x < 1.0 => (x * 1e3, "ns"),
        x if x < 1e3 => (x, "µs"),
        x => (x / 1e3, "ms"),
    };
    let decimals = match value {
        x if x < 10.0 => 2,
        x if x < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variant: &str, median_us: f64, check: f64) -> Told {
        Told { variant: variant.into(), median_us, check, peak_bytes: None }
    }

    #[test]
    fn times_are_medians_over_rounds() {
        let rounds = [told("a", 3.0, 1.0), told("b", 9.0, 1.0), told("a", 1.0, 1.0)];
        let rounds = [rounds.as_slice(), &[told("a", 2.0, 1.0)]].concat();
        let found: Vec<_> =
            summaries(&rounds).into_iter().map(|one| (one.variant, one.median_us)).collect();
        assert_eq!(found, [("a".into(), 2.0), ("b".into(), 9.0)]);
    }

    #[test]
    fn checksums_that_differ_are_named() {
        assert!(agree([told("a", 1.0, -2.0), told("b", 1.0, -2.00001)].iter()).is_ok());
        let error = agree([told("a", 1.0, 2.0), told("b", 1.0, 2.1)].iter()).unwrap_err();
        assert!(error.contains("2 of a and 2.1 of b"), "{error}");
        assert!(agree([told("a", 1.0, 0.0), told("b", 1.0, f64::NAN)].iter()).is_err());
    }

    #[test]
    fn a_table_has_three_digits() {
        assert_eq!(
            [0.0123, 4.5, 123.4, 98_765.0].map(duration),
            ["12.3 ns", "4.50 µs", "123 µs", "98.8 ms"]
        );
    }
}
