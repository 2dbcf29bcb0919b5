//! What is unhealthy about a recording, whether its derivatives are right or not.
//!
//! A derivative that is right may still be of no use: a NaN on the way, a variable that nothing
//! reads, a unit that passes nothing on. The tape knows all of it, and the line of the user's program that
//! it comes from.

use std::fmt;

use crate::check::evidence::problem::Draw;
use crate::scalar::Real;
use crate::tape::{NodeId, Var};
use crate::tensor::Tensor;

/// An element whose local partial is smaller passes no gradient on, for any practical purpose.
const FLAT: f64 = 1e-3;
/// The share of elements, of those that are no units over many rows, that makes a saturated value.
const MOST: f64 = 0.9;

/// What is wrong with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SymptomKind {
    /// A value is infinite or not a number.
    NonFiniteValue,
    /// An adjoint is infinite or not a number, and the values are not.
    NonFiniteAdjoint,
    /// The output does not depend on a variable or parameter.
    Unused,
    /// The gradient of a variable or parameter is zero in every element.
    ZeroGradient,
    /// Units lie where their function is flat, whatever the sample.
    Saturated,
}

/// One finding of a [`Diagnosis`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Symptom {
    /// What it is.
    pub kind: SymptomKind,
    /// What it is in words, with the operations and lines that it concerns.
    pub message: String,
}

/// What is unhealthy about a recording: see [`diagnose`].
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a diagnosis does nothing by itself: print it, or ask `is_healthy`"]
#[non_exhaustive]
pub struct Diagnosis {
    /// The findings: numbers that are not finite first.
    pub symptoms: Vec<Symptom>,
}

/// Looks for what is unhealthy about a recording that ends in a cost: the first value, or adjoint,
/// that is not finite, variables that it does not depend on, gradients that are zero everywhere, and
/// units that are saturated for all samples (the last axis counts units, the others samples).
///
/// ```
/// use wengert_core::{Tape, check};
///
/// let tape = Tape::new();
/// let (x, unused) = (tape.variable([0.0, 4.0]), tape.variable(1.0));
/// let cost = x.sqrt().sum();
/// let diagnosis = check::diagnose(cost);
/// let kinds: Vec<_> = diagnosis.symptoms.iter().map(|symptom| symptom.kind).collect();
/// use check::SymptomKind::{NonFiniteAdjoint, Unused};
/// assert_eq!(kinds, [NonFiniteAdjoint, Unused]);
/// assert!(diagnosis.to_string().contains("sqrt"), "{diagnosis}");
/// # let _ = unused;
/// ```
///
/// # Panics
/// If the cost was recorded without gradients.
#[track_caller]
pub fn diagnose<T: Real>(cost: Var<'_, T>) -> Diagnosis {
    Diagnosis::of(cost, &[])
}

impl Diagnosis {
    /// Whether nothing was found.
    pub fn is_healthy(&self) -> bool {
        self.symptoms.is_empty()
    }

