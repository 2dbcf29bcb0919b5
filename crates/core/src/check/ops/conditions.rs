//! What must hold for an op at given operands.

use std::slice::from_ref;

use super::case::{Case, ROUNDING, Sweeps, close, curved, same};
use super::compiled::compiled_is_recorded;
use super::layouts::views;
use super::nested::{checkpointed, derivatives_at_once};
use super::selection::selection;
use super::stacked::many_at_once;
use crate::check::evidence::comparison::{Comparison, room};
use crate::check::evidence::differences;
use crate::check::evidence::identity::Identity;
use crate::check::evidence::options::Options;
use crate::check::evidence::problem::{Draw, Problem, Recorded, inner, record_op, recorder};
use crate::check::evidence::rate::Rate;
use crate::check::evidence::rate::line::{Candidate, Walk};
use crate::check::evidence::verdict::Verdict;
use crate::check::judge::derivatives::Derivatives;
use crate::op::samples::Sample;
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, Tensor};
use crate::trace::number;
use crate::transform::sparse::domains::{IndexSets, index_domains};

/// What must hold for every sample.
pub(super) const CHECKS: [(&str, Check); 21] = [
    ("shape rule", shape_rule),
    ("every element is written", every_element_is_written),
    ("scalars", scalars),
    ("partials", partials),
    ("dependence", dependence),
    ("masks", masks_get_no_derivative),
    ("what does not matter", selection),
    ("adjoint identity and first order", first_order),
    ("second order", second_order),
    ("four orders of the modes", four_orders),
    ("linear in direction and cotangent", linear_maps),
    ("Taylor mode", taylor_mode),
    ("Taylor mode at zero", taylor_mode_at_zero),
    ("fast and recorded sweeps", fast_and_recorded),
    ("adjoints added up in place", added_up_in_place),
    ("one operand twice", one_operand_twice),
    ("views", views),
    ("many at once", many_at_once),
    ("derivatives of many at once", derivatives_at_once),
    ("checkpointed", checkpointed),
    ("compiled", compiled_is_recorded),
];

pub(super) type Check = fn(&Case<f64>) -> Result<(), String>;

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
    same("what depends on old memory", &evaluate(7.0), &evaluate(-3.0))?;
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
    same("as a number and as a tensor", &Tensor::scalar(y), &Tensor::scalar(out[0]))
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
    let y = tape.apply_dyn(&case.op, &vars);
    let adjoints = y.vjp(tape.constant(1.0), &vars);
    for (partial, adjoint) in partials.into_iter().zip(adjoints) {
        close("partial and adjoint", &Tensor::scalar(partial), &adjoint.value(), ROUNDING)?;
    }
    Ok(())
}

/// No entry of the Jacobian lies outside of what the op states, and what it states fits
/// the shapes.
fn dependence(case: &Case<f64>) -> Result<(), String> {
    let tape = Tape::new();
    let vars: Vec<_> = case.args.iter().map(|x| tape.variable(x)).collect();
    let y = tape.apply_dyn(&case.op, &vars);
    let mut sets = IndexSets::new();
    let rows = index_domains(&mut sets, &vars, &[y]);
    if rows.len() != y.elements() {
        return Err(format!("stated of {} elements, and there are {}", rows.len(), y.elements()));
    }
    for (row, &id) in rows.iter().enumerate() {
        let unit = Tensor::from_fn(y.shape(), |i| f64::from(u8::from(i == row)));
        let adjoints = tape.without_gradients(|| y.vjp(tape.constant(unit), &vars));
        let entries = adjoints.iter().flat_map(|adjoint| adjoint.value().to_vec());
        let outside = entries.enumerate().find(|&(column, entry)| {
            entry != 0.0 && sets.get(id).binary_search(&(column as u32)).is_err()
        });
        if let Some((column, entry)) = outside {
            return Err(format!(
                "element {row} is said not to depend on element {column} of all operands, and \
                 its derivative is {}",
                number(entry, 6)
            ));
        }
    }
    Ok(())
}

