//! Linear algebra by what defines it (`A X = B`, `Q R = A`, `U S V^T = A`, ...), at sizes around
//! the constants of its kernels, in both precisions; and at scales from far below 1 to far
//! above it.
//!
//! Products are plain loops over numbers in double precision.

use wengert_core::op::{Exp, Pinv};
use wengert_core::{Real, Tape, Tensor, Var};

/// Around a stripe of eigenvectors (32), its lanes (16) and panels of products.
const SIZES: [usize; 12] = [1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 65, 100];

/// A matrix of doubles, row by row.
#[derive(Clone, Debug)]
struct Matrix {
    rows: usize,
    columns: usize,
    x: Vec<f64>,
}

impl Matrix {
    fn new(rows: usize, columns: usize, element: impl Fn(usize, usize) -> f64) -> Self {
        let x = (0..rows * columns).map(|at| element(at / columns, at % columns)).collect();
        Self { rows, columns, x }
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.x[i * self.columns + j]
    }

    fn identity(n: usize) -> Self {
        Self::new(n, n, |i, j| f64::from(u8::from(i == j)))
    }

    fn transposed(&self) -> Self {
        Self::new(self.columns, self.rows, |i, j| self.at(j, i))
    }

    fn times(&self, other: &Self) -> Self {
        assert_eq!(self.columns, other.rows);
        Self::new(self.rows, other.columns, |i, j| {
            (0..self.columns).map(|k| self.at(i, k) * other.at(k, j)).sum()
        })
    }

