//! What reports say: errors of the gradient and not of something else, no cause that the numbers do not
//! bear out, which of two products is wrong, the entry that an op's rule gets wrong; and checks of what is
//! drawn, checkpointed and compiled.

use std::sync::atomic::{AtomicU64, Ordering};

use wengert_core::check::{self, Cause, Options, Report, Verdict, plain};
use wengert_core::checkpoint::checkpoint;
use wengert_core::op::{Domain, Elementwise, Samples};
use wengert_core::random::Distribution::Dropout;
use wengert_core::{Number, Plain, Tape, Tensor, Var, compile_n, func};

fn cubes(x: &[f64]) -> f64 {
    x.iter().map(|x| x.powi(3)).sum()
}

fn of_cubes(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| 3.0 * x * x).collect()
}

const X: [f64; 6] = [0.5, -1.2, 2.0, 0.8, -0.3, 1.1];

/// What a check says of the gradient of cubes with some entries changed.
fn changed(change: impl Fn(usize, f64) -> f64) -> Report {
    plain::gradient(
        cubes,
        |x| of_cubes(x).into_iter().enumerate().map(|(i, g)| change(i, g)).collect(),
        &X,
    )
}

#[test]
fn the_error_is_that_of_the_gradient() {
    let report = plain::gradient(
        |x: &[f64]| x.iter().map(|x| x.exp()).sum(),
        |x| x.iter().map(|x| 5.0 * x.exp()).collect(),
        &X,
    );
    let error = report.comparison().expect("entries are compared").error;
    assert!((error - 4.0).abs() < 1e-6, "{report}");
    assert!(report.to_string().contains("|g - g*| / |g*| = 4.0e0"), "{report}");
    // One entry.
    let report = changed(|i, g| if i == 2 { 1.1 * g } else { g });
    let right = of_cubes(&X);
    let expected = 0.1 * right[2] / right.iter().map(|g| g * g).sum::<f64>().sqrt();
    let error = report.comparison().expect("entries are compared").error;
    assert!((error - expected).abs() < 1e-6, "{report}");
    assert!(report.to_string().contains("got 13.2, expected 12"), "{report}");
}

#[test]
fn one_entry_is_evidence_for_a_plain_factor_only() {
    for factor in [-1.0, 2.0, 0.5, 3.0, 10.0, 0.1] {
        let report = changed(|i, g| if i == 3 { factor * g } else { g });
        match report.cause() {
            Some(Cause::Sign) => assert!(factor == -1.0),
            Some(Cause::Factor(found)) => assert!((found - factor).abs() < 1e-9, "{report}"),
            _ => panic!("{factor}: {report}"),
        }
    }
    for factor in [2.1447, 0.3611, 1.03, -0.7, 0.55] {
        let report = changed(|i, g| if i == 3 { factor * g } else { g });
        assert_eq!(report.cause(), Some(&Cause::Term), "{report}");
        assert!(report.to_string().contains("unexplained"), "{report}");
        // Two are.
        let report = changed(|i, g| if i > 3 { factor * g } else { g });
        assert!(matches!(report.cause(), Some(Cause::Factor(_))), "{report}");
    }
    // Different ones.
    let report = changed(|i, g| g * (1.0 + 0.1 * i as f64));
    assert_eq!(report.cause(), Some(&Cause::Term), "{report}");
}

/// In single precision two numbers are near each other too easily.
#[test]
fn few_digits_bear_out_little() {
    let f = |x: &[f32]| x.iter().map(|x| x.powi(3)).sum::<f32>();
    let x = [0.5, -1.2, 2.0, 0.8];
    let report = plain::gradient(
        f,
        |x| {
            let off = [1.05, 1.06, 1.0, 1.0];
            x.iter().zip(off).map(|(x, off)| 3.0 * x * x * off).collect()
        },
        &x,
    );
    assert_eq!(report.cause(), Some(&Cause::Term), "{report}");
    let twice = plain::gradient(f, |x| x.iter().map(|x| 6.0 * x * x).collect(), &x);
    let Some(Cause::Factor(factor)) = twice.cause() else { panic!("{twice}") };
    assert!((factor - 2.0).abs() < 0.02, "{twice}");
}

