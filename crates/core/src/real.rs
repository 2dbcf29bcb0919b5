//! The element types: `f32` and `f64`, behind one trait.
//!
//! [`Real`] stands on top of [`num_traits::Float`] and adds the few things that
//! a tape needs beyond it. It is sealed: kernels are compiled for the types
//! below and rely on their layout.

use std::fmt::{Debug, Display};
use std::iter::Sum;

use num_traits::{Float, FloatConst, NumAssign};

/// An element of a tensor: `f32` or `f64`.
///
/// ```
/// use wengert_core::Real;
///
/// fn half<T: Real>(x: T) -> T {
///     x * T::from_f64(0.5)
/// }
/// assert_eq!(half(3.0_f32), 1.5);
/// ```
pub trait Real:
    Float
    + FloatConst
    + NumAssign
    + Sum
    + Default
    + Debug
    + Display
    + Send
    + Sync
    + sealed::Gemm
    + 'static
{
    /// The type's name, as it stands in messages.
    const NAME: &'static str;

    /// The nearest element to a number given in double precision.
    fn from_f64(value: f64) -> Self;

    /// The element in double precision, exactly.
    fn as_f64(self) -> f64;
}

macro_rules! real {
    ($($t:ident),*) => {$(
        impl Real for $t {
            const NAME: &'static str = stringify!($t);

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $t
            }

            #[inline(always)]
            fn as_f64(self) -> f64 {
                self.into()
            }
        }

        impl sealed::Gemm for $t {}
    )*};
}

real!(f32, f64);

mod sealed {
    /// Types for which the kernels are compiled.
    pub trait Gemm: crate::kernel::simd::Lanes {}
}
