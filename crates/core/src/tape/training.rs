//! Recordings of training: the samples that they draw, and the states that they move.
//!
//! Some layers do one thing while a model is trained and another when it is used:
//! dropout draws a mask, batch normalisation takes the batch's own statistics and
//! remembers a running mean of them. Which of the two a recording is for is a property of
//! the recording, and so it stands on the tape: no flag is set in a model, and none
//! is forgotten there. The samples' generator stands beside it, so that one seed
//! decides a run; and a running mean is *assigned* on the tape, as a value like any
//! other, and moves in the model when the optimiser takes its step. Compiled programs
//! draw and move as the tape does.

use std::panic::Location;

use super::node::{NodeId, Origin};
use super::{Tape, Var};
use crate::random::{Distribution, SeedableRng, Xoshiro256PlusPlus};
use crate::scalar::Real;
use crate::tensor::{Shape, Tensor};

/// What a tape records for.
#[derive(Debug, Default)]
pub(super) struct Mode {
    purpose: Purpose,
    /// The samples of a tape that was given a seed.
    samples: Option<Box<Samples>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Purpose {
    /// To use a model.
    #[default]
    Evaluation,
    /// To train it.
    Training,
    /// To compute a function again that was recorded before, elsewhere: see
    /// [`Tape::recompute`].
    Recomputation,
}

/// The samples of a recording.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    rng: Xoshiro256PlusPlus,
    /// The generator before the first sample.
    pub(crate) start: Xoshiro256PlusPlus,
    pub(crate) drawn: Vec<(NodeId, Distribution)>,
}

impl Mode {
    /// What follows is another recording.
    pub(super) fn reset(&mut self) {
        if let Some(samples) = &mut self.samples {
            samples.start.clone_from(&samples.rng);
            samples.drawn.clear();
        }
    }
}

impl<T: Real> Tape<T> {
    /// Says that the recordings from now on are for training, and draws their
    /// [samples](Self::sample) from this seed. A reset changes neither: the generator
    /// goes on. A new tape is for evaluation.
    ///
    /// To be said before anything is recorded: a compiled program draws what was recorded
    /// after it.
    ///
    /// ```
    /// use wengert_core::Tape;
    /// use wengert_core::random::Distribution::Dropout;
    ///
    /// let tape = Tape::<f64>::new();
    /// assert!(!tape.is_training());
    /// tape.train(1);
    /// assert!(tape.is_training());
    /// let x = tape.constant([1.0, 2.0, 3.0, 4.0]);
    /// let kept = x * tape.sample(Dropout(0.5), x.shape());
    /// assert!(kept.value().iter().zip(1..).all(|(y, i)| y == 0.0 || y == 2.0 * f64::from(i)));
    /// ```
    pub fn train(&self, seed: u64) {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mode = &mut self.inner.borrow_mut().mode;
        mode.purpose = Purpose::Training;
        match &mut mode.samples {
            None => {
                mode.samples =
                    Some(Box::new(Samples { start: rng.clone(), rng, drawn: Vec::new() }));
            }
            // Training that takes a seed for each batch allocates nothing.
            Some(samples) => {
                samples.start.clone_from(&rng);
                samples.rng = rng;
                samples.drawn.clear();
            }
        }
    }

    /// Says that what is recorded from now on is for evaluation.
    pub fn evaluate(&self) {
        self.inner.borrow_mut().mode.purpose = Purpose::Evaluation;
    }

    /// Whether the recording is for training.
    ///
    /// # Panics
    /// Inside of a function that is recorded again for its derivatives, such as a
    /// [checkpoint](crate::checkpoint()): what depends on it stands outside.
    #[track_caller]
    pub fn is_training(&self) -> bool {
        match self.inner.borrow().mode.purpose {
            Purpose::Evaluation => false,
            Purpose::Training => true,
            Purpose::Recomputation => recomputed("asks whether its tape is training"),
        }
    }