/// A penalty on all parameters but the last.
const PENALTY: f64 = 0.1;

fn penalised(x: &[f64]) -> f64 {
    let (_, spared) = x.split_last().expect("there are parameters");
    data(x) + 0.5 * PENALTY * spared.iter().map(|x| x * x).sum::<f64>()
}

fn data(x: &[f64]) -> f64 {
    x.iter().enumerate().map(|(i, x)| (x * (1.0 + i as f64)).sin()).sum()
}

fn of_data(x: &[f64]) -> Vec<f64> {
    let slope = |(i, x): (usize, &f64)| (1.0 + i as f64) * (x * (1.0 + i as f64)).cos();
    x.iter().enumerate().map(slope).collect()
}

/// The gradient of `a data + b penalty`.
fn weighted(a: f64, b: f64) -> Report {
    plain::gradient(
        penalised,
        |x| {
            let last = x.len() - 1;
            let entry =
                |(i, g): (usize, f64)| a * g + if i < last { b * PENALTY * x[i] } else { 0.0 };
            of_data(x).into_iter().enumerate().map(entry).collect()
        },
        &X,
    )
}

#[test]
fn a_penalty_that_spares_some_entries_is_recognised() {
    assert!(weighted(1.0, 1.0).is_right());
    for (b, expected) in [(0.0, PENALTY), (2.0, -PENALTY), (0.5, 0.5 * PENALTY)] {
        let report = weighted(1.0, b);
        let Some(Cause::Penalty(factor)) = report.cause() else { panic!("{b}: {report}") };
        assert!((factor - expected).abs() < 1e-5, "{b}: {report}");
    }
    assert!(weighted(1.0, 0.0).to_string().contains("as of a penalty 0.0500 |x|^2"));
    for a in [-1.0, 5.0, 0.2] {
        let report = weighted(a, 1.0);
        let Some(Cause::Beside { factor, penalty }) = report.cause() else { panic!("{report}") };
        assert!((factor - a).abs() < 1e-5 && (penalty - PENALTY).abs() < 1e-4, "{report}");
    }
}

#[test]
fn a_filter_that_is_turned_is_recognised() {
    let signal = [0.3, -1.0, 2.0, 0.7, 1.5, -0.4, 0.9];
    let cost = |w: &[f64]| {
        let outputs = signal.windows(3).map(|x| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>());
        outputs.map(|y| 0.5 * y * y).sum::<f64>()
    };
    let turned = |w: &[f64]| {
        let mut gradient = vec![0.0; 3];
        for x in signal.windows(3) {
            let y: f64 = x.iter().zip(w).map(|(x, w)| x * w).sum();
            (0..3).for_each(|k| gradient[2 - k] += y * x[k]);
        }
        gradient
    };
    let report = plain::gradient(cost, turned, &[0.4, -0.2, 1.0]);
    assert_eq!(report.cause(), Some(&Cause::Reversed { input: 0 }), "{report}");
}

