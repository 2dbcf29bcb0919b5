//! Every layer against PyTorch and by its gradient, and that none is left out.

use wengert_core::{Tape, Tensor, Var};
use wengert_nn::random::MatlabRng;
use wengert_nn::*;

use crate::agreement::{agrees, exported, golden_names};

/// A layer of one input.
pub(crate) fn layer<L: Layer<f64>>(name: &str, layer: L) {
    agrees(name, layer, |layer, _, x| layer.forward(x[0]));
}

pub(crate) fn rng() -> MatlabRng {
    MatlabRng::new(1)
}

#[test]
fn linear_maps() {
    layer("Linear", Linear::new(3, 4, &mut rng()));
    agrees("Bilinear", Bilinear::new(3, 2, 4, &mut rng()), |net, _, x| net.forward(x[0], x[1]));
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
    layer("MaxPool1d/dilated", MaxPool1d::new(3).stride(2).padding(1).dilation(2));
    let dilated = MaxPool2d::new([2, 3]).stride([2, 1]).padding(1).dilation([3, 2]);
    layer("MaxPool2d/dilated", dilated);
    layer("MaxPool2d/ceil", MaxPool2d::new([3, 2]).stride([2, 3]).padding(1).ceil_mode());
    let volumes = MaxPool3d::new(2).stride([2, 3, 3]).dilation([2, 1, 1]).ceil_mode();
    layer("MaxPool3d/ceil", volumes);
    layer("AvgPool1d", AvgPool1d::new(3).stride(2).padding(1));
    layer("AvgPool2d", AvgPool2d::new(3).stride(2).padding(1));
    layer("AvgPool2d/cropped", AvgPool2d::new(3).stride(2).padding(1).cropped());
    layer("AvgPool1d/ceil", AvgPool1d::new(2).stride(4).padding(1).ceil_mode());
    layer("AvgPool2d/ceil", AvgPool2d::new(3).stride(2).padding(1).ceil_mode());
    let cropped = AvgPool2d::new([3, 2]).stride(2).padding(1).cropped().ceil_mode();
    layer("AvgPool2d/ceil_cropped", cropped);
    layer("AvgPool3d", AvgPool3d::new(2).padding([1, 0, 1]));
    layer("AdaptiveAvgPool1d", AdaptiveAvgPool1d::new(3));
    layer("AdaptiveAvgPool2d", AdaptiveAvgPool2d::new([2, 4]));
    layer("AdaptiveAvgPool3d", AdaptiveAvgPool3d::new([2, 3, 2]));
    layer("AdaptiveMaxPool3d", AdaptiveMaxPool3d::new([2, 3, 2]));
    layer("AdaptiveMaxPool1d", AdaptiveMaxPool1d::new(3));
    layer("AdaptiveMaxPool2d", AdaptiveMaxPool2d::new([2, 4]));
    layer("GlobalAvgPool", GlobalAvgPool);
    layer("GlobalMaxPool", GlobalMaxPool);
}

/// A dilated window has the maxima of the elements that it has, found one by one, and of equal ones
/// the first has the derivative.
#[test]
fn dilated_windows_are_plain_loops() {
    let tape = Tape::new();
    let (height, width) = (6, 7);
    let x = tape.variable(Tensor::from_fn([height, width], |i| ((5 * i) % 7) as f64));
    let y = MaxPool2d::new(3).stride([1, 2]).padding([[2, 1], [0, 3]]).dilation(2).forward(x);
    let (values, [rows, columns]) = (x.value(), [(6 + 3 - 5) + 1, (7 + 3 - 5) / 2 + 1]);
    assert_eq!(y.shape()[..], [rows, columns]);
    let (mut expected, mut gradient) = (Vec::new(), vec![0.0; height * width]);
    for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, 2 * j))) {
        let taps = (0..3).flat_map(|a| (0..3).map(move |b| (i + 2 * a, j + 2 * b)));
        let inside = taps.filter(|&(a, b)| a >= 2 && a - 2 < height && b < width);
        let first =
            inside
                .map(|(a, b)| (a - 2, b))
                .reduce(|best, at| {
                    if values.at(&[at.0, at.1]) > values.at(&[best.0, best.1]) { at } else { best }
                })
                .unwrap();
        expected.push(values.at(&[first.0, first.1]));
        gradient[first.0 * width + first.1] += 1.0;
    }
    assert_eq!(y.value().to_vec(), expected);
    assert_eq!(y.sum().backward().wrt(x).to_vec(), gradient);
}

