//! Loops whose steps are compiled, beside the same loops recorded step by step: the same bits, for
//! values, gradients, tangents and derivatives of those. A step is recorded each time if it looks at
//! a number, so a look makes the other loop.

use std::cell::Cell;
use std::rc::Rc;

use wengert_core::checkpoint::{Scan, Steps, checkpoint};
use wengert_core::{Real, Tape, Tensor, Var, compile_n, vmap};

fn numbers<T: Real>(shape: impl Into<wengert_core::Shape>, step: f64) -> Tensor<T> {
    Tensor::from_fn(shape, |i| T::from_f64((i as f64 * step + 0.3).sin()))
}

/// Two states, of which one is read by the next of the other, a shared row, and a shared value that
/// nothing reads.
fn step<'t, T: Real>(
    k: Var<'t, T>,
    [q, p]: [Var<'t, T>; 2],
    [a, w, _]: [Var<'t, T>; 3],
) -> [Var<'t, T>; 2] {
    let p = p - a * q.sin() * T::from_f64(0.1) * (k * T::from_f64(0.01) + T::one());
    let next = q + p * T::from_f64(0.1) * w;
    [next, p.tanh() + next.sum() * T::from_f64(0.001)]
}

fn look<'t, T: Real>([q, p]: [Var<'t, T>; 2]) -> [Var<'t, T>; 2] {
    assert!(q.with_value(|q| q.len()) > 0);
    [q, p]
}

/// All that there is of a loop: its values, gradients by both sweeps, tangents, and those of each other.
fn all_of<T: Real>(size: usize, n: usize, keep: usize, looks: bool) -> Vec<Tensor<T>> {
    let steps = Steps::new(move |k, state: [Var<'_, T>; 2], shared| {
        step(k, if looks { look(state) } else { state }, shared)
    });
    let steps = steps.keep(keep);
    let tape = Tape::new();
    let state = [0.7, 0.4].map(|step| tape.variable(numbers([size], step)));
    let shared = [
        tape.variable(T::from_f64(1.3)),
        tape.variable(numbers([size], 0.9)),
        tape.variable(T::one()),
    ];
    let [q, p] = steps.run(n, state, shared);
    let cost = (q * p.cos()).sum();
    let fast = cost.backward();
    let inputs = [state[0], state[1], shared[0], shared[1], shared[2]];
    let mut all: Vec<_> = inputs.iter().map(|input| fast.wrt(*input)).collect();
    let directions: Vec<_> =
        inputs.iter().map(|input| (*input, tape.constant(numbers(input.shape(), 1.7)))).collect();
    let gradient = cost.grad(inputs);
    let tangent = cost.jvp(&directions);
    let mut vars = vec![q, p, tangent, cost.jvp(&directions[2..])];
    vars.extend(tangent.grad(inputs));
    vars.push(tangent.jvp(&directions));
    vars.extend(gradient.iter().map(|gradient| gradient.jvp(&directions)));
    vars.extend((gradient[0] * gradient[1]).sum().grad(inputs));
    vars.extend(gradient);
    all.extend(vars.into_iter().map(|var| var.value()));
    all
}

#[test]
fn compiled_steps_give_the_bits_of_recorded_ones() {
    for (size, n, keep) in [(1, 9, 3), (3, 1, 1), (64, 5, 2), (65, 7, 3), (3000, 3, 2)] {
        assert_eq!(all_of::<f64>(size, n, keep, false), all_of(size, n, keep, true), "{size}");
        assert_eq!(all_of::<f32>(size, n, keep, false), all_of(size, n, keep, true), "{size}");
    }
}

