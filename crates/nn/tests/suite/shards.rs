//! Batches that are cut into shards, beside the whole batch.

use wengert_core::Tape;
use wengert_nn::loss::cross_entropy;
use wengert_nn::random::MatlabRng;
use wengert_nn::train::{DataParallel, Metrics};
use wengert_nn::{Adam, Layer, Linear, Module, Sgd};

use crate::training::{Batch, Net, bits, loaders, loss, samples, trained, trainer};

/// The gradient of a batch in shards, as the change of a step of rate 1.
fn step_in_shards(parallel: &mut DataParallel<f64>, batch: &Batch) -> (f64, Net) {
    let (mut net, mut sgd) = (Net::new(), Sgd::new(1.0));
    parallel.train(5);
    let loss = parallel.step(&mut net, &mut sgd, batch, loss).unwrap();
    (loss, net)
}

#[test]
fn shards_give_the_same_bits_for_any_number_of_threads() {
    let batch = samples(11);
    for shards in [1, 3, 4, 16] {
        let (expected, net) = step_in_shards(&mut DataParallel::with_threads(shards, 1), &batch);
        for threads in [2, 3] {
            let mut parallel = DataParallel::with_threads(shards, threads);
            let (loss, other) = step_in_shards(&mut parallel, &batch);
            assert_eq!(loss.to_bits(), expected.to_bits());
            assert_eq!(bits(other.state_dict()), bits(net.state_dict()));
            assert_eq!(parallel.metrics().matrix().unwrap().samples(), 11);
        }
    }
}

#[test]
fn shards_give_the_step_of_the_whole_batch() {
    let (batch, tape) = (samples(11), Tape::new());
    let (mut net, mut sgd) = (Net::new(), Sgd::new(1.0));
    tape.train(5);
    let value = loss(&net, &tape, &batch, &mut Metrics::default());
    sgd.step(&mut net, &value.backward());
    // One shard is the batch, samples included.
    let (one, same) = step_in_shards(&mut DataParallel::new(1), &batch);
    assert_eq!((one, bits(same.state_dict())), (value.item(), bits(net.state_dict())));

    // Several are, up to rounding, where nothing is drawn.
    let plain = |net: &Linear<f64>, tape: &Tape<f64>, batch: &Batch| -> Vec<f64> {
        let loss = cross_entropy(net.forward(tape.constant(&batch.0)), &batch.1);
        net.gradient_vector(&loss.backward())
    };
    let mut net = Linear::<f64>::new(2, 3, &mut MatlabRng::new(2));
    let (start, gradient) = (net.parameter_vector(), plain(&net, &Tape::new(), &batch));
    let mut parallel = DataParallel::new(4);
    let mut sgd = Sgd::new(1.0);
    parallel
        .step(&mut net, &mut sgd, &batch, |net, tape, (x, labels), _| {
            cross_entropy(net.forward(tape.constant(x)), labels)
        })
        .unwrap();
    for ((after, before), g) in net.parameter_vector().iter().zip(start).zip(gradient) {
        assert!((before - after - g).abs() < 1e-15, "{before} {after} {g}");
    }
}

#[test]
fn a_trainer_with_one_shard_is_a_trainer() {
    let (mut net, mut adam, (train, validation)) = (Net::new(), Adam::new(1.0), loaders());
    let data = (&train, &validation);
    let report = trainer(2).fit_parallel(1, &mut net, &mut adam, data, loss).unwrap();
    let (expected, _, history) = trained(2);
    assert_eq!(bits(net.state_dict()), bits(expected.state_dict()));
    assert_eq!(report.history.to_csv(), history.to_csv());
}
