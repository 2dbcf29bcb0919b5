//! Checkpoints: the derivatives of what they stand for, to every order, in less memory
//! and with as many evaluations as the schedule says.

use std::cell::Cell;
use std::rc::Rc;

use wengert_core::checkpoint::{Checkpoint, Steps, checkpoint, forward_steps};
use wengert_core::{Real, Tape, Tensor, Var, compile_n, hvp, jvp};

fn point(n: usize) -> Tensor<f64> {
    Tensor::from_fn([n], |i| (i as f64 * 0.37).sin() + 0.1)
}

fn layer<'t>([x, w]: [Var<'t, f64>; 2]) -> [Var<'t, f64>; 2] {
    let y = (x * w).sin() + x.slice_by(0, .., -1) * w.exp();
    [y, (y * x).sum()]
}

/// The same function plainly, in checkpoints, and in checkpoints of checkpoints.
fn plain<'t>([x, w]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    let [y, a] = layer([x, w]);
    let [z, b] = layer([y * a, w]);
    (z * y).sum() + a * b
}

fn checkpointed<'t>([x, w]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    let [y, a] = checkpoint(layer, [x, w]);
    let [z, b] = checkpoint(|[y, a, w]| checkpoint(layer, [y * a, w]), [y, a, w]);
    (z * y).sum() + a * b
}

pub(crate) fn close(a: &Tensor<f64>, b: &Tensor<f64>) {
    assert_eq!(a.shape(), b.shape());
    for (a, b) in a.iter().zip(b.iter()) {
        assert!((a - b).abs() <= 1e-12 * (1.0 + a.abs().max(b.abs())), "{a} and {b}");
    }
}

#[test]
fn derivatives_of_all_orders_go_through() {
    let (x, w, v) = (point(5), Tensor::from(0.7), point(6));
    let v = [&Tensor::from_fn([5], |i| v.at(&[i])), &Tensor::from(v.at(&[5]))];
    let orders = |f: for<'t> fn([Var<'t, f64>; 2]) -> Var<'t, f64>| {
        let tape = Tape::new();
        let vars = [tape.variable(&x), tape.variable(&w)];
        let y = f(vars);
        let fast = y.backward();
        let gradient = y.grad(vars);
        let along = (gradient[0] * vars[0].cos()).sum() + gradient[1].square();
        let second = along.grad(vars);
        let third = ((second[0] * second[0]).sum() * second[1]).grad(vars);
        let directions: Vec<_> = vars.into_iter().zip(v.map(|v| tape.constant(v))).collect();
        let tangent = y.jvp(&directions);
        let bend = tangent.jvp(&directions);
        let across = tangent.grad(vars);
        let mixed = gradient[0].jvp(&directions);
        let mut all = vec![y.value(), fast.wrt(vars[0]), fast.wrt(vars[1])];
        for values in [gradient, second, third, across, [tangent, bend], [mixed, along]] {
            all.extend(values.map(|value| value.value()));
        }
        all
    };
    for (own, expected) in orders(checkpointed).iter().zip(&orders(plain)) {
        close(own, expected);
    }
    let of = |f: for<'t> fn([Var<'t, f64>; 2]) -> Var<'t, f64>| {
        (jvp(f, [&x, &w], v).1, hvp(f, [&x, &w], v))
    };
    let ((tangent, [hx, hw]), (expected, [ex, ew])) = (of(checkpointed), of(plain));
    [(tangent, expected), (hx, ex), (hw, ew)].iter().for_each(|(a, b)| close(a, b));
}

