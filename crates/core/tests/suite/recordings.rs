//! A recording that follows the one before it gives what a fresh tape gives, to
//! the last bit: wherever the two begin to differ, and in whatever they differ.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wengert_core::op::{Call, Cost, Elementwise, Op, Samples};
use wengert_core::{Number, Real, Shape, Tape, Tensor, Var, View};

/// One operation: which, on which of the values before it, and with which number.
type Step = (u8, usize, usize, i8);

#[derive(Clone, Debug)]
struct Program {
    shape: [usize; 2],
    seed: f64,
    steps: Vec<Step>,
}

/// What a run gives: the value, gradients by two sweeps, and a tangent.
type Results = Vec<Vec<u64>>;

fn bits(tensor: &Tensor<f64>) -> Vec<u64> {
    tensor.iter().map(f64::to_bits).collect()
}

fn run(tape: &Tape<f64>, program: &Program) -> Results {
    let Program { shape, seed, steps } = program;
    let input = |k: f64| Tensor::from_fn(*shape, |i| ((i as f64 + seed + k) * 1.7).sin());
    let (x, w) = (tape.parameter(1, &input(0.0)), tape.parameter(2, &input(4.0)));
    let mut values = vec![x, w];
    let mut results = Results::new();
    for &(op, i, j, number) in steps {
        let (a, b) = (values[i % values.len()], values[j % values.len()]);
        values.push(match op % 17 {
            0 => a + b,
            1 => a - b.sum_over(0),
            2 => (a * b).tanh(),
            3 => a * f64::from(number),
            4 => a.maximum(b),
            5 => a.leaky_relu(f64::from(number)),
            6 => a.sigmoid().powi(i32::from(number % 3)),
            7 => tape.without_gradients(|| a.cos()) + b,
            8 => a.slice_by(0, .., -1),
            9 => a.softmax(-1) - b.mean(),
            10 => a.matrix_transpose().tanh().matrix_transpose(),
            11 => a.matmul(b.matrix_transpose()).matmul(b) * 0.1,
            12 => tape.constant(input(f64::from(number))) * a,
            13 => tape.parameter(3, &input(f64::from(number))) * a,
            14 => {
                // Sweeps may stand anywhere in a recording.
                let gradients = (a * a * x).sum().backward();
                results.extend([x, w].map(|input| bits(&gradients.wrt(input))));
                a
            }
            15 => a.apply(Branching),
            _ => wengert_core::concat(&[a, b, a, b, a, b], 0).slice(0, ..shape[0]),
        });
    }
    let y = values.iter().map(|v| v.sum()).reduce(|sum, term| sum + term).expect("two at least");
    let gradients = y.backward();
    results.extend([x, w].map(|input| bits(&gradients.wrt(input))));
    let read = gradients.with_parameter(2, |g| g.iter().map(f64::to_bits).collect());
    results.push(read.expect("the output depends on it"));
    let [dx, dw] = (y * y).grad([x, w]);
    let second = (dx * dw).sum().backward();
    results.extend([bits(&second.wrt(x)), bits(&y.jvp(&[(x, dw)]).value()), bits(&y.value())]);
    results
}

fn fresh(program: &Program) -> Results {
    run(&Tape::new(), program)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<u8>(), 0..64_usize, 0..64_usize, -2..3_i8), 1..14)
}