    fn size(&self) -> f64 {
        self.x.iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    #[track_caller]
    fn assert_near(&self, expected: &Self, room: f64) {
        assert_eq!((self.rows, self.columns), (expected.rows, expected.columns));
        let error = Self::new(self.rows, self.columns, |i, j| self.at(i, j) - expected.at(i, j));
        let error = error.size();
        assert!(
            error <= room,
            "{} x {}: off by {error:e}, more than {room:e}",
            self.rows,
            self.columns
        );
    }

    fn tensor<T: Real>(&self) -> Tensor<T> {
        Tensor::from_fn([self.rows, self.columns], |at| T::from_f64(self.x[at]))
    }

    /// As a tensor of the type has it.
    fn rounded<T: Real>(&self) -> Self {
        Self::of(&self.tensor::<T>())
    }

    /// The last two axes of a tensor.
    fn of<T: Real>(x: &Tensor<T>) -> Self {
        let [rows, columns] = x.shape()[..] else { panic!("{} is no matrix", x.shape()) };
        Self { rows, columns, x: x.iter().map(Real::as_f64).collect() }
    }
}

/// Numbers without structure, from -1 to 1.
fn noise(i: usize, j: usize) -> f64 {
    (0.3 + 1.7 * i as f64 + 0.9 * (j * j) as f64 + (i * j) as f64).sin()
}

fn general(m: usize, n: usize) -> Matrix {
    Matrix::new(m, n, |i, j| noise(i, j) + if i == j { 3.0 } else { 0.0 })
}

/// A matrix of some rank, which is general if that is full.
fn of_rank(m: usize, n: usize, rank: usize) -> Matrix {
    if rank == m.min(n) {
        return general(m, n);
    }
    let near_identity = |i: usize, j: usize| noise(i, j) + f64::from(u8::from(i == j));
    let right = Matrix::new(rank, n, |i, j| near_identity(j, i));
    Matrix::new(m, rank, near_identity).times(&right)
}

/// A matrix with eigenvalues from about 1 to 4.
fn definite(n: usize) -> Matrix {
    let b = Matrix::new(n, n, noise);
    let square = b.times(&b.transposed());
    let scale = 3.0 / square.size().max(1e-3);
    Matrix::new(n, n, |i, j| scale * square.at(i, j) + f64::from(u8::from(i == j)))
}

/// Checks a function of a matrix in both precisions, and as the second of a batch.
fn of<const N: usize>(
    a: &Matrix,
    double: impl for<'t> Fn(Var<'t, f64>) -> [Var<'t, f64>; N],
    single: impl for<'t> Fn(Var<'t, f32>) -> [Var<'t, f32>; N],
    holds: impl Fn(&Matrix, [Matrix; N], f64),
) {
    let room = |epsilon: f64, a: &Matrix| 16.0 * epsilon * (a.rows.max(a.columns) as f64);
    let rounded = a.rounded::<f64>();
    holds(&rounded, second_of_two(&rounded, double), room(f64::EPSILON, a));
    let rounded = a.rounded::<f32>();
    holds(&rounded, second_of_two(&rounded, single), room(f64::from(f32::EPSILON), a));
}

fn second_of_two<T: Real, const N: usize>(
    a: &Matrix,
    f: impl for<'t> Fn(Var<'t, T>) -> [Var<'t, T>; N],
) -> [Matrix; N] {
    let tape = Tape::new();
    let last = a.x.len();
    let both = Tensor::from_fn([2, a.rows, a.columns], |at| {
        T::from_f64(if at < last { 0.5 * a.x[last - 1 - at] } else { a.x[at - last] })
    });
    let of_batch = f(tape.variable(both));
    let alone = f(tape.variable(a.tensor::<T>()));
    std::array::from_fn(|i| {
        let second = of_batch[i].value();
        let shape = alone[i].value().shape().clone();
        let size = shape.elements();
        let own: Vec<T> = second.iter().skip(size).collect();
        assert_eq!(own, alone[i].value().to_vec(), "a matrix of a batch is as one alone");
        Matrix::of(&Tensor::new(matrix_shape(&shape), own))
    })
}

/// Vectors are rows.
fn matrix_shape(shape: &wengert_core::Shape) -> [usize; 2] {
    match shape[..] {
        [rows, columns] => [rows, columns],
        [columns] => [1, columns],
        _ => [1, 1],
    }
}

macro_rules! both {
    ($a:expr, |$x:ident| $f:expr, $holds:expr) => {
        of($a, |$x| $f, |$x| $f, $holds)
    };
}

fn diagonal(s: &Matrix) -> Matrix {
    Matrix::new(s.columns, s.columns, |i, j| if i == j { s.at(0, i) } else { 0.0 })
}

fn assert_orthonormal(q: &Matrix, room: f64) {
    q.transposed().times(q).assert_near(&Matrix::identity(q.columns), room);
}

#[test]
fn solutions_solve() {
    for n in SIZES {
        both!(&general(n, n), |a| [a.solve(a.matrix_transpose())], |a, [x], room| {
            a.times(&x).assert_near(&a.transposed(), room * a.size() * x.size());
        });
        both!(&general(n, n), |a| [a.inverse()], |a, [x], room| {
            a.times(&x).assert_near(&Matrix::identity(n), room * a.size() * x.size());
        });
        // Half of the matrix is not read; scaled, so that solutions do not grow.
        let a = Matrix::new(n, n, |i, j| if i == j { 2.0 } else { noise(i, j) / n as f64 });
        let triangle = |a: &Matrix, keeps: &dyn Fn(usize, usize) -> bool, unit: bool| {
            Matrix::new(n, n, |i, j| match i == j && unit {
                true => 1.0,
                false if keeps(i, j) => a.at(i, j),
                false => 0.0,
            })
        };
        both!(
            &a,
            |a| {
                let b = a.matrix_transpose();
                [
                    a.solve_lower_triangular(b),
                    a.solve_upper_triangular(b),
                    a.solve_unit_lower_triangular(b),
                    a.solve_unit_upper_triangular(b),
                ]
            },
            |a, x: [Matrix; 4], room| {
                for (which, x) in x.iter().enumerate() {
                    let keeps = |i, j| if which % 2 == 0 { i >= j } else { i <= j };
                    let triangle = triangle(a, &keeps, which >= 2);
                    let product = triangle.times(x);
                    product.assert_near(&a.transposed(), room * triangle.size() * x.size());
                }
            }
        );
    }
}

#[test]
fn factors_multiply_to_the_matrix() {
    for n in SIZES {
        both!(&definite(n), |a| [a.cholesky()], |a, [l], room| {
            l.times(&l.transposed()).assert_near(a, room * a.size());
            assert!((0..n).all(|i| (i + 1..n).all(|j| l.at(i, j) == 0.0) && l.at(i, i) > 0.0));
        });
        for (m, n) in [(n, n), (n + 3, n), (n, n + 2), (3 * n, n)] {
            both!(&general(m, n), |a| a.qr().into(), |a, [q, r]: [Matrix; 2], room| {
                q.times(&r).assert_near(a, room * a.size());
                assert_orthonormal(&q, room);
                let below = |i: usize| (0..i.min(r.columns)).all(|j| r.at(i, j) == 0.0);
                assert!((0..r.rows).all(|i| below(i) && r.at(i, i) >= 0.0));
            });
            for rank in [m.min(n), m.min(n).div_ceil(2), 1] {
                both!(
                    &of_rank(m, n, rank),
                    |a| a.svd().into(),
                    |a, [u, s, v]: [Matrix; 3], room| {
                        let product = u.times(&diagonal(&s)).times(&v.transposed());
                        product.assert_near(a, room * a.size());
                        assert_orthonormal(&u, room);
                        assert_orthonormal(&v, room);
                        assert!(s.x.is_sorted_by(|a, b| a >= b) && s.x.iter().all(|&s| s >= 0.0));
                    }
                );
            }
        }
        both!(&general(n, n), |a| a.eigh().into(), |a, [values, vectors]: [Matrix; 2], room| {
            let symmetric = Matrix::new(n, n, |i, j| 0.5 * (a.at(i, j) + a.at(j, i)));
            let (left, right) = (symmetric.times(&vectors), vectors.times(&diagonal(&values)));
            left.assert_near(&right, room * a.size());
            assert_orthonormal(&vectors, room);
            assert!(values.x.is_sorted());
        });
    }
}

#[test]
fn functions_of_matrices_satisfy_their_equations() {
    for n in SIZES {
        both!(&definite(n), |a| [a.sqrtm()], |a, [x], room| {
            x.times(&x).assert_near(a, room * a.size());
        });
        both!(&definite(n), |a| [a.logm().symmetric_function(Exp)], |a, [x], room| {
            x.assert_near(a, room * a.size());
        });
        both!(&definite(n), |a| [a.expm(), a.symmetric_function(Exp)], |_, [x, y], room| {
            x.assert_near(&y, room * x.size());
        });
        let skew = Matrix::new(n, n, |i, j| noise(i, j) - noise(j, i));
        both!(&skew, |a| [a.expm()], |a, [x], room| {
            // A rotation, whose steps add up to as many roundings as it has turns.
            x.times(&x.transposed()).assert_near(&Matrix::identity(n), room * (1.0 + a.size()));
        });
        let scaled = Matrix::new(n, n, |i, j| general(n, n).at(i, j) / (n as f64).sqrt());
        both!(&scaled, |a| [a.det().unsqueeze(0).unsqueeze(0)], |a, [x], room| {
            let expected = determinant(a);
            assert!(
                (x.at(0, 0) - expected).abs() <= 100.0 * room * expected.abs(),
                "{n}: {} is not {expected}",
                x.at(0, 0)
            );
        });
    }
}

/// By elimination with pivots.
fn determinant(a: &Matrix) -> f64 {
    let n = a.rows;
    let mut rows: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| a.at(i, j)).collect()).collect();
    let mut determinant = 1.0;
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| rows[i][k].abs().total_cmp(&rows[j][k].abs())).unwrap();
        if pivot != k {
            rows.swap(pivot, k);
            determinant = -determinant;
        }
        determinant *= rows[k][k];
        let pivot = rows[k].clone();
        for row in &mut rows[k + 1..] {
            let factor = row[k] / pivot[k];
            row.iter_mut().zip(&pivot).for_each(|(x, above)| *x -= factor * above);
        }
    }
    determinant
}

