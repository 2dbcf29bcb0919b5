//! The value of every op, held against definitions that share nothing with the kernels.
//!
//! Everything else that is tested compares this crate with itself: a compiled program with the
//! tape, one mode with another, a rule with differences of the same kernel. Here a plain loop in
//! double precision says what is right (`crates/reference`).
//!
//! Apart from the suite, since it sets the number of threads.

use std::rc::Rc;

use wengert_core::op::registry::ops;
use wengert_core::op::{Domain, DynOp, Operation, SampleSet};
use wengert_core::{Real, Shape, Tape, Tensor, Var};
use wengert_reference::{Array, expected};

/// Numbers of a domain that look random. They come from a pool of a few hundred, so that
/// definitions of special functions, which are slow, have seen most of them.
fn operand(shape: &Shape, domain: &Domain, seed: usize, round: impl Fn(f64) -> f64) -> Array {
    let mut state = seed as u64 + 1;
    let mut x = Array::from_fn(&shape[..], |index| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let unit = ((state >> 40) % 251) as f64 / 250.0;
        let x = domain.low + (domain.high - domain.low) * unit;
        let x = if domain.is_mask { x.round() } else { x };
        let diagonal = match *index {
            [.., i, j] if i == j => (i + 1) as f64 * domain.diagonal,
            _ => 0.0,
        };
        x + diagonal
    });
    x.elements.iter_mut().for_each(|x| *x = round(*x));
    x
}

fn tensor<T: Real>(array: &Array) -> Tensor<T> {
    Tensor::new(
        Shape::from(&array.shape[..]),
        array.elements.iter().map(|&x| T::from_f64(x)).collect::<Vec<_>>(),
    )
}

/// An op whose type is forgotten.
struct Erased<T: Real>(Rc<dyn DynOp<T>>);

impl<T: Real> Operation<T, ()> for Erased<T> {
    type Dyn = Rc<dyn DynOp<T>>;

    fn into_dyn(self) -> Self::Dyn {
        self.0
    }

    fn sample_set() -> SampleSet<T> {
        unreachable!("the op has samples of its own")
    }
}

/// What an op gives on a tape.
fn evaluated<T: Real>(op: &Rc<dyn DynOp<T>>, args: &[Tensor<T>]) -> Array {
    let tape = Tape::new();
    let args: Vec<Var<'_, T>> = args.iter().map(|arg| tape.constant(arg.clone())).collect();
    Array::from(&tape.apply(Erased(op.clone()), &args).value())
}

/// Evaluates an op, and says what differs from its definition.
fn compare<T: Real>(op: &Rc<dyn DynOp<T>>, args: &[Array]) -> Result<(), String> {
    let tensors: Vec<Tensor<T>> = args.iter().map(tensor).collect();
    let expected = expected(&**op, args).ok_or_else(|| format!("{op:?} has no definition"))?;
    let shapes: Vec<&Shape> = tensors.iter().map(Tensor::shape).collect();
    let result = evaluated(op, &tensors);
    expected.check(&result).map_err(|reason| format!("{op:?} of {shapes:?}: {reason}"))
}

fn samples<T: Real>() -> Vec<String> {
    let mut faults = Vec::new();
    for entry in ops::<T>() {
        for sample in &entry.samples.cases {
            let round = |x| T::from_f64(x).as_f64();
            let args: Vec<Array> = sample
                .args
                .iter()
                .enumerate()
                .map(|(seed, (shape, domain))| operand(shape, domain, seed, round))
                .collect();
            faults.extend(compare(&sample.op, &args).err());
        }
    }
    faults
}

#[test]
fn every_sample_has_the_value_of_its_definition() {
    let faults = [samples::<f32>(), samples::<f64>()].concat();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}
