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
    Series, SeriesCall, ShapeClass, Stacked, registry,
};
use wengert_core::{Layout, Number, Real, Shape, Tensor, Var, View, check};

/// What is done to a rule. Rules of operands are damaged one operand at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    /// One operand's adjoint has the wrong sign.
    Sign(usize),
    /// One operand's adjoint is 3 per cent too large.
    Factor(usize),
    /// One operand gets no adjoint.
    Dropped(usize),
    /// One entry of one operand's adjoint is 3 per cent too large.
    Entry(usize),
    /// One operand's adjoint is right but not recorded.
    Detached(usize),
    /// The adjoint of a square matrix is transposed.
    Transpose(usize),
    /// The adjoint of a stretched operand is left in the result's shape.
    Unsummed(usize),
    /// The adjoint of a stretched operand is that of its first copy.
    FirstCopy(usize),
    /// What is added up in place is 3 per cent too large.
    Factors(usize),
    /// An infinite cotangent reaches what does not matter of one operand, by a product with 0.
    Leaks(usize),
    /// One operand's tangent is forgotten.
    TangentDropped(usize),
    /// One operand's tangent is 3 per cent too large.
    TangentFactor(usize),
    /// The tangent is right but not recorded.
    TangentDetached,
    /// Both modes are off by the same 3 per cent: the adjoint identity is blind.
    BothModes,
    /// Taylor coefficients beyond the value are 3 per cent too large.
    Taylor,
    /// What is computed for many values at once is 3 per cent too large.
    ManyAtOnce,
    /// The partials at numbers are 3 per cent too large.
    Partials(usize),
    /// The value is off in one element.
    Value,
    /// The value at numbers is off.
    ScalarValue,
    /// The result is said not to depend on one operand.
    Overlooked(usize),
}

use Damage::*;

/// The kinds of damage, by name.
const KINDS: [&str; 20] = [
    "Sign",
    "Factor",
    "Dropped",
    "Entry",
    "Detached",
    "Transpose",
    "Unsummed",
    "FirstCopy",
    "Factors",
    "Leaks",
    "TangentDropped",
    "TangentFactor",
    "TangentDetached",
    "BothModes",
    "Taylor",
    "ManyAtOnce",
    "Partials",
    "Value",
    "ScalarValue",
    "Overlooked",
];

impl Damage {
    /// All kinds, of each operand where they are of operands.
    fn all(operands: usize) -> Vec<Self> {
        let of_operands: [fn(usize) -> Self; 14] = [
            Sign,
            Factor,
            Dropped,
            Entry,
            Detached,
            Transpose,
            Unsummed,
            FirstCopy,
            Factors,
            Leaks,
            TangentDropped,
            TangentFactor,
            Partials,
            Overlooked,
        ];
        let each = of_operands.into_iter().flat_map(|kind| (0..operands).map(kind));
        each.chain([TangentDetached, BothModes, Taylor, ManyAtOnce, Value, ScalarValue]).collect()
    }

