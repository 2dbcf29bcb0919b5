//! Is the harness worth anything? Rules are broken on purpose, and the harness must
//! object to each.
//!
//! A mutant is an op like any other, with one of its rules damaged. It is put to
//! the harness in place of the op, in both precisions, so that nothing can be
//! compared with the undamaged rule.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use wengert_core::op::samples::{ErrorSample, Sample};
use wengert_core::op::{
    Bilinear, Call, Cost, Dependence, Domain, DynOp, Elementwise, Formula, SampleSet, Samples,
    ShapeClass, registry,
};
use wengert_core::{Layout, Number, Real, Shape, Tensor, Var, View, check};

/// What is done to a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    /// The adjoint has the wrong sign.
    Sign,
    /// The adjoint is twice what it should be.
    Factor,
    /// The adjoint of a square matrix is transposed.
    Transpose,
    /// The adjoint of a stretched operand is left in the result's shape.
    Unsummed,
    /// The adjoint of a stretched operand is that of its first copy.
    FirstCopy,
    /// One operand gets no adjoint.
    Dropped,
    /// One entry of an adjoint is 3 per cent too large.
    Entry,
    /// The adjoint is right but not recorded.
    Detached,
    /// The tangent has the wrong sign.
    TangentSign,
    /// One operand's tangent is forgotten.
    TangentDropped,
    /// Both modes are off by the same 3 per cent: the adjoint identity is blind.
    BothModes,
    /// Both modes have the wrong sign.
    BothSigns,
    /// The result is said not to depend on one operand.
    Overlooked,
}

use Damage::*;

const ALL: [Damage; 13] = [
    Sign,
    Factor,
    Transpose,
    Unsummed,
    FirstCopy,
    Dropped,
    Entry,
    Detached,
    TangentSign,
    TangentDropped,
    BothModes,
    BothSigns,
    Overlooked,
];

/// An op with a damaged rule.
#[derive(Clone)]
struct Mutant<T: Real> {
    op: Rc<dyn DynOp<T>>,
    damage: Damage,
    /// Whether the damage has changed anything so far.
    felt: Rc<Cell<bool>>,
}

impl<T: Real> fmt::Debug for Mutant<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with {:?}", self.op, self.damage)
    }
}

impl<T: Real> Mutant<T> {
    /// The damaged number in place of the right one.
    fn instead<'t>(&self, right: Var<'t, T>, wrong: Var<'t, T>) -> Option<Var<'t, T>> {
        // Where there is no number, nothing can be damaged.
        let same = |(a, b): (T, T)| a == b || a.is_nan() && b.is_nan();
        let (right, damaged) = (right.value(), wrong.value());
        if right.shape() != damaged.shape() || !right.iter().zip(damaged.iter()).all(same) {
            self.felt.set(true);
        }
        Some(wrong)
    }

    /// The adjoint for a cotangent of which only the first copy counts.
    fn of_first_copy<'t>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        let (small, large) = (call.arg(arg).shape(), cotangent.shape());
        let lead = large.rank() - small.rank();
        let mask = Tensor::from_fn(&large, |mut position| {
            let mut counts = true;
            for axis in (0..large.rank()).rev() {
                let i = position % large[axis];
                position /= large[axis];
                let is_stretched = axis < lead || small[axis - lead] != large[axis];
                counts &= !is_stretched || i == 0;
            }
            if counts { T::one() } else { T::zero() }
        });
        self.op.vjp(call, arg, cotangent * cotangent.tape().constant(mask))
    }
}

