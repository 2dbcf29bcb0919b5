//! Factorisations of matrices.
//!
//! Leading axes of operands are a batch, of matrices that have nothing to do with one
//! another. The tape's ops have one value each, so a factorisation with several factors
//! gives them packed in one tensor, of which the methods of [`Var`] take views; its rule
//! gets their cotangents together, packed in the same way.
//!
//! Where factors are not unique, as the vectors of equal eigenvalues, they have no
//! derivative, and none is made up: it is NaN ([`DistinctColumns`](crate::op::DistinctColumns)). Eigenvalues and
//! singular values keep theirs. What is a smooth function of the matrix all the same is
//! computed as one: see [`Var::symmetric_function`], [`Var::pinv`], [`Var::det`].
//!
//! No rule squares a number that has the scale of the matrix, and what is divided by
//! differences is brought to the scale 1 before: so no scale is too large or too small.

use super::degenerate::{distinct, least_gap, over_gaps};
use super::solve::{elimination, square, square_matrices};
use crate::kernel::linalg;
use crate::op::{
    Along, Call, Cost, Dependence, Domain, Formula, Op, Samples, ShapeClass, Term, concat, operands,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// The lower triangular `L` of `L L^T = A`, for the symmetric part of `A`; NaN where that
/// is not positive definite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cholesky;

/// The lower triangle with half of the diagonal: of symmetric `M`, the `X` of
/// `X + X^T = M`.
fn lower_half<'t, T: Real>(x: Var<'t, T>) -> Var<'t, T> {
    (x.tril(0) + x.tril(-1)) * x.constant_like(0.5)
}

/// `(x + x^T) / 2`.
fn symmetric<'t, T: Real>(x: Var<'t, T>) -> Var<'t, T> {
    (x + x.matrix_transpose()) * x.constant_like(0.5)
}

impl Op for Cholesky {
    const NAME: &'static str = "cholesky";
    const FORMULA: Formula = Formula::new(
        "L L^T = (A + A^T) / 2",
        "dL = L lower_half(L^-1 dA L^-T)",
        r"L L^T = A,\quad \dot L = L \Phi(L^{-1} \dot A L^{-T}),\quad \bar A = L^{-T} \Phi(L^T \bar L) L^{-1}",
    )
    .with_convention("of the symmetric part; NaN where it is not positive definite");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [a] = operands(args)?;
        square(a)?;
        Ok(a.clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., n, _] = args[0].shape()[..] else { return };
        linalg::for_each_matrix(args, n * n, out, &|args, l| linalg::cholesky(n, args[0], l));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let l = call.value();
        let left = l.solve_lower_triangular(symmetric(tangents[0]?));
        Some(l.matmul(lower_half(l.solve_lower_triangular(left.matrix_transpose()))))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let upper = call.value().matrix_transpose();
        let left = upper.solve_upper_triangular(lower_half(upper.matmul(bar)));
        Some(symmetric(upper.solve_upper_triangular(left.matrix_transpose())))
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        let Cost { adds, muls, divs, .. } = elimination(args[0]);
        let roots = args[0].elements() / args[0].last().map_or(1, |&n| n.max(1));
        Cost { adds: adds / 2, muls: muls / 2, divs, nonlinear: roots as u64 }
    }

    fn dependence(&self, _: &[&Shape], _: usize, result: &Shape) -> Dependence {
        own_matrix(result)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        square_matrices(samples, Cholesky, Domain::matrix());
    }
}

/// Eigenvalues, ascending, and eigenvectors of the symmetric part of a matrix, packed:
/// the values are the first column, the vectors the others, in the same order. The
/// component of largest magnitude of each vector is positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eigh;

impl Op for Eigh {
    const NAME: &'static str = "eigh";
    const FORMULA: Formula = Formula::new(
        "[l, V] of A V = V diag(l)",
        "dl = diag(V^T dA V), dV = V (F * V^T dA V), F[i, j] = 1 / (l[j] - l[i])",
        r"A V = V \Lambda,\quad \bar A = V (\operatorname{diag} \bar\lambda + F \circ V^T \bar V) V^T,\quad F_{ij} = \frac{1}{\lambda_j - \lambda_i}",
    )
    .with_convention("of the symmetric part; where two eigenvalues are equal, that of the vectors is NaN, and of the values one of several");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [a] = operands(args)?;
        Ok(a.with_axis(a.rank().max(1) - 1, square(a)? + 1))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., n, _] = args[0].shape()[..] else { return };
        linalg::for_each_matrix(args, n * (n + 1), out, &|args, y| linalg::eigh(n, args[0], y));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let [values, vectors] = Self::unpack(call.value());
        let rotated = vectors.matrix_transpose().matmul(symmetric(tangents[0]?)).matmul(vectors);
        let turn = vectors.matmul(over_gaps(rotated, values, false));
        Some(concat(&[rotated.diagonal(0, [-2, -1]).unsqueeze(-1), turn], -1))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let [values, vectors] = Self::unpack(call.value());
        let [of_values, of_vectors] = Self::halves(bar);
        let transposed = vectors.matrix_transpose();
        let turn = over_gaps(transposed.matmul(of_vectors), values, false);
        Some(symmetric(vectors.matmul(of_values.diag_embed(0) + turn).matmul(transposed)))
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        elimination(args[0]).times(27)
    }

    /// How far the matrix is from one with two equal eigenvalues.
    fn kink_distance<T: Real>(&self, args: &[View<'_, T>]) -> T {
        let [.., n, _] = args[0].shape()[..] else { return T::infinity() };
        linalg::least_of_each(args, &|args| {
            Some(least_gap(&linalg::eigenvalues(n, args[0])?) / n as f64)
        })
    }

    fn dependence(&self, _: &[&Shape], _: usize, result: &Shape) -> Dependence {
        own_matrix(result)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        square_matrices(samples, Eigh, Domain::matrix());
    }
}

