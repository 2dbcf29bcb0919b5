//! Every op, on every sample, in every way that has gone wrong before.
//!
//! The harness knows no op: it walks samples, draws numbers for them, and
//! [`CHECKS`] lists what must hold for each. A rule that panics is a finding like
//! any other. A test of the harness itself breaks rules on purpose and counts what
//! escapes.

mod case;
mod compiled;
mod conditions;
mod layouts;
mod nested;
mod selection;
mod stacked;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::evidence::problem::Draw;
use crate::op::ShapeClass;
use crate::op::samples::SampleSet;
use crate::scalar::Real;
use crate::tape::elemental::DynOp;
use crate::tensor::Shape;
use case::Case;
use conditions::{CHECKS, single_precision};

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The op and the shapes of its operands.
    pub sample: String,
    /// What was checked.
    pub check: &'static str,
    /// What is wrong, with numbers.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.sample, self.check, self.message)
    }
}

/// What the harness found about one op.
#[derive(Clone, Debug)]
#[must_use = "a report says whether the op is right: `assert` it, or ask `is_right`"]
#[non_exhaustive]
pub struct OpReport {
    /// The op's name.
    pub name: &'static str,
    /// The samples that were tried.
    pub samples: usize,
    /// The checks that were made on them.
    pub checks: usize,
    /// What does not hold.
    pub findings: Vec<Finding>,
}

impl OpReport {
    /// Whether all checks hold.
    pub fn is_right(&self) -> bool {
        self.findings.is_empty()
    }

    /// Stops with the findings, if there are any.
    ///
    /// # Panics
    /// If a check does not hold.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.is_right(), "{self}");
    }
}

impl fmt::Display for OpReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, samples, checks, findings } = self;
        if findings.is_empty() {
            return write!(f, "right: op {name}, {checks} checks on {samples} samples");
        }
        write!(f, "WRONG: op {name}, {} of {checks} checks on {samples} samples", findings.len())?;
        for finding in findings {
            write!(f, "\n  {finding}")?;
        }
        Ok(())
    }
}

/// Checks an op on its samples, all of them or until something is found.
pub(super) fn run(
    samples: &SampleSet<f64>,
    singles: Option<&SampleSet<f32>>,
    seed: u64,
    until_found: bool,
) -> OpReport {
    let name = samples.cases.first().map_or("without samples", |sample| sample.op.name());
    let mut report = OpReport { name, samples: samples.cases.len(), checks: 0, findings: vec![] };
    let note = |report: &mut OpReport, sample, check, outcome: Result<(), String>| {
        report.checks += 1;
        report.findings.extend(outcome.err().map(|message| Finding { sample, check, message }));
        until_found && !report.findings.is_empty()
    };
    if note(&mut report, name.to_owned(), "classes of shapes", classes(samples)) {
        return report;
    }
    for error in &samples.errors {
        let shapes: Vec<&Shape> = error.args.iter().collect();
        let outcome = match error.op.shape(&shapes) {
            Ok(shape) => Err(format!("no objection, and shape {shape}")),
            Err(reason) if reason.contains(error.message) => Ok(()),
            Err(reason) => Err(format!("`{reason}` does not say `{}`", error.message)),
        };
        if note(&mut report, describe(&*error.op, &error.args), "error samples", outcome) {
            return report;
        }
    }
    let mut draw = Draw::new(seed);
    for (i, sample) in samples.cases.iter().enumerate() {
        let title =
            describe(&*sample.op, &sample.args.iter().map(|a| a.0.clone()).collect::<Vec<_>>());
        let case = match guarded(|| Case::draw(sample, &mut draw)) {
            Ok(case) => case,
            Err(reason) => {
                if note(&mut report, title, "drawing operands", Err(reason)) {
                    return report;
                }
                continue;
            }
        };
        for (check, holds) in CHECKS {
            if note(&mut report, title.clone(), check, guarded(|| holds(&case))) {
                return report;
            }
        }
        if let Some(single) = singles.and_then(|singles| singles.cases.get(i)) {
            let outcome = guarded(|| single_precision(&case, single));
            if note(&mut report, title, "f32 against f64", outcome) {
                return report;
            }
        }
    }
    report
}

/// Runs a check; a panic is a finding.
fn guarded<R>(check: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panicked: {}", message.unwrap_or("without a message")))
    })
}

fn describe<T: Real>(op: &dyn DynOp<T>, shapes: &[Shape]) -> String {
    let shapes: Vec<_> = shapes.iter().map(Shape::to_string).collect();
    format!("{} of {}", op.name(), shapes.join(", "))
}

/// Every class of shapes has a sample, or a reason why it has none.
fn classes(samples: &SampleSet<f64>) -> Result<(), String> {
    let sampled: Vec<ShapeClass> = samples
        .cases
        .iter()
        .flat_map(|case| {
            ShapeClass::of(&case.args.iter().map(|arg| arg.0.clone()).collect::<Vec<_>>())
        })
        .collect();
    for class in ShapeClass::ALL {
        let absent = samples.absent.iter().find(|(absent, _)| *absent == class);
        match (sampled.contains(&class), absent) {
            (false, None) => {
                return Err(format!("no sample of class {class:?}, and no reason why"));
            }
            (true, Some((_, reason))) => {
                return Err(format!("class {class:?} has samples, though `{reason}`"));
            }
            _ => {}
        }
    }
    Ok(())
}