impl<T: Real> DynOp<T> for Mutant<T> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn formula(&self) -> Formula {
        self.op.formula()
    }

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        self.op.shape(args)
    }

    fn view(&self, arg: &Layout) -> Option<(Layout, isize)> {
        // What is a view states its dependence by that.
        if self.damage == Overlooked { None } else { self.op.view(arg) }
    }

    fn eval(&self, args: &[View<'_, T>], shape: &Shape, out: &mut [T]) {
        self.op.eval(args, shape, out);
    }

    fn eval_scalar(&self, args: &[T]) -> Option<T> {
        self.op.eval_scalar(args)
    }

    fn is_differentiable(&self) -> bool {
        self.op.is_differentiable()
    }

    fn jvp<'t>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        let right = self.op.jvp(call, tangents)?;
        match self.damage {
            TangentSign | BothSigns => self.instead(right, -right),
            BothModes => self.instead(right, right * T::from_f64(1.03)),
            TangentDropped => {
                let mut fewer = tangents.to_vec();
                *fewer.iter_mut().rfind(|tangent| tangent.is_some())? = None;
                if right.value().iter().any(|x| x != T::zero()) {
                    self.felt.set(true);
                }
                self.op.jvp(call, &fewer)
            }
            _ => Some(right),
        }
    }

    fn vjp<'t>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        let right = self.op.vjp(call, arg, cotangent)?;
        let (own, result) = (call.arg(arg).shape(), call.value().shape());
        let is_stretched = own != result && own.broadcasts_to(&result);
        match self.damage {
            Sign | BothSigns => self.instead(right, -right),
            Factor => self.instead(right, right * T::from_f64(2.0)),
            BothModes => self.instead(right, right * T::from_f64(1.03)),
            Transpose => match own[..] {
                [.., rows, columns] if rows == columns => {
                    self.instead(right, right.matrix_transpose())
                }
                _ => Some(right),
            },
            Unsummed if is_stretched => self.instead(right, right.broadcast_to(result)),
            FirstCopy if is_stretched && call.args().len() > 1 => {
                self.instead(right, self.of_first_copy(call, arg, cotangent)?)
            }
            Dropped | Overlooked if arg + 1 == call.args().len() => {
                if right.value().iter().any(|x| x != T::zero()) {
                    self.felt.set(true);
                }
                (self.damage == Overlooked).then_some(right)
            }
            Entry => {
                let last = right.elements().saturating_sub(1);
                let factor = |i: usize| T::from_f64(if i == last { 1.03 } else { 1.0 });
                let factors = right.tape().constant(Tensor::from_fn(right.shape(), factor));
                self.instead(right, right * factors)
            }
            Detached => {
                if right.is_active() && right.value().iter().any(|x| x != T::zero()) {
                    self.felt.set(true);
                }
                Some(right.stop_gradient())
            }
            _ => Some(right),
        }
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        self.op.cost(args, result)
    }

    fn kink_distance(&self, args: &[View<'_, T>]) -> T {
        self.op.kink_distance(args)
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        match self.damage {
            Overlooked if arg + 1 == args.len() => Dependence::Nothing,
            _ => self.op.dependence(args, arg, result),
        }
    }

    fn equals(&self, _: &dyn Any) -> bool {
        false
    }
}

/// The samples of an op with its rules damaged, and whether that will be felt.
fn damaged<T: Real>(samples: &SampleSet<T>, damage: Damage, felt: &Rc<Cell<bool>>) -> SampleSet<T> {
    let mutant = |op: &Rc<dyn DynOp<T>>| -> Rc<dyn DynOp<T>> {
        Rc::new(Mutant { op: op.clone(), damage, felt: felt.clone() })
    };
    SampleSet {
        cases: samples
            .cases
            .iter()
            .map(|sample| Sample { op: mutant(&sample.op), args: sample.args.clone() })
            .collect(),
        errors: samples
            .errors
            .iter()
            .map(|error| ErrorSample { op: mutant(&error.op), ..error.clone() })
            .collect(),
        absent: samples.absent.clone(),
    }
}

#[test]
fn the_harness_objects_to_every_broken_rule() {
    // Rules that panic are findings; their messages would bury the score.
    std::panic::set_hook(Box::new(|_| {}));
    let (doubles, singles) = (registry::ops::<f64>(), registry::ops::<f32>());
    let mut caught = [0; ALL.len()];
    let mut made = [0; ALL.len()];
    let mut escaped = Vec::new();
    for (double, single) in doubles.iter().zip(&singles) {
        for (i, damage) in ALL.into_iter().enumerate() {
            let felt = Rc::new(Cell::new(false));
            let elsewhere = Rc::new(Cell::new(false));
            let double = damaged(&double.samples, damage, &felt);
            let single = damaged(&single.samples, damage, &elsewhere);
            let report = check::samples(&double, Some(&single));
            if !felt.get() {
                assert!(report.is_right(), "no damage, and yet: {report}");
                continue;
            }
            made[i] += 1;
            if report.is_right() {
                escaped.push(format!("{:?} of {}", damage, report.name));
            } else {
                caught[i] += 1;
            }
        }
    }
    let _ = std::panic::take_hook();
    for (i, damage) in ALL.into_iter().enumerate() {
        println!("{:>15}: {:>2} of {:>2} caught", format!("{damage:?}"), caught[i], made[i]);
    }
    println!(
        "{:>15}: {} of {} caught",
        "all",
        caught.iter().sum::<i32>(),
        made.iter().sum::<i32>()
    );
    assert!(escaped.is_empty(), "these escaped: {escaped:?}");
    assert!(made.iter().all(|&count| count > 0), "every kind of damage is felt somewhere");
}

