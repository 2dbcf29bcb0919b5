//! Vectors of the element types, for kernels that hold results in registers.
//!
//! Most loops are plain ones that the compiler turns into vector instructions
//! (see [`vectorised`](super::vectorised)). Where a block of results has to stay
//! in registers, that can't be left to chance, and `pulp`'s vectors are named.

use pulp::Simd;

/// An element type that comes in vectors.
pub trait Lanes: Copy + 'static {
    /// As many elements as a register of the CPU holds.
    type Vector<S: Simd>: Copy;

    /// The same number in each place.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;

    /// `a b + c`, place by place, rounded once where the CPU can.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// The slice as whole vectors; elements left over are left out.
    fn vectors<S: Simd>(xs: &[Self]) -> &[Self::Vector<S>];

    /// The slice as whole vectors; elements left over are left out.
    fn vectors_mut<S: Simd>(xs: &mut [Self]) -> &mut [Self::Vector<S>];
}

macro_rules! lanes {
    ($t:ident $vector:ident $splat:ident $mul_add:ident $vectors:ident $vectors_mut:ident) => {
        impl Lanes for $t {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$vector {
                simd.$splat(x)
            }

            #[inline(always)]
            fn multiply_add<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                c: S::$vector,
            ) -> S::$vector {
                simd.$mul_add(a, b, c)
            }

            #[inline(always)]
            fn vectors<S: Simd>(xs: &[Self]) -> &[S::$vector] {
                S::$vectors(xs).0
            }

            #[inline(always)]
            fn vectors_mut<S: Simd>(xs: &mut [Self]) -> &mut [S::$vector] {
                S::$vectors_mut(xs).0
            }
        }
    };
}

lanes!(f32 f32s splat_f32s mul_add_f32s as_simd_f32s as_mut_simd_f32s);
lanes!(f64 f64s splat_f64s mul_add_f64s as_simd_f64s as_mut_simd_f64s);

/// Elements of a vector.
#[inline(always)]
pub(crate) const fn lanes<T: Lanes, S: Simd>() -> usize {
    size_of::<T::Vector<S>>() / size_of::<T>()
}
