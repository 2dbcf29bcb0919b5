//! Loops over sequences, with few states kept.

use wengert_core::checkpoint::Scan;
use wengert_core::{Tape, Tensor, Var, compile_n, hvp, jvp};

use crate::checkpoint::close;

/// One step of a small recurrent cell.
fn cell<'t>(
    [h, c]: [Var<'t, f64>; 2],
    [x, g]: [Var<'t, f64>; 2],
    [w]: [Var<'t, f64>; 1],
) -> ([Var<'t, f64>; 2], [Var<'t, f64>; 2]) {
    let next = (w.matmul(h) + x * g).tanh();
    let sum = c + next.square().sum();
    ([next, sum], [next * sum, sum.sin()])
}

fn unrolled<'t>([h, x, g, w]: [Var<'t, f64>; 4]) -> Var<'t, f64> {
    let mut state = [h, h.sum()];
    let mut outputs = [Vec::new(), Vec::new()];
    for k in 0..x.shape()[0] {
        let part = |x: Var<'t, f64>| x.slice(0, k..=k).squeeze(0);
        let (next, own) = cell(state, [part(x), part(g)], [w]);
        state = next;
        outputs.iter_mut().zip(own).for_each(|(all, own)| all.push(own));
    }
    let [a, b] = outputs.map(|all| wengert_core::stack(&all, 0));
    summary(state, [a, b])
}

fn scanned<'t>([h, x, g, w]: [Var<'t, f64>; 4]) -> Var<'t, f64> {
    let (state, outputs) = Scan::new(cell).keep(3).run([h, h.sum()], [x, g], [w]);
    summary(state, outputs)
}

fn summary<'t>([h, c]: [Var<'t, f64>; 2], [a, b]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    let weights = a.tape().constant(Tensor::from_fn(a.shape(), |i| (i as f64 * 0.7).cos()));
    h.sum() * c + (a * weights).sum() + (b * b.slice_by(0, .., -1)).sum()
}

#[test]
fn a_scan_has_the_derivatives_of_its_steps() {
    let fill = |shape: &[usize], seed: f64| {
        Tensor::from_fn(shape, |i| 0.5 * (seed * (i + 1) as f64).sin())
    };
    let all = [fill(&[3], 0.7), fill(&[9, 3], 1.3), fill(&[9], 0.4), fill(&[3, 3], 2.1)];
    let directions = [fill(&[3], 1.7), fill(&[9, 3], 0.3), fill(&[9], 1.4), fill(&[3, 3], 0.2)];
    let (x, v) = (all.each_ref(), directions.each_ref());
    let (expected, found) =
        (wengert_core::value_and_grad(unrolled, x), wengert_core::value_and_grad(scanned, x));
    assert!((expected.0 - found.0).abs() < 1e-13);
    for (expected, found) in expected.1.iter().zip(&found.1) {
        close(expected, found);
    }
    let (expected, found) = (jvp(unrolled, x, v), jvp(scanned, x, v));
    close(&expected.1, &found.1);
    for (expected, found) in hvp(unrolled, x, v).iter().zip(&hvp(scanned, x, v)) {
        close(expected, found);
    }
    // A program contains it, gradients and all.
    let mut program = compile_n(
        |x| {
            let y = scanned(x);
            let [dx, dw] = y.grad([x[1], x[3]]);
            [y, dx, dw]
        },
        x,
    )
    .unwrap();
    let again = program.run(v);
    let (y, gradients) = wengert_core::value_and_grad(unrolled, v);
    assert!((again[0].item() - y).abs() < 1e-13);
    close(&again[1], &gradients[1]);
    close(&again[2], &gradients[3]);
}

#[test]
#[should_panic(expected = "a scan takes a step for each part")]
fn a_scan_takes_inputs_of_one_length() {
    let tape = Tape::new();
    let [h, x, g] = [tape.variable([1.0]), tape.variable([1.0, 2.0]), tape.variable([1.0])];
    Scan::new(|[h], [x, g], []| ([h + x * g], [])).run([h], [x, g], []);
}
