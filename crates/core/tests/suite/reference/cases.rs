//! Ops whose parameters depend on the shapes of their operands, and kernels whose ways are
//! chosen by several extents together.

use std::rc::Rc;
use std::slice::from_ref;

use wengert_core::op::{
    ArgSort, Attention, AttentionAdjoint, AvgPool2d, AvgUnpool2d, BatchNorm, BroadcastTo,
    ChannelMoments, Cholesky, Concat, Conv2d, Conv2dWeights, ConvTranspose2d, Convolution, CumSum,
    Domain, DynOp, Eigh, Expm, Gather, GatherMax2d, LayerNorm, LinearRecurrence, LogAbsDet,
    LogCumSumExp, LogSoftmax, LogSumExp, Matmul, MatmulTransposed, Max, MaxPool2d, Mean, Norm,
    Operation, Pad, Permute, Pooling, Qr, Reshape, ScatterAdd, ScatterAlong, ScatterMax2d, SignDet,
    Slice, Softmax, Solve, SolveTriangular, Stack, Sum, SumTo, Svd, TakeAlong, Triangle,
};
use wengert_core::{Real, Shape};

use super::operands::Layout;
use super::sizes::{self, around};
use super::trial::{Trials, operands};

fn erased<T: Real, F>(op: impl Operation<T, F>) -> Rc<dyn DynOp<T>> {
    Rc::new(op.into_dyn())
}

fn reals(shape: &[usize]) -> (Shape, Domain) {
    (Shape::from(shape), Domain::reals())
}

/// Tries an op on operands of numbers from -2 to 2, in a layout that takes its turn.
fn attempt<T: Real, F>(trials: &mut Trials, op: impl Operation<T, F>, shapes: &[&[usize]]) {
    let args: Vec<(Shape, Domain)> = shapes.iter().map(|shape| reals(shape)).collect();
    attempt_on(trials, op, &args);
}

fn attempt_on<T: Real, F>(trials: &mut Trials, op: impl Operation<T, F>, args: &[(Shape, Domain)]) {
    if !trials.is_due() {
        return;
    }
    let rank = args.iter().map(|(shape, _)| shape.rank()).max().unwrap_or(0);
    let axis = trials.comparisons / 4 % rank.max(1);
    let layout = match trials.comparisons / 2 % 4 {
        0 => Layout::Transposed,
        1 => Layout::Strided,
        2 => Layout::Backwards(axis),
        _ => Layout::Part(axis),
    };
    let (op, args) = (erased(op), operands::<T>(args));
    trials.all(&op, &args, &[layout]);
    if trials.comparisons.is_multiple_of(10) {
        trials.repeated(&op, &args, axis);
    }
}

pub fn all<T: Real>(mut trials: Trials) -> Trials {
    sums::<T>(&mut trials);
    long_rows::<T>(&mut trials);
    channels::<T>(&mut trials);
    movement::<T>(&mut trials);
    places::<T>(&mut trials);
    scans::<T>(&mut trials);
    products::<T>(&mut trials);
    attention::<T>(&mut trials);
    convolutions::<T>(&mut trials);
    pools::<T>(&mut trials);
    matrices::<T>(&mut trials);
    trials
}

/// The axes of a set that is written as bits.
fn members(set: usize, rank: usize) -> Vec<usize> {
    (0..rank).filter(|axis| set >> axis & 1 == 1).collect()
}

/// Sums over every set of axes, with every axis the long one: kept ones stand before, between and
/// behind those that are summed.
fn sums<T: Real>(trials: &mut Trials) {
    for size in around() {
        for (long, short) in [(0, [2, 3, 2]), (1, [2, 3, 2]), (2, [2, 2, 3]), (3, [3, 2, 2])] {
            let mut shape = short.to_vec();
            shape.insert(long, size);
            for set in 1..16 {
                let axes = members(set, 4);
                let keep = set % 3 == 0;
                let kept: Vec<usize> =
                    (0..4).map(|axis| if axes.contains(&axis) { 1 } else { shape[axis] }).collect();
                attempt::<T, _>(trials, Sum { axes: axes[..].into(), keep }, &[&shape]);
                if (set + long + size) % 3 == 0 {
                    attempt::<T, _>(trials, Mean { axes: axes[..].into(), keep }, &[&shape]);
                    let to = SumTo { shape: kept[..].into() };
                    attempt::<T, _>(trials, to, &[&shape]);
                    let leading = kept.iter().take_while(|&&extent| extent == 1).count();
                    let to = SumTo { shape: kept[leading..].into() };
                    attempt::<T, _>(trials, to, &[&shape]);
                }
                if (set + long + size) % 5 == 0 {
                    attempt::<T, _>(trials, BroadcastTo { shape: shape[..].into() }, &[&kept]);
                }
            }
        }
        for shape in [vec![size], vec![size, 33], vec![33, size], vec![2, size, 129]] {
            for axis in 0..shape.len() {
                let op = Sum { axes: [axis][..].into(), keep: false };
                attempt::<T, _>(trials, op, &[&shape]);
            }
        }
    }
}

