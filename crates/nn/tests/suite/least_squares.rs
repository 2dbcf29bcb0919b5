//! Fits with bounds, with losses that outliers count less in, and what is known of the parameters then.

use wengert_core::{Tape, Tensor, Var, stack};
use wengert_nn::Param;
use wengert_nn::optim::{
    Covariance, GaussNewton, Lbfgs, LevenbergMarquardt, Robust, StopReason, curve_fit,
    least_squares,
};
use wengert_nn::random::MatlabRng;

type V<'t> = Var<'t, f64>;

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let is_near = |(x, y): (&f64, &f64)| (x - y).abs() <= tolerance;
    assert!(found.iter().zip(expected).all(is_near), "{found:?}, and {expected:?} is expected");
}

/// The centre of some numbers, by Levenberg-Marquardt, by Gauss-Newton, and by L-BFGS on the loss as scipy defines it.
fn centres(numbers: &[f64], robust: Robust, rho: impl for<'t> Fn(V<'t>) -> V<'t>) -> [f64; 3] {
    /// Tells the closure's lifetimes.
    fn of<F: for<'t> Fn(&Param<f64>, &'t Tape<f64>) -> V<'t>>(f: F) -> F {
        f
    }
    let residuals = of(|net, tape| net.on(tape) - tape.constant(numbers));
    [0, 1, 2].map(|way| {
        let mut net = Param::new(0.1);
        let outcome = match way {
            0 => LevenbergMarquardt::new().robust(robust).run(&mut net, residuals),
            1 => GaussNewton::new().robust(robust).run(&mut net, residuals),
            _ => Lbfgs::new()
                .run(&mut net, |net, tape| 0.5 * rho(residuals(net, tape).square()).sum()),
        };
        assert!(outcome.gradient_norm < 1e-7, "{robust:?}: {outcome:?}");
        net.value().item()
    })
}

/// Centres that are known: where the slopes of the loss, `rho'(r^2) r`, have the sum 0.
#[test]
fn robust_losses() {
    // 2 m = 1, since the third residual, beyond 1, has the slope 1.
    let found = centres(&[0.0, 0.0, 2.5], Robust::Huber(1.0), |z| {
        let one = z.tape().constant(1.0);
        z.less_equal(one).select(z, 2.0 * z.sqrt() - 1.0)
    });
    assert_near(&found, &[0.5; 3], 1e-7);
    // 2 m / sqrt(1 + m^2) = 2 / sqrt 5, for m = 1/2 and the residual of 5/2.
    let found = centres(&[0.0, 0.0, 2.5], Robust::SoftL1(1.0), |z| 2.0 * ((1.0 + z).sqrt() - 1.0));
    assert_near(&found, &[0.5; 3], 1e-7);
    // 2 m / (1 + m^2) = 2 / 5, for the far residual 2: m^2 - 5 m + 1 = 0.
    let m = (5.0 - 21.0_f64.sqrt()) / 2.0;
    let found = centres(&[0.0, 0.0, m + 2.0], Robust::Cauchy(1.0), |z| z.ln1p());
    assert_near(&found, &[m; 3], 1e-7);
    // 2 m / (1 + m^4) = 2 / 17 for the far residual 2. By bisection:
    let (mut low, mut high) = (0.0_f64, 0.1);
    for _ in 0..60 {
        let m = (low + high) / 2.0;
        if 2.0 * m / (1.0 + m.powi(4)) < 2.0 / 17.0 { low = m } else { high = m }
    }
    let found = centres(&[0.0, 0.0, low + 2.0], Robust::Arctan(1.0), |z| z.atan());
    assert_near(&found, &[low; 3], 1e-7);
}

/// The scale is in units of the residuals: a problem in other units has the same solution, and the cost's unit is its square.
#[test]
fn robust_losses_have_a_scale() {
    let numbers = [0.0, 0.3, 0.1, 4.0, -0.2];
    for robust in [Robust::Huber, Robust::SoftL1, Robust::Cauchy, Robust::Arctan] {
        let run = |unit: f64| {
            let fit = LevenbergMarquardt::new()
                .robust(robust(0.25 * unit))
                .fit(|[m]| m - numbers.map(|x| x * unit), [0.5 * unit]);
            (fit.parameters[0] / unit, fit.outcome.cost / (unit * unit), fit.outcome.evaluations)
        };
        assert_eq!(run(1.0), run(1024.0));
        // Not the mean, and not far from the four.
        assert!((run(1.0).0 - 0.05).abs() < 0.12, "{robust:?}: {:?}", run(1.0));
    }
}