fn programs() -> impl Strategy<Value = Program> {
    // Small values lie in one vector, large ones in buffers.
    let shapes = prop::sample::select(vec![[2, 3], [1, 1], [9, 8], [8, 9]]);
    (shapes, 0.0..4.0, steps()).prop_map(|(shape, seed, steps)| Program { shape, seed, steps })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(1964),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(300))]

    /// The same program with other numbers, shortened, changed in one step, and in
    /// another shape; each on the tape that the others have left behind.
    #[test]
    fn variations_of_a_program(
        program in programs(),
        other in programs(),
        at in 0..14_usize,
        step in (any::<u8>(), 0..64_usize, 0..64_usize, -2..3_i8),
    ) {
        let at = at % program.steps.len();
        let renumbered = Program { seed: program.seed + 0.5, ..program.clone() };
        let shortened = Program { steps: program.steps[..at].to_vec(), ..program.clone() };
        let mut changed = program.clone();
        changed.steps[at] = step;
        let reshaped = Program { shape: other.shape, ..program.clone() };
        let order = [
            &program, &program, &renumbered, &changed, &changed, &program, &shortened, &program,
            &reshaped, &program, &other, &renumbered, &program,
        ];
        let mut tape = Tape::new();
        let mut kept = Vec::new();
        for program in order {
            tape.reset();
            prop_assert_eq!(run(&tape, program), fresh(program));
            // What is shared out of a recording is not written by the next ones.
            let last = tape.parameter(1, &Tensor::from(0.0)).exp();
            kept.push((last.value(), bits(&last.value())));
        }
        for (tensor, bits) in kept {
            prop_assert_eq!(self::bits(&tensor), bits);
        }
    }

    /// Values that wait until they are read, one after the other in some order; on the same tape
    /// once more, with another program between.
    #[test]
    fn lazy_recordings(program in programs(), other in programs()) {
        for mut tape in [Tape::lazy(), Tape::frugal()] {
            for program in [&program, &program, &other, &program] {
                tape.reset();
                prop_assert_eq!(run(&tape, program), fresh(program));
            }
        }
    }

    /// Random programs in any order.
    #[test]
    fn alternating_programs(
        set in prop::collection::vec(programs(), 2..4),
        order in prop::collection::vec(0..4_usize, 2..12),
    ) {
        let mut tape = Tape::new();
        for i in order {
            let program = &set[i % set.len()];
            tape.reset();
            prop_assert_eq!(run(&tape, program), fresh(program));
        }
    }
}

#[test]
fn a_mode_is_part_of_a_program() {
    let mut tape = Tape::new();
    for round in 0..6 {
        tape.reset();
        let x = tape.variable(2.0);
        let y = if round % 3 == 2 { tape.without_gradients(|| x * x) } else { x * x };
        assert_eq!(y.is_active(), round % 3 != 2);
        let z = y + x;
        assert_eq!(z.backward().wrt(x).item(), if y.is_active() { 5.0 } else { 1.0 });
    }
}

#[test]
fn a_parameter_read_before_it_is_trained() {
    let mut tape = Tape::new();
    for round in 1..4 {
        tape.reset();
        let value = Tensor::from(f64::from(round));
        let monitored = tape.without_gradients(|| tape.parameter(7, &value).square());
        let again = tape.without_gradients(|| tape.parameter(7, &Tensor::from(99.0)).square());
        assert_eq!((monitored.item(), again.item()), (value.item().powi(2), value.item().powi(2)));
        let cost = tape.parameter(7, &value).square();
        assert_eq!(cost.backward().wrt(tape.parameter(7, &value)).item(), 2.0 * value.item());
    }
}

#[test]
fn shapes_that_never_repeat() {
    let mut tape = Tape::new();
    for n in 0..20_000 {
        tape.reset();
        let x = tape.variable(2.0);
        let y = tape.constant(Tensor::zeros([n, 0])).sum() + x * x;
        assert_eq!(y.backward().wrt(x).item(), 4.0);
    }
}

/// A sine, and the line that records it.
fn sine(x: Var<'_, f64>) -> (Var<'_, f64>, u32) {
    (x.sin(), line!())
}

/// The same on another line.
fn another_sine(x: Var<'_, f64>) -> (Var<'_, f64>, u32) {
    (x.sin(), line!())
}

#[test]
fn lines_are_those_of_this_recording() {
    let mut tape = Tape::new();
    for record in [sine, sine, another_sine, another_sine, sine] {
        tape.reset();
        let x = tape.variable(1.0);
        let (y, line) = record(x);
        // The sine, and what its rule records.
        for var in [y, y.backward().on_tape(x)] {
            let said = var.describe();
            assert!(said.contains(&format!("recordings.rs:{line}:")), "{said}");
        }
    }
}

#[test]
fn a_panic_leaves_a_tape_that_goes_on() {
    let mut tape = Tape::new();
    for _ in 0..3 {
        tape.reset();
        let x = tape.variable([1.0, 2.0, 3.0]);
        let y = x.exp();
        let wrong = catch_unwind(AssertUnwindSafe(|| y + tape.constant([1.0, 2.0])));
        assert!(wrong.is_err());
        let z = (y * x).sum();
        assert_eq!(
            z.backward().wrt(x).to_vec(),
            [1.0, 2.0, 3.0].map(|x: f64| x.exp() + x.exp() * x)
        );
    }
}