/// Rows that are cut into parts for threads.
fn long_rows<T: Real>(trials: &mut Trials) {
    for size in [32_767, 32_769, 66_000, 250_001] {
        attempt::<T, _>(trials, Sum { axes: [0][..].into(), keep: false }, &[&[size]]);
        attempt::<T, _>(trials, Mean { axes: [0][..].into(), keep: false }, &[&[size]]);
    }
    for size in [32_769, 66_000] {
        attempt::<T, _>(trials, Sum { axes: [1][..].into(), keep: false }, &[&[2, size, 2]]);
        attempt::<T, _>(trials, Sum { axes: [0][..].into(), keep: false }, &[&[size, 3]]);
        attempt::<T, _>(trials, Max, &[&[2, size]]);
        attempt::<T, _>(trials, Norm { epsilon: 0.0 }, &[&[size]]);
        attempt::<T, _>(trials, LogSumExp, &[&[size]]);
        attempt::<T, _>(trials, Softmax, &[&[2, size]]);
        attempt::<T, _>(trials, LogSoftmax, &[&[size]]);
        attempt::<T, _>(trials, LayerNorm { epsilon: 1e-5 }, &[&[2, size]]);
        attempt::<T, _>(trials, Matmul, &[&[size], &[size]]);
        attempt::<T, _>(trials, CumSum { axis: 0, reverse: false }, &[&[size]]);
    }
}

/// Channels that are brought together in rows: many of them, long ones, and pieces of one element.
fn channels<T: Real>(trials: &mut Trials) {
    let mut on = |shape: &[usize]| {
        let each = [shape[1]];
        attempt::<T, _>(trials, BatchNorm { epsilon: 1e-3 }, &[shape, &each, &each]);
        attempt::<T, _>(trials, ChannelMoments { correction: 1 }, &[shape]);
    };
    for (number, size) in around().into_iter().enumerate() {
        let shapes = [&[2, size][..], &[2, 3, size], &[size, 3], &[3, size, 2]];
        on(shapes[number % 4]);
        on(shapes[(number + 1) % 4]);
    }
    for shape in [&[33_000, 3][..], &[5, 3, 70, 100], &[130, 70, 4, 5]] {
        on(shape);
    }
}

