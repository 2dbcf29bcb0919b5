//! Solvers on problems whose solutions are known.
//!
//! Starts, minima and solutions are those of Moré, Garbow & Hillstrom, "Testing unconstrained
//! optimization software", ACM TOMS 7 (1981), by their numbers there.

use std::cell::Cell;

use wengert_core::{Tape, Tensor, Var, concat};
use wengert_nn::loss::cross_entropy;
use wengert_nn::optim::{
    Descent, GaussNewton, Lbfgs, LevenbergMarquardt, NewtonCg, Outcome, StopReason,
};
use wengert_nn::random::MatlabRng;
use wengert_nn::{Layer, Linear, Module, Param};

type V<'t> = Var<'t, f64>;

/// The variables of a vector, each of shape [1].
fn parts<'t, const N: usize>(net: &Param<f64>, tape: &'t Tape<f64>) -> [V<'t>; N] {
    let p = net.on(tape);
    std::array::from_fn(|i| p.slice(0, i..i + 1))
}

fn rosenbrock<'t>(net: &Param<f64>, tape: &'t Tape<f64>) -> V<'t> {
    let [x, y] = parts(net, tape);
    concat(&[10.0 * (y - x * x), 1.0 - x], 0)
}

fn freudenstein_roth<'t>(net: &Param<f64>, tape: &'t Tape<f64>) -> V<'t> {
    let [x, y] = parts(net, tape);
    concat(&[x - 13.0 + ((5.0 - y) * y - 2.0) * y, x - 29.0 + ((y + 1.0) * y - 14.0) * y], 0)
}

fn beale<'t>(net: &Param<f64>, tape: &'t Tape<f64>) -> V<'t> {
    let [x, y] = parts(net, tape);
    concat(&[1.5 - x * (1.0 - y), 2.25 - x * (1.0 - y * y), 2.625 - x * (1.0 - y * y * y)], 0)
}

fn powell<'t>(net: &Param<f64>, tape: &'t Tape<f64>) -> V<'t> {
    let [a, b, c, d] = parts(net, tape);
    let root = |x: f64| x.sqrt();
    let ends = root(10.0) * (a - d).square();
    concat(&[a + 10.0 * b, root(5.0) * (c - d), (b - 2.0 * c).square(), ends], 0)
}

/// Bard's 15 residuals of 3 parameters: the minimum is not 0.
fn bard<'t>(net: &Param<f64>, tape: &'t Tape<f64>) -> V<'t> {
    let [a, b, c] = parts(net, tape);
    let y =
        [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39];
    let u: [f64; 15] = std::array::from_fn(|i| i as f64 + 1.0);
    let [y, v, w] =
        [y, u.map(|u| 16.0 - u), u.map(|u| u.min(16.0 - u))].map(|numbers| tape.constant(numbers));
    y - (a + tape.constant(u) / (v * b + w * c))
}

/// A problem: its residuals, start, least sum of squares, and solution if it is unique.
type Problem = (for<'t> fn(&Param<f64>, &'t Tape<f64>) -> V<'t>, Vec<f64>, f64, Option<Vec<f64>>);