impl Eigh {
    fn halves<'t, T: Real>(packed: Var<'t, T>) -> [Var<'t, T>; 2] {
        [packed.slice(-1, ..1).squeeze(-1), packed.slice(-1, 1..)]
    }

    /// The factors. Where vectors have no derivative, it is NaN, even if what is asked of
    /// them is 0: then the rule cannot know that the limit is 0.
    fn unpack<'t, T: Real>(packed: Var<'t, T>) -> [Var<'t, T>; 2] {
        let [values, vectors] = Self::halves(packed);
        [values, distinct(vectors, values, false)]
    }
}

/// `Q` with orthonormal columns and upper triangular `R` with a positive diagonal, of
/// `Q R = A` with independent columns, packed: `Q` above `R`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Qr;

impl Qr {
    fn unpack<'t, T: Real>(packed: Var<'t, T>) -> [Var<'t, T>; 2] {
        let [.., rows, n] = packed.shape()[..] else { unreachable!("the shape rule") };
        [packed.slice(-2, ..rows - n), packed.slice(-2, rows - n..)]
    }
}

/// `X R^-1`.
fn right_solved<'t, T: Real>(x: Var<'t, T>, r: Var<'t, T>) -> Var<'t, T> {
    let transposed = x.matrix_transpose();
    r.matrix_transpose().solve_lower_triangular(transposed).matrix_transpose()
}

impl Op for Qr {
    const NAME: &'static str = "qr";
    const FORMULA: Formula = Formula::new(
        "[Q; R] of Q R = A",
        "dR = U R, dQ = dA R^-1 - Q U, U = triu(C) + tril(C, -1)^T, C = Q^T dA R^-1",
        r"Q R = A,\quad \bar A = (\bar Q + Q \operatorname{copyltu}(M)) R^{-T},\quad M = R \bar R^T - \bar Q^T Q",
    )
    .with_convention("where the columns are dependent, the derivative is infinite or NaN");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [a] = operands(args)?;
        let [m, n] = tall(a)?;
        Ok(a.with_axis(a.rank() - 2, m + n))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., m, n] = args[0].shape()[..] else { return };
        linalg::for_each_matrix(args, (m + n) * n, out, &|args, y| linalg::qr(m, args[0], y));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let [q, r] = Self::unpack(call.value());
        let scaled = right_solved(tangents[0]?, r);
        let c = q.matrix_transpose().matmul(scaled);
        let upper = c.triu(0) + c.tril(-1).matrix_transpose();
        Some(concat(&[scaled - q.matmul(upper), upper.matmul(r)], -2))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let [q, r] = Self::unpack(call.value());
        let [of_q, of_r] = Self::unpack(bar);
        let m = r.matmul(of_r.matrix_transpose()) - of_q.matrix_transpose().matmul(q);
        let mirrored = m.tril(0) + m.tril(-1).matrix_transpose();
        let left = of_q + q.matmul(mirrored);
        Some(r.solve_upper_triangular(left.matrix_transpose()).matrix_transpose())
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        let n = args[0].last().map_or(0, |&n| n);
        Cost::adds(2).and(Cost::muls(2)).times(args[0].elements() * n)
    }

    fn dependence(&self, _: &[&Shape], _: usize, result: &Shape) -> Dependence {
        own_matrix(result)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        tall_matrices(samples, Qr);
    }
}

/// `U`, `s` and `V` of `U diag(s) V^T = A`, `s` descending, packed: the rows of `U`, then
/// `s` as a row, then the rows of `V`. The component of largest magnitude of each column
/// of `V` is positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Svd;