/// The four equations of Penrose, of full and of deficient rank.
#[test]
fn pseudoinverses_satisfy_penrose() {
    for n in SIZES {
        for (m, n) in [(n, n), (n + 3, n), (n, n + 2)] {
            for rank in [m.min(n), m.min(n).div_ceil(2), 1] {
                let a = of_rank(m, n, rank);
                // Elements of single precision are rounded: the rank is that of a bound above.
                both!(&a, |a| [a.apply(Pinv { tolerance: 1e-5 })], |a, [x], room| {
                    let (ax, xa) = (a.times(&x), x.times(a));
                    let room = 4.0 * room * (1.0 + a.size() * x.size());
                    ax.times(a).assert_near(a, room * a.size());
                    xa.times(&x).assert_near(&x, room * x.size());
                    ax.assert_near(&ax.transposed(), room);
                    xa.assert_near(&xa.transposed(), room);
                });
            }
        }
    }
}

#[test]
fn matrices_without_rows() {
    let tape = Tape::<f64>::new();
    let a = tape.variable(Tensor::zeros([0, 0]));
    assert_eq!(a.det().item(), 1.0);
    for y in
        [a.sqrtm(), a.logm(), a.expm(), a.cholesky(), a.inverse(), a.pinv(), a.eigh().1, a.svd().0]
    {
        assert_eq!(y.shape()[..], [0, 0]);
        let [gradient] = y.sum().grad([a]);
        assert_eq!(gradient.shape()[..], [0, 0]);
    }
    let [gradient] = a.det().grad([a]);
    assert_eq!(gradient.shape()[..], [0, 0]);
    let tall = tape.variable(Tensor::zeros([3, 0]));
    assert_eq!(tall.pinv().shape()[..], [0, 3]);
    assert_eq!(tall.svd().1.shape()[..], [0]);
}

