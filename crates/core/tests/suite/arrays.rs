//! Scans, orders and arrangements of elements, against loops over their definitions.

use wengert_core::{Tape, Tensor, Var, compile_n, concat, grad, hessian, jacobian};

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * (1.0 + a.abs().max(b.abs()))
}

#[track_caller]
fn assert_close(found: &Tensor<f64>, expected: &[f64]) {
    let found = found.to_vec();
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!(close(*a, *b), "{found:?}, not {expected:?}");
    }
}

/// Numbers that look random, some of them equal.
fn fill(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|i| (((i * 31 + seed * 17) * 7919) % 23) as f64 - 11.0).collect()
}

fn tensor(shape: &[usize], seed: usize) -> Tensor<f64> {
    Tensor::new(shape, fill(shape.iter().product(), seed))
}

fn value(x: &Tensor<f64>, f: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>) -> Tensor<f64> {
    let tape = Tape::new();
    f(tape.constant(x)).value()
}

/// The product of all elements but those at some places.
fn product_without(x: &[f64], left_out: &[usize]) -> f64 {
    (0..x.len()).filter(|i| !left_out.contains(i)).map(|i| x[i]).product()
}

const WITH_ZEROS: [[f64; 5]; 5] = [
    [1.5, -2.0, 0.5, 3.0, -1.0],
    [1.5, 0.0, 0.5, 3.0, -1.0],
    [0.0, -2.0, 0.5, 0.0, -1.0],
    [1.5, 0.0, 0.0, 3.0, 0.0],
    [0.0; 5],
];

#[test]
fn products_with_zeros_among_their_factors() {
    for x in WITH_ZEROS {
        let tensor = Tensor::from(x);
        let gradient: Vec<f64> = (0..5).map(|i| product_without(&x, &[i])).collect();
        assert_close(&grad(|x| x.prod(), &tensor), &gradient);
        let second = |i: usize, j: usize| if i == j { 0.0 } else { product_without(&x, &[i, j]) };
        let bend: Vec<f64> = (0..25).map(|k| second(k / 5, k % 5)).collect();
        assert_close(&hessian(|x| x.prod(), &tensor), &bend);
        // The third derivative in the direction of ones, of which none is left out.
        let tape = Tape::new();
        let (var, one) = (tape.variable(&tensor), tape.constant(Tensor::ones([5])));
        let third = (0..3).fold(var.prod(), |y, _| y.jvp(&[(var, one)])).item();
        let mut expected = 0.0;
        for i in 0..5 {
            for j in (0..5).filter(|&j| j != i) {
                for k in (0..5).filter(|&k| k != i && k != j) {
                    expected += product_without(&x, &[i, j, k]);
                }
            }
        }
        assert!(close(third, expected), "{third}, not {expected}");
    }
}

#[test]
fn running_products_with_zeros_among_their_factors() {
    let weights = [1.0, -0.5, 2.0, 0.25, 3.0];
    for x in WITH_ZEROS {
        let tensor = Tensor::from(x);
        let running: Vec<f64> = (0..5).map(|i| x[..=i].iter().product()).collect();
        assert_close(&value(&tensor, |x| x.cumprod(0)), &running);
        let slope = |i: usize, k: usize| if k > i { 0.0 } else { product_without(&x[..=i], &[k]) };
        let slopes: Vec<f64> = (0..25).map(|p| slope(p / 5, p % 5)).collect();
        assert_close(&jacobian(|x| x.cumprod(0), &tensor), &slopes);
        let bend = |k: usize, l: usize| {
            let reached = (k.max(l)..5).filter(|_| k != l);
            reached.map(|i| weights[i] * product_without(&x[..=i], &[k, l])).sum::<f64>()
        };
        let bends: Vec<f64> = (0..25).map(|p| bend(p / 5, p % 5)).collect();
        let bend = hessian(|x| (x.cumprod(0) * x.tape().constant(weights)).sum(), &tensor);
        assert_close(&bend, &bends);
    }
}

