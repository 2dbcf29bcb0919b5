//! Functions whose derivative the user states.
//!
//! The value is computed on the tape, or by a function of slices
//! ([`Tape::external`]) such as one in another language; the node that follows it
//! has the user's rule in place of what was computed. One rule states both modes: each is
//! the transpose of the other, taken by differentiating the rule in its last
//! argument, in which it is linear. Rules are closures of variables, so they can be
//! differentiated in their turn.
//!
//! Both the function and its rule may ask for derivatives themselves. So they are given values
//! that depend on nothing else that they are given, and record derivatives whatever the mode.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use crate::op::{Call, Cost, DynOp, Term, add_terms};
use crate::scalar::Real;
use crate::tape::{Operand, Tape, Var};
use crate::tensor::{Shape, Tensor, View};

/// A value with the user's derivative. The first operand is the value, the others are the
/// inputs.
struct Custom<R, M, const N: usize> {
    rule: R,
    mode: PhantomData<M>,
}

/// Marks rules of adjoints.
enum Reverse {}
/// Marks rules of tangents.
enum Forward {}

/// Ops without state are the same if their types are; of closures with state nothing is
/// known, so a recording never follows them.
fn is_same<O: 'static>(other: &dyn Any) -> bool {
    size_of::<O>() == 0 && other.is::<O>()
}

impl<R, M, const N: usize> fmt::Debug for Custom<R, M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Custom")
    }
}

/// The inputs of a call, and its value, for a rule: a derivative with respect to one of them,
/// that the rule asks for, holds the others fixed.
fn point<'t, T: Real, const N: usize>(call: &Call<'_, 't, T>) -> ([Var<'t, T>; N], Var<'t, T>) {
    (std::array::from_fn(|i| call.arg(i + 1).alias()), call.value().alias())
}

/// A place at which to differentiate a linear function.
fn placeholder<T: Real>(like: Var<'_, T>) -> Var<'_, T> {
    like.tape().constant(Tensor::zeros(like.shape()))
}

macro_rules! given {
    ($name:literal) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
            Ok(args[0].clone())
        }

        fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
            args[0].copy_to(out);
        }

        fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
            Cost::NONE
        }

        fn equals(&self, other: &dyn Any) -> bool {
            is_same::<Self>(other)
        }
    };
}

impl<T: Real, R, const N: usize> DynOp<T> for Custom<R, Reverse, N>
where
    R: for<'a> Fn([Var<'a, T>; N], Var<'a, T>, Var<'a, T>) -> [Var<'a, T>; N] + 'static,
{
    given!("custom_vjp");

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let (inputs, value) = point(call);
        call.value().tape().with_gradients(|| {
            let bar = placeholder(value);
            let adjoints = (self.rule)(inputs, value, bar);
            let terms = adjoints.iter().zip(&tangents[1..]);
            let along =
                add_terms(terms.map(|(adjoint, tangent)| Some((*adjoint * (*tangent)?).sum())))?;
            let [tangent] = along.grad([bar]);
            Some(tangent)
        })
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let adjoints = call.shared(|| {
            let ((inputs, value), bar) = (point(call), bar.alias());
            bar.tape().with_gradients(|| (self.rule)(inputs, value, bar))
        });
        Some(adjoints[arg - 1])
    }
}

impl<T: Real, R, const N: usize> DynOp<T> for Custom<R, Forward, N>
where
    R: for<'a> Fn([Var<'a, T>; N], Var<'a, T>, [Var<'a, T>; N]) -> Var<'a, T> + 'static,
{
    given!("custom_jvp");

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let (inputs, value) = point(call);
        let tangents = std::array::from_fn(|i| match tangents[i + 1] {
            Some(tangent) => tangent.alias(),
            None => call.arg(i + 1).zeros_like(),
        });
        Some(value.tape().with_gradients(|| (self.rule)(inputs, value, tangents)))
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let (inputs, value) = point(call);
        value.tape().with_gradients(|| {
            let direction = placeholder(call.arg(arg));
            let tangents = std::array::from_fn(|i| {
                if i + 1 == arg { direction } else { call.arg(i + 1).zeros_like() }
            });
            let tangent = (self.rule)(inputs, value, tangents);
            tangent.vjp(bar, &[direction]).pop()
        })
    }
}

