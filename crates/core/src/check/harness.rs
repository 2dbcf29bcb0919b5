//! Every op, on every sample, in every way that has gone wrong before.
//!
//! The harness knows no op: it walks samples, and [`CHECKS`] is the list of what
//! must hold on each. A rule that panics is a finding like any other. A test of
//! the harness itself breaks rules on purpose and counts what escapes.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::problem::{Draw, Kinks, Problem, inner, record_op};
use super::report::Verdict;
use super::taylor::{Candidate, Walk};
use super::{Derivatives, Identity, recorder};
use crate::op::samples::{Sample, SampleSet};
use crate::op::{Domain, DynOp, ShapeClass};
use crate::trace::number;
use crate::{Real, Shape, Tape, Tensor, Var};

/// Distance that operands keep from kinks, so that steps stay on one side.
const KINK_MARGIN: f64 = 0.03;
/// Draws until that is reached; after that the best one must do.
const DRAWS: usize = 200;

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq)]
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

/// What must hold for every sample.
const CHECKS: [(&str, Check); 11] = [
    ("shape rule", shape_rule),
    ("every element is written", every_element_is_written),
    ("scalars", scalars),
    ("partials", partials),
    ("masks", masks_get_no_derivative),
    ("adjoint identity and first order", first_order),
    ("second order", second_order),
    ("four orders of the modes", four_orders),
    ("fast and recorded sweeps", fast_and_recorded),
    ("one operand twice", one_operand_twice),
    ("views", views),
];

type Check = fn(&Case<f64>) -> Result<(), String>;

