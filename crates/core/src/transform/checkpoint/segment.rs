//! Functions that are recorded when they are needed, and forgotten in between.
//!
//! On the tape such a function is one op, whose value is computed on a tape of its own.
//! Its derivatives are functions of the same kind: the adjoint records the function
//! again, on that other tape, and sweeps back over it; the adjoint's adjoint records
//! both. So every order of derivative exists, in both modes, and at no time does more
//! than one function's recording exist.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::op::concat;
use crate::scalar::Real;
use crate::tape::elemental::{Call, Cost, DynOp, Term};
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, View};

/// A function that can be recorded on any tape.
pub(in crate::transform) trait Piece<T: Real>: Any {
    /// The name of the op.
    fn name(&self) -> &'static str;

    /// Records the function of arguments that are all variables. A sweep in it need
    /// not be differentiated again, unless that is wanted.
    fn record<'t>(&self, args: &[Var<'t, T>], is_differentiated: bool) -> Vec<Var<'t, T>>;

    /// Whether it gives the same bits whenever it is recorded. A sweep need not: it is fast or
    /// recorded, as is wanted, and these round differently. What tells whether a function
    /// changes is the function itself, which every sweep over it records.
    fn repeats(&self) -> bool {
        true
    }

    /// Whether it is the same function as another piece, though made again.
    fn equals(&self, _other: &dyn Any) -> bool {
        false
    }
}

fn is_same<T: Real>(a: &Rc<dyn Piece<T>>, b: &Rc<dyn Piece<T>>) -> bool {
    Rc::ptr_eq(a, b) || a.equals(&**b as &dyn Any)
}

/// A tape that waits for its next use: functions that are not recorded at the same time
/// share its memory.
pub(in crate::transform) struct Spare<T: Real>(RefCell<Option<Tape<T>>>);

impl<T: Real> Spare<T> {
    pub(in crate::transform) fn new() -> Rc<Self> {
        Rc::new(Self(RefCell::new(None)))
    }

    /// Lets `body` have an empty tape.
    pub(in crate::transform) fn with<R>(&self, body: impl FnOnce(&Tape<T>) -> R) -> R {
        // A function that applies itself finds none, and gets another.
        let mut tape = self.0.take().unwrap_or_default();
        tape.recompute();
        let result = body(&tape);
        tape.reset();
        self.0.replace(Some(tape));
        result
    }

    /// The most that the tape has held.
    pub(in crate::transform) fn peak(&self) -> usize {
        self.0.borrow().as_ref().map_or(0, |tape| tape.memory().peak)
    }
}

/// A piece as an op: its value is that of all results, one after another.
pub(in crate::transform) struct Segment<T: Real> {
    pub(in crate::transform) piece: Rc<dyn Piece<T>>,
    pub(in crate::transform) elements: usize,
    pub(in crate::transform) spare: Rc<Spare<T>>,
    /// The value for the first evaluation, where the shapes of the results were not
    /// known without computing them.
    pub(in crate::transform) ready: RefCell<Option<Vec<T>>>,
}

impl<T: Real> fmt::Debug for Segment<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} elements", self.piece.name(), self.elements)
    }
}

/// Writes values one after another.
fn write<T: Real>(vars: &[Var<'_, T>], mut out: &mut [T]) {
    for var in vars {
        let (own, rest) = std::mem::take(&mut out).split_at_mut(var.elements());
        var.with_value(|view| view.copy_to(own));
        out = rest;
    }
    assert!(out.is_empty(), "a function gives results of the same shapes every time");
}

/// Values joined to one vector.
pub(in crate::transform) fn joined<'t, T: Real>(vars: &[Var<'t, T>]) -> Var<'t, T> {
    let flat: Vec<Var<'t, T>> = vars.iter().map(|var| var.reshape([var.elements()])).collect();
    match flat[..] {
        [single] => single,
        _ => concat(&flat, 0),
    }
}

/// A vector divided into values of given shapes.
pub(crate) fn divided<'t, T: Real>(
    vector: Var<'t, T>,
    shapes: impl IntoIterator<Item = Shape>,
) -> Vec<Var<'t, T>> {
    let mut start = 0;
    let mut part = |shape: Shape| {
        let range = start..start + shape.elements();
        start = range.end;
        vector.slice(0, range).reshape(shape)
    };
    shapes.into_iter().map(&mut part).collect()
}

impl<T: Real> Segment<T> {
    fn derived(&self, piece: impl Piece<T>, elements: usize) -> Self {
        let spare = self.spare.clone();
        Self { piece: Rc::new(piece), elements, spare, ready: RefCell::new(None) }
    }

    /// The adjoints of the arguments that are wanted, one after another.
    pub(in crate::transform) fn adjoints<'t>(
        &self,
        call: &Call<'_, 't, T>,
        wanted: &[bool],
        cotangent: Var<'t, T>,
    ) -> Var<'t, T> {
        let args: Vec<_> = call.args().iter().copied().chain([cotangent, call.value()]).collect();
        let elements = wanted_of(call.args(), wanted).map(|arg| arg.elements()).sum();
        let adjoint = Adjoint { of: self.piece.clone(), wanted: wanted.to_vec() };
        call.value().tape().record(self.derived(adjoint, elements), &args)
    }
}

