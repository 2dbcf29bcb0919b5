//! Operands: numbers, and the ways in which they may lie in memory.

use wengert_core::op::Domain;
use wengert_core::{Real, Shape, Tensor};
use wengert_reference::Array;

/// Numbers of a domain that look random. They come from a pool of a few hundred, so that
/// definitions of special functions, which are slow, have seen most of them, and so that some
/// are equal.
pub fn operand<T: Real>(shape: &Shape, domain: &Domain, seed: usize) -> Array {
    let mut state = seed as u64 + 1;
    Array::from_fn(&shape[..], |index| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let unit = ((state >> 40) % 251) as f64 / 250.0;
        let x = domain.low + (domain.high - domain.low) * unit;
        let x = if domain.is_mask { x.round() } else { x };
        let diagonal = match *index {
            [.., i, j] if i == j => (i + 1) as f64 * domain.diagonal,
            _ => 0.0,
        };
        T::from_f64(x + diagonal).as_f64()
    })
}

/// The first part along an axis, all along it.
pub fn repeated(x: &Array, axis: usize) -> Array {
    Array::from_fn(&x.shape[..], |index| {
        let mut index = index.to_vec();
        index[axis] = 0;
        x.at(&index)
    })
}

fn plain<T: Real>(x: &Array) -> Tensor<T> {
    Tensor::new(&x.shape[..], x.elements.iter().map(|&x| T::from_f64(x)).collect::<Vec<_>>())
}

/// A way to lie in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    /// Row after row.
    Plain,
    /// Axes in the opposite order.
    Transposed,
    /// Along the last axis every second element of what is there, NaN between them.
    Strided,
    /// From the last element of an axis to the first.
    Backwards(usize),
    /// A part of more along an axis, NaN before and behind it.
    Part(usize),
}

/// The same numbers in another layout, made by plain loops; only the last step is a view.
pub fn laid_out<T: Real>(x: &Array, layout: Layout) -> Tensor<T> {
    let rank = x.rank();
    match layout {
        Layout::Transposed if rank > 1 => {
            let shape: Vec<usize> = x.shape.iter().rev().copied().collect();
            plain::<T>(&Array::from_fn(shape, |index| {
                x.at(&index.iter().rev().copied().collect::<Vec<_>>())
            }))
            .transpose()
        }
        Layout::Strided if rank > 0 => {
            let last = rank - 1;
            wide::<T>(x, last, 2 * x.shape[last], |i| i.is_multiple_of(2).then_some(i / 2)).slice(
                last,
                0,
                x.shape[last],
                2,
            )
        }
        Layout::Backwards(axis) if rank > axis && x.shape[axis] > 0 => {
            let extent = x.shape[axis];
            wide::<T>(x, axis, extent, |i| Some(extent - 1 - i)).slice(axis, extent - 1, extent, -1)
        }
        Layout::Part(axis) if rank > axis => {
            let extent = x.shape[axis];
            let inner = |i: usize| i.checked_sub(1).filter(|&i| i < extent);
            wide::<T>(x, axis, extent + 3, inner).slice(axis, 1, extent, 1)
        }
        _ => plain(x),
    }
}

/// The array with another extent along an axis; `from` says which of its parts stands where.
fn wide<T: Real>(
    x: &Array,
    axis: usize,
    extent: usize,
    from: impl Fn(usize) -> Option<usize>,
) -> Tensor<T> {
    let mut shape = x.shape.clone();
    shape[axis] = extent;
    plain(&Array::from_fn(shape, |index| {
        let mut index = index.to_vec();
        let Some(i) = from(index[axis]) else { return f64::NAN };
        index[axis] = i;
        x.at(&index)
    }))
}
