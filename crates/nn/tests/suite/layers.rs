//! Every layer against PyTorch and by its gradient, and that none is left out.

use wengert_core::{Tape, Tensor};
use wengert_nn::random::MatlabRng;
use wengert_nn::*;

use crate::agreement::{agrees, golden_names};

/// A layer of one input.
fn layer<L: Layer<f64>>(name: &str, layer: L) {
    agrees(name, layer, |layer, x| layer.forward(x[0]));
}

fn rng() -> MatlabRng {
    MatlabRng::new(1)
}

#[test]
fn linear_maps() {
    layer("Linear", Linear::new(3, 4, &mut rng()));
    agrees("Bilinear", Bilinear::new(3, 2, 4, &mut rng()), |net, x| net.forward(x[0], x[1]));
}

#[test]
fn convolutions() {
    let rng = &mut rng();
    layer("Conv1d", Conv1d::new(3, 4, 3, rng).stride(2).padding(1));
    let plain = Conv2d::new(3, 4, [3, 2], rng).stride([1, 2]).padding([1, 0]).without_bias();
    layer("Conv2d", plain);
    layer("Conv2d/groups", Conv2d::grouped(4, 6, 3, 2, rng).padding(2).dilation(2));
    layer("Conv2d/uneven", Conv2d::new(2, 3, 3, rng).stride(2).padding([[1, 0], [0, 2]]));
    layer("Conv3d", Conv3d::new(2, 2, 2, rng).stride([2, 1, 1]).padding([1, 0, 1]));
}

#[test]
fn transposed_convolutions() {
    let rng = &mut rng();
    layer("ConvTranspose1d", ConvTranspose1d::new(3, 2, 3, rng).stride(2).padding(1).extra(1));
    let grouped = ConvTranspose2d::grouped(4, 6, [2, 3], 2, rng).stride(2).dilation([1, 2]);
    layer("ConvTranspose2d", grouped);
    let volumes = ConvTranspose3d::new(2, 3, 2, rng).stride([1, 2, 1]).padding([0, 1, 0]);
    layer("ConvTranspose3d", volumes);
}

#[test]
fn pooling() {
    layer("MaxPool1d", MaxPool1d::new(3).stride(2).padding(1));
    layer("MaxPool2d", MaxPool2d::new([3, 2]).stride([2, 1]));
    layer("MaxPool2d/uneven", MaxPool2d::new(3).stride(2).padding([[0, 1], [0, 1]]));
    layer("MaxPool3d", MaxPool3d::new(2));
    layer("AvgPool1d", AvgPool1d::new(3).stride(2).padding(1));
    layer("AvgPool2d", AvgPool2d::new(3).stride(2).padding(1));
    layer("AvgPool2d/cropped", AvgPool2d::new(3).stride(2).padding(1).cropped());
    layer("AvgPool3d", AvgPool3d::new(2).padding([1, 0, 1]));
    layer("AdaptiveAvgPool1d", AdaptiveAvgPool1d::new(3));
    layer("AdaptiveAvgPool2d", AdaptiveAvgPool2d::new([2, 4]));
    layer("AdaptiveMaxPool1d", AdaptiveMaxPool1d::new(3));
    layer("AdaptiveMaxPool2d", AdaptiveMaxPool2d::new([2, 4]));
    layer("GlobalAvgPool", GlobalAvgPool);
    layer("GlobalMaxPool", GlobalMaxPool);
}

#[test]
fn normalisations() {
    layer("LayerNorm", LayerNorm::new([4]).epsilon(1e-3));
    layer("LayerNorm/axes", LayerNorm::new([3, 4]).without_bias());
    layer("RmsNorm", RmsNorm::new([4]));
    layer("RmsNorm/axes", RmsNorm::new([3, 4]).epsilon(0.1));
    layer("GroupNorm", GroupNorm::new(2, 4));
    layer("InstanceNorm", InstanceNorm::new());
    layer("LocalResponseNorm", LocalResponseNorm::new(4).alpha(0.3).beta(0.6).k(2.0));
    layer("BatchNorm", BatchNorm::new(2));
    agrees("BatchNorm/training", BatchNorm::new(2), |net, x| {
        x[0].tape().train(0);
        net.forward(x[0])
    });
}

