//! Weights as files, beside files that PyTorch and NumPy have written.

use std::fs;

use indexmap::IndexMap;
use wengert_core::Tensor;
use wengert_nn::random::MatlabRng;
use wengert_nn::{Layer, Linear, Module, Param, Sequential, Tanh, sequential, weights};

use crate::files::{file, message, place};

/// A file of the folder `tests/data`.
fn given(name: &str) -> String {
    format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn net(seed: u32) -> Sequential<f32> {
    let rng = &mut MatlabRng::new(seed);
    sequential![Linear::new(3, 2, rng), Tanh, Linear::new(2, 1, rng)]
}

#[test]
fn both_formats_give_back_what_they_were_given() {
    let net = net(1);
    for name in ["round.safetensors", "round.npz"] {
        let path = place(name);
        weights::save(&path, &net.state_dict()).unwrap();
        let mut other = self::net(2);
        other.load_state_dict(&weights::load(&path).unwrap()).unwrap();
        assert_eq!(other.parameter_vector(), net.parameter_vector());
        // The same state gives the same file, and nothing is left beside it.
        let first = fs::read(&path).unwrap();
        weights::save(&path, &other.state_dict()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert!(!place(&format!("{name}.partial")).exists());
    }
    // Numbers that text would lose.
    let odd = [0.1 + 0.2, f64::MIN_POSITIVE / 4.0, -0.0, f64::INFINITY];
    let state = IndexMap::from([
        ("x".to_owned(), Tensor::from(odd)),
        ("none".to_owned(), Tensor::zeros([0, 2])),
    ]);
    for name in ["odd.safetensors", "odd.npz"] {
        weights::save(place(name), &state).unwrap();
        let back = weights::load::<f64>(place(name)).unwrap();
        assert!(back["x"].iter().zip(odd).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert_eq!(back["none"].shape()[..], [0, 2]);
    }
}

/// `torch.nn.Sequential(torch.nn.Linear(3, 2))`, by `safetensors.torch.save_file`.
#[test]
fn a_state_dict_of_pytorch_loads_unchanged() {
    let mut net: Sequential<f64> = sequential![Linear::new(3, 2, &mut MatlabRng::new(1))];
    net.load_state_dict(&weights::load(given("torch.safetensors")).unwrap()).unwrap();
    assert_eq!(net.parameter_vector(), [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.5, -1.5]);
    // The same in bfloat16 and float16, with a whole number beside them.
    let state = weights::load::<f64>(given("halves.safetensors")).unwrap();
    assert_eq!(state["0.steps"].item(), 7.0);
    assert_eq!(
        [&state["0.weight"], &state["0.bias"]].map(Tensor::to_vec).concat(),
        net.parameter_vector()
    );
}

#[test]
fn archives_of_numpy() {
    let stored = weights::load::<f64>(given("stored.npz")).unwrap();
    assert!(stored.keys().eq(["a.weight", "b", "c", "s"]));
    let six = Tensor::from([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
    assert_eq!(stored["a.weight"], six.map(|x| x / 4.0));
    assert_eq!(stored["b"], six); // stored by columns
    assert_eq!(stored["c"].to_vec(), [1.0, -2.0, 3.0]);
    assert_eq!(stored["s"], Tensor::scalar(2.5));
    let deflated = weights::load::<f32>(given("deflated.npz")).unwrap();
    assert_eq!(deflated["zeros"], Tensor::zeros([50, 4]));
    assert_eq!((deflated["h"].to_vec(), deflated["t"].to_vec()), (vec![0.5, -2.0], vec![1.0, 0.0]));
}

#[test]
fn files_that_are_wrong_say_where() {
    let load = |content: &[u8]| message(weights::load::<f32>(file("weights-wrong", content)));
    let text = load(b"this is a text, and no weights");
    assert!(
        text.starts_with("at byte 0: expected a file in the format safetensors, found"),
        "{text}"
    );
    let mut archive = fs::read(given("stored.npz")).unwrap();
    assert!(
        load(&archive[..500]).contains("expected the directory's record at the end of an archive")
    );
    let place = archive.windows(4).position(|bytes| bytes == 0.25_f32.to_le_bytes()).unwrap();
    archive[place] ^= 1;
    let changed = load(&archive);
    assert!(changed.contains("of `a.weight.npy` with the checksum"), "{changed}");
    let mut archive = fs::read(given("stored.npz")).unwrap();
    let method = archive.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap() + 10;
    archive[method] = 9;
    let expected = "expected `a.weight.npy` stored (0) or deflated (8), found method 9";
    assert_eq!(load(&archive), format!("at byte {method}: {expected}"));
}

#[test]
fn archives_do_not_count_beyond_their_fields() {
    let path = place("many.npz");
    let state = |count: usize, name: &str| -> IndexMap<String, Tensor<f32>> {
        (0..count).map(|i| (format!("{name}{i}"), Tensor::scalar(i as f32))).collect()
    };
    weights::save(&path, &state(65534, "")).unwrap();
    let back = weights::load::<f32>(&path).unwrap();
    assert_eq!((back.len(), back["65533"].item()), (65534, 65533.0));
    assert_eq!(
        message(weights::save(&path, &state(65535, ""))),
        "at byte 0: expected fewer than 65535 arrays for npz, found 65535"
    );
    assert_eq!(
        message(weights::save(&path, &state(1, &"n".repeat(65530)))),
        "at byte 0: expected fewer than 65535 bytes of a name for npz, found 65535"
    );
    // What was there is there still.
    assert_eq!(weights::load::<f32>(&path).unwrap().len(), 65534);
}

#[test]
fn a_part_of_a_state_is_taken_over() {
    let mut net = net(1);
    let before = net.state_dict();
    let mut state = self::net(2).state_dict();
    state.shift_remove("0.bias");
    state.insert("2.weight".into(), Tensor::zeros([5, 5]));
    state.insert("head".into(), Tensor::zeros([1]));
    let report = weights::load_matching(&mut net, &state).unwrap();
    assert_eq!(
        (&report.missing[..], &report.unexpected[..]),
        (&["0.bias".into()][..], &["head".into()][..])
    );
    assert_eq!(report.mismatched[0].name, "2.weight");
    let after = net.state_dict();
    let same = |name: &str, other: &IndexMap<String, Tensor<f32>>| after[name] == other[name];
    assert!(same("0.weight", &state) && same("2.bias", &state));
    assert!(same("0.bias", &before) && same("2.weight", &before));
    assert_eq!(weights::load_matching(&mut net, &before), None);
}

#[test]
fn buffers_are_part_of_a_file() {
    let mut net = (Param::new([1.0]), Param::buffer([2.0]));
    let path = place("buffers.safetensors");
    weights::save(&path, &net.state_dict()).unwrap();
    net.1.set([0.0]);
    assert_eq!(weights::load_matching(&mut net, &weights::load(&path).unwrap()), None);
    assert_eq!(net.1.elements(), [2.0]);
}

#[test]
fn a_summary_follows_the_recording() {
    use wengert_core::Tape;
    use wengert_nn::Summary;
    let net = net(1);
    let of = |net: &Sequential<f32>, tape: &Tape<f32>| -> Vec<usize> {
        net.forward(tape.constant(Tensor::ones([4, 3]))).shape().to_vec()
    };
    assert_eq!(of(&net, &Tape::new()), [4, 1]);
    let summary = Summary::of(&net, |net, tape| net.forward(tape.constant(Tensor::ones([4, 3]))));
    let rows: Vec<(&str, &[usize], usize)> = summary
        .rows()
        .iter()
        .map(|row| (&*row.name, row.shape.as_deref().unwrap(), row.parameters))
        .collect();
    assert_eq!(rows, [("0", &[4, 2][..], 8), ("2", &[4, 1][..], 3)]);
    // Products of 4 x 3 by 3 x 2 and a tanh; products of 4 x 2 by 2 x 1.
    let costs = summary.rows().iter().map(|row| (row.cost.muls, row.cost.nonlinear));
    assert!(costs.eq([(24, 8), (8, 0)]));
    let text = summary.to_string();
    assert!(text.contains("0      [4, 2]           8"), "{text}");
    assert!(text.contains("11 of the parameters are trained"), "{text}");
}
