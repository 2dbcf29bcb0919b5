//! A run of a [`Trainer`]: epochs of steps, and what comes after each.
//!
//! Nothing here is in a closure that may panic for the user: closures have lines of their own.
//!
//! *Invariant*: what a batch draws follows from the run's seed and the numbers of epoch and batch, so that
//! a run goes on within an epoch as well as between two.

use std::ops::ControlFlow;
use std::time::Instant;

use wengert_core::{Real, Tape, Var};

use super::exchange::{Group, agreed, any};
use super::interrupt::Interrupt;
use super::measure::{LOSS, measure_on};
use super::screen::Screen;
use super::state::State;
use super::steps::{Contents, Failure, Part, Steps};
use super::trainer::Every;
use super::{Loaders, Metrics, Progress, Report, StopReason, TrainError, Trainer};
use crate::data::DataLoader;
use crate::optim::{Optimiser, Rule};
use crate::random::derived_seed;
use crate::{Module, Path};

/// A run under way.
pub(super) struct Run<'r, 'a, T: Real, M, R, L, F, S> {
    pub(super) trainer: &'r mut Trainer<'a, M>,
    pub(super) net: &'r mut M,
    pub(super) optimiser: &'r mut Optimiser<T, R>,
    pub(super) loaders: &'r L,
    pub(super) loss: &'r F,
    pub(super) steps: S,
    pub(super) state: State<T>,
    pub(super) screen: Screen,
    pub(super) interrupt: Option<Interrupt>,
    /// The tape of validation.
    pub(super) evaluation: Tape<T>,
    /// Steps since the last checkpoint, and when it was written.
    pub(super) since: (usize, Instant),
    pub(super) begun: Instant,
}