fn problems() -> [(&'static str, Problem); 5] {
    let freudenstein_roth_end = vec![11.41277900, -0.89680525];
    let bard_end = vec![0.08241056, 1.13303609, 2.34369518];
    [
        ("1 Rosenbrock", (rosenbrock, vec![-1.2, 1.0], 0.0, Some(vec![1.0, 1.0]))),
        (
            "2 Freudenstein and Roth",
            (freudenstein_roth, vec![0.5, -2.0], 48.98425368, Some(freudenstein_roth_end)),
        ),
        ("5 Beale", (beale, vec![1.0, 1.0], 0.0, Some(vec![3.0, 0.5]))),
        ("8 Bard", (bard, vec![1.0; 3], 8.214877306579e-3, Some(bard_end))),
        // Its Hessian at the solution is singular, so that the solution itself is vague.
        ("13 Powell", (powell, vec![3.0, -1.0, 0.0, 1.0], 0.0, None)),
    ]
}

/// Solves all problems, and compares with what is known.
fn solve(run: impl Fn(&mut Param<f64>, &Problem) -> Outcome, most_evaluations: usize) {
    solve_those(|_| true, run, most_evaluations);
}

/// Solves the problems of some names.
fn solve_those(
    wanted: impl Fn(&str) -> bool,
    run: impl Fn(&mut Param<f64>, &Problem) -> Outcome,
    most_evaluations: usize,
) {
    for (name, problem) in problems().into_iter().filter(|(name, _)| wanted(name)) {
        let (residuals, start, least, solution) = &problem;
        let mut net = Param::new(start.clone());
        let outcome = run(&mut net, &problem);
        assert!(outcome.evaluations <= most_evaluations, "{name}: {outcome:?}");
        assert!(
            (2.0 * outcome.cost - least).abs() <= 1e-9 * (least + 1e-3),
            "{name}: {outcome:?}, and half of {least} is expected"
        );
        // What is reported belongs to the parameters left behind.
        let tape = Tape::new();
        let cost = 0.5 * residuals(&net, &tape).square().sum().item();
        assert!((cost - outcome.cost).abs() <= 1e-15 * cost, "{name}: {cost}, {outcome:?}");
        for (p, expected) in net.elements().iter().zip(solution.iter().flatten()) {
            assert!((p - expected).abs() < 2e-6, "{name}: {p}, and {expected} is expected");
        }
    }
}

#[test]
fn lbfgs_solves() {
    let lbfgs = Lbfgs::new().gradient_tolerance(1e-7);
    solve(|net, (f, ..)| lbfgs.run(net, |net, tape| 0.5 * f(net, tape).square().sum()), 120);
}

#[test]
fn newton_by_hessian_products_solves() {
    let newton = NewtonCg::new().gradient_tolerance(1e-10);
    solve(|net, (f, ..)| newton.run(net, |net, tape| 0.5 * f(net, tape).square().sum()), 80);
}

#[test]
fn newton_by_gauss_newton_products_solves() {
    let newton = NewtonCg::new().gradient_tolerance(1e-10);
    solve(|net, (f, ..)| newton.run_gauss_newton(net, f, |r| 0.5 * r.square().sum()), 80);
}

#[test]
fn levenberg_marquardt_solves() {
    // Powell's solution is 0, so that no step is short beside it.
    for solver in [LevenbergMarquardt::new(), LevenbergMarquardt::lsqnonlin()] {
        let solver = solver.cost_tolerance(1e-14).step_tolerance(1e-14).gradient_tolerance(1e-12);
        solve(|net, (f, ..)| solver.run(net, f), 150);
    }
}

#[test]
fn gauss_newton_solves() {
    let solver = GaussNewton::new().cost_tolerance(1e-14).step_tolerance(1e-14);
    let solver = solver.gradient_tolerance(1e-12);
    // At the minimum of the second, two residuals of two parameters are not 0, so the Jacobian has
    // lost its rank, and steps towards it end before: that is why there is damping.
    let second = "2 Freudenstein and Roth";
    solve_those(|name| name != second, |net, (f, ..)| solver.run(net, f), 150);
    let mut net = Param::new([0.5, -2.0]);
    let outcome = solver.run(&mut net, freudenstein_roth);
    assert!(outcome.gradient_norm > 1.0, "{outcome:?}");
    // Its other minimum, where the residuals are 0, is found.
    net.set([6.0, 3.5]);
    assert!(solver.run(&mut net, freudenstein_roth).cost < 1e-20);
    assert!(net.elements().iter().zip([5.0, 4.0]).all(|(p, e): (&f64, _)| (p - e).abs() < 1e-9));
}

/// Steps by hand: of the residual r = arctan w, whose full steps w - (1 + w^2) arctan w lead away
/// from where |w| > 1.39.
#[test]
fn gauss_newton_is_its_recurrence() {
    let mut w: f64 = 3.0;
    for _ in 0..3 {
        let (cost, slope) = (w.atan().powi(2) / 2.0, w.atan() / (1.0 + w * w));
        let mut step = -(1.0 + w * w) * w.atan();
        while (w + step).atan().powi(2) / 2.0 > cost + 1e-4 * slope * step {
            step /= 2.0;
        }
        w += step;
    }
    let mut net = Param::new(3.0);
    let outcome = GaussNewton::new().budget(3).run(&mut net, |net, tape| net.on(tape).atan());
    assert_eq!((outcome.reason, outcome.steps), (StopReason::Budget, 3));
    assert!(outcome.evaluations > 4, "{outcome:?}");
    assert!((net.value().item() - w).abs() < 1e-13);
}

/// A differential equation as residuals: of `u = a x^2 + b x^3`, `u'' = 4 - 6 x`, so that the
/// solution is a = 2 and b = -1. The derivatives are those of points, which are constants.
#[test]
fn residuals_may_take_derivatives() {
    fn equation<'t>(net: &Param<f64>, tape: &'t Tape<f64>) -> V<'t> {
        let [a, b] = parts(net, tape);
        let x = tape.constant([-1.0, 0.0, 0.5, 2.0]);
        let [slope] = (a * x * x + b * x.powi(3)).sum().grad([x]);
        let [bend] = slope.sum().grad([x]);
        bend - 4.0 + 6.0 * x
    }
    let mut net = Param::new([0.0_f64; 2]);
    let outcome = LevenbergMarquardt::new().run(&mut net, equation);
    assert!(outcome.cost < 1e-20, "{outcome:?}");
    assert!(net.elements().iter().zip([2.0, -1.0]).all(|(p, e): (&f64, _)| (p - e).abs() < 1e-9));
    net.set([0.0, 0.0]);
    assert!(GaussNewton::new().budget(1).run(&mut net, equation).cost < 1e-20);
}

