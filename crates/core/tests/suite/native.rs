//! Machine code of programs gives the bits of the tape, whose kernels a compiler has made: every op
//! that acts on elements, with its adjoints, in both precisions, at lengths around the vectors,
//! blocks and parts of loops, on ordinary numbers and on awkward ones.

use insta::assert_snapshot;
use wengert_core::op::Domain;
use wengert_core::op::registry::ops;
use wengert_core::op::samples::Sample;
use wengert_core::{Program, Real, Shape, Tape, Tensor, Var, compile, compile_n, func};

/// Lengths around a vector (8, 16), what counts as short (64), and a block (512, 1024), and the few
/// elements that are computed one by one.
const LENGTHS: [usize; 12] = [1, 2, 7, 8, 9, 15, 16, 17, 63, 65, 513, 1025];
/// More than a part of a loop (32768), of some ops.
const LONG: usize = 33_000;
const OF_LONG: [&str; 4] = ["mul", "sin", "gelu", "maximum"];

/// Numbers beyond what vectors are made for: far angles, what is no number, the ends of the range.
const AWKWARD: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    1e7,
    -3e9,
    1e300,
    -1e-310,
    1e-40,
    0.5,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    1e5,
];

fn hash(i: usize) -> u64 {
    (i as u64 + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(31)
        .wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// Numbers of a sample's domain, and among them awkward ones, if wanted.
fn numbers<T: Real>(sample: &Sample<T>, arg: usize, len: usize, is_awkward: bool) -> Tensor<T> {
    let domain = sample.args[arg].1;
    Tensor::from_fn([len], |i| {
        let hash = hash(i + 7919 * arg);
        let x = (hash >> 11) as f64 / 2_f64.powi(53);
        let x = domain.low + (domain.high - domain.low) * x;
        let is_other = is_awkward && hash.is_multiple_of(5);
        let other = AWKWARD[(hash >> 8) as usize % AWKWARD.len()];
        T::from_f64(match domain.is_mask {
            true => f64::from(u8::from(x > 0.5)),
            false if is_other => other,
            false => x,
        })
    })
}

/// Value and adjoints of an op, its value in a sum and in a product, as a program finds them in a loop.
fn record<'t, T: Real>(sample: &Sample<T>, vars: &[Var<'t, T>]) -> Vec<Var<'t, T>> {
    let tape = vars[0].tape();
    let y = sample.record(vars);
    let scaled = y * tape.constant(T::from_f64(0.75)) + vars[0];
    let mut results = vec![y, scaled.sum(), scaled.mean()];
    let active: Vec<Var<'t, T>> = vars.iter().copied().filter(|var| var.is_active()).collect();
    if y.is_active() {
        results.extend(tape.without_gradients(|| y.vjp(scaled, &active)));
    }
    results
}

/// The operands on a tape: masks are no variables.
fn operands<'t, T: Real>(
    tape: &'t Tape<T>,
    sample: &Sample<T>,
    values: &[Tensor<T>],
) -> Vec<Var<'t, T>> {
    let domains = sample.args.iter().map(|(_, domain)| domain);
    domains
        .zip(values)
        .map(|(domain, value)| match domain.is_mask {
            true => tape.constant(value),
            false => tape.variable(value),
        })
        .collect()
}

#[track_caller]
fn assert_same<T: Real>(name: &str, program: &Program<T>, expected: &[Tensor<T>]) {
    for (index, expected) in expected.iter().enumerate() {
        let found = program.output(index);
        for (i, (a, b)) in found.iter().zip(expected.iter()).enumerate() {
            let same = a.as_f64().to_bits() == b.as_f64().to_bits() || a.is_nan() && b.is_nan();
            assert!(same, "{name}: result {index} [{i}]: the program gives {a:?}, the tape {b:?}");
        }
    }
}

/// Whether an operand holds indices, which not every length has.
fn reads_indices<T: Real>(sample: &Sample<T>) -> bool {
    let mask = Domain::mask();
    sample.args.iter().any(|(_, domain)| domain.is_mask && *domain != mask)
        || sample.op.name().contains("along")
}