    fn kind(self) -> usize {
        let name = format!("{self:?}");
        let name = name.split('(').next().unwrap_or_default();
        KINDS.iter().position(|kind| *kind == name).expect("every kind has a name")
    }
}

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

    /// Notes that something that is not zero is lost.
    fn lose(&self, var: Var<'_, T>) {
        if var.value().iter().any(|x| x != T::zero()) {
            self.felt.set(true);
        }
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

/// 3 per cent too much.
fn off<T: Real>() -> T {
    T::from_f64(1.03)
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
        match self.damage {
            // What is a view states its dependence, and has its value, by that.
            Overlooked(_) | Value => None,
            _ => self.op.view(arg),
        }
    }

    fn eval(&self, args: &[View<'_, T>], shape: &Shape, out: &mut [T]) {
        self.op.eval(args, shape, out);
        if self.damage == Value
            && let Some(last) = out.last_mut().filter(|x| x.is_finite())
        {
            // Too large by what two evaluations of the same would share.
            *last = *last * off() + T::from_f64(1e-3);
            self.felt.set(true);
        }
    }

    fn eval_scalar(&self, args: &[T]) -> Option<T> {
        let right = self.op.eval_scalar(args)?;
        if self.damage == Value {
            return None;
        }
        if self.damage == ScalarValue && right.is_finite() {
            self.felt.set(true);
            return Some(right * off() + T::from_f64(1e-3));
        }
        Some(right)
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
            BothModes => self.instead(right, right * off::<T>()),
            TangentDetached => {
                if right.is_active() {
                    self.lose(right);
                }
                Some(right.stop_gradient())
            }
            TangentDropped(arg) if tangents.get(arg).is_some_and(Option::is_some) => {
                let mut fewer = tangents.to_vec();
                fewer[arg] = None;
                let left = fewer.iter().any(Option::is_some).then(|| self.op.jvp(call, &fewer));
                match left.flatten() {
                    Some(left) => self.instead(right, left),
                    None => {
                        self.lose(right);
                        None
                    }
                }
            }
            TangentFactor(arg) if arg < tangents.len() => {
                let mut larger = tangents.to_vec();
                larger[arg] = larger[arg].map(|tangent| tangent * off::<T>());
                self.instead(right, self.op.jvp(call, &larger)?)
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
            BothModes => self.instead(right, right * off::<T>()),
            Sign(at) if at == arg => self.instead(right, -right),
            Factor(at) if at == arg => self.instead(right, right * off::<T>()),
            Transpose(at) if at == arg => match own[..] {
                [.., rows, columns] if rows == columns => {
                    self.instead(right, right.matrix_transpose())
                }
                _ => Some(right),
            },
            Unsummed(at) if at == arg && is_stretched => {
                self.instead(right, right.broadcast_to(result))
            }
            FirstCopy(at) if at == arg && is_stretched && call.args().len() > 1 => {
                self.instead(right, self.of_first_copy(call, arg, cotangent)?)
            }
            Leaks(at) if at == arg => {
                let leak = cotangent.sum() * T::zero();
                let zero = right.tape().constant(T::zero());
                self.instead(right, right.equal(zero).select(leak, right))
            }
            Dropped(at) if at == arg => {
                self.lose(right);
                None
            }
            Overlooked(at) if at == arg => {
                self.lose(right);
                Some(right)
            }
            Entry(at) if at == arg => {
                let last = right.elements().saturating_sub(1);
                let factor = |i: usize| if i == last { off() } else { T::one() };
                let factors = right.tape().constant(Tensor::from_fn(right.shape(), factor));
                self.instead(right, right * factors)
            }
            Detached(at) if at == arg => {
                if right.is_active() {
                    self.lose(right);
                }
                Some(right.stop_gradient())
            }
            _ => Some(right),
        }
    }

    fn vjp_factors<'t>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        cotangent: Var<'t, T>,
    ) -> Option<[Var<'t, T>; 2]> {
        let [left, right] = self.op.vjp_factors(call, arg, cotangent)?;
        match self.damage {
            Factors(at) if at == arg => Some([self.instead(left, left * off::<T>())?, right]),
            // The rule is damaged, so that what would stand for it must not hide that.
            Sign(at) | Factor(at) | Dropped(at) | Entry(at) | Detached(at) | Transpose(at)
                if at == arg =>
            {
                None
            }
            BothModes => None,
            _ => Some([left, right]),
        }
    }

    fn taylor<'s, 't>(&self, call: SeriesCall<'s, 't, T>) -> Series<'s, 't, T> {
        let right = self.op.taylor(call);
        if self.damage != Taylor {
            return right;
        }
        if (1..4)
            .any(|k| right.coefficient(k).is_some_and(|c| c.value().iter().any(|x| x != T::zero())))
        {
            self.felt.set(true);
        }
        right.stretched(1.03)
    }

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Option<Var<'t, T>> {
        let right = self.op.stacked(operands)?;
        match self.damage {
            ManyAtOnce => self.instead(right, right * off::<T>()),
            _ => Some(right),
        }
    }

    fn partials(&self, args: &[T]) -> Option<Vec<T>> {
        let mut partials = self.op.partials(args)?;
        if let Partials(at) = self.damage
            && let Some(partial) = partials.get_mut(at).filter(|partial| **partial != T::zero())
        {
            *partial *= off();
            self.felt.set(true);
        }
        Some(partials)
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        self.op.cost(args, result)
    }

    fn kink_distance(&self, args: &[View<'_, T>]) -> T {
        self.op.kink_distance(args)
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        match self.damage {
            Overlooked(at) if at == arg => Dependence::Nothing,
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

/// Whether a damage can be felt at all, by the shapes and the family of the samples: the others
/// are not worth a run.
fn applies(samples: &SampleSet<f64>, damage: Damage) -> bool {
    samples.cases.iter().any(|Sample { op, args }| {
        let shapes: Vec<&Shape> = args.iter().map(|arg| &arg.0).collect();
        let Ok(result) = op.shape(&shapes) else { return false };
        let stretched = |at: usize| {
            let own = shapes.get(at).filter(|own| ***own != result);
            own.is_some_and(|own| own.broadcasts_to(&result))
        };
        let numbers = vec![0.5; args.len()];
        match damage {
            Transpose(at) => match shapes.get(at).map(|shape| &shape[..]) {
                Some([.., rows, columns]) => rows == columns && *rows > 1,
                _ => false,
            },
            Unsummed(at) => stretched(at),
            FirstCopy(at) => args.len() > 1 && stretched(at),
            Factors(_) => match shapes[..] {
                [a, b] => {
                    let layouts = [a, b].map(|shape| Layout::contiguous(shape.clone()));
                    op.factors(&layouts[0], &layouts[1]).is_some()
                }
                _ => false,
            },
            Partials(_) => op.partials(&numbers).is_some(),
            ScalarValue => op.eval_scalar(&numbers).is_some(),
            // Where a function is constant in pieces, no derivative depends on its value. The
            // values of these ops are compared with others: comparisons and roundings in
            // `functions`, orders in `arrays`, the sign of a determinant in `linear_algebra`.
            // The first of the largest elements is the derivative of a maximum.
            Value => op.is_differentiable(),
            _ => true,
        }
    })
}

#[test]
fn the_harness_objects_to_every_broken_rule() {
    // Rules that panic are findings; their messages would bury the score.
    std::panic::set_hook(Box::new(|_| {}));
    let (doubles, singles) = (registry::ops::<f64>(), registry::ops::<f32>());
    let mut caught = [0; KINDS.len()];
    let mut made = [0; KINDS.len()];
    let (mut escaped, mut groundless) = (Vec::new(), Vec::<String>::new());
    for (double, single) in doubles.iter().zip(&singles) {
        let operands = double.samples.cases.iter().map(|case| case.args.len()).max().unwrap_or(0);
        for damage in Damage::all(operands) {
            if !applies(&double.samples, damage) {
                continue;
            }
            let felt = Rc::new(Cell::new(false));
            let elsewhere = Rc::new(Cell::new(false));
            let name = double.name;
            let double = damaged(&double.samples, damage, &felt);
            let single = damaged(&single.samples, damage, &elsewhere);
            let finding = check::first_finding(&double, Some(&single));
            if !felt.get() && !elsewhere.get() {
                groundless.extend(finding.map(|finding| format!("{damage:?}: {finding}")));
                continue;
            }
            made[damage.kind()] += 1;
            match finding {
                Some(_) => caught[damage.kind()] += 1,
                None => escaped.push(format!("{damage:?} of {name}")),
            }
        }
    }
    let _ = std::panic::take_hook();
    for (i, kind) in KINDS.iter().enumerate() {
        println!("{kind:>15}: {:>3} of {:>3} caught", caught[i], made[i]);
    }
    println!(
        "{:>15}: {} of {} caught",
        "all",
        caught.iter().sum::<i32>(),
        made.iter().sum::<i32>()
    );
    assert!(groundless.is_empty(), "no damage, and yet: {groundless:#?}");
    assert!(escaped.is_empty(), "these escaped: {escaped:#?}");
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
