//! Names of values, for whoever reads a trace.
//!
//! They stand in a list of their own, which has an entry for each name that was given: a tape without
//! names does nothing for them, and nodes stay as small as they are.

use std::borrow::Cow;

use super::node::NodeId;
use crate::{Real, Tape, Var};

/// The names of a recording, in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<(NodeId, Cow<'static, str>)>);

impl Names {
    pub(super) fn reset(&mut self) {
        self.0.clear();
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
        self.tape().inner.borrow_mut().names.0.push((self.id(), name.into()));
        self
    }
}

impl<T: Real> Tape<T> {
    /// The given names, and the nodes that have them.
    pub(crate) fn given_names(&self) -> Vec<(usize, String)> {
        let inner = self.inner.borrow();
        inner.names.0.iter().map(|(id, name)| (id.index(), name.to_string())).collect()
    }
}
