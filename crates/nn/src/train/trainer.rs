//! A training loop with all that belongs to it: what can be asked of it. What it does then stands in
//! `run`.

use std::fmt::{self, Display};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use wengert_core::{Real, Tape, Var};

use super::compiled::{BatchLoss, Compiled, TensorBatch, taken_in};
use super::exchange::{Alone, Exchange, Group, agreed};
use super::interrupt::Interrupt;
use super::outcome::not_empty;
use super::run::Run;
use super::screen::Screen;
use super::state::{SHARDS, State, options, same_options};
use super::steps::{OneTape, Shards, Steps};
use super::{Best, Checkpoint, History, Loaders, Metrics, Report, TrainError};
use crate::Module;
use crate::file::Lock;
use crate::optim::number::share;
use crate::optim::{Optimiser, Rule};

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
    /// [reason](Report::reason) says so. A second Ctrl-C ends the process at once, and so does the
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
    /// To start a new run from a checkpoint's state, [restore](Checkpoint::restore) it.
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

    /// Trains the model. `loss` records the mean loss of a batch, and says what else to
    /// measure.
    ///
    /// # Errors
    /// If data cannot be read or there is none, a checkpoint cannot be read or written or is of
    /// another run, a loss is not finite, or the optimiser [refuses](Optimiser::step) a step.
    ///
    /// # Panics
    /// If a loss has more than one element or depends on no variable, or the history has no
    /// column by which the best epoch is to be told.
    #[track_caller]
    pub fn fit<T: Real, R: Rule, L: Loaders>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: L,
        loss: impl for<'t> Fn(&M, &'t Tape<T>, &L::Batch, &mut Metrics) -> Var<'t, T>,
    ) -> Result<Report, TrainError>
    where
        M: Module<T>,
    {
        let steps = OneTape::new(&loss);
        self.run(net, optimiser, &loaders, &loss, steps)
    }

    /// As [`fit`](Self::fit), with batches that are cut into shards whose gradients are
    /// computed on several threads: see [`DataParallel`](super::DataParallel).
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    ///
    /// # Panics
    /// As [`fit`](Self::fit), and if there are no shards.
    #[track_caller]
    pub fn fit_parallel<T: Real, R: Rule, L: Loaders>(
        &mut self,
        shards: usize,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: L,
        loss: impl for<'t> Fn(&M, &'t Tape<T>, &L::Batch, &mut Metrics) -> Var<'t, T> + Sync,
    ) -> Result<Report, TrainError>
    where
        M: Module<T> + Sync,
    {
        self.fit_on(Alone, shards, net, optimiser, loaders, loss)
    }

    /// As [`fit_parallel`](Self::fit_parallel), on several processes. Each of them calls this with a
    /// model, an optimiser and loaders that are made in the same way; the crate `wengert-mpi` starts
    /// them on the machines of a cluster.
    ///
    /// No bit depends on the number of processes, and so a checkpoint of four goes on with one. Each
    /// process makes and computes a run of the shards, and takes the same steps. Rank 0 resumes from the
    /// checkpoint, and the others begin with what it has: parameters, buffers, what the optimiser
    /// remembers, history. Rank 0 alone shows progress and writes the checkpoint.
    /// [Schedules](Self::schedule) and [hooks](Self::on_step) are called on every process, with the same
    /// arguments; a run ends if a hook of any of them says so. After each epoch, the processes compare
    /// their parameters.
    ///
    /// # Errors
    /// As [`fit`](Self::fit). If one process has an error, all end: the others with
    /// [`TrainError::Elsewhere`], which names it. And if a process is not as rank 0
    /// ([`TrainError::Differs`]).
    ///
    /// # Panics
    /// As [`fit_parallel`](Self::fit_parallel). The others then wait, unless what has started them
    /// ends them, as `wengert-mpi` does.
    #[track_caller]
    pub fn fit_on<T: Real, R: Rule, L: Loaders, E: Exchange<T>>(
        &mut self,
        exchange: E,
        shards: usize,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: L,
        loss: impl for<'t> Fn(&M, &'t Tape<T>, &L::Batch, &mut Metrics) -> Var<'t, T> + Sync,
    ) -> Result<Report, TrainError>
    where
        M: Module<T> + Sync,
    {
        let steps = Shards::new(exchange, shards, &loss);
        self.run(net, optimiser, &loaders, &loss, steps)
    }

    /// As [`fit`](Self::fit), with steps that are [compiled](crate::TrainStep): small networks train
    /// several times as fast, with the same bits.
    ///
    /// Batches consist of [tensors](TensorBatch) alone. `loss` takes them as variables, and metrics where
    /// there are some: in validation. In training, the loss alone is measured. Batches of each
    /// shape have a program of their own, such as a smaller last one. All that the model is but parameters
    /// and buffers is taken as fixed until a [hook](Self::on_epoch) is called.
    ///
    /// Steps are recorded where they can't be compiled, because the loss reads a value and goes on, or
    /// a step [takes several batches](Self::accumulate). A line on standard error says so, unless
    /// [quiet](Self::quiet), and so does the [report](Report::recorded).
    ///
    /// ```
    /// use wengert_core::Tensor;
    /// use wengert_nn::data::DataLoader;
    /// use wengert_nn::loss::mse;
    /// use wengert_nn::train::Trainer;
    /// use wengert_nn::{Adam, Layer, Linear, random::seeded};
    ///
    /// let x = Tensor::from_fn([10, 1], |i| i as f64 / 10.0);
    /// let loader = DataLoader::new((x.clone(), x.map(|x| 3.0 * x - 1.0)), 4).shuffled(1);
    /// let (mut net, mut adam) = (Linear::new(1, 1, &mut seeded(1)), Adam::new(0.05));
    /// let report = Trainer::new(200).quiet().fit_compiled(
    ///     &mut net,
    ///     &mut adam,
    ///     &loader,
    ///     |net, (x, y), _| mse(net.forward(x), y),
    /// )?;
    /// assert!(report.history.last("train loss").unwrap() < 1e-4);
    /// assert_eq!(report.recorded, None);
    /// # Ok::<(), wengert_nn::train::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Self::fit). Where a loss is not finite or a step is refused, the model has the weights
    /// that it had when it was last looked at, by a hook, an average or a checkpoint, or those of the
    /// epoch before.
    ///
    /// # Panics
    /// As [`fit`](Self::fit).
    #[track_caller]
    pub fn fit_compiled<T: Real, R: Rule, L: Loaders>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: L,
        loss: impl for<'t> BatchLoss<'t, M, T, L::Batch>,
    ) -> Result<Report, TrainError>
    where
        M: Module<T>,
        L::Batch: TensorBatch<T>,
    {
        let recorded = on_a_tape(|net, tape, batch, _| loss(net, taken_in(tape, batch), None));
        let measured =
            on_a_tape(|net, tape, batch, metrics| loss(net, taken_in(tape, batch), Some(metrics)));
        let steps = Compiled::new(&loss, &recorded, self.accumulate);
        self.run(net, optimiser, &loaders, &measured, steps)
    }

    /// Whether a run may begin or go on, for programs that prepare their data for long: that there
    /// are batches and, if it is to [resume](Self::resume), that the checkpoint is of a run with the
    /// same options. Nothing is trained; the loaders may be of data that is not prepared yet, if only
    /// their options are those of [`fit`](Self::fit). Shards are not looked at.
    ///
    /// # Errors
    /// If not, or the checkpoint can't be read.
    ///
    /// # Panics
    /// If the history will have no column by which the best epoch is to be told.
    #[track_caller]
    pub fn check<T: Real, R: Rule, L: Loaders>(
        &self,
        optimiser: &Optimiser<T, R>,
        loaders: L,
    ) -> Result<(), TrainError> {
        self.expect_data(&loaders)?;
        let Some(path) = self.resumed() else { return Ok(()) };
        let checkpoint = Checkpoint::<T>::load(path)?;
        let mut expected = options(self, &loaders, optimiser, 1);
        expected
            .extend(checkpoint.options.get_key_value(SHARDS).map(|(a, b)| (a.clone(), b.clone())));
        same_options(path, &expected, &checkpoint)
    }

    /// That there are batches, and a column to tell the best epoch by.
    #[track_caller]
    fn expect_data(&self, loaders: &impl Loaders) -> Result<(), TrainError> {
        not_empty("training", loaders.training())?;
        let validation = loaders.validation();
        validation.map_or(Ok(()), |loader| not_empty("validation", loader))?;
        if let Some(best) = &self.best {
            best.check(validation.is_some());
        }
        Ok(())
    }

    /// The checkpoint that the run goes on from, if there is one.
    pub(super) fn resumed(&self) -> Option<&Path> {
        self.checkpoint.as_deref().filter(|path| self.resumes && path.exists())
    }

    #[track_caller]
    fn run<T: Real, R: Rule, L: Loaders>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: &L,
        loss: &impl for<'t> Fn(&M, &'t Tape<T>, &L::Batch, &mut Metrics) -> Var<'t, T>,
        steps: impl Steps<T, M, R, L::Batch>,
    ) -> Result<Report, TrainError>
    where
        M: Module<T>,
    {
        let (group, begun) = (steps.group(), Instant::now());
        // Two runs would write over each other.
        let locked = self.checkpoint.as_deref().filter(|_| group.is_first()).map(Lock::of);
        let ready = locked.transpose().map_err(TrainError::from).and_then(|lock| {
            self.expect_data(loaders)?;
            Ok(lock)
        });
        let _lock = agreed(group, ready)?;
        let options = options(self, loaders, optimiser, steps.shards());
        let state = State::of(self, group, options, net, optimiser)?;
        let (all, epochs) = (loaders.training().len(), state.history.epochs());
        let quiet = self.quiet || !group.is_first();
        let screen = Screen::new(quiet, self.epochs * all, epochs * all + state.batches);
        let interrupt = self.interruptible.then(Interrupt::listen);
        let (evaluation, since) = (Tape::new(), (0, Instant::now()));
        let trainer = self;
        let run = Run {
            trainer,
            net,
            optimiser,
            loaders,
            loss,
            steps,
            state,
            screen,
            interrupt,
            evaluation,
            since,
            begun,
        };
        run.finish()
    }
}

/// A closure as a loss on a tape: it says its type, which has a lifetime to choose.
fn on_a_tape<M, T: Real, B, F>(loss: F) -> F
where
    F: for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T>,
{
    loss
}
