//! Elemental functions: what the tape is a list of.
//!
//! An op is one struct with one `impl`, holding all that is known of it: name,
//! formula, shape rule, evaluation, derivative, cost, kinks, and where to test it.
//! Most ops belong to a *family*, whose trait asks only for what is particular to
//! the op; forward and reverse rules then follow from the same statement and
//! cannot disagree:
//!
//! | family | the op states | follows |
//! | --- | --- | --- |
//! | [`Elementwise`] | the function and its local partials | jvp, vjp, Taylor, broadcasting |
//! | [`Linear`] | the map and its transpose | jvp = map, vjp = transpose, Taylor = map |
//! | [`Bilinear`] | the map and its two transposes | jvp, vjp, Taylor by convolution |
//! | [`Op`] | jvp and vjp by hand | Taylor, by the jvp |
//!
//! Rules are written with [`Var`] operations, so every order of derivative
//! exists. The adjoint of broadcasting stands in one place, [`Var::sum_to`].
//!
//! *Invariant*: adding an op touches its family's file and one line of
//! [`registry`]; an op without samples does not compile.

pub(crate) mod accumulate;
mod activation;
mod along;
mod arithmetic;
mod bilinear;
mod compare;
mod convolution;
mod cotangent;
mod custom;
mod degenerate;
mod dependence;
mod determinant;
mod dimensions;
mod elementwise;
mod expm;
mod exponential;
mod factorise;
mod hyperbolic;
mod index;
mod linear;
mod movement;
mod order;
mod pool;
mod power;
mod prod;
mod product;
pub mod registry;
mod rounding;
mod row;
pub mod samples;
mod scan;
mod series;
mod solve;
mod special;
mod stacked;
mod step;
mod stop;
mod sum;
mod symmetric;
mod triangle;
mod trigonometric;
mod turned;
mod window;

use std::any::Any;
use std::cell::OnceCell;
use std::fmt::Debug;
use std::sync::Arc;

// The library: what a file of it makes public is an op, or what describes one.
pub use activation::*;
pub use along::*;
pub use arithmetic::*;
pub use compare::*;
pub use convolution::*;
pub use degenerate::*;
pub use determinant::*;
pub use expm::*;
pub use exponential::*;
pub use factorise::*;
pub use hyperbolic::*;
pub use index::*;
pub use movement::*;
pub use order::*;
pub use pool::*;
pub use power::*;
pub use prod::*;
pub use product::*;
pub use rounding::*;
pub use row::*;
pub use scan::*;
pub use solve::*;
pub use special::*;
pub use sum::*;
pub use symmetric::*;
pub use triangle::*;
pub use trigonometric::*;
pub use turned::*;

pub use bilinear::Bilinear;
pub use custom::{custom_jvp, custom_vjp};
pub use dependence::{Along, Dependence};
pub use elementwise::{Elementwise, Partials};
pub use linear::{Linear, Shapes};
pub use samples::{Domain, SampleSet, Samples, ShapeClass};
pub use series::{Series, SeriesCall, System};
pub use stacked::Stacked;
pub use window::{PerAxis, PerSide};

use crate::kernel::block::BlockKernel;
use crate::kernel::product::Factor;
use crate::tape::{Args, NodeId};
use crate::tensor::{Layout, Shape, View};
use crate::{Real, Var};

/// A formula as plain text and as TeX: the value, and the rule.
///
/// A dot marks a tangent, a bar an adjoint, as in Griewank & Walther.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Formula {
    /// What is computed, as text.
    pub value: &'static str,
    /// The derivative, as text.
    pub derivative: &'static str,
    /// Both in TeX.
    pub tex: &'static str,
    /// Which derivative is taken where there is none: at kinks, at jumps, and where the
    /// formula has no value. Empty for functions that are smooth on their domain.
    pub convention: &'static str,
}

impl Formula {
    /// A formula from its three spellings.
    pub const fn new(value: &'static str, derivative: &'static str, tex: &'static str) -> Self {
        Self { value, derivative, tex, convention: "" }
    }

    /// The same formula with a convention for what it leaves open.
    pub const fn with_convention(self, convention: &'static str) -> Self {
        Self { convention, ..self }
    }
}

/// Counts of scalar operations: what one evaluation costs (G&W, section 2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Additions, subtractions, negations and comparisons.
    pub adds: u64,
    /// Multiplications.
    pub muls: u64,
    /// Divisions.
    pub divs: u64,
    /// Square roots and transcendental functions.
    pub nonlinear: u64,
}

