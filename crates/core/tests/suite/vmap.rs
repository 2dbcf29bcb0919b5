//! Functions of many values at once: bundles of directions and cotangents, closures. That
//! each op is itself one by one is checked by the harness.

use wengert_core::{Shape, Tape, Tensor, Var, jacobian, stack, vmap};

/// The largest difference, where one is defined.
fn distance(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    let difference = |(a, b): (f64, f64)| match a.is_nan() && b.is_nan() || a == b {
        true => 0.0,
        false => (a - b).abs() / (1.0 + a.abs()),
    };
    a.iter().zip(b.iter()).map(difference).fold(0.0, f64::max)
}

/// A network with rows, products, reductions, broadcasts and views.
fn network<'t>([x, w, b]: [Var<'t, f64>; 3]) -> Var<'t, f64> {
    let hidden = (x.matmul(w) + b).tanh();
    let chances = hidden.softmax(-1) * hidden.slice(0, 1..2);
    chances.matmul(w.transpose()).sum_over(0) + b.sum()
}

fn inputs() -> [Tensor<f64>; 3] {
    let fill =
        |shape: &[usize], seed: f64| Tensor::from_fn(shape, |i| (seed * (i + 1) as f64).sin());
    [fill(&[3, 4], 0.7), fill(&[4, 5], 1.1), fill(&[5], 0.3)]
}

#[test]
fn bundles_of_directions_and_of_cotangents() {
    for is_recorded in [true, false] {
        let tape = Tape::new();
        let [x, w, b] = inputs().map(|x| tape.variable(x));
        let y = network([x, w, b]);
        let bundle = |shape: Shape, seed: f64| {
            tape.constant(Tensor::from_fn(
                [4].into_iter().chain(shape.iter().copied()).collect::<Shape>(),
                |i| (seed + i as f64).cos(),
            ))
        };
        let compare = || {
            let (direction, cotangent) = (tape.constant(w.value()), tape.constant(y.value()));
            let (directions, cotangents) = (bundle(w.shape(), 0.1), bundle(y.shape(), 0.4));
            let tangents = y.jvp(&[(w, direction)]).vmap(&[(direction, directions)]);
            let adjoints: [_; 3] = y.vjp(cotangent, &[x, w, b]).try_into().unwrap();
            let adjoints = tape.vmap(adjoints, &[(cotangent, cotangents)]);
            for k in 0..4 {
                let own = |bundle: Var<'_, f64>| bundle.slice(0, k..k + 1).squeeze(0).value();
                let tangent = y.jvp(&[(w, tape.constant(own(directions)))]);
                assert!(distance(&own(tangents), &tangent.value()) < 1e-13);
                let each = y.vjp(tape.constant(own(cotangents)), &[x, w, b]);
                for (all, each) in adjoints.iter().zip(each) {
                    assert!(distance(&own(*all), &each.value()) < 1e-13);
                }
            }
        };
        match is_recorded {
            true => compare(),
            false => tape.without_gradients(compare),
        }
    }
}

#[test]
fn what_is_mapped_is_differentiated_and_compiled() {
    let tape = Tape::new();
    let (x, a) = (tape.variable([1.0_f64, 2.0]), tape.variable(3.0));
    let y = (x.sin() * a).sum();
    let xs = tape.variable([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]);
    let ys = y.vmap(&[(x, xs)]);
    let [dxs, da] = ys.square().sum().grad([xs, a]);
    let sums: Vec<f64> = xs.value().to_vec().chunks(2).map(|x| x[0].sin() + x[1].sin()).collect();
    let expected: f64 = sums.iter().map(|s| 2.0 * 3.0 * s * s).sum();
    assert!((da.item() - expected).abs() < 1e-13);
    assert!((dxs.value().at(&[1, 0]) - 2.0 * 9.0 * sums[1] * 0.3_f64.cos()).abs() < 1e-13);
    let mut program = tape.compile(&[xs, a], &[ys, da]).unwrap();
    let results = program.run([&xs.value(), &a.value()]);
    assert_eq!((&results[0], results[1].item()), (&ys.value(), da.item()));
}

#[test]
fn a_closure_is_mapped_over_leading_axes() {
    let [x, w, b] = inputs();
    let all = stacked(&x);
    let found = vmap(|x| network([x, x.tape().constant(&w), x.tape().constant(&b)]), &all);
    for k in 0..2 {
        let tape = Tape::new();
        let one = all.view().to_tensor();
        let own = tape.constant(one).slice(0, k..k + 1).squeeze(0);
        let each = network([own, tape.constant(&w), tape.constant(&b)]).value();
        let row = tape.constant(&found).slice(0, k..k + 1).squeeze(0).value();
        assert!(distance(&row, &each) < 1e-13);
    }
}

fn stacked(x: &Tensor<f64>) -> Tensor<f64> {
    let tape = Tape::new();
    let x = tape.constant(x);
    stack(&[x, x * 0.3 + 0.1], 0).value()
}

/// Jacobians by bundles of either kind, with more directions than a bundle has.
#[test]
fn jacobians_wide_and_tall() {
    let a = Tensor::from_fn([90, 7], |i| (i as f64 * 0.37).sin());
    for (is_tall, x) in [(true, [7]), (false, [90])] {
        let x = Tensor::from_fn(x, |i| 0.1 + i as f64 * 0.01);
        let j = match is_tall {
            true => jacobian(|x| x.tape().constant(&a).matmul(x).sin(), &x),
            false => jacobian(|x| x.sin().matmul(x.tape().constant(&a)), &x),
        };
        for i in 0..90 {
            for k in 0..7 {
                let dot: f64 = (0..7).map(|l| a.at(&[i, l]) * x.at(&[l.min(x.len() - 1)])).sum();
                let (found, expected) = match is_tall {
                    true => (j.at(&[i, k]), dot.cos() * a.at(&[i, k])),
                    false => (j.at(&[k, i]), x.at(&[i]).cos() * a.at(&[i, k])),
                };
                assert!((found - expected).abs() < 1e-14);
            }
        }
    }
}

#[test]
#[should_panic(expected = "so it cannot be mapped")]
fn a_decision_on_a_value_is_not_mapped() {
    vmap(|x| if x.item() > 0.0 { x.sin() } else { x.cos() }, &Tensor::from([1.0, -1.0]));
}

#[test]
#[should_panic(expected = "so it cannot be mapped")]
fn a_choice_between_what_is_there_is_not_mapped() {
    vmap(
        |x| {
            let (a, b) = (x.sin(), x.cos());
            if a.item() < b.item() { a } else { b }
        },
        &Tensor::from([1.0, -1.0]),
    );
}

#[test]
#[should_panic(expected = "vmap: expected 2 values in shape")]
fn values_have_the_shape_of_their_input() {
    let tape = Tape::new();
    let x = tape.variable([1.0, 2.0]);
    x.sin().vmap(&[(x, tape.constant([[1.0], [2.0]]))]);
}