/// Layer normalisation has a fast adjoint, whose bits are not those of the recorded one; so do
/// softmax and its logarithm.
#[test]
fn second_derivatives_of_what_has_a_fast_adjoint() {
    let x = Tensor::from_fn([3, 4], |i| (i as f64 * 0.9).sin() * 2.0);
    let v = Tensor::from_fn([3, 4], |i| (i as f64 * 0.4).cos());
    let c = Tensor::from_fn([3, 4], |i| i as f64 - 5.0);
    fn powers<'t>(y: Var<'t, f64>, c: &Tensor<f64>) -> Var<'t, f64> {
        (y * y * y.tape().constant(c)).sum()
    }
    let rows: [for<'t> fn(Var<'t, f64>) -> Var<'t, f64>; 3] =
        [|x| x.layer_norm(1e-5), |x| x.softmax(-1), |x| x.log_softmax(-1)];
    // The same by ops that are not fused.
    let plain: [for<'t> fn(Var<'t, f64>) -> Var<'t, f64>; 3] = [
        |x| {
            let centred = x - x.mean_over(-1).unsqueeze(-1);
            centred / (centred.square().mean_over(-1).unsqueeze(-1) + 1e-5).sqrt()
        },
        |x| x.exp() / x.exp().sum_over(-1).unsqueeze(-1),
        |x| x - x.exp().sum_over(-1).unsqueeze(-1).ln(),
    ];
    for (row, plain) in rows.into_iter().zip(plain) {
        let expected = hvp(|x| powers(plain(x), &c), &x, &v);
        close(&hvp(|x| powers(checkpoint(move |[x]| [row(x)], [x])[0], &c), &x, &v), &expected);
        let tape = Tape::new();
        let (x, v) = (tape.variable(&x), tape.constant(&v));
        let [y] = checkpoint(move |[x]| checkpoint(move |[x]| [row(x)], [x]), [x]);
        let [slope] = powers(y, &c).grad([x]);
        close(&slope.jvp(&[(x, v)]).value(), &expected);
        close(&(slope * v).sum().backward().wrt(x), &expected);
        let tangent = powers(y, &c).jvp(&[(x, v)]);
        close(&tangent.grad([x])[0].value(), &expected);
    }
}

/// Operands lie transposed where a checkpoint is recorded first, and in order when it is recorded
/// again; so does the state of a loop. Products of short and of long factors in either precision.
#[test]
fn the_order_in_memory_does_not_make_another_function() {
    fn run<T: Real>(rows: usize, columns: usize, tolerance: f64) {
        let numbers = |shape: [usize; 2], step: f64| {
            Tensor::from_fn(shape, |i| T::from_f64((i as f64 * step).sin() / 4.0))
        };
        let tape = Tape::new();
        let x = tape.variable(numbers([columns, rows], 0.7));
        let w = tape.variable(numbers([columns, columns], 0.3));
        let derivatives = |is_kept: bool| {
            let a = x.transpose();
            let y = match is_kept {
                true => checkpoint(|[a, w]| [a.matmul(w).matmul(a.transpose())], [a, w])[0],
                false => a.matmul(w).matmul(x),
            };
            let z = match is_kept {
                true => {
                    let steps = Steps::new(|_, [s], [w]| [w.matmul(s.transpose()).transpose()]);
                    steps.keep(2).run(4, [a], [w])[0]
                }
                false => (0..4).fold(a, |s, _| w.matmul(s.transpose()).transpose()),
            };
            let slopes = (y.square().sum() + z.square().sum()).grad([x, w]);
            let bends = ((slopes[0] * x).sum() + (slopes[1] * w).sum()).grad([x, w]);
            [slopes, bends].concat()
        };
        for (found, expected) in derivatives(true).into_iter().zip(derivatives(false)) {
            let (found, expected) = (found.value(), expected.value());
            let size = expected.iter().fold(0.0, |size: f64, x| size.max(x.as_f64().abs()));
            for (found, expected) in found.iter().zip(expected.iter()) {
                assert!((found - expected).as_f64().abs() <= tolerance * size);
            }
        }
    }
    for (rows, columns) in [(1, 70), (2, 33), (3, 40), (5, 33), (8, 16), (9, 65), (40, 65)] {
        run::<f32>(rows, columns, 1e-4);
        run::<f64>(rows, columns, 1e-12);
    }
}

