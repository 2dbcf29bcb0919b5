//! Norms of rows, and rows that are normalised.

use super::row_map::{RowMap, fused};
use super::{empty_rows, row_shape, rows};
use crate::kernel::each_row::for_each_row_of;
use crate::kernel::row_functions;
use crate::op::elementwise::power::quotient_or_zero;
use crate::op::{Call, Cost, Dependence, Formula, Op, RowReduction, Samples, Term};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Axes, Shape, View};

/// The Euclidean norm of each row, smoothed by `epsilon`. Without it the norm has a kink at
/// 0, where the derivative is 0: the subgradient of least norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Added to the sum of squares.
    pub epsilon: f64,
}

impl RowReduction for Norm {
    const NAME: &'static str = "norm";
    const FORMULA: Formula = Formula::new(
        "sqrt of (epsilon + sum over i of x[i]^2)",
        "dy = sum of x[i] dx[i] / y, and 0 where y = 0",
        r"y = \sqrt{\epsilon + \textstyle\sum_i x_i^2},\quad \dot y = \textstyle\sum_i x_i \dot x_i / y",
    )
    .with_convention("0 at 0 without epsilon");

    fn of_nothing(&self) -> Result<f64, &'static str> {
        Ok(self.epsilon.sqrt())
    }

    fn reduce<T: Real>(&self, row: &[T]) -> T {
        row_functions::norm(row, T::from_f64(self.epsilon))
    }

    fn scaled_gradient<'t, T: Real>(
        &self,
        x: Var<'t, T>,
        y: Var<'t, T>,
        factor: Var<'t, T>,
    ) -> Var<'t, T> {
        // A quotient, and no product with 1 / y, whose own derivative is a square.
        factor * quotient_or_zero(x, y.unsqueeze(-1))
    }

    fn cost(&self, elements: usize, rows: usize) -> Cost {
        let square = Cost { adds: 2, muls: 1, divs: 1, nonlinear: 0 };
        square.times(elements).and(Cost::nonlinear(1).times(rows))
    }

    fn kink_distance<T: Real>(&self, row: &[T]) -> T {
        if self.epsilon == 0.0 { row_functions::norm(row, T::zero()) } else { T::infinity() }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, Norm { epsilon: 0.0 });
        rows(samples, Norm { epsilon: 0.5 });
        empty_rows(samples, Norm { epsilon: 0.0 }, true);
    }
}

/// Each row with its mean subtracted and divided by its standard deviation: layer
/// normalisation without scale and shift (Ba, Kiros & Hinton 2016).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// What is added to the variance, so that a constant row has a result.
    pub epsilon: f64,
}

impl Op for LayerNorm {
    const NAME: &'static str = "layer_norm";
    const FORMULA: Formula = Formula::new(
        "(x - mean x) / sqrt(var x + epsilon)",
        "dy = (dx - mean dx - y mean(y dx)) / sqrt(var x + epsilon)",
        r"y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}},\quad \dot y = \frac{\dot x - \overline{\dot x} - y\,\overline{y \dot x}}{\sqrt{\sigma^2 + \epsilon}}",
    );
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        row_shape(args)?;
        Ok(args[0].clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let epsilon = T::from_f64(self.epsilon);
        for_each_row_of([args[0]], out, |[x], y| row_functions::layer_norm(x, epsilon, y));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        // The Jacobian of a row is symmetric: one formula serves both.
        self.vjp(call, 0, tangents[0]?)
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        if let Some(adjoint) = fused(self, [call.arg(0), call.value(), bar]) {
            return Some(adjoint);
        }
        let (x, y) = (call.arg(0), call.value());
        let centred = x.centred(-1);
        // Without a square, which may overflow or vanish.
        let count = centred.shape()[centred.rank() - 1] as f64;
        let length = centred.smooth_norm(-1, self.epsilon * count).unsqueeze(-1);
        let deviation = length / T::from_f64(count.sqrt());
        let along = (bar * y).mean_keep(-1);
        Some((bar - bar.mean_keep(-1) - y * along) / deviation)
    }

    fn cost(&self, _: &[&Shape], result: &Shape) -> Cost {
        let rows = result
            .split_last()
            .map_or(0, |(&count, lead)| if count == 0 { 0 } else { lead.iter().product() });
        let each = Cost { adds: 4, muls: 2, ..Cost::NONE }.times(result.elements());
        each.and(Cost { adds: 1, divs: 3, nonlinear: 1, muls: 0 }.times(rows))
    }

    fn dependence(&self, args: &[&Shape], _: usize, _: &Shape) -> Dependence {
        Dependence::rows(args[0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, LayerNorm { epsilon: 1e-3 });
        rows(samples, LayerNorm { epsilon: 0.1 });
        empty_rows(samples, LayerNorm { epsilon: 0.1 }, true);
    }
}

impl RowMap<3> for LayerNorm {
    fn adjoint<T: Real>(&self, [x, y, c]: [&[T]; 3], out: &mut [T]) {
        row_functions::layer_norm_adjoint(x, y, T::from_f64(self.epsilon), c, out);
    }
}

/// # Norms
impl<'t, T: Real> Var<'t, T> {
    /// The Euclidean norm over some axes, which disappear. Its derivative at 0
    /// is 0.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[doc(alias = "vector_norm")]
    #[track_caller]
    pub fn norm(self, axes: impl Axes) -> Self {
        self.smooth_norm(axes, 0.0)
    }

    /// `sqrt(epsilon + sum of squares)` over some axes, which disappear: a norm without a kink
    /// at 0. The squares neither overflow nor vanish.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[track_caller]
    pub fn smooth_norm(self, axes: impl Axes, epsilon: f64) -> Self {
        let axes = self.resolve("norm", axes);
        self.to_rows(&axes).apply(Norm { epsilon })
    }

    /// Each row of the last axis with mean 0 and variance 1: layer normalisation
    /// without scale and shift. `epsilon` is added to the variance.
    ///
    /// ```
    /// let tape = wengert_core::Tape::<f64>::new();
    /// let y = tape.variable([[1.0, 3.0], [5.0, 5.0]]).layer_norm(0.0001);
    /// assert!((y.value().at(&[0, 1]) - 1.0).abs() < 1e-4);
    /// assert_eq!(y.value().at(&[1, 1]), 0.0);
    /// ```
    ///
    /// # Panics
    /// If the variable is a scalar.
    #[doc(alias = "standardize")]
    #[track_caller]
    pub fn layer_norm(self, epsilon: f64) -> Self {
        self.apply(LayerNorm { epsilon })
    }
}
