//! What the functions need to know of a number format: its bits, constants and polynomials.

use num_traits::float::{FloatConst, FloatCore};

use super::Lane;
use super::reduce::FRAC_PI_2_MIDDLE;

/// A binary floating-point format: `f32` or `f64`.
pub trait Format: FloatCore + FloatConst + 'static {
    /// All bits of a number.
    const BITS: u32;
    /// The bits after the leading one.
    const FRACTION_BITS: u32;
    /// What the exponent of 1 is stored as.
    const BIAS: Self;
    /// The power of two whose last place is worth 1.
    const WHOLE: Self;
    /// `1.5 WHOLE`: numbers around it of either sign have last places that are worth 1.
    const SHIFT: Self;
    /// Of the bits the last one.
    const LAST_BIT: Self;
    /// Those of the fraction.
    const FRACTION: Self;
    /// As whole numbers, those of 1 less those of `sqrt(1/2)`.
    const FROM_SQRT_HALF_TO_ONE: Self;
    /// A power of two in the middle between 1 and the least normal number.
    const SMALL_POWER: Self;
    /// The exponent of `SMALL_POWER`.
    const SMALL_EXPONENT: Self;

    /// A number that single precision holds exactly.
    fn exact(value: f32) -> Self;

    /// The digits of `ln 2` after those of the nearest number.
    const LN2_LOW: Self;
    /// From here on `e^x` is infinite, by a margin.
    const EXP_INFINITE: Self;
    /// Up to here `e^x` is 0, by a margin.
    const EXP_ZERO: Self;
    /// Up to here `e^x` vanishes beside 1, by a margin.
    const EXP_NEGLIGIBLE: Self;
    /// Numbers so small that `e^x - 1`, `ln(1 + x)` and `x` are the same.
    const TINY: Self;
    /// `(e^x - 1 - x) / x^2` for `|x| <= ln(2) / 2`, as a polynomial.
    fn exp_series<A: Lane<Float = Self>>(x: A) -> A;
    /// `artanh(1/4)`.
    const TANH_NEAR: Self;
    /// `(tanh(x) / x - 1) / x^2` in `x^2`, for `|x| <= TANH_NEAR`.
    fn tanh_series<A: Lane<Float = Self>>(z: A) -> A;

    /// `(ln((1 + s) / (1 - s)) / s - 2) / s^2` in `s^2`, from FDLIBM's `log`.
    fn ln_series<A: Lane<Float = Self>>(z: A) -> A;
    /// The same less `2 / 3`, over `s^2`.
    fn ln_rest<A: Lane<Float = Self>>(z: A) -> A;
    /// `2 / 3`, rounded.
    const TWO_THIRDS: Self;
    /// The digits of `2 / 3` after those of the nearest number.
    const TWO_THIRDS_LOW: Self;
    /// A power of two that makes subnormal numbers normal, and its exponent.
    const NORMALISE: (Self, Self);

    /// `erf(x) / x - 1` in `x^2` for `|x| <= 1`.
    fn erf_near<A: Lane<Float = Self>>(z: A) -> A;
    /// `-ln(1 - erf(x))` for `1 <= x <= ERF_ONE`.
    fn erf_far<A: Lane<Float = Self>>(x: A) -> A;
    /// From here on `erf(x)` is 1.
    const ERF_ONE: Self;
    /// `(1 + 2x) e^(x^2) erfc(x)` in `(x - 3) / (x + 3)`, for `0 <= x <= ERFC_ZERO`.
    fn erfc_scaled<A: Lane<Float = Self>>(t: A) -> A;
    /// From here on `erfc(x)` is 0.
    const ERFC_ZERO: Self;

    /// The digits of `pi/2` after those of the nearest number, in two parts.
    const FRAC_PI_2_MIDDLE: Self;
    /// The second part of these digits.
    const FRAC_PI_2_LOW: Self;
    /// The largest angle that is reduced by these digits.
    const NEAR: Self;
    /// Angles that are their own remainder.
    const SMALL: Self;
    /// `(sin(r) / r - 1) / r^2` in `r^2`, for `|r| <= pi/4` and a little more.
    fn sin_series<A: Lane<Float = Self>>(z: A) -> A;
    /// `(cos(r) - 1) / r^2` in `r^2`, for the same `r`.
    fn cos_series<A: Lane<Float = Self>>(z: A) -> A;
}

