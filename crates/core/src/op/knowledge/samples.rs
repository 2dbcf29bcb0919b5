//! Where to test an op: operands for every class of shapes, and bad ones.
//!
//! Each op states its samples beside its rule; the harness of
//! [`check`](crate::check) walks them. An op that leaves out a class of shapes
//! fails there, unless it says why the class does not exist for it.

use std::rc::Rc;

use crate::op::{DynOp, Elementwise, Operation};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::Shape;

/// The classes of shapes that the harness insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShapeClass {
    /// No axes.
    Scalar,
    /// One axis.
    Vector,
    /// Two axes.
    Matrix,
    /// More axes.
    Higher,
    /// Some axis of extent 1.
    SizeOne,
    /// Some axis of extent 0.
    Empty,
}

impl ShapeClass {
    /// All classes.
    pub const ALL: [ShapeClass; 6] =
        [Self::Scalar, Self::Vector, Self::Matrix, Self::Higher, Self::SizeOne, Self::Empty];

    /// The classes that operands belong to: by the largest number of axes, and by
    /// special extents.
    pub fn of(shapes: &[Shape]) -> Vec<ShapeClass> {
        let rank = shapes.iter().map(|shape| shape.rank()).max().unwrap_or(0);
        let any = |extent: usize| shapes.iter().any(|shape| shape.contains(&extent));
        let mut classes = Vec::new();
        if any(0) {
            classes.push(Self::Empty);
        } else {
            classes.push([Self::Scalar, Self::Vector, Self::Matrix, Self::Higher][rank.min(3)]);
        }
        if any(1) {
            classes.push(Self::SizeOne);
        }
        classes
    }
}

/// Numbers at which to try an operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Domain {
    /// The least number.
    pub low: f64,
    /// The greatest number.
    pub high: f64,
    /// Whether the operand is one of whole numbers, a mask or places along an axis,
    /// which is not varied.
    pub is_mask: bool,
    /// What makes matrices well-conditioned: the element `(i, i)` of each has
    /// `(i + 1) * diagonal` added to it.
    pub diagonal: f64,
}

impl Domain {
    /// Numbers of either sign, from -2 to 2.
    pub const fn reals() -> Self {
        Self::between(-2.0, 2.0)
    }

    /// Numbers from 0.3 to 2.3.
    pub const fn positive() -> Self {
        Self::between(0.3, 2.3)
    }

    /// Numbers between two others.
    pub const fn between(low: f64, high: f64) -> Self {
        Self { low, high, is_mask: false, diagonal: 0.0 }
    }

    /// Elements of matrices that are far from singular, with a symmetric part that is
    /// positive definite, and with eigenvalues and singular values far apart.
    pub const fn matrix() -> Self {
        Self { diagonal: 2.0, ..Self::between(-0.5, 0.5) }
    }

    /// Zeros and ones, through which no derivative flows.
    pub const fn mask() -> Self {
        Self { low: 0.0, high: 1.0, is_mask: true, diagonal: 0.0 }
    }

    /// Places among a number of elements, through which no derivative flows.
    pub const fn indices(extent: usize) -> Self {
        Self { low: 0.0, high: extent as f64 - 1.0, is_mask: true, diagonal: 0.0 }
    }
}

/// Collects the samples of an op.
#[derive(Clone, Debug)]
pub struct Samples<O> {
    /// The op of each case.
    ops: Vec<O>,
    /// The op of each error.
    misused: Vec<O>,
    operands: Operands,
}

