//! Derivatives of solutions, not of the way to them (G&W, section 15.5).
//!
//! A solution `x` of `F(x, p) = 0` depends on the inputs `p`, however it was found. Its
//! derivative is the solution of a linear system, `F_x dx = -F_p dp`, and an adjoint is
//! that of the transposed one: `F_x' z = x-bar`, `p-bar = -F_p' z`. So the solver is never
//! recorded, needs no derivative, and may be anything.
//!
//! On the tape a solution is one op. Both linear systems are roots again, of functions
//! that sweep over `F`; so their derivatives follow from the same rule, and every order
//! exists in both modes. What the derivative claims holds as far as the solver has
//! solved.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::checkpoint::segment::{Piece, Segment, Spare, part};
use crate::kernel::linalg;
use crate::scalar::Real;
use crate::tape::elemental::{Call, Cost, DynOp, Term};
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, Tensor, View};

/// The solution of `residual(x, inputs) = 0` that `solve` finds from the inputs' values.
///
/// ```
/// use wengert_core::{Tape, Tensor, root};
///
/// // x^3 + x = a, by Newton's method on plain numbers.
/// let solve = |[a]: &[Tensor<f64>; 1]| {
///     let newton = |x: f64, _| x - (x.powi(3) + x - a.item()) / (3.0 * x * x + 1.0);
///     Tensor::from((0..50).fold(1.0, newton))
/// };
/// let tape = Tape::new();
/// let a = tape.variable(10.0);
/// let x = root(solve, |x, [a]| x.powi(3) + x - a, [a]);
/// assert_eq!(x.item(), 2.0);
/// let [dx] = x.grad([a]);
/// let [ddx] = dx.grad([a]);
/// assert!((dx.item() - 1.0 / 13.0).abs() < 1e-15);
/// assert!((ddx.item() + 12.0 / 13.0_f64.powi(3)).abs() < 1e-15);
/// ```
///
/// Linear systems of the derivatives are solved by elimination, for which the Jacobian
/// of the residual is formed; [`minimiser`] has a way around that.
///
/// # Panics
/// If the residual has not the shape of the solution, and in a sweep if the residual's
/// Jacobian is singular.
#[track_caller]
pub fn root<'t, T: Real, const N: usize>(
    solve: impl Fn(&[Tensor<T>; N]) -> Tensor<T> + 'static,
    residual: impl for<'s> Fn(Var<'s, T>, [Var<'s, T>; N]) -> Var<'s, T> + 'static,
    inputs: [Var<'t, T>; N],
) -> Var<'t, T> {
    solution(Linear::Elimination, solve, residual, inputs)
}

/// The point to which `map(x, inputs)` leads back, from `start` on.
///
/// ```
/// use wengert_core::{Tape, Tensor, fixed_point};
///
/// // Kepler's equation: the anomaly E = M + e sin E.
/// let tape = Tape::new();
/// let (mean, e) = (tape.variable(1.0_f64), tape.variable(0.3));
/// let anomaly = fixed_point(|x, [mean, e]| mean + e * x.sin(), &Tensor::from(1.0), [mean, e]);
/// let gradients = anomaly.backward();
/// let slope = 1.0 / (1.0 - 0.3 * anomaly.value().item().cos());
/// assert!((gradients.wrt(mean).item() - slope).abs() < 1e-14);
/// ```
///
/// # Panics
/// If 10,000 iterations do not settle, and as [`root`].
#[track_caller]
pub fn fixed_point<'t, T: Real, const N: usize>(
    map: impl for<'s> Fn(Var<'s, T>, [Var<'s, T>; N]) -> Var<'s, T> + 'static,
    start: &Tensor<T>,
    inputs: [Var<'t, T>; N],
) -> Var<'t, T> {
    const MOST: usize = 10_000;
    let (map, start) = (Rc::new(map), start.clone());
    let (again, spare) = (map.clone(), Spare::new());
    let solve = move |inputs: &[Tensor<T>; N]| {
        let mut x = start.clone();
        // Rounding may let the last bits circle.
        let settled = T::epsilon() * T::from_f64(8.0);
        for _ in 0..MOST {
            let next = spare.with(|tape| {
                let inputs = inputs.each_ref().map(|input| tape.variable(input));
                again(tape.variable(&x), inputs).with_value(|next| next.to_tensor())
            });
            assert!(
                next.shape() == x.shape(),
                "fixed_point: expected a map to the shape of the start, {}, got {}",
                x.shape(),
                next.shape()
            );
            let mut pairs = next.iter().zip(x.iter());
            let is_settled = pairs.all(|(a, b)| (a - b).abs() <= settled * (a.abs() + b.abs()));
            drop(pairs);
            x = next;
            if is_settled {
                return x;
            }
        }
        panic!("fixed_point: {MOST} iterations do not settle");
    };
    root(solve, move |x, inputs| x - map(x, inputs), inputs)
}

