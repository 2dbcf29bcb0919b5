//! Taylor mode against closed forms, against other modes, and its cost.

use wengert_core::op::{Domain, Elementwise, Samples};
use wengert_core::{
    Number, Tape, Tensor, Var, func, gauss_newton_product, hvp, taylor, taylor_along,
};

const DEGREE: usize = 9;

fn factorial(k: usize) -> f64 {
    (1..=k).map(|i| i as f64).product()
}

/// Coefficients of a function of a number at `x`, along `x + t`.
fn coefficients(f: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>, x: f64) -> Vec<f64> {
    let y = taylor(func(f), &Tensor::from(x), &Tensor::from(1.0), DEGREE);
    y.iter().map(Tensor::item).collect()
}

#[track_caller]
fn assert_close(name: &str, found: &[f64], expected: impl Fn(usize) -> f64) {
    for (k, &found) in found.iter().enumerate() {
        let expected = expected(k);
        assert!(
            (found - expected).abs() <= 1e-12 * (1.0 + expected.abs()),
            "coefficient {k} of {name}: {found}, not {expected}"
        );
    }
}

/// The generalised binomial coefficient of a power.
fn binomial(p: f64, k: usize) -> f64 {
    (0..k).map(|i| (p - i as f64) / (i as f64 + 1.0)).product()
}

#[test]
fn elementary_functions() {
    let x = 0.7_f64;
    let power = |p: f64| move |k: usize| binomial(p, k) * x.powf(p - k as f64);
    let quarter = |k: usize| k as f64 * std::f64::consts::FRAC_PI_2;
    let sin = move |k: usize| (x + quarter(k)).sin() / factorial(k);
    let cos = move |k: usize| (x + quarter(k)).cos() / factorial(k);
    let ln = |x: f64| {
        move |k: usize| match k {
            0 => x.ln(),
            _ => -(-1.0 / x).powi(k as i32) / k as f64,
        }
    };
    assert_close("exp", &coefficients(|x| x.exp(), x), |k| x.exp() / factorial(k));
    let expm1 = |k| if k == 0 { x.exp_m1() } else { x.exp() / factorial(k) };
    assert_close("expm1", &coefficients(|x| x.expm1(), x), expm1);
    assert_close("ln", &coefficients(|x| x.ln(), x), ln(x));
    assert_close("ln1p", &coefficients(|x| x.ln1p(), x), ln(1.0 + x));
    assert_close("sin", &coefficients(|x| x.sin(), x), sin);
    assert_close("cos", &coefficients(|x| x.cos(), x), cos);
    assert_close("sqrt", &coefficients(|x| x.sqrt(), x), power(0.5));
    assert_close("powf", &coefficients(|x| x.powf(2.7), x), power(2.7));
    assert_close("powi", &coefficients(|x| x.powi(7), x), power(7.0));
    assert_close("powi", &coefficients(|x| x.powi(-3), x), power(-3.0));
    assert_close("square", &coefficients(|x| x.square(), x), power(2.0));
    assert_close("reciprocal", &coefficients(|x| x.reciprocal(), x), power(-1.0));
    assert_close("div", &coefficients(|x| x / (x * x), x), power(-1.0));
    assert_close("mul", &coefficients(|x| x * x * x.sqrt(), x), power(2.5));
    // A power of 0 is a polynomial like any other.
    let fifth = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(coefficients(|x| x.powi(5), 0.0), fifth);
    assert_eq!(coefficients(|x| x.powf(5.0), 0.0), fifth);
    assert_eq!(coefficients(|x| x.pow(x.tape().constant(5.0)), 0.0), fifth);
}

