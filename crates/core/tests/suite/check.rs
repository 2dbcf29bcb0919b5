//! Checks judge right: smooth functions at any seed, small errors in one term,
//! kinks, branches, and what they print.

use insta::assert_snapshot;
use wengert_core::check::{self, Cause, Options, Verdict};
use wengert_core::{Real, Tensor, Var};

const SEEDS: std::ops::Range<u64> = 0..40;

type Function<T> = fn(Var<'_, T>) -> Var<'_, T>;

/// Functions with derivatives of all orders near the points below.
fn smooth<T: Real>() -> Vec<(&'static str, Function<T>)> {
    vec![
        ("x sin x", |x| (x.sin() * x).sum()),
        ("a vector", |x| x.sin() * x),
        ("a steep tanh", |x| (x * T::from_f64(8.0)).tanh().sum()),
        ("a sum of powers", |x| (x.powi(3) + x.square()).sum()),
        ("log-sum-exp", |x| x.log_sum_exp(..)),
        ("softmax", |x| x.softmax(-1)),
        ("norm", |x| x.norm(..)),
        ("linear", |x| (x * T::from_f64(3.0)).sum()),
        ("constant", |x| x.tape().constant(T::one()) + T::one()),
        ("products", |x| x.outer(x).matmul(x)),
        ("a quotient", |x| (x / (x.square() + T::one())).sum()),
        ("cubes only", |x| (x * x * x).sum()),
        ("a mean", |x| x.exp().mean()),
        ("far from 0", |x| x.cos().sum() + T::from_f64(1000.0)),
    ]
}

#[test]
fn smooth_functions_are_right() {
    let points = [[0.7, -1.3, 2.1], [1e-3, 2e-3, -1e-3], [10.0, -20.0, 5.0]];
    for (name, f) in smooth::<f64>() {
        for point in points {
            for seed in SEEDS {
                let report = Options::default().seed(seed).gradient(f, &Tensor::from(point));
                assert!(report.is_right(), "{name} at {point:?}, seed {seed}: {report}");
            }
        }
    }
    for (name, f) in smooth::<f32>() {
        for seed in SEEDS {
            let x = Tensor::from([0.7_f32, -1.3, 2.1]);
            let report = Options::default().seed(seed).gradient(f, &x);
            // Its gradient is so small beside its curvature there that a tenth of it may hide.
            let is_hidden = name == "a steep tanh" && report.verdict() == Verdict::Unresolved;
            assert!(report.is_right() || is_hidden, "{name} in f32, seed {seed}: {report}");
        }
    }
}

/// More elements than kernels take in one go, and than the tape counts as small.
#[test]
fn large_tensors_are_right() {
    fn wave<T: Real>(shape: [usize; 2]) -> Tensor<T> {
        Tensor::from_fn(shape, |i| T::from_f64((1.7 * i as f64).sin()))
    }
    fn right<T: Real>() {
        let (x, w, b) = (wave::<T>([40, 33]), wave([33, 29]), wave([1, 29]));
        let w = w.map(|w| w * T::from_f64(0.2));
        for seed in 0..3 {
            let report = Options::default().seed(seed).gradient(
                |[x, w, b]| (x.matmul(w) + b).tanh().log_softmax(-1).sum_over(0),
                [&x, &w, &b],
            );
            assert!(report.is_right(), "{report}");
            let report = Options::default().seed(seed).gradient(
                |[x, y]| (x * y.transpose() + x.exp() / (y.square().transpose() + T::one())).mean(),
                [&x, &x.transpose()],
            );
            assert!(report.is_right(), "{report}");
        }
    }
    right::<f64>();
    right::<f32>();
}

/// `f`, but with a gradient that is off by a share of that of `term`.
fn off<'t, T: Real>(f: Var<'t, T>, term: Var<'t, T>, share: f64) -> Var<'t, T> {
    f + (term - term.stop_gradient()) * T::from_f64(share)
}

#[test]
fn an_error_of_three_per_cent_in_one_term_is_wrong() {
    for seed in SEEDS {
        let options = Options::default().seed(seed);
        let x = Tensor::from([0.7, -1.3, 2.1]);
        let report = options.gradient(
            |x| {
                let term = x.sin().sum();
                off(term + x.exp().sum() + (x * x).sum(), term, 0.03)
            },
            &x,
        );
        assert_eq!(report.verdict(), Verdict::Wrong, "seed {seed}: {report}");
        // One entry in a thousand.
        let many = Tensor::from_fn([1000], |i| (i as f64).sin());
        let report = options.first_order().gradient(
            |x| {
                let y = x.tanh() + x.square();
                off(y.sum(), y.slice(0, 17..18).sum(), 0.03)
            },
            &many,
        );
        assert_eq!(report.verdict(), Verdict::Wrong, "seed {seed}: {report}");
        let x = Tensor::from([0.7_f32, -1.3, 2.1]);
        let report = options.gradient(|x| off((x.sin() * x).sum(), x.sin().sum(), 0.1), &x);
        assert_eq!(report.verdict(), Verdict::Wrong, "f32, seed {seed}: {report}");
    }
}

#[test]
fn likely_causes() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 5.0]]);
    let b = Tensor::from([0.5, -1.0]);
    let cause = |by_hand: fn([&Tensor<f64>; 2]) -> [Tensor<f64>; 2]| {
        let report =
            check::against(|[x, b]| (x.matmul(b).square()).sum() + x.sum(), by_hand, [&x, &b]);
        (report.verdict(), report.cause().cloned())
    };
    fn right([x, b]: [&Tensor<f64>; 2]) -> [Tensor<f64>; 2] {
        wengert_core::grad(|[x, b]| (x.matmul(b).square()).sum() + x.sum(), [x, b])
    }
    assert_eq!(cause(right), (Verdict::Right, None));
    let wrong = Verdict::Wrong;
    let sign = cause(|x| {
        let [gx, gb] = right(x);
        [gx, gb.map(|g| -g)]
    });
    assert_eq!(sign, (wrong, Some(Cause::Sign)));
    let twice = cause(|x| right(x).map(|g| g.map(|g| 2.0 * g)));
    let (verdict, Some(Cause::Factor(factor))) = twice else { panic!("{twice:?}") };
    assert_eq!((verdict, factor.round()), (wrong, 2.0));
    let transposed = cause(|x| {
        let [gx, gb] = right(x);
        [gx.transpose(), gb]
    });
    assert_eq!(transposed, (wrong, Some(Cause::Transposed { input: 0 })));
    let missing = cause(|x| {
        let [gx, gb] = right(x);
        [gx, gb.map(|_| 0.0)]
    });
    assert_eq!(missing, (wrong, Some(Cause::Missing)));
    let constant = cause(|x| {
        let [gx, gb] = right(x);
        [gx.map(|g| g - 1.0), gb]
    });
    let (verdict, Some(Cause::Constant(offset))) = constant else { panic!("{constant:?}") };
    assert_eq!((verdict, offset.round()), (wrong, -1.0));
    let penalty = cause(|[x, b]| {
        let [gx, gb] = right([x, b]);
        [gx.zip_map(x, |g, x| g - 0.25 * x), gb]
    });
    let (verdict, Some(Cause::Penalty(factor))) = penalty else { panic!("{penalty:?}") };
    assert_eq!((verdict, (100.0 * factor).round()), (wrong, 25.0));
    let precision = cause(|x| right(x).map(|g| g.map(|g| f64::from((g / 3.0) as f32) * 3.0)));
    assert!(matches!(precision, (Verdict::Wrong, Some(Cause::Precision(_)))), "{precision:?}");
    let term = cause(|x| {
        let [gx, gb] = right(x);
        [gx.map(|g| g * g), gb]
    });
    assert_eq!(term, (wrong, Some(Cause::Term)));
}

