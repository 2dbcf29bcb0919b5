//! Losses, layers and optimisers where numbers are infinite, missing, very large or very small.
//!
//! The right numbers are closed forms, in double precision, of the text beside them.

use wengert_core::{Tape, Tensor, Var, grad, hessian, hvp};
use wengert_nn::layer::AttentionMask;
use wengert_nn::loss::*;
use wengert_nn::optim::{Adam, AdamW, Lion, NAdam, Optimiser, RmsProp, Rule, Sgd};
use wengert_nn::random::MatlabRng;
use wengert_nn::{
    Dropout, Hardshrink, Hardswish, Layer, MultiHeadAttention, Param, Prelu, Softshrink,
};

const NEVER: f64 = f64::NEG_INFINITY;

fn near(found: &Tensor<f64>, expected: &[f64]) {
    let found = found.to_vec();
    let is_near = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= 1e-12 * (1.0 + b.abs());
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(is_near),
        "{found:?} and not {expected:?}"
    );
}

/// A loss of logits with its gradient.
fn at(x: &Tensor<f64>, loss: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>) -> (f64, Tensor<f64>) {
    let tape = Tape::new();
    let x = tape.variable(x);
    let y = loss(x);
    let [slope] = y.grad([x]);
    let backward = y.backward().wrt(x);
    assert_eq!(format!("{backward}"), format!("{}", slope.value()));
    (y.item(), backward)
}

/// Of logits 0, ln 3 and minus infinity, shares are 1/4, 3/4 and 0.
#[test]
fn a_logit_of_minus_infinity_takes_no_part() {
    let logits = Tensor::from([[0.0, 3.0_f64.ln(), NEVER]]);
    let (expected, slope) = ((4.0_f64 / 3.0).ln(), [0.25, -0.25, 0.0]);
    fn one_hot<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        x.tape().constant([[0.0, 1.0, 0.0]])
    }
    for (value, gradient) in [
        at(&logits, |x| cross_entropy(x, &[1])),
        at(&logits, |x| CrossEntropy::new().of(x, &[1])),
        at(&logits, |x| cross_entropy_with(x, one_hot(x))),
        at(&logits, |x| kl_divergence(x.log_softmax(-1), one_hot(x))),
    ] {
        assert!((value - expected).abs() < 1e-15, "{value}");
        near(&gradient, &slope);
    }
    // 1 - ln 3 + 0 is below 0, and so is minus infinity.
    let (value, gradient) = at(&logits, |x| multi_margin(x, &[1]));
    assert_eq!(value, 0.0);
    near(&gradient, &[0.0; 3]);
    let (value, _) = at(&logits, |x| multi_margin(x, &[2]));
    assert_eq!(value, f64::INFINITY);
}

#[test]
fn a_divergence_of_nothing_from_nothing_is_nothing() {
    let p = Tensor::from([0.25, 0.75, 0.0]);
    let tape = Tape::new();
    let (p, q) = (tape.constant(&p), tape.variable(&p));
    assert_eq!(kl_divergence(q.ln(), p).item(), 0.0);
    let (value, gradient) = at(&Tensor::from([0.5_f64.ln(), 0.5_f64.ln(), NEVER]), |x| {
        kl_divergence(x, x.tape().constant([0.25, 0.75, 0.0]))
    });
    assert!((value - (0.25 * 0.5_f64.ln() + 0.75 * 1.5_f64.ln())).abs() < 1e-15);
    near(&gradient, &[-0.25, -0.75, 0.0]);
}

#[test]
fn an_ignored_row_may_hold_anything() {
    let row = [0.3, -0.2, 0.9];
    let alone = at(&Tensor::from([row]), |x| cross_entropy(x, &[2]));
    for number in [f64::NAN, f64::INFINITY, NEVER] {
        let logits = Tensor::from([[number, 1.0, number], row]);
        let (value, gradient) = at(&logits, |x| CrossEntropy::new().ignoring(9).of(x, &[9, 2]));
        assert!((value - alone.0).abs() < 1e-15, "{number}: {value}");
        assert_eq!(gradient.to_vec()[..3], [0.0; 3]);
        near(&gradient.slice(0, 1, 1, 1).reshape([1, 3]), &alone.1.to_vec());
    }
    let logits = Tensor::from([f64::NAN; 3]);
    assert_eq!(at(&logits, |x| CrossEntropy::new().ignoring(1).sum().of(x, &[1])).0, 0.0);
}

