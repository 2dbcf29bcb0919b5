//! Whole Jacobians and Hessians, for functions of few variables.

use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, Tensor, View};
use crate::var::inputs::record;
use crate::var::{Function, Inputs};

/// The Jacobian of a function at `x`, one tensor for each input, of the value's
/// shape followed by the input's: `J[i.., j..] = dy[i..] / dx[j..]`.
///
/// Columns come from forward sweeps if there are no more input elements than output
/// elements, else rows from reverse sweeps, which cost more each. Either goes by bundles: many
/// directions or cotangents in one pass over the tape ([`Var::vmap`]).
///
/// ```
/// use wengert_core::{Tensor, jacobian};
///
/// let x = Tensor::from([1.0, 2.0]);
/// let j = jacobian(|x| x.outer(x).reshape([4]), &x);
/// assert_eq!(j, Tensor::from([[2.0, 0.0], [2.0, 1.0], [2.0, 1.0], [0.0, 4.0]]));
/// ```
#[doc(alias("jacfwd", "jacrev"))]
#[track_caller]
pub fn jacobian<T: Real, I: Inputs<T>>(f: impl for<'t> Function<'t, T, I>, x: I) -> I::Tensors {
    let tape = Tape::new();
    let (vars, y) = record(&tape, &f, &x);
    x.collect(&mut y.jacobian(&vars).into_iter())
}

/// # Jacobians
impl<'t, T: Real> Var<'t, T> {
    /// The Jacobians of this value with respect to some values before it, as
    /// [`jacobian`] gives them: for functions that are recorded already.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let (x, y) = (tape.variable([1.0, 2.0]), tape.variable(3.0));
    /// let [by_x, by_y] = &(x * y).jacobian(&[x, y])[..] else { panic!() };
    /// assert_eq!(*by_x, Tensor::from([[3.0, 0.0], [0.0, 3.0]]));
    /// assert_eq!(*by_y, Tensor::from([1.0, 2.0]));
    /// ```
    ///
    /// # Panics
    /// If an input lies on another tape.
    #[doc(alias("jacfwd", "jacrev"))]
    #[track_caller]
    pub fn jacobian(self, inputs: &[Var<'t, T>]) -> Vec<Tensor<T>> {
        jacobian_of(self, inputs)
    }
}

/// The Hessian of a scalar function at `x`: for each input, a Jacobian of the
/// gradient with respect to all inputs. For a single tensor this is one tensor of
/// its shape twice; for `N` tensors, `N` rows of `N` blocks. The gradient is recorded by a
/// reverse sweep, and its columns are tangents: forward over reverse (G&W, section 5.2).
///
/// ```
/// use wengert_core::{Tensor, hessian};
///
/// let x = Tensor::from([1.0, 2.0]);
/// let h = hessian(|x| (x * x).sum() * x.sum(), &x);
/// assert_eq!(h, Tensor::from([[10.0, 6.0], [6.0, 14.0]]));
/// ```
///
/// A closure that is kept in a variable goes through [`func`](crate::transform::func).
///
/// # Panics
/// If the function's value has more than one element.
#[track_caller]
pub fn hessian<T: Real, I: Blocks<T>>(f: impl for<'t> Function<'t, T, I>, x: I) -> I::Blocks {
    let tape = Tape::new();
    let (vars, y) = record(&tape, &f, &x);
    y.assert_scalar("hessian", "`jacobian`");
    let gradients = y.grad_of(&vars);
    let rows = gradients.into_iter().map(|gradient| jacobian_of(gradient, &vars)).collect();
    x.arrange(rows)
}

/// Inputs for which a matrix of blocks has a natural arrangement.
#[diagnostic::on_unimplemented(
    message = "a Hessian is not arranged by `{Self}`",
    label = "neither a tensor by reference nor an array of such",
    note = "give `&x` for one block, or `[&x, &y]` for rows of blocks"
)]
pub trait Blocks<T: Real>: Inputs<T> {
    /// The blocks, row by row.
    type Blocks;

    /// Arranges rows of blocks.
    fn arrange(&self, rows: Vec<Vec<Tensor<T>>>) -> Self::Blocks;
}