pub(super) fn run(
    samples: &SampleSet<f64>,
    singles: Option<&SampleSet<f32>>,
    seed: u64,
) -> OpReport {
    let name = samples.cases.first().map_or("without samples", |sample| sample.op.name());
    let mut report = OpReport { name, samples: samples.cases.len(), checks: 0, findings: vec![] };
    let mut note = |sample: String, check: &'static str, outcome: Result<(), String>| {
        report.checks += 1;
        report.findings.extend(outcome.err().map(|message| Finding { sample, check, message }));
    };
    note(name.to_owned(), "classes of shapes", classes(samples));
    for error in &samples.errors {
        let shapes: Vec<&Shape> = error.args.iter().collect();
        let outcome = match error.op.shape(&shapes) {
            Ok(shape) => Err(format!("no objection, and shape {shape}")),
            Err(reason) if reason.contains(error.message) => Ok(()),
            Err(reason) => Err(format!("`{reason}` does not say `{}`", error.message)),
        };
        note(describe(&*error.op, &error.args), "error samples", outcome);
    }
    let mut draw = Draw::new(seed);
    for (i, sample) in samples.cases.iter().enumerate() {
        let title =
            describe(&*sample.op, &sample.args.iter().map(|a| a.0.clone()).collect::<Vec<_>>());
        let case = match guarded(|| Case::draw(sample, &mut draw)) {
            Ok(case) => case,
            Err(reason) => {
                note(title, "drawing operands", Err(reason));
                continue;
            }
        };
        for (check, holds) in CHECKS {
            note(title.clone(), check, guarded(|| holds(&case)));
        }
        if let Some(single) = singles.and_then(|singles| singles.cases.get(i)) {
            note(title, "f32 against f64", guarded(|| single_precision(&case, single)));
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

/// A sample with numbers.
struct Case<T: Real> {
    op: Rc<dyn DynOp<T>>,
    domains: Vec<Domain>,
    args: Vec<Tensor<T>>,
    shape: Shape,
    /// Directions of the operands that vary.
    v: Vec<Tensor<T>>,
    /// A cotangent.
    w: Tensor<T>,
}

impl<T: Real> Case<T> {
    fn draw(sample: &Sample<T>, draw: &mut Draw) -> Result<Self, String> {
        let mut best: Option<(T, Vec<Tensor<T>>)> = None;
        for _ in 0..DRAWS {
            let args: Vec<_> =
                sample.args.iter().map(|(s, domain)| numbers(s, *domain, draw)).collect();
            let views: Vec<_> = args.iter().map(Tensor::view).collect();
            let distance = sample.op.kink_distance(&views);
            if best.as_ref().is_none_or(|(most, _)| distance > *most) {
                best = Some((distance, args));
            }
            if distance.as_f64() > KINK_MARGIN {
                break;
            }
        }
        let (_, args) = best.ok_or("the distance to the nearest kink is no number")?;
        let shape = sample.op.shape(&args.iter().map(Tensor::shape).collect::<Vec<_>>())?;
        let domains: Vec<_> = sample.args.iter().map(|arg| arg.1).collect();
        let mut case = Case {
            op: sample.op.clone(),
            domains,
            args,
            v: vec![],
            w: Tensor::scalar(T::zero()),
            shape,
        };
        case.v = draw.direction(&case.varied());
        case.w = draw.signed(&case.shape, 1.0);
        Ok(case)
    }

    /// The operands that are not masks.
    fn varied(&self) -> Vec<Tensor<T>> {
        let varied = self.args.iter().zip(&self.domains).filter(|(_, domain)| !domain.is_mask);
        varied.map(|(arg, _)| arg.clone()).collect()
    }

    fn masks(&self) -> Vec<Option<Tensor<T>>> {
        let args = self.args.iter().zip(&self.domains);
        args.map(|(arg, domain)| domain.is_mask.then(|| arg.clone())).collect()
    }

    /// Value, tangent and adjoints, by fast sweeps.
    fn sweeps(&self) -> Sweeps<T> {
        self.sweeps_in(|tape, body| tape.without_gradients(body))
    }

    fn sweeps_in(&self, mode: impl for<'t> Fn(&'t Tape<T>, &mut dyn FnMut())) -> Sweeps<T> {
        let tape = Tape::new();
        let vars: Vec<_> = self.varied().iter().map(|x| tape.variable(x)).collect();
        let y = record_op(&self.op, &tape, &vars, &self.masks());
        let tangents: Vec<_> =
            vars.iter().copied().zip(self.v.iter().map(|v| tape.constant(v))).collect();
        let mut result = None;
        mode(&tape, &mut || {
            let adjoints = y.vjp(tape.constant(&self.w), &vars);
            result = Some(Sweeps {
                value: y.value(),
                tangent: y.jvp(&tangents).value(),
                adjoints: adjoints.iter().map(|adjoint| adjoint.value()).collect(),
            });
        });
        result.expect("the mode runs its body")
    }

    fn is_finite(&self) -> bool {
        self.sweeps().value.iter().all(|y| y.is_finite())
    }
}

/// Numbers from a domain.
fn numbers<T: Real>(shape: &Shape, domain: Domain, draw: &mut Draw) -> Tensor<T> {
    let Domain { low, high, is_mask } = domain;
    Tensor::from_fn(shape, |_| {
        let x = draw.between(low, high);
        // Single precision holds them too, so that both precisions see the same.
        T::from_f64(f64::from(if is_mask { x.round() as f32 } else { x as f32 }))
    })
}

/// What one op and its derivatives give.
struct Sweeps<T> {
    value: Tensor<T>,
    tangent: Tensor<T>,
    adjoints: Vec<Tensor<T>>,
}

impl<T: Real> Sweeps<T> {
    /// Whether two agree to a multiple of some epsilon.
    fn agree<S: Real>(&self, other: &Sweeps<S>, tolerance: f64) -> Result<(), String> {
        close("the value", &self.value, &other.value, tolerance)?;
        close("the tangent", &self.tangent, &other.tangent, tolerance)?;
        for (i, (a, b)) in self.adjoints.iter().zip(&other.adjoints).enumerate() {
            close(&format!("adjoint {}", i + 1), a, b, tolerance)?;
        }
        Ok(())
    }
}

/// Whether two tensors agree, relative to their largest entries.
fn close<T: Real, S: Real>(
    what: &str,
    a: &Tensor<T>,
    b: &Tensor<S>,
    tolerance: f64,
) -> Result<(), String> {
    if a.shape() != b.shape() {
        return Err(format!("{what} has shape {} and {}", a.shape(), b.shape()));
    }
    let pairs = || a.iter().zip(b.iter()).map(|(a, b)| (a.as_f64(), b.as_f64()));
    let size = pairs().flat_map(|(a, b)| [a.abs(), b.abs()]).filter(|x| x.is_finite());
    let room = tolerance * size.fold(0.0, f64::max);
    let differs =
        |&(a, b): &(f64, f64)| !(a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= room);
    match pairs().find(differs) {
        Some((a, b)) => Err(format!("{what}: {} and {}", number(a, 17), number(b, 17))),
        None => Ok(()),
    }
}

/// Rounding of a few operations in double precision.
const ROUNDING: f64 = 300.0 * f64::EPSILON;

fn shape_rule(case: &Case<f64>) -> Result<(), String> {
    let shape = case.sweeps().value.shape().clone();
    if shape != case.shape {
        return Err(format!("the rule says {}, the value has {shape}", case.shape));
    }
    let shapes: Vec<&Shape> = case.args.iter().map(Tensor::shape).collect();
    let cost = case.op.cost(&shapes, &shape);
    if case.shape.elements() == 0 && case.args.iter().all(Tensor::is_empty) && cost.total() > 0 {
        return Err(format!("computing nothing is said to take {} operations", cost.total()));
    }
    Ok(())
}

/// Whatever stood in the memory of the result before, it is gone after.
fn every_element_is_written(case: &Case<f64>) -> Result<(), String> {
    let views: Vec<_> = case.args.iter().map(Tensor::view).collect();
    let evaluate = |stale: f64| {
        let mut out = vec![stale; case.shape.elements()];
        case.op.eval(&views, &case.shape, &mut out);
        Tensor::new(&case.shape, out)
    };
    close("what depends on old memory", &evaluate(7.0), &evaluate(-3.0), 0.0)?;
    close("evaluated and recorded", &evaluate(7.0), &case.sweeps().value, ROUNDING)
}

fn scalars(case: &Case<f64>) -> Result<(), String> {
    if case.args.iter().any(|arg| arg.shape().rank() > 0) {
        return Ok(());
    }
    let args: Vec<f64> = case.args.iter().map(Tensor::item).collect();
    let Some(y) = case.op.eval_scalar(&args) else { return Ok(()) };
    let views: Vec<_> = case.args.iter().map(Tensor::view).collect();
    let mut out = [f64::NAN];
    case.op.eval(&views, &case.shape, &mut out);
    close("as a number and as a tensor", &Tensor::scalar(y), &Tensor::scalar(out[0]), 0.0)
}

/// The formula of the partials is what the rule multiplies with, though a rule may
/// know a constant slope.
fn partials(case: &Case<f64>) -> Result<(), String> {
    if case.args.iter().any(|arg| arg.shape().rank() > 0) {
        return Ok(());
    }
    let args: Vec<f64> = case.args.iter().map(Tensor::item).collect();
    let Some(partials) = case.op.partials(&args) else { return Ok(()) };
    let tape = Tape::new();
    let vars: Vec<_> = args.iter().map(|&x| tape.variable(x)).collect();
    let y = tape.record(case.op.clone(), &vars);
    let adjoints = y.vjp(tape.constant(1.0), &vars);
    for (partial, adjoint) in partials.into_iter().zip(adjoints) {
        close("partial and adjoint", &Tensor::scalar(partial), &adjoint.value(), ROUNDING)?;
    }
    Ok(())
}

/// A derivative with respect to a mask is zero.
fn masks_get_no_derivative(case: &Case<f64>) -> Result<(), String> {
    let tape = Tape::new();
    let vars: Vec<_> = case.args.iter().map(|x| tape.variable(x)).collect();
    let y = tape.record(case.op.clone(), &vars);
    let adjoints = y.vjp(tape.constant(&case.w), &vars);
    for (i, (adjoint, domain)) in adjoints.iter().zip(&case.domains).enumerate() {
        if domain.is_mask && adjoint.value().iter().any(|x| x != 0.0) {
            return Err(format!("operand {} is a mask and gets {}", i + 1, adjoint.value()));
        }
    }
    Ok(())
}

fn first_order(case: &Case<f64>) -> Result<(), String> {
    let masks = case.masks();
    let record = recorder(|tape, vars| record_op(&case.op, tape, vars, &masks));
    let problem = Problem::new(&record, case.varied());
    let tape = Tape::new();
    let (vars, y) = problem.record(&tape);
    let Derivatives { gradient, tangent, .. } =
        Derivatives::of(&vars, y, &case.w, [&case.v, &case.v], false);
    let across = inner(std::slice::from_ref(&case.w), std::slice::from_ref(&tangent));
    let back = inner(&gradient, &case.v);
    let identity =
        Identity::new::<f64>(("<w, J v>", across.0), ("<J' w, v>", back.0), across.1 + back.1);
    if !identity.holds() && case.is_finite() {
        return Err(format!(
            "<w, J v> = {} and <J' w, v> = {}",
            number(across.0, 16),
            number(back.0, 16)
        ));
    }
    if !case.is_finite() {
        return Ok(());
    }
    let candidates = [Candidate::Gradient(&gradient), Candidate::Slope(across.0)];
    let (kinks, y) = (&Kinks::of(y), &y.value());
    let line = Walk {
        problem: &problem,
        tape: &tape,
        kinks,
        y,
        v: &case.v,
        w: &case.w,
        candidates: &candidates,
    }
    .descend();
    for (candidate, mode) in ["vjp", "jvp"].into_iter().enumerate() {
        judged(mode, &line.rate::<f64>(candidate, None))?;
    }
    Ok(())
}

fn judged(what: &str, rate: &super::Rate) -> Result<(), String> {
    match rate.verdict {
        Verdict::Right | Verdict::RoundingFloor => Ok(()),
        Verdict::Wrong => Err(format!(
            "{what}: the remainder falls as h^{:.2} and not as h^{}, a relative error of {:.1e}",
            rate.slope.unwrap_or(f64::NAN),
            rate.order,
            rate.error
        )),
        verdict => Err(format!("{what}: {verdict:?} at operands that keep away from kinks")),
    }
}

/// `<w, y> + |y|^2 / 2`: even of a linear op, a function with a second derivative,
/// through a cotangent that moves with the operands.
fn curved<'t>(w: &Tensor<f64>, y: Var<'t, f64>) -> Var<'t, f64> {
    (y * y.tape().constant(w) + 0.5 * y * y).sum()
}

