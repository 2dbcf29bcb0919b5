//! The number of threads changes no bit: of any op, of whole derivatives, eager and
//! compiled.
//!
//! One test sets the number at a time. The others may run with any, for that is
//! what is claimed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use wengert_core::op::registry::ops;
use wengert_core::op::samples::Sample;
use wengert_core::op::{Convolution, Elementwise, Pooling, Samples, ScatterAlong, TakeAlong};
use wengert_core::{Number, Real, Shape, Tape, Tensor, Var, View, compile_n, threads};

use super::reference::trial::with_threads_to_itself;

/// What `compute` gives with one thread, which it has to give with more as well.
pub fn on_any_number_of_threads<R: PartialEq>(name: &str, mut compute: impl FnMut() -> R) -> R {
    with_threads_to_itself(|| {
        threads::set(1);
        let alone = compute();
        for count in [2, 3] {
            threads::set(count);
            assert!(compute() == alone, "{name}: {count} threads compute other bits than one");
        }
        alone
    })
}

/// Numbers that look random, of both signs.
pub fn fill<T: Real>(shape: impl Into<Shape>, seed: usize) -> Tensor<T> {
    Tensor::from_fn(shape, |i| {
        let hash = ((i + seed * 7919) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        T::from_f64(hash as f64 / 2_f64.powi(23) - 1.0)
    })
}

fn bits<T: Real>(xs: impl IntoIterator<Item = T>) -> Vec<u64> {
    xs.into_iter().map(|x| x.as_f64().to_bits()).collect()
}

/// A sample's operands with the leading axis of some of them so long that the work
/// is shared out; only those that fit the op.
fn enlarged<T: Real>(sample: &Sample<T>) -> Option<Vec<Shape>> {
    const ELEMENTS: usize = 600_000;
    let shapes: Vec<Shape> = sample.args.iter().map(|(shape, _)| shape.clone()).collect();
    let most = shapes.iter().map(Shape::elements).max()?;
    let enlarge = |shape: &Shape| {
        let mut extents = shape.to_vec();
        *extents.first_mut()? *= ELEMENTS.div_ceil(most.max(1));
        (shape.elements() > 0).then(|| Shape::from(&extents[..]))
    };
    let only = |arg: usize| {
        let mut shapes = shapes.clone();
        shapes[arg] = enlarge(&shapes[arg])?;
        Some(shapes)
    };
    let all = || shapes.iter().map(enlarge).collect::<Option<Vec<_>>>();
    // An outer product of two long vectors would take all memory, and attention all day.
    let fits = |shapes: &Vec<Shape>| {
        let shapes: Vec<&Shape> = shapes.iter().collect();
        sample.op.shape(&shapes).is_ok_and(|result| {
            let work = sample.op.cost(&shapes, &result).total();
            result.elements() < 20 * ELEMENTS && work < 10_u64.pow(10)
        })
    };
    all().filter(fits).or_else(|| (0..shapes.len()).filter_map(only).find(fits))
}

/// Compares the values of all ops. Returns those of which no sample can be enlarged.
fn compare_every_op<T: Real>() -> Vec<&'static str> {
    let mut left_out = Vec::new();
    for entry in ops::<T>() {
        let enlarged = entry.samples.cases.iter().filter_map(|s| Some((s, enlarged(s)?)));
        let mut count = 0;
        for (sample, shapes) in enlarged.take(1) {
            count += 1;
            let args: Vec<Tensor<T>> = shapes
                .iter()
                .zip(&sample.args)
                .map(|(shape, (_, domain))| {
                    let from_unit = |x: T| {
                        let x = domain.low + (domain.high - domain.low) * (x.as_f64() + 1.0) / 2.0;
                        T::from_f64(if domain.is_mask { x.round() } else { x })
                    };
                    let numbers = fill::<T>(shape.clone(), 1);
                    Tensor::new(shape.clone(), numbers.iter().map(from_unit).collect::<Vec<_>>())
                })
                .collect();
            let result = sample.op.shape(&shapes.iter().collect::<Vec<_>>()).expect("it fits");
            on_any_number_of_threads(&format!("{} of {shapes:?}", entry.name), || {
                let views: Vec<View<'_, T>> = args.iter().map(Tensor::view).collect();
                let mut out = vec![T::zero(); result.elements()];
                sample.op.eval(&views, &result, &mut out);
                bits(out)
            });
        }
        if count == 0 {
            left_out.push(entry.name);
        }
    }
    left_out
}

#[test]
fn every_op() {
    // Their results have the shapes that they are given. They only copy.
    let left_out = ["broadcast", "reshape"];
    assert_eq!(compare_every_op::<f32>(), left_out);
    assert_eq!(compare_every_op::<f64>(), left_out);
}

