//! The remainder of any angle, by the digits of `2/pi` that matter for it (Payne and Hanek).

use std::f64::consts::FRAC_PI_2;

use super::{Format, Lane};

/// What `pi/2` is more than the nearest number in double precision.
pub(super) const FRAC_PI_2_MIDDLE: f64 = 6.123233995736766e-17;

/// A float, which unlike other lanes can be asked how large it is.
pub(crate) trait Angle: Format + Lane<Float = Self, Mask = bool> {
    /// Any angle from 1 on, less a multiple of `pi/2`, of which the last two bits are returned
    /// first, shifted.
    fn reduce_far(self) -> (Self, Self);
}

macro_rules! angle {
    ($($float:ident)*) => {$(
        impl Angle for $float {
            #[inline(always)]
            fn reduce_far(self) -> (Self, Self) {
                let (quarters, r) = reduce_far(self.into());
                (Self::SHIFT + quarters as Self, r as Self)
            }
        }
    )*};
}

angle!(f32 f64);

/// Reduces any angle from 1 on, to quarter turns modulo 4 and the remainder;
/// infinity and NaN give NaN.
#[cold]
#[inline(never)]
fn reduce_far(x: f64) -> (u8, f64) {
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
        return (0, f64::NAN);
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
    let leading = size.leading_zeros().min(64);
    // 53 bits, and the next ones.
    let cut = size & !(u128::MAX >> 53 >> leading);
    let (high, low) = (cut as f64, (size - cut) as f64);
    let r = high.mul_add(FRAC_PI_2, high * FRAC_PI_2_MIDDLE + low * FRAC_PI_2);
    let r = r * 2.0_f64.powi(-128);
    ((q & 3) as u8, if is_below { -r } else { r })
}