#[test]
fn a_function_may_take_derivatives_itself() {
    let tape = Tape::new();
    let x = tape.variable([0.5, 1.0]);
    let [y] = checkpoint(|[x]| x.sin().sum().grad([x]), [x]);
    assert_eq!(y.value().to_vec(), [0.5_f64.cos(), 1.0_f64.cos()]);
    assert_eq!(y.sum().backward().wrt(x).to_vec(), [-(0.5_f64.sin()), -(1.0_f64.sin())]);
}

#[test]
fn parameters_taken_in_within_get_their_gradients() {
    let weight = Tensor::from([2.0, 3.0]);
    let own = weight.clone();
    let inner =
        Checkpoint::new(move |[x]: [Var<'_, f64>; 1]| [(x * x.tape().parameter(7, &own)).sin()]);
    let mut tape = Tape::new();
    for step in 0..3 {
        tape.reset();
        let x = tape.variable([0.5, step as f64]);
        let [y] = inner.apply(inner.apply([x]));
        let gradients = y.sum().backward();
        let w = tape.parameter_variable(7).expect("it was taken in");
        let found = (gradients.wrt(x), gradients.wrt(w));

        let plain = Tape::new();
        let x = plain.variable([0.5, step as f64]);
        let w = plain.parameter(7, &weight);
        let gradients = ((x * w).sin() * w).sin().sum().backward();
        assert_eq!(found, (gradients.wrt(x), gradients.wrt(w)));
    }
}

#[test]
fn the_function_is_evaluated_once_forwards_and_once_backwards() {
    let calls = Rc::new(Cell::new(0));
    let counted = calls.clone();
    let kept = Checkpoint::new(move |[x, y]: [Var<'_, f64>; 2]| {
        counted.set(counted.get() + 1);
        [x.sin() * y]
    });
    let mut tape = Tape::new();
    for _ in 0..3 {
        tape.reset();
        calls.set(0);
        let (x, y) = (tape.variable(1.0), tape.variable(2.0));
        let [z] = kept.apply([x, y]);
        assert_eq!(calls.get(), 1);
        let gradients = z.backward();
        assert_eq!(
            (gradients.wrt(x).item(), gradients.wrt(y).item()),
            (2.0 * 1.0_f64.cos(), 1.0_f64.sin())
        );
        assert_eq!(calls.get(), 2, "both operands from one recording");
    }
}

#[test]
#[should_panic(expected = "the function gave another value when it was computed again")]
fn a_function_that_changes_is_found_out() {
    let calls = Cell::new(0.0);
    let tape = Tape::new();
    let x = tape.variable(1.0);
    let [y] = checkpoint(
        move |[x]: [Var<'_, f64>; 1]| {
            calls.set(calls.get() + 1.0);
            [x * calls.get()]
        },
        [x],
    );
    y.backward();
}

#[test]
fn a_tape_with_checkpoints_holds_less() {
    fn deep<'t>([x]: [Var<'t, f64>; 1]) -> [Var<'t, f64>; 1] {
        [(0..20).fold(x, |x, _| (x.sin() + 0.1).tanh())]
    }
    let x = point(4096);
    let held = |is_checkpointed: bool| {
        let tape = Tape::new();
        let x = tape.variable(&x);
        let mut y = x;
        for _ in 0..10 {
            [y] = if is_checkpointed { checkpoint(deep, [y]) } else { deep([y]) };
        }
        let gradient = y.sum().backward().wrt(x);
        (gradient, tape.memory().values)
    };
    let ((plain, all), (own, few)) = (held(false), held(true));
    assert_eq!(plain, own);
    assert!(few * 15 < all, "{few} and {all} bytes");
}

/// A step of two states and one shared value, which depends on its number.
fn step<'t>(
    k: Var<'t, f64>,
    [q, p]: [Var<'t, f64>; 2],
    [a]: [Var<'t, f64>; 1],
) -> [Var<'t, f64>; 2] {
    let p = p - a * q.sin() * 0.1 * (1.0 + 0.01 * k);
    [q + p * 0.1, p]
}

fn walk<'t>(n: usize, state: [Var<'t, f64>; 2], shared: [Var<'t, f64>; 1]) -> [Var<'t, f64>; 2] {
    (0..n).fold(state, |state, k| step(shared[0].tape().constant(k as f64), state, shared))
}

