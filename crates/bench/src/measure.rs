//! Timing: medians of samples that are long enough to trust.

use std::time::{Duration, Instant};

/// A sample lasts at least this long, so that the clock's own cost vanishes.
const SAMPLE: Duration = Duration::from_millis(2);

/// How often a workload is run.
#[derive(Clone, Copy, Debug)]
pub enum Reps {
    /// As often as the samples need.
    Timed(usize),
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
    /// Units of work in a run.
    pub units: usize,
}

/// Times `run`, which does `units` units of work.
pub fn time(reps: Reps, units: usize, mut run: impl FnMut()) -> Timing {
    let reps = match reps {
        Reps::Timed(samples) => samples.max(1),
        Reps::Counted(runs) => {
            (0..runs).for_each(|_| run());
            return Timing { median_us: f64::NAN, min_us: f64::NAN, units };
        }
    };
    for _ in 0..3 {
        run();
    }
    let start = Instant::now();
    run();
    let once = start.elapsed().max(Duration::from_nanos(1));
    let runs = (SAMPLE.as_secs_f64() / once.as_secs_f64()).ceil().max(1.0) as usize;
    let mut samples: Vec<f64> = (0..reps)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..runs {
                run();
            }
            start.elapsed().as_secs_f64() * 1e6 / (runs * units) as f64
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    Timing { median_us: samples[samples.len() / 2], min_us: samples[0], units }
}
