//! Convolution and pooling against loops over their definitions, and against
//! numbers and matrices worked out by hand.

use proptest::prelude::*;
use wengert_core::op::{Convolution, Pooling};
use wengert_core::{Shape, Tape, Tensor, Var, jacobian};

fn close(a: &Tensor<f64>, b: &Tensor<f64>) -> bool {
    a.shape() == b.shape()
        && a.iter().zip(b.iter()).all(|(a, b)| (a - b).abs() <= 1e-12 * (1.0 + b.abs()))
}

fn numbers(shape: impl Into<Shape>, seed: f64) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| (i as f64 * 1.7 + seed).sin())
}

/// The element of an image at a place that may lie outside of it.
fn pixel(x: &Tensor<f64>, n: usize, c: usize, row: isize, column: isize) -> f64 {
    let inside = |i: isize, axis: usize| usize::try_from(i).ok().filter(|&i| i < x.shape()[axis]);
    match (inside(row, 2), inside(column, 3)) {
        (Some(row), Some(column)) => x.at(&[n, c, row, column]),
        _ => 0.0,
    }
}

/// The definition, one loop an index.
fn convolved(x: &Tensor<f64>, w: &Tensor<f64>, options: Convolution) -> Tensor<f64> {
    let Convolution { stride, padding, dilation, groups } = options;
    let (xs, ws) = (x.shape(), w.shape());
    let extent = |axis: usize| {
        let [before, after] = padding[axis];
        let span = (ws[2 + axis] - 1) * dilation[axis] + 1;
        (before + xs[2 + axis] + after - span) / stride[axis] + 1
    };
    let shape = [xs[0], ws[0], extent(0), extent(1)];
    let mut y = Vec::new();
    for n in 0..shape[0] {
        for o in 0..shape[1] {
            for p in 0..shape[2] {
                for q in 0..shape[3] {
                    let mut sum = 0.0;
                    for c in 0..ws[1] {
                        for i in 0..ws[2] {
                            for j in 0..ws[3] {
                                let row = p * stride[0] + i * dilation[0];
                                let column = q * stride[1] + j * dilation[1];
                                let channel = o / (ws[0] / groups) * ws[1] + c;
                                let x = pixel(
                                    x,
                                    n,
                                    channel,
                                    row as isize - padding[0][0] as isize,
                                    column as isize - padding[1][0] as isize,
                                );
                                sum += w.at(&[o, c, i, j]) * x;
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    Tensor::new(shape, y)
}

prop_compose! {
    /// Options, with images and filters that they fit.
    fn convolutions()(
        stride in [1..4_usize, 1..4],
        padding in [[0..3_usize, 0..3], [0..3, 0..3]],
        dilation in [1..3_usize, 1..3],
        groups in 1..3_usize,
        window in [1..5_usize, 1..5],
        room in [0..7_usize, 0..40],
        [images, channels, filters] in [1..4_usize, 1..4, 1..4],
    ) -> (Convolution, [usize; 4], [usize; 4]) {
        let options = Convolution { stride, padding, dilation, groups };
        let extent = |axis: usize| {
            let span = (window[axis] - 1) * dilation[axis] + 1;
            (span + room[axis]).saturating_sub(padding[axis].iter().sum()).max(1)
        };
        let x = [images, channels * groups, extent(0), extent(1)];
        (options, x, [filters * groups, channels, window[0], window[1]])
    }
}

proptest! {
    #[test]
    fn convolutions_are_what_the_loops_say((options, x, w) in convolutions()) {
        let (x, w) = (numbers(x, 0.3), numbers(w, 0.8));
        let tape = Tape::new();
        let y = tape.constant(&x).conv2d(tape.constant(&w), options).value();
        prop_assert!(close(&y, &convolved(&x, &w, options)));
    }

    /// `<y, x * w>`, read as a function of each of the three.
    #[test]
    fn transposes_are_transposes((options, x, w) in convolutions()) {
        let (x, w) = (numbers(x, 0.3), numbers(w, 0.8));
        let tape = Tape::new();
        let (xs, ws) = (tape.variable(&x), tape.variable(&w));
        let product = xs.conv2d(ws, options);
        let y = numbers(product.shape(), 0.5);
        let adjoints = product.vjp(tape.constant(&y), &[xs, ws]);
        let dot = |a: &Tensor<f64>, b: &Tensor<f64>| -> f64 {
            a.iter().zip(b.iter()).map(|(a, b)| a * b).sum()
        };
        let form = dot(&y, &convolved(&x, &w, options));
        let room = 1e-11 * y.len() as f64 * w.len() as f64;
        prop_assert!((dot(&x, &adjoints[0].value()) - form).abs() <= room);
        prop_assert!((dot(&w, &adjoints[1].value()) - form).abs() <= room);
    }
}

/// Extents beyond those of one tile of any kernel, in both precisions.
#[test]
fn large_planes_and_many_filters() {
    let options = Convolution::default().padding([[2, 1], [0, 3]]);
    let (x, w) = (numbers([10, 5, 21, 37], 0.1), numbers([43, 5, 4, 5], 0.2));
    let expected = convolved(&x, &w, options);
    let tape = Tape::new();
    let (xs, ws) = (tape.variable(&x), tape.variable(&w));
    let y = xs.conv2d(ws, options);
    assert!(close(&y.value(), &expected));
    let dot = |a: &Tensor<f64>, b: &Tensor<f64>| -> f64 {
        a.iter().zip(b.iter()).map(|(a, b)| a * b).sum()
    };
    let adjoints = y.vjp(y, &[xs, ws]);
    let square = dot(&expected, &expected);
    for (adjoint, operand) in adjoints.iter().zip([&x, &w]) {
        let form = dot(&adjoint.value(), operand);
        assert!((form - square).abs() <= 1e-10 * square, "{form} and {square}");
    }
    let single = |x: &Tensor<f64>| {
        let elements = x.iter().map(|x| x as f32).collect();
        Tensor::<f32>::new(x.shape(), elements)
    };
    let tape = Tape::new();
    let y = tape.constant(single(&x)).conv2d(tape.constant(single(&w)), options).value();
    assert!(y.iter().zip(expected.iter()).all(|(y, e)| (f64::from(y) - e).abs() < 1e-4));
}

/// Channels and windows for which kernels have a way of fewer multiplications; the
/// images are not whole patches of it.
#[test]
fn many_channels() {
    for (window, padding) in [(3, [[1, 1], [2, 0]]), (5, [[2, 3], [4, 1]])] {
        let options = Convolution::default().padding(padding).groups(2);
        let (x, w) = (numbers([4, 34, 15, 18], 0.1), numbers([40, 17, window, window], 0.2));
        let expected = convolved(&x, &w, options);
        let tape = Tape::new();
        let (xs, ws) = (tape.variable(&x), tape.variable(&w));
        let y = xs.conv2d(ws, options);
        assert!(close(&y.value(), &expected));
        let cotangent = numbers(y.shape(), 0.3);
        let adjoints = y.vjp(tape.constant(&cotangent), &[xs, ws]);
        let direction = |like: &Tensor<f64>| numbers(like.shape(), 0.7);
        let dot = |a: &Tensor<f64>, b: &Tensor<f64>| -> f64 {
            a.iter().zip(b.iter()).map(|(a, b)| a * b).sum()
        };
        let forms = [
            dot(&cotangent, &convolved(&direction(&x), &w, options)),
            dot(&cotangent, &convolved(&x, &direction(&w), options)),
        ];
        for ((adjoint, operand), form) in adjoints.iter().zip([&x, &w]).zip(forms) {
            let form_of_adjoint = dot(&adjoint.value(), &direction(operand));
            assert!((form_of_adjoint - form).abs() <= 1e-9, "{form_of_adjoint} and {form}");
        }
    }
}

/// What is not finite stays under the windows that cover it, with any number of channels.
#[test]
fn infinities_stay_where_they_are() {
    const SIDE: usize = 40;
    let options = Convolution::default().padding(1);
    let (x, w) = (numbers([1, 16, SIDE, SIDE], 0.1), numbers([16, 16, 3, 3], 0.2));
    let tape = Tape::new();
    // It lies in plane 3.
    let place = SIDE * SIDE * 3 + SIDE * 5 + 6;
    let mut elements: Vec<f64> = x.iter().collect();
    elements[place] = f64::INFINITY;
    let infinite = Tensor::new(x.shape(), elements);

    let y = tape.constant(&infinite).conv2d(tape.constant(&w), options).value();
    let expected = convolved(&infinite, &w, options);
    assert_eq!(expected.iter().filter(|y| y.is_infinite()).count(), 9 * 16);
    for (y, expected) in y.iter().zip(expected.iter()) {
        assert!(y == expected || (y - expected).abs() < 1e-12, "{y} for {expected}");
    }

    // An infinite cotangent at one place of plane 3 reaches the window around it, in all
    // planes of the input, and all weights of filter 3.
    let (xs, ws) = (tape.variable(&x), tape.variable(&w));
    let adjoints = xs.conv2d(ws, options).vjp(tape.constant(&infinite), &[xs, ws]);
    let [of_x, of_w] = [adjoints[0].value(), adjoints[1].value()];
    let reached = |row: usize, column: usize| row.abs_diff(5) <= 1 && column.abs_diff(6) <= 1;
    for (element, adjoint) in of_x.iter().enumerate() {
        let (row, column) = (element / SIDE % SIDE, element % SIDE);
        assert_eq!(adjoint.is_finite(), !reached(row, column), "row {row}, column {column}");
    }
    for (element, adjoint) in of_w.iter().enumerate() {
        assert_eq!(adjoint.is_finite(), element / (16 * 9) != 3, "weight {element}");
    }
}

/// The matrix of a convolution of one row of numbers, by differentiation.
fn matrix(x: [f64; 10], count: usize, filter: &[f64], options: Convolution) -> Tensor<f64> {
    let filter = Tensor::new([1, 1, 1, filter.len()], filter.to_vec());
    jacobian(
        |x: Var<'_, f64>| {
            let image = x.reshape([1, 1, 1, count]);
            image.conv2d(x.tape().constant(&filter), options).flatten(0, -1)
        },
        &Tensor::from(x[..count].to_vec()),
    )
}

/// Higham & Higham's (29): the differences of neighbours.
#[test]
fn the_papers_matrix_of_stride_one() {
    let found = matrix([0.5; 10], 6, &[1.0, -1.0], Convolution::default());
    let expected = [
        [1.0, -1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, -1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, -1.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0, -1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 1.0, -1.0],
    ];
    assert_eq!(found, Tensor::from(expected));
}

/// Higham & Higham's (30): a filter of four, stride 2, and one zero behind nine
/// numbers, whose column is left out here.
#[test]
fn the_papers_matrix_of_stride_two() {
    let [a, b, c, d] = [2.0, 3.0, 5.0, 7.0];
    let options = Convolution::default().stride([1, 2]).padding([[0, 0], [0, 1]]);
    let found = matrix([0.5; 10], 9, &[a, b, c, d], options);
    let o = 0.0;
    let expected = [
        [a, b, c, d, o, o, o, o, o],
        [o, o, a, b, c, d, o, o, o],
        [o, o, o, o, a, b, c, d, o],
        [o, o, o, o, o, o, a, b, c],
    ];
    assert_eq!(found, Tensor::from(expected));
}

/// One image of one channel, or one filter.
fn plane<const H: usize, const W: usize>(rows: [[f64; W]; H]) -> Tensor<f64> {
    Tensor::new([1, 1, H, W], rows.concat())
}

#[test]
fn a_convolution_by_hand() {
    let tape = Tape::new();
    let x = tape.variable(plane([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]));
    let w = tape.variable(plane([[1.0, 10.0], [100.0, 1000.0]]));
    let y = x.conv2d(w, Convolution::default());
    assert_eq!(y.value().to_vec(), [5421.0, 6532.0, 8754.0, 9865.0]);
    let gradients = y.sum().backward();
    let dx = [1.0, 11.0, 10.0, 101.0, 1111.0, 1010.0, 100.0, 1100.0, 1000.0];
    assert_eq!(gradients.wrt(x).to_vec(), dx);
    assert_eq!(gradients.wrt(w).to_vec(), [12.0, 16.0, 24.0, 28.0]);
}

/// A transposed convolution is another convolution of spread out zeros.
#[test]
fn a_transposed_convolution_by_hand() {
    let tape = Tape::new();
    let y = tape.constant(plane([[1.0, 2.0]]));
    let w = tape.constant(plane([[1.0, 10.0, 100.0]]));
    let options = Convolution::default().stride(2);
    let x = y.conv_transpose2d(w, options, [1, 5]).value();
    assert_eq!(x.to_vec(), [1.0, 10.0, 102.0, 20.0, 200.0]);
    // A width of 6 leads to the same two numbers, and its last element to none.
    let x = y.conv_transpose2d(w, options, [1, 6]).value();
    assert_eq!(x.to_vec(), [1.0, 10.0, 102.0, 20.0, 200.0, 0.0]);
}

/// The elements under each window, in the order of the results.
fn windows(x: &Tensor<f64>, options: Pooling) -> Vec<Vec<usize>> {
    let Pooling { window, stride, padding } = options;
    let [height, width] = [x.shape()[1], x.shape()[2]];
    let count = |axis: usize, extent: usize| {
        (padding[axis][0] + extent + padding[axis][1] - window[axis]) / stride[axis] + 1
    };
    let mut windows = Vec::new();
    for plane in 0..x.shape()[0] {
        for p in 0..count(0, height) {
            for q in 0..count(1, width) {
                let mut elements = Vec::new();
                for i in 0..window[0] {
                    for j in 0..window[1] {
                        let row = (p * stride[0] + i).wrapping_sub(padding[0][0]);
                        let column = (q * stride[1] + j).wrapping_sub(padding[1][0]);
                        if row < height && column < width {
                            elements.push((plane * height + row) * width + column);
                        }
                    }
                }
                windows.push(elements);
            }
        }
    }
    windows
}

prop_compose! {
    /// Options, with planes that they fit.
    fn poolings()(
        window in [1..5_usize, 1..5],
        stride in [1..4_usize, 1..4],
        shares in [[0..8_usize, 0..8], [0..8, 0..8]],
        room in [0..24_usize, 0..40],
        planes in 1..3_usize,
    ) -> (Pooling, [usize; 3]) {
        let padding = [0, 1].map(|axis| shares[axis].map(|share| share * window[axis] / 8));
        let extent = |axis: usize| {
            (window[axis] + room[axis]).saturating_sub(padding[axis].iter().sum()).max(1)
        };
        (Pooling { window, stride, padding }, [planes, extent(0), extent(1)])
    }
}

proptest! {
    #[test]
    fn pooling_is_what_the_loops_say((options, shape) in poolings(), levels in 1..9_u32) {
        check_pooling(options, shape, levels);
    }
}

/// Planes that kernels take band by band.
#[test]
fn pooling_of_tall_planes() {
    for (window, stride) in [(3, 1), (3, 2), (2, 3), (9, 2)] {
        check_pooling(Pooling::new(window).stride(stride).padding(1), [2, 131, 19], 7);
    }
}

/// Compares pooling with loops over elements of `levels` levels: few make ties.
fn check_pooling(options: Pooling, shape: [usize; 3], levels: u32) {
    let x = Tensor::from_fn(shape, |i| ((i as f64 * 1.7).sin() * f64::from(levels)).round());
    let elements = x.to_vec();
    let tape = Tape::new();
    let xs = tape.variable(&x);
    let (max, mean) = (xs.max_pool2d(options), xs.avg_pool2d(options));
    let cotangent = numbers(max.shape(), 0.4);
    let y = cotangent.to_vec();
    let (mut max_bar, mut mean_bar) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    let (mut maxima, mut means) = (Vec::new(), Vec::new());
    for (window, y) in windows(&x, options).iter().zip(&y) {
        let largest = window.iter().map(|&i| elements[i]).fold(f64::NEG_INFINITY, f64::max);
        maxima.push(largest);
        means.push(window.iter().map(|&i| elements[i]).sum::<f64>() / window.len() as f64);
        let first = window.iter().find(|&&i| elements[i] == largest).expect("it is one of them");
        max_bar[*first] += y;
        for &i in window {
            mean_bar[i] += y / window.len() as f64;
        }
    }
    assert_eq!(max.value().to_vec(), maxima);
    assert!(close(&mean.value(), &Tensor::new(mean.shape(), means)));
    let gradients = max.backward_with(&cotangent).wrt(xs);
    assert!(close(&gradients, &Tensor::new(shape, max_bar)));
    let gradients = mean.backward_with(&cotangent).wrt(xs);
    assert!(close(&gradients, &Tensor::new(shape, mean_bar)));
}

#[test]
fn a_maximum_is_not_a_number_where_an_element_is_not() {
    let tape = Tape::new();
    let x = tape.variable([[1.0, f64::NAN, 3.0, 2.0], [0.0, 5.0, 4.0, f64::NEG_INFINITY]]);
    let y = x.max_pool2d(Pooling::new(2));
    assert!(y.value().at(&[0, 0]).is_nan());
    assert_eq!(y.value().at(&[0, 1]), 4.0);
    let dx = y.sum().backward().wrt(x);
    assert_eq!(dx.to_vec(), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
}