/// `ln(1 + e^-x)` for the answer yes, and its slope `-1 / (1 + e^x)`, out to infinity.
#[test]
fn the_binary_cross_entropy_keeps_its_digits() {
    for logit in [-30.0_f32, -3.0, 0.0, 0.5, 10.0, 15.0, 40.0, 80.0] {
        for (target, sign) in [(1.0_f32, -1.0), (0.0, 1.0)] {
            let x = f64::from(sign * logit);
            let (value, slope) = (x.max(0.0) + (-x.abs()).exp().ln_1p(), 1.0 / (1.0 + (-x).exp()));
            let tape = Tape::<f32>::new();
            let logits = tape.variable([logit]);
            let loss = binary_cross_entropy(logits, tape.constant([target]));
            let found = f64::from(loss.item());
            assert!((found / value - 1.0).abs() < 4e-7, "{logit}, {target}: {found} for {value}");
            let found = f64::from(loss.backward().wrt(logits).item() * sign);
            assert!((found / slope - 1.0).abs() < 4e-7, "{logit}, {target}: {found} for {slope}");
        }
    }
    for (x, target) in [(f64::INFINITY, 1.0), (NEVER, 0.0)] {
        let (value, gradient) =
            at(&Tensor::from([x]), |x| binary_cross_entropy(x, x.tape().constant([target])));
        assert_eq!((value, gradient.item()), (0.0, 0.0));
    }
    // sigmoid(0)^2 for any target.
    let bend =
        hessian(|x| binary_cross_entropy(x, x.tape().constant([0.3])), &Tensor::from([0.0_f64]));
    assert!((bend.item() - 0.25).abs() < 1e-15);
}

/// Two and three logits of one size, however large: `ln 2` with 1/2 for each.
#[test]
fn a_cross_entropy_does_not_feel_a_shift() {
    let tape = Tape::<f32>::new();
    let logits = tape.variable([[1e8, 1e8]]);
    let loss = cross_entropy(logits, &[0]);
    assert_eq!(loss.item(), 2.0_f32.ln());
    assert_eq!(loss.backward().wrt(logits).to_vec(), [-0.5, 0.5]);
    let expected = (-15.0_f64).exp().ln_1p();
    for loss in [
        cross_entropy(tape.variable([[15.0, 0.0]]), &[0]),
        cross_entropy(tape.variable([[15.0 + 1_048_576.0, 1_048_576.0]]), &[0]),
        CrossEntropy::new().of(tape.variable([[15.0, 0.0]]), &[0]),
    ] {
        assert!((f64::from(loss.item()) / expected - 1.0).abs() < 2e-7, "{}", loss.item());
    }
}

#[test]
fn labels_that_do_not_fit_are_infinite_or_left_out() {
    // Sample 0 has two labels for one step; sample 1 has probabilities of 1/2 for one label.
    let half = Tensor::full([2, 1, 2], 0.5_f64.ln());
    let labels: [&[usize]; 2] = [&[1, 1], &[1]];
    let (value, gradient) = at(&half, |x| Ctc::new().of(x, &labels, &[1, 1]));
    assert_eq!(value, f64::INFINITY);
    near(&gradient, &[0.0, 0.0, 0.0, -0.5]);
    let (value, gradient) = at(&half, |x| Ctc::new().zero_infinity().of(x, &labels, &[1, 1]));
    assert!((value - 2.0_f64.ln() / 2.0).abs() < 1e-15);
    near(&gradient, &[0.0, 0.0, 0.0, -0.5]);
    // A probability of 0 for what is not needed, and for what is.
    let certain = Tensor::new([1, 2, 2], vec![NEVER, 0.0, NEVER, 0.0]);
    let (value, gradient) = at(&certain, |x| Ctc::new().of(x, &[&[1]], &[2]));
    assert_eq!(value, 0.0);
    near(&gradient, &[0.0, -1.0, 0.0, -1.0]);
    let (value, gradient) = at(&certain, |x| Ctc::new().zero_infinity().of(x, &[&[]], &[2]));
    assert_eq!((value, gradient.to_vec()), (0.0, vec![0.0; 4]));
}

/// The loss is `d^2 / 2` around 0, so that its second derivative is 1 / n there too.
#[test]
fn smooth_losses_are_smooth_at_zero() {
    let bend = hessian(|x| huber(x, x * 0.0, 1.0), &Tensor::from([0.0, 0.5, 3.0, -3.0]));
    let diagonal: Vec<f64> = (0..4).map(|i| bend.at(&[i, i])).collect();
    assert_eq!(diagonal, [0.25, 0.25, 0.0, 0.0]);
    let slope =
        grad(|x| huber(x, x.tape().constant([0.0; 4]), 1.0), &Tensor::from([0.0, 0.5, 3.0, -3.0]));
    assert_eq!(slope.to_vec(), [0.0, 0.125, 0.25, -0.25]);
}

/// Cosines do not feel lengths: a quarter turn less a margin.
#[test]
fn a_cosine_of_long_vectors() {
    let tape = Tape::<f32>::new();
    let a = tape.variable([[3e15, 4e15]]);
    let loss = cosine_embedding(a, tape.constant([[4e15, 3e15]]), tape.constant([1.0]), 0.0);
    assert!((loss.item() - 0.04).abs() < 1e-6);
}

