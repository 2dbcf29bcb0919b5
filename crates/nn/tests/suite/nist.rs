//! The solvers on problems with certified answers: nonlinear regression of the Statistical Reference Datasets of NIST.
//!
//! Two starts each, one far from the solution and one near it, with every solver's defaults. To see a table of
//! evaluations, beside those of MINPACK:
//!
//! ```text
//! cargo test --release -p wengert-nn --test suite -- nist --nocapture --test-threads 1
//! ```

use wengert_core::{Tape, Tensor, Var};
use wengert_nn::Param;
use wengert_nn::optim::{
    Covariance, GaussNewton, Lbfgs, LevenbergMarquardt, Outcome, StopReason, curve_fit,
};

type V<'t> = Var<'t, f64>;

/// A data set with its model, and what is known of the least squares.
#[derive(Default)]
struct Problem {
    name: &'static str,
    starts: Vec<Vec<f64>>,
    certified: Vec<f64>,
    deviations: Vec<f64>,
    squares: f64,
    /// MINPACK's digits and evaluations, from each start.
    minpack: Vec<[f64; 2]>,
    rows: Vec<Vec<f64>>,
}

fn problems() -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for line in include_str!("../data/nist.txt").lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers = || rest.split(' ').map(|x| x.parse().unwrap()).collect::<Vec<f64>>();
        if first == "problem" {
            problems.push(Problem { name: rest, ..Problem::default() });
        }
        let Some(last) = problems.last_mut() else { continue };
        match first {
            "problem" | "" => (),
            "start" => last.starts.push(numbers()),
            "certified" => last.certified = numbers(),
            "deviations" => last.deviations = numbers(),
            "squares" => last.squares = numbers()[0],
            "minpack" => last.minpack.push([numbers()[0], numbers()[1]]),
            response => {
                let mut row = vec![response.parse().unwrap()];
                row.extend(numbers());
                last.rows.push(row);
            }
        }
    }
    assert_eq!(problems.len(), 14);
    problems
}

impl Problem {
    fn column(&self, i: usize) -> Tensor<f64> {
        Tensor::from(self.rows.iter().map(|row| row[i]).collect::<Vec<_>>())
    }

    /// The model's values minus the responses, as NIST prints the model.
    fn residuals<'t>(&self, net: &Param<f64>, tape: &'t Tape<f64>) -> V<'t> {
        let p = net.on(tape);
        let b: Vec<V<'t>> = (0..net.len()).map(|i| p.slice(0, i..i + 1)).collect();
        let (y, x) = (tape.constant(self.column(0)), tape.constant(self.column(1)));
        let polynomial =
            |b: &[V<'t>]| b.iter().rev().copied().reduce(|sum, b| sum * x + b).unwrap();
        let decay = |rate: V<'t>| (-rate * x).exp();
        let bell = |centre: V<'t>, width: V<'t>| (-((x - centre) / width).square()).exp();
        let model = match self.name {
            "Misra1a" | "BoxBOD" => b[0] * (1.0 - decay(b[1])),
            "Misra1c" => b[0] * (1.0 - (1.0 + 2.0 * b[1] * x).powf(-0.5)),
            "Chwirut1" => decay(b[0]) / polynomial(&b[1..]),
            "DanWood" => b[0] * (b[1] * x.ln()).exp(),
            "Gauss1" => b[0] * decay(b[1]) + b[2] * bell(b[3], b[4]) + b[5] * bell(b[6], b[7]),
            "Hahn1" | "Thurber" => polynomial(&b[..4]) / (1.0 + x * polynomial(&b[4..])),
            "Kirby2" => polynomial(&b[..3]) / (1.0 + x * polynomial(&b[3..])),
            "Lanczos3" => b[0] * decay(b[1]) + b[2] * decay(b[3]) + b[4] * decay(b[5]),
            "MGH09" => b[0] * (x * x + x * b[1]) / (x * x + x * b[2] + b[3]),
            "MGH17" => b[0] + b[1] * decay(b[3]) + b[2] * decay(b[4]),
            "Rat42" => b[0] / (1.0 + (b[1] - b[2] * x).exp()),
            "Nelson" => b[0] - b[1] * x * (-b[2] * tape.constant(self.column(2))).exp(),
            other => panic!("{other} has no model here"),
        };
        model - if self.name == "Nelson" { y.ln() } else { y }
    }

    /// How many digits of the worst parameter are right.
    fn digits(&self, found: &[f64]) -> f64 {
        let digits = |(x, exact): (&f64, &f64)| -((x - exact) / exact).abs().max(1e-11).log10();
        found.iter().zip(&self.certified).map(digits).fold(11.0, f64::min).max(0.0)
    }
}

