//! How layers and losses are tested: against PyTorch, and by differences.
//!
//! `tests/golden/torch.txt` has what PyTorch gives for states and inputs that are formulas,
//! repeated here; `tests/golden/torch_golden.py` has written it. A state is loaded by name,
//! so a case passes only if names, shapes and layouts are PyTorch's.

use indexmap::IndexMap;
use wengert_core::{Shape, Tape, Tensor, Var, check};
use wengert_nn::{Module, Param};

/// What PyTorch says of a case.
struct Golden {
    state: IndexMap<String, Tensor<f64>>,
    inputs: Vec<Tensor<f64>>,
    output: Tensor<f64>,
}

fn state_value(name: &str, shape: Shape, j: usize) -> Tensor<f64> {
    let (offset, scale) = match name.rsplit('.').next() {
        Some("running_var") => (1.5, 0.4),
        Some("num_batches_tracked") => (0.0, 0.0),
        _ => (0.0, 0.4),
    };
    Tensor::from_fn(shape, |k| offset + scale * (0.7 * k as f64 + 1.3 * j as f64 + 1.0).sin())
}

/// The numbers of an input, as the script has them.
pub(crate) fn input_value(shape: Shape, i: usize) -> Tensor<f64> {
    Tensor::from_fn(shape, |k| 1.5 * (1.1 * k as f64 + 0.5 * i as f64 + 0.3).sin())
}

/// Labels of the cases that have some.
pub(crate) fn labels(count: usize, classes: usize) -> Vec<usize> {
    (0..count).map(|i| (3 * i + 1) % classes).collect()
}

fn golden(name: &str) -> Golden {
    let file = include_str!("../golden/torch.txt");
    let mut lines = file.lines().skip_while(|line| line.strip_prefix("case ") != Some(name));
    assert!(lines.next().is_some(), "PyTorch was not asked for {name}");
    let shape = |extents: &str| -> Shape {
        extents.split_whitespace().map(|n| n.parse::<usize>().unwrap()).collect()
    };
    let (mut state, mut inputs) = (IndexMap::new(), Vec::new());
    loop {
        let line = lines.next().unwrap();
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "state" => {
                let (name, extents) = rest.split_once(' ').unwrap_or((rest, ""));
                let value = state_value(name, shape(extents), state.len());
                state.insert(name.to_owned(), value);
            }
            "input" => inputs.push(input_value(shape(rest), inputs.len())),
            _ => {
                let numbers = lines.next().unwrap().split(' ').map(|x| x.parse().unwrap());
                return Golden {
                    state,
                    inputs,
                    output: Tensor::new(shape(rest), numbers.collect()),
                };
            }
        }
    }
}

/// The names of all cases that PyTorch was asked for.
pub(crate) fn golden_names() -> impl Iterator<Item = &'static str> {
    include_str!("../golden/torch.txt").lines().filter_map(|line| line.strip_prefix("case "))
}

/// The names that a source file exports by `pub use`.
pub(crate) fn exported(source: &str) -> Vec<&str> {
    source
        .split("pub use ")
        .skip(1)
        .filter_map(|rest| rest.split(';').next()?.split_once("::"))
        .flat_map(|(_, names)| names.split([',', '{', '}', ' ', '\n']))
        .filter(|name| !name.is_empty())
        .collect()
}

/// A module with PyTorch's state gives PyTorch's output, and has a right gradient. It is given
/// the tape, for what it makes there, and a case's inputs.
pub(crate) fn agrees<M: Module<f64>>(
    name: &str,
    mut net: M,
    f: impl for<'t> Fn(&M, &'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
) {
    let Golden { state, inputs, output } = golden(name);
    net.load_state_dict(&state).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(net.state_dict().keys().eq(state.keys()), "{name}: the order of the state");
    let tape = Tape::new();
    let y = f(&net, &tape, &constants(&tape, &inputs));
    compare(name, &y.value(), &output);
    input_gradients(name, &inputs, &|tape, vars| f(&net, tape, vars));
    by_module(name, &net, &inputs, &f);
    let parameters = net.parameter_vector();
    if parameters.is_empty() {
        return;
    }
    let gradient = net.gradient_vector(&contracted(y).backward());
    by_differences(name, &parameters, &gradient, &mut |vector| {
        net.set_parameter_vector(vector);
        let tape = Tape::new();
        contracted(f(&net, &tape, &constants(&tape, &inputs))).item()
    });
}

