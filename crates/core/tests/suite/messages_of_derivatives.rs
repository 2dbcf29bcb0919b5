//! What a user reads who made a mistake with derivatives, transforms and programs. As in `messages`,
//! every message is raised at the user's line.

use insta::assert_snapshot;
use wengert_core::checkpoint::Steps;
use wengert_core::{
    Tape, Tensor, check, compile, compile_n, fixed_point, grad, hessian, hvp, jvp, root, sparse,
    vjp, vmap,
};

use crate::messages::{message, raised, tidy};

#[test]
fn one_number_where_there_are_more() {
    let tape = Tape::<f64>::new();
    let x = tape.variable([1.0, 2.0]);
    let data = Tensor::from([1.0, 2.0]);
    assert_snapshot!(message(|| x.item()), @r"
    item: expected a single element, got shape [2]
      operand: v0 = variable, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| data.item()), @"item: expected a tensor of a single element, got shape [2]");
    assert_snapshot!(message(|| x.backward()), @r"
    backward: expected a single number, got shape [2]; take its `sum()` or `mean()`, or call `backward_with` with a cotangent
      value: v0 = variable, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| x.grad([x])), @r"
    grad: expected a single number, got shape [2]; take its `sum()` or `mean()`, or call `vjp` with a cotangent
      value: v0 = variable, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| grad(|x| x * x, &data)), @r"
    grad: expected a single number, got shape [2]; take its `sum()` or `mean()`, or call `vjp` or `jacobian`
      value: v1 = mul, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| hessian(|x| x * x, &data)), @r"
    hessian: expected a single number, got shape [2]; take its `sum()` or `mean()`, or call `jacobian`
      value: v1 = mul, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| hvp(|x| x * x, &data, &data)), @r"
    hvp: expected a single number, got shape [2]; take its `sum()` or `mean()`, or call `gauss_newton_product` with a loss
      value: v1 = mul, shape [2], at messages_of_derivatives.rs:_
    ");
}

#[test]
fn tangents_and_cotangents_of_another_shape() {
    let tape = Tape::<f64>::new();
    let (x, v) = (tape.variable([1.0, 2.0]), tape.constant([1.0, 2.0, 3.0]));
    let (data, other) = (Tensor::from([1.0, 2.0]), Tensor::from([1.0, 2.0, 3.0]));
    assert_snapshot!(message(|| (x * x).vjp(v, &[x])), @r"
    vjp: expected a cotangent of shape [2], that of its value, got [3]
      value: v2 = mul, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| (x * x).jvp(&[(x, v)])), @r"
    jvp: expected a tangent of shape [2], that of its value, got [3]
      value: v0 = variable, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| (x * x).taylor(&[(x, &[v])], 2)), @r"
    taylor: expected a coefficient of shape [2], that of its value, got [3]
      value: v0 = variable, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| (x * x).backward_with(&other)), @r"
    backward_with: expected a cotangent of shape [2], that of its value, got [3]
      value: v5 = mul, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| tape.ode_series([(x, v)], 2)), @r"
    ode_series: expected a rate of shape [2], that of its value, got [3]
      value: v0 = variable, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| jvp(|x| x * x, &data, &other)), @r"
    jvp: expected a tangent of shape [2], that of its value, got [3]
      value: v0 = variable, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| vjp(|x| x * x, &data, &other)), @r"
    vjp: expected a cotangent of shape [2], that of its value, got [3]
      value: v1 = mul, shape [2], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| hvp(|x| x.square().sum(), &data, &other)), @r"
    jvp: expected a tangent of shape [2], that of its value, got [3]
      value: v0 = variable, shape [2], at messages_of_derivatives.rs:_
    ");
}