impl Cost {
    /// An operation that computes nothing: it only moves elements or looks at
    /// them in another way.
    pub const NONE: Cost = Cost { adds: 0, muls: 0, divs: 0, nonlinear: 0 };

    /// So many additions.
    pub const fn adds(adds: u64) -> Cost {
        Cost { adds, ..Cost::NONE }
    }

    /// So many multiplications.
    pub const fn muls(muls: u64) -> Cost {
        Cost { muls, ..Cost::NONE }
    }

    /// So many divisions.
    pub const fn divs(divs: u64) -> Cost {
        Cost { divs, ..Cost::NONE }
    }

    /// So many square roots or transcendental functions.
    pub const fn nonlinear(nonlinear: u64) -> Cost {
        Cost { nonlinear, ..Cost::NONE }
    }

    /// Both costs together.
    pub const fn and(self, other: Cost) -> Cost {
        Cost {
            adds: self.adds + other.adds,
            muls: self.muls + other.muls,
            divs: self.divs + other.divs,
            nonlinear: self.nonlinear + other.nonlinear,
        }
    }

    /// The cost of doing it `count` times.
    pub const fn times(self, count: usize) -> Cost {
        let count = count as u64;
        Cost {
            adds: self.adds * count,
            muls: self.muls * count,
            divs: self.divs * count,
            nonlinear: self.nonlinear * count,
        }
    }

    /// All operations, whatever their kind.
    pub const fn total(self) -> u64 {
        self.adds + self.muls + self.divs + self.nonlinear
    }
}

/// One application of an op, as a derivative rule sees it.
pub struct Call<'a, 't, T: Real> {
    args: &'a [Var<'t, T>],
    value: Var<'t, T>,
    shared: OnceCell<Args<Var<'t, T>>>,
    /// Of which nodes a reverse sweep wants the adjoints, unless it wants all.
    wanted: Option<&'a dyn Fn(NodeId) -> bool>,
}

impl<'a, 't, T: Real> Call<'a, 't, T> {
    pub(crate) fn new(args: &'a [Var<'t, T>], value: Var<'t, T>) -> Self {
        Self { args, value, shared: OnceCell::new(), wanted: None }
    }

    /// In a reverse sweep that wants the adjoints of some nodes.
    #[inline]
    pub(crate) fn wanting(self, wanted: &'a dyn Fn(NodeId) -> bool) -> Self {
        Self { wanted: Some(wanted), ..self }
    }

    /// Of each argument whether the adjoint is wanted: for rules that find those of several
    /// arguments in one go.
    pub(crate) fn wanted(&self) -> Vec<bool> {
        self.args.iter().map(|arg| self.wanted.is_none_or(|wanted| wanted(arg.id()))).collect()
    }

    /// The arguments.
    pub fn args(&self) -> &'a [Var<'t, T>] {
        self.args
    }

    /// One argument.
    pub fn arg(&self, index: usize) -> Var<'t, T> {
        self.args[index]
    }

    /// The result.
    pub fn value(&self) -> Var<'t, T> {
        self.value
    }

    /// What the rules of several operands have in common: recorded when the first one
    /// asks for it, and the same for all that ask.
    ///
    /// # Panics
    /// If the rules ask for different numbers of variables.
    pub fn shared<const N: usize>(
        &self,
        record: impl FnOnce() -> [Var<'t, T>; N],
    ) -> [Var<'t, T>; N] {
        let shared = self.shared.get_or_init(|| record().into_iter().collect());
        shared[..].try_into().expect("the rules of an op share the same variables")
    }

    /// Whether rules share a variable: one that a rule gives as its own may be another's
    /// too.
    pub(crate) fn is_shared(&self, var: Var<'t, T>) -> bool {
        self.shared.get().is_some_and(|shared| shared.iter().any(|own| own.id() == var.id()))
    }
}