/// Powers with a base of 0, beside others, by their own series.
#[test]
fn powers_of_zero() {
    let x = Tensor::from([0.0, 0.0, 0.0, 2.0, -1.5, 0.0]);
    let along = |f: fn(Var<'_, f64>) -> Var<'_, f64>| taylor(func(f), &x, &Tensor::ones([6]), 4);
    // Of whole powers all coefficients are binomial, also where the base is negative.
    for p in 0..4 {
        let found = match p {
            0 => along(|x| x.powf(0.0)),
            1 => along(|x| x.powf(1.0)),
            2 => along(|x| x.powf(2.0)),
            _ => along(|x| x.powf(3.0)),
        };
        for (k, found) in found.iter().enumerate() {
            let expected =
                x.map(|x| if k > p { 0.0 } else { binomial(p as f64, k) * x.powi((p - k) as i32) });
            assert_close("powf", &found.to_vec(), |i| expected.at(&[i]));
        }
    }
    // Exponents of each their own: 2, 3, 0 and 1 at 0.
    let exponents = [2.0, 3.0, 0.0, 2.5, 3.0, 1.0];
    let found = along(|x| x.pow(x.tape().constant([2.0, 3.0, 0.0, 2.5, 3.0, 1.0])));
    for (k, found) in found.iter().enumerate() {
        let power = |i: usize| match binomial(exponents[i], k) {
            0.0 => 0.0,
            factor => factor * x.at(&[i]).powf(exponents[i] - k as f64),
        };
        assert_close("pow", &found.to_vec(), power);
    }
    // As many derivatives as the exponent says, and then none.
    let found: Vec<f64> = coefficients(|x| x.powf(2.5), 0.0)[..4].to_vec();
    assert_eq!(found, [0.0, 0.0, 0.0, f64::INFINITY]);
    // (t + 3 t^2)^2 = t^2 + 6 t^3 + 9 t^4, of a curve through 0; t^2 + t^3 with a factor beside it.
    let [zero, one, three] = [0.0, 1.0, 3.0].map(Tensor::from);
    let square = taylor_along(|x| x.powf(2.0), &zero, &[&one, &three], 5);
    assert_close("a square", &square.iter().map(Tensor::item).collect::<Vec<_>>(), |k| {
        [0.0, 0.0, 1.0, 6.0, 9.0, 0.0][k]
    });
    let cubic = coefficients(|x| x.powf(2.0) * (x + 1.0), 0.0);
    assert_close("a cubic", &cubic, |k| if k == 2 || k == 3 { 1.0 } else { 0.0 });
    // 0^(2 + t) is 0, and (2 + t)^(3 + t) is e^((3 + t) ln(2 + t)).
    let [x, e] = [Tensor::from([0.0, 2.0]), Tensor::from([2.0, 3.0])];
    let moving =
        taylor(|[x, e]| x.pow(e), [&x, &e], [&Tensor::from([0.0, 1.0]), &Tensor::ones([2])], 4);
    let logarithm = taylor(|[x, e]| (e * x.ln()).exp(), [&x, &e], [&Tensor::ones([2]); 2], 4);
    for (k, (found, expected)) in moving.iter().zip(&logarithm).enumerate() {
        assert_eq!(found.at(&[0]), 0.0);
        let (found, expected): (f64, f64) = (found.at(&[1]), expected.at(&[1]));
        assert!((found - expected).abs() < 1e-12 * expected.abs(), "{k}: {found} and {expected}");
    }
    // Coefficients are differentiated where the base is 0: of x^3 along 1, 3 x^2 and 3 x.
    let tape = Tape::new();
    let x = tape.variable(0.0);
    for y in [x.powf(3.0), x.pow(tape.constant(3.0))] {
        let y = y.taylor(&[(x, &[tape.constant(1.0)])], 3);
        let slopes: Vec<f64> = y.iter().map(|y| y.grad([x])[0].item()).collect();
        assert_eq!(slopes, [0.0, 0.0, 3.0, 0.0]);
    }
}

/// Where other recurrences would divide by 0: the origin of norms, products with zeros, and what
/// has a convention there.
#[test]
fn at_zero() {
    let row = |f: fn(Var<'_, f64>) -> Var<'_, f64>, x: [f64; 3], v: [f64; 3]| -> Vec<f64> {
        let y = taylor(func(f), &Tensor::from(x), &Tensor::from(v), 4);
        y.iter().map(Tensor::item).collect()
    };
    // (0 + t)(0 + 2 t)(3 - t) = 6 t^2 - 2 t^3.
    let product = row(|x| x.prod(), [0.0, 0.0, 3.0], [1.0, 2.0, -1.0]);
    assert_close("prod", &product, |k| [0.0, 0.0, 6.0, -2.0, 0.0][k]);
    // The third of running products of (t, 2 + t, 1) is 2 t + t^2.
    let running = row(|x| x.cumprod(-1).slice(0, 2..).sum(), [0.0, 2.0, 1.0], [1.0, 1.0, 0.0]);
    assert_close("cumprod", &running, |k| [0.0, 2.0, 1.0, 0.0, 0.0][k]);
    // The convention of the first derivative at the origin, and |(3, 4)| (1 + t) elsewhere.
    assert_eq!(row(|x| x.norm(-1), [0.0; 3], [1.0, 2.0, 3.0]), [0.0; 5]);
    let origin = taylor(
        |[a, b]| a.hypot(b) + 3.0,
        [&Tensor::from([0.0, 3.0]), &Tensor::from([0.0, 4.0])],
        [&Tensor::from([1.0, 3.0]), &Tensor::from([2.0, 4.0])],
        3,
    );
    for (found, expected) in origin.iter().zip([[3.0, 8.0], [0.0, 5.0], [0.0; 2], [0.0; 2]]) {
        assert_close("hypot", &found.to_vec(), |i| expected[i]);
    }
    // The angle of the origin, and 0^0, stay where they are in all directions, to every order.
    let zero = Tensor::from(0.0);
    let (a, b) = (Tensor::from(1.0), Tensor::from(2.0));
    let angle = taylor(|[y, x]| y.atan2(x), [&zero, &zero], [&a, &b], 3);
    assert!(angle.iter().all(|y| y.item() == 0.0));
    let power = taylor(|[x, y]| x.pow(y), [&zero, &zero], [&a, &b], 3);
    assert_eq!(power.iter().map(Tensor::item).collect::<Vec<_>>(), [1.0, 0.0, 0.0, 0.0]);
    // t ln 2 and 2 ln(1 + t); and 0 ln t, which is 0.
    let xlogy = taylor(
        |[x, y]| x.xlogy(y),
        [&Tensor::from([0.0, 2.0]), &Tensor::from([2.0, 1.0])],
        [&Tensor::from([1.0, 0.0]), &Tensor::from([0.0, 1.0])],
        3,
    );
    let expected = [[0.0; 2], [2.0_f64.ln(), 2.0], [0.0, -1.0], [0.0, 2.0 / 3.0]];
    for (found, expected) in xlogy.iter().zip(expected) {
        assert_close("xlogy", &found.to_vec(), |i| expected[i]);
    }
    assert_eq!(coefficients(|y| y.tape().constant(0.0).xlogy(y), 0.0)[..5], [0.0; 5]);
    // ln(e^t + e^-t) = ln 2 + t^2 / 2 - t^4 / 12.
    let even = coefficients(|x| x.log_add_exp(-x), 0.0);
    let expected = [2.0_f64.ln(), 0.0, 0.5, 0.0, -1.0 / 12.0];
    assert_close("log_add_exp", &even[..5], |k| expected[k]);
    // What has no series there: sqrt(t), t^(1/3).
    assert_eq!(coefficients(|x| x.sqrt(), 0.0)[..2], [0.0, f64::INFINITY]);
    assert_eq!(coefficients(|x| x.cbrt(), 0.0)[..2], [0.0, f64::INFINITY]);
}

#[test]
fn functions_with_known_series_at_zero() {
    // Coefficients from Abramowitz & Stegun, 4.5.64; the logistic function is
    // (1 + tanh(x / 2)) / 2.
    let tanh = [0.0, 1.0, 0.0, -1.0 / 3.0, 0.0, 2.0 / 15.0, 0.0, -17.0 / 315.0, 0.0, 62.0 / 2835.0];
    assert_close("tanh", &coefficients(|x| x.tanh(), 0.0), |k| tanh[k]);
    let half = |k: usize| 0.5_f64.powi(k as i32 + 1) * tanh[k];
    let sigmoid = |k| if k == 0 { 0.5 } else { half(k) };
    assert_close("sigmoid", &coefficients(|x| x.sigmoid(), 0.0), sigmoid);
    // Softplus is the integral of the logistic function.
    let softplus = |k| if k == 0 { 2.0_f64.ln() } else { sigmoid(k - 1) / k as f64 };
    assert_close("softplus", &coefficients(|x| x.softplus(), 0.0), softplus);
    // The derivative's conventions, all at once.
    let kinks = coefficients(|x| x.relu() + x.abs() + (-x).leaky_relu(0.5), 0.0);
    assert_close("kinks", &kinks, |k| if k == 1 { -0.5 } else { 0.0 });
}

#[test]
fn an_op_of_a_user_has_taylor_mode_without_stating_it() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Atan;
    impl Elementwise<1> for Atan {
        const NAME: &'static str = "users_atan";
        fn eval<A: Number>(self, [x]: [A; 1]) -> A {
            A::opaque([x], |[x]| x.atan())
        }
        fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
            (x.constant(1.0) + x * x).reciprocal()
        }
        fn samples(samples: &mut Samples<Self>) {
            samples.over(Atan, [Domain::reals()]);
        }
    }
    let found = coefficients(|x| x.apply(Atan), 0.0);
    assert_close("atan", &found, |k| match k % 4 {
        1 => 1.0 / k as f64,
        3 => -1.0 / k as f64,
        _ => 0.0,
    });
}

