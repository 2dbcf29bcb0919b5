//! Derivatives asked for inside of functions that something else evaluates: a map, a body
//! without gradients, a rule of the user's, a checkpoint, a solver. Expected values are those of
//! calculus; what has no derivative is refused, and never 0.

use wengert_core::checkpoint::{Scan, Steps, checkpoint};
use wengert_core::{
    Tape, Tensor, Var, check, custom_jvp, custom_vjp, fixed_point, func, grad, hessian, hvp, jvp,
    minimiser, root, stack, taylor, vjp, vmap,
};

#[track_caller]
fn assert_close(found: &Tensor<f64>, expected: &Tensor<f64>) {
    assert_eq!(found.shape(), expected.shape());
    for (found, expected) in found.iter().zip(expected.iter()) {
        let room = 1e-12 * (1.0 + expected.abs());
        assert!((found - expected).abs() <= room, "{found}, and not {expected}");
    }
}

/// Three points of two numbers each.
fn points() -> Tensor<f64> {
    Tensor::from([[1.0, 2.0], [-0.5, 3.0], [0.25, -1.5]])
}

fn of_each(f: impl Fn(f64) -> f64) -> Tensor<f64> {
    points().map(f)
}

fn sums(f: impl Fn(f64) -> f64) -> Tensor<f64> {
    let rows: Vec<f64> = points().to_vec().chunks(2).map(|row| f(row[0]) + f(row[1])).collect();
    Tensor::new([3], rows)
}

/// `sum of x^4`, of which all derivatives up to the fourth differ from 0.
fn quartic(x: Var<'_, f64>) -> Var<'_, f64> {
    x.powi(4).sum()
}

fn first(x: Var<'_, f64>) -> Var<'_, f64> {
    quartic(x).grad([x])[0]
}

fn second(x: Var<'_, f64>) -> Var<'_, f64> {
    first(x).sum().grad([x])[0]
}

fn ones<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    x.tape().constant(Tensor::ones(x.shape()))
}

/// A direction of ones.
fn along<'t>(x: Var<'t, f64>) -> (Var<'t, f64>, Var<'t, f64>) {
    (x, ones(x))
}

#[test]
fn a_map_of_every_derivative_to_any_order() {
    let xs = points();
    assert_close(&vmap(first, &xs), &of_each(|x| 4.0 * x.powi(3)));
    assert_close(&vmap(second, &xs), &of_each(|x| 12.0 * x * x));
    assert_close(&vmap(|x| second(x).sum().grad([x])[0], &xs), &of_each(|x| 24.0 * x));
    assert_close(&vmap(|x| quartic(x).jvp(&[along(x)]), &xs), &sums(|x| 4.0 * x.powi(3)));
    let by_vjp = vmap(|x| x.powi(4).vjp(ones(x), &[x])[0], &xs);
    assert_close(&by_vjp, &of_each(|x| 4.0 * x.powi(3)));
    let hessian_product = vmap(|x| first(x).jvp(&[along(x)]), &xs);
    assert_close(&hessian_product, &of_each(|x| 12.0 * x * x));
    let bend = vmap(|x| quartic(x).jvp(&[along(x)]).jvp(&[along(x)]), &xs);
    assert_close(&bend, &sums(|x| 12.0 * x * x));
    // (x + t)^4 = x^4 + 4 x^3 t + 6 x^2 t^2 + 4 x t^3 + t^4.
    let coefficients: [fn(f64) -> f64; 5] =
        [|x| x.powi(4), |x| 4.0 * x.powi(3), |x| 6.0 * x * x, |x| 4.0 * x, |_| 1.0];
    for (k, expected) in coefficients.into_iter().enumerate() {
        let found = vmap(|x| quartic(x).taylor(&[(x, &[along(x).1])], 4)[k], &xs);
        assert_close(&found, &sums(expected));
    }
}

#[test]
fn a_map_of_backward_sweeps() {
    let found = vmap(|x| quartic(x).backward().on_tape(x), &points());
    assert_close(&found, &of_each(|x| 4.0 * x.powi(3)));
}

#[test]
#[should_panic(expected = "so it cannot be mapped")]
fn a_gradient_that_was_read_is_not_mapped() {
    vmap(|x| x.tape().constant(quartic(x).backward().wrt(x)) * 1.0, &points());
}

#[test]
fn maps_of_maps_and_derivatives_of_maps() {
    // Of each row of each matrix, by a map within a map.
    let all = Tensor::from_fn([2, 3, 2], |i| (i as f64 * 0.7).sin());
    let rows = func(|x: Var<'_, f64>| {
        let row = x.tape().variable([0.5, 0.5]);
        let y = first(row) * row.sum();
        y.vmap(&[(row, x)])
    });
    let found = vmap(rows, &all);
    let numbers = all.to_vec();
    let expected = Tensor::from_fn([2, 3, 2], |i| {
        4.0 * numbers[i].powi(3) * (numbers[i / 2 * 2] + numbers[i / 2 * 2 + 1])
    });
    assert_close(&found, &expected);
    // The gradient of sum of 4 x^3 over all rows, with respect to the rows: by recorded and
    // fast sweeps.
    let xs = points();
    let tape = Tape::new();
    let (x, rows) = (tape.variable([1.0, 1.0]), tape.variable(&xs));
    let y = first(x).vmap(&[(x, rows)]).sum();
    let [dy] = y.grad([rows]);
    assert_close(&dy.value(), &of_each(|x| 12.0 * x * x));
    assert_close(&y.backward().wrt(rows), &of_each(|x| 12.0 * x * x));
    // And of that the gradient, once more.
    assert_close(&dy.sum().backward().wrt(rows), &of_each(|x| 24.0 * x));
}