    /// As [`diagnose`], with the names of parameters and their [keys](crate::tape::Tape::parameter).
    ///
    /// # Panics
    /// As [`diagnose`].
    #[track_caller]
    pub fn of<T: Real>(cost: Var<'_, T>, named: &[(String, u64)]) -> Self {
        let examination = Examination::of(cost, named);
        let mut symptoms = Vec::new();
        let mut note = |kind, message| symptoms.push(Symptom { kind, message });
        let value = cost.tape().first_non_finite_until(cost.id());
        match (value, examination.non_finite_adjoint()) {
            (Some(message), _) => note(SymptomKind::NonFiniteValue, message),
            (None, Some(message)) => note(SymptomKind::NonFiniteAdjoint, message),
            (None, None) => {}
        }
        for message in examination.unused(named) {
            note(SymptomKind::Unused, message);
        }
        for message in examination.zero_gradients() {
            note(SymptomKind::ZeroGradient, message);
        }
        for message in examination.saturated() {
            note(SymptomKind::Saturated, message);
        }
        Self { symptoms }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_healthy() {
            return f.write_str("healthy: all numbers are finite, and all variables count");
        }
        for (i, Symptom { message, .. }) in self.symptoms.iter().enumerate() {
            write!(f, "{}- {}", if i > 0 { "\n" } else { "" }, message.replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

/// The first value that is not finite, or, if all are, the first adjoint on the way back.
#[track_caller]
pub(in crate::check) fn not_finite<T: Real>(cost: Var<'_, T>) -> Option<String> {
    let value = cost.tape().first_non_finite_until(cost.id());
    value.or_else(|| Examination::of(cost, &[]).non_finite_adjoint())
}

/// A recording with the adjoints of all its values.
struct Examination<'t, T: Real> {
    end: usize,
    /// What the output depends on and a variable feeds.
    active: Vec<usize>,
    adjoints: Vec<Option<Tensor<T>>>,
    names: Vec<(usize, String)>,
    cost: Var<'t, T>,
}

impl<'t, T: Real> Examination<'t, T> {
    #[track_caller]
    fn of(cost: Var<'t, T>, named: &[(String, u64)]) -> Self {
        let (tape, end) = (cost.tape(), cost.id().index());
        let node = |index: usize| tape.var(NodeId::new(index));
        // Refuses a cost that counts as constant, of which nothing could be said.
        let is_leaf = |var: &Var<'t, T>| var.is_active() && tape.call(var.id()).is_none();
        let leaves: Vec<_> = (0..=end).map(node).filter(is_leaf).collect();
        tape.mark_from(&leaves, &[cost], Vec::new());
        let mut feeds = vec![false; end + 1];
        feeds[end] = true;
        for index in (0..=end).rev().filter(|&index| node(index).is_active()) {
            if feeds[index]
                && let Some((_, args)) = tape.call(NodeId::new(index))
            {
                args.iter().for_each(|arg| feeds[arg.id().index()] = true);
            }
        }
        let active: Vec<usize> =
            (0..=end).filter(|&index| feeds[index] && node(index).is_active()).collect();
        let vars: Vec<_> = active.iter().map(|&index| node(index)).collect();
        // A sum of all elements may be constant where they are not.
        let w = Draw::new(1964).cotangent::<T>(&cost.shape());
        let mut adjoints = vec![None; end + 1];
        let values = tape.without_gradients(|| cost.vjp(tape.constant(w), &vars));
        for (&index, adjoint) in active.iter().zip(values) {
            adjoints[index] = Some(tape.value_of(adjoint.id()));
        }
        let names = named.iter().filter_map(|(name, key)| {
            Some((tape.parameter_variable(*key)?.id().index(), name.clone()))
        });
        Self { end, active, adjoints, names: names.collect(), cost }
    }

    fn node(&self, index: usize) -> Var<'t, T> {
        self.cost.tape().var(NodeId::new(index))
    }

    fn describe(&self, index: usize) -> String {
        match self.names.iter().find(|(node, _)| *node == index) {
            Some((_, name)) => format!("{name}, {}", self.node(index).describe()),
            None => self.node(index).describe(),
        }
    }

    fn is_leaf(&self, index: usize) -> bool {
        self.cost.tape().call(NodeId::new(index)).is_none()
    }

    /// The active nodes that read a value.
    fn readers(&self, index: usize) -> impl Iterator<Item = usize> {
        self.active.iter().copied().filter(move |&reader| {
            let call = self.cost.tape().call(NodeId::new(reader));
            call.is_some_and(|(_, args)| args.iter().any(|arg| arg.id().index() == index))
        })
    }

    fn non_finite_adjoint(&self) -> Option<String> {
        let not_finite = |&index: &usize| {
            let adjoint = self.adjoints[index].as_ref()?;
            adjoint.iter().find(|x| !x.is_finite()).map(|x| (index, x))
        };
        let (index, x) = self.active.iter().rev().find_map(not_finite)?;
        let rules = self.readers(index).map(|reader| self.describe(reader));
        let rules: Vec<_> = rules.collect();
        Some(format!(
            "{x} in the adjoint of {}\n  from the rule of {}",
            self.describe(index),
            rules.join(", or of ")
        ))
    }

    fn unused(&self, named: &[(String, u64)]) -> Vec<String> {
        let tape = self.cost.tape();
        let absent = named.iter().filter(|(_, key)| tape.parameter_variable(*key).is_none());
        let absent = absent.map(|(name, _)| format!("{name} is not used: no line takes it in"));
        let idle = (0..self.end).filter(|&index| {
            self.is_leaf(index)
                && self.node(index).is_active()
                && self.active.binary_search(&index).is_err()
        });
        let idle =
            idle.map(|index| format!("the output does not depend on {}", self.describe(index)));
        absent.chain(idle).collect()
    }

    fn is_zero(&self, index: usize) -> bool {
        let adjoint = self.adjoints[index].as_ref();
        adjoint.is_some_and(|x| !x.is_empty() && x.iter().all(|x| x == T::zero()))
    }

    fn zero_gradients(&self) -> Vec<String> {
        let leaves = self.active.iter().copied();
        let leaves = leaves.filter(|&index| self.is_leaf(index) && self.is_zero(index));
        let message = |leaf: usize| {
            // Along its readers, up to one whose own adjoint is not zero.
            let mut front = vec![leaf];
            let mut seen = vec![false; self.end + 1];
            let mut stops = Vec::new();
            while let Some(index) = front.pop() {
                for reader in self.readers(index) {
                    if seen[reader] {
                        continue;
                    }
                    seen[reader] = true;
                    match self.is_zero(reader) {
                        true => front.push(reader),
                        false => stops.push(reader),
                    }
                }
            }
            stops.sort_unstable();
            let stop = stops.first().map_or_else(String::new, |&stop| {
                format!("\n  it vanishes in {}", self.describe(stop))
            });
            format!("the gradient is zero everywhere, of {}{stop}", self.describe(leaf))
        };
        leaves.map(message).collect()
    }

    fn saturated(&self) -> Vec<String> {
        let mut messages = Vec::new();
        for &index in &self.active {
            let Some((op, args)) = self.cost.tape().call(NodeId::new(index)) else { continue };
            let [arg] = args[..] else { continue };
            let x = self.cost.tape().value_of(arg.id());
            let flat: Option<Vec<bool>> = x
                .iter()
                .map(|x| op.get().partials(&[x]).map(|partial| partial[0].as_f64().abs() < FLAT))
                .collect();
            let Some(flat) = flat else { continue };
            let count = flat.len();
            let units = x.shape().last().copied().unwrap_or(1).max(1);
            let rows = count / units;
            let what = if rows > 1 {
                let dead = (0..units).filter(|&unit| (0..rows).all(|row| flat[row * units + unit]));
                let dead = dead.count();
                (dead > 0).then(|| format!("{dead} of {units} units in all of {rows} rows"))
            } else {
                let dead = flat.iter().filter(|&&flat| flat).count();
                (count > 1 && dead as f64 > MOST * count as f64)
                    .then(|| format!("{dead} of {count} elements"))
            };
            if let Some(what) = what {
                messages.push(format!(
                    "{what} pass on less than a thousandth of their gradient, in {}",
                    self.describe(index)
                ));
            }
        }
        messages
    }
}