macro_rules! format {
    ($float:ident as $bits:ident: $fraction:literal bits, bias $bias:literal {
        $($constants:item)*
    } polynomials {
        $($series:ident($x:ident) = [$($coefficient:expr),+ $(,)?];)*
    }) => {
        impl Format for $float {
            const BITS: u32 = $bits::BITS;
            const FRACTION_BITS: u32 = $fraction;
            const BIAS: Self = $bias as Self;
            const WHOLE: Self = (1_u64 << $fraction) as Self;
            const SHIFT: Self = 1.5 * Self::WHOLE;
            const LAST_BIT: Self = Self::from_bits(1);
            const FRACTION: Self = Self::from_bits((1 << $fraction) - 1);
            const FROM_SQRT_HALF_TO_ONE: Self = {
                let sqrt_half = std::$float::consts::FRAC_1_SQRT_2;
                Self::from_bits((1.0 as Self).to_bits() - sqrt_half.to_bits())
            };
            const SMALL_POWER: Self = Self::from_bits(($bias - 1) / 2 << $fraction);
            const SMALL_EXPONENT: Self = -(($bias + 1) / 2) as Self;

            #[inline(always)]
            fn exact(value: f32) -> Self {
                value.into()
            }

            $($constants)*

            $(#[inline(always)]
            fn $series<A: Lane<Float = Self>>($x: A) -> A {
                polynomial!($x; $($coefficient),+)
            })*
        }
    };
}

format! { f32 as u32: 23 bits, bias 127 {
    const LN2_LOW: f32 = -1.9046542e-9;
    const EXP_INFINITE: f32 = 89.0;
    const EXP_ZERO: f32 = -104.0;
    const EXP_NEGLIGIBLE: f32 = -20.0;
    const TINY: f32 = 2.98e-8;
    const TANH_NEAR: f32 = 0.25541282;
    const TWO_THIRDS: f32 = 0.6666667;
    const TWO_THIRDS_LOW: f32 = -1.9868216e-8;
    const NORMALISE: (f32, f32) = (33_554_432.0, 25.0);
    const ERF_ONE: f32 = 4.0;
    const ERFC_ZERO: f32 = 11.0;
    const FRAC_PI_2_MIDDLE: f32 = -4.371139e-08;
    const FRAC_PI_2_LOW: f32 = -1.7151245e-15;
    const NEAR: f32 = 1e5;
    const SMALL: f32 = 0.78;
} polynomials {
    exp_series(x) = [0.5, 1.6666518e-1, 4.1666202e-2, 8.368897e-3, 1.3950603e-3];
    tanh_series(z) = [-3.3333227e-1, 1.3323471e-1, -5.132591e-2];
    ln_series(z) = [0.6666666, 0.4000097, 0.28498787, 0.2427908];
    ln_rest(z) = [0.40000015, 0.28562184, 0.23050016];
    erf_near(z) = [
        1.2837917e-1,
        -3.7612626e-1,
        1.12836e-1,
        -2.6854444e-2,
        5.1895347e-3,
        -8.020834e-4,
        7.889095e-5,
    ];
    erf_far(x) = [
        3.5371768e-4,
        1.12704,
        6.382257e-1,
        1.0303736e-1,
        -2.180531e-2,
        2.9396045e-3,
        -1.855736e-4,
    ];
    erfc_scaled(t) = [
        1.253008,
        -0.13562116,
        -0.047562372,
        0.12964685,
        -0.11927094,
        0.068292744,
        -0.023800058,
        0.0025729046,
        0.0020097822,
        -0.0007758974,
        -0.0002690068,
    ];
    sin_series(z) = [-1.6666655e-1, 8.332151e-3, -1.9513522e-4];
    cos_series(z) = [-0.5, 4.1666623e-2, -1.3886713e-3, 2.4385661e-5];
}}

