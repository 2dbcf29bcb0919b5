//! Is the harness worth anything? Rules are broken on purpose, and the harness must
//! object to each.
//!
//! A mutant is an op like any other, with one of its rules damaged. It is put to
//! the harness in place of the op, in both precisions, so that nothing can be
//! compared with the undamaged rule.

mod mutant;

use std::cell::Cell;
use std::rc::Rc;

use mutant::Damage::*;
use mutant::{Damage, KINDS, Mutant};
use wengert_core::op::samples::{ErrorSample, Sample};
use wengert_core::op::{
    Bilinear, Cost, Domain, DynOp, Elementwise, SampleSet, Samples, ShapeClass, registry,
};
use wengert_core::{Layout, Number, Real, Shape, Var, View, check};

/// The samples of an op with its rules damaged, and whether that will be felt.
fn damaged<T: Real>(samples: &SampleSet<T>, damage: Damage, felt: &Rc<Cell<bool>>) -> SampleSet<T> {
    let mutant = |op: &Rc<dyn DynOp<T>>| -> Rc<dyn DynOp<T>> {
        Rc::new(Mutant { op: op.clone(), damage, felt: felt.clone() })
    };
    SampleSet {
        cases: samples
            .cases
            .iter()
            .map(|sample| Sample { op: mutant(&sample.op), args: sample.args.clone() })
            .collect(),
        errors: samples
            .errors
            .iter()
            .map(|error| ErrorSample { op: mutant(&error.op), ..error.clone() })
            .collect(),
        absent: samples.absent.clone(),
    }
}

/// Whether a damage can be felt at all, by the shapes and the family of the samples: the others
/// are not worth a run.
fn applies(samples: &SampleSet<f64>, damage: Damage) -> bool {
    samples.cases.iter().any(|Sample { op, args }| {
        let shapes: Vec<&Shape> = args.iter().map(|arg| &arg.0).collect();
        let Ok(result) = op.shape(&shapes) else { return false };
        let stretched = |at: usize| {
            let own = shapes.get(at).filter(|own| ***own != result);
            own.is_some_and(|own| own.broadcasts_to(&result))
        };
        let numbers = vec![0.5; args.len()];
        match damage {
            Transpose(at) => match shapes.get(at).map(|shape| &shape[..]) {
                Some([.., rows, columns]) => rows == columns && *rows > 1,
                _ => false,
            },
            Unsummed(at) => stretched(at),
            FirstCopy(at) => args.len() > 1 && stretched(at),
            Factors(_) => match shapes[..] {
                [a, b] => {
                    let layouts = [a, b].map(|shape| Layout::contiguous(shape.clone()));
                    op.factors(&layouts[0], &layouts[1]).is_some()
                }
                _ => false,
            },
            Partials(_) => op.partials(&numbers).is_some(),
            ScalarValue => op.eval_scalar(&numbers).is_some(),
            // Where a function is constant in pieces, no derivative depends on its value. The
            // values of these ops are compared with others: comparisons and roundings in
            // `functions`, orders in `arrays`, the sign of a determinant in `linear_algebra`.
            // The first of the largest elements is the derivative of a maximum.
            Value => op.is_differentiable(),
            _ => true,
        }
    })
}

#[test]
fn the_harness_objects_to_every_broken_rule() {
    // Rules that panic are findings; their messages would bury the score.
    std::panic::set_hook(Box::new(|_| {}));
    let (doubles, singles) = (registry::ops::<f64>(), registry::ops::<f32>());
    let mut caught = [0; KINDS.len()];
    let mut made = [0; KINDS.len()];
    let (mut escaped, mut groundless) = (Vec::new(), Vec::<String>::new());
    for (double, single) in doubles.iter().zip(&singles) {
        let operands = double.samples.cases.iter().map(|case| case.args.len()).max().unwrap_or(0);
        for damage in Damage::all(operands) {
            if !applies(&double.samples, damage) {
                continue;
            }
            let felt = Rc::new(Cell::new(false));
            let elsewhere = Rc::new(Cell::new(false));
            let name = double.name;
            let double = damaged(&double.samples, damage, &felt);
            let single = damaged(&single.samples, damage, &elsewhere);
            let finding = check::first_finding(&double, Some(&single));
            if !felt.get() && !elsewhere.get() {
                groundless.extend(finding.map(|finding| format!("{damage:?}: {finding}")));
                continue;
            }
            made[damage.kind()] += 1;
            match finding {
                Some(_) => caught[damage.kind()] += 1,
                None => escaped.push(format!("{damage:?} of {name}")),
            }
        }
    }
    let _ = std::panic::take_hook();
    for (i, kind) in KINDS.iter().enumerate() {
        println!("{kind:>15}: {:>3} of {:>3} caught", caught[i], made[i]);
    }
    println!(
        "{:>15}: {} of {} caught",
        "all",
        caught.iter().sum::<i32>(),
        made.iter().sum::<i32>()
    );
    assert!(groundless.is_empty(), "no damage, and yet: {groundless:#?}");
    assert!(escaped.is_empty(), "these escaped: {escaped:#?}");
    assert!(made.iter().all(|&count| count > 0), "every kind of damage is felt somewhere");
}

