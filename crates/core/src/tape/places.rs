//! Which layer of a model recorded a node: read by messages alone.
//!
//! A [`Tape`] knows the source line of each node, by `#[track_caller]`. It ends at a trait object:
//! what a list of boxed layers records has the line of the library. So whoever calls such layers, as
//! nn's `Sequential` does, opens a [`Scope`] and says which layer is next. What the layer records
//! then has the caller's line, and messages name the layer.
//!
//! The layers stand in a list of their own, an entry for each call of a layer, so that nodes stay as
//! small as they are and a tape without such lists does nothing for them.

use std::fmt::{self, Display};
use std::panic::Location;

use super::Tape;
use super::node::NodeId;
use crate::Real;

/// A layer, and what called it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// The first node that may belong to it.
    start: usize,
    /// How many lists stand around it; 0 where there is no layer.
    depth: usize,
    /// Its position in the list.
    position: usize,
    /// The name of its type.
    layer: &'static str,
}

/// The places of a recording, in the order in which they were entered.
#[derive(Debug, Default)]
pub(super) struct Places {
    list: Vec<Place>,
    /// The line that stands for those of the library.
    pub(super) caller: Option<&'static Location<'static>>,
}

impl Places {
    pub(super) fn reset(&mut self) {
        self.list.clear();
        self.caller = None;
    }

    fn last(&self) -> Place {
        self.list.last().copied().unwrap_or_default()
    }

    /// The layer that records now, from the outside in, as it stands behind a source line: nothing,
    /// or ` in layer 2 (Linear)`.
    pub(super) fn now(&self) -> impl Display {
        self.chain(self.list.len())
    }

    /// The layer that recorded a node.
    pub(super) fn of(&self, id: NodeId) -> impl Display {
        self.chain(self.list.partition_point(|place| place.start <= id.index()))
    }

    /// The last of the first `count` places, and those around it.
    fn chain(&self, count: usize) -> Chain {
        let mut chain: Vec<Place> = Vec::new();
        for place in self.list[..count].iter().rev() {
            let wanted = chain.last().map_or(place.depth, |inner| inner.depth - 1);
            if wanted == 0 {
                break;
            }
            if place.depth == wanted {
                chain.push(*place);
            }
        }
        Chain(chain)
    }
}

/// Places, the innermost first.
struct Chain(Vec<Place>);

impl Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Place { position, layer, .. }) in self.0.iter().rev().enumerate() {
            // `wengert_nn::layer::linear::Linear<f32>` is called `Linear`.
            let layer = layer.split('<').next().unwrap_or(layer);
            let layer = layer.rsplit("::").next().unwrap_or(layer);
            let before = if i == 0 { " in" } else { "," };
            write!(f, "{before} layer {position} ({layer})")?;
        }
        Ok(())
    }
}

/// A list of layers that records: see [`Tape::scope`].
pub struct Scope<'t, T: Real> {
    tape: &'t Tape<T>,
    outer: Place,
    outer_caller: Option<&'static Location<'static>>,
    caller: &'static Location<'static>,
}

impl<T: Real> Tape<T> {
    /// Opens a list of layers that the caller's caller has called. It is closed when the scope is
    /// dropped.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let scope = tape.scope();
    /// scope.enter(0, "Square", false);
    /// let y = tape.variable([1.0, 2.0]).square();
    /// assert!(y.describe().ends_with("in layer 0 (Square)"));
    /// ```
    #[track_caller]
    pub fn scope(&self) -> Scope<'_, T> {
        let inner = self.inner.borrow();
        Scope {
            tape: self,
            outer: inner.places.last(),
            outer_caller: inner.places.caller,
            caller: inner.places.caller.unwrap_or(Location::caller()),
        }
    }

    /// The layer that records now, as messages end with it: empty, or ` in layer 2 (Linear)`.
    pub(crate) fn place(&self) -> String {
        self.inner.borrow().places.now().to_string()
    }
}

impl<T: Real> Scope<'_, T> {
    /// What is recorded from now on belongs to the layer at a position of the list, whose type is
    /// called `layer`. If the layer `is_internal`, lines of the caller stand for its own.
    #[inline]
    pub fn enter(&self, position: usize, layer: &'static str, is_internal: bool) {
        let inner = &mut *self.tape.inner.borrow_mut();
        let (start, depth) = (inner.len(), self.outer.depth + 1);
        inner.places.list.push(Place { start, depth, position, layer });
        inner.places.caller = is_internal.then_some(self.caller);
        inner.on_behalf = inner.places.caller;
    }
}

impl<T: Real> Drop for Scope<'_, T> {
    fn drop(&mut self) {
        let inner = &mut *self.tape.inner.borrow_mut();
        let start = inner.len();
        inner.places.list.push(Place { start, ..self.outer });
        inner.places.caller = self.outer_caller;
        inner.on_behalf = self.outer_caller;
    }
}

impl<T: Real> fmt::Debug for Scope<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layers called at {}", self.caller)
    }
}
