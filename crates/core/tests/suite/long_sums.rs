//! Sums of a million terms in single precision: as if they were added in double precision, but
//! for a few units in the last place.
//!
//! Equal terms are the worst case, since the same rounding error is made at step after step:
//! added one after the other, a million of them are wrong by 0.1 to 1 %. The references are
//! loops in double precision over the same single numbers.

use wengert_core::op::{Convolution, Pooling};
use wengert_core::{Tape, Tensor, Var};

const MANY: usize = 1_000_000;
/// An `f32` has an error of 6e-8 at most, and what is added in blocks of some hundreds has
/// an error of some hundreds of those, if all go the same way.
const ALLOWED: f64 = 2e-5;

/// No power of two, so that sums are rounded.
const TERM: f32 = 0.1;

fn constant(shape: &[usize], x: f32) -> Tensor<f32> {
    Tensor::full(shape, x)
}

/// The largest relative error of numbers.
fn error(numbers: &Tensor<f32>, exact: impl Fn(usize) -> f64) -> f64 {
    let errors = numbers.iter().enumerate().map(|(i, x)| {
        let exact = exact(i);
        (f64::from(x) - exact).abs() / exact.abs()
    });
    errors.fold(0.0, |largest, error| if error <= largest { largest } else { error })
}

#[track_caller]
fn is_exact(name: &str, numbers: &Tensor<f32>, exact: impl Fn(usize) -> f64) {
    let error = error(numbers, exact);
    assert!(error <= ALLOWED, "{name}: a relative error of {error:e}");
}

fn gradient<const N: usize>(cost: Var<'_, f32>, inputs: [Var<'_, f32>; N]) -> [Tensor<f32>; N] {
    cost.grad(inputs).map(|x| x.value())
}

#[test]
fn running_sums() {
    let tape = Tape::<f32>::new();
    let term = f64::from(TERM);
    for width in [1, 3, 200] {
        let count = MANY / width.min(4);
        let x = tape.variable(constant(&[count, width], TERM));
        is_exact("cumsum", &x.cumsum(0).value(), |i| (i / width + 1) as f64 * term);
        let back = x.reverse_cumsum(0).value();
        is_exact("reverse_cumsum", &back, |i| (count - i / width) as f64 * term);
        let dx = gradient((x.cumsum(0) * TERM).sum(), [x]);
        is_exact("cumsum's gradient", &dx[0], |i| (count - i / width) as f64 * term);
    }
}

#[test]
fn recurrences() {
    let tape = Tape::<f32>::new();
    let term = f64::from(TERM);
    for width in [1, 3] {
        // s[i] = s[i - 1] + x, and with a factor that is almost 1.
        let x = tape.variable(constant(&[MANY, width], TERM));
        for factor in [1.0_f32, 0.999_999] {
            let a = tape.constant(constant(&[MANY, width], factor));
            let s = a.linear_recurrence(x, 0);
            let factor = f64::from(factor);
            let mut exact = Vec::new();
            let mut last = 0.0;
            for _ in 0..MANY {
                last = factor * last + term;
                exact.push(last);
            }
            is_exact("linear_recurrence", &s.value(), |i| exact[i / width]);
        }
        let factor = 1.000_001_f32;
        let a = tape.variable(constant(&[MANY, width], factor));
        let product = |i: usize| f64::from(factor).powi(i as i32 + 1);
        is_exact("cumprod", &a.cumprod(0).value(), |i| product(i / width));
        is_exact("prod", &a.prod_over(0).value(), |_| product(MANY - 1));
    }
}