#[test]
fn no_variable_to_differentiate() {
    let tape = Tape::<f64>::new();
    let (x, frozen) = (tape.constant([1.0, 2.0]), tape.frozen(&Tensor::from([3.0, 4.0])));
    let y = tape.variable([1.0, 2.0]);
    let unrecorded = tape.without_gradients(|| y.sum());
    assert_snapshot!(message(|| x.sum().backward()), @"backward: no variable feeds v4 = sum, shape [], at messages_of_derivatives.rs:_: take values in with `tape.variable` or `tape.parameter`; `output.grad([x])` gives the gradient with respect to any values");
    assert_snapshot!(message(|| x.backward_with(&Tensor::from([1.0, 1.0]))), @"backward_with: no variable feeds v0 = constant, shape [2], at messages_of_derivatives.rs:_: take values in with `tape.variable` or `tape.parameter`; `output.grad([x])` gives the gradient with respect to any values");
    assert_snapshot!(message(|| (frozen * x).sum().backward()), @"backward: no variable feeds v6 = sum, shape [], at messages_of_derivatives.rs:_: what feeds it is constant or frozen, such as v1 = frozen parameter, shape [2], at messages_of_derivatives.rs:_; have it trained by `set_trainable(true)`, or a whole model by `unfreeze()`");
    assert_snapshot!(message(|| (frozen * y).sum().backward().wrt(frozen)), @"no derivative is recorded for v1 = frozen parameter, shape [2], at messages_of_derivatives.rs:_: have it trained by `set_trainable(true)`, or a whole model by `unfreeze()`");
    assert_snapshot!(message(|| unrecorded.backward()), @"backward: no variable feeds v3 = sum, shape [], at messages_of_derivatives.rs:_: it was recorded `without_gradients`, and counts as constant since then; record it outside, or ask for `output.grad([x])` inside");
    assert_snapshot!(message(|| (unrecorded * 2.0).backward()), @"backward: no variable feeds v13 = mul, shape [], at messages_of_derivatives.rs:_: v3 = sum, shape [], at messages_of_derivatives.rs:_ was recorded `without_gradients`, and counts as constant since then; record it outside, or ask for `output.grad([x])` inside");
    assert_snapshot!(message(|| unrecorded.grad([y])), @"no derivative of v3 = sum, shape [], at messages_of_derivatives.rs:_: it was recorded without gradients, and counts as constant since then; ask for the derivative within `without_gradients`, or record the value outside of it");
    assert_snapshot!(message(|| y.greater(0.0).sum().backward()), @"backward: no variable feeds v17 = sum, shape [], at messages_of_derivatives.rs:_: no derivative goes through v16 = greater, shape [2], at messages_of_derivatives.rs:_");
    assert_snapshot!(message(|| tape.without_gradients(|| x.sin().sum().grad([x])[0].sum().grad([x]))), @"a derivative that was taken `without_gradients` is to be differentiated again, and only its value was kept: that of v22 = sin, shape [2], at messages_of_derivatives.rs:_; take the first derivative outside of `without_gradients`");
    assert_snapshot!(message(|| y.sum().backward().wrt(x)), @"no derivative is recorded for v0 = constant, shape [2], at messages_of_derivatives.rs:_: take it in with `tape.variable`, outside of `without_gradients`");
    assert_snapshot!(message(|| (y * 2.0).sum().backward().wrt(y * 3.0)), @"a backward sweep keeps the gradients of variables and parameters, and this is v35 = mul, shape [2], at messages_of_derivatives.rs:_; `output.grad([x])` gives those of any values");
    let gradients = y.sum().backward();
    let later = tape.variable(1.0);
    assert_snapshot!(message(|| gradients.wrt(later)), @"v39 = variable, shape [], at messages_of_derivatives.rs:_ was recorded after the output, v36 = sum, shape [], at messages_of_derivatives.rs:_");
}

#[test]
fn a_hand_written_gradient_of_another_shape() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let by_hand = |_: &Tensor<f64>| Tensor::from([1.0, 1.0]);
    assert_snapshot!(raised(|| check::against(|x| x.sum(), by_hand, &x)), @"the hand-written gradient of input 1 has shape [2], the input [2, 2]");
    assert_snapshot!(raised(|| check::against(|x| x * x, |x| x.map(|x| 2.0 * x), &x)), @"a gradient belongs to a single number, and the function's value is v1 = mul, shape [2, 2], at messages_of_derivatives.rs:_");
}

#[test]
fn maps_over_leading_axes() {
    let (x, y) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([1.0, 2.0, 3.0]));
    assert_snapshot!(message(|| vmap(|x| x * 2.0, &Tensor::from(1.0))), @"vmap: expected a leading axis that is not empty, got shape []");
    assert_snapshot!(message(|| vmap(|(x, y)| x * y, (&x, &y))), @r"
    vmap: expected 2 values in shape [2], got [3]
      input: v3 = variable, shape [], at messages_of_derivatives.rs:_
      values: v1 = constant, shape [3], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| vmap(|x| if x.sum().item() > 0.0 { x.sin() } else { x }, &x)), @"the value of v2 = sum, shape [], at messages_of_derivatives.rs:_ was read at messages_of_derivatives.rs:_ while the function was recorded; what was recorded after that may hold for this value only, so it cannot be mapped");
}