/// A map of functions that use every other transform.
#[test]
fn a_map_of_functions_of_every_kind() {
    let xs = points();
    let by_vjp =
        func(|x: Var<'_, f64>| custom_vjp([x], |[x]| first(x), |[x], _, w| [w * second(x)]));
    assert_close(&vmap(by_vjp, &xs), &of_each(|x| 4.0 * x.powi(3)));
    let slope = func(|x: Var<'_, f64>| by_vjp(x).sum().grad([x])[0]);
    assert_close(&vmap(slope, &xs), &of_each(|x| 12.0 * x * x));
    let by_jvp =
        func(|x: Var<'_, f64>| custom_jvp([x], |[x]| first(x), |[x], _, [v]| v * second(x)));
    let slope = func(|x: Var<'_, f64>| by_jvp(x).sum().grad([x])[0]);
    assert_close(&vmap(slope, &xs), &of_each(|x| 12.0 * x * x));
    let kept = func(|x: Var<'_, f64>| checkpoint(|[x]| [first(x)], [x])[0].sum().grad([x])[0]);
    assert_close(&vmap(kept, &xs), &of_each(|x| 12.0 * x * x));
    let steps = func(|x: Var<'_, f64>| {
        let [x4] = Steps::new(|_, [s], [x]| [s + first(x)]).run(3, [x], [x]);
        x4.sum().grad([x])[0]
    });
    assert_close(&vmap(steps, &xs), &of_each(|x| 1.0 + 36.0 * x * x));
    let scan = func(|x: Var<'_, f64>| {
        let step = Scan::new(|[s], [x], []| ([s + second(x)], []));
        let ([end], []) = step.run([x.sum() * 0.0], [x], []);
        end.grad([x])[0]
    });
    assert_close(&vmap(scan, &xs), &of_each(|x| 24.0 * x));
    // y^3 = x^2 + 1, and the minimiser of (z - x)^2 (which is x) in each.
    let cube = func(|x: Var<'_, f64>| {
        let solve = |[x]: &[Tensor<f64>; 1]| x.map(|x| (x * x + 1.0).cbrt());
        let y = root(solve, |y, [x]| (y.powi(4) * 0.25).sum().grad([y])[0] - x * x - 1.0, [x]);
        y.sum().grad([x])[0]
    });
    let expected = of_each(|x| 2.0 / 3.0 * x * (x * x + 1.0).powf(-2.0 / 3.0));
    assert_close(&vmap(cube, &xs), &expected);
    let least = func(|x: Var<'_, f64>| {
        let solve = |[x]: &[Tensor<f64>; 1]| x.clone();
        minimiser(solve, |z, [x]| (z - x).square().sum(), [x]).powi(2).sum().grad([x])[0]
    });
    assert_close(&vmap(least, &xs), &of_each(|x| 2.0 * x));
    // z = cos(x) by a map whose slope is that of a function.
    let settled = func(|x: Var<'_, f64>| {
        let start = Tensor::zeros([2]);
        let z = fixed_point(|_, [x]| x.sin().sum().grad([x])[0], &start, [x]);
        z.sum().grad([x])[0]
    });
    assert_close(&vmap(settled, &xs), &of_each(|x| -x.sin()));
}

