//! States, vectors and freezing of whole models.

use indexmap::IndexMap;
use proptest::prelude::*;
use wengert_core::{Tape, Tensor};
use wengert_nn::loss::squared_error;
use wengert_nn::random::MatlabRng;
use wengert_nn::state::Mismatch;
use wengert_nn::{Layer, Linear, Module, Sequential, Sgd, Sigmoid, sequential};

/// The paper's 2-2-3-2 network.
fn net(seed: u32) -> Sequential<f64> {
    let rng = &mut MatlabRng::new(seed);
    sequential![
        Linear::new(2, 2, rng),
        Sigmoid,
        Linear::new(2, 3, rng),
        Sigmoid,
        Linear::new(3, 2, rng)
    ]
}

#[test]
fn a_state_goes_from_one_model_to_another() {
    let (source, mut target) = (net(1), net(2));
    let state = source.state_dict();
    let names = ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"];
    assert!(state.keys().eq(names));
    target.load_state_dict(&state).unwrap();
    assert_eq!(target.parameter_vector(), source.parameter_vector());
}

#[test]
fn the_order_of_a_state_does_not_matter() {
    let (source, mut target) = (net(1), net(2));
    let reversed: IndexMap<String, Tensor<f64>> = source.state_dict().into_iter().rev().collect();
    target.load_state_dict(&reversed).unwrap();
    assert_eq!(target.parameter_vector(), source.parameter_vector());
}

#[test]
fn a_strided_tensor_is_loaded_in_its_own_order() {
    let mut net = net(1);
    let mut state = net.state_dict();
    let transposed = Tensor::from([[1.0, 2.0], [3.0, 4.0]]).transpose();
    state.insert("0.weight".into(), transposed);
    net.load_state_dict(&state).unwrap();
    assert_eq!(net.parameter_vector()[..4], [1.0, 3.0, 2.0, 4.0]);
}

#[test]
fn a_state_outlives_the_steps_after_it() {
    let mut net = Linear::<f64>::new(100, 100, &mut MatlabRng::new(1));
    let (state, before) = (net.state_dict(), net.parameter_vector());
    for _ in 0..3 {
        let tape = Tape::new();
        let loss = net.forward(tape.constant(Tensor::ones([100]))).square().sum();
        Sgd::new(0.1).step(&mut net, &loss.backward());
    }
    assert_ne!(net.parameter_vector(), before);
    net.load_state_dict(&state).unwrap();
    assert_eq!(net.parameter_vector(), before);
}

#[test]
fn a_misfit_reports_everything_and_changes_nothing() {
    let mut net = net(1);
    let before = net.parameter_vector();
    let mut state: IndexMap<String, Tensor<f64>> =
        net.state_dict().into_iter().map(|(name, value)| (name, value.map(|x| x + 1.0))).collect();
    state.shift_remove("0.weight");
    state.shift_remove("2.bias");
    state.insert("6.weight".into(), Tensor::zeros([1]));
    state.insert("4.bias".into(), Tensor::zeros([2, 1]));
    state.insert("4.weight".into(), Tensor::zeros([3, 2]));

    let error = net.load_state_dict(&state).unwrap_err();
    assert_eq!(error.missing, ["0.weight", "2.bias"]);
    assert_eq!(error.unexpected, ["6.weight"]);
    let mismatch = |name: &str, model: [usize; 2], state: &[usize]| Mismatch {
        name: name.into(),
        model: model.into(),
        state: state.into(),
    };
    assert_eq!(error.mismatched[0], mismatch("4.weight", [2, 3], &[3, 2]));
    assert_eq!(error.mismatched[1].to_owned().state[..], [2, 1]);
    assert_eq!(net.parameter_vector(), before);
    assert_eq!(
        error.to_string(),
        "the state does not fit the model\n  missing: 0.weight, 2.bias\n  unexpected: 6.weight\n  \
         4.weight: shape [2, 3] in the model, [3, 2] in the state\n  \
         4.bias: shape [2] in the model, [2, 1] in the state"
    );
}

#[test]
fn frozen_parameters_stay_and_cost_no_sweep() {
    let mut net = net(1);
    net.freeze();
    let before = net.parameter_vector();
    let tape = Tape::new();
    let x = tape.variable([0.3, 0.4]);
    let loss = squared_error(net.forward(x), tape.constant([1.0, 0.0]));
    let gradients = loss.backward();
    // A gradient goes through the frozen net to its input, as a GAN needs it.
    assert_ne!(gradients.wrt(x).to_vec(), [0.0, 0.0]);
    Sgd::new(0.1).momentum(0.9).weight_decay(0.1).step(&mut net, &gradients);
    assert_eq!(net.parameter_vector(), before);
    assert_eq!(net.gradient_vector(&gradients), [0.0; 23]);

    net.unfreeze();
    let tape = Tape::new();
    let loss = squared_error(net.forward(tape.constant([0.3, 0.4])), tape.constant([1.0, 0.0]));
    Sgd::new(0.1).step(&mut net, &loss.backward());
    assert_ne!(net.parameter_vector(), before);
}

#[test]
#[should_panic(expected = "expected the 23 numbers of all parameters")]
fn a_vector_of_another_length_is_refused() {
    net(1).set_parameter_vector(&[0.0; 22]);
}

proptest! {
    #[test]
    fn flattening_and_unflattening_are_inverse(vector in prop::collection::vec(-1e9..1e9, 23)) {
        let mut net = net(1);
        net.set_parameter_vector(&vector);
        prop_assert_eq!(net.parameter_vector(), vector.clone());
        // In the order of declaration, each tensor row by row.
        let mut start = 0;
        for (_, value) in net.state_dict() {
            prop_assert_eq!(value.to_vec(), vector[start..start + value.len()].to_vec());
            start += value.len();
        }
    }
}