#[test]
fn rows_products_and_curves() {
    // log_sum_exp(t a) along a: its derivatives are cumulants of a under equal weights.
    let a = Tensor::from([1.0, 2.0, 4.0]);
    let y = taylor(|x| x.log_sum_exp(-1), &Tensor::zeros([3]), &a, 3);
    let mean: f64 = 7.0 / 3.0;
    let moment = |p| a.iter().map(|a| (a - mean).powi(p)).sum::<f64>() / 3.0;
    let expected = [3.0_f64.ln(), mean, moment(2) / 2.0, moment(3) / 6.0];
    assert_close("log_sum_exp", &y.iter().map(Tensor::item).collect::<Vec<_>>(), |k| expected[k]);
    // A matrix product of (A + t B)(A + t B) is A A + t (A B + B A) + t^2 B B.
    let (a, b) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([[0.0, 1.0], [1.0, 0.0]]));
    let y = taylor(|x| x.matmul(x), &a, &b, 3);
    assert_eq!(y[1], Tensor::from([[5.0, 5.0], [5.0, 5.0]]));
    assert_eq!(y[2], Tensor::from([[1.0, 0.0], [0.0, 1.0]]));
    assert_eq!(y[3], Tensor::zeros([2, 2]));
    // The norm of a circle's radius is constant: x = (cos t, sin t).
    let circle: Vec<Tensor<f64>> = (1..=6)
        .map(|k| {
            let angle = k as f64 * std::f64::consts::FRAC_PI_2;
            Tensor::from([angle.cos() / factorial(k), angle.sin() / factorial(k)])
        })
        .collect();
    let circle: Vec<&Tensor<f64>> = circle.iter().collect();
    let y = taylor_along(|x| x.norm(-1), &Tensor::from([1.0, 0.0]), &circle, 6);
    assert_close("norm", &y.iter().map(Tensor::item).collect::<Vec<_>>(), |k| {
        if k == 0 { 1.0 } else { 0.0 }
    });
}

