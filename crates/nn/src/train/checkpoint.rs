//! Checkpoints: all that a run needs to go on as if it had not been interrupted, in one
//! file.

use std::path::Path;

use crc32fast::Hasher;
use indexmap::IndexMap;
use wengert_core::{Real, Tensor};

use super::{History, Metrics};
use crate::file::Source;
use crate::optim::number::is_not_negative;
use crate::optim::{Optimiser, Rule};
use crate::weights::{Array, read_safetensors, safetensors_bytes, write_safetensors};
use crate::{FileError, Module, Path as Place, StateError};

/// The note under which a file says what is no tensor.
const NOTE: &str = "wengert checkpoint";
/// The kinds of tensors in a file, as the beginnings of their names.
const MODEL: &str = "model.";
const OPTIMISER: &str = "optimiser.";
const BEST: &str = "best.";
const AVERAGE: &str = "average.";
const METRICS: &str = "metrics.";
const MULTIPLIERS: &str = "multipliers.";
const HISTORY: &str = "history";

/// The state of a run after some epochs, and some batches of the next one.
///
/// The file is one of safetensors. The model's tensors stand there under their names
/// behind `model.`, and what the optimiser remembers of them behind `optimiser.`. A checksum over
/// all of it tells a file that was damaged.
///
/// ```
/// # let path = std::env::temp_dir().join("wengert-doc-checkpoint.safetensors");
/// use wengert_nn::train::Checkpoint;
/// use wengert_nn::{Adam, Param};
///
/// let (mut net, mut adam) = (Param::new([1.0, 2.0]), Adam::new(0.1));
/// let mut checkpoint = Checkpoint::of(&net, &adam);
/// checkpoint.epochs = 3;
/// checkpoint.save(&path)?;
///
/// let checkpoint = Checkpoint::load(&path)?;
/// checkpoint.restore(&mut net, &mut adam)?;
/// assert_eq!(checkpoint.epochs, 3);
/// # Ok::<(), wengert_nn::train::TrainError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checkpoint<T: Real> {
    /// The model's [state](Module::state_dict).
    pub model: IndexMap<String, Tensor<T>>,
    /// What the optimiser [remembers](Optimiser::state_dict).
    pub optimiser: IndexMap<String, Tensor<T>>,
    /// What makes single parameters move otherwise than the rule says.
    pub multipliers: IndexMap<String, Multipliers>,
    /// The steps that it has taken.
    pub steps: u64,
    /// Its learning rate.
    pub rate: f64,
    /// The model's state after the best epoch, if that is kept.
    pub best: Option<IndexMap<String, Tensor<T>>>,
    /// The average of the model's weights, if there is one.
    pub average: Option<IndexMap<String, Tensor<T>>>,
    /// The epochs that are done.
    pub epochs: usize,
    /// The batches that are done of the epoch after them.
    pub batches: usize,
    /// What these batches came to.
    pub metrics: Metrics,
    /// What decides on the run besides its state, by name, in words: a run that goes on wants to
    /// have the same. A [`Trainer`](super::Trainer) says here what it knows, and what it
    /// [is told](super::Trainer::option); in a loop without one, whatever that wants to check.
    pub options: IndexMap<String, String>,
    /// What the epochs came to.
    pub history: History,
}

/// How one parameter moves beside what the optimiser's rule says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multipliers {
    /// The [multiplier](crate::Param::rate) of the learning rate.
    pub rate: f64,
    /// The [multiplier](crate::Param::decay) of the weight decay.
    pub decay: f64,
    /// Whether it [moves](crate::Param::is_trainable) at all.
    pub trainable: bool,
}

impl<T: Real> Checkpoint<T> {
    /// The state of a model and an optimiser, before the first epoch of a run of which nothing
    /// else is said.
    pub fn of<M: Module<T> + ?Sized, R: Rule>(net: &M, optimiser: &Optimiser<T, R>) -> Self {
        Self {
            model: net.state_dict(),
            optimiser: optimiser.state_dict(net),
            multipliers: multipliers(net),
            steps: optimiser.steps(),
            rate: optimiser.rate(),
            best: None,
            average: None,
            epochs: 0,
            batches: 0,
            metrics: Metrics::default(),
            options: IndexMap::new(),
            history: History::default(),
        }
    }

