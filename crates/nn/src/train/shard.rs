//! A shard of a step: its gradients, one after another in one vector, and what else it came to, which
//! all processes are told.

use wengert_core::{Gradients, Real, Tape, Var, View};

use super::Metrics;
use super::exchange::{Group, Reader, Writer};
use super::steps::Failure;
use crate::optim::StepError;
use crate::{Module, Path};

/// What the batches of a step come to on one shard, kept from step to step.
#[derive(Debug)]
pub(super) struct Shard<T> {
    /// The gradients of parameters and what is assigned to buffers, in the order of the visit, each
    /// batch by its share.
    numbers: Vec<T>,
    /// Whether any batch has been added.
    is_begun: bool,
}

impl<T> Default for Shard<T> {
    fn default() -> Self {
        Self { numbers: Vec::new(), is_begun: false }
    }
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
    /// Records a part of a batch, and adds its gradients by its share.
    pub(super) fn run<M: Module<T>, B>(
        &mut self,
        tape: &mut Tape<T>,
        net: &M,
        batch: &B,
        (weight, share): (f64, f64),
        lenient: bool,
        loss: &impl for<'t> Fn(&M, &'t Tape<T>, &B, &mut Metrics) -> Var<'t, T>,
    ) -> Result<Outcome, Failure> {
        tape.reset();
        let mut metrics = Metrics::default();
        let value = loss(net, tape, batch, &mut metrics);
        let loss = value.item().as_f64();
        let gradients = value.backward();
        let is_finite = loss.is_finite() && gradients.are_finite();
        if !is_finite && loss.is_finite() && !lenient {
            StepError::not_finite(net, &gradients)?;
        }
        let known = self.add(net, &gradients, T::from_f64(share * weight))?;
        let cause = if is_finite { None } else { tape.first_non_finite() };
        Ok(Outcome { rank: 0, weight, loss, metrics, cause, known })
    }

    /// Adds gradients: `s <- s + share g`. Says which there are.
    fn add<M: Module<T>>(
        &mut self,
        net: &M,
        gradients: &Gradients<'_, T>,
        share: T,
    ) -> Result<Vec<bool>, StepError> {
        let (tape, begun) = (gradients.tape(), self.is_begun);
        let (mut known, mut start, mut is_related) = (Vec::new(), 0, false);
        net.visit(&Path::root(), &mut |_, param| {
            let end = start + param.len();
            if self.numbers.len() < end {
                self.numbers.resize(end, T::zero());
            }
            let sums = &mut self.numbers[start..end];
            let is_known = if param.is_buffer() {
                let assigned = tape.assigned(param.key());
                assigned.map(|value| value.with_value(|value| add(sums, begun, share, value)))
            } else {
                let added = |gradient: View<'_, T>| add(sums, begun, share, gradient);
                gradients.with_parameter(param.key(), added)
            };
            is_related |= is_known.is_some() && !param.is_buffer();
            if is_known.is_none() && !begun {
                sums.fill(T::zero());
            }
            known.push(is_known.is_some());
            start = end;
        });
        self.is_begun = true;
        if !is_related {
            StepError::unrelated(net, gradients)?;
        }
        Ok(known)
    }

    /// The sums: zeros if nothing was added.
    pub(super) fn numbers(&mut self, length: usize) -> &mut [T] {
        self.numbers.resize(length, T::zero());
        if !self.is_begun {
            self.numbers.fill(T::zero());
        }
        &mut self.numbers
    }

    /// Forgets what was added, for the next step.
    pub(super) fn clear(&mut self) {
        self.is_begun = false;
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