/// A function of a matrix, of a degree: multiplied by `s`, a matrix gives `s^degree` as much.
struct Homogeneous {
    name: &'static str,
    degree: f64,
    f: fn(Var<'_, f64>) -> Var<'_, f64>,
    single: fn(Var<'_, f32>) -> Var<'_, f32>,
    rows: usize,
    columns: usize,
}

macro_rules! homogeneous {
    ($($name:literal, $degree:expr, [$rows:expr, $columns:expr]: |$a:ident| $f:expr;)*) => {
        [$(Homogeneous {
            name: $name,
            degree: $degree,
            f: |$a| $f,
            single: |$a| $f,
            rows: $rows,
            columns: $columns,
        }),*]
    };
}

/// With weights that treat no two elements alike.
fn weighed<'t, T: Real>(x: Var<'t, T>) -> Var<'t, T> {
    let weights = Tensor::from_fn(x.shape(), |at| T::from_f64((1.0 + at as f64).sin() + 1.5));
    (x * x.tape().constant(weights)).sum()
}

/// The value, the gradient, and its derivative along a direction as large as the matrix; of a
/// matrix times a power of 2.
fn derivatives<T: Real>(
    f: &dyn for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
    a: &Matrix,
    scale: f64,
) -> [Vec<f64>; 3] {
    let tape = Tape::new();
    let scaled =
        |x: &Matrix| Tensor::from_fn([x.rows, x.columns], |at| T::from_f64(x.x[at] * scale));
    let x = tape.variable(scaled(a));
    let direction = Matrix::new(a.rows, a.columns, |i, j| noise(j, i + 3));
    let y = f(x);
    let [gradient] = y.grad([x]);
    let bend = gradient.jvp(&[(x, tape.constant(scaled(&direction)))]);
    [y, gradient, bend].map(|y| y.value().iter().map(Real::as_f64).collect())
}