/// Outliers at the start: all residuals are beyond the scale.
#[test]
fn robust_losses_from_afar() {
    let (x, y) = ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 3.0, 5.0, 7.0, 9.0, 40.0]);
    for (robust, tolerance) in [(Robust::Huber(0.01), 0.01), (Robust::SoftL1(0.01), 0.02)] {
        let fit =
            LevenbergMarquardt::new().robust(robust).fit(|[a, b]| a + b * x - y, [-300.0, 1000.0]);
        assert_near(&fit.parameters, &[1.0, 2.0], tolerance);
    }
}

/// A linear problem with the solution's signs: of 30 residuals and 8 parameters.
struct Random {
    a: Tensor<f64>,
    b: Tensor<f64>,
}

impl Random {
    fn new(seed: u32) -> Self {
        let mut rng = MatlabRng::new(seed);
        let [a, b] = [[30, 8], [30, 1]].map(|shape| Tensor::from_fn(shape, |_| rng.randn()));
        Self { a, b: b.reshape([30]) }
    }

    fn residuals<'t>(&self, net: &Param<f64>, tape: &'t Tape<f64>) -> V<'t> {
        tape.constant(&self.a).matmul(net.on(tape)) - tape.constant(&self.b)
    }

    /// The gradient `A' (A p - b)`, by loops.
    fn gradient(&self, p: &[f64]) -> Vec<f64> {
        let (a, b) = (self.a.to_vec(), self.b.to_vec());
        let rows = a.chunks(8).zip(&b);
        let residuals: Vec<f64> =
            rows.map(|(row, b)| row.iter().zip(p).map(|(a, p)| a * p).sum::<f64>() - b).collect();
        (0..8).map(|j| (0..30).map(|i| a[8 * i + j] * residuals[i]).sum()).collect()
    }

    /// Where a convex cost is least within bounds: the slope is 0, or leads out.
    fn assert_least(&self, p: &[f64], lower: f64, upper: f64) {
        for (&p, slope) in p.iter().zip(self.gradient(p)) {
            assert!((lower..=upper).contains(&p), "{p} is out of bounds");
            let is_least = match () {
                () if p == lower => slope > -1e-6,
                () if p == upper => slope < 1e-6,
                () => slope.abs() < 1e-6,
            };
            assert!(is_least, "the slope at {p} is {slope}");
        }
    }
}

#[test]
fn bounds_of_linear_problems() {
    for seed in 1..=20 {
        let problem = Random::new(seed);
        for (lower, upper) in [(0.0, f64::INFINITY), (-0.05, 0.1), (f64::NEG_INFINITY, -0.02)] {
            let start = [if lower == 0.0 { 1.0 } else { -0.03 }; 8];
            let mut net = Param::new(start);
            let solver = LevenbergMarquardt::new().bounds(lower, upper);
            let outcome = solver.run(&mut net, |net, tape| problem.residuals(net, tape));
            problem.assert_least(net.elements(), lower, upper);
            assert!(outcome.evaluations < 30, "{outcome:?}");
            net.set(start);
            let outcome = Lbfgs::new()
                .bounds(lower, upper)
                .run(&mut net, |net, tape| 0.5 * problem.residuals(net, tape).square().sum());
            problem.assert_least(net.elements(), lower, upper);
            assert!(outcome.evaluations < 100, "{outcome:?}");
        }
    }
}

/// Rosenbrock's valley with y at least 3/2: then it is 3/2, and 400 x (x^2 - y) = 2 (1 - x), of which the root near
/// the valley is the one of scipy's documentation.
#[test]
fn bounds_on_rosenbrocks_valley() {
    let mut x = 1.2_f64;
    for _ in 0..20 {
        x -= (200.0 * x * (x * x - 1.5) - (1.0 - x)) / (200.0 * (3.0 * x * x - 1.5) + 1.0);
    }
    assert!((x - 1.22437075).abs() < 5e-9);
    let lower = [f64::NEG_INFINITY, 1.5];
    let solver = LevenbergMarquardt::new().cost_tolerance(0.0).step_tolerance(1e-12);
    let fit = solver
        .bounds(lower, f64::INFINITY)
        .fit(|[x, y]| stack(&[10.0 * (y - x * x), 1.0 - x], 0), [2.0, 2.0]);
    assert_near(&fit.parameters, &[x, 1.5], 1e-12);
    let cost = 0.5 * (100.0 * (1.5 - x * x).powi(2) + (1.0 - x).powi(2));
    assert!((fit.outcome.cost - cost).abs() < 1e-17);
    assert!((fit.outcome.cost - 0.025213093946805685).abs() < 1e-14); // scipy's
    assert!(fit.outcome.gradient_norm < 1e-6);
    let mut net = Param::<f64>::new([2.0, 2.0]);
    let outcome = Lbfgs::new().bounds(lower, f64::INFINITY).run(&mut net, |net, tape| {
        let p = net.on(tape);
        let (x, y) = (p.slice(0, ..1), p.slice(0, 1..));
        (0.5 * (100.0 * (y - x * x).square() + (1.0 - x).square())).sum()
    });
    assert_near(net.elements(), &[x, 1.5], 1e-8);
    assert!(outcome.evaluations < 60, "{outcome:?}");
}

