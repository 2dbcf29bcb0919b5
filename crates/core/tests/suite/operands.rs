//! What stands beside a variable: numbers of either precision, tensors and arrays, on both sides
//! and in every method of two operands. What each line should give is worked out by plain floats.

use wengert_core::{Operand, Real, Tape, Tensor, Var, func, func_n, grad};

/// A logistic function as one writes it over floats: numbers on either side, in a function over
/// `T: Real`, of literals without a suffix.
fn logistic<'t, T: Real>(x: Var<'t, T>) -> Var<'t, T> {
    1.0 / (1.0 + (-x).exp())
}

/// Numbers of every kind that generic code has.
fn generic<'t, T: Real>(x: Var<'t, T>, c: T) -> Var<'t, T> {
    let count = x.elements() as f64;
    (2.0 * x - 1.0).maximum(0.0).sum() / count + (x * c).sum() * 0.5 - (1.0 - x).mean() * c
}

#[test]
fn literals_are_inferred_wherever_they_stand() {
    // Nothing below says `f64`, until the last line.
    let (x, data) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 5.0]));
    let gradients = [
        grad(|w| (w - &data).square().sum(), &x),
        grad(|w| (&data - w).square().sum(), &x),
        grad(|w| (2.0 * w + 1.0).square().sum(), &x),
        grad(|w| (1.0 - w * 2.0).square().sum(), &x),
        grad(|w| (w * [1.0, 10.0]).sum(), &x),
        grad(|w| ([1.0, 10.0] / w).sum(), &x),
        grad(|w| (w * [[1.0, 2.0], [3.0, 4.0]]).sum(), &x),
        grad(|w| (w * vec![1.0, 10.0] - data.clone() * w).sum(), &x),
        grad(func(|w| (1.0 / (1.0 + w)).sum()), &x),
        grad(func_n(|[w]| (1.0 / (1.0 + w)).sum()), [&x])[0].clone(),
    ];
    let expected: [[f64; 2]; 10] = [
        [2.0 * (1.0 - 3.0), 2.0 * (2.0 - 5.0)],
        [2.0 * (1.0 - 3.0), 2.0 * (2.0 - 5.0)],
        [4.0 * 3.0, 4.0 * 5.0],
        [-4.0 * (1.0 - 2.0), -4.0 * (1.0 - 4.0)],
        [1.0, 10.0],
        [-1.0, -10.0 / 4.0],
        [1.0 + 3.0, 2.0 + 4.0],
        [1.0 - 3.0, 10.0 - 5.0],
        [-1.0 / 4.0, -1.0 / 9.0],
        [-1.0 / 4.0, -1.0 / 9.0],
    ];
    for (found, expected) in gradients.iter().zip(expected) {
        assert_eq!(found.to_vec(), expected);
    }
}

#[test]
fn a_number_of_either_precision_stands_beside_a_variable_of_either() {
    // A third is not a number of either precision, and is rounded to that of the variable.
    let (single, double) = (1.0_f32 / 3.0, 1.0_f64 / 3.0);
    let (tape, wide) = (Tape::<f32>::new(), Tape::<f64>::new());
    let (x, z) = (tape.variable(2.0), wide.variable(2.0));
    assert_eq!((x * double).item(), 2.0 * single);
    assert_eq!((double * x).item(), 2.0 * single);
    assert_eq!((x * single).item(), 2.0 * single);
    assert_eq!(x.maximum(double * 9.0).item(), 3.0);
    assert_eq!((z * single).item(), 2.0 * f64::from(single));
    assert_eq!((z * double).item(), 2.0 * double);
    // As with what methods take.
    assert_eq!(x.powf(double).item(), x.pow(double).item());
    assert_eq!(x.clamp(0.0, double).item(), x.minimum(double).item());
}

#[test]
fn generic_functions_are_written_as_over_floats() {
    let x: [f64; 3] = [-0.5, 0.25, 2.0];
    let slope = |x: f64| {
        let s = 1.0 / (1.0 + (-x).exp());
        s * (1.0 - s)
    };
    let doubles = grad(|x| logistic(x).sum(), &Tensor::from(x));
    let singles = grad(|x| logistic(x).sum(), &Tensor::from(x.map(|x| x as f32)));
    for (i, &x) in x.iter().enumerate() {
        assert!((doubles.at(&[i]) - slope(x)).abs() < 1e-15);
        assert!((f64::from(singles.at(&[i])) - slope(x)).abs() < 1e-7);
    }
    let sum: f64 = x.iter().sum();
    let hinge: f64 = x.iter().map(|x| (2.0 * x - 1.0).max(0.0)).sum();
    let expected = hinge / 3.0 + 0.5 * 4.0 * sum - (1.0 - sum / 3.0) * 4.0;
    let (tape, narrow) = (Tape::new(), Tape::new());
    assert!((generic(tape.variable(x), 4.0).item() - expected).abs() < 1e-14);
    let found = generic(narrow.variable(x.map(|x| x as f32)), 4.0_f32).item();
    assert!((f64::from(found) - expected).abs() < 1e-5);
}