#[test]
fn scans_along_every_axis() {
    for shape in [vec![1], vec![7], vec![8], vec![41], vec![3, 9, 2], vec![2, 17], vec![0, 3]] {
        for axis in 0..shape.len() {
            let x = tensor(&shape, 1);
            let inner: usize = shape[axis + 1..].iter().product();
            let elements = x.to_vec();
            let sum = |place: usize, reverse: bool| -> f64 {
                let own = place / inner % shape[axis];
                let places = if reverse { own..shape[axis] } else { 0..own + 1 };
                places.map(|k| elements[place + k * inner - own * inner]).sum()
            };
            for reverse in [false, true] {
                let expected: Vec<f64> = (0..x.len()).map(|i| sum(i, reverse)).collect();
                let along = axis as isize;
                let found = value(&x, |x| match reverse {
                    true => x.reverse_cumsum(along),
                    false => x.cumsum(along),
                });
                assert_eq!(found.to_vec(), expected, "{shape:?} along {axis}");
                // The running logarithm is that of the running sum of exponentials.
                if !reverse {
                    let small = x.map(|x| x / 11.0);
                    let found = value(&small, |x| x.log_cumsum_exp(along).exp());
                    assert_close(&found, &value(&small, |x| x.exp().cumsum(along)).to_vec());
                }
            }
        }
    }
    let tape = Tape::<f64>::new();
    let infinite = tape.constant([f64::NEG_INFINITY, f64::NEG_INFINITY, 1.0, f64::INFINITY]);
    let found = infinite.log_cumsum_exp(0).value().to_vec();
    assert_eq!(found, [f64::NEG_INFINITY, f64::NEG_INFINITY, 1.0, f64::INFINITY]);
}

#[test]
fn variances_and_deviations() {
    let x = tensor(&[3, 4, 5], 2);
    for correction in [0, 1] {
        let expected: Vec<f64> = (0..4)
            .map(|j| {
                let group: Vec<f64> = (0..15).map(|k| x.at(&[k / 5, j, k % 5])).collect();
                let mean = group.iter().sum::<f64>() / 15.0;
                let squares: f64 = group.iter().map(|x| (x - mean).powi(2)).sum();
                squares / (15 - correction) as f64
            })
            .collect();
        assert_close(&value(&x, |x| x.var_over([0, 2], correction)), &expected);
        let roots: Vec<f64> = expected.iter().map(|x| x.sqrt()).collect();
        assert_close(&value(&x, |x| x.std_over([0, 2], correction)), &roots);
    }
    let constant = Tensor::from([2.0, 2.0]);
    assert_eq!(grad(|x| x.std_over(.., 1), &constant).to_vec(), [0.0, 0.0]);
    assert!(value(&Tensor::from([2.0]), |x| x.var_over(.., 1)).item().is_nan());
}

#[test]
fn orders_of_rows() {
    for (shape, axis) in [(vec![40], 0), (vec![6, 9], 0), (vec![6, 9], 1), (vec![3, 7, 2], 1)] {
        let x = tensor(&shape, 3);
        let along = axis as isize;
        let extent = shape[axis];
        let inner: usize = shape[axis + 1..].iter().product();
        let elements = x.to_vec();
        let tape = Tape::new();
        let var = tape.variable(&x);
        let (sorted, places) = var.sort(along);
        let (largest, largest_places) = var.topk(3, along);
        assert_eq!(places.value(), var.argsort(along).value());
        assert!(!places.is_active() && sorted.is_active());
        let put = |index: usize, k: usize, extent: usize| {
            index / inner * extent * inner + k * inner + index % inner
        };
        for lane in 0..elements.len() / extent {
            let row: Vec<f64> = (0..extent).map(|k| elements[put(lane, k, extent)]).collect();
            let mut order: Vec<usize> = (0..extent).collect();
            order.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
            let mut reverse: Vec<usize> = (0..extent).collect();
            reverse.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            for k in 0..extent {
                let place = put(lane, k, extent);
                assert_eq!(places.value().to_vec()[place], order[k] as f64);
                assert_eq!(sorted.value().to_vec()[place], row[order[k]]);
            }
            for k in 0..3 {
                let place = put(lane, k, 3);
                assert_eq!(largest_places.value().to_vec()[place], reverse[k] as f64);
                assert_eq!(largest.value().to_vec()[place], row[reverse[k]]);
            }
            assert_eq!(var.argmax(along).value().to_vec()[lane], reverse[0] as f64);
            assert_eq!(var.argmin(along).value().to_vec()[lane], order[0] as f64);
            let median = (row[order[(extent - 1) / 2]] + row[order[extent / 2]]) / 2.0;
            assert_eq!(var.median(along).value().to_vec()[lane], median);
        }
    }
}

