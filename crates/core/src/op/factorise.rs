//! Factorisations of matrices.
//!
//! Leading axes of operands are a batch, of matrices that have nothing to do with one
//! another. The tape's ops have one value each, so a factorisation with several factors
//! gives them packed in one tensor, of which the methods of [`Var`] take views; its rule
//! gets their cotangents together, packed in the same way.
//!
//! Where factors are not unique, as with equal eigenvalues, there is no derivative of
//! the factors one by one. Terms that would divide by a difference of 0 are left out:
//! what is a function of the operand all the same, such as the sum of the eigenvalues,
//! keeps its derivative.

use super::solve::{elimination, square, square_matrices};
use super::{Along, Call, Cost, Dependence, Domain, Formula, Op, Samples, ShapeClass, operands};
use crate::kernel::factor;
use crate::tensor::{Shape, View};
use crate::{Real, Var, concat};

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
        factor::for_each_matrix(args, n * n, out, &|args, l| factor::cholesky(n, args[0], l));
    }

    fn jvp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        let l = call.value();
        let left = l.solve_lower_triangular(symmetric(tangents[0]?));
        Some(l.matmul(lower_half(l.solve_lower_triangular(left.matrix_transpose()))))
    }

    fn vjp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        _: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        let upper = call.value().matrix_transpose();
        let left = upper.solve_upper_triangular(lower_half(upper.matmul(cotangent)));
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
    .with_convention("of the symmetric part; where two eigenvalues are equal, their F is 0");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [a] = operands(args)?;
        Ok(a.with_axis(a.rank().max(1) - 1, square(a)? + 1))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., n, _] = args[0].shape()[..] else { return };
        factor::for_each_matrix(args, n * (n + 1), out, &|args, y| factor::eigh(n, args[0], y));
    }

    fn jvp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        let [values, vectors] = Self::unpack(call.value());
        let turned = vectors.matrix_transpose().matmul(symmetric(tangents[0]?)).matmul(vectors);
        let turn = vectors.matmul(turned * reciprocal_differences(values));
        Some(concat(&[turned.diagonal(0, [-2, -1]).unsqueeze(-1), turn], -1))
    }

    fn vjp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        _: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        let [values, vectors] = Self::unpack(call.value());
        let [of_values, of_vectors] = Self::unpack(cotangent);
        let transposed = vectors.matrix_transpose();
        let turn = transposed.matmul(of_vectors) * reciprocal_differences(values);
        Some(symmetric(vectors.matmul(of_values.diag_embed(0) + turn).matmul(transposed)))
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        elimination(args[0]).times(27)
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
    fn unpack<'t, T: Real>(packed: Var<'t, T>) -> [Var<'t, T>; 2] {
        [packed.slice(-1, ..1).squeeze(-1), packed.slice(-1, 1..)]
    }
}

/// `1 / (x[j] - x[i])`, and 0 where that is infinite.
fn reciprocal_differences<'t, T: Real>(x: Var<'t, T>) -> Var<'t, T> {
    reciprocal_or_zero(x.unsqueeze(-2) - x.unsqueeze(-1))
}

/// `1 / x`, and 0 where `x` is 0; so are all derivatives.
fn reciprocal_or_zero<'t, T: Real>(x: Var<'t, T>) -> Var<'t, T> {
    let is_zero = x.equal(x.constant_like(0.0));
    (x + is_zero).reciprocal() * (x.constant_like(1.0) - is_zero)
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
        factor::for_each_matrix(args, (m + n) * n, out, &|args, y| factor::qr(m, args[0], y));
    }

    fn jvp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        let [q, r] = Self::unpack(call.value());
        let scaled = right_solved(tangents[0]?, r);
        let c = q.matrix_transpose().matmul(scaled);
        let upper = c.triu(0) + c.tril(-1).matrix_transpose();
        Some(concat(&[scaled - q.matmul(upper), upper.matmul(r)], -2))
    }

    fn vjp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        _: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        let [q, r] = Self::unpack(call.value());
        let [of_q, of_r] = Self::unpack(cotangent);
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
    fn unpack<'t, T: Real>(packed: Var<'t, T>) -> [Var<'t, T>; 3] {
        let [.., rows, n] = packed.shape()[..] else { unreachable!("the shape rule") };
        let m = rows - n - 1;
        let s = packed.slice(-2, m..m + 1).squeeze(-2);
        [packed.slice(-2, ..m), s, packed.slice(-2, m + 1..)]
    }
}

impl Op for Svd {
    const NAME: &'static str = "svd";
    const FORMULA: Formula = Formula::new(
        "[U; s; V] of U diag(s) V^T = A",
        "ds = diag(P), dU = U (F * (P S + S P^T)) + (I - U U^T) dA V S^-1, dV = V (F * (S P + P^T S)), P = U^T dA V, F[i, j] = 1 / (s[j]^2 - s[i]^2)",
        r"\bar A = U \left[ (F \circ (U^T \bar U - \bar U^T U)) S + S (F \circ (V^T \bar V - \bar V^T V)) + \operatorname{diag} \bar s \right] V^T + (I - U U^T) \bar U S^{-1} V^T",
    )
    .with_convention("where two singular values are equal, their F is 0; where one is 0, so is its 1 / s");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [a] = operands(args)?;
        let [m, n] = tall(a)?;
        Ok(a.with_axis(a.rank() - 2, m + 1 + n))
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., m, n] = args[0].shape()[..] else { return };
        factor::for_each_matrix(args, (m + 1 + n) * n, out, &|args, y| factor::svd(m, args[0], y));
    }

    fn jvp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        let [u, s, v] = Self::unpack(call.value());
        let turned = tangents[0]?.matmul(v);
        let p = u.matrix_transpose().matmul(turned);
        let (row, column) = (s.unsqueeze(-2), s.unsqueeze(-1));
        let f = reciprocal_differences(s.square());
        let transposed = p.matrix_transpose();
        let turn_u = u.matmul(f * (p * row + column * transposed));
        let turn_v = v.matmul(f * (column * p + transposed * row));
        let outside = (turned - u.matmul(p)) * reciprocal_or_zero(row);
        let ds = p.diagonal(0, [-2, -1]).unsqueeze(-2);
        Some(concat(&[turn_u + outside, ds, turn_v], -2))
    }

    fn vjp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        _: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        let [u, s, v] = Self::unpack(call.value());
        let [of_u, of_s, of_v] = Self::unpack(cotangent);
        let (row, column) = (s.unsqueeze(-2), s.unsqueeze(-1));
        let f = reciprocal_differences(s.square());
        let skew = |x: Var<'t, T>| x - x.matrix_transpose();
        let in_u = u.matrix_transpose().matmul(of_u);
        let in_v = v.matrix_transpose().matmul(of_v);
        let turns = f * skew(in_u) * row + column * (f * skew(in_v));
        let outside = (of_u - u.matmul(in_u)) * reciprocal_or_zero(row);
        let left = u.matmul(turns + of_s.diag_embed(0)) + outside;
        Some(left.matmul(v.matrix_transpose()))
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
pub(super) fn own_matrix(result: &Shape) -> Dependence {
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

impl<'t, T: Real> Var<'t, T> {
    /// The eigenvalues, ascending, and the eigenvectors, as columns, of the symmetric
    /// part of square matrices over the last two axes. The component of largest
    /// magnitude of each vector is positive. The derivatives of vectors need eigenvalues
    /// that differ; see [`Eigh`].
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
    /// `min(m, n)` columns. Derivatives of `u` and `v` need singular values that differ;
    /// see [`Svd`].
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
