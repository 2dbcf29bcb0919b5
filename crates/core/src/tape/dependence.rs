//! Which values depend on which: what derivatives go through.
//!
//! A derivative that is asked for by name (`grad`, `vjp`, `jvp`, `taylor`) follows dependence: it
//! goes through every op between inputs and outputs, whatever kind of leaves feed them, and ends
//! where a value is constant by declaration or by calculus. That is so at `stop_gradient`, at
//! comparisons and the like, and at what was recorded `without_gradients`. The last is a matter
//! of who asks: for the body itself its values are values like others, and for all that is
//! recorded after it they are *detached*. So the recorder remembers the nodes of each body that is
//! over, which are nested ranges, and [`Tape::mark_from`] takes the marks of a range away where it
//! ends.
//!
//! What has no derivative is refused at the caller's line, and never taken as 0: a detached
//! output, and what a fast sweep has computed in one go ([`DynOp::has_rules`]).
//!
//! [`DynOp::has_rules`]: crate::op::DynOp::has_rules

use std::ops::Range;

use super::node::Origin;
use super::recorder::Recorder;
use super::{Args, NodeId, Tape, Var, line};
use crate::scalar::Real;

/// Dependence on some nodes, on its way along the tape.
struct Spread<'a, T: Real> {
    inner: &'a Recorder<T>,
    /// Where it begins. These stay marked where their range ends.
    sources: &'a [NodeId],
    outputs: &'a [NodeId],
    marks: &'a mut [bool],
    /// Nodes that depend on the sources and have no rules.
    lost: Vec<NodeId>,
}

impl<T: Real> Spread<'_, T> {
    /// Marks what depends on the sources, and of nodes without rules only if these are to be
    /// followed too.
    #[track_caller]
    fn run(&mut self, without_rules: bool) {
        let count = self.marks.len();
        let mut first = count;
        for source in self.sources.iter().map(|source| source.index()).filter(|&i| i < count) {
            self.marks[source] = true;
            first = first.min(source);
        }
        let inner = self.inner;
        let over = inner.detached.partition_point(|range| range.end <= first);
        let mut ranges = inner.detached[over..].iter().peekable();
        for index in first..count {
            while let Some(range) = ranges.next_if(|range| range.end <= index) {
                self.leave(range);
            }
            let id = NodeId::new(index);
            if self.marks[index] || !inner.args(id).iter().any(|arg| self.marks[arg.index()]) {
                continue;
            }
            let op = || inner.ops().get(inner.node(id).origin).expect("a leaf has no arguments");
            // A node that is active has been asked.
            if inner.node(id).active || op().is_differentiable() && op().has_rules() {
                self.marks[index] = true;
            } else if !op().has_rules() {
                self.marks[index] = without_rules;
                self.lost.push(id);
            }
        }
        for range in ranges {
            self.leave(range);
        }
    }

    /// Ends a range of nodes that were recorded without gradients.
    #[track_caller]
    fn leave(&mut self, range: &Range<usize>) {
        let is_source = |id: &NodeId| self.sources.contains(id);
        let detached = |id: &&NodeId| range.contains(&id.index()) && self.marks[id.index()];
        if let Some(&output) = self.outputs.iter().filter(|id| !is_source(id)).find(detached) {
            panic!(
                "no derivative of {}: it was recorded without gradients, and counts as constant \
                 since then; ask for the derivative within `without_gradients`, or record the \
                 value outside of it",
                self.inner.describe(output)
            );
        }
        let end = range.end.min(self.marks.len());
        for index in range.start..end {
            self.marks[index] = self.marks[index] && is_source(&NodeId::new(index));
        }
        self.lost.retain(|id| !range.contains(&id.index()));
    }
}

