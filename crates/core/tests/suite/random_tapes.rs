//! Random programs: whatever is recorded, the fast sweep, the recorded sweep and
//! the forward sweep agree.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wengert_core::{Tape, Tensor, Var, hessian, jacobian, sparse, stack};

/// One operation on values chosen among those recorded before it.
type Step = (u8, usize, usize);

/// Runs a program over values of one shape, or of that shape without its first
/// axis, so that broadcasting, sharing and views all occur.
fn run<'t>(inputs: [Var<'t, f64>; 2], steps: &[Step]) -> Var<'t, f64> {
    let outputs = results(inputs, steps);
    let weighted = outputs.iter().enumerate().map(|(i, &v)| (v * (1.0 + 0.1 * i as f64)).sum());
    weighted.reduce(|sum, term| sum + term).expect("there is one at least")
}

/// The results of a program, all of one shape.
fn results<'t>(inputs: [Var<'t, f64>; 2], steps: &[Step]) -> Vec<Var<'t, f64>> {
    let mut values = inputs.to_vec();
    let mut outputs = Vec::new();
    for &(op, i, j) in steps {
        let (a, b) = (values[i % values.len()], values[j % values.len()]);
        values.push(match op % 13 {
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
            11 => a + b.slice(0, ..1).sin() - b.slice(1, ..1).cos(),
            _ => a.matmul(b.matrix_transpose()).matmul(b) * 0.1,
        });
        // Some values are results as well, so that adjoints meet in all orders.
        if op >= 192 {
            outputs.push(values[values.len() - 1]);
        }
    }
    outputs.push(values[values.len() - 1]);
    outputs
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        rng_seed: RngSeed::Fixed(1964),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn sweeps_agree(
        steps in prop::collection::vec((any::<u8>(), 0..64_usize, 0..64_usize), 1..24),
        large in any::<bool>(),
    ) {
        // Small values lie in one vector, large ones in buffers.
        let shape = if large { [9, 8] } else { [2, 3] };
        let input = |seed: f64| Tensor::from_fn(shape, move |i| ((i as f64 + seed) * 1.7).sin());
        let (x, w) = (input(0.3), input(4.1));
        let direction = input(8.8);

        let mut tape = Tape::new();
        // Twice, so that recycled memory takes part too.
        for _ in 0..2 {
            tape.reset();
            let vars = [tape.variable(&x), tape.variable(&w)];
            let y = run(vars, &steps);
            let fast = y.backward();
            let recorded = y.grad(vars);
            let mut products = 0.0;
            for (var, recorded) in vars.into_iter().zip(recorded) {
                let (fast, recorded) = (fast.wrt(var), recorded.value());
                prop_assert_eq!(fast.shape(), recorded.shape());
                for (f, r) in fast.iter().zip(recorded.iter()) {
                    prop_assert!(close(f, r), "fast {f}, recorded {r}");
                }
                products += fast.dot(&direction);
            }
            let v = tape.constant(&direction);
            let tangent = y.jvp(&[(vars[0], v), (vars[1], v)]).item();
            prop_assert!(close(products, tangent), "reverse {products}, forward {tangent}");
        }
    }

    /// The pattern misses no entry, and what is recovered is the dense derivative.
    #[test]
    fn sparse_derivatives_are_the_dense_ones(
        steps in prop::collection::vec((any::<u8>(), 0..64_usize, 0..64_usize), 1..12),
    ) {
        let input = |seed: f64| Tensor::from_fn([2, 3], move |i| ((i as f64 + seed) * 1.7).sin());
        let inputs = [&input(0.3), &input(4.1)];
        let agree = |sparse: sparse::Matrix<f64>, dense: &dyn Fn(usize, usize) -> f64| {
            for row in 0..sparse.pattern().rows() {
                for column in 0..12 {
                    let (own, other) = (sparse.at(row, column), dense(row, column));
                    prop_assert!(close(own, other), "[{row}, {column}]: {own}, dense {other}");
                }
            }
            Ok(())
        };
        let steps = &steps;
        let sparse = sparse::jacobian(|vars| stack(&results(vars, steps), 0).flatten(0, -1), inputs);
        let dense = jacobian(|vars| stack(&results(vars, steps), 0).flatten(0, -1), inputs);
        agree(sparse, &|row, column| dense[column / 6].at(&[row, column / 3 % 2, column % 3]))?;
        let dense = hessian(|vars| run(vars, steps), inputs);
        agree(sparse::hessian(|vars| run(vars, steps), inputs), &|row, column| {
            dense[row / 6][column / 6].at(&[row / 3 % 2, row % 3, column / 3 % 2, column % 3])
        })?;
    }
}
