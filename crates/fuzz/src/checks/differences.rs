//! Derivatives against differences of the values, in double precision.
//!
//! Central differences at three steps, each half of the one before, extrapolated (Richardson):
//! the last two extrapolations differ by about the error that is left. Where that and what
//! roundings explain is more than a hundredth of the derivative, nothing is said; a step that
//! crosses a kink, or in which the slope turns, says nothing either.

use wengert_core::Tensor;

use super::sweeps::has_derivatives;
use super::{Kept, Made, Outcome};
use crate::measure::{Kind, Subject, direction, operands};
use crate::program::Program;

/// Steps to begin with.
const STEPS: [f64; 3] = [0.02, 0.002, 0.0002];
/// What a difference must tell at least, as a share of the derivative.
const TELLING: f64 = 0.01;

pub(super) fn differences<T: Kept>(subject: &Subject<T>) -> Outcome {
    if subject.program.single || !has_derivatives(subject) {
        return Ok(Made::No);
    }
    // The same program in the precision that it is in.
    let subject = Subject::<f64>::new(&subject.program, 0);
    let derivatives = subject.base().derivatives.as_ref().expect("there are some");
    let line = Line::new(&subject);
    let slope = derivatives.slope.item();
    let noise = subject.room(subject.place(Kind::Loss));
    let bends = derivatives.bend.iter().zip(subject.program.varied());
    let bend: f64 = bends.map(|(bend, i)| bend.dot(&direction(&subject.tensors[i], i))).sum();
    // Where the slope turns within a step, differences tell of something else.
    let reach = slope.abs() / (2.0 * bend.abs());
    let first = judged(&line, slope, [noise, reach], &|point| point.0);
    let noise_of_slope = subject.room(subject.place(Kind::Slope));
    let second = judged(&line, bend, [noise_of_slope, reach], &|point| point.1);
    let told = |what: &str, own: f64, verdict: Verdict| match verdict {
        Verdict::Wrong { found, error } => Err(format!(
            "{what} is {own:e}, and {found:e} by differences, which are exact to {error:.1e}"
        )),
        Verdict::Right => Ok(Made::Yes),
        Verdict::Silent => Ok(Made::No),
    };
    let first = told("the slope", slope, first)?;
    let second = told("<v, H v>", bend, second)?;
    Ok(if first == Made::Yes { first } else { second })
}

enum Verdict {
    Right,
    Wrong { found: f64, error: f64 },
    Silent,
}

/// Compares a derivative with differences of something that is known along the line, such as
/// the loss or its slope.
fn judged(
    line: &Line<'_>,
    own: f64,
    [noise, reach]: [f64; 2],
    read: &dyn Fn((f64, f64)) -> f64,
) -> Verdict {
    let mut worst = Verdict::Silent;
    for step in STEPS {
        let difference = |h: f64| -> Option<f64> {
            let (ahead, behind) = (line.at(h)?, line.at(-h)?);
            Some((read(ahead) - read(behind)) / (2.0 * h))
        };
        let quotients: Option<Vec<f64>> =
            [step, step / 2.0, step / 4.0].map(difference).into_iter().collect();
        let Some(quotients) = quotients else { continue };
        let better = |a: f64, b: f64| (4.0 * b - a) / 3.0;
        let (coarse, fine) =
            (better(quotients[0], quotients[1]), better(quotients[1], quotients[2]));
        let found = (16.0 * fine - coarse) / 15.0;
        let error = 4.0 * (fine - coarse).abs() + 8.0 * noise / step;
        let off = (found - own).abs();
        if off <= error {
            return Verdict::Right;
        }
        if error <= TELLING * off && step <= reach {
            worst = Verdict::Wrong { found, error };
        }
    }
    worst
}

/// The program along a line through its inputs.
struct Line<'a> {
    subject: &'a Subject<f64>,
    /// The least distance to a kink of each step, and its operands.
    kinks: Vec<(f64, Vec<Tensor<f64>>)>,
}

impl<'a> Line<'a> {
    fn new(subject: &'a Subject<f64>) -> Self {
        let Subject { program, tensors, .. } = subject;
        let values = &subject.base().values;
        let kinks = (0..program.steps.len()).map(|step| {
            let args = operands(program, step, tensors, values);
            let views: Vec<_> = args.iter().map(|arg| arg.view()).collect();
            (program.steps[step].op.double.kink_distance(&views), args)
        });
        Self { subject, kinks: kinks.collect() }
    }

    /// Loss and slope at a distance. `None` if a kink may lie between.
    fn at(&self, h: f64) -> Option<(f64, f64)> {
        let program: &Program = &self.subject.program;
        let moved: Vec<Tensor<f64>> = self
            .subject
            .tensors
            .iter()
            .enumerate()
            .map(|(i, x)| match program.inputs[i].fixed {
                true => x.clone(),
                false => x.zip_map(&direction(x, i), |x, v| x + h * v),
            })
            .collect();
        let tape = wengert_core::Tape::new();
        let leaves = program.leaves(&tape, &moved);
        // The direction is that of the point in the middle.
        let results = program.record(&leaves);
        let values: Vec<Tensor<f64>> = results.iter().map(|result| result.value()).collect();
        for (step, (distance, args)) in self.kinks.iter().enumerate() {
            if distance.is_infinite() {
                continue;
            }
            let there = operands(program, step, &moved, &values);
            let apart = args.iter().zip(&there).flat_map(|(a, b)| a.iter().zip(b.iter()));
            let most = apart.fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
            // Two operands of a maximum may move towards each other.
            if most > 0.0 && 2.0 * most >= *distance {
                return None;
            }
        }
        let y = crate::measure::loss(program, &results);
        let lines: Vec<_> = program
            .varied()
            .into_iter()
            .map(|i| (leaves[i], tape.constant(direction(&self.subject.tensors[i], i))))
            .collect();
        let slope = tape.without_gradients(|| y.jvp(&lines)).item();
        let loss = y.item();
        (loss.is_finite() && slope.is_finite()).then_some((loss, slope))
    }
}
