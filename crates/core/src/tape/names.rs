//! Names of values, for whoever reads a trace.
//!
//! They stand in a list of their own, which has an entry for each name that was given: a tape without
//! names does nothing for them, and nodes stay as small as they are.

use std::borrow::Cow;
use std::collections::HashMap;

use super::node::NodeId;
use super::{Tape, Var};
use crate::scalar::Real;

/// Nodes and what they are called, in the order in which the names were given.
type List = Vec<(NodeId, Cow<'static, str>)>;

/// The names of a recording.
#[derive(Debug, Default)]
pub(super) struct Names {
    values: List,
    adjoints: List,
    /// By key, for all recordings.
    parameters: HashMap<u64, Cow<'static, str>>,
}

impl Names {
    pub(super) fn reset(&mut self) {
        self.values.clear();
        self.adjoints.clear();
    }
}

/// # Names
impl<'t, T: Real> Var<'t, T> {
    /// The same variable, with a name by which [traces](Tape::trace) call it. It records nothing. Of
    /// several names the last one counts.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0).named("x");
    /// let y = (x.sin() * x).named("y");
    /// assert_eq!(tape.trace(y).rows()[2].formula.to_string(), "v1 * x");
    /// ```
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.tape().inner.borrow_mut().names.values.push((self.id(), name.into()));
        self
    }

    /// The same variable, with a name for its adjoint in [traces](Tape::trace), where that has one: what
    /// Higham & Higham call `delta` is the adjoint of `z`.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let z = tape.variable(2.0).named("z").adjoint_named("delta");
    /// let a = (3.0 * z).named("a").tanh();
    /// let trace = tape.trace(a);
    /// assert_eq!(trace.row("z").unwrap().adjoint_name(), "delta");
    /// ```
    pub fn adjoint_named(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.tape().inner.borrow_mut().names.adjoints.push((self.id(), name.into()));
        self
    }
}

impl<T: Real> Tape<T> {
    /// Has [traces](Tape::trace) call a parameter by a name, in this recording and in later ones,
    /// whether it has been recorded or not. A name that is given to its [variable](Var::named) counts more.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// let tape = Tape::new();
    /// tape.name_parameter(7, "hidden.weight");
    /// let y = tape.parameter(7, &Tensor::from([1.0, 2.0])).sum();
    /// assert!(tape.trace(y).row("hidden.weight").is_some());
    /// ```
    pub fn name_parameter(&self, key: u64, name: impl Into<Cow<'static, str>>) {
        self.inner.borrow_mut().names.parameters.insert(key, name.into());
    }

    /// The given names, and the nodes that have them: of several for one node, the last one counts.
    pub(crate) fn given_names(&self) -> Vec<(usize, String)> {
        let inner = self.inner.borrow();
        let parameters = inner.names.parameters.iter().filter_map(|(&key, name)| {
            let id = inner.parameters.get(inner.parameters.find(key)?)?;
            Some((id.index(), name.to_string()))
        });
        parameters.chain(owned(&inner.names.values)).collect()
    }

    /// The given names of adjoints, and the nodes that have them.
    pub(crate) fn given_names_of_adjoints(&self) -> Vec<(usize, String)> {
        owned(&self.inner.borrow().names.adjoints)
    }
}

fn owned(list: &List) -> Vec<(usize, String)> {
    list.iter().map(|(id, name)| (id.index(), name.to_string())).collect()
}