fn second_order(case: &Case<f64>) -> Result<(), String> {
    if !case.is_finite() {
        return Ok(());
    }
    let masks = case.masks();
    let record = recorder(|tape, vars| curved(&case.w, record_op(&case.op, tape, vars, &masks)));
    let problem = Problem::new(&record, case.varied());
    let tape = Tape::new();
    let (vars, y) = problem.record(&tape);
    let one = Tensor::scalar(1.0);
    let Derivatives { gradient, bend, .. } =
        Derivatives::of(&vars, y, &one, [&case.v, &case.v], true);
    let bend = bend.expect("second order was asked for");
    let candidates = [Candidate::Gradient(&gradient)];
    let (kinks, y) = (&Kinks::of(y), &y.value());
    let line = Walk {
        problem: &problem,
        tape: &tape,
        kinks,
        y,
        v: &case.v,
        w: &one,
        candidates: &candidates,
    }
    .descend();
    judged("gradient of <w, y> + |y|^2 / 2", &line.rate::<f64>(0, None))?;
    judged("Hessian", &line.rate::<f64>(0, Some((bend.along, bend.scale))))
}

/// `<v, H v>` by each mode over each mode.
fn four_orders(case: &Case<f64>) -> Result<(), String> {
    if !case.is_finite() {
        return Ok(());
    }
    let tape = Tape::new();
    let vars: Vec<_> = case.varied().iter().map(|x| tape.variable(x)).collect();
    let y = curved(&case.w, record_op(&case.op, &tape, &vars, &case.masks()));
    let v: Vec<_> = case.v.iter().map(|v| tape.constant(v)).collect();
    let tangents: Vec<_> = vars.iter().copied().zip(v.iter().copied()).collect();
    let dot = |adjoints: Vec<Var<'_, f64>>| {
        let products = adjoints.iter().zip(&case.v).flat_map(|(a, v)| {
            a.value().iter().zip(v.iter()).map(|(a, v)| a * v).collect::<Vec<_>>()
        });
        products.fold((0.0, 0.0), |(sum, size): (f64, f64), p| (sum + p, size + p.abs()))
    };
    let one = tape.constant(1.0);
    let reverse = y.vjp(one, &vars);
    let slopes = reverse.iter().zip(&v).map(|(&g, &v)| (g * v).sum());
    let Some(slope) = slopes.reduce(|a, b| a + b) else { return Ok(()) };
    let forward = y.jvp(&tangents);
    let (expected, size) = dot(slope.vjp(one, &vars));
    let forward_over_forward = forward.jvp(&tangents).item();
    for (order, (bend, other_size)) in [
        ("forward over reverse", (slope.jvp(&tangents).item(), 0.0)),
        ("reverse over forward", dot(forward.vjp(one, &vars))),
        ("forward over forward", (forward_over_forward, 0.0)),
    ] {
        let (left, right) = (("reverse over reverse", expected), (order, bend));
        let identity = Identity::new::<f64>(left, right, size + other_size + bend.abs());
        if !identity.holds() {
            return Err(format!(
                "<v, H v> = {} reverse over reverse, {} {order}",
                number(expected, 16),
                number(bend, 16)
            ));
        }
    }
    Ok(())
}