    /// A constant that is drawn from the generator of a tape in
    /// [training](Self::train): another one in each recording, and in each run of a
    /// program that was compiled from it.
    ///
    /// # Panics
    /// If the tape is not in training; inside of a function that is recorded again; and as
    /// [`Distribution::tensor`].
    #[track_caller]
    pub fn sample(&self, distribution: Distribution, shape: impl Into<Shape>) -> Var<'_, T> {
        let shape = shape.into();
        // A shape that is too large is refused before anything is taken.
        shape.elements();
        let mut inner = self.inner.borrow_mut();
        let mut samples = match inner.mode.purpose {
            Purpose::Evaluation => panic!(
                "{self} has no generator to draw {distribution:?} from: call `train` with a seed \
                 first, or take in a tensor of a generator of your own"
            ),
            Purpose::Recomputation => recomputed("draws a sample"),
            // Taken out while it draws, since the recorder holds both.
            Purpose::Training => inner.mode.samples.take().expect("training has a seed"),
        };
        let id = inner.filled(&shape, Location::caller(), |elements| {
            distribution.fill(elements, &mut samples.rng);
        });
        samples.drawn.push((id, distribution));
        inner.mode.samples = Some(samples);
        self.var(id)
    }

    /// The samples of this recording, and the generator before the first of them.
    pub(crate) fn samples(&self) -> Option<Samples> {
        self.inner.borrow().mode.samples.as_deref().cloned()
    }

    /// Says that what is recorded is a function that was recorded before, on another
    /// tape whose mode is not known here.
    pub(crate) fn recompute(&self) {
        self.inner.borrow_mut().mode.purpose = Purpose::Recomputation;
    }

    /// The constant that stands for a state kept outside of the tape, such as a running
    /// mean: the value given, or what was [assigned](Self::assign) to the key since the
    /// reset.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// let (tape, mean) = (Tape::new(), Tensor::from([0.0, 0.0]));
    /// let batch = tape.constant([[1.0, 2.0], [3.0, 4.0]]);
    /// let next = 0.5 * tape.state(1, &mean) + 0.5 * batch.mean_over(0);
    /// tape.assign(1, next);
    /// assert_eq!(tape.state(1, &mean).value().to_vec(), [1.0, 1.5]);
    /// ```
    #[track_caller]
    pub fn state(&self, key: u64, value: &Tensor<T>) -> Var<'_, T> {
        let mut inner = self.inner.borrow_mut();
        let position = inner.parameters.position(key, "");
        if let Some(id) = inner.parameters.get(position) {
            return self.var(id);
        }
        let id = inner.leaf(value, Origin::Parameter(key), false, Location::caller());
        inner.parameters.set(position, id);
        self.var(id)
    }

    /// Lets a value stand for the state or parameter of a key from now on. Whoever keeps a
    /// state takes it over after the step ([`assigned`](Self::assigned)).
    ///
    /// # Panics
    /// If the value lies on another tape; and inside of a function that is recorded
    /// again, whose assignments nobody would see.
    #[track_caller]
    pub fn assign(&self, key: u64, value: Var<'_, T>) {
        if self.inner.borrow().mode.purpose == Purpose::Recomputation {
            recomputed("assigns a state");
        }
        self.replace_parameter(key, value);
    }

    /// What was [assigned](Self::assign) to a key since the reset, the last of it.
    pub fn assigned(&self, key: u64) -> Option<Var<'_, T>> {
        let value = self.parameter_variable(key)?;
        let origin = self.inner.borrow().node(value.id()).origin;
        (!origin.is_leaf(Origin::Parameter(key))).then_some(value)
    }
}

#[track_caller]
fn recomputed(what: &str) -> ! {
    panic!(
        "a function that is recorded again for its derivatives (a checkpoint, a loop of steps, a \
         root) {what}; hand in as an operand what depends on it"
    );
}
