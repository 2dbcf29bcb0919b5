//! Errors inside of layers name the user's line, the layer's place and the parameter.

use wengert_core::{Tape, Tensor, Var};
use wengert_nn::random::seeded;
use wengert_nn::*;

use crate::mistakes::message;

/// A layer of this file, whose lines say more than those of whoever calls it.
#[derive(Module)]
struct Shift(Param<f64>);

impl Layer<f64> for Shift {
    fn forward<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        x + self.0.on(x.tape()) // the line of `SHIFTED`
    }
}

const SHIFTED: u32 = line!() - 4;

fn at(line: u32) -> String {
    format!("at {}:{line}:", file!())
}

#[test]
fn a_wrong_width_in_a_sequential_is_put_where_it_is() {
    let rng = &mut seeded(1);
    let net: Sequential<f64> = sequential![
        Linear::new(2, 3, rng),
        Tanh,
        Linear::new(4, 1, rng), // as `made`
    ];
    let made = line!() - 2;
    let tape = Tape::new();
    let x = tape.constant([[1.0, 2.0]]);
    let said = message(|| net.forward(x));
    let called = line!() - 1;
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("matmul_transposed: [1, 3] times the transpose of [1, 4]"),
        "{said}"
    );
    assert!(lines[1].contains(&at(called)) && lines[1].ends_with("in layer 2 (Linear)"), "{said}");
    assert!(lines[2].contains("= tanh, shape [1, 3]") && lines[2].contains(&at(called)), "{said}");
    assert!(lines[2].ends_with("in layer 1 (Tanh)"), "{said}");
    let weight = format!("= weight, shape [1, 4], a parameter made {}", at(made));
    assert!(lines[3].contains(&weight), "{said}");
    assert!(!said.contains("/src/"), "{said}");
}

#[test]
fn places_of_lists_in_lists_are_chains() {
    let rng = &mut seeded(1);
    let inner: Sequential<f64> = sequential![Tanh, Shift(Param::named("shift", [0.0; 4]))];
    let net = sequential![Linear::new(2, 3, rng), inner, Relu];
    let tape = Tape::new();
    let x = tape.constant([[1.0, 2.0]]);
    let said = message(|| net.forward(x));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("add: "), "{said}");
    assert!(lines[1].contains(&at(SHIFTED)), "{said}");
    assert!(lines[1].ends_with("in layer 1 (Sequential), layer 1 (Shift)"), "{said}");
    assert!(lines[2].ends_with("in layer 1 (Sequential), layer 0 (Tanh)"), "{said}");
    assert!(lines[3].contains("= shift, shape [4], a parameter made at "), "{said}");

    // After the list, its layers are no longer named, and lines are those of operations.
    let y = tape.constant([1.0]).sin();
    assert!(y.describe().ends_with(&y.describe()[y.describe().find(" at ").unwrap()..]));
    assert!(y.describe().contains(&at(line!() - 2)) && !y.describe().contains("layer"));
}

#[test]
fn what_a_list_records_has_its_places_in_messages_to_come() {
    let net: Sequential<f64> = sequential![
        Shift(Param::new([-2.0])),
        LogSigmoid,
        sequential![Softplus, Shift(Param::new([0.0]))]
    ];
    let tape = Tape::new();
    let before = tape.variable([1.0]);
    let y = net.forward(before * 1.0);
    let called = line!() - 1;
    let after = y.ln();
    assert!(!before.describe().contains("layer") && !after.describe().contains("layer"));
    assert!(y.describe().ends_with(" in layer 2 (Sequential), layer 1 (Shift)"), "{y:?}");
    assert!(y.describe().contains(&at(SHIFTED)));
    let trace = tape.trace(after);
    assert!(trace.to_string().contains(&format!("places.rs:{called}")), "{trace}");
    assert_eq!(trace.row("2.1.parameter").expect("named by its places").value.item(), Some(0.0));
    // A sweep keeps the lines, and a recording that follows another has the same.
    let gradient = y.grad([before])[0];
    assert!(!gradient.describe().contains("nn/src"), "{}", gradient.describe());
    let mut tape = Tape::new();
    let descriptions: Vec<String> = (0..3)
        .map(|_| {
            tape.reset();
            net.forward(tape.constant([1.0])).describe()
        })
        .collect();
    assert!(descriptions.iter().all(|description| *description == descriptions[0]));
}

#[test]
fn layers_that_look_at_their_inputs_are_named() {
    let rng = &mut seeded(1);
    let nets: [Sequential<f64>; 4] = [
        sequential![Relu, BatchNorm::new(3)],
        sequential![Relu, Conv2d::new(3, 4, 3, rng)],
        sequential![Relu, MultiHeadAttention::new(4, 2, rng)],
        sequential![Relu, LayerNorm::new([5])],
    ];
    for net in nets {
        let tape = Tape::new();
        let said = message(|| net.forward(tape.constant([[1.0, 2.0]])));
        assert!(said.contains("in layer 1 ("), "{said}");
        assert!(!said.contains("/src/"), "{said}");
    }
}

#[test]
fn a_panic_in_a_layer_leaves_the_tape_as_usual() {
    let net: Sequential<f64> = sequential![Tanh, Shift(Param::new([0.0; 4]))];
    let tape = Tape::new();
    message(|| net.forward(tape.constant([[1.0, 2.0]])));
    let y = tape.constant(1.0).sin();
    assert!(y.describe().contains(&at(line!() - 1)) && !y.describe().contains("layer"));
}

/// Sizes of the layers of the library are made at the line that makes the layer, and called as in
/// the model.
#[test]
fn parameters_know_where_they_were_made() {
    fn check<M: Module<f64>>(net: M) {
        let tape = Tape::new();
        for (name, param) in net.named_parameters() {
            let said = param.on(&tape).describe();
            assert!(said.contains(&format!("made at {}:", file!())), "{name}: {said}");
            let name = name.rsplit('.').next().unwrap();
            let called = said.split(" = ").nth(1).unwrap().split(',').next().unwrap();
            // Those of recurrent layers have suffixes.
            assert!(name.starts_with(called), "{name} is called {called}");
        }
    }
    let rng = &mut seeded(1);
    check(Linear::new(2, 3, rng));
    check(Linear::from_parts([[1.0]], [0.0]));
    check(Bilinear::new(2, 3, 4, rng));
    check(Conv1d::new(2, 3, 2, rng));
    check(ConvTranspose2d::grouped(2, 4, 2, 2, rng));
    check(LayerNorm::new([4]));
    check(RmsNorm::new([4]));
    check(GroupNorm::new(2, 4));
    check(BatchNorm::new(2));
    check(InstanceNorm::affine(3).track_running_stats(3));
    check(Embedding::new(4, 2, rng));
    check(Embedding::from_table(Tensor::ones([2, 3])));
    check(LearnedPositions::new(4, 2, rng));
    check(Rnn::new(2, 3, rng));
    check(ReluRnn::bidirectional(2, 3, 2, rng));
    check(Lstm::new(2, 4, rng).projected(2, rng));
    check(Gru::stacked(2, 3, 2, rng));
    check(MultiHeadAttention::new(4, 2, rng));
    check(MultiHeadAttention::with_widths(4, 3, 5, 2, rng));
    check(TransformerEncoderLayer::new(4, 2, 8, rng));
    check(TransformerDecoderLayer::new(4, 2, 8, rng));
    check(Prelu::new(2));
}