impl Svd {
    fn parts<'t, T: Real>(packed: Var<'t, T>) -> [Var<'t, T>; 3] {
        let [.., rows, n] = packed.shape()[..] else { unreachable!("the shape rule") };
        let m = rows - n - 1;
        let s = packed.slice(-2, m..m + 1).squeeze(-2);
        [packed.slice(-2, ..m), s, packed.slice(-2, m + 1..)]
    }

    /// The factors, of which vectors have the derivative NaN where they have none: as those
    /// of [`Eigh`], and the left one of a 0, of which not even the sign is known.
    fn unpack<'t, T: Real>(packed: Var<'t, T>) -> [Var<'t, T>; 3] {
        let [u, s, v] = Self::parts(packed);
        [distinct(u, s, true), s, distinct(v, s, false)]
    }
}

/// `(I - U U^T) X S^-1`, of a change `X` of `U S`: what lies beyond the columns of `U`. Of
/// square matrices that is nothing, and it is 0 where `s` is.
fn outside<'t, T: Real>(x: Var<'t, T>, u: Var<'t, T>, s: Var<'t, T>) -> Term<'t, T> {
    let [.., m, n] = x.shape()[..] else { unreachable!("the shape rule") };
    if m == n || n == 0 {
        return None;
    }
    // The first one is the largest.
    let scale = s.slice(-1, ..1).stop_gradient() + T::min_positive_value();
    let rest = (x - u.matmul(u.matrix_transpose().matmul(x))) / scale.unsqueeze(-1);
    let s = (s / scale).unsqueeze(-2);
    let is_zero = s.equal(s.constant_like(0.0));
    Some(rest / (s + is_zero) * (s.constant_like(1.0) - is_zero))
}

impl Op for Svd {
    const NAME: &'static str = "svd";
    const FORMULA: Formula = Formula::new(
        "[U; s; V] of U diag(s) V^T = A",
        "ds = diag(P), dU = U (D * Y + E * Z) + (I - U U^T) dA V S^-1, dV = V (D * Y - E * Z), P = U^T dA V, Y = (P + P^T) / 2, Z = (P - P^T) / 2, D[i, j] = 1 / (s[j] - s[i]), E[i, j] = 1 / (s[i] + s[j])",
        r"\bar A = U \left[ D \circ \operatorname{skew}(U^T \bar U + V^T \bar V) + E \circ \operatorname{skew}(U^T \bar U - V^T \bar V) + \operatorname{diag} \bar s \right] V^T + (I - U U^T) \bar U S^{-1} V^T",
    )
    .with_convention("where two singular values are equal, that of the vectors is NaN, and of the values one of several; where one is 0, so is that of its column of U");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [a] = operands(args)?;
        let [m, n] = tall(a)?;
        Ok(a.with_axis(a.rank() - 2, m + 1 + n))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., m, n] = args[0].shape()[..] else { return };
        linalg::for_each_matrix(args, (m + 1 + n) * n, out, &|args, y| linalg::svd(m, args[0], y));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let [u, s, v] = Self::unpack(call.value());
        let rotated = tangents[0]?.matmul(v);
        let p = u.matrix_transpose().matmul(rotated);
        let transposed = p.matrix_transpose();
        let half = p.constant_like(0.5);
        let common = over_gaps((p + transposed) * half, s, false);
        let opposed = over_gaps((p - transposed) * half, s, true);
        let of_u = u.matmul(common + opposed);
        let of_u = outside(rotated, u, s).map_or(of_u, |outside| of_u + outside);
        let of_s = p.diagonal(0, [-2, -1]).unsqueeze(-2);
        Some(concat(&[of_u, of_s, v.matmul(common - opposed)], -2))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let [u, s, v] = Self::unpack(call.value());
        let [of_u, of_s, of_v] = Self::parts(bar);
        let skew = |x: Var<'t, T>| (x - x.matrix_transpose()) * x.constant_like(0.5);
        let in_u = u.matrix_transpose().matmul(of_u);
        let in_v = v.matrix_transpose().matmul(of_v);
        let turns = over_gaps(skew(in_u + in_v), s, false) + over_gaps(skew(in_u - in_v), s, true);
        let left = u.matmul(turns + of_s.diag_embed(0));
        let left = outside(of_u, u, s).map_or(left, |outside| left + outside);
        Some(left.matmul(v.matrix_transpose()))
    }

    /// How far the matrix is from one with two equal singular values, or with one that is 0.
    fn kink_distance<T: Real>(&self, args: &[View<'_, T>]) -> T {
        let [.., m, n] = args[0].shape()[..] else { return T::infinity() };
        linalg::least_of_each(args, &|args| {
            let s = linalg::singular_values(m, args[0])?;
            Some(s.iter().fold(least_gap(&s), |least, &s| least.min(s)) / ((m * n) as f64).sqrt())
        })
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        let n = args[0].last().map_or(0, |&n| n);
        Cost::adds(11).and(Cost::muls(11)).times(args[0].elements() * n)
    }

    fn dependence(&self, _: &[&Shape], _: usize, result: &Shape) -> Dependence {
        own_matrix(result)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        tall_matrices(samples, Svd);
    }
}

