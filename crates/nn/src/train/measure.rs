//! Measuring a model without training it.

use std::ops::Range;

use wengert_core::{Real, Tape, Var};

use super::exchange::{Group, Reader, Writer, agreed};
use super::{Metrics, TrainError};
use crate::FileError;
use crate::data::{DataLoader, Dataset, part_of};

/// What the loss is called among the metrics.
pub(super) const LOSS: &str = "loss";

/// Measures a model on all samples of a loader, without training it: the mean loss as
/// `loss`, and what else the function measures.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::data::DataLoader;
/// use wengert_nn::loss::mse;
/// use wengert_nn::train::measure;
/// use wengert_nn::{Layer, Linear};
///
/// let net = Linear::from_parts([[2.0]], [0.0]);
/// let x = Tensor::from([[1.0], [2.0], [3.0]]);
/// let loader = DataLoader::new((x.clone(), x), 2);
/// let metrics = measure(&net, &loader, |net, tape, (x, y), metrics| {
///     let output = net.forward(tape.constant(x));
///     metrics.r_squared(output, y);
///     mse(output, tape.constant(y))
/// })?;
/// assert!((metrics.value("loss").unwrap() - 14.0 / 3.0).abs() < 1e-12);
/// assert!((metrics.value("R2").unwrap() - (1.0 - 14.0 / 2.0)).abs() < 1e-12);
/// # Ok::<(), wengert_nn::FileError>(())
/// ```
///
/// # Errors
/// If data cannot be read.
pub fn measure<T: Real, M, D: Dataset>(
    net: &M,
    loader: &DataLoader<D>,
    loss: impl for<'t> Fn(&M, &'t Tape<T>, &D::Batch, &mut Metrics) -> Var<'t, T>,
) -> Result<Metrics, FileError> {
    let of_batches = measure_batches(&mut Tape::new(), net, loader, 0..loader.len(), &loss)?;
    Ok(merged(of_batches))
}

/// As [`measure`], on several processes, each of which measures a run of the batches, and on a tape
/// that is used again.
pub(super) fn measure_on<T: Real, M, D: Dataset>(
    group: &impl Group,
    tape: &mut Tape<T>,
    net: &M,
    loader: &DataLoader<D>,
    loss: &impl for<'t> Fn(&M, &'t Tape<T>, &D::Batch, &mut Metrics) -> Var<'t, T>,
) -> Result<Metrics, TrainError> {
    let own = part_of(loader.len(), group.rank(), group.size());
    let measured = measure_batches(tape, net, loader, own, loss).map_err(TrainError::from);
    let of_batches = agreed(group, measured)?;
    if group.size() == 1 {
        return Ok(merged(of_batches));
    }
    let mut writer = Writer::default();
    of_batches.iter().for_each(|metrics| writer.metrics(metrics));
    let all = group.gather(&writer.finish());
    Ok(merged(all.iter().flat_map(|said| {
        let mut reader = Reader(said);
        std::iter::from_fn(move || (!reader.is_empty()).then(|| reader.metrics()))
    })))
}

/// What the batches of a run come to, each by itself.
fn measure_batches<T: Real, M, D: Dataset>(
    tape: &mut Tape<T>,
    net: &M,
    loader: &DataLoader<D>,
    run: Range<usize>,
    loss: &impl for<'t> Fn(&M, &'t Tape<T>, &D::Batch, &mut Metrics) -> Var<'t, T>,
) -> Result<Vec<Metrics>, FileError> {
    let batches = loader.epoch_from(0, run.start).take(run.len());
    let measured = run.zip(batches).map(|(number, batch)| {
        let (batch, mut metrics) = (batch?, Metrics::default());
        tape.reset();
        // With derivatives recorded: a loss may ask for some, of any order.
        let loss = loss(net, tape, &batch, &mut metrics).item();
        metrics.mean(LOSS, loss.as_f64(), loader.batch_len(number) as f64);
        Ok(metrics)
    });
    measured.collect()
}

/// All metrics, added up in the order of the batches.
fn merged(of_batches: impl IntoIterator<Item = Metrics>) -> Metrics {
    of_batches.into_iter().fold(Metrics::default(), |mut all, metrics| {
        all.merge(&metrics);
        all
    })
}
