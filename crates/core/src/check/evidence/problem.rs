//! A function as the checks see it: something to record at any point.
//!
//! A check records the function at every point that it looks at. That costs
//! little, and the recordings tell more than the values: where two of them differ
//! in their operations, or where an argument of `relu` has moved by more than its
//! distance to the kink, no difference quotient can judge a derivative.

use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::scalar::Real;
use crate::tape::elemental::DynOp;
use crate::tape::{NodeId, Tape, Var};
use crate::tensor::{Shape, Tensor};

/// What a check records: from variables on a tape to a value.
pub(in crate::check) type Record<'f, T> =
    dyn for<'t> Fn(&'t Tape<T>, &[Var<'t, T>]) -> Var<'t, T> + 'f;

/// A function and the point at which its derivatives are in question.
pub(in crate::check) struct Problem<'f, T: Real> {
    record: &'f Record<'f, T>,
    pub(in crate::check) x: Vec<Tensor<T>>,
    /// The seed of the samples, where training is recorded.
    training: Option<u64>,
}

impl<'f, T: Real> Problem<'f, T> {
    pub(in crate::check) fn new(record: &'f Record<'f, T>, x: Vec<Tensor<T>>) -> Self {
        Self { record, x, training: None }
    }

    /// The same, recorded in training with the samples of a seed.
    pub(in crate::check) fn in_training(self, training: Option<u64>) -> Self {
        Self { training, ..self }
    }

    /// Records the function at the point in question.
    pub(in crate::check) fn record<'t>(&self, tape: &'t Tape<T>) -> (Vec<Var<'t, T>>, Var<'t, T>) {
        self.record_at(tape, &self.x)
    }

    /// Records the function at another point.
    pub(in crate::check) fn record_at<'t>(
        &self,
        tape: &'t Tape<T>,
        x: &[Tensor<T>],
    ) -> (Vec<Var<'t, T>>, Var<'t, T>) {
        if let Some(seed) = self.training {
            tape.train(seed);
        }
        let vars: Vec<_> = x.iter().map(|x| tape.variable(x)).collect();
        let y = (self.record)(tape, &vars);
        (vars, y)
    }
}

/// A function that a check evaluates: on a tape, or of plain numbers.
pub(in crate::check) trait Evaluate<T: Real> {
    /// The value at a point.
    fn value(&self, x: &[Tensor<T>]) -> Tensor<T>;

    /// The value at a point, and what lies between there and the point in question:
    /// a kink, or another course of the program.
    fn at(&self, x: &[Tensor<T>]) -> (Tensor<T>, Option<String>) {
        (self.value(x), None)
    }

    /// A kink at the very point.
    fn kink(&self) -> Option<String> {
        None
    }

    /// What is not the same when the function is evaluated again where it was.
    fn unrepeated(&self, x: &[Tensor<T>], y: &Tensor<T>) -> Option<String> {
        let again = self.value(x);
        let differs = first_difference(y, &again)?;
        Some(format!("the function gave {} and then {} at the same point", differs.0, differs.1))
    }
}

/// A function of which there is a recording at the point in question.
pub(in crate::check) struct Recorded<'a, 'f, T: Real> {
    problem: &'a Problem<'f, T>,
    y: Var<'a, T>,
    kinks: Kinks,
}

impl<'a, 'f, T: Real> Recorded<'a, 'f, T> {
    pub(in crate::check) fn new(problem: &'a Problem<'f, T>, y: Var<'a, T>) -> Self {
        Self { problem, y, kinks: Kinks::of(y) }
    }
}

impl<T: Real> Evaluate<T> for Recorded<'_, '_, T> {
    fn value(&self, x: &[Tensor<T>]) -> Tensor<T> {
        self.problem.record_at(&Tape::new(), x).1.value()
    }

    fn at(&self, x: &[Tensor<T>]) -> (Tensor<T>, Option<String>) {
        let tape = Tape::new();
        let (_, y) = self.problem.record_at(&tape, x);
        (y.value(), self.kinks.between(self.y.tape(), y))
    }

    fn kink(&self) -> Option<String> {
        self.kinks.here(self.y.tape())
    }