#[test]
fn running_statistics_move_with_the_step_and_only_with_it() {
    let mut norm = BatchNorm::<f64>::new(2).momentum(0.3);
    let tape = Tape::new();
    tape.train(0);
    let batch = [[1.0, 5.0], [2.0, -1.0], [6.0, 2.0]];
    let loss = norm.forward(tape.constant(batch)).square().sum();
    assert_eq!(norm.running_mean.elements(), [0.0, 0.0]);
    Sgd::new(0.1).step(&mut norm, &loss.backward());
    for channel in 0..2 {
        let column = batch.map(|row| row[channel]);
        let mean = column.iter().sum::<f64>() / 3.0;
        let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2.0;
        assert!((norm.running_mean.elements()[channel] - 0.3 * mean).abs() < 1e-15);
        assert!((norm.running_var.elements()[channel] - (0.7 + 0.3 * variance)).abs() < 1e-14);
    }
    assert_eq!(norm.num_batches_tracked.value().item(), 1.0);
    let before = norm.state_dict();
    let tape = Tape::new();
    let loss = norm.forward(tape.constant(batch)).sum();
    Sgd::new(0.0).step(&mut norm, &loss.backward());
    assert_eq!(norm.state_dict(), before);
}

#[test]
fn embeddings() {
    // Indices have no derivative, so the formula of the inputs is replaced.
    agrees("Embedding", Embedding::new(5, 3, &mut rng()), |net, x| {
        let words = [[0.0, 3.0, 3.0], [4.0, 1.0, 0.0]];
        net.forward(x[0].tape().constant(words)) + x[0].sum() * 0.0
    });
    agrees("Embedding", Embedding::new(5, 3, &mut rng()), |net, x| {
        let words = net.lookup(x[0].tape(), &[0, 3, 3, 4, 1, 0]);
        words.reshape([2, 3, 3]) + x[0].sum() * 0.0
    });
    layer("SinusoidalPositions", SinusoidalPositions::new(5, 4));
    layer("LearnedPositions", LearnedPositions::new(5, 4, &mut rng()));
}

#[test]
fn recurrent_networks() {
    let rng = &mut rng();
    layer("Rnn", Rnn::new(3, 2, rng));
    layer("Lstm", Lstm::new(3, 2, rng));
    layer("Gru", Gru::new(3, 2, rng));
    layer("Rnn/deep", Rnn::bidirectional(3, 2, 2, rng).time_first());
    layer("Lstm/deep", Lstm::bidirectional(3, 2, 2, rng).time_first());
    layer("Gru/deep", Gru::bidirectional(3, 2, 2, rng).time_first());
    agrees("Lstm/states", Lstm::bidirectional(3, 2, 2, rng), |net, x| {
        wengert_core::concat(&net.last(x[0], Some([x[1], x[2]])), 0)
    });
}

#[test]
fn attention() {
    let rng = &mut rng();
    layer("MultiHeadAttention", MultiHeadAttention::new(4, 2, rng));
    layer("MultiHeadAttention/causal", MultiHeadAttention::new(4, 2, rng).causal());
    agrees("MultiHeadAttention/keys", MultiHeadAttention::new(4, 2, rng), |net, x| {
        let mask = [[0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0]];
        net.attend(x[0], x[1], x[2], Some(x[0].tape().constant(mask)))
    });
}

#[test]
fn transformers() {
    let rng = &mut rng();
    layer("TransformerEncoderLayer", TransformerEncoderLayer::new(4, 2, 6, rng));
    let first = TransformerEncoderLayer::new(4, 2, 6, rng).norm_first().gelu().causal();
    layer("TransformerEncoderLayer/first", first);
    let decoder = TransformerDecoderLayer::new(4, 2, 6, rng);
    agrees("TransformerDecoderLayer", decoder, |net, x| net.forward(x[0], x[1]));
}

#[test]
fn layers_that_rearrange() {
    layer("Flatten", Flatten);
    layer("Upsample", Upsample::nearest(2));
    layer("Upsample/bilinear", Upsample::bilinear(3));
    layer(
        "Sequential",
        sequential![Linear::new(3, 4, &mut rng()), Tanh, Linear::new(4, 2, &mut rng())],
    );
    layer("Residual", Residual(Linear::new(3, 3, &mut rng())));
}

