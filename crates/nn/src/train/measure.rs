//! Measuring a model without training it.

use wengert_core::{Real, Tape, Var};

use super::Metrics;
use crate::FileError;
use crate::data::{DataLoader, Dataset};

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
    measure_on(&mut Tape::new(), net, loader, &loss)
}

/// As [`measure`], on a tape that is used again.
pub(super) fn measure_on<T: Real, M, D: Dataset>(
    tape: &mut Tape<T>,
    net: &M,
    loader: &DataLoader<D>,
    loss: &impl for<'t> Fn(&M, &'t Tape<T>, &D::Batch, &mut Metrics) -> Var<'t, T>,
) -> Result<Metrics, FileError> {
    let mut metrics = Metrics::default();
    for (index, batch) in loader.epoch(0).enumerate() {
        let batch = batch?;
        tape.reset();
        // With derivatives recorded: a loss may ask for some, of any order.
        let loss = loss(net, tape, &batch, &mut metrics).item();
        metrics.mean(LOSS, loss.as_f64(), loader.batch_len(index) as f64);
    }
    Ok(metrics)
}
