//! Channels of a batch: normalised, and their moments.
//!
//! A channel of `[batch, channels, ..]` is what a row is elsewhere: the functions of rows serve it.
//! Scale and shift are operands of the normalisation, so that its adjoints read what came in and
//! nothing else: no normalised copy of a batch has to be kept.

use std::any::Any;

use super::row_map::record_one_pass;
use crate::kernel::each_channel::Channels;
use crate::kernel::row_functions::{
    layer_norm, mean_and_variance, product_with_norm, scaled_norm_adjoint,
};
use crate::op::{Along, Call, Cost, Dependence, Domain, DynOp, Formula, Op, Samples, ShapeClass};
use crate::op::{Term, operands, stack};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tape::elemental::{add_terms, no_rules};
use crate::tensor::{AxisList, Shape, Tensor, View};

/// Each channel of `[batch, channels, ..]` with mean 0 and variance 1 over the batch and all
/// further axes, times a scale and plus a shift of the channel (Ioffe and Szegedy, 2015).
/// Operands: the batch, the scales and the shifts, of shape `[channels]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// What is added to the variance, so that a constant channel has a result.
    pub epsilon: f64,
}

/// The extent of the channels' axis, if there is one.
fn channels(x: &Shape) -> Result<usize, String> {
    match x[..] {
        [_, channels, ..] => Ok(channels),
        _ => Err(format!("takes [batch, channels, ..], and not shape {x}")),
    }
}

/// All axes but that of the channels.
fn other_axes(rank: usize) -> AxisList {
    (0..rank).filter(|&axis| axis != 1).collect()
}

/// A number for each channel, in a shape that broadcasts to the batch.
fn per_channel<'t, T: Real>(numbers: Var<'t, T>, rank: usize) -> Var<'t, T> {
    let beside = (0..rank).map(|axis| if axis == 1 { numbers.elements() } else { 1 });
    numbers.reshape(beside.collect::<Shape>())
}

/// What all channels of operands depend on.
fn by_channel(rank: usize) -> Dependence {
    let along = |axis| if axis == 1 { Along::Same(1) } else { Along::All };
    Dependence::Axes((0..rank).map(along).collect())
}

impl BatchNorm {
    /// The channels without scale and shift.
    fn normal<'t, T: Real>(&self, x: Var<'t, T>) -> Var<'t, T> {
        let ones = x.tape().constant(Tensor::full([x.shape()[1]], T::one()));
        x.tape().apply(*self, &[x, ones, ones.zeros_like()])
    }

    /// The Jacobian with respect to the batch, which is symmetric, times `c`.
    fn along<'t, T: Real>(&self, call: &Call<'_, 't, T>, c: Var<'t, T>) -> Var<'t, T> {
        let (x, scale) = (call.arg(0), call.arg(1));
        if x.elements() == 0 {
            // Of nothing there are no moments.
            return c;
        }
        let op = BatchNormAdjoint::Batch(self.epsilon);
        record_one_pass(op, &[x, scale, c]).unwrap_or_else(|| {
            let (rank, axes) = (x.rank(), other_axes(x.rank()));
            let centred = x.centred(axes.clone());
            // Without a square, which may overflow or vanish.
            let count = (x.elements() / scale.elements().max(1)) as f64;
            let length = centred.smooth_norm(axes.clone(), self.epsilon * count);
            let deviation = length / T::from_f64(count.sqrt());
            let normal = centred / per_channel(deviation, rank);
            let along = (c * normal).mean_keep(axes.clone());
            (c - c.mean_keep(axes) - normal * along) * per_channel(scale / deviation, rank)
        })
    }
}

