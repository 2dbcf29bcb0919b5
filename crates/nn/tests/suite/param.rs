//! Parameters: their keys, and the memory that they share with tapes.

use wengert_core::{Tape, Tensor};
use wengert_nn::Param;

/// More elements than a tape copies: it shares the buffer.
const LARGE: usize = 1000;

#[test]
fn a_clone_is_another_parameter() {
    let original = Param::new([1.0, 2.0]).with_rate(0.1).with_decay(0.0);
    let mut clone = original.clone();
    clone.elements_mut()[0] = 9.0;
    assert_ne!(original.key(), clone.key());
    assert_eq!(original.elements(), [1.0, 2.0]);
    assert_eq!((clone.rate(), clone.decay()), (0.1, 0.0));
}

#[test]
fn writing_while_a_tape_reads_changes_between_two_buffers() {
    let mut tape = Tape::new();
    let mut param = Param::new(vec![0.0; LARGE]);
    let mut buffers = Vec::new();
    for step in 0..6 {
        tape.reset();
        let var = param.on(&tape);
        if step % 3 == 0 {
            param.elements_mut()[0] += 1.0;
        } else {
            param.update(vec![1.0; LARGE], |w, x| w + x);
        }
        assert_eq!(var.value().at(&[0]), step as f64);
        buffers.push(param.elements().as_ptr());
    }
    assert_eq!(param.elements()[0], 6.0);
    assert_ne!(buffers[0], buffers[1]);
    assert_eq!(buffers[..2], buffers[2..4]);
    assert_eq!(buffers[..2], buffers[4..]);
}

#[test]
fn a_snapshot_keeps_its_elements() {
    let mut param = Param::new(vec![0.0; LARGE]);
    let snapshots: Vec<Tensor<f64>> = (0..4)
        .map(|step| {
            param.elements_mut().fill(f64::from(step));
            param.value().clone()
        })
        .collect();
    for (step, snapshot) in snapshots.iter().enumerate() {
        assert_eq!(*snapshot, Tensor::full([LARGE], step as f64));
    }
}

#[test]
fn a_frozen_parameter_is_a_constant() {
    let mut param = Param::new([1.0]);
    param.set_trainable(false);
    assert!(!param.on(&Tape::new()).is_active());
}

#[test]
#[should_panic(expected = "one item for each of the 2 elements")]
fn an_update_has_an_item_for_each_element() {
    Param::new([1.0, 2.0]).update([1.0], |w, x| w + x);
}

#[test]
#[should_panic(expected = "keeps its shape")]
fn the_shape_is_fixed() {
    Param::new([1.0]).set([1.0, 2.0]);
}