/// Problems of Hock & Schittkowski, "Test examples for nonlinear programming codes" (1981), by their numbers there: start,
/// bounds, solution and minimum.
#[test]
fn bounds_of_hock_and_schittkowski() {
    const ANY: f64 = f64::INFINITY;
    let run =
        |number: u32, start: &[f64], [lower, upper]: [&[f64]; 2], solution: &[f64], least: f64| {
            let mut net = Param::new(start);
            let solver = Lbfgs::new().bounds(lower, upper);
            let outcome = solver.run(&mut net, |net, tape| hock_schittkowski(number, net, tape));
            assert!((outcome.cost - least).abs() < 1e-8, "{number}: {outcome:?}");
            assert!(outcome.evaluations < 150, "{number}: {outcome:?}");
            assert_near(net.elements(), solution, 1e-4);
        };
    run(1, &[-2.0, 1.0], [&[-ANY, -1.5], &[ANY, ANY]], &[1.0, 1.0], 0.0);
    run(3, &[10.0, 1.0], [&[-ANY, 0.0], &[ANY, ANY]], &[0.0, 0.0], 0.0);
    run(4, &[1.125, 0.125], [&[1.0, 0.0], &[ANY, ANY]], &[1.0, 0.0], 8.0 / 3.0);
    let third = std::f64::consts::FRAC_PI_3;
    let least = -(0.75_f64.sqrt() + third);
    run(5, &[0.0, 0.0], [&[-1.5, -3.0], &[4.0, 3.0]], &[0.5 - third, -0.5 - third], least);
    run(38, &[-3.0, -1.0, -3.0, -1.0], [&[-10.0], &[10.0]], &[1.0; 4], 0.0);
    let upper = [1.0, 2.0, 3.0, 4.0, 5.0];
    run(45, &[0.9, 2.0, 2.0, 2.0, 2.0], [&[0.0], &upper], &upper, 1.0);
}

fn hock_schittkowski<'t>(number: u32, net: &Param<f64>, tape: &'t Tape<f64>) -> V<'t> {
    let p = net.on(tape);
    let x: Vec<V<'t>> = (0..net.len()).map(|i| p.slice(0, i..i + 1)).collect();
    let valley = |x: V<'t>, y: V<'t>, steep: f64| steep * (y - x * x).square() + (1.0 - x).square();
    let cost = match number {
        1 => valley(x[0], x[1], 100.0),
        3 => x[1] + 1e-5 * (x[1] - x[0]).square(),
        4 => (x[0] + 1.0).powi(3) / 3.0 + x[1],
        5 => (x[0] + x[1]).sin() + (x[0] - x[1]).square() - 1.5 * x[0] + 2.5 * x[1] + 1.0,
        38 => {
            let (a, b) = (x[1] - 1.0, x[3] - 1.0);
            let both = valley(x[0], x[1], 100.0) + valley(x[2], x[3], 90.0);
            both + 10.1 * (a.square() + b.square()) + 19.8 * a * b
        }
        45 => 2.0 - x[0] * x[1] * x[2] * x[3] * x[4] / 120.0,
        other => panic!("{other} is not here"),
    };
    cost.sum()
}

/// In single precision, rounding is a larger unit, and runs end by it and not by the last of their steps.
#[test]
fn single_precision_ends() {
    let (x, y) =
        ([1.0_f32, 2.0, 3.0, 5.0, 7.0, 10.0], [109.0_f32, 149.0, 149.0, 191.0, 213.0, 224.0]);
    fn residuals<'t>(
        net: &Param<f32>,
        tape: &'t Tape<f32>,
        x: [f32; 6],
        y: [f32; 6],
    ) -> Var<'t, f32> {
        let p = net.on(tape);
        p.slice(0, ..1) * (1.0 - (-p.slice(0, 1..) * x).exp()) - y
    }
    for way in 0..3 {
        let mut net = Param::new([100.0_f32, 0.75]);
        let outcome = match way {
            0 => LevenbergMarquardt::new().run(&mut net, |net, tape| residuals(net, tape, x, y)),
            1 => GaussNewton::new().run(&mut net, |net, tape| residuals(net, tape, x, y)),
            _ => Lbfgs::new().run(&mut net, |net, tape| residuals(net, tape, x, y).square().sum()),
        };
        // NIST's BoxBOD, with the certified parameters.
        let [a, b] = [net.elements()[0], net.elements()[1]].map(f64::from);
        assert!((a / 213.80940889 - 1.0).abs() < 1e-3, "{way}: {a}, {outcome:?}");
        assert!((b / 0.54723748542 - 1.0).abs() < 1e-3, "{way}: {b}, {outcome:?}");
        assert!(outcome.evaluations < 80, "{way}: {outcome:?}");
    }
}

