//! Derivatives of an op within what evaluates it: of many values at once, and in a checkpoint.

use super::case::{Case, ROUNDING, close, curved, numbers};
use crate::check::evidence::problem::{Draw, record_op};
use crate::op::stack;
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, Tensor};
use crate::transform::checkpoint::checkpoint;
use crate::transform::checkpoint::segment::divided;

/// Different roundings, of derivatives up to the second.
const TOLERANCE: f64 = 1e-10;

/// Every derivative of an op at two points, by a map and one by one; derivatives of a map; and a
/// map of a map.
pub(super) fn derivatives_at_once(case: &Case<f64>) -> Result<(), String> {
    if case.v.is_empty() || !case.is_finite() {
        return Ok(());
    }
    // Two sets of operands, and a function of the op with its derivatives.
    let mut draw = Draw::new(13);
    let domains = case.domains.iter().filter(|domain| !domain.is_mask);
    let other: Vec<_> = case
        .varied()
        .iter()
        .zip(domains)
        .map(|(x, domain)| numbers(x.shape(), *domain, &mut draw))
        .collect();
    let sets = [case.varied(), other];
    let tape = Tape::new();
    let vars: Vec<_> = sets[0].iter().map(|x| tape.variable(x)).collect();
    let (y, results) = derivatives(case, &vars);
    let all: Vec<_> = results.iter().copied().chain([y]).collect();
    if !y.is_active() || tape.data_dependent_read(&vars, &all).is_some() {
        return Ok(());
    }
    let stacked = |order: [usize; 2]| -> Vec<(Var<'_, f64>, Tensor<f64>)> {
        let of = |i: usize| {
            let each = order.map(|set| tape.constant(&sets[set][i]));
            (vars[i], stack(&each, 0).value())
        };
        (0..vars.len()).map(of).collect()
    };
    // What one after the other gives.
    let expected: Vec<Vec<Tensor<f64>>> = sets
        .iter()
        .map(|set| {
            let tape = Tape::new();
            let vars: Vec<_> = set.iter().map(|x| tape.variable(x)).collect();
            derivatives(case, &vars).1.iter().map(|var| var.value()).collect()
        })
        .collect();
    let compare = |what: &str, found: Var<'_, f64>, number: usize, order: &[usize]| {
        let each = order.iter().flat_map(|&set| expected[set][number].to_vec()).collect::<Vec<_>>();
        let expected = Tensor::new(found.shape(), each);
        close(&format!("{what} {number}"), &found.value(), &expected, TOLERANCE)
    };
    // Both at once.
    let stacks: Vec<_> =
        stacked([0, 1]).into_iter().map(|(var, xs)| (var, tape.variable(xs))).collect();
    let mapped = tape.mapped(&all, &stacks);
    let (&sum, mapped) = mapped.split_last().expect("the function is last");
    for (number, &found) in mapped.iter().enumerate() {
        compare("at once and one by one, derivative", found, number, &[0, 1])?;
    }
    // Of the first derivatives: a map of what was mapped, the other way round as well.
    let firsts = &mapped[..vars.len()];
    let twice: Vec<_> = stacks
        .iter()
        .zip(stacked([1, 0]))
        .map(|(&(_, xs), (_, others))| (xs, stack(&[xs, tape.constant(others)], 0)))
        .collect();
    for (number, found) in tape.mapped(firsts, &twice).into_iter().enumerate() {
        compare("mapped twice and one by one, adjoint", found, number, &[0, 1, 1, 0])?;
    }
    // Recorded and fast sweeps over the map.
    let inputs: Vec<_> = stacks.iter().map(|&(_, xs)| xs).collect();
    for (number, found) in sum.sum().grad_of(&inputs).into_iter().enumerate() {
        compare("of the map and one by one, adjoint", found, number, &[0, 1])?;
    }
    let gradients = sum.sum().backward();
    for (number, &xs) in inputs.iter().enumerate() {
        compare(
            "of the map, fast, and one by one, adjoint",
            gradients.on_tape(xs),
            number,
            &[0, 1],
        )?;
    }
    Ok(())
}

/// A function of an op, with a second derivative; its adjoints, which come first, tangent, product
/// with the Hessian, and Taylor coefficients.
fn derivatives<'t>(case: &Case<f64>, vars: &[Var<'t, f64>]) -> (Var<'t, f64>, Vec<Var<'t, f64>>) {
    let tape = vars[0].tape();
    let y = record_op(&case.op, tape, vars, &case.masks());
    let cost = curved(&case.w, y);
    let v: Vec<_> = case.v.iter().map(|v| tape.constant(v)).collect();
    let tangents: Vec<_> = vars.iter().copied().zip(v.iter().copied()).collect();
    let curves: Vec<_> = vars.iter().copied().zip(v.iter().map(std::slice::from_ref)).collect();
    let mut results = cost.grad_of(vars);
    let products = tape.tangents_of(&results, &tangents);
    results.extend(products);
    results.push(y.jvp(&tangents));
    results.extend(y.taylor(&curves, 2).into_iter().skip(1));
    (cost, results)
}

/// A closure that is taken for one of tapes of any lifetime.
fn function<F: for<'s> Fn([Var<'s, f64>; 1]) -> [Var<'s, f64>; 1]>(f: F) -> F {
    f
}

/// An op in a checkpoint has the derivatives that it has by itself, to the second order.
pub(super) fn checkpointed(case: &Case<f64>) -> Result<(), String> {
    if !case.is_finite() || case.v.is_empty() {
        return Ok(());
    }
    let (op, w, masks) = (case.op.clone(), case.w.clone(), case.masks());
    let shapes: Vec<Shape> = case.varied().iter().map(|x| x.shape().clone()).collect();
    let f = function(move |[x]| {
        let vars = divided(x, shapes.iter().cloned());
        [curved(&w, record_op(&op, x.tape(), &vars, &masks))]
    });
    let flat = |xs: &[Tensor<f64>]| {
        let numbers: Vec<f64> = xs.iter().flat_map(Tensor::to_vec).collect();
        Tensor::new([numbers.len()], numbers)
    };
    let (x, v) = (flat(&case.varied()), flat(&case.v));
    let derivatives = |y: Var<'_, f64>, x: Var<'_, f64>| {
        let v = y.tape().constant(&v);
        let [gradient] = y.grad([x]);
        let product = y.tape().without_gradients(|| gradient.jvp(&[(x, v)]));
        [y, gradient, product].map(|value| value.value())
    };
    let tape = Tape::new();
    let x = tape.variable(&x);
    let expected = derivatives(f([x])[0], x);
    let [y] = checkpoint(f, [x]);
    let names = ["value", "gradient", "product with the Hessian"];
    for ((name, found), expected) in names.iter().zip(derivatives(y, x)).zip(expected) {
        close(&format!("{name} in a checkpoint and without"), &found, &expected, ROUNDING)?;
    }
    Ok(())
}
