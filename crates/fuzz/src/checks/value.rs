//! The value of each step, against a definition that knows no kernel.
//!
//! A step is given the operands that the tape has for it, so that its own error counts and not
//! that of the steps before it. How exact a step has to be, its definition says, element by
//! element: see `wengert_reference`.

use wengert_core::Tensor;
use wengert_core::op::DynOp;
use wengert_reference::{Array, expected};

use super::{Kept, Made, Outcome, Session};
use crate::measure::{Subject, operands};

/// Says what an op of double precision should give for some operands: for ops that are not in
/// the registry.
pub type Definition = dyn Fn(&dyn DynOp<f64>, &[Tensor<f64>]) -> Option<Tensor<f64>>;

pub(super) fn each_step<T: Kept>(session: &Session, subject: &Subject<T>) -> Outcome {
    let values = &subject.base().values;
    for (index, step) in subject.program.steps.iter().enumerate() {
        let args = operands(&subject.program, index, &subject.tensors, values);
        let found = array(&values[index]);
        let name = step.op.double.name();
        let wrong = |reason| format!("step {index}, {name}: {reason}");
        let arrays: Vec<Array> = args.iter().map(array).collect();
        if let Some(expected) = expected::<T>(&**T::op(&step.op), &arrays) {
            expected.check(&found).map_err(wrong)?;
            continue;
        }
        let wide: Vec<Tensor<f64>> = args.iter().map(|arg| arg.contiguous().cast()).collect();
        let own = session.definition.as_ref().and_then(|own| own(&*step.op.double, &wide));
        let own = own.ok_or_else(|| format!("{name} has no definition"))?;
        let room = 64.0 * T::epsilon().as_f64();
        let near = |(a, b): (f64, &f64)| (a - b).abs() <= room * a.abs();
        if own.shape()[..] != found.shape[..] || !own.iter().zip(&found.elements).all(near) {
            return Err(wrong(format!("{:?}, and by its definition {own:?}", values[index])));
        }
    }
    Ok(Made::Yes)
}

fn array<T: Kept>(of: &Tensor<T>) -> Array {
    Array::new(of.shape().to_vec(), of.iter().map(|x| x.as_f64()).collect())
}
