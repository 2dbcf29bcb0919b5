//! Residuals near a point: what the methods for sums of squares solve for.

use wengert_core::{Real, Tape, Tensor, Var};

use super::evaluator::{Evaluator, Point};
use super::{Robust, add, dot, norm};
use crate::Module;

/// A cost that is made of residuals: half the sum of what each of them counts.
pub(super) struct Squares<'f, F> {
    pub residuals: &'f F,
    pub robust: Robust,
}

impl<F> Squares<'_, F> {
    /// Where a method begins: the model's present parameters, with the residuals near them.
    ///
    /// # Panics
    /// If there is no trainable parameter, or there are no residuals.
    #[track_caller]
    pub fn begin<'m, T: Real, M: Module<T>>(
        &self,
        net: &'m mut M,
    ) -> (Evaluator<'m, T, M>, Point, Linear)
    where
        F: for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    {
        let mut evaluator = Evaluator::new(net);
        let at = evaluator.position();
        assert!(!at.is_empty(), "there is no parameter to be trained");
        evaluator.evaluated();
        let (start, linear) = self.linearise(&mut evaluator, &at);
        assert!(!linear.residuals.is_empty(), "there are no residuals");
        (evaluator, start, linear)
    }

    /// The cost at a point.
    pub fn cost_at<T: Real, M: Module<T>>(
        &self,
        evaluator: &mut Evaluator<'_, T, M>,
        at: &[f64],
    ) -> f64
    where
        F: for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    {
        evaluator.evaluated();
        // With derivatives recorded: residuals may ask for some, of any order.
        self.cost(&evaluator.record(at, |net, tape, _| values((self.residuals)(net, tape))))
    }

    /// Evaluates residuals and Jacobian.
    pub fn linearise<T: Real, M: Module<T>>(
        &self,
        evaluator: &mut Evaluator<'_, T, M>,
        at: &[f64],
    ) -> (Point, Linear)
    where
        F: for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    {
        let mut linear =
            evaluator.record(at, |net, tape, vars| Linear::new((self.residuals)(net, tape), vars));
        let cost = self.cost(&linear.residuals);
        linear.weigh(self.robust);
        let gradient = linear.gradient();
        // Where the model stands: in single precision, close to what was asked for.
        (Point { at: evaluator.position(), cost, gradient }, linear)
    }

    /// As [`linearise`](Self::linearise), if there is a gradient: where there is none, a method cannot go on.
    pub fn linearise_finite<T: Real, M: Module<T>>(
        &self,
        evaluator: &mut Evaluator<'_, T, M>,
        at: &[f64],
    ) -> Option<(Point, Linear)>
    where
        F: for<'t> Fn(&M, &'t Tape<T>) -> Var<'t, T>,
    {
        let next = self.linearise(evaluator, at);
        next.0.gradient.iter().all(|g| g.is_finite()).then_some(next)
    }

    fn cost(&self, residuals: &[f64]) -> f64 {
        0.5 * residuals.iter().map(|&r| self.robust.count(r)).sum::<f64>()
    }
}

fn values<T: Real>(residuals: Var<'_, T>) -> Vec<f64> {
    residuals.with_value(|values| values.iter().map(|x| x.as_f64()).collect())
}

/// The residuals near a point, as a linear function of the way from there.
pub(super) struct Linear {
    pub residuals: Vec<f64>,
    /// By rows: one for each residual.
    jacobian: Vec<f64>,
    /// The number of parameters.
    columns: usize,
}

impl Linear {
    /// Of recorded residuals, with respect to some variables.
    pub fn new<'t, T: Real>(residuals: Var<'t, T>, vars: &[Var<'t, T>]) -> Self {
        let blocks = residuals.jacobian(vars);
        let columns = vars.iter().map(|var| var.elements()).sum();
        let rows = residuals.elements();
        let mut jacobian = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            for block in &blocks {
                let columns = block.len() / rows;
                let elements = block.as_slice().expect("a Jacobian is contiguous");
                let own = &elements[row * columns..][..columns];
                jacobian.extend(own.iter().map(|x| x.as_f64()));
            }
        }
        Self { residuals: values(residuals), jacobian, columns }
    }

    /// Residuals and rows whose squares stand for a loss of the residuals.
    fn weigh(&mut self, robust: Robust) {
        if robust == Robust::Squares {
            return;
        }
        for (r, row) in self.residuals.iter_mut().zip(self.jacobian.chunks_mut(self.columns)) {
            let factor;
            (*r, factor) = robust.as_square(*r);
            row.iter_mut().for_each(|x| *x *= factor);
        }
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.jacobian.chunks(self.columns)
    }

    /// `J' r`
    fn gradient(&self) -> Vec<f64> {
        let mut gradient = vec![0.0; self.columns];
        for (row, &r) in self.rows().zip(&self.residuals) {
            add(&mut gradient, r, row);
        }
        gradient
    }

    /// By how much the cost falls along a step, if the residuals are linear.
    pub fn promise(&self, gradient: &[f64], step: &[f64]) -> f64 {
        let image = self.rows().map(|row| dot(row, step).powi(2)).sum::<f64>();
        -dot(gradient, step) - 0.5 * image
    }

    /// The lengths of the Jacobian's columns: what a unit of each parameter does to the residuals.
    pub fn column_norms(&self) -> Vec<f64> {
        let column = |j| self.rows().map(|row| row[j]).collect::<Vec<_>>();
        (0..self.columns).map(|j| norm(&column(j))).collect()
    }

    /// The Jacobian's singular values and vectors, with parameters in units of `1 / scale`. Only
    /// free ones are looked at.
    pub fn factored(&self, scale: &[f64], free: &[bool]) -> Factored {
        let free: Vec<usize> = (0..self.columns).filter(|&j| free[j]).collect();
        let shape = [self.residuals.len(), free.len()];
        let elements =
            self.rows().flat_map(|row| free.iter().map(|&j| row[j] / scale[j])).collect();
        let tape = Tape::new();
        let mut jacobian = tape.constant(Tensor::new(shape, elements));
        let opposite = self.residuals.iter().map(|r| -r).collect();
        let mut right = tape.constant(Tensor::new([shape[0], 1], opposite));
        if shape[0] > shape[1] {
            // A small triangle has the same singular values.
            let (q, r) = jacobian.qr();
            right = q.transpose().matmul(right);
            jacobian = r;
        }
        let (u, s, v) = jacobian.svd();
        let right = u.transpose().matmul(right).value().to_vec();
        let values = s.value().to_vec();
        // Smaller ones could be made by rounding, and count as 0.
        let rounding = f64::EPSILON * shape[0].max(shape[1]) as f64 * values[0];
        let rank = values.iter().filter(|&&s| s > rounding).count();
        let scale = free.iter().map(|&j| scale[j]).collect();
        Factored { free, scale, values, right, vectors: v.value(), rank, columns: self.columns }
    }
}

