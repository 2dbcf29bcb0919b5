//! The product of a local partial and a tangent or cotangent, as one loop.

use std::any::Any;
use std::sync::Arc;

use crate::kernel::block::{BlockKernel, Pointwise, alone};
use crate::kernel::map::map;
use crate::op::{Call, Cost, DynOp, Elementary, Elementwise, Role, Stacked, Term};
use crate::scalar::{Near, Plain, Real};
use crate::tape::Var;
use crate::tape::elemental::no_rules;
use crate::tensor::{Shape, View};

/// An element of each operand. (`array::from_fn` is three functions more for each `get`, of which
/// every op brings a dozen.)
#[inline(always)]
pub(super) fn gathered<T: Real, const N: usize>(get: impl Fn(usize) -> T) -> [T; N] {
    let mut x = [T::zero(); N];
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

impl<E: Elementwise<N>, const N: usize, const ARG: usize> PartialProduct<E, N, ARG> {
    #[inline(always)]
    fn product<T: Real>(self, x: [T; N], y: T, factor: T) -> T {
        E::PARTIALS.scale(Plain(factor), self.0.partial(ARG, x.map(Plain), Plain(y))).0
    }

    #[inline(always)]
    fn product_near<T: Real>(self, x: [T; N], y: T, factor: T) -> T {
        E::PARTIALS.scale(Near(factor), self.0.partial(ARG, x.map(Near), Near(y))).0
    }
}

impl<T: Real, E: Elementwise<N>, const N: usize, const ARG: usize> Pointwise<T>
    for PartialProduct<E, N, ARG>
{
    // The op's own operands, its value, and the factor.
    const OPERANDS: usize = N + 2;
    const IS_ELEMENTARY: bool = E::VECTORISES && E::COST.nonlinear > 0;
    const VECTORISES: bool = E::VECTORISES;

    #[inline(always)]
    fn at(self, get: impl Fn(usize) -> T) -> T {
        self.product(gathered(&get), get(N), get(N + 1))
    }

    #[inline(always)]
    fn is_near(self, get: impl Fn(usize) -> T) -> bool {
        self.0.is_near(gathered(get))
    }

    #[inline(always)]
    fn at_near(self, get: impl Fn(usize) -> T) -> T {
        self.product_near(gathered(&get), get(N), get(N + 1))
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
        let x: [T; N] = args[..N].try_into().ok()?;
        let (y, factor) = (args[N], args[N + 1]);
        Some(alone::<T, Self, _>(
            #[inline(always)]
            move || self.product(x, y, factor),
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
