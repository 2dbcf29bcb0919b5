//! Newton's method by products with the Hessian, or with the Gauss-Newton matrix.
//!
//! (N&W: Nocedal & Wright, *Numerical Optimization*, second edition, 2006.)

use wengert_core::{Real, Tape, Var};

use super::bounds::Bounds;
use super::evaluator::{Evaluator, arranged, flattened};
use super::{Advance, Outcome, Solver, StopReason, add, dot, is_lost, noise, norm, plus};
use crate::Module;

/// Newton's method without a matrix: conjugate gradients on `B d = -g`, for which products
/// with the curvature `B` suffice, within a trust region (Steihaug's method; N&W, algorithms
/// 7.2 and 4.1).
///
/// `B` is the [Hessian](Self::run), whose negative curvature is followed to the region's
/// border, or the [Gauss-Newton matrix](Self::run_gauss_newton), which has none: then this is
/// Martens' Hessian-free training of networks (2010), with a region in place of his damping.
/// The gradients are solved for more exactly the smaller they are, so that the end is quick.
/// (Sums of squares of few parameters have [`GaussNewton`](super::GaussNewton), by the Jacobian as a
/// matrix.)
///
/// ```
/// use wengert_nn::Param;
/// use wengert_nn::optim::{NewtonCg, StopReason};
///
/// // Rosenbrock's valley.
/// let mut net = Param::new([-1.2_f64, 1.0]);
/// let outcome = NewtonCg::new().run(&mut net, |net, tape| {
///     let p = net.on(tape);
///     let (x, y) = (p.slice(0, ..1), p.slice(0, 1..));
///     ((1.0 - x).square() + 100.0 * (y - x * x).square()).sum()
/// });
/// assert_eq!(outcome.reason, StopReason::GradientTolerance);
/// assert!(net.elements().iter().all(|p: &f64| (p - 1.0).abs() < 1e-8));
/// ```
pub type NewtonCg = Solver<Curvature>;

/// The method of [`NewtonCg`].
#[derive(Clone, Debug, PartialEq)]
pub struct Curvature {
    radius: f64,
    products: usize,
}

/// The share of the promised decrease from which a step is taken.
const ACCEPTED: f64 = 1e-4;

impl Default for NewtonCg {
    fn default() -> Self {
        Self::new()
    }
}

impl NewtonCg {
    /// With a first region of radius 1, at most 250 products a step, a gradient tolerance
    /// of 1e-8, and a cost tolerance of 1e-14.
    pub fn new() -> Self {
        let solver = Self::with_method(Curvature { radius: 1.0, products: 250 });
        solver.gradient_tolerance(1e-8).cost_tolerance(1e-14)
    }

    /// With another radius of the first region.
    #[must_use]
    pub fn radius(mut self, radius: f64) -> Self {
        self.method.radius = radius;
        self
    }

    /// With another largest number of products a step.
    #[must_use]
    pub fn products(mut self, products: usize) -> Self {
        self.method.products = products;
        self
    }

    /// Minimises from the model's present parameters, by products with the Hessian: the
    /// gradient of the gradient's product with a direction.
    ///
    /// # Panics
    /// If the cost has more than one element or depends on no trainable parameter.
    pub fn run<T: Real, M: Module<T>>(
        &self,
        net: &mut M,
        cost: impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    ) -> Outcome {
        self.minimise(net, &cost, |evaluator, at, v| {
            evaluator.record(at, |net, tape, vars| {
                let slopes = cost(net, tape).vjp(tape.constant(T::one()), vars);
                let products = slopes.iter().zip(arranged(vars, v)).map(|(&g, v)| (g * v).sum());
                let slope = products.reduce(|a, b| a + b).expect("there is a parameter");
                if !slope.is_active() {
                    return vec![0.0; v.len()]; // the cost is linear
                }
                let seed = tape.constant(T::one());
                flattened(&tape.without_gradients(|| slope.vjp(seed, vars)))
            })
        })
    }