#[test]
fn the_product_that_is_contradicted_is_named() {
    let f = |x: &[f64]| vec![x[0] * x[1], x[0].exp(), x[1].sin() * x[0]];
    let rows = |x: &[f64]| [[x[1], x[0]], [x[0].exp(), 0.0], [x[1].sin(), x[1].cos() * x[0]]];
    let jvp = |x: &[f64], v: &[f64]| -> Vec<f64> {
        rows(x).iter().map(|row| row[0] * v[0] + row[1] * v[1]).collect()
    };
    let vjp = |x: &[f64], w: &[f64]| -> Vec<f64> {
        (0..2).map(|j| rows(x).iter().zip(w).map(|(row, w)| row[j] * w).sum()).collect()
    };
    let x = [0.5, 2.0];
    let off = |numbers: Vec<f64>| numbers.iter().map(|x| 1.5 * x).collect::<Vec<f64>>();
    for seed in 0..20 {
        let plain = Options::default().seed(seed).plain();
        plain.products(f, jvp, vjp, &x).assert();
        let text = plain.products(f, jvp, |x, w| off(vjp(x, w)), &x).to_string();
        let is_told = text.contains("J' w (vjp, reverse mode) is contradicted by the function");
        assert!(is_told && text.contains("input 1 [0]"), "{text}");
        let text = plain.products(f, |x, v| off(jvp(x, v)), vjp, &x).to_string();
        let is_told = text.contains("J v (jvp, forward mode) is contradicted by the function");
        assert!(is_told && text.contains("worst J v ["), "{text}");
        let both = plain.products(f, |x, v| off(jvp(x, v)), |x, w| off(vjp(x, w)), &x);
        assert_eq!(both.verdict(), Verdict::Wrong);
        assert!(!both.to_string().contains("is contradicted"), "{both}");
    }
}

/// Differences of one entry show less than all of them together along a direction.
#[test]
fn an_error_too_small_for_single_entries() {
    let squares = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>();
    let off = |x: &[f32]| x.iter().map(|x| 2.003 * x).collect::<Vec<f32>>();
    for seed in 0..20 {
        let plain = Options::default().seed(seed).plain();
        let report = plain.gradient(squares, off, &[0.5, -1.2, 0.8, 1.1]);
        assert_eq!(report.verdict(), Verdict::Wrong, "{report}");
        let text = report.to_string();
        assert!(!text.contains(" 0 of 4 entries differ"), "{text}");
        assert!(text.contains("no entry differs by more than"), "{text}");
    }
}

/// `x^3` with a slope that is half as large as it should be where `x > 0`, and right elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Wrong;

impl Elementwise<1> for Wrong {
    const NAME: &'static str = "cube";

    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x * x * x
    }

    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.square() * x.constant(1.5)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Wrong, [Domain::reals()]);
    }
}

#[test]
fn a_wrong_partial_has_a_cause_and_an_entry() {
    let text = check::op(Wrong).to_string();
    assert!(text.contains("vjp: the remainder falls as h^1.00"), "{text}");
    assert!(text.contains("factor: the gradient is 0.5000 x what it should be"), "{text}");
    assert!(text.contains("worst operand 1 [") && text.contains(", expected "), "{text}");
}

#[test]
fn kinks_inside_of_a_checkpoint() {
    let f = func(|x: Var<'_, f64>| {
        let [y] = checkpoint(|[x]| [x.relu() * 2.0 + x * x], [x]);
        y.sum()
    });
    for seed in 0..50 {
        let options = Options::default().seed(seed);
        let at = options.gradient(f, &Tensor::from([0.0, 1.0, -2.0]));
        assert_eq!(at.verdict(), Verdict::Kink, "{at}");
        let beside = options.gradient(f, &Tensor::from([1e-4, 1.0, -2.0]));
        assert!(beside.is_right(), "{beside}");
    }
}

#[test]
fn training_draws_the_same_in_every_recording() {
    // Twice the slope where an element is kept.
    let f = func(|x: Var<'_, f64>| {
        let kept = x.tape().sample(Dropout(0.5), x.shape());
        let [y] = checkpoint(|[x, kept]| [x.sin() * kept], [x, kept]);
        y
    });
    let x = Tensor::from_fn([20], |i| (i as f64).sin());
    for seed in 0..10 {
        let report = Options::default().training(seed).gradient(f, &x);
        assert!(report.is_right(), "{report}");
        assert!(report.to_string().contains("recorded in training with the samples of seed"));
        let by_hand = |x: &Tensor<f64>| {
            let tape = Tape::new();
            tape.train(seed);
            let x = tape.variable(x);
            let kept = tape.sample(Dropout(0.5), x.shape());
            (x.cos() * kept).value()
        };
        let sum = func(|x: Var<'_, f64>| f(x).sum());
        Options::default().training(seed).against(sum, by_hand, &x).assert();
        let wrong = |x: &Tensor<f64>| by_hand(x).map(|g| 0.5 * g);
        let report = Options::default().training(seed).against(sum, wrong, &x);
        assert!(matches!(report.cause(), Some(Cause::Factor(_))), "{report}");
    }
}

