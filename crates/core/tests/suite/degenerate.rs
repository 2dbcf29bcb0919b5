//! Matrices with equal eigenvalues or singular values, or of deficient rank: what is smooth
//! there has the right derivatives, by closed forms, and what has none says so.

use wengert_core::check::{self, Verdict};
use wengert_core::op::{
    Abs, Cos, Elementwise, Exp, Ln, Powf, Powi, Reciprocal, Relu, Sigmoid, Sin, Sqrt, Tanh,
};
use wengert_core::{Tape, Tensor, Var};

pub(crate) type Matrix = Vec<Vec<f64>>;

pub(crate) fn matrix(n: usize, element: impl Fn(usize, usize) -> f64) -> Matrix {
    (0..n).map(|i| (0..n).map(|j| element(i, j)).collect()).collect()
}

pub(crate) fn identity(n: usize) -> Matrix {
    matrix(n, |i, j| f64::from(u8::from(i == j)))
}

pub(crate) fn transposed(a: &Matrix) -> Matrix {
    matrix(a.len(), |i, j| a[j][i])
}

pub(crate) fn product(factors: &[&Matrix]) -> Matrix {
    let n = factors[0].len();
    factors[1..].iter().fold(factors[0].clone(), |left, right| {
        matrix(n, |i, j| (0..n).map(|k| left[i][k] * right[k][j]).sum())
    })
}

pub(crate) fn sum(terms: &[Matrix]) -> Matrix {
    matrix(terms[0].len(), |i, j| terms.iter().map(|term| term[i][j]).sum())
}

pub(crate) fn tensor(a: &Matrix) -> Tensor<f64> {
    Tensor::new([a.len(), a.len()], a.concat())
}

pub(crate) fn noise(n: usize, seed: usize) -> Matrix {
    matrix(n, |i, j| {
        (0.3 + 1.7 * i as f64 + 0.9 * (j * j) as f64 + (i * j + 7 * seed) as f64).sin()
    })
}

fn symmetric_noise(n: usize, seed: usize) -> Matrix {
    let a = noise(n, seed);
    matrix(n, |i, j| 0.5 * (a[i][j] + a[j][i]))
}

/// An orthogonal matrix: a product of reflections.
pub(crate) fn turn(n: usize) -> Matrix {
    (0..3).fold(identity(n), |q, seed| {
        let v: Vec<f64> = noise(n, seed).concat()[..n].to_vec();
        let square: f64 = v.iter().map(|x| x * x).sum();
        product(&[&q, &matrix(n, |i, j| f64::from(u8::from(i == j)) - 2.0 * v[i] * v[j] / square)])
    })
}

/// `Q diag(f(l)) Q^T`.
pub(crate) fn with_values(q: &Matrix, values: &[f64], f: impl Fn(f64) -> f64) -> Matrix {
    let n = values.len();
    product(&[q, &matrix(n, |i, j| if i == j { f(values[i]) } else { 0.0 }), &transposed(q)])
}

#[track_caller]
pub(crate) fn near(found: &Tensor<f64>, expected: &Matrix, tolerance: f64) {
    let size = expected.concat().iter().fold(1e-3, |size: f64, x| size.max(x.abs()));
    for (a, b) in found.iter().zip(expected.concat()) {
        assert!((a - b).abs() <= tolerance * size, "{found}, not {expected:?}");
    }
}

/// Eigenvalues with ties, without, and close together.
fn spectra() -> Vec<Vec<f64>> {
    let mut spectra = vec![
        vec![1.7],
        vec![2.0, 2.0],
        vec![1.0, 1.0, 3.0],
        vec![1.0, 1.0, 1.0],
        vec![0.5, 2.0, 2.0, 2.0, 3.5],
        vec![0.3, 0.9, 1.4, 2.2, 3.1, 4.0, 4.0, 5.0],
    ];
    for gap in [1e-15, 1e-13, 1e-11, 1e-8, 1e-5, 1e-3, 0.03, 0.3] {
        spectra.push(vec![1.0, 1.0 + gap, 3.0]);
        spectra.push(vec![1.0, 1.0 + gap, 1.0 + 3.0 * gap]);
    }
    spectra
}

/// The derivative of order `k` of a function along directions, by jvp of jvp.
pub(crate) fn along<'t>(y: Var<'t, f64>, x: Var<'t, f64>, directions: &[&Matrix]) -> Var<'t, f64> {
    directions.iter().fold(y, |y, v| y.jvp(&[(x, y.tape().constant(tensor(v)))]))
}

