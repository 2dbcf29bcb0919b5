//! Every loss against PyTorch and by its gradient, and that none is left out.

use wengert_core::{Tape, Tensor};
use wengert_nn::Linear;
use wengert_nn::loss::*;

use crate::agreement::{agrees, exported, function_agrees, golden_names, labels};

#[test]
fn of_numbers() {
    function_agrees("loss/quadratic_cost", |x| quadratic_cost(x[0], x[1]));
    function_agrees("loss/squared_error", |x| squared_error(x[0], x[1]));
    function_agrees("loss/mse", |x| mse(x[0], x[1]));
    function_agrees("loss/l1", |x| l1(x[0], x[1]));
    function_agrees("loss/huber", |x| huber(x[0], x[1], 0.7));
}

#[test]
fn of_classes() {
    let labels = &labels(4, 3);
    let weights = || CrossEntropy::new().weights([0.5, 1.0, 2.0]);
    function_agrees("loss/cross_entropy", |x| cross_entropy(x[0], labels));
    function_agrees("loss/cross_entropy_sum", |x| cross_entropy_sum(x[0], labels));
    function_agrees("loss/cross_entropy_with", |x| cross_entropy_with(x[0], x[1]));
    function_agrees("loss/CrossEntropy", |x| weights().ignoring(2).smoothing(0.1).of(x[0], labels));
    function_agrees("loss/CrossEntropy/sum", |x| weights().sum().of(x[0], labels));
    function_agrees("loss/nll", |x| nll(x[0], labels));
    function_agrees("loss/binary_cross_entropy", |x| binary_cross_entropy(x[0], x[1]));
    function_agrees("loss/kl_divergence", |x| kl_divergence(x[0], x[1].abs() + 0.1));
}

#[test]
fn with_margins() {
    let labels = &labels(4, 3);
    function_agrees("loss/hinge", |x| hinge(x[0], x[1].sign()));
    function_agrees("loss/multi_margin", |x| multi_margin(x[0], labels));
    function_agrees("loss/cosine_embedding", |x| {
        cosine_embedding(x[0], x[1], x[0].tape().constant([1.0, -1.0, -1.0, 1.0]), 0.2)
    });
    function_agrees("loss/triplet_margin", |x| triplet_margin(x[0], x[1], x[2], 2.0));
}

#[test]
fn of_sequences() {
    function_agrees("loss/Ctc", |x| {
        Ctc::new().of(x[0].log_softmax(-1), &[&[1, 2, 2], &[3]], &[6, 4])
    });
}

/// All ways to spread labels over time, one by one.
#[test]
fn ctc_is_the_sum_over_all_ways() {
    let (time, classes) = (4, 3);
    let p = Tensor::from_fn([1, time, classes], |k| 0.3 + 0.2 * (k as f64).sin());
    for labels in [&[][..], &[2], &[1, 2], &[1, 1], &[2, 1, 2]] {
        let mut sum = 0.0;
        for code in 0..classes.pow(time as u32) {
            let way: Vec<usize> =
                (0..time).map(|step| code / classes.pow(step as u32) % classes).collect();
            let mut spelt = way.clone();
            spelt.dedup();
            spelt.retain(|&class| class != 0);
            if spelt == labels {
                sum += (0..time).map(|step| p.at(&[0, step, way[step]])).product::<f64>();
            }
        }
        let loss = Ctc::new().of(Tape::new().constant(&p).ln(), &[labels], &[time]).item();
        let expected = -sum.ln() / labels.len().max(1) as f64;
        assert!((loss - expected).abs() < 1e-12, "{labels:?}: {loss} and not {expected}");
    }
}

#[test]
fn of_weights() {
    let layer = Linear::from_parts([[0.0; 3]; 2], [0.0; 2]);
    agrees("loss/penalty", layer, |net, tape, _| penalty(net, tape, 0.3, 5));
}

#[test]
#[should_panic(expected = "label 0 of sample 1 is none of 1..3; 0 is the blank")]
fn a_blank_is_no_label() {
    let tape = Tape::<f64>::new();
    Ctc::new().of(tape.constant(Tensor::zeros([2, 3, 3])), &[&[1], &[2, 0]], &[3, 3]);
}

#[test]
#[should_panic(expected = "label 7 of sample 0 is none of 0..3")]
fn only_the_label_that_is_ignored_may_be_out_of_range() {
    let tape = Tape::<f64>::new();
    CrossEntropy::new().ignoring(9).of(tape.constant(Tensor::zeros([2, 3])), &[7, 9]);
}

#[test]
fn no_loss_is_without_a_case() {
    let exported = exported(include_str!("../../src/loss/mod.rs"));
    assert!(exported.len() > 15, "{exported:?}");
    let (source, page) = (include_str!("losses.rs"), include_str!("../../../../docs/layers.md"));
    for name in exported {
        assert!(golden_names().any(|case| case == format!("loss/{name}")), "{name}: no golden");
        assert!(page.contains(&format!("`{name}`")), "docs/layers.md does not list {name}");
    }
    for case in golden_names().filter(|case| case.starts_with("loss/")) {
        assert!(source.contains(&format!("\"{case}\"")), "{case} is not compared");
    }
}