#[test]
fn programs_are_compared_with_their_recordings() {
    let (w, x) =
        (Tensor::from_fn([70, 30], |i| (i as f64).sin()), Tensor::from_fn([30], |i| i as f64));
    let mut program = compile_n(
        |[w, x]| {
            let y = w.matmul(x.sin()).tanh().square().sum();
            let [dw, dx] = y.grad([w, x]);
            [y, dw, dx]
        },
        [&w, &x],
    )
    .expect("nothing is read");
    let report = check::program(&mut program, [&w.map(|w| 0.1 * w), &x]);
    report.assert();
    assert_eq!((report.results, report.points), (3, 4));
    // The inputs are as before.
    assert_eq!(program.input(0).to_vec(), w.to_vec());
}

/// Samples that are drawn, and a state that moves, here of a step with dropout.
#[test]
fn programs_that_draw_and_move_a_state() {
    for elements in [3, 200] {
        let tape = Tape::<f64>::new();
        tape.train(5);
        let w = tape.variable(Tensor::from_fn([elements], |i| (1.0 + i as f64).sqrt()));
        let x = tape.constant(Tensor::from_fn([elements], |i| (i as f64).cos()));
        let kept = tape.sample(Dropout(0.5), w.shape());
        let cost = (w * x * kept - 1.0).square().sum();
        let [gradient] = cost.grad([w]);
        let update = w - 0.1 * gradient;
        let mut step = tape.compile_updating(&[w], &[cost], &[(w, update)]).expect("no reads");
        let start = step.input(0);
        check::program(&mut step, &start).assert();
        assert_eq!(step.input(0).to_vec(), start.to_vec());
        // The generator goes on where it was.
        step.execute();
        let first = step.output(0).item();
        let mut other = tape.compile_updating(&[w], &[cost], &[(w, update)]).expect("no reads");
        other.execute();
        assert_eq!(first.to_bits(), other.output(0).item().to_bits());
    }
}

static CALLS: AtomicU64 = AtomicU64::new(0);

/// An op that gives another number each time that it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counting;

impl Elementwise<1> for Counting {
    const NAME: &'static str = "counting";

    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| x + CALLS.fetch_add(1, Ordering::Relaxed) as f64)
    }

    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.constant(1.0)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Counting, [Domain::reals()]);
    }
}

#[test]
fn a_program_that_differs_is_told_with_the_line() {
    let x = Tensor::from([1.0, 2.0]);
    let mut program = compile_n(|x| [x.sin(), x.apply(Counting)], &x).expect("nothing is read");
    let report = check::program(&mut program, &x);
    assert!(!report.is_right());
    let text = report.to_string();
    assert!(text.contains("result 1 [0]: got ") && text.contains(", expected "), "{text}");
    assert!(
        text.contains("from counting, shape [2], at ") && text.contains("reports.rs"),
        "{text}"
    );
}

#[test]
fn the_complex_step_judges_what_rounding_hides() {
    fn f<A: Number>(x: &[A]) -> A {
        x[0].constant(1e17) + x[0].square()
    }
    let plain = Options::default().plain();
    let report = plain.gradient_complex(f, |x| vec![2.0 * x[0]], &[1.5]);
    assert!(report.is_right(), "{report}");
    let report = plain.gradient_complex(f, |x| vec![-2.0 * x[0]], &[1.5]);
    assert_eq!(report.verdict(), Verdict::Wrong, "{report}");
    let by_differences = |x: &[f64]| f(&[Plain(x[0])]).0;
    let report = plain.gradient(by_differences, |x| vec![2.0 * x[0]], &[1.5]);
    assert_eq!(report.verdict(), Verdict::Unresolved, "{report}");
}