#[test]
fn running_logarithms_of_sums() {
    let tape = Tape::<f32>::new();
    for width in [1, 3] {
        let x = tape.constant(constant(&[MANY, width], 0.25));
        let y = x.log_cumsum_exp(0).value();
        is_exact("log_cumsum_exp", &y, |i| 0.25 + ((i / width + 1) as f64).ln());
    }
    // The adjoint of each element: the sum of e^(x[i] - y[j]) over all j from i on.
    let x = tape.variable(constant(&[MANY], 0.25));
    let [dx] = gradient(x.log_cumsum_exp(0).slice(0, MANY - 1..).sum(), [x]);
    // It is a product of up to a million factors, each of them rounded.
    let error = error(&dx, |_| 1.0 / MANY as f64);
    assert!(error <= 5e-4, "log_cumsum_exp's gradient: a relative error of {error:e}");
    // The largest number last, so that the sum is scaled at the end.
    let x = tape.constant(Tensor::from_fn([MANY], |i| if i + 1 == MANY { 14.0 } else { 0.0 }));
    let y = x.log_cumsum_exp(0).slice(0, MANY - 1..).value();
    is_exact("log_cumsum_exp", &y, |_| ((MANY - 1) as f64 + 14_f64.exp()).ln());
    // Small terms beside a large one keep their digits.
    let x = tape.constant([0.0, -20.0]);
    let small = (-20_f64).exp().ln_1p();
    is_exact("log_cumsum_exp", &x.log_cumsum_exp(0).slice(0, 1..).value(), |_| small);
    let infinite = f32::INFINITY;
    for (x, expected) in [
        ([-infinite, -infinite, 1.0, -infinite], [-infinite, -infinite, 1.0, 1.0]),
        ([1.0, infinite, infinite, 2.0], [1.0, infinite, infinite, infinite]),
    ] {
        assert_eq!(tape.constant(x).log_cumsum_exp(0).value().to_vec(), expected);
    }
    let lost = tape.constant([1.0, f32::NAN, 2.0, infinite]).log_cumsum_exp(0).value();
    assert!(lost.iter().skip(1).all(|y| y.is_nan()), "{lost}");
}

#[test]
fn elements_that_are_added_at_one_place() {
    let tape = Tape::<f32>::new();
    let term = f64::from(TERM);
    for width in [1, 3] {
        let table = tape.variable(constant(&[5, width], 1.0));
        let ones = |i: usize| if i == 0 { MANY } else { usize::from(i == 3) };
        let places: Vec<usize> = (0..=MANY).map(|i| if i == 7 { 3 } else { 0 }).collect();
        let exact = |i: usize| ones(i / width) as f64 * term;
        let read = table.gather(0, places.clone());
        let [dx] = gradient((read * TERM).sum(), [table]);
        assert!(dx.iter().zip(0..).all(|(x, i)| exact(i) > 0.0 || x == 0.0), "{dx}");
        is_exact("gather", &dx.slice(0, 0, 2, 3), |i| exact(i / width * 3 * width));
        // Along the second axis, of two rows.
        let table = tape.variable(constant(&[2, 5, width], 1.0));
        let [dx] = gradient((table.gather(1, places.clone()) * TERM).sum(), [table]);
        is_exact("gather", &dx.slice(1, 0, 1, 1), |_| exact(0));
        assert!(dx.slice(1, 3, 1, 1).iter().all(|x| x == TERM), "{dx}");
        // Places on the tape, of whole rows and of elements.
        let on_tape = tape.constant(Tensor::from_fn([places.len(), 1], |i| places[i] as f32));
        let table = tape.variable(constant(&[5, width], 1.0));
        for places in [on_tape, on_tape.broadcast_to([places.len(), width])] {
            let [dx] = gradient((table.take_along_axis(0, places) * TERM).sum(), [table]);
            is_exact("take_along_axis", &dx.slice(0, 0, 1, 1), |_| exact(0));
            assert!(dx.slice(0, 3, 1, 1).iter().all(|x| x == TERM), "{dx}");
            assert!(dx.slice(0, 1, 2, 1).iter().all(|x| x == 0.0), "{dx}");
        }
    }
}

#[test]
fn sums_means_and_moments() {
    let tape = Tape::<f32>::new();
    let term = f64::from(TERM);
    for shape in [vec![MANY], vec![MANY, 3], vec![1000, 1000], vec![3, MANY]] {
        let x = tape.variable(constant(&shape, TERM));
        let count = x.elements() as f64;
        is_exact("sum", &x.sum().value(), |_| count * term);
        is_exact("mean", &x.mean().value(), |_| term);
        is_exact("sum_over", &x.sum_over(0).value(), |_| shape[0] as f64 * term);
        is_exact("norm", &x.norm(..).value(), |_| count.sqrt() * term);
        is_exact("logsumexp", &x.log_sum_exp(..).value(), |_| term + count.ln());
        // Two values as far from their mean on either side.
        let x = tape.constant(Tensor::from_fn(&shape[..], |i| if i % 2 == 0 { 0.3 } else { 0.1 }));
        let half = f64::from(0.3_f32 - 0.1_f32) / 2.0;
        is_exact("variance", &x.var_over(.., 0).value(), |_| half * half);
    }
    // An operand that a million results share.
    let shared = tape.variable([1.0, 2.0, 3.0]);
    let rows = tape.constant(constant(&[MANY, 3], TERM));
    let [d] = gradient((shared * rows).sum(), [shared]);
    is_exact("a shared operand", &d, |_| MANY as f64 * term);
}