    fn unrepeated(&self, x: &[Tensor<T>], _: &Tensor<T>) -> Option<String> {
        let elsewhere = Tape::new();
        let (_, again) = self.problem.record_at(&elsewhere, x);
        let here = self.y.tape();
        if again.id() != self.y.id() {
            return Some("two recordings at the same point have other operations".to_owned());
        }
        (0..=again.id().index()).map(NodeId::new).find_map(|id| {
            let (a, b) = (here.value_of(id), elsewhere.value_of(id));
            let numbers = match a.shape() == b.shape() {
                true => first_difference(&a, &b).map(|(a, b)| format!("{a} and then {b}"))?,
                false => format!("shape {} and then {}", a.shape(), b.shape()),
            };
            Some(format!(
                "two recordings at the same point differ, first in {}\n  which gave {numbers}",
                elsewhere.describe(id)
            ))
        })
    }
}

/// The first two elements that are not the same.
pub(in crate::check) fn first_difference<T: Real>(a: &Tensor<T>, b: &Tensor<T>) -> Option<(T, T)> {
    let same = |(a, b): &(T, T)| a == b || a.is_nan() && b.is_nan();
    a.iter().zip(b.iter()).find(|pair| !same(pair))
}

/// The nodes of a recording at which the function may have kinks.
pub(in crate::check) struct Kinks {
    output: NodeId,
    near: Vec<(NodeId, f64)>,
}

impl Kinks {
    /// Asks every op of the recording for its distance to the nearest kink.
    pub(in crate::check) fn of<T: Real>(y: Var<'_, T>) -> Self {
        let tape = y.tape();
        let ids = (0..=y.id().index()).map(NodeId::new);
        let near = ids.filter_map(|id| {
            let (op, args) = tape.call(id)?;
            let args: Vec<_> = args.iter().map(|arg| arg.value()).collect();
            let views: Vec<_> = args.iter().map(|arg| arg.view()).collect();
            let distance = op.get().kink_distance(&views).as_f64();
            distance.is_finite().then_some((id, distance))
        });
        Self { output: y.id(), near: near.collect() }
    }

    /// A kink at the point itself, up to a few roundings of the argument, of an op that passes
    /// derivatives on: a comparison does not, so no NaN comes from its step.
    fn here<T: Real>(&self, tape: &Tape<T>) -> Option<String> {
        let is_here = |&&(id, distance): &&(NodeId, f64)| {
            let Some((op, args)) = tape.call(id) else { return false };
            let sizes = args.iter().map(|arg| arg.value().norm());
            let near = 100.0 * T::epsilon().as_f64() * sizes.fold(0.0, f64::max);
            op.get().is_differentiable() && distance <= near
        };
        let &(id, _) = self.near.iter().find(is_here)?;
        Some(format!("a kink lies at the argument of {}", tape.describe(id)))
    }

    /// What stands between two recordings: a kink that an argument may have
    /// crossed, or another course of the program. `None` if nothing does.
    pub(in crate::check) fn between<T: Real>(
        &self,
        here: &Tape<T>,
        there: Var<'_, T>,
    ) -> Option<String> {
        let elsewhere = there.tape();
        if there.id() != self.output {
            return Some("the function records other operations there".to_owned());
        }
        for index in 0..=self.output.index() {
            let id = NodeId::new(index);
            let same = match (here.call(id), elsewhere.call(id)) {
                (None, None) => true,
                (Some((op, args)), Some((other, others))) => {
                    op.get().name() == other.get().name()
                        && args.iter().map(|arg| arg.id()).eq(others.iter().map(|arg| arg.id()))
                }
                _ => false,
            };
            if !same || !here.var(id).shape().eq(&elsewhere.var(id).shape()) {
                return Some(format!(
                    "the function takes another course there, first in {}",
                    elsewhere.describe(id)
                ));
            }
        }
        let crossed = self.near.iter().find(|&&(id, distance)| {
            let args = here.call(id).map(|(_, args)| args).unwrap_or_default();
            let moved = args.iter().map(|arg| {
                let (a, b) = (arg.value(), elsewhere.value_of(arg.id()));
                a.iter()
                    .zip(b.iter())
                    .fold(0.0, |most: f64, (a, b)| most.max((a.as_f64() - b.as_f64()).abs()))
            });
            // Two operands of a maximum may move towards each other.
            let moved = 2.0 * moved.fold(0.0, f64::max);
            moved > 0.0 && moved >= distance
        });
        crossed.map(|&(id, distance)| {
            // Steps in single precision are so long that a layer of many kinks leaves no room.
            let shorter =
                if T::NAME == "f32" { ", or in f64, whose steps are shorter" } else { "" };
            format!(
                "a kink lies {distance:.1e} from the argument of {}; check at another \
                 point{shorter}",
                here.describe(id)
            )
        })
    }
}

