//! Losses and layers that scale with what they are given, or do not feel a shift, do so at all
//! sizes: first and second derivatives, in both precisions.

use wengert_core::{Real, Tape, Tensor, Var, grad, hvp};
use wengert_nn::loss::*;
use wengert_nn::{Layer, RmsNorm};

type Function<T> = for<'t> fn(Var<'t, T>) -> Var<'t, T>;

/// Powers of two by which operands are scaled, and shifts, which are exact.
trait Range: Real {
    const POWERS: [i32; 6];
    const SHIFTS: [f64; 3];
}

impl Range for f32 {
    const POWERS: [i32; 6] = [-100, -70, -20, 20, 70, 100];
    const SHIFTS: [f64; 3] = [1024.0, -1_048_576.0, 1_048_576.0];
}

impl Range for f64 {
    const POWERS: [i32; 6] = [-930, -560, -300, 300, 560, 930];
    const SHIFTS: [f64; 3] = [1024.0, -134_217_728.0, 1_099_511_627_776.0];
}

const X: [[f64; 3]; 2] = [[1.5, -2.25, 0.5], [0.375, 3.0, -1.0]];
const V: [[f64; 3]; 2] = [[0.75, 1.0, -2.0], [1.25, -0.5, 0.25]];

fn numbers<T: Real>(rows: [[f64; 3]; 2], f: impl Fn(f64) -> f64) -> Tensor<T> {
    Tensor::from(rows.map(|row| row.map(|x| T::from_f64(f(x)))))
}

/// The gradient and the product of the Hessian and `V`.
fn derivatives<T: Real>(f: Function<T>, x: &Tensor<T>) -> [Tensor<T>; 2] {
    [grad(f, x), hvp(f, x, &numbers(V, |v| v))]
}

fn near<T: Real>(what: &str, found: &Tensor<T>, expected: &Tensor<T>) {
    let room = expected.iter().fold(T::zero(), |most, x| most.max(x.abs()));
    for (a, b) in found.iter().zip(expected.iter()) {
        let is_near = (a - b).abs() <= room * T::from_f64(32.0) * T::epsilon();
        assert!(is_near, "{what}: {found} and not {expected}");
    }
}

/// `f(s x) = s^degree f(x)`, for sizes from a power on.
fn scales<T: Range>(name: &str, degree: i32, from: i32, f: Function<T>) {
    let start = from.max(0);
    let at = |power: i32| derivatives(f, &numbers(X, |x| x * 2.0_f64.powi(power)));
    let expected = at(start);
    for power in T::POWERS.into_iter().filter(|power| *power >= from) {
        for (order, (found, expected)) in (1..).zip(at(power).iter().zip(&expected)) {
            // Some sizes are beyond the numbers that there are.
            if (power * (degree - order)).abs() > T::POWERS[5] {
                continue;
            }
            let size = T::from_f64(2.0_f64.powi((power - start) * (degree - order)));
            let what = format!("{name} at 2^{power}, order {order}");
            near(&what, found, &expected.map(|x| x * size));
        }
    }
}

/// `f(x + s) = f(x)`.
fn keeps<T: Range>(name: &str, f: Function<T>) {
    let expected = derivatives(f, &numbers(X, |x| x));
    let value = |x: &Tensor<T>| {
        let tape = Tape::new();
        f(tape.constant(x)).value()
    };
    for shift in T::SHIFTS {
        let shifted = numbers(X, |x| x + shift);
        near(&format!("{name} after {shift}"), &value(&shifted), &value(&numbers(X, |x| x)));
        for (found, expected) in derivatives(f, &shifted).iter().zip(&expected) {
            near(&format!("{name} after {shift}"), found, expected);
        }
    }
}

fn one_hot<T: Real>(x: Var<'_, T>) -> Var<'_, T> {
    x.tape().constant(numbers([[0.0, 1.0, 0.0], [0.25, 0.0, 0.75]], |x| x))
}

/// The operand with its elements in another order, for losses that compare.
fn turned<T: Real>(x: Var<'_, T>) -> Var<'_, T> {
    x.flip(1)
}

fn signs<T: Real>(x: Var<'_, T>) -> Var<'_, T> {
    x.tape().constant([1.0, -1.0].map(T::from_f64))
}

macro_rules! homogeneous {
    ($T:ty) => {
        let all = <$T>::POWERS[0];
        scales::<$T>("mse", 2, all, |x| mse(x, turned(x)));
        scales::<$T>("l1", 1, all, |x| l1(x, turned(x)));
        scales::<$T>("squared_error", 2, all, |x| squared_error(x, turned(x)));
        scales::<$T>("quadratic_cost", 2, all, |x| quadratic_cost(x, turned(x)));
        scales::<$T>("triplet_margin", 1, all, |x| {
            triplet_margin(x, turned(x), -x * <$T>::from_f64(0.25), 0.0)
        });
        // What is added to squares counts beside small numbers.
        scales::<$T>("cosine_embedding", 0, 20, |x| cosine_embedding(x, turned(x), signs(x), -1.0));
        scales::<$T>("RmsNorm", 0, 20, |x| (RmsNorm::new([3]).forward(x) * one_hot(x)).sum());
    };
}

macro_rules! shift_invariant {
    ($T:ty) => {
        keeps::<$T>("cross_entropy", |x| cross_entropy(x, &[0, 2]));
        keeps::<$T>("cross_entropy_sum", |x| cross_entropy_sum(x, &[1, 2]));
        keeps::<$T>("cross_entropy_with", |x| cross_entropy_with(x, one_hot(x)));
        keeps::<$T>("CrossEntropy", |x| {
            CrossEntropy::new().smoothing(0.125).weights([1.0, 0.5, 2.0]).of(x, &[0, 2])
        });
        keeps::<$T>("multi_margin", |x| multi_margin(x, &[0, 2]));
        keeps::<$T>("mse", |x| mse(x, turned(x)));
        keeps::<$T>("l1", |x| l1(x, turned(x)));
        keeps::<$T>("huber", |x| huber(x, turned(x), 1.0));
    };
}

#[test]
fn losses_scale_with_their_operands() {
    homogeneous!(f64);
    homogeneous!(f32);
}

#[test]
fn losses_do_not_feel_a_shift() {
    shift_invariant!(f64);
    shift_invariant!(f32);
}