#[test]
#[should_panic(expected = "a window over 4 places covers no element of 1")]
fn dilated_windows_cover_an_element() {
    let pool = MaxPool1d::new(2).padding(2).dilation(3);
    pool.forward(Tape::<f64>::new().constant([[1.0]]));
}

#[test]
fn normalisations() {
    layer("LayerNorm", LayerNorm::new([4]).epsilon(1e-3));
    layer("LayerNorm/axes", LayerNorm::new([3, 4]).without_bias());
    layer("RmsNorm", RmsNorm::new([4]));
    layer("RmsNorm/axes", RmsNorm::new([3, 4]).epsilon(0.1));
    layer("GroupNorm", GroupNorm::new(2, 4));
    layer("InstanceNorm", InstanceNorm::new());
    layer("InstanceNorm/affine", InstanceNorm::affine(3));
    layer("InstanceNorm/running", InstanceNorm::new().track_running_stats(3));
    layer("InstanceNorm/all", InstanceNorm::affine(3).track_running_stats(3));
    let tracking = InstanceNorm::affine(3).track_running_stats(3);
    agrees("InstanceNorm/training", tracking, |net, tape, x| {
        tape.train(0);
        net.forward(x[0])
    });
    layer("LocalResponseNorm", LocalResponseNorm::new(4).alpha(0.3).beta(0.6).k(2.0));
    layer("BatchNorm", BatchNorm::new(2));
    agrees("BatchNorm/training", BatchNorm::new(2), |net, tape, x| {
        tape.train(0);
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
fn running_statistics_of_instances_are_means_over_the_batch() {
    let mut norm = InstanceNorm::<f64>::affine(2).track_running_stats(2).momentum(0.3);
    let tape = Tape::new();
    tape.train(0);
    let batch = Tensor::from_fn([3, 2, 4], |i| (1.7 * i as f64).sin());
    let loss = norm.forward(tape.constant(&batch)).square().sum();
    Sgd::new(0.0).step(&mut norm, &loss.backward());
    let running = [&norm.running_mean, &norm.running_var].map(|p| p.as_ref().unwrap().value());
    for channel in 0..2 {
        let (mut mean, mut variance) = (0.0, 0.0);
        for sample in 0..3 {
            let row: Vec<f64> = (0..4).map(|i| batch.at(&[sample, channel, i])).collect();
            let own = row.iter().sum::<f64>() / 4.0;
            mean += own / 3.0;
            variance += row.iter().map(|x| (x - own).powi(2)).sum::<f64>() / 3.0 / 3.0;
        }
        assert!((running[0].at(&[channel]) - 0.3 * mean).abs() < 1e-15);
        assert!((running[1].at(&[channel]) - (0.7 + 0.3 * variance)).abs() < 1e-14);
    }
    // As in PyTorch, which counts batches elsewhere only.
    assert_eq!(norm.num_batches_tracked.as_ref().unwrap().value().item(), 0.0);
}

#[test]
#[should_panic(expected = "a rectifier of 3 channels takes [batch, 3, ..]")]
fn slopes_belong_to_channels() {
    Prelu::new(3).forward(Tape::<f64>::new().constant(Tensor::zeros([2, 4, 3])));
}

#[test]
#[should_panic(expected = "halves of an axis of even extent")]
fn halves_are_of_one_size() {
    Glu(1).forward(Tape::<f64>::new().constant(Tensor::zeros([2, 3])));
}

#[test]
fn embeddings() {
    let table = || Embedding::new(5, 3, &mut rng());
    agrees("Embedding", table(), |net, tape, _| {
        net.forward(tape.constant([[0.0, 3.0, 3.0], [4.0, 1.0, 0.0]]))
    });
    agrees("Embedding", table(), |net, tape, _| {
        net.lookup(tape, &[0, 3, 3, 4, 1, 0]).reshape([2, 3, 3])
    });
    // By variables and by a list, a padding is 0 and has no gradient.
    let padded = table().padding(3);
    for by_list in [false, true] {
        let tape = Tape::new();
        let vectors = match by_list {
            false => padded.forward(tape.constant([0.0, 3.0, 3.0])),
            true => padded.lookup(&tape, &[0, 3, 3]),
        };
        assert_eq!(vectors.value().slice(0, 1, 2, 1).to_vec(), [0.0; 6]);
        let gradient = padded.gradient_vector(&vectors.sum().backward());
        assert_eq!(gradient.iter().sum::<f64>(), 3.0);
        assert_eq!(gradient[..3], [1.0; 3]);
    }
    layer("SinusoidalPositions", SinusoidalPositions::new(5, 4));
    layer("LearnedPositions", LearnedPositions::new(5, 4, &mut rng()));
}

#[test]
fn recurrent_networks() {
    let rng = &mut rng();
    layer("Rnn", Rnn::new(3, 2, rng));
    layer("ReluRnn", ReluRnn::new(3, 2, rng));
    layer("Lstm", Lstm::new(3, 2, rng));
    layer("Gru", Gru::new(3, 2, rng));
    layer("Rnn/deep", Rnn::bidirectional(3, 2, 2, rng).time_first());
    layer("Lstm/deep", Lstm::bidirectional(3, 2, 2, rng).time_first());
    layer("Gru/deep", Gru::bidirectional(3, 2, 2, rng).time_first());
    layer("Lstm/projected", Lstm::new(3, 4, rng).projected(2, rng));
    let projected = Lstm::bidirectional(3, 4, 2, rng).projected(2, rng);
    agrees("Lstm/projected_states", projected, |net, _, x| {
        wengert_core::concat(&net.last(x[0], Some([x[1], x[2]])), -1)
    });
    agrees("Lstm/states", Lstm::bidirectional(3, 2, 2, rng), |net, _, x| {
        wengert_core::concat(&net.last(x[0], Some([x[1], x[2]])), 0)
    });
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

/// A recording of training and one of evaluation, both with a tape's own samples.
fn recordings(f: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>) -> [Tensor<f64>; 2] {
    [true, false].map(|is_training| {
        let tape = Tape::new();
        if is_training {
            tape.train(3);
        }
        f(tape.constant(Tensor::from_fn([2, 5, 4], |i| (1.3 * i as f64).sin()))).value()
    })
}

#[test]
fn dropout_between_recurrent_layers() {
    let whole = Lstm::<f64>::stacked(4, 3, 2, &mut rng());
    let state = whole.state_dict();
    let parts = [0, 1].map(|k| {
        let mut part = Lstm::<f64>::new(if k == 0 { 4 } else { 3 }, 3, &mut rng());
        let from_whole = |name: String| {
            let value = state[&name.replace("l0", &format!("l{k}"))].clone();
            (name, value)
        };
        let own = part.state_dict().into_keys().map(from_whole).collect();
        part.load_state_dict(&own).unwrap();
        part
    });
    let whole = whole.dropout(0.4);
    let left_out = Dropout::new(0.4);
    let by_hand = recordings(|x| parts[1].forward(left_out.forward(parts[0].forward(x))));
    assert_ne!(by_hand[0], by_hand[1]);
    assert_eq!(recordings(|x| whole.forward(x)), by_hand);
}

/// With scores of 0 all places have one share, of which dropout leaves some.
#[test]
fn dropout_of_the_shares_of_attention() {
    let mut attention = MultiHeadAttention::<f64>::new(4, 1, &mut rng()).dropout(0.4);
    let unit = |i: usize, j: usize| f64::from(u8::from(i == j));
    attention
        .in_proj_weight
        .as_mut()
        .unwrap()
        .set(Tensor::from_fn([12, 4], |k| unit(k / 4, 8 + k % 4)));
    attention.out_proj.weight.set(Tensor::from_fn([4, 4], |k| unit(k / 4, k % 4)));
    let [training, evaluation] = recordings(|x| attention.forward(x));
    let [expected, mean] = recordings(|x| {
        let ones = x.tape().constant(Tensor::ones([2, 1, 5, 5]));
        (Dropout::new(0.4).forward(ones) / 5.0).squeeze(1).matmul(x)
    });
    let close = |a: &Tensor<f64>, b| a.zip_map(b, |a, b| (a - b).abs()).iter().all(|d| d < 1e-15);
    assert!(close(&training, &expected) && close(&evaluation, &mean));
    assert!(!close(&training, &mean));
}

#[test]
fn dropout_in_transformers() {
    fn drop(x: Var<'_, f64>) -> Var<'_, f64> {
        Dropout::new(0.4).forward(x)
    }
    let rng = &mut rng();
    let plain = TransformerEncoderLayer::<f64>::new(4, 2, 6, rng);
    let attention = plain.self_attn.clone().dropout(0.4);
    let by_hand = recordings(|x| {
        let x = plain.norm1.forward(x + drop(attention.forward(x)));
        let hidden = drop(plain.linear1.forward(x).relu());
        plain.norm2.forward(x + drop(plain.linear2.forward(hidden)))
    });
    assert_ne!(by_hand[0], by_hand[1]);
    let encoder = plain.clone().dropout(0.4);
    assert_eq!(recordings(|x| encoder.forward(x)), by_hand);

    let plain = TransformerDecoderLayer::<f64>::new(4, 2, 6, rng);
    let attentions = [&plain.self_attn, &plain.multihead_attn].map(|a| a.clone().dropout(0.4));
    let by_hand = recordings(|memory| {
        let x = plain.norm1.forward(memory + drop(attentions[0].forward(memory)));
        let seen = attentions[1].attend(x, memory, memory, &[]);
        let x = plain.norm2.forward(x + drop(seen));
        let hidden = drop(plain.linear1.forward(x).relu());
        plain.norm3.forward(x + drop(plain.linear2.forward(hidden)))
    });
    let decoder = plain.clone().dropout(0.4);
    assert_eq!(recordings(|x| decoder.forward(x, x)), by_hand);
}

#[test]
fn no_layer_is_without_a_case_and_no_case_without_a_layer() {
    let functions = ["attention", "causal_attention"];
    let others = [&["Dropout", "ChannelDropout"][..], &functions].concat();
    // What others are made of.
    let parts = [
        "AttentionMask",
        "Cell",
        "Conv",
        "ConvTranspose",
        "GruCell",
        "LstmCell",
        "Recurrent",
        "ReluCell",
        "RnnCell",
    ];
    let pools = ["AdaptiveAvgPool", "AdaptiveMaxPool", "AvgPool", "MaxPool"];
    let mut exported = exported(include_str!("../../src/layer/mod.rs"));
    exported.retain(|name| !parts.contains(name) && !pools.contains(name));
    assert!(exported.len() > 60, "{exported:?}");
    let source = concat!(include_str!("layers.rs"), include_str!("attention.rs"));
    let page = include_str!("../../../../docs/layers.md");
    let root = crate::agreement::exported(include_str!("../../src/lib.rs"));
    for name in &exported {
        assert!(
            root.contains(name) || functions.contains(name),
            "{name} is not at the root of the crate"
        );
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
