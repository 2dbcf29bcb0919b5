//! Products of matrices and vectors.

use crate::kernel::gemm::{MatrixLayout, factors, matmul, outer};
use crate::op::{
    Along, Bilinear, Cost, Dependence, Domain, Formula, Samples, ShapeClass, Stacked, Term,
    filled_up,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Layout, Shape, View};

/// The matrix product over the last two axes; leading axes broadcast. A vector
/// on the left is a row, on the right a column, and that axis disappears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matmul;

/// Extents of a factor as a matrix: batch axes, rows, columns.
pub(in crate::op) fn left_extents(a: &Shape) -> (&[usize], usize, usize) {
    match a[..] {
        [k] => (&[], 1, k),
        _ => (&a[..a.rank() - 2], a[a.rank() - 2], a[a.rank() - 1]),
    }
}

fn right_extents(b: &Shape) -> (&[usize], usize, usize) {
    match b[..] {
        [k] => (&[], k, 1),
        _ => (&b[..b.rank() - 2], b[b.rank() - 2], b[b.rank() - 1]),
    }
}

impl Bilinear for Matmul {
    const NAME: &'static str = "matmul";
    const FORMULA: Formula = Formula::new(
        "A B",
        "dY = dA B + A dB",
        r"Y = A B,\quad \bar A \mathrel{+}= \bar Y B^T,\quad \bar B \mathrel{+}= A^T \bar Y",
    );

    fn shape(&self, a: &Shape, b: &Shape) -> Result<Shape, String> {
        if a.rank() == 0 || b.rank() == 0 {
            return Err(format!("{a} times {b}: a scalar is no matrix; use `*`"));
        }
        let (batch_a, m, k) = left_extents(a);
        let (batch_b, l, n) = right_extents(b);
        if k != l {
            return Err(format!("{a} times {b}: the inner extents {k} and {l} differ"));
        }
        let batch = Shape::from(batch_a)
            .broadcast(&batch_b.into())
            .ok_or_else(|| format!("{a} times {b}: the leading axes do not broadcast"))?;
        let rows = (a.rank() > 1).then_some(m);
        let columns = (b.rank() > 1).then_some(n);
        Ok(batch.iter().copied().chain(rows).chain(columns).collect())
    }

    fn eval<T: Real>(&self, a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
        matmul(a, b, out);
    }

    fn transpose_left<'t, T: Real>(&self, a: &Shape, b: Var<'t, T>, bar: Var<'t, T>) -> Var<'t, T> {
        if let Some([left, right]) = self.factors_of_left(a, b, bar) {
            return left.matmul(right);
        }
        match (a.rank(), b.rank()) {
            (1, 1) => b * bar,
            (1, 2) => b.matmul(bar),
            (1, _) => b.matmul(bar.unsqueeze(-1)).squeeze(-1).sum_to(a),
            (2, 1) => bar.outer(b),
            (_, 1) => bar.unsqueeze(-1) * b,
            _ => bar.matmul(b.matrix_transpose()).sum_to(a),
        }
    }

