//! What a run carries from step to step, and how it gets into a checkpoint and out of it.

use std::path::Path;

use indexmap::IndexMap;
use wengert_core::{Real, Tensor};

use super::exchange::{Group, agreed};
use super::outcome::finite;
use super::{Best, Checkpoint, History, Loaders, Metrics, TrainError, Trainer};
use crate::data::DataLoader;
use crate::optim::{Average, Optimiser, Rule};
use crate::{Module, StateError};

/// The value of an option that there is not.
const NONE: &str = "none";
/// The option that says how many shards there are.
pub(super) const SHARDS: &str = "trainer.shards";

/// What a run carries from step to step, besides the model and the optimiser.
pub(super) struct State<T: Real> {
    /// What decides on the run.
    options: IndexMap<String, String>,
    /// The epochs that are done.
    pub(super) history: History,
    /// How many batches of the next one are done, and what they came to.
    pub(super) batches: usize,
    pub(super) metrics: Metrics,
    /// The average of the weights, if there is one.
    pub(super) average: Option<Average<T>>,
    /// The model's state after the best epoch, if that is kept.
    pub(super) best: Option<IndexMap<String, Tensor<T>>>,
    /// What validation said of the epoch whose parameters the model is to have.
    pub(super) validation: Option<Metrics>,
}

impl<T: Real> State<T> {
    /// Where a run begins: at the start, or where its checkpoint left it. Rank 0 says so, and all
    /// others begin there.
    pub(super) fn of<M: Module<T>, R: Rule>(
        trainer: &Trainer<'_, M>,
        group: &impl Group,
        options: IndexMap<String, String>,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
    ) -> Result<Self, TrainError> {
        let mut state = Self {
            options,
            history: History::default(),
            batches: 0,
            metrics: Metrics::default(),
            average: trainer.average.map(|keep| Average::new(net, keep)),
            best: None,
            validation: None,
        };
        let resumed = match trainer.resumed().filter(|_| group.is_first()) {
            Some(path) => state.resume(path, net, optimiser),
            None => Ok(()),
        };
        agreed(group, resumed)?;
        if group.size() > 1 {
            let own = if group.is_first() {
                state.checkpoint(net, optimiser).to_bytes()
            } else {
                Vec::new()
            };
            let bytes = group.broadcast(own);
            let joined = match group.is_first() {
                true => Ok(()),
                false => state.join(group.rank(), bytes, net, optimiser),
            };
            agreed(group, joined)?;
        }
        Ok(state)
    }

    /// Goes on from the checkpoint in a file.
    fn resume<M: Module<T>, R: Rule>(
        &mut self,
        path: &Path,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
    ) -> Result<(), TrainError> {
        let checkpoint = Checkpoint::load(path)?;
        same_options(path, &self.options, &checkpoint)?;
        let resume = |error| TrainError::Resume { path: path.to_owned(), error };
        self.take_up(checkpoint, net, optimiser).map_err(resume)
    }

    /// Begins where rank 0 does.
    fn join<M: Module<T>, R: Rule>(
        &mut self,
        rank: usize,
        bytes: Vec<u8>,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
    ) -> Result<(), TrainError> {
        let differs = |what| TrainError::Differs { rank, what };
        let checkpoint = Checkpoint::of_bytes("the start of rank 0", bytes)?;
        if let Some((option, expected, found)) = other_option(&self.options, &checkpoint) {
            return Err(differs(format!("{option}: {expected}, and there {found}")));
        }
        self.take_up(checkpoint, net, optimiser).map_err(|error| differs(error.to_string()))
    }

