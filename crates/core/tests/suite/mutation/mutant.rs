//! An op with one of its rules damaged.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use Damage::*;
use wengert_core::op::{
    Call, Cost, Dependence, DynOp, Elementary, Formula, Role, Series, SeriesCall, Stacked, Term,
    TwoFactors,
};
use wengert_core::{Layout, Real, Shape, Tensor, Var, View};

/// What is done to a rule. Rules of operands are damaged one operand at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Damage {
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

/// The kinds of damage, by name.
pub(super) const KINDS: [&str; 20] = [
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
    pub(super) fn all(operands: usize) -> Vec<Self> {
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

    pub(super) fn kind(self) -> usize {
        let name = format!("{self:?}");
        let name = name.split('(').next().unwrap_or_default();
        KINDS.iter().position(|kind| *kind == name).expect("every kind has a name")
    }
}

/// An op with a damaged rule.
#[derive(Clone)]
pub(super) struct Mutant<T: Real> {
    pub(super) op: Rc<dyn DynOp<T>>,
    pub(super) damage: Damage,
    /// Whether the damage has changed anything yet.
    pub(super) felt: Rc<Cell<bool>>,
}

impl<T: Real> fmt::Debug for Mutant<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with {:?}", self.op, self.damage)
    }
}

impl<T: Real> Mutant<T> {
    /// The damaged number in place of the right one.
    fn instead<'t>(&self, right: Var<'t, T>, wrong: Var<'t, T>) -> Term<'t, T> {
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
    ) -> Term<'t, T> {
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
pub(super) fn off<T: Real>() -> T {
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

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
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

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, cotangent: Var<'t, T>) -> Term<'t, T> {
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

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        let right = self.op.stacked(operands)?;
        match self.damage {
            ManyAtOnce => self.instead(right, right * off::<T>()),
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
            Overlooked(at) if at == arg => Dependence::Nothing,
            _ => self.op.dependence(args, arg, result),
        }
    }

    fn equals(&self, _: &dyn Any) -> bool {
        false
    }

    fn role(&self) -> Role<'_, T> {
        // Sums are not fused, so that the damaged value is what programs compute with.
        match self.op.role() {
            Role::Elementwise(_) => Role::Elementwise(self),
            Role::Product(_) => Role::Product(self),
            _ => Role::Opaque,
        }
    }
}

impl<T: Real> Elementary<T> for Mutant<T> {
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
}

impl<T: Real> TwoFactors<T> for Mutant<T> {
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
}
