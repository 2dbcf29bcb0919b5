//! The elementary functions of `Real`, measured: `f32` against double precision,
//! `f64` against 256 bits, in ulp of the exact value.

use astro_float_num::{BigFloat, Consts, RoundingMode};
use wengert_core::{Real, Tape, Tensor};

/// The distance to the exact value in units of its last place, with `digits` bits
/// after the leading one and the given least exponent.
fn ulp(value: f64, exact: f64, digits: i32, least: i32) -> f64 {
    if exact.is_nan()
        || value.is_nan()
        || exact == 0.0
        || exact.is_infinite() && value.is_infinite()
    {
        let same = value == exact && value.is_sign_negative() == exact.is_sign_negative();
        return if same || exact.is_nan() && value.is_nan() { 0.0 } else { f64::INFINITY };
    }
    // Beyond the greatest number all is as far away as the next one would be.
    let beyond = 2.0_f64.powi(2 - least);
    let (value, exact) = (value.clamp(-beyond, beyond), exact.clamp(-beyond, beyond));
    let exponent = ((exact.abs().to_bits() >> 52) as i32 - 1023).clamp(least, 1 - least);
    (value - exact).abs() / 2.0_f64.powi(exponent - digits)
}

fn exact_sigmoid(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

/// Name, function, reference, and the greatest error that the documentation states.
type Single = (&'static str, fn(f32) -> f32, fn(f64) -> f64, f64);

#[test]
fn f32_functions_are_within_their_ulp() {
    let functions: [Single; 12] = [
        ("exp", Real::exp, f64::exp, 1.0),
        ("exp_m1", Real::exp_m1, f64::exp_m1, 1.7),
        ("ln", Real::ln, f64::ln, 0.8),
        ("ln_1p", Real::ln_1p, f64::ln_1p, 0.8),
        ("sin", Real::sin, f64::sin, 1.6),
        ("cos", Real::cos, f64::cos, 1.6),
        ("tanh", Real::tanh, f64::tanh, 1.5),
        ("sigmoid", Real::sigmoid, exact_sigmoid, 2.0),
        ("erf", Real::erf, <f64 as Real>::erf, 1.4),
        ("erfc", Real::erfc, <f64 as Real>::erfc, 5.5),
        ("exp2", Real::exp2, f64::exp2, 1.0),
        ("log2", Real::log2, f64::log2, 1.5),
    ];
    for (name, function, reference, allowed) in functions {
        // A stride without a common factor with 2^32, so that all exponents and
        // endings occur, and the numbers around which something changes.
        let strided = (0..1_u64 << 32).step_by(9973).map(|bits| f32::from_bits(bits as u32));
        let edges = [
            0.0,
            1e-45,
            1.1754942e-38,
            1.1754944e-38,
            2.98e-8,
            0.255_412_82,
            0.346_573_6,
            0.70710677,
            1.0,
            4.0,
            87.33655,
            88.72283,
            88.72284,
            103.97208,
            103.97209,
            1e5,
            f32::MAX,
            f32::INFINITY,
            f32::NAN,
        ];
        let edges = edges.into_iter().flat_map(|x: f32| [x, -x, x.next_up(), -x.next_down()]);
        let (worst, at) = strided
            .chain(edges)
            .map(|x| (ulp(function(x).into(), reference(x.into()), 23, -126), x))
            .fold((0.0, 0.0), |worst, next| if next.0 > worst.0 { next } else { worst });
        println!("{name}: {worst:.3} ulp at {at:e}");
        assert!(worst <= allowed, "f32 {name}: {worst:.3} ulp at {at:e}, {allowed} are stated");
    }
}

const BITS: usize = 256;
const NEAREST: RoundingMode = RoundingMode::ToEven;

/// The distance in ulp to a normal value.
fn big_ulp(value: f64, exact: &BigFloat) -> f64 {
    let exponent = exact.exponent().expect("a finite exact value");
    let mut error = BigFloat::from_f64(value, BITS).sub(exact, BITS, NEAREST).abs();
    match error.exponent() {
        Some(own) if !error.is_zero() && own - exponent > -200 => {
            error.set_exponent(own - exponent + 53);
            error.to_string().parse().expect("a number as text")
        }
        _ => 0.0,
    }
}

fn big_erf(x: &BigFloat, constants: &mut Consts) -> BigFloat {
    let square = x.mul(x, BITS, NEAREST);
    let (mut power, mut sum) = (x.clone(), x.clone());
    for n in 1..300 {
        let factor = BigFloat::from_f64(-f64::from(n), BITS);
        power = power.mul(&square, BITS, NEAREST).div(&factor, BITS, NEAREST);
        let odd = BigFloat::from_f64(f64::from(2 * n + 1), BITS);
        sum = sum.add(&power.div(&odd, BITS, NEAREST), BITS, NEAREST);
    }
    let scale = BigFloat::from_f64(2.0, BITS).div(
        &constants.pi(BITS, NEAREST).sqrt(BITS, NEAREST),
        BITS,
        NEAREST,
    );
    sum.mul(&scale, BITS, NEAREST)
}

/// By the continued fraction (DLMF 7.9.1) where `1 - erf(x)` would cancel.
fn big_erfc(x: f64, constants: &mut Consts) -> BigFloat {
    let big = BigFloat::from_f64(x, BITS);
    let one = BigFloat::from_f64(1.0, BITS);
    if x < 4.0 {
        return one.sub(&big_erf(&big, constants), BITS, NEAREST);
    }
    let mut fraction = big.clone();
    for n in (1..400).rev() {
        let half = BigFloat::from_f64(0.5 * f64::from(n), BITS);
        fraction = big.add(&half.div(&fraction, BITS, NEAREST), BITS, NEAREST);
    }
    let power = big.mul(&big, BITS, NEAREST).neg().exp(BITS, NEAREST, constants);
    let root = constants.pi(BITS, NEAREST).sqrt(BITS, NEAREST);
    power.div(&fraction.mul(&root, BITS, NEAREST), BITS, NEAREST)
}

#[test]
fn f64_functions_are_within_their_ulp() {
    let mut constants = Consts::new().expect("memory for constants");
    let c = &mut constants;
    let one = BigFloat::from_f64(1.0, BITS);
    let mut unit = unit();
    let stated = [
        ("exp", 1.0),
        ("exp_m1", 1.4),
        ("ln", 0.8),
        ("ln_1p", 0.8),
        ("sin", 1.4),
        ("cos", 1.4),
        ("tanh", 1.4),
        ("sigmoid", 2.0),
        ("erf", 1.3),
        ("erfc", 5.5),
        ("exp2", 1.0),
        ("log2", 1.5),
    ];
    for (name, allowed) in stated {
        let (mut worst, mut at) = (0.0, 0.0);
        for case in 0..2000 {
            let sign = if unit() < 0.5 { -1.0 } else { 1.0 };
            let x = sign
                * match case % 4 {
                    0 => 2.0 * unit(),
                    1 => 30.0 * unit(),
                    2 => 2.0_f64.powf(20.0 * unit() - 15.0),
                    // The whole range of each function.
                    _ => match name {
                        "exp" | "exp_m1" | "sigmoid" => 708.0 * unit(),
                        "exp2" => 1020.0 * unit(),
                        "erfc" => 26.0 * unit(),
                        "tanh" | "erf" => 6.0 * unit(),
                        _ => 2.0_f64.powf(2000.0 * unit() - 1000.0),
                    },
                };
            // Multiples of pi/2, where sine and cosine are as small as can be.
            let x = match (name, case % 8) {
                ("sin" | "cos", 1) => (1e5 * unit()).round() * std::f64::consts::FRAC_PI_2,
                ("sin" | "cos", 5) => 5.319372648326541e255,
                ("ln" | "log2", _) => x.abs(),
                ("exp2", 1) => x.round(),
                ("erfc", _) if !(-6.0..26.5).contains(&x) => continue,
                ("ln_1p", _) if x <= -1.0 => x.abs(),
                ("erf", _) if x.abs() > 6.0 => continue,
                _ => x,
            };
            let big = BigFloat::from_f64(x, BITS);
            let (value, exact) = match name {
                "exp" => (Real::exp(x), big.exp(BITS, NEAREST, c)),
                "exp_m1" => (Real::exp_m1(x), big.exp(BITS, NEAREST, c).sub(&one, BITS, NEAREST)),
                "ln" => (Real::ln(x), big.ln(BITS, NEAREST, c)),
                "ln_1p" if x.abs() < 1e-30 => (Real::ln_1p(x), big),
                "ln_1p" => (Real::ln_1p(x), big.add(&one, 1200, NEAREST).ln(BITS, NEAREST, c)),
                "erfc" => (Real::erfc(x), big_erfc(x, c)),
                "exp2" => {
                    let exponent = big.mul(&c.ln_2(BITS, NEAREST), BITS, NEAREST);
                    (Real::exp2(x), exponent.exp(BITS, NEAREST, c))
                }
                "log2" => (Real::log2(x), big.log2(BITS, NEAREST, c)),
                "sin" => (Real::sin(x), big.sin(BITS, NEAREST, c)),
                "cos" => (Real::cos(x), big.cos(BITS, NEAREST, c)),
                "tanh" => (Real::tanh(x), big.tanh(BITS, NEAREST, c)),
                "sigmoid" => {
                    let e = big.neg().exp(BITS, NEAREST, c);
                    (Real::sigmoid(x), one.div(&one.add(&e, 1400, NEAREST), BITS, NEAREST))
                }
                _ => (Real::erf(x), big_erf(&big, c)),
            };
            let error = if exact.is_zero() { value.abs() * 1e300 } else { big_ulp(value, &exact) };
            if error > worst {
                (worst, at) = (error, x);
            }
        }
        println!("{name}: {worst:.3} ulp at {at:e}");
        assert!(worst <= allowed, "f64 {name}: {worst:.3} ulp at {at:e}, {allowed} are stated");
    }
}

/// xorshift: any sequence that fills the range will do.
fn unit() -> impl FnMut() -> f64 {
    let mut state = 88172645463325252_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Exponents that users take, and others of all sizes.
fn exponents(mut unit: impl FnMut() -> f64) -> Vec<f64> {
    let stated = [0.5, -0.5, 1.5, 2.0, 3.0, -1.0, -2.0, 0.75, 2.4, 1.0 / 3.0, 10.0, 100.0, 1e-3];
    let drawn = (0..12).map(|i| 2.0_f64.powf(40.0 * unit() - 20.0) * [1.0, -1.0][i % 2]);
    stated.into_iter().chain(drawn).collect()
}

#[test]
fn f32_powers_are_within_their_ulp() {
    let (mut worst, mut at) = (0.0, (0.0, 0.0));
    for y in exponents(unit()) {
        let y = y as f32;
        // All exponents and endings, and the neighbours of 1, whose logarithms are small.
        let strided = (0..1_u64 << 32).step_by(39_989).map(|bits| f32::from_bits(bits as u32));
        let near = (0..2000).flat_map(|i| [1.0 + i as f32 * 1.7e-4, 1.0 - i as f32 * 1.7e-4]);
        for x in strided.chain(near) {
            let exact = f64::powf(x.into(), y.into());
            let error = ulp(Real::powf(x, y).into(), exact, 23, -126);
            if error > worst {
                (worst, at) = (error, (x, y));
            }
        }
    }
    println!("powf: {worst:.3} ulp at {at:?}");
    assert!(worst <= 1.2, "f32 powf: {worst:.3} ulp at {at:?}, 1.2 are stated");
}

#[test]
fn f64_powers_are_within_their_ulp() {
    let mut constants = Consts::new().expect("memory for constants");
    let mut unit = unit();
    let stated = exponents(&mut unit);
    let (mut worst, mut at) = (0.0, (0.0, 0.0));
    for case in 0..8000 {
        let x = match case % 4 {
            0 => 2.0 * unit(),
            1 => 1.0 + 2.0_f64.powf(-40.0 * unit()) * (unit() - 0.5),
            2 => 2.0_f64.powf(40.0 * unit() - 20.0),
            _ => 2.0_f64.powf(2000.0 * unit() - 1000.0),
        };
        // A stated exponent, or one with which the result is anywhere among the normal numbers.
        let y = match case % 3 {
            0 => stated[case % stated.len()],
            _ => (1416.0 * unit() - 708.0) / f64::ln(x),
        };
        if !y.is_finite() || (y * f64::ln(x)).abs() > 708.0 {
            continue;
        }
        let [base, exponent] = [x, y].map(|number| BigFloat::from_f64(number, BITS));
        let log = base.ln(BITS, NEAREST, &mut constants);
        let exact = log.mul(&exponent, BITS, NEAREST).exp(BITS, NEAREST, &mut constants);
        let error = big_ulp(Real::powf(x, y), &exact);
        if error > worst {
            (worst, at) = (error, (x, y));
        }
    }
    println!("powf: {worst:.3} ulp at {at:?}");
    assert!(worst <= 1.1, "f64 powf: {worst:.3} ulp at {at:?}, 1.1 are stated");
}

/// Powers whose values or NaN the standard library states: all pairs of numbers that are special to
/// a power, and of their neighbours.
fn special_powers<T: Real>(smallest: T, std: impl Fn(T, T) -> T) {
    let whole = T::one() / T::epsilon();
    let sizes = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 7.0, 1e4, 1e30].map(T::from_f64);
    let edges = [
        smallest,
        T::min_positive_value(),
        T::one() - T::epsilon() / T::from_f64(2.0),
        T::one() + T::epsilon(),
        // The greatest odd number and its neighbours, and halves at the end of theirs.
        whole,
        whole - T::one(),
        whole + T::one(),
        whole + whole,
        whole + whole - T::one(),
        whole / T::from_f64(2.0) - T::from_f64(0.5),
        whole / T::from_f64(2.0) + T::from_f64(0.5),
        T::max_value(),
        T::infinity(),
        T::nan(),
    ];
    let numbers: Vec<T> = sizes.into_iter().chain(edges).flat_map(|x| [x, -x]).collect();
    let within = T::epsilon() + T::epsilon();
    for (&x, &y) in numbers.iter().flat_map(|x| numbers.iter().map(move |y| (x, y))) {
        let (value, expected) = (Real::powf(x, y), std(x, y));
        let is_right = if expected.is_nan() || value.is_nan() {
            expected.is_nan() && value.is_nan()
        } else {
            let is_close = value == expected
                || (value - expected).abs() <= (expected.abs() * within).max(smallest);
            is_close && value.is_sign_negative() == expected.is_sign_negative()
        };
        assert!(is_right, "{x}^{y} is {value} instead of {expected}, {}", T::NAME);
    }
}

#[test]
fn special_powers_are_those_of_the_standard_library() {
    special_powers(f32::from_bits(1), f32::powf);
    special_powers(f64::from_bits(1), f64::powf);
}

/// Powers that are numbers themselves have no error, and a number by itself has the bits that it
/// has in a block.
fn exact_powers<T: Real>() {
    let number = T::from_f64;
    for exponent in -100..=100 {
        let power = number(2.0_f64.powi(exponent));
        assert_eq!(number(2.0).powf(number(exponent.into())), power);
        assert_eq!(power.powf(T::one()), power);
    }
    let xs: Vec<T> = (0..1000).map(|i| number(f64::from(i).exp2().sqrt().fract() + 0.1)).collect();
    let tape = Tape::new();
    for p in [0.3, -1.7, 4.0] {
        let powers = tape.constant(Tensor::new([xs.len()], xs.clone())).powf(p).value();
        for (i, x) in xs.iter().enumerate() {
            assert_eq!(powers.at(&[i]), x.powf(number(p)));
            assert_eq!(tape.constant(*x).powf(p).item(), x.powf(number(p)));
        }
    }
}

#[test]
fn powers_are_the_same_one_by_one_and_in_blocks() {
    exact_powers::<f32>();
    exact_powers::<f64>();
}

/// Values by hand: limits, signed zeros, and what overflows or vanishes.
fn special_values<T: Real>(smallest: T) {
    let (zero, one, inf) = (T::zero(), T::one(), T::infinity());
    let same = |value: T, expected: T| {
        let is_same = value == expected && value.is_sign_negative() == expected.is_sign_negative();
        assert!(is_same, "{value} instead of {expected}, {}", T::NAME);
    };
    let functions: [fn(T) -> T; 12] = [
        T::exp,
        T::exp_m1,
        T::exp2,
        T::ln,
        T::ln_1p,
        T::log2,
        T::sin,
        T::cos,
        T::tanh,
        T::sigmoid,
        T::erf,
        T::erfc,
    ];
    for function in functions {
        assert!(function(T::nan()).is_nan());
    }
    for odd in [T::exp_m1, T::ln_1p, T::sin, T::tanh, T::erf] {
        same(odd(zero), zero);
        same(odd(-zero), -zero);
    }
    for identity_near_0 in [T::exp_m1, T::ln_1p, T::sin, T::tanh] {
        same(identity_near_0(smallest), smallest);
        same(identity_near_0(-smallest), -smallest);
    }
    for exponent in [-149, -126, -3, 0, 1, 100, 127] {
        let power = T::from_f64(2.0_f64.powi(exponent));
        same(T::exp2(T::from_f64(exponent.into())), power);
        same(T::log2(power), T::from_f64(exponent.into()));
    }
    same(T::exp2(inf), inf);
    same(T::exp2(-inf), zero);
    same(T::log2(zero), -inf);
    same(T::log2(inf), inf);
    assert!(T::log2(-one).is_nan());
    same(T::erfc(zero), one);
    same(T::erfc(inf), zero);
    same(T::erfc(T::max_value()), zero);
    same(T::erfc(-inf), one + one);
    same(T::exp(zero), one);
    same(T::exp(inf), inf);
    same(T::exp(-inf), zero);
    same(T::exp(T::max_value()), inf);
    same(T::exp(T::min_value()), zero);
    same(T::exp_m1(inf), inf);
    same(T::exp_m1(-inf), -one);
    same(T::ln(one), zero);
    same(T::ln(zero), -inf);
    same(T::ln(-zero), -inf);
    same(T::ln(inf), inf);
    assert!(T::ln(-one).is_nan() && T::ln(-inf).is_nan() && T::ln(-smallest).is_nan());
    same(T::ln_1p(-one), -inf);
    same(T::ln_1p(inf), inf);
    assert!(T::ln_1p(-one - one).is_nan() && T::ln_1p(-inf).is_nan());
    same(T::cos(zero), one);
    assert!(T::sin(inf).is_nan() && T::cos(-inf).is_nan());
    for (function, least) in [(T::tanh as fn(T) -> T, -one), (T::erf, -one), (T::sigmoid, zero)] {
        same(function(inf), one);
        same(function(-inf), least);
        same(function(T::max_value()), one);
        same(function(T::min_value()), least);
    }
}

#[test]
fn special_values_are_right() {
    special_values(f32::from_bits(1));
    special_values(f64::from_bits(1));
}

/// Angles of all sizes, among them those at which another form begins.
fn angles<T: Real>() -> impl Iterator<Item = T> {
    let sizes = (0..4000).map(|i| 1.0173_f64.powi(i - 2500));
    let edges = [0.0, 0.78, std::f64::consts::FRAC_PI_4, 1e5, 1e6];
    sizes.chain(edges).flat_map(|x| [x, -x]).map(T::from_f64)
}

fn near_forms_are_the_same<T: Real>() {
    let same = |a: T, b: T| (a.as_f64().to_bits(), a) == (b.as_f64().to_bits(), b);
    let near: Vec<T> = angles().filter(|x: &T| x.is_near()).collect();
    assert!(near.len() > 3000);
    for x in near {
        assert!(same(x.sin(), x.sin_near()), "sin({x}), {}", T::NAME);
        assert!(same(x.cos(), x.cos_near()), "cos({x}), {}", T::NAME);
    }
    // Blocks with and without far angles, and numbers by themselves.
    let xs: Vec<T> = angles().filter(|x: &T| x.is_finite()).collect();
    let tape = Tape::new();
    let all = tape.constant(Tensor::new([xs.len()], xs.clone()));
    let (sines, cosines) = (all.sin().value(), all.cos().value());
    for (i, x) in xs.into_iter().enumerate() {
        assert!(same(sines.at(&[i]), x.sin()) && same(cosines.at(&[i]), x.cos()), "{x}");
        assert!(same(tape.constant(x).sin().item(), x.sin()), "{x}");
    }
}

#[test]
fn near_angles_have_the_same_bits_by_either_form() {
    near_forms_are_the_same::<f32>();
    near_forms_are_the_same::<f64>();
}

/// Subnormal results, from the standard library.
#[test]
fn f64_underflows_gradually() {
    for (x, exact) in [
        (-708.5_f64, 2.006132305331306e-308_f64),
        (-710.0, 4.47628622567513e-309),
        (-720.0, 2.0322308024e-313),
        (-740.0, 4.2e-322),
        (-745.0, 5e-324),
        (-745.2, 0.0),
    ] {
        assert!((Real::exp(x) - exact).abs() <= exact * 1e-9 + 1e-323, "exp({x})");
        assert!((Real::sigmoid(x) - exact).abs() <= exact * 1e-9 + 1e-323, "sigmoid({x})");
    }
    let largest = 1.7976931348622732e308;
    assert!((Real::exp(709.782712893384_f64) - largest).abs() <= 2.0 * f64::EPSILON * largest);
    assert_eq!(Real::exp(709.7827128933841_f64), f64::INFINITY);
}