#[test]
fn equal_elements_and_those_that_are_none() {
    let x = Tensor::from([1.0, f64::NAN, -0.0, 1.0, 0.0, f64::INFINITY, f64::NEG_INFINITY]);
    let order = value(&x, |x| x.argsort(0)).to_vec();
    assert_eq!(order, [6.0, 2.0, 4.0, 0.0, 3.0, 5.0, 1.0]);
    let places = |k: usize| value(&x, |x| x.topk(k, 0).1).to_vec();
    assert_eq!(places(7), [1.0, 5.0, 0.0, 3.0, 2.0, 4.0, 6.0]);
    assert_eq!(places(3), places(7)[..3]);
    assert_eq!(value(&x, |x| x.argmax(0)).item(), 1.0);
    assert_eq!(value(&x, |x| x.argmin(0)).item(), 1.0);
    // The derivative of a maximum goes to the first of equal elements; so does that of
    // the largest by order.
    let equal = Tensor::from([2.0, 5.0, 5.0]);
    assert_eq!(grad(|x| x.topk(1, 0).0.sum(), &equal).to_vec(), [0.0, 1.0, 0.0]);
    assert_eq!(grad(|x| x.median(0), &equal).to_vec(), [0.0, 1.0, 0.0]);
}

#[test]
fn quantiles() {
    // numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6], [0, 0.1, 0.25, 0.6, 1])
    let x = Tensor::from([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]);
    for (q, expected) in [(0.0, 1.0), (0.1, 1.0), (0.25, 1.75), (0.6, 4.2), (1.0, 9.0)] {
        assert!(close(value(&x, |x| x.quantile(q, 0)).item(), expected));
    }
}

#[test]
fn reading_and_adding_at_places() {
    let (x, u) = (tensor(&[3, 4], 4), tensor(&[5, 4], 5));
    let places = Tensor::from_fn([5, 4], |i| ((i * 7) % 3) as f64);
    let tape = Tape::new();
    let [x_var, u_var, i] = [&x, &u, &places].map(|t| tape.constant(t));
    let taken = x_var.take_along_axis(0, i).value();
    let mut sums = vec![0.0; 12];
    for k in 0..5 {
        for j in 0..4 {
            let place = places.at(&[k, j]) as usize;
            assert_eq!(taken.at(&[k, j]), x.at(&[place, j]));
            sums[place * 4 + j] += u.at(&[k, j]);
        }
    }
    assert_eq!(u_var.scatter_along_axis(0, i, 3).value().to_vec(), sums);
    // A column broadcasts to places of its own, and the places of a column to rows.
    let column = x_var.slice(1, ..1);
    let stretched = column.take_along_axis(0, i).value();
    assert_eq!(stretched.at(&[4, 2]), x.at(&[places.at(&[4, 2]) as usize, 0]));
    let rows = x_var.take_along_axis(0, i.slice(1, ..1)).value();
    assert_eq!(rows, x_var.index_select(0, i.slice(1, ..1).squeeze(1)).value());
    let fixed: Vec<usize> = (0..5).map(|k| places.at(&[k, 0]) as usize).collect();
    assert_eq!(rows, x_var.gather(0, fixed).value());
    // An element that is replaced passes its derivative to what replaces it.
    let (x, u) = (tape.variable([1.0, 2.0, 3.0]), tape.variable([5.0, 7.0]));
    let y = x.put_along_axis(0, tape.constant([2.0, 0.0]), u);
    assert_eq!(y.value().to_vec(), [7.0, 2.0, 5.0]);
    let gradients = (y * tape.constant([10.0, 20.0, 30.0])).sum().backward();
    assert_eq!(gradients.wrt(x).to_vec(), [0.0, 20.0, 0.0]);
    assert_eq!(gradients.wrt(u).to_vec(), [30.0, 10.0]);
}

