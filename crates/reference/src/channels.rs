//! Functions of the channels of a batch.

use std::any::Any;

use wengert_core::op::{BatchNorm, ChannelMoments};

use crate::estimate::{Estimate, Total};
use crate::rows::layer_norm;
use crate::{Array, Precision, What};

/// The number of channels of `[batch, channels, ..]`, and the channel of each element.
fn channels(x: &Array) -> (usize, Vec<usize>) {
    let [_, channels, ref inner @ ..] = x.shape[..] else { panic!("a batch has channels") };
    let inner: usize = inner.iter().product();
    (channels, (0..x.elements.len()).map(|place| place / inner % channels).collect())
}

/// The elements of a channel, in their order.
fn elements(x: &Array, of: &[usize], channel: usize) -> Vec<f64> {
    x.elements.iter().zip(of).filter(|&(_, &own)| own == channel).map(|(&x, _)| x).collect()
}

pub(crate) fn define(op: &dyn Any, args: &[Array], precision: &Precision) -> Option<What> {
    let x = args.first()?;
    if let Some(BatchNorm { epsilon }) = op.downcast_ref() {
        let epsilon = precision.round(*epsilon);
        let (count, of) = channels(x);
        let (scale, shift) = (&args[1].elements, &args[2].elements);
        let mut results: Vec<_> = (0..count)
            .map(|channel| layer_norm(&elements(x, &of, channel), epsilon).into_iter())
            .collect();
        let result = of.iter().map(|&channel| {
            let Estimate { value, error } = results[channel].next().expect("as many elements");
            let [scale, shift] = [scale[channel], shift[channel]];
            let value = value * scale;
            let error = (error + 1.0) * scale.abs() + 2.0 * (value.abs() + shift.abs());
            Estimate { value: value + shift, error }
        });
        return Some((x.shape.clone(), result.collect()).into());
    }
    if let Some(&ChannelMoments { correction }) = op.downcast_ref() {
        let (count, of) = channels(x);
        let moments = (0..count).flat_map(|channel| {
            let elements = elements(x, &of, channel);
            let count = elements.len() as f64;
            let mean = Total::of(elements.iter().copied()).value() / count;
            let squares = elements.iter().map(|x| (x - mean) * (x - mean));
            let variance = Total::of(squares).value() / (count - correction as f64).max(0.0);
            let largest = elements.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
            // The mean of this definition is rounded, too.
            let error = 16.0 * variance + f64::EPSILON * largest * largest;
            [Estimate { value: mean, error: 8.0 * largest }, Estimate { value: variance, error }]
        });
        return Some((vec![count, 2], moments.collect()).into());
    }
    None
}