/// Forces of an energy that is only evaluated: a chain of springs with a quartic part.
#[test]
fn forces_within_a_body_without_gradients() {
    let positions: [f64; 4] = [0.0, 1.1, 1.9, 3.2];
    let tape = Tape::new();
    let x = tape.variable(positions);
    fn energy(x: Var<'_, f64>) -> Var<'_, f64> {
        let strain = x.slice(0, 1..) - x.slice(0, ..3) - 1.0;
        (strain.square() * 0.5 + strain.powi(4)).sum()
    }
    let pull = |i: usize| -> f64 {
        let strain = positions[i + 1] - positions[i] - 1.0;
        strain + 4.0 * strain.powi(3)
    };
    let expected = [pull(0), pull(1) - pull(0), pull(2) - pull(1), -pull(2)];
    let expected = Tensor::from(expected);
    let seed = tape.constant(Tensor::ones([4]));
    let (by_grad, by_jvp, by_taylor) = tape.without_gradients(|| {
        let whole = energy(x);
        let [slope] = whole.grad([x]);
        let along = whole.jvp(&[(x, seed)]);
        (-slope, along, whole.taylor(&[(x, &[seed])], 1)[1])
    });
    assert_close(&by_grad.value(), &expected);
    // The energy does not change if all move together.
    assert!(by_jvp.item().abs() < 1e-14 && by_taylor.item().abs() < 1e-14);
    assert!(!by_grad.is_active() && !by_jvp.is_active() && !by_taylor.is_active());
    // Of constants as well, and of values on the way.
    let fixed = tape.constant(positions);
    assert_close(&(-energy(fixed).grad([fixed])[0]).value(), &expected);
    let twice = fixed * 2.0;
    let [by_twice] = tape.without_gradients(|| energy(twice * 0.5).grad([twice]));
    assert_close(&(by_twice * -2.0).value(), &expected);
}

#[test]
fn derivatives_with_respect_to_constants() {
    let tape = Tape::new();
    let c = tape.constant([0.5, 2.0]);
    let y = quartic(c);
    let v = tape.constant([1.0, 10.0]);
    let (cubes, squares) = ([0.5, 32.0], [3.0, 48.0]);
    assert_eq!(y.grad([c])[0].value().to_vec(), cubes);
    assert_eq!(y.jvp(&[(c, v)]).item(), 0.5 + 320.0);
    assert_eq!(second(c).value().to_vec(), squares);
    assert_eq!(y.taylor(&[(c, &[v])], 2)[2].item(), 0.5 * (3.0 + 4800.0));
    // Through ops that find the adjoints of all operands in one go.
    let [y] = checkpoint(|[c, d]| [(c * d).sin()], [c, v]);
    let expected: Vec<f64> = vec![0.5_f64.cos(), 10.0 * 20.0_f64.cos()];
    assert_eq!(y.sum().grad([c])[0].value().to_vec(), expected);
    let [end] = Steps::new(|_, [x], [c]| [x * c]).run(3, [v], [c]);
    assert_eq!(end.sum().grad([c])[0].value().to_vec(), [3.0 * 0.25, 30.0 * 4.0]);
    let ([end], []) = Scan::new(|[s], [x], []| ([s + x * x], [])).run([c.sum()], [c], []);
    assert_eq!(end.grad([c])[0].value().to_vec(), [2.0, 5.0]);
    let solve = |[c]: &[Tensor<f64>; 1]| c.map(f64::sqrt);
    let y = root(solve, |y, [c]| y * y - c, [c]);
    assert_close(
        &y.sum().grad([c])[0].value(),
        &Tensor::from([0.5_f64, 2.0]).map(|c| 0.5 / c.sqrt()),
    );
}

#[test]
fn a_zero_gradient_means_that_it_does_not_depend() {
    let tape = Tape::new();
    let (x, other) = (tape.variable(2.0), tape.variable(5.0));
    let zero = |y: Var<'_, f64>| assert_eq!(y.grad([x])[0].item(), 0.0);
    zero(other * 3.0);
    zero(tape.constant(7.0));
    zero(x.stop_gradient() * other);
    zero(x.floor());
    zero(x.greater(other));
    tape.without_gradients(|| zero(x.stop_gradient() * other));
    let gradient = grad(|x| x.tape().constant(3.0) + 0.0 * x.stop_gradient(), &Tensor::from(1.0));
    assert_eq!(gradient.item(), 0.0);
}

fn held(x: Var<'_, f64>) -> Var<'_, f64> {
    x.tape().without_gradients(|| x.square())
}

/// A function whose slope is `x^2`, as its first factor counts as constant.
fn cost(x: Var<'_, f64>) -> Var<'_, f64> {
    held(x) * x
}

/// What was computed without gradients is a constant for what comes after it, wherever that is.
#[test]
fn what_was_computed_without_gradients_counts_as_constant() {
    let tape = Tape::new();
    let x = tape.variable(3.0);
    let y = cost(x);
    assert_eq!((y.grad([x])[0].item(), y.backward().wrt(x).item()), (9.0, 9.0));
    let one = tape.constant(1.0);
    assert_eq!(y.jvp(&[(x, one)]).item(), 9.0);
    assert_eq!(y.taylor(&[(x, &[one])], 2).map_items(), [27.0, 9.0, 0.0]);
    // Also where the whole is only evaluated,
    let slopes = tape.without_gradients(|| {
        let y = cost(x);
        [y.grad([x])[0], y.jvp(&[(x, one)]), y.taylor(&[(x, &[one])], 1)[1]]
    });
    assert_eq!(slopes.map(|slope| slope.item()), [9.0; 3]);
    // with another body beside it,
    let [slope] = tape.without_gradients(|| {
        let z = held(x);
        tape.without_gradients(|| (z * x).grad([x]))
    });
    assert_eq!(slope.item(), 9.0);
    // and for many values at once, of which derivatives are taken.
    let xs = tape.variable([3.0, 4.0]);
    let ys = y.vmap(&[(x, xs)]).sum();
    assert_eq!(ys.grad([xs])[0].value().to_vec(), [9.0, 16.0]);
    assert_eq!(ys.backward().wrt(xs).to_vec(), [9.0, 16.0]);
    assert_eq!(vmap(|x| cost(x).grad([x])[0], &xs.value()).to_vec(), [9.0, 16.0]);
    // It is a value like others, of which a derivative may be asked.
    let z = held(x);
    assert_eq!((z * z).grad([z])[0].item(), 18.0);
}

trait Items {
    fn map_items(&self) -> Vec<f64>;
}

impl Items for Vec<Var<'_, f64>> {
    fn map_items(&self) -> Vec<f64> {
        self.iter().map(|var| var.item()).collect()
    }
}

#[test]
#[should_panic(expected = "it was recorded without gradients, and counts as constant")]
fn what_was_recorded_without_gradients_has_none() {
    let tape = Tape::new();
    let x = tape.variable(3.0);
    tape.without_gradients(|| x.square()).grad([x]);
}

#[test]
#[should_panic(expected = "it was recorded without gradients, and counts as constant")]
fn nor_has_it_a_tangent() {
    let tape = Tape::new();
    let x = tape.variable(3.0);
    let y = tape.without_gradients(|| x.square());
    tape.jvp([y, x * y], &[(x, tape.constant(1.0))]);
}

#[test]
#[should_panic(expected = "it was recorded without gradients, and counts as constant")]
fn nor_has_a_function_that_makes_its_value_constant() {
    grad(|x| x.tape().without_gradients(|| x.square()), &Tensor::from(3.0));
}

#[test]
#[should_panic(expected = "it was recorded without gradients, and counts as constant")]
fn nor_is_it_diagnosed() {
    let tape = Tape::new();
    let x = tape.variable(3.0);
    let _ = check::diagnose(tape.without_gradients(|| x.square()));
}

#[test]
#[should_panic(expected = "take the first derivative outside of `without_gradients`")]
fn a_fast_derivative_is_not_differentiated() {
    let tape = Tape::new();
    let x = tape.variable(0.5);
    tape.without_gradients(|| {
        let [dx] = x.sin().grad([x]);
        dx.grad([x])
    });
}

#[test]
#[should_panic(expected = "take the first derivative outside of `without_gradients`")]
fn nor_is_a_map_of_it() {
    let tape = Tape::new();
    let (x, v) = (tape.variable(0.5), tape.constant(1.0));
    tape.without_gradients(|| {
        let slope = x.sin().jvp(&[(x, v)]);
        let vs = tape.constant([1.0, 2.0]);
        slope.vmap(&[(v, vs)]).sum().grad([vs])
    });
}

/// What does not lead to the output is no obstacle.
#[test]
fn a_fast_derivative_beside_the_way() {
    let tape = Tape::new();
    let x = tape.variable(0.5);
    let [slope] = tape.without_gradients(|| {
        let [_unused] = x.sin().grad([x]);
        (x * x).grad([x])
    });
    assert_eq!(slope.item(), 1.0);
}

/// A sum of adjoints that was added up in place has lost its first term.
#[test]
#[should_panic(expected = "was used again by a fast sweep")]
fn what_is_lost_is_not_mapped() {
    let tape = Tape::new();
    let (x, c) = (tape.variable([0.3, 0.6]), tape.variable([2.0, 3.0]));
    let g = tape.without_gradients(|| (x * c + x.sin()).sum().grad([x])[0]);
    let cs = tape.constant([[2.0, 3.0], [20.0, 30.0]]);
    tape.without_gradients(|| g.vmap(&[(c, cs)]));
}

/// Both functions of a rule of the user's may take derivatives, to any order, and hold fixed
/// what they do not ask about.
#[test]
fn derivatives_within_rules_of_the_user() {
    let x = Tensor::from([0.5, -1.5]);
    let v = Tensor::from([1.0, 2.0]);
    // The Laplacian's summand of x^4 by two sweeps, with a rule that sweeps too.
    let by_vjp = func(|x: Var<'_, f64>| {
        custom_vjp([x], |[x]| second(x), |[x], _, w| [(second(x) * w).sum().grad([x])[0]])
    });
    let by_jvp = func(|x: Var<'_, f64>| {
        custom_jvp([x], |[x]| second(x), |[x], _, [v]| second(x).jvp(&[(x, v)]))
    });
    let by_taylor = func(|x: Var<'_, f64>| {
        custom_jvp([x], |[x]| second(x), |[x], _, [v]| second(x).taylor(&[(x, &[v])], 1)[1])
    });
    macro_rules! all {
        ($($f:ident),+) => {$(
            let (value, tangent) = jvp($f, &x, &v);
            assert_close(&value, &x.map(|x| 12.0 * x * x));
            assert_close(&tangent, &Tensor::from([24.0 * 0.5, -48.0 * 1.5]));
            let (_, adjoint) = vjp($f, &x, &v);
            assert_close(&adjoint, &tangent);
            let sum = func(|x: Var<'_, f64>| ($f(x) * x.tape().constant([1.0, 2.0])).sum());
            assert_close(&grad(sum, &x), &tangent);
            assert_close(&hvp(sum, &x, &v), &Tensor::from([24.0, 96.0]));
            assert_close(&hessian(sum, &x), &Tensor::from([[24.0, 0.0], [0.0, 48.0]]));
            let series = taylor($f, &x, &v, 3);
            assert_close(&series[2], &Tensor::from([12.0, 48.0]));
            assert_close(&series[3], &Tensor::from([0.0, 0.0]));
            check::gradient(sum, &x).assert();
        )+};
    }
    all!(by_vjp, by_jvp, by_taylor);
}

