//! Recordings whose values wait until somebody reads them.
//!
//! A program is compiled from operations and shapes. A tape that is recorded for that alone takes in
//! leaves, and lets all else wait: no kernel runs, and no memory is asked for. What is read after all
//! is computed then, with all that it depends on, in the order of the recording; so every number that
//! anybody sees is that of a tape that computes at once.
//!
//! *Invariant*: memory of adjoints is not used again here, since a value that waits may still read it. Where
//! a sweep has added to an adjoint in place, all that was recorded before is computed before.

use std::cell::Ref;

use super::Tape;
use super::node::{Kind, NodeId};
use super::recorder::Recorder;
use crate::scalar::Real;
use crate::tensor::View;

impl<T: Real> Tape<T> {
    /// An empty tape whose values wait until somebody reads them: for recordings that are to be
    /// [compiled](Self::compile), or of which little is looked at.
    ///
    /// Recording takes no memory for values then, and no time for kernels. A value that is read is computed
    /// with all that it depends on, and kept. What a kernel refuses (a matrix that has no Cholesky
    /// factor, an index out of range) is refused when its value is read, or when the program runs.
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor};
    ///
    /// let tape = Tape::lazy();
    /// let x = tape.variable(Tensor::<f64>::zeros([1000, 1000]));
    /// let cost = (x.matmul(x) + 1.0).square().sum();
    /// let [dx] = cost.grad([x]);
    /// assert!(tape.memory().peak < 1000);
    /// let mut program = tape.compile(&[x], &[cost, dx])?;
    /// assert_eq!(program.run(&Tensor::<f64>::zeros([1000, 1000]))[0].item(), 1e6);
    /// # Ok::<(), wengert_core::CompileError>(())
    /// ```
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn lazy() -> Self {
        let tape = Self::new();
        tape.inner.borrow_mut().waiting = Some(Vec::new());
        tape
    }

    /// The recorder, in which some values are there.
    #[inline]
    pub(super) fn settled(&self, ids: impl IntoIterator<Item = NodeId>) -> Ref<'_, Recorder<T>> {
        let inner = self.inner.borrow();
        if inner.waiting.is_none() {
            return inner;
        }
        drop(inner);
        ids.into_iter().for_each(|id| self.inner.borrow_mut().settle(id));
        self.inner.borrow()
    }

    /// Lets `read` see a value of a lazy tape. The tape is free meanwhile, so that `read` may look at
    /// other values, which wait perhaps.
    #[cold]
    pub(super) fn with_late_value<R>(&self, id: NodeId, read: impl FnOnce(View<'_, T>) -> R) -> R {
        let value = self.value_of(id);
        read(value.view())
    }
}

impl<T: Real> Recorder<T> {
    /// Lets the next node wait.
    #[cold]
    pub(super) fn wait(&mut self) {
        let waiting = self.waiting.as_mut().expect("the tape is lazy");
        waiting.resize(self.len, false);
        waiting.push(self.nodes[self.len].kind != Kind::Given);
    }

    /// Computes a value that waits, and all that it depends on. What a kernel refuses still waits then.
    #[cold]
    pub(super) fn settle(&mut self, id: NodeId) {
        let Some(mut waiting) = self.waiting.take() else { return };
        let mut needed = Vec::new();
        let mut next = vec![id];
        while let Some(id) = next.pop() {
            if let Some(waits) = waiting.get_mut(id.index())
                && std::mem::take(waits)
            {
                needed.push(id.index());
                next.extend_from_slice(self.args(id));
            }
        }
        needed.iter().for_each(|&index| waiting[index] = true);
        let adds = |&&index: &&usize| self.nodes[index].kind == Kind::Accumulated;
        if let Some(&last) = needed.iter().filter(adds).max() {
            needed.retain(|&index| index > last);
            needed.extend((0..=last).filter(|&index| waiting[index]));
        }
        self.waiting = Some(waiting);
        needed.sort_unstable();
        for index in needed {
            self.evaluate(index);
            self.waiting.as_mut().expect("the tape is lazy")[index] = false;
        }
    }
}
