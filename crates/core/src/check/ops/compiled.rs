//! A program of an op, its tangent and its adjoints gives what the tape gives, to the bit.

use super::case::{Case, numbers, same};
use crate::check::evidence::problem::{Draw, record_op};
use crate::program::CompileError;
use crate::tape::{Tape, Var};
use crate::tensor::Tensor;

pub(super) fn compiled_is_recorded(case: &Case<f64>) -> Result<(), String> {
    let tape = Tape::new();
    let vars: Vec<Var<'_, f64>> = case.varied().iter().map(|x| tape.variable(x)).collect();
    let results = record(case, &vars);
    let mut program = match tape.compile(&vars, &results) {
        Ok(program) => program,
        // A rule that reads a value has no program, and is refused one.
        Err(CompileError::ValueRead { .. }) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    // Other operands than those of the recording.
    let mut draw = Draw::new(11);
    let domains = case.domains.iter().filter(|domain| !domain.is_mask);
    let others: Vec<Tensor<f64>> = case
        .varied()
        .iter()
        .zip(domains)
        .map(|(x, domain)| numbers(x.shape(), *domain, &mut draw))
        .collect();
    for (index, x) in others.iter().enumerate() {
        program.set_input(index, x);
    }
    program.execute();
    let interpreted: Vec<_> = (0..results.len()).map(|index| program.output(index)).collect();
    program.native();
    program.execute();
    let tape = Tape::new();
    let vars: Vec<Var<'_, f64>> = others.iter().map(|x| tape.variable(x)).collect();
    for (index, expected) in record(case, &vars).iter().enumerate() {
        let what = match index {
            0 => "the value".to_owned(),
            1 => "the tangent".to_owned(),
            _ => format!("the adjoint of operand {}", index - 1),
        };
        let expected = expected.value();
        same(&format!("{what}, compiled and recorded"), &interpreted[index], &expected)?;
        same(&format!("{what}, as machine code and recorded"), &program.output(index), &expected)?;
    }
    Ok(())
}

/// Value, tangent and adjoints.
fn record<'t>(case: &Case<f64>, vars: &[Var<'t, f64>]) -> Vec<Var<'t, f64>> {
    let Some(tape) = vars.first().map(|var| var.tape()) else { return Vec::new() };
    let y = record_op(&case.op, tape, vars, &case.masks());
    let (w, v) = (tape.constant(&case.w), case.v.iter().map(|v| tape.constant(v)));
    let tangents: Vec<_> = vars.iter().copied().zip(v).collect();
    let mut results = vec![y];
    tape.without_gradients(|| {
        results.push(y.jvp(&tangents));
        results.extend(y.vjp(w, vars));
    });
    results
}
