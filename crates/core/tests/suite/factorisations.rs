//! Linear algebra by what defines it (`A X = B`, `Q R = A`, `U S V^T = A`, ...), at sizes around
//! the constants of its kernels, in both precisions; and at scales from far below 1 to far
//! above it.
//!
//! Products are plain loops over numbers in double precision.

use wengert_core::op::{Exp, Pinv};
use wengert_core::{Real, Tape, Tensor, Var};

/// Around a stripe of eigenvectors (32), its lanes (16) and panels of products.
pub(crate) const SIZES: [usize; 12] = [1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 65, 100];

/// A matrix of doubles, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) x: Vec<f64>,
}

impl Matrix {
    pub(crate) fn new(rows: usize, columns: usize, element: impl Fn(usize, usize) -> f64) -> Self {
        let x = (0..rows * columns).map(|at| element(at / columns, at % columns)).collect();
        Self { rows, columns, x }
    }

    pub(crate) fn at(&self, i: usize, j: usize) -> f64 {
        self.x[i * self.columns + j]
    }

    pub(crate) fn identity(n: usize) -> Self {
        Self::new(n, n, |i, j| f64::from(u8::from(i == j)))
    }

    pub(crate) fn transposed(&self) -> Self {
        Self::new(self.columns, self.rows, |i, j| self.at(j, i))
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        assert_eq!(self.columns, other.rows);
        Self::new(self.rows, other.columns, |i, j| {
            (0..self.columns).map(|k| self.at(i, k) * other.at(k, j)).sum()
        })
    }

