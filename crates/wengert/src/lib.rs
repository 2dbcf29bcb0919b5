//! Automatic differentiation on a tensor tape, with networks and checks of
//! derivatives: the face of the workspace.
//!
//! Everything of the core crate is at the top; networks are in [`nn`]; and
//! [`prelude`] has what most programs use.
//!
//! ```
//! use wengert::prelude::*;
//!
//! let x = Tensor::from([1.0, 2.0]);
//! check::gradient(|x| (x.sin() * x).sum(), &x).assert();
//! ```

pub use wengert_core::*;
/// Lets a structure of tensors be the inputs of a function that is differentiated.
///
/// ```
/// use wengert::prelude::*;
///
/// #[derive(Clone, Copy, Inputs)]
/// struct Line<X> {
///     slope: X,
///     height: X,
/// }
///
/// let line = Line { slope: Tensor::from(2.0), height: Tensor::from(1.0) };
/// let gradient = grad(|line: Line<Var<f64>>| line.slope.square() * line.height, &line);
/// assert_eq!((gradient.slope.item(), gradient.height.item()), (4.0, 4.0));
/// ```
// In place of the macro that writes `::wengert_core`.
pub use wengert_derive::FaceInputs as Inputs;

/// Is a derivative right? Functions on a tape, functions of slices, ops, whole models.
pub mod check {
    pub use wengert_core::check::*;
    // Its `diagnose` takes a model, and is found beside the model.
    pub use wengert_nn::check::{module, module_with};
}

/// Networks: modules, layers, losses, optimisers, random numbers.
///
/// ```
/// use wengert::nn::random::seeded;
/// use wengert::prelude::*;
///
/// #[derive(Module)]
/// struct Net {
///     hidden: Linear<f32>,
///     out: Linear<f32>,
/// }
///
/// impl Net {
///     fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
///         self.out.forward(self.hidden.forward(x).relu())
///     }
/// }
///
/// let rng = &mut seeded(1);
/// let mut net = Net { hidden: Linear::new(2, 4, rng), out: Linear::new(4, 2, rng) };
/// let mut sgd = Sgd::new(0.1).momentum(0.9);
/// let mut tape = Tape::new();
/// for _ in 0..20 {
///     tape.reset();
///     let x = tape.constant([[0.1, 0.2], [0.8, 0.9]]);
///     let loss = cross_entropy(net.forward(x), &[0, 1]);
///     sgd.step(&mut net, &loss.backward());
/// }
/// ```
pub mod nn {
    pub use wengert_nn::*;
    // In place of the macro that writes `::wengert_nn`, which programs that depend
    // on this crate need not have.
    #[doc(inline)]
    pub use wengert_derive::FaceModule as Module;
}

/// What most programs want in scope.
pub mod prelude {
    pub use wengert_core::op::{Domain, Elementwise, Samples};
    pub use wengert_core::{
        Number, Program, Real, Tape, Tensor, Var, assert_gradient, compile, compile_n, concat,
        func, func_n, grad, hessian, hvp, jacobian, jvp, stack, taylor, trace, value_and_grad,
        value_and_grad_aux, vjp, vmap,
    };

    pub use crate::nn::loss::{cross_entropy, mse, quadratic_cost};
    pub use crate::nn::{
        Adam, Layer, LeakyRelu, Linear, Module, Param, Relu, Sequential, Sgd, Sigmoid, Softmax,
        Softplus, Tanh, TrainStep, sequential,
    };
    pub use crate::{Inputs, check};
}

// The snippets of the README and of the first hour are compiled and run with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/first-hour.md")]
struct FirstHour;