/// Compares an op of equal operands with its program; gives whether the op takes such.
fn compare<T: Real>(name: &str, sample: &Sample<T>, len: usize) -> bool {
    let shapes: Vec<Shape> = sample.args.iter().map(|_| [len].into()).collect();
    let fits = sample.op.shape(&shapes.iter().collect::<Vec<_>>());
    if reads_indices(sample) || !fits.is_ok_and(|shape| shape == shapes[0]) {
        return false;
    }
    let values = |is_awkward: bool| -> Vec<Tensor<T>> {
        (0..shapes.len()).map(|arg| numbers(sample, arg, len, is_awkward)).collect()
    };
    let tape = Tape::new();
    let first = values(false);
    let vars = operands(&tape, sample, &first);
    let Ok(mut program) = tape.compile(&vars, &record(sample, &vars)) else { return false };
    for is_native in [false, true] {
        if is_native {
            program.native();
        }
        for is_awkward in [false, true] {
            let values = values(is_awkward);
            let tape = Tape::new();
            let expected = record(sample, &operands(&tape, sample, &values));
            let expected: Vec<Tensor<T>> = expected.iter().map(|y| y.value()).collect();
            values.iter().enumerate().for_each(|(index, value)| program.set_input(index, value));
            program.execute();
            assert_same(&format!("{name} of {len}, {}", T::NAME), &program, &expected);
        }
    }
    true
}

fn compare_every_op<T: Real>() -> usize {
    let mut compared = 0;
    for entry in ops::<T>() {
        for sample in &entry.samples.cases {
            let long = OF_LONG.contains(&entry.name).then_some(LONG);
            let mut lengths = LENGTHS.into_iter().chain(long);
            compared += usize::from(lengths.all(|len| compare(entry.name, sample, len)));
        }
    }
    compared
}

#[test]
fn every_op_of_elements_has_the_bits_of_the_tape() {
    assert!(compare_every_op::<f32>() > 60, "the ops that act on elements");
    assert!(compare_every_op::<f64>() > 60, "the ops that act on elements");
}

/// A formula with a bit of everything, its slope, both by the standard library.
fn by_hand(x: f64) -> [f64; 2] {
    let (root, wave) = ((x * x + 1.0).sqrt(), (3.0 * x).sin());
    let (bell, t) = ((-x * x).exp(), x.tanh());
    let value = root * t + bell * wave;
    let slope =
        x / root * t + root * (1.0 - t * t) + bell * (3.0 * (3.0 * x).cos() - 2.0 * x * wave);
    [value, slope]
}

/// At lengths around vectors (8), leaves of sums (128), what is short (256), blocks (512) and parts
/// (32768): against plain Rust, and a sum that carries what rounding takes from it (Neumaier).
#[test]
fn loops_and_runs_have_the_values_of_plain_rust() {
    let lengths = [1, 2, 3, 7, 8, 9, 31, 33, 63, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513];
    for len in lengths.into_iter().chain([1025, 32_767, 32_768, 32_769]) {
        let at = |seed: usize| {
            Tensor::from_fn([len], |i| (hash(i + seed) >> 11) as f64 / 2_f64.powi(51) - 2.0)
        };
        let tape = Tape::new();
        let x = tape.variable(at(0));
        let y = (x.square() + 1.0).sqrt() * x.tanh() + (-x.square()).exp() * (x * 3.0).sin();
        let [slope] = y.sum().grad([x]);
        let mut program = tape.compile(&[x], &[y, slope, y.sum()]).unwrap();
        program.native();
        let x = at(1);
        program.set_input(0, &x);
        program.execute();
        let [values, slopes, sum] = [0, 1, 2].map(|output| program.output(output));
        let (mut total, mut lost, mut size) = (0.0_f64, 0.0, 0.0);
        for (i, x) in x.iter().enumerate() {
            let [value, slope] = by_hand(x);
            assert!((values.at(&[i]) - value).abs() < 4e-15, "value {i} of {len} at {x}");
            assert!((slopes.at(&[i]) - slope).abs() < 2e-14, "slope {i} of {len} at {x}");
            let next = total + value;
            lost += if total.abs() > value.abs() {
                (total - next) + value
            } else {
                (value - next) + total
            };
            (total, size) = (next, size + value.abs());
        }
        let error = (sum.item() - (total + lost)).abs();
        assert!(error <= 1e-15 * size, "the sum of {len} is off by {error:e}");
    }
}

