//! Operands as they may lie in memory: transposed, sliced, reversed, stretched.
//!
//! No derivative knows strides, so a view must give what its copy gives. A kernel
//! that takes a short cut for contiguous memory fails here if it takes it too often.

use super::case::{Case, ROUNDING};
use crate::tensor::Tensor;

/// A way to lie in memory. It gives the tensor, or one like it, as a view.
type Viewed = fn(&Tensor<f64>) -> Tensor<f64>;

const VIEWS: [(&str, Viewed); 6] = [
    ("transposed", |x| x.transpose().contiguous().transpose()),
    ("every second element", |x| match x.shape().rank().checked_sub(1) {
        Some(axis) if !x.is_empty() => {
            let shape = x.shape().with_axis(axis, 2 * x.shape()[axis]);
            let mut elements = x.iter();
            let wide = Tensor::from_fn(shape, |i| match i % 2 {
                0 => elements.next().expect("as many as there are"),
                _ => f64::NAN,
            });
            wide.slice(axis, 0, x.shape()[axis], 2)
        }
        _ => x.clone(),
    }),
    ("backwards", |x| match x.shape().first() {
        Some(&extent) if extent > 0 => {
            let backwards = x.slice(0, extent - 1, extent, -1).contiguous();
            backwards.slice(0, extent - 1, extent, -1)
        }
        _ => x.clone(),
    }),
    ("repeated along the first axis", |x| repeated(x, 0)),
    ("repeated along the last axis", |x| repeated(x, x.shape().rank().saturating_sub(1))),
    ("one element everywhere", |x| {
        (0..x.shape().rank()).fold(x.clone(), |x, axis| repeated(&x, axis))
    }),
];

/// The first part along an axis, stretched over it without a copy.
fn repeated(x: &Tensor<f64>, axis: usize) -> Tensor<f64> {
    match x.shape().get(axis) {
        Some(&extent) if extent > 0 => x.slice(axis, 0, 1, 1).broadcast_to(x.shape()),
        _ => x.clone(),
    }
}

/// A view gives what its copy gives, in each operand and in all of them, and so do
/// tangents and cotangents.
pub(super) fn views(case: &Case<f64>) -> Result<(), String> {
    for (kind, view) in VIEWS {
        let everywhere = case.args.len();
        for place in 0..=everywhere {
            let is_viewed = |i: usize| place == everywhere || place == i;
            let seen: Vec<Tensor<f64>> = case
                .args
                .iter()
                .enumerate()
                .map(|(i, arg)| if is_viewed(i) { view(arg) } else { arg.clone() })
                .collect();
            let (v, w) = match place == everywhere {
                true => (case.v.iter().map(view).collect(), view(&case.w)),
                false => (case.v.clone(), case.w.clone()),
            };
            let with = |args: Vec<Tensor<f64>>, v: Vec<Tensor<f64>>, w: Tensor<f64>| Case {
                op: case.op.clone(),
                domains: case.domains.clone(),
                shape: case.shape.clone(),
                args,
                v,
                w,
            };
            let copies = |xs: &[Tensor<f64>]| xs.iter().map(Tensor::contiguous).collect::<Vec<_>>();
            let copied = with(copies(&seen), copies(&v), w.contiguous()).sweeps();
            let viewed = with(seen, v, w).sweeps();
            viewed.agree(&copied, ROUNDING).map_err(|reason| {
                let which =
                    if place == everywhere { "all".to_owned() } else { format!("{}", place + 1) };
                format!("operand {which} {kind}: view and copy differ in {reason}")
            })?;
        }
    }
    Ok(())
}
