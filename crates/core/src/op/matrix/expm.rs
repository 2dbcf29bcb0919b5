//! The exponential of matrices.

use super::factorise::own_matrix;
use super::solve::{elimination, square, square_matrices};
use crate::kernel::linalg;
use crate::op::{Call, Cost, Dependence, Domain, Formula, Op, Samples, Term, concat, operands};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// The matrix exponential.
///
/// Its derivative in a direction is a block of the exponential of a matrix of twice the
/// size: `exp([[A, E], [0, A]]) = [[exp(A), dexp(A)(E)], [0, exp(A)]]` (Higham,
/// *Functions of Matrices*, 2008, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expm;

impl Op for Expm {
    const NAME: &'static str = "expm";
    const FORMULA: Formula = Formula::new(
        "exp(A) = sum of A^k / k!",
        "dY = the upper right block of exp([[A, dA], [0, A]])",
        r"Y = e^A,\quad \exp \begin{pmatrix} A & \dot A \\ 0 & A \end{pmatrix} = \begin{pmatrix} Y & \dot Y \\ 0 & Y \end{pmatrix},\quad \bar A = \int_0^1 e^{s A^T} \bar Y e^{(1 - s) A^T} ds",
    );
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [a] = operands(args)?;
        square(a)?;
        Ok(a.clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., n, _] = args[0].shape()[..] else { return };
        linalg::for_each_matrix(args, n * n, out, &|args, y| linalg::expm(n, args[0], y));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        Some(in_direction(call.arg(0), tangents[0]?))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        Some(in_direction(call.arg(0).matrix_transpose(), bar))
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        elimination(args[0]).times(24)
    }

    fn dependence(&self, _: &[&Shape], _: usize, result: &Shape) -> Dependence {
        own_matrix(result)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        square_matrices(samples, Expm, Domain::between(-1.0, 1.0));
    }
}

/// The derivative of the exponential at `a`, applied to `direction`. It is linear in that, so
/// the direction is brought to the scale 1 first: one of another scale would cost digits of
/// the larger matrix.
fn in_direction<'t, T: Real>(a: Var<'t, T>, direction: Var<'t, T>) -> Var<'t, T> {
    let n = a.shape().last().map_or(0, |&n| n);
    if direction.elements() == 0 {
        return direction;
    }
    let size = direction.stop_gradient().norm([-2, -1]) + T::min_positive_value();
    let scale = size.unsqueeze(-1).unsqueeze(-1);
    let above = concat(&[a, direction / scale], -1);
    let below = concat(&[a.zeros_like(), a], -1);
    concat(&[above, below], -2).expm().slice(-2, ..n).slice(-1, n..) * scale
}
