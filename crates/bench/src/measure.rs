//! Timing: medians of samples that are long enough to trust.

use std::time::{Duration, Instant};

/// A sample lasts at least this long, so that the clock's own cost vanishes.
const SAMPLE: Duration = Duration::from_millis(2);

/// What timing a workload gave.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The median over the samples, in microseconds a unit.
    pub median_us: f64,
    /// The least sample, in microseconds a unit.
    pub min_us: f64,
}

/// Times `run`, which does `units` units of work, over `reps` samples.
pub fn time(reps: usize, units: usize, mut run: impl FnMut()) -> Timing {
    for _ in 0..3 {
        run();
    }
    let start = Instant::now();
    run();
    let once = start.elapsed().max(Duration::from_nanos(1));
    let runs = (SAMPLE.as_secs_f64() / once.as_secs_f64()).ceil().max(1.0) as usize;
    let mut samples: Vec<f64> = (0..reps.max(1))
        .map(|_| {
            let start = Instant::now();
            for _ in 0..runs {
                run();
            }
            start.elapsed().as_secs_f64() * 1e6 / (runs * units) as f64
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    Timing { median_us: samples[samples.len() / 2], min_us: samples[0] }
}
