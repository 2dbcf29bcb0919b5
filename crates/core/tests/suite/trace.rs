//! Traces: figures printed in books and papers, the sweeps' own numbers, and what is written of them.

use insta::assert_snapshot;
use wengert_core::op::registry::ops;
use wengert_core::op::{Cost, Domain};
use wengert_core::trace::{Activity, Role, Trace};
use wengert_core::{Shape, Tape, Tensor, Var, trace, trace_along};

/// The first example of Griewank & Walther (section 1.1, Table 1.1).
pub(crate) fn first_example<'t>([x1, x2]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    let quotient = x1 / x2;
    let power = x2.exp();
    (quotient.sin() + quotient - power) * (quotient - power)
}

pub(crate) fn at_the_books_point() -> Trace {
    let (x1, x2) = (Tensor::from(1.5), Tensor::from(0.5));
    trace(first_example, [&x1, &x2])
}

pub(crate) fn item(trace: &Trace, name: &str) -> (f64, f64) {
    let row = trace.row(name).unwrap_or_else(|| panic!("no row {name}\n{trace}"));
    (row.value.item().unwrap(), row.adjoint.as_ref().unwrap().item().unwrap())
}

#[test]
fn the_figures_that_griewank_and_walther_print() {
    let trace = at_the_books_point();
    // Tables 1.2 and 1.3. They go on with rounded figures, so that the last digit may differ by one.
    let printed = [(item(&trace, "y").0, 2.0167), (item(&trace, "x1").1, 3.0118)];
    for (found, printed) in printed.into_iter().chain([(item(&trace, "x2").1, -13.7239)]) {
        assert!((found - printed).abs() < 1e-4, "{found} {printed}");
    }
    // The closed form, in other words than the rules'.
    let (x1, x2) = (1.5_f64, 0.5_f64);
    let (u, e) = (x1 / x2, x2.exp());
    let (a, b) = (u.sin() + u - e, u - e);
    let du = (u.cos() + 1.0) * b + a;
    let expected = [du / x2, -du * x1 / (x2 * x2) - (a + b) * e];
    for (name, expected) in ["x1", "x2"].into_iter().zip(expected) {
        assert!((item(&trace, name).1 - expected).abs() < 1e-13 * expected.abs(), "{name}");
    }
}

