//! A model's trainable parameters as one vector, and what is evaluated there.

use wengert_core::{Gradients, Real, Tape, Var};

use crate::{Module, Param, Path};

/// A place in the space of parameters, with the cost and the gradient there.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub at: Vec<f64>,
    pub cost: f64,
    pub gradient: Vec<f64>,
}

/// Moves a model about, and records on a tape of its own.
pub(super) struct Evaluator<'m, T: Real, M> {
    net: &'m mut M,
    tape: Tape<T>,
    count: usize,
}

impl<'m, T: Real, M: Module<T>> Evaluator<'m, T, M> {
    pub fn new(net: &'m mut M) -> Self {
        Self { net, tape: Tape::new(), count: 0 }
    }

    /// How often the cost was evaluated.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Where the model stands.
    pub fn position(&self) -> Vec<f64> {
        let mut vector = Vec::new();
        for param in trained(self.net) {
            vector.extend(param.elements().iter().map(|x| x.as_f64()));
        }
        vector
    }

    /// Gives the model other parameters.
    pub fn move_to(&mut self, at: &[f64]) {
        let mut rest = at.iter();
        self.net.visit_mut(&Path::root(), &mut |_, param| {
            if param.is_trainable() {
                for (x, &value) in param.elements_mut().iter_mut().zip(&mut rest) {
                    *x = T::from_f64(value);
                }
            }
        });
    }

    /// Evaluates a cost and its gradient.
    pub fn point<F: for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>>(
        &mut self,
        at: &[f64],
        cost: &F,
    ) -> Point {
        self.evaluated();
        self.tape.reset();
        self.move_to(at);
        let value = cost(self.net, &self.tape);
        let gradient = self.flat(&value.backward());
        // Where the model stands: in single precision, close to what was asked for.
        Point { at: self.position(), cost: value.item().as_f64(), gradient }
    }

    /// Counts an evaluation that [`record`](Self::record) makes.
    pub fn evaluated(&mut self) {
        self.count += 1;
    }

    /// Records something else at a point: `body` sees the model, the tape, and the
    /// variables of the trained parameters. Not counted, since it may be a derivative.
    pub fn record<R>(
        &mut self,
        at: &[f64],
        body: impl for<'t> FnOnce(&M, &'t Tape<T>, &[Var<'t, T>]) -> R,
    ) -> R {
        self.tape.reset();
        self.move_to(at);
        let vars: Vec<Var<'_, T>> =
            trained(self.net).into_iter().map(|param| param.on(&self.tape)).collect();
        body(self.net, &self.tape, &vars)
    }

    /// The gradient as one vector; 0 where the cost does not depend on a parameter.
    fn flat(&self, gradients: &Gradients<'_, T>) -> Vec<f64> {
        let mut vector = Vec::new();
        for param in trained(self.net) {
            let end = vector.len() + param.len();
            gradients.with_parameter(param.key(), |gradient| {
                vector.extend(gradient.iter().map(|x| x.as_f64()));
            });
            vector.resize(end, 0.0);
        }
        vector
    }
}

fn trained<T: Real, M: Module<T>>(net: &M) -> Vec<&Param<T>> {
    net.parameters().into_iter().filter(|param| param.is_trainable()).collect()
}

/// A vector's parts as constants, arranged like some variables.
pub(super) fn arranged<'t, T: Real>(vars: &[Var<'t, T>], vector: &[f64]) -> Vec<Var<'t, T>> {
    let mut rest = vector.iter();
    let part = |var: &Var<'t, T>| {
        let own = rest.by_ref().take(var.elements()).map(|&x| T::from_f64(x)).collect();
        var.tape().constant(wengert_core::Tensor::new(var.shape(), own))
    };
    vars.iter().map(part).collect()
}

/// The values of some variables as one vector.
pub(super) fn flattened<T: Real>(vars: &[Var<'_, T>]) -> Vec<f64> {
    let mut vector = Vec::new();
    for var in vars {
        var.with_value(|value| vector.extend(value.iter().map(|x| x.as_f64())));
    }
    vector
}
