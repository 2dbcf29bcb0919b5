//! Shapes, slices and paddings too large for memory are refused, with a message of ours: an
//! overflow that only debug builds notice has another, so the tests mean the same in a build
//! without overflow checks. There the products of extents and strides used to wrap around, and
//! safe code read outside of its buffers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert_core::op::{Convolution, Pooling};
use wengert_core::random::{self, Distribution, SeedableRng, Xoshiro256PlusPlus};
use wengert_core::{Shape, Tape, Tensor, Var, concat, einsum};

/// The message of a panic.
fn message<R>(body: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(body)).err().expect("a panic");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or_default().to_owned(),
    }
}

/// That an operation is refused for the size of its result, at a line of this file.
#[track_caller]
fn refused<R>(body: impl FnOnce() -> R) {
    let text = message(body);
    assert!(text.contains("is too large"), "{text}");
    if text.contains("operand 1") {
        assert!(text.lines().any(|line| line.contains("sizes.rs")), "{text}");
    }
}

/// As many as a number of bits can count, and its half.
const LARGE: [usize; 3] = [1 << 62, 1 << 63, usize::MAX];

#[test]
fn the_elements_of_a_shape_are_counted_with_care() {
    let most = isize::MAX as usize / 8;
    assert_eq!(Shape::from([most]).checked_elements(), Some(most));
    assert_eq!(Shape::from([most + 1]).checked_elements(), None);
    assert_eq!(Shape::from([0, most]).checked_elements(), Some(0));
    for shape in [[0, 1 << 62, 1 << 62], [1 << 62, 0, 1 << 62], [1 << 62, 1 << 62, 0]] {
        assert_eq!(Shape::from(shape).checked_elements(), None);
    }
    // A product that wraps around to a small number.
    assert_eq!(Shape::from([(1 << 63) + 2, 2]).checked_elements(), None);
    assert_eq!(Shape::scalar().checked_elements(), Some(1));
    refused(|| Shape::from([1 << 32, 1 << 32]).elements());
}

#[test]
fn tensors_that_are_too_large() {
    let shapes = [vec![1 << 32, 1 << 32], vec![1 << 61], vec![0, 1 << 62, 1 << 62]];
    for shape in shapes {
        refused(|| Tensor::<f64>::zeros(&shape[..]));
        refused(|| Tensor::<f32>::ones(&shape[..]));
        refused(|| Tensor::full(&shape[..], 2.0));
        refused(|| Tensor::from_fn(&shape[..], |i| i as f64));
        refused(|| Tensor::<f64>::new(&shape[..], Vec::new()));
        refused(|| Tensor::scalar(1.0).broadcast_to(&shape[..]));
        refused(|| Tensor::<f64>::zeros([0]).reshape(&shape[..]));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        refused(|| random::normals::<f64, _>(&shape[..], &mut rng));
        refused(|| random::uniforms::<f64, _>(&shape[..], &mut rng));
    }
    let x = Tensor::from([1.0, 2.0, 3.0]);
    for step in [1 << 60, 1 << 62, isize::MAX, isize::MIN] {
        let text = message(|| x.slice(0, 0, 17, step));
        assert!(text.contains("leaves the 3 elements of axis 0"), "{text}");
        assert_eq!(x.slice(0, 1, 1, step).to_vec(), [2.0]);
        assert!(x.slice(0, 1, 0, step).is_empty());
    }
    for (start, count, step) in
        [(usize::MAX, 2, 1), (2, usize::MAX, -1), (1 << 63, 1, 1), (0, 3, 0)]
    {
        let text = message(|| x.slice(0, start, count, step));
        assert!(text.contains("leaves the 3 elements of axis 0"), "{text}");
    }
    assert!(message(|| x.slice(1, 0, 1, 1)).contains("there is no axis 1 in shape [3]"));
}

/// Both programs ended in a segmentation fault.
#[test]
fn factors_of_products_lie_inside_their_buffers() {
    let tape = Tape::<f64>::new();
    let eye = tape.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    let rows = usize::try_from(((1_u128 << 64) + 5) / 3).expect("64 bits");
    assert_eq!(rows.wrapping_mul(3), 5, "the shape wraps around");
    refused(|| tape.variable(2.0).broadcast_to([rows, 3]).matmul(eye));
    let x = Tensor::from([1.0, 2.0, 3.0]);
    let text = message(|| x.slice(0, 0, 17, 1 << 60).broadcast_to([80, 17]));
    assert!(text.contains("leaves the 3 elements"), "{text}");
    // The step of one element leads nowhere, in products as elsewhere.
    let one = tape.constant(x.slice(0, 1, 1, 1 << 60).broadcast_to([80, 1]));
    assert_eq!(one.matmul(tape.constant([[3.0]])).value().to_vec(), [6.0; 80]);
    let tall = tape.variable(2.0).broadcast_to([1 << 40, 1]);
    refused(|| tall.matmul(tall.transpose()));
    refused(|| tall.matmul_transposed(tall));
    refused(|| tall.reshape([1 << 40]).outer(tall.reshape([1 << 40])));
    refused(|| einsum("ik,jk->ij", &[tall, tall]));
    refused(|| tall + tall.transpose());
}