/// A derivative with respect to a mask is zero.
fn masks_get_no_derivative(case: &Case<f64>) -> Result<(), String> {
    let tape = Tape::new();
    let vars: Vec<_> = case.args.iter().map(|x| tape.variable(x)).collect();
    let y = tape.apply_dyn(&case.op, &vars);
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
    let across = inner(from_ref(&case.w), from_ref(&tangent));
    let back = inner(&gradient, &case.v);
    let size = inner(from_ref(&case.w), &[y.value()]).1;
    let identity = Identity::new::<f64>(
        ("<w, J v>", across.0),
        ("<J' w, v>", back.0),
        across.1 + back.1 + size,
    );
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
    let candidates = [Candidate::Gradient(&gradient), Candidate::tangent(&tangent, &case.w)];
    let (function, y) = (&Recorded::new(&problem, y), &y.value());
    let line = Walk {
        function,
        x: &problem.x,
        y,
        v: &case.v,
        w: &case.w,
        candidates: &candidates,
        tolerance: 0.0,
        whole: false,
    }
    .descend();
    let (options, largest) = (Options::default(), line.largest);
    let by_vjp = || {
        Comparison::with_differences(function, &problem.x, y, &case.w, &gradient, largest, &options)
    };
    let by_jvp = || {
        let right = differences::along(function, &problem.x, &case.v, largest);
        let room = room(y, &problem.x, largest, &options);
        Comparison::of(from_ref(&tangent), &[right], None, room).named("J v")
    };
    judged("vjp", &line.rate::<f64>(0, None), &by_vjp)?;
    judged("jvp", &line.rate::<f64>(1, None), &by_jvp)
}

fn judged(what: &str, rate: &Rate, compare: &dyn Fn() -> Comparison) -> Result<(), String> {
    match rate.verdict {
        Verdict::Right | Verdict::RoundingFloor | Verdict::Unresolved => Ok(()),
        Verdict::Wrong => {
            let comparison = compare();
            let name = |operand| {
                let operand = || format!("operand {}", operand + 1);
                comparison.of.map_or_else(operand, ToOwned::to_owned)
            };
            let cause = comparison.cause.as_ref().map(|cause| cause.describe("gradient", name));
            let entries: Vec<String> =
                cause.into_iter().chain(comparison.whereabouts(name)).collect();
            Err(format!(
                "{what}: the remainder falls as h^{:.2} and not as h^{}: {}",
                rate.slope.unwrap_or(f64::NAN),
                rate.order,
                match entries.is_empty() {
                    true => format!("off by {:.1e} along one direction", rate.error),
                    false => entries.join("; "),
                }
            ))
        }
        verdict => Err(format!("{what}: {verdict:?} at operands that keep away from kinks")),
    }
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
    let (function, y) = (&Recorded::new(&problem, y), &y.value());
    let line = Walk {
        function,
        x: &problem.x,
        y,
        v: &case.v,
        w: &one,
        candidates: &candidates,
        tolerance: 0.0,
        whole: false,
    }
    .descend();
    let compare = || {
        let options = Options::default();
        let largest = line.largest;
        Comparison::with_differences(function, &problem.x, y, &one, &gradient, largest, &options)
    };
    judged("gradient of <w, y> + |y|^2 / 2", &line.rate::<f64>(0, None), &compare)?;
    // Its entries are right if the gradient is.
    judged("Hessian", &line.rate::<f64>(0, Some((bend.along, bend.scale))), &compare)
}

/// The tangent is a recorded function of the direction, and the adjoint of the cotangent: linear
/// ones, whose derivatives are each other.
fn linear_maps(case: &Case<f64>) -> Result<(), String> {
    if !case.is_finite() {
        return Ok(());
    }
    let tape = Tape::new();
    let (vars, y) = case.record(&tape);
    if !y.is_active() {
        return Ok(());
    }
    let v: Vec<_> = case.v.iter().map(|v| tape.variable(v)).collect();
    let w = tape.variable(&case.w);
    let tangents: Vec<_> = vars.iter().copied().zip(v.iter().copied()).collect();
    let (tangent, adjoints) = (y.jvp(&tangents), y.vjp(w, &vars));
    let terms = adjoints.iter().zip(&v).map(|(&adjoint, &v)| (adjoint * v).sum());
    let Some(along) = terms.reduce(|a, b| a + b) else { return Ok(()) };
    let [by_cotangent] = along.grad([w]);
    close("tangent, and adjoint by cotangent", &tangent.value(), &by_cotangent.value(), ROUNDING)?;
    let by_direction = tangent.vjp(w, &v);
    for (adjoint, by_direction) in adjoints.iter().zip(by_direction) {
        let what = "adjoint, and tangent by direction";
        close(what, &adjoint.value(), &by_direction.value(), ROUNDING)?;
    }
    Ok(())
}

/// `k! y_k` by Taylor mode and by forward mode nested `k` times, along a line.
fn taylor_mode(case: &Case<f64>) -> Result<(), String> {
    if case.is_finite() { taylor_and_nested(case, &case.varied(), |_| true) } else { Ok(()) }
}

/// The same where all operands are 0, as far as nested forward mode has a number there.
fn taylor_mode_at_zero(case: &Case<f64>) -> Result<(), String> {
    let zeros: Vec<_> = case.varied().iter().map(|x| Tensor::zeros(x.shape())).collect();
    taylor_and_nested(case, &zeros, f64::is_finite)
}