#[test]
fn a_loop_has_the_derivatives_of_its_steps() {
    for (n, c) in [(0, 3), (1, 1), (2, 1), (7, 1), (7, 2), (7, 20), (30, 3)] {
        let calls = Rc::new(Cell::new(0));
        let counted = calls.clone();
        let steps = Steps::new(move |k, state: [Var<'_, f64>; 2], shared: [Var<'_, f64>; 1]| {
            counted.set(counted.get() + 1);
            step(k, state, shared)
        });
        let steps = steps.keep(c);
        let mut tape = Tape::new();
        for _ in 0..2 {
            tape.reset();
            let before = steps.taken();
            let inputs = [tape.variable([0.5, 1.0, 2.0]), tape.variable([0.1, 0.0, -0.3])];
            let a = tape.variable(1.3);
            let [q, p] = steps.run(n, inputs, [a]);
            let plain = walk(n, inputs, [a]);
            assert_eq!([q.value(), p.value()], plain.map(|value| value.value()));
            assert_eq!(steps.taken() - before, n);
            let own = (q * p.cos()).sum().backward();
            // What the closed form says, the value, and a step back for each.
            let expected = if n == 0 { 0 } else { forward_steps(n, c) + 1 + n };
            assert_eq!(steps.taken() - before, expected, "{n} steps, {c} states");
            let other = (plain[0] * plain[1].cos()).sum().backward();
            for var in [inputs[0], inputs[1], a] {
                close(&own.wrt(var), &other.wrt(var));
            }
        }
        assert_eq!(calls.get(), 1, "the closure is called once for its shapes");
    }
}

#[test]
fn a_loop_has_second_derivatives_in_all_orders_of_the_modes() {
    let seconds = |is_looped: bool| {
        let tape = Tape::new();
        let vars = [tape.variable([0.5, 1.0]), tape.variable([0.1, 0.0]), tape.variable(1.3)];
        let [q, p, a] = vars;
        let [x, y] = match is_looped {
            true => Steps::new(step).keep(3).run(12, [q, p], [a]),
            false => walk(12, [q, p], [a]),
        };
        let cost = (x * y.cos()).sum();
        let directions: Vec<_> = vars
            .iter()
            .map(|var| (*var, tape.constant(Tensor::from_fn(var.shape(), |i| 0.3 + i as f64))))
            .collect();
        let gradient = cost.grad(vars);
        let tangent = cost.jvp(&directions);
        let along = gradient.iter().zip(&directions).map(|(g, (_, v))| (*g * *v).sum());
        let along = along.reduce(|sum, term| sum + term).expect("three inputs");
        let mut all = vec![cost, tangent, along, tangent.jvp(&directions)];
        all.extend(tangent.grad(vars));
        all.extend(along.grad(vars));
        all.extend(gradient.map(|gradient| gradient.jvp(&directions)));
        all.extend(gradient);
        // The tangent along one input alone.
        all.push(cost.jvp(&directions[2..]));
        all.into_iter().map(|value| value.value()).collect::<Vec<_>>()
    };
    for (own, expected) in seconds(true).iter().zip(&seconds(false)) {
        close(own, expected);
    }
}

#[test]
fn an_unknown_number_of_steps() {
    for c in [1, 2, 5] {
        let halve = Steps::new(|_, [x], [a]| [x * a]).keep(c);
        let tape = Tape::new();
        let (x, a) = (tape.variable(1000.0), tape.variable(0.9));
        let [end] = halve.run_while(|_, [x]| x.item() > 1.0, [x], [a]);
        // 0.9^66 < 1/1000 < 0.9^65
        let gradients = end.backward();
        let expected = 66.0 * 1000.0 * 0.9_f64.powi(65);
        assert!((gradients.wrt(a).item() - expected).abs() < 1e-9 * expected);
        assert!((gradients.wrt(x).item() - 0.9_f64.powi(66)).abs() < 1e-15);
        let [tangent] = tape.jvp([end], &[(a, tape.constant(1.0))]);
        assert!((tangent.item() - expected).abs() < 1e-9 * expected);
    }
}