/// The extents of matrices, if they have as many rows as columns, or more.
fn tall(a: &Shape) -> Result<[usize; 2], String> {
    match a[..] {
        [.., m, n] if m >= n => Ok([m, n]),
        [.., _, _] => Err(format!("a {a} has more columns than rows")),
        _ => Err(format!("a {a} is no matrix")),
    }
}

/// All elements of a result depend on all of the matrix that they were computed from.
pub(in crate::op) fn own_matrix(result: &Shape) -> Dependence {
    let lead = (0..result.rank() - 2).map(Along::Same);
    Dependence::Axes(lead.chain([Along::All, Along::All]).collect())
}

/// The matrices that factorisations are tried on.
fn tall_matrices<O: Clone>(samples: &mut Samples<O>, op: O) {
    for class in [ShapeClass::Scalar, ShapeClass::Vector] {
        samples.absent(class, "takes matrices");
    }
    let shapes: [Shape; 5] =
        [[3, 3].into(), [4, 2].into(), [2, 3, 2].into(), [2, 1].into(), [3, 0].into()];
    for shape in shapes {
        samples.case(op.clone(), [(shape, Domain::matrix())]);
    }
    samples.error(op.clone(), &[[2, 3].into()], "a [2, 3] has more columns than rows");
    samples.error(op, &[[3].into()], "a [3] is no matrix");
}

/// # Factorisations
impl<'t, T: Real> Var<'t, T> {
    /// The eigenvalues, ascending, and the eigenvectors, as columns, of the symmetric
    /// part of square matrices over the last two axes. The component of largest
    /// magnitude of each vector is positive.
    ///
    /// Vectors of equal eigenvalues have no derivative, and it is NaN, as is all that is
    /// computed from it; so it is where eigenvalues are equal to rounding, 32 of the largest.
    /// The values' first derivative is right for values that differ from the others, and for
    /// functions that treat equal ones alike; their second one needs vectors. Functions of the whole matrix are right
    /// everywhere by [`symmetric_function`](Self::symmetric_function).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::<f64>::new();
    /// let a = tape.variable([[2.0, 0.0], [0.0, 1.0]]);
    /// let (values, vectors) = a.eigh();
    /// assert_eq!(values.value().to_vec(), [1.0, 2.0]);
    /// assert_eq!(vectors.value().to_vec(), [0.0, 1.0, 1.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square.
    #[track_caller]
    pub fn eigh(self) -> (Self, Self) {
        let [values, vectors] = Eigh::unpack(self.apply(Eigh));
        (values, vectors)
    }

    /// `q` with orthonormal columns and upper triangular `r` with a positive diagonal
    /// whose product are these matrices, over the last two axes. Of `m x n` matrices, `q`
    /// has `min(m, n)` columns and `r` as many rows. The first `min(m, n)` columns have to
    /// be independent for derivatives to exist.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::<f64>::new();
    /// let a = tape.variable([[3.0, 1.0], [4.0, 2.0]]);
    /// let (q, r) = a.qr();
    /// assert!((q.value().at(&[0, 0]) - 0.6).abs() < 1e-15);
    /// assert!((r.value().at(&[0, 0]) - 5.0).abs() < 1e-14);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn qr(self) -> (Self, Self) {
        match self.shape()[..] {
            [.., m, n] if m < n => {
                let (q, r) = self.slice(-1, ..m).qr();
                let others = q.matrix_transpose().matmul(self.slice(-1, m..));
                (q, concat(&[r, others], -1))
            }
            _ => {
                let [q, r] = Qr::unpack(self.apply(Qr));
                (q, r)
            }
        }
    }

    /// `u`, `s` and `v` of `u diag(s) v^T`, the singular value decomposition of matrices
    /// over the last two axes, with `s` descending. Of `m x n` matrices, all have
    /// `min(m, n)` columns.
    ///
    /// Columns of `u` and `v` have no derivative where two singular values are equal, nor
    /// has `u` where one is 0: there it is NaN, as those of [`eigh`](Self::eigh).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::<f64>::new();
    /// let (_, s, _) = tape.variable([[0.0, 2.0], [-3.0, 0.0]]).svd();
    /// assert!((s.value().at(&[0]) - 3.0).abs() < 1e-14);
    /// assert!((s.value().at(&[1]) - 2.0).abs() < 1e-14);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn svd(self) -> (Self, Self, Self) {
        match self.shape()[..] {
            [.., m, n] if m < n => {
                let (v, s, u) = self.matrix_transpose().svd();
                (u, s, v)
            }
            _ => {
                let [u, s, v] = Svd::unpack(self.apply(Svd));
                (u, s, v)
            }
        }
    }
}