/// The minimiser of `cost(x, inputs)` that `solve` finds from the inputs' values. The
/// Hessian is symmetric and positive definite there, so linear systems are solved by
/// conjugate gradients, and no matrix is formed.
///
/// ```
/// use wengert_core::{Tape, Tensor, minimiser};
///
/// // The mean minimises the sum of squares.
/// let solve = |[data]: &[Tensor<f64>; 1]| Tensor::from(data.iter().sum::<f64>() / data.len() as f64);
/// let tape = Tape::new();
/// let data = tape.variable([1.0, 2.0, 6.0]);
/// let mean = minimiser(solve, |x, [data]| (x - data).square().sum(), [data]);
/// let gradient = mean.backward().wrt(data);
/// assert!(gradient.iter().all(|share| (share - 1.0 / 3.0).abs() < 1e-15));
/// ```
///
/// # Panics
/// If the cost is no single number, and in a sweep if the Hessian is not positive
/// definite.
#[track_caller]
pub fn minimiser<'t, T: Real, const N: usize>(
    solve: impl Fn(&[Tensor<T>; N]) -> Tensor<T> + 'static,
    cost: impl for<'s> Fn(Var<'s, T>, [Var<'s, T>; N]) -> Var<'s, T> + 'static,
    inputs: [Var<'t, T>; N],
) -> Var<'t, T> {
    solution(
        Linear::ConjugateGradients,
        solve,
        move |x, inputs| cost(x, inputs).grad([x])[0],
        inputs,
    )
}

#[track_caller]
fn solution<'t, T: Real, const N: usize>(
    linear: Linear,
    solve: impl Fn(&[Tensor<T>; N]) -> Tensor<T> + 'static,
    residual: impl for<'s> Fn(Var<'s, T>, [Var<'s, T>; N]) -> Var<'s, T> + 'static,
    inputs: [Var<'t, T>; N],
) -> Var<'t, T> {
    const { assert!(N > 0, "a solution without inputs has no derivative") };
    let tape = inputs[0].tape();
    // Not by `Var::value`: what is recorded does not depend on the numbers.
    let value = solve(&inputs.map(|input| tape.value_of(input.id())));
    let solve = move |inputs: &[Tensor<T>]| solve(inputs.first_chunk().expect("all inputs"));
    let system = Root {
        residual: Rc::new(Residual::<_, N>(residual)),
        solver: Solver::Own(Rc::new(solve)),
        linear,
        shape: value.shape().clone(),
        spare: Spare::new(),
        ready: RefCell::new(Some(value)),
    };
    tape.record(system, &inputs)
}

/// How linear systems are solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linear {
    Elimination,
    ConjugateGradients,
}

/// The residual as a function of the solution and the inputs.
struct Residual<F, const N: usize>(F);

impl<T: Real, F, const N: usize> Piece<T> for Residual<F, N>
where
    F: for<'s> Fn(Var<'s, T>, [Var<'s, T>; N]) -> Var<'s, T> + 'static,
{
    fn name(&self) -> &'static str {
        "residual"
    }

    fn record<'t>(&self, args: &[Var<'t, T>], _: bool) -> Vec<Var<'t, T>> {
        let residual = (self.0)(args[0], std::array::from_fn(|i| args[i + 1]));
        assert!(
            residual.shape() == args[0].shape(),
            "root: expected a residual of the shape of the solution, {}, got {}",
            args[0].shape(),
            residual.describe()
        );
        assert!(
            args[0].tape().parameter_keys().is_empty(),
            "a residual takes in a parameter, whose gradient would be lost; give it as an input"
        );
        vec![residual]
    }
}

