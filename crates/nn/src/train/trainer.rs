//! A training loop with all that belongs to it: what can be asked of it. How it runs stands in
//! `fit` and `run`.

use std::fmt::{self, Display};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;

use super::places::BUCKET;
use super::{Best, History};
use crate::optim::number::share;

/// Trains a model for some epochs.
///
/// Loss and metrics are recorded by one function, for training and validation.
/// With a [checkpoint](Self::checkpoint), a run that was interrupted at any moment goes on and
/// ends with the bits of one that was not.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::data::{DataLoader, Dataset};
/// use wengert_nn::loss::cross_entropy;
/// use wengert_nn::random::seeded;
/// use wengert_nn::train::{Best, Trainer};
/// use wengert_nn::{Adam, Layer, Linear};
///
/// let x = Tensor::from_fn([40, 1], |i| i as f32 / 40.0);
/// let labels: Vec<usize> = (0..40).map(|i| usize::from(i >= 20)).collect();
/// let rng = &mut seeded(1);
/// let (train, validation) = (x, labels).random_split(32, rng);
/// let train = DataLoader::new(train, 8).shuffled(1);
/// let validation = DataLoader::new(validation, 8);
///
/// let (mut net, mut adam) = (Linear::new(1, 2, rng), Adam::new(0.1));
/// let report = Trainer::new(60)
///     .keep_best(Best::lowest("validation loss").patience(20))
///     .fit(&mut net, &mut adam, (&train, &validation), |net, tape, (x, labels), metrics| {
///         let logits = net.forward(tape.constant(x));
///         metrics.top_k(1, logits, labels);
///         cross_entropy(logits, labels)
///     })?;
/// assert!(report.history.last("validation accuracy").unwrap() > 0.8);
/// # Ok::<(), wengert_nn::train::TrainError>(())
/// ```
pub struct Trainer<'a, M> {
    pub(super) epochs: usize,
    pub(super) seed: u64,
    /// What else decides on the run, as its owner says.
    pub(super) options: IndexMap<String, String>,
    /// The batches of a step.
    pub(super) accumulate: usize,
    /// The bytes of gradients that travel at a time.
    pub(super) bucket: usize,
    /// The share of itself that an average of the weights keeps at a step.
    pub(super) average: Option<f64>,
    pub(super) best: Option<Best>,
    pub(super) checkpoint: Option<PathBuf>,
    pub(super) every: Option<Every>,
    pub(super) resumes: bool,
    pub(super) interruptible: bool,
    pub(super) quiet: bool,
    pub(super) schedule: Option<Box<Schedule<'a>>>,
    pub(super) on_step: Option<Box<StepHook<'a, M>>>,
    pub(super) on_epoch: Option<Box<EpochHook<'a, M>>>,
}

impl<M> fmt::Debug for Trainer<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("epochs", &self.epochs)
            .field("seed", &self.seed)
            .field("accumulate", &self.accumulate)
            .field("average", &self.average)
            .field("best", &self.best)
            .field("checkpoint", &self.checkpoint)
            .finish_non_exhaustive()
    }
}

type Schedule<'a> = dyn FnMut(&Progress<'_>) -> f64 + 'a;
type StepHook<'a, M> = dyn FnMut(&M, &Progress<'_>, f64) + 'a;
type EpochHook<'a, M> = dyn FnMut(&mut M, &History) -> ControlFlow<()> + 'a;

/// How often a checkpoint is written within an epoch: a number of steps, or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Every {
    /// After a number of steps.
    Steps(usize),
    /// After the first step at which the time has gone by.
    Time(Duration),
}

impl From<usize> for Every {
    fn from(steps: usize) -> Self {
        Self::Steps(steps)
    }
}

impl From<Duration> for Every {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

/// How far a run has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The epoch, from 0.
    pub epoch: usize,
    /// The batch in it, from 0: the first one of the step.
    pub batch: usize,
    /// The batches of an epoch.
    pub batches: usize,
    /// The batches of a [step](Trainer::accumulate).
    pub accumulate: usize,
    /// What the epochs before came to.
    pub history: &'a History,
}

