//! What the elementary functions are written over: a float, or whatever else reads a formula.
//!
//! Each function is one formula over a [`Lane`]. A float evaluates it, and loops over floats
//! become vector instructions. A value of a code generator records it, operation by operation.
//! So each polynomial exists once, and no two readings of it can drift apart.
//!
//! # What keeps the bits equal
//!
//! Every reading has to give every call the same meaning:
//!
//! - *Arithmetic* is that of IEEE 754: to nearest, ties to even, with subnormal numbers. One call
//!   is one operation, rounded once, in the order of the formula. Nothing is contracted (`a * b +
//!   c` is rounded twice, [`mul_add`](Lane::mul_add) once) and nothing reassociated, and a
//!   quotient is a division. Equal calls may be computed once, and the operands of a sum or the
//!   factors of a product swapped.
//! - *Comparisons* are ordered: false if an operand is NaN. Zeros of both signs are equal, but for
//!   [`equal_bits`](Lane::equal_bits), which compares whole numbers.
//! - *Selection* passes one operand on with all its bits, whatever the other one is. A reading
//!   may always compute both. What is cut off at a bound is asked whether it is to be changed, so
//!   that NaN stays: `select(x.less(low), low, x)`. On x86 that is `max(low, x)`, with the operands
//!   in this order alone.
//! - *Bits* of a float are a whole number without a sign. Sums and differences of them wrap
//!   around, and shifts fill in zeros. In between, such a pattern may be a subnormal number or a
//!   NaN of any kind, and stays as it is.
//! - Which NaN an operation gives, and with which sign, is left open. No formula lets a number
//!   depend on it.

use std::hint::{cold_path, select_unpredictable};
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Sub};

use super::Format;

/// One float, or one place of a vector of them, as a formula sees it: a value that can be
/// computed with, and never be asked for.
///
/// Each method is one instruction for every vector width.
pub trait Lane:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The number format: its bits and its constants.
    type Float: Format;

    /// The outcome of a comparison.
    type Mask: Copy;

    /// The constant `value`, a lane of the same kind as `self`.
    fn constant(self, value: Self::Float) -> Self;

    /// The constant `value`, where single precision holds it exactly.
    #[inline(always)]
    fn exact(self, value: f32) -> Self {
        self.constant(Self::Float::exact(value))
    }

    /// `self * factor + summand`, rounded once.
    fn mul_add(self, factor: Self, summand: Self) -> Self;

    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;

    /// The absolute value: the sign bit cleared.
    fn abs(self) -> Self;

    /// Whether `self < other`.
    fn less(self, other: Self) -> Self::Mask;

    /// Whether `self <= other`.
    fn less_equal(self, other: Self) -> Self::Mask;

    /// Whether `self == other`.
    fn equal(self, other: Self) -> Self::Mask;

    /// Whether all bits are the same.
    fn equal_bits(self, other: Self) -> Self::Mask;

    /// `yes` where the comparison holds, else `no`. Both have been computed.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// `self`, unless the comparison holds, as it rarely does: then what `other` computes. The
    /// bits are those of [`select`](Self::select).
    #[inline(always)]
    fn unless(self, mask: Self::Mask, other: impl FnOnce() -> Self) -> Self {
        Self::select(mask, other(), self)
    }

    /// The bits that both have.
    fn and(self, other: Self) -> Self;

    /// The bits that one of them has.
    fn or(self, other: Self) -> Self;

    /// The bits that one of them has and the other does not.
    fn xor(self, other: Self) -> Self;

    /// The bits, moved towards the sign by less than their number.
    fn shift_left(self, places: u32) -> Self;

    /// The bits, moved away from the sign by less than their number.
    fn shift_right(self, places: u32) -> Self;

    /// The sum of the bits as whole numbers.
    fn add_bits(self, other: Self) -> Self;

    /// The difference of the bits as whole numbers.
    fn sub_bits(self, other: Self) -> Self;
}

macro_rules! compare {
    ($($method:ident: $symbol:tt),*) => {$(
        #[inline(always)]
        fn $method(self, other: Self) -> bool {
            self $symbol other
        }
    )*};
}

macro_rules! on_bits {
    ($($method:ident: $function:ident),*) => {$(
        #[inline(always)]
        fn $method(self, other: Self) -> Self {
            Self::from_bits(self.to_bits().$function(other.to_bits()))
        }
    )*};
}

macro_rules! lane {
    ($($float:ident)*) => {$(
        impl Lane for $float {
            type Float = Self;
            type Mask = bool;

            #[inline(always)]
            fn constant(self, value: Self) -> Self {
                value
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, summand: Self) -> Self {
                self.mul_add(factor, summand)
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }

            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }

            compare!(less: <, less_equal: <=, equal: ==);

            #[inline(always)]
            fn equal_bits(self, other: Self) -> bool {
                self.to_bits() == other.to_bits()
            }

            // Never a branch, which would keep loops from being vectorised.
            #[inline(always)]
            fn select(mask: bool, yes: Self, no: Self) -> Self {
                select_unpredictable(mask, yes, no)
            }

            // A branch where a number stands by itself: what follows need not wait for the
            // comparison (4 of 19 ns in a logarithm). Loops are vectorised all the same.
            #[inline(always)]
            fn unless(self, mask: bool, other: impl FnOnce() -> Self) -> Self {
                if mask {
                    cold_path();
                    other()
                } else {
                    self
                }
            }

            on_bits!(and: bitand, or: bitor, xor: bitxor);
            on_bits!(add_bits: wrapping_add, sub_bits: wrapping_sub);

            #[inline(always)]
            fn shift_left(self, places: u32) -> Self {
                Self::from_bits(self.to_bits() << places)
            }

            #[inline(always)]
            fn shift_right(self, places: u32) -> Self {
                Self::from_bits(self.to_bits() >> places)
            }
        }
    )*};
}

lane!(f32 f64);
