//! Reading and adding at given positions along an axis.

use std::sync::Arc;

use crate::kernel::along::scatter_at;
use crate::op::knowledge::positions::transposed;
use crate::op::{
    Cost, Dependence, Domain, Formula, Linear, Samples, ShapeClass, Shapes, Stacked, Term, operands,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// Copies the parts of `inner` elements at some positions.
fn read_at<T: Real>(x: &[T], indices: &[usize], inner: usize, out: &mut [T]) {
    if inner == 1 {
        // One number each is no work for a copy of memory.
        out.iter_mut().zip(indices).for_each(|(y, &index)| *y = x[index]);
        return;
    }
    for (out, &index) in out.chunks_exact_mut(inner).zip(indices) {
        out.copy_from_slice(&x[index * inner..][..inner]);
    }
}

/// The elements at given positions along an axis, in the order of the positions,
/// which may repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// The axis.
    pub axis: usize,
    /// The positions.
    pub indices: Arc<[usize]>,
}

impl Linear for Gather {
    const NAME: &'static str = "gather";
    const FORMULA: Formula = Formula::new(
        "y[k] = x[indices[k]]",
        "x's adjoint[indices[k]] += y's[k]",
        r"y_k = x_{i_k},\quad \bar x_{i_k} \mathrel{+}= \bar y_k",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        x.check_axis(self.axis)?;
        check(&self.indices, x[self.axis])
            .map_err(|reason| format!("{reason} of axis {} of {x}", self.axis))?;
        Ok(x.with_axis(self.axis, self.indices.len()))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        if out.is_empty() {
            return;
        }
        let x = args[0];
        let inner: usize = x.shape()[self.axis + 1..].iter().product();
        if let Some(elements) = x.as_slice() {
            let stride = x.shape()[self.axis] * inner;
            let outs = out.chunks_exact_mut(self.indices.len() * inner);
            for (out, elements) in outs.zip(elements.chunks_exact(stride)) {
                read_at(elements, &self.indices, inner, out);
            }
            return;
        }
        // One view a position, written to its place: [outer, position, inner].
        for (k, &index) in self.indices.iter().enumerate() {
            let (layout, moved) = x.layout().sliced(self.axis, index, 1, 1);
            let part = x.with_layout(&layout, (x.offset() as isize + moved) as usize);
            let mut elements = part.iter();
            for out in out.chunks_exact_mut(self.indices.len() * inner) {
                for (y, x) in out[k * inner..(k + 1) * inner].iter_mut().zip(&mut elements) {
                    *y = x;
                }
            }
        }
    }

    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        let Gather { axis, indices } = self.clone();
        bar.apply(ScatterAdd { axis, indices, extent: args.of(0)[axis] })
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        let positions = self.indices.iter().map(|&index| vec![index]).collect();
        Dependence::along(args[0], self.axis, positions)
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.arg(0).apply(Gather { axis: self.axis + 1, ..self.clone() }))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.absent(ShapeClass::Scalar, "a scalar has no axis to read along");
        let mut gather = |shape: Shape, axis, indices: &[usize]| {
            let op = Gather { axis, indices: indices.into() };
            samples.case(op, [(shape, Domain::reals())]);
        };
        gather([4].into(), 0, &[2, 0, 2]);
        gather([3, 4].into(), 0, &[1, 1]);
        gather([3, 4].into(), 1, &[3, 0, 1]);
        gather([2, 3, 2].into(), 1, &[2, 0]);
        gather([1, 3].into(), 0, &[0, 0]);
        gather([3, 2].into(), 0, &[]);
        gather([3, 0].into(), 0, &[1]);
        let beyond = Gather { axis: 0, indices: [4].as_slice().into() };
        samples.error(beyond, &[[4].into()], "index 4 is outside of the 4 elements");
    }
}

/// The elements added at given positions of an axis of zeros: the transpose of
/// [`Gather`]. Where positions repeat, elements add up, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterAdd {
    /// The axis.
    pub axis: usize,
    /// Where each element along the axis goes.
    pub indices: Arc<[usize]>,
    /// The extent of the axis in the result.
    pub extent: usize,
}

impl Linear for ScatterAdd {
    const NAME: &'static str = "scatter_add";
    const FORMULA: Formula = Formula::new(
        "y[indices[k]] += x[k], from 0",
        "x's adjoint[k] += y's[indices[k]]",
        r"y_i = \sum_{k: i_k = i} x_k,\quad \bar x_k \mathrel{+}= \bar y_{i_k}",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        let ScatterAdd { axis, indices, extent } = self;
        x.check_axis(*axis)?;
        if x[*axis] != indices.len() {
            return Err(format!("{} indices do not fit axis {axis} of {x}", indices.len()));
        }
        check(indices, *extent).map_err(|reason| format!("{reason} of the result"))?;
        Ok(x.with_axis(*axis, *extent))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        scatter_at(&self.indices, args[0], self.axis, self.extent, out);
    }

    fn transpose<'t, T: Real>(
        &self,
        _: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        bar.apply(Gather { axis: self.axis, indices: self.indices.clone() })
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        Cost::adds(args[0].elements() as u64)
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        let places: Vec<Vec<usize>> = self.indices.iter().map(|&index| vec![index]).collect();
        Dependence::along(args[0], self.axis, transposed(&places, self.extent))
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.arg(0).apply(ScatterAdd { axis: self.axis + 1, ..self.clone() }))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.absent(ShapeClass::Scalar, "a scalar has no axis to add along");
        let mut scatter = |shape: Shape, axis, indices: &[usize], extent| {
            let op = ScatterAdd { axis, indices: indices.into(), extent };
            samples.case(op, [(shape, Domain::reals())]);
        };
        scatter([3].into(), 0, &[2, 0, 2], 4);
        scatter([2, 3].into(), 0, &[1, 1], 2);
        scatter([2, 3].into(), 1, &[3, 0, 1], 5);
        scatter([2, 2, 3].into(), 1, &[2, 0], 3);
        scatter([1, 3].into(), 0, &[1], 2);
        scatter([0, 3].into(), 0, &[], 2);
        let misfit = ScatterAdd { axis: 0, indices: [0, 1].as_slice().into(), extent: 2 };
        samples.error(misfit, &[[3].into()], "2 indices do not fit axis 0");
    }
}

fn check(indices: &[usize], extent: usize) -> Result<(), String> {
    match indices.iter().find(|&&index| index >= extent) {
        Some(index) => Err(format!("index {index} is outside of the {extent} elements")),
        None => Ok(()),
    }
}