impl Progress<'_> {
    /// The step in the run, from 0.
    pub fn step(&self) -> usize {
        self.epoch * self.steps() + self.batch / self.accumulate
    }

    /// The steps of an epoch.
    pub fn steps(&self) -> usize {
        self.batches.div_ceil(self.accumulate)
    }
}

impl<'a, M> Trainer<'a, M> {
    /// A trainer for a number of epochs, with the seed 0.
    pub fn new(epochs: usize) -> Self {
        Self {
            epochs,
            seed: 0,
            options: IndexMap::new(),
            accumulate: 1,
            bucket: BUCKET,
            average: None,
            best: None,
            checkpoint: None,
            every: None,
            resumes: false,
            interruptible: false,
            quiet: false,
            schedule: None,
            on_step: None,
            on_epoch: None,
        }
    }

    /// With another seed of what layers draw. A loader has its own, which may be equal: they draw
    /// different numbers from it.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Takes a step on several batches: their gradients are added up, each by its share of the
    /// samples, before the optimiser sees them, as if they were one batch that needs no memory of its
    /// own. The last step of an epoch takes the batches that are left.
    ///
    /// The sum is `s <- s + share g` in the order of the batches, which is the gradient of the one
    /// large batch up to rounding, where layers don't look at the batch as a whole, as batch
    /// normalisation does. Buffers take the mean of what the batches assign. Gradients are clipped as
    /// sums, and [schedules](Self::schedule) and [hooks](Self::on_step) are called once a step.
    ///
    /// ```
    /// # use wengert_nn::train::Trainer;
    /// # type Net = wengert_nn::Param<f32>;
    /// // Batches of 32 that fit into memory, and steps of 256.
    /// let trainer: Trainer<'_, Net> = Trainer::new(45).accumulate(8);
    /// ```
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    #[track_caller]
    pub fn accumulate(self, batches: usize) -> Self {
        assert!(batches > 0, "a step has at least one batch");
        Self { accumulate: batches, ..self }
    }

    /// With gradients that travel in buckets of `bytes`, where [several processes](Self::fit_on) train:
    /// see [`DataParallel::bucket`](super::DataParallel::bucket).
    #[must_use]
    pub fn bucket(self, bytes: usize) -> Self {
        Self { bucket: bytes, ..self }
    }

