//! Sums against plain loops over indices, at extents around every constant of the kernel.
//!
//! Leaves are of 128 numbers and of 32 rows, columns go by 256. Any axes are summed, with
//! axes kept before, between and behind, from any layout.

use wengert_core::{Real, Shape, Tape, Tensor};

/// Whole numbers, so that sums are exact in any order.
fn whole<T: Real>(shape: &[usize]) -> Tensor<T> {
    Tensor::from_fn(shape, |i| T::from_f64(((i * 7919) % 13) as f64 - 6.0))
}

/// The sum over `axes` by a loop over all elements of the operand, in row-major order.
fn by_loop(shape: &[usize], elements: &[f64], axes: &[usize]) -> Vec<f64> {
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let mut sums = vec![0.0; kept.iter().map(|&axis| shape[axis]).product()];
    for (i, x) in elements.iter().enumerate() {
        let (mut rest, mut index) = (i, vec![0; shape.len()]);
        for axis in (0..shape.len()).rev() {
            index[axis] = rest % shape[axis];
            rest /= shape[axis];
        }
        sums[kept.iter().fold(0, |at, &axis| at * shape[axis] + index[axis])] += x;
    }
    sums
}

fn compare<T: Real>(x: &Tensor<T>, axes: &[usize]) {
    let shape: Vec<usize> = x.shape().to_vec();
    let elements: Vec<f64> = x.iter().map(T::as_f64).collect();
    let tape = Tape::new();
    let by_axes = axes.iter().map(|&axis| axis as isize).collect::<Vec<_>>();
    let found = tape.constant(x).sum_over(&by_axes[..]).value();
    let found: Vec<f64> = found.iter().map(T::as_f64).collect();
    assert!(found == by_loop(&shape, &elements, axes), "{shape:?} summed over {axes:?}");
}

const EXTENTS: [usize; 13] = [1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 257, 1025];

fn over_any_axes<T: Real>() {
    for long in EXTENTS {
        for place in 0..4 {
            let mut shape = [2, 3, 2, 3];
            shape[place] = long;
            let x = whole::<T>(&shape);
            for chosen in 1..16 {
                let axes: Vec<usize> = (0..4).filter(|axis| chosen >> axis & 1 == 1).collect();
                compare(&x, &axes);
                // Another layout of the same extents.
                compare(
                    &whole::<T>(&[shape[3], shape[1], shape[0], shape[2]]).permute(&[2, 1, 3, 0]),
                    &axes,
                );
            }
        }
    }
}

#[test]
fn over_any_axes_in_double_precision() {
    over_any_axes::<f64>();
}

#[test]
fn over_any_axes_in_single_precision() {
    over_any_axes::<f32>();
}

#[test]
fn over_a_middle_axis_of_ones() {
    for rows in EXTENTS {
        let tape = Tape::new();
        let x = tape.variable(Tensor::<f64>::ones([2, rows, 2]));
        assert_eq!(x.sum_over([1]).value().to_vec(), [rows as f64; 4], "{rows} rows");
        assert_eq!(x.mean_over([1]).value().to_vec(), [1.0; 4], "{rows} rows");
        // The adjoint of stretching is the sum.
        let stretched = tape.variable(Tensor::<f64>::ones([2, 1, 2]));
        let gradient = (stretched * x).sum().backward().wrt(stretched);
        assert_eq!(gradient, Tensor::full(Shape::from([2, 1, 2]), rows as f64), "{rows} rows");
    }
}
