//! Functions mapped over leading axes.

use crate::scalar::Real;
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::var::inputs::constants;
use crate::var::{Function, Inputs};

/// The values of a function for many inputs at once: each tensor has one more leading
/// axis than the function takes, of the same extent, and so has the result.
///
/// The function is called once, with the first of the inputs, and what it records is mapped
/// ([`Var::vmap`](crate::tape::Var::vmap)): loops over many small values become few over large ones.
///
/// ```
/// use wengert_core::{Tensor, vmap};
///
/// let (x, a) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([10.0, 100.0]));
/// let y = vmap(|(x, a)| x.sum() * a, (&x, &a));
/// assert_eq!(y, Tensor::from([30.0, 700.0]));
/// ```
///
/// The function may ask for derivatives, of any order, and use other transforms:
///
/// ```
/// use wengert_core::{Tensor, vmap};
///
/// let xs = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
/// let slopes = vmap(|x| x.square().sum().grad([x])[0], &xs);
/// assert_eq!(slopes, Tensor::from([[2.0, 4.0], [6.0, 8.0]]));
/// ```
///
/// # Panics
/// If an input has no leading axis, an empty one, or one of another extent; or if the
/// function decides by a value: what was recorded would hold for the first input only.
#[track_caller]
pub fn vmap<T: Real, I: Inputs<T>>(f: impl for<'t> Function<'t, T, I>, x: I) -> Tensor<T> {
    let tape = Tape::new();
    let mut values = Vec::new();
    x.values(&mut values);
    let all = constants(&tape, &x);
    // The function may ask for derivatives, so its inputs are variables.
    let mut first = Vec::with_capacity(all.len());
    for value in &values {
        let extent = value.shape().first().copied().unwrap_or(0);
        let shape = value.shape();
        assert!(extent > 0, "vmap: expected a leading axis that is not empty, got shape {shape}");
        first.push(tape.variable(value.slice(0, 0, 1, 1).reshape(&shape[1..])));
    }
    let y = f(I::unflatten(&mut first.iter().copied()));
    // It may have decided which of its values to give.
    tape.expect_unread(tape.any_read(&first));
    let inputs: Vec<_> = first.into_iter().zip(all).collect();
    let _mode = tape.mode(false);
    y.vmap(&inputs).value()
}