impl<T: Real> Blocks<T> for &Tensor<T> {
    type Blocks = Tensor<T>;

    fn arrange(&self, rows: Vec<Vec<Tensor<T>>>) -> Tensor<T> {
        rows.into_iter().flatten().next().expect("one block")
    }
}

impl<T: Real, const N: usize> Blocks<T> for [&Tensor<T>; N] {
    type Blocks = [[Tensor<T>; N]; N];

    fn arrange(&self, rows: Vec<Vec<Tensor<T>>>) -> Self::Blocks {
        let mut rows = rows.into_iter();
        std::array::from_fn(|_| {
            let mut row = rows.next().expect("one row an input").into_iter();
            std::array::from_fn(|_| row.next().expect("one block an input"))
        })
    }
}

/// The blocks `dy / dx`, one for each of the inputs.
#[track_caller]
pub(crate) fn jacobian_of<T: Real>(y: Var<'_, T>, inputs: &[Var<'_, T>]) -> Vec<Tensor<T>> {
    for input in inputs {
        y.tape().expect_own(*input);
    }
    let outputs = y.elements();
    let width: usize = inputs.iter().map(|x| x.elements()).sum();
    let _mode = y.tape().mode(false);
    if width <= outputs { by_columns(y, inputs) } else { by_rows(y, inputs) }
}

fn block_shape<T: Real>(y: Var<'_, T>, x: Var<'_, T>) -> Shape {
    y.shape().iter().chain(x.shape().iter()).copied().collect()
}

/// The directions or cotangents that go through one sweep: enough for products to be
/// products of matrices, and few enough for what is kept beside the values.
const BUNDLE: usize = 32;

/// Forward sweeps, each for a bundle of input elements.
fn by_columns<T: Real>(y: Var<'_, T>, inputs: &[Var<'_, T>]) -> Vec<Tensor<T>> {
    let block = |&x: &Var<'_, T>| {
        let (rows, columns) = (y.elements(), x.elements());
        let mut elements = vec![T::zero(); rows * columns];
        let direction = y.tape().constant(Tensor::zeros(x.shape()));
        let tangent = y.jvp(&[(x, direction)]);
        for_each_bundle(&[tangent], direction, |_, first, tangents| {
            for (k, derivative) in tangents.iter().enumerate() {
                elements[k % rows * columns + first + k / rows] = derivative;
            }
        });
        Tensor::new(block_shape(y, x), elements)
    };
    inputs.iter().map(block).collect()
}

/// Reverse sweeps, each for a bundle of output elements.
fn by_rows<T: Real>(y: Var<'_, T>, inputs: &[Var<'_, T>]) -> Vec<Tensor<T>> {
    let cotangent = y.tape().constant(Tensor::zeros(y.shape()));
    let adjoints = y.vjp(cotangent, inputs);
    let mut blocks: Vec<Vec<T>> = vec![Vec::new(); inputs.len()];
    for_each_bundle(&adjoints, cotangent, |input, _, adjoints| {
        blocks[input].extend(adjoints.iter());
    });
    let shaped = blocks.into_iter().zip(inputs);
    shaped.map(|(elements, &x)| Tensor::new(block_shape(y, x), elements)).collect()
}

/// Maps linear functions of `seed` over the vectors of the Cartesian basis, bundle by bundle:
/// lets `read` see each function's values, with the number of the function and of the first
/// vector.
fn for_each_bundle<'t, T: Real>(
    functions: &[Var<'t, T>],
    seed: Var<'t, T>,
    mut read: impl FnMut(usize, usize, View<'_, T>),
) {
    let count = seed.elements();
    for first in (0..count).step_by(BUNDLE) {
        let extent = BUNDLE.min(count - first);
        let basis = Tensor::from_fn(seed.shape().inserting(0, extent), |i| {
            if i / count + first == i % count { T::one() } else { T::zero() }
        });
        let basis = seed.tape().constant(basis);
        for (number, values) in seed.tape().mapped(functions, &[(seed, basis)]).iter().enumerate() {
            values.with_value(|values| read(number, first, values));
        }
    }
}
