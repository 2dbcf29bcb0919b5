//! Moving elements without changing them: views and padding.
//!
//! All of them are linear, and those that can be views of their operand are:
//! they copy nothing.

use crate::kernel::map::{Walk, copy};
use crate::op::knowledge::positions::transposed;
use crate::op::{
    Dependence, Domain, Formula, Linear, Samples, ShapeClass, Shapes, Stacked, Term, operands,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{AxisList, Layout, Shape, View, check_progression};

/// Copies stretched along axes of extent 1 or missing ones.
#[derive(Clone, Debug, PartialEq)]
pub struct BroadcastTo {
    /// The shape of the result.
    pub shape: Shape,
}

impl Linear for BroadcastTo {
    const NAME: &'static str = "broadcast";
    const FORMULA: Formula = Formula::new(
        "x, repeated",
        "x's adjoint += sum of y's over the copies",
        r"y_{ij} = x_j,\quad \bar x_j \mathrel{+}= \sum_i \bar y_{ij}",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        if !x.broadcasts_to(&self.shape) {
            return Err(format!("{x} does not broadcast to {}", self.shape));
        }
        Ok(self.shape.clone())
    }

    fn view(&self, arg: &Layout) -> Option<(Layout, isize)> {
        Some((arg.broadcast_to(&self.shape), 0))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        copy_view(self, args, out);
    }

    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        bar.sum_to(&args.of(0))
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        let rank = self.shape.rank();
        Some(operands.filled_up(0, rank).broadcast_to(operands.shape(&self.shape)))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        let mut broadcast = |from: Shape, to: Shape| {
            samples.case(BroadcastTo { shape: to }, [(from, Domain::reals())]);
        };
        broadcast([].into(), [2, 3].into());
        broadcast([3].into(), [2, 3].into());
        broadcast([2, 3].into(), [2, 3].into());
        broadcast([2, 1, 3].into(), [2, 4, 3].into());
        broadcast([2, 1].into(), [3, 2, 2].into());
        broadcast([0].into(), [2, 0].into());
        let to_four = BroadcastTo { shape: [2, 4].into() };
        samples.error(to_four, &[[3].into()], "[3] does not broadcast to [2, 4]");
    }
}

/// The same elements in row-major order under another shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// The shape of the result.
    pub shape: Shape,
}

impl Linear for Reshape {
    const NAME: &'static str = "reshape";
    const FORMULA: Formula = Formula::new(
        "x, in another shape",
        "x's adjoint += y's, in x's shape",
        r"\operatorname{vec} y = \operatorname{vec} x",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        self.shape.check_elements()?;
        if x.elements() != self.shape.elements() {
            return Err(format!(
                "{x} has {} elements and {} has {}",
                x.elements(),
                self.shape,
                self.shape.elements()
            ));
        }
        Ok(self.shape.clone())
    }

    fn view(&self, arg: &Layout) -> Option<(Layout, isize)> {
        Some((arg.reshaped(&self.shape)?, 0))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        copy(args[0], out);
    }

    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        bar.reshape(args.of(0))
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.arg(0).reshape(operands.shape(&self.shape)))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        let mut reshape = |from: Shape, to: Shape| {
            samples.case(Reshape { shape: to }, [(from, Domain::reals())]);
        };
        reshape([].into(), [1, 1].into());
        reshape([6].into(), [2, 3].into());
        reshape([2, 3].into(), [3, 2].into());
        reshape([2, 3, 2].into(), [4, 3].into());
        reshape([1, 4].into(), [4].into());
        reshape([2, 0].into(), [0, 3].into());
        samples.error(Reshape { shape: [4].into() }, &[[2, 3].into()], "[2, 3] has 6 elements");
    }
}

/// The axes in another order.
#[derive(Clone, Debug, PartialEq)]
pub struct Permute {
    /// Axis `i` of the result is axis `order[i]` of the operand.
    pub order: AxisList,
}

impl Linear for Permute {
    const NAME: &'static str = "permute";
    const FORMULA: Formula = Formula::new(
        "x, its axes reordered",
        "x's adjoint += y's, reordered back",
        r"y_{\pi(i)} = x_i,\quad \bar x_i \mathrel{+}= \bar y_{\pi(i)}",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..x.rank()) {
            return Err(format!("{:?} is no order of the axes of {x}", self.order));
        }
        Ok(self.order.iter().map(|&axis| x[axis]).collect())
    }

    fn view(&self, arg: &Layout) -> Option<(Layout, isize)> {
        Some((arg.permuted(&self.order), 0))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        copy_view(self, args, out);
    }

    fn transpose<'t, T: Real>(
        &self,
        _: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        let mut order: AxisList = self.order.clone();
        for (position, &axis) in self.order.iter().enumerate() {
            order[axis] = position;
        }
        bar.apply(Permute { order })
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        let moved = self.order.iter().map(|axis| axis + 1);
        Some(operands.arg(0).permute_axes([0].into_iter().chain(moved).collect()))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        let mut permute = |shape: Shape, order: &[usize]| {
            samples.case(Permute { order: order.into() }, [(shape, Domain::reals())]);
        };
        permute([].into(), &[]);
        permute([3].into(), &[0]);
        permute([2, 3].into(), &[1, 0]);
        permute([2, 3, 4].into(), &[1, 2, 0]);
        permute([2, 1, 4].into(), &[2, 0, 1]);
        permute([0, 3].into(), &[1, 0]);
        let twice = Permute { order: [0, 0].as_slice().into() };
        samples.error(twice, &[[2, 3].into()], "is no order of the axes");
    }
}

/// Every `step`-th element along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// The axis.
    pub axis: usize,
    /// The first element.
    pub start: usize,
    /// How many elements.
    pub count: usize,
    /// The distance from one to the next, negative to go backwards.
    pub step: isize,
}

