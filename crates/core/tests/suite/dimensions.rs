//! Convolution and pooling over one axis and three, against loops over their
//! definitions.

use wengert_core::op::{Convolution, Pooling};
use wengert_core::{Tape, Tensor, check};

fn fill(shape: &[usize], seed: usize) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| (((i + 3) * (seed + 5) * 7919) % 31) as f64 - 15.0)
}

/// The element that a tap of a window sees, if it is there.
fn seen(position: usize, tap: usize, stride: usize, dilation: usize, before: usize) -> isize {
    (position * stride + tap * dilation) as isize - before as isize
}

fn convolved(x: &Tensor<f64>, w: &Tensor<f64>, options: Convolution<3>) -> Tensor<f64> {
    let (xs, ws) = (x.shape(), w.shape());
    let Convolution { stride, padding, dilation, groups } = options;
    let positions = |axis: usize| {
        let span = (ws[axis + 2] - 1) * dilation[axis] + 1;
        (padding[axis][0] + xs[axis + 2] + padding[axis][1] - span) / stride[axis] + 1
    };
    let shape = [xs[0], ws[0], positions(0), positions(1), positions(2)];
    let of_group = ws[0] / groups;
    Tensor::from_fn(shape, |mut place| {
        let mut index = [0; 5];
        for axis in (0..5).rev() {
            index[axis] = place % shape[axis];
            place /= shape[axis];
        }
        let [n, o, p @ ..] = index;
        let mut sum = 0.0;
        for c in 0..ws[1] {
            for tap in 0..ws[2] * ws[3] * ws[4] {
                let taps = [tap / (ws[3] * ws[4]), tap / ws[4] % ws[3], tap % ws[4]];
                let at = |a: usize| seen(p[a], taps[a], stride[a], dilation[a], padding[a][0]);
                let inside = |a: usize| (0..xs[a + 2] as isize).contains(&at(a));
                if (0..3).all(inside) {
                    let [d, h, w_at] = [0, 1, 2].map(|a| at(a) as usize);
                    let channel = o / of_group * ws[1] + c;
                    sum +=
                        w.at(&[o, c, taps[0], taps[1], taps[2]]) * x.at(&[n, channel, d, h, w_at]);
                }
            }
        }
        sum
    })
}

#[test]
fn volumes_and_signals() {
    let plain = Convolution::<3>::default();
    let cases: [(Convolution<3>, [usize; 5], [usize; 5]); 6] = [
        (plain, [2, 3, 4, 5, 3], [2, 3, 2, 3, 1]),
        (plain.padding(1), [1, 2, 3, 2, 4], [3, 2, 3, 2, 3]),
        (
            plain.stride([2, 1, 3]).padding([[1, 0], [0, 2], [1, 1]]),
            [2, 2, 5, 3, 4],
            [2, 2, 2, 2, 3],
        ),
        (plain.dilation([2, 1, 2]).stride(2), [1, 1, 6, 4, 5], [2, 1, 2, 2, 2]),
        (plain.groups(2), [1, 4, 3, 3, 2], [4, 2, 2, 2, 1]),
        (plain, [0, 2, 3, 2, 2], [2, 2, 2, 1, 1]),
    ];
    for (options, x_shape, w_shape) in cases {
        let (x, w) = (fill(&x_shape, 1), fill(&w_shape, 2));
        let expected = convolved(&x, &w, options);
        let tape = Tape::new();
        let (x_var, w_var) = (tape.variable(&x), tape.variable(&w));
        let y = x_var.conv3d(w_var, options);
        assert_eq!(y.value(), expected);
        // The transpose is that of the sweep, and of the inner products.
        let u = fill(expected.shape(), 3);
        let [_, _, size @ ..] = x_shape;
        let transposed = tape.constant(&u).conv_transpose3d(w_var, options, size).value();
        assert_eq!(transposed, y.vjp(tape.constant(&u), &[x_var])[0].value());
        assert_eq!(transposed.dot(&x), u.dot(&expected));
        // A signal is a volume of one column.
        let (signals, filters) =
            (fill(&[2, x_shape[1], x_shape[4]], 4), fill(&[w_shape[0], w_shape[1], w_shape[4]], 5));
        let one = Convolution {
            stride: [options.stride[2]],
            padding: [options.padding[2]],
            dilation: [options.dilation[2]],
            groups: options.groups,
        };
        let flat = Convolution { padding: [[0; 2], [0; 2], options.padding[2]], ..options };
        let deep = |t: &Tensor<f64>| t.reshape([t.shape()[0], t.shape()[1], 1, 1, t.shape()[2]]);
        let expected = convolved(&deep(&signals), &deep(&filters), flat);
        let (s, f) = (tape.variable(&signals), tape.variable(&filters));
        let y = s.conv1d(f, one);
        assert_eq!(y.value().to_vec(), expected.to_vec());
        let u = fill(y.value().shape(), 6);
        let transposed = tape.constant(&u).conv_transpose1d(f, one, x_shape[4]).value();
        assert_eq!(transposed, y.vjp(tape.constant(&u), &[s])[0].value());
    }
    let (x, w) = (fill(&[1, 2, 3, 3, 2], 1), fill(&[2, 2, 2, 2, 2], 2).map(|w| w / 10.0));
    let options = plain.padding([1, 0, 1]).stride([1, 1, 2]);
    check::gradient(|[x, w]| x.conv3d(w, options), [&x, &w]).assert();
}