#[test]
fn a_trace_reads_down_and_up() {
    assert_snapshot!(at_the_books_point().without_lines(), @r"
    forward, down    value   adjoint  reverse, up                      term
    x1                 1.5   3.01184
    x2                 0.5   -13.724
    v2 = x1 / x2         3   1.50592  x2bar += v2bar * (-v2 / x2)  -9.03553
                                      x1bar += v2bar * (1 / x2)     3.01184
    v3 = exp(x2)   1.64872  -2.84368  x2bar += v3bar * v3          -4.68843
    v4 = sin(v2)   0.14112   1.35128  v2bar += v4bar * cos(v2)     -1.33776
    v5 = v4 + v2   3.14112   1.35128  v2bar += v5bar                1.35128
                                      v4bar += v5bar                1.35128
    v6 = v5 - v3    1.4924   1.35128  v3bar += -v6bar              -1.35128
                                      v5bar += v6bar                1.35128
    v7 = v2 - v3   1.35128    1.4924  v3bar += -v7bar               -1.4924
                                      v2bar += v7bar                 1.4924
    y = v6 * v7    2.01665         1  v7bar += ybar * v6             1.4924
                                      v6bar += ybar * v7            1.35128
    ");
    let trace = at_the_books_point();
    let row = trace.row("v2").unwrap();
    assert_eq!(row.place(), "trace.rs:11");
    assert_eq!(row.source.as_deref(), Some("    let quotient = x1 / x2;"));
    assert_eq!((row.role, row.activity), (Role::Intermediate, Activity::Active));
}

#[test]
fn tangents_stand_beside_values() {
    let [x, v] = [[1.5, 0.5], [1.0, -2.0]].map(|pair| pair.map(Tensor::from));
    let trace = trace_along(first_example, [&x[0], &x[1]], [&v[0], &v[1]]).without_lines();
    assert_snapshot!(trace, @r"
    forward, down    value   tangent   adjoint  reverse, up                      term
    x1                 1.5         1   3.01184
    x2                 0.5        -2   -13.724
    v2 = x1 / x2         3        14   1.50592  x2bar += v2bar * (-v2 / x2)  -9.03553
                                                x1bar += v2bar * (1 / x2)     3.01184
    v3 = exp(x2)   1.64872  -3.29744  -2.84368  x2bar += v3bar * v3          -4.68843
    v4 = sin(v2)   0.14112  -13.8599   1.35128  v2bar += v4bar * cos(v2)     -1.33776
    v5 = v4 + v2   3.14112  0.140105   1.35128  v2bar += v5bar                1.35128
                                                v4bar += v5bar                1.35128
    v6 = v5 - v3    1.4924   3.43755   1.35128  v3bar += -v6bar              -1.35128
                                                v5bar += v6bar                1.35128
    v7 = v2 - v3   1.35128   17.2974    1.4924  v3bar += -v7bar               -1.4924
                                                v2bar += v7bar                 1.4924
    y = v6 * v7    2.01665   30.4598         1  v7bar += ybar * v6             1.4924
                                                v6bar += ybar * v7            1.35128
    <w, J v> = 30.45976634630206, <J' w, v> = 30.45976634630206
    ");
    let [forward, reverse] = trace.inner_products().unwrap();
    assert!((forward - reverse).abs() <= 1e-14 * forward.abs());
    // The tangent by the closed form of the gradient, which the book's figures are of.
    assert!((forward - (3.01184 + 2.0 * 13.72396)).abs() < 1e-3, "{forward}");
    assert_snapshot!(trace.row("v2").unwrap().tangent_formula.as_ref().unwrap(), @"x1dot * (1 / x2) + x2dot * (-v2 / x2)");
}

/// Lemma 1 of Higham & Higham by plain loops: `z` and `delta` of each layer of the network 2-2-3-2, for
/// the cost `|F(x) - y|^2 / 2` of one point.
fn lemma(
    weights: &[Vec<Vec<f64>>],
    biases: &[Vec<f64>],
    x: &[f64],
    y: &[f64],
) -> Vec<[Vec<f64>; 2]> {
    let sigma = |z: f64| 1.0 / (1.0 + (-z).exp());
    let mut activations = vec![x.to_vec()];
    let mut zs = Vec::new();
    for (w, b) in weights.iter().zip(biases) {
        let a = activations.last().unwrap();
        let z: Vec<f64> = w
            .iter()
            .zip(b)
            .map(|(row, b)| row.iter().zip(a).map(|(w, a)| w * a).sum::<f64>() + b)
            .collect();
        activations.push(z.iter().map(|&z| sigma(z)).collect());
        zs.push(z);
    }
    let slope = |a: f64| a * (1.0 - a);
    let last = activations.last().unwrap();
    let mut delta: Vec<f64> = last.iter().zip(y).map(|(&a, y)| slope(a) * (a - y)).collect();
    let mut layers = Vec::new();
    for l in (0..weights.len()).rev() {
        layers.push([zs[l].clone(), delta.clone()]);
        delta = (0..activations[l].len())
            .map(|k| {
                let sum: f64 =
                    weights[l].iter().zip(&delta).map(|(row, delta)| row[k] * delta).sum();
                slope(activations[l][k]) * sum
            })
            .collect();
    }
    layers.reverse();
    layers
}

#[test]
fn the_deltas_of_lemma_1_are_adjoints() {
    let sizes = [2, 2, 3, 2];
    let number = |i: usize| ((i * 37 % 23) as f64 - 11.0) / 16.0;
    let weights: Vec<Vec<Vec<f64>>> = (0..3)
        .map(|l| {
            let entry = |j, k| number(l * 50 + j * 7 + k);
            (0..sizes[l + 1]).map(|j| (0..sizes[l]).map(|k| entry(j, k)).collect()).collect()
        })
        .collect();
    let biases: Vec<Vec<f64>> =
        (0..3).map(|l| (0..sizes[l + 1]).map(|j| number(l * 31 + j * 3 + 5)).collect()).collect();
    let (x, y) = ([0.3, 0.4], [1.0, 0.0]);
    let tape = Tape::new();
    let mut a = tape.constant(x).named("x");
    for l in 0..3 {
        let w = Tensor::new([sizes[l + 1], sizes[l]], weights[l].concat());
        a = tape.scope(format!("layer {}", l + 2), || {
            let w = tape.variable(&w).named(format!("W{}", l + 2));
            let b = tape.variable(&biases[l][..]).named(format!("b{}", l + 2));
            let z = (w.matmul(a) + b).named(format!("z{}", l + 2));
            z.adjoint_named(format!("delta{}", l + 2)).sigmoid().named(format!("a{}", l + 2))
        });
    }
    let cost = ((a - y).square().sum() * 0.5).named("cost");
    let trace = tape.trace(cost);
    for (l, [z, delta]) in lemma(&weights, &biases, &x, &y).iter().enumerate() {
        let row = trace.row(&format!("z{}", l + 2)).unwrap();
        let adjoint = row.adjoint.as_ref().unwrap();
        for (found, expected) in [(&row.value.elements, z), (&adjoint.elements, delta)] {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-15, "layer {}: {found} {expected}", l + 2);
            }
        }
    }
    assert_snapshot!(trace.clone().without_lines(), @r"
    forward, down                                                        value                                     adjoint  reverse, up                                                                    term
    x  [2]                                                          [0.3, 0.4]
    W2  [2, 2]                              [-0.6875, 0.1875, -0.3125, 0.5625]  [0.0006791, 0.0009055, 0.001077, 0.001435]
    b2  [2]                                                   [-0.625, 0.5625]                        [0.002264, 0.003589]
    v3 = W2 @ x  [2]                                         [-0.1312, 0.1313]                        [0.002264, 0.003589]  W2bar += outer(v3bar, x)                 [0.0006791, 0.0009055, 0.001077, 0.001435]
    z2 = v3 + b2  [2]                                        [-0.7562, 0.6937]                        [0.002264, 0.003589]  b2bar += delta2                                                [0.002264, 0.003589]
                                                                                                                            v3bar += delta2                                                [0.002264, 0.003589]
    a2 = sigmoid(z2)  [2]                                     [0.3195, 0.6668]                          [0.01041, 0.01615]  delta2 += a2bar * a2 * (1 - a2)                                [0.002264, 0.003589]
    W3  [3, 2]                                     norm 1.021, -0.625 to 0.688             norm 0.0237, -0.0193 to 0.00769
    b3  [3]                                              [0.625, 0.375, 0.125]               [-0.02901, 0.01154, 0.007264]
    v8 = W3 @ a2  [3]                               [-0.4367, -0.06687, 0.303]               [-0.02901, 0.01154, 0.007264]  a2bar += v8bar @ W3                                              [0.01041, 0.01615]
                                                                                                                            W3bar += outer(v8bar, a2)                           norm 0.0237, -0.0193 to 0.00769
    z3 = v8 + b3  [3]                                  [0.1883, 0.3081, 0.428]               [-0.02901, 0.01154, 0.007264]  b3bar += delta3                                       [-0.02901, 0.01154, 0.007264]
                                                                                                                            v8bar += delta3                                       [-0.02901, 0.01154, 0.007264]
    a3 = sigmoid(z3)  [3]                             [0.5469, 0.5764, 0.6054]                 [-0.1171, 0.04726, 0.03041]  delta3 += a3bar * a3 * (1 - a3)                       [-0.02901, 0.01154, 0.007264]
    W4  [2, 3]                                     norm 1.029, -0.562 to 0.562              norm 0.1583, -0.0582 to 0.0763
    b4  [2]                                                   [0.4375, 0.1875]                           [-0.09607, 0.126]
    v13 = W4 @ a3  [2]                                     [-0.03288, -0.1708]                           [-0.09607, 0.126]  a3bar += v13bar @ W4                                    [-0.1171, 0.04726, 0.03041]
                                                                                                                            W4bar += outer(v13bar, a3)                           norm 0.1583, -0.0582 to 0.0763
    z4 = v13 + b4  [2]                                       [0.4046, 0.01668]                           [-0.09607, 0.126]  b4bar += delta4                                                   [-0.09607, 0.126]
                                                                                                                            v13bar += delta4                                                  [-0.09607, 0.126]
    a4 = sigmoid(z4)  [2]                                     [0.5998, 0.5042]                           [-0.4002, 0.5042]  delta4 += a4bar * a4 * (1 - a4)                                   [-0.09607, 0.126]
    v16  [2]                                                            [1, 0]
    v17 = a4 - v16  [2]                                      [-0.4002, 0.5042]                           [-0.4002, 0.5042]  a4bar += v17bar                                                   [-0.4002, 0.5042]
    v18 = v17^2  [2]                                          [0.1602, 0.2542]                                  [0.5, 0.5]  v17bar += v18bar * (v17 + v17)                                    [-0.4002, 0.5042]
    v19 = sum(v18; axes: [0], keep: false)                            0.414351                                         0.5  v18bar += broadcast(v19bar; shape: [2])                                  [0.5, 0.5]
    cost = v19 * 0.5                                                  0.207176                                           1  v19bar += costbar * 0.5                                                         0.5
    ");
    assert_snapshot!(trace.clone().without_lines().folded(0), @r"
    forward, down                                              value                      adjoint  reverse, up                                           term
    x  [2]                                                [0.3, 0.4]
    layer 2: 5 rows, to a2  [2]                     [0.3195, 0.6668]           [0.01041, 0.01615]  18 operations
    layer 3: 5 rows, to a3  [3]             [0.5469, 0.5764, 0.6054]  [-0.1171, 0.04726, 0.03041]  27 operations
    layer 4: 5 rows, to a4  [2]                     [0.5998, 0.5042]            [-0.4002, 0.5042]  22 operations
    v16  [2]                                                  [1, 0]
    v17 = a4 - v16  [2]                            [-0.4002, 0.5042]            [-0.4002, 0.5042]  a4bar += v17bar                          [-0.4002, 0.5042]
    v18 = v17^2  [2]                                [0.1602, 0.2542]                   [0.5, 0.5]  v17bar += v18bar * (v17 + v17)           [-0.4002, 0.5042]
    v19 = sum(v18; axes: [0], keep: false)                  0.414351                          0.5  v18bar += broadcast(v19bar; shape: [2])         [0.5, 0.5]
    cost = v19 * 0.5                                        0.207176                            1  v19bar += costbar * 0.5                                0.5
    ");
    let explanation = tape.explain(cost);
    let explanation = explanation.to_string();
    let (counts, memory) = explanation.split_once("\nmemory: ").unwrap();
    assert!(memory.starts_with("values "), "{memory}");
    assert_snapshot!(counts, @r"
                rows  forward  reverse  bytes  ratio
    matmul         3       32       40    656   2.25
    sigmoid        3       28       35    336   2.25
    add            3        7        0    168   1.00
    square         1        2        4     96   3.00
    sub            1        2        0     48   1.00
    sum            1        2        0     24   1.00
    mul            1        1        1     48   2.00

    layer 2        3       18       14    272   1.78
    layer 3        3       27       33    480   2.22
    layer 4        3       22       28    408   2.27
    (no scope)     4        7        5    216   1.71

    total         13       74       80   1376   2.08
    value and gradient: 2.08 times the operations of the value (Griewank & Walther bound the time by 3 to 4)
    ");
}

/// Numbers of a domain that look random; a matrix with the diagonal that it asks for.
fn operand(shape: &Shape, domain: Domain, seed: usize) -> Tensor<f64> {
    let columns = shape.last().copied().unwrap_or(1);
    let rows = if shape.rank() > 1 { shape[shape.rank() - 2] } else { 1 };
    Tensor::from_fn(shape.clone(), |i| {
        let hash = ((i + seed * 7919 + 1) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let x = domain.low + (domain.high - domain.low) * hash as f64 / 2_f64.powi(24);
        let on_diagonal = shape.rank() > 1 && i / columns % rows == i % columns;
        let x = if on_diagonal { x + domain.diagonal } else { x };
        if domain.is_mask { x.round() } else { x }
    })
}

#[test]
fn numbers_are_those_of_the_sweeps_for_every_op() {
    for entry in ops::<f64>() {
        for (i, sample) in entry.samples.cases.iter().enumerate().step_by(3) {
            let values: Vec<Tensor<f64>> = sample
                .args
                .iter()
                .enumerate()
                .map(|(arg, (shape, domain))| operand(shape, *domain, 7 * i + arg))
                .collect();
            let tape = Tape::new();
            let args: Vec<_> = values.iter().map(|value| tape.variable(value)).collect();
            let result = sample.record(&args);
            let y = (result * result).sum();
            let before = tape.len();
            let trace = tape.trace(y);
            assert_eq!(tape.len(), before, "a trace records nothing");
            assert_eq!(trace.output().value.item().map(f64::to_bits), Some(y.item().to_bits()));
            check_sums(&trace, entry.name);
            if !y.is_active() {
                assert!(trace.rows().iter().all(|row| row.adjoint.is_none()), "{}", entry.name);
                continue;
            }
            let gradients = y.backward();
            for (arg, x) in args.iter().enumerate() {
                let expected = gradients.wrt(*x);
                let Some(row) = trace.rows().iter().find(|row| row.number == arg) else { continue };
                let found = row.adjoint.as_ref().unwrap();
                let expected: Vec<f64> = expected.iter().take(found.elements.len()).collect();
                for (found, expected) in found.elements.iter().zip(expected) {
                    let same = (found - expected).abs() <= 1e-12 * (1.0 + expected.abs());
                    assert!(
                        same || found.is_nan() && expected.is_nan() || *found == expected,
                        "{}: {found} {expected}",
                        entry.name
                    );
                }
            }
        }
    }
}

/// Each adjoint is the sum of what is passed on to it.
fn check_sums(trace: &Trace, name: &str) {
    for row in trace.rows().iter().filter(|row| row.role != Role::Dependent) {
        let Some(adjoint) = &row.adjoint else { continue };
        let mut sum = vec![0.0; adjoint.elements.len()];
        let givers = trace.rows().iter().rev();
        for term in givers.flat_map(|giver| &giver.terms).filter(|term| term.to == row.number) {
            sum.iter_mut().zip(&term.value.elements).for_each(|(sum, term)| *sum += term);
        }
        for (sum, adjoint) in sum.iter().zip(&adjoint.elements) {
            let same = sum.to_bits() == adjoint.to_bits() || sum == adjoint;
            assert!(
                same || sum.is_nan() && adjoint.is_nan(),
                "{name}: {sum} is not {adjoint}\n{trace}"
            );
        }
    }
}

#[test]
fn counts_are_those_of_a_real_backward_sweep() {
    let total = |tape: &Tape<f64>, first: usize| {
        tape.lines()[first..].iter().map(|line| line.cost).fold(Cost::NONE, Cost::and)
    };
    let fill = |shape: [usize; 2]| Tensor::from_fn(shape, |i| (i as f64).sin());
    let tape = Tape::new();
    let (w, v) = (tape.variable(fill([5, 4])), tape.variable(fill([4, 3])));
    let x = tape.constant(fill([6, 5]));
    let hidden = x.matmul(w).tanh();
    let y = (hidden.matmul(v).square().sum() + (hidden * hidden).sum() + w.square().sum()).exp();
    let forward = total(&tape, 0);
    let explanation = tape.explain(y);
    let first = tape.len();
    y.backward();
    assert_eq!(explanation.total.forward.cost, forward);
    assert_eq!(explanation.total.reverse.cost, total(&tape, first));
    let parts = |shares: &[wengert_core::trace::Share]| {
        shares.iter().map(|share| share.reverse.cost).fold(Cost::NONE, Cost::and)
    };
    assert_eq!(parts(&explanation.kinds), explanation.total.reverse.cost);
    assert_eq!(parts(&explanation.scopes), explanation.total.reverse.cost);
}

/// Four scopes of three results each, beside what a tape holds that has checkpoints in fact.
#[test]
fn what_checkpoints_would_hold_is_what_they_hold() {
    let tape = Tape::new();
    let mut x = tape.variable(vec![0.5; 1024]);
    for layer in 0..4 {
        x = tape.scope(format!("layer {layer}"), || x.sin().exp().sin());
    }
    let counted = tape.explain(x).checkpointed.unwrap();
    assert_eq!((counted.scopes, counted.all, counted.repeated), (4, 12 * 8192, 12 * 1024));
    assert_eq!(tape.memory().values, 12 * 8192);

    let tape = Tape::new();
    let mut x = tape.variable(vec![0.5; 1024]);
    for _ in 0..4 {
        [x] = wengert_core::checkpoint::checkpoint(|[x]| [x.sin().exp().sin()], [x]);
    }
    // The scope that a sweep is in holds its two other results besides.
    assert_eq!(counted.held, tape.memory().values as u64 + 2 * 8192);
    assert!(x.tape().explain(x).checkpointed.is_none());
}

#[test]
fn names_that_come_again_get_numbers_and_numbers_stand_in_formulas() {
    let tape = Tape::new();
    let mut h = tape.variable(0.5).named("h");
    for _ in 0..2 {
        h = (2.0 * h + 1.0).tanh().named("h");
    }
    let trace = tape.trace(h);
    let formulas: Vec<String> =
        trace.rows().iter().map(|row| format!("{} = {}", row.name, row.formula)).collect();
    assert_eq!(
        formulas,
        [
            "h = h",
            "v2 = 2 * h",
            "v4 = v2 + 1",
            "h_2 = tanh(v4)",
            "v7 = 2 * h_2",
            "v9 = v7 + 1",
            "h_3 = tanh(v9)"
        ]
    );
}

#[test]
fn parameters_tell_where_rows_stand() {
    let tape = Tape::new();
    let mut x = tape.variable(0.5).named("x");
    for layer in ["hidden.0", "hidden.1", "out"] {
        let w = tape.variable(2.0).named(format!("{layer}.weight"));
        x = (w * x).tanh();
    }
    let trace = tape.trace(x);
    let scopes: Vec<String> = trace.rows().iter().map(|row| row.scope.join("/")).collect();
    let expected = ["", "hidden/0", "hidden/1", "out"];
    assert_eq!(scopes[0], expected[0]);
    assert!(
        scopes[1..]
            .chunks(3)
            .zip(&expected[1..])
            .all(|(rows, scope)| rows.iter().all(|row| row == scope)),
        "{scopes:?}"
    );
    assert_eq!(trace.folded(0).to_string().lines().count(), 4);
}

#[test]
fn what_is_cut_says_so() {
    let tape = Tape::new();
    let x = tape.variable(0.5).named("x");
    let mask = x.greater(0.0);
    let held = tape.without_gradients(|| x.exp());
    let y = x * mask * held + x.sin().stop_gradient();
    let trace = tape.trace(y);
    let cut: Vec<String> = trace
        .rows()
        .iter()
        .filter(|row| row.activity == Activity::Cut)
        .map(|row| row.formula.to_string())
        .collect();
    assert_eq!(cut, ["x > 0", "exp(x)", "stop_gradient(v6)"]);
    assert_eq!(item(&trace, "x").1, 0.5_f64.exp());
}

#[test]
fn formulas_read_as_they_are_written() {
    let tape = Tape::new();
    let [a, b, c] = [1.5, 2.5, -0.5].map(|x| tape.variable(x));
    let [a, b, c] = [a.named("a"), b.named("b"), c.named("c")];
    let written = |y: Var<'_, f64>| tape.trace(y).output().formula.to_string();
    assert_eq!(written(a - b), "a - b");
    assert_eq!(written(a.powi(3)), "a^3");
    assert_eq!(written(a.powf(-0.5)), "a^(-0.5)");
    assert_eq!(written(1.0 / a), "1 / a");
    assert_eq!(written(-a), "-a");
    let terms = |y: Var<'_, f64>| -> Vec<String> {
        tape.trace(y).output().terms.iter().map(|term| term.formula.to_string()).collect()
    };
    let name = |y: Var<'_, f64>| format!("v{}", tape.trace(y).output().number);
    let y = a / b;
    let v = name(y);
    assert_eq!(terms(y), [format!("{v}bar * (1 / b)"), format!("{v}bar * (-{v} / b)")]);
    let y = c.sigmoid();
    let v = name(y);
    assert_eq!(terms(y), [format!("{v}bar * {v} * (1 - {v})")]);
}

#[test]
fn derivatives_of_derivatives_have_a_trace() {
    let tape = Tape::new();
    let x = tape.variable(0.5).named("x");
    let [slope] = (x.sin() * x).grad([x]);
    let trace = tape.trace(slope.named("slope"));
    let expected = 2.0 * 0.5_f64.cos() - 0.5_f64.sin() * 0.5;
    assert!((item(&trace, "x").1 - expected).abs() < 1e-15);
    assert_snapshot!(trace.without_lines(), @r"
    forward, down       value   adjoint  reverse, up                     term
    x                     0.5   1.51545
    v1 = sin(x)      0.479426         1  xbar += v1bar * cos(x)      0.877583
    v4 = x                0.5  0.877583  xbar += v4bar               0.877583
    v5 = v1          0.479426         1  v1bar += v5bar                     1
    v6 = cos(x)      0.877583       0.5  xbar += v6bar * (-sin(x))  -0.239713
    v8 = v4 * v6     0.438791         1  v6bar += v8bar * v4              0.5
                                         v4bar += v8bar * v6         0.877583
    slope = v5 + v8  0.918217         1  v8bar += slopebar                  1
                                         v5bar += slopebar                  1
    ");
}

#[test]
fn parameters_are_named_before_they_are_recorded_and_for_later_recordings() {
    let mut tape = Tape::new();
    tape.name_parameter(7, "hidden.weight");
    for _ in 0..2 {
        tape.reset();
        let w = tape.parameter(7, &Tensor::from([1.0, 2.0]));
        assert!(tape.trace(w.sum()).row("hidden.weight").is_some());
        // The variable's own name counts more.
        let w = w.named("w");
        assert!(tape.trace(w.sum()).row("w").is_some());
    }
}