/// A value that goes through kernels of every kind, and derivatives of it.
fn network<'t, T: Real>(x: Var<'t, T>, filters: Var<'t, T>, w: Var<'t, T>) -> [Var<'t, T>; 4] {
    let planes = x.conv2d(filters, Convolution::default().padding(1)).leaky_relu(0.1);
    let pooled = planes.max_pool2d(Pooling::new(3).stride(2));
    let averaged = planes.avg_pool2d(Pooling::new(3).stride(2));
    let rows = (pooled + averaged * T::from_f64(0.5)).flatten(1, -1);
    let hidden = (rows.matmul(w) + rows.sum_over(0).sum() * T::from_f64(0.01)).tanh();
    let normal = hidden.layer_norm(1e-5) * hidden.transpose().reshape(&hidden.shape()[..]);
    let chances = normal.softmax(-1) + hidden.log_softmax(-1).sigmoid();
    let y = (chances * hidden.log_sum_exp(-1).unsqueeze(-1)).sum_over(0).square().mean();
    let gradients = y.backward();
    let [dx, dfilters, dw] = [x, filters, w].map(|input| gradients.on_tape(input));
    [y, dx, dfilters, dw]
}

fn compare_networks<T: Real>() {
    let inputs = [fill::<T>([40, 3, 33, 33], 1), fill([8, 3, 3, 3], 2), fill([2048, 700], 3)];
    let read = |outputs: Vec<Tensor<T>>| -> Vec<Vec<u64>> {
        outputs.iter().map(|output| bits(output.iter())).collect()
    };
    let eager = on_any_number_of_threads("a network", || {
        let tape = Tape::new();
        let [x, filters, w] = [0, 1, 2].map(|i| tape.variable(&inputs[i]));
        read(network(x, filters, w).into_iter().map(|output| output.value()).collect())
    });
    let [x, filters, w] = &inputs;
    let mut program =
        compile_n(|[x, filters, w]| network(x, filters, w), [x, filters, w]).expect("no decisions");
    let compiled = on_any_number_of_threads("a compiled network", || {
        program.execute();
        read((0..4).map(|output| program.output(output)).collect())
    });
    assert!(eager == compiled, "a program computes other bits than the tape");
}

#[test]
fn derivatives_and_programs() {
    compare_networks::<f32>();
    compare_networks::<f64>();
}

/// Stripes of products must not depend on where they are cut, for any order of the
/// factors and any number of terms, one among them.
#[test]
fn products() {
    for [m, k, n] in [
        [1000, 37, 100],
        [100, 1200, 200],
        [200, 700, 32],
        [17, 2500, 400],
        [3, 5000, 900],
        [900, 3000, 7],
        [512, 784, 256],
        [301, 513, 299],
        [2000, 1, 701],
        [200_001, 1, 3],
    ] {
        let (a, b) = (fill::<f32>([m, k], 1), fill::<f32>([k, n], 2));
        let (a_turned, b_turned) = (fill::<f32>([k, m], 1), fill::<f32>([n, k], 2));
        on_any_number_of_threads(&format!("[{m}, {k}] times [{k}, {n}]"), || {
            let tape = Tape::new();
            let [a, b, a_turned, b_turned] =
                [&a, &b, &a_turned, &b_turned].map(|t| tape.constant(t));
            [(a, b), (a_turned.transpose(), b), (a, b_turned.transpose())]
                .map(|(a, b)| bits(a.matmul(b).value().iter()))
        });
    }
}

/// Convolutions of enough channels to go patch by patch, and their adjoints.
#[test]
fn convolutions_of_many_channels() {
    for window in [3, 5] {
        let (x, w) = (fill::<f32>([21, 18, 12, 12], 1), fill::<f32>([24, 18, window, window], 2));
        on_any_number_of_threads(&format!("windows of {window} x {window}"), || {
            let tape = Tape::new();
            let (x, w) = (tape.variable(&x), tape.variable(&w));
            let y = x.conv2d(w, Convolution::default().padding(window / 2));
            let [x, w] = y.vjp(y, &[x, w])[..] else { unreachable!("a cotangent for each") };
            [y, x, w].map(|result| bits(result.value().iter()))
        });
    }
}

/// Long sums over the first axis, with rows that end within a part of the tree; and copies of views
/// whose first axis is short or long, some of them backwards.
#[test]
fn sums_and_copies_of_views() {
    for [rows, columns] in [[400_000, 7], [40_001, 33], [16_384, 300], [90_000, 1]] {
        let x = fill::<f32>([rows, columns], 1);
        let sums = on_any_number_of_threads(&format!("sums of {rows} x {columns}"), || {
            let tape = Tape::new();
            tape.constant(&x).sum_over(0).value().to_vec()
        });
        let mut expected = vec![0.0_f64; columns];
        for (i, x) in x.iter().enumerate() {
            expected[i % columns] += f64::from(x);
        }
        for (sum, expected) in sums.iter().zip(expected) {
            let allowed = 1e-6 * (rows as f64).sqrt();
            assert!((f64::from(*sum) - expected).abs() < allowed, "{sum} is no {expected}");
        }
    }
    for shape in [[2, 700, 300], [500, 3, 400], [300_001, 2, 1], [1, 513, 1025]] {
        let x = fill::<f32>(shape, 1);
        for order in [[0, 2, 1], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
            let view = x.permute(&order);
            let extent = view.shape()[0];
            let copied = on_any_number_of_threads(&format!("{shape:?} as {order:?}"), || {
                let tape = Tape::new();
                let backwards = tape.constant(&view).flip(0);
                backwards.reshape([x.len()]).value().to_vec()
            });
            let inner = x.len() / extent;
            let whole: Vec<f32> = view.iter().collect();
            let expected = whole.chunks(inner).rev().flatten();
            assert!(copied.iter().eq(expected), "{shape:?} as {order:?}");
        }
    }
}

