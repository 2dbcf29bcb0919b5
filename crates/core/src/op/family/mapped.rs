//! The shell of elementwise ops: one loop over memory, or the formula recorded.

use std::any::Any;
use std::sync::Arc;

use super::elementwise::Elementwise;
use super::partial_product::{PartialProduct, broadcast_all, gathered};
use crate::kernel::block::{BlockKernel, MAX_OPERANDS, Pointwise, alone};
use crate::kernel::map::map;
use crate::op::{
    Call, Cost, Dependence, DynOp, Elementary, Formula, Operation, Role, SampleSet, Samples,
    Series, SeriesCall, Stacked, Term, add_terms, family, operands,
};
use crate::scalar::{Number, Plain, Reads, Real};
use crate::tape::Var;
use crate::tensor::{Layout, Shape, View};

/// Shell of an [`Elementwise`] op.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mapped<E, const N: usize>(E);

impl<T: Real, E: Elementwise<N>, const N: usize> Operation<T, family::Elementwise<N>> for E {
    type Dyn = Mapped<E, N>;

    #[inline]
    fn into_dyn(self) -> Mapped<E, N> {
        Mapped(self)
    }

    fn sample_set() -> SampleSet<T> {
        let mut samples = Samples::new();
        Self::samples(&mut samples);
        samples.erase()
    }
}

impl<E: Elementwise<N>, const N: usize> Pointwise for Mapped<E, N> {
    const OPERANDS: usize = N;
    const IS_ELEMENTARY: bool = E::VECTORISES && E::COST.nonlinear > 0;
    const VECTORISES: bool = E::VECTORISES;
    const ANGLES: usize = if E::ARE_ANGLES { N } else { 0 };

    #[inline(always)]
    fn at<A: Number>(self, get: impl Fn(usize) -> A) -> A {
        self.0.eval(gathered(get))
    }
}

/// The operands of an op, as many as its shape rule has let pass.
fn each<X: Copy, const N: usize>(operands: &[X]) -> [X; N] {
    operands.try_into().expect("the shape rule has passed")
}

/// The least of a function of one element of each operand.
fn least<T: Real>(args: &[View<'_, T>], of: &dyn Fn(&[T]) -> T) -> T {
    // Only checks ask for it, so it need not be fast.
    let shapes: Vec<&Shape> = args.iter().map(|arg| arg.shape()).collect();
    let shape = broadcast_all(&shapes).expect("the shape rule has passed");
    let layouts: Vec<Layout> = args.iter().map(|arg| arg.layout().broadcast_to(&shape)).collect();
    let operands: Vec<Vec<T>> = args
        .iter()
        .zip(&layouts)
        .map(|(arg, layout)| arg.with_layout(layout, arg.offset()).iter().collect())
        .collect();
    (0..shape.elements())
        .map(|i| of(&operands.iter().map(|operand| operand[i]).collect::<Vec<T>>()))
        .fold(T::infinity(), T::min)
}

/// What the operands' tangents add to the result's, in its shape, each `scaled` by its partial.
fn add_tangents<'t, T: Real>(
    call: &Call<'_, 't, T>,
    tangents: &[Term<'t, T>],
    scaled: &dyn Fn(usize, Var<'t, T>) -> Term<'t, T>,
) -> Term<'t, T> {
    let shape = call.value().shape();
    add_terms(
        tangents
            .iter()
            .enumerate()
            .map(|(arg, tangent)| Some(scaled(arg, (*tangent)?)?.broadcast_to(&shape))),
    )
}

/// The operands of a [`PartialProduct`]. Where the formula does not read an operand or the value,
/// the factor stands for it, so that nothing has to be kept for its sake.
fn product_operands<'t, T: Real>(
    call: &Call<'_, 't, T>,
    factor: Var<'t, T>,
    reads: Reads,
) -> [Var<'t, T>; MAX_OPERANDS] {
    let mut args = [factor; MAX_OPERANDS];
    for (i, (slot, &x)) in args.iter_mut().zip(call.args()).enumerate() {
        if reads.contain(i) {
            *slot = x;
        }
    }
    let value = call.args().len();
    if reads.contain(value) {
        args[value] = call.value();
    }
    args
}

