//! Attention and its adjoints beside plain loops over queries and keys, at numbers of queries and
//! keys around those that go together.

use wengert_core::op::Attention;
use wengert_core::{Real, Tape, Tensor};

use super::threads::{fill, on_any_number_of_threads};

/// One head in double precision: rows of queries, keys, values and cotangents.
struct Head {
    rows: [Vec<Vec<f64>>; 4],
    op: Attention,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `sum += factor * row`.
fn add(sum: &mut [f64], factor: f64, row: &[f64]) {
    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += factor * x);
}

impl Head {
    /// The result, and the adjoints of queries, keys and values.
    fn computed(&self) -> [Vec<Vec<f64>>; 4] {
        let [q, k, v, c] = &self.rows;
        let zeros = |rows: &Vec<Vec<f64>>| rows.iter().map(|row| vec![0.0; row.len()]).collect();
        let mut found: [Vec<Vec<f64>>; 4] = [zeros(c), zeros(q), zeros(k), zeros(v)];
        for i in 0..q.len() {
            let seen = if self.op.causal { k.len().min(i + 1) } else { k.len() };
            let scores: Vec<f64> = (0..seen).map(|j| self.op.scale * dot(&q[i], &k[j])).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            let shares: Vec<f64> = powers.iter().map(|power| power / sum).collect();
            let bars: Vec<f64> = (0..seen).map(|j| dot(&c[i], &v[j])).collect();
            let mean = dot(&bars, &shares);
            for j in 0..seen {
                let bar = shares[j] * (bars[j] - mean) * self.op.scale;
                add(&mut found[0][i], shares[j], &v[j]);
                add(&mut found[1][i], bar, &k[j]);
                add(&mut found[2][j], bar, &q[i]);
                add(&mut found[3][j], shares[j], &c[i]);
            }
        }
        found
    }
}

/// The matrices of a tensor, row by row.
fn heads<T: Real>(x: &Tensor<T>) -> Vec<Vec<Vec<f64>>> {
    let [.., rows, columns] = x.shape()[..] else { panic!("no matrices") };
    let all: Vec<f64> = x.iter().map(|x| x.as_f64()).collect();
    let row = |i: usize| all[i * columns..][..columns].to_vec();
    let count = x.shape().elements() / (rows * columns).max(1);
    (0..count).map(|head| (head * rows..(head + 1) * rows).map(row).collect()).collect()
}

/// The result and the adjoints for a cotangent: by a sweep that keeps nothing, and by one that is
/// recorded. Where values are not as wide as keys, both go by composed rules, which hold all shares.
fn by_sweeps<T: Real>(op: Attention, tensors: &[Tensor<T>; 4]) -> [Vec<Tensor<T>>; 2] {
    let tape = Tape::new();
    let [q, k, v, c] = tensors.each_ref().map(|x| tape.variable(x));
    let y = tape.apply(op, &[q, k, v]);
    let gradients = (y * c).sum().backward();
    let kept_nothing = [q, k, v].map(|x| gradients.wrt(x));
    let recorded = y.vjp(c, &[q, k, v]).into_iter().map(|x| x.value());
    let value = y.value();
    [
        [vec![value.clone()], kept_nothing.to_vec()].concat(),
        [value].into_iter().chain(recorded).collect(),
    ]
}