/// Rows and elements at indices, of one place before the axis and of many; few rows, to which many
/// are added, and many.
#[test]
fn indices_as_operands() {
    for (indices, shape, axis) in [
        (vec![300_000], vec![1000], 0),
        (vec![300_000], vec![7], 0),
        (vec![20_000, 1], vec![300, 33], 0),
        (vec![9000, 1], vec![300, 257], 0),
        (vec![3000, 50], vec![700, 50], 0),
        (vec![31, 7000], vec![31, 900], 1),
        (vec![1, 7000], vec![31, 900], 1),
        (vec![3, 5000, 1], vec![3, 100, 20], 1),
        (vec![3, 5000, 20], vec![3, 100, 20], 1),
    ] {
        let extent = shape[axis];
        let whole = |x: f32| ((x + 1.0) / 2.0 * extent as f32).floor().min(extent as f32 - 1.0);
        let places = fill::<f32>(Shape::from(&indices[..]), 1);
        let places =
            Tensor::new(places.shape().clone(), places.iter().map(whole).collect::<Vec<_>>());
        let x = fill::<f32>(Shape::from(&shape[..]), 2);
        let name = format!("{indices:?} along axis {axis} of {shape:?}");
        let [taken, added] = on_any_number_of_threads(&name, || {
            let tape = Tape::new();
            let (places, x) = (tape.constant(&places), tape.variable(&x));
            let taken = tape.apply(TakeAlong { axis }, &[places, x]);
            let added = tape.apply(ScatterAlong { axis, extent }, &[places, taken]);
            [taken, added].map(|y| y.value().iter().collect::<Vec<_>>())
        });
        // Against the definition, one element after the other, in double precision.
        let inner: usize = shape[axis + 1..].iter().product();
        let mut moved = shape.clone();
        moved[axis] = indices[axis];
        let places = places.broadcast_to(Shape::from(&moved[..]));
        let xs: Vec<f32> = x.iter().collect();
        let mut sums = vec![0.0_f64; xs.len()];
        for (i, place) in places.iter().enumerate() {
            let outer = i / inner / indices[axis];
            let from = (outer * extent + place as usize) * inner + i % inner;
            assert_eq!(taken[i], xs[from], "{name}: {i}");
            sums[from] += f64::from(taken[i]);
        }
        for (i, (found, sum)) in added.iter().zip(sums).enumerate() {
            assert!((f64::from(*found) - sum).abs() < 1e-4 * (1.0 + sum.abs()), "{name}: {i}");
        }
    }
}

/// Another thread may set the number at any moment, also while a kernel cuts its work.
#[test]
fn the_number_changes_meanwhile() {
    let (a, b) = (fill::<f32>([40, 256], 1), fill::<f32>([256, 500], 2));
    let mut tape = Tape::new();
    let mut product = || {
        tape.reset();
        let [a, b] = [&a, &b].map(|t| tape.constant(t));
        a.matmul(b).value()
    };
    with_threads_to_itself(|| {
        let expected = product();
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(Relaxed) {
                    (1..=3).for_each(threads::set);
                }
            });
            let compute = AssertUnwindSafe(|| (0..20_000).all(|_| product() == expected));
            let computed = catch_unwind(compute);
            is_done.store(true, Relaxed);
            assert!(computed.expect("no product panics"), "the bits are others");
        });
    });
}

#[test]
fn a_panic_of_one_thread_reaches_the_caller() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Fragile;

    impl Elementwise<1> for Fragile {
        const NAME: &'static str = "fragile";
        fn eval<A: Number>(self, [x]: [A; 1]) -> A {
            A::opaque([x], |[x]| {
                assert!(x < 399_990.0, "too much");
                x
            })
        }
        fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
            x.constant(1.0)
        }
        fn samples(_: &mut Samples<Self>) {}
    }

    let x = Tensor::from_fn([400_000], |i| i as f64);
    on_any_number_of_threads("a panic", || {
        let panic = std::panic::catch_unwind(|| {
            let tape = Tape::new();
            tape.constant(&x).apply(Fragile).value()
        });
        let panic = panic.expect_err("the last element is too much");
        panic.downcast_ref::<&str>().map(|message| message.to_string())
    });
}