/// The elements of each window of volumes of one channel.
fn windows(x: &Tensor<f64>, options: Pooling<3>) -> Vec<Vec<f64>> {
    let shape = x.shape();
    let Pooling { window, stride, padding } = options;
    let positions =
        |a: usize| (padding[a][0] + shape[a] + padding[a][1] - window[a]) / stride[a] + 1;
    let [d, h, w] = [0, 1, 2].map(positions);
    let mut windows = Vec::new();
    for place in 0..d * h * w {
        let p = [place / (h * w), place / w % h, place % w];
        let inside = |a: usize| {
            let places =
                (0..window[a]).map(move |tap| seen(p[a], tap, stride[a], 1, padding[a][0]));
            places
                .filter(|&i| (0..shape[a] as isize).contains(&i))
                .map(|i| i as usize)
                .collect::<Vec<_>>()
        };
        let [is, js, ks] = [0, 1, 2].map(inside);
        let mut elements = Vec::new();
        for &i in &is {
            for &j in &js {
                elements.extend(ks.iter().map(|&k| x.at(&[i, j, k])));
            }
        }
        windows.push(elements);
    }
    windows
}

#[test]
fn pooling_over_boxes() {
    let cases: [(Pooling<3>, [usize; 3]); 4] = [
        (Pooling::new(2), [4, 4, 6]),
        (Pooling::new([3, 2, 1]).stride([1, 2, 2]), [5, 4, 3]),
        (Pooling::new(3).stride(2).padding(1), [4, 5, 6]),
        (Pooling::new([2, 3, 2]).padding([[1, 0], [0, 2], [1, 1]]), [3, 4, 2]),
    ];
    for (options, shape) in cases {
        let x = fill(&shape, 7);
        let tape = Tape::new();
        let var = tape.variable(&x);
        let expected = windows(&x, options);
        let largest: Vec<f64> =
            expected.iter().map(|w| w.iter().copied().fold(f64::MIN, f64::max)).collect();
        assert_eq!(var.max_pool3d(options).value().to_vec(), largest);
        let means = expected.iter().map(|w| w.iter().sum::<f64>() / w.len() as f64);
        for (found, mean) in var.avg_pool3d(options).value().iter().zip(means) {
            assert!((found - mean).abs() < 1e-12);
        }
        // A line is a box of height and depth 1.
        let one = Pooling {
            window: [options.window[2]],
            stride: [options.stride[2]],
            padding: [options.padding[2]],
        };
        let line = Pooling {
            window: [1, 1, one.window[0]],
            stride: [1, 1, one.stride[0]],
            padding: [[0; 2], [0; 2], one.padding[0]],
        };
        assert_eq!(var.max_pool1d(one).value(), var.max_pool3d(line).value());
        assert_eq!(var.avg_pool1d(one).value(), var.avg_pool3d(line).value());
    }
    // Of equal elements the first in row-major order gets the derivative.
    let tape = Tape::new();
    let x = tape.variable(Tensor::<f64>::ones([2, 2, 2]));
    let dx = x.max_pool3d(Pooling::new(2)).sum().backward().wrt(x);
    assert_eq!(dx.to_vec(), [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn parts_as_equal_as_can_be() {
    let x = fill(&[2, 7, 6], 8);
    for [down, across] in [[7, 6], [1, 1], [1, 3], [3, 4], [5, 2], [9, 6]] {
        let tape = Tape::new();
        let found = tape.variable(&x).adaptive_avg_pool2d([down, across]).value();
        assert_eq!(found.shape()[..], [2, down, across]);
        for n in 0..2 {
            for i in 0..down {
                for j in 0..across {
                    let rows = i * 7 / down..((i + 1) * 7).div_ceil(down);
                    let columns = j * 6 / across..((j + 1) * 6).div_ceil(across);
                    let mut sum = 0.0;
                    for row in rows.clone() {
                        sum += columns.clone().map(|column| x.at(&[n, row, column])).sum::<f64>();
                    }
                    let mean = sum / (rows.len() * columns.len()) as f64;
                    assert!((found.at(&[n, i, j]) - mean).abs() < 1e-12);
                }
            }
        }
    }
}
