//! Checks of functions that are recorded on a tape.

use std::slice::from_ref;

use super::health::not_finite;
use crate::check::evidence::cause::Cause;
use crate::check::evidence::comparison::Comparison;
use crate::check::evidence::identity::Identity;
use crate::check::evidence::options::Options;
use crate::check::evidence::problem::{Draw, Problem, Recorded, inner, recorder};
use crate::check::evidence::rate::line::{Candidate, Walk};
use crate::check::evidence::verdict::Verdict;
use crate::check::judge::derivatives::Derivatives;
use crate::check::judge::examine::{
    Adjoint, Found, Question, Tangent, against_matrix, along_matrix,
};
use crate::check::judge::locate::culprit;
use crate::check::report::Report;
use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, Tensor};
use crate::transform::jacobian_of;
use crate::var::{Function, Inputs};

/// What somebody says of a function's derivative.
struct Claim<'a, T: Real> {
    subject: &'static str,
    /// Whose it is.
    suspect: &'static str,
    adjoint: Option<Adjoint<'a, T>>,
    tangent: Option<Tangent<'a, T>>,
    /// Jacobians, of which single entries are compared.
    matrices: Option<&'a dyn Fn() -> Vec<Tensor<T>>>,
}

impl<T: Real> Claim<'_, T> {
    /// A claim without a derivative yet.
    fn by_hand(subject: &'static str) -> Self {
        Self { subject, suspect: "hand-written", adjoint: None, tangent: None, matrices: None }
    }
}