fn taylor_and_nested(
    case: &Case<f64>,
    x: &[Tensor<f64>],
    counts: fn(f64) -> bool,
) -> Result<(), String> {
    // Different roundings, of derivatives up to the third.
    const TOLERANCE: f64 = 1e-10;
    let tape = Tape::new();
    let vars: Vec<_> = x.iter().map(|x| tape.variable(x)).collect();
    let y = record_op(&case.op, &tape, &vars, &case.masks());
    let directions: Vec<_> = case.v.iter().map(|v| [tape.constant(v)]).collect();
    let line: Vec<_> = vars.iter().zip(&directions).map(|(&x, v)| (x, v.as_slice())).collect();
    let tangents: Vec<_> = vars.iter().zip(&directions).map(|(&x, v)| (x, v[0])).collect();
    let (mut derivative, mut factorial) = (y, 1.0);
    // All orders up to this one together: one that vanishes has the rounding of those before it.
    let (mut found, mut nested) = (Vec::new(), Vec::new());
    for (order, coefficient) in y.taylor(&line, 3).into_iter().enumerate() {
        if order > 0 {
            factorial *= order as f64;
            derivative = derivative.jvp(&tangents);
        }
        let (coefficient, derivative) = ((coefficient * factorial).value(), derivative.value());
        let pairs = coefficient.iter().zip(derivative.iter()).filter(|pair| counts(pair.1));
        let (coefficients, derivatives): (Vec<f64>, Vec<f64>) = pairs.unzip();
        found.extend(coefficients);
        nested.extend(derivatives);
        let what = format!("derivative {order} by Taylor mode and by nested forward mode");
        let all = |numbers: &[f64]| Tensor::new([numbers.len()], numbers.to_vec());
        close(&what, &all(&found), &all(&nested), TOLERANCE)?;
    }
    Ok(())
}

/// `<v, H v>` by each mode over each mode.
fn four_orders(case: &Case<f64>) -> Result<(), String> {
    if !case.is_finite() {
        return Ok(());
    }
    let tape = Tape::new();
    let (vars, y) = case.record(&tape);
    let y = curved(&case.w, y);
    let v: Vec<_> = case.v.iter().map(|v| tape.constant(v)).collect();
    let tangents: Vec<_> = vars.iter().copied().zip(v.iter().copied()).collect();
    let dot = |adjoints: Vec<Var<'_, f64>>| {
        inner(&adjoints.into_iter().map(Var::value).collect::<Vec<_>>(), &case.v)
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
        let identity =
            Identity::new::<f64>(left, right, size + other_size + bend.abs() + y.item().abs());
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
    let (vars, y) = case.record(&tape);
    if y.is_active() {
        let gradients = y.backward_with(&case.w);
        for (var, adjoint) in vars.iter().zip(&recorded.adjoints) {
            close("backward and recorded", &gradients.wrt(*var), adjoint, ROUNDING)?;
        }
    }
    Ok(())
}

/// An op that is recorded three times on the same operands: a fast sweep adds the later adjoints
/// to the first where it lies, and may have a rule of its own for that.
fn added_up_in_place(case: &Case<f64>) -> Result<(), String> {
    let tape = Tape::new();
    let vars: Vec<_> = case.varied().iter().map(|x| tape.variable(x)).collect();
    let w = tape.constant(&case.w);
    let masks = case.masks();
    let terms = [1.0, -0.5, 2.0]
        .map(|factor| (record_op(&case.op, &tape, &vars, &masks) * w * factor).sum());
    let sum = terms[0] + terms[1] + terms[2];
    if !sum.is_active() || !case.is_finite() {
        return Ok(());
    }
    let recorded = sum.vjp(tape.constant(1.0), &vars);
    let gradients = sum.backward();
    for (&var, adjoint) in vars.iter().zip(recorded) {
        close("backward and recorded", &gradients.wrt(var), &adjoint.value(), ROUNDING)?;
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
        let y = tape.apply_dyn(&case.op, &args);
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

/// Single precision gives what double precision gives, to a multiple of its epsilon.
pub(super) fn single_precision(case: &Case<f64>, sample: &Sample<f32>) -> Result<(), String> {
    let single = Case {
        op: sample.op.clone(),
        domains: case.domains.clone(),
        shape: case.shape.clone(),
        args: case.args.iter().map(Tensor::cast).collect(),
        v: case.v.iter().map(Tensor::cast).collect(),
        w: case.w.cast(),
    };
    let double = Case {
        op: case.op.clone(),
        domains: case.domains.clone(),
        shape: case.shape.clone(),
        args: single.args.iter().map(Tensor::cast).collect(),
        v: single.v.iter().map(Tensor::cast).collect(),
        w: single.w.cast(),
    };
    single.sweeps().agree(&double.sweeps(), 100.0 * f64::from(f32::EPSILON))
}
