//! Systems of linear equations, and determinants.
//!
//! Leading axes of operands are a batch, of matrices that have nothing to do with one
//! another. The derivative of a solution is the solution of a system with the same
//! matrix, and its adjoint that of one with the transposed matrix, so these rules are
//! made of the ops themselves.

use crate::kernel::linalg;
use crate::op::{
    Along, Call, Cost, Dependence, Domain, Formula, Op, Samples, ShapeClass, Term, add_terms,
    operands,
};
use crate::scalar::Real;
use crate::tape::{Operand, Var};
use crate::tensor::{Shape, View};

/// `X` of `A X = B`, by elimination with pivots; NaN where `A` is singular.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solve;

impl Op for Solve {
    const NAME: &'static str = "solve";
    const FORMULA: Formula = Formula::new(
        "A^-1 B",
        "dX = A^-1 (dB - dA X)",
        r"A X = B,\quad \bar B = A^{-T} \bar X,\quad \bar A = -\bar B X^T",
    )
    .with_convention("where A is singular, all is NaN");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        system(args)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., n, k] = args[1].shape()[..] else { return };
        linalg::for_each_matrix(args, n * k, out, &|args, x| linalg::solve(n, args[0], args[1], x));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let right = add_terms([tangents[1], tangents[0].map(|da| -da.matmul(call.value()))])?;
        Some(right.tape().apply(Solve, &[call.arg(0), right]))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let transposed = || [call.arg(0).matrix_transpose(), bar];
        let [right] = call.shared(|| [bar.tape().apply(Solve, &transposed())]);
        Some(match arg {
            0 => -right.matmul(call.value().matrix_transpose()),
            _ => right,
        })
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        elimination(args[0]).and(substitutions(args[0], result).times(2))
    }

    fn dependence(&self, _: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        of_column(arg, result)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        systems(samples, Solve);
    }
}

/// `X` of `A X = B` for a triangular `A`, by substitution. The other triangle is not
/// read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolveTriangular {
    /// Whether `A` is the upper triangle, and not the lower one.
    pub upper: bool,
    /// Whether the diagonal of `A` is taken as ones, and not read either.
    pub unit: bool,
}

impl SolveTriangular {
    /// The triangle that is read.
    fn triangle<'t, T: Real>(self, x: Var<'t, T>) -> Var<'t, T> {
        let beside = isize::from(self.unit);
        if self.upper { x.triu(beside) } else { x.tril(-beside) }
    }
}

impl Op for SolveTriangular {
    const NAME: &'static str = "solve_triangular";
    const FORMULA: Formula = Formula::new(
        "A^-1 B, A triangular",
        "dX = A^-1 (dB - triangle(dA) X)",
        r"A X = B,\quad \bar B = A^{-T} \bar X,\quad \bar A = -\mathrm{tri}(\bar B X^T)",
    )
    .with_convention("where A has a 0 on its diagonal, X is infinite or NaN");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        system(args)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., n, k] = args[1].shape()[..] else { return };
        linalg::for_each_matrix(args, n * k, out, &|args, x| {
            linalg::solve_triangular(n, [self.upper, self.unit], args[0], args[1], x);
            Some(())
        });
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let left = tangents[0].map(|da| -self.triangle(da).matmul(call.value()));
        let right = add_terms([tangents[1], left])?;
        Some(right.tape().apply(*self, &[call.arg(0), right]))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let transposed = || [call.arg(0).matrix_transpose(), bar];
        let back = SolveTriangular { upper: !self.upper, ..*self };
        let [right] = call.shared(|| [bar.tape().apply(back, &transposed())]);
        Some(match arg {
            0 => -self.triangle(right.matmul(call.value().matrix_transpose())),
            _ => right,
        })
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        substitutions(args[0], result)
    }

    fn dependence(&self, _: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        of_column(arg, result)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        let lower = SolveTriangular { upper: false, unit: false };
        systems(samples, lower);
        for (upper, unit) in [(true, false), (false, true), (true, true)] {
            samples.case(SolveTriangular { upper, unit }, operands_of([3, 3], [3, 2]));
        }
    }
}

/// `ln |det A|`; minus infinity where `A` is singular.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogAbsDet;

impl Op for LogAbsDet {
    const NAME: &'static str = "log_abs_det";
    const FORMULA: Formula = Formula::new(
        "ln |det A|",
        "dy = trace(A^-1 dA)",
        r"y = \ln |\det A|,\quad \dot y = \operatorname{tr}(A^{-1} \dot A),\quad \bar A = \bar y A^{-T}",
    )
    .with_convention("where A is singular, the derivative is NaN");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [a] = operands(args)?;
        square(a)?;
        Ok(a[..a.rank() - 2].into())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        determinants(args, 0, out);
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        Some(call.arg(0).solve(tangents[0]?).trace())
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let inverse = call.arg(0).matrix_transpose().inverse();
        Some(bar.unsqueeze(-1).unsqueeze(-1) * inverse)
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        let n = args[0].last().map_or(0, |&n| n);
        elimination(args[0]).and(Cost::nonlinear(n as u64).times(result.elements()))
    }

    fn dependence(&self, _: &[&Shape], _: usize, result: &Shape) -> Dependence {
        Dependence::Axes(
            (0..result.rank()).map(Along::Same).chain([Along::All, Along::All]).collect(),
        )
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        square_matrices(samples, LogAbsDet, Domain::matrix());
    }
}