/// States that are updated where they lie, with momentum, as plain Rust does it: the same operations
/// in the same order, so the same bits. Lengths as above; a vector is cut at each of them.
#[test]
fn updates_in_place_have_the_bits_of_plain_rust() {
    let lengths = [1, 7, 9, 15, 16, 17, 33, 129, 255, 257, 511, 513, 1023, 1025, 32_767, 32_785];
    for len in lengths {
        let at = |seed: usize| -> Vec<f32> {
            (0..len).map(|i| (hash(i + seed) >> 40) as f32 / 8_388_608.0 - 1.0).collect()
        };
        let tape = Tape::new();
        let arrays = [0, 1, 2].map(|k| Tensor::new([len], at(k * len)));
        let [g, v, w] = arrays.each_ref().map(|array| tape.constant(array));
        let next_v = v * 0.9 + g;
        let next_w = w - next_v * 0.01;
        // What reads the old states, too: a sum over their product, and one over a state itself.
        let sums = [(w * v).sum(), w.sum(), v.sum()];
        let mut program =
            tape.compile_updating(&[g, v, w], &sums, &[(v, next_v), (w, next_w)]).unwrap();
        let [g, mut v, mut w] = arrays.map(|array| array.to_vec());
        for _ in 0..3 {
            program.execute();
            let add = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(f64::from).sum::<f64>();
            let sums = [
                add(&mut w.iter().zip(&v).map(|(w, v)| w * v)),
                add(&mut w.iter().copied()),
                add(&mut v.iter().copied()),
            ];
            for (output, sum) in sums.into_iter().enumerate() {
                let error = (f64::from(program.output(output).item()) - sum).abs();
                assert!(error <= 1e-6 * len as f64, "sum {output} of {len} is off by {error:e}");
            }
            for ((g, v), w) in g.iter().zip(&mut v).zip(&mut w) {
                *v = *v * 0.9 + g;
                *w -= *v * 0.01;
            }
            assert_eq!(program.input(1).to_vec(), v, "velocities of {len}");
            assert_eq!(program.input(2).to_vec(), w, "weights of {len}");
        }
    }
}

/// Many steps, which need more registers than there are.
fn long_formula<'t, T: Real>(x: Var<'t, T>) -> [Var<'t, T>; 3] {
    let power = |k: i32| (x * x.tape().constant(T::from_f64(0.1 * f64::from(k)))).tanh();
    let powers: Vec<Var<'t, T>> = (0..40).map(power).collect();
    let mut sum = powers[0];
    for (k, power) in powers.iter().enumerate().rev() {
        sum = sum * *power + powers[(k * 7) % 40];
    }
    let [dx] = sum.sum().grad([x]);
    [sum, sum.sum(), dx]
}

fn assert_long_formula<T: Real>() {
    for len in [3, 65, 1000, 1025] {
        let at = |seed: usize| {
            let number = |i| T::from_f64((hash(i + seed) >> 11) as f64 / 2_f64.powi(52) - 1.0);
            Tensor::from_fn([len], number)
        };
        let mut program = compile_n(long_formula, &at(0)).unwrap();
        program.native();
        let x = at(99);
        program.set_input(0, &x);
        program.execute();
        let tape = Tape::new();
        let expected = long_formula(tape.variable(&x)).map(|y| y.value());
        assert_same(&format!("formula of {len}, {}", T::NAME), &program, &expected);
    }
}

#[test]
fn long_formulas_have_the_bits_of_the_tape() {
    assert_long_formula::<f32>();
    assert_long_formula::<f64>();
}

