//! What a user reads who made a mistake.

use std::panic::{AssertUnwindSafe, catch_unwind};

use insta::assert_snapshot;
use wengert_core::{Tape, Tensor, check, concat};

/// The message of a panic, without the numbers of lines, which change with this
/// file, and of tapes.
fn message<R>(body: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(body)).err().expect("a panic");
    let text = match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or_default().to_owned(),
    };
    let text = text.replace('\\', "/").replace("crates/core/tests/suite/", "");
    without_number(&without_number(&text, "tape "), ".rs:")
}

/// The text with `_` for every number, or line and column, that follows a mark.
fn without_number(text: &str, mark: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut parts = text.split(mark);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(is_digit);
        let rest = match rest.strip_prefix(':') {
            Some(column) if column.starts_with(is_digit) => column.trim_start_matches(is_digit),
            _ => rest,
        };
        result = result + mark + "_" + rest;
    }
    result
}

#[test]
fn shapes_that_do_not_fit() {
    let tape = Tape::<f64>::new();
    let a = tape.variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let b = tape.constant([1.0, 2.0]);
    assert_snapshot!(message(|| a + b), @r"
    add: shapes [2, 3] and [2] do not broadcast: aligned at the right, extents must be equal or 1
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v1 = constant, shape [2], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.matmul(a)), @r"
    matmul: [2, 3] times [2, 3]: the inner extents 3 and 2 differ
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v0 = variable, shape [2, 3], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.reshape([4])), @r"
    reshape: [2, 3] has 6 elements and [4] has 4
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
    ");
    assert_snapshot!(message(|| concat(&[a, a.transpose()], 0)), @r"
    concat: [2, 3] and [3, 2] differ beside axis 0
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v2 = permute, shape [3, 2], at messages.rs:_
    ");
}

#[test]
fn operands_on_two_tapes() {
    let (one, other) = (Tape::new(), Tape::new());
    let (x, y) = (one.variable(1.0), other.variable(2.0));
    assert_snapshot!(message(|| x * y), @"operands on two tapes: tape _ (made at messages.rs:_) and tape _ (made at messages.rs:_); a computation lives on one tape, so take the value across with `tape.constant(other.value())`");
}

#[test]
fn axes_that_do_not_exist() {
    let tape = Tape::<f64>::new();
    let x = tape.variable([[1.0, 2.0], [3.0, 4.0]]);
    assert_snapshot!(message(|| x.sum_over(2)), @r"
    sum: there is no axis 2 in shape [2, 2]
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.sum_over([0, -2])), @r"
    sum: axis -2 of shape [2, 2] is named twice
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.softmax(3)), @r"
    softmax: there is no axis 3 in shape [2, 2]
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.slice(0, 1..4)), @r"
    slice: from 1 by 1, 3 times, leaves the 2 elements of axis 0 of [2, 2]
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 2], at messages.rs:_
    ");
}

#[test]
fn one_number_where_there_are_more() {
    let tape = Tape::<f64>::new();
    let x = tape.variable([1.0, 2.0]);
    assert_snapshot!(message(|| x.item()), @"item() wants one element, and a [2] has not");
    assert_snapshot!(message(|| x.value().item()), @"item() wants one element, and a [2] has more or none");
    assert_snapshot!(message(|| x.backward()), @"backward wants a single number, and this is v0 = variable, shape [2], at messages.rs:_; sum it, or give a cotangent");
}

#[test]
fn no_variable_to_differentiate() {
    let tape = Tape::<f64>::new();
    let x = tape.constant([1.0, 2.0]);
    assert_snapshot!(message(|| x.sum().backward()), @"no variable feeds v1 = sum, shape [], at messages.rs:_, or it was recorded `without_gradients`: take values in with `tape.variable` or `tape.parameter`; `output.grad([x])` gives the gradient with respect to any values");
    assert_snapshot!(message(|| tape.without_gradients(|| x.sum()).grad([x])), @"no derivative of v3 = sum, shape [], at messages.rs:_: it was recorded without gradients, and counts as constant since then; ask for the derivative within `without_gradients`, or record the value outside of it");
    assert_snapshot!(message(|| tape.without_gradients(|| x.sin().sum().grad([x])[0].sum().grad([x]))), @"a derivative that was taken `without_gradients` is to be differentiated again, and only its value was kept: that of v9 = sin, shape [2], at messages.rs:_; take the first derivative outside of `without_gradients`");
    let y = tape.variable(1.0);
    assert_snapshot!(message(|| (y * y).backward().wrt(x)), @"no derivative is recorded for v0 = constant, shape [2], at messages.rs:_: take it in with `tape.variable`");
}

#[test]
fn a_hand_written_gradient_of_another_shape() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let by_hand = |_: &Tensor<f64>| Tensor::from([1.0, 1.0]);
    assert_snapshot!(message(|| check::against(|x| x.sum(), by_hand, &x)), @"the hand-written gradient of input 1 has shape [2], the input [2, 2]");
    assert_snapshot!(message(|| check::against(|x| x * x, |x| x.map(|x| 2.0 * x), &x)), @"a gradient belongs to a single number, and the function's value is v1 = mul, shape [2, 2], at messages.rs:_");
}

#[test]
fn elements_that_are_not_there() {
    assert_snapshot!(message(|| Tensor::new([2, 3], vec![1.0; 5])), @"a tensor of shape [2, 3] has 6 elements, not 5");
    assert_snapshot!(message(|| Tensor::from([1.0, 2.0]).at(&[2])), @"index [2] is outside of a tensor of shape [2]");
}