/// The sign of `det A`; 0 where `A` is singular.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignDet;

impl Op for SignDet {
    const NAME: &'static str = "sign_det";
    const FORMULA: Formula =
        Formula::new("sign of det A", "dy = 0", r"y = \operatorname{sign} \det A,\quad \dot y = 0")
            .with_convention("no derivative flows through it, not even where A is singular");
    const DIFFERENTIABLE: bool = false;
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        LogAbsDet.shape(args)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        determinants(args, 1, out);
    }

    fn jvp<'t, T: Real>(&self, _: &Call<'_, 't, T>, _: &[Term<'t, T>]) -> Term<'t, T> {
        None
    }

    fn vjp<'t, T: Real>(&self, _: &Call<'_, 't, T>, _: usize, _: Var<'t, T>) -> Term<'t, T> {
        None
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        elimination(args[0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        square_matrices(samples, SignDet, Domain::matrix());
    }
}

/// One of the two numbers that [`linalg::log_det`] gives.
fn determinants<T: Real>(args: &[View<'_, T>], which: usize, out: &mut [T]) {
    let n = args[0].shape().last().map_or(0, |&n| n);
    linalg::for_each_matrix(args, 1, out, &|args, out| {
        out[0] = linalg::log_det(n, args[0])?[which];
        Some(())
    });
}

/// The number of rows of square matrices.
pub(in crate::op) fn square(a: &Shape) -> Result<usize, String> {
    match a[..] {
        [.., n, m] if n == m => Ok(n),
        _ => Err(format!("a {a} is no square matrix")),
    }
}

/// The shape of the solution of a system.
fn system(args: &[&Shape]) -> Result<Shape, String> {
    let [a, b] = operands(args)?;
    let n = square(a)?;
    let fits =
        b.rank() == a.rank() && b[..b.rank() - 2] == a[..a.rank() - 2] && b[b.rank() - 2] == n;
    if fits { Ok(b.clone()) } else { Err(format!("a {b} is no right-hand side for a {a}")) }
}

/// The numbers of matrices and of rows in each.
fn extents(a: &Shape) -> (usize, u64) {
    let n = a.last().map_or(0, |&n| n);
    (a.elements() / (n * n).max(1), n as u64)
}

/// The cost of a triangular factorisation of square matrices.
pub(in crate::op) fn elimination(a: &Shape) -> Cost {
    let (count, n) = extents(a);
    let steps = n * n * n / 3;
    Cost::adds(steps)
        .and(Cost::muls(steps))
        .and(Cost { divs: n * n / 2, ..Cost::NONE })
        .times(count)
}

/// The cost of solving triangular systems.
fn substitutions(a: &Shape, result: &Shape) -> Cost {
    let half = extents(a).1 / 2;
    Cost::adds(half).and(Cost::muls(half)).and(Cost::divs(1)).times(result.elements())
}

/// Each column of a solution is that of its right-hand side.
fn of_column(arg: usize, result: &Shape) -> Dependence {
    let lead = result.rank() - 2;
    let last = if arg == 0 { Along::All } else { Along::Same(lead + 1) };
    Dependence::Axes((0..lead).map(Along::Same).chain([Along::All, last]).collect())
}

fn operands_of<const N: usize>(a: [usize; N], b: [usize; N]) -> [(Shape, Domain); 2] {
    [(a.into(), Domain::matrix()), (b.into(), Domain::reals())]
}

/// The systems that solvers are tried on.
fn systems<O: Clone>(samples: &mut Samples<O>, op: O) {
    for class in [ShapeClass::Scalar, ShapeClass::Vector] {
        samples.absent(class, "takes matrices");
    }
    samples.case(op.clone(), operands_of([3, 3], [3, 2]));
    samples.case(op.clone(), operands_of([3, 3], [3, 3]));
    samples.case(op.clone(), operands_of([2, 3, 3], [2, 3, 2]));
    samples.case(op.clone(), operands_of([1, 1], [1, 2]));
    samples.case(op.clone(), operands_of([0, 0], [0, 2]));
    samples.error(op.clone(), &[[2, 3].into(), [2, 1].into()], "a [2, 3] is no square matrix");
    samples.error(op, &[[3, 3].into(), [2, 1].into()], "no right-hand side for a [3, 3]");
}

/// The square matrices that functions of one are tried on.
pub(in crate::op) fn square_matrices<O: Clone>(samples: &mut Samples<O>, op: O, domain: Domain) {
    for class in [ShapeClass::Scalar, ShapeClass::Vector] {
        samples.absent(class, "takes matrices");
    }
    let shapes: [Shape; 5] =
        [[3, 3].into(), [2, 2].into(), [2, 3, 3].into(), [1, 1].into(), [0, 0].into()];
    for shape in shapes {
        samples.case(op.clone(), [(shape, domain)]);
    }
    samples.error(op, &[[2, 3].into()], "a [2, 3] is no square matrix");
}

/// # Systems of equations
impl<'t, T: Real> Var<'t, T> {
    /// The solution `x` of `self x = b`, of square matrices over the last two axes;
    /// leading axes broadcast. A vector `b` is one right-hand side. NaN where the matrix
    /// is singular.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::<f64>::new();
    /// let a = tape.variable([[2.0, 0.0], [0.0, 4.0]]);
    /// let b = tape.variable([6.0, 4.0]);
    /// assert_eq!(a.solve(b).value().to_vec(), [3.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square, or `b` does not fit them.
    #[track_caller]
    pub fn solve(self, b: impl Operand<'t, T>) -> Self {
        self.solve_by(Solve, b.on(self.tape()))
    }

    /// As [`solve`](Self::solve), of lower triangular matrices. What is above their
    /// diagonals is not read.
    ///
    /// # Panics
    /// As [`solve`](Self::solve).
    #[doc(alias = "solve_triangular")]
    #[track_caller]
    pub fn solve_lower_triangular(self, b: impl Operand<'t, T>) -> Self {
        self.solve_by(SolveTriangular { upper: false, unit: false }, b.on(self.tape()))
    }

    /// As [`solve`](Self::solve), of upper triangular matrices. What is below their
    /// diagonals is not read.
    ///
    /// # Panics
    /// As [`solve`](Self::solve).
    #[doc(alias = "solve_triangular")]
    #[track_caller]
    pub fn solve_upper_triangular(self, b: impl Operand<'t, T>) -> Self {
        self.solve_by(SolveTriangular { upper: true, unit: false }, b.on(self.tape()))
    }

    /// As [`solve`](Self::solve), of lower triangular matrices with ones on their diagonals.
    /// Neither these nor what is above them is read.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::<f64>::new();
    /// let a = tape.variable([[7.0, 7.0], [2.0, 7.0]]);
    /// let b = tape.variable([6.0, 4.0]);
    /// assert_eq!(a.solve_unit_lower_triangular(b).value().to_vec(), [6.0, -8.0]);
    /// ```
    ///
    /// # Panics
    /// As [`solve`](Self::solve).
    #[track_caller]
    pub fn solve_unit_lower_triangular(self, b: impl Operand<'t, T>) -> Self {
        self.solve_by(SolveTriangular { upper: false, unit: true }, b.on(self.tape()))
    }

    /// As [`solve`](Self::solve), of upper triangular matrices with ones on their diagonals.
    /// Neither these nor what is below them is read.
    ///
    /// # Panics
    /// As [`solve`](Self::solve).
    #[track_caller]
    pub fn solve_unit_upper_triangular(self, b: impl Operand<'t, T>) -> Self {
        self.solve_by(SolveTriangular { upper: true, unit: true }, b.on(self.tape()))
    }

    #[track_caller]
    fn solve_by(self, op: impl Op, b: Self) -> Self {
        if b.rank() == 1 {
            return self.solve_by(op, b.unsqueeze(-1)).squeeze(-1);
        }
        let (a_shape, b_shape) = (self.shape(), b.shape());
        let lead = |shape: &Shape| Shape::from(&shape[..shape.rank().saturating_sub(2)]);
        let Some(batch) = lead(&a_shape).broadcast(&lead(&b_shape)) else {
            return self.tape().apply(op, &[self, b]);
        };
        let stretched = |x: Self, shape: &Shape| {
            let own = shape[lead(shape).rank()..].iter();
            let to: Shape = batch.iter().chain(own).copied().collect();
            if to == *shape { x } else { x.broadcast_to(to) }
        };
        self.tape().apply(op, &[stretched(self, &a_shape), stretched(b, &b_shape)])
    }

    /// The inverses of square matrices over the last two axes; NaN where one is singular.
    /// To multiply with an inverse, [`solve`](Self::solve) is cheaper and more accurate.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::<f64>::new();
    /// let a = tape.variable([[2.0, 0.0], [0.0, 4.0]]);
    /// assert_eq!(a.inverse().value().to_vec(), [0.5, 0.0, 0.0, 0.25]);
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square.
    #[doc(alias = "inv")]
    #[track_caller]
    pub fn inverse(self) -> Self {
        let n = self.shape().last().map_or(0, |&n| n);
        self.solve(self.constant_like(1.0).broadcast_to([n]).diag_embed(0))
    }
}
