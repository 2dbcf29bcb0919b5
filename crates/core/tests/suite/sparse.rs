//! Sparse derivatives: known patterns, colourings that are what they claim to be, and
//! the numbers of the dense derivatives.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wengert_core::op::{Convolution, Pooling};
use wengert_core::sparse::{self, Colouring, Compression, Pattern, PatternError};
use wengert_core::{Tensor, Var, concat, func, hessian, jacobian, stack};

fn point(shape: impl Into<wengert_core::Shape>) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| ((i + 1) as f64 * 1.3).sin() + 1.5)
}

/// The pattern of a Jacobian as lines of text, after a comparison with the dense one:
/// here every entry of the pattern is one.
fn exact(f: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>, x: &Tensor<f64>) -> Vec<String> {
    let sparse = sparse::jacobian(&f, x);
    let dense = jacobian(&f, x);
    let columns = x.len();
    for (place, entry) in dense.iter().enumerate() {
        let (row, column) = (place / columns, place % columns);
        assert_eq!(sparse.pattern().contains(row, column), entry != 0.0, "[{row}, {column}]");
        assert!((sparse.at(row, column) - entry).abs() < 1e-12, "[{row}, {column}]");
    }
    sparse.pattern().to_string().lines().map(str::to_owned).collect()
}

fn rosenbrock<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    let (ahead, here) = (x.slice(0, 1..), x.slice_by(0, ..x.elements() - 1, 1));
    ((ahead - here.square()).square() * 100.0 + (1.0 - here).square()).sum()
}

/// `|i - j| <= width`.
fn band(size: usize, width: usize) -> Pattern {
    let row = |i: usize| (i.saturating_sub(width)..(i + width + 1).min(size)).map(move |j| [i, j]);
    Pattern::new(size, size, (0..size).flat_map(row))
}

#[test]
fn the_hessian_of_rosenbrock_is_tridiagonal() {
    for n in [2, 3, 5, 40] {
        let x = point([n]);
        let mut sparse = sparse::Hessian::of(rosenbrock, &x);
        assert_eq!(*sparse.pattern(), band(n, 1));
        assert_eq!(sparse.compression(), Compression::Symmetric);
        assert_eq!(sparse.colouring().count(), if n < 4 { 2 } else { 3 });
        let dense = hessian(rosenbrock, &x);
        assert_eq!(sparse.at(&x).to_dense(), dense);
    }
}

