//! Checks as a product: functions of slices, which rule is wrong, what others miss, and what is
//! unhealthy about a recording.

use std::cell::Cell;

use wengert_core::check::reference::{Complex, complex_step, richardson};
use wengert_core::check::{self, Cause, Options, SymptomKind, Verdict, plain};
use wengert_core::{
    Number, Plain, Real, Tape, Tensor, Var, assert_gradient, concat, custom_jvp, custom_vjp, func,
    grad,
};

/// A function of three numbers with everything that `Number` has.
fn formula<A: Number>(x: &[A]) -> A {
    let [a, b, c] = [x[0], x[1], x[2]];
    let one = a.constant(1.0);
    let smooth = (a * b).exp() / (one + c.square()).sqrt() + (a + c).sin() * b.cos().tanh();
    let powers = (a.square() + one).ln() * (b.abs() + one).powf(1.5) - c.powi(3).reciprocal();
    let more = a.sigmoid() + b.sinh() * c.cosh() + a.hypot(b) + (c.square() + one).pow(a);
    let special = a.erfc() + (c.square() + one).polygamma(1) + b.sinc_derivative(0);
    let pieces = a.greater(b).select(a * c, b * c) + c.clamp(-0.5, 0.5);
    smooth + powers + more + special + pieces
}

const POINT: [f64; 3] = [0.7, -0.4, 1.3];

