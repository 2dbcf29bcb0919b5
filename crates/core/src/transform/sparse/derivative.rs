//! Sparse derivatives, again and again.

use std::fmt;
use std::marker::PhantomData;

use super::error::PatternError;
use super::plan::{self, Plan};
use super::{Colouring, Compression, Matrix, Pattern};
use crate::program::{CompileError, Program};
use crate::random::{SeedableRng, Xoshiro256PlusPlus, uniform};
use crate::scalar::Real;
use crate::tape::{NodeId, Tape, Var};
use crate::tensor::Tensor;
use crate::var::inputs::record;
use crate::var::{Function, Inputs};

/// Products taken from one recording of the function. More would save little, and
/// the tape keeps the values of all.
const BUNDLE: usize = 16;

/// What is differentiated.
pub trait Kind {
    /// Whether the matrix equals its transpose.
    #[doc(hidden)]
    const SYMMETRIC: bool;

    /// The values whose Jacobian the matrix is.
    #[doc(hidden)]
    fn outputs<'t, T: Real>(inputs: &[Var<'t, T>], value: Var<'t, T>) -> Vec<Var<'t, T>>;
}

/// The value is differentiated.
#[derive(Clone, Copy, Debug)]
pub enum First {}

/// The gradient is differentiated.
#[derive(Clone, Copy, Debug)]
pub enum Second {}

impl Kind for First {
    const SYMMETRIC: bool = false;

    fn outputs<'t, T: Real>(_: &[Var<'t, T>], value: Var<'t, T>) -> Vec<Var<'t, T>> {
        vec![value]
    }
}

impl Kind for Second {
    const SYMMETRIC: bool = true;

    #[track_caller]
    fn outputs<'t, T: Real>(inputs: &[Var<'t, T>], value: Var<'t, T>) -> Vec<Var<'t, T>> {
        value.grad_of(inputs)
    }
}

/// The Jacobian of a function, at any point: see [`Derivative`].
pub type Jacobian<T, F> = Derivative<T, F, First>;

/// The Hessian of a scalar function, at any point: see [`Derivative`].
pub type Hessian<T, F> = Derivative<T, F, Second>;

/// A sparse derivative whose pattern and colours are kept, for use at many points.
///
/// Pattern and colours are found once. At another point the function is recorded
/// again, and if it then does something else, they are found again; so a function may
/// decide on values.
///
/// ```
/// use wengert_core::{Tensor, sparse};
///
/// let x = Tensor::from([1.0, 2.0, 3.0, 4.0]);
/// let mut jacobian = sparse::Jacobian::of(|x| x.slice(0, 1..) * x.slice(0, ..3), &x);
/// assert_eq!(jacobian.pattern().to_string(), "xx..\n.xx.\n..xx");
/// assert_eq!(jacobian.colouring().count(), 2);
/// assert_eq!(jacobian.at(&x).values(), [2.0, 1.0, 3.0, 2.0, 4.0, 3.0]);
/// ```
pub struct Derivative<T: Real, F, K> {
    f: F,
    tape: Tape<T>,
    plan: Plan,
    /// The outputs of the recording that the plan is for.
    outputs: Vec<NodeId>,
    /// Whether the pattern is the user's.
    is_given: bool,
    kind: PhantomData<K>,
}

impl<T: Real, F, K> fmt::Debug for Derivative<T, F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derivative").field("outputs", &self.outputs.len()).finish_non_exhaustive()
    }
}

/// Inputs and outputs of a recording.
struct Recording<'t, T: Real> {
    inputs: Vec<Var<'t, T>>,
    outputs: Vec<Var<'t, T>>,
}

impl<'t, T: Real> Recording<'t, T> {
    #[track_caller]
    fn of<K: Kind, I: Inputs<T>>(tape: &'t Tape<T>, f: &impl Function<'t, T, I>, x: &I) -> Self {
        let (inputs, value) = record(tape, f, x);
        let outputs = K::outputs(&inputs, value);
        Self { inputs, outputs }
    }

