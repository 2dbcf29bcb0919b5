//! What chooses gives what was not chosen an exact 0, whatever comes along.
//!
//! The right numbers are those of the piece that is chosen: the root has the derivatives 1/4 and
//! -1/32 at 4, and a constant has none.

use wengert_core::{Tape, Tensor, Var, grad, hvp, jvp, stack, taylor};

type Function = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

/// A constant of the shape of a variable.
fn like<'t>(x: Var<'t, f64>, value: f64) -> Var<'t, f64> {
    x.tape().constant(Tensor::full(x.shape(), value))
}

/// Roots of 0 at -1 and of 4 at 4. The slope at 0 is infinite, and comes back to a choice.
const ROOTS: [(&str, Function); 11] = [
    ("relu", |x| x.relu().sqrt()),
    ("leaky_relu", |x| x.leaky_relu(0.0).sqrt()),
    ("elu", |x| x.elu(0.0).sqrt()),
    ("clamp", |x| x.clamp(0.0, f64::INFINITY).sqrt()),
    ("maximum", |x| x.maximum(like(x, 0.0)).sqrt()),
    ("maximum, the other", |x| like(x, 0.0).maximum(x).sqrt()),
    ("minimum", |x| (-(-x).minimum(like(x, 0.0))).sqrt()),
    ("select", |x| x.greater(like(x, 0.0)).select(x, like(x, 0.0)).sqrt()),
    ("masked_fill", |x| x.masked_fill(x.less(like(x, 0.0)), 0.0).sqrt()),
    ("max_over", |x| stack(&[x, like(x, 0.0)], 1).max_over(1).sqrt()),
    // The quotient is 0, so that the divisor does not count.
    ("remainder", |x| x.relu().remainder(like(x, 99.0)).sqrt()),
];

/// What is 1 at 0 and 2 at 4, where the infinite slope comes before the choice.
const CHOICES: [(&str, Function); 6] = [
    ("maximum", |x| x.sqrt().maximum(like(x, 1.0))),
    ("minimum", |x| -(-x.sqrt()).minimum(like(x, -1.0))),
    ("relu", |x| (x.sqrt() - 1.0).relu() + 1.0),
    ("clamp", |x| x.sqrt().clamp(1.0, 9.0)),
    ("select", |x| x.less(like(x, 1.0)).select(like(x, 1.0), x.sqrt())),
    ("max_over", |x| stack(&[like(x, 1.0), x.sqrt()], 1).max_over(1)),
];

#[test]
fn what_was_not_chosen_gets_no_cotangent() {
    let x = Tensor::from([-1.0, 4.0]);
    for (name, f) in ROOTS {
        assert_eq!(grad(|x| f(x).sum(), &x).to_vec(), [0.0, 0.25], "{name}");
        let bend = hvp(|x| f(x).sum(), &x, &Tensor::ones([2]));
        assert_eq!(bend.to_vec(), [0.0, -1.0 / 32.0], "{name}: forward over reverse");
        let tape = Tape::new();
        let x = tape.variable(&x);
        let y = f(x).sum();
        let [slope] = y.grad([x]);
        let [bend] = slope.sum().grad([x]);
        assert_eq!(slope.value().to_vec(), [0.0, 0.25], "{name}: recorded");
        assert_eq!(bend.value().to_vec(), [0.0, -1.0 / 32.0], "{name}: reverse over reverse");
        let mut program = tape.compile(&[x], &[slope, bend]).expect("no value is read");
        program.set_input(0, Tensor::from([-9.0, 16.0]));
        program.execute();
        assert_eq!(program.output(0).to_vec(), [0.0, 1.0 / 8.0], "{name}: compiled");
        assert_eq!(program.output(1).to_vec(), [0.0, -1.0 / 256.0], "{name}: compiled");
        let many = tape.constant([[-1.0, 4.0], [16.0, -9.0]]);
        let mapped = slope.vmap(&[(x, many)]).value();
        assert_eq!(mapped.to_vec(), [0.0, 0.25, 1.0 / 8.0, 0.0], "{name}: mapped");
        assert_eq!(y.backward().wrt(x).to_vec(), [0.0, 0.25], "{name}: backward");
    }
}

#[test]
fn what_was_not_chosen_gives_no_tangent() {
    let (x, v) = (Tensor::from([0.0, 4.0]), Tensor::ones([2]));
    for (name, f) in CHOICES {
        let (y, tangent) = jvp(f, &x, &v);
        assert_eq!((y.to_vec(), tangent.to_vec()), (vec![1.0, 2.0], vec![0.0, 0.25]), "{name}");
        let series: Vec<_> = taylor(f, &x, &v, 2).iter().flat_map(Tensor::to_vec).collect();
        assert_eq!(series, [1.0, 2.0, 0.0, 0.25, 0.0, -1.0 / 64.0], "{name}");
        let tape = Tape::new();
        let x = tape.variable(&x);
        let recorded = f(x).jvp(&[(x, tape.constant(&v))]);
        assert_eq!(recorded.value().to_vec(), [0.0, 0.25], "{name}: recorded");
    }
}

/// At the kink the convention says 0, and 0 it is.
#[test]
fn a_convention_of_zero_is_zero() {
    let origin = &Tensor::from(0.0);
    assert_eq!(grad(|x| x.abs().sqrt(), origin).item(), 0.0);
    assert_eq!(grad(|x| x.relu().sqrt(), origin).item(), 0.0);
}

/// The first coefficient multiplies nothing: an infinite adjoint of the state is not its.
#[test]
fn what_a_recurrence_does_not_read_has_no_derivative() {
    for reverse in [false, true] {
        let gradient = grad(
            |x| {
                let b = like(x, 1.0);
                let s = match reverse {
                    true => x.reverse_linear_recurrence(b, 0),
                    false => x.linear_recurrence(b, 0),
                };
                (s - 1.0).sqrt().sum()
            },
            &Tensor::from([4.0, 4.0]),
        );
        // One state is 1 and the other 1 + 4.
        let expected = if reverse { [0.25, 0.0] } else { [0.0, 0.25] };
        assert_eq!(gradient.to_vec(), expected);
    }
}
