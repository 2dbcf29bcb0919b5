//! What residuals count, where outliers are to count less.
//!
//! (Triggs, McLauchlan, Hartley & Fitzgibbon, "Bundle adjustment: a modern synthesis", 2000, section 4.3;
//! scipy's `least_squares` has the same functions by the same names.)

/// What residuals `r` count in a sum of squares: `c^2 rho((r / c)^2)`, where `c` is the scale beyond
/// which a residual counts as an outlier.
///
/// | loss | `rho(z)` | far residuals count like |
/// | --- | --- | --- |
/// | `Squares` | `z` | their square |
/// | `Huber(c)` | `z` to 1, then `2 sqrt(z) - 1` | their size |
/// | `SoftL1(c)` | `2 (sqrt(1 + z) - 1)` | their size |
/// | `Cauchy(c)` | `ln(1 + z)` | the logarithm of their size |
/// | `Arctan(c)` | `arctan z` | a constant |
///
/// The last two are not convex: they want a start from which outliers look like outliers.
///
/// ```
/// use wengert_nn::optim::{LevenbergMarquardt, Robust};
///
/// // The centre of 0, 0 and 2.5: the mean is 5 / 6. Beyond 1 the slope is 1, so 2 x = 1.
/// let solver = LevenbergMarquardt::new().robust(Robust::Huber(1.0));
/// let fit = solver.fit(|[x]| x - [0.0, 0.0, 2.5], [0.0]);
/// assert!((fit.parameters[0] - 0.5).abs() < 1e-8);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Robust {
    /// The square of every residual.
    #[default]
    Squares,
    /// Squares up to the scale, and straight lines beyond.
    Huber(f64),
    /// A smooth function between the two.
    SoftL1(f64),
    /// The logarithm of a Cauchy distribution.
    Cauchy(f64),
    /// Bounded by `pi c^2 / 2`.
    Arctan(f64),
}

/// The least curvature that a residual has in the model of the cost, as a fraction of its weight. Far residuals have none, or
/// a negative one, and steps are solved for with a positive one.
const LEAST_CURVATURE: f64 = 1e-4;

impl Robust {
    /// The scale, where there is one.
    pub(super) fn scale(self) -> Option<f64> {
        match self {
            Self::Squares => None,
            Self::Huber(c) | Self::SoftL1(c) | Self::Cauchy(c) | Self::Arctan(c) => Some(c),
        }
    }

    /// Panics if the scale is no positive number.
    #[track_caller]
    pub(super) fn check(self) {
        let is_positive = self.scale().is_none_or(|scale| scale > 0.0 && scale.is_finite());
        assert!(
            is_positive,
            "the scale of a robust loss is a positive number, not that of {self:?}"
        );
    }

    /// What a residual counts in the sum.
    pub(super) fn count(self, residual: f64) -> f64 {
        let c = self.scale().unwrap_or(1.0);
        c * c * self.rho((residual / c).powi(2))[0]
    }

    /// A residual, and a factor for its row of the Jacobian: with them, squares have the gradient of
    /// this loss, and its curvature as far as that is positive.
    pub(super) fn as_square(self, residual: f64) -> (f64, f64) {
        if self == Self::Squares {
            return (residual, 1.0);
        }
        let z = (residual / self.scale().unwrap_or(1.0)).powi(2);
        let [_, weight, bend] = self.rho(z);
        let curvature = (weight + 2.0 * bend * z).max(LEAST_CURVATURE * weight);
        (residual * weight / curvature.sqrt(), curvature.sqrt())
    }

    /// `rho` with its first two derivatives.
    fn rho(self, z: f64) -> [f64; 3] {
        match self {
            Self::Huber(_) if z > 1.0 => {
                let root = z.sqrt();
                [2.0 * root - 1.0, 1.0 / root, -0.5 / (z * root)]
            }
            Self::Squares | Self::Huber(_) => [z, 1.0, 0.0],
            Self::SoftL1(_) => {
                let root = (1.0 + z).sqrt();
                // 2 (root - 1), without cancellation
                [2.0 * z / (1.0 + root), 1.0 / root, -0.5 / (root * root * root)]
            }
            Self::Cauchy(_) => {
                let slope = 1.0 / (1.0 + z);
                [z.ln_1p(), slope, -slope * slope]
            }
            Self::Arctan(_) => {
                let slope = 1.0 / (1.0 + z * z);
                [z.atan(), slope, -2.0 * z * slope * slope]
            }
        }
    }
}