#[test]
fn compiled_scans_give_the_bits_of_recorded_ones() {
    let all = |rows: usize, looks: bool| {
        let scan = Scan::new(move |[h], [x, g], [w]| {
            assert!(!looks || h.with_value(|h| h.len()) > 0);
            let next = (h.matmul(w) + x * g).tanh();
            ([next], [next.sum_over(0), next.square() * g])
        });
        let tape = Tape::new();
        let h = tape.variable(numbers([rows, 6], 0.7));
        let (x, g) =
            (tape.variable(numbers([11, rows, 6], 0.3)), tape.variable(numbers([11], 1.1)));
        let w = tape.variable(numbers([6, 6], 0.2));
        let ([end], [sums, squares]) = scan.keep(3).run([h], [x, g], [w]);
        let cost = end.sum() + (sums * numbers_like(sums)).sum() + squares.mean();
        let inputs = [h, x, g, w];
        let fast = cost.backward();
        let mut all: Vec<_> = inputs.iter().map(|input| fast.wrt(*input)).collect();
        let directions: Vec<_> = inputs.iter().map(|x| (*x, numbers_like(*x))).collect();
        let tangent = cost.jvp(&directions);
        all.extend([end, sums, squares, tangent].map(|var| var.value()));
        all.extend(tangent.grad(inputs).map(|var| var.value()));
        // Of some inputs alone.
        all.extend(cost.grad([x]).map(|var| var.value()));
        all.extend(cost.grad([g, w]).map(|var| var.value()));
        all
    };
    for rows in [1, 10, 11, 80] {
        assert_eq!(all(rows, false), all(rows, true), "{rows} rows");
    }
}

fn numbers_like<'t>(of: Var<'t, f64>) -> Var<'t, f64> {
    of.tape().constant(numbers(of.shape(), 1.9))
}

