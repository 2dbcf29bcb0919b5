//! What a transform differentiates with respect to.

use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::tensor::Tensor;

/// Inputs of a function: a tensor, an array of tensors, a tuple of such, or a
/// structure of the user's.
///
/// The closure receives variables in the same arrangement, and derivatives come
/// back in it.
///
/// ```
/// use wengert_core::{Inputs, Tensor, Var, grad};
///
/// /// `X` is a tensor, or a variable on a tape.
/// #[derive(Clone, Copy, Debug, PartialEq, Inputs)]
/// struct Affine<X> {
///     weight: X,
///     bias: X,
/// }
///
/// #[derive(Clone, Copy, Debug, PartialEq, Inputs)]
/// struct Net<X> {
///     layers: [Affine<X>; 2],
///     scale: X,
/// }
///
/// fn net<'t>(net: Net<Var<'t, f64>>, mut x: Var<'t, f64>) -> Var<'t, f64> {
///     for layer in net.layers {
///         x = (layer.weight.matmul(x) + layer.bias).tanh();
///     }
///     x * net.scale
/// }
///
/// let affine = || Affine { weight: Tensor::full([2, 2], 0.5), bias: Tensor::full([2], 0.1) };
/// let weights = Net { layers: [affine(), affine()], scale: Tensor::from(3.0) };
/// let x = Tensor::from([1.0, -1.0]);
/// let gradient: Net<Tensor<f64>> =
///     grad(|w: Net<Var<f64>>| net(w, w.scale.tape().constant(&x)).sum(), &weights);
/// assert_eq!(gradient.layers[1].bias.shape(), weights.layers[1].bias.shape());
/// assert!((gradient.scale.item() - 2.0 * (0.1_f64.tanh() + 0.1).tanh()).abs() < 1e-15);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the inputs of a function",
    label = "not a tensor by reference, nor an arrangement of such",
    note = "inputs are given by reference, `&x`, as an array, `[&x, &y]`, or as a tuple, `(&x, &y)`",
    note = "numbers and arrays become tensors by `Tensor::from`; a structure of tensors is an input by `#[derive(Inputs)]`, and its reference is given"
)]
pub trait Inputs<T: Real> {
    /// The variables that stand for the inputs on a tape.
    type Vars<'t>: Copy
    where
        T: 't;
    /// Derivatives, one tensor for each input.
    type Tensors;

    /// Takes the inputs in as variables.
    fn record<'t>(&self, tape: &'t Tape<T>) -> Self::Vars<'t>;

    /// Appends the variables, in order, to a list.
    fn flatten<'t>(vars: Self::Vars<'t>, list: &mut Vec<Var<'t, T>>);

    /// Appends the inputs' values, in order, to a list.
    fn values(&self, list: &mut Vec<Tensor<T>>);

    /// Arranges tensors, one for each input, like the inputs.
    fn collect(&self, tensors: &mut impl Iterator<Item = Tensor<T>>) -> Self::Tensors;

    /// Arranges variables, one for each input, like the inputs: the inverse of
    /// [`flatten`](Self::flatten).
    fn unflatten<'t>(vars: &mut impl Iterator<Item = Var<'t, T>>) -> Self::Vars<'t>;

    /// Appends derivatives, in order, to a list: the inverse of
    /// [`collect`](Self::collect).
    fn flatten_tensors(tensors: Self::Tensors, list: &mut Vec<Tensor<T>>);
}

impl<T: Real> Inputs<T> for &Tensor<T> {
    type Vars<'t> = Var<'t, T>;
    type Tensors = Tensor<T>;

    #[track_caller]
    fn record<'t>(&self, tape: &'t Tape<T>) -> Var<'t, T> {
        tape.variable(*self)
    }

    fn flatten<'t>(var: Var<'t, T>, list: &mut Vec<Var<'t, T>>) {
        list.push(var);
    }

    fn values(&self, list: &mut Vec<Tensor<T>>) {
        list.push((*self).clone());
    }

    fn collect(&self, tensors: &mut impl Iterator<Item = Tensor<T>>) -> Tensor<T> {
        tensors.next().expect("one tensor for each input")
    }

    fn unflatten<'t>(vars: &mut impl Iterator<Item = Var<'t, T>>) -> Var<'t, T> {
        vars.next().expect("one variable for each input")
    }

    fn flatten_tensors(tensor: Tensor<T>, list: &mut Vec<Tensor<T>>) {
        list.push(tensor);
    }
}

impl<T: Real, I: Inputs<T>, const N: usize> Inputs<T> for [I; N] {
    type Vars<'t>
        = [I::Vars<'t>; N]
    where
        T: 't;
    type Tensors = [I::Tensors; N];

    #[track_caller]
    fn record<'t>(&self, tape: &'t Tape<T>) -> Self::Vars<'t> {
        std::array::from_fn(|i| self[i].record(tape))
    }

    fn flatten<'t>(vars: Self::Vars<'t>, list: &mut Vec<Var<'t, T>>) {
        for var in vars {
            I::flatten(var, list);
        }
    }

    fn values(&self, list: &mut Vec<Tensor<T>>) {
        for input in self {
            input.values(list);
        }
    }

    fn collect(&self, tensors: &mut impl Iterator<Item = Tensor<T>>) -> Self::Tensors {
        self.each_ref().map(|input| input.collect(tensors))
    }

    fn unflatten<'t>(vars: &mut impl Iterator<Item = Var<'t, T>>) -> Self::Vars<'t> {
        std::array::from_fn(|_| I::unflatten(vars))
    }

    fn flatten_tensors(tensors: Self::Tensors, list: &mut Vec<Tensor<T>>) {
        for tensors in tensors {
            I::flatten_tensors(tensors, list);
        }
    }
}