/// A linear problem takes one step, in whatever units its parameters are; with fewer residuals than
/// parameters it ends at the solution of least norm, from 0 A' (A A')^-1 b.
#[test]
fn gauss_newton_solves_linear_problems_in_one_step() {
    for scale in [1.0, 1e-5] {
        let mut net = Param::new([0.0_f64; 2]);
        let solver = GaussNewton::new().budget(1);
        let outcome = solver.run(&mut net, |net, tape| {
            let w = net.on(tape) * tape.constant([1.0, scale]);
            tape.constant([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]]).matmul(w)
                - tape.constant([1.0, 2.0, 3.0])
        });
        // A'A = [[2, 2], [2, 5]] and A'b = (4, 4).
        assert!((net.elements()[0] - 2.0).abs() < 1e-10 && net.elements()[1].abs() < 1e-4);
        assert!(outcome.gradient_norm < 1e-10, "{outcome:?}");
    }
    let mut net = Param::new([0.0_f64; 3]);
    GaussNewton::new().budget(1).run(&mut net, underdetermined);
    assert_near(net.elements(), &[2.4, 1.3, 1.7], 1e-13);
}

/// Two linear residuals `A p - b` of three parameters.
///
/// From 0, steps lead to the solution of least norm, A' (A A')^-1 b: A A' = [[5, 2], [2, 2]], and its inverse times b is
/// (4, 5) / 6. With parameters in units of the columns' norms, (1, root 5, 1), it is D^-2 A' (A D^-2 A')^-1 b:
/// A D^-2 A' = [[9, 2], [2, 6]] / 5, its inverse times b is (2.4, 1.7), and so p is (2.4, 6.5 / 5, 1.7).
fn underdetermined<'t>(net: &Param<f64>, tape: &'t Tape<f64>) -> V<'t> {
    tape.constant([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]]).matmul(net.on(tape))
        - tape.constant([5.0, 3.0])
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let is_near = |(x, y): (&f64, &f64)| (x - y).abs() <= tolerance;
    assert!(found.iter().zip(expected).all(is_near), "{found:?}, and {expected:?} is expected");
}

#[test]
fn levenberg_marquardt_solves_underdetermined_problems() {
    let ends = [[2.4, 1.3, 1.7], [4.0 / 6.0, 13.0 / 6.0, 5.0 / 6.0]];
    for (solver, end) in
        [LevenbergMarquardt::new(), LevenbergMarquardt::lsqnonlin()].iter().zip(ends)
    {
        let mut net = Param::new([0.0_f64; 3]);
        let outcome = solver.clone().gradient_tolerance(1e-12).run(&mut net, underdetermined);
        assert_eq!(outcome.reason, StopReason::GradientTolerance);
        assert_near(net.elements(), &end, 1e-11);
    }
}