    /// Keeps an [average](crate::optim::Average) of the weights, of which a step keeps the share
    /// `keep`: 0.999, say.
    ///
    /// Validation measures the model with the averaged weights, [`keep_best`](Self::keep_best) keeps
    /// those, and the model has them at the end. The steps go on from the others. A checkpoint has
    /// both: in [`model`](super::Checkpoint::model) and in [`average`](super::Checkpoint::average).
    ///
    /// # Panics
    /// If it is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn average(self, keep: f64) -> Self {
        let keep = share("the share that an average keeps", keep);
        Self { average: Some(keep), ..self }
    }

    /// Keeps the parameters of the best epoch, which the model has at the end, and stops
    /// when there was no better one for long enough.
    #[must_use]
    pub fn keep_best(self, best: Best) -> Self {
        Self { best: Some(best), ..self }
    }

    /// Writes a [`Checkpoint`](super::Checkpoint) after each epoch, whole or not at all.
    #[must_use]
    pub fn checkpoint(self, path: impl AsRef<Path>) -> Self {
        Self { checkpoint: Some(path.as_ref().to_owned()), ..self }
    }

    /// Writes the checkpoint within epochs, too: after a number of steps, or a time. A run that
    /// goes on from there ends with the bits of one that was not interrupted.
    ///
    /// ```
    /// # use wengert_nn::train::Trainer;
    /// # type Net = wengert_nn::Param<f32>;
    /// use std::time::Duration;
    ///
    /// let run = || Trainer::new(3).checkpoint("run.safetensors").resume();
    /// let trainer: Trainer<'_, Net> = run().checkpoint_every(1000);
    /// let trainer: Trainer<'_, Net> = run().checkpoint_every(Duration::from_secs(600));
    /// ```
    #[must_use]
    pub fn checkpoint_every(self, every: impl Into<Every>) -> Self {
        Self { every: Some(every.into()), ..self }
    }

    /// Ends the run at Ctrl-C: after the step that is under way, with a checkpoint if there is to
    /// be one, and with a word on standard error unless [quiet](Self::quiet). The
    /// [reason](super::Report::reason) says so. A second Ctrl-C ends the process at once, and so does the
    /// first one when no run listens.
    ///
    /// The signal belongs to the whole process, so it is not taken unless asked for. A handler of
    /// the program's is still called, before this one.
    #[must_use]
    pub fn interruptible(self) -> Self {
        Self { interruptible: true, ..self }
    }

    /// With something else in the checkpoint that decides on what the run comes to, and that a
    /// run which [resumes](Self::resume) must have, too: where its data is from, what its layers
    /// leave out, for how many epochs its schedule is made. Of one name, the last holds; the
    /// trainer's own begin with `trainer.`, `training.`, `validation.` and `optimiser.`.
    ///
    /// ```
    /// # use wengert_nn::train::Trainer;
    /// # type Net = wengert_nn::Param<f32>;
    /// let dropout = 0.2;
    /// let trainer: Trainer<'_, Net> = Trainer::new(45).option("dropout", dropout);
    /// ```
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Display) -> Self {
        self.options.insert(name.to_owned(), value.to_string());
        self
    }

    /// Goes on from the checkpoint, if there is one.
    ///
    /// It must be of a run with the same options: seed, shards and what tells the best epoch;
    /// samples, batch size, order of the loaders; rule of the optimiser and its numbers; and
    /// [others](Self::option). What the checkpoint does not say is not checked, nor is what may
    /// well be different: the number of epochs, the patience, and the rate, which is that of the
    /// checkpoint unless there is a schedule. A [schedule](crate::optim::Schedule) that was made for
    /// fewer epochs has ended then, and keeps its last rate: say its length as an option, and another
    /// length is refused.
    /// To start a new run from a checkpoint's state, [restore](super::Checkpoint::restore) it.
    #[must_use]
    pub fn resume(self) -> Self {
        Self { resumes: true, ..self }
    }

    /// Without a progress bar. If standard error is no terminal, there is a line for each epoch
    /// instead of a bar, and neither with this.
    #[must_use]
    pub fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    /// Sets the learning rate before each step.
    ///
    /// A schedule that looks at losses finds them in the history, so that it says the same
    /// after an interruption:
    ///
    /// ```
    /// # use wengert_nn::train::Trainer;
    /// # type Net = wengert_nn::Param<f32>;
    /// let trainer: Trainer<'_, Net> = Trainer::new(45).schedule(|progress| match progress.epoch {
    ///     0..30 => 0.05,
    ///     30..40 => 0.005,
    ///     _ => 0.0005,
    /// });
    /// ```
    #[must_use]
    pub fn schedule(self, schedule: impl FnMut(&Progress<'_>) -> f64 + 'a) -> Self {
        Self { schedule: Some(Box::new(schedule)), ..self }
    }

    /// Calls a function after each step, with the mean loss of its batches before it.
    #[must_use]
    pub fn on_step(self, hook: impl FnMut(&M, &Progress<'_>, f64) + 'a) -> Self {
        Self { on_step: Some(Box::new(hook)), ..self }
    }

    /// Calls a function after each epoch, before the checkpoint is written; it may stop the
    /// run.
    #[must_use]
    pub fn on_epoch(self, hook: impl FnMut(&mut M, &History) -> ControlFlow<()> + 'a) -> Self {
        Self { on_epoch: Some(Box::new(hook)), ..self }
    }
}