    /// What it is known by, as long as the tape [follows](Tape::follows).
    fn ids(&self) -> Vec<NodeId> {
        self.outputs.iter().map(|output| output.id()).collect()
    }

    fn pattern(&self) -> Pattern {
        plan::pattern(&self.inputs, &self.outputs)
    }

    /// One product with zeros and ones.
    fn product(&self, plan: &Plan, colour: usize) -> Vec<Var<'t, T>> {
        match (plan.compression, &self.outputs[..]) {
            (Compression::Rows, &[output]) => {
                output.vjp(plan.seeds(colour, &[output])[0], &self.inputs)
            }
            _ => self.tangents(plan.seeds(colour, &self.inputs)),
        }
    }

    fn tangents(&self, directions: Vec<Var<'t, T>>) -> Vec<Var<'t, T>> {
        let tangents: Vec<_> = self.inputs.iter().copied().zip(directions).collect();
        self.inputs[0].tape().tangents_of(&self.outputs, &tangents)
    }

    /// A row in full, by a reverse sweep.
    fn row(&self, mut row: usize) -> Vec<T> {
        for &output in &self.outputs {
            if row < output.elements() {
                let unit = |i| if i == row { T::one() } else { T::zero() };
                let unit = output.tape().constant(Tensor::from_fn(output.shape(), unit));
                return numbers(&output.vjp(unit, &self.inputs));
            }
            row -= output.elements();
        }
        unreachable!("the row of an output")
    }
}