fn network<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    let w = x.tape().constant([[0.5, -1.0, 0.3], [0.2, 0.7, -0.4]]);
    (w.matmul(x).tanh().softmax(-1) * x.slice(0, ..2).sin()).sum() * x.norm(-1)
}

#[test]
fn other_modes_agree() {
    let (x, v) = (Tensor::from([0.3, -0.8, 0.5]), Tensor::from([1.0, 0.4, -0.7]));
    let y = taylor(network, &x, &v, 4);
    // Second order, by forward over reverse.
    let curvature: f64 = hvp(network, &x, &v).iter().zip(v.iter()).map(|(h, v)| h * v).sum();
    assert!((2.0 * y[2].item() - curvature).abs() < 1e-12);
    // Each order by nesting: grad of jvp and jvp of grad, in turn.
    let tape = Tape::new();
    let (x, v) = (tape.variable(&x), tape.constant(&v));
    let mut forward = network(x);
    let mut reverse = forward;
    for (order, y) in y.iter().enumerate() {
        let expected = y.item() * factorial(order);
        for found in [forward, reverse] {
            assert!((found.item() - expected).abs() < 1e-11 * (1.0 + expected.abs()));
        }
        forward = forward.jvp(&[(x, v)]);
        let [gradient] = reverse.grad([x]);
        reverse = (gradient * v).sum();
    }
}