/// A function whose evaluation fails for negative numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fragile;

impl Elementwise<1> for Fragile {
    const NAME: &'static str = "fragile";

    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| {
            assert!(x >= 0.0, "a negative number");
            x
        })
    }

    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.constant(1.0)
    }

    fn samples(_: &mut Samples<Self>) {}
}

#[test]
fn a_panic_in_a_kernel_leaves_a_tape_that_goes_on() {
    let mut tape = Tape::new();
    for len in [3, 3, 100, 100, 3] {
        for sign in [1.0, -1.0, -1.0, 1.0] {
            tape.reset();
            let x = tape.variable(Tensor::full([len], sign));
            let y = catch_unwind(AssertUnwindSafe(|| x.apply(Fragile)));
            assert_eq!(y.is_err(), sign < 0.0);
            let z = (x.exp() * y.unwrap_or(x)).sum();
            let expected = Tensor::full([len], f64::exp(sign) * (sign + 1.0));
            assert_eq!(z.backward().wrt(x), expected);
        }
    }
}

/// The divisor's adjoint is computed from the dividend's, to which a fast sweep then adds in place.
/// Both are read late, the sum first; and one value within a look at another.
#[test]
fn a_lazy_tape_reads_adjoints_before_they_are_added_to() {
    for len in [1, 3, 100] {
        let tape = Tape::lazy();
        let [x, y] = [3.0, 2.0].map(|x| tape.variable(Tensor::<f64>::full([len], x)));
        let gradients = (x * 5.0 + x / y + x * x).sum().backward();
        let of_x = gradients.wrt(x);
        assert_eq!(of_x, Tensor::full([len], 5.0 + 0.5 + 6.0));
        assert_eq!(gradients.wrt(y), Tensor::full([len], -3.0 / 4.0), "{len} elements");
        let (a, b) = (x * 2.0, y * 2.0);
        let sum = a.with_value(|a| b.with_value(|b| a.first() + b.first()));
        assert_eq!(sum, 10.0);
    }
}

/// The values of a small network, its gradients, and those of another function of the same values,
/// in the order in which a training step may ask for them.
fn network(tape: &Tape<f64>, size: usize) -> Vec<Tensor<f64>> {
    let leaf = |k: f64| tape.variable(Tensor::from_fn([size, size], |i| (k * i as f64).sin()));
    let [x, w, b] = [0.1, 0.7, 1.3].map(leaf);
    let hidden = (x.matmul(w) + b).tanh();
    let shares = (hidden.transpose().reshape([size, size]) * 2.0).softmax(-1);
    let metric = (shares + 1.0).max_over(-1);
    let cost = (shares * x).sum();
    let gradients = cost.backward();
    let mut seen = vec![cost.value(), metric.value()];
    seen.extend([x, w, b].map(|leaf| gradients.wrt(leaf)));
    assert!(gradients.are_finite());
    // Given up meanwhile, and read all the same.
    seen.push(hidden.value());
    let more = (hidden + gradients.on_tape(w)).square().sum().backward();
    seen.extend([x, w, b].map(|leaf| more.wrt(leaf)));
    seen.extend([shares.value(), gradients.wrt(w), hidden.value()]);
    seen
}

#[test]
fn a_frugal_tape_gives_the_same_numbers_and_holds_less() {
    for size in [1, 3, 8, 9, 33] {
        let mut frugal = Tape::frugal();
        let expected = network(&Tape::new(), size);
        for _ in 0..3 {
            frugal.reset();
            let seen = network(&frugal, size);
            for (seen, expected) in seen.iter().zip(&expected) {
                assert_eq!(bits(seen), bits(expected), "size {size}");
            }
        }
    }
    let peak = |mut tape: Tape<f64>, read_before: bool| {
        for _ in 0..3 {
            tape.reset();
            let x = tape.variable(Tensor::full([1000], 0.3));
            let steps: Vec<_> = (0..10)
                .scan(x, |x, _| Some(std::mem::replace(x, (*x * 0.5).exp() + 1.0)))
                .collect();
            let cost = steps[9].sum();
            if read_before {
                assert!(steps.iter().all(|step| step.value().at(&[0]) > 0.0));
            }
            let mut order = Vec::new();
            let parameter = tape.parameter(1, &Tensor::from(2.0));
            (cost * parameter).backward_each(|key, gradient| order.push((key, gradient.first())));
            assert_eq!(order, [(1, cost.item())]);
        }
        tape.memory().peak / (8 * 1000)
    };
    // Of 9 steps the rule reads the exponential; a sum and two adjoints are there for a moment.
    assert!(peak(Tape::frugal(), false) <= 14, "{}", peak(Tape::frugal(), false));
    assert!(peak(Tape::frugal(), true) > 14 && peak(Tape::new(), false) > 25);
}

