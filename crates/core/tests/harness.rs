//! Every op of the registry, through the harness.

use wengert_core::check;
use wengert_core::op::registry;

#[test]
fn every_op_passes_the_harness() {
    let reports = check::ops();
    let wrong: Vec<String> =
        reports.iter().filter(|report| !report.is_right()).map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let checks: usize = reports.iter().map(|report| report.checks).sum();
    println!("{} ops, {checks} checks", reports.len());
}

#[test]
fn every_op_states_its_formula() {
    for op in registry::ops::<f64>() {
        let formula = op.formula;
        for part in [formula.value, formula.derivative, formula.tex] {
            assert!(!part.is_empty(), "{} leaves out a part of its formula", op.name);
        }
    }
}