fn fast_and_recorded(case: &Case<f64>) -> Result<(), String> {
    let fast = case.sweeps();
    let recorded = case.sweeps_in(|_, body| body());
    fast.agree(&recorded, ROUNDING)?;
    let tape = Tape::new();
    let vars: Vec<_> = case.varied().iter().map(|x| tape.variable(x)).collect();
    let y = record_op(&case.op, &tape, &vars, &case.masks());
    if y.is_active() {
        let gradients = y.backward_with(&case.w);
        for (var, adjoint) in vars.iter().zip(&recorded.adjoints) {
            close("backward and recorded", &gradients.wrt(*var), adjoint, ROUNDING)?;
        }
    }
    Ok(())
}

/// Where one variable stands in several places, its adjoint is the sum of theirs.
fn one_operand_twice(case: &Case<f64>) -> Result<(), String> {
    let varied: Vec<usize> = (0..case.args.len()).filter(|&i| !case.domains[i].is_mask).collect();
    let Some(&first) = varied.first() else { return Ok(()) };
    let shape = case.args[first].shape();
    let places: Vec<usize> =
        varied.iter().copied().filter(|&i| case.args[i].shape() == shape).collect();
    if places.len() < 2 {
        return Ok(());
    }
    // A value that is in the domain of each.
    let narrowest = places
        .iter()
        .copied()
        .min_by(|&i, &j| {
            let width = |k: usize| case.domains[k].high - case.domains[k].low;
            width(i).total_cmp(&width(j))
        })
        .unwrap_or(first);
    let x = &case.args[narrowest];
    let v = Draw::new(3).signed(shape, 1.0);
    let sweeps = |shared: bool| {
        let tape = Tape::new();
        let one = tape.variable(x);
        let args: Vec<_> = (0..case.args.len())
            .map(|i| match places.contains(&i) {
                true if shared => one,
                true => tape.variable(x),
                false => tape.constant(&case.args[i]),
            })
            .collect();
        let y = tape.record(case.op.clone(), &args);
        let inputs: Vec<_> =
            if shared { vec![one] } else { places.iter().map(|&i| args[i]).collect() };
        let tangents: Vec<_> = inputs.iter().map(|&x| (x, tape.constant(&v))).collect();
        let tangent = y.jvp(&tangents).value();
        let adjoints = y.vjp(tape.constant(&case.w), &inputs);
        let sum = adjoints.into_iter().reduce(|a, b| a + b).expect("at least one place");
        Sweeps { value: y.value(), tangent, adjoints: vec![sum.value()] }
    };
    sweeps(true).agree(&sweeps(false), ROUNDING)
}

