//! Whether a compiled program gives what it was compiled from.
//!
//! A program promises the bits of its recording on every input, with the samples that it draws and
//! the states that it moves. So its recording is computed operation by operation with the same
//! samples, and the two are compared to the bit: at the inputs that are given and at others nearby, so that
//! a number that was taken as fixed shows.

use std::fmt;

use crate::check::evidence::problem::{Draw, moved};
use crate::program::Program;
use crate::scalar::Real;
use crate::tensor::Tensor;
use crate::trace::number;
use crate::var::Inputs;

/// The points at which a program is compared with its recording.
const POINTS: usize = 4;

/// What a comparison of a program with its recording found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a report says whether the program is right: `assert` it, or ask `is_right`"]
#[non_exhaustive]
pub struct ProgramReport {
    /// How many results were compared, states among them, at each point.
    pub results: usize,
    /// At how many points.
    pub points: usize,
    /// What differs first, in words.
    pub difference: Option<String>,
}

impl ProgramReport {
    /// Whether the program gives the bits of its recording.
    pub fn is_right(&self) -> bool {
        self.difference.is_none()
    }

    /// Stops with the report unless the program gives the bits of its recording.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.is_right(), "{self}");
    }
}

impl fmt::Display for ProgramReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { results, points, difference } = self;
        match difference {
            None => write!(
                f,
                "right: {results} results of a program have the bits of its recording, at {points} \
                 points"
            ),
            Some(difference) => write!(f, "WRONG: a program and its recording: {difference}"),
        }
    }
}

/// Compares a compiled program with the recording that it was compiled from, at the given inputs
/// and at others nearby: its outputs and, if it has a state, the state after the run. Both draw the same
/// samples. The program is compared as it is, and as [machine code](Program::native). The inputs,
/// the state and the generator are as before when it returns.
///
/// ```
/// use wengert_core::{Tensor, check, compile};
///
/// let x = Tensor::from([1.0, 2.0]);
/// let mut program = compile(|x| (x.sin() * x).sum(), &x)?;
/// check::program(&mut program, &Tensor::from([0.5, -3.0])).assert();
/// # Ok::<(), wengert_core::CompileError>(())
/// ```
///
/// # Panics
/// If the number of inputs or a shape is not that of the recording.
#[track_caller]
pub fn program<T: Real, I: Inputs<T>>(program: &mut Program<T>, x: I) -> ProgramReport {
    let mut x_values = Vec::new();
    x.values(&mut x_values);
    let points = points(&x_values);
    let mut difference = None;
    for is_native in [false, true] {
        if is_native {
            program.native();
        }
        program.beside_recording(&points, |found, expected, describe| {
            difference = difference.take().or_else(|| first_difference(found, expected, describe));
        });
    }
    ProgramReport { results: program.results(), points: points.len(), difference }
}

/// The point itself, and others at which every number is another one.
fn points<T: Real>(x: &[Tensor<T>]) -> Vec<Vec<Tensor<T>>> {
    let mut draw = Draw::new(1964);
    let mut points = vec![x.to_vec()];
    for _ in 1..POINTS {
        let v = draw.direction(x);
        points.push(x.iter().zip(&v).map(|(x, v)| moved(x, 0.125, v)).collect());
    }
    points
}

/// What differs between the results of a program and of its recording at one point.
fn first_difference<T: Real>(
    program: &[Tensor<T>],
    recording: &[Tensor<T>],
    describe: &dyn Fn(usize) -> String,
) -> Option<String> {
    program.iter().zip(recording).enumerate().find_map(|(result, (a, b))| {
        let bits = |x: T| x.as_f64().to_bits();
        let differs = |(a, b): &(T, T)| bits(*a) != bits(*b) && !(a.is_nan() && b.is_nan());
        let at = a.iter().zip(b.iter()).position(|pair| differs(&pair))?;
        let index = crate::check::evidence::comparison::index_of(at, a.shape());
        let pair = a.iter().zip(b.iter()).nth(at)?;
        Some(format!(
            "result {result} {index:?}: got {}, expected {}\n  from {}",
            number(pair.0.as_f64(), 17),
            number(pair.1.as_f64(), 17),
            describe(result)
        ))
    })
}
