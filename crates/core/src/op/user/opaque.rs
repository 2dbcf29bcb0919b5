//! A function of numbers of which nothing but its values is known.
//!
//! It is how a variable reads [`Number::opaque`]. As for [`Var::stop_gradient`], that
//! no derivative flows is a declaration, and the op stands outside of the registry.
//!
//! [`Var::stop_gradient`]: crate::tape::Var::stop_gradient

use crate::op::{Cost, Elementwise, Samples};
use crate::scalar::Number;

/// A function in double precision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opaque<const N: usize>(pub(crate) fn([f64; N]) -> f64);

impl<const N: usize> PartialEq for Opaque<N> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.0, other.0)
    }
}

impl<const N: usize> Elementwise<N> for Opaque<N> {
    const NAME: &'static str = "opaque";
    const COST: Cost = Cost::nonlinear(1);
    const DIFFERENTIABLE: bool = false;
    const VECTORISES: bool = false;

    #[inline(always)]
    fn eval<A: Number>(self, x: [A; N]) -> A {
        A::opaque(x, self.0)
    }

    fn partial<A: Number>(self, _: usize, _: [A; N], y: A) -> A {
        y.constant(0.0)
    }

    fn samples(_: &mut Samples<Self>) {}
}

#[cfg(test)]
mod tests {
    use crate::scalar::Number;
    use crate::tape::Tape;

    #[test]
    fn variables_take_an_opaque_function_and_no_derivative_of_it() {
        let tape = Tape::new();
        let (x, y) = (tape.variable([3.0_f32, 5.0]), tape.variable(4.0));
        let z = Number::opaque([x, y], |[x, y]| x.hypot(y));
        assert_eq!(z.value().to_vec(), [5.0, 41.0_f64.sqrt() as f32]);
        assert_eq!((z * x).sum().backward().wrt(x).to_vec(), z.value().to_vec());
        let [value, slope] = (z * x).taylor(&[(x, &[tape.constant([1.0, 1.0])])], 1)[..] else {
            panic!("two coefficients")
        };
        assert_eq!([value.value().at(&[0]), slope.value().at(&[0])], [15.0, 5.0]);
    }
}