/// Samples without their ops: all that need not be compiled for each op.
#[derive(Clone, Debug, Default)]
struct Operands {
    cases: Vec<Vec<(Shape, Domain)>>,
    errors: Vec<(Vec<Shape>, &'static str)>,
    absent: Vec<(ShapeClass, &'static str)>,
}

impl<O: Clone> Samples<O> {
    pub(crate) fn new() -> Self {
        Self { ops: Vec::new(), misused: Vec::new(), operands: Operands::default() }
    }

    /// The op of the first case.
    pub(in crate::op) fn first(&self) -> Option<O> {
        self.ops.first().cloned()
    }

    /// Operands that fit: a shape and a domain for each.
    pub fn case(&mut self, op: O, args: impl IntoIterator<Item = (Shape, Domain)>) {
        self.ops.push(op);
        self.operands.cases.push(args.into_iter().collect());
    }

    /// Operands that do not fit, and a part of the message that says so.
    pub fn error(&mut self, op: O, args: &[Shape], message: &'static str) {
        self.misused.push(op);
        self.operands.errors.push((args.to_vec(), message));
    }

    /// A class of shapes that does not exist for the op, and why.
    pub fn absent(&mut self, class: ShapeClass, reason: &'static str) {
        self.operands.absent.push((class, reason));
    }

    /// An elementwise op on operands from the given domains, in every class of
    /// shapes and every way of broadcasting.
    pub fn over<const N: usize>(&mut self, op: O, domains: [Domain; N])
    where
        O: Elementwise<N>,
    {
        let cases = broadcasts(&domains);
        self.ops.resize(self.ops.len() + cases.len(), op);
        self.operands.cases.extend(cases);
        if N > 1 {
            self.error(op, &misfits(N), "do not broadcast");
        }
    }
}

/// Shapes that do not broadcast.
fn misfits(count: usize) -> Vec<Shape> {
    (0..count).map(|arg| [arg + 2].into()).collect()
}

/// Operands of every class of shapes, and with each in turn stretched to the others.
fn broadcasts(domains: &[Domain]) -> Vec<Vec<(Shape, Domain)>> {
    let same: [Shape; 6] =
        [[].into(), [5].into(), [2, 3].into(), [2, 3, 2].into(), [3, 1].into(), [0, 2].into()];
    let pairs: [(Shape, Shape); 7] = [
        ([].into(), [2, 3].into()),
        ([1].into(), [3].into()),
        ([3].into(), [2, 3].into()),
        ([2, 1].into(), [2, 3].into()),
        ([2, 1, 3].into(), [4, 3].into()),
        ([1, 1].into(), [2, 3].into()),
        ([3].into(), [0, 3].into()),
    ];
    let all_of = |shape: &Shape| domains.iter().map(|&domain| (shape.clone(), domain)).collect();
    let mut cases: Vec<Vec<(Shape, Domain)>> = same.iter().map(all_of).collect();
    if domains.len() > 1 {
        for stretched in 0..domains.len() {
            for (small, large) in &pairs {
                let mut args: Vec<(Shape, Domain)> = all_of(large);
                args[stretched].0 = small.clone();
                cases.push(args);
            }
        }
    }
    cases
}

/// An op with operands to try it on.
#[derive(Clone, Debug)]
pub struct Sample<T: Real> {
    /// The op.
    pub op: Rc<dyn DynOp<T>>,
    /// Shapes and domains of its operands.
    pub args: Vec<(Shape, Domain)>,
}

impl<T: Real> Sample<T> {
    /// Records the op on operands, which need not have the sample's shapes.
    ///
    /// ```
    /// use wengert_core::Tape;
    /// use wengert_core::op::registry;
    ///
    /// let ops = registry::ops::<f64>();
    /// let sine = ops.iter().find(|op| op.name == "sin").unwrap();
    /// let tape = Tape::new();
    /// let y = sine.samples.cases[0].record(&[tape.variable(0.5)]);
    /// assert_eq!(y.item(), 0.5_f64.sin());
    /// ```
    ///
    /// # Panics
    /// If there are no operands, if they do not fit the op, or if they lie on several tapes.
    #[track_caller]
    pub fn record<'t>(&self, args: &[Var<'t, T>]) -> Var<'t, T> {
        let first = args.first().expect("an op has operands");
        first.tape().apply_dyn(&self.op, args)
    }
}

/// An op with operands that do not fit it.
#[derive(Clone, Debug)]
pub struct ErrorSample<T: Real> {
    /// The op.
    pub op: Rc<dyn DynOp<T>>,
    /// Shapes of its operands.
    pub args: Vec<Shape>,
    /// A part of the message.
    pub message: &'static str,
}

/// Everything to try one op on.
#[derive(Clone, Debug)]
pub struct SampleSet<T: Real> {
    /// Operands that fit.
    pub cases: Vec<Sample<T>>,
    /// Operands that do not.
    pub errors: Vec<ErrorSample<T>>,
    /// Classes of shapes that do not exist for the op, and why.
    pub absent: Vec<(ShapeClass, &'static str)>,
}

impl<O: Clone> Samples<O> {
    /// The samples with the op's type forgotten.
    pub(crate) fn erase<T: Real, Family>(self) -> SampleSet<T>
    where
        O: Operation<T, Family>,
    {
        self.operands.of(erased(&self.ops), erased(&self.misused))
    }
}

/// Ops with their type forgotten.
fn erased<T: Real, O: Operation<T, Family> + Clone, Family>(ops: &[O]) -> Vec<Rc<dyn DynOp<T>>> {
    let mut erased: Vec<Rc<dyn DynOp<T>>> = Vec::with_capacity(ops.len());
    for op in ops {
        erased.push(Rc::new(op.clone().into_dyn()));
    }
    erased
}

impl Operands {
    /// These operands with the op of each case and of each error.
    fn of<T: Real>(
        self,
        ops: Vec<Rc<dyn DynOp<T>>>,
        misused: Vec<Rc<dyn DynOp<T>>>,
    ) -> SampleSet<T> {
        let cases = ops.into_iter().zip(self.cases);
        let errors = misused.into_iter().zip(self.errors);
        SampleSet {
            cases: cases.map(|(op, args)| Sample { op, args }).collect(),
            errors: errors.map(|(op, (args, message))| ErrorSample { op, args, message }).collect(),
            absent: self.absent,
        }
    }
}