/// Bounds that the solution does not meet change nothing, bit by bit; nor is anything evaluated beyond them.
#[test]
fn bounds_that_are_wide_change_nothing() {
    let run = |solver: LevenbergMarquardt| {
        let fit = solver.fit(|[x, y]| stack(&[10.0 * (y - x * x), 1.0 - x], 0), [-1.2, 1.0]);
        (fit.parameters, fit.outcome)
    };
    let solver = LevenbergMarquardt::new;
    assert_eq!(run(solver()), run(solver().bounds(-1e6, 1e6)));
    // A logarithm that would be none below 0.
    let fit = solver().bounds(1e-3, f64::INFINITY).fit(
        |[x, y]| {
            assert!(x.item() >= 1e-3 && y.item() >= 1e-3);
            stack(&[x.ln() + 4.0, y.ln() - x + 2.0], 0)
        },
        [5.0, 5.0],
    );
    assert_near(&fit.parameters, &[(-4.0_f64).exp(), ((-4.0_f64).exp() - 2.0).exp()], 1e-12);
}

/// A parameter between equal bounds stays.
#[test]
fn equal_bounds_hold_a_parameter() {
    let fit = LevenbergMarquardt::new()
        .bounds([f64::NEG_INFINITY, 2.0], [f64::INFINITY, 2.0])
        .fit(|[a, b]| stack(&[a + b - 3.0, a - b], 0), [0.0, 2.0]);
    // (a - 1)^2 + (a - 2)^2 is least at 3/2.
    assert_near(&fit.parameters, &[1.5, 2.0], 1e-12);
}

#[test]
fn bounds_in_single_precision() {
    let mut net = Param::<f32>::new([0.1, 0.05]);
    let outcome = LevenbergMarquardt::new()
        .bounds(0.0, 0.1)
        .run(&mut net, |net, tape| net.on(tape) - tape.constant([3.0_f32, -1.0]));
    assert_eq!(net.elements(), [0.1_f32, 0.0]);
    assert_eq!(outcome.gradient_norm, 0.0);
}

#[test]
#[should_panic(expected = "the start of parameter 1 is 2, outside of its bounds 0 and 1")]
fn a_start_out_of_bounds_is_refused() {
    LevenbergMarquardt::new().bounds(0.0, 1.0).fit(|[a, b]| a + b, [0.5, 2.0]);
}

#[test]
#[should_panic(expected = "there are bounds for 3 parameters, and the model has 2 to be trained")]
fn bounds_of_another_number_are_refused() {
    LevenbergMarquardt::new().bounds([0.0; 3], 1.0).fit(|[a, b]| a + b, [0.5, 0.5]);
}

#[test]
#[should_panic(expected = "bounds of parameter 1 are 2 and 1")]
fn bounds_that_cross_are_refused() {
    let _ = Lbfgs::new().bounds([0.0, 2.0], 1.0);
}

#[test]
#[should_panic(expected = "the scale of a robust loss is a positive number")]
fn a_scale_of_no_size_is_refused() {
    let _ = GaussNewton::new().robust(Robust::Huber(0.0));
}

