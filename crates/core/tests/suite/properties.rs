//! Values against plain loops, on shapes that nobody picked.

use proptest::prelude::*;
use wengert_core::{Shape, Tape, Tensor, grad};

fn tensor(shape: Shape) -> impl Strategy<Value = Tensor<f64>> {
    let count = shape.elements();
    prop::collection::vec(-2.0..2.0_f64, count)
        .prop_map(move |elements| Tensor::new(&shape, elements))
}

fn shape(rank: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Shape> {
    prop::collection::vec(0..5_usize, rank).prop_map(Shape::from)
}

/// Two shapes that broadcast: parts of one, with some extents set to 1.
fn pair() -> impl Strategy<Value = (Tensor<f64>, Tensor<f64>)> {
    let part = |full: Shape| {
        (0..=full.rank(), prop::collection::vec(any::<bool>(), full.rank())).prop_map(
            move |(lead, stretched)| -> Shape {
                let kept = full.iter().zip(&stretched).skip(lead);
                kept.map(|(&extent, &one)| if one { 1 } else { extent }).collect()
            },
        )
    };
    shape(0..4)
        .prop_flat_map(move |full| (part(full.clone()), part(full)))
        .prop_flat_map(|(a, b)| (tensor(a), tensor(b)))
}

/// The indices of a shape in row-major order.
fn indices(shape: &Shape) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &extent in shape.iter() {
        all = all
            .into_iter()
            .flat_map(|index: Vec<usize>| {
                (0..extent).map(move |i| [index.clone(), vec![i]].concat())
            })
            .collect();
    }
    all
}

/// The element that broadcasting reads at an index.
fn stretched(x: &Tensor<f64>, index: &[usize]) -> f64 {
    let own = &index[index.len() - x.shape().rank()..];
    let own: Vec<_> = own.iter().zip(x.shape().iter()).map(|(&i, &n)| i.min(n - 1)).collect();
    x.at(&own)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * (1.0 + a.abs().max(b.abs()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn broadcasting_is_a_loop_over_indices((a, b) in pair()) {
        let tape = Tape::new();
        let (x, y) = (tape.variable(&a), tape.variable(&b));
        let z = x * y + x;
        let expected = a.shape().broadcast(b.shape()).expect("made to broadcast");
        prop_assert_eq!(&z.shape(), &expected);
        let value = z.value();
        // d/da of the sum of z gathers b + 1 over all copies of a.
        let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; b.len()]);
        let place = |x: &Tensor<f64>, index: &[usize]| {
            let lead = index.len() - x.shape().rank();
            index[lead..].iter().zip(x.shape().iter()).fold(0, |p, (&i, &n)| p * n + i.min(n - 1))
        };
        for index in indices(&expected) {
            let (p, q) = (stretched(&a, &index), stretched(&b, &index));
            prop_assert!(close(value.at(&index), p * q + p));
            da[place(&a, &index)] += q + 1.0;
            db[place(&b, &index)] += p;
        }
        let [ga, gb] = grad(|[x, y]| (x * y + x).sum(), [&a, &b]);
        prop_assert!(ga.iter().zip(da).all(|(g, d)| close(g, d)));
        prop_assert!(gb.iter().zip(db).all(|(g, d)| close(g, d)));
    }

    #[test]
    fn sums_are_loops(
        (x, axes) in shape(0..4).prop_flat_map(|shape| {
            let axes = prop::sample::subsequence((0..shape.rank()).collect::<Vec<_>>(), 0..=shape.rank());
            (tensor(shape), axes)
        })
    ) {
        let tape = Tape::new();
        let named: Vec<isize> = axes.iter().map(|&axis| axis as isize).collect();
        let sum = tape.constant(&x).sum_over(&named[..]).value();
        let kept: Vec<usize> = (0..x.shape().rank()).filter(|axis| !axes.contains(axis)).collect();
        let shape: Shape = kept.iter().map(|&axis| x.shape()[axis]).collect();
        let mut expected = vec![0.0; shape.elements()];
        for index in indices(x.shape()) {
            let place = kept.iter().fold(0, |p, &axis| p * x.shape()[axis] + index[axis]);
            expected[place] += x.at(&index);
        }
        prop_assert_eq!(sum.shape(), &shape);
        prop_assert!(sum.iter().zip(expected).all(|(a, b)| close(a, b)));
    }

    #[test]
    fn products_are_three_loops(
        (a, b) in (0..9_usize, 0..9_usize, 0..9_usize)
            .prop_flat_map(|(m, k, n)| (tensor([m, k].into()), tensor([k, n].into()))),
        left in any::<bool>(),
        right in any::<bool>(),
    ) {
        // The same matrices, as they are or as transposed views.
        let view = |x: &Tensor<f64>, turned: bool| {
            if turned { x.transpose().contiguous().transpose() } else { x.clone() }
        };
        let tape = Tape::new();
        let (x, y) = (tape.constant(view(&a, left)), tape.constant(view(&b, right)));
        let product = x.matmul(y).value();
        for i in 0..a.shape()[0] {
            for j in 0..b.shape()[1] {
                let expected: f64 =
                    (0..a.shape()[1]).map(|k| a.at(&[i, k]) * b.at(&[k, j])).sum();
                prop_assert!(close(product.at(&[i, j]), expected));
            }
        }
    }

    #[test]
    fn slices_read_what_they_name(
        (x, axis, start, end, step) in shape(1..4).prop_flat_map(|shape| {
            let rank = shape.rank();
            (tensor(shape.clone()), 0..rank).prop_flat_map(move |(x, axis)| {
                let extent = shape[axis];
                (Just(x), Just(axis), 0..=extent, 0..=extent, 1..4_usize)
            })
        }).prop_map(|(x, axis, a, b, step)| (x, axis, a.min(b), a.max(b), step))
    ) {
        let tape = Tape::new();
        let slice = tape.constant(&x).slice_by(axis as isize, start..end, step as isize).value();
        prop_assert_eq!(slice.shape()[axis], (end - start).div_ceil(step));
        for index in indices(slice.shape()) {
            let mut from = index.clone();
            from[axis] = start + index[axis] * step;
            prop_assert_eq!(slice.at(&index), x.at(&from));
        }
        // Its gradient is 1 where it reads and 0 elsewhere.
        let gradient = grad(|x| x.slice_by(axis as isize, start..end, step as isize).sum(), &x);
        for index in indices(x.shape()) {
            let reads = (start..end).step_by(step).any(|i| i == index[axis]);
            prop_assert_eq!(gradient.at(&index), if reads { 1.0 } else { 0.0 });
        }
    }
}