/// Whole powers, which a formula multiplies out as the compiler's library does.
#[test]
fn powers_have_the_bits_of_the_tape() {
    for exponent in (-20..=20).chain([31, 64, 100]) {
        for len in [3, 100] {
            let at = |seed: usize| {
                Tensor::from_fn([len], |i| (hash(i + seed) >> 11) as f64 / 2_f64.powi(51) - 2.0)
            };
            let x = at(7);
            let tape = Tape::new();
            let var = tape.variable(&x);
            let y = var.powi(exponent);
            let expected = [y.value(), y.backward_with(&x).wrt(var)];
            let tape = Tape::new();
            let var = tape.variable(at(0));
            let y = var.powi(exponent);
            let adjoint = tape.without_gradients(|| y.vjp(var, &[var]));
            let mut program = tape.compile(&[var], &[y, adjoint[0]]).unwrap();
            program.native();
            program.set_input(0, &x);
            program.execute();
            assert_same(&format!("power {exponent} of {len}"), &program, &expected);
        }
    }
}

/// A program of short values that is run often, with a state.
#[test]
fn runs_before_and_after_there_is_code_are_alike() {
    let build = || {
        let tape = Tape::new();
        let (w, b) = (tape.variable([[0.5, -0.25], [0.125, 1.0]]), tape.variable([0.0, 0.5]));
        let x = tape.constant([1.0, -2.0]);
        let y = (w.matmul(x) + b).sigmoid();
        let cost = (y - 0.25).square().sum() + (x * w).sin().mean();
        let [dw, db] = cost.grad([w, b]);
        let next = [(w, w - 0.5 * dw), (b, b - 0.5 * db)];
        tape.compile_updating(&[x, w, b], &[cost], &next).unwrap()
    };
    let (mut early, mut late) = (build(), build());
    early.native();
    for run in 0..1500 {
        let x = Tensor::from([(run as f64).cos(), 1e6 * f64::from(run % 7 == 0)]);
        for program in [&mut early, &mut late] {
            program.set_input(0, &x);
            program.execute();
        }
        for input in 0..3 {
            assert_eq!(early.input(input), late.input(input), "input {input} after run {run}");
        }
        assert_eq!(early.output(0), late.output(0), "run {run}");
    }
}

/// A step of a network with momentum, of layers around the lengths of vectors: weights are read by
/// rows and by columns, biases by parts of vectors; single numbers become vectors and the other way
/// round.
fn assert_steps<T: Real>(layers: [usize; 4], batch: usize) {
    let build = || {
        let tape = Tape::new();
        let at = |shape: &[usize], seed: usize| {
            Tensor::from_fn(shape, |i| {
                T::from_f64((hash(i + seed) >> 40) as f64 / 2_f64.powi(23) - 1.0)
            })
        };
        let input = tape.constant(at(&[batch, layers[0]], 1));
        let (mut x, mut states, mut updates) = (input, Vec::new(), Vec::new());
        for (k, pair) in layers.windows(2).enumerate() {
            states.push(tape.variable(at(&[pair[1], pair[0]], 100 * k)));
            states.push(tape.variable(at(&[pair[1]], 100 * k + 50)));
            x = (x.matmul_transposed(states[2 * k]) + states[2 * k + 1]).tanh();
        }
        let cost = (x * x.softmax(-1)).square().mean();
        let weights = states.clone();
        for (w, slope) in weights.iter().zip(cost.vjp(tape.constant(Tensor::ones([])), &weights)) {
            let velocity = tape.constant(Tensor::zeros(w.shape()));
            let next = velocity * T::from_f64(0.9) + slope;
            states.push(velocity);
            updates.extend([(velocity, next), (*w, *w - next * T::from_f64(0.1))]);
        }
        let inputs: Vec<_> = std::iter::once(input).chain(states).collect();
        tape.compile_updating(&inputs, &[cost, x], &updates).unwrap()
    };
    let (mut code, mut interpreter) = (build(), build());
    code.native();
    for run in 0..5 {
        let x = Tensor::from_fn([batch, layers[0]], |i| T::from_f64(((i + run) as f64).cos()));
        for program in [&mut code, &mut interpreter] {
            program.set_input(0, &x);
            program.execute();
        }
        let name = format!("{layers:?} of {batch} in run {run}");
        for input in 0..=12 {
            assert_eq!(code.input(input), interpreter.input(input), "input {input}, {name}");
        }
        for output in 0..2 {
            assert_eq!(code.output(output), interpreter.output(output), "output {output}, {name}");
        }
    }
}

