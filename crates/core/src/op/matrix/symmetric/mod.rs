//! Functions of symmetric matrices.
//!
//! By hand they are `V diag(f(l)) V^T`, of eigenvectors that have no derivative where two
//! eigenvalues are equal, while the function has one. So the function is an op, and each
//! derivative of it is the same op with one direction more, by divided differences
//! ([`kernel::spectral`](crate::kernel)): right at ties, beside them, and to every order.

mod jet;

use super::factorise::own_matrix;
use super::solve::{elimination, square};
use crate::kernel::linalg;
use crate::kernel::spectral::{self, Coefficients, Function};
use crate::op::{
    Call, Cost, Dependence, Domain, Elementwise, Formula, Ln, Op, Samples, ShapeClass, Sqrt, Term,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// The most directions that a derivative has. One has `n^(k + 1)` terms, so that no more are
/// within reach.
const MOST: usize = 12;

/// A function of the symmetric part of a matrix `A`: an elementwise op, applied to the
/// eigenvalues. With `directions`, which are further operands, its derivative of that order
/// in them, where each direction keeps its place:
///
/// `d f(A) = f(A; dA)`, `d f(A; E) = f(A; dA, E) + f(A; E, dA) + f(A; dE)`, and so on.
///
/// The adjoints are the same op, since a trace may be turned: what multiplies `E_j` in
/// `<W, f(A; E_1, ..., E_k)>` is `f(A; E_(j+1), ..., E_k, W^T, E_1, ..., E_(j-1))^T`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SymmetricFunction<F> {
    /// The function of an eigenvalue.
    pub function: F,
    /// The number of directions.
    pub directions: usize,
}

/// The logarithm of symmetric matrices: the function by which the registry knows
/// [`SymmetricFunction`].
pub type Logm = SymmetricFunction<Ln>;

/// An elementwise op as the kernel sees it.
struct OfNumber<F>(F);

impl<F: Elementwise<1>> Function for OfNumber<F> {
    fn coefficients(&self, at: f64, unit: f64) -> Coefficients {
        jet::coefficients(self.0, at, unit)
    }

    fn kink_distance(&self, at: f64) -> f64 {
        self.0.kink_distance([at])
    }
}

/// The symmetric part.
fn symmetric<'t, T: Real>(x: Var<'t, T>) -> Var<'t, T> {
    (x + x.matrix_transpose()) * x.constant_like(0.5)
}

impl<F: Elementwise<1>> SymmetricFunction<F> {
    /// The same of one direction more, which is put before another one.
    fn further<'t, T: Real>(
        self,
        args: &[Var<'t, T>],
        place: usize,
        direction: Var<'t, T>,
    ) -> Var<'t, T> {
        let mut args = args.to_vec();
        args.insert(1 + place, direction);
        args[0].tape().apply(Self { directions: self.directions + 1, ..self }, &args)
    }
}

impl<F: Elementwise<1>> Op for SymmetricFunction<F> {
    const NAME: &'static str = "symmetric_function";
    const FORMULA: Formula = Formula::new(
        "f(A) = V diag(f(l)) V^T of A V = V diag(l); with k directions its derivative in these",
        "dY = V (f[l[i], l[j]] * V^T dA V) V^T, f[x, y] = (f(x) - f(y)) / (x - y), f[x, x] = f'(x)",
        r"Y = V f(\Lambda) V^T,\quad \dot Y = V (f[\lambda_i, \lambda_j] \circ V^T \dot A V) V^T,\quad \bar A = V (f[\lambda_i, \lambda_j] \circ V^T \bar Y V) V^T",
    )
    .with_convention(
        "of the symmetric part; at an eigenvalue where f has a kink or no value, as f's derivative is",
    );
    const DIFFERENTIABLE: bool = F::DIFFERENTIABLE;
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        directed(args, self.directions)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., n, _] = args[0].shape()[..] else { return };
        let function = OfNumber(self.function);
        linalg::for_each_matrix(args, n * n, out, &|args, y| {
            spectral::function(n, args, &function, y)
        });
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let of_matrix = tangents[0].map(symmetric).into_iter().flat_map(|direction| {
            (0..=self.directions).map(move |place| self.further(call.args(), place, direction))
        });
        let of_directions = (1..tangents.len()).filter_map(|arg| {
            let mut args = call.args().to_vec();
            args[arg] = tangents[arg]?;
            Some(args[0].tape().apply(*self, &args))
        });
        of_matrix.chain(of_directions).reduce(|sum, term| sum + term)
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let (matrix, directions) = (call.arg(0), &call.args()[1..]);
        // The directions behind one, the cotangent, and those before it.
        let cyclic = |after: usize, before: usize| {
            let mut args = vec![matrix];
            args.extend(&directions[after..]);
            args.push(bar.matrix_transpose());
            args.extend(&directions[..before]);
            let op = Self { directions: args.len() - 1, ..*self };
            matrix.tape().apply(op, &args).matrix_transpose()
        };
        match arg {
            0 => {
                let terms = (0..=self.directions).map(|place| cyclic(place, place));
                terms.reduce(|sum, term| sum + term).map(symmetric)
            }
            _ => Some(cyclic(arg, arg - 1)),
        }
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        let n = args[0].last().map_or(0, |&n| n);
        let paths =
            args[0].elements() * n.pow(self.directions as u32 - u32::from(self.directions > 0));
        let products = Cost::adds(2).and(Cost::muls(2)).times(args[0].elements() * n);
        elimination(args[0])
            .times(27)
            .and(products.times(1 + self.directions))
            .and(Cost::adds(30).and(Cost::muls(30)).times(paths))
    }

    fn kink_distance<T: Real>(&self, args: &[View<'_, T>]) -> T {
        let [.., n, _] = args[0].shape()[..] else { return T::infinity() };
        let at = |values: &[f64]| {
            let distances = values.iter().map(|&x| self.function.kink_distance([x]));
            distances.fold(f64::INFINITY, f64::min) / n as f64
        };
        linalg::least_of_each(&args[..1], &|args| Some(at(&linalg::eigenvalues(n, args[0])?)))
    }

    fn dependence(&self, _: &[&Shape], _: usize, result: &Shape) -> Dependence {
        own_matrix(result)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        let mut of_numbers = Samples::new();
        F::samples(&mut of_numbers);
        let Some(function) = of_numbers.first() else { return };
        directed_samples(samples, |directions| SymmetricFunction { function, directions });
    }
}

