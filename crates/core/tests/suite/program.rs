//! Compiled programs: the same numbers as the tape, and errors where a replay
//! could not give them.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wengert_core::{CompileError, Tape, Tensor, Var, compile_n};

/// One operation on values chosen among those recorded before it.
type Step = (u8, usize, usize);

/// Runs a random program over values of one shape and shapes that broadcast to it.
fn record<'t>(inputs: [Var<'t, f64>; 2], steps: &[Step]) -> Vec<Var<'t, f64>> {
    let mut values = inputs.to_vec();
    for &(op, i, j) in steps {
        let (a, b) = (values[i % values.len()], values[j % values.len()]);
        values.push(match op % 17 {
            0 => a + b,
            1 => a - b,
            2 => (a * b).tanh(),
            3 => a.sin(),
            4 => a.maximum(b),
            5 => -a,
            6 => a.sigmoid() * 2.0,
            7 => a + b.sum_over(0),
            8 => a.slice_by(0, .., -1),
            9 => a.softmax(-1) - b.mean(),
            10 => a.matrix_transpose().tanh().matrix_transpose(),
            11 => a / (b.square().sum() + 1.0),
            12 => a * b.sum_keep(-1),
            13 => a.reshape([b.elements()]).cos().reshape(b.shape()),
            14 => (a * 0.0 + 3.0) * b,
            15 => a + b.slice(0, ..1).sin() - b.slice(1, ..1).cos(),
            _ => a.matmul(b.matrix_transpose()).matmul(b) * 0.1,
        });
    }
    let last = values[values.len() - 1];
    let cost = last.square().mean() + values[values.len() / 2].sum();
    let recorded = cost.grad(inputs);
    let mut results = vec![last, cost, recorded[0], recorded[1]];
    if cost.is_active() {
        let gradients = cost.backward();
        results.extend(inputs.map(|input| gradients.on_tape(input)));
    }
    results
}

fn input(shape: [usize; 2], seed: f64) -> Tensor<f64> {
    Tensor::from_fn(shape, move |i| ((i as f64 + seed) * 1.7).sin())
}

