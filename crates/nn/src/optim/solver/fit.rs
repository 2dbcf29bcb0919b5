//! Fits of a few named numbers, in one call.

use std::fmt;

use wengert_core::{Tape, Tensor, Var};

use super::{Covariance, LevenbergMarquardt, Outcome};
use crate::Param;

/// Minimises the sum of squares of residuals over a few numbers, by
/// [`LevenbergMarquardt`] with its defaults; its [`fit`](LevenbergMarquardt::fit) is the same with
/// bounds, a robust loss and other tolerances.
///
/// The residuals may have any shape. Numbers come in as variables without axes, which broadcast.
///
/// ```
/// use wengert_nn::optim::least_squares;
///
/// // The circle nearest to four points
/// let fit = least_squares(
///     |[x, y, radius]| (x - [0.0, 2.0, 4.0, 2.0]).hypot(y - [1.0, 3.0, 1.0, -1.0]) - radius,
///     [1.0, 0.0, 1.0],
/// );
/// for (found, exact) in fit.parameters.iter().zip([2.0, 1.0, 2.0]) {
///     assert!((found - exact).abs() < 1e-8);
/// }
/// ```
///
/// # Panics
/// If there are no residuals.
#[track_caller]
pub fn least_squares<const N: usize>(
    residuals: impl for<'t> Fn([Var<'t, f64>; N]) -> Var<'t, f64>,
    start: [f64; N],
) -> Fit<N> {
    LevenbergMarquardt::new().fit(residuals, start)
}

/// Fits a curve to points `x`, `y`: [`least_squares`] of `model(parameters, x) - y`.
///
/// ```
/// use wengert_nn::optim::curve_fit;
///
/// // Decay, and what the measurements leave open
/// let (t, count) = ([0.0, 1.0, 2.0, 3.0, 4.0], [98.0, 61.0, 37.0, 22.0, 14.0]);
/// let fit = curve_fit(|[a, rate], t| a * (-rate * t).exp(), t, count, [50.0, 1.0]);
/// println!("{fit}"); // each parameter with its standard error
/// assert!((fit.parameters[1] - 0.48858).abs() < 1e-4 && fit.standard_errors()[1] < 0.01);
/// ```
///
/// # Panics
/// If the shapes of the model's values and of `y` do not broadcast.
#[track_caller]
pub fn curve_fit<const N: usize>(
    model: impl for<'t> Fn([Var<'t, f64>; N], Var<'t, f64>) -> Var<'t, f64>,
    x: impl Into<Tensor<f64>>,
    y: impl Into<Tensor<f64>>,
    start: [f64; N],
) -> Fit<N> {
    let (x, y) = (x.into(), y.into());
    assert!(N > 0, "there is no parameter to be fitted");
    least_squares(
        |parameters| {
            let tape = parameters[0].tape();
            model(parameters, tape.constant(&x)) - &y
        },
        start,
    )
}

impl LevenbergMarquardt {
    /// Minimises the sum of squares of residuals over a few numbers: [`least_squares`] with options.
    ///
    /// ```
    /// use wengert_nn::optim::{LevenbergMarquardt, Robust};
    ///
    /// // A line through points of which the last is far off, with a slope that is not negative.
    /// let solver = LevenbergMarquardt::new().robust(Robust::Cauchy(0.1)).bounds(0.0, f64::INFINITY);
    /// let fit = solver.fit(
    ///     |[slope]| slope * [1.0, 2.0, 3.0, 4.0] - [2.0, 4.0, 6.0, 20.0],
    ///     [1.0],
    /// );
    /// assert!((fit.parameters[0] - 2.0).abs() < 0.01);
    /// ```
    ///
    /// # Panics
    /// If there are no residuals, or the start is out of bounds.
    #[track_caller]
    pub fn fit<const N: usize>(
        &self,
        residuals: impl for<'t> Fn([Var<'t, f64>; N]) -> Var<'t, f64>,
        start: [f64; N],
    ) -> Fit<N> {
        let mut net = start.map(Param::new);
        fn on<'t, const N: usize>(net: &[Param<f64>; N], tape: &'t Tape<f64>) -> [Var<'t, f64>; N] {
            std::array::from_fn(|i| net[i].on(tape))
        }
        let outcome = self.run(&mut net, |net, tape| residuals(on(net, tape)));
        let covariance = Covariance::new(&net, |net, tape| residuals(on(net, tape)));
        Fit { parameters: net.map(|param| param.value().item()), outcome, covariance }
    }
}

/// A fit of a few numbers. Displayed, it is a table of them with their standard errors.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fit<const N: usize> {
    /// The numbers that make the sum of squares least, as far as the method has come.
    pub parameters: [f64; N],
    /// How the method has ended. Its cost is half the sum of squares.
    pub outcome: Outcome,
    /// How well the residuals determine the numbers.
    pub covariance: Covariance,
}

impl<const N: usize> Fit<N> {
    /// The standard errors of the numbers.
    pub fn standard_errors(&self) -> [f64; N] {
        let errors = self.covariance.standard_errors();
        std::array::from_fn(|i| errors[i])
    }
}

impl<const N: usize> fmt::Display for Fit<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "     value          standard error")?;
        for (i, (value, error)) in self.parameters.iter().zip(self.standard_errors()).enumerate() {
            writeln!(f, "{i:>2}  {value:>13.6e}  {error:>10.2e}")?;
        }
        let Outcome { reason, steps, evaluations, .. } = self.outcome;
        let (squares, freedom) = (self.covariance.squares(), self.covariance.freedom());
        writeln!(f, "sum of squares {squares:.6e}, {freedom} degrees of freedom")?;
        write!(f, "{steps} steps, {evaluations} evaluations, {reason:?}")
    }
}
