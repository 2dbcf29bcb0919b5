//! What a user reads who made a mistake with values, shapes and axes. Every message is raised at the
//! user's line, in this file, and not in one of the library.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use insta::assert_snapshot;
use wengert_core::op::Convolution;
use wengert_core::random::Distribution;
use wengert_core::{Shape, Tape, Tensor, concat, einsum, stack};

thread_local! {
    /// The file in which the last panic of this thread was raised.
    static RAISED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The message of a panic, without the numbers of lines, which change with this
/// file, and of tapes.
pub(crate) fn raised<R>(body: impl FnOnce() -> R) -> String {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let file = info.location().map_or("", |location| location.file());
            RAISED.with_borrow_mut(|raised| file.clone_into(raised));
            before(info);
        }));
    });
    let panic = catch_unwind(AssertUnwindSafe(body)).err().expect("a panic");
    let text = match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or_default().to_owned(),
    };
    tidy(&text)
}

/// The same, of a message that is raised in this file.
pub(crate) fn message<R>(body: impl FnOnce() -> R) -> String {
    let text = raised(body);
    let file = RAISED.with_borrow(String::clone);
    assert!(file.contains("messages"), "raised in {file}: {text}");
    assert!(!text.contains("crates/core"), "{text}");
    text
}

pub(crate) fn tidy(text: &str) -> String {
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
    assert_snapshot!(message(|| stack(&[a, b], 0)), @r"
    stack: shapes [2, 3] and [2] differ
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v1 = constant, shape [2], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.maximum(b)), @r"
    maximum: shapes [2, 3] and [2] do not broadcast: aligned at the right, extents must be equal or 1
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v1 = constant, shape [2], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.select(b, 0.0)), @r"
    select: shapes [2, 3] and [2] do not broadcast: aligned at the right, extents must be equal or 1
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v1 = constant, shape [2], at messages.rs:_
      operand 3: v3 = constant, shape [], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.broadcast_to([2])), @r"
    broadcast: [2, 3] does not broadcast to [2]
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.sum_to(&Shape::from([2]))), @r"
    sum_to: [2] does not broadcast to [2, 3], so [2, 3] does not sum to it
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.solve(b)), @r"
    solve: a [2, 3] is no square matrix
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v4 = reshape, shape [2, 1], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.kron(b)), @r"
    kron: expected as many axes, got shapes [2, 3] and [2]
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v1 = constant, shape [2], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.outer(b)), @r"
    outer: [2, 3] and [2] are not two vectors
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v1 = constant, shape [2], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.conv1d(b, Convolution::default())), @"conv1d: operands have axes [n, c, l] and [o, c, l], and this is v0 = variable, shape [2, 3], at messages.rs:_");
    assert_snapshot!(message(|| a.tensordot(b, [&[1], &[0]])), @r"
    tensordot: the extents 3 and 2 of a pair differ
      v0 = variable, shape [2, 3], at messages.rs:_
      v1 = constant, shape [2], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.tensordot(b, [&[1], &[]])), @"tensordot: [1] and [] are no pairs");
    assert_snapshot!(message(|| einsum("ij,ij", &[a, b])), @r"
    einsum `ij,ij`: `ij` names 2 axes, and operand 2 has 1
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v1 = constant, shape [2], at messages.rs:_
    ");
    assert_snapshot!(message(|| einsum("ij->k", &[a])), @r"
    einsum `ij->k`: the result names `k`, which no operand has
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.straight_through(b)), @r"
    straight_through: the value has shape [2], and what stands for it [2, 3]
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v1 = constant, shape [2], at messages.rs:_
    ");
    assert_snapshot!(message(|| a.linear_recurrence(b, 0)), @r"
    linear_recurrence: shapes [2, 3] and [2] differ
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v1 = constant, shape [2], at messages.rs:_
    ");
    assert_snapshot!(message(|| a + [1.0, 2.0]), @r"
    add: shapes [2, 3] and [2] do not broadcast: aligned at the right, extents must be equal or 1
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 3], at messages.rs:_
      operand 2: v5 = constant, shape [2], at messages.rs:_
    ");
    assert_snapshot!(message(|| [1.0, 2.0] - a), @r"
    sub: shapes [2] and [2, 3] do not broadcast: aligned at the right, extents must be equal or 1
      at messages.rs:_
      operand 1: v6 = constant, shape [2], at messages.rs:_
      operand 2: v0 = variable, shape [2, 3], at messages.rs:_
    ");
}

#[test]
fn operands_on_two_tapes() {
    let (one, other) = (Tape::new(), Tape::new());
    let (x, y) = (one.variable(1.0), other.variable(2.0));
    let product = message(|| x * y);
    assert_snapshot!(product, @"operands on two tapes: tape _ (made at messages.rs:_) and tape _ (made at messages.rs:_); a computation lives on one tape, so take the value across with `tape.constant(other.value())`");
    let others = [
        message(|| x.grad([y])),
        message(|| x.vjp(y, &[x])),
        message(|| x.jvp(&[(x, y)])),
        message(|| x.taylor(&[(x, &[y])], 1)),
        message(|| x.vmap(&[(y, x)])),
        message(|| x.jacobian(&[y])),
        message(|| one.compile(&[x], &[y])),
    ];
    assert!(others.iter().all(|other| *other == product), "{others:#?}");
    assert_snapshot!(message(|| (x * x).backward().wrt(y)), @"the gradients belong to tape _ (made at messages.rs:_), the variable to tape _ (made at messages.rs:_)");
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
    assert_snapshot!(message(|| x.max_keep(2)), @r"
    max: there is no axis 2 in shape [2, 2]
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.softmax(3)), @r"
    softmax: there is no axis 3 in shape [2, 2]
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.permute([0, 0])), @r"
    permute: [0, 0] is no order of the axes of [2, 2]
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.squeeze(0)), @r"
    squeeze: expected extent 1 of axis 0, got 2
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.unsqueeze(4)), @r"
    unsqueeze: there is no axis 4
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.flatten(1, 0)), @r"
    flatten: expected axes in order, got 1 and 0
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.swap_axes(0, 2)), @r"
    swap_axes: there is no axis 2
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.cumsum(5)), @r"
    cumsum: there is no axis 5
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.argmax(2)), @r"
    argmax: there is no axis 2
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.sum().matrix_transpose()), @r"
    matrix_transpose: expected two axes or more, got shape []
      operand: v1 = sum, shape [], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.diagonal(0, [0, 0])), @r"
    diagonal: one axis spans no matrix
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.sum().diag_embed(0)), @r"
    diag_embed: there is no axis -1
      operand: v2 = sum, shape [], at messages.rs:_
    ");
}