/// All orders of some matrices.
pub(crate) fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let shorter = permutations(n - 1);
    (0..n)
        .flat_map(|place| {
            shorter.iter().map(move |order| {
                let mut order = order.clone();
                order.insert(place, n - 1);
                order
            })
        })
        .collect()
}

/// `A^4`, whose derivatives are sums of products in all orders.
#[test]
fn powers_have_right_derivatives_to_every_order() {
    for values in spectra() {
        let n = values.len();
        let a = with_values(&turn(n), &values, |x| x);
        let directions = [symmetric_noise(n, 1), symmetric_noise(n, 2), symmetric_noise(n, 3)];
        for f in [false, true] {
            for order in 1..=3 {
                // A sweep follows all that was recorded of `x`.
                let tape = Tape::new();
                let x = tape.variable(tensor(&a));
                let y = match f {
                    false => x.symmetric_function(Powi(4)),
                    true => x.symmetric_function(Powf(4.0)),
                };
                near(&y.value(), &product(&[&a, &a, &a, &a]), 1e-14);
                let own: Vec<&Matrix> = directions[..order].iter().collect();
                // Words of four letters, among them each direction once.
                let mut terms = vec![];
                let words = permutations(4);
                for word in words {
                    // Powers of `A` are alike: of their orders, one counts.
                    let places: Vec<usize> = word.iter().copied().filter(|&w| w >= order).collect();
                    if places.is_sorted() {
                        let letters: Vec<&Matrix> =
                            word.iter().map(|&w| if w < order { own[w] } else { &a }).collect();
                        terms.push(product(&letters));
                    }
                }
                near(&along(y, x, &own).value(), &sum(&terms), 1e-13);
            }
        }
    }
}

/// The gradient of `tr f(A)` is `f'(A)`, and that of `<f'(A), E>` along `F` is symmetric in both.
fn trace<F: Elementwise<1>>(f: F, slope: impl Fn(f64) -> f64) {
    for values in spectra() {
        let n = values.len();
        let q = turn(n);
        let tape = Tape::new();
        let x = tape.variable(tensor(&with_values(&q, &values, |x| x)));
        let [gradient] = x.symmetric_function(f).trace().grad([x]);
        near(&gradient.value(), &with_values(&q, &values, &slope), 2e-14);
    }
}

#[test]
fn gradients_of_traces_are_slopes() {
    trace(Exp, f64::exp);
    trace(Ln, |x| 1.0 / x);
    trace(Sqrt, |x| 0.5 / x.sqrt());
    trace(Reciprocal, |x| -1.0 / (x * x));
    trace(Sin, f64::cos);
    trace(Cos, |x| -x.sin());
    trace(Tanh, |x| 1.0 - x.tanh() * x.tanh());
    trace(Sigmoid, |x| {
        let y = 1.0 / (1.0 + (-x).exp());
        y * (1.0 - y)
    });
    trace(Powf(1.5), |x| 1.5 * x.sqrt());
    trace(Powf(-0.5), |x| -0.5 * x.powf(-1.5));
    trace(Abs, |_| 1.0);
}

/// `X dX + dX X = dA` of a root, and `X d2X + d2X X = -2 dX dX`.
#[test]
fn roots_satisfy_sylvester() {
    for values in spectra() {
        let n = values.len();
        let tape = Tape::new();
        let x = tape.variable(tensor(&with_values(&turn(n), &values, |x| x)));
        let direction = symmetric_noise(n, 1);
        let root = x.sqrtm();
        let first = along(root, x, &[&direction]);
        let anticommutator = root.matmul(first) + first.matmul(root);
        near(&anticommutator.value(), &direction, 1e-13);
        let second = along(root, x, &[&direction, &direction]);
        let rest = root.matmul(second) + second.matmul(root) + 2.0 * first.matmul(first);
        near(&rest.value(), &matrix(n, |_, _| 0.0), 1e-10);
    }
}

