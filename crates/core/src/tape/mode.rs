//! Whether a tape records derivatives.

use super::Tape;
use crate::scalar::Real;

/// Restores the mode of a tape, even if what it is for panics.
pub(crate) struct ModeGuard<'a, T: Real> {
    tape: &'a Tape<T>,
    before: bool,
    /// The node with which the mode began.
    start: usize,
}

impl<T: Real> Drop for ModeGuard<'_, T> {
    fn drop(&mut self) {
        let mut inner = self.tape.inner.borrow_mut();
        if !inner.records_derivatives {
            inner.detach_from(self.start);
        }
        inner.records_derivatives = self.before;
    }
}

impl<T: Real> Tape<T> {
    /// Runs `body` without recording derivatives: what it computes counts as a constant in all
    /// that is recorded afterwards. For inference, for monitoring a cost, and for targets that
    /// are to be held fixed.
    ///
    /// Within `body`, derivatives are asked for as elsewhere ([`Var::grad`](crate::tape::Var::grad), [`Var::vjp`](crate::tape::Var::vjp),
    /// [`Var::jvp`](crate::tape::Var::jvp), [`Var::taylor`](crate::tape::Var::taylor)), and go through what `body` has computed: forces of an
    /// energy that is only evaluated, for instance. They are computed faster than when they are
    /// recorded, from formulas that are not kept, so a derivative *of* such a derivative is
    /// refused: take the first one outside.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0);
    /// let (y, force) = tape.without_gradients(|| {
    ///     let y = x * x;
    ///     let [slope] = y.grad([x]);
    ///     (y, -slope)
    /// });
    /// assert_eq!(force.item(), -4.0);
    /// assert!(!y.is_active());
    /// let [dx] = (y * x).grad([x]);
    /// assert_eq!(dx.item(), 4.0); // of 4 x
    /// ```
    #[doc(alias = "no_grad")]
    pub fn without_gradients<R>(&self, body: impl FnOnce() -> R) -> R {
        let _mode = self.mode(false);
        body()
    }

    /// Runs `body` with derivatives recorded, whatever the mode: for functions of which
    /// derivatives of any order are asked, and for what reads the formulas of rules.
    pub(crate) fn with_gradients<R>(&self, body: impl FnOnce() -> R) -> R {
        let _mode = self.mode(true);
        body()
    }

    /// Records derivatives, or does not, as long as the guard lives. Unlike a closure it leaves the
    /// caller's line to what comes after it.
    pub(crate) fn mode(&self, records_derivatives: bool) -> ModeGuard<'_, T> {
        let mut inner = self.inner.borrow_mut();
        let before = std::mem::replace(&mut inner.records_derivatives, records_derivatives);
        ModeGuard { tape: self, before, start: inner.len() }
    }

    /// Whether derivatives are being recorded.
    #[inline]
    pub(crate) fn records_derivatives(&self) -> bool {
        self.inner.borrow().records_derivatives
    }
}
