//! Metrics: what is measured beside the loss, over the batches of an epoch.
//!
//! *Invariant*: sums are taken in double precision, batch after batch, so that they
//! do not depend on threads.

use std::borrow::Cow;

use indexmap::IndexMap;
use wengert_core::{Real, Tensor, Var};

use super::Confusion;

/// What has been measured since an epoch began.
///
/// The function that records a batch's loss says what else to measure, in one place
/// for training and validation:
///
/// ```
/// use wengert_core::{Tape, Var};
/// use wengert_nn::loss::cross_entropy;
/// use wengert_nn::train::Metrics;
///
/// fn loss<'t>(logits: Var<'t, f32>, labels: &[usize], metrics: &mut Metrics) -> Var<'t, f32> {
///     metrics.top_k(1, logits, labels);
///     metrics.confusion(logits, labels);
///     cross_entropy(logits, labels)
/// }
///
/// let (tape, mut metrics) = (Tape::new(), Metrics::default());
/// loss(tape.constant([[2.0, 0.0], [1.0, 0.0]]), &[0, 1], &mut metrics);
/// assert_eq!(metrics.value("accuracy"), Some(0.5));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    entries: IndexMap<String, Entry>,
}

#[derive(Clone, Debug)]
enum Entry {
    Mean { sum: f64, weight: f64 },
    Confusion(Confusion),
    RSquared(RSquared),
}

impl Metrics {
    /// Adds a number to a mean by any name, with a weight: usually the number of samples
    /// that it stands for.
    ///
    /// # Panics
    /// If the name is that of a metric of another kind.
    #[track_caller]
    pub fn mean(&mut self, name: &str, value: f64, weight: f64) {
        match self.entry(name, || Entry::Mean { sum: 0.0, weight: 0.0 }) {
            Entry::Mean { sum, weight: all } => {
                *sum += weight * value;
                *all += weight;
            }
            _ => panic!("`{name}` is no mean"),
        }
    }

    /// The share of samples whose label is among the `k` largest outputs, of shape
    /// `[N, classes]`: `accuracy` for a `k` of 1, else `top-k accuracy`.
    ///
    /// # Panics
    /// If shape or number do not fit, or a label is no class.
    #[track_caller]
    pub fn top_k<T: Real>(&mut self, k: usize, outputs: Var<'_, T>, labels: &[usize]) {
        let right = in_top(k, &outputs.value(), labels);
        let share = right as f64 / labels.len() as f64;
        let name: Cow<'_, str> =
            if k == 1 { "accuracy".into() } else { format!("top-{k} accuracy").into() };
        if !labels.is_empty() {
            self.mean(&name, share, labels.len() as f64);
        }
    }

    /// The [`Confusion`] of classes, and the mean of their F1 as `F1`.
    ///
    /// # Panics
    /// As [`Confusion::add`].
    #[track_caller]
    pub fn confusion<T: Real>(&mut self, outputs: Var<'_, T>, labels: &[usize]) {
        let classes = outputs.shape().last().copied().unwrap_or(0);
        match self.entry("F1", || Entry::Confusion(Confusion::new(classes))) {
            Entry::Confusion(confusion) => confusion.add(&outputs.value(), labels),
            _ => panic!("`F1` is no confusion of classes"),
        }
    }