#[test]
fn every_method_of_two_operands_takes_numbers_and_data() {
    let tape = Tape::new();
    let x = tape.variable([1.0, 4.0]);
    let other = Tensor::from([2.0, 3.0]);
    let pairs = [
        (x.maximum(2.0), [2.0, 4.0]),
        (x.minimum(2.0), [1.0, 2.0]),
        (x.greater(1.0), [0.0, 1.0]),
        (x.greater_equal(1.0), [1.0, 1.0]),
        (x.less(4.0), [1.0, 0.0]),
        (x.less_equal(4.0), [1.0, 1.0]),
        (x.equal(4.0), [0.0, 1.0]),
        (x.not_equal(4.0), [1.0, 0.0]),
        (x.maximum(&other), [2.0, 4.0]),
        (x.less([2.0, 3.0]), [1.0, 0.0]),
        (x.greater(&other).select(x, 0.0), [0.0, 4.0]),
        (x.greater(&other).select(&other, x), [1.0, 3.0]),
        (x.masked_fill([1.0, 0.0], -7.0), [-7.0, 4.0]),
        (x.pow(2.0), [1.0, 16.0]),
        (x.remainder(3.0), [1.0, 1.0]),
        (x.matmul([[1.0, 2.0], [3.0, 4.0]]), [13.0, 18.0]),
        (x.matmul_transposed([[1.0, 2.0], [3.0, 4.0]]), [9.0, 19.0]),
        (x.index_select(0, [1.0, 0.0]), [4.0, 1.0]),
        (x.kron([3.0]), [3.0, 12.0]),
        (x.straight_through(&other), [2.0, 3.0]),
        (x.linear_recurrence(&other, 0), [2.0, 11.0]),
    ];
    for (i, (found, expected)) in pairs.into_iter().enumerate() {
        assert_eq!(found.value().to_vec(), expected, "line {i}");
    }
    let a = tape.variable([[2.0, 0.0], [0.0, 4.0]]);
    assert_eq!(a.solve(&other).value().to_vec(), [1.0, 0.75]);
    assert_eq!(a.tensordot(&other, [&[1], &[0]]).value().to_vec(), [4.0, 12.0]);
    // What was not chosen gets no derivative, and a tie goes to the variable.
    let [dx] = x.maximum(1.0).sum().grad([x]);
    assert_eq!(dx.value().to_vec(), [1.0, 1.0]);
}

#[test]
fn a_sum_is_added_up_in_place() {
    let weights = [Tensor::from([1.0, 2.0]), Tensor::from([3.0])];
    let penalty = |[a, b]: [Var<'_, f64>; 2]| {
        let mut sum = a.square().sum();
        sum += b.square().sum();
        sum *= 0.5;
        sum -= &Tensor::from(1.0);
        sum /= 2.0;
        assert_eq!(sum.item(), (0.5 * 14.0 - 1.0) / 2.0);
    };
    let tape = Tape::new();
    penalty([tape.variable(&weights[0]), tape.variable(&weights[1])]);
    let [da, db] = grad(
        |[a, b]| {
            let mut sum = a.square().sum();
            sum += b.square().sum();
            sum
        },
        weights.each_ref(),
    );
    assert_eq!((da.to_vec(), db.to_vec()), (vec![2.0, 4.0], vec![6.0]));
}

#[test]
fn data_are_constants_recorded_at_the_users_line() {
    let tape = Tape::<f64>::new();
    let x = tape.variable([1.0, 2.0]);
    let data = Tensor::from([3.0, 4.0]);
    let first = line!() + 1;
    let lines = [(&data).on(&tape), x * &data, x.maximum(&data), &data - x, 2.0 * x];
    for var in lines {
        let text = var.describe();
        assert!(text.contains(&format!("operands.rs:{first}")), "{text}");
    }
    assert!(!(&data).on(&tape).is_active());
    let sum = lines.into_iter().reduce(|a, b| a + b).expect("there are some").sum();
    assert!(tape.trace(sum).rows().iter().all(|row| row.file.ends_with("tests/suite/operands.rs")));
}