/// Swish, without the second term of its derivative.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BrokenSwish;

impl Elementwise<1> for BrokenSwish {
    const NAME: &'static str = "broken_swish";

    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x / (T::one() + (-x).exp())
    }

    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.sigmoid()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(BrokenSwish, [Domain::reals()]);
    }
}

/// A difference that claims the slopes of a sum.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BrokenSlopes;

impl Elementwise<2> for BrokenSlopes {
    const NAME: &'static str = "broken_slopes";

    fn eval<T: Real>(self, [a, b]: [T; 2]) -> T {
        a + b
    }

    fn partial<A: Number>(self, arg: usize, [a, _]: [A; 2], _: A) -> A {
        a.constant(if arg == 0 { 1.0 } else { -1.0 })
    }

    fn slopes(self) -> Option<[f64; 2]> {
        Some([1.0, 1.0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(BrokenSlopes, [Domain::reals(), Domain::reals()]);
    }
}

/// `A^T B`, whose left rule forgets a transpose that square matrices do not miss.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BrokenProduct;

impl Bilinear for BrokenProduct {
    const NAME: &'static str = "broken_product";

    fn shape(&self, a: &Shape, b: &Shape) -> Result<Shape, String> {
        if a.rank() == 2 && a == b && a[0] == a[1] {
            Ok(a.clone())
        } else {
            Err(format!("{a} and {b} are not two square matrices"))
        }
    }

    fn eval<T: Real>(&self, a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
        let n = a.shape()[0];
        let (a, b): (Vec<T>, Vec<T>) = (a.iter().collect(), b.iter().collect());
        for i in 0..n {
            for j in 0..n {
                out[i * n + j] = (0..n).map(|k| a[k * n + i] * b[k * n + j]).sum();
            }
        }
    }

    fn transpose_left<'t, T: Real>(
        &self,
        _: &Shape,
        b: Var<'t, T>,
        cotangent: Var<'t, T>,
    ) -> Var<'t, T> {
        cotangent.matmul(b.matrix_transpose())
    }

    fn transpose_right<'t, T: Real>(
        &self,
        a: Var<'t, T>,
        _: &Shape,
        cotangent: Var<'t, T>,
    ) -> Var<'t, T> {
        a.matmul(cotangent)
    }

    fn cost(&self, a: &Shape, _: &Shape, _: &Shape) -> Cost {
        Cost::muls(a.iter().map(|&n| n as u64).product())
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for n in [3, 1, 0] {
            samples.case(
                BrokenProduct,
                [([n, n].into(), Domain::reals()), ([n, n].into(), Domain::reals())],
            );
        }
        for class in [ShapeClass::Scalar, ShapeClass::Vector, ShapeClass::Higher] {
            samples.absent(class, "takes matrices only");
        }
    }
}

/// An op that leaves out most classes of shapes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Undersampled;

impl Elementwise<1> for Undersampled {
    const NAME: &'static str = "undersampled";

    fn eval<T: Real>(self, [x]: [T; 1]) -> T {
        x
    }

    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.constant(1.0)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.case(Undersampled, [([3].into(), Domain::reals())]);
    }
}

#[test]
fn ops_of_users_are_caught_too() {
    let wrong = check::op(BrokenSwish);
    assert!(wrong.to_string().contains("falls as h^1"), "{wrong}");
    let wrong = check::op(BrokenSlopes);
    assert!(wrong.findings.iter().all(|finding| finding.check == "partials"), "{wrong}");
    assert!(!wrong.is_right());
    let wrong = check::op(BrokenProduct);
    assert!(wrong.to_string().contains("<w, J v>"), "{wrong}");
    let wrong = check::op(Undersampled);
    assert!(wrong.to_string().contains("no sample of class Scalar"), "{wrong}");
}