#[test]
fn parts_that_are_not_there() {
    let tape = Tape::<f64>::new();
    let x = tape.variable([[1.0, 2.0], [3.0, 4.0]]);
    assert_snapshot!(message(|| x.slice(0, 1..4)), @r"
    slice: from 1 by 1, 3 times, leaves the 2 elements of axis 0 of [2, 2]
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.slice_by(0, .., 0)), @r"
    slice_by: the step is 0
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.split(0, &[1, 2])), @r"
    split: parts of [1, 2] do not make up axis 0
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.chunk(0, 0)), @r"
    chunk: expected a number of parts, got 0
      operand: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.gather(0, [2])), @r"
    gather: index 2 is outside of the 2 elements of axis 0 of [2, 2]
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(raised(|| x.index_select(0, [0.5])), @"take_along_axis: 0.5 is no index of the 2 elements of the axis");
    assert_snapshot!(raised(|| x.take_along_axis(0, [[2.0, 0.0]])), @"take_along_axis: 2 is no index of the 2 elements of the axis");
    assert_snapshot!(message(|| x.scatter_add(0, [5, 0], 3)), @r"
    scatter_add: index 5 is outside of the 3 elements of the result
      at messages.rs:_
      operand 1: v0 = variable, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.topk(3, 0)), @r"
    argsort: rows of [2, 2] have no first 3 elements
      at messages.rs:_
      operand 1: v4 = permute, shape [2, 2], at messages.rs:_
    ");
    assert_snapshot!(message(|| x.tile([1 << 62])), @r"
    broadcast: a shape of [1, 2, 4611686018427387904, 2] is too large: the extents that are not 0 have a product of more than 1152921504606846975
      at messages.rs:_
      operand 1: v5 = reshape, shape [1, 2, 1, 2], at messages.rs:_
    ");
}

#[test]
fn numbers_that_make_no_sense() {
    let tape = Tape::<f64>::new();
    let x = tape.variable([1.0, 2.0]);
    assert_snapshot!(message(|| x.clamp(1.0, 0.0)), @"clamp: the bounds 1 and 0 are not in order");
    assert_snapshot!(message(|| x.quantile(1.5, ..)), @"quantile: 1.5 is no part of 1");
    assert_snapshot!(message(|| tape.variable(Tensor::zeros([0])).max_over(..)), @r"
    max: rows of [0] have no largest element
      at messages.rs:_
      operand 1: v1 = variable, shape [0], at messages.rs:_
    ");
    assert_snapshot!(message(|| tape.variable(Tensor::zeros([0])).median(..)), @r"
    quantile: there are no elements
      operand: v2 = variable, shape [0], at messages.rs:_
    ");
    assert_snapshot!(message(|| tape.sample(Distribution::Dropout(0.5), [2])), @"tape _ (made at messages.rs:_) has no generator to draw Dropout(0.5) from: call `train` with a seed first, or take in a tensor of a generator of your own");
    assert_snapshot!(message(|| concat::<f64>(&[], 0)), @"concat: expected variables, got none");
}

#[test]
fn tensors_without_a_tape() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    assert_snapshot!(message(|| Tensor::new([2, 3], vec![1.0; 5])), @"Tensor::new: expected 6 elements for shape [2, 3], got 5");
    assert_snapshot!(message(|| x.at(&[2])), @"at: there is no element [2] in a tensor of shape [2, 2]");
    assert_snapshot!(message(|| x.reshape([3])), @"reshape: [2, 2] has 4 elements and [3] has 3");
    assert_snapshot!(message(|| x.broadcast_to([3, 2, 3])), @"broadcast_to: shape [2, 2] does not stretch to [3, 2, 3]: aligned at the right, extents must be equal or 1");
    assert_snapshot!(message(|| x.permute(&[0, 0])), @"permute: expected every axis of [2, 2] once, got [0, 0]");
    assert_snapshot!(message(|| x.slice(0, 1, 2, 1)), @"slice: from 1 by 1, 2 times, leaves the 2 elements of axis 0 of [2, 2]");
    assert_snapshot!(message(|| x.dot(&Tensor::from([1.0]))), @"dot: expected two tensors of one shape, got [2, 2] and [1]");
    assert_snapshot!(message(|| x.zip_map(&Tensor::from([1.0]), |x, _| x)), @"zip_map: expected two tensors of one shape, got [2, 2] and [1]");
    assert_snapshot!(message(|| Tensor::<f64>::zeros([1 << 62])), @"a shape of [4611686018427387904] is too large: the extents that are not 0 have a product of more than 1152921504606846975");
}
