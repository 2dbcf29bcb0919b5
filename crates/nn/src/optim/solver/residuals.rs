//! Residuals near a point: what the methods for sums of squares solve for.

use wengert_core::{Real, Tape, Tensor, Var, concat};

use super::evaluator::{Evaluator, Point};
use super::{add, dot};
use crate::Module;

fn values<T: Real>(residuals: Var<'_, T>) -> Vec<f64> {
    residuals.with_value(|values| values.iter().map(|x| x.as_f64()).collect())
}

fn half_square(residuals: &[f64]) -> f64 {
    0.5 * dot(residuals, residuals)
}

/// The residuals near a point, as a linear function of the way from there.
pub(super) struct Linear {
    residuals: Vec<f64>,
    /// By rows: one for each residual.
    jacobian: Vec<f64>,
}

/// Where a method begins: the model's present parameters, with the residuals near them.
///
/// # Panics
/// If there is no trainable parameter.
pub(super) fn begin<'m, T: Real, M: Module<T>>(
    net: &'m mut M,
    residuals: &impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
) -> (Evaluator<'m, T, M>, Point, Linear) {
    let mut evaluator = Evaluator::new(net);
    let at = evaluator.position();
    assert!(!at.is_empty(), "there is a parameter to be trained");
    evaluator.evaluated();
    let (start, linear) = linearise(&mut evaluator, &at, residuals);
    (evaluator, start, linear)
}

/// Half the sum of squares at a point.
pub(super) fn half_square_at<T: Real, M: Module<T>>(
    evaluator: &mut Evaluator<'_, T, M>,
    at: &[f64],
    residuals: &impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
) -> f64 {
    evaluator.evaluated();
    // With derivatives recorded: residuals may ask for some, of any order.
    evaluator.record(at, |net, tape, _| half_square(&values(residuals(net, tape))))
}

/// Evaluates residuals and Jacobian.
pub(super) fn linearise<T: Real, M: Module<T>>(
    evaluator: &mut Evaluator<'_, T, M>,
    at: &[f64],
    residuals: &impl for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
) -> (Point, Linear) {
    let linear = evaluator.record(at, |net, tape, vars| {
        let y = residuals(net, tape);
        let blocks = y.jacobian(vars);
        let rows = y.elements();
        let mut jacobian = Vec::with_capacity(rows * at.len());
        for row in 0..rows {
            for block in &blocks {
                let columns = block.len() / rows;
                let elements = block.as_slice().expect("a Jacobian is contiguous");
                let own = &elements[row * columns..][..columns];
                jacobian.extend(own.iter().map(|x| x.as_f64()));
            }
        }
        Linear { residuals: values(y), jacobian }
    });
    let at = evaluator.position();
    let mut gradient = vec![0.0; at.len()];
    for (row, &r) in linear.jacobian.chunks(at.len()).zip(&linear.residuals) {
        add(&mut gradient, r, row);
    }
    (Point { at, cost: half_square(&linear.residuals), gradient }, linear)
}

impl Linear {
    /// The least-squares solution of `J d = -r` and `sqrt(damping) d = 0`, by the QR
    /// factorisation of both together: the normal equations would square the condition.
    pub(super) fn damped_step(&self, damping: f64) -> Vec<f64> {
        let rows = self.residuals.len();
        let columns = self.jacobian.len() / rows;
        let tape = Tape::new();
        let jacobian = tape.constant(Tensor::new([rows, columns], self.jacobian.clone()));
        let identity = Tensor::from_fn([columns, columns], |i| {
            if i % (columns + 1) == 0 { damping.sqrt() } else { 0.0 }
        });
        let (q, r) = concat(&[jacobian, tape.constant(identity)], 0).qr();
        let right = self.residuals.iter().map(|r| -r).collect();
        let right = tape.constant(Tensor::new([rows, 1], right));
        // Below the residuals stand zeros, with which the rest of Q is multiplied.
        let right = q.slice(0, ..rows).transpose().matmul(right);
        r.solve_upper_triangular(right).value().to_vec()
    }

    /// The least-squares solution of `J d = -r`, and of several the shortest, by the singular value
    /// decomposition. Singular values that rounding could have made count as 0.
    pub(super) fn least_norm_step(&self) -> Vec<f64> {
        let rows = self.residuals.len();
        let columns = self.jacobian.len() / rows;
        let tape = Tape::new();
        let jacobian = tape.constant(Tensor::new([rows, columns], self.jacobian.clone()));
        let (u, s, v) = jacobian.svd();
        let right = self.residuals.iter().map(|r| -r).collect();
        let right = tape.constant(Tensor::new([rows, 1], right));
        let sizes = s.value().to_vec();
        let rounding = f64::EPSILON * rows.max(columns) as f64 * sizes[0];
        let inverse = sizes.iter().map(|&s| if s > rounding { 1.0 / s } else { 0.0 }).collect();
        let inverse = tape.constant(Tensor::new([sizes.len(), 1], inverse));
        v.matmul(u.transpose().matmul(right) * inverse).value().to_vec()
    }
}