fn bits(tensor: &Tensor<f64>) -> Vec<u64> {
    // One NaN is as good as another.
    tensor.iter().map(|x| if x.is_nan() { f64::NAN } else { x }.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        rng_seed: RngSeed::Fixed(1964),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_program_gives_the_bits_of_the_tape(
        steps in prop::collection::vec((any::<u8>(), 0..64_usize, 0..64_usize), 1..30),
        size in 0..4_usize,
    ) {
        let shape = [[2, 3], [9, 8], [70, 20], [1, 65]][size];
        let tape = Tape::new();
        let vars = [input(shape, 0.3), input(shape, 4.1)].map(|x| tape.variable(&x));
        let results = record(vars, &steps);
        let mut program = tape.compile(&vars, &results).unwrap();
        for seed in [0.3, 7.7, 9.9] {
            let inputs = [input(shape, seed), input(shape, seed + 4.0)];
            let compiled = program.run([&inputs[0], &inputs[1]]);
            let tape = Tape::new();
            let eager = record(inputs.each_ref().map(|x| tape.variable(x)), &steps);
            for (compiled, eager) in compiled.iter().zip(eager) {
                prop_assert_eq!(compiled.shape(), &eager.shape());
                prop_assert_eq!(bits(compiled), bits(&eager.value()), "{}", program);
            }
        }
    }
}

#[test]
fn long_loops_sum_like_the_tape() {
    let x = Tensor::from_fn([100_001], |i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.3);
    let tape = Tape::new();
    let var = tape.variable(&x);
    let y = ((var * 1.3 + 0.1).tanh() * var.sigmoid()).sum();
    let dx = y.backward().on_tape(var);
    let mut program = tape.compile(&[var], &[y, dx]).unwrap();
    let results = program.run(&x);
    assert_eq!(results[0].item().to_bits(), y.item().to_bits());
    assert!(results[1].iter().zip(dx.value().iter()).all(|(a, b)| a.to_bits() == b.to_bits()));
    // One loop computes it all.
    assert_eq!(program.instructions(), 1, "{program}");
}

#[test]
fn states_move_from_run_to_run() {
    // Two states that change places, one of which is an output too, long and short.
    for len in [3, 100] {
        let tape = Tape::new();
        let a = tape.variable(Tensor::from_fn([len], |i| i as f64));
        let b = tape.variable(Tensor::from_fn([len], |i| -(i as f64)));
        let next = a + 1.0;
        let mut program = tape.compile_updating(&[a, b], &[a, next], &[(a, b), (b, next)]).unwrap();
        let (mut x, mut y) = (a.value(), b.value());
        for _ in 0..5 {
            program.execute();
            assert_eq!(program.output(0).to_vec(), x.to_vec());
            let next = Tensor::from_fn([len], |i| x.at(&[i]) + 1.0);
            assert_eq!(program.output(1).to_vec(), next.to_vec());
            (x, y) = (y, next);
            assert_eq!(program.input(0).to_vec(), x.to_vec());
            assert_eq!(program.input(1).to_vec(), y.to_vec());
        }
    }
}

#[test]
fn a_long_state_is_updated_in_place() {
    // The state is read whole, transposed in another loop, and after its update.
    let tape = Tape::new();
    let w = tape.variable(Tensor::from_fn([40, 40], |i| (i as f64).sin()));
    let v = tape.constant(Tensor::zeros([40, 40]));
    let cost = (w.transpose().tanh() * w).sum();
    let gradient = cost.backward().on_tape(w);
    let faster = v * 0.9 + gradient;
    let moved = w - faster * 0.1;
    let updates = [(w, moved), (v, faster)];
    let mut program = tape.compile_updating(&[w, v], &[cost], &updates).unwrap();
    let (mut x, mut velocity) = (w.value(), v.value());
    for _ in 0..4 {
        program.execute();
        let tape = Tape::new();
        let (w, v) = (tape.variable(&x), tape.constant(&velocity));
        let cost = (w.transpose().tanh() * w).sum();
        let faster = v * 0.9 + cost.backward().on_tape(w);
        let moved = w - faster * 0.1;
        assert_eq!(program.output(0).item(), cost.item());
        (x, velocity) = (moved.value(), faster.value());
        assert_eq!(program.input(0).to_vec(), x.to_vec());
        assert_eq!(program.input(1).to_vec(), velocity.to_vec());
    }
    // No buffers but for the value between the loops.
    assert!(program.bytes() <= 2 * 40 * 40 * 8 + 1000, "{program}");
}

#[test]
fn outputs_kept_by_the_caller_stay_as_they_are() {
    let x = Tensor::from_fn([100], |i| i as f64);
    let mut program = compile_n(|x| [x + 1.0], &x).unwrap();
    let first = program.run(&x);
    let second = program.run(&Tensor::from_fn([100], |_| 0.0));
    assert_eq!(first[0].at(&[2]), 3.0);
    assert_eq!(second[0].at(&[2]), 1.0);
    assert_eq!(x.at(&[2]), 2.0);
}

#[test]
fn what_no_output_needs_is_left_out_and_twins_are_shared() {
    let x = Tensor::from_fn([1000], |i| i as f64);
    let program = compile_n(
        |x| {
            let _unused = x.exp().sum();
            let constant = x.tape().constant([2.0, 3.0]).square().sum();
            [(x.sin() * constant + x.sin()).sum()]
        },
        &x,
    )
    .unwrap();
    insta::assert_snapshot!(program.to_string(), @"
    1  loop over [1000]: sin, mul, add, sum
    9 operations recorded, 4 kept, 4 of them in loops
    0 buffers, 48 bytes; 2000 additions, 1000 multiplications, 0 divisions, 1000 nonlinear
    ");
}

/// A recurrence: its weights are laid out once, as the products read them, and the bits are
/// those of the tape.
#[test]
fn a_factor_of_many_products_is_laid_out_once() {
    type Product = for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;
    let products: [Product; 3] = [
        |h, w| h.matmul_transposed(w),
        |h, w| h.matmul(w.matrix_transpose()),
        // Its columns lie side by side; those of the adjoints' factor do not.
        |h, w| h.matmul(w),
    ];
    for product in products {
        let (x, w) = (input([20, 24], 0.2), input([24, 24], 0.7));
        let tape = Tape::new();
        let inputs = [tape.variable(&x), tape.variable(&w)];
        let state = (0..4).fold(inputs[0], |h, _| product(h * 0.1, inputs[1]).tanh());
        let gradients = state.square().sum().backward();
        let [dx, dw] = inputs.map(|input| gradients.on_tape(input));
        let mut program = tape.compile(&inputs, &[dx, dw]).expect("nothing was decided");
        let text = program.to_string();
        assert_eq!(text.matches(": copy\n").count(), 1, "{text}");
        let results = program.run((&x, &w));
        assert!(bits(&results[0]) == bits(&dx.value()) && bits(&results[1]) == bits(&dw.value()));
    }
}

/// It takes in the values of the inputs, and decides nothing by them.
#[test]
fn a_tape_goes_on_after_it_was_compiled() {
    let tape = Tape::new();
    let x = tape.variable([1.0, -2.0]);
    assert!(tape.compile(&[x], &[x.sin()]).is_ok());
    assert!(tape.compile(&[x], &[x.cos()]).is_ok());
}

#[test]
fn a_decision_on_a_value_is_an_error() {
    let x = Tensor::from([1.0, -2.0]);
    let error =
        compile_n(|x| [if x.sum().item() > 0.0 { x.sin() } else { x.cos() }], &x).unwrap_err();
    let CompileError::ValueRead { value, line } = &error else { panic!("{error}") };
    assert!(value.contains("sum"), "{value}");
    assert!(line.contains("program.rs"), "{line}");
    // Nothing is recorded after this one, and yet it decides.
    let error = compile_n(
        |x| {
            let (a, b) = (x.sin(), x.cos());
            let is_less = a.sum() - b.sum();
            if is_less.item() < 0.0 { [a] } else { [b] }
        },
        &x,
    );
    let error = error.unwrap_err();
    assert!(matches!(error, CompileError::ValueRead { .. }), "{error}");
    // A look at a constant, at a shape, or at the end decides nothing.
    let tape = Tape::new();
    let (x, c) = (tape.variable(&x), tape.constant(2.0));
    let y = if c.item() > 1.0 && x.elements() == 2 { x.sin() } else { x };
    y.value();
    assert!(tape.compile(&[x], &[y]).is_ok());
    assert!(matches!(tape.compile(&[y], &[y]), Err(CompileError::NoInput { .. })));
    assert!(matches!(tape.compile(&[x, x], &[y]), Err(CompileError::NoInput { .. })));
}

#[test]
#[should_panic(expected = "compile again for another shape")]
fn another_shape_is_refused() {
    let mut program = compile_n(|x| [x * 2.0], &Tensor::from([1.0, 2.0])).unwrap();
    program.run(&Tensor::from([1.0, 2.0, 3.0]));
}

#[test]
fn stopped_gradients_and_gradients_of_gradients_replay() {
    let x = Tensor::from([0.5, 1.5]);
    let mut program = compile_n(
        |x| {
            let [dx] = (x.exp() * x.stop_gradient()).sum().grad([x]);
            let [ddx] = dx.square().sum().grad([x]);
            [dx, ddx]
        },
        &x,
    )
    .unwrap();
    let results = program.run(&Tensor::from([1.0, 2.0]));
    let e2 = 2.0_f64.exp();
    assert!((results[0].at(&[1]) - 2.0 * e2).abs() < 1e-12);
    // d/dx (c e^x)^2 with c taken as it is.
    assert!((results[1].at(&[1]) - 2.0 * (2.0 * e2) * (2.0 * e2)).abs() < 1e-9);
}
