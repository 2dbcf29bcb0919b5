//! Reductions whose axes stay, with extent 1, so that the result broadcasts against what was
//! reduced. (Those of sums and means are ops, and stand beside them.)

use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Axes, AxisList};

/// # Reductions whose axes stay
impl<'t, T: Real> Var<'t, T> {
    /// What is left of `whole` after a reduction over `axes`, with those axes.
    #[track_caller]
    fn keeping(self, whole: Self, axes: &AxisList) -> Self {
        self.reshape(whole.shape().reduced(axes, true))
    }

    /// As [`max_over`](Self::max_over), but the axes stay, with extent 1.
    ///
    /// # Panics
    /// As [`max_over`](Self::max_over).
    #[doc(alias("amax", "max"))]
    #[track_caller]
    pub fn max_keep(self, axes: impl Axes) -> Self {
        let axes = self.resolve("max", axes);
        self.max_over(axes.clone()).keeping(self, &axes)
    }

    /// As [`min_over`](Self::min_over), but the axes stay, with extent 1.
    ///
    /// # Panics
    /// As [`min_over`](Self::min_over).
    #[doc(alias("amin", "min"))]
    #[track_caller]
    pub fn min_keep(self, axes: impl Axes) -> Self {
        let axes = self.resolve("min", axes);
        self.min_over(axes.clone()).keeping(self, &axes)
    }

    /// As [`prod_over`](Self::prod_over), but the axes stay, with extent 1.
    ///
    /// # Panics
    /// As [`prod_over`](Self::prod_over).
    #[doc(alias = "prod")]
    #[track_caller]
    pub fn prod_keep(self, axes: impl Axes) -> Self {
        let axes = self.resolve("prod", axes);
        self.prod_over(axes.clone()).keeping(self, &axes)
    }

    /// As [`var_over`](Self::var_over), but the axes stay, with extent 1.
    ///
    /// # Panics
    /// As [`var_over`](Self::var_over).
    #[doc(alias = "var")]
    #[track_caller]
    pub fn var_keep(self, axes: impl Axes, correction: usize) -> Self {
        let axes = self.resolve("var", axes);
        self.var_over(axes.clone(), correction).keeping(self, &axes)
    }

    /// As [`std_over`](Self::std_over), but the axes stay, with extent 1.
    ///
    /// # Panics
    /// As [`std_over`](Self::std_over).
    #[doc(alias = "std")]
    #[track_caller]
    pub fn std_keep(self, axes: impl Axes, correction: usize) -> Self {
        let axes = self.resolve("std", axes);
        self.std_over(axes.clone(), correction).keeping(self, &axes)
    }

    /// As [`log_sum_exp`](Self::log_sum_exp), but the axes stay, with extent 1.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([[0.0, 0.0], [3.0, 3.0]]);
    /// let share = (x - x.log_sum_exp_keep(-1)).exp();
    /// assert!(share.value().iter().all(|share: f64| (share - 0.5).abs() < 1e-15));
    /// ```
    ///
    /// # Panics
    /// As [`log_sum_exp`](Self::log_sum_exp).
    #[doc(alias = "logsumexp")]
    #[track_caller]
    pub fn log_sum_exp_keep(self, axes: impl Axes) -> Self {
        let axes = self.resolve("log_sum_exp", axes);
        self.log_sum_exp(axes.clone()).keeping(self, &axes)
    }

    /// As [`norm`](Self::norm), but the axes stay, with extent 1.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([[3.0, 4.0], [0.0, 2.0]]);
    /// assert_eq!((x / x.norm_keep(-1)).value().to_vec(), [0.6, 0.8, 0.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// As [`norm`](Self::norm).
    #[doc(alias("norm", "vector_norm"))]
    #[track_caller]
    pub fn norm_keep(self, axes: impl Axes) -> Self {
        let axes = self.resolve("norm", axes);
        self.norm(axes.clone()).keeping(self, &axes)
    }

    /// As [`median`](Self::median), but the axes stay, with extent 1.
    ///
    /// # Panics
    /// As [`median`](Self::median).
    #[doc(alias = "median")]
    #[track_caller]
    pub fn median_keep(self, axes: impl Axes) -> Self {
        let axes = self.resolve("median", axes);
        self.median(axes.clone()).keeping(self, &axes)
    }

    /// As [`quantile`](Self::quantile), but the axes stay, with extent 1.
    ///
    /// # Panics
    /// As [`quantile`](Self::quantile).
    #[doc(alias = "quantile")]
    #[track_caller]
    pub fn quantile_keep(self, q: f64, axes: impl Axes) -> Self {
        let axes = self.resolve("quantile", axes);
        self.quantile(q, axes.clone()).keeping(self, &axes)
    }
}