    pub(crate) fn size(&self) -> f64 {
        self.x.iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    #[track_caller]
    pub(crate) fn assert_near(&self, expected: &Self, room: f64) {
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

    pub(crate) fn tensor<T: Real>(&self) -> Tensor<T> {
        Tensor::from_fn([self.rows, self.columns], |at| T::from_f64(self.x[at]))
    }

    /// As a tensor of the type has it.
    pub(crate) fn rounded<T: Real>(&self) -> Self {
        Self::of(&self.tensor::<T>())
    }

    /// The last two axes of a tensor.
    pub(crate) fn of<T: Real>(x: &Tensor<T>) -> Self {
        let [rows, columns] = x.shape()[..] else { panic!("{} is no matrix", x.shape()) };
        Self { rows, columns, x: x.iter().map(Real::as_f64).collect() }
    }
}

/// Numbers without structure, from -1 to 1.
pub(crate) fn noise(i: usize, j: usize) -> f64 {
    (0.3 + 1.7 * i as f64 + 0.9 * (j * j) as f64 + (i * j) as f64).sin()
}

pub(crate) fn general(m: usize, n: usize) -> Matrix {
    Matrix::new(m, n, |i, j| noise(i, j) + if i == j { 3.0 } else { 0.0 })
}

/// A matrix of some rank, which is general if that is full.
pub(crate) fn of_rank(m: usize, n: usize, rank: usize) -> Matrix {
    if rank == m.min(n) {
        return general(m, n);
    }
    let near_identity = |i: usize, j: usize| noise(i, j) + f64::from(u8::from(i == j));
    let right = Matrix::new(rank, n, |i, j| near_identity(j, i));
    Matrix::new(m, rank, near_identity).times(&right)
}

/// A matrix with eigenvalues from about 1 to 4.
pub(crate) fn definite(n: usize) -> Matrix {
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

pub(crate) fn diagonal(s: &Matrix) -> Matrix {
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
    }
}

/// Symmetric matrices and others on which iterations are known to stall: of little rank, with rows
/// that repeat, of magnitudes far apart, with eigenvalues in clusters.
fn awkward(n: usize) -> Vec<Matrix> {
    let gram = |terms: usize| {
        Matrix::new(n, n, |i, j| (0..terms).map(|k| noise(i, k) * noise(j, k)).sum())
    };
    let repeating = |period: usize| Matrix::new(n, n, |i, j| noise(i % period, j % period));
    let graded = |exponent: f64| {
        Matrix::new(n, n, |i, j| {
            let power = exponent * i.max(j) as f64 / n as f64;
            noise(i, j) * 10_f64.powf(power)
        })
    };
    let beside = |coupling: &dyn Fn(usize) -> f64, on: &dyn Fn(usize) -> f64| {
        Matrix::new(n, n, |i, j| match i.abs_diff(j) {
            0 => on(i),
            1 => coupling(i.max(j)),
            _ => 0.0,
        })
    };
    let cluster = |i: usize| ((i % 21) as f64 - 10.0).abs();
    vec![
        general(n, n),
        Matrix::new(n, n, |_, _| 0.0),
        Matrix::new(n, n, |_, _| 1.0),
        Matrix::new(n, n, |i, j| f64::from(u8::from(i + 1 == n && j + 1 == n))),
        gram(1),
        gram(3),
        gram(10),
        gram(30),
        repeating(2),
        repeating(3),
        repeating(5),
        repeating(31),
        graded(-30.0),
        graded(30.0),
        Matrix::new(n, n, |i, j| 1.0 / (1 + i + j) as f64),
        Matrix::new(n, n, |i, j| (-2.0 * ((i as f64 - j as f64) / n as f64).powi(2)).exp()),
        beside(&|_| 1.0, &cluster),
        beside(&|i| if i % 21 == 0 { 1e-8 } else { 1.0 }, &cluster),
    ]
}

#[test]
fn eigenvectors_and_singular_vectors_of_awkward_matrices() {
    for (n, a) in SIZES.iter().flat_map(|&n| awkward(n).into_iter().map(move |a| (n, a))) {
        both!(&a, |a| a.eigh().into(), |a, [values, vectors]: [Matrix; 2], room| {
            let symmetric = Matrix::new(n, n, |i, j| 0.5 * (a.at(i, j) + a.at(j, i)));
            let (left, right) = (symmetric.times(&vectors), vectors.times(&diagonal(&values)));
            left.assert_near(&right, room * a.size());
            assert_orthonormal(&vectors, room);
            assert!(values.x.is_sorted());
        });
        both!(&a, |a| a.svd().into(), |a, [u, s, v]: [Matrix; 3], room| {
            let product = u.times(&diagonal(&s)).times(&v.transposed());
            product.assert_near(a, room * a.size());
            assert_orthonormal(&u, room);
            assert_orthonormal(&v, room);
            assert!(s.x.is_sorted_by(|a, b| a >= b) && s.x.iter().all(|&s| s >= 0.0));
        });
    }
}

/// Scales at which squares of the numbers vanish or overflow: a power of 2 costs no digits.
#[test]
fn factors_at_every_scale() {
    for n in [1, 2, 33] {
        let factors = |scale: f64| {
            let tape = Tape::new();
            let a = general(n, n);
            let a = tape.constant(Tensor::from_fn([n, n], |at| scale * a.x[at]));
            let ((values, vectors), (u, s, v), (q, r)) = (a.eigh(), a.svd(), a.qr());
            let shared = [vectors, u, v, q].map(|x| x.value().to_vec());
            (
                shared,
                [values, s, r].map(|x| x.value().iter().map(|x| x / scale).collect::<Vec<_>>()),
            )
        };
        let expected = factors(1.0);
        for exponent in [-900, -600, 600, 1000] {
            let scale = f64::from(exponent).exp2();
            assert_eq!(factors(scale), expected, "{n} rows, 2^{exponent}");
        }
        // These have few digits: the least numbers that there are.
        let (shared, _) = factors(f64::from(-1060).exp2());
        for q in shared {
            let q = Matrix { rows: n, columns: n, x: q };
            assert_orthonormal(&q, 16.0 * f64::EPSILON * n as f64);
        }
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