#[test]
fn operations_whose_results_are_too_large() {
    let tape = Tape::<f64>::new();
    let x = tape.variable([1.0, 2.0, 3.0]);
    let none = tape.variable(Tensor::zeros([0]));
    let image = tape.variable(Tensor::ones([1, 1, 3, 3]));
    for large in LARGE {
        refused(|| x.tile([large]));
        refused(|| none.tile([large]));
        refused(|| x.repeat(0, large));
        refused(|| none.repeat(0, large));
        refused(|| x.pad(0, large, 0));
        refused(|| x.pad(0, 1, large));
        refused(|| none.pad(0, large, large));
        refused(|| x.broadcast_to([large, 3]));
        refused(|| none.reshape([0, large]));
        refused(|| x.scatter_add(0, vec![0, 1, 2], large));
        refused(|| x.diag_embed(large.min(1 << 62) as isize));
        refused(|| image.conv2d(image, Convolution::default().padding(large)));
        // Two positions, of a plane that nobody has room for.
        let skipping = Convolution::default().padding([[large >> 2, 0], [0, 0]]).stride(large >> 2);
        refused(|| image.conv2d(image, skipping));
        refused(|| image.conv_transpose2d(image, Convolution::default(), [large, 3]));
        refused(|| image.max_pool2d(Pooling::new(large).padding(large - 1)));
        refused(|| image.avg_pool2d(Pooling::new(large).padding(large - 1).stride(1)));
        let gaps = Convolution::default().dilation(large);
        assert!(message(|| image.conv2d(image, gaps)).contains("does not fit into a plane"));
    }
    refused(|| concat(&[x.broadcast_to([1 << 58, 3]); 2], 0));
    let text = message(|| x.split(0, &[usize::MAX, 4]));
    assert!(text.contains("do not make up axis 0"), "{text}");
    // An end of `usize::MAX` was an end of 0.
    let text = message(|| x.slice(0, 1..=usize::MAX));
    assert!(text.contains("leaves the 3 elements of axis 0"), "{text}");
    refused(|| tape.external(&[x], [1 << 62], |_, _| ()));
}

#[test]
fn a_sample_that_is_too_large_leaves_its_tape_as_it_was() {
    let tape = Tape::<f64>::new();
    tape.train(1);
    refused(|| tape.sample(Distribution::Uniform, [1 << 32, 1 << 32]));
    assert!(tape.sample(Distribution::Uniform, [3]).value().iter().all(|x| x < 1.0));
}

#[test]
fn steps_and_diagonals_of_any_size() {
    let tape = Tape::<f64>::new();
    let x = tape.variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let all = x.value().to_vec();
    let none = vec![0.0; 6];
    let values = |y: Var<'_, f64>| y.value().to_vec();
    for beyond in [3, isize::MAX - 1, isize::MAX] {
        assert_eq!(values(x.triu(beyond)), none);
        assert_eq!(values(x.tril(beyond)), all);
        assert_eq!(values(x.triu(-beyond)), all);
        assert_eq!(values(x.tril(-beyond)), none);
        assert!(values(x.diagonal(beyond, [0, 1])).is_empty());
        assert!(values(x.diagonal(-beyond, [0, 1])).is_empty());
    }
    assert_eq!((values(x.triu(isize::MIN)), values(x.tril(isize::MIN))), (all, none));
    assert!(values(x.diagonal(isize::MIN, [0, 1])).is_empty());
    for step in [isize::MAX, isize::MIN] {
        let one = x.slice_by(1, 1..2, step);
        assert_eq!(values(one), [2.0, 5.0]);
        assert_eq!(one.sum().backward().wrt(x).to_vec(), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    }
    let [v] = [tape.variable([1.0, 2.0])];
    assert_eq!(values(v.roll(0, isize::MAX)), [2.0, 1.0]);
    assert_eq!(values(v.roll(0, isize::MIN)), [1.0, 2.0]);
}
