//! Sine and cosine.
//!
//! `x = q pi/2 + r` with `|r| <= pi/4`: a polynomial of `r`, which one and with
//! which sign says `q`. The reduction subtracts parts of `pi/2` that are short
//! enough for exact products, which works up to [`NEAR`]. Beyond, a function is
//! called that multiplies by as many digits of `2/pi` as the angle needs. Angles
//! up to `pi/4` are their own remainder. These are the only branches of this
//! folder, and they keep loops over sines from being vectorised. (Payne and Hanek, *Radian reduction for trigonometric
//! functions*, 1983.) Polynomials and the parts of `pi/2` are FDLIBM's.
//!
//! An `f32` is reduced, and its function computed, in `f64`: shorter, and exact
//! enough near the zeros, where `f32` would need four parts.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, FRAC_PI_4};
use std::hint::select_unpredictable;

use super::Format;

/// The largest angle for which the quick reduction is exact.
const NEAR: f64 = 1e6;

/// An angle less a multiple `q` of `pi/2`.
#[derive(Clone, Copy)]
struct Reduced {
    /// `q`, modulo 4 at least.
    q: u64,
    /// The remainder, in two parts.
    r: f64,
    low: f64,
}

/// `q` as a shifted number and as a float.
#[inline(always)]
fn quarter_turns(x: f64) -> (u64, f64) {
    let shifted = x * FRAC_2_PI + f64::SHIFT;
    (shifted.to_bits(), shifted - f64::SHIFT)
}

/// Reduces `0 <= x <= NEAR`.
#[inline(always)]
fn reduce_near(x: f64) -> Reduced {
    // 33 bits each, and the rest: the first two products are exact.
    const PART_1: f64 = 1.5707963267341256;
    const PART_2: f64 = 6.077100506303966e-11;
    const PART_3: f64 = 2.0222662487959506e-21;
    let (q, n) = quarter_turns(x);
    let first = x - n * PART_1;
    let product = n * PART_2;
    // The difference, and what its rounding loses (Knuth).
    let second = first - product;
    let part = second - first;
    let lost = (first - (second - part)) - (product + part);
    let rest = lost - n * PART_3;
    let r = second + rest;
    Reduced { q, r, low: (second - r) + rest }
}

/// Reduces any angle from [`NEAR`] on; infinity and NaN give NaN.
#[cold]
#[inline(never)]
fn reduce_far(x: f64) -> Reduced {
    /// The digits of `2/pi`.
    const DIGITS: [u64; 20] = [
        0xa2f9836e4e441529,
        0xfc2757d1f534ddc0,
        0xdb6295993c439041,
        0xfe5163abdebbc561,
        0xb7246e3a424dd2e0,
        0x06492eea09d1921c,
        0xfe1deb1cb129a73e,
        0xe88235f52ebb4484,
        0xe99c7026b45f7e41,
        0x3991d639835339f4,
        0x9c845f8bbdf9283b,
        0x1ff897ffde05980f,
        0xef2f118b5a0a6d1f,
        0x6d367ecf27cb09b7,
        0x4f463f669e5fea2d,
        0x7527bac7ebe5f17b,
        0x3d0739f78a5292ea,
        0x6bfb5fb11f8d5d08,
        0x56033046fc7b6bab,
        0xf0cfbc209af4361d,
    ];
    if !x.is_finite() {
        return Reduced { q: 0, r: f64::NAN, low: 0.0 };
    }
    // x = mantissa * 2^exponent, a whole mantissa.
    let mantissa = x.to_bits() & ((1 << 52) - 1) | 1 << 52;
    let exponent = (x.to_bits() >> 52) as i64 - 1075;
    // Digits worth 4 or more times a whole number of turns do not matter: the
    // window begins at the first that is worth 2, given this exponent.
    let digits_from = |bit: i64| -> u64 {
        let word = |index: i64| {
            usize::try_from(index).ok().and_then(|index| DIGITS.get(index)).copied().unwrap_or(0)
        };
        let (index, shift) = (bit.div_euclid(64), bit.rem_euclid(64) as u32);
        let pair = u128::from(word(index)) << 64 | u128::from(word(index + 1));
        (pair << shift >> 64) as u64
    };
    let start = exponent - 2;
    let [high, middle, low] = [0, 64, 128].map(|offset| digits_from(start + offset));
    // mantissa * window, modulo 2^192: two bits of quarter turns, then the
    // fraction of one.
    let multiple = |digits: u64| u128::from(mantissa) * u128::from(digits);
    let tail = multiple(middle) + (multiple(low) >> 64);
    let head = (mantissa.wrapping_mul(high)).wrapping_add((tail >> 64) as u64);
    let turns = u128::from(head) << 64 | (tail & u128::from(u64::MAX));
    let quarter = (turns >> 126) as u64;
    let fraction = turns << 2;
    // To the nearest quarter turn, the fraction with a sign.
    let (q, is_below, size) = if fraction >> 127 == 1 {
        (quarter + 1, true, fraction.wrapping_neg())
    } else {
        (quarter, false, fraction)
    };
    let scale = 2.0_f64.powi(-128);
    let leading = size.leading_zeros().min(64);
    // 53 bits, and the next ones.
    let cut = size & !(u128::MAX >> 53 >> leading);
    let (a, b) = (cut as f64 * scale, (size - cut) as f64 * scale);
    let r = a * FRAC_PI_2;
    let low = a.mul_add(FRAC_PI_2, -r) + (a * 6.123233995736766e-17 + b * FRAC_PI_2);
    if is_below { Reduced { q, r: -r, low: -low } } else { Reduced { q, r, low } }
}

