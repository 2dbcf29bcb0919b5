//! Factorisations of matrices of any scale: results and derivatives go with it.

use wengert_core::{Real, Tape, Tensor, Var};

use crate::factorisations::{Matrix, general, noise};

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