#[test]
fn a_second_derivative_that_is_not_recorded() {
    let x = Tensor::from([0.7, -1.3]);
    // The value of sin x, with a slope that is right and constant.
    let report = check::gradient(
        |x| {
            let slope = x.cos().stop_gradient();
            (x.sin().stop_gradient() + slope * (x - x.stop_gradient())).sum()
        },
        &x,
    );
    assert_eq!(report.verdict(), Verdict::Wrong, "{report}");
    assert_eq!(report.cause(), Some(&Cause::SecondOrder));
}

#[test]
fn kinks_and_branches() {
    let at_the_kink = Tensor::from([0.0, 1.0]);
    let report = check::gradient(|x| x.relu().sum(), &at_the_kink);
    assert_eq!(report.verdict(), Verdict::Kink, "{report}");
    assert!(report.to_string().contains("relu"), "{report}");
    // Beside the kink there is room for smaller steps.
    let beside = Tensor::from([1e-4, 1.0, -1e-3]);
    for seed in SEEDS {
        let report = Options::default().seed(seed).gradient(
            |x| {
                let y = x.relu() + x.abs();
                (y * y).sum()
            },
            &beside,
        );
        assert!(report.is_right(), "seed {seed}: {report}");
    }
    let report = check::gradient(
        |x| if x.value().at(&[0]) > 0.0 { (x * x).sum() } else { x.sum() },
        &at_the_kink,
    );
    assert_eq!(report.verdict(), Verdict::Kink, "{report}");
    let report = check::gradient(|x| x.ln().sum(), &at_the_kink);
    assert_eq!(report.verdict(), Verdict::NotFinite, "{report}");
    assert!(report.to_string().contains("-inf in v1 = ln"), "{report}");
}

#[test]
#[should_panic(expected = "likely cause: sign")]
fn assert_panics_with_the_report() {
    check::against(|x| (x * x).sum(), |x| x.map(|x| -2.0 * x), &Tensor::from([1.0, 2.0])).assert();
}

#[test]
fn a_wrong_gradient_by_hand() {
    let x = Tensor::from([1.0, 2.0, 3.0]);
    let report = check::against(|x| (x * x).sum(), |x| x.map(|x| -2.0 * x), &x);
    assert_snapshot!(report, @r"
    WRONG: hand-written gradient of a function from [3] to a number, in f64
      likely cause: sign: the gradient is -1 x what it should be
      where: all of input 1, worst input 1 [2]: got -6, expected 6

      3 of 3 entries differ; |g - g*| / |g*| = 2.0e0
                          hand-written                 tape
      input 1 [2]                   -6                    6
      input 1 [1]                   -4                    4
      input 1 [0]                   -2                    2

      |f(x + hv) - f(x) - h <g, v>|, g: hand-written
      falls as h^1.00 and not as h^2
              h    remainder    rate
         1.2e-1      1.754e0
         3.1e-2     4.220e-1    1.03
         7.8e-3     1.045e-1    1.01
         2.0e-3     2.606e-2    1.00
         4.9e-4     6.510e-3    1.00
         1.2e-4     1.627e-3    1.00
         3.1e-5     4.068e-4    1.00
         7.6e-6     1.017e-4    1.00
         1.9e-6     2.542e-5    1.00
         4.8e-7     6.356e-6    1.00

      the tape's own gradient: falls as h^2.00, as it should (h^2); a relative error of the gradient above 6e-8 would have shown

      not checked: the second derivative
      (1 direction, seed 1964)
    ");
}