fn attention(causal: bool) -> MultiHeadAttention<f64> {
    let net = MultiHeadAttention::new(4, 2, &mut MatlabRng::new(1));
    if causal { net.causal() } else { net }
}

fn sequence() -> Tensor<f64> {
    Tensor::from_fn([2, 3, 4], |i| (1.7 * i as f64).sin())
}

/// A query that sees nothing gets zeros, and changes no gradient but its own part of the bias; the
/// others are what they are without it.
#[test]
fn a_query_that_sees_nothing_sees_nothing() {
    for causal in [false, true] {
        let net = attention(causal);
        let hidden = [1.0, 1.0, 1.0];
        let unseen = Tensor::from([[0.0; 3], hidden, [0.0; 3]]);
        let added = unseen.map(|x| if x == 0.0 { 0.0 } else { NEVER });
        let run = |mask: &dyn for<'t> Fn(&'t Tape<f64>) -> Option<AttentionMask<'t, f64>>| {
            let tape = Tape::new();
            let x = tape.variable(sequence());
            let masks: Vec<_> = mask(&tape).into_iter().collect();
            let y = net.attend_self(x, &masks);
            let kept = tape.constant(Tensor::from([[1.0], [0.0], [1.0]]));
            let gradients = (y * kept).square().sum().backward();
            let of_all = y.square().sum().backward().wrt(x);
            (y.value(), gradients.wrt(x), of_all)
        };
        let plain = run(&|_| None);
        let pairs = run(&|tape| Some(AttentionMask::Pairs(tape.constant(&unseen))));
        let float = run(&|tape| Some(AttentionMask::Added(tape.constant(&added))));
        for (y, gradient, of_all) in [pairs, float] {
            for batch in 0..2 {
                let row = y.slice(0, batch, 1, 1).slice(1, 1, 1, 1);
                assert_eq!(row.to_vec(), net.out_proj.bias.as_ref().unwrap().elements());
            }
            near(&y.slice(1, 0, 1, 1), &plain.0.slice(1, 0, 1, 1).to_vec());
            near(&y.slice(1, 2, 1, 1), &plain.0.slice(1, 2, 1, 1).to_vec());
            near(&gradient, &plain.1.to_vec());
            near(&of_all, &plain.1.to_vec());
        }
    }
}

/// All keys of a sample are filling: zeros, whatever stands there.
#[test]
fn a_sample_of_filling_gives_zeros() {
    let net = attention(false);
    let tape = Tape::new();
    let x = tape.variable(sequence());
    let mask = AttentionMask::Keys(tape.constant([[0.0; 3], [1.0; 3]]));
    let y = net.attend_self(x, &[mask]);
    assert_eq!(y.value().slice(0, 1, 1, 1).to_vec(), [0.0; 12]);
    let gradient = y.square().sum().backward().wrt(x);
    assert_eq!(gradient.slice(0, 1, 1, 1).to_vec(), [0.0; 12]);
    assert!(gradient.iter().all(f64::is_finite));
}

/// Layers that choose: an infinite slope behind what they drop does not come through.
#[test]
fn what_a_layer_drops_has_no_gradient() {
    let x = Tensor::from([-4.0, 0.1, 6.0]);
    for (layer, expected) in [
        (&Hardswish as &dyn Layer<f64>, [0.0, f64::NAN, 0.5 / 6.0_f64.sqrt()]),
        (&Hardshrink(0.5), [f64::NAN, 0.0, 0.5 / 6.0_f64.sqrt()]),
        (&Softshrink(0.5), [f64::NAN, 0.0, 0.5 / 5.5_f64.sqrt()]),
    ] {
        let slope = grad(|x| layer.forward(x).sqrt().sum(), &x).to_vec();
        for (i, (a, b)) in slope.iter().zip(expected).enumerate() {
            // Roots of negative numbers are nobody's.
            assert!(b.is_nan() || i == 1 && b != 0.0 || (a - b).abs() < 1e-15, "{slope:?}");
        }
    }
    // The slope of a rectifier has no part in positive numbers, and the number none in its own.
    let prelu = Prelu::<f64>::new(1);
    let tape = Tape::new();
    let x = tape.variable([[f64::INFINITY, -2.0]]);
    let gradients = prelu.forward(x).sum().backward();
    assert_eq!(gradients.wrt(x).to_vec(), [1.0, 0.25]);
    assert_eq!(prelu.weight.elements(), [0.25]);
    tape_gradient(&prelu.weight, -2.0, |tape| {
        prelu.forward(tape.constant([[f64::INFINITY, -2.0]])).sum()
    });
}