/// The residual of a linear system: the Jacobian of a residual, or its transpose, times
/// an unknown, less the right side. Arguments are the unknown, the arguments of the
/// residual, and the right side.
struct System<T: Real> {
    of: Rc<dyn Piece<T>>,
    is_transposed: bool,
}

impl<T: Real> System<T> {
    /// The matrix times a vector, where the residual is recorded.
    fn product<'t>(&self, residual: Var<'t, T>, x: Var<'t, T>, vector: Var<'t, T>) -> Var<'t, T> {
        match self.is_transposed {
            true => residual.vjp(vector, &[x])[0],
            false => residual.jvp(&[(x, vector)]),
        }
    }
}

impl<T: Real> Piece<T> for System<T> {
    fn name(&self) -> &'static str {
        "linear_residual"
    }

    fn record<'t>(&self, args: &[Var<'t, T>], _: bool) -> Vec<Var<'t, T>> {
        let (unknown, right) = (args[0], args[args.len() - 1]);
        let args = &args[1..args.len() - 1];
        let residual = self.of.record(args, true)[0];
        vec![self.product(residual, args[0], unknown) - right]
    }
}

/// From the inputs' values to the solution.
type OwnSolver<T> = dyn Fn(&[Tensor<T>]) -> Tensor<T>;

/// How a root is found.
enum Solver<T: Real> {
    /// By the user's own means.
    Own(Rc<OwnSolver<T>>),
    /// As the solution of a linear system.
    Linear(Rc<System<T>>),
}

/// A solution, as an op of the inputs.
struct Root<T: Real> {
    /// Of the solution and the inputs.
    residual: Rc<dyn Piece<T>>,
    solver: Solver<T>,
    linear: Linear,
    shape: Shape,
    spare: Rc<Spare<T>>,
    /// The solution for the first evaluation, which told the shape.
    ready: RefCell<Option<Tensor<T>>>,
}

impl<T: Real> Root<T> {
    /// A linear system with the Jacobian of this residual, as an op of the solution, the
    /// inputs and the right side.
    fn system(&self, is_transposed: bool) -> Self {
        let system = Rc::new(System { of: self.residual.clone(), is_transposed });
        Self {
            residual: system.clone(),
            solver: Solver::Linear(system),
            linear: self.linear,
            shape: self.shape.clone(),
            spare: self.spare.clone(),
            ready: RefCell::new(None),
        }
    }

    /// The residual as an op of the solution and the inputs, flat.
    fn segment(&self) -> Segment<T> {
        Segment {
            piece: self.residual.clone(),
            elements: self.shape.elements(),
            spare: self.spare.clone(),
            ready: RefCell::new(None),
        }
    }

    fn solve(&self, args: &[Tensor<T>]) -> Tensor<T> {
        let system = match &self.solver {
            Solver::Own(solve) => return solve(args),
            Solver::Linear(system) => system,
        };
        let (right, args) = args.split_last().expect("the right side is last");
        self.spare.with(|tape: &Tape<T>| {
            let vars: Vec<_> = args.iter().map(|arg| tape.variable(arg)).collect();
            let residual = system.of.record(&vars, true)[0];
            let product = |vector: &[T]| -> Vec<T> {
                let vector = tape.constant(Tensor::new(self.shape.clone(), vector.to_vec()));
                let product = tape.without_gradients(|| system.product(residual, vars[0], vector));
                product.with_value(|product| product.iter().collect())
            };
            let right: Vec<T> = right.iter().collect();
            Tensor::new(
                self.shape.clone(),
                match self.linear {
                    Linear::Elimination => elimination(right, product),
                    Linear::ConjugateGradients => conjugate_gradients(right, product),
                },
            )
        })
    }
}

