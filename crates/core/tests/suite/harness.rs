//! Every op of the registry, through the harness.

use wengert_core::op::{Domain, Elementwise, Samples, registry};
use wengert_core::{Number, check};

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

/// An elementwise op of more operands than any of the registry.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Determinant;

impl Elementwise<4> for Determinant {
    const NAME: &'static str = "determinant";

    fn eval<A: Number>(self, [a, b, c, d]: [A; 4]) -> A {
        a * d - b * c
    }

    fn partial<A: Number>(self, arg: usize, [a, b, c, d]: [A; 4], _: A) -> A {
        match arg {
            0 => d,
            1 => -c,
            2 => -b,
            _ => a,
        }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Determinant, [Domain::reals(); 4]);
    }
}

#[test]
fn an_op_of_four_operands() {
    check::op(Determinant).assert();
}