    /// Gives model and optimiser their state back, and the parameters their multipliers.
    ///
    /// # Panics
    /// If a rate or a multiplier is negative or not finite, which none in a file is.
    ///
    /// # Errors
    /// If they are others than those of the checkpoint. What is wrong with the model leaves
    /// both as they are.
    pub fn restore<M: Module<T> + ?Sized, R: Rule>(
        &self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
    ) -> Result<(), StateError> {
        net.load_state_dict(&self.model)?;
        optimiser.load_state_dict(net, &self.optimiser, self.steps)?;
        optimiser.set_rate(self.rate);
        net.visit_mut(&Place::root(), &mut |path, param| {
            if let Some(saved) = self.multipliers.get(&path.to_string()) {
                param.set_rate(saved.rate);
                param.set_decay(saved.decay);
                param.set_trainable(saved.trainable);
            }
        });
        Ok(())
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        let (arrays, note) = self.content();
        write_safetensors(path.as_ref(), arrays, (NOTE, &note))
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (arrays, note) = self.content();
        safetensors_bytes(arrays, (NOTE, &note)).expect("names of parameters, behind a prefix")
    }

    /// What the file holds: arrays by name, and a note.
    fn content(&self) -> (Vec<(String, Array)>, String) {
        let of = |kind: &'static str, state: &IndexMap<String, Tensor<T>>| {
            let named = |(name, tensor): (&String, &Tensor<T>)| {
                (format!("{kind}{name}"), Array::of(tensor))
            };
            state.iter().map(named).collect::<Vec<_>>()
        };
        let mut arrays = of(MODEL, &self.model);
        arrays.extend(of(OPTIMISER, &self.optimiser));
        arrays.extend(self.best.iter().flat_map(|best| of(BEST, best)));
        arrays.extend(self.average.iter().flat_map(|average| of(AVERAGE, average)));
        arrays.extend(
            self.metrics
                .state()
                .map(|(name, numbers)| (format!("{METRICS}{name}"), Array::of(&numbers))),
        );
        arrays.extend(self.multipliers.iter().map(|(name, saved)| {
            let Multipliers { rate, decay, trainable } = *saved;
            let numbers = Tensor::from([rate, decay, f64::from(u8::from(trainable))]);
            (format!("{MULTIPLIERS}{name}"), Array::of(&numbers))
        }));
        let (names, columns): (Vec<&str>, Vec<&[f64]>) = self.history.columns().unzip();
        let shape = [columns.len(), self.history.epochs()];
        arrays.push((HISTORY.to_owned(), Array::of(&Tensor::new(shape, columns.concat()))));
        // Rust writes a float with the digits that give it back exactly.
        let note = format!(
            "version=4\nprecision={}\nepochs={}\nbatches={}\nsteps={}\nrate={}\noptions={}\ncolumns={}",
            T::NAME,
            self.epochs,
            self.batches,
            self.steps,
            self.rate,
            list(self.options.iter().flat_map(|(name, value)| [&**name, &**value])),
            list(names.into_iter())
        );
        let sum = checksum(arrays.iter().map(|(name, array)| (&**name, array)), &note);
        (arrays, format!("{note}{CHECKSUM}{sum:08x}"))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If there is no such file, it is no checkpoint, it is cut short or damaged, or it is of a
    /// model of another precision.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, FileError> {
        Self::of_source(&Source::open(path.as_ref())?)
    }

    /// The inverse of [`to_bytes`](Self::to_bytes), with a name for messages.
    pub(super) fn of_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, FileError> {
        Self::of_source(&Source::of(name, bytes))
    }

    fn of_source(source: &Source) -> Result<Self, FileError> {
        let (arrays, notes) = read_safetensors(source)?;
        let note = notes.get(NOTE).ok_or_else(|| {
            source.error_at(0, format!("a file with the note `{NOTE}`"), "one without it")
        })?;
        let notes: IndexMap<&str, &str> =
            note.lines().filter_map(|line| line.split_once('=')).collect();
        let text = |key: &str| notes.get(key).copied().unwrap_or_default();
        let refused = |key: &str, expected: &str| {
            source.error_at(0, format!("{key}: {expected}"), format!("`{}`", text(key)))
        };
        if text("version") != "4" {
            return Err(refused("version", "4"));
        }
        let said = note.rsplit_once(CHECKSUM).unwrap_or((note, "none"));
        let sum = checksum(arrays.iter().map(|(name, array)| (&**name, array)), said.0);
        if said.1 != format!("{sum:08x}") {
            let expected = format!("content with the checksum {}", said.1);
            return Err(source.error_at(0, expected, format!("{sum:08x}: the file is damaged")));
        }
        if text("precision") != T::NAME {
            return Err(refused("precision", T::NAME));
        }
        let number = |key: &str| text(key).parse::<u64>().map_err(|_| refused(key, "a number"));
        let of = |kind: &str| {
            let named = |(name, array): (&String, &Array)| {
                Some((name.strip_prefix(kind)?.to_owned(), array.tensor()))
            };
            arrays.iter().filter_map(named).collect::<IndexMap<String, Tensor<T>>>()
        };
        let names = parts(text("columns"));
        let table = arrays.get(HISTORY).map(Array::tensor::<f64>);
        let table = table.filter(|table| table.shape().first() == Some(&names.len()));
        let table = table.ok_or_else(|| refused("columns", "a row of `history` for each"))?;
        let mut history = History::default();
        for epoch in 0..table.shape().get(1).copied().unwrap_or(0) {
            let row = names.iter().enumerate();
            history.push(row.map(|(column, name)| (&**name, table.at(&[column, epoch]))));
        }
        let options = parts(text("options"));
        let options: Option<IndexMap<String, String>> =
            options.chunks(2).map(|pair| Some((pair[0].clone(), pair.get(1)?.clone()))).collect();
        let lists = arrays.iter().filter_map(|(name, array)| {
            Some((name.strip_prefix(METRICS)?.to_owned(), array.tensor::<f64>()))
        });
        let metrics = Metrics::of_state(lists).ok_or_else(|| {
            source.error_at(0, "metrics of a known kind, with its numbers", "others")
        })?;
        let kept = |kind: &str| Some(of(kind)).filter(|state| !state.is_empty());
        let rate = || refused("rate", "a finite number of at least 0");
        Ok(Self {
            model: of(MODEL),
            optimiser: of(OPTIMISER),
            multipliers: saved_multipliers(&arrays)
                .ok_or_else(|| refused("multipliers", "three numbers each, of at least 0"))?,
            steps: number("steps")?,
            rate: text("rate").parse().ok().filter(is_not_negative).ok_or_else(rate)?,
            best: kept(BEST),
            average: kept(AVERAGE),
            epochs: number("epochs")? as usize,
            batches: number("batches")? as usize,
            metrics,
            options: options.ok_or_else(|| refused("options", "names and values"))?,
            history,
        })
    }
}

