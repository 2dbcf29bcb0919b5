//! Determinants and pseudoinverses of matrices of any rank, and unit triangles.

use wengert_core::{Tape, Tensor, Var};

use crate::degenerate::{
    Matrix, along, matrix, near, noise, permutations, tensor, turn, with_values,
};

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