    /// The coefficient of determination, [`RSquared`], as `R2`.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn r_squared<T: Real>(&mut self, outputs: Var<'_, T>, targets: &Tensor<T>) {
        match self.entry("R2", || Entry::RSquared(RSquared::default())) {
            Entry::RSquared(r_squared) => r_squared.add(&outputs.value(), targets),
            _ => panic!("`R2` is no coefficient of determination"),
        }
    }

    /// What has been measured, as lists of numbers under names of place, kind and metric.
    pub(super) fn state(&self) -> impl Iterator<Item = (String, Tensor<f64>)> {
        self.entries.iter().enumerate().map(|(place, (name, entry))| {
            let (kind, numbers) = entry.state();
            (format!("{place}.{kind}.{name}"), Tensor::from(numbers))
        })
    }

    /// The inverse of [`state`](Self::state), in whatever order the lists come; nothing if one is of
    /// no kind that there is, or of another length.
    pub(super) fn of_state(lists: impl Iterator<Item = (String, Tensor<f64>)>) -> Option<Self> {
        let entry = |(name, numbers): (String, Tensor<f64>)| {
            let (place, rest) = name.split_once('.')?;
            let (kind, metric) = rest.split_once('.')?;
            let entry = Entry::of(kind, &numbers.to_vec())?;
            Some((place.parse::<usize>().ok()?, metric.to_owned(), entry))
        };
        let mut entries = lists.map(entry).collect::<Option<Vec<_>>>()?;
        entries.sort_by_key(|&(place, ..)| place);
        Some(Self { entries: entries.into_iter().map(|(_, name, entry)| (name, entry)).collect() })
    }

    fn entry(&mut self, name: &str, new: impl FnOnce() -> Entry) -> &mut Entry {
        if !self.entries.contains_key(name) {
            self.entries.insert(name.to_owned(), new());
        }
        &mut self.entries[name]
    }

    /// A metric by its name.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.entries.get(name).map(Entry::value)
    }

    /// All metrics, in the order in which they were first measured.
    pub fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        self.entries.iter().map(|(name, entry)| (&**name, entry.value()))
    }

    /// The matrix, if one was asked for.
    pub fn matrix(&self) -> Option<&Confusion> {
        match self.entries.get("F1")? {
            Entry::Confusion(confusion) => Some(confusion),
            _ => None,
        }
    }

    /// Adds what was measured elsewhere, on other samples.
    ///
    /// # Panics
    /// If metrics of one name are of different kinds.
    #[track_caller]
    pub fn merge(&mut self, other: &Self) {
        for (name, theirs) in &other.entries {
            match (self.entries.get_mut(name), theirs) {
                (None, theirs) => {
                    self.entries.insert(name.clone(), theirs.clone());
                }
                (Some(Entry::Mean { sum, weight }), Entry::Mean { sum: s, weight: w }) => {
                    *sum += s;
                    *weight += w;
                }
                (Some(Entry::Confusion(own)), Entry::Confusion(theirs)) => own.merge(theirs),
                (Some(Entry::RSquared(own)), Entry::RSquared(theirs)) => own.merge(theirs),
                _ => panic!("`{name}` is of two kinds"),
            }
        }
    }
}

impl Entry {
    /// The kind and its numbers.
    fn state(&self) -> (&'static str, Vec<f64>) {
        match self {
            Entry::Mean { sum, weight } => ("mean", vec![*sum, *weight]),
            Entry::Confusion(confusion) => ("confusion", confusion.state()),
            Entry::RSquared(r_squared) => ("r_squared", r_squared.state()),
        }
    }

    fn of(kind: &str, numbers: &[f64]) -> Option<Self> {
        match (kind, numbers) {
            ("mean", &[sum, weight]) => Some(Entry::Mean { sum, weight }),
            ("confusion", counts) => Confusion::of_state(counts).map(Entry::Confusion),
            ("r_squared", numbers) => RSquared::of_state(numbers).map(Entry::RSquared),
            _ => None,
        }
    }

    fn value(&self) -> f64 {
        match self {
            Entry::Mean { sum, weight } => sum / weight,
            Entry::Confusion(confusion) => confusion.macro_f1(),
            Entry::RSquared(r_squared) => r_squared.value(),
        }
    }
}

/// How many samples have their label among the `k` largest outputs, of shape
/// `[N, classes]`. Of equal outputs the first counts as larger; a NaN is never among them.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::train::in_top;
///
/// let outputs = Tensor::from([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]]);
/// assert_eq!((in_top(1, &outputs, &[1, 1]), in_top(2, &outputs, &[1, 1])), (1, 2));
/// ```
///
/// # Panics
/// If shape or number do not fit, or a label is no class.
#[track_caller]
pub fn in_top<T: Real>(k: usize, outputs: &Tensor<T>, labels: &[usize]) -> usize {
    let scores = scores_of(outputs, labels);
    let classes = outputs.shape()[1].max(1);
    let is_in = |(scores, &label): (&[T], &usize)| {
        let own = scores[label];
        let before = |(i, &x): (usize, &T)| x > own || (x == own && i < label);
        !own.is_nan() && scores.iter().enumerate().filter(|&score| before(score)).count() < k
    };
    scores.chunks_exact(classes).zip(labels).filter(|&sample| is_in(sample)).count()
}