/// An op that states both of its rules by hand.
///
/// Prefer a family where one fits. `vjp` and `jvp` are written with [`Var`]
/// operations; the harness proves that they agree.
pub trait Op: Clone + PartialEq + Debug + 'static {
    /// The name, as it stands in tapes and messages.
    const NAME: &'static str;
    /// What it computes.
    const FORMULA: Formula = Formula::new("", "", "");
    /// Whether a derivative can differ from zero.
    const DIFFERENTIABLE: bool = true;
    /// Whether each row or matrix counts for itself, so that all operands may have further
    /// leading axes.
    const LEADING_AXES: bool = false;

    /// The shape of the result.
    ///
    /// # Errors
    /// The reason, as a sentence, if the operands do not fit.
    fn shape(&self, args: &[&Shape]) -> Result<Shape, String>;

    /// Writes every element of the result.
    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]);

    /// The tangent of the result: the Jacobian applied to the arguments'
    /// tangents. `None` stands for zero.
    fn jvp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>>;

    /// What the result's cotangent adds to the adjoint of one argument: the
    /// transposed Jacobian applied to it. `None` stands for zero.
    ///
    /// What a rule records may depend on the op, on shapes, and on values that it
    /// reads, but on nothing else: a program that repeats itself repeats its
    /// backward sweep without asking the rules, unless one has read a value.
    fn vjp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>>;

    /// The op applied to many operands at once. `None` for one after the other.
    fn stacked<'t, T: Real>(&self, _operands: &Stacked<'_, 't, T>) -> Option<Var<'t, T>> {
        None
    }

    /// The scalar operations of one evaluation.
    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost;

    /// The distance to the nearest point where the op has no derivative.
    fn kink_distance<T: Real>(&self, _args: &[View<'_, T>]) -> T {
        T::infinity()
    }

    /// The elements of operand `arg` on which an element of the result depends.
    fn dependence(&self, _args: &[&Shape], _arg: usize, _result: &Shape) -> Dependence {
        Dependence::Everything
    }

    /// Where to test the op.
    fn samples(samples: &mut Samples<Self>);
}

