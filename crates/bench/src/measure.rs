//! Timing: medians of samples that are long enough to trust. And memory: the peak of a workload.

use std::fs;
use std::time::{Duration, Instant};

/// A sample lasts at least this long, so that the clock's own cost vanishes.
const SAMPLE: Duration = Duration::from_millis(2);
/// A median of fewer samples says nothing.
const FEWEST: usize = 3;

/// How often a workload is run.
#[derive(Clone, Copy, Debug)]
pub enum Reps {
    /// As often as the samples need: `samples` of them, or fewer where they would take longer than
    /// `budget`.
    Timed { samples: usize, budget: Duration },
    /// This number of times, whatever the clock says, for tools that count instructions.
    Counted(usize),
}

/// What timing a workload gave.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The median over the samples, in microseconds a unit.
    pub median_us: f64,
    /// The least sample, in microseconds a unit.
    pub min_us: f64,
    /// The number of samples.
    pub samples: usize,
    /// Units of work in a run.
    pub units: usize,
}

/// Times `run`, which does `units` units of work.
pub fn time(reps: Reps, units: usize, mut run: impl FnMut()) -> Timing {
    let (wanted, budget) = match reps {
        Reps::Timed { samples, budget } => (samples.max(1), budget),
        Reps::Counted(runs) => {
            (0..runs).for_each(|_| run());
            return Timing { median_us: f64::NAN, min_us: f64::NAN, samples: 0, units };
        }
    };
    let mut once = Duration::MAX;
    let begin = Instant::now();
    for _ in 0..4 {
        let start = Instant::now();
        run();
        once = start.elapsed().max(Duration::from_nanos(1));
        if begin.elapsed() > budget / 10 {
            break;
        }
    }
    let runs = (SAMPLE.as_secs_f64() / once.as_secs_f64()).ceil().max(1.0) as usize;
    let mut samples = Vec::new();
    let begin = Instant::now();
    while samples.len() < wanted && (samples.len() < FEWEST || begin.elapsed() < budget) {
        let start = Instant::now();
        for _ in 0..runs {
            run();
        }
        samples.push(start.elapsed().as_secs_f64() * 1e6 / (runs * units) as f64);
    }
    Timing { median_us: median(&mut samples), min_us: samples[0], samples: samples.len(), units }
}

/// The median of some numbers, which are in order afterwards.
pub fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The most memory that the process holds at once, from some moment on.
#[derive(Debug)]
pub struct Peak {
    before: Option<u64>,
}

impl Peak {
    /// From now on.
    pub fn start() -> Self {
        // Linux then forgets the peak that was.
        let before = fs::write("/proc/self/clear_refs", "5").ok().and_then(|()| status("VmRSS:"));
        Self { before }
    }

    /// The bytes at the peak beyond those at the start; `None` where the system is not Linux.
    pub fn bytes(&self) -> Option<u64> {
        Some(status("VmHWM:")?.saturating_sub(self.before?))
    }
}

/// A number of kilobytes in Linux's account of this process, in bytes.
fn status(key: &str) -> Option<u64> {
    let account = fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = account.lines().find_map(|line| line.strip_prefix(key))?;
    kilobytes.trim().strip_suffix(" kB")?.parse().ok().map(|number: u64| number * 1024)
}
