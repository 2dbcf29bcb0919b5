//! What every op of the registry is defined to compute, said a second time.
//!
//! Each definition is a plain loop over indices, or a formula as it stands in textbooks, in
//! double precision. Nothing here uses a kernel, a view or another op of core: of an op it reads
//! the type, the parameters, and the numbers of its operands. So a wrong value of a kernel
//! differs from what stands here, where a comparison of two kernels, or of a rule with
//! differences of the same kernel, would not notice it.
//!
//! A definition says for each element how exact a kernel has to be, in units of the
//! precision's epsilon: an element that is only moved is exact; a sum may be off by a share of
//! the sum of the terms' magnitudes. Factorisations, which are not unique to the last bit,
//! are held against the property that defines them, such as `Q R = A`.
//!
//! ```
//! use wengert_core::op::{DynOp, Operation, Square};
//! use wengert_reference::{Array, expected};
//!
//! let op = Operation::<f64, _>::into_dyn(Square);
//! let x = Array::new([3], vec![1.0, 2.0, 3.0]);
//! let y = expected::<f64>(&op, &[x]).expect("squares are defined");
//! assert!(y.check(&Array::new([3], vec![1.0, 4.0, 9.0])).is_ok());
//! assert!(y.check(&Array::new([3], vec![1.0, 4.0, 9.1])).is_err());
//! ```

mod array;
mod attention;
mod channels;
mod elementwise;
mod estimate;
mod matrices;
mod movement;
mod pool;
mod products;
mod rows;
mod special;
mod sums;

use std::fmt;

use std::any::Any;

use wengert_core::op::DynOp;
use wengert_core::{Real, Tensor};

pub use array::{Array, indices};
pub use estimate::Estimate;

/// What is known of a floating-point type, in double precision.
#[derive(Clone, Copy, Debug)]
pub struct Precision {
    /// The distance from 1 to the next number.
    pub epsilon: f64,
    /// The smallest positive normal number.
    pub smallest: f64,
    /// The largest finite number.
    pub largest: f64,
    round: fn(f64) -> f64,
}

impl Precision {
    /// The precision of a type.
    pub fn of<T: Real>() -> Self {
        Self {
            epsilon: T::epsilon().as_f64(),
            smallest: T::min_positive_value().as_f64(),
            largest: T::max_value().as_f64(),
            round: |x| T::from_f64(x).as_f64(),
        }
    }

    /// The number of the type next to `x`: what an op makes of a parameter.
    pub fn round(&self, x: f64) -> f64 {
        (self.round)(x)
    }
}

/// A check of a whole result: the reason why it is wrong, if it is.
type Property = Box<dyn Fn(&Array) -> Result<(), String>>;

/// What an op's result has to be.
pub struct Expected {
    precision: Precision,
    what: What,
}

enum What {
    /// These elements, each within its error.
    Elements { shape: Vec<usize>, elements: Vec<Estimate> },
    /// Whatever has a property.
    Property(Property),
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Elements { shape, elements } => f
                .debug_struct("Elements")
                .field("shape", shape)
                .field("elements", elements)
                .finish(),
            What::Property(_) => f.debug_struct("Property").finish_non_exhaustive(),
        }
    }
}

impl Expected {
    /// Whether a result is as expected.
    ///
    /// # Errors
    /// The first element that is wrong, with what was expected there.
    pub fn check(&self, result: &Array) -> Result<(), String> {
        match &self.what {
            What::Property(holds) => holds(result),
            What::Elements { shape, elements } => {
                if *shape != result.shape {
                    return Err(format!("the shape is {:?}, not {shape:?}", result.shape));
                }
                for (index, (estimate, &x)) in
                    indices(shape).zip(elements.iter().zip(&result.elements))
                {
                    if !estimate.allows(x, &self.precision) {
                        let Estimate { value, error } = estimate;
                        return Err(format!(
                            "element {index:?} of {shape:?} is {x:e}, expected {value:e} within {:e}",
                            error * self.precision.epsilon
                        ));
                    }
                }
                Ok(())
            }
        }
    }

    /// The elements, where they and not a property are expected.
    pub fn elements(&self) -> Option<Vec<f64>> {
        match &self.what {
            What::Elements { elements, .. } => Some(elements.iter().map(|x| x.value).collect()),
            What::Property(_) => None,
        }
    }
}

impl From<(Vec<usize>, Vec<Estimate>)> for What {
    fn from((shape, elements): (Vec<usize>, Vec<Estimate>)) -> Self {
        assert_eq!(shape.iter().product::<usize>(), elements.len());
        What::Elements { shape, elements }
    }
}

/// The results that an op may have in the precision `T`, for operands that fit it.
/// `None` if there is no definition of the op.
pub fn expected<T: Real>(op: &dyn DynOp<T>, args: &[Array]) -> Option<Expected> {
    let precision = Precision::of::<T>();
    let what = define(op.as_any(), args, &precision)?;
    Some(Expected { precision, what })
}

/// The definition of an op. Each room knows some.
fn define(op: &dyn Any, args: &[Array], precision: &Precision) -> Option<What> {
    elementwise::define(op, args, precision)
        .or_else(|| sums::define(op, args))
        .or_else(|| movement::define(op, args))
        .or_else(|| products::define(op, args))
        .or_else(|| pool::define(op, args))
        .or_else(|| rows::define(op, args, precision))
        .or_else(|| attention::define(op, args, precision))
        .or_else(|| channels::define(op, args, precision))
        .or_else(|| matrices::define(op, args, precision))
}

/// Whether `result` is what an op gives of operands. Ops without a definition may give anything.
///
/// # Errors
/// The name of the op, its parameters, the shapes of its operands, and the first element that is wrong.
pub fn check<T: Real>(
    op: &dyn DynOp<T>,
    args: &[Tensor<T>],
    result: &Tensor<T>,
) -> Result<(), String> {
    let args: Vec<Array> = args.iter().map(Array::from).collect();
    match expected(op, &args) {
        None => Ok(()),
        Some(expected) => expected.check(&Array::from(result)).map_err(|reason| {
            let shapes: Vec<&[usize]> = args.iter().map(|arg| &arg.shape[..]).collect();
            format!("{op:?} of {shapes:?}: {reason}")
        }),
    }
}
