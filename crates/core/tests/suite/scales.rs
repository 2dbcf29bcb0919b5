//! Functions that do not feel a shift, or scale with their operands, do so at all sizes: values,
//! first and second derivatives. No shift is added before it is subtracted, and nothing that may
//! be large or small is squared.

use wengert_core::{Real, Tensor, Var, grad, hvp};

/// Functions of a vector with their degree: `f(s x) = s^degree f(x)`.
macro_rules! homogeneous {
    ($check:ident::<$T:ty>) => {
        $check::<$T>("norm", 1, |x| x.norm(0));
        $check::<$T>("std", 1, |x| x.std_over(0, 1));
        $check::<$T>("hypot", 1, |x| {
            let [a, b] = [0, 1].map(|i| x.slice(0, i..i + 1).squeeze(0));
            a.hypot(b)
        });
        $check::<$T>("atan2", 0, |x| {
            let [a, b] = [0, 1].map(|i| x.slice(0, i..i + 1).squeeze(0));
            a.atan2(b)
        });
        $check::<$T>("layer_norm", 0, |x| {
            (x.layer_norm(0.0) * x.tape().constant([1.0, 2.0, -4.0].map(<$T>::from_f64))).sum()
        });
        $check::<$T>("smooth_norm", 1, |x| x.smooth_norm(0, 0.0));
        $check::<$T>("abs", 1, |x| x.abs().sum());
        $check::<$T>("max", 1, |x| x.max_over(0));
        $check::<$T>("relu", 1, |x| x.relu().sum());
    };
}

type Function<T> = for<'t> fn(Var<'t, T>) -> Var<'t, T>;

/// The least and the largest number that are tried, as powers of two.
trait Range: Real {
    const POWERS: [i32; 6];
}

impl Range for f32 {
    const POWERS: [i32; 6] = [-100, -70, -20, 20, 70, 100];
}

impl Range for f64 {
    const POWERS: [i32; 6] = [-930, -560, -300, 300, 560, 930];
}

fn scales<T: Range>(name: &str, degree: i32, f: Function<T>) {
    let numbers = |xs: [f64; 3]| Tensor::from(xs.map(T::from_f64));
    let (x, v) = (numbers([1.5, -2.25, 0.5]), numbers([0.75, 1.0, -2.0]));
    let at = |s: T| {
        let scaled = x.map(|x| x * s);
        let gradient = grad(f, &scaled);
        (gradient, hvp(f, &scaled, &v))
    };
    let (slope, bend) = at(T::one());
    for power in T::POWERS {
        let size = |degree: i32| T::from_f64(2.0_f64.powi(power * degree));
        let (gradient, product) = at(size(1));
        for (order, expected, found) in [(1, &slope, &gradient), (2, &bend, &product)] {
            // Some sizes are beyond the numbers that there are.
            if (power * (degree - order)).abs() > T::POWERS[5] {
                continue;
            }
            let expected = expected.map(|x| x * size(degree - order));
            let room = expected.iter().fold(T::zero(), |most, x| most.max(x.abs()));
            for (a, b) in expected.iter().zip(found.iter()) {
                let is_near = (a - b).abs() <= room * T::from_f64(32.0) * T::epsilon();
                assert!(is_near, "{name} at 2^{power}, order {order}: {b} and not {a}");
            }
        }
    }
}

#[test]
fn derivatives_scale_with_their_operands() {
    homogeneous!(scales::<f64>);
    homogeneous!(scales::<f32>);
}