impl Op for BatchNorm {
    const NAME: &'static str = "batch_norm";
    const FORMULA: Formula = Formula::new(
        "(x - mean x) / sqrt(var x + epsilon) * w + b by channel, with n = (x - mean x) / sqrt(var x + epsilon)",
        "dy = w (dx - mean dx - n mean(n dx)) / sqrt(var x + epsilon) + n dw + db",
        r"y = w n + b,\quad n = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}},\quad \dot y = w \frac{\dot x - \overline{\dot x} - n\,\overline{n \dot x}}{\sqrt{\sigma^2 + \epsilon}} + n \dot w + \dot b",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x, scale, shift] = operands(args)?;
        let channels = channels(x)?;
        for (name, own) in [("scales", scale), ("shifts", shift)] {
            if own[..] != [channels] {
                return Err(format!("a batch of shape {x} takes {name} [{channels}], not {own}"));
            }
        }
        Ok(x.clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let epsilon = T::from_f64(self.epsilon);
        let [x, scale, shift] = [0, 1, 2].map(|k| args[k].packed());
        Channels::of(args[0].shape()).map([&*x], out, |channel, [x], y| {
            layer_norm(x, epsilon, y);
            let (scale, shift) = (scale[channel], shift[channel]);
            y.iter_mut().for_each(|y| *y = *y * scale + shift);
        });
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let x = call.arg(0);
        let of_x = tangents[0].map(|dx| self.along(call, dx));
        // In scale and shift it is linear.
        let of_scale = tangents[1].map(|dw| x.tape().apply(*self, &[x, dw, dw.zeros_like()]));
        let of_shift = tangents[2].map(|db| per_channel(db, x.rank()).broadcast_to(x.shape()));
        add_terms([of_x, of_scale, of_shift])
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let x = call.arg(0);
        Some(match arg {
            0 => self.along(call, bar),
            1 => record_one_pass(BatchNormAdjoint::Scale(self.epsilon), &[x, bar])
                .unwrap_or_else(|| (bar * self.normal(x)).sum_over(other_axes(x.rank()))),
            _ => bar.sum_over(other_axes(x.rank())),
        })
    }

    fn cost(&self, _: &[&Shape], result: &Shape) -> Cost {
        let each = Cost { adds: 5, muls: 3, ..Cost::NONE }.times(result.elements());
        each.and(Cost { adds: 1, divs: 3, nonlinear: 1, muls: 0 }.times(result[1]))
    }

    fn dependence(&self, args: &[&Shape], arg: usize, _: &Shape) -> Dependence {
        match arg {
            0 => by_channel(args[0].rank()),
            _ => Dependence::Axes(vec![Along::Same(1)]),
        }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        let op = BatchNorm { epsilon: 0.1 };
        let reason = "a batch has channels";
        samples.absent(ShapeClass::Scalar, reason);
        samples.absent(ShapeClass::Vector, reason);
        for shape in [[4, 3].into(), [2, 3, 4].into(), [2, 2, 2, 3].into(), [3, 1].into()] {
            batch(samples, op, shape);
        }
        for shape in [[0, 3].into(), [2, 0, 3].into(), [2, 3, 0].into()] {
            batch(samples, op, shape);
        }
        let (x, three) = (Shape::from([4, 3]), Shape::from([3]));
        samples.error(
            op,
            &[[4].into(), three.clone(), three.clone()],
            "takes [batch, channels, ..]",
        );
        samples.error(op, &[x.clone(), [4].into(), three.clone()], "takes scales [3]");
        samples.error(op, &[x, three, [3, 1].into()], "takes shifts [3]");
    }
}

fn batch(samples: &mut Samples<BatchNorm>, op: BatchNorm, shape: Shape) {
    let own = Shape::from([shape[1]]);
    samples.case(op, [shape, own.clone(), own].map(|shape| (shape, Domain::reals())));
}

/// An adjoint of [`BatchNorm`] in one pass over memory, for sweeps that keep nothing: with `epsilon`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum BatchNormAdjoint {
    /// Of the batch, by the batch, the scales and a cotangent.
    Batch(f64),
    /// Of the scales, by the batch and a cotangent.
    Scale(f64),
}

impl<T: Real> DynOp<T> for BatchNormAdjoint {
    fn name(&self) -> &'static str {
        BatchNorm::NAME
    }

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        Ok(match self {
            Self::Batch(_) => args[0].clone(),
            Self::Scale(_) => [args[0][1]].into(),
        })
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        let channels = Channels::of(args[0].shape());
        let (x, c) = (args[0].packed(), args[args.len() - 1].packed());
        match *self {
            Self::Batch(epsilon) => {
                let (epsilon, scale) = (T::from_f64(epsilon), args[1].packed());
                channels.map([&*x, &*c], out, |channel, [x, c], out| {
                    scaled_norm_adjoint(x, epsilon, scale[channel], c, out);
                });
            }
            Self::Scale(epsilon) => {
                let epsilon = T::from_f64(epsilon);
                channels.reduce([&*x, &*c], out, |[x, c], room, out| {
                    out[0] = product_with_norm(x, epsilon, c, room);
                });
            }
        }
    }

    no_rules!();

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        BatchNorm { epsilon: 0.0 }.cost(&args[..1], args[0])
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// The mean of each channel of `[batch, channels, ..]`, and the sum of squared distances from it divided by
/// the number of elements less `correction`: `[channels, 2]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelMoments {
    /// 0 for the variance of the elements themselves, 1 for an unbiased estimate from a sample.
    pub correction: usize,
}