/// The value of a function with a stated reverse rule: from the inputs, the value and a
/// cotangent, `rule` gives the adjoints of the inputs.
///
/// The rule is linear in the cotangent; forward and Taylor mode are its transpose, and
/// higher orders differentiate what it records. Variables that `f` uses beside its
/// inputs count as constants. A sweep asks the rule once.
///
/// ```
/// use wengert_core::{Tape, custom_vjp};
///
/// // ln(1 + e^x), of which the plain formula's derivative is NaN at 1000.
/// let tape = Tape::new();
/// let x = tape.variable(1000.0);
/// let y = custom_vjp([x], |[x]| x.softplus(), |[x], _, w| [w * x.sigmoid()]);
/// assert_eq!(y.backward().wrt(x).item(), 1.0);
/// assert_eq!(y.jvp(&[(x, tape.constant(2.0))]).item(), 2.0);
/// ```
///
/// # Panics
/// If there are no inputs; in a sweep, if an adjoint has not the shape of its input.
#[doc(alias = "Function")]
#[track_caller]
pub fn custom_vjp<'t, T: Real, const N: usize>(
    inputs: [Var<'t, T>; N],
    f: impl FnOnce([Var<'t, T>; N]) -> Var<'t, T>,
    rule: impl for<'a> Fn([Var<'a, T>; N], Var<'a, T>, Var<'a, T>) -> [Var<'a, T>; N] + 'static,
) -> Var<'t, T> {
    let (tape, args) = evaluated(inputs, f);
    tape.record(Custom::<_, Reverse, N> { rule, mode: PhantomData }, &args)
}

/// The value of a function with a stated forward rule: from the inputs, the value and
/// the inputs' tangents, `rule` gives the tangent of the value.
///
/// The rule is linear in the tangents; the reverse mode is its transpose. Variables that
/// `f` uses beside its inputs count as constants.
///
/// ```
/// use wengert_core::{Tape, custom_jvp};
///
/// // A root by Newton's iteration, with the derivative of the root and not of the steps.
/// let tape = Tape::new();
/// let x = tape.variable(2.0);
/// let root = custom_jvp(
///     [x],
///     |[x]| (0..6).fold(x, |y, _| (y + x / y) * 0.5),
///     |[_], y, [v]| v / (2.0 * y),
/// );
/// let slope = root.backward().wrt(x).item();
/// assert!((slope - 0.5 / 2.0_f64.sqrt()).abs() < 1e-15);
/// ```
///
/// # Panics
/// If there are no inputs; in a sweep, if the tangent has not the shape of the value.
#[track_caller]
pub fn custom_jvp<'t, T: Real, const N: usize>(
    inputs: [Var<'t, T>; N],
    f: impl FnOnce([Var<'t, T>; N]) -> Var<'t, T>,
    rule: impl for<'a> Fn([Var<'a, T>; N], Var<'a, T>, [Var<'a, T>; N]) -> Var<'a, T> + 'static,
) -> Var<'t, T> {
    let (tape, args) = evaluated(inputs, f);
    tape.record(Custom::<_, Forward, N> { rule, mode: PhantomData }, &args)
}

/// The value without derivatives, followed by the inputs. The function is given values that do
/// not count as variables, and records derivatives, as it may ask for some.
#[track_caller]
fn evaluated<'t, T: Real, const N: usize>(
    inputs: [Var<'t, T>; N],
    f: impl FnOnce([Var<'t, T>; N]) -> Var<'t, T>,
) -> (&'t Tape<T>, Vec<Var<'t, T>>) {
    let tape = inputs.first().expect("a function with its own derivative has inputs").tape();
    let held = tape.without_gradients(|| inputs.map(Var::alias));
    // A value that the function has from elsewhere may be active by itself.
    let value = tape.with_gradients(|| f(held)).stop_gradient();
    (tape, [value].into_iter().chain(inputs).collect())
}

/// A function of slices.
struct External<F> {
    f: F,
    shape: Shape,
}

impl<F> fmt::Debug for External<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "External with a result of shape {}", self.shape)
    }
}

