//! Elementwise functions behind a product, tile by tile, beside plain loops over whole numbers, whose sums and
//! products are exact in both precisions: equal to the last bit, or wrong.

use wengert_core::{Program, Real, Tape, Tensor, Var, threads};

/// Rows, terms and columns around what is too narrow (128 columns), added up at once (512 terms), a tile (6 rows,
/// 1280 columns), and what is cut for threads.
const SHAPES: [[usize; 3]; 15] = [
    [9, 8, 128],
    [6, 8, 127],
    [6, 8, 129],
    [7, 511, 130],
    [13, 512, 200],
    [13, 513, 200],
    [5, 1025, 131],
    [12, 700, 1400],
    [33, 65, 1280],
    [65, 33, 1281],
    [7, 5, 2600],
    [200, 3, 130],
    [300, 129, 512],
    [512, 64, 784],
    [97, 65, 300],
];

/// Whole numbers from -3 to 3.
fn number(i: usize, seed: usize) -> i64 {
    ((i + 31 * seed).wrapping_mul(2_654_435_761) >> 9) as i64 % 7 - 3
}

fn numbers<T: Real>(shape: [usize; 2], seed: usize) -> Tensor<T> {
    Tensor::from_fn(shape, |i| T::from_f64(number(i, seed) as f64))
}

/// Element by element, `f` of a row, a column and the sum of the products.
fn expected([m, k, n]: [usize; 3], f: impl Fn(usize, usize, f64) -> f64) -> Vec<f64> {
    let mut all = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            let sum: i64 = (0..k).map(|l| number(i * k + l, 1) * number(l * n + j, 2)).sum();
            all.push(f(i, j, sum as f64));
        }
    }
    all
}

fn floats<T: Real>(tensor: &Tensor<T>) -> Vec<f64> {
    tensor.iter().map(|x| x.as_f64()).collect()
}

/// Whether a loop of the program follows a product.
fn follows<T: Real>(program: &Program<T>) -> bool {
    program.to_string().contains(" behind ")
}

/// A matrix as it lies in memory, or as the transpose of one that lies the other way.
fn laid<'t, T: Real>(tape: &'t Tape<T>, matrix: &Tensor<T>, is_turned: bool) -> [Var<'t, T>; 2] {
    if !is_turned {
        let leaf = tape.constant(matrix);
        return [leaf, leaf];
    }
    let [rows, columns] = [matrix.shape()[0], matrix.shape()[1]];
    let elements: Vec<T> = matrix.iter().collect();
    let turned = Tensor::from_fn([columns, rows], |i| elements[i % rows * columns + i / rows]);
    let leaf = tape.constant(turned);
    [leaf, leaf.transpose()]
}

