//! Names of values, for whoever reads a trace.
//!
//! They stand in a list of their own, which has an entry for each name that was given: a tape without
//! names does nothing for them, and nodes stay as small as they are.

use std::borrow::Cow;

use super::node::NodeId;
use crate::{Real, Tape, Var};

/// Nodes and what they are called, in the order in which the names were given.
type List = Vec<(NodeId, Cow<'static, str>)>;

/// The names of a recording.
#[derive(Debug, Default)]
pub(super) struct Names {
    values: List,
    adjoints: List,
}

impl Names {
    pub(super) fn reset(&mut self) {
        self.values.clear();
        self.adjoints.clear();
    }
}

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
    /// The given names, and the nodes that have them.
    pub(crate) fn given_names(&self) -> Vec<(usize, String)> {
        owned(&self.inner.borrow().names.values)
    }

    /// The given names of adjoints, and the nodes that have them.
    pub(crate) fn given_names_of_adjoints(&self) -> Vec<(usize, String)> {
        owned(&self.inner.borrow().names.adjoints)
    }
}

fn owned(list: &List) -> Vec<(usize, String)> {
    list.iter().map(|(id, name)| (id.index(), name.to_string())).collect()
}
