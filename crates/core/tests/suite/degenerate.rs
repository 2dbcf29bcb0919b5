//! Matrices with equal eigenvalues or singular values, or of deficient rank: what is smooth
//! there has the right derivatives, by closed forms, and what has none says so.

use wengert_core::check::{self, Verdict};
use wengert_core::op::{
    Abs, Cos, Elementwise, Exp, Ln, Powf, Powi, Reciprocal, Relu, Sigmoid, Sin, Sqrt, Tanh,
};
use wengert_core::{Tape, Tensor, Var};

type Matrix = Vec<Vec<f64>>;

fn matrix(n: usize, element: impl Fn(usize, usize) -> f64) -> Matrix {
    (0..n).map(|i| (0..n).map(|j| element(i, j)).collect()).collect()
}

fn identity(n: usize) -> Matrix {
    matrix(n, |i, j| f64::from(u8::from(i == j)))
}

fn transposed(a: &Matrix) -> Matrix {
    matrix(a.len(), |i, j| a[j][i])
}

fn product(factors: &[&Matrix]) -> Matrix {
    let n = factors[0].len();
    factors[1..].iter().fold(factors[0].clone(), |left, right| {
        matrix(n, |i, j| (0..n).map(|k| left[i][k] * right[k][j]).sum())
    })
}

fn sum(terms: &[Matrix]) -> Matrix {
    matrix(terms[0].len(), |i, j| terms.iter().map(|term| term[i][j]).sum())
}

fn tensor(a: &Matrix) -> Tensor<f64> {
    Tensor::new([a.len(), a.len()], a.concat())
}

fn noise(n: usize, seed: usize) -> Matrix {
    matrix(n, |i, j| {
        (0.3 + 1.7 * i as f64 + 0.9 * (j * j) as f64 + (i * j + 7 * seed) as f64).sin()
    })
}

fn symmetric_noise(n: usize, seed: usize) -> Matrix {
    let a = noise(n, seed);
    matrix(n, |i, j| 0.5 * (a[i][j] + a[j][i]))
}

/// An orthogonal matrix: a product of reflections.
fn turn(n: usize) -> Matrix {
    (0..3).fold(identity(n), |q, seed| {
        let v: Vec<f64> = noise(n, seed).concat()[..n].to_vec();
        let square: f64 = v.iter().map(|x| x * x).sum();
        product(&[&q, &matrix(n, |i, j| f64::from(u8::from(i == j)) - 2.0 * v[i] * v[j] / square)])
    })
}

/// `Q diag(f(l)) Q^T`.
fn with_values(q: &Matrix, values: &[f64], f: impl Fn(f64) -> f64) -> Matrix {
    let n = values.len();
    product(&[q, &matrix(n, |i, j| if i == j { f(values[i]) } else { 0.0 }), &transposed(q)])
}

#[track_caller]
fn near(found: &Tensor<f64>, expected: &Matrix, tolerance: f64) {
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
fn along<'t>(y: Var<'t, f64>, x: Var<'t, f64>, directions: &[&Matrix]) -> Var<'t, f64> {
    directions.iter().fold(y, |y, v| y.jvp(&[(x, y.tape().constant(tensor(v)))]))
}

/// All orders of some matrices.
fn permutations(n: usize) -> Vec<Vec<usize>> {
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

/// By the sum over permutations.
fn determinant(a: &Matrix) -> f64 {
    let n = a.len();
    let sign = |order: &[usize]| {
        let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (j, i)));
        if pairs.filter(|&(j, i)| order[j] > order[i]).count() % 2 == 0 { 1.0 } else { -1.0 }
    };
    let term = |order: &Vec<usize>| sign(order) * (0..n).map(|i| a[i][order[i]]).product::<f64>();
    permutations(n).iter().map(term).sum()
}

/// The derivative of the determinant, which is linear in each row: the sum of those with
/// different rows taken from the directions.
fn of_rows(a: &Matrix, directions: &[&Matrix], taken: &mut Vec<usize>) -> f64 {
    let Some((direction, rest)) = directions.split_first() else { return determinant(a) };
    let rows: Vec<usize> = (0..a.len()).filter(|row| !taken.contains(row)).collect();
    rows.into_iter()
        .map(|row| {
            let mut changed = a.clone();
            changed[row].clone_from(&direction[row]);
            taken.push(row);
            let sum = of_rows(&changed, rest, taken);
            taken.pop();
            sum
        })
        .sum()
}

/// A matrix of some rank: whole numbers, so that its determinant is exact.
fn of_rank(n: usize, rank: usize) -> Matrix {
    let whole = |i: usize, j: usize| {
        (5.0 * noise(6, 2)[i % 6][j % 6]).round() + f64::from(u8::from(i == j))
    };
    let (left, right) = (matrix(n, whole), matrix(n, |i, j| whole(j + 1, i)));
    matrix(n, |i, j| (0..rank).map(|k| left[i][k] * right[k][j]).sum())
}