#[inline(always)]
fn reduce(x: f64) -> Reduced {
    if x > NEAR { reduce_far(x) } else { reduce_near(x) }
}

/// The sine of a reduced angle.
#[inline(always)]
fn sin_reduced(r: f64, low: f64) -> f64 {
    const S1: f64 = -0.16666666666666632;
    let z = r * r;
    let cube = z * r;
    let series = polynomial!(z;
        0.00833333333332249,
        -0.0001984126982985795,
        2.7557313707070068e-06,
        -2.5050760253406863e-08,
        1.58969099521155e-10,
    );
    r - ((z * (0.5 * low - cube * series) - low) - cube * S1)
}

/// The cosine of a reduced angle.
#[inline(always)]
fn cos_reduced(r: f64, low: f64) -> f64 {
    let z = r * r;
    let half = 0.5 * z;
    let leading = 1.0 - half;
    let series = polynomial!(z;
        0.0416666666666666,
        -0.001388888888887411,
        2.480158728947673e-05,
        -2.7557314351390663e-07,
        2.087572321298175e-09,
        -1.1359647557788195e-11,
    );
    leading + (((1.0 - leading) - half) + (z * (z * series) - r * low))
}

/// Sine or cosine of a reduced angle, as the quarter turns say: the sine from an
/// even number, the cosine from an odd one, negative in the second half.
#[inline(always)]
fn select(q: u64, sine: f64, cosine: f64) -> f64 {
    let size = select_unpredictable(q & 1 == 0, sine, cosine);
    f64::from_bits(size.to_bits() ^ ((q & 2) << 62))
}

/// The sine.
#[inline(always)]
pub(super) fn sin_f64(x: f64) -> f64 {
    let size = x.abs();
    let value = if size <= FRAC_PI_4 {
        sin_reduced(size, 0.0)
    } else {
        let Reduced { q, r, low } = reduce(size);
        select(q, sin_reduced(r, low), cos_reduced(r, low))
    };
    f64::from_bits(value.to_bits() ^ (x.to_bits() & 1 << 63))
}

/// The cosine.
#[inline(always)]
pub(super) fn cos_f64(x: f64) -> f64 {
    if x.abs() <= FRAC_PI_4 {
        return cos_reduced(x, 0.0);
    }
    let Reduced { q, r, low } = reduce(x.abs());
    select(q.wrapping_add(1), sin_reduced(r, low), cos_reduced(r, low))
}

/// The remainder of an `f32`, whose digits fit into one `f64`.
#[inline(always)]
fn reduce_f32(x: f64) -> (u64, f64) {
    // 30 bits, and the rest: the first product is exact.
    const PART_1: f64 = 1.570796325802803;
    const PART_2: f64 = 9.920935796805404e-10;
    if x > NEAR {
        let Reduced { q, r, .. } = reduce_far(x);
        return (q, r);
    }
    let (q, n) = quarter_turns(x);
    (q, (x - n * PART_1) - n * PART_2)
}

#[inline(always)]
fn sin_reduced_f32(r: f64) -> f64 {
    let z = r * r;
    r + z
        * r
        * polynomial!(z;
            -0.16666666641626524,
            0.008333329385889463,
            -0.00019839334836096632,
            2.718311493989822e-06,
        )
}

#[inline(always)]
fn cos_reduced_f32(r: f64) -> f64 {
    polynomial!(r * r;
        1.0,
        -0.499999997251031,
        0.04166662332373906,
        -0.001388676377460993,
        2.439044879627741e-05,
    )
}

/// The sine.
#[inline(always)]
pub(super) fn sin_f32(x: f32) -> f32 {
    let size = f64::from(x).abs();
    let value = if size <= FRAC_PI_4 {
        sin_reduced_f32(size)
    } else {
        let (q, r) = reduce_f32(size);
        select(q, sin_reduced_f32(r), cos_reduced_f32(r))
    };
    f32::from_bits((value as f32).to_bits() ^ (x.to_bits() & 1 << 31))
}

/// The cosine.
#[inline(always)]
pub(super) fn cos_f32(x: f32) -> f32 {
    if f64::from(x).abs() <= FRAC_PI_4 {
        return cos_reduced_f32(x.into()) as f32;
    }
    let (q, r) = reduce_f32(f64::from(x).abs());
    select(q.wrapping_add(1), sin_reduced_f32(r), cos_reduced_f32(r)) as f32
}

/// The sine, of an angle in radians.
#[inline(always)]
pub(crate) fn sin<T: Format>(x: T) -> T {
    x.sine()
}

/// The cosine, of an angle in radians.
#[inline(always)]
pub(crate) fn cos<T: Format>(x: T) -> T {
    x.cosine()
}
