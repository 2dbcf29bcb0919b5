//! Products: of matrices, of vectors, and of images with filters.

use std::any::Any;

use wengert_core::op::{
    Conv2d, Conv2dWeights, ConvTranspose2d, Convolution, Matmul, MatmulTransposed, Outer,
};

use crate::estimate::{Estimate, Total, within};
use crate::{Array, What, indices};

pub(crate) fn define(op: &dyn Any, args: &[Array]) -> Option<What> {
    if let Some(Matmul) = op.downcast_ref() {
        return Some(matmul(&args[0], &args[1], false));
    }
    if let Some(MatmulTransposed) = op.downcast_ref() {
        return Some(matmul(&args[0], &args[1], true));
    }
    if let Some(Outer) = op.downcast_ref() {
        let shape = vec![args[0].shape[0], args[1].shape[0]];
        let at = |index: Vec<usize>| {
            within(1.0, args[0].elements[index[0]] * args[1].elements[index[1]])
        };
        let elements = indices(&shape).map(at).collect();
        return Some((shape, elements).into());
    }
    if let Some(Conv2d(convolution)) = op.downcast_ref() {
        let (x, w) = (&args[0], &args[1]);
        let positions = |axis: usize| {
            let span = (w.shape[axis + 2] - 1) * convolution.dilation[axis] + 1;
            let [before, after] = convolution.padding[axis];
            (before + x.shape[axis + 2] + after - span) / convolution.stride[axis] + 1
        };
        let y = [x.shape[0], w.shape[0], positions(0), positions(1)];
        return Some(trilinear(convolution, &x.shape, &w.shape, &y, y, |[x_at, w_at, y_at]| {
            (y_at, x.elements[x_at] * w.elements[w_at])
        }));
    }
    if let Some(ConvTranspose2d { convolution, size }) = op.downcast_ref() {
        let (y, w) = (&args[0], &args[1]);
        let x = [y.shape[0], w.shape[1] * convolution.groups, size[0], size[1]];
        return Some(trilinear(convolution, &x, &w.shape, &y.shape, x, |[x_at, w_at, y_at]| {
            (x_at, y.elements[y_at] * w.elements[w_at])
        }));
    }
    if let Some(Conv2dWeights { convolution, window }) = op.downcast_ref() {
        let (x, y) = (&args[0], &args[1]);
        let w = [y.shape[1], x.shape[1] / convolution.groups, window[0], window[1]];
        return Some(trilinear(convolution, &x.shape, &w, &y.shape, w, |[x_at, w_at, y_at]| {
            (w_at, x.elements[x_at] * y.elements[y_at])
        }));
    }
    None
}

/// The product over the last two axes, or the last one of a vector; leading axes broadcast.
fn matmul(a: &Array, b: &Array, is_transposed: bool) -> What {
    let (a_is_vector, b_is_vector) = (a.rank() == 1, b.rank() == 1);
    // A vector is a row on the left and a column on the right; its axis goes from the result.
    let matrix = |x: &Array, axis: usize| {
        let mut x = x.clone();
        if x.rank() == 1 {
            x.shape.insert(axis, 1);
        }
        x
    };
    let (a, b) = (matrix(a, 0), matrix(b, 1));
    let (m, terms) = (a.shape[a.rank() - 2], a.shape[a.rank() - 1]);
    let n = b.shape[b.rank() - if is_transposed { 2 } else { 1 }];
    let lead = a.rank().max(b.rank()) - 2;
    let extent = |axis: usize| {
        let of = |x: &Array| (axis + x.rank() - 2).checked_sub(lead).map(|axis| x.shape[axis]);
        [of(&a), of(&b)].into_iter().flatten().find(|&extent| extent != 1).unwrap_or(1)
    };
    let full: Vec<usize> = (0..lead).map(extent).chain([m, n]).collect();
    let at = |index: Vec<usize>| {
        let (lead, row, column) = (&index[..lead], index[lead], index[lead + 1]);
        let term = |k: usize| {
            let left = [lead, &[row, k]].concat();
            let right = [lead, &if is_transposed { [column, k] } else { [k, column] }].concat();
            a.stretched_at(&left) * b.stretched_at(&right)
        };
        Total::of((0..terms).map(term)).in_order()
    };
    let elements = indices(&full).map(at).collect::<Vec<Estimate>>();
    let mut shape = full;
    if b_is_vector {
        shape.pop();
    }
    if a_is_vector {
        shape.remove(lead);
    }
    (shape, elements).into()
}

/// The terms of `sum of y[n, o, p, q] w[o, c, i, j] x[n, c, s p + d i - b, s q + d j - b]`,
/// added up where `term` says, which is told where the elements of `x`, `w` and `y` lie.
fn trilinear(
    convolution: &Convolution,
    x: &[usize],
    w: &[usize],
    y: &[usize],
    result: [usize; 4],
    term: impl Fn([usize; 3]) -> (usize, f64),
) -> What {
    let place = |shape: &[usize], index: [usize; 4]| {
        shape.iter().zip(index).fold(0, |place, (&extent, i)| place * extent + i)
    };
    // The element that a tap reads, unless it lies in the padding.
    let element = |axis: usize, position: usize, tap: usize| {
        let padded = position * convolution.stride[axis] + tap * convolution.dilation[axis];
        let element = padded.checked_sub(convolution.padding[axis][0])?;
        (element < x[axis + 2]).then_some(element)
    };
    let features = y[1] / convolution.groups;
    let mut totals = vec![Total::default(); result.iter().product()];
    for index in indices(y) {
        let [n, o, p, q] = index[..] else { panic!("{y:?} has not four axes") };
        let group = o / features;
        for c in 0..w[1] {
            for i in 0..w[2] {
                let Some(row) = element(0, p, i) else { continue };
                for j in 0..w[3] {
                    let Some(column) = element(1, q, j) else { continue };
                    let x_at = place(x, [n, group * w[1] + c, row, column]);
                    let (to, product) =
                        term([x_at, place(w, [o, c, i, j]), place(y, [n, o, p, q])]);
                    totals[to].add(product);
                }
            }
        }
    }
    // Winograd's convolutions mix the elements of a patch, so that errors of neighbours are shared.
    let errors = totals.iter().map(|total| total.in_order().error);
    let error = 4.0 * errors.fold(0.0, f64::max);
    let estimate = |total: &Total| Estimate { value: total.value(), error };
    (result.to_vec(), totals.iter().map(estimate).collect()).into()
}
