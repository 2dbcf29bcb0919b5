//! Whole layers to the second order in their parameters, and in single precision: what a layer adds
//! to the ops that it is made of, which are tested one by one, by the core.

use wengert_core::{Real, Tape, Tensor, Var};
use wengert_nn::random::MatlabRng;
use wengert_nn::*;

fn input<T: Real>(shape: &[usize]) -> Tensor<T> {
    Tensor::from_fn(shape, |i| T::from_f64(1.5 * (1.1 * i as f64 + 0.3).sin()))
}

/// A loss of a value that no element cancels out of, and that is curved in each.
fn loss<T: Real>(y: Var<'_, T>) -> Var<'_, T> {
    let weights = Tensor::from_fn(y.shape(), |i| T::from_f64(1.0 + (0.9 * i as f64).cos() / 2.0));
    (y.square() * y.tape().constant(weights)).mean()
}

/// An input on a tape in training, always with the same samples to come.
fn begun<'t, T: Real>(tape: &'t Tape<T>, shape: &[usize]) -> Var<'t, T> {
    tape.train(1);
    tape.constant(input::<T>(shape))
}

/// The product of the Hessian with a direction, by a sweep over a recorded one, is the change of the
/// gradient along it, by differences of the fourth order.
fn second_order<L: Layer<f64>>(name: &str, mut net: L, shape: &[usize]) {
    let at = net.parameter_vector();
    let direction: Vec<f64> = (0..at.len()).map(|i| (1.7 * i as f64 + 0.2).cos()).collect();

    let tape = Tape::new();
    let cost = loss(net.forward(begun(&tape, shape)));
    let parameters: Vec<&Param<f64>> =
        net.named_parameters().into_iter().map(|(_, param)| param).collect();
    let vars: Vec<_> = parameters.iter().map(|param| param.on(&tape)).collect();
    let slopes = cost.vjp(tape.constant(1.0), &vars);
    let mut start = 0;
    let along = slopes.iter().map(|slope| {
        let own = direction[start..][..slope.elements()].to_vec();
        start += own.len();
        (*slope * tape.constant(Tensor::new(slope.shape(), own))).sum()
    });
    let along = along.reduce(|a, b| a + b).expect("a layer with parameters");
    assert_eq!(start, direction.len());
    let product = net.gradient_vector(&along.backward());

    let mut gradient = |step: f64| {
        let moved: Vec<f64> = at.iter().zip(&direction).map(|(x, v)| x + step * v).collect();
        net.set_parameter_vector(&moved);
        let tape = Tape::new();
        net.gradient_vector(&loss(net.forward(begun(&tape, shape))).backward())
    };
    let [far, near] = [2e-4, 1e-4].map(|step| (step, gradient(step), gradient(-step)));
    for (i, &product) in product.iter().enumerate() {
        let change = |(step, ahead, behind): &(f64, Vec<f64>, Vec<f64>)| {
            (ahead[i] - behind[i]) / (2.0 * step)
        };
        let expected = (4.0 * change(&near) - change(&far)) / 3.0;
        assert!(
            (product - expected).abs() < 1e-8 * (1.0 + expected.abs()),
            "{name}: number {i} of the product is {product} and not {expected}"
        );
    }
}

#[test]
fn layers_have_second_derivatives_in_their_parameters() {
    let rng = &mut MatlabRng::new(1);
    second_order("Linear", Linear::new(3, 2, rng), &[4, 3]);
    second_order("Conv2d", Conv2d::new(2, 3, 3, rng).stride(2).padding(1), &[2, 2, 5, 4]);
    second_order("ConvTranspose2d", ConvTranspose2d::new(2, 3, 2, rng).stride(2), &[1, 2, 2, 3]);
    second_order("BatchNorm", sequential![Linear::new(3, 4, rng), BatchNorm::new(4)], &[5, 3]);
    second_order("LayerNorm", sequential![Linear::new(3, 4, rng), LayerNorm::new([4])], &[2, 3]);
    second_order("Lstm", Lstm::bidirectional(2, 3, 1, rng).projected(2, rng), &[2, 4, 2]);
    second_order("Gru", Gru::new(2, 3, rng), &[2, 4, 2]);
    second_order("MultiHeadAttention", MultiHeadAttention::new(4, 2, rng).causal(), &[2, 3, 4]);
    let block = TransformerEncoderLayer::new(4, 2, 6, rng).gelu().dropout(0.2);
    second_order("TransformerEncoderLayer", block, &[2, 3, 4]);
}

fn pictures<T: Real>() -> Sequential<T> {
    let rng = &mut MatlabRng::new(1);
    sequential![
        Conv2d::new(2, 4, 3, rng).padding(1),
        BatchNorm::new(4),
        Gelu,
        MaxPool2d::new(2).ceil_mode(),
        Conv2d::new(4, 3, 2, rng),
        AvgPool2d::new(2).stride(1),
        Flatten,
        Linear::new(6, 5, rng),
    ]
}

fn sequences<T: Real>() -> Sequential<T> {
    let rng = &mut MatlabRng::new(1);
    sequential![
        TransformerEncoderLayer::new(4, 2, 6, rng).causal(),
        Lstm::new(4, 3, rng),
        LayerNorm::new([3]),
        Linear::new(3, 5, rng)
    ]
}

/// What a net gives and its gradient, in double precision's numbers.
fn numbers<T: Real>(net: &Sequential<T>, shape: &[usize]) -> Vec<f64> {
    let tape = Tape::new();
    let y = net.forward(begun(&tape, shape));
    let (mut all, gradients) = (y.value().to_vec(), loss(y).backward());
    all.extend(net.gradient_vector(&gradients));
    all.into_iter().map(T::as_f64).collect()
}

#[test]
fn single_precision_is_double_precision_rounded() {
    let nets = [
        (pictures::<f32>(), pictures::<f64>(), &[3, 2, 5, 7][..]),
        (sequences::<f32>(), sequences::<f64>(), &[2, 5, 4]),
    ];
    for (single, mut double, shape) in nets {
        let exact = single.state_dict().into_iter();
        let exact = exact.map(|(name, value)| {
            let numbers = value.to_vec().into_iter().map(f64::from).collect();
            (name, Tensor::new(value.shape().clone(), numbers))
        });
        double.load_state_dict(&exact.collect()).unwrap();
        let (rounded, expected) = (numbers(&single, shape), numbers(&double, shape));
        assert_eq!(rounded.len(), expected.len());
        for (i, (a, b)) in rounded.iter().zip(&expected).enumerate() {
            assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "number {i} is {a} and not {b}");
        }
    }
}
