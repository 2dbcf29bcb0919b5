//! A training loop with all that belongs to it.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use indicatif::{ProgressBar, ProgressStyle};
use wengert_core::{Real, Tape, Tensor, Var};

use super::measure::{LOSS, measure_on};
use super::outcome::{finite, not_empty};
use super::steps::{Failure, OneTape, Shards, Steps};
use super::{Best, Checkpoint, History, Loaders, Metrics, Report, StopReason, TrainError};
use crate::Module;
use crate::data::{DataLoader, Dataset};
use crate::file::Lock;
use crate::optim::{Optimiser, Rule};
use crate::random::derived_seed;

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
    epochs: usize,
    seed: u64,
    /// What else decides on the run, as its owner says.
    options: IndexMap<String, String>,
    best: Option<Best>,
    checkpoint: Option<PathBuf>,
    resumes: bool,
    quiet: bool,
    schedule: Option<Box<Schedule<'a>>>,
    on_step: Option<Box<StepHook<'a, M>>>,
    on_epoch: Option<Box<EpochHook<'a, M>>>,
}

type Schedule<'a> = dyn FnMut(&Progress<'_>) -> f64 + 'a;
type StepHook<'a, M> = dyn FnMut(&M, &Progress<'_>, f64) + 'a;
type EpochHook<'a, M> = dyn FnMut(&mut M, &History) -> ControlFlow<()> + 'a;

/// How far a run has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The epoch, from 0.
    pub epoch: usize,
    /// The batch in it, from 0.
    pub batch: usize,
    /// The batches of an epoch.
    pub batches: usize,
    /// What the epochs before came to.
    pub history: &'a History,
}

impl Progress<'_> {
    /// The step in the run, from 0.
    pub fn step(&self) -> usize {
        self.epoch * self.batches + self.batch
    }
}