fn tape_gradient(
    param: &Param<f64>,
    expected: f64,
    cost: impl for<'t> Fn(&'t Tape<f64>) -> Var<'t, f64>,
) {
    let tape = Tape::new();
    let gradients = cost(&tape).backward();
    gradients.with_parameter(param.key(), |gradient| {
        assert_eq!(gradient.iter().collect::<Vec<_>>(), [expected]);
    });
}

#[test]
fn what_dropout_leaves_out_may_be_infinite() {
    let tape = Tape::<f64>::new();
    tape.train(3);
    let x = tape.variable(Tensor::zeros([50]));
    let y = Dropout::new(0.5).forward(x + 1.0);
    let dropped = y.value();
    assert!(dropped.iter().any(|y| y == 0.0));
    let gradient = y.sqrt().sum().backward().wrt(x);
    for (y, slope) in dropped.iter().zip(gradient.iter()) {
        assert_eq!(slope == 0.0, y == 0.0);
        assert!(slope.is_finite());
    }
}

/// One step of a rule from 1, in single precision, with a constant gradient.
fn mean_after<R: Rule>(mut optimiser: Optimiser<f32, R>, steps: usize) -> f64 {
    let (mut param, mut tape) = (Param::new([1.0_f32]), Tape::new());
    for _ in 0..steps {
        tape.reset();
        let gradients = (param.on(&tape) * 0.5).sum().backward();
        optimiser.step(&mut param, &gradients);
    }
    f64::from(param.elements()[0])
}

/// With a constant gradient Adam's step is the rate, whatever the shares: `m'` is `g` and `v'` is
/// `g^2`. A share of 0.999999 that is told from 1 in single precision is 0.7 % off.
#[test]
fn shares_near_one_are_exact() {
    let (keep, rate) = (0.999_999, 0.125);
    for steps in [1, 3] {
        let expected = 1.0 - rate * steps as f64;
        for found in [
            mean_after(Adam::new(rate).betas(keep, keep), steps),
            mean_after(Adam::new(rate).betas(0.0, keep), steps),
            mean_after(AdamW::new(rate).betas(0.9, keep).weight_decay(0.0), steps),
        ] {
            assert!((found - expected).abs() < 1e-6, "{found} and not {expected}");
        }
    }
    // v = (1 - keep) g^2 after a step.
    let expected = 1.0 - 0.125 * 0.5 / ((0.25 * (1.0_f64 - keep)).sqrt() + 1e-8);
    let found = mean_after(RmsProp::new(0.125).keep(keep), 1);
    assert!((found / expected - 1.0).abs() < 1e-6, "{found} and not {expected}");
    assert_eq!(mean_after(Lion::new(0.125).betas(keep, keep), 1), 0.875);
    assert!(mean_after(NAdam::new(0.125).betas(0.9, keep), 1).is_finite());
}

/// A gradient of (3, 4) at any size is clipped to (0.6, 0.8).
#[test]
fn clipping_works_at_all_sizes() {
    for size in [1e-25_f32, 1e-10, 1.0, 1e20, 1e30] {
        let mut param = Param::new([1.0_f32, 1.0]);
        let tape = Tape::new();
        let weights = tape.constant([3.0 * size, 4.0 * size]);
        let gradients = (param.on(&tape) * weights).sum().backward();
        let bound = if size < 1.0 { f64::from(size) } else { 1.0 };
        let rate = 1.0 / bound;
        Sgd::new(rate).clip_norm(bound).step(&mut param, &gradients);
        for (a, b) in param.elements().iter().zip([0.4, 0.2]) {
            assert!((a - b).abs() < 1e-6, "{size}: {a} and not {b}");
        }
        let norm = wengert_nn::optim::gradient_norm(&param, &gradients);
        assert!((norm / (5.0 * f64::from(size)) - 1.0).abs() < 1e-6);
    }
    let param = Param::new([1.0, 1.0]);
    let tape = Tape::new();
    let gradients = (param.on(&tape) * tape.constant([3e200, 4e200])).sum().backward();
    let norm = wengert_nn::optim::gradient_norm(&param, &gradients);
    assert!((norm / 5e200 - 1.0).abs() < 1e-14);
}

/// Second derivatives exist through all of these.
#[test]
fn losses_at_their_limits_have_second_derivatives() {
    let x = Tensor::from([[0.0, 1.0, NEVER]]);
    let v = Tensor::from([[1.0, 2.0, 0.0]]);
    // The Hessian is diag(s) - s s' with shares s.
    let s = [0.0_f64, 1.0].map(|x| x.exp() / (1.0 + 1.0_f64.exp()));
    let along = s[0] + 2.0 * s[1];
    let expected = [s[0] * (1.0 - along), s[1] * (2.0 - along), 0.0];
    near(&hvp(|x| CrossEntropy::new().of(x, &[0]), &x, &v), &expected);
    near(&hvp(|x| cross_entropy(x, &[0]), &x, &v), &expected);
}