fn compare<T: Real>(op: Attention, [queries, keys, width, outputs]: [usize; 4], is_turned: bool) {
    let lead = [2, 3];
    let tensors: [Tensor<T>; 4] =
        [[queries, width], [keys, width], [keys, outputs], [queries, outputs]].map(|[m, n]| {
            match is_turned {
                true => fill([lead[0], n, lead[1], m], m + n).permute(&[0, 2, 3, 1]),
                false => fill([lead[0], lead[1], m, n], m + n),
            }
        });
    let name = format!("{op:?}, {queries} x {keys}, {width} and {outputs} wide");
    let found = by_sweeps(op, &tensors);
    let rows = tensors.each_ref().map(heads);
    for head in 0..lead[0] * lead[1] {
        let rows = rows.each_ref().map(|rows| rows[head].clone());
        let expected = Head { rows, op }.computed();
        for (which, expected) in expected.iter().enumerate() {
            for found in found.each_ref().map(|found| heads(&found[which])) {
                for (i, (found, expected)) in found[head].iter().zip(expected).enumerate() {
                    let terms = (queries.max(keys) as f64).sqrt() + width as f64;
                    // An error of a score is a relative error of its share.
                    let allowed = T::epsilon().as_f64() * 4.0 * terms * op.scale.abs().max(1.0);
                    let near = |(x, y): (&f64, &f64)| (x - y).abs() <= allowed * (1.0 + y.abs());
                    let is_near = found.iter().zip(expected).all(near);
                    assert!(
                        is_near,
                        "{name}: {which} of head {head}, row {i}:\n{found:?}\n{expected:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn at_sizes_around_those_that_go_together() {
    for causal in [false, true] {
        let op = Attention { scale: 0.5, causal };
        for (number, n) in [1, 2, 47, 48, 49, 95, 96, 97, 255, 256, 257].into_iter().enumerate() {
            compare::<f32>(op, [n, n, 5, 5], number % 2 == 0);
            compare::<f64>(op, [n, 7, 3, 3], number % 2 == 1);
            compare::<f64>(op, [7, n, 3, 2], false);
            compare::<f32>(op, [50, n, 17, 17], true);
        }
        for width in [1, 15, 16, 17, 63, 64, 65, 130] {
            compare::<f32>(op, [50, 51, width, width], width % 2 == 0);
            compare::<f32>(op, [33, 51, width, 4], false);
        }
    }
}

/// Shares that are nearly one for a single key, and nearly the same for all.
#[test]
fn of_large_and_small_scores() {
    for scale in [-300.0, 30.0, 1e-3, 1e-30, 0.0] {
        for causal in [false, true] {
            compare::<f64>(Attention { scale, causal }, [100, 100, 9, 9], causal);
            compare::<f32>(Attention { scale, causal }, [40, 60, 9, 9], causal);
        }
    }
}

/// What is infinite or no number reaches the queries that see it, and their derivatives.
#[test]
fn of_infinite_scores() {
    for causal in [false, true] {
        let op = Attention { scale: 1.0, causal };
        let tensors: [Tensor<f32>; 4] = std::array::from_fn(|seed| fill([1, 1, 100, 4], seed));
        let [plain, _] = by_sweeps(op, &tensors);
        for special in [f32::NAN, f32::INFINITY] {
            let mut tensors = tensors.clone();
            let mut keys = tensors[1].to_vec();
            keys[4 * 70] = special;
            tensors[1] = Tensor::new([1, 1, 100, 4], keys);
            let [y, _] = by_sweeps(op, &tensors).map(|mut all| all.swap_remove(0));
            for query in 0..100 {
                let row =
                    |x: &Tensor<f32>| -> Vec<f32> { x.slice(2, query, 1, 1).iter().collect() };
                match causal && query < 70 {
                    true => assert_eq!(row(&y), row(&plain[0]), "query {query} does not see it"),
                    // Minus infinity is the score of a key without a share.
                    false if special.is_infinite() && tensors[0].at(&[0, 0, query, 0]) < 0.0 => {
                        assert!(row(&y).iter().all(|x| x.is_finite()), "query {query}");
                    }
                    false => assert!(row(&y).iter().all(|x| x.is_nan()), "query {query}"),
                }
            }
        }
    }
}

/// As many heads as there are threads, fewer, and more.
#[test]
fn of_few_heads_and_many_on_threads() {
    for heads in [1, 2, 3, 7] {
        let tensors: [Tensor<f32>; 4] = std::array::from_fn(|seed| fill([1, heads, 300, 32], seed));
        let op = Attention { scale: 0.2, causal: heads != 2 };
        on_any_number_of_threads(&format!("{heads} heads"), || {
            by_sweeps(op, &tensors).map(|all| all.iter().map(Tensor::to_vec).collect::<Vec<_>>())
        });
    }
}

/// Neither the value nor a gradient of a program, which records its sweep, takes memory for all scores.
#[test]
fn no_program_holds_all_scores() {
    let (time, width) = (2000, 8);
    let op = Attention { scale: 0.3, causal: true };
    let tape = Tape::<f32>::lazy();
    let [q, k, v] = [0, 1, 2].map(|seed| tape.variable(fill::<f32>([1, 1, time, width], seed)));
    let y = q.attention(k, v, op).square().sum();
    let [q_bar, k_bar, v_bar] = y.grad([q, k, v]);
    let program = tape.compile(&[q, k, v], &[y, q_bar, k_bar, v_bar]).expect("no value is read");
    let bytes = program.bytes();
    let of_rows = time * width * size_of::<f32>();
    assert!(bytes <= 10 * of_rows, "{bytes} bytes, where a matrix of rows has {of_rows}");
}
