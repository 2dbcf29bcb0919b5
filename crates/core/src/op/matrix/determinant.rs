//! The determinant and the pseudoinverse: functions of matrices that may be singular.

use super::factorise::own_matrix;
use super::solve::{LogAbsDet, elimination, square_matrices};
use super::symmetric::{directed, directed_samples};
use crate::kernel::{linalg, minors};
use crate::op::{Call, Cost, Dependence, Domain, Formula, Op, Samples, ShapeClass, Term, operands};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// `det A`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Det;

impl Op for Det {
    const NAME: &'static str = "det";
    const FORMULA: Formula = Formula::new(
        "det A",
        "dy = sum of C * dA, C the cofactors of A",
        r"y = \det A,\quad \dot y = \operatorname{tr}(\operatorname{adj}(A) \dot A),\quad \bar A = \bar y \operatorname{adj}(A)^T",
    );
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        LogAbsDet.shape(args)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let n = args[0].shape().last().map_or(0, |&n| n);
        linalg::for_each_matrix(args, 1, out, &|args, out| {
            out[0] = minors::det(n, args[0])?;
            Some(())
        });
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let cofactors = call.arg(0).apply(Cofactors { directions: 0 });
        Some((cofactors * tangents[0]?).sum_over([-2, -1]))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let cofactors = call.arg(0).apply(Cofactors { directions: 0 });
        Some(bar.unsqueeze(-1).unsqueeze(-1) * cofactors)
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        let n = args[0].last().map_or(0, |&n| n);
        elimination(args[0]).and(Cost::muls(n as u64).times(result.elements()))
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        LogAbsDet.dependence(args, arg, result)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        square_matrices(samples, Det, Domain::matrix());
    }
}

/// The cofactors of a matrix, which are the gradient of its determinant; with `directions`,
/// which are further operands, their derivative in all of these together. A polynomial, so
/// it is right at singular matrices too.
///
/// The derivative of the determinant in several directions does not depend on their order,
/// so one direction more states the rule for the matrix, and the adjoints are the same op.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cofactors {
    /// The number of directions.
    pub directions: usize,
}

impl Op for Cofactors {
    const NAME: &'static str = "cofactors";
    const FORMULA: Formula = Formula::new(
        "the gradient of det A; with k directions the derivative of that in these",
        "dY = the same with the direction dA more",
        r"\langle Y, X \rangle = D^{k+1} \det(A)[E_1, \ldots, E_k, X],\quad \dot Y = Y(A; E_1, \ldots, E_k, \dot A),\quad \bar A = Y(A; E_1, \ldots, E_k, \bar Y)",
    );
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        directed(args, self.directions)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., n, _] = args[0].shape()[..] else { return };
        linalg::for_each_matrix(args, n * n, out, &|args, y| minors::cofactors(n, args, y));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let terms = tangents
            .iter()
            .enumerate()
            .filter_map(|(arg, tangent)| Some(self.with(call.args(), arg, (*tangent)?)));
        terms.reduce(|sum, term| sum + term)
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        Some(self.with(call.args(), arg, bar))
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        let n = args[0].last().map_or(0, |&n| n);
        let terms = (1..=self.directions + 1).product::<usize>() * n.pow(self.directions as u32);
        let products = Cost::adds(2).and(Cost::muls(2)).times(args[0].elements() * n);
        products
            .times(12 + self.directions)
            .and(Cost::adds(1).and(Cost::muls(2)).times(args[0].elements() * terms))
    }

    fn dependence(&self, _: &[&Shape], _: usize, result: &Shape) -> Dependence {
        own_matrix(result)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        directed_samples(samples, |directions| Cofactors { directions });
    }
}

impl Cofactors {
    /// Another direction in the place of one, or one more in that of the matrix.
    fn with<'t, T: Real>(
        self,
        args: &[Var<'t, T>],
        arg: usize,
        direction: Var<'t, T>,
    ) -> Var<'t, T> {
        let mut args = args.to_vec();
        if arg == 0 {
            args.push(direction);
        } else {
            args[arg] = direction;
        }
        args[0].tape().apply(Cofactors { directions: args.len() - 1 }, &args)
    }
}

/// The pseudoinverse of Moore and Penrose. Singular values up to `tolerance` times the
/// largest are taken as 0.
///
/// The rule is that of changes which keep the rank (Golub & Pereyra 1973). Others have no
/// derivative, unless the rank is full: the pseudoinverse jumps there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pinv {
    /// The least share of the largest singular value that counts.
    pub tolerance: f64,
}