/// Solves a linear system whose matrix is known by its products, by elimination.
fn elimination<T: Real>(right: Vec<T>, product: impl Fn(&[T]) -> Vec<T>) -> Vec<T> {
    let n = right.len();
    if n == 0 {
        return right;
    }
    let mut matrix = vec![0.0; n * n];
    let mut unit = vec![T::zero(); n];
    for j in 0..n {
        unit[j] = T::one();
        for (i, entry) in product(&unit).into_iter().enumerate() {
            matrix[i * n + j] = entry.as_f64();
        }
        unit[j] = T::zero();
    }
    let right: Vec<f64> = right.into_iter().map(Real::as_f64).collect();
    let mut solution = vec![0.0; n];
    linalg::solve(n, &matrix, &right, &mut solution).expect(
        "the residual's Jacobian is singular or not finite: the solution has no derivative here",
    );
    solution.into_iter().map(T::from_f64).collect()
}

/// Solves a symmetric positive definite system whose matrix is known by its products, to
/// rounding.
fn conjugate_gradients<T: Real>(right: Vec<T>, product: impl Fn(&[T]) -> Vec<T>) -> Vec<T> {
    let dot = |a: &[T], b: &[T]| a.iter().zip(b).fold(T::zero(), |sum, (&a, &b)| sum + a * b);
    let mut x = vec![T::zero(); right.len()];
    let mut direction = right.clone();
    let mut residual = right;
    let mut square = dot(&residual, &residual);
    let enough = square * T::epsilon() * T::epsilon();
    // In exact arithmetic as many as there are unknowns.
    for _ in 0..4 * residual.len() {
        if square <= enough {
            break;
        }
        let image = product(&direction);
        let curvature = dot(&direction, &image);
        assert!(
            curvature > T::zero(),
            "the Hessian is not positive definite: this is no minimum, or not a strict one"
        );
        let step = square / curvature;
        for i in 0..x.len() {
            x[i] += step * direction[i];
            residual[i] -= step * image[i];
        }
        let next = dot(&residual, &residual);
        let share = next / square;
        for (direction, &residual) in direction.iter_mut().zip(&residual) {
            *direction = residual + share * *direction;
        }
        square = next;
    }
    x
}

impl<T: Real> fmt::Debug for Root<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "root of shape {}", self.shape)
    }
}

impl<T: Real> DynOp<T> for Root<T> {
    fn name(&self) -> &'static str {
        match self.solver {
            Solver::Own(_) => "root",
            Solver::Linear(_) => "linear_root",
        }
    }

    fn shape(&self, _: &[&Shape]) -> Result<Shape, String> {
        Ok(self.shape.clone())
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        let solution = self
            .ready
            .take()
            .unwrap_or_else(|| self.solve(&args.iter().map(View::to_tensor).collect::<Vec<_>>()));
        assert!(
            *solution.shape() == self.shape,
            "root: expected a solution of shape {}, as the first one, got {}",
            self.shape,
            solution.shape()
        );
        solution.view().copy_to(out);
    }

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let tape = call.value().tape();
        let args: Vec<_> = [call.value()].into_iter().chain(call.args().iter().copied()).collect();
        let residual = tape.record(self.segment(), &args);
        let tangents: Vec<_> = [None].into_iter().chain(tangents.iter().copied()).collect();
        let moved = self.segment().jvp(&Call::new(&args, residual), &tangents)?;
        let right = -moved.reshape(self.shape.clone());
        let args: Vec<_> = args.into_iter().chain([right]).collect();
        Some(tape.record(self.system(false), &args))
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, cotangent: Var<'t, T>) -> Term<'t, T> {
        let wanted = call.wanted();
        let [adjoints] = call.shared(|| {
            let tape = call.value().tape();
            let args: Vec<_> =
                [call.value()].into_iter().chain(call.args().iter().copied()).collect();
            let system: Vec<_> = args.iter().copied().chain([cotangent]).collect();
            let multiplier = tape.record(self.system(true), &system);
            let residual = tape.record(self.segment(), &args);
            // The solution is held fixed: what depends on it is in the multiplier.
            let held: Vec<bool> = [false].into_iter().chain(wanted.iter().copied()).collect();
            let flat = (-multiplier).reshape([self.shape.elements()]);
            [self.segment().adjoints(&Call::new(&args, residual), &held, flat)]
        });
        part(call.args(), &wanted, arg, adjoints)
    }

    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::NONE
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other
            .downcast_ref::<Self>()
            .is_some_and(|other| Rc::ptr_eq(&self.residual, &other.residual))
    }
}