/// How a tensor may lie in memory. Each gives the tensor, or one like it, as a
/// view.
const VIEWS: [(&str, fn(&Tensor<f64>) -> Tensor<f64>); 6] = [
    ("transposed", |x| x.transpose().contiguous().transpose()),
    ("every second element", |x| match x.shape().rank().checked_sub(1) {
        Some(axis) if !x.is_empty() => {
            let shape = x.shape().with_axis(axis, 2 * x.shape()[axis]);
            let mut elements = x.iter();
            let every = |i: usize| if i % 2 == 0 { elements.next() } else { Some(f64::NAN) };
            let mut every = every;
            let wide = Tensor::from_fn(shape, |i| every(i).expect("half of them"));
            wide.slice(axis, 0, x.shape()[axis], 2)
        }
        _ => x.clone(),
    }),
    ("backwards", |x| match x.shape().first() {
        Some(&extent) if extent > 0 => {
            let backwards = x.slice(0, extent - 1, extent, -1).contiguous();
            backwards.slice(0, extent - 1, extent, -1)
        }
        _ => x.clone(),
    }),
    ("repeated along the first axis", |x| repeated(x, 0)),
    ("repeated along the last axis", |x| repeated(x, x.shape().rank().saturating_sub(1))),
    ("one element everywhere", |x| {
        (0..x.shape().rank()).fold(x.clone(), |x, axis| repeated(&x, axis))
    }),
];