impl<'a, M> Trainer<'a, M> {
    /// A trainer for so many epochs, with the seed 0.
    pub fn new(epochs: usize) -> Self {
        Self {
            epochs,
            seed: 0,
            options: IndexMap::new(),
            best: None,
            checkpoint: None,
            resumes: false,
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

    /// Keeps the parameters of the best epoch, which the model has at the end, and stops
    /// when there was no better one for long enough.
    #[must_use]
    pub fn keep_best(self, best: Best) -> Self {
        Self { best: Some(best), ..self }
    }

    /// Writes a [`Checkpoint`] after each epoch, whole or not at all.
    #[must_use]
    pub fn checkpoint(self, path: impl AsRef<Path>) -> Self {
        Self { checkpoint: Some(path.as_ref().to_owned()), ..self }
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
    /// checkpoint unless there is a schedule.
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

    /// Calls a function after each step, with the loss before it.
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
    /// If a loss has more than one element or depends on no trainable parameter, or the
    /// history has no column by which the best epoch is to be told.
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
        L::Batch: Dataset<Batch = L::Batch>,
    {
        let steps = Shards::new(shards, &loss);
        self.run(net, optimiser, &loaders, &loss, steps)
    }

    #[track_caller]
    fn run<T: Real, R: Rule, L: Loaders>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: &L,
        loss: &impl for<'t> Fn(&M, &'t Tape<T>, &L::Batch, &mut Metrics) -> Var<'t, T>,
        mut steps: impl Steps<T, M, L::Batch>,
    ) -> Result<Report, TrainError>
    where
        M: Module<T>,
    {
        // Two runs would write over each other.
        let _lock = self.checkpoint.as_deref().map(Lock::of).transpose()?;
        let (training, validation) = (loaders.training(), loaders.validation());
        not_empty("training", training)?;
        validation.map_or(Ok(()), |loader| not_empty("validation", loader))?;
        if let Some(best) = &self.best {
            best.check(validation.is_some());
        }
        let options = self.options(loaders, optimiser, steps.shards());
        let mut state = self.resumed(net, optimiser, options)?;
        let bar = self.bar(training.len(), state.history.epochs());
        let mut evaluation = Tape::new();
        let reason = loop {
            if state.history.epochs() >= self.epochs {
                break Ok(StopReason::Epochs);
            }
            if self.best.as_ref().is_some_and(|best| best.is_over(&state.history)) {
                break Ok(StopReason::Patience);
            }
            let ended = self
                .train_epoch(net, optimiser, loaders, &mut steps, &state.history, &bar)
                .and_then(|metrics| {
                    let measured = validation
                        .map(|loader| measure_on(&mut evaluation, net, loader, loss))
                        .transpose()?;
                    Ok((metrics, measured))
                })
                .and_then(|(metrics, measured)| {
                    self.close_epoch(net, optimiser, &mut state, &metrics, measured, &bar)
                });
            match ended {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break Ok(StopReason::Hook),
                Err(error) => break Err(error),
            }
        };
        bar.finish_and_clear();
        // Also where the run ends in an error, the best weights are those of the model.
        let mut epoch = state.history.epochs().checked_sub(1);
        if let (Some(best), Some(weights)) = (&self.best, &state.best) {
            net.load_state_dict(weights)?;
            epoch = best.epoch(&state.history);
        }
        let State { history, validation, .. } = state;
        Ok(Report { reason: reason?, history, epoch, validation })
    }

    /// Where a run begins: at the start, or where its checkpoint left it.
    fn resumed<T: Real, R: Rule>(
        &self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        options: IndexMap<String, String>,
    ) -> Result<State<T>, TrainError>
    where
        M: Module<T>,
    {
        let history = History::default();
        let mut state = State { options, history, best: None, validation: None };
        let path = self.checkpoint.as_ref().filter(|path| self.resumes && path.exists());
        let Some(path) = path else { return Ok(state) };
        let checkpoint = Checkpoint::load(path)?;
        for (option, found) in &checkpoint.options {
            let expected = state.options.get(option).map_or(NONE, |value| value);
            if expected != found {
                return Err(TrainError::Option {
                    path: path.clone(),
                    option: option.clone(),
                    expected: expected.to_owned(),
                    found: found.clone(),
                });
            }
        }
        let restored = checkpoint.restore(net, optimiser);
        restored.map_err(|error| TrainError::Resume { path: path.clone(), error })?;
        (state.history, state.best) = (checkpoint.history, checkpoint.best);
        // A loop that is no trainer's need not have kept a history.
        while state.history.epochs() < checkpoint.epochs {
            state.history.push([]);
        }
        Ok(state)
    }

    /// Takes the steps of an epoch.
    fn train_epoch<T: Real, R: Rule, L: Loaders>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
        loaders: &L,
        steps: &mut impl Steps<T, M, L::Batch>,
        history: &History,
        bar: &ProgressBar,
    ) -> Result<Metrics, TrainError>
    where
        M: Module<T>,
    {
        let (training, epoch) = (loaders.training(), history.epochs());
        steps.begin(derived_seed(self.seed, epoch as u64));
        let mut metrics = Metrics::default();
        for (batch, content) in training.epoch(epoch as u64).enumerate() {
            let content = content?;
            let progress = Progress { epoch, batch, batches: training.len(), history };
            if let Some(schedule) = &mut self.schedule {
                optimiser.set_rate(schedule(&progress));
            }
            let loss = match steps.step(net, optimiser, &content, &mut metrics) {
                Ok(loss) => loss,
                Err(Failure::File(error)) => return Err(error.into()),
                Err(Failure::Step(error)) => return Err(TrainError::Step { epoch, batch, error }),
            };
            if !loss.is_finite() {
                let cause = steps.first_non_finite();
                return Err(TrainError::NotFinite { epoch, batch, loss, cause });
            }
            metrics.mean(LOSS, loss, training.batch_len(batch) as f64);
            if let Some(hook) = &mut self.on_step {
                hook(net, &progress, loss);
            }
            bar.inc(1);
        }
        finite(net, epoch)?;
        Ok(metrics)
    }

