//! The product of a local partial and a tangent or cotangent, as one loop.

use std::any::Any;
use std::sync::Arc;

use crate::kernel::block::{BlockKernel, Pointwise, alone};
use crate::kernel::map::map;
use crate::op::{Call, Cost, DynOp, Elementary, Elementwise, Role, Stacked, Term};
use crate::scalar::{Number, Plain, Real};
use crate::tape::Var;
use crate::tape::elemental::no_rules;
use crate::tensor::{Shape, View};

/// An element of each operand. (`array::from_fn` is three functions more for each `get`, of which
/// every op brings a dozen. An array that begins as zeros, and not as elements, leaves `select` its
/// loop for the last vectors.)
#[inline(always)]
pub(super) fn gathered<A: Number, const N: usize>(get: impl Fn(usize) -> A) -> [A; N] {
    let mut x = [get(0).constant(0.0); N];
    for (operand, x) in x.iter_mut().enumerate() {
        *x = get(operand);
    }
    x
}

/// The shape that operands take together.
pub(super) fn broadcast_all(args: &[&Shape]) -> Result<Shape, String> {
    let (first, rest) = args.split_first().ok_or("takes at least one operand")?;
    rest.iter().try_fold((*first).clone(), |shape, next| {
        if shape == **next {
            return Ok(shape);
        }
        shape.broadcast(next).ok_or_else(|| {
            format!("shapes {shape} and {next} do not broadcast: aligned at the right, extents must be equal or 1")
        })
    })
}

/// The partial of an elementwise op times a tangent or cotangent, in one pass
/// over memory. Only sweeps that keep nothing record it, so it needs no rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PartialProduct<E, const N: usize, const ARG: usize>(pub(super) E);

impl<E: Elementwise<N>, const N: usize, const ARG: usize> Pointwise for PartialProduct<E, N, ARG> {
    // The op's own operands, its value, and the factor.
    const OPERANDS: usize = N + 2;
    const IS_ELEMENTARY: bool = E::VECTORISES && E::COST.nonlinear > 0;
    const VECTORISES: bool = E::VECTORISES;
    const ANGLES: usize = if E::ARE_ANGLES { N } else { 0 };

    #[inline(always)]
    fn at<A: Number>(self, get: impl Fn(usize) -> A) -> A {
        let partial = self.0.partial(ARG, gathered(&get), get(N));
        E::PARTIALS.scale(get(N + 1), partial)
    }
}

impl<T: Real, E: Elementwise<N>, const N: usize, const ARG: usize> DynOp<T>
    for PartialProduct<E, N, ARG>
{
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        broadcast_all(args)
    }

    fn eval(&self, args: &[View<'_, T>], shape: &Shape, out: &mut [T]) {
        map(args, shape, out, self);
    }

    #[inline]
    fn eval_scalar(&self, args: &[T]) -> Option<T> {
        Some(alone::<Self, _>(
            #[inline(always)]
            || self.at(|operand| Plain(args[operand])).0,
        ))
    }

    no_rules!();

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.broadcast())
    }

    fn cost(&self, _: &[&Shape], result: &Shape) -> Cost {
        E::COST.and(Cost::muls(1)).times(result.elements())
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }

    fn role(&self) -> Role<'_, T> {
        Role::Elementwise(self)
    }
}

impl<T: Real, E: Elementwise<N>, const N: usize, const ARG: usize> Elementary<T>
    for PartialProduct<E, N, ARG>
{
    fn kernel(&self) -> Option<Arc<dyn BlockKernel<T>>> {
        Some(Arc::new(*self))
    }

    fn partials(&self, _: &[T]) -> Option<Vec<T>> {
        None
    }
}