impl<T: Real> Tape<T> {
    /// Marks the nodes, up to the last of the outputs, that depend on one of the inputs, and
    /// through which derivatives go.
    ///
    /// # Panics
    /// If an output depends on the inputs, and has no derivative.
    #[track_caller]
    pub(crate) fn mark_from(
        &self,
        inputs: &[Var<'_, T>],
        outputs: &[Var<'_, T>],
        mut marks: Vec<bool>,
    ) -> Vec<bool> {
        let inner = self.inner.borrow();
        let ids = |vars: &[Var<'_, T>]| vars.iter().map(|var| var.id()).collect::<Args<NodeId>>();
        let (inputs, outputs) = (ids(inputs), ids(outputs));
        let count = outputs.iter().map(|output| output.index() + 1).max().unwrap_or(0);
        marks.clear();
        marks.resize(count, false);
        let (sources, outputs) = (&inputs[..], &outputs[..]);
        let (inner, lost) = (&*inner, Vec::new());
        let mut spread = Spread { inner, sources, outputs, marks: &mut marks, lost };
        spread.run(false);
        if !spread.lost.is_empty() {
            let lost = std::mem::take(&mut spread.lost);
            refuse_lost(inner, &lost, sources, outputs, count);
        }
        marks
    }

    /// Of each of some nodes whether it was recorded without gradients, by a body that is over.
    pub(crate) fn detached(&self, nodes: Range<usize>) -> Vec<bool> {
        let inner = self.inner.borrow();
        let mut detached = vec![false; nodes.len()];
        let over = inner.detached.partition_point(|range| range.end <= nodes.start);
        for range in &inner.detached[over..] {
            let within = |index: usize| index.clamp(nodes.start, nodes.end) - nodes.start;
            detached[within(range.start)..within(range.end)].fill(true);
        }
        detached
    }

    /// Of each node up to the last output whether some output depends on it.
    pub(crate) fn needed_for(&self, outputs: &[Var<'_, T>]) -> Vec<bool> {
        let inner = self.inner.borrow();
        let count = outputs.iter().map(|output| output.id().index() + 1).max().unwrap_or(0);
        let mut needed = vec![false; count];
        for output in outputs {
            needed[output.id().index()] = true;
        }
        for index in (0..count).rev() {
            if needed[index] {
                for arg in inner.args(NodeId::new(index)) {
                    needed[arg.index()] = true;
                }
            }
        }
        needed
    }

    /// Why no variable feeds a value, and what to do about it.
    #[cold]
    pub(crate) fn why_constant(&self, value: Var<'_, T>) -> String {
        let needed = self.needed_for(&[value]);
        let inner = self.inner.borrow();
        let nodes = || (0..needed.len()).rev().filter(|&i| needed[i]).map(NodeId::new);
        let op = |id: NodeId| inner.ops().get(inner.node(id).origin);
        let unrecorded = |&id: &NodeId| op(id).is_some() && !inner.node(id).records_derivatives;
        if let Some(id) = nodes().find(unrecorded) {
            let what = if id == value.id() { "it".to_owned() } else { inner.describe(id) };
            return format!(
                "{what} was recorded `without_gradients`, and counts as constant since then; record \
                 it outside, or ask for `output.grad([x])` inside"
            );
        }
        let stops = |&id: &NodeId| {
            let feeds = inner.args(id).iter().any(|&arg| inner.node(arg).active);
            feeds && op(id).is_some_and(|op| !op.is_differentiable())
        };
        if let Some(id) = nodes().find(stops) {
            return format!("no derivative goes through {}", inner.describe(id));
        }
        let is_frozen = |&id: &NodeId| matches!(inner.node(id).origin, Origin::Frozen);
        if let Some(id) = nodes().find(is_frozen) {
            return format!(
                "what feeds it is constant or frozen, such as {}; have it trained by \
                 `set_trainable(true)`, or a whole model by `unfreeze()`",
                inner.describe(id)
            );
        }
        "take values in with `tape.variable` or `tape.parameter`; `output.grad([x])` gives the \
         gradient with respect to any values"
            .to_owned()
    }

    /// Detects data-dependent control flow: the first read of a value that depends on `inputs` and
    /// is followed by nodes that `results` may use. Such a recording is valid only for the value
    /// that was read. Gives the value and the line of the read.
    pub(crate) fn data_dependent_read(
        &self,
        inputs: &[Var<'_, T>],
        results: &[Var<'_, T>],
    ) -> Option<(String, String)> {
        let end = results.iter().map(|var| var.id().index() + 1).max().unwrap_or(0);
        self.read_before(inputs, end)
    }

    /// The first read of a value that depends on `inputs`, whatever was recorded after it: a function
    /// may have decided by it which of its values to give.
    pub(crate) fn any_read(&self, inputs: &[Var<'_, T>]) -> Option<(String, String)> {
        self.read_before(inputs, usize::MAX)
    }

    fn read_before(&self, inputs: &[Var<'_, T>], end: usize) -> Option<(String, String)> {
        let inner = self.inner.borrow();
        let depends = inner.dependents(inputs);
        let (id, _, location) =
            inner.reads.iter().find(|&&(id, nodes, _)| depends[id.index()] && nodes < end)?;
        Some((inner.describe(*id), line(location)))
    }
}

impl<T: Real> Recorder<T> {
    /// Of each node whether it depends on one of the inputs.
    fn dependents(&self, inputs: &[Var<'_, T>]) -> Vec<bool> {
        let mut depends = vec![false; self.len()];
        for input in inputs {
            depends[input.id().index()] = true;
        }
        for index in 0..depends.len() {
            depends[index] |= self.args(NodeId::new(index)).iter().any(|arg| depends[arg.index()]);
        }
        depends
    }
}

/// Stops if an output depends on a node without rules, and through it on the inputs.
#[cold]
#[track_caller]
fn refuse_lost<T: Real>(
    inner: &Recorder<T>,
    lost: &[NodeId],
    inputs: &[NodeId],
    outputs: &[NodeId],
    count: usize,
) {
    let mut marks = vec![false; count];
    let spread = Spread { inner, sources: lost, outputs, marks: &mut marks, lost: Vec::new() };
    { spread }.run(true);
    let is_lost = |id: &&NodeId| marks[id.index()] && !inputs.contains(id);
    if outputs.iter().any(|id| is_lost(&id)) {
        panic!(
            "a derivative that was taken `without_gradients` is to be differentiated again, and \
             only its value was kept: that of {}; take the first derivative outside of \
             `without_gradients`",
            inner.describe(lost[0])
        );
    }
}
