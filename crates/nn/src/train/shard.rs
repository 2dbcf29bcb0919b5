//! A shard of a step: its gradients, in buckets, and what else it came to, which all processes are told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use wengert_core::{Real, Tape, Var, View};

use super::Metrics;
use super::exchange::{Group, Reader, Writer};
use super::places::Places;
use super::steps::Failure;
use crate::Module;
use crate::optim::StepError;

/// What the batches of a step come to on one shard, kept from step to step: the gradients of parameters
/// and what is assigned to buffers, each batch by its share.
#[derive(Debug, Default)]
pub(super) struct Shard<T> {
    buckets: Vec<Mutex<Bucket<T>>>,
}

/// The numbers of some parameters.
#[derive(Debug, Default)]
pub(super) struct Bucket<T> {
    pub(super) numbers: Vec<T>,
    /// Whether any batch has been added.
    is_begun: bool,
}

/// What a shard computes of.
#[derive(Clone, Copy)]
pub(super) struct Task<'a, M> {
    pub(super) net: &'a M,
    pub(super) places: &'a Places,
    /// The share of the shard in its batch, and of the batch in its step.
    pub(super) weight: f64,
    pub(super) share: f64,
    /// Whether the optimiser takes gradients that are not finite.
    pub(super) lenient: bool,
}

/// What a batch came to on one shard, besides gradients.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The process that has computed it.
    pub(super) rank: usize,
    /// The share of the batch.
    pub(super) weight: f64,
    pub(super) loss: f64,
    pub(super) metrics: Metrics,
    /// If the loss or a gradient is not finite, the first value that is not.
    pub(super) cause: Option<String>,
    /// Which parameters and buffers it knew of.
    known: Vec<bool>,
}

impl<T: Real> Shard<T> {
    /// Makes room for buckets of these lengths.
    pub(super) fn resize(&mut self, lengths: &[usize]) {
        self.buckets.resize_with(lengths.len(), Mutex::default);
        for (bucket, &length) in self.buckets.iter_mut().zip(lengths) {
            let bucket = bucket.get_mut().unwrap_or_else(PoisonError::into_inner);
            bucket.numbers.resize(length, T::zero());
        }
    }

    /// A bucket, which no other thread has: a panic of one ends the step.
    pub(super) fn bucket(&self, bucket: usize) -> MutexGuard<'_, Bucket<T>> {
        self.buckets[bucket].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sums of a bucket: zeros if nothing was added.
    pub(super) fn sums(&self, bucket: usize) -> MutexGuard<'_, Bucket<T>> {
        let mut bucket = self.bucket(bucket);
        if !bucket.is_begun {
            bucket.numbers.fill(T::zero());
        }
        bucket
    }

    /// Forgets what was added, for the next step.
    pub(super) fn clear(&self) {
        (0..self.buckets.len()).for_each(|bucket| self.bucket(bucket).is_begun = false);
    }

    /// Records a part of a batch, and adds its gradients by its share. Says of each bucket when it is
    /// complete, as soon as the sweep is done with its parameters.
    pub(super) fn run<M: Module<T>, B>(
        &self,
        tape: &mut Tape<T>,
        task: Task<'_, M>,
        batch: &B,
        loss: &impl for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T>,
        complete: impl FnMut(usize),
    ) -> Result<Outcome, Failure> {
        let Task { net, places, weight, share, lenient } = task;
        tape.reset();
        let mut metrics = Metrics::default();
        let value = loss(net, tape, batch, &mut metrics);
        let loss = value.item().as_f64();
        let mut sum = Addition::new(self, places, T::from_f64(share * weight), complete);
        // What the recording does not know, or has computed already.
        for (&key, place) in places.iter() {
            if place.is_buffer {
                match tape.assigned(key) {
                    Some(value) => value.with_value(|value| sum.add(key, Some(value))),
                    None => sum.add(key, None),
                }
            } else if tape.parameter_variable(key).is_none() {
                sum.add(key, None);
            }
        }
        let mut is_related = false;
        let gradients = value.backward_each(|key, gradient| {
            is_related |= places.find(key).is_some();
            sum.add(key, Some(gradient));
        });
        places.iter().for_each(|(&key, _)| sum.add(key, None));
        let known = sum.known();
        let is_finite = loss.is_finite() && gradients.are_finite();
        if !is_finite && loss.is_finite() && !lenient {
            StepError::not_finite(net, &gradients)?;
        }
        if !is_related {
            StepError::unrelated(net, &gradients)?;
        }
        let cause = if is_finite { None } else { tape.first_non_finite() };
        Ok(Outcome { rank: 0, weight, loss, metrics, cause, known })
    }
}

