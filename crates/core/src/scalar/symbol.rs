//! A number of which nothing is known but the operations that it comes from: the reading of a
//! formula that writes it down as [`Code`].

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::elementary::{self, Lane};
use super::ir::{
    Binary, Code, Comparison, Effect, Id, Node, Precision, Rounding, Span, Test, bits,
};
use super::{Number, Real};

/// For which angles sines and cosines are written down. Code stops at others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Angles {
    /// Those that are their own remainder, up to an eighth of a turn: half of the work.
    Small,
    /// Those that are [near](Real::is_near).
    Near,
}

/// The place where a formula is written down.
#[derive(Debug)]
pub(crate) struct Writer<T> {
    code: RefCell<Code>,
    angles: Angles,
    /// Whether a function was taken that is no formula.
    is_opaque: Cell<bool>,
    numbers: PhantomData<T>,
}

impl<T: Real> Writer<T> {
    pub(crate) fn new(angles: Angles) -> Self {
        let code = RefCell::new(Code::new(Precision::of::<T>()));
        Self { code, angles, is_opaque: Cell::new(false), numbers: PhantomData }
    }

    fn symbol(&self, node: Node) -> Symbol<'_, T> {
        Symbol { writer: self, id: self.code.borrow_mut().push(node) }
    }

    /// A number from outside.
    pub(crate) fn read(&self, place: u32) -> Symbol<'_, T> {
        self.symbol(Node::Read(place))
    }

    /// Some numbers from outside, as a vector.
    pub(crate) fn read_vector(&self, span: Span) -> Symbol<'_, T> {
        self.symbol(Node::ReadVector(span))
    }

    /// Writes numbers to their places, from which they are read after that.
    pub(crate) fn write(&self, effect: Effect) {
        self.code.borrow_mut().append(effect);
    }

    pub(crate) fn constant(&self, value: T) -> Symbol<'_, T> {
        self.symbol(Node::Constant(bits(value)))
    }

    /// The number of operations until now, those included that nothing reads.
    pub(crate) fn len(&self) -> usize {
        self.code.borrow().nodes.len()
    }

    /// Whether a function was taken since the last time that is no formula: what came of it is nothing.
    pub(crate) fn took_opaque(&self) -> bool {
        self.is_opaque.take()
    }

    /// What was written down.
    pub(crate) fn finish(self) -> Code {
        self.code.into_inner()
    }
}

/// A number that is written down.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'c, T> {
    writer: &'c Writer<T>,
    id: Id,
}

impl<'c, T: Real> Symbol<'c, T> {
    fn with(self, node: Node) -> Self {
        self.writer.symbol(node)
    }

    fn binary(self, binary: Binary, other: Self) -> Self {
        self.with(Node::Binary(binary, [self.id, other.id]))
    }

    /// 1 where the comparison holds, else 0.
    fn indicator(self, comparison: Comparison) -> Self {
        let (one, zero) = (self.exact(1.0), self.exact(0.0));
        Lane::select(comparison, one, zero)
    }

    /// Its place in the list.
    pub(crate) fn id(self) -> Id {
        self.id
    }

    /// The bits of a number, whatever number that is.
    fn pattern(self, bits: u64) -> Self {
        self.with(Node::Constant(bits))
    }

    /// The formula took a function that is none.
    fn given_up(self) -> Self {
        self.writer.is_opaque.set(true);
        self
    }

    /// Takes the number as an angle: requires that it is one of those that are written down.
    fn angle(self) -> Angles {
        let angles = self.writer.angles;
        self.require(match angles {
            Angles::Small => elementary::is_small(self),
            Angles::Near => elementary::is_near(self),
        });
        angles
    }

    /// The code stops where the comparison does not hold.
    fn require(self, comparison: Comparison) {
        let mut code = self.writer.code.borrow_mut();
        let effect = (code.nodes.len(), Effect::Require(comparison));
        if !code.effects.iter().any(|(_, other)| *other == effect.1) {
            code.effects.push(effect);
        }
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident)*) => {$(
        impl<T: Real> $trait for Symbol<'_, T> {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                self.binary(Binary::$trait, other)
            }
        }
    )*};
}

operators!(Add add Sub sub Mul mul Div div);

impl<T: Real> Neg for Symbol<'_, T> {
    type Output = Self;

    fn neg(self) -> Self {
        self.binary(Binary::Xor, self.exact(-0.0))
    }
}

