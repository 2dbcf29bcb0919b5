//! Adjoints that share memory until one of them grows.

use wengert_core::op::{Call, Cost, Op, Samples};
use wengert_core::{Real, Shape, Tape, Tensor, Var, View};

#[test]
fn a_sum_that_is_passed_on_twice_is_not_added_into() {
    let tape = Tape::new();
    let (a, b) = (tape.variable([0.3, 0.4]), tape.variable([1.0, 2.0]));
    // Reverse: the adjoint of `s` is a sum of two terms; `s` hands it to both `a`
    // and `b`; then `early` adds one more term to that of `a` alone.
    let early = a * 10.0;
    let s = a + b;
    let y = (s * 2.0 + s * 3.0 + early).sum();
    let gradients = y.backward();
    assert_eq!(gradients.wrt(a).to_vec(), [15.0, 15.0]);
    assert_eq!(gradients.wrt(b).to_vec(), [5.0, 5.0]);
}

#[test]
fn large_adjoints_likewise() {
    let tape = Tape::new();
    let (a, b) = (tape.variable(vec![0.5; 1000]), tape.variable(vec![1.5; 1000]));
    let early = a * 10.0;
    let s = a + b;
    let y = (s * 2.0 + s * 3.0 + s * 4.0 + early + early).sum();
    let gradients = y.backward();
    assert!(gradients.wrt(a).iter().all(|g| g == 29.0));
    assert!(gradients.wrt(b).iter().all(|g| g == 9.0));
}

/// An op whose rules for both operands give the very same variable.
#[derive(Clone, Debug, PartialEq)]
struct Twins;

impl Op for Twins {
    const NAME: &'static str = "twins";

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        Ok(args[0].clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let sums = args[0].iter().zip(args[1].iter()).map(|(a, b)| (a + b) * T::from_f64(2.0));
        out.iter_mut().zip(sums).for_each(|(y, sum)| *y = sum);
    }

    fn jvp<'t, T: Real>(
        &self,
        _: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        tangents.iter().flatten().map(|&tangent| tangent * T::from_f64(2.0)).reduce(|a, b| a + b)
    }

    fn vjp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        _: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        let [adjoint] = call.shared(|| [cotangent * T::from_f64(2.0)]);
        Some(adjoint)
    }

    fn cost(&self, _: &[&Shape], result: &Shape) -> Cost {
        Cost::adds(1).and(Cost::muls(1)).times(result.elements())
    }

    fn samples(_: &mut Samples<Self>) {}
}

#[test]
fn an_adjoint_that_two_operands_share_is_not_added_into() {
    for elements in [3, 1000] {
        let tape = Tape::new();
        let x = |value: f64| tape.variable(Tensor::full([elements], value));
        let (a, b) = (x(1.0), x(2.0));
        // Recorded first, so that it is added when the twins have given what they have.
        let early = (a * 3.0).sum();
        let y = early + tape.apply(Twins, &[a, b]).sum();
        let gradients = y.backward();
        assert!(gradients.wrt(a).iter().all(|x| x == 5.0));
        assert!(gradients.wrt(b).iter().all(|x| x == 2.0));
    }
}

/// A weight that is used again and again gets a sum of products, which a fast sweep adds up
/// where they are written and a recorded one does not.
#[test]
fn products_that_are_added_up_in_place() {
    for n in [3, 40] {
        let fill =
            |shape: &[usize], seed: f64| Tensor::from_fn(shape, |i| (seed * (i + 1) as f64).sin());
        let tape = Tape::new();
        let w = tape.variable(fill(&[n, n], 0.7));
        let x = tape.variable(fill(&[n, n], 1.3));
        let batch = tape.variable(fill(&[2, 5, n], 0.9));
        let row = tape.variable(fill(&[n], 2.1));
        let left = x.matmul(w).tanh().matmul(w) + w.matmul(x);
        let turned = w.transpose().matmul(x).sin() + w.matmul(w.transpose());
        let y = (left * turned).sum()
            + batch.matmul(w).cos().sum()
            + (row.matmul(w) * w.matmul(row)).sum();
        let recorded = y.grad([w, x, batch, row]);
        let fast = y.backward();
        for (recorded, input) in recorded.into_iter().zip([w, x, batch, row]) {
            let (expected, found) = (recorded.value(), fast.wrt(input));
            let largest = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
            for (found, expected) in found.iter().zip(expected.iter()) {
                assert!((found - expected).abs() <= 1e-13 * largest, "{found}, not {expected}");
            }
        }
    }
}
