//! Calling a function of rows, and adding to a part of an array, whatever the strides.

use smallvec::SmallVec;

use super::map::add_slice;
use super::threads;
use crate::scalar::Real;
use crate::tensor::{Layout, Rows, View};

/// Adds the elements of a view to the part of `sum` that a layout places there, its
/// first element at `first`. The layout has the view's shape.
pub(crate) fn add_to_part<T: Real>(sum: &mut [T], first: usize, part: &Layout, terms: View<'_, T>) {
    for (to, from) in Rows::new(part, first).zip(Rows::new(terms.layout(), terms.offset())) {
        if to.stride == 1 && from.stride == 1 {
            let sum = &mut sum[to.start as usize..][..to.count];
            let terms = &terms.data()[from.start as usize..][..from.count];
            add_slice(sum, terms);
        } else {
            for i in 0..to.count {
                sum[to.at(i)] += terms.data()[from.at(i)];
            }
        }
    }
}

/// Calls `visit` with each row's number and elements, in row-major order. A
/// tensor without elements has no rows to visit.
///
/// # Panics
/// If the view is a scalar.
pub(crate) fn for_each_row<T: Real>(x: View<'_, T>, mut visit: impl FnMut(usize, &[T])) {
    let count = *x.shape().last().expect("a scalar has no rows");
    let mut packed = Vec::new();
    for (i, row) in Rows::new(x.layout(), x.offset()).enumerate() {
        if row.stride == 1 {
            visit(i, &x.data()[row.start as usize..][..count]);
        } else {
            packed.resize(count, T::zero());
            row.copy(x.data(), &mut packed);
            visit(i, &packed);
        }
    }
}

/// Nanoseconds that functions of rows are thought to take for an element.
const ROW_ELEMENT: usize = 1;

/// Calls `visit` with each row's elements of operands of one shape, and the row's
/// part of `out`: a row as long, or a single number. Rows are shared out to threads.
///
/// # Panics
/// If the operands are scalars.
pub(crate) fn for_each_row_of<T: Real, const N: usize>(
    args: [View<'_, T>; N],
    out: &mut [T],
    visit: impl Fn([&[T]; N], &mut [T]) + Sync,
) {
    let count = *args[0].shape().last().expect("a scalar has no rows");
    let elements = args[0].len();
    if elements == 0 {
        return;
    }
    let width = out.len() * count / elements;
    threads::for_each_piece(elements * ROW_ELEMENT, out, width, |first, out| {
        let mut rows =
            args.each_ref().map(|arg| Rows::starting(arg.layout(), arg.offset(), first / width));
        let mut packed: [SmallVec<[T; 256]>; N] = std::array::from_fn(|_| SmallVec::new());
        for out in out.chunks_exact_mut(width) {
            let rows = rows.each_mut().map(|rows| rows.next().expect("operands have one shape"));
            for ((row, packed), arg) in rows.iter().zip(&mut packed).zip(&args) {
                if row.stride != 1 {
                    packed.resize(count, T::zero());
                    row.copy(arg.data(), packed);
                }
            }
            let slices = std::array::from_fn(|k| match rows[k].stride {
                1 => &args[k].data()[rows[k].start as usize..][..count],
                _ => &packed[k][..],
            });
            visit(slices, out);
        }
    });
}
