//! A sample with numbers: what the conditions of the harness look at.

use std::rc::Rc;

use crate::check::evidence::problem::{Draw, record_op};
use crate::op::Domain;
use crate::op::samples::Sample;
use crate::scalar::Real;
use crate::tape::elemental::DynOp;
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, Tensor};
use crate::trace::number;

/// Rounding of a few operations in double precision.
pub(super) const ROUNDING: f64 = 300.0 * f64::EPSILON;

/// Distance that operands keep from kinks, so that steps stay on one side.
const KINK_MARGIN: f64 = 0.03;
/// Draws until that is reached; after that the best one must do.
const DRAWS: usize = 200;

/// A sample with numbers.
pub(super) struct Case<T: Real> {
    pub(super) op: Rc<dyn DynOp<T>>,
    pub(super) domains: Vec<Domain>,
    pub(super) args: Vec<Tensor<T>>,
    pub(super) shape: Shape,
    /// Directions of the operands that vary.
    pub(super) v: Vec<Tensor<T>>,
    /// A cotangent.
    pub(super) w: Tensor<T>,
}

impl<T: Real> Case<T> {
    pub(super) fn draw(sample: &Sample<T>, draw: &mut Draw) -> Result<Self, String> {
        let mut best: Option<(T, Vec<Tensor<T>>)> = None;
        for _ in 0..DRAWS {
            let args: Vec<_> =
                sample.args.iter().map(|(s, domain)| numbers(s, *domain, draw)).collect();
            let views: Vec<_> = args.iter().map(Tensor::view).collect();
            let distance = sample.op.kink_distance(&views);
            if best.as_ref().is_none_or(|(most, _)| distance > *most) {
                best = Some((distance, args));
            }
            if distance.as_f64() > KINK_MARGIN {
                break;
            }
        }
        let (_, args) = best.ok_or("the distance to the nearest kink is no number")?;
        let shape = sample.op.shape(&args.iter().map(Tensor::shape).collect::<Vec<_>>())?;
        let domains: Vec<_> = sample.args.iter().map(|arg| arg.1).collect();
        let mut case = Case {
            op: sample.op.clone(),
            domains,
            args,
            v: vec![],
            w: Tensor::scalar(T::zero()),
            shape,
        };
        case.v = draw.direction(&case.varied());
        case.w = draw.signed(&case.shape, 1.0);
        Ok(case)
    }

    /// The operands that are not masks.
    pub(super) fn varied(&self) -> Vec<Tensor<T>> {
        let varied = self.args.iter().zip(&self.domains).filter(|(_, domain)| !domain.is_mask);
        varied.map(|(arg, _)| arg.clone()).collect()
    }

    pub(super) fn masks(&self) -> Vec<Option<Tensor<T>>> {
        let args = self.args.iter().zip(&self.domains);
        args.map(|(arg, domain)| domain.is_mask.then(|| arg.clone())).collect()
    }

    /// The op on variables, but for masks.
    pub(super) fn record<'t>(&self, tape: &'t Tape<T>) -> (Vec<Var<'t, T>>, Var<'t, T>) {
        let vars: Vec<_> = self.varied().iter().map(|x| tape.variable(x)).collect();
        let y = record_op(&self.op, tape, &vars, &self.masks());
        (vars, y)
    }

    /// Value, tangent and adjoints, by fast sweeps.
    pub(super) fn sweeps(&self) -> Sweeps<T> {
        self.sweeps_in(|tape, body| tape.without_gradients(body))
    }

    pub(super) fn sweeps_in(
        &self,
        mode: impl for<'t> Fn(&'t Tape<T>, &mut dyn FnMut()),
    ) -> Sweeps<T> {
        let tape = Tape::new();
        let (vars, y) = self.record(&tape);
        let tangents: Vec<_> =
            vars.iter().copied().zip(self.v.iter().map(|v| tape.constant(v))).collect();
        let mut result = None;
        mode(&tape, &mut || {
            let adjoints = y.vjp(tape.constant(&self.w), &vars);
            result = Some(Sweeps {
                value: y.value(),
                tangent: y.jvp(&tangents).value(),
                adjoints: adjoints.iter().map(|adjoint| adjoint.value()).collect(),
            });
        });
        result.expect("the mode runs its body")
    }

    pub(super) fn is_finite(&self) -> bool {
        let tape = Tape::new();
        let (_, y) = self.record(&tape);
        y.with_value(|y| y.iter().all(|y| y.is_finite()))
    }
}