/// The object-safe side of every op: what tapes and sweeps call.
///
/// Nobody implements this by hand: it follows from a family's trait through
/// [`Operation`].
pub trait DynOp<T: Real>: Any + Debug {
    /// The name.
    fn name(&self) -> &'static str;
    /// The formula, of ops that stand in the registry.
    fn formula(&self) -> Formula {
        Formula::default()
    }
    /// The op as its author wrote it, without the shell of its family, for whoever wants
    /// to know its parameters. `()` for ops that nobody but core records.
    fn as_any(&self) -> &dyn Any {
        &()
    }
    /// The shape of the result, or the reason why there is none.
    ///
    /// # Errors
    /// The reason, as a sentence.
    fn shape(&self, args: &[&Shape]) -> Result<Shape, String>;
    /// For ops that only look at elements in another way: the layout of the
    /// result, and how far its first element lies from the argument's.
    fn view(&self, _arg: &Layout) -> Option<(Layout, isize)> {
        None
    }
    /// Writes every element of a result of the given shape.
    fn eval(&self, args: &[View<'_, T>], shape: &Shape, out: &mut [T]);
    /// The result for scalar arguments, where that is one number.
    #[inline]
    fn eval_scalar(&self, _args: &[T]) -> Option<T> {
        None
    }
    /// Whether a derivative can differ from zero.
    #[inline]
    fn is_differentiable(&self) -> bool {
        true
    }
    /// Whether it has derivative rules. What a fast sweep computes in one go has none: a sweep
    /// that is to be differentiated records the formula in its place.
    #[inline]
    fn has_rules(&self) -> bool {
        true
    }
    /// The tangent of the result.
    fn jvp<'t>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>>;
    /// What the cotangent adds to one argument's adjoint.
    fn vjp<'t>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>>;
    /// The factors of what the [rule](Self::vjp) gives, where that is the product of two
    /// matrices, which can be added to an adjoint as it is computed.
    fn vjp_factors<'t>(
        &self,
        _call: &Call<'_, 't, T>,
        _arg: usize,
        _cotangent: Var<'t, T>,
    ) -> Option<[Var<'t, T>; 2]> {
        None
    }
    /// The Taylor coefficients of the result. Every op has them by its forward rule.
    fn taylor<'s, 't>(&self, call: SeriesCall<'s, 't, T>) -> Series<'s, 't, T> {
        call.by_jvp()
    }
    /// The op applied to many operands at once. `None` for one after the other.
    fn stacked<'t>(&self, _operands: &Stacked<'_, 't, T>) -> Option<Var<'t, T>> {
        None
    }
    /// The scalar operations of one evaluation.
    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost;
    /// The distance to the nearest kink.
    fn kink_distance(&self, _args: &[View<'_, T>]) -> T {
        T::infinity()
    }
    /// The elements of operand `arg` on which an element of the result depends.
    fn dependence(&self, _args: &[&Shape], _arg: usize, _result: &Shape) -> Dependence {
        Dependence::Everything
    }
    /// The local partials at numbers, by the op's formula, if it is elementwise.
    fn partials(&self, _args: &[T]) -> Option<Vec<T>> {
        None
    }
    /// Whether `other` is the same op with the same parameters.
    fn equals(&self, other: &dyn Any) -> bool;
    /// The op as a function of contiguous blocks, if it is elementwise.
    fn pointwise(&self) -> Option<Arc<dyn BlockKernel<T>>> {
        None
    }
    /// Which operand the result equals, where some are known to be one number
    /// throughout.
    fn identity(&self, _known: &[Option<T>]) -> Option<usize> {
        None
    }
    /// For ops that add up all elements of their operand: the number by which the
    /// sum is then divided.
    fn total(&self, _arg: &Shape) -> Option<f64> {
        None
    }
    /// For products of two matrices: how their elements lie.
    fn factors(&self, _left: &Layout, _right: &Layout) -> Option<[Factor; 2]> {
        None
    }
    /// Whether it adds to its first operand, and can do so in place.
    fn adds(&self) -> bool {
        false
    }
    /// For ops that [add](Self::adds): adds the other operands to `sum`, which holds
    /// the first one.
    fn add_into(&self, _terms: &[View<'_, T>], _sum: &mut [T]) {
        unreachable!("{} does not add to its first operand", self.name());
    }
}

/// Any op, whatever its family.
///
/// `Family` is inferred: a type that implements one of the families' traits is an
/// operation of that family.
pub trait Operation<T: Real, Family>: Sized {
    /// The object-safe shell.
    type Dyn: DynOp<T>;

    /// Wraps the op.
    fn into_dyn(self) -> Self::Dyn;

    /// The op's samples.
    fn sample_set() -> SampleSet<T>;
}

/// Markers that tell the families apart.
pub mod family {
    /// The family of [`Op`](super::Op).
    #[derive(Clone, Copy, Debug)]
    pub enum General {}
    /// The family of [`Elementwise`](super::Elementwise) with `N` operands.
    #[derive(Clone, Copy, Debug)]
    pub enum Elementwise<const N: usize> {}
    /// The family of [`Linear`](super::Linear).
    #[derive(Clone, Copy, Debug)]
    pub enum Linear {}
    /// The family of [`Bilinear`](super::Bilinear).
    #[derive(Clone, Copy, Debug)]
    pub enum Bilinear {}
}

/// Shell of an [`Op`].
#[derive(Clone, Debug, PartialEq)]
pub struct General<O>(O);

impl<T: Real, O: Op> Operation<T, family::General> for O {
    type Dyn = General<O>;

    #[inline]
    fn into_dyn(self) -> General<O> {
        General(self)
    }

    fn sample_set() -> SampleSet<T> {
        let mut samples = Samples::new();
        Self::samples(&mut samples);
        samples.erase()
    }
}

impl<T: Real, O: Op> DynOp<T> for General<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn formula(&self) -> Formula {
        O::FORMULA
    }

    fn as_any(&self) -> &dyn Any {
        &self.0
    }

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        self.0.shape(args)
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        self.0.eval(args, out);
    }

    fn is_differentiable(&self) -> bool {
        O::DIFFERENTIABLE
    }

    fn jvp<'t>(
        &self,
        call: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        self.0.jvp(call, tangents)
    }

    fn vjp<'t>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        self.0.vjp(call, arg, cotangent)
    }

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Option<Var<'t, T>> {
        if const { O::LEADING_AXES } {
            return Some(operands.each());
        }
        self.0.stacked(operands)
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        self.0.cost(args, result)
    }

    fn kink_distance(&self, args: &[View<'_, T>]) -> T {
        self.0.kink_distance(args)
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        self.0.dependence(args, arg, result)
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// The sum of contributions of which some may be zero.
pub(crate) fn add_terms<'t, T: Real>(
    terms: impl IntoIterator<Item = Option<Var<'t, T>>>,
) -> Option<Var<'t, T>> {
    terms.into_iter().flatten().reduce(|sum, term| sum + term)
}

/// The operands, if there are `N` of them.
pub(crate) fn operands<'a, const N: usize>(args: &[&'a Shape]) -> Result<[&'a Shape; N], String> {
    <[&Shape; N]>::try_from(args).map_err(|_| format!("takes {N} operands, not {}", args.len()))
}