/// Swish, without the second term of its derivative.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BrokenSwish;

impl Elementwise<1> for BrokenSwish {
    const NAME: &'static str = "broken_swish";

    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x / (x.constant(1.0) + (-x).exp())
    }

    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.sigmoid()
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(BrokenSwish, [Domain::reals()]);
    }
}

/// A difference that claims the slopes of a sum.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BrokenSlopes;

impl Elementwise<2> for BrokenSlopes {
    const NAME: &'static str = "broken_slopes";

    fn eval<A: Number>(self, [a, b]: [A; 2]) -> A {
        a + b
    }

    fn partial<A: Number>(self, arg: usize, [a, _]: [A; 2], _: A) -> A {
        a.constant(if arg == 0 { 1.0 } else { -1.0 })
    }

    fn slopes(self) -> Option<[f64; 2]> {
        Some([1.0, 1.0])
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(BrokenSlopes, [Domain::reals(), Domain::reals()]);
    }
}

/// `A^T B`, whose left rule forgets a transpose that square matrices do not miss.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BrokenProduct;

impl Bilinear for BrokenProduct {
    const NAME: &'static str = "broken_product";

    fn shape(&self, a: &Shape, b: &Shape) -> Result<Shape, String> {
        if a.rank() == 2 && a == b && a[0] == a[1] {
            Ok(a.clone())
        } else {
            Err(format!("{a} and {b} are not two square matrices"))
        }
    }

    fn eval<T: Real>(&self, a: View<'_, T>, b: View<'_, T>, out: &mut [T]) {
        let n = a.shape()[0];
        let (a, b): (Vec<T>, Vec<T>) = (a.iter().collect(), b.iter().collect());
        for i in 0..n {
            for j in 0..n {
                out[i * n + j] = (0..n).map(|k| a[k * n + i] * b[k * n + j]).sum();
            }
        }
    }

    fn transpose_left<'t, T: Real>(
        &self,
        _: &Shape,
        b: Var<'t, T>,
        cotangent: Var<'t, T>,
    ) -> Var<'t, T> {
        cotangent.matmul(b.matrix_transpose())
    }

    fn transpose_right<'t, T: Real>(
        &self,
        a: Var<'t, T>,
        _: &Shape,
        cotangent: Var<'t, T>,
    ) -> Var<'t, T> {
        a.matmul(cotangent)
    }

    fn cost(&self, a: &Shape, _: &Shape, _: &Shape) -> Cost {
        Cost::muls(a.iter().map(|&n| n as u64).product())
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for n in [3, 1, 0] {
            samples.case(
                BrokenProduct,
                [([n, n].into(), Domain::reals()), ([n, n].into(), Domain::reals())],
            );
        }
        for class in [ShapeClass::Scalar, ShapeClass::Vector, ShapeClass::Higher] {
            samples.absent(class, "takes matrices only");
        }
    }
}

/// An op that leaves out most classes of shapes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Undersampled;

impl Elementwise<1> for Undersampled {
    const NAME: &'static str = "undersampled";

    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x
    }

    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.constant(1.0)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.case(Undersampled, [([3].into(), Domain::reals())]);
    }
}

#[test]
fn ops_of_users_are_caught_too() {
    let wrong = check::op(BrokenSwish);
    assert!(wrong.to_string().contains("falls as h^1"), "{wrong}");
    let wrong = check::op(BrokenSlopes);
    assert!(wrong.findings.iter().all(|finding| finding.check == "partials"), "{wrong}");
    assert!(!wrong.is_right());
    let wrong = check::op(BrokenProduct);
    assert!(wrong.to_string().contains("<w, J v>"), "{wrong}");
    let wrong = check::op(Undersampled);
    assert!(wrong.to_string().contains("no sample of class Scalar"), "{wrong}");
}