impl Op for Pinv {
    const NAME: &'static str = "pinv";
    const FORMULA: Formula = Formula::new(
        "X = V diag(1 / s) U^T of A = U diag(s) V^T, where s > tolerance",
        "dX = X X^T dA^T (I - A X) + (I - X A) dA^T X^T X - X dA X",
        r"X = A^+,\quad \dot X = X X^T \dot A^T (I - A X) + (I - X A) \dot A^T X^T X - X \dot A X",
    )
    .with_convention("below full rank, the derivative is that of changes which keep the rank");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [a] = operands(args)?;
        match a[..] {
            [.., m, n] => Ok(a.with_axis(a.rank() - 2, n).with_axis(a.rank() - 1, m)),
            _ => Err(format!("a {a} is no matrix")),
        }
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., m, n] = args[0].shape()[..] else { return };
        linalg::for_each_matrix(args, m * n, out, &|args, x| {
            linalg::pinv(m, args[0], self.tolerance, x)
        });
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let (a, x) = (call.arg(0), call.value());
        let direction = tangents[0]?;
        let transposed = direction.matrix_transpose();
        let (x_t, a_t) = (x.matrix_transpose(), a.matrix_transpose());
        // Row and column space: `A X` and `X A` are symmetric.
        let left = x_t.matmul(transposed);
        let left = x.matmul(left - left.matmul(x_t.matmul(a_t).matrix_transpose()));
        let right = transposed.matmul(x_t);
        let right = (right - x.matmul(a.matmul(right))).matmul(x);
        Some(left + right - x.matmul(direction).matmul(x))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let (a, x) = (call.arg(0), call.value());
        let transposed = bar.matrix_transpose();
        let x_t = x.matrix_transpose();
        let left = transposed.matmul(x);
        let left = (left - a.matmul(x.matmul(left))).matmul(x_t);
        let right = x.matmul(transposed);
        let right = x_t.matmul(right - right.matmul(x).matmul(a));
        Some(left + right - x_t.matmul(bar).matmul(x_t))
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        let small = args[0].iter().rev().take(2).min().map_or(0, |&n| n);
        Cost::adds(13).and(Cost::muls(13)).times(args[0].elements() * small)
    }

    /// How far the matrix is from one of lower rank.
    fn kink_distance<T: Real>(&self, args: &[View<'_, T>]) -> T {
        let [.., m, n] = args[0].shape()[..] else { return T::infinity() };
        let size = ((m * n) as f64).sqrt();
        linalg::least_of_each(args, &|args| {
            let s = linalg::singular_values(m, args[0])?;
            let (&largest, &least) = (s.first()?, s.last()?);
            Some(if least > self.tolerance * largest { least / size } else { 0.0 })
        })
    }

    fn dependence(&self, _: &[&Shape], _: usize, result: &Shape) -> Dependence {
        own_matrix(result)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for class in [ShapeClass::Scalar, ShapeClass::Vector] {
            samples.absent(class, "takes matrices");
        }
        let op = Pinv { tolerance: 1e-6 };
        for shape in [[3, 3], [4, 2], [2, 3], [1, 2], [3, 0]] {
            samples.case(op, [(shape.into(), Domain::matrix())]);
        }
        samples.case(op, [([2, 3, 2].into(), Domain::matrix())]);
        samples.error(op, &[[3].into()], "a [3] is no matrix");
    }
}

/// # Pseudoinverses
impl<T: Real> Var<'_, T> {
    /// The pseudoinverses of matrices over the last two axes: `[.., n, m]` of `[.., m, n]`.
    /// Singular values up to `max(m, n)` roundings of the largest are taken as 0; another
    /// bound is a parameter of [`Pinv`].
    ///
    /// Of a matrix of full rank the derivative is right. Of one below that it is the
    /// derivative along changes that keep the rank; along others there is none.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::<f64>::new();
    /// let a = tape.variable([[2.0, 0.0], [0.0, 0.0], [0.0, 0.5]]);
    /// let x = a.pinv().value();
    /// assert!((x.at(&[0, 0]) - 0.5).abs() < 1e-15 && (x.at(&[1, 2]) - 2.0).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn pinv(self) -> Self {
        let extent = self.shape().iter().rev().take(2).copied().max().unwrap_or(0);
        self.apply(Pinv { tolerance: extent as f64 * T::epsilon().as_f64() })
    }
}