/// Inner extents of a million, in every way that products have.
#[test]
fn products_of_many_terms() {
    let square = f64::from(TERM) * f64::from(TERM);
    for [m, n] in [[1, 1], [1, 5], [5, 1], [3, 4], [20, 17], [40, 33]] {
        let tape = Tape::<f32>::new();
        let k = if m * n > 100 { MANY / 4 } else { MANY };
        for (a_turned, b_turned) in [(false, false), (false, true), (true, false), (true, true)] {
            let factor = |rows, columns, is_turned| match is_turned {
                false => tape.constant(constant(&[rows, columns], TERM)),
                // Not a transposed view of equal elements, but memory that lies by columns.
                true => tape.constant(Tensor::full([columns, rows], TERM)).transpose(),
            };
            let product = factor(m, k, a_turned).matmul(factor(k, n, b_turned));
            let name = format!("{m} x {k} x {n}, {a_turned} {b_turned}");
            is_exact(&name, &product.value(), |_| k as f64 * square);
        }
        let (x, w) =
            (tape.constant(constant(&[k, m], TERM)), tape.variable(constant(&[m, n], 1.0)));
        let [dw] = gradient((x.matmul(w) * TERM).sum(), [w]);
        is_exact("the gradient of weights", &dw, |_| k as f64 * square);
    }
}

#[test]
fn filters_over_large_images() {
    let square = f64::from(TERM) * f64::from(TERM);
    // Direct, and by patches from 16 channels on.
    let cases: [([usize; 3], &[usize]); 3] =
        [([1, 1, 1024], &[1, 3, 5]), ([2, 9, 1024], &[3]), ([16, 16, 512], &[3, 5])];
    for ([channels, features, side], windows) in cases {
        for &taps in windows {
            let tape = Tape::<f32>::new();
            let image = tape.constant(constant(&[1, channels, side, side], TERM));
            let filters = tape.variable(constant(&[features, channels, taps, taps], 0.5));
            let y = image.conv2d(filters, Convolution::default());
            let positions = (side + 1 - taps) * (side + 1 - taps);
            let [dw] = gradient((y * TERM).sum(), [filters]);
            let name = format!("{channels} channels, {features} filters of {taps}");
            is_exact(&name, &dw, |_| positions as f64 * square);
            // Borders that only some taps see.
            let padded = image.conv2d(filters, Convolution::default().padding(taps / 2));
            let [dw] = gradient((padded * TERM).sum(), [filters]);
            let seen = |tap: usize| (side - tap.abs_diff(taps / 2)) as f64;
            is_exact(&name, &dw, |i| seen(i / taps % taps) * seen(i % taps) * square);
        }
    }
    // Many images of few positions.
    for (channels, side) in [(2, 2), (16, 4)] {
        let tape = Tape::<f32>::new();
        let count = 40_000;
        let images = tape.constant(constant(&[count, channels, side, side], TERM));
        let filters = tape.variable(constant(&[channels, channels, 3, 3], 0.5));
        let y = images.conv2d(filters, Convolution::default().padding(1));
        let [dw] = gradient((y * TERM).sum(), [filters]);
        let seen = |tap: usize| (side - tap.abs_diff(1)) as f64 * square.sqrt();
        let exact = |i: usize| count as f64 * seen(i / 3 % 3) * seen(i % 3);
        is_exact("many images", &dw, exact);
    }
}

#[test]
fn windows_of_many_elements() {
    let tape = Tape::<f32>::new();
    let x = tape.variable(constant(&[1, 1, 1024, 1024], TERM));
    is_exact("avg_pool2d", &x.avg_pool2d(Pooling::new(1024)).value(), |_| f64::from(TERM));
    is_exact("global mean", &x.adaptive_avg_pool2d([1, 1]).value(), |_| f64::from(TERM));
    // A filter as large as its image.
    let filter = tape.variable(constant(&[1, 1, 1024, 1024], TERM));
    let square = f64::from(TERM) * f64::from(TERM);
    let y = x.conv2d(filter, Convolution::default());
    is_exact("conv2d", &y.value(), |_| (1 << 20) as f64 * square);
}
