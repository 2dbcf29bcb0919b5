//! The product with a transposed factor.
//!
//! `a.matmul(b.matrix_transpose())` has the same value. But the adjoint of `b` is then the
//! transpose of what the product's rule gives, and whatever reads it next, an optimiser for
//! one, walks across its rows. As an op of its own, the product gives an adjoint that lies as
//! `b` does. Weights are stored `[outputs, inputs]`, and keys `[time, width]`: products of this
//! form are what networks consist of.

use super::matmul::left_extents;
use crate::kernel::gemm::{MatrixLayout, factors, matmul_transposed};
use crate::op::{
    Along, Bilinear, Cost, Dependence, Domain, Formula, Samples, ShapeClass, Stacked, Term,
    filled_up,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Layout, Shape, View};

/// The matrix product `A B^T` over the last two axes; leading axes broadcast. A vector on the
/// left is a row, and that axis disappears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatmulTransposed;

impl Bilinear for MatmulTransposed {
    const NAME: &'static str = "matmul_transposed";
    const FORMULA: Formula = Formula::new(
        "A B^T",
        "dY = dA B^T + A dB^T",
        r"Y = A B^T,\quad \bar A \mathrel{+}= \bar Y B,\quad \bar B \mathrel{+}= \bar Y^T A",
    );

    fn shape(&self, a: &Shape, b: &Shape) -> Result<Shape, String> {
        if a.rank() == 0 || b.rank() < 2 {
            return Err(format!(
                "{a} times the transpose of {b}: the right factor is a matrix, the left one a vector at least"
            ));
        }
        let (batch_a, m, k) = left_extents(a);
        let (batch_b, n, l) = left_extents(b);
        if k != l {
            return Err(format!(
                "{a} times the transpose of {b}: the last extents {k} and {l} differ"
            ));
        }
        let batch = Shape::from(batch_a).broadcast(&batch_b.into()).ok_or_else(|| {
            format!("{a} times the transpose of {b}: the leading axes do not broadcast")
        })?;
        let rows = (a.rank() > 1).then_some(m);
        Ok(batch.iter().copied().chain(rows).chain([n]).collect())
    }

    fn eval<T: Real>(&self, a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
        matmul_transposed(a, b, out);
    }

    fn transpose_left<'t, T: Real>(&self, a: &Shape, b: Var<'t, T>, bar: Var<'t, T>) -> Var<'t, T> {
        match (a.rank(), b.rank()) {
            (1, 2) => bar.matmul(b),
            (1, _) => bar.unsqueeze(-2).matmul(b).squeeze(-2).sum_to(a),
            _ => bar.matmul(b).sum_to(a),
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
            (1, 2) => bar.outer(a),
            (1, _) => bar.unsqueeze(-1) * a,
            _ => bar.matrix_transpose().matmul(a).sum_to(b),
        }
    }

    fn factors_of_left<'t, T: Real>(
        &self,
        a: &Shape,
        b: Var<'t, T>,
        bar: Var<'t, T>,
    ) -> Option<[Var<'t, T>; 2]> {
        (a.rank() == 2 && b.rank() == 2).then_some([bar, b])
    }

    fn factors_of_right<'t, T: Real>(
        &self,
        a: Var<'t, T>,
        b: &Shape,
        bar: Var<'t, T>,
    ) -> Option<[Var<'t, T>; 2]> {
        // One product over all leading indices, instead of one for each and a sum.
        (a.rank() >= 2 && b.rank() == 2)
            .then(|| [bar.flatten(0, -2).matrix_transpose(), a.flatten(0, -2)])
    }

    fn factors(&self, a: &Layout, b: &Layout) -> Option<[MatrixLayout; 2]> {
        factors(a, b).map(|[left, right]| [left, right.transposed()])
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        let rows = usize::from(args[0].rank() > 1);
        let batch = result.rank() - rows - 1;
        let own = args[arg].rank().saturating_sub(2);
        let mut axes: Vec<Along> = (batch - own..batch).map(Along::Same).collect();
        match arg {
            0 => axes.extend((rows > 0).then_some(Along::Same(batch))),
            _ => axes.push(Along::Same(result.rank() - 1)),
        }
        axes.push(Along::All);
        Dependence::Axes(axes)
    }

    fn cost(&self, a: &Shape, _: &Shape, result: &Shape) -> Cost {
        let products = (result.elements() * left_extents(a).2) as u64;
        Cost::adds(products).and(Cost::muls(products))
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        let (a, b) = (operands.arg(0), operands.arg(1));
        let is_vector = operands.rank(0) == 1;
        // A stack of vectors is a matrix.
        if is_vector && !operands.is_stacked(1) && operands.rank(1) == 2 {
            return Some(a.matmul_transposed(b));
        }
        // Vectors become matrices of one row, and leading axes broadcast.
        let a = if is_vector { a.unsqueeze(-2) } else { a };
        let rank = operands.rank(0).max(operands.rank(1)).max(2);
        let a = if operands.is_stacked(0) { filled_up(a, rank) } else { a };
        let b = if operands.is_stacked(1) { filled_up(b, rank) } else { b };
        let y = a.matmul_transposed(b);
        Some(if is_vector { y.squeeze(-2) } else { y })
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.absent(ShapeClass::Scalar, "a scalar is no matrix");
        samples.absent(ShapeClass::Vector, "the right factor is a matrix");
        let mut product = |a: Shape, b: Shape| {
            samples.case(MatmulTransposed, [(a, Domain::reals()), (b, Domain::reals())]);
        };
        product([3].into(), [2, 3].into());
        product([2, 3].into(), [4, 3].into());
        product([3, 3].into(), [3, 3].into());
        product([11, 9].into(), [10, 9].into());
        product([2, 3, 4].into(), [2, 4].into());
        product([3, 4].into(), [2, 2, 4].into());
        product([2, 3, 4].into(), [2, 2, 4].into());
        product([2, 1, 3, 4].into(), [3, 2, 4].into());
        product([4].into(), [2, 3, 4].into());
        product([1, 3].into(), [1, 3].into());
        product([2, 0].into(), [3, 0].into());
        product([0, 2].into(), [3, 2].into());
        let mut refused = |a: Shape, b: Shape, reason: &'static str| {
            samples.error(MatmulTransposed, &[a, b], reason);
        };
        refused([2, 3].into(), [2, 4].into(), "last extents 3 and 4 differ");
        refused([3].into(), [3].into(), "the right factor is a matrix");
        refused([2, 1, 3].into(), [3, 3, 3].into(), "the leading axes do not broadcast");
    }
}
