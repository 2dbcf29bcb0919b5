//! Values of ops are formulas: whoever reads one finds the numbers that floats find.

use wengert_core::check::reference::complex_step;
use wengert_core::op::{
    Atan2, Clamp, Domain, Elementwise, Elu, Gelu, GeluTanh, LeakyRelu, LogAddExp, LogSigmoid,
    Maximum, Minimum, Mish, NotEqual, Relu, Remainder, Samples, Select, Sign, Silu, Softplus,
    Softsign, Trunc, Xlogy,
};
use wengert_core::{Number, Real, Tape, Tensor, check, grad};

/// Numbers at kinks, beside them, and far from all.
const NUMBERS: [f64; 17] = [
    0.0,
    -0.0,
    5e-324,
    -1e-40,
    1.0,
    -1.0,
    0.5,
    -2.5,
    3.5,
    -41.0,
    900.0,
    -900.0,
    1e30,
    -1e300,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

/// Bits, of which all NaNs have the same.
fn bits<T: Real>(x: T) -> u64 {
    if x.is_nan() { u64::MAX } else { x.as_f64().to_bits() }
}

/// The op, and its formula as variables read it, at all numbers in all places.
fn reads_the_same<T: Real, const N: usize>(op: impl Elementwise<N>) {
    let count = NUMBERS.len();
    let tape = Tape::new();
    let x: [_; N] = std::array::from_fn(|place| {
        let step = count.pow(place as u32);
        let number = |i| T::from_f64(NUMBERS[i / step % count]);
        tape.constant((0..count.pow(N as u32)).map(number).collect::<Vec<_>>())
    });
    let [own, read] =
        [tape.apply(op, &x), op.eval(x)].map(|y| y.value().iter().map(bits).collect::<Vec<_>>());
    assert_eq!(own, read, "{op:?}");
}

macro_rules! read_the_same {
    ($($op:expr),* $(,)?) => {$(
        reads_the_same::<f64, _>($op);
        reads_the_same::<f32, _>($op);
    )*};
}

#[test]
fn variables_read_the_values_that_floats_do() {
    let elu = Elu { scale: 1.5, alpha: 2.0, width: 2.0 };
    let clamp = Clamp { low: -1.0, high: 0.5 };
    read_the_same!(Relu, LeakyRelu(0.3), elu, Softplus, LogSigmoid, Silu, Gelu, GeluTanh, Mish);
    read_the_same!(Softsign, Sign, Trunc, clamp, Maximum, Minimum, LogAddExp, Xlogy, NotEqual);
    read_the_same!(Select, Remainder, Atan2);
}

/// A function of numbers, and its integral.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Integral {
    Expm1,
    Exp2,
    Ln1p,
    Log2,
    Erf,
    Round,
}

impl Integral {
    const ALL: [Self; 6] =
        [Self::Expm1, Self::Exp2, Self::Ln1p, Self::Log2, Self::Erf, Self::Round];

    fn slope<A: Number>(self, x: A) -> A {
        match self {
            Self::Expm1 => x.expm1(),
            Self::Exp2 => x.exp2(),
            Self::Ln1p => x.ln1p(),
            Self::Log2 => x.log2(),
            Self::Erf => x.erf(),
            Self::Round => {
                let up = A::opaque([x], |[x]| x.ceil());
                x.round() + x.floor() + x.ceil() + x.trunc() + up
            }
        }
    }
}

impl Elementwise<1> for Integral {
    const NAME: &'static str = "integral";

    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        let one = x.constant(1.0);
        match self {
            Self::Expm1 => x.exp() - x,
            Self::Exp2 => x.exp2() * x.constant(std::f64::consts::LOG2_E),
            Self::Ln1p => (x + one) * x.ln1p() - x,
            Self::Log2 => x * (x.ln() - one) * x.constant(std::f64::consts::LOG2_E),
            Self::Erf => {
                let bell = (-x.square()).exp() * x.constant(std::f64::consts::FRAC_2_SQRT_PI);
                x * x.erf() + bell * x.constant(0.5)
            }
            Self::Round => x * self.slope(x),
        }
    }

    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        self.slope(x)
    }

    fn samples(samples: &mut Samples<Self>) {
        // Between two whole numbers, and two halves.
        for integral in Self::ALL {
            samples.over(integral, [Domain::between(1.05, 1.45)]);
        }
    }
}

#[test]
fn every_reading_differentiates_what_rules_may_use() {
    for integral in Integral::ALL {
        let x = 1.2;
        let [by_steps, by_tape] = [
            complex_step(|x| integral.slope(x[0]), &[x])[0],
            grad(|x| integral.slope(x), &Tensor::from(x)).item(),
        ];
        let room = 4.0 * f64::EPSILON * by_tape.abs();
        assert!((by_steps - by_tape).abs() <= room, "{integral:?}: {by_steps} and {by_tape}");
    }
    // Taylor mode reads the partials as series, and second derivatives as variables.
    check::op(Integral::Expm1).assert();
}