fn assert_homogeneous<T: Real>(
    name: &str,
    f: &dyn for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
    a: &Matrix,
    degree: f64,
    scale: f64,
) {
    let (own, other) = (derivatives(f, a, 1.0), derivatives(f, a, scale));
    // The direction grows as well, so that the third has the degree of the second.
    for (order, degree) in [degree, degree - 1.0, degree - 1.0].into_iter().enumerate() {
        let factor = scale.powf(degree);
        let size = own[order].iter().fold(0.0, |size: f64, x| size.max(x.abs()));
        for (x, y) in own[order].iter().zip(&other[order]) {
            assert!(
                (y / factor - x).abs() <= 1e3 * T::epsilon().as_f64() * size,
                "{name}, order {order}, at scale {scale:e} in {}: {} for {x}",
                T::NAME,
                y / factor
            );
        }
    }
}

#[test]
fn scales_do_not_matter() {
    let functions = homogeneous! {
        "singular values", 1.0, [4, 3]: |a| weighed(a.svd().1);
        "sum of singular values", 1.0, [4, 4]: |a| a.svd().1.sum();
        "singular vectors", 0.0, [4, 3]: |a| weighed(a.svd().0) + weighed(a.svd().2);
        "U S V^T", 1.0, [3, 3]: |a| {
            let (u, s, v) = a.svd();
            weighed((u * s.unsqueeze(-2)).matmul(v.matrix_transpose()))
        };
        "eigenvalues", 1.0, [4, 4]: |a| weighed(a.eigh().0);
        "eigenvectors", 0.0, [3, 3]: |a| weighed(a.eigh().1);
        "V L V^T", 1.0, [3, 3]: |a| {
            let (l, v) = a.eigh();
            weighed((v * l.unsqueeze(-2)).matmul(v.matrix_transpose()))
        };
        "Q", 0.0, [4, 3]: |a| weighed(a.qr().0);
        "R", 1.0, [4, 3]: |a| weighed(a.qr().1);
        "R of a wide one", 1.0, [2, 4]: |a| weighed(a.qr().1);
        "solution", 0.0, [3, 3]: |a| weighed(a.solve(a.matrix_transpose()));
        "triangular solution", 0.0, [3, 3]: |a| weighed(a.solve_upper_triangular(a.matrix_transpose()));
        "Cholesky", 0.5, [3, 3]: |a| weighed(a.cholesky());
        "root", 0.5, [3, 3]: |a| weighed(a.sqrtm());
        "absolute value", 1.0, [3, 3]: |a| weighed(a.symmetric_function(wengert_core::op::Abs));
    };
    for Homogeneous { name, degree, f, single, rows, columns } in functions {
        let a = general(rows, columns);
        // Even powers, so that their roots are exact: 1e-280, 1e280, 1e-30 and 1e30, nearly.
        for exponent in [-930, -568, 568, 930] {
            assert_homogeneous::<f64>(name, &f, &a, degree, 2.0_f64.powi(exponent));
        }
        for exponent in [-100, -66, 66, 100] {
            assert_homogeneous::<f32>(name, &single, &a, degree, 2.0_f64.powi(exponent));
        }
    }
}

/// Of other degrees, at scales at which their derivatives are numbers.
#[test]
fn scales_of_inverses_and_determinants_do_not_matter() {
    let functions = homogeneous! {
        "inverse", -1.0, [3, 3]: |a| weighed(a.inverse());
        "pseudoinverse", -1.0, [4, 3]: |a| weighed(a.pinv());
        "pseudoinverse of a wide one", -1.0, [2, 4]: |a| weighed(a.pinv());
        "determinant", 3.0, [3, 3]: |a| a.det();
    };
    for Homogeneous { name, degree, f, single, rows, columns } in functions {
        let a = general(rows, columns);
        for exponent in [-300, 300] {
            assert_homogeneous::<f64>(name, &f, &a, degree, 2.0_f64.powi(exponent));
        }
        for exponent in [-36, 36] {
            assert_homogeneous::<f32>(name, &single, &a, degree, 2.0_f64.powi(exponent));
        }
    }
}