impl<T: Real> DynOp<T> for Segment<T> {
    fn name(&self) -> &'static str {
        self.piece.name()
    }

    fn shape(&self, _: &[&Shape]) -> Result<Shape, String> {
        Ok([self.elements].into())
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        if let Some(ready) = self.ready.take() {
            out.copy_from_slice(&ready);
            return;
        }
        self.spare.with(|tape| {
            let vars: Vec<_> = args.iter().map(|arg| tape.variable(arg.to_tensor())).collect();
            write(&self.piece.record(&vars, false), out);
        });
    }

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let moves: Vec<bool> = tangents.iter().map(Option::is_some).collect();
        let directions = tangents.iter().copied().flatten();
        let args: Vec<_> =
            call.args().iter().copied().chain(directions).chain([call.value()]).collect();
        let tangent = Tangent { of: self.piece.clone(), moves };
        Some(call.value().tape().record(self.derived(tangent, self.elements), &args))
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, cotangent: Var<'t, T>) -> Term<'t, T> {
        let wanted = call.wanted();
        // One recording of the function serves all operands.
        let [adjoints] = call.shared(|| [self.adjoints(call, &wanted, cotangent)]);
        part(call.args(), &wanted, arg, adjoints)
    }

    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::NONE
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<Self>().is_some_and(|other| {
            self.elements == other.elements && is_same(&self.piece, &other.piece)
        })
    }
}

/// One argument's part of the adjoints of all that are wanted.
pub(in crate::transform) fn part<'t, T: Real>(
    args: &[Var<'t, T>],
    wanted: &[bool],
    arg: usize,
    adjoints: Var<'t, T>,
) -> Term<'t, T> {
    let start: usize = wanted_of(&args[..arg], wanted).map(|arg| arg.elements()).sum();
    let range = start..start + args[arg].elements();
    wanted[arg].then(|| adjoints.slice(0, range).reshape(args[arg].shape()))
}

pub(in crate::transform) fn wanted_of<'a, X: Copy>(
    args: &'a [X],
    wanted: &'a [bool],
) -> impl Iterator<Item = X> + 'a {
    args.iter().zip(wanted).filter(|(_, wanted)| **wanted).map(|(arg, _)| *arg)
}

/// Stops if a function gave another value than it had given before: its derivative
/// would be that of another function.
#[track_caller]
fn compare<T: Real>(of: &dyn Piece<T>, again: Var<'_, T>, before: Var<'_, T>) {
    if !of.repeats() {
        return;
    }
    let before = before.value();
    let agrees = again.with_value(|again| same(again.iter(), before.iter()));
    assert!(agrees, "{CHANGED}");
}

/// Whether numbers are the same, NaN being the same as NaN.
pub(super) fn same<T: Real>(a: impl Iterator<Item = T>, b: impl Iterator<Item = T>) -> bool {
    a.zip(b).all(|(a, b)| a == b || a.is_nan() && b.is_nan())
}

/// What is wrong with a function that changes.
pub(in crate::transform) const CHANGED: &str = "checkpoint: the function gave another value when it was computed \
    again; it has to depend on its inputs alone, so take what changes (random masks, counters) as \
    an input";

/// The adjoint of a piece. Its arguments are those of the piece, the cotangent, and the
/// piece's value.
pub(in crate::transform) struct Adjoint<T: Real> {
    pub(in crate::transform) of: Rc<dyn Piece<T>>,
    pub(in crate::transform) wanted: Vec<bool>,
}

impl<T: Real> Piece<T> for Adjoint<T> {
    fn name(&self) -> &'static str {
        "checkpoint_adjoint"
    }

    fn repeats(&self) -> bool {
        false
    }

    fn record<'t>(&self, args: &[Var<'t, T>], is_differentiated: bool) -> Vec<Var<'t, T>> {
        let (args, rest) = args.split_at(self.wanted.len());
        let &[cotangent, before] = rest else { unreachable!("cotangent and value") };
        let value = joined(&self.of.record(args, true));
        compare(&*self.of, value, before);
        let inputs: Vec<_> = wanted_of(args, &self.wanted).collect();
        derivatives(value.tape(), is_differentiated, || value.vjp(cotangent, &inputs))
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other
            .downcast_ref::<Self>()
            .is_some_and(|other| self.wanted == other.wanted && is_same(&self.of, &other.of))
    }
}

/// The tangent of a piece. Its arguments are those of the piece, the tangents of those
/// that have one, and the piece's value.
struct Tangent<T: Real> {
    of: Rc<dyn Piece<T>>,
    /// Which arguments have a tangent.
    moves: Vec<bool>,
}

impl<T: Real> Piece<T> for Tangent<T> {
    fn name(&self) -> &'static str {
        "checkpoint_tangent"
    }

    fn repeats(&self) -> bool {
        false
    }

    fn record<'t>(&self, args: &[Var<'t, T>], is_differentiated: bool) -> Vec<Var<'t, T>> {
        let (args, rest) = args.split_at(self.moves.len());
        let (before, directions) = rest.split_last().expect("the value is last");
        let value = joined(&self.of.record(args, true));
        compare(&*self.of, value, *before);
        let inputs = wanted_of(args, &self.moves);
        let tangents: Vec<_> = inputs.zip(directions.iter().copied()).collect();
        derivatives(value.tape(), is_differentiated, || vec![value.jvp(&tangents)])
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other
            .downcast_ref::<Self>()
            .is_some_and(|other| self.moves == other.moves && is_same(&self.of, &other.of))
    }
}

/// Runs a sweep, which is recorded with derivatives only if they are wanted.
fn derivatives<T: Real, R>(tape: &Tape<T>, are_wanted: bool, sweep: impl FnOnce() -> R) -> R {
    if are_wanted { sweep() } else { tape.without_gradients(sweep) }
}
