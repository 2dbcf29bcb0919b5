//! What one element does to results that it has no part in: nothing in a convolution, and what
//! is NaN is not lost on the way to an order.

use wengert_core::op::{Convolution, Pooling};
use wengert_core::{Tape, Tensor, Var};

/// Numbers between -1 and 1.
fn numbers(shape: &[usize], seed: usize) -> Tensor<f32> {
    Tensor::from_fn(shape, |i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0)
}

/// The tensor with one of its elements replaced.
fn with(x: &Tensor<f32>, place: usize, element: f32) -> Tensor<f32> {
    let mut x = x.clone();
    x.as_mut_slice()[place] = element;
    x
}

/// The trilinear form that all three products of a convolution read: for each element of the
/// images, of the filters and of the result that meet, their places.
fn for_each_product(
    [images, channels, height, width]: [usize; 4],
    [features, taps]: [usize; 2],
    padding: usize,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let positions = [height, width].map(|extent| extent + 2 * padding + 1 - taps);
    for (n, o) in (0..images).flat_map(|n| (0..features).map(move |o| (n, o))) {
        for (p, q) in (0..positions[0]).flat_map(|p| (0..positions[1]).map(move |q| (p, q))) {
            for c in 0..channels {
                for (i, j) in (0..taps).flat_map(|i| (0..taps).map(move |j| (i, j))) {
                    let (row, column) = (p + i, q + j);
                    let inside = |at: usize, extent| (padding..padding + extent).contains(&at);
                    if inside(row, height) && inside(column, width) {
                        let x = ((n * channels + c) * height + row - padding) * width + column
                            - padding;
                        let w = ((o * channels + c) * taps + i) * taps + j;
                        let y = ((n * features + o) * positions[0] + p) * positions[1] + q;
                        visit(x, w, y);
                    }
                }
            }
        }
    }
}

/// By plain sums in double precision: the convolution, and its adjoints for a cotangent, each
/// with the sum of the sizes of the terms.
fn products(
    shapes: ([usize; 4], [usize; 2], usize),
    [x, w, y]: [&Tensor<f32>; 3],
) -> [Vec<[f64; 2]>; 3] {
    let [x, w, y] = [x, w, y].map(|t| t.iter().map(f64::from).collect::<Vec<_>>());
    let mut sums = [&y, &x, &w].map(|like| vec![[0.0; 2]; like.len()]);
    let (images, filters, padding) = shapes;
    for_each_product(images, filters, padding, |i, j, k| {
        let [of_y, of_x, of_w] = &mut sums;
        for (sum, term) in
            [(&mut of_y[k], x[i] * w[j]), (&mut of_x[i], w[j] * y[k]), (&mut of_w[j], x[i] * y[k])]
        {
            sum[0] += term;
            sum[1] += term.abs();
        }
    });
    sums
}

/// How far the results are from the sums, in parts of the sizes of the terms.
fn errors(result: &Tensor<f32>, sums: &[[f64; 2]]) -> f64 {
    let errors = result.iter().zip(sums).map(|(x, [sum, size])| {
        let error = (f64::from(x) - sum).abs();
        if error == 0.0 { 0.0 } else { error / size }
    });
    errors.fold(0.0, f64::max)
}

#[test]
fn a_large_element_leaves_other_windows_of_a_convolution_alone() {
    for (taps, side, padding) in [(3, 4, 1), (3, 10, 0), (3, 32, 1), (5, 6, 2), (5, 24, 0)] {
        let (images, filters) = ([2, 16, side, side], [17, taps]);
        let positions = side + 2 * padding + 1 - taps;
        let x = numbers(&images, 1);
        let w = numbers(&[17, 16, taps, taps], 2);
        let y = numbers(&[2, 17, positions, positions], 3);
        for large in [1e4, 1e6, 1e20] {
            let inputs = [
                [with(&x, 0, large), w.clone(), y.clone()],
                [with(&x, x.len() / 2 + side + 3, large), w.clone(), y.clone()],
                [x.clone(), with(&w, 5 * taps, large), y.clone()],
                [x.clone(), w.clone(), with(&y, positions + 2, -large)],
            ];
            for (number, [x, w, y]) in inputs.iter().enumerate() {
                let tape = Tape::new();
                let (image, filter) = (tape.variable(x), tape.variable(w));
                let result = image.conv2d(filter, Convolution::default().padding(padding));
                let adjoints = result.vjp(tape.constant(y), &[image, filter]);
                let [dx, dw] = adjoints[..] else { panic!("an adjoint for each operand") };
                let sums = products((images, filters, padding), [x, w, y]);
                for (result, sums) in [result, dx, dw].iter().zip(&sums) {
                    let error = errors(&result.value(), sums);
                    let of = format!("{taps} taps, {side} x {side}, {large:e} in operand {number}");
                    // The bound of the products by patches, for elements of usual size.
                    assert!(error < 1e-3, "{of}: {error:e} of the terms");
                }
            }
        }
    }
}

