//! Which layer of a model recorded a node: read by messages and traces alone.
//!
//! A [`Tape`] knows the source line of each node, by `#[track_caller]`. It ends at a trait object:
//! what a list of boxed layers records has the line of the library. So whoever calls such layers, as
//! nn's `Sequential` does, opens a list of [`Layers`] and says which layer is next. What the layer records
//! then has the caller's line, and messages name the layer.
//!
//! The layers stand in a list of their own, an entry for each call of a layer, so that nodes stay as
//! small as they are and a tape without such lists does nothing for them. A [scope](Tape::scope) that the
//! user names is an entry among them.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::panic::Location;

use super::Tape;
use super::node::NodeId;
use crate::scalar::Real;

/// A layer or a scope, and what stands around it.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The first node that may belong to it.
    start: usize,
    /// How many places stand around it, itself counted; 0 for none.
    depth: usize,
    label: Label,
}

/// What a place is called.
#[derive(Clone, Copy, Debug, Default)]
enum Label {
    #[default]
    None,
    /// A layer of a list: its position, and the name of its type.
    Layer(usize, &'static str),
    /// A scope of the user's, by the position of its name.
    Scope(usize),
}

/// A place in words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlaceName {
    /// `layer 2 (Linear)`, or what the user calls a scope.
    pub(crate) label: String,
    /// What stands before the names of its parameters: `2`.
    pub(crate) prefix: String,
}

/// The places of a recording, in the order in which they were entered.
#[derive(Debug, Default)]
pub(super) struct Places {
    list: Vec<Place>,
    /// The names of scopes.
    names: Vec<Cow<'static, str>>,
    /// The line that stands for those of the library.
    pub(super) caller: Option<&'static Location<'static>>,
}

impl Places {
    pub(super) fn reset(&mut self) {
        self.list.clear();
        self.names.clear();
        self.caller = None;
    }

    fn last(&self) -> Place {
        self.list.last().copied().unwrap_or_default()
    }

    /// The layer that records now, from the outside in, as it stands behind a source line: nothing,
    /// or ` in layer 2 (Linear)`.
    pub(super) fn now(&self) -> impl Display {
        Chain(self.chain(self.list.len()))
    }

    /// The layer that recorded a node.
    pub(super) fn of(&self, id: NodeId) -> impl Display {
        Chain(self.around(id))
    }

    /// The places that a node belongs to, from the outside in.
    fn around(&self, id: NodeId) -> Vec<PlaceName> {
        self.chain(self.list.partition_point(|place| place.start <= id.index()))
    }

    /// The last of the first `count` places, and those around it, from the outside in.
    fn chain(&self, count: usize) -> Vec<PlaceName> {
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
        chain.iter().rev().map(|place| self.name(place.label)).collect()
    }

    fn name(&self, label: Label) -> PlaceName {
        match label {
            Label::None => PlaceName { label: String::new(), prefix: String::new() },
            Label::Layer(position, layer) => {
                // `wengert_nn::layer::linear::Linear<f32>` is called `Linear`.
                let layer = layer.split('<').next().unwrap_or(layer);
                let layer = layer.rsplit("::").next().unwrap_or(layer);
                let label = format!("layer {position} ({layer})");
                PlaceName { label, prefix: position.to_string() }
            }
            Label::Scope(name) => {
                let name = self.names[name].to_string();
                PlaceName { label: name.clone(), prefix: name }
            }
        }
    }
}

/// Places, from the outside in.
struct Chain(Vec<PlaceName>);

impl Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, place) in self.0.iter().enumerate() {
            let before = if i == 0 { " in" } else { "," };
            write!(f, "{before} {}", place.label)?;
        }
        Ok(())
    }
}

/// A list of layers that records: see [`Tape::layers`].
pub struct Layers<'t, T: Real> {
    tape: &'t Tape<T>,
    outer: Place,
    outer_caller: Option<&'static Location<'static>>,
    caller: &'static Location<'static>,
}

impl<T: Real> Tape<T> {
    /// Opens a list of layers that the caller's caller has called. It is closed when it is dropped.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let layers = tape.layers();
    /// layers.enter(0, "Square", false);
    /// let y = tape.variable([1.0, 2.0]).square();
    /// assert!(y.describe().ends_with("in layer 0 (Square)"));
    /// ```
    #[track_caller]
    pub fn layers(&self) -> Layers<'_, T> {
        let inner = self.inner.borrow();
        Layers {
            tape: self,
            outer: inner.places.last(),
            outer_caller: inner.places.caller,
            caller: inner.places.caller.unwrap_or(Location::caller()),
        }
    }

    /// Runs `body`, which stands under a name in [traces](Tape::trace) and messages: a part of a model.
    /// Scopes stand in each other.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0);
    /// let y = tape.scope("layer 2", || x.tanh());
    /// assert!(y.describe().ends_with(" in layer 2"));
    /// assert_eq!(tape.trace(y).rows()[1].scope, ["layer 2"]);
    /// ```
    #[track_caller]
    pub fn scope<R>(&self, name: impl Into<Cow<'static, str>>, body: impl FnOnce() -> R) -> R {
        let layers = self.layers();
        {
            let inner = &mut *self.inner.borrow_mut();
            let (start, depth) = (inner.len(), layers.outer.depth + 1);
            inner.places.names.push(name.into());
            let label = Label::Scope(inner.places.names.len() - 1);
            inner.places.list.push(Place { start, depth, label });
        }
        // Closed where it ends, even by a panic.
        body()
    }

    /// The places that a node belongs to, from the outside in.
    pub(crate) fn places_around(&self, id: NodeId) -> Vec<PlaceName> {
        self.inner.borrow().places.around(id)
    }

    /// The layer that records now, as messages end with it: empty, or ` in layer 2 (Linear)`.
    pub(crate) fn place(&self) -> String {
        self.inner.borrow().places.now().to_string()
    }
}

impl<T: Real> Layers<'_, T> {
    /// What is recorded from now on belongs to the layer at a position of the list, whose type is
    /// called `layer`. If the layer `is_internal`, lines of the caller stand for its own.
    #[inline]
    pub fn enter(&self, position: usize, layer: &'static str, is_internal: bool) {
        let inner = &mut *self.tape.inner.borrow_mut();
        let (start, depth) = (inner.len(), self.outer.depth + 1);
        inner.places.list.push(Place { start, depth, label: Label::Layer(position, layer) });
        inner.places.caller = is_internal.then_some(self.caller);
        inner.on_behalf = inner.places.caller;
    }
}

impl<T: Real> Drop for Layers<'_, T> {
    fn drop(&mut self) {
        let inner = &mut *self.tape.inner.borrow_mut();
        let start = inner.len();
        inner.places.list.push(Place { start, ..self.outer });
        inner.places.caller = self.outer_caller;
        inner.on_behalf = self.outer_caller;
    }
}

impl<T: Real> fmt::Debug for Layers<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layers called at {}", self.caller)
    }
}