/// The singular value decomposition `U S V'` of a scaled Jacobian `J D^-1`.
pub(super) struct Factored {
    /// Which parameters its columns are.
    pub free: Vec<usize>,
    /// `D`, of the free parameters.
    pub scale: Vec<f64>,
    /// `S`
    pub values: Vec<f64>,
    /// `V`
    pub vectors: Tensor<f64>,
    /// How many singular values are not 0.
    pub rank: usize,
    /// `-U' r`
    right: Vec<f64>,
    /// The number of parameters.
    columns: usize,
}

/// By how much the length of a step may miss the radius.
const RADIUS_TOLERANCE: f64 = 0.1;

impl Factored {
    /// The minimiser of `|J d + r|^2 + damping |D d|^2`, without damping and of several the one with the
    /// least `|D d|`; and `|D d|`.
    pub fn step(&self, damping: f64) -> (Vec<f64>, f64) {
        let parts: Vec<f64> = self.parts(damping).map(|(part, _)| part).collect();
        let mut step = vec![0.0; self.columns];
        for (row, (&j, &scale)) in self.free.iter().zip(&self.scale).enumerate() {
            let part = |(k, part): (usize, &f64)| part * self.vectors.at(&[row, k]);
            step[j] = parts.iter().enumerate().map(part).sum::<f64>() / scale;
        }
        (step, norm(&parts))
    }

    /// The minimiser of `|J d + r|^2` under the condition that `|D d|` is at most the radius, and the
    /// damping that it is the minimiser of (Moré, "The Levenberg-Marquardt algorithm: implementation and theory",
    /// 1978, section 5). The length may exceed the radius by a tenth, or fall short of it.
    pub fn step_within(&self, radius: f64) -> (Vec<f64>, f64, f64) {
        let damping = self.damping(radius);
        let (step, length) = self.step(damping);
        (step, length, damping)
    }

    /// Newton's method for the damping, on a function of it that is nearly linear: the reciprocal of the length.
    fn damping(&self, radius: f64) -> f64 {
        let length = |damping| norm(&self.parts(damping).map(|(part, _)| part).collect::<Vec<_>>());
        let is_close = |length: f64| (length - radius).abs() <= RADIUS_TOLERANCE * radius;
        if length(0.0) <= (1.0 + RADIUS_TOLERANCE) * radius {
            return 0.0;
        }
        let slopes = self.values.iter().zip(&self.right).map(|(s, b)| s * b);
        let (mut least, mut most) = (0.0, norm(&slopes.collect::<Vec<_>>()) / radius);
        let mut damping = 0.0;
        loop {
            let length = length(damping);
            if is_close(length) {
                return damping;
            }
            if length > radius {
                least = damping
            } else {
                most = damping
            }
            let change =
                self.parts(damping).map(|(part, square)| part * part / square).sum::<f64>();
            damping += (length / radius) * (length - radius) * (length / change);
            if !(damping > least && damping < most) {
                damping = (1e-3 * most).max((least * most).sqrt());
            }
            if !(least < most && (most - least) > f64::EPSILON * most) {
                return damping; // an interval of rounding, as of numbers that are not finite
            }
        }
    }

    /// The parts of a step along the singular vectors, and `s^2 + damping`.
    fn parts(&self, damping: f64) -> impl Iterator<Item = (f64, f64)> {
        let pairs = self.values.iter().zip(&self.right).take(self.rank);
        pairs.map(move |(&s, &b)| {
            let square = s * s + damping;
            (s * b / square, square)
        })
    }
}