/// A loop that decides by a number takes the branch that it should at each step.
#[test]
fn a_step_that_decides_is_recorded_each_time() {
    // The second one gives what was there before it decided.
    let doubling =
        Steps::new(|_, [x], [a]: [Var<'_, f64>; 1]| [if x.item() < 10.0 { x * a } else { x - a }]);
    let chosen = Steps::new(
        |_, [x, y]: [Var<'_, f64>; 2], []| {
            if x.item() < y.item() { [y, x] } else { [x, y] }
        },
    );
    let tape = Tape::new();
    let (x, a) = (tape.variable(1.0), tape.variable(3.0));
    // 3, 9, 27, 24, 21
    let [end] = doubling.run(5, [x], [a]);
    assert_eq!(end.item(), 21.0);
    // a^3 - 2 a
    assert_eq!(end.backward().wrt(a).item(), 27.0 - 2.0);
    let [larger, _] = chosen.run(1, [x, a], []);
    let [same, _] = chosen.run(1, [a, x], []);
    assert_eq!((larger.item(), same.item()), (3.0, 3.0));
    let mut program =
        compile_n(|x| doubling.run(5, [x], [x.tape().constant(3.0)]), &Tensor::from(1.0))
            .expect("the loop decides");
    // 6, 18, 15, 12, 9
    assert_eq!(program.run(&Tensor::from(2.0))[0].item(), 9.0);
}

#[test]
fn a_closure_is_called_once_for_its_shapes() {
    let calls = Rc::new(Cell::new(0));
    let counted = calls.clone();
    // Whatever it would give the next time.
    let steps = Steps::new(move |_, [x]: [Var<'_, f64>; 1], [a]: [Var<'_, f64>; 1]| {
        counted.set(counted.get() + 1);
        [x * a * f64::from(counted.get())]
    });
    let tape = Tape::new();
    for size in [1, 2, 1, 2] {
        let x = tape.variable(Tensor::ones([size]));
        let a = tape.variable(2.0);
        let [y] = steps.run(3, [x], [a]);
        let factor = size as f64;
        let cube = factor.powi(3);
        assert_eq!(y.sum().item(), 8.0 * cube * size as f64);
        let gradient = y.sum().grad([a])[0];
        assert_eq!(gradient.item(), 12.0 * cube * size as f64);
        assert_eq!(gradient.grad([a])[0].item(), 12.0 * cube * size as f64);
        assert_eq!(y.sum().jvp(&[(a, tape.constant(1.0))]).item(), 12.0 * cube * size as f64);
    }
    assert_eq!(calls.get(), 2);
}

#[test]
#[should_panic(expected = "the function gave another value when it was computed again")]
fn a_recorded_step_that_changes_is_found_out() {
    let calls = Cell::new(0.0);
    let steps = Steps::new(move |_, [x]: [Var<'_, f64>; 1], []| {
        calls.set(calls.get() + x.item());
        [x * calls.get()]
    });
    let tape = Tape::new();
    steps.run(2, [tape.variable(1.0)], [])[0].backward();
}

/// Steps within steps, in a checkpoint, in a map; their own derivatives within steps.
#[test]
fn steps_within_other_functions() {
    fn inner<'t>(x: Var<'t, f64>, a: Var<'t, f64>) -> Var<'t, f64> {
        Steps::new(|_, [x], [a]| [x + (x * a).sin()]).keep(2).run(3, [x], [a])[0]
    }
    fn slope<'t>(x: Var<'t, f64>, a: Var<'t, f64>) -> Var<'t, f64> {
        // Of this call alone, if `x` depends on `a`, too.
        let a = a * 1.0;
        inner(x, a).sum().grad([a])[0]
    }
    fn outer<'t>(k: Var<'t, f64>, x: Var<'t, f64>, a: Var<'t, f64>) -> Var<'t, f64> {
        inner(x, a) * 0.5 + slope(x, a) * (k * 0.1)
    }
    let of = |way: usize| {
        let tape = Tape::new();
        let (x, a) = (tape.variable([0.5, 0.2, 0.9]), tape.variable(0.8));
        let y = match way {
            0 => (0..4).fold(x, |x, k| outer(tape.constant(f64::from(k)), x, a)),
            1 => Steps::new(|k, [x], [a]| [outer(k, x, a)]).keep(2).run(4, [x], [a])[0],
            _ => checkpoint(
                |[x, a]| Steps::new(|k, [x], [a]| [outer(k, x, a)]).run(4, [x], [a]),
                [x, a],
            )[0],
        };
        let [dx, da] = y.square().sum().grad([x, a]);
        let along = (dx.square().sum() + da).grad([x, a]);
        [y, dx, da, along[0], along[1]].map(|var| var.value())
    };
    let expected = of(0);
    for way in [1, 2] {
        for (found, expected) in of(way).iter().zip(&expected) {
            crate::checkpoint::close(found, expected);
        }
    }
    let xs = numbers([4, 3], 0.7);
    let mapped = vmap(|x: Var<'_, f64>| slope(x, x.tape().constant(0.8)), &xs);
    for (row, found) in mapped.iter().enumerate() {
        let tape = Tape::new();
        let x = tape.constant(Tensor::from_fn([3], |i| xs.at(&[row, i])));
        let expected = slope(x, tape.constant(0.8)).item();
        assert!((found - expected).abs() < 1e-13);
    }
}

/// What is recorded without gradients counts as constant, in compiled steps as in recorded ones.
#[test]
fn a_step_with_a_part_without_gradients() {
    let of = |is_looped: bool| {
        let tape = Tape::new();
        let (x, a) = (tape.variable(0.5), tape.variable([2.0, 3.0]));
        fn cell<'t>(x: Var<'t, f64>, a: Var<'t, f64>) -> ([Var<'t, f64>; 1], [Var<'t, f64>; 2]) {
            let held = x.tape().without_gradients(|| (x * 3.0).cos());
            let next = x * a + held;
            ([next], [held, next.square()])
        }
        let (x3, squares) = match is_looped {
            true => {
                let ([x], [_, squares]) = Scan::new(|[x], [a], []| cell(x, a)).run([x], [a], []);
                (x, squares.sum())
            }
            false => {
                let part = |k: usize| a.slice(0, k..=k).squeeze(0);
                let ([x], [_, first]) = cell(x, part(0));
                let ([x], [_, second]) = cell(x, part(1));
                (x, first + second)
            }
        };
        let cost = x3 * squares;
        let gradient = cost.grad([x, a]);
        let directions = [(x, tape.constant(1.0)), (a, tape.constant([1.0, -1.0]))];
        let tangent = cost.jvp(&directions);
        let all = [cost, gradient[0], gradient[1], tangent, (gradient[0] * tangent).grad([x])[0]];
        all.map(|var| var.value())
    };
    for (found, expected) in of(true).iter().zip(&of(false)) {
        crate::checkpoint::close(found, expected);
    }
}

