//! A run of a [`Trainer`]: epochs of steps, and what comes after each.
//!
//! Nothing here is in a closure that may panic for the user: closures have lines of their own.
//!
//! *Invariant*: what a batch draws follows from the run's seed and the numbers of epoch and batch, so that
//! a run goes on within an epoch as well as between two.

use std::ops::ControlFlow;
use std::time::Instant;

use wengert_core::{Real, Tape, Var};

use super::interrupt::Interrupt;
use super::measure::{LOSS, measure_on};
use super::screen::Screen;
use super::state::State;
use super::steps::{Failure, Part, Steps};
use super::trainer::Every;
use super::{Loaders, Metrics, Progress, Report, StopReason, TrainError, Trainer};
use crate::Module;
use crate::data::{Batches, DataLoader};
use crate::optim::{Optimiser, Rule};
use crate::random::derived_seed;

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
        Ok(Report { reason, history, epoch, validation, recorded })
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
        let mut batches = training.epoch_from(epoch as u64, self.state.batches);
        while self.state.batches < training.len() {
            self.take_step(&mut batches)?;
            if self.interrupt.as_ref().is_some_and(Interrupt::is_asked) {
                self.save()?;
                return Ok(ControlFlow::Break(()));
            }
            self.save_if_due()?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes one step, on as many batches as belong to it.
    #[track_caller]
    fn take_step(&mut self, contents: &mut Batches<L::Training>) -> Result<(), TrainError> {
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
            let content = contents.next().expect("a loader has the batches that it counts")?;
            let (own, metrics) = (training.batch_len(batch), &mut self.state.metrics);
            let share = own as f64 / samples as f64;
            let seed = derived_seed(derived_seed(self.trainer.seed, epoch as u64), batch as u64);
            let taken = if of_step.len() == 1 {
                self.steps.step(self.net, self.optimiser, &content, seed, metrics)
            } else {
                self.steps.add(
                    self.net,
                    self.optimiser,
                    &content,
                    Part { share, seed: Some(seed) },
                    metrics,
                )
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
        self.save()?;
        Ok(flow)
    }

    /// Measures the model, with its averaged weights if there are any.
    #[track_caller]
    fn validated(&mut self, loader: &DataLoader<L::Validation>) -> Result<Metrics, TrainError> {
        if let Some(average) = &mut self.state.average {
            average.swap(self.net);
        }
        let measured = measure_on(&mut self.evaluation, self.net, loader, self.loss);
        if let Some(average) = &mut self.state.average {
            average.swap(self.net);
        }
        Ok(measured?)
    }

    /// Writes a checkpoint within an epoch if it is time.
    fn save_if_due(&mut self) -> Result<(), TrainError> {
        let (steps, time) = self.since;
        let is_due = match self.trainer.every {
            None => false,
            Some(Every::Steps(every)) => steps >= every,
            Some(Every::Time(every)) => time.elapsed() >= every,
        };
        if is_due { self.save() } else { Ok(()) }
    }

    /// Writes a checkpoint, if the run has one.
    fn save(&mut self) -> Result<(), TrainError> {
        self.since = (0, Instant::now());
        let Some(path) = &self.trainer.checkpoint else { return Ok(()) };
        self.steps.settle(self.net, self.optimiser);
        self.state.save(path, self.net, self.optimiser)
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
        }
    }
}

/// The columns of a phase: the loss, and then the other metrics.
fn columns(phase: &str, metrics: &Metrics) -> Vec<(String, f64)> {
    let loss = metrics.values().filter(|(name, _)| *name == LOSS);
    let others = metrics.values().filter(|(name, _)| *name != LOSS);
    loss.chain(others).map(|(name, value)| (format!("{phase} {name}"), value)).collect()
}
