//! Checkpointing: memory bought with recomputation (G&W, chapter 12).
//!
//! A reverse sweep reads the values of the forward one in reverse order, so a tape
//! keeps them all. A *checkpoint* keeps the inputs of a function instead, and records
//! it again when the sweep arrives: [`checkpoint()`] for one function, at the price of
//! one more evaluation. [`Steps`] and [`Scan`] are for loops: of `n` states it keeps `c` and repeats
//! steps by the binomial schedule, of which no state is repeated more often than
//! the `c`-th root of `n` or so.
//!
//! On the tape either is a single op, and derivatives of any order go through it, in
//! both modes. No derivative can get lost on the way: a function cannot capture
//! variables of a tape (they do not live long enough, says the compiler), and parameters
//! that a checkpoint takes in become inputs by themselves. A function that is recorded again is found
//! out if it gives another value the second time. The step of a loop is recorded once, and compiled.

mod function;
mod kept;
mod looped;
mod run;
mod scan;
mod schedule;
pub(crate) mod segment;
mod step;
mod steps;
mod walk;

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

pub use scan::Scan;
pub use schedule::{Action, Schedule, forward_steps, reach};
pub use steps::Steps;

use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, Tensor};
use segment::{Piece, Segment, Spare, divided};

/// Applies a function without recording what it does: the sweep records it again when
/// it needs it.
///
/// ```
/// use wengert_core::{Tape, checkpoint::checkpoint};
///
/// let tape = Tape::new();
/// let (x, w) = (tape.variable([1.0, 2.0]), tape.variable(3.0));
/// let [y] = checkpoint(|[x, w]| [(x * w).sin() * x], [x, w]);
/// let gradients = y.sum().backward();
/// let expected = 3.0_f64.cos() + 4.0 * 6.0_f64.cos();
/// assert!((gradients.wrt(w).item() - expected).abs() < 1e-14);
/// ```
///
/// Variables of the tape are given as inputs. They cannot be captured, as they live no
/// longer than the tape is left alone:
///
/// ```compile_fail
/// # use wengert_core::{Tape, checkpoint::checkpoint};
/// let tape = Tape::new();
/// let (x, w) = (tape.variable([1.0, 2.0]), tape.variable(3.0));
/// let [y] = checkpoint(move |[x]| [x * w], [x]); // the borrow checker objects
/// ```
///
/// # Panics
/// If the inputs lie on several tapes, or the function panics. A sweep panics if the
/// function then gives another value.
#[doc(alias = "remat")]
#[track_caller]
pub fn checkpoint<'t, T: Real, const N: usize, const M: usize>(
    f: impl for<'s> Fn([Var<'s, T>; N]) -> [Var<'s, T>; M] + 'static,
    inputs: [Var<'t, T>; N],
) -> [Var<'t, T>; M] {
    Checkpoint::new(f).apply(inputs)
}

/// A function to be [checkpointed](checkpoint()) again and again. A tape that repeats
/// itself follows its last recording through a `Checkpoint` that is kept, and
/// applications share the memory in which they record.
///
/// ```
/// use wengert_core::{Tape, checkpoint::Checkpoint};
///
/// let layer = Checkpoint::new(|[x]| [x.sin() * 0.5]);
/// let tape = Tape::new();
/// let x = tape.variable(1.0_f64);
/// let [y] = layer.apply(layer.apply([x]));
/// assert_eq!(y.item(), (1.0_f64.sin() * 0.5).sin() * 0.5);
/// ```
pub struct Checkpoint<T: Real, F, const N: usize, const M: usize> {
    f: Rc<F>,
    spare: Rc<Spare<T>>,
    /// What came of it the last time.
    known: RefCell<Option<Known<T>>>,
}

/// What is known of a function for inputs of some shapes.
struct Known<T: Real> {
    inputs: Vec<Shape>,
    results: Vec<Shape>,
    parameters: Vec<u64>,
    piece: Rc<dyn Piece<T>>,
}

/// What the first evaluation gives.
struct Explored<T: Real> {
    known: Known<T>,
    /// The value, so that it need not be computed again.
    value: Vec<T>,
    /// The parameters that the function took in.
    parameters: Vec<(u64, Tensor<T>)>,
}

impl<T: Real, F, const N: usize, const M: usize> Checkpoint<T, F, N, M>
where
    F: for<'s> Fn([Var<'s, T>; N]) -> [Var<'s, T>; M] + 'static,
{
    /// Takes a function.
    pub fn new(f: F) -> Self {
        Self { f: Rc::new(f), spare: Spare::new(), known: RefCell::new(None) }
    }

    /// Applies the function.
    ///
    /// # Panics
    /// As [`checkpoint()`].
    #[track_caller]
    pub fn apply<'t>(&self, inputs: [Var<'t, T>; N]) -> [Var<'t, T>; M] {
        const { assert!(N > 0 && M > 0, "a checkpoint has inputs and results") };
        let tape = inputs[0].tape();
        let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape()).collect();
        let mut known = self.known.borrow_mut();
        let holds = known.as_ref().is_some_and(|known| {
            let is_taken_in = |&key: &u64| tape.parameter_variable(key).is_some();
            known.inputs == shapes && known.parameters.iter().all(is_taken_in)
        });
        let mut ready = None;
        if !holds {
            let Explored { known: now, value, parameters } = self.explore(inputs, shapes);
            for (key, value) in &parameters {
                tape.parameter(*key, value);
            }
            (*known, ready) = (Some(now), Some(value));
        }
        let known = known.as_ref().expect("it is known now");
        let variable = |&key: &u64| tape.parameter_variable(key).expect("it was taken in");
        let args: Vec<_> =
            inputs.iter().copied().chain(known.parameters.iter().map(variable)).collect();
        let segment = Segment {
            piece: known.piece.clone(),
            elements: known.results.iter().map(Shape::elements).sum(),
            spare: self.spare.clone(),
            ready: RefCell::new(ready),
        };
        let results = divided(tape.record(segment, &args), known.results.iter().cloned());
        results.try_into().unwrap_or_else(|_| unreachable!("one shape a result"))
    }

    /// Computes the function for the first time.
    fn explore(&self, inputs: [Var<'_, T>; N], shapes: Vec<Shape>) -> Explored<T> {
        self.spare.with(|tape| {
            // Not by `Var::value`: what is recorded does not depend on the numbers.
            let value = |input: Var<'_, T>| input.tape().value_of(input.id());
            // In the order in which the inputs are taken in when the function is recorded again.
            let taken = |input: Var<'_, T>| tape.variable(value(input).contiguous());
            let results = (self.f)(inputs.map(taken));
            let value_of = |key: u64| value(tape.parameter_variable(key).expect("taken in"));
            let keys = tape.parameter_keys();
            let parameters = keys.iter().map(|&key| (key, value_of(key))).collect();
            let mut value = Vec::new();
            for result in results {
                result.with_value(|view| value.extend(view.iter()));
            }
            let function = Function::<F, N, M> { f: self.f.clone(), parameters: keys.clone() };
            let known = Known {
                inputs: shapes,
                results: results.iter().map(|result| result.shape()).collect(),
                parameters: keys,
                piece: Rc::new(function),
            };
            Explored { known, value, parameters }
        })
    }
}

