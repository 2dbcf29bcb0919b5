//! Ops with faults planted in them are found, and made small.

use wengert_core::op::registry::Entry;
use wengert_core::op::{
    Call, Cost, Domain, Elementwise, Formula, Op, Operation, SampleSet, Samples, ShapeClass,
};
use wengert_core::{Number, Real, Shape, Tensor, Var, View};
use wengert_fuzz::checks::{NAMES, Session};
use wengert_fuzz::draw::Catalogue;
use wengert_fuzz::{Found, Options, run_of};

/// A sine whose derivative is a little too large.
#[derive(Clone, Copy, Debug, PartialEq)]
struct SteepSine;

impl Elementwise<1> for SteepSine {
    const NAME: &'static str = "steep_sine";

    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        A::opaque([x], |[x]| x.sin())
    }

    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.cos() * x.constant(1.001)
    }

    fn samples(samples: &mut Samples<Self>) {
        samples.over(SteepSine, [Domain::reals()]);
    }
}

/// The sum of each row, of which one is made that forgets the last element of rows that are no
/// multiple of 32, and one whose adjoint is that of another op.
#[derive(Clone, Debug, PartialEq)]
struct RowSum {
    forgets: bool,
}

impl Op for RowSum {
    const NAME: &'static str = "row_sum";
    const FORMULA: Formula = Formula::new("", "", "");

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        match args {
            [x] if x.rank() > 0 => Ok(x[..x.rank() - 1].into()),
            _ => Err("takes rows".to_owned()),
        }
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let (numbers, length) = (args[0].to_vec(), args[0].shape()[args[0].shape().rank() - 1]);
        for (row, out) in out.iter_mut().enumerate() {
            let row = &numbers[row * length..][..length];
            let end =
                if self.forgets && length > 32 && length % 32 > 0 { length - 1 } else { length };
            *out = T::from_f64(row[..end].iter().map(|x| x.as_f64()).sum());
        }
    }

    fn jvp<'t, T: Real>(
        &self,
        _: &Call<'_, 't, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        tangents[0].map(|tangent| tangent.sum_over(-1))
    }

    fn vjp<'t, T: Real>(
        &self,
        call: &Call<'_, 't, T>,
        _: usize,
        cotangent: Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        let adjoint = cotangent.unsqueeze(-1).broadcast_to(call.arg(0).shape());
        Some(if self.forgets { adjoint } else { -adjoint })
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        Cost::adds(args[0].elements() as u64)
    }

    fn samples(samples: &mut Samples<Self>) {
        samples.absent(ShapeClass::Scalar, "a scalar has no rows");
        for forgets in [true, false] {
            samples.case(RowSum { forgets }, [([2, 3].into(), Domain::reals())]);
        }
    }
}

fn entry<O, Family>(name: &'static str, only: Option<usize>) -> (Entry<f64>, Entry<f32>)
where
    O: Operation<f64, Family> + Operation<f32, Family>,
{
    fn of<T: Real>(name: &'static str, mut samples: SampleSet<T>, only: Option<usize>) -> Entry<T> {
        if let Some(only) = only {
            samples.cases = vec![samples.cases[only].clone()];
        }
        Entry { name, family: "planted", formula: Formula::default(), samples }
    }
    let (double, single) =
        (<O as Operation<f64, Family>>::sample_set(), <O as Operation<f32, Family>>::sample_set());
    (of(name, double, only), of(name, single, only))
}

/// What programs of a planted op and some others show.
fn found(planted: (Entry<f64>, Entry<f32>), session: &Session) -> Vec<(String, String, usize)> {
    let names = ["sin", "add", "matmul", "softmax", "sum", "select", "cumsum"].map(String::from);
    let catalogue = Catalogue::all().only(&names).with(planted);
    let checks = vec!["value", "forward", "differences"];
    let options =
        Options { programs: Some(400), failures: 3, seed: 5, checks, ..Options::default() };
    let mut all = Vec::new();
    let summary = run_of(&catalogue, session, &options, |found: &Found| {
        let Found { failure, program, source, .. } = found;
        all.push((failure.check.to_owned(), source.clone(), program.steps.len()));
    });
    assert_eq!(summary.failures, 3, "{summary}");
    all
}

#[test]
fn a_wrong_slope_is_found_by_differences_and_made_small() {
    let all = found(entry::<SteepSine, _>("steep_sine", None), &with_definitions());
    for (check, source, steps) in all {
        assert_eq!(check, "differences");
        assert!(steps <= 2 && source.contains("apply(SteepSine, "), "{source}");
    }
}

#[test]
fn a_wrong_value_is_found_by_its_definition_and_made_small() {
    let all = found(entry::<RowSum, _>("row_sum", Some(0)), &with_definitions());
    for (check, source, steps) in all {
        assert_eq!(check, "value");
        assert!(steps <= 2 && source.contains("RowSum { forgets: true }"), "{source}");
        // The shortest row that shows it.
        assert!(source.contains("33]"), "{source}");
    }
}

#[test]
fn an_adjoint_that_is_no_transpose_is_found_by_forward_mode() {
    let all = found(entry::<RowSum, _>("row_sum", Some(1)), &with_definitions());
    for (check, source, steps) in all {
        assert_eq!(check, "forward");
        assert!(steps <= 2 && source.contains("RowSum { forgets: false }"), "{source}");
    }
}

/// What the planted ops should give.
fn with_definitions() -> Session {
    let mut session = Session::default();
    session.definition = Some(Box::new(|op, args| {
        let x = &args[0];
        match op.name() {
            "steep_sine" => Some(x.map(f64::sin)),
            "row_sum" => {
                let (rows, length) =
                    (x.shape()[..x.shape().rank() - 1].to_vec(), *x.shape().last()?);
                let numbers = x.to_vec();
                Some(Tensor::from_fn(rows, |row| numbers[row * length..][..length].iter().sum()))
            }
            _ => None,
        }
    }));
    session
}

/// Equal seeds draw equal programs, and others draw others.
#[test]
fn programs_follow_from_the_seed() {
    let source = |seed: u64| {
        let names = ["matmul", "relu", "eigh", "take_along_axis"].map(String::from);
        let catalogue = Catalogue::all().only(&names);
        (0..10).map(|number| format!("{:?}", catalogue.program(seed, number))).collect::<Vec<_>>()
    };
    assert_eq!(source(3), source(3));
    assert_ne!(source(3), source(4));
}

/// Every op of the registry is drawn, in both precisions, and the ops of the registry pass.
#[test]
fn programs_are_made_of_all_ops() {
    let catalogue = Catalogue::all();
    let mut missing: Vec<&str> = catalogue.names().collect();
    for number in 0..2000 {
        for step in &catalogue.program(1, number).steps {
            missing.retain(|&name| name != step.op.double.name());
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(NAMES.len(), NAMES.iter().collect::<std::collections::HashSet<_>>().len());
}
