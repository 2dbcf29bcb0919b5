//! What the tape says of a function along a line: its gradient, tangent and curvature.

use crate::check::evidence::problem::inner;
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::Tensor;

/// What the tape says about a function contracted with a cotangent `w`.
pub(in crate::check) struct Derivatives<T> {
    pub(in crate::check) gradient: Vec<Tensor<T>>,
    pub(in crate::check) tangent: Tensor<T>,
    pub(in crate::check) bend: Option<Bend>,
}

/// Products with the Hessian of `<w, f>`.
#[derive(Clone, Copy)]
pub(in crate::check) struct Bend {
    /// `<v, H v>`.
    pub(in crate::check) along: f64,
    /// `<u, H v>`, by the forward sweep of a reverse one.
    pub(in crate::check) across: f64,
    /// `<v, H u>`, by the reverse sweep of a reverse one.
    pub(in crate::check) back: f64,
    /// The sum of the absolute terms.
    pub(in crate::check) scale: f64,
}

impl<T: Real> Derivatives<T> {
    pub(in crate::check) fn of<'t>(
        vars: &[Var<'t, T>],
        y: Var<'t, T>,
        w: &Tensor<T>,
        [v, u]: [&[Tensor<T>]; 2],
        second_order: bool,
    ) -> Self {
        let tape = y.tape();
        let constants =
            |xs: &[Tensor<T>]| -> Vec<Var<'t, T>> { xs.iter().map(|x| tape.constant(x)).collect() };
        let values = |vars: &[Var<'t, T>]| vars.iter().map(|var| var.value()).collect::<Vec<_>>();
        let tangents: Vec<_> = vars.iter().copied().zip(constants(v)).collect();
        let gradient = y.vjp(tape.constant(w), vars);
        let tangent = tape.without_gradients(|| y.jvp(&tangents)).value();
        let bend = second_order.then(|| {
            let forward: Vec<Tensor<T>> = tape
                .without_gradients(|| gradient.iter().map(|g| g.jvp(&tangents).value()).collect());
            let products = gradient.iter().zip(constants(u)).map(|(&g, u)| (g * u).sum());
            let back = match products.reduce(|a, b| a + b) {
                Some(slope) => {
                    tape.without_gradients(|| values(&slope.vjp(tape.constant(T::one()), vars)))
                }
                None => Vec::new(),
            };
            let (along, size) = inner(&forward, v);
            let (across, across_size) = inner(&forward, u);
            let (back, back_size) = inner(&back, v);
            Bend { along, across, back, scale: size + across_size + back_size }
        });
        Self { gradient: values(&gradient), tangent, bend }
    }
}
