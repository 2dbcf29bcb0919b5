//! How well a fit determines its parameters.

use wengert_core::{Real, Tape, Tensor, Var};

use super::dot;
use super::residuals::Linear;
use crate::{Module, Param};

/// The covariance of the parameters of a fit by least squares: how far they would spread if the
/// observations were made again and again.
///
/// With `m` residuals `r` of `n` parameters, and the residuals' Jacobian `J`, it is
///
/// ```text
/// s^2 (J' J)^-1        s^2 = |r|^2 / (m - n)
/// ```
///
/// (Bates & Watts, *Nonlinear Regression Analysis and Its Applications*, 1988, section 2.1): exact for linear
/// models with independent errors of one size, and for others as good as the model is linear over an error. Errors of different
/// sizes are brought to one by dividing each residual by its own; if those are known absolutely and not only
/// in proportion, the covariance is the [`unscaled`](Self::unscaled) one. A parameter
/// that the residuals leave open, by itself or along with others, has an infinite error.
///
/// ```
/// use wengert_core::{Tape, Var};
/// use wengert_nn::Param;
/// use wengert_nn::optim::{Covariance, LevenbergMarquardt};
///
/// // The mean of four numbers: its error is s / 2, where s^2 = (1 + 1 + 0 + 4) / 3.
/// fn residuals<'t>(mean: &Param<f64>, tape: &'t Tape<f64>) -> Var<'t, f64> {
///     mean.on(tape) - tape.constant([1.0, 1.0, 2.0, 4.0])
/// }
/// let mut mean = Param::new(0.0);
/// LevenbergMarquardt::new().run(&mut mean, residuals);
/// let covariance = Covariance::new(&mean, residuals);
/// assert!((covariance.variance() - 2.0).abs() < 1e-12);
/// assert!((covariance.standard_errors()[0] - 0.5_f64.sqrt()).abs() < 1e-12);
/// ```
///
/// Parameters stand in the order of [`Module::parameters`], without those that are not trained. At a
/// bound, and for a robust loss, the formula does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance {
    inverse: Tensor<f64>,
    squares: f64,
    residuals: usize,
}

/// From which share of a direction that is left open a parameter counts as open itself.
const SHARE: f64 = 1e-6;

impl Covariance {
    /// At the model's present parameters, which are to be those of the least squares.
    ///
    /// # Panics
    /// If there is no trainable parameter, or there are no residuals.
    #[track_caller]
    pub fn new<T: Real, M: Module<T>>(
        net: &M,
        residuals: impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    ) -> Self {
        let tape = Tape::new();
        let trained = |param: &&Param<T>| param.is_trainable();
        let vars: Vec<_> =
            net.parameters().into_iter().filter(trained).map(|param| param.on(&tape)).collect();
        assert!(!vars.is_empty(), "there is no parameter to be trained");
        let linear = Linear::new(residuals(net, &tape), &vars);
        assert!(!linear.residuals.is_empty(), "there are no residuals");
        Self::of(&linear)
    }

    pub(super) fn of(linear: &Linear) -> Self {
        let mut scale = linear.column_norms();
        scale.iter_mut().filter(|scale| **scale == 0.0).for_each(|scale| *scale = 1.0);
        let n = scale.len();
        let factored = linear.factored(&scale, &vec![true; n]);
        // Of V, the columns whose singular values are not 0. A row that they leave shorter than 1 has
        // its rest in directions that nothing is known of.
        let vector = |i: usize| (0..factored.rank).map(move |k| (k, i));
        let entry = |(k, i): (usize, usize)| factored.vectors.at(&[i, k]);
        let is_open = |i| 1.0 - vector(i).map(|at| entry(at).powi(2)).sum::<f64>() > SHARE * SHARE;
        let open: Vec<bool> = (0..n).map(is_open).collect();
        let inverse = |place: usize| {
            let (i, j) = (place / n, place % n);
            if open[i] || open[j] {
                return if i == j { f64::INFINITY } else { f64::NAN };
            }
            let parts = vector(i).zip(vector(j)).zip(&factored.values);
            let sum: f64 = parts.map(|((a, b), s)| entry(a) * entry(b) / (s * s)).sum();
            sum / (scale[i] * scale[j])
        };
        Self {
            inverse: Tensor::from_fn([n, n], inverse),
            squares: dot(&linear.residuals, &linear.residuals),
            residuals: linear.residuals.len(),
        }
    }

    /// The covariance, of shape `[n, n]`.
    pub fn matrix(&self) -> Tensor<f64> {
        self.times(self.variance())
    }

    /// `(J' J)^-1`: the covariance if residuals are known to have errors of size 1.
    pub fn unscaled(&self) -> Tensor<f64> {
        self.inverse.clone()
    }

    /// The parameters' standard errors, the roots of the diagonal.
    pub fn standard_errors(&self) -> Vec<f64> {
        let n = self.inverse.shape()[0];
        let variance = self.variance();
        (0..n).map(|i| (variance * self.inverse.at(&[i, i])).sqrt()).collect()
    }

    /// The parameters' correlations, of shape `[n, n]`.
    pub fn correlation(&self) -> Tensor<f64> {
        let n = self.inverse.shape()[0];
        let size = |i: usize| self.inverse.at(&[i, i]).sqrt();
        Tensor::from_fn([n, n], |place| {
            let (i, j) = (place / n, place % n);
            if i == j { 1.0 } else { self.inverse.at(&[i, j]) / (size(i) * size(j)) }
        })
    }

    /// `s^2`, the variance of the residuals; infinite if there are no more residuals than parameters.
    pub fn variance(&self) -> f64 {
        match self.freedom() {
            0 => f64::INFINITY,
            freedom => self.squares / freedom as f64,
        }
    }

    /// `|r|^2`, the sum of squares.
    pub fn squares(&self) -> f64 {
        self.squares
    }

    /// By how many the residuals outnumber the parameters, the degrees of freedom.
    pub fn freedom(&self) -> usize {
        self.residuals.saturating_sub(self.inverse.shape()[0])
    }

    fn times(&self, factor: f64) -> Tensor<f64> {
        let elements = self.inverse.to_vec();
        Tensor::new(self.inverse.shape(), elements.iter().map(|x| x * factor).collect())
    }
}