impl<E: Elementwise<N>, const N: usize> Mapped<E, N> {
    /// A tangent or cotangent times the local partial, in the result's shape.
    fn scaled<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        factor: Var<'t, T>,
    ) -> Term<'t, T> {
        if const { !E::DIFFERENTIABLE } {
            return None;
        }
        let op = self.0;
        if let Some(slopes) = op.slopes() {
            return match slopes[arg] {
                0.0 => None,
                1.0 => Some(factor),
                -1.0 => Some(-factor),
                slope => Some(factor * T::from_f64(slope)),
            };
        }
        if let Some(operand) = op.partial_operand(arg) {
            return Some(factor * call.arg(operand));
        }
        let xs: [Var<'t, T>; N] = each(call.args());
        let recorded = || E::PARTIALS.scale(factor, op.partial(arg, xs, call.value()));
        let tape = factor.tape();
        if tape.records_derivatives() || N + 2 > MAX_OPERANDS {
            return Some(recorded());
        }
        let reads = op.partial(arg, std::array::from_fn(Reads::of), Reads::of(N));
        let args = &product_operands(call, factor, reads)[..N + 2];
        // Constants, so that nothing is compiled for operands that there are not.
        Some(match arg {
            0 => tape.record(PartialProduct::<E, N, 0>(op), args),
            1 if const { N > 1 } => tape.record(PartialProduct::<E, N, 1>(op), args),
            2 if const { N > 2 } => tape.record(PartialProduct::<E, N, 2>(op), args),
            _ => recorded(),
        })
    }
}

impl<T: Real, E: Elementwise<N>, const N: usize> DynOp<T> for Mapped<E, N> {
    as_written!(E);

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        broadcast_all(&operands::<N>(args)?)
    }

    fn eval(&self, args: &[View<'_, T>], shape: &Shape, out: &mut [T]) {
        map(args, shape, out, self);
    }

    #[inline]
    fn eval_scalar(&self, args: &[T]) -> Option<T> {
        let x: [T; N] = args.try_into().ok()?;
        Some(alone::<Self, _>(
            #[inline(always)]
            move || self.0.eval(x.map(Plain)).0,
        ))
    }

    #[inline]
    fn is_differentiable(&self) -> bool {
        E::DIFFERENTIABLE
    }

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        add_tangents(call, tangents, &|arg, tangent| self.scaled(call, arg, tangent))
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        Some(self.scaled(call, arg, bar)?.sum_to_shape_of(call.arg(arg)))
    }

    fn taylor<'s, 't>(&self, call: SeriesCall<'s, 't, T>) -> Series<'s, 't, T> {
        let op = self.0;
        if op.slopes().is_some() {
            return call.linear();
        }
        let xs: [Series<'s, 't, T>; N] = each(call.args());
        if const { E::IS_CLOSED_FORM } {
            return call.closed(op.eval(xs));
        }
        call.solved(&|arg, y, rate| E::PARTIALS.scale(rate, op.partial(arg, xs, y)))
    }

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.broadcast())
    }

    fn cost(&self, _: &[&Shape], result: &Shape) -> Cost {
        E::COST.times(result.elements())
    }

    fn kink_distance(&self, args: &[View<'_, T>]) -> T {
        least(args, &|x| self.0.kink_distance(each(x)))
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        match self.0.slopes() {
            Some(slopes) if slopes[arg] == 0.0 => Dependence::Nothing,
            _ => Dependence::broadcast(args[arg], result),
        }
    }

    #[inline]
    fn role(&self) -> Role<'_, T> {
        Role::Elementwise(self)
    }
}

impl<T: Real, E: Elementwise<N>, const N: usize> Elementary<T> for Mapped<E, N> {
    fn kernel(&self) -> Option<Arc<dyn BlockKernel<T>>> {
        Some(Arc::new(*self))
    }

    fn identity(&self, known: &[Option<T>]) -> Option<usize> {
        self.0.identity(known.try_into().ok()?)
    }

    fn partials(&self, args: &[T]) -> Option<Vec<T>> {
        let x = <[T; N]>::try_from(args).ok()?.map(Plain);
        let y = self.0.eval(x);
        let mut partials = vec![T::zero(); N];
        for (arg, partial) in partials.iter_mut().enumerate() {
            *partial = self.0.partial(arg, x, y).0;
        }
        Some(partials)
    }
}