#[test]
fn small_networks_have_the_bits_of_the_interpreter() {
    for layers in [[8, 16, 16, 1], [3, 7, 9, 2], [2, 17, 5, 3], [15, 16, 17, 4], [1, 33, 7, 12]] {
        for batch in [1, 2, 5, 32, 33] {
            assert_steps::<f32>(layers, batch);
            assert_steps::<f64>(layers, batch);
        }
    }
}

/// The gradient of `mean((tanh(x W^T + b) V^T)^2)` by loops, with respect to `W`, `b` and `V`.
fn gradient_by_loops(
    [batch, inputs, hidden, outputs]: [usize; 4],
    [x, w, b, v]: [&[f64]; 4],
) -> [Vec<f64>; 3] {
    let [mut dw, mut db, mut dv] = [w, b, v].map(|like| vec![0.0; like.len()]);
    for x in x.chunks(inputs).take(batch) {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let a: Vec<f64> =
            w.chunks(inputs).zip(b).map(|(row, b)| (dot(row, x) + b).tanh()).collect();
        for (k, row) in v.chunks(hidden).enumerate() {
            let slope = 2.0 * dot(row, &a) / (batch * outputs) as f64;
            for h in 0..hidden {
                dv[k * hidden + h] += slope * a[h];
                let delta = slope * row[h] * (1.0 - a[h] * a[h]);
                db[h] += delta;
                for (i, x) in x.iter().enumerate() {
                    dw[h * inputs + i] += delta * x;
                }
            }
        }
    }
    [dw, db, dv]
}

/// Products by rows and columns, sums of rows, and biases that are laid out, in one function.
#[test]
fn small_networks_have_the_gradients_of_loops() {
    for [inputs, hidden, outputs] in [[8, 16, 1], [3, 9, 2], [7, 17, 5], [16, 15, 8], [1, 33, 3]] {
        for batch in [1, 2, 8, 9, 31, 32, 33] {
            let shapes: [&[usize]; 4] =
                [&[batch, inputs], &[hidden, inputs], &[hidden], &[outputs, hidden]];
            let mut seed = 0;
            let tensors = shapes.map(|shape| {
                seed += 1000;
                Tensor::from_fn(shape, |i| (hash(i + seed) >> 11) as f64 / 2_f64.powi(52) - 1.0)
            });
            let tape = Tape::new();
            let vars = tensors.each_ref().map(|tensor| tape.variable(tensor));
            let [x, w, b, v] = vars;
            let y = (x.matmul_transposed(w) + b).tanh().matmul_transposed(v);
            let slopes = y.square().mean().grad([w, b, v]);
            let mut program = tape.compile(&vars, &slopes).unwrap();
            program.native();
            program.execute();
            let numbers = tensors.each_ref().map(|tensor| tensor.to_vec());
            let sizes = [batch, inputs, hidden, outputs];
            let expected = gradient_by_loops(sizes, numbers.each_ref().map(|numbers| &numbers[..]));
            for (output, expected) in expected.iter().enumerate() {
                for (got, expected) in program.output(output).iter().zip(expected) {
                    let error = (got - expected).abs();
                    assert!(error < 1e-14, "{sizes:?}, output {output}: {got} for {expected}");
                }
            }
        }
    }
}

#[test]
fn a_listing_has_the_operations_and_the_lines() {
    let f = func(|x| (x.square() + 1.0).sqrt().minimum(x) * 0.5);
    let mut program = compile(f, &Tensor::scalar(3.0)).unwrap();
    let without = program.listing();
    assert_eq!(without.lines().count(), program.instructions());
    assert!(without.lines().all(|line| line.contains(", at ") && line.contains("native.rs")));
    program.native();
    let listing = program.listing();
    let code: Vec<&str> = listing.lines().filter(|line| line.starts_with(' ')).collect();
    if code.is_empty() {
        // This CPU has none.
        return assert_eq!(listing, without);
    }
    assert_snapshot!(code.join("\n"), @r"
    %0 = read 0
    %2 = %0 * %0
    %4 = %2 + 1.0
    %5 = sqrt %4
    %8 = %5 where %5 <= %0 else %0
    %9 = %8 where %5 == %5 else %5
    %11 = %9 * 0.5
    write 7: %11
    ");
}