/// An array within a structure.
impl<'a, T: Real, X, const N: usize> Inputs<T> for &'a [X; N]
where
    &'a X: Inputs<T>,
{
    type Vars<'t>
        = [<&'a X as Inputs<T>>::Vars<'t>; N]
    where
        T: 't;
    type Tensors = [<&'a X as Inputs<T>>::Tensors; N];

    #[track_caller]
    fn record<'t>(&self, tape: &'t Tape<T>) -> Self::Vars<'t> {
        self.each_ref().record(tape)
    }

    fn flatten<'t>(vars: Self::Vars<'t>, list: &mut Vec<Var<'t, T>>) {
        <[&'a X; N]>::flatten(vars, list);
    }

    fn values(&self, list: &mut Vec<Tensor<T>>) {
        self.each_ref().values(list);
    }

    fn collect(&self, tensors: &mut impl Iterator<Item = Tensor<T>>) -> Self::Tensors {
        self.each_ref().collect(tensors)
    }

    fn unflatten<'t>(vars: &mut impl Iterator<Item = Var<'t, T>>) -> Self::Vars<'t> {
        <[&'a X; N]>::unflatten(vars)
    }

    fn flatten_tensors(tensors: Self::Tensors, list: &mut Vec<Tensor<T>>) {
        <[&'a X; N]>::flatten_tensors(tensors, list);
    }
}

macro_rules! tuples {
    ($(($($input:ident $index:tt),*))*) => {$(
        impl<T: Real, $($input: Inputs<T>),*> Inputs<T> for ($($input,)*) {
            type Vars<'t> = ($($input::Vars<'t>,)*) where T: 't;
            type Tensors = ($($input::Tensors,)*);

            #[track_caller]
            fn record<'t>(&self, tape: &'t Tape<T>) -> Self::Vars<'t> {
                ($(self.$index.record(tape),)*)
            }

            fn flatten<'t>(vars: Self::Vars<'t>, list: &mut Vec<Var<'t, T>>) {
                $($input::flatten(vars.$index, list);)*
            }

            fn values(&self, list: &mut Vec<Tensor<T>>) {
                $(self.$index.values(list);)*
            }

            fn collect(&self, tensors: &mut impl Iterator<Item = Tensor<T>>) -> Self::Tensors {
                ($(self.$index.collect(tensors),)*)
            }

            fn unflatten<'t>(vars: &mut impl Iterator<Item = Var<'t, T>>) -> Self::Vars<'t> {
                ($($input::unflatten(vars),)*)
            }

            fn flatten_tensors(tensors: Self::Tensors, list: &mut Vec<Tensor<T>>) {
                $($input::flatten_tensors(tensors.$index, list);)*
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

/// A function of the variables that stand for inputs `I`.
///
/// It follows for every closure and `fn` of the right signature; writing it this
/// way, rather than as a bound on `Fn`, lets one transform serve all arrangements
/// of inputs with closures whose types are inferred.
///
/// To keep a closure in a variable, give it to [`func`](crate::transform::func) (or
/// [`func_n`](crate::transform::func_n)): `let f = |x| ..` is a function for one tape only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function from variables of `{T}` to one of them",
    note = "it takes the variables in the arrangement of the inputs (one for `&x`, an array for `[&x, &y]`, a tuple for `(&x, &y)`) and gives one `Var<{T}>`",
    note = "a closure that is kept in a variable goes through `func`: `let f = func(|x| x.sin().sum());`"
)]
pub trait Function<'t, T: Real, I: Inputs<T>>: Fn(I::Vars<'t>) -> Var<'t, T>
where
    T: 't,
{
}

impl<'t, T: Real, I: Inputs<T>, F: Fn(I::Vars<'t>) -> Var<'t, T>> Function<'t, T, I> for F {}

/// A function that gives something beside its value: see
/// [`value_and_grad_aux`](crate::transform::value_and_grad_aux).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function from variables of `{T}` to a pair of one and something else",
    note = "it takes the variables in the arrangement of the inputs, and gives `(Var<{T}>, _)`"
)]
pub trait FunctionAux<'t, T: Real, I: Inputs<T>, A>: Fn(I::Vars<'t>) -> (Var<'t, T>, A)
where
    T: 't,
{
}

impl<'t, T: Real, I: Inputs<T>, A, F: Fn(I::Vars<'t>) -> (Var<'t, T>, A)> FunctionAux<'t, T, I, A>
    for F
{
}

/// Takes in the inputs and records the function.
#[track_caller]
pub(crate) fn record<'t, T: Real, I: Inputs<T>>(
    tape: &'t Tape<T>,
    f: &impl Function<'t, T, I>,
    inputs: &I,
) -> (Vec<Var<'t, T>>, Var<'t, T>) {
    let (list, vars) = taken_in(tape, inputs);
    (list, f(vars))
}

/// Takes in the inputs, as a list and in their arrangement.
#[track_caller]
pub(crate) fn taken_in<'t, T: Real, I: Inputs<T>>(
    tape: &'t Tape<T>,
    inputs: &I,
) -> (Vec<Var<'t, T>>, I::Vars<'t>) {
    let vars = tape.on_behalf_of_caller(|| inputs.record(tape));
    let mut list = Vec::new();
    I::flatten(vars, &mut list);
    (list, vars)
}

/// Takes in tensors, as tangents or cotangents of variables.
#[track_caller]
pub(crate) fn constants<'t, T: Real, I: Inputs<T>>(
    tape: &'t Tape<T>,
    inputs: &I,
) -> Vec<Var<'t, T>> {
    let mut values = Vec::new();
    inputs.values(&mut values);
    tape.on_behalf_of_caller(|| values.into_iter().map(|value| tape.constant(value)).collect())
}