fn by_tape(x: &[f64]) -> Vec<f64> {
    let f = func(|x: Var<'_, f64>| formula(&[0, 1, 2].map(|i| x.slice(0, i..i + 1).sum())));
    grad(f, &Tensor::from(x.to_vec())).to_vec()
}

#[test]
fn a_complex_step_is_exact_to_rounding() {
    let (tape, complex) = (by_tape(&POINT), complex_step(formula, &POINT));
    for (a, b) in tape.iter().zip(&complex) {
        assert!((a - b).abs() <= 1e-14 * (1.0 + a.abs()), "{tape:?} and {complex:?}");
    }
    let real: Vec<_> = POINT.iter().map(|&x| Plain(x)).collect();
    let value = formula(&POINT.map(Complex::from));
    assert!((value.re - formula(&real).0).abs() < 1e-14 && value.im == 0.0);
    let report = Options::default().plain().gradient_complex(formula, by_tape, &POINT);
    assert!(report.is_right() && report.to_string().contains("0 of 3 entries differ"), "{report}");
    // An error that no difference quotient shows.
    let report = Options::default().plain().gradient_complex(
        formula,
        |x| by_tape(x).iter().map(|g| g * (1.0 + 1e-10)).collect(),
        &POINT,
    );
    assert_eq!(report.verdict(), Verdict::Wrong, "{report}");
}

#[test]
fn complex_functions_are_those_of_complex_analysis() {
    // Identities, at points all over the plane.
    let close = |a: Complex, b: Complex| {
        let d = a - b;
        d.re.hypot(d.im) <= 1e-13 * (1.0 + b.re.hypot(b.im))
    };
    for z in [(0.3, 1.2), (-0.8, 0.4), (-1.5, -2.0), (2.0, -0.1), (-3.0, 0.0), (0.0, 1.0)] {
        let z = Complex::new(z.0, z.1);
        let one = Complex::from(1.0);
        assert!(close(z.ln().exp(), z), "{z:?}");
        assert!(close(z.sqrt().square(), z), "{z:?}");
        assert!(close(z.sin().square() + z.cos().square(), one), "{z:?}");
        assert!(close(z.cosh().square() - z.sinh().square(), one), "{z:?}");
        assert!(close(z.tanh() * z.cosh(), z.sinh()), "{z:?}");
        assert!(close(z.sigmoid() * (one + (-z).exp()), one), "{z:?}");
        assert!(close(z.powi(-3) * z * z * z, one), "{z:?}");
        assert!(close(z.pow(z), (z * z.ln()).exp()), "{z:?}");
        assert!(close(z.reciprocal() * z, one), "{z:?}");
    }
}

#[test]
fn whole_powers_of_negative_numbers() {
    fn f<A: Number>(x: &[A]) -> A {
        x[0].powf(3.0) + x[0].pow(x[0].constant(-2.0))
    }
    let x = -1.5_f64;
    let slope = 3.0 * x.powi(2) - 2.0 * x.powi(-3);
    assert!((complex_step(f, &[x])[0] - slope).abs() <= 1e-14 * slope);
}

#[test]
fn richardson_knows_its_error() {
    let f = |x: &[f64]| formula(&[Plain(x[0]), Plain(x[1]), Plain(x[2])]).0;
    for (estimate, exact) in richardson(f, &POINT).into_iter().zip(by_tape(&POINT)) {
        let error = (estimate.value - exact).abs();
        assert!(error < 1e-9 && error <= 100.0 * estimate.error + 1e-12, "{estimate:?}, {exact}");
    }
}

fn cost(x: &[f64]) -> f64 {
    x.iter().enumerate().map(|(i, x)| (i as f64 + 1.0) * x.sin() * x.exp()).sum()
}

fn gradient(x: &[f64]) -> Vec<f64> {
    let slope = |(i, x): (usize, &f64)| (i as f64 + 1.0) * (x.sin() + x.cos()) * x.exp();
    x.iter().enumerate().map(slope).collect()
}

#[test]
fn functions_of_slices() {
    let x = [0.3, -0.2, 1.1];
    assert_gradient!(cost, gradient, &x);
    for seed in 0..20 {
        let plain = Options::default().seed(seed).plain();
        assert!(plain.gradient(cost, gradient, &x).is_right());
        let wrong = plain.gradient(cost, |x| gradient(x).iter().map(|g| 1.03 * g).collect(), &x);
        let Some(Cause::Factor(factor)) = wrong.cause() else { panic!("{wrong}") };
        assert!((factor - 1.03).abs() < 1e-6);
    }
    let single = |x: &[f32]| x.iter().map(|x| x.sin() * x).sum::<f32>();
    let report =
        plain::gradient(single, |x| x.iter().map(|x| x.cos() * x + x.sin()).collect(), &[0.5, 2.0]);
    assert!(report.is_right(), "{report}");
}

#[test]
fn matrices_and_products_of_slices() {
    let f = |x: &[f64]| vec![x[0] * x[1], x[0].exp(), x[1].sin() * x[2], x[2]];
    let jacobian = |x: &[f64]| {
        [
            [x[1], x[0], 0.0],
            [x[0].exp(), 0.0, 0.0],
            [0.0, x[1].cos() * x[2], x[1].sin()],
            [0.0, 0.0, 1.0],
        ]
        .concat()
    };
    let x = [0.5, 2.0, -1.0];
    plain::jacobian(f, jacobian, &x).assert();
    let row = |x: &[f64], i: usize| jacobian(x)[3 * i..3 * i + 3].to_vec();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let jvp = |x: &[f64], v: &[f64]| (0..4).map(|i| dot(&row(x, i), v)).collect::<Vec<f64>>();
    let vjp = |x: &[f64], w: &[f64]| {
        (0..3).map(|j| (0..4).map(|i| w[i] * row(x, i)[j]).sum()).collect::<Vec<f64>>()
    };
    plain::products(f, jvp, vjp, &x).assert();
    plain::jvp(f, jvp, &x).assert();
    plain::vjp(f, vjp, &x).assert();
    // One entry.
    let off = |x: &[f64]| {
        let mut j = jacobian(x);
        j[7] *= 1.1;
        j
    };
    let report = plain::jacobian(f, off, &x);
    let worst = &report.comparison().expect("entries are compared").worst;
    assert_eq!((report.verdict(), worst.len()), (Verdict::Wrong, 1), "{report}");
    assert_eq!(worst[0].index, [2, 1]);
    // Only one of the two products is wrong.
    let report = plain::products(f, |x, v| jvp(x, v).iter().map(|t| -t).collect(), vjp, &x);
    assert_eq!(report.cause(), Some(&Cause::Sign), "{report}");
    let report = plain::products(f, jvp, |x, w| vjp(x, w).iter().map(|t| -t).collect(), &x);
    assert_eq!(report.cause(), Some(&Cause::Sign), "{report}");
    // Column by column instead of row by row.
    let turned = |x: &[f64]| {
        let j = jacobian(x);
        (0..3).flat_map(|c| (0..4).map(move |r| (r, c))).map(|(r, c)| j[3 * r + c]).collect()
    };
    let report = plain::jacobian(f, turned, &x);
    assert_eq!(report.cause(), Some(&Cause::Transposed { input: 0 }), "{report}");
    let hessian = |x: &[f64]| {
        let bend = |i: usize, j: usize| {
            if i == j { 2.0 * (i as f64 + 1.0) * x[i].cos() * x[i].exp() } else { 0.0 }
        };
        (0..9).map(|k| bend(k / 3, k % 3)).collect()
    };
    plain::hessian(gradient, hessian, &x).assert();
}

#[test]
fn claims_about_functions_on_a_tape() {
    let x = Tensor::from([0.5, 2.0, -1.0]);
    let f = func(|x: Var<'_, f64>| concat(&[x * x, x.slice(0, ..2).exp()], 0));
    let jacobian = |x: &Tensor<f64>| {
        Tensor::from_fn([5, 3], |k| match (k / 3, k % 3) {
            (i, j) if i == j => 2.0 * x.at(&[i]),
            (i, j) if i == j + 3 => x.at(&[j]).exp(),
            _ => 0.0,
        })
    };
    check::jacobian(f, jacobian, &x).assert();
    let report = check::jacobian(f, |x| jacobian(x).map(|j| 2.0 * j), &x);
    assert!(matches!(report.cause(), Some(Cause::Factor(_))), "{report}");
    let by_hand = |x: &Tensor<f64>, v: &Tensor<f64>| wengert_core::jvp(f, x, v).1;
    check::jvp(f, by_hand, &x).assert();
    let report = check::jvp(f, |x, v| by_hand(x, v).map(|t| -t), &x);
    assert_eq!(report.cause(), Some(&Cause::Sign), "{report}");
    let by_hand = |x: &Tensor<f64>, w: &Tensor<f64>| wengert_core::vjp(f, x, w).1;
    check::vjp(f, by_hand, &x).assert();
    let g = func(|x: Var<'_, f64>| (x * x).sum() * x.sum());
    check::hessian(g, |x| wengert_core::hessian(g, x), &x).assert();
    let wrong = check::hessian(g, |x| wengert_core::hessian(g, x).map(|h| h / 2.0), &x);
    assert!(matches!(wrong.cause(), Some(Cause::Factor(_))), "{wrong}");
}

#[test]
fn a_kink_of_a_plain_function_is_no_mistake() {
    let f = |x: &[f64]| x.iter().map(|x| x.abs()).sum::<f64>() + x[1].exp();
    let g = |x: &[f64]| vec![x[0].signum(), x[1].signum() + x[1].exp()];
    for seed in 0..20 {
        let plain = Options::default().seed(seed).plain();
        assert_eq!(plain.gradient(f, g, &[0.0, 0.4]).verdict(), Verdict::Kink);
        let report = plain.gradient(f, g, &[1e-5, 0.4]);
        assert!(report.is_right(), "beside it there is room: {report}");
        // A mistake beside a kink is a mistake.
        let wrong = plain.gradient(f, |x| g(x).iter().map(|g| -g).collect(), &[0.2, 0.4]);
        assert_eq!(wrong.verdict(), Verdict::Wrong);
    }
}

#[test]
fn what_does_not_repeat_is_named() {
    let calls = Cell::new(0);
    let noisy = |x: &[f64]| {
        calls.set(calls.get() + 1);
        x[0] * x[0] * (1.0 + 0.1 * f64::from(calls.get() % 7))
    };
    let report = plain::gradient(noisy, |x| vec![2.0 * x[0]], &[1.5]);
    assert_eq!(report.verdict(), Verdict::NotRepeatable, "{report}");
    // A sum that is not cleared.
    let mut sum = vec![0.0; 3];
    let report = plain::gradient(
        cost,
        |x| {
            sum.iter_mut().zip(gradient(x)).for_each(|(sum, g)| *sum += g);
            sum.clone()
        },
        &[0.3, -0.2, 1.1],
    );
    assert_eq!(report.verdict(), Verdict::NotRepeatable, "{report}");
    assert!(report.to_string().contains("every call adds as much"), "{report}");
    // On a tape, the line that brings the randomness in.
    let report = check::gradient(
        |x| {
            calls.set(calls.get() + 1);
            let mask = x.tape().constant(f64::from(calls.get() % 3));
            (x * mask).sum()
        },
        &Tensor::from([1.0, 2.0]),
    );
    assert_eq!(report.verdict(), Verdict::NotRepeatable, "{report}");
    let text = report.to_string();
    assert!(text.contains("constant") && text.contains("verification.rs"), "{text}");
}

#[test]
fn the_operation_with_the_wrong_rule_is_named() {
    let x = Tensor::from([0.3, -0.8, 1.2]);
    let report = check::gradient(
        |x| {
            let y = x.sin() * x;
            let z = custom_vjp([y], |[y]| y.square(), |[y], _, w| [w * y]);
            (z.exp() + x).sum()
        },
        &x,
    );
    let culprit = report.culprit().expect("a rule is wrong").to_owned();
    assert!(culprit.contains("custom_vjp") && culprit.contains("verification.rs"), "{report}");
    // One that is right stands beside it, and reads the same value.
    let report = check::gradient(
        |x| {
            let y = x.sin();
            let right = custom_vjp([y], |[y]| y.square(), |[y], _, w| [2.0 * w * y]);
            let wrong = custom_jvp([y], |[y]| y.exp(), |[_], y, [v]| v * y * 1.01);
            (right * wrong).sum()
        },
        &x,
    );
    assert!(report.culprit().is_some_and(|c| c.contains("custom_jvp")), "{report}");
    let report = check::gradient(|x| (x * x.stop_gradient()).sum(), &x);
    assert!(report.culprit().is_some_and(|c| c.contains("stop_gradient")), "{report}");
}

#[test]
fn single_precision_through_double() {
    fn f<T: Real>(x: Var<'_, T>) -> Var<'_, T> {
        (x.sin() * x).sum() + T::from_f64(1000.0)
    }
    let x = Tensor::from([0.7_f32, -1.3, 2.1]);
    check::through_double(f::<f32>, f::<f64>, &x, &x.cast()).assert();
    // Differences in single precision cannot see this, beside a value of a thousand.
    fn off(x: Var<'_, f32>) -> Var<'_, f32> {
        let term = x.sin().sum();
        f(x) + (term - term.stop_gradient()) * 1e-3
    }
    assert!(check::gradient(off, &x).is_right());
    let report = check::through_double(off, f::<f64>, &x, &x.cast());
    assert_eq!(report.verdict(), Verdict::Wrong, "{report}");
}

#[test]
fn parameters_one_by_one() {
    let w = Tensor::from([[0.5, -0.2], [0.1, 0.4]]);
    let (b, unused) = (Tensor::from([0.3, -0.6]), Tensor::from(1.0));
    let named = [("weight", 1, &w), ("bias", 2, &b), ("unused", 3, &unused)]
        .map(|(name, key, value)| (name.to_owned(), key, value.clone()));
    let x = [1.0, 2.0];
    let right = check::parameters(&named, |tape| {
        let z = tape.parameter(1, &w).matmul(tape.constant(x)) + tape.parameter(2, &b);
        z.tanh().square().sum()
    });
    assert!(right.is_right(), "{right}");
    assert!(right.unchecked().iter().any(|line| line.contains("unused")), "{right}");
    let wrong = check::parameters(&named, |tape| {
        let z = tape.parameter(1, &w).matmul(tape.constant(x));
        let z = custom_vjp([z], |[z]| z.sin(), |[z], _, w| [w * z.cos() * 1.01]);
        (z + tape.parameter(2, &b)).square().sum()
    });
    assert_eq!(wrong.verdict(), Verdict::Wrong);
    let text = wrong.to_string();
    let head: Vec<_> = text.lines().take(4).collect();
    assert!(head[1].contains("custom_vjp") && head[1].contains("verification.rs"), "{text}");
    assert!(head[2].contains("after the first use of weight, before that of bias"), "{text}");
    assert!(head[3].contains("wrong: weight; right: bias"), "{text}");
    let full = Options::default().full().parameters(&named[..2], |tape| {
        (tape.parameter(1, &w).matmul(tape.parameter(2, &b))).exp().sum()
    });
    assert!(full.is_right() && full.unchecked().is_empty(), "{full}");
}

#[test]
fn a_full_check_tells_how_far_it_is() {
    let last = Cell::new((0, 0));
    let progress = |done, all| last.set((done, all));
    let x = Tensor::from_fn([700], |i| (i as f64).sin());
    let options = Options::default().full().progress(&progress);
    let report = options.gradient(|x| (x * x * x).sum(), &x);
    assert!(report.is_right(), "{report}");
    assert_eq!(last.get(), (700, 700));
    assert!(report.unchecked().is_empty());
}

#[test]
fn what_is_unhealthy_about_a_recording() {
    let kinds = |diagnosis: &check::Diagnosis| {
        diagnosis.symptoms.iter().map(|symptom| symptom.kind).collect::<Vec<_>>()
    };
    let tape = Tape::new();
    let x = tape.variable([1.0, 2.0]);
    assert!(check::diagnose((x * x).sum()).is_healthy());
    let diagnosis = check::diagnose((x - 1.0).ln().sum());
    assert_eq!(kinds(&diagnosis), [SymptomKind::NonFiniteValue]);
    let tape = Tape::new();
    let w = tape.parameter(1, &Tensor::from([[10.0, 0.1], [20.0, 0.2]]));
    let dead = tape.parameter(2, &Tensor::from(-5.0));
    let x = tape.constant([[3.0, 1.0], [2.0, 2.0], [5.0, 1.0]]);
    let y = x.matmul(w).sigmoid().sum() + dead.relu();
    let named = [("weight".to_owned(), 1), ("dead".to_owned(), 2), ("idle".to_owned(), 3)];
    let diagnosis = check::Diagnosis::of(y, &named);
    let text = diagnosis.to_string();
    assert!(text.contains("idle is not used"), "{text}");
    assert!(text.contains("of dead, v1") && text.contains("it vanishes in v"), "{text}");
    assert!(text.contains("1 of 2 units in all of 3 rows"), "{text}");
    assert!(text.contains("relu, shape [], at") && text.contains("verification.rs"), "{text}");
}

#[test]
fn reports_for_machines_and_for_the_eye() {
    let x = Tensor::from([0.5, -1.0]);
    let right = check::gradient(|x| (x.sin() * x).sum(), &x);
    let wrong = check::against(|x| (x * x).sum(), |x| x.map(|x| -2.0 * x), &x);
    let (a, b) = (right.to_json(), wrong.to_json());
    assert!(a.contains(r#""verdict":"right""#) && a.contains(r#""cause":null"#), "{a}");
    assert!(b.contains(r#""verdict":"WRONG""#) && b.contains(r#""cause":"sign""#), "{b}");
    let best = right.rate().and_then(check::Rate::best_step).expect("a right rate has one");
    // The square root of the precision, to a factor that the function has.
    assert!((1e-10..1e-6).contains(&best), "{best}");
    let picture = right.to_svg().expect("steps were taken");
    assert!(picture.contains("best h") && picture.contains("truncation, as h"), "{picture}");
    assert!(wrong.to_svg().is_some_and(|picture| picture.contains("the derivative is off by")));
}

/// What other checkers are known to miss, or to object to without reason.
mod known_failures_of_others {
    use super::*;

    /// pytorch#76783, #171704: right for square and wide matrices.
    fn trace<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        let [rows, columns] = x.shape()[..] else { panic!("a matrix") };
        custom_vjp(
            [x],
            |[x]| {
                let eye = |i: usize| f64::from(u8::from(i / columns == i % columns));
                (x * x.tape().constant(Tensor::from_fn([rows, columns], eye))).sum()
            },
            move |[x], _, w| {
                // Every (columns + 1)-th element, to the end of the matrix.
                let places = |i: usize| f64::from(u8::from(i.is_multiple_of(columns + 1)));
                [w * x.tape().constant(Tensor::from_fn([rows, columns], places))]
            },
        )
    }

    #[test]
    fn the_trace_of_a_tall_matrix() {
        let matrix = |rows, columns| Tensor::from_fn([rows, columns], |i| (i as f64).cos());
        assert!(check::gradient(trace, &matrix(3, 3)).is_right());
        assert!(check::gradient(trace, &matrix(2, 5)).is_right());
        let report = check::gradient(trace, &matrix(5, 2));
        assert_eq!(report.verdict(), Verdict::Wrong, "{report}");
    }

    #[test]
    fn softmax_under_all_ones_cotangents() {
        // Twice the right adjoint; a sum of all elements has the gradient 0 either way.
        let twice = func(|x: Var<'_, f64>| {
            custom_vjp([x], |[x]| x.softmax(-1), |[_], y, w| [2.0 * y * (w - (w * y).sum())])
        });
        let x = Tensor::from([0.3, -0.5, 1.1]);
        let tape = Tape::new();
        let v = tape.variable(&x);
        let blind = twice(v).sum().backward().wrt(v);
        assert!(blind.iter().all(|g| g.abs() < 1e-15), "a test with ones sees nothing");
        let report = check::gradient(twice, &x);
        assert_eq!(report.verdict(), Verdict::Wrong, "{report}");
    }

    #[test]
    fn noise_of_single_precision() {
        // A large constant beside small terms: quotients at one step are off by per cents.
        let f = func(|x: Var<'_, f32>| (x.sin() * x).sum() + 1000.0);
        let x = Tensor::from([0.7_f32, -1.3, 2.1]);
        for seed in 0..40 {
            let report = Options::default().seed(seed).gradient(f, &x);
            assert!(report.is_right(), "{report}");
            // Half of the gradient.
            let half = func(|x: Var<'_, f32>| (f(x) + f(x).stop_gradient()) * 0.5);
            let report = Options::default().seed(seed).gradient(half, &x);
            assert_eq!(report.verdict(), Verdict::Wrong, "{report}");
        }
    }

    #[test]
    fn ties_in_a_sort() {
        let f = func(|x: Var<'_, f64>| {
            let weights = x.tape().constant([1.0, 2.0, 3.0]);
            (x.sort(0).0 * weights).sum()
        });
        let report = check::gradient(f, &Tensor::from([0.5, 0.5, -1.0]));
        assert_eq!(report.verdict(), Verdict::Kink, "{report}");
        assert!(check::gradient(f, &Tensor::from([0.5, 0.5001, -1.0])).is_right());
    }

    #[test]
    fn the_norm_at_zero() {
        let f = func(|x: Var<'_, f64>| x.norm(..));
        let zero = Tensor::from([0.0, 0.0]);
        assert_eq!(check::gradient(f, &zero).verdict(), Verdict::Kink);
        assert_eq!(grad(f, &zero).to_vec(), [0.0, 0.0]);
        // By hand, without a tape to ask.
        let norm = |x: &[f64]| x[0].hypot(x[1]);
        let report = plain::gradient(norm, |_| vec![0.0, 0.0], &[0.0, 0.0]);
        assert_eq!(report.verdict(), Verdict::Kink, "{report}");
    }

    #[test]
    fn a_branch_with_nan_behind_where() {
        let f = func(|x: Var<'_, f64>| {
            let zero = x.tape().constant(0.0);
            x.greater(zero).select(x.sqrt(), zero).sum()
        });
        let x = Tensor::from([4.0, 0.0]);
        let report = check::gradient(f, &x);
        assert_eq!(report.verdict(), Verdict::NotFinite, "{report}");
        let tape = Tape::new();
        let diagnosis = check::diagnose(f(tape.variable(&x)));
        let text = diagnosis.to_string();
        assert_eq!(diagnosis.symptoms[0].kind, SymptomKind::NonFiniteAdjoint, "{text}");
        assert!(text.contains("sqrt") && text.contains("verification.rs"), "{text}");
    }

    /// A fixed step, and a tolerance around the quotient: the usual checker.
    fn by_a_quotient(f: fn(f64) -> f64, slope: f64, x: f64) -> bool {
        let h = 1e-6;
        let quotient = (f(x + h) - f(x - h)) / (2.0 * h);
        (quotient - slope).abs() <= 1e-5 + 1e-3 * slope.abs()
    }

    #[test]
    fn a_strong_curvature_and_a_small_error() {
        // Right, and a fixed step objects.
        let steep: fn(f64) -> f64 = |x| (1e6 * x).sin();
        let slope = 1e6 * (1e6_f64 * 0.3).cos();
        assert!(!by_a_quotient(steep, slope, 0.3));
        let right = |x: &[f64]| vec![1e6 * (1e6 * x[0]).cos()];
        assert!(plain::gradient(|x| steep(x[0]), right, &[0.3]).is_right());
        // Off by half a thousandth, and a tolerance lets it pass.
        let gentle: fn(f64) -> f64 = f64::sin;
        let off = |x: f64| x.cos() * 1.0005;
        assert!(by_a_quotient(gentle, off(0.3), 0.3));
        let report = plain::gradient(|x| gentle(x[0]), |x| vec![off(x[0])], &[0.3]);
        assert_eq!(report.verdict(), Verdict::Wrong, "{report}");
    }
}
