//! Linear algebra: identities of factorisations, closed forms, what there is no answer to,
//! and programs.

use wengert_core::{Shape, Tape, Tensor, Var, compile_n};

fn near(found: &Tensor<f64>, expected: &Tensor<f64>) {
    assert_eq!(found.shape(), expected.shape());
    for (a, b) in found.iter().zip(expected.iter()) {
        assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{found}, not {expected}");
    }
}

fn identity(tape: &Tape<f64>, n: usize) -> Var<'_, f64> {
    tape.constant(1.0).broadcast_to([n]).diag_embed(0)
}

/// Matrices without structure.
fn matrices(shape: impl Into<Shape>) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| (1.7 * i as f64 + 0.3).sin() + (0.4 * (i * i) as f64).cos())
}

#[test]
fn factors_multiply_to_the_matrix() {
    let shapes: [Shape; 4] = [[5, 5].into(), [6, 3].into(), [3, 6].into(), [2, 4, 3].into()];
    for shape in shapes {
        let tape = Tape::new();
        let a = tape.variable(matrices(shape));
        let (q, r) = a.qr();
        near(&q.matmul(r).value(), &a.value());
        near(&r.tril(-1).value(), &Tensor::zeros(r.shape()));
        let (u, s, v) = a.svd();
        near(&(u * s.unsqueeze(-2)).matmul(v.matrix_transpose()).value(), &a.value());
        for orthonormal in [q, u, v] {
            let n = orthonormal.shape()[orthonormal.rank() - 1];
            let product = orthonormal.matrix_transpose().matmul(orthonormal);
            near(&product.value(), &identity(&tape, n).broadcast_to(product.shape()).value());
        }
    }
}

#[test]
fn functions_of_symmetric_matrices() {
    for n in [1, 2, 3, 7] {
        let tape = Tape::new();
        let b = tape.variable(matrices([n, n]));
        let a = b.matmul(b.matrix_transpose()) + identity(&tape, n);
        let l = a.cholesky();
        near(&l.matmul(l.matrix_transpose()).value(), &a.value());
        near(&(l.diagonal(0, [-2, -1]).ln().sum() * 2.0).value(), &a.log_abs_det().value());
        let (values, vectors) = a.eigh();
        near(&a.matmul(vectors).value(), &(vectors * values.unsqueeze(-2)).value());
        near(&values.value(), &values.sort(-1).0.value());
        near(&values.sum().value(), &a.trace().value());
        // exp(V diag(l) V^T) = V exp(diag(l)) V^T
        let a = a * 0.1;
        let (values, vectors) = a.eigh();
        let scaled = vectors * values.exp().unsqueeze(-2);
        near(&a.expm().value(), &scaled.matmul(vectors.matrix_transpose()).value());
    }
}

#[test]
fn matrices_of_two_rows_by_hand() {
    let tape = Tape::new();
    let a = tape.variable([[4.0, 2.0], [2.0, 5.0]]);
    near(&a.cholesky().value(), &Tensor::from([[2.0, 0.0], [1.0, 2.0]]));
    near(&(a.inverse() * 16.0).value(), &Tensor::from([[5.0, -2.0], [-2.0, 4.0]]));
    near(&a.log_abs_det().value(), &Tensor::scalar(16.0_f64.ln()));
    let exchange = tape.variable([[0.0, 2.0], [1.0, 0.0]]);
    near(&exchange.sign_det().value(), &Tensor::scalar(-1.0));
    let symmetric = tape.variable([[2.0, 1.0], [1.0, 2.0]]);
    near(&symmetric.eigh().0.value(), &Tensor::from([1.0, 3.0]));
    // A turn by an angle.
    let turn = tape.variable([[0.0, -0.5], [0.5, 0.0]]);
    let (s, c) = 0.5_f64.sin_cos();
    near(&turn.expm().value(), &Tensor::from([[c, -s], [s, c]]));
    let nilpotent = tape.variable([[0.0, 3.0], [0.0, 0.0]]);
    near(&nilpotent.expm().value(), &Tensor::from([[1.0, 3.0], [0.0, 1.0]]));
}

#[test]
fn gradients_of_determinants_are_inverses() {
    let tape = Tape::new();
    let a = tape.variable(matrices([2, 4, 4]));
    let [gradient] = a.log_abs_det().sum().grad([a]);
    near(&gradient.value(), &a.inverse().matrix_transpose().value());
    // And their derivative: d tr(A^-1 E) = -tr(A^-1 dA A^-1 E), E of ones.
    let [second] = gradient.sum().grad([a]);
    let inverse = a.inverse().matrix_transpose();
    let ones = tape.constant(Tensor::from_fn([4, 4], |_| 1.0));
    near(&second.value(), &(-inverse.matmul(ones.matmul(inverse))).value());
}

#[test]
fn equal_eigenvalues_leave_symmetric_functions_their_gradient() {
    let tape = Tape::new();
    let a = tape.variable([[2.0, 0.0], [0.0, 2.0]]);
    let (values, _) = a.eigh();
    let [gradient] = values.sum().grad([a]);
    near(&gradient.value(), &Tensor::from([[1.0, 0.0], [0.0, 1.0]]));
}