impl ChannelMoments {
    /// Elements of a channel, and what the sum of squares is divided by.
    fn counts(&self, x: &Shape) -> [f64; 2] {
        let count = Channels::of(x).count();
        [count, count.saturating_sub(self.correction)].map(|count| count as f64)
    }
}

impl Op for ChannelMoments {
    const NAME: &'static str = "channel_moments";
    const FORMULA: Formula = Formula::new(
        "[mean x, sum of (x - mean x)^2 / (count - correction)] by channel",
        "dy = [mean dx, 2 sum of (x - mean x) dx / (count - correction)]",
        r"y = (\mu,\ \textstyle\sum (x - \mu)^2 / (n - c)),\quad \dot y = (\overline{\dot x},\ 2 \textstyle\sum (x - \mu) \dot x / (n - c))",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        Ok([channels(x)?, 2].into())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [_, freedom] = self.counts(args[0].shape()).map(T::from_f64);
        Channels::of(args[0].shape()).reduce([&*args[0].packed()], out, |[x], _, out| {
            out.copy_from_slice(&mean_and_variance(x, freedom));
        });
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let (x, dx) = (call.arg(0), tangents[0]?);
        let axes = other_axes(x.rank());
        let [_, freedom] = self.counts(&x.shape());
        let squares = (x.centred(axes.clone()) * dx).sum_over(axes.clone());
        Some(stack(&[dx.mean_over(axes), squares * T::from_f64(2.0 / freedom)], 1))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let x = call.arg(0);
        let [count, freedom] = self.counts(&x.shape());
        let of = |k: usize| per_channel(bar.slice(1, k..=k), x.rank());
        let squares = x.centred(other_axes(x.rank())) * (of(1) * T::from_f64(2.0 / freedom));
        Some(squares + of(0) / T::from_f64(count))
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        let each = Cost { adds: 3, muls: 1, ..Cost::NONE }.times(args[0].elements());
        each.and(Cost { divs: 2, ..Cost::NONE }.times(result[0]))
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        let along = |axis| if axis == 1 { Along::Same(0) } else { Along::All };
        Dependence::Axes((0..args[0].rank()).map(along).collect())
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        let reason = "a batch has channels";
        samples.absent(ShapeClass::Scalar, reason);
        samples.absent(ShapeClass::Vector, reason);
        let [biased, unbiased] = [0, 1].map(|correction| ChannelMoments { correction });
        for shape in [[4, 3].into(), [2, 3, 4].into(), [2, 2, 2, 3].into(), [3, 1].into()] {
            samples.case(unbiased, [(shape, Domain::reals())]);
        }
        samples.case(biased, [([2, 3].into(), Domain::reals())]);
        samples.case(biased, [([2, 0, 3].into(), Domain::reals())]);
        samples.error(biased, &[[3].into()], "takes [batch, channels, ..]");
    }
}

/// # Channels
impl<'t, T: Real> Var<'t, T> {
    /// Each channel of `[batch, channels, ..]` with mean 0 and variance 1 over the batch and all
    /// further axes, times its `scale` and plus its `shift`, both of shape `[channels]`: batch
    /// normalisation as it is in training. `epsilon` is added to the variance.
    ///
    /// ```
    /// let tape = wengert_core::Tape::<f64>::new();
    /// let x = tape.variable([[1.0, 5.0], [3.0, 5.0]]);
    /// let y = x.batch_norm(tape.constant([10.0, 1.0]), tape.constant([0.0, 2.0]), 1e-9);
    /// assert!((y.value().at(&[0, 0]) + 10.0).abs() < 1e-7);
    /// assert_eq!(y.value().at(&[0, 1]), 2.0);
    /// ```
    ///
    /// # Panics
    /// If the variable has fewer than two axes, or `scale` or `shift` another shape.
    #[track_caller]
    pub fn batch_norm(self, scale: Self, shift: Self, epsilon: f64) -> Self {
        self.tape().apply(BatchNorm { epsilon }, &[self, scale, shift])
    }

    /// The mean and the variance of each channel of `[batch, channels, ..]`, as `[channels, 2]`. The sum
    /// of squared distances from the mean is divided by the number of elements less `correction`,
    /// as in [`var_over`](Self::var_over).
    ///
    /// ```
    /// let tape = wengert_core::Tape::<f64>::new();
    /// let x = tape.variable([[1.0, 5.0], [3.0, 5.0]]);
    /// assert_eq!(x.channel_moments(1).value().to_vec(), [2.0, 2.0, 5.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the variable has fewer than two axes.
    #[doc(alias = "var_mean")]
    #[track_caller]
    pub fn channel_moments(self, correction: usize) -> Self {
        self.apply(ChannelMoments { correction })
    }
}
