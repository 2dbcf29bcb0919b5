//! Solutions: their derivatives are those of the solver, had it been recorded.

use wengert_core::{Tape, Tensor, Var, fixed_point, minimiser, root};

fn close(a: &Tensor<f64>, b: &Tensor<f64>) {
    assert_eq!(a.shape(), b.shape());
    for (a, b) in a.iter().zip(b.iter()) {
        assert!((a - b).abs() <= 1e-10 * (1.0 + a.abs().max(b.abs())), "{a} and {b}");
    }
}

/// Derivatives up to third order, in several orders of the modes.
fn derivatives(f: impl for<'t> Fn([Var<'t, f64>; 2]) -> Var<'t, f64>) -> Vec<Tensor<f64>> {
    let tape = Tape::new();
    let vars = [tape.variable([0.4, 0.7, -0.2]), tape.variable(0.3)];
    let y = f(vars);
    let weights = tape.constant([1.0, -2.0, 0.5]);
    let cost = (y * weights).sum() + y.square().sum();
    let directions = [tape.constant([0.3, 0.1, 0.9]), tape.constant(-0.7)];
    let directions = [(vars[0], directions[0]), (vars[1], directions[1])];
    let fast = cost.backward();
    let gradient = cost.grad(vars);
    let second = (gradient[0].square().sum() + gradient[1]).grad(vars);
    let third = second[1].grad(vars);
    let tangent = cost.jvp(&directions);
    let mut all = vec![y.value(), fast.wrt(vars[0]), fast.wrt(vars[1]), tangent.value()];
    all.push(tangent.jvp(&directions).value());
    all.push(gradient[0].jvp(&directions).value());
    for values in [gradient, second, third, tangent.grad(vars)] {
        all.extend(values.map(|value| value.value()));
    }
    all
}

/// A contraction that mixes its elements.
fn map<'t>(x: Var<'t, f64>, [b, a]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    a * x.sin() + 0.2 * x.slice_by(0, .., -1) * b + b
}

#[test]
fn a_fixed_point_has_the_derivatives_of_its_iterations() {
    let own = derivatives(|inputs| fixed_point(map, &Tensor::zeros([3]), inputs));
    let unrolled = derivatives(|inputs| {
        let start = inputs[0] * 0.0;
        (0..60).fold(start, |x, _| map(x, inputs))
    });
    for (own, expected) in own.iter().zip(&unrolled) {
        close(own, expected);
    }
}

#[test]
fn a_minimiser_has_the_derivatives_of_its_closed_form() {
    // |x - b|^2 / 2 + a |x|^2 / 2 is least at b / (1 + a).
    let own = derivatives(|inputs| {
        let solve =
            |[b, a]: &[Tensor<f64>; 2]| Tensor::from_fn([3], |i| b.at(&[i]) / (1.0 + a.item()));
        minimiser(
            solve,
            |x, [b, a]| 0.5 * (x - b).square().sum() + 0.5 * a * x.square().sum(),
            inputs,
        )
    });
    let closed = derivatives(|[b, a]| b / (1.0 + a));
    for (own, expected) in own.iter().zip(&closed) {
        close(own, expected);
    }
}

#[test]
fn a_linear_system_is_a_root() {
    let matrix = Tensor::from([[0.0, 2.0], [3.0, 1.0]]);
    let solve = |[a, b]: &[Tensor<f64>; 2]| {
        let [p, q, r, s] = [[0, 0], [0, 1], [1, 0], [1, 1]].map(|at| a.at(&at));
        let (u, v, det) = (b.at(&[0]), b.at(&[1]), p * s - q * r);
        Tensor::from([(s * u - q * v) / det, (p * v - r * u) / det])
    };
    let tape = Tape::new();
    let (a, b) = (tape.variable(&matrix), tape.variable([4.0, 5.0]));
    let x = root(solve, |x, [a, b]| a.matmul(x) - b, [a, b]);
    assert_eq!(x.value().to_vec(), [1.0, 2.0]);
    let gradients = x.sum().backward();
    // A' z = (1, 1), b-bar = z, A-bar = -z x'.
    close(&gradients.wrt(b), &Tensor::from([1.0 / 3.0, 1.0 / 3.0]));
    close(&gradients.wrt(a), &Tensor::from([[-1.0 / 3.0, -2.0 / 3.0], [-1.0 / 3.0, -2.0 / 3.0]]));
}

#[test]
#[should_panic(expected = "the residual's Jacobian is singular")]
fn a_double_root_has_no_derivative() {
    let tape = Tape::new();
    let a = tape.variable(0.0);
    let x = root(|_| Tensor::from(0.0), |x, [a]| x.square() - a, [a]);
    x.backward();
}

#[test]
#[should_panic(expected = "iterations do not settle")]
fn a_map_that_does_not_settle() {
    let tape = Tape::new();
    let a = tape.variable(3.9);
    fixed_point(|x, [a]| a * x * (1.0 - x), &Tensor::from(0.3), [a]);
}