impl Linear for Slice {
    const NAME: &'static str = "slice";
    const FORMULA: Formula = Formula::new(
        "x[start + step i]",
        "x's adjoint[start + step i] += y's[i]",
        r"y_i = x_{a + s i},\quad \bar x_{a + s i} \mathrel{+}= \bar y_i",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        x.check_axis(self.axis)?;
        let Slice { axis, start, count, step } = *self;
        check_progression(start, count, step, x[axis])
            .map_err(|reason| format!("{reason} of axis {axis} of {x}"))?;
        Ok(x.with_axis(axis, count))
    }

    fn view(&self, arg: &Layout) -> Option<(Layout, isize)> {
        Some(arg.sliced(self.axis, self.start, self.count, self.step))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        copy_view(self, args, out);
    }

    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        let Slice { axis, start, count, step } = *self;
        let extent = args.of(0)[axis];
        if step == -1 && count == extent {
            // All elements, backwards: that is its own transpose, and a view.
            return bar.apply(self.clone());
        }
        bar.apply(Pad { axis, start, step, extent })
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.arg(0).apply(Slice { axis: self.axis + 1, ..*self }))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.absent(ShapeClass::Scalar, "a scalar has no axis to slice");
        let mut slice = |shape: Shape, axis, start, count, step| {
            samples.case(Slice { axis, start, count, step }, [(shape, Domain::reals())]);
        };
        slice([5].into(), 0, 1, 3, 1);
        slice([5].into(), 0, 4, 3, -2);
        slice([3, 4].into(), 1, 0, 2, 3);
        slice([2, 3, 4].into(), 1, 2, 3, -1);
        slice([1, 3].into(), 0, 0, 1, 1);
        slice([3, 4].into(), 0, 1, 0, 1);
        slice([0, 4].into(), 1, 1, 2, 2);
        let beyond = Slice { axis: 0, start: 2, count: 3, step: 1 };
        samples.error(beyond, &[[4].into()], "leaves the 4 elements of axis 0");
        samples.error(
            Slice { axis: 1, start: 0, count: 1, step: 1 },
            &[[4].into()],
            "there is no axis 1",
        );
    }
}

/// The elements spread along an axis of zeros: the transpose of [`Slice`]. With
/// step 1 this is padding.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// The axis.
    pub axis: usize,
    /// Where the first element goes.
    pub start: usize,
    /// The distance from one to the next, negative to go backwards.
    pub step: isize,
    /// The extent of the axis in the result.
    pub extent: usize,
}

impl Linear for Pad {
    const NAME: &'static str = "pad";
    const FORMULA: Formula = Formula::new(
        "y[start + step i] = x[i], else 0",
        "x's adjoint[i] += y's[start + step i]",
        r"y_{a + s i} = x_i,\quad \bar x_i \mathrel{+}= \bar y_{a + s i}",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        x.check_axis(self.axis)?;
        let Pad { axis, start, step, extent } = *self;
        let padded = x.with_axis(axis, extent);
        padded.check_elements()?;
        check_progression(start, x[axis], step, extent)
            .map_err(|reason| format!("{reason} that axis {axis} of {x} is padded to"))?;
        Ok(padded)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        out.fill(T::zero());
        let x = args[0];
        if x.is_empty() {
            return;
        }
        // Seen as [outer, axis, inner], both sides agree but for the axis.
        let inner: usize = x.shape()[self.axis + 1..].iter().product();
        let count = x.shape()[self.axis];
        let mut elements = Walk::new(x.layout(), x.offset());
        for out in out.chunks_exact_mut(self.extent * inner) {
            if self.step == 1 {
                elements.fill(&x, &mut out[self.start * inner..][..count * inner]);
                continue;
            }
            for i in 0..count {
                let place = (self.start as isize + i as isize * self.step) as usize;
                elements.fill(&x, &mut out[place * inner..][..inner]);
            }
        }
    }

    fn transpose<'t, T: Real>(
        &self,
        args: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        let Pad { axis, start, step, .. } = *self;
        bar.apply(Slice { axis, start, count: args.of(0)[axis], step })
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        let Pad { axis, start, step, extent } = *self;
        let place = |i: usize| (start as isize + i as isize * step) as usize;
        let places: Vec<Vec<usize>> = (0..args[0][axis]).map(|i| vec![place(i)]).collect();
        Dependence::along(args[0], axis, transposed(&places, extent))
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.arg(0).apply(Pad { axis: self.axis + 1, ..*self }))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.absent(ShapeClass::Scalar, "a scalar has no axis to pad");
        let mut pad = |shape: Shape, axis, start, step, extent| {
            samples.case(Pad { axis, start, step, extent }, [(shape, Domain::reals())]);
        };
        pad([3].into(), 0, 1, 1, 6);
        pad([3].into(), 0, 4, -2, 5);
        pad([2, 3].into(), 0, 1, 2, 4);
        pad([2, 3, 2].into(), 1, 0, 1, 4);
        pad([1, 2].into(), 0, 2, 1, 3);
        pad([0, 2].into(), 0, 0, 1, 2);
        let short = Pad { axis: 0, start: 1, step: 1, extent: 3 };
        samples.error(short, &[[3].into()], "leaves the 3 elements");
    }
}

/// Evaluates an op that is a view, where a copy is wanted all the same.
fn copy_view<T: Real, L: Linear>(op: &L, args: &[View<'_, T>], out: &mut [T]) {
    let (layout, moved) = op.view(args[0].layout()).expect("the op is a view");
    let offset = (args[0].offset() as isize + moved) as usize;
    copy(args[0].with_layout(&layout, offset), out);
}