fn is_a_plain_loop<T: Real>(threads: usize) {
    threads::set(threads);
    for [m, k, n] in SHAPES {
        let (a, b) = (numbers::<T>([m, k], 1), numbers::<T>([k, n], 2));
        for layouts in 0..4 {
            let tape = Tape::new();
            let [own_a, x] = laid(&tape, &a, layouts & 1 > 0);
            let [own_b, y] = laid(&tape, &b, layouts & 2 > 0);
            let bias = tape.constant(numbers::<T>([1, n], 3).reshape([n]));
            let each_row = tape.constant(numbers::<T>([m, 1], 4));
            let whole = tape.constant(numbers::<T>([m, n], 5));
            let [turned_leaf, turned] = laid(&tape, &numbers::<T>([m, n], 6), true);
            let product = x.matmul(y);
            let relu = (product + bias).relu();
            let more = (product * whole - each_row) * turned + relu;
            let inputs = [own_a, own_b, bias, each_row, whole, turned_leaf];
            // One result, two, and one whose product is a result, too.
            let one = |j, p: f64| (p + number(j, 3) as f64).max(0.0);
            let two = |i, j, p: f64| {
                let place = i * n + j;
                (p * number(place, 5) as f64 - number(i, 4) as f64) * number(place, 6) as f64
                    + one(j, p)
            };
            let relus = expected([m, k, n], |_, j, p| one(j, p));
            let mores = expected([m, k, n], two);
            let products = expected([m, k, n], |_, _, p| p);
            let of = |outputs: &[Var<'_, T>]| tape.compile(&inputs, outputs).expect("it compiles");
            let what = format!("{m} {k} {n}, layouts {layouts}, threads {threads}");
            let mut programs =
                [of(&[relu]), of(&[relu, more]), of(&[more, product]), of(&[relu.sum(), relu])];
            for program in &mut programs {
                program.execute();
            }
            let result = |program: usize, output: usize| floats(&programs[program].output(output));
            assert_eq!(result(0, 0), relus, "{what}");
            assert_eq!(result(1, 0), relus, "{what}");
            assert_eq!(result(1, 1), mores, "{what}");
            assert_eq!(result(2, 0), mores, "{what}");
            assert_eq!(result(2, 1), products, "{what}");
            assert_eq!(result(3, 1), relus, "{what}");
            if n >= 128 && !cfg!(feature = "tiny-kernels") {
                let found: Vec<bool> = programs.iter().map(follows).collect();
                assert_eq!(found, [true, true, false, false], "{what}:\n{}", programs[0]);
            }
        }
    }
}

#[test]
fn functions_behind_a_product_are_a_plain_loop() {
    is_a_plain_loop::<f32>(1);
    is_a_plain_loop::<f64>(1);
}

#[test]
fn functions_behind_a_product_are_a_plain_loop_on_threads() {
    is_a_plain_loop::<f32>(2);
    is_a_plain_loop::<f64>(3);
    threads::set(1);
}

/// Two steps of `v = v + x^T d`, `w = w - v / 2`, where `d = (x w - t) / 1024` reads the weights that are
/// updated, and so does the result, `d w^T`.
fn a_weight_is_updated_behind_its_gradient<T: Real>([batch, k, n]: [usize; 3]) {
    let (x, w, t) =
        (numbers::<T>([batch, k], 1), numbers::<T>([k, n], 2), numbers::<T>([batch, n], 3));
    let tape = Tape::new();
    let [input, weight] = [tape.constant(&x), tape.constant(&w)];
    let [velocity, target] = [tape.constant(Tensor::zeros([k, n])), tape.constant(&t)];
    // Divided by a power of two, so that two steps stay exact.
    let difference = (input.matmul(weight) - target) * (1.0 / 1024.0);
    let gradient = input.transpose().matmul(difference);
    let back = difference.matmul(weight.transpose());
    let new_velocity = velocity + gradient;
    let new_weight = weight - new_velocity * 0.5;
    let inputs = [input, weight, velocity, target];
    let updates = [(weight, new_weight), (velocity, new_velocity)];
    let mut step = tape.compile_updating(&inputs, &[back], &updates).expect("it compiles");
    let at = |i: usize, seed: usize| number(i, seed) as f64;
    let mut weights: Vec<f64> = (0..k * n).map(|i| at(i, 2)).collect();
    let mut velocities = vec![0.0; k * n];
    for _ in 0..2 {
        step.execute();
        let of = |i: usize, j: usize| {
            let sum: f64 = (0..k).map(|l| at(i * k + l, 1) * weights[l * n + j]).sum();
            (sum - at(i * n + j, 3)) / 1024.0
        };
        let d: Vec<f64> = (0..batch * n).map(|place| of(place / n, place % n)).collect();
        let backs: Vec<f64> = (0..batch * k)
            .map(|place| (0..n).map(|j| d[place / k * n + j] * weights[place % k * n + j]).sum())
            .collect();
        for (place, v) in velocities.iter_mut().enumerate() {
            let (l, j) = (place / n, place % n);
            *v += (0..batch).map(|i| at(i * k + l, 1) * d[i * n + j]).sum::<f64>();
        }
        for (w, v) in weights.iter_mut().zip(&velocities) {
            *w -= v * 0.5;
        }
        assert_eq!(floats(&step.output(0)), backs, "{batch} {k} {n}");
        assert_eq!(floats(&step.input(1)), weights, "{batch} {k} {n}");
        assert_eq!(floats(&step.input(2)), velocities, "{batch} {k} {n}");
    }
    if cfg!(feature = "tiny-kernels") {
        return;
    }
    assert!(step.to_string().contains("behind matmul: add, mul, sub"), "{step}");
    // The difference and what is asked for; neither the gradient nor another place for a state.
    let whole = if batch > 512 { k * n } else { 0 };
    let bytes = (batch * n + batch * k + whole) * size_of::<T>();
    assert!(step.bytes() <= bytes + 64, "{} bytes, {bytes} expected\n{step}", step.bytes());
}

#[test]
fn a_state_is_updated_behind_a_product_where_it_lies() {
    for shape in [[5, 60, 128], [33, 65, 129], [130, 200, 150]] {
        a_weight_is_updated_behind_its_gradient::<f64>(shape);
    }
    a_weight_is_updated_behind_its_gradient::<f64>([513, 40, 140]);
}

/// The update of a weight needs the next value of a rate for each column, so that the rates are updated early. What
/// else reads the old rates runs before that all the same, and no state gets another place.
#[test]
fn what_an_update_needs_is_updated_where_it_lies() {
    const BATCH: usize = 33;
    const K: usize = 40;
    const N: usize = 300;
    let (x, d, w) = (numbers::<f64>([BATCH, K], 1), numbers([BATCH, N], 2), numbers([K, N], 3));
    let rates = numbers::<f64>([1, N], 4).reshape([N]);
    let tape = Tape::new();
    let [input, cotangent] = [tape.constant(&x), tape.constant(&d)];
    let [weight, rate] = [tape.constant(&w), tape.constant(&rates)];
    let gradient = input.transpose().matmul(cotangent);
    let new_rate = rate * 0.5 + 1.0;
    let new_weight = weight - gradient * new_rate;
    let squared = rate * rate - 2.0;
    let updates = [(weight, new_weight), (rate, new_rate)];
    let inputs = [input, cotangent, weight, rate];
    let mut step = tape.compile_updating(&inputs, &[squared], &updates).expect("it compiles");
    step.execute();
    let at = |i: usize, seed: usize| number(i, seed) as f64;
    let new_rates: Vec<f64> = (0..N).map(|j| at(j, 4) * 0.5 + 1.0).collect();
    let weights: Vec<f64> = (0..K * N)
        .map(|place| {
            let (l, j) = (place / N, place % N);
            let sum: f64 = (0..BATCH).map(|i| at(i * K + l, 1) * at(i * N + j, 2)).sum();
            at(place, 3) - sum * new_rates[j]
        })
        .collect();
    let squares: Vec<f64> = (0..N).map(|j| at(j, 4).powi(2) - 2.0).collect();
    assert_eq!(floats(&step.output(0)), squares);
    assert_eq!(floats(&step.input(3)), new_rates);
    assert_eq!(floats(&step.input(2)), weights);
    // The result alone has memory of its own.
    assert!(step.bytes() < 2 * N * size_of::<f64>(), "{} bytes\n{step}", step.bytes());
}

/// The update of one state reads the other one's old value by a product, so that neither can be the first
/// to lie in its new place.
#[test]
fn states_that_need_each_other_are_not_updated_too_early() {
    const N: usize = 130;
    let tape = Tape::new();
    let (a, b) = (numbers::<f64>([N, N], 1), numbers::<f64>([N, N], 2));
    let [x, y] = [tape.constant(&a), tape.constant(&b)];
    let (next_x, next_y) = (x.matmul(y) + 1.0, (y.matmul(x) - x) * 0.5);
    let mut step =
        tape.compile_updating(&[x, y], &[], &[(x, next_x), (y, next_y)]).expect("it compiles");
    step.execute();
    let at = |i: usize, seed: usize| number(i, seed) as f64;
    let product = |left: usize, right: usize, place: usize| -> f64 {
        (0..N).map(|l| at(place / N * N + l, left) * at(l * N + place % N, right)).sum()
    };
    let expected_x: Vec<f64> = (0..N * N).map(|place| product(1, 2, place) + 1.0).collect();
    let expected_y: Vec<f64> =
        (0..N * N).map(|place| (product(2, 1, place) - at(place, 1)) * 0.5).collect();
    assert_eq!(floats(&step.input(0)), expected_x);
    assert_eq!(floats(&step.input(1)), expected_y);
}

/// Leading axes of the left factor are more rows of one product where they lie at even distances, and several
/// products where they do not.
#[test]
fn leading_axes_are_rows() {
    for [batch, rows, k, n] in
        [[4, 33, 8, 130], [1, 7, 9, 200], [3, 1, 5, 40], [2, 3, 4, 2], [0, 3, 4, 2]]
    {
        let tape = Tape::new();
        let x = tape.constant(Tensor::from_fn([batch, rows, k], |i| number(i, 1) as f64));
        let y = tape.constant(numbers::<f64>([k, n], 2));
        let all = expected([batch * rows, k, n], |_, _, p| p);
        // The same numbers, lying in other ways.
        let far = x.pad(2, 1, 2).slice(2, 1..1 + k);
        let uneven = x.pad(1, 0, 3).slice(1, ..rows);
        let mixed = (x.permute([1, 0, 2]) * 1.0).permute([1, 0, 2]);
        let lefts = [x, far, uneven, mixed, x.unsqueeze(1).squeeze(1)];
        let turned = y.transpose() * 1.0;
        let compiled = lefts.map(|left| {
            let outputs = [left.matmul(y).relu(), left.matmul_transposed(turned).relu()];
            tape.compile(&[x, y], &outputs).expect("it compiles")
        });
        let relus: Vec<f64> = all.iter().map(|p| p.max(0.0)).collect();
        for (left, mut program) in lefts.into_iter().zip(compiled) {
            assert_eq!(floats(&left.matmul(y).value()), all, "{batch} {rows} {k} {n}");
            assert_eq!(floats(&left.matmul_transposed(turned).value()), all);
            program.execute();
            assert_eq!(floats(&program.output(0)), relus, "{batch} {rows} {k} {n}");
            assert_eq!(floats(&program.output(1)), relus, "{batch} {rows} {k} {n}");
        }
    }
}

/// Reals of both signs; a few are infinite or no number.
fn reals<T: Real>(shape: [usize; 2], seed: usize, has_special: bool) -> Tensor<T> {
    Tensor::from_fn(shape, |i| {
        let hash = (i + 31 * seed).wrapping_mul(2_654_435_761) >> 7;
        T::from_f64(match hash % 1009 {
            0 if has_special => f64::INFINITY,
            1 if has_special => f64::NAN,
            rest => rest as f64 / 504.0 - 1.0,
        })
    })
}

/// The bits; one pattern for all that is no number.
fn bits<T: Real>(tensor: &Tensor<T>) -> Vec<u64> {
    let bits = |x: f64| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
    tensor.iter().map(|x| bits(x.as_f64())).collect()
}

fn has_the_bits_of_the_tape<T: Real>(threads: usize) {
    threads::set(threads);
    for ([m, k, n], has_special) in SHAPES.into_iter().zip([false, true].into_iter().cycle()) {
        let tape = Tape::new();
        let x = tape.variable(reals::<T>([m, k], 1, has_special));
        let w = tape.variable(reals::<T>([n, k], 2, false));
        let bias = tape.variable(reals::<T>([1, n], 3, false).reshape([n]));
        let hidden = (x.matmul_transposed(w) + bias).tanh();
        let gradients = (hidden * hidden.exp()).sum().grad([x, w, bias]);
        let moved =
            [x - gradients[0] * 0.5, (w - gradients[1] * 0.5).sigmoid(), bias - gradients[2]];
        let outputs = [hidden.sigmoid(), moved[0], moved[1], moved[2]];
        let mut program = tape.compile(&[x, w, bias], &outputs).expect("it compiles");
        program.execute();
        for (index, output) in outputs.iter().enumerate() {
            let (got, expected) = (bits(&program.output(index)), bits(&output.value()));
            assert!(got == expected, "{m} {k} {n}, output {index}, threads {threads}:\n{program}");
        }
    }
}

#[test]
fn programs_have_the_bits_of_the_tape() {
    for threads in [1, 2] {
        has_the_bits_of_the_tape::<f32>(threads);
        has_the_bits_of_the_tape::<f64>(threads);
    }
    threads::set(1);
}