/// The cotangent depends on the input, and is fixed for the rule: y = x^2, z = y^3.
#[test]
fn a_rule_holds_the_cotangent_fixed() {
    fn square(x: Var<'_, f64>) -> Var<'_, f64> {
        custom_vjp([x], |[x]| x * x, |[x], _, w| [((x * x) * w).sum().grad([x])[0]])
    }
    let tape = Tape::new();
    let x = tape.variable(1.5);
    let z = square(x).powi(3);
    let [dz] = z.grad([x]);
    assert_close(&dz.value(), &Tensor::from(6.0 * 1.5_f64.powi(5)));
    let [ddz] = dz.grad([x]);
    assert_close(&ddz.value(), &Tensor::from(30.0 * 1.5_f64.powi(4)));
    assert_close(&z.backward().wrt(x), &dz.value());
}

/// A tangent that was taken without gradients is constant, whoever stated its rule.
#[test]
fn a_rule_does_not_make_a_constant_active() {
    let tape = Tape::new();
    let (x, one) = (tape.variable(3.0), tape.constant(1.0));
    let y = custom_vjp([x], |[x]| x * x, |[x], _, w| [w * 2.0 * x]);
    let z = custom_jvp([x], |[x]| x * x, |[x], _, [v]| v * 2.0 * x);
    for y in [y, z] {
        let (tangent, series, adjoint) = tape.without_gradients(|| {
            (y.jvp(&[(x, one)]), y.taylor(&[(x, &[one])], 1)[1], y.grad([x])[0])
        });
        for constant in [tangent, series, adjoint] {
            assert_eq!(constant.item(), 6.0);
            let product = constant * x;
            assert_eq!(product.backward().wrt(x).item(), 6.0);
            assert_eq!(product.grad([x])[0].item(), 6.0);
        }
    }
}

/// A solution with a derivative in its equation, and one in a checkpoint, evaluated only.
#[test]
fn evaluation_of_functions_that_take_derivatives() {
    let tape = Tape::new();
    let x = tape.variable([0.5, 1.5]);
    let values = tape.without_gradients(|| {
        let [y] = checkpoint(|[x]| [second(x)], [x]);
        let [end] = Steps::new(|_, [s], [x]| [s + second(x)]).run(2, [x], [x]);
        let solve = |[x]: &[Tensor<f64>; 1]| x.map(|x| 12.0 * x * x);
        let z = root(solve, |z, [x]| z - second(x), [x]);
        stack(&[y, end - x, z, z.sum().grad([x])[0], y.sum().grad([x])[0]], 0)
    });
    let expected = [[3.0, 27.0], [6.0, 54.0], [3.0, 27.0], [12.0, 36.0], [12.0, 36.0]];
    assert_close(&values.value(), &Tensor::from(expected));
}