/// What a kernel refuses is refused at each read, small or large, and all else is there.
#[test]
fn a_panic_in_a_kernel_leaves_a_value_that_waits() {
    for shape in [&[][..], &[3], &[100]] {
        let tape = Tape::lazy();
        let x = tape.variable(Tensor::full(shape, -1.0));
        let y = x.apply(Fragile);
        let z = (y * 2.0).sum() + x.sum();
        for _ in 0..2 {
            for var in [y, z] {
                assert!(catch_unwind(AssertUnwindSafe(|| var.value())).is_err(), "shape {shape:?}");
            }
        }
        assert_eq!(x.sum().item(), -(shape.iter().product::<usize>() as f64));
    }
}

/// Twice the operand, or three times if its first element is negative, by a rule
/// that looks at the value and records other operations in either case.
#[derive(Clone, Debug, PartialEq)]
struct Branching;

impl Op for Branching {
    const NAME: &'static str = "branching";

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        Ok(args[0].clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let factor = T::from_f64(if args[0].first() < T::zero() { 3.0 } else { 2.0 });
        for (y, x) in out.iter_mut().zip(args[0].iter()) {
            *y = factor * x;
        }
    }

    fn jvp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        self.vjp(call, 0, tangents[0]?)
    }

    fn vjp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        _: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        let negative = call.arg(0).with_value(|x| x.first() < T::zero());
        Some(if negative { cotangent * T::from_f64(3.0) } else { cotangent + cotangent })
    }

    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::muls(1)
    }

    fn samples(_: &mut Samples<Self>) {}
}

#[test]
fn a_rule_that_looks_at_a_value_is_asked_at_every_sweep() {
    let mut tape = Tape::new();
    for (x, slope) in [(1.0, 2.0), (1.0, 2.0), (-1.0, 3.0), (-2.0, 3.0), (5.0, 2.0)] {
        tape.reset();
        let x = tape.variable(x);
        assert_eq!(x.apply(Branching).backward().wrt(x).item(), slope);
    }
}

/// Counts how often its rule is asked.
#[derive(Clone, Debug, PartialEq)]
struct Counting;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
    static COMPUTED: Cell<usize> = const { Cell::new(0) };
}

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
        tangents[0]
    }

    fn vjp<'t, T: Real>(
        &self,
        _: &Call<'_, 't, T>,
        _: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        ASKED.set(ASKED.get() + 1);
        Some(cotangent)
    }

    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::NONE
    }

    fn samples(_: &mut Samples<Self>) {}
}

#[test]
fn a_repeated_sweep_asks_no_rule() {
    let mut tape = Tape::new();
    for round in 0..5 {
        tape.reset();
        let x = tape.variable(f64::from(round));
        let y = x.square().apply(Counting).square();
        assert_eq!(y.backward().wrt(x).item(), 4.0 * f64::from(round).powi(3));
    }
    assert_eq!(ASKED.get(), 1);
}

/// Values that nobody reads are not computed, and take no memory.
#[test]
fn a_lazy_tape_computes_what_is_read() {
    let tape = Tape::lazy();
    let x = tape.variable(Tensor::from_fn([100, 100], |i| (i as f64).cos()));
    let y = x.apply(Counting);
    let _ = (y.exp().square().sum(), x.matmul(x));
    assert_eq!((COMPUTED.get(), tape.memory().values), (0, size_of::<f64>()));
    assert_eq!((y * 2.0).value().at(&[0, 0]), 2.0);
    assert_eq!((y + 1.0).value().at(&[0, 0]), 2.0);
    assert_eq!(COMPUTED.get(), 1, "what has been computed is kept");
    assert!(tape.memory().peak <= 3 * 8 * 10_500, "{}", tape.memory());
    // A chain that no recursion could follow.
    let mut z = x;
    for _ in 0..200_000 {
        z = z.transpose();
    }
    assert_eq!(z.value(), x.value());
}
