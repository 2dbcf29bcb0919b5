//! Special functions that no library at hand has, one number at a time.
//!
//! They are computed in double precision for both element types, as the functions of
//! the `libm` library are: such functions branch, so loops over them would not be
//! vectorised anyway, and `f32` results come out correctly rounded but for a few.
//!
//! Two of them are families with a whole number as a parameter, the derivatives of
//! one function. That makes their rules exact at every order, also where a formula
//! for the derivative would cancel: near 0 for `sin(x) / x`.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The polynomial in `x` with the given coefficients, from the constant term upwards.
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rfold(0.0, |sum, &coefficient| sum * x + coefficient)
}

/// The inverse of the error function; infinite at -1 and 1, NaN beyond.
///
/// The normal quantile of Wichura (*Algorithm AS 241: The Percentage Points of the
/// Normal Distribution*, Applied Statistics 37, 1988), which starts from the distance
/// to the nearer of 0 and 1, as is right here.
pub(crate) fn erf_inv(x: f64) -> f64 {
    const CENTRE: [[f64; 8]; 2] = [
        [
            3.3871328727963665,
            133.14166789178438,
            1971.5909503065513,
            13731.69376550946,
            45921.95393154987,
            67265.7709270087,
            33430.57558358813,
            2509.0809287301227,
        ],
        [
            1.0,
            42.31333070160091,
            687.1870074920579,
            5394.196021424751,
            21213.794301586597,
            39307.89580009271,
            28729.085735721943,
            5226.495278852854,
        ],
    ];
    const MIDDLE: [[f64; 8]; 2] = [
        [
            1.4234371107496835,
            4.630337846156546,
            5.769497221460691,
            3.6478483247632045,
            1.2704582524523684,
            0.2417807251774506,
            0.022723844989269184,
            0.0007745450142783414,
        ],
        [
            1.0,
            2.053191626637759,
            1.6763848301838038,
            0.6897673349851,
            0.14810397642748008,
            0.015198666563616457,
            0.0005475938084995345,
            1.0507500716444169e-09,
        ],
    ];
    const TAIL: [[f64; 8]; 2] = [
        [
            6.657904643501103,
            5.463784911164114,
            1.7848265399172913,
            0.29656057182850487,
            0.026532189526576124,
            0.0012426609473880784,
            2.7115555687434876e-05,
            2.0103343992922881e-07,
        ],
        [
            1.0,
            0.599832206555888,
            0.1369298809227358,
            0.014875361290850615,
            0.0007868691311456133,
            1.8463183175100548e-05,
            1.421511758316446e-07,
            2.0442631033899397e-15,
        ],
    ];
    let quotient = |[above, below]: [[f64; 8]; 2], r| polynomial(&above, r) / polynomial(&below, r);
    let size = x.abs();
    let quantile = if size <= 0.85 {
        let half = x / 2.0;
        return FRAC_1_SQRT_2 * half * quotient(CENTRE, 0.180625 - half * half);
    } else if size < 1.0 {
        let r = (-libm::log((1.0 - size) / 2.0)).sqrt();
        if r <= 5.0 { quotient(MIDDLE, r - 1.6) } else { quotient(TAIL, r - 5.0) }
    } else if size == 1.0 {
        f64::INFINITY
    } else {
        f64::NAN
    };
    FRAC_1_SQRT_2 * quantile.copysign(x)
}

/// The derivative of order `n + 1` of `ln |gamma(x)|`; `n = 0` is the digamma
/// function. NaN or infinite at the poles, which are 0 and the negative whole numbers.
pub(crate) fn polygamma(order: u32, x: f64) -> f64 {
    if x.is_nan() || x == f64::NEG_INFINITY {
        return f64::NAN;
    }
    if order == 0 {
        return digamma(x);
    }
    let factorial: f64 = (1..=order).map(f64::from).product();
    let sign = if order % 2 == 1 { 1.0 } else { -1.0 };
    sign * factorial * reciprocal_powers(order as i32 + 1, x)
}