#[test]
fn an_arrowhead_needs_two_colours() {
    let f = func(|x: Var<'_, f64>| (x.square() * x.slice(0, 6..).sin()).sum());
    let x = point([7]);
    let mut sparse = sparse::Hessian::of(f, &x);
    let arrow = (0..7).flat_map(|i| [[i, i], [6, i], [i, 6]]);
    assert_eq!(*sparse.pattern(), Pattern::new(7, 7, arrow));
    assert_eq!(sparse.colouring().count(), 2);
    let (own, dense) = (sparse.at(&x).to_dense(), hessian(f, &x));
    assert!(own.iter().zip(dense.iter()).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn patterns_of_views_and_joins_are_exact() {
    let x = point([2, 3]);
    assert_eq!(exact(|x| x.transpose().sin(), &x)[1], "...x..");
    assert_eq!(exact(|x| x.slice_by(1, .., -1) * 2.0, &x)[0], "..x...");
    assert_eq!(exact(|x| x.sum_over(0), &x), ["x..x..", ".x..x.", "..x..x"]);
    assert_eq!(exact(|x| x.mean_keep(1) + x.slice(1, ..1).square(), &x), ["xxx...", "...xxx"]);
    assert_eq!(exact(|x| x.pad(1, 1, 0).slice(1, ..3), &x)[..3], ["......", "x.....", ".x...."]);
    assert_eq!(exact(|x| x.gather(1, [2, 0]), &x), ["..x...", "x.....", ".....x", "...x.."]);
    let scattered = exact(|x| x.scatter_add(1, [1, 1, 0], 2), &x);
    assert_eq!(scattered, ["..x...", "xx....", ".....x", "...xx."]);
    let joined = exact(|x| concat(&[x.slice(0, 1..), x.slice(0, ..1).exp()], 1), &x);
    assert_eq!(joined, ["...x..", "....x.", ".....x", "x.....", ".x....", "..x..."]);
    let stacked = exact(|x| stack(&[x.slice(0, 0..1), x.slice(0, 1..)], 1), &x);
    assert_eq!(stacked[3..], ["...x..", "....x.", ".....x"]);
    assert_eq!(exact(|x| x * x.stop_gradient().sum(), &x)[0], "x.....");
    assert_eq!(exact(|x| x + x.greater(x.sum()), &x)[5], ".....x");
    let broadcast = exact(|x| x.broadcast_to([2, 2, 3]), &x);
    assert_eq!((&broadcast[0], &broadcast[11]), (&"x.....".into(), &".....x".into()));
}

#[test]
fn patterns_of_rows_and_products_are_exact() {
    let x = point([2, 3]);
    assert_eq!(exact(|x| x.softmax(1), &x)[..4], ["xxx...", "xxx...", "xxx...", "...xxx"]);
    assert_eq!(exact(|x| x.log_sum_exp(0), &x), ["x..x..", ".x..x.", "..x..x"]);
    let left = exact(|x| x.matmul(x.tape().constant(point([3, 2]))), &x);
    assert_eq!(left, ["xxx...", "xxx...", "...xxx", "...xxx"]);
    let right = exact(|x| x.tape().constant(point([4, 2])).matmul(x), &x);
    assert_eq!(right[..3], ["x..x..", ".x..x.", "..x..x"]);
    let outer = exact(|x| x.reshape([6]).slice(0, ..2).outer(x.reshape([6]).slice(0, 2..)), &x);
    assert_eq!((&*outer[0], &*outer[7]), ("x.x...", ".x...x"));
    let batch = point([2, 2, 2]);
    let blocks = exact(|x| x.matmul(x), &batch);
    assert_eq!((&*blocks[1], &*blocks[4]), ("xx.x....", "....xxx."));
}

#[test]
fn a_convolution_is_banded_and_a_pooling_blocks() {
    let x = point([1, 1, 1, 8]);
    let filter = Tensor::from_fn([1, 1, 1, 3], |i| 1.0 + i as f64);
    let padded = Convolution::default().padding([0, 1]);
    let f = func(move |x: Var<'_, f64>| x.conv2d(x.tape().constant(&filter), padded));
    let mut sparse = sparse::Jacobian::of(&f, &x);
    assert_eq!(*sparse.pattern(), band(8, 1));
    assert_eq!(sparse.colouring().count(), 3);
    assert_eq!(sparse.at(&x).to_dense().to_vec(), jacobian(&f, &x).to_vec());
    let pooled = exact(|x| x.avg_pool2d(Pooling::new([1, 2])), &x);
    assert_eq!(pooled, ["xx......", "..xx....", "....xx..", "......xx"]);
}

#[test]
fn bands_need_as_many_colours_as_they_have_diagonals() {
    for (size, width) in [(9, 1), (30, 2), (31, 5), (64, 7)] {
        let band = band(size, width);
        assert_eq!(Colouring::of_columns(&band).count(), 2 * width + 1);
        assert_eq!(Colouring::of_rows(&band).count(), 2 * width + 1);
        assert!(Colouring::star(&band).count() <= 2 * width + 1);
    }
}

#[test]
fn few_rows_are_swept_backwards() {
    let x = point([12]);
    let f = func(|x: Var<'_, f64>| x.sin().reshape([3, 4]).sum_over(1));
    let mut sparse = sparse::Jacobian::of(f, &x);
    assert_eq!((sparse.compression(), sparse.colouring().count()), (Compression::Rows, 1));
    assert_eq!(sparse.at(&x).to_dense(), jacobian(f, &x));
}

#[test]
fn more_products_than_fit_one_recording() {
    let x = point([40]);
    let f = func(|x: Var<'_, f64>| x.sin() * x.sum());
    assert_eq!(sparse::jacobian(f, &x).to_dense().to_vec(), jacobian(f, &x).to_vec());
}

#[test]
fn inputs_are_numbered_through() {
    let (a, b) = (point([3]), point([2]));
    let h = sparse::hessian(|(a, b)| (a.slice(0, 1..) * b.square()).sum(), (&a, &b));
    assert_eq!(h.pattern().to_string(), ".....\n...x.\n....x\n.x.x.\n..x.x");
    assert_eq!(h.at(3, 1), 2.0 * b.at(&[0]));
    assert_eq!(h.entries().next(), Some((1, 3, 2.0 * b.at(&[0]))));
}

#[test]
fn a_program_gives_the_same_entries() {
    let x = point([30]);
    let mut sparse = sparse::Hessian::of(rosenbrock, &x);
    let mut program = sparse.compile(&x).expect("it decides on no value");
    for scale in [1.0, -0.4] {
        let x = Tensor::from_fn([30], |i| x.at(&[i]) * scale);
        assert_eq!(*program.at(&x), sparse.at(&x));
    }
}

#[test]
fn another_course_of_the_program_has_another_pattern() {
    // Only the number of steps depends on the value, so that one recording is the
    // beginning of the other.
    let f = func(|x: Var<'_, f64>| {
        let mut y = x;
        for _ in 0..x.with_value(|x| x.first()) as usize {
            y = (y + y.slice_by(0, .., -1)).sin();
        }
        y
    });
    let mut sparse = sparse::Jacobian::of(f, &Tensor::from([1.0, 2.0, 3.0]));
    assert_eq!(sparse.pattern().to_string(), "x.x\n.x.\nx.x");
    for first in [0.0, 2.0, 1.0, 0.0] {
        let x = Tensor::from([first, 2.0, 3.0]);
        assert_eq!(sparse.at(&x).to_dense(), jacobian(f, &x));
        let corner = if first == 0.0 { '.' } else { 'x' };
        assert_eq!(sparse.pattern().to_string().chars().nth(2), Some(corner));
    }
}

#[test]
fn a_pattern_that_misses_an_entry_is_found_out() {
    let x = point([5]);
    let f = func(|x: Var<'_, f64>| x * x.slice_by(0, .., -1) + x.sum() * 0.0);
    let cross = (0..5).flat_map(|i| [[i, i], [i, 4 - i]]);
    let mut known = sparse::Jacobian::with_pattern(f, &x, Pattern::new(5, 5, cross)).unwrap();
    assert_eq!(known.colouring().count(), 2);
    assert_eq!(known.at(&x).to_dense(), jacobian(f, &x));

    let diagonal = Pattern::new(5, 5, (0..5).map(|i| [i, i]));
    let error = sparse::Jacobian::with_pattern(f, &x, diagonal.clone()).err().unwrap();
    let expected = PatternError::Outside { row: 0, column: 4, value: x.at(&[0]) };
    assert_eq!(error, expected);
    assert!(error.to_string().starts_with("the entry at row 0, column 4 is "), "{error}");
    let error = sparse::Hessian::with_pattern(rosenbrock, &x, diagonal).err().unwrap();
    assert!(matches!(error, PatternError::Outside { row: 0, column: 1, .. }), "{error}");
    let error = sparse::Hessian::with_pattern(rosenbrock, &x, Pattern::new(5, 5, [[0, 1]]));
    assert_eq!(error.err().unwrap(), PatternError::NotSymmetric);
    let error = sparse::Jacobian::with_pattern(f, &x, Pattern::new(5, 4, [])).err().unwrap();
    assert_eq!(error.to_string(), "the pattern is 5 x 4, and the derivative 5 x 5");
}

#[test]
#[should_panic(expected = "the entry at row 1, column 0 is")]
fn a_given_pattern_is_checked_at_every_point() {
    let f = func(|x: Var<'_, f64>| x.square().slice_by(0, .., -1).relu() + x);
    let diagonal = Pattern::new(2, 2, [[0, 0], [0, 1], [1, 1]]);
    let x = Tensor::from([0.0, 1.0]);
    let mut known = sparse::Jacobian::with_pattern(f, &x, diagonal).unwrap();
    known.at(&Tensor::from([2.0, 1.0]));
}

#[test]
fn pattern_and_colours_are_found_once() {
    let calls = Cell::new(0);
    let f = func(|x: Var<'_, f64>| {
        calls.set(calls.get() + 1);
        x.square()
    });
    let x = point([3]);
    let mut sparse = sparse::Jacobian::of(f, &x);
    assert_eq!((sparse.at(&x).values()[1], calls.get()), (2.0 * x.at(&[1]), 2));
}

/// A matrix of given pattern as a function, and its entries.
fn entries(places: &[[usize; 2]]) -> Vec<f64> {
    (0..places.len()).map(|k| 1.0 + (k as f64 * 0.7).sin()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(1974),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn columns_of_one_colour_share_no_row(
        rows in 1..12_usize,
        columns in 1..12_usize,
        places in prop::collection::vec((0..12_usize, 0..12_usize), 0..40),
    ) {
        let places: Vec<_> = places.iter().map(|&(i, j)| [i % rows, j % columns]).collect();
        let pattern = Pattern::new(rows, columns, places.iter().copied());
        for (pattern, colouring) in [
            (pattern.clone(), Colouring::of_columns(&pattern)),
            (pattern.transpose(), Colouring::of_rows(&pattern)),
        ] {
            for row in 0..pattern.rows() {
                let mut colours: Vec<_> =
                    pattern.row(row).iter().map(|&j| colouring.colours()[j]).collect();
                colours.sort_unstable();
                prop_assert!(colours.windows(2).all(|pair| pair[0] < pair[1]), "{pattern}");
                prop_assert!(colours.iter().all(|&colour| colour < colouring.count()));
            }
        }

        // A linear function with these entries gives them back.
        let pattern = Pattern::new(rows, columns, places);
        let [to, from]: [Vec<usize>; 2] = [0, 1].map(|side| pattern.iter().map(|e| e[side]).collect());
        let numbers = entries(&pattern.iter().collect::<Vec<_>>());
        let f = func(|x: Var<'_, f64>| {
            let terms = x.gather(0, from.clone()) * x.tape().constant(&numbers[..]);
            terms.scatter_add(0, to.clone(), rows)
        });
        let x = point([columns]);
        let matrix = sparse::jacobian(f, &x);
        prop_assert_eq!(matrix.pattern(), &pattern);
        prop_assert_eq!(matrix.values(), &numbers[..]);
    }

    #[test]
    fn every_path_of_four_has_three_colours(
        size in 1..14_usize,
        edges in prop::collection::vec((0..14_usize, 0..14_usize), 0..40),
    ) {
        let edges: Vec<_> = edges.iter().map(|&(i, j)| [i % size, j % size]).collect();
        let both = edges.iter().flat_map(|&[i, j]| [[i, j], [j, i]]);
        let pattern = Pattern::new(size, size, both);
        let colouring = Colouring::star(&pattern);
        let near = |i: usize| pattern.row(i).iter().copied().filter(move |&j| j != i);
        let colour = |i: usize| colouring.colours()[i];
        for a in 0..size {
            for b in near(a) {
                prop_assert!(colour(a) != colour(b), "{a} and {b} of\n{pattern}");
                for c in near(b).filter(|&c| c != a) {
                    for d in near(c).filter(|&d| d != b && d != a) {
                        prop_assert!(
                            colour(a) != colour(c) || colour(b) != colour(d),
                            "{a}, {b}, {c}, {d} of\n{pattern}"
                        );
                    }
                }
            }
        }

        // A quadratic function with these products gives its Hessian back.
        let upper: Vec<_> = pattern.iter().filter(|[i, j]| i <= j).collect();
        let [left, right]: [Vec<usize>; 2] = [0, 1].map(|side| upper.iter().map(|e| e[side]).collect());
        let numbers = entries(&upper);
        let f = func(|x: Var<'_, f64>| {
            let products = x.gather(0, left.clone()) * x.gather(0, right.clone());
            (products * x.tape().constant(&numbers[..])).sum()
        });
        let x = point([size]);
        let matrix = sparse::hessian(f, &x);
        prop_assert_eq!(matrix.pattern(), &pattern);
        for (&[i, j], &number) in upper.iter().zip(&numbers) {
            let expected = if i == j { 2.0 * number } else { number };
            prop_assert_eq!((matrix.at(i, j), matrix.at(j, i)), (expected, expected));
        }
    }
}