format! { f64 as u64: 52 bits, bias 1023 {
    const LN2_LOW: f64 = 2.3190468138462996e-17;
    const EXP_INFINITE: f64 = 710.0;
    const EXP_ZERO: f64 = -746.0;
    const EXP_NEGLIGIBLE: f64 = -40.0;
    const TINY: f64 = 5.5e-17;
    const TANH_NEAR: f64 = 0.25541281188299536;
    const TWO_THIRDS: f64 = 0.6666666666666666;
    const TWO_THIRDS_LOW: f64 = 3.700743415417188e-17;
    const NORMALISE: (f64, f64) = (18_014_398_509_481_984.0, 54.0);
    const ERF_ONE: f64 = 6.0;
    const ERFC_ZERO: f64 = 28.0;
    const FRAC_PI_2_MIDDLE: f64 = FRAC_PI_2_MIDDLE;
    const FRAC_PI_2_LOW: f64 = -1.4973849048591698e-33;
    const NEAR: f64 = 1e6;
    const SMALL: f64 = 0.78;
} polynomials {
    exp_series(x) = [
        0.5000000000000012,
        0.166666666666667,
        0.0416666666665153,
        0.008333333333307127,
        0.0013888888947051078,
        0.00019841269917555282,
        2.4801489902467973e-05,
        2.755721615180808e-06,
        2.7631295527107547e-07,
        2.5117906386483356e-08,
    ];
    tanh_series(z) = [
        -0.33333333333332626,
        0.13333333333054848,
        -0.053968253598335486,
        0.02186946521686986,
        -0.008862447813004892,
        0.0035774453064687252,
        -0.001312525098773024,
    ];
    ln_series(z) = [
        0.6666666666666735,
        0.3999999999940942,
        0.2857142874366239,
        0.22222198432149784,
        0.1818357216161805,
        0.15313837699209373,
        0.14798198605116586,
    ];
    ln_rest(z) = [
        0.4,
        0.28571428571429375,
        0.22222222221651317,
        0.1818181833632424,
        0.1538459487208915,
        0.1333480920029991,
        0.11706124985764584,
        0.11724259541355088,
    ];
    erf_near(z) = [
        0.12837916709551256,
        -0.3761263890318355,
        0.11283791670945252,
        -0.026866170643276073,
        0.005223977607422502,
        -0.0008548325989661416,
        0.00012055295319730584,
        -1.492474465356765e-05,
        1.6447517609499445e-06,
        -1.6209175731923008e-07,
        1.3722976770798816e-08,
        -7.801191888341914e-10,
    ];
    erf_far(x) = [
        2.3067871885035918e-08,
        1.1283789560115611,
        0.6366205844038682,
        0.1027711207605979,
        -0.019128359057077198,
        -0.00020235185575313112,
        0.0016756929980637732,
        -0.0005536996980850831,
        -2.049903094777961e-05,
        0.00010956251383436433,
        -6.401286247824469e-05,
        2.3925331030239487e-05,
        -6.6528108507222415e-06,
        1.4318551059731753e-06,
        -2.397287189905904e-07,
        3.078223714026864e-08,
        -2.934886469424844e-09,
        1.9588290199672225e-10,
        -8.167600723706048e-12,
        1.6005319818416315e-13,
    ];
    erfc_scaled(t) = [
        1.2530080582697296,
        -0.1356211061245811,
        -0.04756229435345306,
        0.12964515870275026,
        -0.11927366341516857,
        0.06830802734440604,
        -0.023770514921937647,
        0.002529391807900063,
        0.0018886903981696801,
        -0.000779832185525928,
        -0.00010516006241299548,
        0.0001250987929274765,
        4.950552349634667e-06,
        -2.0098253837625926e-05,
        -7.34163165466839e-07,
        3.4661596712796173e-06,
        3.6066863475424126e-07,
        -6.056586389337659e-07,
        -1.4410354379681688e-07,
        8.977480611608504e-08,
        4.1134756392158016e-08,
        -5.756503996147508e-09,
        -6.467844455782987e-09,
        -1.0672595214976916e-09,
    ];
    sin_series(z) = [
        -0.16666666666666632,
        0.008333333333322413,
        -0.00019841269829807802,
        2.7557313691891292e-06,
        -2.505075810880838e-08,
        1.5896795190537075e-10,
    ];
    cos_series(z) = [
        -0.5,
        0.04166666666666649,
        -0.0013888888888863888,
        2.4801587284997324e-05,
        -2.755731333588333e-07,
        2.0875608190960613e-09,
        -1.1354497286537684e-11,
    ];
}}