#[test]
fn determinants_have_right_derivatives_at_any_rank() {
    for n in 1..=5_usize {
        for rank in [n, n.saturating_sub(1), n.saturating_sub(2), 0] {
            let a = of_rank(n, rank);
            let tape = Tape::new();
            let x = tape.variable(tensor(&a));
            let y = x.det();
            let size = a.concat().iter().fold(1.0, |size: f64, x| size.max(x.abs())).powi(n as i32);
            let close = |found: f64, expected: f64, what: &str| {
                assert!(
                    (found - expected).abs() <= 1e-13 * size,
                    "{what} of {n} x {n}, rank {rank}: {found}, not {expected}"
                );
            };
            close(y.item(), determinant(&a), "the value");
            let [gradient] = y.grad([x]);
            // The cofactors.
            for i in 0..n {
                for j in 0..n {
                    let mut unit = a.clone();
                    unit[i].fill(0.0);
                    unit[i][j] = 1.0;
                    close(gradient.value().at(&[i, j]), determinant(&unit), "a cofactor");
                }
            }
            let directions = [noise(n, 1), noise(n, 2), noise(n, 3), noise(n, 4)];
            for order in 1..=4 {
                let own: Vec<&Matrix> = directions[..order].iter().collect();
                let expected = of_rows(&a, &own, &mut vec![]);
                close(along(y, x, &own).item(), expected, "a derivative");
            }
            // Reverse over reverse.
            let weights = tape.constant(tensor(&directions[0]));
            let [second] = (gradient * weights).sum().grad([x]);
            let [third] = (second * tape.constant(tensor(&directions[1]))).sum().grad([x]);
            let found: f64 = (third * tape.constant(tensor(&directions[2]))).sum().item();
            let own: Vec<&Matrix> = directions[..3].iter().collect();
            close(found, of_rows(&a, &own, &mut vec![]), "the third derivative in reverse");
        }
    }
}

#[test]
fn determinants_of_large_and_singular_matrices() {
    for n in [33, 65] {
        let q = turn(n);
        // The product of n numbers, of which n - 1 are other than 0.
        let values: Vec<f64> =
            (0..n).map(|i| if i == 3 { 0.0 } else { 1.5 + (i as f64).sin() }).collect();
        let tape = Tape::new();
        let x = tape.variable(tensor(&with_values(&q, &values, |x| x)));
        let [gradient] = x.det().grad([x]);
        let others: f64 = values.iter().filter(|&&x| x != 0.0).product();
        let cofactors = matrix(n, |i, j| others * q[i][3] * q[j][3]);
        near(&gradient.value(), &cofactors, 1e-12);
    }
}

/// `(A^T A)^-1 A^T` of full rank; of deficient rank, `A = B C` with both of full rank has the
/// pseudoinverse `C^+ B^+`, and moves on matrices of its rank with them.
#[test]
fn pseudoinverses_have_right_derivatives() {
    let element =
        |seed: f64| move |at: usize| (seed + 1.3 * at as f64 + 0.7 * (at * at) as f64).sin();
    let tape = Tape::new();
    let weights = tape.constant(Tensor::from_fn([3, 5], element(9.0)));
    let a = tape.variable(Tensor::from_fn([5, 3], element(1.0)));
    let transposed = a.matrix_transpose();
    let normal = transposed.matmul(a).solve(transposed);
    let compare = |found: Var<'_, f64>, expected: Var<'_, f64>| {
        let size = expected.value().iter().fold(0.0, |size: f64, x| size.max(x.abs()));
        for (x, y) in found.value().iter().zip(expected.value().iter()) {
            assert!((x - y).abs() <= 1e-11 * size, "{} is not {}", found.value(), expected.value());
        }
    };
    let [first, expected] = [a.pinv(), normal].map(|y| (y * weights).sum().grad([a])[0]);
    compare(first, expected);
    let [second, expected] = [first, expected].map(|y| y.square().sum().grad([a])[0]);
    compare(second, expected);
    let (b, c) = (
        tape.variable(Tensor::from_fn([5, 2], element(2.0))),
        tape.variable(Tensor::from_fn([2, 3], element(3.0))),
    );
    let (found, expected) = (b.matmul(c).pinv(), c.pinv().matmul(b.pinv()));
    compare(found, expected);
    let [of_b, of_c] = (found * weights).sum().grad([b, c]);
    let [expected_b, expected_c] = (expected * weights).sum().grad([b, c]);
    compare(of_b, expected_b);
    compare(of_c, expected_c);
    let [second] = of_b.square().sum().grad([c]);
    let [expected_second] = expected_b.square().sum().grad([c]);
    compare(second, expected_second);
}

/// What stands on the diagonal, and on the other side of it, is not read, and gets nothing.
#[test]
fn unit_triangles_by_hand() {
    let tape = Tape::<f64>::new();
    let a = tape.variable([[f64::NAN, f64::NAN], [3.0, 0.0]]);
    let b = tape.variable([1.0, 5.0]);
    let x = a.solve_unit_lower_triangular(b);
    assert_eq!(x.value().to_vec(), [1.0, 2.0]);
    let [of_a, of_b] = (x * tape.constant([7.0, 11.0])).sum().grad([a, b]);
    assert_eq!(of_b.value().to_vec(), [7.0 - 33.0, 11.0]);
    assert_eq!(of_a.value().to_vec(), [0.0, 0.0, -11.0, 0.0]);
    let a = tape.variable([[0.0, 3.0], [f64::NAN, f64::NAN]]);
    let x = a.solve_unit_upper_triangular(b);
    assert_eq!(x.value().to_vec(), [-14.0, 5.0]);
    let [of_a] = x.sum().grad([a]);
    assert_eq!(of_a.value().to_vec(), [0.0, -5.0, 0.0, 0.0]);
}