impl Options<'_> {
    /// As [`check::gradient`](crate::check::gradient).
    pub fn gradient<T: Real, I: Inputs<T>>(
        self,
        f: impl for<'t> Function<'t, T, I>,
        x: I,
    ) -> Report {
        let record = of_inputs(f);
        let problem = Problem::new(&record, values(&x)).in_training(self.training);
        let names = (0..problem.x.len()).map(|i| self.name(i)).collect();
        self.own(&problem, names)
    }

    /// As [`check::through_double`](crate::check::through_double).
    ///
    /// # Panics
    /// If the inputs differ in number or shape, or the values in shape.
    #[track_caller]
    pub fn through_double<I: Inputs<f32>, J: Inputs<f64>>(
        self,
        single: impl for<'t> Function<'t, f32, I>,
        double: impl for<'t> Function<'t, f64, J>,
        x: I,
        wide: J,
    ) -> Report {
        let record = of_inputs(double);
        let problem = Problem::new(&record, values(&wide)).in_training(self.training);
        let narrow = of_inputs(single);
        let narrow = Problem::new(&narrow, values(&x)).in_training(self.training);
        let (own, other) = (shapes(&narrow.x), shapes(&problem.x));
        assert!(
            own == other,
            "the same inputs in two precisions were expected, and those in f32 have shapes {own}, \
             those in f64 {other}"
        );
        let tape = Tape::new();
        let (vars, y) = narrow.record(&tape);
        let adjoint = |w: &Tensor<f64>| {
            adjoints(y, &w.cast(), &vars).iter().map(Tensor::cast).collect::<Vec<_>>()
        };
        // Rounding of the sums that a function is made of.
        let rounding = 1e3 * f64::from(f32::EPSILON);
        let options = Self { tolerance: self.tolerance.max(rounding), ..self };
        let claim = Claim {
            suspect: "in f32",
            adjoint: Some(&adjoint),
            ..Claim::by_hand("gradient in f32")
        };
        options.examine(&problem, claim)
    }

    /// As [`check::against`](crate::check::against).
    ///
    /// # Panics
    /// If the gradient has another shape than `x`, or the function's value more
    /// than one element.
    #[track_caller]
    pub fn against<T: Real, I: Inputs<T> + Copy>(
        self,
        f: impl for<'t> Function<'t, T, I>,
        by_hand: impl Fn(I) -> I::Tensors,
        x: I,
    ) -> Report {
        let record = of_inputs(f);
        let problem = Problem::new(&record, values(&x)).in_training(self.training);
        let adjoint = |_: &Tensor<T>| flat::<T, I>(by_hand(x));
        let tape = Tape::new();
        let (_, y) = problem.record(&tape);
        assert!(
            y.elements() == 1,
            "a gradient belongs to a single number, and the function's value is {}",
            y.describe()
        );
        let claim = Claim { adjoint: Some(&adjoint), ..Claim::by_hand("hand-written gradient") };
        self.examine(&problem, claim)
    }

    /// As [`check::vjp`](crate::check::vjp).
    ///
    /// # Panics
    /// If an adjoint has another shape than its input.
    #[track_caller]
    pub fn vjp<T: Real, I: Inputs<T> + Copy>(
        self,
        f: impl for<'t> Function<'t, T, I>,
        by_hand: impl Fn(I, &Tensor<T>) -> I::Tensors,
        x: I,
    ) -> Report {
        let record = of_inputs(f);
        let problem = Problem::new(&record, values(&x)).in_training(self.training);
        let adjoint = |w: &Tensor<T>| flat::<T, I>(by_hand(x, w));
        let claim = Claim { adjoint: Some(&adjoint), ..Claim::by_hand("hand-written vjp") };
        self.examine(&problem, claim)
    }

    /// As [`check::jvp`](crate::check::jvp).
    ///
    /// # Panics
    /// If the tangent has another shape than the value.
    #[track_caller]
    pub fn jvp<T: Real, I: Inputs<T> + Copy>(
        self,
        f: impl for<'t> Function<'t, T, I>,
        by_hand: impl Fn(I, &I::Tensors) -> Tensor<T>,
        x: I,
    ) -> Report {
        let record = of_inputs(f);
        let problem = Problem::new(&record, values(&x)).in_training(self.training);
        let tangent = |v: &[Tensor<T>]| by_hand(x, &x.collect(&mut v.iter().cloned()));
        let claim = Claim { tangent: Some(&tangent), ..Claim::by_hand("hand-written jvp") };
        self.examine(&problem, claim)
    }

    /// As [`check::jacobian`](crate::check::jacobian).
    ///
    /// # Panics
    /// If a block has not the value's shape followed by its input's.
    #[track_caller]
    pub fn jacobian<T: Real, I: Inputs<T> + Copy>(
        self,
        f: impl for<'t> Function<'t, T, I>,
        by_hand: impl Fn(I) -> I::Tensors,
        x: I,
    ) -> Report {
        let record = of_inputs(f);
        let problem = Problem::new(&record, values(&x)).in_training(self.training);
        self.matrices("hand-written Jacobian", &problem, &|| flat::<T, I>(by_hand(x)))
    }

    /// As [`check::hessian`](crate::check::hessian).
    ///
    /// # Panics
    /// If it has not the input's shape twice, or the function's value more than one element.
    #[track_caller]
    pub fn hessian<T: Real>(
        self,
        f: impl for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
        by_hand: impl Fn(&Tensor<T>) -> Tensor<T>,
        x: &Tensor<T>,
    ) -> Report {
        // The Jacobian of the gradient.
        let record = recorder(|_, vars| {
            let [gradient] = f(vars[0]).grad([vars[0]]);
            gradient
        });
        let problem = Problem::new(&record, vec![x.clone()]).in_training(self.training);
        self.matrices("hand-written Hessian", &problem, &|| vec![by_hand(x)])
    }

    #[track_caller]
    fn matrices<T: Real>(
        self,
        subject: &'static str,
        problem: &Problem<'_, T>,
        by_hand: &dyn Fn() -> Vec<Tensor<T>>,
    ) -> Report {
        let tape = Tape::new();
        let (_, y) = problem.record(&tape);
        for (i, (matrix, x)) in by_hand().iter().zip(&problem.x).enumerate() {
            let expected: Shape = y.shape().iter().chain(x.shape().iter()).copied().collect();
            assert!(
                *matrix.shape() == expected,
                "the {subject} of {} has shape {}, and the value's and the input's make {expected}",
                self.name(i),
                matrix.shape()
            );
        }
        let adjoint = |w: &Tensor<T>| {
            by_hand().iter().zip(&problem.x).map(|(j, x)| against_matrix(w, j, x)).collect()
        };
        let tangent = |v: &[Tensor<T>]| along_matrix(&by_hand(), v, &y.shape());
        let claim = Claim {
            adjoint: Some(&adjoint),
            tangent: Some(&tangent),
            matrices: Some(by_hand),
            ..Claim::by_hand(subject)
        };
        self.examine(problem, claim)
    }

    /// The tape's own derivatives.
    pub(in crate::check) fn own<T: Real>(
        self,
        problem: &Problem<'_, T>,
        names: Vec<String>,
    ) -> Report {
        let tape = Tape::new();
        let (vars, output) = problem.record(&tape);
        let (function, y) = (&Recorded::new(problem, output), &output.value());
        let x = &problem.x[..];
        let adjoint = |w: &Tensor<T>| adjoints(output, w, &vars);
        let tangent = |v: &[Tensor<T>]| tangent(output, &vars, v);
        let compare = |largest: f64, w: &Tensor<T>, _: &[Tensor<T>]| {
            Comparison::with_differences(function, x, y, w, &adjoint(w), largest, &self)
        };
        let question = Question {
            function,
            x,
            y,
            adjoint: Some(&adjoint),
            tangent: Some(&tangent),
            tape: None,
            compare: &compare,
            always_compares: false,
            names,
            subject: "derivatives",
            suspect: "tape",
            trusted: "difference quotient",
        };
        let Found { mut report, w } = question.examine(&self);
        match report.verdict {
            Verdict::NotFinite => {
                report.note = not_finite(output).or(report.note);
            }
            Verdict::Wrong => report.culprit = culprit(output, &w, self.seed),
            Verdict::Right | Verdict::RoundingFloor if self.second_order => {
                self.second_order(&mut report, problem);
            }
            _ => {}
        }
        report
    }

    /// Products with the Hessian of `<w, f>`: by their rate, and in two orders of the modes.
    fn second_order<T: Real>(self, report: &mut Report, problem: &Problem<'_, T>) {
        let mut draw = Draw::new(self.seed ^ 2);
        let (v, u) = (draw.direction(&problem.x), draw.direction(&problem.x));
        let tape = Tape::new();
        let (vars, output) = problem.record(&tape);
        let function = &Recorded::new(problem, output);
        let y = &output.value();
        let w = draw.cotangent(y.shape());
        let Derivatives { gradient, bend, .. } = Derivatives::of(&vars, output, &w, [&v, &u], true);
        let bend = bend.expect("second order was asked for");
        let candidates = [Candidate::Gradient(&gradient)];
        let walk = Walk {
            function,
            x: &problem.x,
            y,
            v: &v,
            w: &w,
            candidates: &candidates,
            tolerance: self.tolerance,
            whole: false,
        };
        let second = walk.descend().rate::<T>(0, Some((bend.along, bend.scale)));
        let size = inner(from_ref(&w), from_ref(y)).1;
        let ways = Identity::new::<T>(
            ("<u, H v> forward over reverse", bend.across),
            ("<v, H u> reverse over reverse", bend.back),
            bend.scale + inner(&gradient, &v).1 + size,
        );
        if second.verdict == Verdict::Wrong || !ways.holds() {
            report.verdict = Verdict::Wrong;
            report.cause = Some(Cause::SecondOrder);
        }
        report.second = Some(second);
        report.identities.push(ways);
    }

    /// Something that is claimed of a function, beside what the tape says of it.
    #[track_caller]
    fn examine<T: Real>(self, problem: &Problem<'_, T>, claim: Claim<'_, T>) -> Report {
        let tape = Tape::new();
        let (vars, output) = problem.record(&tape);
        let (function, y) = (&Recorded::new(problem, output), &output.value());
        let (x, subject) = (&problem.x[..], claim.subject);
        // What is claimed, with shapes that are checked.
        let adjoint = claim.adjoint.map(|adjoint| {
            move |w: &Tensor<T>| {
                let adjoints = adjoint(w);
                for (i, (g, x)) in adjoints.iter().zip(x).enumerate() {
                    let (own, given, name) = (g.shape(), x.shape(), self.name(i));
                    assert!(
                        own == given,
                        "the {subject} of {name} has shape {own}, the input {given}"
                    );
                }
                adjoints
            }
        });
        let along = claim.tangent.map(|tangent| {
            move |v: &[Tensor<T>]| {
                let tangent = tangent(v);
                let (own, given) = (tangent.shape(), y.shape());
                assert!(own == given, "the {subject} has shape {own}, the value {given}");
                tangent
            }
        });
        // The tape, which is trusted, and how entries are compared with it.
        let trusted = |w: &Tensor<T>| adjoints(output, w, &vars);
        let tolerance = [self.tolerance.max(1e4 * T::epsilon().as_f64()), 0.0];
        let compare = |_: f64, w: &Tensor<T>, v: &[Tensor<T>]| match &claim {
            Claim { matrices: Some(by_hand), .. } => {
                Comparison::of(&by_hand(), &jacobian_of(output, &vars), None, tolerance)
            }
            Claim { adjoint: Some(adjoint), .. } => {
                Comparison::of(&adjoint(w), &trusted(w), Some(x), tolerance)
            }
            Claim { tangent: Some(by_hand), .. } => {
                Comparison::of(&[by_hand(v)], &[tangent(output, &vars, v)], None, tolerance)
                    .named("J v")
            }
            _ => unreachable!("something is claimed"),
        };
        // The one procedure.
        let names = (0..x.len()).map(|i| self.name(i)).collect();
        let question = Question {
            function,
            x,
            y,
            adjoint: adjoint.as_ref().map(|adjoint| adjoint as _),
            tangent: along.as_ref().map(|along| along as _),
            tape: Some(&trusted),
            compare: &compare,
            always_compares: true,
            names,
            subject,
            suspect: claim.suspect,
            trusted: "tape",
        };
        let Found { mut report, w } = question.examine(&self);
        // Where values are not finite, or the tape is wrong: where.
        let tape_is_wrong = report.tape.as_ref().is_some_and(|tape| tape.verdict == Verdict::Wrong);
        if report.verdict == Verdict::NotFinite {
            report.note = not_finite(output).or(report.note);
        } else if tape_is_wrong {
            report.culprit = culprit(output, &w, self.seed);
        }
        report
    }
}