/// The outputs, one row a sample, of which labels are to be found.
#[track_caller]
pub(super) fn scores_of<'a, T: Real>(outputs: &'a Tensor<T>, labels: &[usize]) -> Cow<'a, [T]> {
    let shape = outputs.shape();
    let [samples, classes] = shape[..] else {
        panic!("outputs of classes have shape [N, classes], not {shape}");
    };
    let given = labels.len();
    assert!(samples == given, "expected a label for each of the {samples} samples, got {given}");
    if let Some((i, label)) = labels.iter().enumerate().find(|&(_, &label)| label >= classes) {
        panic!("label {label} of sample {i} is none of 0..{classes}");
    }
    outputs.as_slice().map_or_else(|| outputs.to_vec().into(), Cow::from)
}

/// The coefficient of determination: `1 - sum (y - f)^2 / sum (y - mean y)^2`, of
/// predictions `f` and targets `y`; 1 is perfect, and always the mean scores 0. Of several
/// targets a sample, the mean of theirs.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::train::RSquared;
///
/// let mut r_squared = RSquared::default();
/// r_squared.add(&Tensor::from([1.0, 2.0]), &Tensor::from([1.0, 3.0]));
/// r_squared.add(&Tensor::from([5.0]), &Tensor::from([5.0]));
/// assert_eq!(r_squared.value(), 1.0 - 1.0 / 8.0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct RSquared {
    count: f64,
    targets: Vec<Target>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Target {
    mean: f64,
    /// The sum of squared differences from the mean.
    spread: f64,
    /// The sum of squared errors.
    errors: f64,
}

impl RSquared {
    /// Takes in a batch: of shape `[N]`, or `[N, targets]`.
    ///
    /// # Panics
    /// If the shapes differ, or the number of targets changes.
    #[track_caller]
    pub fn add<T: Real>(&mut self, outputs: &Tensor<T>, targets: &Tensor<T>) {
        let shape = outputs.shape();
        assert!(
            shape == targets.shape(),
            "expected targets of the predictions' shape {shape}, got {}",
            targets.shape()
        );
        let width: usize = shape.iter().skip(1).product();
        if self.targets.is_empty() {
            self.targets = vec![Target::default(); width];
        }
        let due = self.targets.len();
        assert!(width == due, "expected {due} targets for each sample as before, got {width}");
        let (outputs, targets) = (outputs.to_vec(), targets.to_vec());
        let size = width.max(1);
        for (outputs, targets) in outputs.chunks_exact(size).zip(targets.chunks_exact(size)) {
            self.count += 1.0;
            for ((state, f), y) in self.targets.iter_mut().zip(outputs).zip(targets) {
                // The update of Welford (1962).
                let (f, y) = (f.as_f64(), y.as_f64());
                let before = y - state.mean;
                state.mean += before / self.count;
                state.spread += before * (y - state.mean);
                state.errors += (y - f).powi(2);
            }
        }
    }

    /// Adds what was measured elsewhere (Chan, Golub & LeVeque 1983).
    fn merge(&mut self, other: &Self) {
        if self.targets.is_empty() {
            return self.clone_from(other);
        }
        let count = self.count + other.count;
        for (own, theirs) in self.targets.iter_mut().zip(&other.targets) {
            let apart = theirs.mean - own.mean;
            own.mean += apart * other.count / count;
            own.spread += theirs.spread + apart * apart * self.count * other.count / count;
            own.errors += theirs.errors;
        }
        self.count = count;
    }

    /// The count, and three numbers for each target.
    fn state(&self) -> Vec<f64> {
        let each =
            self.targets.iter().flat_map(|target| [target.mean, target.spread, target.errors]);
        [self.count].into_iter().chain(each).collect()
    }

    fn of_state(numbers: &[f64]) -> Option<Self> {
        let (&count, rest) = numbers.split_first()?;
        let target = |three: &[f64]| Target { mean: three[0], spread: three[1], errors: three[2] };
        let targets = rest.chunks_exact(3).map(target).collect();
        rest.len().is_multiple_of(3).then_some(Self { count, targets })
    }

    /// The coefficient; NaN if nothing was taken in. Targets that are all equal have no variation
    /// to explain, and the formula divides by 0: as in scikit-learn's `r2_score`, the coefficient is 1
    /// then if all predictions are right, and 0 otherwise.
    pub fn value(&self) -> f64 {
        let each = self.targets.iter().map(|&Target { spread, errors, .. }| {
            if spread > 0.0 || errors.is_nan() || spread.is_nan() {
                1.0 - errors / spread
            } else {
                f64::from(u8::from(errors == 0.0))
            }
        });
        each.sum::<f64>() / self.targets.len() as f64
    }
}