/// Runs a solver from both starts of all problems, and prints a table. Gives the runs that miss six digits,
/// the evaluations of the others, and MINPACK's on all.
fn run_all(
    title: &str,
    run: impl Fn(&mut Param<f64>, &Problem) -> Outcome,
) -> (Vec<String>, usize, usize) {
    println!(
        "\n{title}\nproblem    start  digits  evaluations  steps  reason             MINPACK's digits, evaluations"
    );
    let (mut missed, mut evaluations, mut minpack) = (Vec::new(), 0, 0);
    for problem in problems() {
        for (i, start) in problem.starts.iter().enumerate() {
            let mut net = Param::new(start.clone());
            let outcome = run(&mut net, &problem);
            let digits = problem.digits(net.elements());
            let [their_digits, theirs] = problem.minpack[i];
            println!(
                "{:<9}  {:>5}  {digits:>6.1}  {:>11}  {:>5}  {:<17}  {their_digits:>16.1}  {theirs:>11}",
                problem.name,
                i + 1,
                outcome.evaluations,
                outcome.steps,
                format!("{:?}", outcome.reason),
            );
            minpack += theirs as usize;
            match digits >= 6.0 && (2.0 * outcome.cost / problem.squares - 1.0).abs() < 1e-6 {
                true => evaluations += outcome.evaluations,
                false => missed.push(format!("{} from start {}: {outcome:?}", problem.name, i + 1)),
            }
        }
    }
    println!(
        "{} of 28 solved, in {evaluations} evaluations; MINPACK takes {minpack} for all",
        28 - missed.len()
    );
    (missed, evaluations, minpack)
}

#[test]
fn nist_by_levenberg_marquardt() {
    let solver = LevenbergMarquardt::new();
    let (missed, evaluations, minpack) = run_all("Levenberg-Marquardt", |net, problem| {
        solver.run(net, |net, tape| problem.residuals(net, tape))
    });
    assert!(missed.is_empty(), "{missed:#?}");
    assert!(evaluations as f64 <= 1.3 * minpack as f64, "{evaluations}, MINPACK takes {minpack}");
}

#[test]
fn nist_by_gauss_newton() {
    let solver = GaussNewton::new();
    let (missed, ..) = run_all("Gauss-Newton", |net, problem| {
        solver.run(net, |net, tape| problem.residuals(net, tape))
    });
    // The far starts of two problems lead to where the Jacobian has lost its rank.
    assert!(missed.len() <= 2, "{missed:#?}");
}

#[test]
fn nist_by_lbfgs() {
    let (missed, ..) = run_all("L-BFGS", |net, problem| {
        Lbfgs::new().run(net, |net, tape| 0.5 * problem.residuals(net, tape).square().sum())
    });
    assert!(missed.len() <= 2, "{missed:#?}");
}

/// Standard deviations, at the certified parameters and where a run ends.
#[test]
fn nist_standard_errors() {
    for problem in problems() {
        let mut net = Param::new(problem.certified.clone());
        let check = |net: &Param<f64>, tolerance: f64| {
            let covariance = Covariance::new(net, |net, tape| problem.residuals(net, tape));
            assert!(
                (covariance.squares() / problem.squares - 1.0).abs() < 1e-9,
                "{}",
                problem.name
            );
            assert_eq!(covariance.freedom(), problem.rows.len() - problem.certified.len());
            for (found, exact) in covariance.standard_errors().iter().zip(&problem.deviations) {
                let error = (found / exact - 1.0).abs();
                assert!(error < tolerance, "{}: {found}, and {exact} is certified", problem.name);
            }
        };
        check(&net, 1e-7);
        net.set(problem.starts[1].clone());
        LevenbergMarquardt::new().run(&mut net, |net, tape| problem.residuals(net, tape));
        check(&net, 1e-5);
    }
}

/// The method takes the same steps, bit by bit, in whatever units parameters and residuals are.
#[test]
fn nist_in_other_units() {
    let problem = problems().into_iter().find(|problem| problem.name == "Misra1a").unwrap();
    let run = |units: [f64; 2], unit: f64| {
        let start: Vec<f64> = problem.starts[0].iter().zip(units).map(|(x, u)| x / u).collect();
        let mut net = Param::new(start);
        // Of powers of two, no product is rounded.
        let outcome = LevenbergMarquardt::new().run(&mut net, |net, tape| {
            let p = net.on(tape) * tape.constant(units);
            let (a, b) = (p.slice(0, ..1), p.slice(0, 1..));
            let (y, x) = (tape.constant(problem.column(0)), tape.constant(problem.column(1)));
            (a * (1.0 - (-b * x).exp()) - y) * unit
        });
        let found: Vec<f64> = net.elements().iter().zip(units).map(|(x, u)| x * u).collect();
        (found, outcome.evaluations, outcome.reason)
    };
    let plain = run([1.0, 1.0], 1.0);
    assert_eq!(plain, run([0.5_f64.powi(30), 0.5_f64.powi(40)], 1.0));
    assert_eq!(plain, run([2.0_f64.powi(20), 0.5_f64.powi(20)], 2.0_f64.powi(30)));
}

/// The call of a few named numbers, on the problem that begins the list.
#[test]
fn nist_by_curve_fit() {
    let problem = &problems()[0];
    let (y, x) = (problem.column(0), problem.column(1));
    let fit = curve_fit(|[a, b], x| a * (1.0 - (-b * x).exp()), x, y, [500.0, 0.0001]);
    assert!(problem.digits(&fit.parameters) > 7.0);
    for (found, exact) in fit.standard_errors().iter().zip(&problem.deviations) {
        assert!((found / exact - 1.0).abs() < 1e-6, "{found}, and {exact} is certified");
    }
    assert_ne!(fit.outcome.reason, StopReason::Budget);
    let table = fit.to_string();
    assert!(table.contains(" 0     2.389421e2      2.71e0\n"), "{table}");
    assert!(table.contains("sum of squares 1.245514e-1, 12 degrees of freedom"), "{table}");
}