/// The first part along an axis, stretched over it without a copy.
fn repeated(x: &Tensor<f64>, axis: usize) -> Tensor<f64> {
    match x.shape().get(axis) {
        Some(&extent) if extent > 0 => x.slice(axis, 0, 1, 1).broadcast_to(x.shape()),
        _ => x.clone(),
    }
}

/// A view gives what its copy gives, in each operand and in all of them, and so do
/// tangents and cotangents.
fn views(case: &Case<f64>) -> Result<(), String> {
    for (kind, view) in VIEWS {
        let everywhere = case.args.len();
        for place in 0..=everywhere {
            let is_viewed = |i: usize| place == everywhere || place == i;
            let seen: Vec<Tensor<f64>> = case
                .args
                .iter()
                .enumerate()
                .map(|(i, arg)| if is_viewed(i) { view(arg) } else { arg.clone() })
                .collect();
            let (v, w) = match place == everywhere {
                true => (case.v.iter().map(view).collect(), view(&case.w)),
                false => (case.v.clone(), case.w.clone()),
            };
            let with = |args: Vec<Tensor<f64>>, v: Vec<Tensor<f64>>, w: Tensor<f64>| Case {
                op: case.op.clone(),
                domains: case.domains.clone(),
                shape: case.shape.clone(),
                args,
                v,
                w,
            };
            let copies = |xs: &[Tensor<f64>]| xs.iter().map(Tensor::contiguous).collect::<Vec<_>>();
            let copied = with(copies(&seen), copies(&v), w.contiguous()).sweeps();
            let viewed = with(seen, v, w).sweeps();
            viewed.agree(&copied, ROUNDING).map_err(|reason| {
                let which =
                    if place == everywhere { "all".to_owned() } else { format!("{}", place + 1) };
                format!("operand {which} {kind}: view and copy differ in {reason}")
            })?;
        }
    }
    Ok(())
}

fn single_precision(case: &Case<f64>, sample: &Sample<f32>) -> Result<(), String> {
    let narrow = |x: &Tensor<f64>| {
        Tensor::from_fn(x.shape(), {
            let mut elements = x.to_vec().into_iter();
            move |_| elements.next().expect("one element each") as f32
        })
    };
    let wide = |x: &Tensor<f32>| {
        Tensor::from_fn(x.shape(), {
            let mut elements = x.to_vec().into_iter();
            move |_| f64::from(elements.next().expect("one element each"))
        })
    };
    let single = Case {
        op: sample.op.clone(),
        domains: case.domains.clone(),
        shape: case.shape.clone(),
        args: case.args.iter().map(narrow).collect(),
        v: case.v.iter().map(narrow).collect(),
        w: narrow(&case.w),
    };
    let double = Case {
        op: case.op.clone(),
        domains: case.domains.clone(),
        shape: case.shape.clone(),
        args: single.args.iter().map(wide).collect(),
        v: single.v.iter().map(wide).collect(),
        w: wide(&single.w),
    };
    single.sweeps().agree(&double.sweeps(), 100.0 * f64::from(f32::EPSILON))
}
