//! What does not matter gets an exact 0.
//!
//! Where a derivative is 0 because an element was not chosen, or is not read, no infinity and
//! no NaN gets through: a rule that multiplied by 0 would make a NaN of either. So `sqrt(relu
//! x)` has the derivative 0 at -1, though that of the root is infinite there.

use super::case::{Case, close};
use crate::program::CompileError;
use crate::tape::{Tape, Var};
use crate::tensor::Tensor;

/// What comes from behind, or from before, where it does not matter.
const UNBOUNDED: [f64; 2] = [f64::INFINITY, f64::NAN];

pub(super) fn selection(case: &Case<f64>) -> Result<(), String> {
    let idle: Vec<Vec<bool>> = case
        .sweeps()
        .adjoints
        .iter()
        .map(|adjoint| adjoint.iter().map(|entry| entry == 0.0).collect())
        .collect();
    let some = |wanted: bool| idle.iter().flatten().any(|&idle| idle == wanted);
    if !chooses(case) || !some(true) || !some(false) {
        return Ok(());
    }
    for number in UNBOUNDED {
        adjoints(case, &idle, number)?;
        tangents(case, &idle, number)?;
    }
    Ok(())
}

/// Whether zeros among the derivatives are choices. Those of a smooth function of several
/// operands are products with a 0, such as that of a border.
fn chooses(case: &Case<f64>) -> bool {
    let views: Vec<_> = case.args.iter().map(Tensor::view).collect();
    let has_kinks = case.op.kink_distance(&views).is_finite();
    has_kinks || case.args.len() == 1 || case.domains.iter().any(|domain| domain.is_mask)
}

/// Adjoints of a cotangent of infinities: fast, recorded, swept back and compiled.
fn adjoints(case: &Case<f64>, idle: &[Vec<bool>], number: f64) -> Result<(), String> {
    let exact = |how: &str, adjoints: &[Tensor<f64>]| {
        for (adjoint, idle) in adjoints.iter().zip(idle) {
            let leak = adjoint.iter().zip(idle).find(|&(entry, &idle)| idle && entry != 0.0);
            if let Some((entry, _)) = leak {
                return Err(format!(
                    "{how}: of a cotangent of {number}, {entry} reaches an element of which the \
                     result does not depend"
                ));
            }
        }
        Ok(())
    };
    let values = |vars: &[Var<'_, f64>]| vars.iter().map(|var| var.value()).collect::<Vec<_>>();
    let unbounded = Tensor::full(&case.shape, number);
    let tape = Tape::new();
    let (vars, y) = case.record(&tape);
    if !y.is_active() {
        return Ok(());
    }
    let w = tape.variable(&unbounded);
    let recorded = y.vjp(w, &vars);
    exact("fast", &values(&tape.without_gradients(|| y.vjp(w, &vars))))?;
    exact("recorded", &values(&recorded))?;
    let gradients = y.backward_with(&unbounded);
    exact("backward", &vars.iter().map(|&x| gradients.wrt(x)).collect::<Vec<_>>())?;

    let tape = Tape::new();
    let (vars, y) = case.record(&tape);
    let w = tape.variable(&case.w);
    let adjoints = tape.without_gradients(|| y.vjp(w, &vars));
    match tape.compile(&[w], &adjoints) {
        Ok(mut program) => {
            program.set_input(0, &unbounded);
            program.execute();
            let found: Vec<_> = (0..adjoints.len()).map(|i| program.output(i)).collect();
            exact("compiled", &found)
        }
        Err(CompileError::ValueRead { .. }) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Tangents that do not matter are infinite, and change nothing: fast, recorded, as Taylor
/// coefficients.
fn tangents(case: &Case<f64>, idle: &[Vec<bool>], number: f64) -> Result<(), String> {
    let along = |at_idle: f64| {
        let tape = Tape::new();
        let (vars, y) = case.record(&tape);
        let directions: Vec<_> = case
            .v
            .iter()
            .zip(idle)
            .map(|(v, idle)| {
                let numbers = v.to_vec();
                let entry = |i: usize| if idle[i] { at_idle } else { numbers[i] };
                tape.constant(Tensor::from_fn(v.shape(), entry))
            })
            .collect();
        let tangents: Vec<_> = vars.iter().copied().zip(directions.iter().copied()).collect();
        let line: Vec<_> = vars.iter().copied().zip(directions.chunks(1)).collect();
        let fast = tape.without_gradients(|| y.jvp(&tangents));
        let mut found = vec![fast, y.jvp(&tangents)];
        found.extend(y.taylor(&line, 2));
        found.into_iter().map(Var::value).collect::<Vec<_>>()
    };
    let names = ["fast", "recorded", "Taylor", "Taylor", "Taylor"];
    for ((how, expected), found) in names.into_iter().zip(along(0.0)).zip(along(number)) {
        let what = format!("{how}: tangents where {number} does not matter and where 0 stands");
        close(&what, &found, &expected, 0.0)?;
    }
    Ok(())
}