#[test]
fn activations() {
    layer("Celu", Celu(0.7));
    layer("Elu", Elu(0.7));
    layer("Gelu", Gelu);
    layer("GeluTanh", GeluTanh);
    layer("Glu", Glu(-1));
    layer("Hardshrink", Hardshrink(0.5));
    layer("Hardsigmoid", Hardsigmoid);
    layer("Hardswish", Hardswish);
    layer("Hardtanh", Hardtanh);
    layer("LeakyRelu", LeakyRelu(0.1));
    layer("LogSigmoid", LogSigmoid);
    layer("LogSoftmax", LogSoftmax(1));
    layer("Mish", Mish);
    layer("Prelu", Prelu::new(3));
    layer("Relu", Relu);
    layer("Relu6", Relu6);
    layer("Selu", Selu);
    layer("Sigmoid", Sigmoid);
    layer("Silu", Silu);
    layer("Softmax", Softmax(1));
    layer("Softmin", Softmin(-1));
    layer("Softplus", Softplus);
    layer("Softshrink", Softshrink(0.5));
    layer("Softsign", Softsign);
    layer("Tanh", Tanh);
    layer("Tanhshrink", Tanhshrink);
}

/// What dropout leaves, as plain loops see it.
#[test]
fn dropout_scales_what_it_leaves_and_spares_evaluation() {
    let x = Tensor::from_fn([2, 50, 4, 5], |i| 1.0 + i as f64);
    let tape = Tape::new();
    let var = tape.variable(&x);
    assert_eq!(Dropout::new(0.3).forward(var).value(), x);
    assert_eq!(ChannelDropout::new(0.3).forward(var).value(), x);
    tape.train(7);
    let single = Dropout::new(0.3).forward(var);
    let factors: Vec<f64> = single.value().iter().zip(x.iter()).map(|(y, x)| y / x).collect();
    let kept = factors.iter().filter(|&&factor| factor > 0.0).count();
    assert!(factors.iter().all(|&f| f == 0.0 || (f - 1.0 / 0.7).abs() < 1e-15));
    assert!(kept.abs_diff(1400) < 80, "{kept} of 2000 are left");
    // The derivative is the factor.
    let gradient = single.sum().backward().wrt(var).to_vec();
    assert!(gradient.iter().zip(&factors).all(|(g, f)| (g - f).abs() < 1e-15));

    let whole = ChannelDropout::new(0.5).forward(var).value().to_vec();
    let left: Vec<bool> = whole.chunks(20).map(|channel| channel[0] != 0.0).collect();
    assert!(whole.iter().enumerate().all(|(i, y)| (*y != 0.0) == left[i / 20]));
    assert!(left.iter().filter(|&&left| left).count().abs_diff(50) < 25);
}

/// The names that the layers' module exports, less traits and what others are made of.
fn exported() -> Vec<&'static str> {
    let parts = ["Cell", "Conv", "ConvTranspose", "GruCell", "LstmCell", "Recurrent", "RnnCell"];
    let pools = ["AdaptiveAvgPool", "AdaptiveMaxPool", "AvgPool", "MaxPool"];
    let file = include_str!("../../src/layer/mod.rs");
    file.split("pub use ")
        .skip(1)
        .filter_map(|rest| rest.split(';').next()?.split_once("::"))
        .flat_map(|(_, names)| names.trim_matches(['{', '}']).split(','))
        .map(|name| name.trim_matches(['{', '}', ' ', '\n']))
        .filter(|name| !name.is_empty() && !parts.contains(name) && !pools.contains(name))
        .collect()
}

#[test]
fn no_layer_is_without_a_case_and_no_case_without_a_layer() {
    let others = ["Dropout", "ChannelDropout"];
    let exported = exported();
    assert!(exported.len() > 60, "{exported:?}");
    let source = include_str!("layers.rs");
    let page = include_str!("../../../../docs/layers.md");
    for name in &exported {
        assert!(page.contains(&format!("`{name}`")), "docs/layers.md does not list {name}");
        if !others.contains(name) {
            assert!(source.contains(&format!("\"{name}\"")), "{name} is not tested");
            assert!(golden_names().any(|case| case == *name), "{name} has no golden numbers");
        }
    }
    for case in golden_names().filter(|case| !case.starts_with("loss/")) {
        assert!(source.contains(&format!("\"{case}\"")), "{case} is not compared");
        let of = case.split('/').next().unwrap_or(case);
        assert!(exported.contains(&of), "{of} is no layer");
    }
}