    /// Goes on from a checkpoint.
    fn take_up<M: Module<T>, R: Rule>(
        &mut self,
        checkpoint: Checkpoint<T>,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
    ) -> Result<(), StateError> {
        checkpoint.restore(net, optimiser)?;
        if let Some(average) = &mut self.average {
            // A loop that is no trainer's need not have kept one: it begins here.
            let saved = checkpoint.average.as_ref().unwrap_or(&checkpoint.model);
            average.load_state_dict(net, saved)?;
        }
        (self.history, self.best) = (checkpoint.history, checkpoint.best);
        (self.batches, self.metrics) = (checkpoint.batches, checkpoint.metrics);
        // A loop that is no trainer's need not have kept a history.
        while self.history.epochs() < checkpoint.epochs {
            self.history.push([]);
        }
        Ok(())
    }

    /// Writes a checkpoint, unless the model has a number that is not finite.
    pub(super) fn save<M: Module<T>, R: Rule>(
        &self,
        path: &Path,
        net: &M,
        optimiser: &Optimiser<T, R>,
    ) -> Result<(), TrainError> {
        // Between two epochs, it is the one before that made it so.
        let epoch = self.history.epochs().saturating_sub(usize::from(self.batches == 0));
        finite(net, epoch)?;
        Ok(self.checkpoint(net, optimiser).save(path)?)
    }

    /// All that the run has come to.
    fn checkpoint<M: Module<T>, R: Rule>(
        &self,
        net: &M,
        optimiser: &Optimiser<T, R>,
    ) -> Checkpoint<T> {
        Checkpoint {
            average: self.average.as_ref().map(|average| average.state_dict(net)),
            best: self.best.clone(),
            epochs: self.history.epochs(),
            batches: self.batches,
            metrics: self.metrics.clone(),
            options: self.options.clone(),
            history: self.history.clone(),
            ..Checkpoint::of(net, optimiser)
        }
    }

    /// The state that the model is to have if this epoch is the best: its averages, if there are
    /// any.
    pub(super) fn kept<M: Module<T>>(&self, net: &M) -> IndexMap<String, Tensor<T>> {
        self.average.as_ref().map_or_else(|| net.state_dict(), |average| average.state_dict(net))
    }
}

/// That a checkpoint is of a run with these options.
pub(super) fn same_options<T: Real>(
    path: &Path,
    options: &IndexMap<String, String>,
    checkpoint: &Checkpoint<T>,
) -> Result<(), TrainError> {
    match other_option(options, checkpoint) {
        None => Ok(()),
        Some((option, expected, found)) => {
            Err(TrainError::Option { path: path.to_owned(), option, expected, found })
        }
    }
}

/// The first option of a checkpoint that is another one here: its name, what it is here, and there.
fn other_option<T: Real>(
    options: &IndexMap<String, String>,
    checkpoint: &Checkpoint<T>,
) -> Option<(String, String, String)> {
    checkpoint.options.iter().find_map(|(option, found)| {
        let expected = options.get(option).map_or(NONE, |value| value);
        (expected != found).then(|| (option.clone(), expected.to_owned(), found.clone()))
    })
}

/// All that decides on a run, as far as it is known, by name.
pub(super) fn options<T: Real, M, R: Rule>(
    trainer: &Trainer<'_, M>,
    loaders: &impl Loaders,
    optimiser: &Optimiser<T, R>,
    shards: usize,
) -> IndexMap<String, String> {
    let training = loaders.training().options();
    let validation = loaders.validation().map(DataLoader::options);
    let clip = optimiser.clip().map_or(NONE.to_owned(), |clip| format!("{clip:?}"));
    let mut options = trainer.options.clone();
    options.insert(SHARDS.to_owned(), shards.to_string());
    let mut say = |part: &str, name: &str, value: String| {
        options.insert(format!("{part}.{name}"), value);
    };
    say("trainer", "seed", trainer.seed.to_string());
    say("trainer", "accumulate", trainer.accumulate.to_string());
    let average = trainer.average.map_or(NONE.to_owned(), |keep| keep.to_string());
    say("trainer", "average", average);
    let best = trainer.best.as_ref().map_or(NONE.to_owned(), Best::criterion);
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