/// What stands before the checksum, which comes last.
const CHECKSUM: &str = "\nchecksum=";

/// A checksum of arrays, in whatever order, and of a note.
fn checksum<'a>(arrays: impl Iterator<Item = (&'a str, &'a Array)>, note: &str) -> u32 {
    let mut arrays: Vec<_> = arrays.collect();
    arrays.sort_unstable_by_key(|(name, _)| *name);
    let mut sum = Hasher::new();
    for (name, array) in arrays {
        sum.update(format!("{name}\n{:?} {:?}\n", array.kind, array.shape).as_bytes());
        sum.update(&array.bytes);
    }
    sum.update(note.as_bytes());
    sum.finalize()
}

/// The multipliers of a model's parameters.
fn multipliers<T: Real, M: Module<T> + ?Sized>(net: &M) -> IndexMap<String, Multipliers> {
    let parameters = net.named_parameters().into_iter();
    parameters
        .map(|(name, param)| {
            let (rate, decay, trainable) = (param.rate(), param.decay(), param.is_trainable());
            (name, Multipliers { rate, decay, trainable })
        })
        .collect()
}

/// The multipliers in a file.
fn saved_multipliers(arrays: &IndexMap<String, Array>) -> Option<IndexMap<String, Multipliers>> {
    let saved =
        arrays.iter().filter_map(|(name, array)| Some((name.strip_prefix(MULTIPLIERS)?, array)));
    saved
        .map(|(name, array)| {
            let &[rate, decay, trainable] = &array.tensor::<f64>().to_vec()[..] else {
                return None;
            };
            if !is_not_negative(&rate) || !is_not_negative(&decay) {
                return None;
            }
            Some((name.to_owned(), Multipliers { rate, decay, trainable: trainable != 0.0 }))
        })
        .collect()
}

/// What is written for characters that would end a part or a line.
const ESCAPES: [(char, char); 4] = [('\\', '\\'), ('\t', 't'), ('\n', 'n'), ('\r', 'r')];

/// Texts in one line.
fn list<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (i, part) in parts.enumerate() {
        line.extend((i > 0).then_some('\t'));
        for letter in part.chars() {
            match ESCAPES.iter().find(|(from, _)| *from == letter) {
                Some(&(_, to)) => line.extend(['\\', to]),
                None => line.push(letter),
            }
        }
    }
    line
}

/// The texts in a line: the inverse of [`list`], of which an empty line is an empty list.
fn parts(line: &str) -> Vec<String> {
    let unescaped = |part: &str| {
        let mut letters = part.chars();
        let next = || match letters.next()? {
            '\\' => {
                let letter = letters.next()?;
                let escape = ESCAPES.iter().find(|(_, to)| *to == letter);
                Some(escape.map_or(letter, |&(from, _)| from))
            }
            letter => Some(letter),
        };
        std::iter::from_fn(next).collect()
    };
    if line.is_empty() { Vec::new() } else { line.split('\t').map(unescaped).collect() }
}