#[test]
#[should_panic(expected = "f32 holds whole numbers up to 16777216")]
fn the_number_of_a_step_is_exact() {
    let tape = Tape::<f32>::new();
    Steps::new(|k, [x]: [Var<'_, f32>; 1], []| [x + k]).run(
        (1 << 24) + 2,
        [tape.variable(1.0)],
        [],
    );
}

/// A program does not grow with the steps, and takes as many as a tape.
#[test]
fn a_long_loop_is_one_instruction() {
    let steps =
        Steps::new(|k, [x]: [Var<'_, f64>; 1], [a]: [Var<'_, f64>; 1]| [x + a * k.sin() - x * 0.5]);
    let instructions = |n: usize| {
        let program = compile_n(
            |a| {
                let [x] = steps.run(n, [a.tape().constant(0.0)], [a]);
                [x, x.grad([a])[0]]
            },
            &Tensor::from(1.5),
        );
        let mut program = program.expect("no value is read");
        let before = steps.taken();
        let results = program.run(&Tensor::from(2.0));
        // States of one number are all kept: each step is taken once forwards and once back.
        assert_eq!(steps.taken() - before, 2 * n);
        let expected = (0..n).fold(0.0, |x, k| x + (k as f64).sin() - x * 0.5);
        assert!((results[1].item() - expected).abs() < 1e-14);
        assert!((results[0].item() - 2.0 * expected).abs() < 1e-14);
        program.instructions()
    };
    assert_eq!(instructions(10), instructions(5000));
}

/// What a step gives may be what it takes, in another place, twice, or of another loop's kind.
#[test]
fn steps_that_only_move_values() {
    for size in [1, 3, 100] {
        let of = |way: usize, looks: bool| {
            let tape = Tape::new();
            let [a, b, c] = [0.2, 0.5, 0.8].map(|step| tape.variable(numbers([size], step)));
            let steps = Steps::new(move |_, state: [Var<'_, f64>; 2], [c]: [Var<'_, f64>; 1]| {
                let [a, b] = if looks { look(state) } else { state };
                [[b, a], [a, a], [c, a], [c, c], [a, b], [a * b, b]][way]
            });
            let [x, y] = steps.keep(2).run(5, [a, b], [c]);
            let cost = (x * x * y + y).sum();
            let fast = cost.backward();
            let mut all = vec![x.value(), y.value()];
            all.extend([a, b, c].map(|var| fast.wrt(var)));
            all.push(cost.jvp(&[(a, b), (c, a)]).value());
            let [da, db, dc] = cost.grad([a, b, c]);
            let along = (da * db + dc * dc).sum();
            all.extend(along.grad([a, b, c]).map(|var| var.value()));
            all
        };
        for way in 0..6 {
            assert_eq!(of(way, false), of(way, true), "{size} elements, step {way}");
        }
        let tape = Tape::<f64>::new();
        let [a, b, c] = [0.2, 0.5, 0.8].map(|step| tape.variable(numbers([size], step)));
        let swap = Steps::new(|_, [a, b], []| [b, a]);
        let [x, y] = swap.run(3, [a, b], []);
        assert_eq!([x.value(), y.value()], [b.value(), a.value()]);
        assert_eq!((x * c).sum().grad([a, b]).map(|d| d.value()), [a * 0.0, c].map(|d| d.value()));
    }
    // A line that delays what comes in by one step.
    let tape = Tape::new();
    let (h, xs) = (tape.variable(7.0), tape.variable([1.0, 2.0, 3.0]));
    let ([last], [out]) = Scan::new(|[h], [x], []| ([x], [h])).run([h], [xs], []);
    assert_eq!((last.item(), out.value().to_vec()), (3.0, vec![7.0, 1.0, 2.0]));
    let cost = (out * tape.constant([10.0, 20.0, 30.0])).sum() + last;
    let [dh, dxs] = cost.grad([h, xs]);
    assert_eq!((dh.item(), dxs.value().to_vec()), (10.0, vec![20.0, 30.0, 1.0]));
}

/// A frozen parameter may move later: it is taken in at each step.
#[test]
fn a_frozen_parameter_is_not_fixed() {
    let weight = Rc::new(Cell::new(2.0));
    let own = weight.clone();
    let steps = Steps::new(move |_, [x]: [Var<'_, f64>; 1], []| {
        [x * x.tape().frozen(&Tensor::from(own.get()))]
    });
    for value in [2.0_f64, 3.0] {
        weight.set(value);
        let tape = Tape::new();
        let x = tape.variable(1.0);
        let [y] = steps.run(4, [x], []);
        assert_eq!((y.item(), y.grad([x])[0].item()), (value.powi(4), value.powi(4)));
    }
}
