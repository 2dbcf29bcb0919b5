//! Elementwise functions that take parameters, or are put together from others.

use crate::op::{Clamp, Elu, Polygamma, Sinc};
use crate::scalar::Real;
use crate::tape::{Operand, Var};

/// # Functions of each element, with parameters
impl<'t, T: Real> Var<'t, T> {
    /// The values, cut off at two bounds, of which either may be infinite. The
    /// derivative at the bounds is 1.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([-3.0, 0.5, f64::INFINITY]);
    /// assert_eq!(x.clamp(-1.0, 1.0).value().to_vec(), [-1.0, 0.5, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If the bounds are not in order.
    #[doc(alias = "clip")]
    #[track_caller]
    pub fn clamp(self, low: f64, high: f64) -> Self {
        assert!(low <= high, "clamp: the bounds {low} and {high} are not in order");
        self.apply(Clamp { low, high })
    }

    /// A number where a mask is not 0, and the elements elsewhere. The mask broadcasts;
    /// what is overwritten gets no derivative. For more than a number see
    /// [`select`](Self::select).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 2.0]);
    /// assert_eq!(x.masked_fill([0.0, 1.0], f64::NEG_INFINITY).softmax(-1).value().to_vec(), [1.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast, or the operands are on two tapes.
    #[doc(alias = "where")]
    #[track_caller]
    pub fn masked_fill(self, mask: impl Operand<'t, T>, value: f64) -> Self {
        mask.on(self.tape()).select(value, self)
    }

    /// The derivative of `ln |gamma(x)|`.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let at_one = tape.constant(1.0_f64).digamma().item();
    /// assert!((at_one + 0.577_215_664_901_532_9).abs() < 1e-15);
    /// ```
    #[track_caller]
    pub fn digamma(self) -> Self {
        self.polygamma(0)
    }

    /// The derivative of order `n + 1` of `ln |gamma(x)|`; `n = 1` is trigamma.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// use std::f64::consts::PI;
    ///
    /// let tape = Tape::new();
    /// let at_one = tape.constant(1.0).polygamma(1).item();
    /// assert!((at_one - PI * PI / 6.0).abs() < 1e-15);
    /// ```
    #[track_caller]
    pub fn polygamma(self, n: u32) -> Self {
        self.apply(Polygamma(n))
    }

    /// `sin(pi x) / (pi x)`, and 1 at 0; all derivatives are accurate near 0 too.
    #[track_caller]
    pub fn sinc(self) -> Self {
        self.apply(Sinc(0))
    }

    /// `x` where positive, else `alpha * (exp(x) - 1)`; the derivative at 0 is `alpha`.
    ///
    /// ```
    /// # use wengert_core::{Tensor, grad};
    /// let x = Tensor::from([-1.0_f64, 0.0, 2.0]);
    /// assert_eq!(grad(|x| x.elu(0.5).sum(), &x).to_vec(), [0.5 * (-1.0_f64).exp(), 0.5, 1.0]);
    /// ```
    #[track_caller]
    pub fn elu(self, alpha: f64) -> Self {
        self.apply(Elu { scale: 1.0, alpha, width: 1.0 })
    }

    /// The self-normalising [`elu`](Self::elu): times 1.0507..., with an `alpha` of
    /// 1.6732..., which keep mean 0 and variance 1 (Klambauer et al., 2017).
    #[track_caller]
    pub fn selu(self) -> Self {
        let (scale, alpha) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
        self.apply(Elu { scale, alpha, width: 1.0 })
    }

    /// `x` where positive, else `alpha * (exp(x / alpha) - 1)`, with the derivative 1 at
    /// 0 (Barron, 2017).
    #[track_caller]
    pub fn celu(self, alpha: f64) -> Self {
        self.apply(Elu { scale: 1.0, alpha, width: alpha })
    }

    /// `x`, cut off at -1 and 1, where the derivative is 1.
    #[doc(alias = "hard_tanh")]
    #[track_caller]
    pub fn hardtanh(self) -> Self {
        self.clamp(-1.0, 1.0)
    }

    /// `x / 6 + 1/2`, cut off at 0 and 1, where the derivative is 1/6.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.constant([-4.0, 0.0, 4.0]);
    /// assert_eq!(x.hardsigmoid().value().to_vec(), [0.0, 0.5, 1.0]);
    /// assert_eq!(x.hardswish().value().to_vec(), [0.0, 0.0, 4.0]);
    /// ```
    #[doc(alias = "hard_sigmoid")]
    #[track_caller]
    pub fn hardsigmoid(self) -> Self {
        (self + T::from_f64(3.0)).clamp(0.0, 6.0) / T::from_f64(6.0)
    }

    /// `x` times its [`hardsigmoid`](Self::hardsigmoid).
    #[doc(alias = "hard_silu")]
    #[track_caller]
    pub fn hardswish(self) -> Self {
        // Held where the other factor is 0, so that this 0 is chosen, out to infinity.
        self.clamp(-3.0, f64::INFINITY) * self.hardsigmoid()
    }
}