#[test]
fn only_what_is_wanted_gets_an_adjoint() {
    let tape = Tape::new();
    let (x, a) = (tape.constant(1.0), tape.variable(0.5));
    let b = tape.constant(2.0);
    let [end] = Steps::new(|_, [x], [b, a]| [x * a + b]).run(3, [x], [b, a]);
    // ((a + 2) a + 2) a + 2
    assert_eq!(end.backward().wrt(a).item(), 3.0 * 0.25 + 4.0 * 0.5 + 2.0);
}

#[test]
#[should_panic(expected = "the step takes in a parameter, whose gradient would be lost")]
fn a_step_takes_in_no_parameter() {
    let tape = Tape::new();
    let x = tape.variable(1.0);
    let weight = Tensor::from(2.0);
    Steps::new(move |_, [x], []| [x * x.tape().parameter(1, &weight)]).run(2, [x], []);
}

#[test]
#[should_panic(expected = "steps: expected a state of shape [2] from the step, got []")]
fn a_step_keeps_the_shapes() {
    let tape = Tape::new();
    let x = tape.variable([1.0, 2.0]);
    Steps::new(|_, [x], []| [x.sum()]).run(2, [x], []);
}

#[test]
fn programs_have_checkpoints_too() {
    let layer = Checkpoint::new(|[x]: [Var<'_, f64>; 1]| [x.sin() * x]);
    let steps = Steps::new(|_, [x]: [Var<'_, f64>; 1], []| [x + x.sin() * 0.1]).keep(3);
    let x = point(80);
    let program = compile_n(
        |x| {
            let [y] = layer.apply([x]);
            let [y] = steps.run(9, [y], []);
            let [gradient] = y.sum().grad([x]);
            [y, gradient]
        },
        &x,
    );
    let mut program = program.expect("no value is read");
    for scale in [1.0, -2.0] {
        let x = Tensor::from_fn([80], |i| scale * x.at(&[i]));
        let tape = Tape::new();
        let expected = f_on(&tape, &x);
        assert_eq!(program.run(&x), expected);
    }
}

/// How many steps there are is decided at each run.
#[test]
fn a_program_has_while_loops() {
    let halves = Steps::new(|_, [x]: [Var<'_, f64>; 1], []| [x * 0.5]);
    let goes_on = |_, [x]: &[Tensor<f64>; 1]| x.item() > 1.0;
    let program = compile_n(
        |x| {
            let [y] = halves.run_while(goes_on, [x], []);
            let [gradient] = y.square().grad([x]);
            [y, gradient]
        },
        &Tensor::from(3.0),
    );
    let mut program = program.expect("the loop decides, not the recording");
    for (x, y, gradient) in [(3.0, 0.75, 0.375), (40.0, 0.625, 1.25 / 64.0), (0.5, 0.5, 1.0)] {
        let results = program.run(&Tensor::from(x));
        assert_eq!((results[0].item(), results[1].item()), (y, gradient));
    }
}

/// What the program of two tests above computes, without checkpoints.
fn f_on(tape: &Tape<f64>, x: &Tensor<f64>) -> Vec<Tensor<f64>> {
    let x = tape.variable(x);
    let y = (0..9).fold(x.sin() * x, |x, _| x + x.sin() * 0.1);
    let gradient = y.sum().backward().wrt(x);
    vec![y.value(), gradient]
}

#[test]
fn the_peak_of_a_loop_is_a_few_states() {
    let x = point(1 << 14);
    let state = (1 << 14) * size_of::<f64>();
    let steps = Steps::new(|_, [x]: [Var<'_, f64>; 1], []| [x + x.sin() * 0.1]).keep(4);
    let tape = Tape::new();
    let x = tape.variable(&x);
    let [end] = steps.run(50, [x], []);
    end.sum().backward();
    let held = steps.peak() + tape.memory().peak;
    assert!(held < 25 * state, "{} states", held / state);
}