    /// Writes down what an epoch came to: in the history, on the screen, in the checkpoint. Says
    /// whether the run goes on.
    fn close_epoch<T: Real, R: Rule>(
        &mut self,
        net: &mut M,
        optimiser: &Optimiser<T, R>,
        state: &mut State<T>,
        metrics: &Metrics,
        validation: Option<Metrics>,
        bar: &ProgressBar,
    ) -> Result<ControlFlow<()>, TrainError>
    where
        M: Module<T>,
    {
        let rate = [("rate".to_owned(), optimiser.rate())].into_iter();
        let columns: Vec<(String, f64)> = rate
            .chain(columns("train", metrics))
            .chain(validation.iter().flat_map(|metrics| columns("validation", metrics)))
            .collect();
        state.history.push(columns.iter().map(|(name, value)| (&**name, *value)));
        self.tell(bar, &state.history);
        let epoch = state.history.epochs() - 1;
        match &self.best {
            None => state.validation = validation,
            Some(best) if best.epoch(&state.history) == Some(epoch) => {
                state.validation = validation;
                state.best = Some(net.state_dict());
            }
            Some(_) => {}
        }
        let hook = self.on_epoch.as_mut().map(|hook| hook(net, &state.history));
        if let Some(path) = &self.checkpoint {
            // A hook may have moved parameters.
            finite(net, epoch)?;
            let checkpoint = Checkpoint {
                best: state.best.clone(),
                epochs: epoch + 1,
                options: state.options.clone(),
                history: state.history.clone(),
                ..Checkpoint::of(net, optimiser)
            };
            checkpoint.save(path)?;
        }
        Ok(hook.unwrap_or(ControlFlow::Continue(())))
    }

    /// All that decides on the run, as far as it is known, by name.
    fn options<T: Real, R: Rule>(
        &self,
        loaders: &impl Loaders,
        optimiser: &Optimiser<T, R>,
        shards: usize,
    ) -> IndexMap<String, String> {
        let training = loaders.training().options();
        let validation = loaders.validation().map(DataLoader::options);
        let clip = optimiser.clip().map_or(NONE.to_owned(), |clip| format!("{clip:?}"));
        let mut options = self.options.clone();
        let mut say = |part: &str, name: &str, value: String| {
            options.insert(format!("{part}.{name}"), value);
        };
        say("trainer", "seed", self.seed.to_string());
        say("trainer", "shards", shards.to_string());
        let best = self.best.as_ref().map_or(NONE.to_owned(), Best::criterion);
        say("trainer", "keep_best", best);
        for (i, (name, value)) in training.into_iter().enumerate() {
            say("training", name, value);
            let validated = validation.as_ref().map_or(NONE, |options| &options[i].1);
            say("validation", name, validated.to_owned());
        }
        say("optimiser", "rule", format!("{:?}", optimiser.rule()));
        say("optimiser", "clip", clip);
        options
    }

    /// A bar for all steps; it hides itself where there is no terminal.
    fn bar(&self, batches: usize, done: usize) -> ProgressBar {
        if self.quiet {
            return ProgressBar::hidden();
        }
        let template = "{bar:30} {pos}/{len} steps, {eta} left  {msg}";
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        let bar = ProgressBar::new((self.epochs * batches) as u64).with_style(style);
        bar.with_position((done * batches) as u64)
    }

    /// Shows what the last epoch came to: in the bar, or in a line where there is no terminal.
    fn tell(&self, bar: &ProgressBar, history: &History) {
        let shown = history.columns().filter(|(name, _)| *name != "rate");
        let values = shown.map(|(name, column)| format!("{name} {:.4}", column[column.len() - 1]));
        let values: Vec<String> = values.collect();
        let line = format!("epoch {}: {}", history.epochs(), values.join(", "));
        if bar.is_hidden() && !self.quiet {
            eprintln!("{line}");
        }
        bar.set_message(line);
    }
}

/// What a run carries from epoch to epoch.
struct State<T: Real> {
    /// What decides on the run.
    options: IndexMap<String, String>,
    history: History,
    /// The model's state after the best epoch, if that is kept.
    best: Option<IndexMap<String, Tensor<T>>>,
    /// What validation said of the epoch whose parameters the model is to have.
    validation: Option<Metrics>,
}

/// The value of an option that there is not.
const NONE: &str = "none";

/// The columns of a phase: the loss, and then the other metrics.
fn columns(phase: &str, metrics: &Metrics) -> Vec<(String, f64)> {
    let loss = metrics.values().filter(|(name, _)| *name == LOSS);
    let others = metrics.values().filter(|(name, _)| *name != LOSS);
    loss.chain(others).map(|(name, value)| (format!("{phase} {name}"), value)).collect()
}