fn movement<T: Real>(trials: &mut Trials) {
    const ORDERS: [[usize; 3]; 5] = [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (number, size) in around().into_iter().enumerate() {
        for long in 0..3 {
            let mut shape = vec![2, 3];
            shape.insert(long, size);
            let order = ORDERS[(number + long) % 5];
            attempt::<T, _>(trials, Permute { order: order[..].into() }, &[&shape]);
            let flat = [size * 2, 3];
            attempt::<T, _>(trials, Reshape { shape: flat[..].into() }, &[&shape]);
            for axis in 0..3 {
                let extent = shape[axis];
                for step in [-2, -1, 1, 3] {
                    let count = extent.div_ceil(step_size(step)).saturating_sub(extent % 2);
                    let span = count.saturating_sub(1) * step_size(step);
                    let start = if step < 0 { span } else { extent.saturating_sub(span + 1) };
                    if count > 0 {
                        let op = Slice { axis, start, count, step };
                        attempt::<T, _>(trials, op, &[&shape]);
                    }
                    let span = extent.saturating_sub(1) * step_size(step);
                    let start = if step < 0 { span + 1 } else { 2 };
                    let op = Pad { axis, start, step, extent: span + 4 };
                    attempt::<T, _>(trials, op, &[&shape]);
                }
                let other = |extent: usize| {
                    let mut shape = shape.clone();
                    shape[axis] = extent;
                    shape
                };
                let shapes: [&[usize]; 3] = [&shape, &other(1), &other(size)];
                attempt::<T, _>(trials, Concat { axis }, &shapes);
                attempt::<T, _>(trials, Stack { axis: axis + number % 2 }, &[&shape, &shape]);
            }
        }
        let middle = size as isize / 2;
        for (upper, diagonal) in [(true, 0), (false, 0), (true, 1 - middle), (false, middle)] {
            for shape in [[2, size, 3], [2, 3, size]] {
                attempt::<T, _>(trials, Triangle { upper, diagonal }, &[&shape]);
            }
        }
    }
}

fn step_size(step: isize) -> usize {
    step.unsigned_abs()
}

fn places<T: Real>(trials: &mut Trials) {
    for size in around().into_iter().filter(|&size| size > 0) {
        // Steps that have no divisor in common with most sizes, so that some places repeat.
        let indices: Vec<usize> = (0..size + 2).map(|i| i * i * 7 % size).collect();
        for axis in 0..3 {
            let mut shape = vec![2, 3];
            shape.insert(axis, size);
            let mut many = shape.clone();
            many[axis] = size + 2;
            let op = Gather { axis, indices: indices[..].into() };
            attempt::<T, _>(trials, op, &[&shape]);
            for extent in [size, 3.max(size / 4)] {
                let indices: Vec<usize> = indices.iter().map(|i| i % extent).collect();
                let op = ScatterAdd { axis, indices: indices[..].into(), extent };
                attempt::<T, _>(trials, op, &[&many]);
                let domain = Domain::indices(extent);
                let op = ScatterAlong { axis, extent };
                let whole = (Shape::from(&many[..]), domain);
                attempt_on::<T, _>(trials, op, &[whole, reals(&many)]);
                let mut thin = [1; 3];
                thin[axis] = size + 2;
                let thin = (Shape::from(&thin[..]), domain);
                attempt_on::<T, _>(trials, op, &[thin, reals(&many)]);
            }
            let domain = Domain::indices(size);
            for extent in [1, size + 2] {
                let (mut wanted, mut thin) = (shape.clone(), [1; 3]);
                (wanted[axis], thin[axis]) = (extent, extent);
                for places in [&wanted[..], &thin] {
                    let places = (Shape::from(places), domain);
                    attempt_on::<T, _>(trials, TakeAlong { axis }, &[places, reals(&shape)]);
                }
            }
        }
        for count in [1, size.div_ceil(2), size] {
            for descending in [false, true] {
                attempt::<T, _>(trials, ArgSort { descending, count }, &[&[3, size]]);
            }
        }
    }
}

fn scans<T: Real>(trials: &mut Trials) {
    for size in around() {
        for axis in 0..3 {
            for long in 0..3 {
                let mut shape = vec![2, 3];
                shape.insert(long, size);
                for reverse in [false, true] {
                    attempt::<T, _>(trials, CumSum { axis, reverse }, &[&shape]);
                    // Coefficients below 1, so that nothing grows beyond the range.
                    let a = (Shape::from(&shape[..]), Domain::between(-0.9, 0.9));
                    let op = LinearRecurrence { axis, reverse };
                    attempt_on::<T, _>(trials, op, &[a, reals(&shape)]);
                }
                attempt::<T, _>(trials, LogCumSumExp { axis }, &[&shape]);
            }
        }
    }
}

fn products<T: Real>(trials: &mut Trials) {
    let mut product = |a: &[usize], b: &[usize]| {
        attempt::<T, _>(trials, Matmul, &[a, b]);
        let mut turned = b.to_vec();
        if let [.., k, n] = b {
            let rank = b.len();
            (turned[rank - 2], turned[rank - 1]) = (*n, *k);
            attempt::<T, _>(trials, MatmulTransposed, &[a, &turned]);
        }
    };
    for (number, n) in around().into_iter().enumerate() {
        for [m, k, n] in [[n, 3, 5], [3, n, 5], [5, 3, n], [n, 1, 2], [1, n, 9], [2, 2, n]] {
            product(&[m, k], &[k, n]);
        }
        if number % 4 == 0 && n < 600 {
            for [m, k, n] in [[n, 17, 33], [33, n, 17], [17, 33, n], [9, n, 65]] {
                product(&[m, k], &[k, n]);
            }
        }
        product(&[n], &[n]);
        product(&[n], &[n, 3]);
        product(&[2, n], &[n]);
        // A batch, on both sides, on one, and stretched.
        product(&[2, 3, n], &[2, n, 2]);
        product(&[n, 2, 3], &[3, 2]);
        product(&[2, 3], &[n, 3, 2]);
        product(&[2, 1, 3, 4], &[n, 4, 2]);
    }
    for shape in [[33, 65, 129], [129, 33, 65], [65, 129, 33], [64, 64, 64], [40, 530, 24]] {
        let [m, k, n] = shape;
        product(&[m, k], &[k, n]);
    }
}

/// Attention of every number of queries, of keys, of the width and of outputs.
fn attention<T: Real>(trials: &mut Trials) {
    for (number, n) in around().into_iter().enumerate() {
        let causal = number % 2 == 0;
        let mut run = |lead: &[usize], [queries, keys, width, outputs]: [usize; 4], causal| {
            let of = |matrix: [usize; 2]| [lead, &matrix].concat();
            let [q, k, v] = [[queries, width], [keys, width], [keys, outputs]].map(of);
            let op = Attention { scale: 0.5, causal };
            attempt::<T, _>(trials, op, &[&q, &k, &v]);
            if width == outputs {
                attempt::<T, _>(trials, AttentionAdjoint(op), &[&q, &k, &v, &q]);
            }
        };
        run(&[], [n, 5, 3, 2], causal);
        run(&[2], [7, n, 2, 3], causal);
        run(&[], [n, n, 3, 5], !causal);
        run(&[], [5, 6, n, 3], causal);
        run(&[2, 1], [4, 5, 3, n], !causal);
        run(&[], [n, 3, 2, 2], !causal);
        run(&[], [5, n, 3, 3], causal);
        run(&[2], [4, 5, n, n], !causal);
    }
    for heads in [1, 5] {
        let shapes: [&[usize]; 3] = [&[heads, 130, 33], &[heads, 130, 33], &[heads, 130, 65]];
        attempt::<T, _>(trials, Attention { scale: 0.25, causal: heads == 1 }, &shapes);
    }
}

/// A convolution and its two transposes.
fn convolution<T: Real>(
    trials: &mut Trials,
    convolution: Convolution,
    [images, channels, features]: [usize; 3],
    [height, width]: [usize; 2],
    [i, j]: [usize; 2],
) {
    let Convolution { stride, padding, dilation, groups } = convolution;
    let positions = |axis: usize, extent: usize, taps: usize| {
        let padded = padding[axis][0] + extent + padding[axis][1];
        padded.checked_sub((taps - 1) * dilation[axis] + 1).map(|room| room / stride[axis] + 1)
    };
    let (Some(p), Some(q)) = (positions(0, height, i), positions(1, width, j)) else { return };
    let x = [images, channels * groups, height, width];
    let w = [features * groups, channels, i, j];
    let y = [images, features * groups, p, q];
    let size = [height, width];
    attempt::<T, _>(trials, Conv2d(convolution), &[&x, &w]);
    attempt::<T, _>(trials, ConvTranspose2d { convolution, size }, &[&y, &w]);
    attempt::<T, _>(trials, Conv2dWeights { convolution, window: [i, j] }, &[&x, &y]);
}

fn convolutions<T: Real>(trials: &mut Trials) {
    let plain = Convolution::default();
    for (number, n) in around().into_iter().enumerate().filter(|&(_, n)| n > 0) {
        let of = match number % 4 {
            0 => plain,
            1 => plain.padding(1),
            2 => plain.stride(2).padding([[0, 1], [1, 0]]),
            _ => plain.dilation(2).padding(2),
        };
        let taps = [[3, 3], [1, 1], [2, 3], [5, 5], [1, 3]][number % 5];
        let mut run = |of, counts, plane| convolution::<T>(trials, of, counts, plane, taps);
        run(of, [2, 2, 3], [6, n]);
        run(of, [2, 2, 3], [n, 6]);
        if n < 140 {
            run(of, [n, 2, 2], [5, 5]);
            run(of, [2, n, 2], [5, 6]);
            run(of, [2, 2, n], [6, 5]);
            run(of.groups(n), [1, 1, 2], [5, 5]);
        }
    }
    // Many channels, which go by fewer multiplications where the window is square and small, and
    // the results are many.
    for [channels, features] in [[15, 16], [16, 16], [17, 19], [16, 33], [33, 16]] {
        let few = [([5, 9], 3), ([4, 4], 3), ([7, 6], 5), ([9, 8], 5)].map(|of| (3, of));
        let many = [([18, 19], 3), ([16, 17], 5)].map(|of| (9, of));
        for (images, (plane, taps)) in few.into_iter().chain(many) {
            let of = plain.padding(channels % 2);
            convolution::<T>(trials, of, [images, channels, features], plane, [taps, taps]);
        }
    }
}

fn pools<T: Real>(trials: &mut Trials) {
    for (number, n) in around().into_iter().enumerate().filter(|&(_, n)| n > 0) {
        let poolings: [Pooling; 6] = [
            Pooling::new(2),
            Pooling::new(3).stride(2).padding([[0, 1], [0, 1]]),
            Pooling::new(3).stride(1).padding(1),
            Pooling::new([1, 3]).stride([2, 1]).padding([[0, 0], [2, 1]]),
            Pooling::new(4).stride(3).padding([[1, 2], [2, 0]]),
            Pooling::new(1).stride(2),
        ];
        for pooling in [poolings[number % 6], poolings[(number + 1) % 6]] {
            for shape in [[2, 5, n], [2, n, 5], [n, 4, 4]] {
                let positions = |axis: usize| {
                    let padding: usize = pooling.padding[axis].iter().sum();
                    let room = (padding + shape[axis + 1]).checked_sub(pooling.window[axis])?;
                    Some(room / pooling.stride[axis] + 1)
                };
                let (Some(p), Some(q)) = (positions(0), positions(1)) else { continue };
                let y = [shape[0], p, q];
                let size = [shape[1], shape[2]];
                attempt::<T, _>(trials, AvgPool2d(pooling), &[&shape]);
                attempt::<T, _>(trials, AvgUnpool2d { pooling, size }, &[&y]);
                attempt::<T, _>(trials, MaxPool2d(pooling), &[&shape]);
                attempt::<T, _>(trials, GatherMax2d(pooling), &[&shape, &shape]);
                attempt::<T, _>(trials, ScatterMax2d(pooling), &[&shape, &y]);
            }
        }
    }
}

fn matrices<T: Real>(trials: &mut Trials) {
    let matrix = |shape: &[usize]| (Shape::from(shape), Domain::matrix());
    for n in sizes::around().into_iter().filter(|&n| n < 35) {
        let square = matrix(&[2, n, n]);
        attempt_on::<T, _>(trials, Solve, &[square.clone(), reals(&[2, n, 3])]);
        for upper in [false, true] {
            let op = SolveTriangular { upper, unit: n % 2 == 1 };
            attempt_on::<T, _>(trials, op, &[square.clone(), reals(&[2, n, 3])]);
        }
        attempt_on::<T, _>(trials, LogAbsDet, from_ref(&square));
        attempt_on::<T, _>(trials, SignDet, from_ref(&square));
        attempt_on::<T, _>(trials, Cholesky, from_ref(&square));
        attempt_on::<T, _>(trials, Eigh, from_ref(&square));
        for rows in [n, n + 1, 2 * n] {
            attempt_on::<T, _>(trials, Qr, &[matrix(&[2, rows, n])]);
            attempt_on::<T, _>(trials, Svd, &[matrix(&[2, rows, n])]);
        }
        let small = (Shape::from([2, n, n]), Domain::between(-0.3, 0.3));
        attempt_on::<T, _>(trials, Expm, &[small]);
    }
    for n in [63, 64, 65] {
        attempt_on::<T, _>(trials, Solve, &[matrix(&[n, n]), reals(&[n, n])]);
        attempt_on::<T, _>(trials, Eigh, &[matrix(&[n, n])]);
        attempt_on::<T, _>(trials, Svd, &[matrix(&[n + 1, n])]);
    }
}