#[test]
fn programs_and_their_inputs() {
    let x = Tensor::from([1.0, 2.0]);
    let mut program = compile(|x| x.sum(), &x).unwrap();
    let other = Tensor::from([1.0, 2.0, 3.0]);
    assert_snapshot!(message(|| program.run(&other)), @"expected shape [2] for input 0, as recorded at messages_of_derivatives.rs:_, got [3]; compile again for another shape");
    assert_snapshot!(message(|| program.run([&x, &x])), @"run: expected as many inputs as when the program was compiled, 1, got 2");
    assert_snapshot!(message(|| program.set_input(1, 2.0)), @"set_input: there is no input 1; the program has 1");
    assert_snapshot!(message(|| program.input(1)), @"input: there is no input 1; the program has 1");
    assert_snapshot!(message(|| program.output(1)), @"there is no output 1; the program has 1");
    let decision = compile_n(|x| [if x.sum().item() > 0.0 { x.sin() } else { x }], &x);
    assert_snapshot!(tidy(&decision.unwrap_err().to_string()), @"the value of v1 = sum, shape [], at messages_of_derivatives.rs:_ was read at messages_of_derivatives.rs:_ while the program was recorded; what was recorded after that may hold for this value only. Decide by `select`, or read after compiling");
    let tape = Tape::new();
    let (x, y) = (tape.variable(1.0), tape.variable([1.0, 2.0]));
    assert_snapshot!(tidy(&tape.compile(&[x * 2.0], &[x]).unwrap_err().to_string()), @"v3 = mul, shape [], at messages_of_derivatives.rs:_ is no input: an input is a variable or a constant of the tape, given once");
    assert_snapshot!(message(|| tape.compile_updating(&[x], &[], &[(x, y)])), @r"
    compile_updating: expected a new value of shape [], that of its value, got [2]
      value: v0 = variable, shape [], at messages_of_derivatives.rs:_
    ");
    assert_snapshot!(message(|| tape.compile_updating(&[x], &[], &[(y, y)])), @"compile_updating: v1 = variable, shape [2], at messages_of_derivatives.rs:_ is updated, and is not among the inputs");
}

#[test]
fn what_is_recorded_again() {
    let tape = Tape::<f64>::new();
    let x = tape.variable([1.0, 2.0]);
    let steps = Steps::new(|_, [x], []| [x.sum()]);
    assert_snapshot!(message(|| steps.run(3, [x], [])), @r"
    steps: expected a state of shape [2] from the step, got []
      state: v2 = sum, shape [], at messages_of_derivatives.rs:_
    ");
    let weight = Tensor::from(1.0);
    let steps = Steps::new(move |_, [x], []| [x * x.tape().parameter(1, &weight)]);
    assert_snapshot!(message(|| steps.run(3, [x], [])), @"steps: the step takes in a parameter, whose gradient would be lost; take it in before the loop, and give it as one of the values that steps share");
    let single = Tape::<f32>::new();
    let steps = Steps::new(|k, [x], []| [x + k]);
    assert_snapshot!(message(|| steps.run(1 << 25, [single.variable(1.0)], [])), @"steps: a step takes its number as a scalar, and f32 holds whole numbers up to 16777216, which step 33554431 is beyond; take the loop apart, or compute in f64");
    // The library calls these functions when it needs them, so that it knows no line but theirs.
    let start = Tensor::from(1.0);
    assert_snapshot!(raised(|| fixed_point(|_, [x]| x, &start, [x])), @"fixed_point: expected a map to the shape of the start, [], got [2]");
    let solution = root(|[x]: &[Tensor<f64>; 1]| x.clone(), |x, [y]| (x - y).sum(), [x]);
    assert_snapshot!(raised(|| solution.sum().backward()), @"root: expected a residual of the shape of the solution, [2], got v3 = sum, shape [], at messages_of_derivatives.rs:_");
}

#[test]
fn sparse_matrices() {
    let x = Tensor::from([1.0, 2.0]);
    let matrix = sparse::jacobian(|x| x * x, &x);
    assert_snapshot!(message(|| matrix.product(&[1.0])), @"product: expected a vector of 2 elements, got 1");
    assert_snapshot!(message(|| sparse::Pattern::new(2, 2, [[2, 0]])), @"the entry [2, 0] lies outside of a 2 x 2 matrix");
    assert_snapshot!(message(|| sparse::hessian(|x| x * x, &x)), @r"
    grad: expected a single number, got shape [2]; take its `sum()` or `mean()`, or call `vjp` with a cotangent
      value: v1 = mul, shape [2], at messages_of_derivatives.rs:_
    ");
}