/// A NaN among the elements is the median, and every quantile.
#[test]
fn quantiles_of_what_holds_a_nan() {
    let tape = Tape::<f64>::new();
    for (count, place) in [(1, 0), (2, 0), (4, 2), (5, 0), (5, 4), (300, 7)] {
        let mut rows = Tensor::from_fn([2, count], |i| (i * 37 % 101) as f64);
        rows.as_mut_slice()[place] = f64::NAN;
        let x = tape.variable(rows);
        let without = x.slice(0, 1..);
        for q in [0.0, 0.25, 0.5, 0.99, 1.0] {
            let y = x.quantile(q, 1);
            let [of_nan, other] = [0, 1].map(|i| y.value().at(&[i]));
            assert!(of_nan.is_nan(), "quantile {q} of {count} elements: {of_nan}");
            assert_eq!(other, without.quantile(q, ..).item());
            // The derivative of the other row is as it was.
            let [dx] = y.slice(0, 1..).sum().grad([x]);
            assert_eq!(dx.value().iter().take(count).map(f64::abs).sum::<f64>(), 0.0);
            assert!((dx.value().iter().sum::<f64>() - 1.0).abs() < 1e-15);
        }
        assert!(x.median(1).value().at(&[0]).is_nan());
        assert!(x.median(..).item().is_nan());
    }
}

/// Whatever orders or compares elements finds a NaN, or keeps it.
#[test]
fn a_nan_is_not_lost() {
    type Function = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
    fn five<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        x.tape().constant(5.0)
    }
    let functions: [(&str, Function); 23] = [
        ("max_over", |x| x.max_over(-1)),
        ("min_over", |x| x.min_over(-1)),
        ("topk", |x| x.topk(1, -1).0),
        ("sort", |x| x.sort(-1).0.slice(-1, 8..)),
        ("max by argmax", |x| x.take_along_axis(-1, x.argmax(-1).unsqueeze(-1))),
        ("min by argmin", |x| x.take_along_axis(-1, x.argmin(-1).unsqueeze(-1))),
        ("median", |x| x.median(-1)),
        ("max_pool1d", |x| x.max_pool1d(Pooling::new(3)).sum()),
        ("max_pool2d", |x| x.reshape([3, 3]).max_pool2d(Pooling::new(2).stride(1)).sum()),
        ("avg_pool1d", |x| x.avg_pool1d(Pooling::new(3)).sum()),
        ("maximum", |x| x.maximum(five(x)).sum()),
        ("maximum of", |x| five(x).maximum(x).sum()),
        ("minimum", |x| x.minimum(five(x)).sum()),
        ("minimum of", |x| five(x).minimum(x).sum()),
        ("clamp", |x| x.clamp(0.0, 1.0).sum()),
        ("relu", |x| x.relu().sum()),
        ("abs", |x| x.abs().sum()),
        ("cumsum", |x| x.cumsum(-1).slice(-1, 8..)),
        ("log_cumsum_exp", |x| x.log_cumsum_exp(-1).slice(-1, 8..)),
        ("log_sum_exp", |x| x.log_sum_exp(-1)),
        ("softmax", |x| x.softmax(-1).sum()),
        ("norm", |x| x.norm(-1)),
        ("prod", |x| x.prod_over(-1)),
    ];
    let tape = Tape::<f64>::new();
    for place in 0..9 {
        let mut x = Tensor::from_fn([9], |i| i as f64 - 4.0);
        x.as_mut_slice()[place] = f64::NAN;
        let x = tape.variable(x);
        for (name, f) in functions {
            assert!(f(x).value().iter().all(f64::is_nan), "{name} of {x:?}: {}", f(x).value());
        }
    }
}