/// Four steps by hand: of the residual r = w^2 - 2, with J = 2 w.
#[test]
fn levenberg_marquardt_is_its_recurrence() {
    let (mut w, mut damping): (f64, f64) = (1.0, 0.5);
    for _ in 0..4 {
        let (r, j) = (w * w - 2.0, 2.0 * w);
        let mut next = w - j * r / (j * j + damping);
        while (next * next - 2.0).abs() >= r.abs() {
            damping *= 3.0;
            next = w - j * r / (j * j + damping);
        }
        w = next;
        damping /= 3.0;
    }
    let mut net = Param::new(1.0);
    let solver = LevenbergMarquardt::lsqnonlin().damping(0.5, 3.0).budget(4);
    let outcome = solver.cost_tolerance(0.0).run(&mut net, |net, tape| net.on(tape).square() - 2.0);
    assert_eq!((outcome.reason, outcome.steps), (StopReason::Budget, 4));
    assert!((net.value().item() - w).abs() < 1e-13);
}

/// A tolerance of 0 asks for nothing. Of a cost of 1e16, no step changes a digit.
#[test]
fn two_equal_costs_are_no_end_if_no_tolerance_is_asked_for() {
    let run = |descent: Descent| {
        let mut net = Param::new(1.0);
        descent.budget(5).run(&mut net, |net, tape| net.on(tape) + 1e16)
    };
    let outcome = run(Descent::new(0.1));
    assert_eq!((outcome.reason, outcome.steps), (StopReason::Budget, 5));
    let outcome = run(Descent::new(0.1).cost_tolerance(1e-20));
    assert_eq!((outcome.reason, outcome.steps), (StopReason::CostTolerance, 1));
}

/// A step is short if it is for every parameter: here the first one stands still, and is large, while the other is halved at
/// every step.
#[test]
fn no_parameter_hides_another() {
    let mut net = Param::new([1e6, 1.0]);
    let descent = Descent::new(0.5).budget(20).step_tolerance(0.4);
    let outcome = descent.run(&mut net, |net, tape| {
        let [_, y] = parts(net, tape);
        0.5 * y.square().sum()
    });
    assert_eq!((outcome.reason, outcome.steps), (StopReason::Budget, 20));
    assert_eq!(net.elements(), [1e6, 0.5_f64.powi(20)]);
}

/// Newton's method goes the same way, bit by bit, whatever the unit of the cost is; and takes as many products.
#[test]
fn newton_does_not_know_the_unit_of_the_cost() {
    let run = |unit: f64| {
        let recordings = Cell::new(0);
        let mut net = Param::new([3.0, -1.0, 0.0, 1.0]);
        let solver = NewtonCg::new().gradient_tolerance(1e-10 * unit);
        let outcome = solver.run(&mut net, |net, tape| {
            recordings.set(recordings.get() + 1);
            unit * powell(net, tape).square().sum()
        });
        assert_eq!(outcome.reason, StopReason::GradientTolerance);
        (net.elements().to_vec(), outcome.evaluations, recordings.get())
    };
    let plain = run(1.0);
    assert_eq!(plain, run(2.0_f64.powi(-30)));
    assert_eq!(plain, run(2.0_f64.powi(30)));
}