/// A function without parameters agrees with PyTorch, and has a right gradient.
pub(crate) fn function_agrees(name: &str, f: impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>) {
    function(name, &f);
}

/// The same for a closure of any type, so that `agrees` is compiled once for all of them.
fn function(name: &str, f: &dyn for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>) {
    agrees::<Vec<Param<f64>>>(name, Vec::new(), |_, _, vars| f(vars));
}

fn constants<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>]) -> Vec<Var<'t, f64>> {
    inputs.iter().map(|input| tape.constant(input)).collect()
}

fn compare(name: &str, value: &Tensor<f64>, expected: &Tensor<f64>) {
    assert_eq!(value.shape(), expected.shape(), "{name}");
    for (i, (a, b)) in value.iter().zip(expected.iter()).enumerate() {
        assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{name}: {a} and not {b} at place {i}");
    }
}

/// A value as one number that no element cancels out of.
fn contracted(y: Var<'_, f64>) -> Var<'_, f64> {
    let weights = Tensor::from_fn(y.shape(), |k| 1.0 + (0.9 * k as f64).cos() / 2.0);
    (y * y.tape().constant(weights)).sum()
}

/// Each number of a gradient against differences of the fourth order, which show an error of
/// 1e-9; those of `check::module` are of the second and show less.
fn by_differences(name: &str, x: &[f64], gradient: &[f64], f: &mut dyn FnMut(&[f64]) -> f64) {
    let mut moved = x.to_vec();
    for i in 0..x.len() {
        let mut difference = |h: f64| {
            let mut at = |step: f64| {
                moved[i] = x[i] + step;
                f(&moved)
            };
            (at(h) - at(-h)) / (2.0 * h)
        };
        let expected = (4.0 * difference(1e-4) - difference(2e-4)) / 3.0;
        moved[i] = x[i];
        let error = (gradient[i] - expected).abs();
        assert!(
            error < 1e-9 * (1.0 + expected.abs()),
            "{name}: the derivative for number {i} is {} and not {expected}",
            gradient[i]
        );
    }
}

/// The check of a model, in the first input and in every parameter.
fn by_module<M: Module<f64>>(
    name: &str,
    net: &M,
    inputs: &[Tensor<f64>],
    f: &impl for<'t> Fn(&M, &'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
) {
    let input = inputs.first().cloned().unwrap_or_else(|| Tensor::from(0.5));
    let report = wengert_nn::check::module(net, &input, |net, x| {
        let mut vars = constants(x.tape(), inputs);
        match vars.first_mut() {
            Some(first) => {
                *first = x;
                contracted(f(net, x.tape(), &vars))
            }
            // What takes no variables is added to something that does.
            None => contracted(f(net, x.tape(), &vars)) + x,
        }
    });
    assert!(report.is_right(), "{name}:\n{report}");
}

/// A function of a case's inputs, on a tape.
type Function<'f> = dyn for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64> + 'f;

/// The core's check of the gradient in each input, with the others fixed: of the first and
/// second order, forwards and backwards.
fn input_gradients(name: &str, inputs: &[Tensor<f64>], f: &Function<'_>) {
    for (i, input) in inputs.iter().enumerate() {
        let report = check::gradient(
            |x| {
                let tape = x.tape();
                let mut vars = constants(tape, inputs);
                vars[i] = x;
                f(tape, &vars)
            },
            input,
        );
        assert!(report.is_right(), "{name}, input {i}:\n{report}");
    }
}