/// A batch that is added to a shard, parameter by parameter, in any order.
struct Addition<'a, T, F> {
    shard: &'a Shard<T>,
    places: &'a Places,
    share: T,
    /// What has come of each parameter: whether there was anything.
    come: Vec<Option<bool>>,
    /// How many have not, of each bucket.
    missing: Vec<usize>,
    complete: F,
}

impl<'a, T: Real, F: FnMut(usize)> Addition<'a, T, F> {
    fn new(shard: &'a Shard<T>, places: &'a Places, share: T, complete: F) -> Self {
        let mut missing = vec![0; places.buckets().len()];
        places.iter().for_each(|(_, place)| missing[place.bucket] += 1);
        Self { shard, places, share, come: vec![None; places.len()], missing, complete }
    }

    /// Adds what a parameter has, or that it has nothing, if neither has come before: `s <- s + share g`.
    fn add(&mut self, key: u64, part: Option<View<'_, T>>) {
        let Some((position, place)) = self.places.find(key) else { return };
        if self.come[position].is_some() {
            return;
        }
        self.come[position] = Some(part.is_some());
        let mut bucket = self.shard.bucket(place.bucket);
        let begun = bucket.is_begun;
        let sums = &mut bucket.numbers[place.range.clone()];
        match part {
            Some(part) => add(sums, begun, self.share, part),
            None if !begun => sums.fill(T::zero()),
            None => {}
        }
        let missing = &mut self.missing[place.bucket];
        *missing -= 1;
        if *missing == 0 {
            bucket.is_begun = true;
            drop(bucket);
            (self.complete)(place.bucket);
        }
    }

    /// Which parameters had something.
    fn known(self) -> Vec<bool> {
        self.come.into_iter().map(|come| come == Some(true)).collect()
    }
}

/// Adds a gradient by its share. The first one replaces what was there.
fn add<T: Real>(sums: &mut [T], begun: bool, share: T, part: View<'_, T>) {
    let sums = sums.iter_mut();
    let next = move |sum: T, x: T| if begun { sum + share * x } else { share * x };
    match part.as_slice() {
        Some(part) => sums.zip(part).for_each(|(sum, &x)| *sum = next(*sum, x)),
        None => sums.zip(part.iter()).for_each(|(sum, x)| *sum = next(*sum, x)),
    }
}

/// The outcomes of all shards, in their order, if all processes could compute theirs; marks the
/// parameters that any shard knew of. If one could not, it has its failure, and all others one that
/// names it.
pub(super) fn from_all(
    group: &impl Group,
    own: Result<Vec<Outcome>, Failure>,
    known: &mut Vec<bool>,
) -> Result<Vec<Outcome>, Failure> {
    let all = match group.size() {
        1 => own?,
        _ => {
            let said = group.gather(&written(&own));
            let failed = |(rank, said): (usize, &Vec<u8>)| Some((rank, failure(said)?));
            match said.iter().enumerate().find_map(failed) {
                Some((rank, _)) if rank == group.rank() => own?,
                Some((rank, message)) => return Err(Failure::Elsewhere { rank, message }),
                None => (0..).zip(&said).flat_map(|(rank, said)| outcomes(rank, said)).collect(),
            }
        }
    };
    for outcome in &all {
        known.resize(known.len().max(outcome.known.len()), false);
        known.iter_mut().zip(&outcome.known).for_each(|(known, &own)| *known |= own);
    }
    Ok(all)
}

/// The outcomes of a process as a message: whether it has failed, and then how, or each outcome.
fn written(outcomes: &Result<Vec<Outcome>, Failure>) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.number(u64::from(outcomes.is_err()));
    match outcomes {
        Err(failure) => writer.text(&failure.to_string()),
        Ok(outcomes) => {
            for Outcome { weight, loss, metrics, cause, known, .. } in outcomes {
                writer.float(*weight);
                writer.float(*loss);
                writer.metrics(metrics);
                writer.number(u64::from(cause.is_some()));
                writer.text(cause.as_deref().unwrap_or_default());
                writer.bytes(&known.iter().map(|&known| u8::from(known)).collect::<Vec<_>>());
            }
        }
    }
    writer.finish()
}

/// How a process has failed, if it has.
fn failure(said: &[u8]) -> Option<String> {
    let mut reader = Reader(said);
    (reader.number() == 1).then(|| reader.text())
}

/// The outcomes of a process that has not failed.
fn outcomes(rank: usize, said: &[u8]) -> Vec<Outcome> {
    let mut reader = Reader(said);
    reader.number();
    let next = || {
        (!reader.is_empty()).then(|| Outcome {
            rank,
            weight: reader.float(),
            loss: reader.float(),
            metrics: reader.metrics(),
            cause: {
                let is_some = reader.number() == 1;
                Some(reader.text()).filter(|_| is_some)
            },
            known: reader.bytes().iter().map(|&known| known == 1).collect(),
        })
    };
    std::iter::from_fn(next).collect()
}