#[test]
fn solvers_say_why_they_stop() {
    let mut net = Param::new([-1.2, 1.0]);
    let mut run = |solver: LevenbergMarquardt| {
        net.set([-1.2, 1.0]);
        solver.run(&mut net, rosenbrock)
    };
    let solver = LevenbergMarquardt::new;
    assert_eq!(run(solver().budget(3)).reason, StopReason::Budget);
    let outcome = run(solver().evaluations(5));
    assert_eq!((outcome.reason, outcome.evaluations), (StopReason::Evaluations, 5));
    // Steps so short that nothing else ends them: 200 evaluations for each of two parameters,
    // or as many as one wants.
    let slow = LevenbergMarquardt::lsqnonlin().damping(1e9, 1.0001).budget(1000);
    let slow = slow.cost_tolerance(0.0).step_tolerance(0.0);
    assert_eq!(run(slow.clone()).evaluations, 400);
    assert_eq!(run(slow.evaluations(500)).evaluations, 500);
    assert_eq!(run(solver().gradient_tolerance(1.0)).reason, StopReason::GradientTolerance);
    assert_eq!(run(solver().step_tolerance(0.9)).reason, StopReason::StepTolerance);
    assert_eq!(run(solver().cost_tolerance(0.9)).reason, StopReason::CostTolerance);

    // A gradient that is wrong by its sign: there is no way down.
    let mut net = Param::new([1.0]);
    let outcome = Lbfgs::new().run(&mut net, |net, tape| {
        let w = net.on(tape);
        (w.stop_gradient() * 2.0 - w).square().sum()
    });
    assert_eq!(outcome.reason, StopReason::NoProgress);
    assert_eq!(net.elements(), [1.0]);

    let outcome = NewtonCg::new().run(&mut net, |net, tape| net.on(tape).ln().sum() / 0.0);
    assert_eq!(outcome.reason, StopReason::NotFinite);
}

/// A saddle with a way out: conjugate gradients follow negative curvature.
#[test]
fn newton_leaves_a_saddle() {
    let mut net = Param::new([1.0, 1e-3]);
    let outcome = NewtonCg::new().run(&mut net, |net, tape| {
        let [x, y] = parts(net, tape);
        (x * x + (y * y - 1.0).square()).sum()
    });
    assert_eq!(outcome.reason, StopReason::GradientTolerance);
    assert!(outcome.cost < 1e-15 && (net.elements()[1] - 1.0).abs() < 1e-7);
}

/// A classifier: convex in its one layer, so all ways end at the same cost; frozen parameters
/// stay.
#[test]
fn solvers_agree_on_a_model() {
    let x = Tensor::from_fn([12, 3], |i| ((i * i * 7 + 3 * i) as f64).sin());
    let labels: Vec<usize> = (0..12).map(|i| (i * 5 + i / 3) % 3).collect();
    let start = || {
        let mut layer = Linear::<f64>::new(3, 3, &mut MatlabRng::new(3));
        layer.bias.as_mut().unwrap().set_trainable(false);
        layer
    };
    // The weight's square makes the minimiser unique.
    let mut costs = Vec::new();
    for way in 0..3 {
        let mut layer = start();
        let bias = layer.bias.as_ref().unwrap().value().clone();
        let outcome = match way {
            0 => Lbfgs::new().run(&mut layer, |layer, tape| {
                let outputs = layer.forward(tape.constant(&x));
                cross_entropy(outputs, &labels) + 0.05 * layer.weight.on(tape).square().sum()
            }),
            1 => NewtonCg::new().run(&mut layer, |layer, tape| {
                let outputs = layer.forward(tape.constant(&x));
                cross_entropy(outputs, &labels) + 0.05 * layer.weight.on(tape).square().sum()
            }),
            // The penalty is one of the outputs' losses.
            _ => NewtonCg::new().run_gauss_newton(
                &mut layer,
                |layer, tape| {
                    let outputs = layer.forward(tape.constant(&x));
                    concat(&[outputs, layer.weight.on(tape)], 0)
                },
                |y| {
                    let outputs = cross_entropy(y.slice(0, ..12), &labels);
                    outputs + 0.05 * y.slice(0, 12..).square().sum()
                },
            ),
        };
        let is_done =
            matches!(outcome.reason, StopReason::GradientTolerance | StopReason::CostTolerance);
        assert!(is_done && outcome.gradient_norm < 1e-8, "{outcome:?}");
        assert_eq!(*layer.bias.as_ref().unwrap().value(), bias);
        assert_eq!(layer.parameter_count(), 12);
        costs.push(outcome.cost);
    }
    assert!((costs[0] - costs[1]).abs() < 1e-13 && (costs[0] - costs[2]).abs() < 1e-13);
}