impl<T, M, R, L, F, S> Run<'_, '_, T, M, R, L, F, S>
where
    T: Real,
    M: Module<T>,
    R: Rule,
    L: Loaders,
    F: for<'t> Fn(&M, &'t Tape<T>, &L::Batch, &mut Metrics) -> Var<'t, T>,
    S: Steps<T, M, R, L::Batch>,
{
    /// Trains to the end, and gives the model the weights that it is to have.
    #[track_caller]
    pub(super) fn finish(mut self) -> Result<Report, TrainError> {
        let ended = self.epochs();
        self.steps.settle(self.net, self.optimiser);
        // All have ended here. Of an error that all have, one speaks; of one that others do not have,
        // they are told all.
        let ended = agreed(self.steps.group(), ended);
        self.screen.clear();
        // Also where the run ends in an error, the best weights are those of the model.
        let epoch = self.settle()?;
        let reason = ended?;
        if reason == StopReason::Interrupted {
            self.screen.say(&self.interrupted());
        }
        let recorded = self.steps.refusal().map(str::to_owned);
        let State { mut history, validation, .. } = self.state;
        history.mark(epoch.filter(|_| self.trainer.best.is_some()));
        let (time, exchange_time) = (self.begun.elapsed(), self.steps.exchange_time());
        Ok(Report { reason, history, epoch, validation, recorded, time, exchange_time })
    }

    /// Trains until there is a reason to stop.
    #[track_caller]
    fn epochs(&mut self) -> Result<StopReason, TrainError> {
        loop {
            if self.state.history.epochs() >= self.trainer.epochs {
                return Ok(StopReason::Epochs);
            }
            if let Some(best) = &self.trainer.best
                && best.is_over(&self.state.history)
            {
                return Ok(StopReason::Patience);
            }
            if self.take_steps()?.is_break() {
                return Ok(StopReason::Interrupted);
            }
            if self.close_epoch()?.is_break() {
                return Ok(StopReason::Hook);
            }
        }
    }

    /// Takes the steps that are left of an epoch, unless Ctrl-C breaks in.
    #[track_caller]
    fn take_steps(&mut self) -> Result<ControlFlow<()>, TrainError> {
        let (training, epoch) = (self.loaders.training(), self.state.history.epochs());
        let mut batches = self.steps.contents(training, epoch as u64, self.state.batches);
        while self.state.batches < training.len() {
            self.take_step(&mut batches)?;
            if self.is_interrupted() {
                self.save()?;
                return Ok(ControlFlow::Break(()));
            }
            self.save_if_due()?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether Ctrl-C was pressed, on any process.
    fn is_interrupted(&self) -> bool {
        let asked = self.interrupt.as_ref().map(Interrupt::is_asked);
        asked.is_some_and(|asked| any(self.steps.group(), asked))
    }

    /// Takes one step, on as many batches as belong to it.
    #[track_caller]
    fn take_step(&mut self, contents: &mut Contents<S::Content>) -> Result<(), TrainError> {
        let (first, history) = (self.state.batches, &self.state.history);
        let (training, accumulate) = (self.loaders.training(), self.trainer.accumulate);
        let (epoch, batches) = (history.epochs(), training.len());
        let progress = Progress { epoch, batch: first, batches, accumulate, history };
        if let Some(schedule) = &mut self.trainer.schedule {
            self.optimiser.set_rate(schedule(&progress));
        }
        let of_step = first..batches.min(first + accumulate);
        let samples: usize = of_step.clone().map(|batch| training.batch_len(batch)).sum();
        let mut mean = 0.0;
        for batch in of_step.clone() {
            let content = contents.next().expect("a loader has the batches that it counts");
            let (own, metrics) = (training.batch_len(batch), &mut self.state.metrics);
            let share = own as f64 / samples as f64;
            let seed = derived_seed(derived_seed(self.trainer.seed, epoch as u64), batch as u64);
            let taken = if of_step.len() == 1 {
                self.steps.step(self.net, self.optimiser, content, seed, metrics)
            } else {
                let is_last = batch + 1 == of_step.end;
                let part = Part { share, seed: Some(seed), is_last };
                self.steps.add(self.net, self.optimiser, content, part, metrics)
            };
            let loss = taken.map_err(|failure| failure.at(epoch, batch))?;
            if !loss.is_finite() {
                let cause = self.steps.first_non_finite();
                return Err(TrainError::NotFinite { epoch, batch, loss, cause });
            }
            metrics.mean(LOSS, loss, own as f64);
            mean += share * loss;
        }
        if of_step.len() > 1 {
            let taken = self.steps.take(self.net, self.optimiser);
            taken.map_err(|failure| failure.at(epoch, of_step.end - 1))?;
        }
        if self.state.average.is_some() || self.trainer.on_step.is_some() {
            self.steps.settle(self.net, self.optimiser);
        }
        if let Some(average) = &mut self.state.average {
            average.update(self.net);
        }
        if let Some(hook) = &mut self.trainer.on_step {
            hook(self.net, &progress, mean);
        }
        self.screen.advance(of_step.len());
        if let Some(reason) = self.steps.refusal() {
            self.screen.explain(reason);
        }
        (self.state.batches, self.since.0) = (of_step.end, self.since.0 + 1);
        Ok(())
    }

    /// Validates, and writes down what an epoch came to: in the history, on the screen, in the
    /// checkpoint. Says whether the run goes on.
    #[track_caller]
    fn close_epoch(&mut self) -> Result<ControlFlow<()>, TrainError> {
        self.steps.settle(self.net, self.optimiser);
        let validation = match self.loaders.validation() {
            Some(loader) => Some(self.validated(loader)?),
            None => None,
        };
        let mut row = vec![("rate".to_owned(), self.optimiser.rate())];
        row.extend(columns("train", &self.state.metrics));
        row.extend(validation.iter().flat_map(|metrics| columns("validation", metrics)));
        self.state.history.push(row.iter().map(|(name, value)| (&**name, *value)));
        (self.state.batches, self.state.metrics) = (0, Metrics::default());
        self.screen.show_epoch(&self.state.history);
        let epoch = self.state.history.epochs() - 1;
        match &self.trainer.best {
            None => self.state.validation = validation,
            Some(best) => {
                if best.epoch(&self.state.history) == Some(epoch) {
                    self.state.validation = validation;
                    self.state.best = Some(self.state.kept(self.net));
                }
            }
        }
        let mut flow = ControlFlow::Continue(());
        if let Some(hook) = &mut self.trainer.on_epoch {
            flow = hook(self.net, &self.state.history);
            self.steps.forget();
        }
        self.expect_one_model(epoch)?;
        if any(self.steps.group(), flow.is_break()) {
            flow = ControlFlow::Break(());
        }
        self.save()?;
        Ok(flow)
    }

    /// That every process has the parameters of rank 0, bit for bit: what a hook does to them may
    /// depend on the process.
    fn expect_one_model(&self, epoch: usize) -> Result<(), TrainError> {
        let group = self.steps.group();
        if group.size() == 1 {
            return Ok(());
        }
        let own = digest(self.net).to_le_bytes();
        let first = group.broadcast(own.to_vec());
        let what = || format!("its parameters have other bits after epoch {}", epoch + 1);
        let differs = || TrainError::Differs { rank: group.rank(), what: what() };
        agreed(group, if first == own { Ok(()) } else { Err(differs()) })
    }

    /// Measures the model, with its averaged weights if there are any.
    #[track_caller]
    fn validated(&mut self, loader: &DataLoader<L::Validation>) -> Result<Metrics, TrainError> {
        if let Some(average) = &mut self.state.average {
            average.swap(self.net);
        }
        let group = self.steps.group();
        let measured = measure_on(group, &mut self.evaluation, self.net, loader, self.loss);
        if let Some(average) = &mut self.state.average {
            average.swap(self.net);
        }
        measured
    }

    /// Writes a checkpoint within an epoch if it is time.
    fn save_if_due(&mut self) -> Result<(), TrainError> {
        let (steps, time) = self.since;
        let is_due = match self.trainer.every {
            None => false,
            Some(Every::Steps(every)) => steps >= every,
            // Clocks differ from process to process.
            Some(Every::Time(every)) => any(self.steps.group(), time.elapsed() >= every),
        };
        if is_due { self.save() } else { Ok(()) }
    }

    /// Writes a checkpoint, if the run has one.
    fn save(&mut self) -> Result<(), TrainError> {
        self.since = (0, Instant::now());
        let Some(path) = &self.trainer.checkpoint else { return Ok(()) };
        self.steps.settle(self.net, self.optimiser);
        let group = self.steps.group();
        let save = || self.state.save(path, self.net, self.optimiser);
        agreed(group, if group.is_first() { save() } else { Ok(()) })
    }

    /// Gives the model the weights of the best epoch, or the averages, if it is to have those. Says
    /// of which epoch they are.
    fn settle(&mut self) -> Result<Option<usize>, TrainError> {
        if let (Some(best), Some(weights)) = (&self.trainer.best, &self.state.best) {
            self.net.load_state_dict(weights)?;
            return Ok(best.epoch(&self.state.history));
        }
        if let Some(average) = &mut self.state.average {
            average.swap(self.net);
        }
        Ok(self.state.history.epochs().checked_sub(1))
    }

    /// Where Ctrl-C has ended the run.
    fn interrupted(&self) -> String {
        let (done, all) = (self.state.batches, self.loaders.training().len());
        let place = format!(
            "interrupted in epoch {}, after {done} of {all} batches",
            self.state.history.epochs() + 1
        );
        match &self.trainer.checkpoint {
            Some(path) => format!("{place}; `resume` goes on from {}", path.display()),
            None => format!("{place}; without a checkpoint, nothing is kept of it"),
        }
    }
}

impl Failure {
    /// As an error of a batch.
    fn at(self, epoch: usize, batch: usize) -> TrainError {
        match self {
            Self::File(error) => error.into(),
            Self::Step(error) => TrainError::Step { epoch, batch, error },
            Self::Elsewhere { rank, message } => TrainError::Elsewhere { rank, message },
        }
    }
}

/// A number that other parameters would not have but for one case in 2^64.
fn digest<T: Real, M: Module<T>>(net: &M) -> u64 {
    let mut digest = 0;
    net.visit(&Path::root(), &mut |_, param| {
        for x in param.elements() {
            digest = derived_seed(digest, x.as_f64().to_bits());
        }
    });
    digest
}

/// The columns of a phase: the loss, and then the other metrics.
fn columns(phase: &str, metrics: &Metrics) -> Vec<(String, f64)> {
    let loss = metrics.values().filter(|(name, _)| *name == LOSS);
    let others = metrics.values().filter(|(name, _)| *name != LOSS);
    loss.chain(others).map(|(name, value)| (format!("{phase} {name}"), value)).collect()
}