impl<T: Real, F, const N: usize, const M: usize> fmt::Debug for Checkpoint<T, F, N, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "checkpoint of {N} inputs and {M} results")
    }
}

/// The function itself. Its arguments are the inputs, and the parameters that it takes
/// in.
struct Function<F, const N: usize, const M: usize> {
    f: Rc<F>,
    parameters: Vec<u64>,
}

impl<T: Real, F, const N: usize, const M: usize> Piece<T> for Function<F, N, M>
where
    F: for<'s> Fn([Var<'s, T>; N]) -> [Var<'s, T>; M] + 'static,
{
    fn name(&self) -> &'static str {
        "checkpoint"
    }

    fn record<'t>(&self, args: &[Var<'t, T>], _: bool) -> Vec<Var<'t, T>> {
        let (inputs, parameters) = args.split_at(N);
        let tape = inputs[0].tape();
        for (&key, &parameter) in self.parameters.iter().zip(parameters) {
            tape.replace_parameter(key, parameter);
        }
        let inputs: [Var<'t, T>; N] = std::array::from_fn(|i| inputs[i]);
        // Derivatives are recorded in any case, as the function may ask for some.
        let results = (self.f)(inputs);
        let taken = tape.parameter_keys().len();
        assert!(taken == self.parameters.len(), "{}", segment::CHANGED);
        results.to_vec()
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<Self>().is_some_and(|other| {
            Rc::ptr_eq(&self.f, &other.f) && self.parameters == other.parameters
        })
    }
}