#[test]
fn leading_axes_broadcast_in_systems() {
    let tape = Tape::new();
    let (a, b) = (tape.variable(matrices([2, 3, 3])), tape.variable(matrices([3, 2])));
    let x = a.solve(b);
    assert_eq!(x.shape()[..], [2, 3, 2]);
    near(&a.matmul(x).value(), &b.broadcast_to([2, 3, 2]).value());
    let vector = tape.variable([1.0, 2.0, 3.0]);
    let one = a.slice(0, ..1).squeeze(0);
    near(&one.matmul(one.solve(vector)).value(), &vector.value());
    let lower = one.tril(0);
    near(&lower.matmul(one.solve_lower_triangular(vector)).value(), &vector.value());
    let upper = one.triu(0);
    near(&upper.matmul(one.solve_upper_triangular(vector)).value(), &vector.value());
}

#[test]
fn what_does_not_exist_is_no_number() {
    let tape = Tape::new();
    let singular = tape.variable([[1.0, 2.0], [2.0, 4.0]]);
    assert!(singular.inverse().value().iter().all(f64::is_nan));
    assert_eq!(singular.log_abs_det().item(), f64::NEG_INFINITY);
    assert_eq!(singular.sign_det().item(), 0.0);
    let indefinite = tape.variable([[1.0, 2.0], [2.0, 1.0]]);
    assert!(indefinite.cholesky().value().iter().all(f64::is_nan));
    assert!(tape.first_non_finite().unwrap().contains("solve"));
    let wild = tape.variable([[f64::NAN, 1.0], [1.0, 1.0]]);
    for y in [wild.eigh().1, wild.svd().0, wild.qr().1, wild.expm(), wild.inverse()] {
        assert!(y.value().iter().all(f64::is_nan));
    }
}

#[test]
fn programs_give_the_same_numbers() {
    fn everything<'t>(a: Var<'t, f64>) -> Var<'t, f64> {
        let definite = a.matmul(a.matrix_transpose()) + 1.0;
        let (q, r) = a.qr();
        let (u, s, v) = a.svd();
        let (values, vectors) = definite.eigh();
        let parts = [
            a.solve(definite),
            definite.cholesky() * a.log_abs_det(),
            q + r + u + v * s,
            vectors * values,
            (a * 0.1).expm(),
        ];
        parts.into_iter().map(|part| part.sin().sum()).reduce(|a, b| a + b).unwrap()
    }
    fn gradient<'t>(a: Var<'t, f64>) -> [Var<'t, f64>; 1] {
        everything(a).grad([a])
    }
    let mut program = compile_n(gradient, &matrices([3, 3])).unwrap();
    for factor in [1.0, 0.7] {
        let x = Tensor::from_fn([3, 3], |i| factor * matrices([3, 3]).to_vec()[i]);
        let tape = Tape::new();
        let [expected] = gradient(tape.variable(&x));
        let found = program.run(&x);
        near(&found[0], &expected.value());
    }
}

/// Of narrow matrices a library that rotates by what cancels loses half of the digits.
#[test]
fn singular_vectors_keep_their_digits() {
    let shapes = [[33, 2], [17, 2], [5, 3], [65, 4], [33, 33]];
    for ([m, n], seed) in
        shapes.into_iter().flat_map(|shape| (0..20).map(move |seed| (shape, seed)))
    {
        // The numbers of the random programs that showed it: a diagonal, and smaller ones.
        let number = |at: usize| {
            let place = at as f64 + 100.5 + 5.0 * f64::from(seed);
            ((place * 12.9898).sin() * 43758.5453).rem_euclid(1.0) - 0.5
        };
        let a = Tensor::from_fn([m, n], |at| {
            let on_diagonal = at / n % m == at % n;
            number(at) + if on_diagonal { 2.0 * (at % n + 1) as f64 } else { 0.0 }
        });
        for scale in [1.0, 1e-200, 1e200] {
            let tape = Tape::new();
            let (u, s, v) = tape.constant(a.map(|x| x * scale)).svd();
            let (u, s, v) = (u.value(), s.value().map(|s| s / scale), v.value());
            assert!(s.iter().zip(s.iter().skip(1)).all(|(more, less)| more >= less));
            let product = |i: usize, j: usize| -> f64 {
                (0..n).map(|k| u.at(&[i, k]) * s.at(&[k]) * v.at(&[j, k])).sum()
            };
            let dot = |x: &Tensor<f64>, i: usize, j: usize| -> f64 {
                (0..x.shape()[0]).map(|k| x.at(&[k, i]) * x.at(&[k, j])).sum()
            };
            let room = 8.0 * f64::EPSILON * (m * n) as f64;
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let off = product(i, j) - a.at(&[i, j]);
                assert!(off.abs() <= room, "[{m}, {n}] at {i}, {j}: {off:e}, seed {seed}");
            }
            for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let one = f64::from(u8::from(i == j));
                assert!((dot(&u, i, j) - one).abs() <= room && (dot(&v, i, j) - one).abs() <= room);
            }
        }
    }
}

/// Where singular values are 0, vectors are orthonormal all the same.
#[test]
fn singular_vectors_of_singular_matrices_are_orthonormal() {
    let ones = Tensor::ones([5, 3]);
    let one = Tensor::from_fn([4, 4], |at| f64::from(u8::from(at == 6)));
    for a in [ones, one, Tensor::zeros([4, 2]), Tensor::zeros([3, 3])] {
        let tape = Tape::new();
        let (u, s, v) = tape.constant(&a).svd();
        near(&(u * s.unsqueeze(-2)).matmul(v.matrix_transpose()).value(), &a);
        for orthonormal in [u, v] {
            let n = orthonormal.shape()[1];
            let product = orthonormal.matrix_transpose().matmul(orthonormal);
            near(&product.value(), &identity(&tape, n).value());
        }
    }
}