/// What `epsilon` adds is nothing beside large numbers.
#[test]
fn normalising_large_numbers() {
    fn at<T: Range>(f: Function<T>, power: i32) -> [Tensor<T>; 2] {
        let size = T::from_f64(2.0_f64.powi(power));
        let numbers = |xs: [f64; 3], size: T| Tensor::from(xs.map(|x| T::from_f64(x) * size));
        let (x, v) = (numbers([1.5, -2.25, 0.5], size), numbers([0.75, 1.0, -2.0], T::one()));
        let scaled = |x: Tensor<T>, by: T| x.map(|x| x * by);
        [scaled(grad(f, &x), size), scaled(hvp(f, &x, &v), size)]
    }
    fn agree<T: Range>(smooth: Function<T>, exact: Function<T>) {
        // The second derivative is of degree -2, which reaches half as far.
        for power in [T::POWERS[3], T::POWERS[5] / 2] {
            for (a, b) in at(smooth, power).iter().zip(&at(exact, power)) {
                for (a, b) in a.iter().zip(b.iter()) {
                    let is_near = (a - b).abs() <= T::from_f64(1e-5) * b.abs();
                    assert!(is_near, "at 2^{power}: {a} and not {b}");
                }
            }
        }
        let (a, b) = (&at(smooth, T::POWERS[5])[0], &at(exact, T::POWERS[5])[0]);
        assert_eq!(a.to_vec(), b.to_vec());
    }
    fn weighed<T: Real>(x: Var<'_, T>) -> Var<'_, T> {
        (x * x.tape().constant([1.0, 2.0, -4.0].map(T::from_f64))).sum()
    }
    agree::<f64>(|x| weighed(x.layer_norm(1e-5)), |x| weighed(x.layer_norm(0.0)));
    agree::<f32>(|x| weighed(x.layer_norm(1e-5)), |x| weighed(x.layer_norm(0.0)));
    agree::<f64>(|x| x.smooth_norm(0, 1e-5), |x| x.norm(0));
    agree::<f32>(|x| x.smooth_norm(0, 1e-5), |x| x.norm(0));
}

/// The direction of a vector of subnormal numbers, by their ratios in double precision.
#[test]
fn the_gradient_of_a_norm_of_subnormal_numbers() {
    let gradient =
        grad(|x| x.norm(0), &Tensor::from([3.0 * 2.0_f64.powi(-1060), 2.0_f64.powi(-1058)]));
    assert_eq!(gradient.to_vec(), [0.6, 0.8]);
    let gradient =
        grad(|x| x.norm(0), &Tensor::from([3.0 * 2.0_f32.powi(-140), 2.0_f32.powi(-138)]));
    assert_eq!(gradient.to_vec(), [0.6, 0.8]);
    // The second derivative at (3, 4) 2^k is (I - d d') / (5 2^k), d = (0.6, 0.8).
    let bend = hvp(
        |x| x.norm(0),
        &Tensor::from([3.0 * 2.0_f64.powi(-600), 2.0_f64.powi(-598)]),
        &Tensor::from([1.0, 0.0]),
    );
    let expected = [0.64 / 5.0, -0.48 / 5.0].map(|x| x * 2.0_f64.powi(600));
    for (a, b) in bend.iter().zip(expected) {
        assert!((a / b - 1.0).abs() < 1e-14, "{a} and not {b}");
    }
}

/// `ln sum of e^x` of shifted rows, whose elements are exact in single precision, against double
/// precision without the shift.
#[test]
fn shifts_do_not_matter() {
    for (shift, step) in [(1e8_f32, 8.0), (1_048_576.0, 0.125), (-1e8, 8.0), (0.0, 0.1)] {
        for steps in [[0.0, 0.0, 0.0], [3.0, -1.0, 2.0], [-1.0, 0.0, 1.0]] {
            let plain = steps.map(|k: f32| f64::from(k * step));
            let x = Tensor::from(steps.map(|k| k * step + shift));
            let sum: f64 = plain.iter().map(|x| x.exp()).sum();
            let shares = plain.map(|x| x.exp() / sum);
            let near = |what: &str, found: &Tensor<f32>, expected: [f64; 3]| {
                for (a, b) in found.iter().zip(expected) {
                    let error = (f64::from(a) - b).abs();
                    assert!(error <= 4e-7 * b.abs().max(0.1), "{what} of {x}: {a} and not {b}");
                }
            };
            let value = |f: Function<f32>| wengert_core::vmap(f, &x.reshape([1, 3]));
            near("softmax", &value(|x| x.softmax(0)), shares);
            near("log_softmax", &value(|x| x.log_softmax(0)), plain.map(|x| x - sum.ln()));
            near("slope of log_sum_exp", &grad(|x| x.log_sum_exp(0), &x), shares);
            let slope = grad(|x| x.log_softmax(0).slice(0, ..1).sum(), &x);
            near("slope of log_softmax", &slope, [1.0 - shares[0], -shares[1], -shares[2]]);
            let mean = plain.iter().sum::<f64>() / 3.0;
            let apart = plain.map(|x| x - mean);
            let variance = apart.map(|x| x * x).iter().sum::<f64>() / 2.0;
            if variance > 0.0 {
                let unit = apart.map(|x| x / variance.sqrt());
                near("normal", &value(|x| x.layer_norm(0.0) * (2.0_f32 / 3.0).sqrt()), unit);
                near("slope of std", &grad(|x| x.std_over(0, 1), &x), unit.map(|x| x / 2.0));
                near("slope of var", &grad(|x| x.var_over(0, 1), &x), apart);
                near("std", &value(|x| x.std_over(0, 1).broadcast_to([3])), [variance.sqrt(); 3]);
                near("var", &value(|x| x.var_over(0, 1).broadcast_to([3])), [variance; 3]);
            }
            let slope = grad(|x| x.log_cumsum_exp(0).slice(0, 2..).sum(), &x);
            near("slope of log_cumsum_exp", &slope, shares);
            let v = Tensor::from([1.0, 0.0, 0.0]);
            let bend =
                [shares[0] - shares[0] * shares[0], -shares[0] * shares[1], -shares[0] * shares[2]];
            near("bend of log_sum_exp", &hvp(|x| x.log_sum_exp(0), &x, &v), bend);
            let running = hvp(|x| x.log_cumsum_exp(0).slice(0, 2..).sum(), &x, &v);
            near("bend of log_cumsum_exp", &running, bend);
        }
    }
}

/// A share near 1 has a logarithm near 0, with all its digits.
#[test]
fn a_small_logarithm_keeps_its_digits() {
    for (logit, places) in [(15.0_f32, 2e-7), (40.0, 2e-7)] {
        let y = wengert_core::vmap(|x| x.log_softmax(0), &Tensor::from([[logit, 0.0]]));
        let expected = -(-f64::from(logit)).exp().ln_1p();
        assert!((f64::from(y.at(&[0, 0])) / expected - 1.0).abs() < places, "{y}");
    }
}

/// Where nothing can be, nothing is spread: shares and derivatives are 0 and no NaN.
#[test]
fn nothing_but_minus_infinities() {
    let never = f64::NEG_INFINITY;
    let x = Tensor::from([[never, never], [never, 0.0]]);
    let shares = wengert_core::vmap(|x| x.softmax(0), &x);
    assert_eq!(shares.to_vec(), [0.0, 0.0, 0.0, 1.0]);
    let logarithms = wengert_core::vmap(|x| x.log_softmax(0), &x);
    assert_eq!(logarithms.to_vec(), [never, never, never, 0.0]);
    let slope = grad(|x| x.log_sum_exp(1).sum(), &x);
    assert_eq!(slope.to_vec(), [0.0, 0.0, 0.0, 1.0]);
    let slope = grad(|x| (x.softmax(1) * x.tape().constant([[2.0, 3.0], [4.0, 5.0]])).sum(), &x);
    assert_eq!(slope.to_vec(), [0.0; 4]);
    let bend = hvp(|x| x.log_sum_exp(1).sum(), &x, &Tensor::ones([2, 2]));
    assert_eq!(bend.to_vec(), [0.0; 4]);
    // The first finite element takes all, and what comes before it nothing.
    let slope = grad(|x| x.log_cumsum_exp(1).slice(1, 1..).sum(), &x);
    assert_eq!(slope.to_vec(), [0.5, 0.5, 0.0, 1.0]);
}
