//! Gradients of several parts of a step, added up: batches of one step, or shards (which `exchange`
//! adds up).
//!
//! The sum reaches the optimiser as the gradient of a linear function, `sum(g w)`, on a tape where it is
//! recorded like any other: optimisers read gradients from a tape, and so does everything that comes
//! between the two.

use wengert_core::{Gradients, Real, Tape, Tensor, Var, View};

use crate::optim::{Optimiser, Rule, StepError};
use crate::{Module, Path};

/// A weighted sum of gradients, and of what is assigned to buffers, for each parameter of a model.
///
/// Every part is a mean over its samples and counts by its share of all. Parts are added in the order
/// in which they come: `s <- s + share g`.
#[derive(Debug)]
pub(super) struct Sum<T: Real> {
    tape: Tape<T>,
    /// In the order of the visit.
    terms: Vec<Term<T>>,
    /// Whether the last sum was handed over.
    is_done: bool,
}

/// The sum of one parameter; the memory is kept from step to step.
#[derive(Debug)]
struct Term<T: Real> {
    sum: Tensor<T>,
    /// Whether any part knew of the parameter.
    is_known: bool,
}

impl<T: Real> Sum<T> {
    pub(super) fn new() -> Self {
        Self { tape: Tape::new(), terms: Vec::new(), is_done: false }
    }

    /// Adds the gradients that a tape has, and what it assigns to buffers; refuses those of another
    /// model.
    pub(super) fn add_recorded<M: Module<T> + ?Sized>(
        &mut self,
        net: &M,
        share: f64,
        gradients: &Gradients<'_, T>,
    ) -> Result<(), StepError> {
        let tape = gradients.tape();
        let (mut position, mut is_related, share) = (0, false, T::from_f64(share));
        self.begin();
        net.visit(&Path::root(), &mut |_, param| {
            let term = self.term(position, param.value());
            if param.is_buffer() {
                if let Some(value) = tape.assigned(param.key()) {
                    value.with_value(|value| term.add(share, value));
                }
            } else {
                let added = |gradient: View<'_, T>| term.add(share, gradient);
                is_related |= gradients.with_parameter(param.key(), added).is_some();
            }
            position += 1;
        });
        if is_related { Ok(()) } else { StepError::unrelated(net, gradients) }
    }

    /// Takes over a sum that was made elsewhere: `numbers` gives those of a key, if there are any.
    pub(super) fn set<'a, M: Module<T> + ?Sized>(
        &mut self,
        net: &M,
        numbers: impl Fn(u64) -> Option<&'a [T]>,
    ) {
        let mut position = 0;
        self.is_done = true;
        self.begin();
        net.visit(&Path::root(), &mut |_, param| {
            let term = self.term(position, param.value());
            if let Some(numbers) = numbers(param.key()) {
                term.sum.as_mut_slice().copy_from_slice(numbers);
                term.is_known = true;
            }
            position += 1;
        });
    }

    /// Takes the optimiser's step on the sum, which is empty then.
    pub(super) fn step<M: Module<T>, R: Rule>(
        &mut self,
        net: &mut M,
        optimiser: &mut Optimiser<T, R>,
    ) -> Result<(), StepError> {
        self.is_done = true;
        let Some(gradients) = self.record(net) else { return Ok(()) };
        optimiser.try_step(net, &gradients)
    }

    /// Records a function whose gradients are the sums, and assigns those of buffers.
    pub(super) fn record<M: Module<T>>(&mut self, net: &M) -> Option<Gradients<'_, T>> {
        self.tape.reset();
        let (tape, terms) = (&self.tape, &self.terms);
        let (mut position, mut total) = (0, None::<Var<'_, T>>);
        net.visit(&Path::root(), &mut |_, param| {
            let term = &terms[position];
            position += 1;
            if !term.is_known {
                return;
            }
            let sum = tape.constant(&term.sum);
            if param.is_buffer() {
                param.on(tape);
                param.assign(sum);
            } else {
                let term = (param.on(tape) * sum).sum();
                total = Some(total.map_or(term, |total| total + term));
            }
        });
        total.map(Var::backward)
    }

    /// Begins a sum if the last one is done.
    fn begin(&mut self) {
        if self.is_done {
            // The tape shares the memory of the terms.
            self.tape.reset();
            self.terms.iter_mut().for_each(|term| term.is_known = false);
            self.is_done = false;
        }
    }

    fn term(&mut self, position: usize, value: &Tensor<T>) -> &mut Term<T> {
        if self.terms.len() <= position {
            self.terms.push(Term { sum: Tensor::zeros(value.shape()), is_known: false });
        }
        let term = &mut self.terms[position];
        if term.sum.shape() != value.shape() {
            *term = Term { sum: Tensor::zeros(value.shape()), is_known: false };
        }
        term
    }
}

impl<T: Real> Term<T> {
    /// Adds a part. The first one replaces what was there.
    fn add(&mut self, share: T, part: View<'_, T>) {
        let first = !self.is_known;
        let sums = self.sum.as_mut_slice().iter_mut();
        let next = move |sum: T, x: T| if first { share * x } else { sum + share * x };
        match part.as_slice() {
            Some(part) => sums.zip(part).for_each(|(sum, &x)| *sum = next(*sum, x)),
            None => sums.zip(part.iter()).for_each(|(sum, x)| *sum = next(*sum, x)),
        }
        self.is_known = true;
    }
}