/// Records a function on its inputs, as a list.
fn of_inputs<T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
) -> impl for<'t> Fn(&'t Tape<T>, &[Var<'t, T>]) -> Var<'t, T> {
    recorder(move |_, vars| f(I::unflatten(&mut vars.iter().copied())))
}

fn shapes<T: Real>(x: &[Tensor<T>]) -> String {
    x.iter().map(|x| x.shape().to_string()).collect::<Vec<_>>().join(", ")
}

fn values<T: Real, I: Inputs<T>>(x: &I) -> Vec<Tensor<T>> {
    let mut values = Vec::new();
    x.values(&mut values);
    values
}

fn flat<T: Real, I: Inputs<T>>(tensors: I::Tensors) -> Vec<Tensor<T>> {
    let mut list = Vec::new();
    I::flatten_tensors(tensors, &mut list);
    list
}

/// `J' w` by the tape.
fn adjoints<T: Real>(y: Var<'_, T>, w: &Tensor<T>, vars: &[Var<'_, T>]) -> Vec<Tensor<T>> {
    let tape = y.tape();
    let adjoints = tape.without_gradients(|| y.vjp(tape.constant(w), vars));
    adjoints.into_iter().map(Var::value).collect()
}

/// `J v` by the tape.
fn tangent<T: Real>(y: Var<'_, T>, vars: &[Var<'_, T>], v: &[Tensor<T>]) -> Tensor<T> {
    let tape = y.tape();
    let tangents: Vec<_> = vars.iter().zip(v).map(|(&var, v)| (var, tape.constant(v))).collect();
    tape.without_gradients(|| y.jvp(&tangents)).value()
}
