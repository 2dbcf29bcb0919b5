//! Tensors joined along an axis, one that they have or a new one.

use crate::op::knowledge::positions::listed;
use crate::op::{
    Along, Dependence, Domain, Formula, Linear, Samples, ShapeClass, Shapes, Slice, Stacked, Term,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// Tensors joined along an axis that they have.
#[derive(Clone, Debug, PartialEq)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Linear for Concat {
    const NAME: &'static str = "concat";
    const FORMULA: Formula = Formula::new(
        "operands, one after another",
        "each adjoint += its part of y's",
        r"y = (x_1, x_2, \dots),\quad \bar x_k \mathrel{+}= \bar y\,|_k",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let (first, rest) = args.split_first().ok_or("takes at least one operand")?;
        first.check_axis(self.axis)?;
        let mut total = first[self.axis];
        for next in rest {
            if next.rank() != first.rank() || next.with_axis(self.axis, first[self.axis]) != **first
            {
                return Err(format!("{first} and {next} differ beside axis {}", self.axis));
            }
            total = next[self.axis].saturating_add(total);
        }
        Ok(first.with_axis(self.axis, total))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let outer: usize = args[0].shape()[..self.axis].iter().product();
        join(args, outer, out);
    }

    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        arg: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        let start = (0..arg).map(|earlier| args.of(earlier)[self.axis]).sum();
        let count = args.of(arg)[self.axis];
        bar.apply(Slice { axis: self.axis, start, count, step: 1 })
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        let axis = self.axis;
        let start: usize = args[..arg].iter().map(|earlier| earlier[axis]).sum();
        let own = |i: usize| i.checked_sub(start).filter(|&i| i < args[arg][axis]);
        Dependence::along(args[arg], axis, listed(result[axis], own))
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        let args = operands.all_whole();
        Some(args[0].tape().apply(Concat { axis: self.axis + 1 }, &args))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.absent(ShapeClass::Scalar, "a scalar has no axis to join along");
        let mut concat = |axis, shapes: &[Shape]| {
            let args = shapes.iter().map(|shape| (shape.clone(), Domain::reals()));
            samples.case(Concat { axis }, args);
        };
        concat(0, &[[2].into(), [3].into()]);
        concat(0, &[[2, 3].into(), [1, 3].into()]);
        concat(1, &[[2, 3].into(), [2, 1].into(), [2, 2].into()]);
        concat(1, &[[2, 1, 3].into(), [2, 2, 3].into()]);
        concat(0, &[[1].into(), [1].into()]);
        concat(0, &[[0, 2].into(), [3, 2].into()]);
        samples.error(Concat { axis: 0 }, &[[2, 3].into(), [2, 4].into()], "differ beside axis 0");
    }
}

/// Tensors of one shape joined along a new axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// The new axis.
    pub axis: usize,
}

impl Linear for Stack {
    const NAME: &'static str = "stack";
    const FORMULA: Formula = Formula::new(
        "operands along a new axis",
        "each adjoint += its part of y's",
        r"y_k = x_k,\quad \bar x_k \mathrel{+}= \bar y_k",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let (first, rest) = args.split_first().ok_or("takes at least one operand")?;
        if self.axis > first.rank() {
            return Err(format!("a new axis {} leaves a gap in shape {first}", self.axis));
        }
        match rest.iter().find(|next| next != &first) {
            Some(next) => Err(format!("shapes {first} and {next} differ")),
            None => Ok(first.inserting(self.axis, args.len())),
        }
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let outer: usize = args[0].shape()[..self.axis].iter().product();
        join(args, outer, out);
    }

    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        arg: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        let part = Slice { axis: self.axis, start: arg, count: 1, step: 1 };
        bar.apply(part).reshape(args.of(arg))
    }

    fn dependence(&self, args: &[&Shape], arg: usize, _: &Shape) -> Dependence {
        let own =
            (0..args[arg].rank()).map(|axis| Along::Same(axis + usize::from(axis >= self.axis)));
        let place = listed(args.len(), |i| (i == arg).then_some(0));
        Dependence::Axes(own.chain([Along::Listed(self.axis, place)]).collect())
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        let args = operands.all_whole();
        Some(args[0].tape().apply(Stack { axis: self.axis + 1 }, &args))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        let mut stack = |axis, count, shape: Shape| {
            let args = (0..count).map(|_| (shape.clone(), Domain::reals()));
            samples.case(Stack { axis }, args);
        };
        stack(0, 3, [].into());
        stack(1, 2, [3].into());
        stack(0, 2, [2, 3].into());
        stack(2, 5, [2, 3].into());
        stack(1, 2, [2, 3, 2].into());
        stack(0, 2, [1].into());
        stack(1, 2, [0].into());
        samples.error(Stack { axis: 0 }, &[[2].into(), [3].into()], "shapes [2] and [3] differ");
    }
}

/// Writes operands one after another, for each of `outer` leading indices.
fn join<T: Real>(args: &[View<'_, T>], outer: usize, out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let stride = out.len() / outer;
    let mut start = 0;
    for arg in args {
        let width = arg.len() / outer;
        let parts = out.chunks_exact_mut(stride).map(|out| &mut out[start..start + width]);
        match arg.as_slice() {
            Some(_) if width == 0 => {}
            // One number each is no work for a copy of memory.
            Some(elements) if width == 1 => {
                parts.zip(elements).for_each(|(out, &x)| out[0] = x);
            }
            Some(elements) => {
                let parts = parts.zip(elements.chunks_exact(width));
                parts.for_each(|(out, part)| out.copy_from_slice(part));
            }
            None => {
                let mut elements = arg.iter();
                for out in parts {
                    out.iter_mut().zip(&mut elements).for_each(|(y, x)| *y = x);
                }
            }
        }
        start += width;
    }
}

/// Joins variables along an axis that they have.
///
/// ```
/// # use wengert_core::{Tape, concat};
/// let tape = Tape::new();
/// let (a, b) = (tape.variable([1.0, 2.0]), tape.variable([3.0]));
/// assert_eq!(concat(&[a, b], 0).value().to_vec(), [1.0, 2.0, 3.0]);
/// ```
///
/// # Panics
/// If there is none, or shapes differ beside that axis.
#[doc(alias("cat", "concatenate"))]
#[track_caller]
pub fn concat<'t, T: Real>(vars: &[Var<'t, T>], axis: isize) -> Var<'t, T> {
    let Some(first) = vars.first() else { panic!("concat: expected variables, got none") };
    let axis = first.resolve_axis("concat", axis, first.rank());
    first.tape().apply(Concat { axis }, vars)
}

/// Joins variables of one shape along a new axis; -1 puts it last.
///
/// # Panics
/// If there is none, or shapes differ.
#[track_caller]
pub fn stack<'t, T: Real>(vars: &[Var<'t, T>], axis: isize) -> Var<'t, T> {
    let Some(first) = vars.first() else { panic!("stack: expected variables, got none") };
    let axis = first.resolve_axis("stack", axis, first.rank() + 1);
    first.tape().apply(Stack { axis }, vars)
}