/// Numbers from a domain.
pub(super) fn numbers<T: Real>(shape: &Shape, domain: Domain, draw: &mut Draw) -> Tensor<T> {
    let Domain { low, high, is_mask, diagonal } = domain;
    Tensor::from_fn(shape, |at| {
        let x = draw.between(low, high) + diagonal * diagonal_place(shape, at);
        // Single precision holds them too, so that both precisions see the same.
        T::from_f64(f64::from(if is_mask { x.round() as f32 } else { x as f32 }))
    })
}

/// `i + 1` for the element `(i, i)` of a matrix over the last two axes, 0 for others.
fn diagonal_place(shape: &Shape, at: usize) -> f64 {
    match shape[..] {
        [.., n, m] if at / m % n == at % m => (at % m + 1) as f64,
        _ => 0.0,
    }
}

/// What one op and its derivatives give.
pub(super) struct Sweeps<T> {
    pub(super) value: Tensor<T>,
    pub(super) tangent: Tensor<T>,
    pub(super) adjoints: Vec<Tensor<T>>,
}

impl<T: Real> Sweeps<T> {
    /// Whether two agree to a multiple of some epsilon.
    pub(super) fn agree<S: Real>(&self, other: &Sweeps<S>, tolerance: f64) -> Result<(), String> {
        close("the value", &self.value, &other.value, tolerance)?;
        close("the tangent", &self.tangent, &other.tangent, tolerance)?;
        for (i, (a, b)) in self.adjoints.iter().zip(&other.adjoints).enumerate() {
            close(&format!("adjoint {}", i + 1), a, b, tolerance)?;
        }
        Ok(())
    }
}

/// Whether two tensors agree, relative to their largest entries.
pub(super) fn close<T: Real, S: Real>(
    what: &str,
    a: &Tensor<T>,
    b: &Tensor<S>,
    tolerance: f64,
) -> Result<(), String> {
    if a.shape() != b.shape() {
        return Err(format!("{what} has shape {} and {}", a.shape(), b.shape()));
    }
    let pairs = || a.iter().zip(b.iter()).map(|(a, b)| (a.as_f64(), b.as_f64()));
    let size = pairs().flat_map(|(a, b)| [a.abs(), b.abs()]).filter(|x| x.is_finite());
    let room = tolerance * size.fold(0.0, f64::max);
    let differs =
        |&(a, b): &(f64, f64)| !(a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= room);
    match pairs().find(differs) {
        Some((a, b)) => Err(format!("{what}: {} and {}", number(a, 17), number(b, 17))),
        None => Ok(()),
    }
}

/// Whether two tensors have the same bits, so that 0 and -0 differ; one NaN is as good as another.
pub(super) fn same<T: Real>(what: &str, a: &Tensor<T>, b: &Tensor<T>) -> Result<(), String> {
    let pairs = || a.iter().zip(b.iter()).map(|(a, b)| (a.as_f64(), b.as_f64()));
    let differs = |&(a, b): &(f64, f64)| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan());
    match pairs().find(differs) {
        _ if a.shape() != b.shape() => {
            Err(format!("{what} has shape {} and {}", a.shape(), b.shape()))
        }
        Some((a, b)) => Err(format!("{what}: {} and {}", number(a, 17), number(b, 17))),
        None => Ok(()),
    }
}

/// `<w, y> + |y|^2 / 2`: even of a linear op, a function with a second derivative,
/// through a cotangent that moves with the operands.
pub(super) fn curved<'t>(w: &Tensor<f64>, y: Var<'t, f64>) -> Var<'t, f64> {
    (y * y.tape().constant(w) + 0.5 * y * y).sum()
}