#[test]
fn numbers_that_are_no_places() {
    for (wrong, message) in [
        (1.5, "take_along_axis: 1.5 is no index of the 3 elements of the axis"),
        (-1.0, "-1 is no index"),
        (3.0, "3 is no index"),
        (f64::NAN, "NaN is no index"),
    ] {
        let panic = std::panic::catch_unwind(|| {
            let tape = Tape::new();
            tape.constant([1.0, 2.0, 3.0]).take_along_axis(0, tape.constant([wrong])).value()
        });
        let panic = panic.expect_err("no element is there");
        let text = panic.downcast_ref::<String>().expect("a message");
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn arrangements() {
    let x = tensor(&[3, 4, 2], 6);
    let at = |i: usize, j: usize, k: usize| x.at(&[i % 3, j % 4, k % 2]);
    let everywhere = |extents: [usize; 3], f: &dyn Fn(usize, usize, usize) -> f64| {
        let [_, m, n] = extents;
        Tensor::from_fn(extents, |p| f(p / (m * n), p / n % m, p % n))
    };
    let check = |found: Tensor<f64>, extents, f: &dyn Fn(usize, usize, usize) -> f64| {
        assert_eq!(found, everywhere(extents, f));
    };
    check(value(&x, |x| x.flip([0, 2])), [3, 4, 2], &|i, j, k| at(2 - i, j, 1 - k));
    check(value(&x, |x| x.roll(1, 6)), [3, 4, 2], &|i, j, k| at(i, j + 2, k));
    check(value(&x, |x| x.roll(1, -1)), [3, 4, 2], &|i, j, k| at(i, j + 1, k));
    check(value(&x, |x| x.tile([2, 1, 3])), [6, 4, 6], &at);
    check(value(&x, |x| x.repeat(1, 2)), [3, 8, 2], &|i, j, k| at(i, j / 2, k));
    check(value(&x, |x| x.swap_axes(0, -1)), [2, 4, 3], &|i, j, k| at(k, j, i));
    check(value(&x, |x| x.move_axis(0, 1)), [4, 3, 2], &|i, j, k| at(j, i, k));
    check(value(&x, |x| concat(&x.split(1, &[1, 0, 3]), 1)), [3, 4, 2], &at);
    check(value(&x, |x| concat(&x.chunk(1, 3), 1)), [3, 4, 2], &at);
    let sizes = |parts| {
        let tape = Tape::new();
        tape.constant(&x).chunk(1, parts).iter().map(|part| part.shape()[1]).collect::<Vec<_>>()
    };
    assert_eq!((sizes(3), sizes(2), sizes(9)), (vec![2, 2], vec![2, 2], vec![1; 4]));
    for offset in -4..=4_isize {
        // Diagonals of the matrices of axes 1 and 0, one for each place on axis 2.
        let diagonal = value(&x, |x| x.diagonal(offset, [1, 0]));
        let places = (0..12).map(|p| (p / 3, p % 3));
        let own: Vec<_> = places.filter(|&(r, c)| c as isize - r as isize == offset).collect();
        assert_eq!(diagonal.shape()[..], [2, own.len()]);
        for k in 0..2 {
            for (p, &(row, column)) in own.iter().enumerate() {
                assert_eq!(diagonal.at(&[k, p]), at(column, row, k));
            }
        }
        let embedded = value(&x, |x| x.diag_embed(offset));
        let size = 2 + offset.unsigned_abs();
        assert_eq!(embedded.shape()[..], [3, 4, size, size]);
        let back = value(&x, |x| x.diag_embed(offset).diagonal(offset, [-2, -1]));
        assert_eq!(back, x);
        assert_eq!(value(&embedded, |y| y.sum_over([2, 3])), value(&x, |x| x.sum_over(2)));
        let triangle = |upper: bool| {
            let pick = move |i: usize, j: usize, k: usize| {
                let distance = k as isize - j as isize;
                let stays = if upper { distance >= offset } else { distance <= offset };
                if stays { at(i, j, k) } else { 0.0 }
            };
            everywhere([3, 4, 2], &pick)
        };
        assert_eq!(value(&x, |x| x.triu(offset)), triangle(true));
        assert_eq!(value(&x, |x| x.tril(offset)), triangle(false));
    }
    let empty = Tensor::zeros([0, 3]);
    for found in [
        value(&empty, |x| x.roll(0, 2)),
        value(&empty, |x| x.tile([1, 1])),
        value(&empty, |x| x.flip(..)),
        value(&empty, |x| x.cumprod(0)),
        value(&empty, |x| x.sort(1).0),
    ] {
        assert_eq!(found, empty);
    }
    assert_eq!(value(&empty, |x| x.diagonal(0, [0, 1])).shape()[..], [0]);
    assert_eq!(value(&empty, |x| x.prod_over(0)).to_vec(), [1.0; 3]);
    // What a triangle leaves out may be anything.
    let infinite = Tensor::from([[1.0, f64::NAN], [2.0, 3.0]]);
    assert_eq!(value(&infinite, |x| x.tril(0)).to_vec(), [1.0, 0.0, 2.0, 3.0]);
}

/// Values of all that has decisions in it, and their derivatives.
fn decisions<'t>(x: Var<'t, f64>) -> [Var<'t, f64>; 6] {
    let (sorted, places) = x.sort(1);
    let scans = sorted.cumprod(1) + x.cumsum(0) * places + x.log_cumsum_exp(1);
    let (largest, _) = x.topk(2, 0);
    let chosen = x.take_along_axis(1, x.argmax(1).unsqueeze(1));
    let hot = x.argmax(0).one_hot(3).sum_over(-1);
    let filled = x.masked_fill(x.greater(x.median(1).unsqueeze(1)), 0.5).tril(1);
    let parts = [scans.sum(), largest.prod(), chosen.square().sum(), filled.std_over(.., 1)];
    let y = parts.into_iter().reduce(|a, b| a + b).expect("there are parts") + hot.sum();
    let [dx] = y.grad([x]);
    let [ddx] = dx.square().sum().grad([x]);
    [sorted, places, y, y.backward().on_tape(x), dx, ddx]
}

#[test]
fn programs_decide_anew() {
    let mut program = compile_n(decisions, &tensor(&[3, 5], 1).map(|x| x / 7.0)).unwrap();
    for seed in 2..6 {
        let x = tensor(&[3, 5], seed).map(|x| x / 7.0);
        let tape = Tape::new();
        let eager = decisions(tape.variable(&x));
        for (found, expected) in program.run(&x).iter().zip(eager) {
            assert_eq!(*found, expected.value());
        }
    }
}

/// A reduction of four elements.
type OfFour<'a> = &'a dyn Fn([f64; 4]) -> f64;

#[test]
fn reductions_keep_their_axes() {
    let x = tensor(&[2, 3, 2], 3).map(|x| x / 7.0);
    // The four elements of each of the three parts along the axis in the middle.
    let part = |j: usize| [0, 1, 6, 7].map(|k| x.to_vec()[2 * j + k]);
    let mean = |x: [f64; 4]| x.iter().sum::<f64>() / 4.0;
    let spread = |x: [f64; 4]| x.iter().map(|y| (y - mean(x)).powi(2)).sum::<f64>() / 3.0;
    let sorted = |mut x: [f64; 4]| {
        x.sort_by(f64::total_cmp);
        x
    };
    let tape = Tape::new();
    let v = tape.variable(&x);
    let axes = [0, 2];
    let largest = |x: [f64; 4]| sorted(x)[3];
    let exponentials = |x: [f64; 4]| x.iter().map(|x| x.exp()).sum::<f64>().ln();
    let norm = |x: [f64; 4]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let cases: [(Var<'_, f64>, OfFour<'_>); 11] = [
        (v.sum_keep(axes), &|x| x.iter().sum()),
        (v.mean_keep(axes), &mean),
        (v.max_keep(axes), &largest),
        (v.min_keep(axes), &|x| sorted(x)[0]),
        (v.prod_keep(axes), &|x| x.iter().product()),
        (v.var_keep(axes, 1), &spread),
        (v.std_keep(axes, 1), &|x| spread(x).sqrt()),
        (v.log_sum_exp_keep(axes), &exponentials),
        (v.norm_keep(axes), &norm),
        (v.median_keep(axes), &|x| (sorted(x)[1] + sorted(x)[2]) / 2.0),
        (v.quantile_keep(1.0, axes), &largest),
    ];
    for (found, expected) in cases {
        assert_eq!(found.shape()[..], [1, 3, 1]);
        assert_close(&found.value(), &[0, 1, 2].map(|j| expected(part(j))));
        // So it broadcasts against what was reduced, and the adjoint comes back.
        let [dx] = (v - found).sum().grad([v]);
        assert_eq!(dx.shape(), v.shape());
    }
    // Shares of a whole add up to 1, whatever the elements.
    let [dx] = (v - v.log_sum_exp_keep(1)).exp().sum().grad([v]);
    assert!(dx.value().iter().all(|dx| dx.abs() < 1e-15));
}