macro_rules! lane {
    (
        compare: $($compare:ident $test:ident),*;
        binary: $($binary:ident $operation:ident),*;
        shift: $($shift:ident $direction:ident),*
    ) => {
        impl<T: Real> Lane for Symbol<'_, T> {
            type Float = T;
            type Mask = Comparison;

            fn constant(self, value: T) -> Self {
                self.writer.constant(value)
            }

            fn mul_add(self, factor: Self, summand: Self) -> Self {
                self.with(Node::MulAdd([self.id, factor.id, summand.id]))
            }

            fn sqrt(self) -> Self {
                self.with(Node::Sqrt(self.id))
            }

            fn abs(self) -> Self {
                let sign = 1 << (8 * size_of::<T>() - 1);
                self.binary(Binary::And, self.pattern(sign - 1))
            }

            fn select(mask: Comparison, yes: Self, no: Self) -> Self {
                yes.with(Node::Select(mask, [yes.id, no.id]))
            }

            $(fn $compare(self, other: Self) -> Comparison {
                Comparison { test: Test::$test, of: [self.id, other.id] }
            })*

            $(fn $binary(self, other: Self) -> Self {
                self.binary(Binary::$operation, other)
            })*

            $(fn $shift(self, places: u32) -> Self {
                self.with(Node::$direction(self.id, places as u8))
            })*
        }
    };
}

lane! {
    compare: less Less, less_equal LessEqual, equal Equal, equal_bits EqualBits;
    binary: and And, or Or, xor Xor, add_bits AddBits, sub_bits SubBits;
    shift: shift_left ShiftLeft, shift_right ShiftRight
}

macro_rules! number {
    (
        formulas: $($formula:ident),*;
        rounded: $($rounded:ident $rounding:ident),*;
        compare: $($method:ident: $test:expr),*;
        no_formulas: $($opaque:ident($($argument:ty),*)),*
    ) => {
        impl<T: Real> Number for Symbol<'_, T> {
            fn constant(self, value: f64) -> Self {
                self.writer.constant(T::from_f64(value))
            }

            $(fn $formula(self) -> Self {
                elementary::$formula(self)
            })*

            $(fn $rounded(self) -> Self {
                self.with(Node::Round(Rounding::$rounding, self.id))
            })*

            $(fn $method(self, other: Self) -> Self {
                let test: fn(Self, Self) -> Comparison = $test;
                self.indicator(test(self, other))
            })*

            $(fn $opaque(self, $(_: $argument),*) -> Self {
                self.given_up()
            })*

            fn sin(self) -> Self {
                match self.angle() {
                    Angles::Small => elementary::sin_small(self),
                    Angles::Near => elementary::sin_near(self),
                }
            }

            fn cos(self) -> Self {
                match self.angle() {
                    Angles::Small => elementary::cos_small(self),
                    Angles::Near => elementary::cos_near(self),
                }
            }

            fn sqrt(self) -> Self {
                Lane::sqrt(self)
            }

            fn abs(self) -> Self {
                Lane::abs(self)
            }

            fn square(self) -> Self {
                self * self
            }

            fn reciprocal(self) -> Self {
                self.exact(1.0) / self
            }

            /// By repeated squares, from the lowest bit of the exponent on, as floats compute it.
            fn powi(self, exponent: i32) -> Self {
                let mut left = exponent.unsigned_abs();
                let (mut square, mut power) = (self, None);
                while left > 0 {
                    if left & 1 == 1 {
                        power = Some(power.map_or(square, |power: Self| power * square));
                    }
                    left >>= 1;
                    if left > 0 {
                        square = square * square;
                    }
                }
                let power = power.unwrap_or_else(|| self.exact(1.0));
                if exponent < 0 { Number::reciprocal(power) } else { power }
            }

            fn powf(self, exponent: f64) -> Self {
                elementary::powf(self, Number::constant(self, exponent))
            }

            fn pow(self, exponent: Self) -> Self {
                elementary::powf(self, exponent)
            }

            fn clamp(self, low: f64, high: f64) -> Self {
                let [low, high] = [low, high].map(|bound| Number::constant(self, bound));
                let raised = Lane::select(Lane::less(self, low), low, self);
                Lane::select(Lane::less(high, raised), high, raised)
            }

            fn select(self, yes: Self, no: Self) -> Self {
                Lane::select(Lane::equal(self, self.exact(0.0)), no, yes)
            }

            fn opaque<const N: usize>(x: [Self; N], _: fn([f64; N]) -> f64) -> Self {
                x[0].given_up()
            }
        }
    };
}

number! {
    formulas: exp, expm1, exp2, ln, ln1p, log2, tanh, sigmoid, erf, erfc;
    rounded: floor Down, ceil Up, round Nearest, trunc ToZero;
    compare:
        greater: |a, b| Lane::less(b, a),
        greater_equal: |a, b| Lane::less_equal(b, a),
        less: Lane::less,
        less_equal: Lane::less_equal,
        equal: Lane::equal;
    no_formulas: sinh(), cosh(), polygamma(u32), sinc_derivative(u32), hypot(Self)
}