const NO_DERIVATIVE: &str =
    "a derivative of an external function is wanted: give it one by `custom_vjp` or `custom_jvp`";

impl<T: Real, F: Fn(&[&[T]], &mut [T]) + 'static> DynOp<T> for External<F> {
    fn name(&self) -> &'static str {
        "external"
    }

    fn shape(&self, _: &[&Shape]) -> Result<Shape, String> {
        Ok(self.shape.clone())
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        let args: Vec<_> = args.iter().map(|arg| arg.packed()).collect();
        let args: Vec<&[T]> = args.iter().map(|arg| &**arg).collect();
        out.fill(T::zero());
        (self.f)(&args, out);
    }

    fn jvp<'t>(&self, _: &Call<'_, 't, T>, _: &[Term<'t, T>]) -> Term<'t, T> {
        panic!("{NO_DERIVATIVE}");
    }

    fn vjp<'t>(&self, _: &Call<'_, 't, T>, _: usize, _: Var<'t, T>) -> Term<'t, T> {
        panic!("{NO_DERIVATIVE}");
    }

    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::NONE
    }

    fn equals(&self, other: &dyn Any) -> bool {
        // Any function of this type is this one, if the type has no state.
        size_of::<F>() == 0
            && other.downcast_ref::<Self>().is_some_and(|other| other.shape == self.shape)
    }
}

impl<T: Real> Tape<T> {
    /// The value, of a given shape, of a function that the tape knows nothing of: it sees its
    /// operands' elements as slices, in row-major order, and writes those of the
    /// result, which begin as zeros. So a library, in C for instance, joins the tape.
    ///
    /// It has no derivative of its own. [`custom_vjp`] states one, which may be external too:
    ///
    /// ```
    /// use wengert_core::{Tape, custom_vjp};
    ///
    /// fn cube(x: &[f64], y: &mut [f64]) {
    ///     y.iter_mut().zip(x).for_each(|(y, x)| *y = x * x * x);
    /// }
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 2.0]);
    /// let y = custom_vjp(
    ///     [x],
    ///     |[x]| tape.external(&[x], [2], |args, y| cube(args[0], y)),
    ///     |[x], _, w| [3.0 * x * x * w],
    /// );
    /// assert_eq!(y.value().to_vec(), [1.0, 8.0]);
    /// assert_eq!(y.sum().backward().wrt(x).to_vec(), [3.0, 12.0]);
    /// ```
    ///
    /// The function must give the same numbers for the same operands.
    ///
    /// # Panics
    /// If an operand lies on another tape; in a sweep, if a derivative is wanted.
    #[track_caller]
    pub fn external<'t>(
        &'t self,
        args: &[Var<'t, T>],
        shape: impl Into<Shape>,
        f: impl Fn(&[&[T]], &mut [T]) + 'static,
    ) -> Var<'t, T> {
        self.record(External { f, shape: shape.into() }, args)
    }
}

/// # Straight-through values
impl<'t, T: Real> Var<'t, T> {
    /// The value of `value`, with the derivative of `self`: the straight-through estimator
    /// for functions that are flat, such as rounding (Bengio, Léonard & Courville,
    /// arXiv:1308.3432).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([-0.3, 0.8]);
    /// let spike = x.straight_through(x.greater(0.0));
    /// assert_eq!(spike.value().to_vec(), [0.0, 1.0]);
    /// assert_eq!(spike.sum().backward().wrt(x).to_vec(), [1.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[must_use]
    #[track_caller]
    pub fn straight_through(self, value: impl Operand<'t, T>) -> Self {
        let value = value.on(self.tape());
        assert!(
            self.shape() == value.shape(),
            "straight_through: the value has shape {}, and what stands for it {}\n  operand 1: {}\n  \
             operand 2: {}",
            value.shape(),
            self.shape(),
            self.describe(),
            value.describe()
        );
        custom_jvp([self], |_| value, |_, _, [tangent]| tangent)
    }
}