/// The elements of some values, one after another.
fn numbers<T: Real>(vars: &[Var<'_, T>]) -> Vec<T> {
    let mut numbers = Vec::new();
    append(vars, &mut numbers);
    numbers
}

fn append<T: Real>(vars: &[Var<'_, T>], numbers: &mut Vec<T>) {
    for var in vars {
        var.with_value(|view| numbers.extend(view.iter()));
    }
}

fn planned<K: Kind>(pattern: Pattern) -> Plan {
    if K::SYMMETRIC {
        // A conservative statement of an op need not be symmetric, but the matrix is.
        Plan::symmetric(pattern.intersection(&pattern.transpose()))
    } else {
        Plan::of(pattern)
    }
}

impl<T: Real, F, K: Kind> Derivative<T, F, K> {
    /// Finds pattern and colours, from a recording at `x`.
    ///
    /// # Panics
    /// If a Hessian is asked for and the function's value has more than one element, or
    /// the gradient's Jacobian is not symmetric. (Rules that are no derivatives, such as
    /// clipping, can make it so; take the [`jacobian`](super::jacobian) of the gradient
    /// then.)
    #[track_caller]
    pub fn of<I: Inputs<T>>(f: F, x: I) -> Self
    where
        F: for<'t> Function<'t, T, I>,
    {
        let mut derivative = Self::planned(f, &x);
        if K::SYMMETRIC {
            derivative.checked(&x);
        }
        derivative
    }

    #[track_caller]
    fn planned<I: Inputs<T>>(f: F, x: &I) -> Self
    where
        F: for<'t> Function<'t, T, I>,
    {
        let tape = Tape::new();
        let recording = Recording::of::<K, I>(&tape, &f, x);
        let (plan, outputs) = (planned::<K>(recording.pattern()), recording.ids());
        Self { f, tape, plan, outputs, is_given: false, kind: PhantomData }
    }

    /// The derivative, checked against a product that needs no pattern.
    #[track_caller]
    fn checked<I: Inputs<T>>(&mut self, x: &I) -> Matrix<T>
    where
        F: for<'t> Function<'t, T, I>,
    {
        match self.matrix(x, true) {
            Ok(matrix) => matrix,
            Err(error) => panic!("{error}"),
        }
    }

    /// With a pattern that is known better than it can be found, rows and columns
    /// numbered through outputs and inputs. It is checked here and at every point
    /// where the derivative is taken, by a product with a random vector.
    ///
    /// ```
    /// use wengert_core::{Tensor, sparse};
    ///
    /// let x = Tensor::from([1.0, 2.0]);
    /// let diagonal = sparse::Pattern::new(2, 2, [[0, 0], [1, 1]]);
    /// let wrong = sparse::Jacobian::with_pattern(|x| x * x.sum(), &x, diagonal);
    /// assert!(wrong.err().unwrap().to_string().contains("row 0, column 1"));
    /// ```
    ///
    /// # Errors
    /// If the pattern has another size, if the derivative at `x` has an entry
    /// outside of it, which is named, or if that of a Hessian is not symmetric.
    ///
    /// # Panics
    /// If a Hessian is asked for and the function's value has more than one element.
    #[track_caller]
    pub fn with_pattern<I: Inputs<T>>(f: F, x: I, pattern: Pattern) -> Result<Self, PatternError>
    where
        F: for<'t> Function<'t, T, I>,
    {
        let tape = Tape::new();
        let recording = Recording::of::<K, I>(&tape, &f, &x);
        let size = |vars: &[Var<'_, T>]| vars.iter().map(|var| var.elements()).sum();
        let expected = [size(&recording.outputs), size(&recording.inputs)];
        let given = [pattern.rows(), pattern.columns()];
        if given != expected {
            return Err(PatternError::Size { given, expected });
        }
        if K::SYMMETRIC && !pattern.is_symmetric() {
            return Err(PatternError::NotSymmetric);
        }
        let (plan, outputs) = (planned::<K>(pattern), recording.ids());
        let mut derivative = Self { f, tape, plan, outputs, is_given: true, kind: PhantomData };
        derivative.matrix(&x, true)?;
        Ok(derivative)
    }

    /// Where the derivative may have entries other than zero.
    pub fn pattern(&self) -> &Pattern {
        &self.plan.pattern
    }

    /// Which columns or rows are computed together.
    pub fn colouring(&self) -> &Colouring {
        &self.plan.colouring
    }

    /// Whether those are columns or rows.
    pub fn compression(&self) -> Compression {
        self.plan.compression
    }

    /// The derivative at a point.
    ///
    /// # Panics
    /// If a given pattern does not hold at this point.
    #[track_caller]
    pub fn at<I: Inputs<T>>(&mut self, x: I) -> Matrix<T>
    where
        F: for<'t> Function<'t, T, I>,
    {
        self.evaluated(&x)
    }

    #[track_caller]
    fn matrix<I: Inputs<T>>(&mut self, x: &I, is_checked: bool) -> Result<Matrix<T>, PatternError>
    where
        F: for<'t> Function<'t, T, I>,
    {
        let Self { f, tape, plan, outputs, is_given, .. } = self;
        let mut products = Vec::new();
        let mut first = 0;
        loop {
            tape.reset();
            let recording = Recording::of::<K, I>(tape, f, x);
            if first == 0 && !*is_given && !(tape.follows() && recording.ids() == *outputs) {
                *plan = planned::<K>(recording.pattern());
                *outputs = recording.ids();
            }
            let beyond = plan.colouring.count().min(first + BUNDLE);
            tape.without_gradients(|| {
                (first..beyond).for_each(|colour| {
                    append(&recording.product(plan, colour), &mut products);
                });
            });
            first = beyond;
            if first < plan.colouring.count() {
                continue;
            }
            let mut values = Vec::new();
            plan.recover(&products, &mut values);
            let matrix = Matrix::new(plan.pattern.clone(), values);
            if is_checked && !recording.inputs.is_empty() {
                tape.without_gradients(|| check(&recording, &matrix))?;
            }
            return Ok(matrix);
        }
    }

    /// The derivative as a [`Program`], for many points: nothing is recorded at
    /// any of them.
    ///
    /// # Errors
    /// If the function reads a value and goes on: see [`compile`](crate::program::compile()).
    ///
    /// # Panics
    /// If a given pattern does not hold at this point.
    #[track_caller]
    pub fn compile<I: Inputs<T>>(&mut self, x: I) -> Result<Compiled<T>, CompileError>
    where
        F: for<'t> Function<'t, T, I>,
    {
        let matrix = self.evaluated(&x);
        let Self { f, tape, plan, .. } = self;
        tape.reset();
        let recording = Recording::of::<K, I>(tape, f, &x);
        let products: Vec<Var<'_, T>> = tape.without_gradients(|| {
            let colours = 0..plan.colouring.count();
            colours.flat_map(|colour| recording.product(plan, colour)).collect()
        });
        let program = tape.compile(&recording.inputs, &products)?;
        Ok(Compiled { program, plan: plan.clone(), matrix, products: Vec::new() })
    }

    #[track_caller]
    fn evaluated<I: Inputs<T>>(&mut self, x: &I) -> Matrix<T>
    where
        F: for<'t> Function<'t, T, I>,
    {
        match self.matrix(x, self.is_given) {
            Ok(matrix) => matrix,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The derivative at one point.
#[track_caller]
pub(super) fn once<K: Kind, T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
    x: &I,
) -> Matrix<T> {
    let mut derivative = Derivative::<T, _, K>::planned(f, x);
    if K::SYMMETRIC { derivative.checked(x) } else { derivative.evaluated(x) }
}

/// Compares with a product that needs no pattern.
fn check<T: Real>(recording: &Recording<'_, T>, matrix: &Matrix<T>) -> Result<(), PatternError> {
    let mut vector = Vec::new();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    // Between 1 and 2, so that terms of one sign do not cancel.
    let mut draw = || T::from_f64(1.0 + uniform(&mut rng));
    let directions = recording.inputs.iter().map(|input| {
        let direction = Tensor::from_fn(input.shape(), |_| draw());
        vector.extend(direction.iter());
        input.tape().constant(direction)
    });
    let directions = directions.collect();
    let tape = recording.inputs[0].tape();
    let first = tape.len();
    let product = numbers(&recording.tangents(directions));
    let largest = tape.largest_since(first).as_f64();
    plan::verify(matrix, &vector, &product, largest, |row| recording.row(row))
}

/// A sparse derivative as a compiled program.
///
/// ```
/// use wengert_core::{Tensor, sparse};
///
/// let x = Tensor::from([1.0, 2.0, 3.0]);
/// let mut hessian = sparse::Hessian::of(|x| (x.square() * x).sum(), &x).compile(&x)?;
/// assert_eq!(hessian.at(&Tensor::from([1.0, 0.0, -1.0])).values(), [6.0, 0.0, -6.0]);
/// # Ok::<(), wengert_core::CompileError>(())
/// ```
pub struct Compiled<T: Real> {
    program: Program<T>,
    plan: Plan,
    matrix: Matrix<T>,
    /// The products of the last run, one after another.
    products: Vec<T>,
}

impl<T: Real> fmt::Debug for Compiled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("program", &self.program).finish_non_exhaustive()
    }
}

impl<T: Real> Compiled<T> {
    /// The derivative at a point; it stands until the next one is asked for. In steady
    /// state nothing is allocated but the list of a few inputs.
    ///
    /// # Panics
    /// If the inputs have other shapes than those of the recording.
    #[track_caller]
    pub fn at<I: Inputs<T>>(&mut self, x: I) -> &Matrix<T> {
        let Self { program, plan, matrix, products } = self;
        let mut inputs = Vec::new();
        x.values(&mut inputs);
        for (index, input) in inputs.into_iter().enumerate() {
            program.set_input(index, input);
        }
        program.execute();
        products.clear();
        for index in 0..program.outputs() {
            program.with_output(index, |view| match view.as_slice() {
                Some(slice) => products.extend_from_slice(slice),
                None => products.extend(view.iter()),
            });
        }
        plan.recover(products, &mut matrix.values);
        matrix
    }

    /// The program that computes the products.
    pub fn program(&self) -> &Program<T> {
        &self.program
    }
}
