//! Derivatives of high order against their closed forms.

use wengert_core::{Tape, Tensor, Var, func, grad, hessian, hvp, jacobian, jvp, vjp};

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-11 * (1.0 + a.abs().max(b.abs()))
}

/// The value and the first derivatives of a function of a number, each the
/// recorded gradient of the one before.
fn derivatives(f: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>, x: f64, order: usize) -> Vec<f64> {
    let tape = Tape::new();
    let x = tape.variable(x);
    let mut y = f(x);
    let mut values = vec![y.item()];
    for _ in 0..order {
        [y] = y.grad([x]);
        values.push(y.item());
    }
    values
}

#[test]
fn gradients_of_gradients_of_gradients() {
    let x = 0.7_f64;
    let (s, c, e) = (x.sin(), x.cos(), x.exp());
    let t = x.tanh();
    let sech = 1.0 - t * t;
    let cases: [(&str, Vec<f64>, Vec<f64>); 6] = [
        ("sin", derivatives(|x| x.sin(), x, 5), vec![s, c, -s, -c, s, c]),
        ("exp", derivatives(|x| x.exp(), x, 4), vec![e; 5]),
        (
            "ln",
            derivatives(|x| x.ln(), x, 4),
            vec![x.ln(), 1.0 / x, -x.powi(-2), 2.0 * x.powi(-3), -6.0 * x.powi(-4)],
        ),
        (
            "x^5",
            derivatives(|x| x.powi(5), x, 6),
            vec![x.powi(5), 5.0 * x.powi(4), 20.0 * x.powi(3), 60.0 * x * x, 120.0 * x, 120.0, 0.0],
        ),
        (
            "tanh",
            derivatives(|x| x.tanh(), x, 3),
            vec![t, sech, -2.0 * t * sech, sech * (6.0 * t * t - 2.0)],
        ),
        (
            "1 / x",
            derivatives(|x| 1.0 / x, x, 3),
            vec![1.0 / x, -x.powi(-2), 2.0 * x.powi(-3), -6.0 * x.powi(-4)],
        ),
    ];
    for (name, found, expected) in cases {
        for (order, (a, b)) in found.iter().zip(&expected).enumerate() {
            assert!(close(*a, *b), "derivative {order} of {name}: {a}, not {b}");
        }
    }
}

#[test]
fn forward_over_forward_over_forward() {
    let tape = Tape::new();
    let x = tape.variable(0.7);
    let one = tape.constant(1.0);
    let mut y = x.sin() * x;
    for _ in 0..3 {
        y = y.jvp(&[(x, one)]);
    }
    // (x sin x)''' = -3 sin x - x cos x
    assert!(close(y.item(), -3.0 * 0.7_f64.sin() - 0.7 * 0.7_f64.cos()));
}

#[test]
fn a_third_derivative_in_mixed_modes() {
    // f = x^2 y^3: f_xyy = 12 x y.
    let tape = Tape::new();
    let (x, y) = (tape.variable(1.5), tape.variable(-0.5));
    let f = x.square() * y.powi(3);
    let [fx] = f.grad([x]);
    let fxy = fx.jvp(&[(y, tape.constant(1.0))]);
    let [fxyy] = fxy.grad([y]);
    assert!(close(fxyy.item(), 12.0 * 1.5 * -0.5));
}

#[test]
fn a_quadratic_form() {
    // f = x' A x / 2 has the gradient (A + A') x / 2 and the Hessian (A + A') / 2.
    let a = Tensor::from([[2.0, 1.0, 0.0], [-1.0, 3.0, 0.5], [4.0, 0.0, 1.0]]);
    let x = Tensor::from([1.0, -2.0, 0.5]);
    let f = func(|x: Var<'_, f64>| {
        let a = x.tape().constant([[2.0, 1.0, 0.0], [-1.0, 3.0, 0.5], [4.0, 0.0, 1.0]]);
        x.matmul(a.matmul(x)) * 0.5
    });
    let symmetric = a.zip_map(&a.transpose(), |p, q| (p + q) / 2.0);
    assert_eq!(hessian(f, &x), symmetric);
    let g = grad(f, &x);
    for i in 0..3 {
        let expected: f64 = (0..3).map(|j| symmetric.at(&[i, j]) * x.at(&[j])).sum();
        assert!(close(g.at(&[i]), expected));
    }
    let v = Tensor::from([0.3, 0.1, -1.0]);
    let product = hvp(f, &x, &v);
    for i in 0..3 {
        let expected: f64 = (0..3).map(|j| symmetric.at(&[i, j]) * v.at(&[j])).sum();
        assert!(close(product.at(&[i]), expected));
    }
}

#[test]
fn the_jacobian_of_softmax() {
    let x = Tensor::from([0.2, -1.0, 1.5]);
    let tape = Tape::new();
    let y = tape.constant(&x).softmax(-1).value();
    let j = jacobian(|x| x.softmax(-1), &x);
    let (v, w) = (Tensor::from([1.0, 0.5, -2.0]), Tensor::from([0.1, 1.0, 0.3]));
    let (_, tangent) = jvp(|x| x.softmax(-1), &x, &v);
    let (_, adjoint) = vjp(|x| x.softmax(-1), &x, &w);
    for i in 0..3 {
        for k in 0..3 {
            let delta = if i == k { 1.0 } else { 0.0 };
            assert!(close(j.at(&[i, k]), y.at(&[i]) * (delta - y.at(&[k]))));
        }
        let row: f64 = (0..3).map(|k| j.at(&[i, k]) * v.at(&[k])).sum();
        let column: f64 = (0..3).map(|k| j.at(&[k, i]) * w.at(&[k])).sum();
        assert!(close(tangent.at(&[i]), row) && close(adjoint.at(&[i]), column));
    }
}