/// Tells the compiler that a closure works for tapes of any lifetime.
pub(in crate::check) fn recorder<T: Real, F>(f: F) -> F
where
    F: for<'t> Fn(&'t Tape<T>, &[Var<'t, T>]) -> Var<'t, T>,
{
    f
}

/// Records an op on its operands, of which masks are held fixed.
pub(in crate::check) fn record_op<'t, T: Real>(
    op: &Rc<dyn DynOp<T>>,
    tape: &'t Tape<T>,
    vars: &[Var<'t, T>],
    masks: &[Option<Tensor<T>>],
) -> Var<'t, T> {
    let mut vars = vars.iter();
    let args: Vec<_> = masks
        .iter()
        .map(|mask| match mask {
            Some(mask) => tape.constant(mask),
            None => *vars.next().expect("one variable for each operand that varies"),
        })
        .collect();
    tape.apply_dyn(op, &args)
}

/// Random numbers from a seed.
pub(in crate::check) struct Draw(StdRng);

impl Draw {
    pub(in crate::check) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A number between two others.
    pub(in crate::check) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    /// A tensor of numbers from 1/2 to 1 of either sign, times a scale: a
    /// direction or cotangent in which no entry counts for nothing, and which is
    /// never all ones.
    pub(in crate::check) fn signed<T: Real>(&mut self, shape: &Shape, scale: f64) -> Tensor<T> {
        Tensor::from_fn(shape, |_| {
            let sign = if self.0.random::<bool>() { 1.0 } else { -1.0 };
            T::from_f64(sign * scale * self.between(0.5, 1.0))
        })
    }

    /// A cotangent of a value: 1 of a number.
    pub(in crate::check) fn cotangent<T: Real>(&mut self, shape: &Shape) -> Tensor<T> {
        match shape.elements() {
            1 => Tensor::ones(shape),
            _ => self.signed(shape, 1.0),
        }
    }

    /// A direction for each tensor, as large as its elements are.
    pub(in crate::check) fn direction<T: Real>(&mut self, x: &[Tensor<T>]) -> Vec<Tensor<T>> {
        x.iter().map(|x| self.signed(x.shape(), scale_of(x))).collect()
    }
}

/// Directions that are as large as another one in every entry and have other signs: those of a
/// Hadamard matrix, whose order is a power of two. An error in no more entries than the order, whose
/// parts cancel along some of the directions, shows along others.
pub(in crate::check) fn companions<T: Real>(v: &[Tensor<T>], order: usize) -> Vec<Vec<Tensor<T>>> {
    let entries: usize = v.iter().map(Tensor::len).sum();
    // Rows in another order with every round, so that none holds a part that errors may, such as
    // every other entry.
    let row = |i: usize| (i + 3 * (i / order) + 5 * (i / order / order)) % order;
    let flipped = |k: usize| {
        let mut before = 0;
        let mut turn = |v: &Tensor<T>| {
            let numbers = v.to_vec();
            let flipped = Tensor::from_fn(v.shape(), |i| {
                let is_flipped = (k & row(before + i)).count_ones() % 2 == 1;
                if is_flipped { -numbers[i] } else { numbers[i] }
            });
            before += numbers.len();
            flipped
        };
        v.iter().map(&mut turn).collect()
    };
    (1..order.min(entries.next_power_of_two())).map(flipped).collect()
}

/// `x + hv`.
pub(in crate::check) fn moved<T: Real>(x: &Tensor<T>, h: f64, v: &Tensor<T>) -> Tensor<T> {
    x.zip_map(v, |x, v| T::from_f64(x.as_f64() + h * v.as_f64()))
}

/// How large the elements of a tensor are: their root mean square, or 1 for zeros.
pub(in crate::check) fn scale_of<T: Real>(x: &Tensor<T>) -> f64 {
    let scale = x.norm() / (x.len().max(1) as f64).sqrt();
    if scale.is_normal() { scale } else { 1.0 }
}

/// The inner product over several tensors, and the sum of the absolute products.
pub(in crate::check) fn inner<T: Real>(a: &[Tensor<T>], b: &[Tensor<T>]) -> (f64, f64) {
    let products = a.iter().zip(b).flat_map(|(a, b)| {
        assert_eq!(a.shape(), b.shape(), "the shapes of two tensors differ");
        a.iter().zip(b.iter()).map(|(a, b)| a.as_f64() * b.as_f64())
    });
    products.fold((0.0, 0.0), |(sum, size), product| (sum + product, size + product.abs()))
}