/// The exponential of general matrices goes another way: by Padé's approximant, and block
/// matrices.
#[test]
fn two_exponentials_agree_to_third_order() {
    for values in spectra() {
        let n = values.len();
        let a = tensor(&with_values(&turn(n), &values, |x| x));
        let directions = [symmetric_noise(n, 1), symmetric_noise(n, 2), symmetric_noise(n, 3)];
        for order in 1..=if n > 5 { 2 } else { 3 } {
            let own: Vec<&Matrix> = directions[..order].iter().collect();
            let (tape, other_tape) = (Tape::new(), Tape::new());
            let (x, other_x) = (tape.variable(&a), other_tape.variable(&a));
            let found = along(x.symmetric_function(Exp), x, &own).value();
            let expected = along(other_x.expm(), other_x, &own).value();
            let rows: Matrix = expected.to_vec().chunks(n).map(<[f64]>::to_vec).collect();
            near(&found, &rows, 1e-13);
        }
    }
}

/// `exp(log A) = A`: the derivative of the logarithm undoes that of the exponential.
#[test]
fn logarithms_undo_exponentials() {
    for values in spectra() {
        let n = values.len();
        let tape = Tape::new();
        let x = tape.variable(tensor(&with_values(&turn(n), &values, |x| x)));
        let y = x.logm().expm();
        let direction = symmetric_noise(n, 1);
        near(&along(y, x, &[&direction]).value(), &direction, 1e-13);
        near(&along(y, x, &[&direction, &direction]).value(), &matrix(n, |_, _| 0.0), 1e-10);
    }
}

/// The projection onto matrices without negative eigenvalues: `relu` has no Taylor series
/// across 0, and its divided differences there are quotients.
#[test]
fn functions_with_kinks_between_eigenvalues() {
    let q = turn(3);
    let values = [-2.0, -2.0, 1.0];
    let tape = Tape::new();
    let x = tape.variable(tensor(&with_values(&q, &values, |x| x)));
    near(&x.symmetric_function(Relu).value(), &with_values(&q, &values, |x| x.max(0.0)), 1e-14);
    let direction = symmetric_noise(3, 1);
    let turned = product(&[&transposed(&q), &direction, &q]);
    let slopes = [[0.0, 0.0, 1.0 / 3.0], [0.0, 0.0, 1.0 / 3.0], [1.0 / 3.0, 1.0 / 3.0, 1.0]];
    let expected = product(&[&q, &matrix(3, |i, j| slopes[i][j] * turned[i][j]), &transposed(&q)]);
    near(&along(x.symmetric_function(Relu), x, &[&direction]).value(), &expected, 1e-14);
}

#[test]
fn large_matrices_and_batches() {
    for n in [33, 65] {
        let values: Vec<f64> = (0..n).map(|i| 1.0 + (i / 3) as f64 / n as f64).collect();
        let q = turn(n);
        let a = with_values(&q, &values, |x| x);
        let tape = Tape::<f64>::new();
        let stack = Tensor::new([2, n, n], [a.concat(), identity(n).concat()].concat());
        let x = tape.variable(stack);
        let [gradient] = x.symmetric_function(Ln).trace().sum().grad([x]);
        let inverse = with_values(&q, &values, |x| 1.0 / x);
        let expected = [inverse.concat(), identity(n).concat()].concat();
        for (a, b) in gradient.value().iter().zip(expected) {
            assert!((a - b).abs() < 1e-13, "{a} is not {b}");
        }
    }
}

fn by_vectors<'t>(a: Var<'t, f64>, f: impl Fn(Var<'t, f64>) -> Var<'t, f64>) -> Var<'t, f64> {
    let (values, vectors) = a.eigh();
    (vectors * f(values).unsqueeze(-2)).matmul(vectors.matrix_transpose())
}

/// What is computed from vectors of equal eigenvalues has no derivative that a rule could
/// know, and none is made up: not even where the cotangent is 0.
#[test]
fn vectors_of_equal_values_have_no_derivative() {
    let w = tensor(&symmetric_noise(3, 4));
    for values in [[1.0, 1.0, 3.0], [0.0, 0.0, 3.0], [-1.0, 2.0, 2.0], [2.0, 2.0, 2.0]] {
        for q in [identity(3), turn(3)] {
            let tape = Tape::new();
            let x = tape.variable(tensor(&with_values(&q, &values, |x| x)));
            let y = (by_vectors(x, |l| l) * tape.constant(&w)).sum();
            let [gradient] = y.grad([x]);
            assert!(gradient.value().iter().all(f64::is_nan), "{values:?}: {}", gradient.value());
            let tangent = y.jvp(&[(x, tape.constant(&w))]);
            assert!(tangent.item().is_nan(), "{values:?}: {}", tangent.item());
            // As a function of the matrix it is the matrix, and its gradient `w`.
            let y = (x.symmetric_function(Powi(1)) * tape.constant(&w)).sum();
            let [gradient] = y.grad([x]);
            near(&gradient.value(), &symmetric_noise(3, 4), 1e-14);
        }
    }
    let tape = Tape::<f64>::new();
    let one = tape.variable(tensor(&identity(3)));
    let [gradient] = (by_vectors(one, Var::ln) * tape.constant(&w)).sum().grad([one]);
    assert!(gradient.value().iter().all(f64::is_nan), "{}", gradient.value());
    // The second derivative of the values' functions needs vectors.
    let [slope] = one.eigh().0.exp().sum().grad([one]);
    near(&slope.value(), &matrix(3, |i, j| if i == j { 1.0_f64.exp() } else { 0.0 }), 1e-15);
    let [bend] = (slope * tape.constant(&w)).sum().grad([one]);
    assert!(bend.value().iter().all(f64::is_nan), "{}", bend.value());
}