    fn transpose_right<'t, T: Real>(
        &self,
        a: Var<'t, T>,
        b: &Shape,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        if let Some([left, right]) = self.factors_of_right(a, b, bar) {
            return left.matmul(right);
        }
        match (a.rank(), b.rank()) {
            (1, 1) => a * bar,
            (1, 2) => a.outer(bar),
            (1, _) => a.unsqueeze(-1) * bar.unsqueeze(-2),
            (2, 1) => bar.matmul(a),
            (_, 1) => bar.flatten(0, -1).matmul(a.flatten(0, -2)),
            _ => a.matrix_transpose().matmul(bar).sum_to(b),
        }
    }

    fn factors_of_left<'t, T: Real>(
        &self,
        a: &Shape,
        b: Var<'t, T>,
        bar: Var<'t, T>,
    ) -> Option<[Var<'t, T>; 2]> {
        (a.rank() == 2 && b.rank() == 2).then(|| [bar, b.matrix_transpose()])
    }

    fn factors_of_right<'t, T: Real>(
        &self,
        a: Var<'t, T>,
        b: &Shape,
        bar: Var<'t, T>,
    ) -> Option<[Var<'t, T>; 2]> {
        // One product over all leading indices, instead of one for each and a sum.
        (a.rank() >= 2 && b.rank() == 2)
            .then(|| [a.flatten(0, -2).matrix_transpose(), bar.flatten(0, -2)])
    }

    fn factors(&self, a: &Layout, b: &Layout) -> Option<[MatrixLayout; 2]> {
        factors(a, b)
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        let [left, right] = [args[0].rank() > 1, args[1].rank() > 1];
        let batch = result.rank() - usize::from(left) - usize::from(right);
        let own = args[arg].rank().saturating_sub(2);
        let mut axes: Vec<Along> = (batch - own..batch).map(Along::Same).collect();
        match arg {
            0 => axes.extend(left.then_some(Along::Same(batch)).into_iter().chain([Along::All])),
            _ => axes.extend(
                [Along::All].into_iter().chain(right.then(|| Along::Same(result.rank() - 1))),
            ),
        }
        Dependence::Axes(axes)
    }

    fn cost(&self, a: &Shape, _: &Shape, result: &Shape) -> Cost {
        let products = result.elements() * left_extents(a).2;
        Cost::adds(products as u64).and(Cost::muls(products as u64))
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        let (a, b) = (operands.arg(0), operands.arg(1));
        let each = [operands.rank(0), operands.rank(1)];
        let is_stacked = [operands.is_stacked(0), operands.is_stacked(1)];
        // A stack of vectors is a matrix.
        match (each, is_stacked) {
            ([1, 1], [true, true]) => return Some((a * b).sum_over(-1)),
            ([1, 1 | 2], [true, false]) => return Some(a.matmul(b)),
            ([1, 1], [false, true]) => return Some(b.matmul(a)),
            ([2, 1], [false, true]) => return Some(b.matmul(a.transpose())),
            _ => {}
        }
        // Vectors become matrices of one row or column, and leading axes broadcast.
        let a = if each[0] == 1 { a.unsqueeze(-2) } else { a };
        let b = if each[1] == 1 { b.unsqueeze(-1) } else { b };
        let rank = each[0].max(each[1]).max(2);
        let a = if is_stacked[0] { filled_up(a, rank) } else { a };
        let b = if is_stacked[1] { filled_up(b, rank) } else { b };
        let mut y = a.matmul(b);
        if each[0] == 1 {
            y = y.squeeze(-2);
        }
        if each[1] == 1 {
            y = y.squeeze(-1);
        }
        Some(y)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.absent(ShapeClass::Scalar, "a scalar is no matrix");
        let mut product = |a: Shape, b: Shape| {
            samples.case(Matmul, [(a, Domain::reals()), (b, Domain::reals())]);
        };
        product([3].into(), [3].into());
        product([2, 3].into(), [3].into());
        product([3].into(), [3, 2].into());
        product([2, 3].into(), [3, 4].into());
        product([3, 3].into(), [3, 3].into());
        product([11, 9].into(), [9, 10].into());
        product([2, 3, 4].into(), [4, 2].into());
        product([3, 4].into(), [2, 4, 2].into());
        product([2, 3, 4].into(), [2, 4, 2].into());
        product([2, 1, 3, 4].into(), [3, 4, 2].into());
        product([4].into(), [2, 4, 3].into());
        product([2, 3, 4].into(), [4].into());
        product([1, 3].into(), [3, 1].into());
        product([2, 0].into(), [0, 3].into());
        product([0, 2].into(), [2, 3].into());
        samples.error(Matmul, &[[2, 3].into(), [4, 2].into()], "inner extents 3 and 4 differ");
        samples.error(Matmul, &[[].into(), [4, 2].into()], "a scalar is no matrix");
        samples.error(
            Matmul,
            &[[2, 1, 3].into(), [3, 3, 2].into()],
            "the leading axes do not broadcast",
        );
    }
}

/// The outer product of two vectors: `y[i, j] = a[i] b[j]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outer;

impl Bilinear for Outer {
    const NAME: &'static str = "outer";
    const FORMULA: Formula = Formula::new(
        "a b^T",
        "dY = da b^T + a db^T",
        r"Y = a b^T,\quad \bar a \mathrel{+}= \bar Y b,\quad \bar b \mathrel{+}= \bar Y^T a",
    );

    fn shape(&self, a: &Shape, b: &Shape) -> Result<Shape, String> {
        match (&a[..], &b[..]) {
            ([m], [n]) => Ok([*m, *n].into()),
            _ => Err(format!("{a} and {b} are not two vectors")),
        }
    }

    fn eval<T: Real>(&self, a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
        outer(a, b, out);
    }

    fn transpose_left<'t, T: Real>(&self, _: &Shape, b: Var<'t, T>, bar: Var<'t, T>) -> Var<'t, T> {
        bar.matmul(b)
    }

    fn transpose_right<'t, T: Real>(
        &self,
        a: Var<'t, T>,
        _: &Shape,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        a.matmul(bar)
    }

    fn factors(&self, a: &Layout, b: &Layout) -> Option<[MatrixLayout; 2]> {
        // A column times a row.
        Some([MatrixLayout::left(a).transposed(), MatrixLayout::left(b)])
    }

    fn dependence(&self, _: &[&Shape], arg: usize, _: &Shape) -> Dependence {
        Dependence::Axes(vec![Along::Same(arg)])
    }

    fn cost(&self, _: &Shape, _: &Shape, result: &Shape) -> Cost {
        Cost::muls(result.elements() as u64)
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.arg(0).unsqueeze(-1) * operands.arg(1).unsqueeze(-2))
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for class in [ShapeClass::Scalar, ShapeClass::Matrix, ShapeClass::Higher] {
            samples.absent(class, "takes vectors only");
        }
        let mut outer = |m: usize, n: usize| {
            samples.case(Outer, [([m].into(), Domain::reals()), ([n].into(), Domain::reals())]);
        };
        outer(3, 3);
        outer(2, 4);
        outer(1, 3);
        outer(0, 2);
        samples.error(Outer, &[[2, 3].into(), [3].into()], "are not two vectors");
    }
}