    /// Minimises `loss(outputs)` from the model's present parameters, by products with the
    /// Gauss-Newton matrix `J' H J`: the outputs' Jacobian, and the Hessian of the loss with
    /// respect to the outputs ([`wengert_core::gauss_newton_product`]). The loss is to be
    /// convex, as squares and cross-entropy are.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn run_gauss_newton<T: Real, M: Module<T>>(
        &self,
        net: &mut M,
        outputs: impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
        loss: impl for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
    ) -> Outcome {
        let cost = composed(&outputs, &loss);
        self.minimise(net, &cost, |evaluator, at, v| {
            evaluator.record(at, |net, tape, vars| {
                let y = outputs(net, tape);
                let [slope] = loss(y).grad([y]);
                let tangents: Vec<_> = vars.iter().copied().zip(arranged(vars, v)).collect();
                flattened(&tape.without_gradients(|| {
                    let tangent = y.jvp(&tangents);
                    y.vjp(slope.jvp(&[(y, tangent)]), vars)
                }))
            })
        })
    }

    fn minimise<T: Real, M: Module<T>>(
        &self,
        net: &mut M,
        cost: &impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
        product: impl Fn(&mut Evaluator<'_, T, M>, &[f64], &[f64]) -> Vec<f64>,
    ) -> Outcome {
        let mut evaluator = Evaluator::new(net);
        let start = evaluator.point(&evaluator.position(), cost);
        let mut radius = self.method.radius;
        let first = norm(&start.gradient);
        self.drive(evaluator, &Bounds::default(), start, |evaluator, point| {
            loop {
                let step = {
                    let mut product = |v: &[f64]| product(evaluator, &point.at, v);
                    steihaug(&point.gradient, first, radius, self.method.products, &mut product)
                };
                let next = evaluator.point(&plus(&point.at, 1.0, &step.step), cost);
                let noise = noise::<T>(point.cost);
                let ratio = (point.cost - next.cost + noise) / (step.decrease + noise);
                let length = norm(&step.step);
                if ratio.is_nan() || ratio < 0.25 {
                    radius = 0.25 * length;
                } else if ratio > 0.75 && step.is_at_border {
                    radius *= 2.0;
                }
                if ratio > ACCEPTED && next.gradient.iter().all(|g| g.is_finite()) {
                    return Ok(Advance { to: next, promise: step.decrease });
                }
                if self.is_short(&step.step, &point.at) {
                    return Err(StopReason::StepTolerance);
                }
                if is_lost::<T>(&step.step, &point.at) {
                    return Err(StopReason::NoProgress);
                }
                if self.has_spent(evaluator.count()) {
                    return Err(StopReason::Evaluations);
                }
            }
        })
    }
}

/// `loss(outputs)` as one cost.
fn composed<T: Real, M>(
    outputs: &impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    loss: &impl for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
) -> impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T> {
    move |net, tape| loss(outputs(net, tape))
}

/// A step, by how much the quadratic model falls along it, and whether it ends at the border.
struct Step {
    step: Vec<f64>,
    decrease: f64,
    is_at_border: bool,
}

/// Steihaug's conjugate gradients for `min g'd + d'B d / 2` with `|d| <= radius`. They end when what is left
/// of the gradient is a share of it that falls with its root: in units of the first one, so that no unit of the cost
/// decides.
fn steihaug(
    gradient: &[f64],
    first: f64,
    radius: f64,
    products: usize,
    product: &mut impl FnMut(&[f64]) -> Vec<f64>,
) -> Step {
    let size = norm(gradient);
    let enough = size * (size / first).sqrt().min(0.5);
    let mut step = vec![0.0; gradient.len()];
    let mut residual = gradient.to_vec();
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut decrease = 0.0;
    for _ in 0..products.max(1) {
        let image = product(&direction);
        let curvature = dot(&direction, &image);
        let square = dot(&residual, &residual);
        // Along the direction, the model falls by `a square - a^2 curvature / 2`.
        let falls = |a: f64| a * square - 0.5 * a * a * curvature;
        let length = square / curvature;
        let next = plus(&step, length, &direction);
        if curvature.is_nan() || curvature <= 0.0 || norm(&next) >= radius {
            let length = to_border(&step, &direction, radius);
            let step = plus(&step, length, &direction);
            return Step { step, decrease: decrease + falls(length), is_at_border: true };
        }
        decrease += falls(length);
        step = next;
        add(&mut residual, length, &image);
        let left = dot(&residual, &residual);
        if left.sqrt() <= enough {
            break;
        }
        direction = plus(&residual, -left / square, &direction).iter().map(|d| -d).collect();
    }
    Step { step, decrease, is_at_border: false }
}

/// The positive `a` with `|step + a direction| = radius`.
fn to_border(step: &[f64], direction: &[f64], radius: f64) -> f64 {
    let (a, b) = (dot(direction, direction), dot(step, direction));
    let c = radius * radius - dot(step, step);
    // The form that does not cancel.
    let root = (b * b + a * c).sqrt();
    if b > 0.0 { c / (b + root) } else { (root - b) / a }
}