/// By the asymptotic series (DLMF 5.11.2), from 10 on; towards there by recurrence,
/// and below 0 by reflection.
fn digamma(x: f64) -> f64 {
    const SERIES: [f64; 7] = [
        1.0 / 12.0,
        -1.0 / 120.0,
        1.0 / 252.0,
        -1.0 / 240.0,
        1.0 / 132.0,
        -691.0 / 32760.0,
        1.0 / 12.0,
    ];
    if x <= 0.0 {
        let off = x - x.round();
        return if off == 0.0 { f64::NAN } else { digamma(1.0 - x) - PI / libm::tan(PI * off) };
    }
    let (mut x, mut below) = (x, 0.0);
    while x < 10.0 {
        below += 1.0 / x;
        x += 1.0;
    }
    let inverse_square = 1.0 / (x * x);
    libm::log(x) - 0.5 / x - inverse_square * polynomial(&SERIES, inverse_square) - below
}

/// The sum of `(x + k)^-power` over all `k` from 0 on, for powers from 2 on.
fn reciprocal_powers(power: i32, x: f64) -> f64 {
    if x > 0.0 {
        return hurwitz_zeta(power, x);
    }
    // The terms on either side of 0, each a sum over positive numbers.
    let (above, below) = (x - x.floor(), x.ceil() - x);
    let sign = if power % 2 == 0 { 1.0 } else { -1.0 };
    if below == 0.0 {
        return if sign > 0.0 { f64::INFINITY } else { f64::NAN };
    }
    let negative = hurwitz_zeta(power, below) - hurwitz_zeta(power, 1.0 - x);
    hurwitz_zeta(power, above) + sign * negative
}

/// The same for positive `x`: the first terms, and the rest by the formula of Euler
/// and Maclaurin (DLMF 25.11.28).
fn hurwitz_zeta(power: i32, x: f64) -> f64 {
    /// `(2k)!` over the Bernoulli number `B_2k`.
    const DIVISORS: [f64; 12] = [
        12.0,
        -720.0,
        30240.0,
        -1209600.0,
        47900160.0,
        -1.892_437_580_318_379e9,
        7.47242496e10,
        -2.950_130_727_918_164e12,
        1.164_678_281_435_006_7e14,
        -4.597_978_722_407_473e15,
        1.815_210_540_194_354_7e17,
        -7.166_165_256_175_667e18,
    ];
    let s = f64::from(power);
    let (mut x, mut sum) = (x, 0.0);
    while x < 10.0 + s {
        sum += x.powi(-power);
        x += 1.0;
    }
    let last = x.powi(-power);
    sum += last * (x / (s - 1.0) + 0.5);
    let mut factor = s * last / x;
    for (k, divisor) in DIVISORS.into_iter().enumerate() {
        sum += factor / divisor;
        let k = 2.0 * k as f64;
        factor *= (s + k + 1.0) * (s + k + 2.0) / (x * x);
    }
    sum
}

/// The derivative of the given order of `sin(pi x) / (pi x)`.
pub(crate) fn sinc(order: u32, x: f64) -> f64 {
    let n = f64::from(order);
    let z = PI * x;
    if x.is_infinite() {
        return 0.0;
    }
    let value = if z.abs() < (n + 1.0) / 2.0 {
        // Near 0 the series of the integral over t from 0 to 1 of t^n times the
        // derivative of cos at t z.
        let first = order % 2;
        let mut power = if first == 0 { 1.0 } else { z };
        if order.div_ceil(2) % 2 == 1 {
            power = -power;
        }
        let (mut sum, mut j) = (0.0, f64::from(first));
        while power.abs() > 1e-20 * (z.abs() + 1e-300) {
            sum += power / (j + n + 1.0);
            power *= -z * z / ((j + 1.0) * (j + 2.0));
            j += 2.0;
        }
        sum
    } else {
        // Elsewhere the derivatives of z sinc(z) = sin(z), one after the other.
        let mut value = sine_of_half_turns(x, 0) / z;
        for k in 1..=order {
            value = (sine_of_half_turns(x, k) - f64::from(k) * value) / z;
        }
        value
    };
    value * PI.powi(order as i32)
}

/// The sine of `x` half turns and `quarters` quarter turns, exact where it is -1, 0 or 1.
fn sine_of_half_turns(x: f64, quarters: u32) -> f64 {
    let nearest = (2.0 * x).round();
    let off = PI * (x - nearest / 2.0);
    let quarter = (nearest % 4.0 + 4.0) as u32 + quarters;
    match quarter % 4 {
        0 => libm::sin(off),
        1 => libm::cos(off),
        2 => -libm::sin(off),
        _ => -libm::cos(off),
    }
}