#[test]
fn values_keep_their_first_derivatives() {
    let q = turn(3);
    let values = [1.0, 1.0, 3.0];
    let tape = Tape::new();
    let x = tape.variable(tensor(&with_values(&q, &values, |x| x)));
    let found = x.eigh().0;
    let [largest] = found.slice(0, 2..).sum().grad([x]);
    near(&largest.value(), &matrix(3, |i, j| q[i][2] * q[j][2]), 1e-14);
    let [both] = found.slice(0, ..2).sum().grad([x]);
    near(&both.value(), &matrix(3, |i, j| q[i][0] * q[j][0] + q[i][1] * q[j][1]), 1e-14);
    let singular = x.svd().1;
    let [largest] = singular.slice(0, ..1).sum().grad([x]);
    near(&largest.value(), &matrix(3, |i, j| q[i][2] * q[j][2]), 1e-14);
    let [all] = singular.sum().grad([x]);
    near(&all.value(), &identity(3), 1e-14);
}

#[test]
fn singular_vectors_of_equal_values_have_no_derivative() {
    let (q, w) = (turn(3), tensor(&noise(3, 4)));
    for values in [[2.0, 1.0, 1.0], [2.0, 2.0, 2.0], [3.0, 1.0, 0.0], [2.0, 0.0, 0.0]] {
        let tape = Tape::new();
        let a = product(&[&q, &matrix(3, |i, j| if i == j { values[i] } else { 0.0 })]);
        let x = tape.variable(tensor(&a));
        let (u, s, v) = x.svd();
        let y = ((u * s.unsqueeze(-2)).matmul(v.matrix_transpose()) * tape.constant(&w)).sum();
        let [gradient] = y.grad([x]);
        assert!(gradient.value().iter().all(f64::is_nan), "{values:?}: {}", gradient.value());
    }
    // Of a 0 that stands alone, the right vectors have one.
    let tape = Tape::new();
    let x = tape.variable([[3.0, 0.0], [0.0, 0.0]]);
    let (u, _, v) = x.svd();
    let [of_v] = v.slice(-1, ..1).sum().grad([x]);
    near(&of_v.value(), &vec![vec![0.0, 1.0 / 3.0], vec![0.0, 0.0]], 1e-15);
    let [of_u] = u.slice(-1, 1..).sum().grad([x]);
    assert!(of_u.value().iter().any(f64::is_nan));
}

#[test]
fn checks_say_degenerate_and_not_wrong() {
    let a = Tensor::from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]]);
    let w = tensor(&symmetric_noise(3, 4));
    let report = check::gradient(|x| (by_vectors(x, |l| l) * x.tape().constant(&w)).sum(), &a);
    assert_eq!(report.verdict(), Verdict::Kink, "{report}");
    assert!(report.to_string().contains("eigh"), "{report}");
    let report = check::gradient(|x| x.eigh().0.slice(0, ..1).sum(), &a);
    assert_eq!(report.verdict(), Verdict::Kink, "{report}");
    let report = check::gradient(
        |x| {
            let (u, _, v) = x.svd();
            (u.matmul(v.matrix_transpose()) * x.tape().constant(&w)).sum()
        },
        &a,
    );
    assert_eq!(report.verdict(), Verdict::Kink, "{report}");
    let report =
        check::gradient(|x| x.pinv().square().sum(), &Tensor::from([[1.0, 2.0], [2.0, 4.0]]));
    assert_eq!(report.verdict(), Verdict::Kink, "{report}");
    check::gradient(|x| (x.logm() * x.tape().constant(&w)).sum(), &a).assert();
}