/// `ln |det (s A)| = ln |det A| + n ln s`, and its derivatives are of degree -1 and -2.
#[test]
fn scales_of_logarithms_do_not_matter() {
    let functions = homogeneous! {
        "ln |det|", 0.0, [3, 3]: |a| a.log_abs_det();
        "logarithm", 0.0, [3, 3]: |a| a.logm().trace();
    };
    for Homogeneous { name, f, rows, columns, .. } in functions {
        let a = general(rows, columns);
        for exponent in [-900, 900] {
            let scale = 2.0_f64.powi(exponent);
            let (own, other) = (derivatives(&f, &a, 1.0), derivatives(&f, &a, scale));
            let shift = 3.0 * f64::from(exponent) * std::f64::consts::LN_2;
            assert!((other[0][0] - own[0][0] - shift).abs() <= 1e-15 * shift.abs(), "{name}");
            for order in [1, 2] {
                for (x, y) in own[order].iter().zip(&other[order]) {
                    assert!(
                        (y * scale - x).abs() <= 1e-13,
                        "{name}, {order}: {} for {x}",
                        y * scale
                    );
                }
            }
        }
    }
}

/// Columns of different scales: `Q` does not see them, and `R` has them.
#[test]
fn columns_of_any_scale_have_a_factorisation() {
    let a = general(5, 4);
    let scales = [1e-290, 1.0, 1e300, 1e-170];
    let tape = Tape::new();
    let scaled = Matrix::new(5, 4, |i, j| a.at(i, j) * scales[j]);
    let (q, r) = tape.variable(scaled.tensor::<f64>()).qr();
    let (expected_q, expected_r) = tape.variable(a.tensor::<f64>()).qr();
    Matrix::of(&q.value()).assert_near(&Matrix::of(&expected_q.value()), 1e-14);
    let r = Matrix::of(&r.value());
    let unscaled = Matrix::new(4, 4, |i, j| r.at(i, j) / scales[j]);
    unscaled.assert_near(&Matrix::of(&expected_r.value()), 1e-14 * a.size());
}

/// A derivative of the exponential is linear in its direction, whatever the scale of that.
#[test]
fn directions_of_the_exponential_have_any_scale() {
    for n in [1, 3] {
        let a = Matrix::new(n, n, |i, j| 0.1 * noise(i, j));
        let direction = Matrix::new(n, n, |i, j| noise(j, i + 1));
        let along = |scale: f64| {
            let tape = Tape::new();
            let x = tape.variable(a.tensor::<f64>());
            let v = tape.constant(Tensor::from_fn([n, n], |at| direction.x[at] * scale));
            Matrix::of(&x.expm().jvp(&[(x, v)]).value())
        };
        let expected = along(1.0);
        for scale in [1e-300, 1e-20, 1e20, 1e300] {
            let found = along(scale);
            let found = Matrix::new(n, n, |i, j| found.at(i, j) / scale);
            found.assert_near(&expected, 1e-14 * expected.size());
        }
    }
}

/// `e^A` of matrices whose powers overflow.
#[test]
fn exponentials_of_large_matrices() {
    let tape = Tape::<f64>::new();
    for scale in [1e5, 1e60, 1e200] {
        let falling = tape.variable([[-scale, 0.0], [0.0, -2.0 * scale]]);
        assert_eq!(falling.expm().value().to_vec(), [0.0; 4]);
        let nilpotent = tape.variable([[0.0, scale], [0.0, 0.0]]);
        assert_eq!(nilpotent.expm().value().to_vec(), [1.0, scale, 0.0, 1.0]);
    }
}
