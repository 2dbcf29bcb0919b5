//! What a sweep shows of a parameter while it goes on is what the parameter has in the end.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wengert_core::op::{Call, Cost, Op, Samples};
use wengert_core::{Real, Shape, Tape, Tensor, Var, View};

/// One operation: which, on which value, and with which parameter.
type Step = (u8, usize, usize);

/// The keys of the parameters of a program are below this.
const KEYS: u64 = 16;

/// A program that takes in a parameter at each step, some of them again, and leaves out values.
fn output<'t>(tape: &'t Tape<f64>, shape: [usize; 2], steps: &[Step]) -> Var<'t, f64> {
    let value = |key: u64| Tensor::from_fn(shape, move |i| ((i as f64 + key as f64) * 1.7).sin());
    let parameter = |key: u64| tape.parameter(key, &value(key));
    let mut values = vec![parameter(1)];
    for (&(op, i, j), own) in steps.iter().zip(2..) {
        let a = values[i % values.len()];
        let b = parameter(if op < 64 { 1 + j as u64 % own } else { own });
        values.push(match op % 8 {
            0 => a + b,
            1 => b - a.sum_over(0),
            2 => (a * b).tanh(),
            3 => a + b * 2.0 - b.slice(0, ..1),
            4 => a.matmul(b.matrix_transpose()).matmul(b) * 0.1,
            5 => a + b.slice(1, ..1) * b.mean(),
            6 => a + tape.without_gradients(|| b.cos()),
            _ => b * b,
        });
    }
    (values[values.len() - 1] * parameter(1)).sum()
}

fn bits(view: View<'_, f64>) -> Vec<u64> {
    view.iter().map(f64::to_bits).collect()
}

/// What a sweep shows, in its order.
fn shown(tape: &Tape<f64>, shape: [usize; 2], steps: &[Step]) -> Vec<(u64, Vec<u64>)> {
    let mut shown = Vec::new();
    output(tape, shape, steps).backward_each(|key, gradient| shown.push((key, bits(gradient))));
    shown
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(1964),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Also where a sweep repeats the one before it, wholly or up to a step that is another one: with
    /// the gradients of a sweep that shows nothing, and in the order of a tape that is new.
    #[test]
    fn what_is_shown_is_final(
        // Small values lie in one vector, large ones in buffers.
        shape in prop::sample::select(vec![[2, 3], [1, 1], [9, 8]]),
        steps in prop::collection::vec((any::<u8>(), 0..64_usize, 0..64_usize), 1..14),
        at in 0..14_usize,
        step in (any::<u8>(), 0..64_usize, 0..64_usize),
    ) {
        let mut changed = steps.clone();
        changed[at % steps.len()] = step;
        let mut tape = Tape::new();
        for steps in [&steps, &steps, &changed, &steps, &steps] {
            tape.reset();
            let shown = shown(&tape, shape, steps);
            prop_assert_eq!(&shown, &self::shown(&Tape::new(), shape, steps));
            let silent = Tape::new();
            let gradients = output(&silent, shape, steps).backward();
            for key in 1..KEYS {
                let expected: Vec<_> = gradients.with_parameter(key, bits).into_iter().collect();
                let own = shown.iter().filter(|shown| shown.0 == key);
                prop_assert_eq!(own.map(|own| own.1.clone()).collect::<Vec<_>>(), expected);
            }
        }
    }
}

/// The first sweep and those that repeat it show a gradient before they compute the next one.
#[test]
fn a_gradient_is_shown_before_the_sweep_is_over() {
    let (first, last) = (Tensor::full([64, 64], 0.5), Tensor::full([64, 64], 2.0));
    let mut tape = Tape::new();
    for _ in 0..4 {
        tape.reset();
        COMPUTED.set(0);
        let x = tape.parameter(1, &first).apply(Counting);
        let y = (x * tape.parameter(2, &last)).sum();
        let mut computed = Vec::new();
        y.backward_each(|key, _| computed.push((key, COMPUTED.get())));
        assert_eq!(computed, [(2, 1), (1, 2)]);
    }
    assert_eq!(ASKED.get(), 1, "the sweep is repeated although somebody looks on");
}

thread_local! {
    static COMPUTED: Cell<usize> = const { Cell::new(0) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// Gives its operand, forwards and backwards, and counts how often; and how often its rule is asked.
#[derive(Clone, Debug, PartialEq)]
struct Counting;

impl Op for Counting {
    const NAME: &'static str = "counting";

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        Ok(args[0].clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        COMPUTED.set(COMPUTED.get() + 1);
        args[0].copy_to(out);
    }

    fn jvp<'t, T: Real>(
        &self,
        _: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        tangents[0].map(|tangent| tangent.apply(Self))
    }

    fn vjp<'t, T: Real>(
        &self,
        _: &Call<'_, 't, T>,
        _: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        ASKED.set(ASKED.get() + 1);
        Some(cotangent.apply(Self))
    }

    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::NONE
    }

    fn samples(_: &mut Samples<Self>) {}
}

/// One that is not read, or through which no derivative flows.
#[test]
fn a_parameter_without_a_gradient_is_not_shown() {
    let (tape, value) = (Tape::new(), Tensor::from([1.0, 2.0]));
    let (read, frozen) = (tape.parameter(1, &value), tape.frozen(&value));
    let unread = tape.parameter(2, &value);
    let detached = tape.parameter(3, &value).stop_gradient();
    let mut keys = Vec::new();
    (read * frozen * detached).sum().backward_each(|key, _| keys.push(key));
    assert_eq!((keys, unread.is_active()), (vec![1], true));
}