/// A line `a + b x`: variances and covariance by the sums of every textbook.
#[test]
fn covariance_of_a_line() {
    let (x, y) = ([1.0, 2.0, 4.0, 5.0, 9.0], [1.5, 1.8, 3.9, 4.4, 8.1]);
    let fit = curve_fit(|[a, b], x| a + b * x, x, y, [0.0, 0.0]);
    let mean = |values: [f64; 5]| values.iter().sum::<f64>() / 5.0;
    let (mx, my) = (mean(x), mean(y));
    let sxx: f64 = x.iter().map(|x| (x - mx).powi(2)).sum();
    let sxy: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    let b = sxy / sxx;
    let a = my - b * mx;
    assert_near(&fit.parameters, &[a, b], 1e-12);
    let squares: f64 = x.iter().zip(y).map(|(x, y)| (a + b * x - y).powi(2)).sum();
    let s2 = squares / 3.0;
    assert_eq!(fit.covariance.freedom(), 3);
    assert!((fit.covariance.variance() - s2).abs() < 1e-14);
    let expected = [s2 * (0.2 + mx * mx / sxx), -s2 * mx / sxx, -s2 * mx / sxx, s2 / sxx];
    assert_near(&fit.covariance.matrix().to_vec(), &expected, 1e-14);
    assert_near(&fit.covariance.unscaled().to_vec(), &expected.map(|x| x / s2), 1e-13);
    assert_near(&fit.standard_errors(), &[expected[0].sqrt(), expected[3].sqrt()], 1e-14);
    let correlation = expected[1] / (expected[0] * expected[3]).sqrt();
    assert_near(
        &fit.covariance.correlation().to_vec(),
        &[1.0, correlation, correlation, 1.0],
        1e-13,
    );
}

/// Of `a + b` alone nothing is known of either; another parameter keeps its error.
#[test]
fn parameters_that_are_left_open_have_infinite_errors() {
    let fit = least_squares(
        |[a, b, c, unused]| {
            let tape = a.tape();
            let sum = (a + b) * tape.constant([1.0, 1.0, 0.0, 0.0, 0.0]);
            let rest = c * tape.constant([0.0, 0.0, 1.0, 1.0, 1.0]);
            sum + rest + 0.0 * unused - tape.constant([1.0, 3.0, 5.0, 6.0, 7.0])
        },
        [0.0, 0.0, 1.0, 4.0],
    );
    assert!((fit.parameters[0] + fit.parameters[1] - 2.0).abs() < 1e-9);
    assert_eq!(fit.parameters[3], 4.0);
    let errors = fit.standard_errors();
    assert_eq!([errors[0], errors[1], errors[3]], [f64::INFINITY; 3]);
    // |r|^2 = 4 of 5 - 4 = 1 degree of freedom; the mean of three.
    assert!((errors[2] - (4.0_f64 / 3.0).sqrt()).abs() < 1e-9, "{errors:?}");
    let matrix = fit.covariance.matrix();
    assert!(matrix.at(&[0, 2]).is_nan() && matrix.at(&[0, 1]).is_nan());

    // No residual to spare: the variance is unknown.
    let fit = least_squares(|[a]| a - 1.0, [0.0]);
    assert_eq!(fit.standard_errors(), [f64::INFINITY]);
    assert_eq!(fit.covariance.unscaled().to_vec(), [1.0]);
}

/// A logarithm of a negative number: nothing is found, and nothing is known.
#[test]
fn residuals_that_are_no_numbers_say_so() {
    let fit = least_squares(|[a, b]| a.ln() * [1.0, 2.0, 3.0] + b, [-1.0, 2.0]);
    assert_eq!(fit.outcome.reason, StopReason::NotFinite);
    assert_eq!(fit.parameters, [-1.0, 2.0]);
    assert!(fit.standard_errors().iter().all(|error| error.is_nan()));
}

/// The first step goes to 0 exactly, where the root has no slope, though the cost is less: it is taken back.
#[test]
fn points_without_a_gradient_are_left() {
    let fit = least_squares(|[a]| a.sqrt() * [1.0, 1.0] - 0.5, [9.0]);
    assert!((fit.parameters[0] - 0.25).abs() < 1e-9, "{fit}");
    let mut net = Param::<f64>::new(1.0);
    Lbfgs::new().run(&mut net, |net, tape| 4.0 / 3.0 * (net.on(tape).sqrt() - 0.25).square());
    assert!((net.value().item() - 0.0625).abs() < 1e-9);
    // At a bound, a slope that leads out is no obstacle.
    let mut net = Param::new([4.0, 1.0]);
    let outcome = Lbfgs::new()
        .bounds(0.0, f64::INFINITY)
        .run(&mut net, |net, tape| net.on(tape).sqrt().sum());
    assert_eq!(net.elements(), [0.0, 0.0], "{outcome:?}");
}

/// Of a model, those that are trained, in the order of its parameters.
#[test]
fn covariance_of_a_model() {
    let mut net = (Param::new([1.0, 2.0]), Param::new(0.0), Param::new(3.0));
    net.1.set_trainable(false);
    let covariance = Covariance::new(&net, |net, tape| {
        let weights = tape.constant([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]]);
        weights.matmul(net.0.on(tape))
            + net.1.on(tape)
            + net.2.on(tape) * tape.constant([0.0, 0.0, 4.0, 0.0])
    });
    assert_eq!(covariance.unscaled().to_vec(), [1.0, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0625]);
}
