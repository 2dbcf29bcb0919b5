//! Recordings that give up their values.
//!
//! A tape keeps every value of a recording, since somebody may ask for it. A large model needs most of them
//! only until the sweep has read them for the last time. A frugal tape is a [lazy](super::lazy) one:
//! when a sweep is recorded, all that it will read is known, though nothing is computed. Then all is
//! computed in order, and the memory of each value is free for others as soon as nothing after it reads
//! it. So a recorded step takes as much memory as a compiled one, and its bits are those of any other tape.

use super::node::{Kind, NodeId};
use super::recorder::Recorder;
use super::{Args, Tape};
use crate::scalar::Real;

impl<T: Real> Tape<T> {
    /// An empty tape that holds as little as it can: for training steps of models whose values are large.
    ///
    /// Values wait until somebody reads them, as on a [lazy](Self::lazy) tape. A fast sweep
    /// ([`backward`](crate::Var::backward) and its kin) computes all that is recorded by then, and gives the
    /// memory of each value to later ones when nothing recorded reads it any more. What stays is what
    /// nothing recorded reads (the loss, a metric, the next state of a buffer), the gradients with
    /// respect to variables and parameters, and what was read before the sweep.
    ///
    /// All else can still be read: it is computed once more, with what it depends on.
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor};
    ///
    /// let peak = |tape: Tape<f64>| {
    ///     let x = tape.variable(Tensor::ones([1000]));
    ///     let cost = (0..20).fold(x, |x, _| (x * 0.5).tanh() + 1.0).sum();
    ///     assert!(cost.backward().wrt(x).at(&[0]) > 0.0);
    ///     tape.memory().peak
    /// };
    /// // Of three values a step, the rule of tanh reads one.
    /// assert!(2 * peak(Tape::frugal()) < peak(Tape::new()));
    /// ```
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn frugal() -> Self {
        let tape = Self::lazy();
        {
            let mut inner = tape.inner.borrow_mut();
            inner.frugal = Some(0);
            inner.store.become_frugal();
        }
        tape
    }
}

/// How long a computation needs large values; by slot.
struct Lives {
    /// The nodes whose values lie there.
    nodes: Vec<Vec<usize>>,
    /// The last node to be computed that reads or writes it.
    last: Vec<usize>,
    /// Whether it outlives the computation.
    is_kept: Vec<bool>,
}

impl Lives {
    /// Of what `computes` selects, where `sweep` is the last sweep, from `output`.
    fn of<T: Real>(tape: &Recorder<T>, computes: &[bool], sweep: usize, output: NodeId) -> Self {
        let slot = |id: NodeId| tape.node(id).place.slot();
        let ids = || (0..tape.len()).map(NodeId::new);
        let slots = ids().filter_map(slot).max().map_or(0, |slot| slot + 1);
        let (nodes, last) = (vec![Vec::new(); slots], vec![0; slots]);
        let mut lives = Self { nodes, last, is_kept: vec![false; slots] };
        let mut is_read = vec![false; tape.len()];
        for id in ids() {
            let read = tape.args(id);
            read.iter().for_each(|arg| is_read[arg.index()] = true);
            if let Some(slot) = slot(id) {
                lives.nodes[slot].push(id.index());
            }
            if computes[id.index()] {
                tape.touched(id).into_iter().for_each(|slot| lives.last[slot] = id.index());
            }
        }
        let is_result = |id: &NodeId| {
            let is_unread = !is_read[id.index()] && !tape.sweeps.contain(id.index());
            is_unread || !computes[id.index()]
        };
        let leaves = ids().filter(|&id| tape.node(id).kind == Kind::Given);
        let gradients = leaves.filter_map(|leaf| tape.adjoint(sweep, leaf));
        for slot in ids().filter(is_result).chain(gradients).chain([output]).filter_map(slot) {
            lives.is_kept[slot] = true;
        }
        lives
    }
}

impl<T: Real> Recorder<T> {
    /// On a frugal tape, computes what was recorded since the last sweep, `sweep` from `output` at the end
    /// of it, and gives up what nothing of that reads any more.
    pub(crate) fn compute_frugally(&mut self, sweep: usize, output: NodeId) {
        let (Some(before), Some(waiting)) = (self.frugal, &mut self.waiting) else { return };
        waiting.resize(self.len, false);
        let mut computes = waiting.clone();
        let mut is_needed = vec![false; self.len];
        for index in (0..self.len).rev() {
            computes[index] &= index >= before || is_needed[index];
            if computes[index] {
                let args = self.nodes[index].args(&self.spilled);
                args.iter().for_each(|arg| is_needed[arg.index()] = true);
            }
        }
        let lives = Lives::of(self, &computes, sweep, output);
        for index in (0..self.len).filter(|&index| computes[index]) {
            self.evaluate(index);
            self.set_waiting(index, false);
            for slot in self.touched(NodeId::new(index)) {
                if lives.last[slot] == index && !lives.is_kept[slot] {
                    self.store.give_up(slot);
                    for &lost in &lives.nodes[slot] {
                        self.set_waiting(lost, true);
                    }
                }
            }
        }
        self.frugal = Some(self.len);
    }

    /// The slots that a node reads or writes.
    fn touched(&self, id: NodeId) -> Args<usize> {
        let touched = self.args(id).iter().copied().chain([id]);
        touched.filter_map(|id| self.node(id).place.slot()).collect()
    }

    fn set_waiting(&mut self, index: usize, waits: bool) {
        self.waiting.as_mut().expect("a frugal tape is lazy")[index] = waits;
    }
}
