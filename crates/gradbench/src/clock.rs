//! What is timed, and how often it is run.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wengert::{CompileError, Function, Functions, Inputs, Program, Tensor, compile, compile_n};

use crate::input::{Error, Input};

/// The timings of one evaluation.
///
/// What is done once for an input (compiling, above all) is named `prepare`. What the benchmark
/// scores is named `evaluate`, one timing for each run. Reading the input and arranging the output are neither.
#[derive(Debug)]
pub struct Clock {
    min_runs: usize,
    min_time: Duration,
    timings: Vec<(&'static str, Duration)>,
}

impl Clock {
    /// Takes `min_runs` and `min_seconds` from the input. Both are 1 if they are not there, and an
    /// input that is no object asks for one run.
    ///
    /// # Errors
    /// If `min_runs` is not a whole number, or `min_seconds` is no time.
    pub fn new(input: &Input<'_>) -> Result<Self, Error> {
        let seconds =
            input.optional("min_seconds", Input::number)?.unwrap_or(f64::from(input.0.is_object()));
        let min_time = Duration::try_from_secs_f64(seconds)
            .map_err(|_| Error(format!("`min_seconds`: expected a time, got {seconds}")))?;
        let min_runs = input.optional("min_runs", Input::integer)?.unwrap_or(1);
        Ok(Self { min_runs, min_time, timings: Vec::new() })
    }

    /// Times work that is done once.
    pub fn prepare<R>(&mut self, work: impl FnOnce() -> R) -> R {
        self.timed("prepare", work)
    }

    /// Runs and times the function, until it has been run as often and as long as the input asks
    /// for. Gives the result of the last run.
    pub fn evaluate<R>(&mut self, mut run: impl FnMut() -> R) -> R {
        let (mut runs, mut total) = (0, Duration::ZERO);
        loop {
            let result = self.timed("evaluate", &mut run);
            runs += 1;
            total += self.timings.last().expect("it was timed").1;
            if runs >= self.min_runs && total >= self.min_time {
                return result;
            }
        }
    }

    /// Compiles a function of the inputs, and evaluates the program.
    ///
    /// # Errors
    /// If the function decides on a value.
    pub fn run<I: Inputs<f64> + Copy>(
        &mut self,
        f: impl for<'t> Function<'t, f64, I>,
        inputs: I,
    ) -> Result<Tensor<f64>, Error> {
        let program = self.prepare(|| compile(f, inputs))?;
        Ok(self.repeat(program, inputs).remove(0))
    }

    /// As [`run`](Self::run), for a function with several results.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_n<I: Inputs<f64> + Copy, const M: usize>(
        &mut self,
        f: impl for<'t> Functions<'t, f64, I, M>,
        inputs: I,
    ) -> Result<[Tensor<f64>; M], Error> {
        let program = self.prepare(|| compile_n(f, inputs))?;
        Ok(self.repeat(program, inputs).try_into().expect("one tensor for each result"))
    }

    fn repeat<I: Inputs<f64> + Copy>(
        &mut self,
        mut program: Program<f64>,
        inputs: I,
    ) -> Vec<Tensor<f64>> {
        self.evaluate(|| program.run(inputs))
    }

    /// The timings in the form of the protocol.
    pub fn timings(&self) -> Value {
        let timing = |(name, time): &(&str, Duration)| json!({ "name": name, "nanoseconds": u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) });
        self.timings.iter().map(timing).collect()
    }

    fn timed<R>(&mut self, name: &'static str, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        self.timings.push((name, start.elapsed()));
        result
    }
}

impl From<CompileError> for Error {
    fn from(error: CompileError) -> Self {
        Self(error.to_string())
    }
}