#[test]
fn coefficients_are_differentiable_and_compile() {
    let tape = Tape::new();
    let (p, x) = (tape.variable(0.8), tape.variable(0.3));
    let one = tape.constant(1.0);
    // sin(p x) has the coefficients p^k sin(p x + k pi / 2) / k!.
    let y = (p * x).sin().taylor(&[(x, &[one])], 3);
    let [dp] = y[3].grad([p]);
    let exact =
        |p: f64, x: f64| (p.powi(3) * x * (p * x).sin() - 3.0 * p * p * (p * x).cos()) / 6.0;
    assert!((dp.item() - exact(0.8, 0.3)).abs() < 1e-14);
    let mut program = tape.compile(&[p, x], &[y[3], dp]).unwrap();
    let found = program.run([&Tensor::from(1.3), &Tensor::from(-0.2)]);
    assert!((found[0].item() + 1.3_f64.powi(3) * (-0.26_f64).cos() / 6.0).abs() < 1e-14);
    assert!((found[1].item() - exact(1.3, -0.2)).abs() < 1e-14);
}

#[test]
fn a_program_of_coefficients_gives_the_bits_of_the_tape() {
    let record = |x: &Tensor<f64>| {
        let tape = Tape::new();
        let x = tape.variable(x);
        let y = network(x).taylor(&[(x, &[tape.constant([1.0, 0.4, -0.7])])], 5);
        let values: Vec<_> = y.iter().map(|y| y.item()).collect();
        (tape.compile(&[x], &y).map_err(|error| error.to_string()), values)
    };
    let (first, second) = (Tensor::from([0.3, -0.8, 0.5]), Tensor::from([-0.1, 0.6, 1.1]));
    let mut program = record(&first).0.unwrap();
    let found: Vec<_> = program.run(&second).iter().map(Tensor::item).collect();
    assert_eq!(found, record(&second).1);
}

#[test]
fn the_cost_grows_with_the_square_of_the_degree() {
    let cost = |degree: usize| {
        let tape = Tape::new();
        let x: Var<'_, f64> = tape.variable(Tensor::full([20], 0.4));
        let v = tape.constant(Tensor::full([20], 1.0));
        let y = (x.exp() / (1.0 + x.sin() * x.tanh()) + x.softmax(-1)).sum();
        let total = || tape.lines().iter().map(|line| line.cost.total()).sum::<u64>();
        let before = total();
        y.taylor(&[(x, &[v])], degree);
        (total() - before) as f64
    };
    let ratio = cost(32) / cost(16);
    assert!((3.0..4.1).contains(&ratio), "degree 32 costs {ratio} times degree 16");
}

#[test]
fn gauss_newton_of_a_linear_model_is_the_hessian() {
    let (x, v) = (Tensor::from([0.3, -0.8, 0.5]), Tensor::from([1.0, 0.4, -0.7]));
    fn linear<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        x.tape().constant([[0.5, -1.0, 0.3], [0.2, 0.7, -0.4]]).matmul(x)
    }
    fn loss<'t>(y: Var<'t, f64>) -> Var<'t, f64> {
        y.log_sum_exp(-1) + (y * y).sum()
    }
    let product = gauss_newton_product(linear, loss, &x, &v);
    let expected = hvp(|x| loss(linear(x)), &x, &v);
    for (a, b) in product.iter().zip(expected.iter()) {
        assert!((a - b).abs() < 1e-14);
    }
}

#[test]
fn solutions_of_differential_equations() {
    // x' = x^2 from 1 is 1 / (1 - t); and the pendulum conserves its energy.
    let tape = Tape::<f64>::new();
    let x = tape.variable(1.0);
    let [series] = tape.ode_series([(x, x * x)], 12);
    assert!(series.iter().all(|x| (x.item() - 1.0).abs() < 1e-14));
    let (angle, speed) = (tape.variable(0.4), tape.variable(1.1));
    let [angle, speed] = tape.ode_series([(angle, speed), (speed, -angle.sin())], 24);
    let at = |series: &[Var<'_, f64>], t: f64| {
        series.iter().rev().fold(0.0, |sum, x| sum * t + x.item())
    };
    let energy = |t: f64| 0.5 * at(&speed, t).powi(2) - at(&angle, t).cos();
    assert!((energy(0.4) - energy(0.0)).abs() < 1e-13);
    // A rate that does not move.
    let x = tape.variable(1.0);
    let [line] = tape.ode_series([(x, tape.constant(3.0))], 2);
    assert_eq!(line.iter().map(|x| x.item()).collect::<Vec<_>>(), [1.0, 3.0, 0.0]);
}