/// The shape of what is computed from a square matrix and directions.
pub(in crate::op) fn directed(args: &[&Shape], directions: usize) -> Result<Shape, String> {
    if args.len() != directions + 1 || directions > MOST {
        return Err(format!(
            "takes a matrix and {directions} directions, at most {MOST}, not {} operands",
            args.len()
        ));
    }
    square(args[0])?;
    match args.iter().find(|arg| **arg != args[0]) {
        Some(other) => Err(format!("a {other} is no direction of a {}", args[0])),
        None => Ok(args[0].clone()),
    }
}

/// The matrices and directions that such functions are tried on.
pub(in crate::op) fn directed_samples<O: Clone>(samples: &mut Samples<O>, op: impl Fn(usize) -> O) {
    for class in [ShapeClass::Scalar, ShapeClass::Vector] {
        samples.absent(class, "takes matrices");
    }
    let mut case = |shape: Shape, directions| {
        let args = (0..=directions)
            .map(|arg| (shape.clone(), if arg == 0 { Domain::matrix() } else { Domain::reals() }));
        samples.case(op(directions), args);
    };
    case([3, 3].into(), 0);
    case([2, 2].into(), 0);
    case([2, 3, 3].into(), 0);
    case([1, 1].into(), 0);
    case([0, 0].into(), 0);
    case([2, 2].into(), 1);
    case([1, 1].into(), 1);
    case([2, 2].into(), 2);
    samples.error(op(0), &[[2, 3].into()], "a [2, 3] is no square matrix");
    samples.error(op(1), &[[2, 2].into(), [3, 3].into()], "a [3, 3] is no direction of a [2, 2]");
    samples.error(op(1), &[[2, 2].into()], "a matrix and 1 directions");
}

/// # Functions of symmetric matrices
impl<'t, T: Real> Var<'t, T> {
    /// A function of the symmetric parts of square matrices over the last two axes: an
    /// elementwise op of one operand, applied to the eigenvalues. Its derivatives are right
    /// at equal eigenvalues too, to every order, and follow from the op's own.
    ///
    /// The derivative of order `k` takes `n^(k + 1)` divided differences of `n x n` matrices.
    ///
    /// ```
    /// # use wengert_core::{Tape, op::Exp};
    /// // The gradient of tr f(A) is f'(A).
    /// let tape = Tape::<f64>::new();
    /// let a = tape.variable([[0.0, 0.0], [0.0, 0.0]]);
    /// let [slope] = a.symmetric_function(Exp).trace().grad([a]);
    /// assert_eq!(slope.value().to_vec(), [1.0, 0.0, 0.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square.
    #[track_caller]
    pub fn symmetric_function<F: Elementwise<1>>(self, function: F) -> Self {
        self.apply(SymmetricFunction { function, directions: 0 })
    }

    /// The square root of symmetric matrices over the last two axes, whose eigenvalues are
    /// not negative; NaN where one is. Derivatives need positive ones. An eigenvalue of 0 may be
    /// rounded to one below 0, of which the root is NaN, too: add a small multiple of the identity to
    /// a matrix that may be singular. See [`symmetric_function`](Self::symmetric_function).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::<f64>::new();
    /// let root = tape.variable([[5.0, 4.0], [4.0, 5.0]]).sqrtm();
    /// assert!((root.value().at(&[0, 0]) - 2.0).abs() < 1e-14);
    /// assert!((root.value().at(&[0, 1]) - 1.0).abs() < 1e-14);
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square.
    #[track_caller]
    pub fn sqrtm(self) -> Self {
        self.symmetric_function(Sqrt)
    }

    /// The logarithm of symmetric matrices over the last two axes, whose eigenvalues are
    /// positive; NaN where one is negative. See
    /// [`symmetric_function`](Self::symmetric_function).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::<f64>::new();
    /// let a = tape.variable([[1.0, 0.0], [0.0, 1.0]]);
    /// assert_eq!(a.logm().value().to_vec(), [0.0; 4]);
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square.
    #[track_caller]
    pub fn logm(self) -> Self {
        self.symmetric_function(Ln)
    }
}
