//! Steepest descent with a step that grows and shrinks, and derivatives in either mode: what problems of nested
//! derivatives share.

use wengert::prelude::*;

/// A mode of differentiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Forward,
    Reverse,
}

impl Mode {
    /// The gradient of a scalar by a vector, as a value on the tape that can be differentiated again.
    pub(super) fn gradient<'t>(self, y: Var<'t, f64>, x: Var<'t, f64>) -> Var<'t, f64> {
        match self {
            Mode::Reverse => y.grad([x])[0],
            Mode::Forward => {
                let unit = |i| Tensor::from_fn([x.elements()], |j| if i == j { 1.0 } else { 0.0 });
                let partial = |i| y.jvp(&[(x, x.tape().constant(unit(i)))]);
                stack(&(0..x.elements()).map(partial).collect::<Vec<_>>(), 0)
            }
        }
    }

    /// The value and the gradient of a scalar function at `x`, from a tape that is used again.
    pub(super) fn value_and_gradient(
        self,
        tape: &mut Tape<f64>,
        x: &Tensor<f64>,
        f: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>,
    ) -> (f64, Tensor<f64>) {
        tape.reset();
        let x = tape.variable(x);
        let y = f(x);
        let gradient = match self {
            Mode::Reverse => y.backward().wrt(x),
            Mode::Forward => tape.without_gradients(|| self.gradient(y, x)).value(),
        };
        (y.item(), gradient)
    }
}

/// What goes down: a tensor, or a variable, whose steps are recorded.
pub(super) trait Point: Clone {
    /// `self + by * direction`.
    fn moved(&self, by: f64, direction: &Self) -> Self;
    /// The Euclidean norm.
    fn norm(&self) -> f64;
}

impl Point for Tensor<f64> {
    fn moved(&self, by: f64, direction: &Self) -> Self {
        self.zip_map(direction, |x, d| x + by * d)
    }

    fn norm(&self) -> f64 {
        Tensor::norm(self)
    }
}

impl Point for Var<'_, f64> {
    fn moved(&self, by: f64, direction: &Self) -> Self {
        *self + by * *direction
    }

    fn norm(&self) -> f64 {
        self.with_value(|view| view.iter().map(|x| x * x).sum::<f64>().sqrt())
    }
}

/// Neither a gradient nor a step is taken for more than zero below this norm.
const TOLERANCE: f64 = 1e-5;

/// Where a function of which `evaluate` gives value and gradient is least, from `x` on. Steps double after ten that
/// were good, and are halved after a bad one.
pub(super) fn minimiser<P: Point>(mut x: P, mut evaluate: impl FnMut(&P) -> (f64, P)) -> P {
    let (mut value, mut gradient) = evaluate(&x);
    let (mut rate, mut good) = (TOLERANCE, 0);
    while gradient.norm() > TOLERANCE {
        if good == 10 {
            (rate, good) = (2.0 * rate, 0);
            continue;
        }
        if rate * gradient.norm() <= TOLERANCE {
            break;
        }
        let next = x.moved(-rate, &gradient);
        let (next_value, next_gradient) = evaluate(&next);
        if next_value < value {
            (x, value, gradient) = (next, next_value, next_gradient);
            good += 1;
        } else {
            (rate, good) = (rate / 2.0, 0);
        }
    }
    x
}
