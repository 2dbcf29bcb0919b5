//! Functions with the user's own derivative, in every mode.

use wengert_core::{
    Tape, Tensor, Var, check, custom_jvp, custom_vjp, func, hessian, hvp, jvp, taylor, vjp,
};

/// `a sin b`, by a rule of adjoints and by a rule of tangents.
fn by_vjp<'t>([a, b]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    custom_vjp([a, b], |[a, b]| a * b.sin(), |[a, b], _, w| [w * b.sin(), w * a * b.cos()])
}

fn by_jvp<'t>([a, b]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    custom_jvp([a, b], |[a, b]| a * b.sin(), |[a, b], _, [v, w]| v * b.sin() + a * b.cos() * w)
}

fn plain<'t>([a, b]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    a * b.sin()
}

fn close(a: &Tensor<f64>, b: &Tensor<f64>) {
    assert_eq!(a.shape(), b.shape());
    assert!(a.iter().zip(b.iter()).all(|(a, b)| (a - b).abs() < 1e-13), "{a} and {b}");
}

#[test]
fn either_rule_serves_all_modes_to_every_order() {
    let x = [&Tensor::from([0.4, -1.2]), &Tensor::from([0.9, 0.3])];
    let v = [&Tensor::from([1.0, 0.5]), &Tensor::from([-0.7, 2.0])];
    let w = Tensor::from([0.3, -2.0]);
    macro_rules! agrees {
        ($f:ident) => {
            let (value, tangent) = jvp($f, x, v);
            let (expected, expected_tangent) = jvp(plain, x, v);
            close(&value, &expected);
            close(&tangent, &expected_tangent);
            let (found, expected) = (vjp($f, x, &w).1, vjp(plain, x, &w).1);
            let second = hvp(|x| $f(x).sum(), x, v);
            let expected_second = hvp(|x| plain(x).sum(), x, v);
            let matrix = hessian(|x| $f(x).sum(), x);
            let expected_matrix = hessian(|x| plain(x).sum(), x);
            for i in 0..2 {
                close(&found[i], &expected[i]);
                close(&second[i], &expected_second[i]);
                for j in 0..2 {
                    close(&matrix[i][j], &expected_matrix[i][j]);
                }
            }
            let (series, expected) = (taylor($f, x, v, 4), taylor(plain, x, v, 4));
            for (found, expected) in series.iter().zip(&expected) {
                close(found, expected);
            }
            check::gradient(|x| $f(x).sum(), x).assert();
        };
    }
    agrees!(by_vjp);
    agrees!(by_jvp);
}

#[test]
fn the_stated_rule_is_what_counts() {
    let f = func(|x: Var<'_, f64>| custom_vjp([x], |[x]| x * x, |_, _, w| [w * 10.0]));
    let x = Tensor::from(3.0);
    assert_eq!(jvp(f, &x, &Tensor::from(1.0)).1.item(), 10.0);
    assert_eq!(vjp(f, &x, &Tensor::from(1.0)).1.item(), 10.0);
    // A variable that is passed on does not keep its own derivative.
    let f = func(|x: Var<'_, f64>| custom_vjp([x], |[x]| x, |_, _, w| [w * 10.0]));
    assert_eq!(vjp(f, &x, &Tensor::from(1.0)).1.item(), 10.0);
}

#[test]
fn rules_stay_with_their_recording() {
    // Two closures of one type but with another state, at the same place of a tape that
    // is recorded again; and a program.
    let mut tape = Tape::new();
    for scale in [2.0, 5.0] {
        tape.reset();
        let x = tape.variable(1.0);
        let y = custom_vjp([x], |[x]| x, move |_, _, w: Var<'_, f64>| [w * scale]);
        assert_eq!(y.backward().wrt(x).item(), scale);
    }
    tape.reset();
    let x = tape.variable([1.0, 2.0]);
    let twice = tape.external(&[x], [2], |args, y: &mut [f64]| {
        y.iter_mut().zip(args[0]).for_each(|(y, x)| *y = 2.0 * x);
    });
    let y = custom_vjp([x], move |_| twice, |_, _, w| [w * 2.0]);
    let [dx] = (y * y).sum().grad([x]);
    let mut program = tape.compile(&[x], &[y, dx]).unwrap();
    let found = program.run(&Tensor::from([3.0, 4.0]));
    assert_eq!((found[0].to_vec(), found[1].to_vec()), (vec![6.0, 8.0], vec![24.0, 32.0]));
}

#[test]
#[should_panic(expected = "a derivative of an external function is wanted")]
fn an_external_function_without_a_rule_has_no_derivative() {
    let tape = Tape::new();
    let x = tape.variable(1.0);
    let y = tape.external(&[x], [], |args, y: &mut [f64]| y[0] = args[0][0]);
    y.backward();
}

#[test]
fn cotangents_are_scaled_and_clipped_to_every_order() {
    // Differentiated twice, the sign is reversed twice.
    let tape = Tape::new();
    let x = tape.variable([0.2, 3.0]);
    let [dx] = x.scale_gradient(-1.0).square().sum().grad([x]);
    let [ddx] = dx.sum().grad([x]);
    assert_eq!(ddx.value().to_vec(), [2.0, 2.0]);
    let [dx] = x.clip_gradient(1.0).square().sum().grad([x]);
    assert_eq!(dx.value().to_vec(), [0.4, 1.0]);
    let long = x.clip_gradient_norm(10.0).square().sum();
    assert_eq!(long.backward().wrt(x).to_vec(), [0.4, 6.0]);
}
