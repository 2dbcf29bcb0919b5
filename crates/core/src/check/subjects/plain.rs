//! Checks of functions of slices, which know no tape: derivatives written by hand, in Rust or in
//! another language.
//!
//! The function is evaluated, and nothing else is asked of it. What a tape would tell, that a
//! kink was crossed or a branch taken, shows in the numbers: a function that has two slopes at a
//! point has a second difference that falls as `h`, whatever is claimed of its gradient.
//!
//! ```
//! use wengert_core::check::plain;
//!
//! fn cost(x: &[f64]) -> f64 {
//!     x.iter().map(|x| x.sin() * x).sum()
//! }
//! fn gradient(x: &[f64]) -> Vec<f64> {
//!     x.iter().map(|x| x.cos() * x + x.sin()).collect()
//! }
//! plain::gradient(cost, gradient, &[0.5, -1.0]).assert();
//! ```

use std::cell::RefCell;

use super::reference::{Complex, complex_step};
use crate::check::evidence::comparison::{Comparison, ENTRIES, room};
use crate::check::evidence::differences;
use crate::check::evidence::options::Options;
use crate::check::evidence::problem::Evaluate;
use crate::check::judge::examine::{Question, against_matrix, along_matrix};
use crate::check::report::Report;
use crate::scalar::Real;
use crate::tensor::{Shape, Tensor};

/// Checks a gradient of a function of a slice: by its rate, and, if that is wrong, entry by entry
/// against difference quotients.
///
/// # Panics
/// If the gradient has not the length of `x`.
#[track_caller]
pub fn gradient<T: Real>(
    f: impl FnMut(&[T]) -> T,
    gradient: impl FnMut(&[T]) -> Vec<T>,
    x: &[T],
) -> Report {
    Options::default().plain().gradient(f, gradient, x)
}

/// Checks a Jacobian, given row by row, of a function from a slice to many numbers.
///
/// ```
/// use wengert_core::check::plain;
///
/// let f = |x: &[f64]| vec![x[0] * x[1], x[0].exp(), x[1]];
/// let jacobian = |x: &[f64]| vec![x[1], x[0], x[0].exp(), 0.0, 0.0, 1.0];
/// plain::jacobian(f, jacobian, &[0.5, 2.0]).assert();
/// ```
///
/// # Panics
/// If it has not a row for each number, of the length of `x`.
#[track_caller]
pub fn jacobian<T: Real>(
    f: impl FnMut(&[T]) -> Vec<T>,
    jacobian: impl FnMut(&[T]) -> Vec<T>,
    x: &[T],
) -> Report {
    Options::default().plain().jacobian(f, jacobian, x)
}

/// Checks products with a Jacobian: `jvp(x, v)` gives `J v` and `vjp(x, w)` gives `J' w`. Their
/// rates, and that they are each other's transpose, which is tested without any difference.
///
/// ```
/// use wengert_core::check::plain;
///
/// let f = |x: &[f64]| vec![x[0] * x[1], x[0].exp()];
/// let jvp = |x: &[f64], v: &[f64]| vec![v[0] * x[1] + x[0] * v[1], x[0].exp() * v[0]];
/// let vjp = |x: &[f64], w: &[f64]| vec![x[1] * w[0] + x[0].exp() * w[1], x[0] * w[0]];
/// plain::products(f, jvp, vjp, &[0.5, 2.0]).assert();
/// ```
///
/// # Panics
/// If a product has not the length of the value, or of `x`.
#[track_caller]
pub fn products<T: Real>(
    f: impl FnMut(&[T]) -> Vec<T>,
    jvp: impl FnMut(&[T], &[T]) -> Vec<T>,
    vjp: impl FnMut(&[T], &[T]) -> Vec<T>,
    x: &[T],
) -> Report {
    Options::default().plain().products(f, jvp, vjp, x)
}

/// Checks `vjp(x, w)`, which gives the product `J' w` of a Jacobian's transpose.
///
/// # Panics
/// If the product has not the length of `x`.
#[track_caller]
pub fn vjp<T: Real>(
    f: impl FnMut(&[T]) -> Vec<T>,
    vjp: impl FnMut(&[T], &[T]) -> Vec<T>,
    x: &[T],
) -> Report {
    Options::default().plain().vjp(f, vjp, x)
}

/// Checks `jvp(x, v)`, which gives the product `J v` with a Jacobian.
///
/// # Panics
/// If the product has not the length of the value.
#[track_caller]
pub fn jvp<T: Real>(
    f: impl FnMut(&[T]) -> Vec<T>,
    jvp: impl FnMut(&[T], &[T]) -> Vec<T>,
    x: &[T],
) -> Report {
    Options::default().plain().jvp(f, jvp, x)
}

/// Checks a Hessian, given row by row, as the Jacobian of a gradient.
///
/// ```
/// use wengert_core::check::plain;
///
/// // x^2 y
/// let gradient = |x: &[f64]| vec![2.0 * x[0] * x[1], x[0] * x[0]];
/// let hessian = |x: &[f64]| vec![2.0 * x[1], 2.0 * x[0], 2.0 * x[0], 0.0];
/// plain::hessian(gradient, hessian, &[0.5, 2.0]).assert();
/// ```
///
/// # Panics
/// If it has not a row for each number, of the length of `x`.
#[track_caller]
pub fn hessian<T: Real>(
    gradient: impl FnMut(&[T]) -> Vec<T>,
    hessian: impl FnMut(&[T]) -> Vec<T>,
    x: &[T],
) -> Report {
    Options::default().plain().hessian(gradient, hessian, x)
}

/// The checks of this module, with [`Options`].
///
/// ```
/// use wengert_core::check::Options;
///
/// // A slice that is a matrix and a vector: the report names their entries.
/// let report = Options::default()
///     .plain()
///     .parts(&[("W", &[2, 2]), ("b", &[2])])
///     .gradient(
///         |x| x.iter().map(|x| x * x).sum(),
///         |x| x.iter().enumerate().map(|(i, x)| if i == 2 { 3.0 * x } else { 2.0 * x }).collect(),
///         &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
///     );
/// assert!(report.to_string().contains("W [1, 0]"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    options: Options<'a>,
    parts: &'a [(&'a str, &'a [usize])],
}

/// A function of slices, of the parts that a slice consists of.
struct Slices<F> {
    f: RefCell<F>,
    shape: Shape,
}

impl<T: Real, F: FnMut(&[T]) -> Vec<T>> Evaluate<T> for Slices<F> {
    fn value(&self, x: &[Tensor<T>]) -> Tensor<T> {
        let y = (self.f.borrow_mut())(&joined(x));
        let length = self.shape.elements();
        assert!(
            y.len() == length,
            "the function returned {} numbers, and {length} when it was called first",
            y.len()
        );
        Tensor::new(&self.shape, y)
    }
}

fn joined<T: Real>(parts: &[Tensor<T>]) -> Vec<T> {
    parts.iter().flat_map(Tensor::iter).collect()
}

/// Products with a Jacobian.
type Product<'a, T> = &'a RefCell<dyn FnMut(&[T], &[T]) -> Vec<T> + 'a>;

/// A Jacobian, row by row.
type Matrix<'a, T> = &'a RefCell<dyn FnMut(&[T]) -> Vec<T> + 'a>;

/// What is claimed.
struct Claim<'a, T: Real> {
    subject: &'static str,
    jvp: Option<Product<'a, T>>,
    vjp: Option<Product<'a, T>>,
    matrix: Option<Matrix<'a, T>>,
    /// Numbers that entries of a gradient are compared with, if not difference quotients.
    exact: Option<(&'static str, &'a dyn Fn() -> Vec<T>)>,
}

impl<T: Real> Claim<'_, T> {
    /// What a matrix is called.
    fn noun(&self) -> &'static str {
        if self.subject.ends_with("Hessian") { "Hessian" } else { "Jacobian" }
    }

    /// A claim without a derivative yet.
    fn by_hand(subject: &'static str) -> Self {
        Self { subject, jvp: None, vjp: None, matrix: None, exact: None }
    }
}

impl<'a> Options<'a> {
    /// Checks of functions of slices, which know no tape: see [`plain`](super::plain).
    pub fn plain(self) -> Plain<'a> {
        Plain::new(self)
    }
}

impl<'a> Plain<'a> {
    pub(in crate::check) fn new(options: Options<'a>) -> Self {
        Self { options, parts: &[] }
    }

    /// Says of which tensors the slice consists, one after another in row-major order: names and
    /// shapes.
    #[must_use]
    pub fn parts(self, parts: &'a [(&'a str, &'a [usize])]) -> Self {
        Self { parts, ..self }
    }

    /// As [`plain::gradient`](gradient()).
    ///
    /// # Panics
    /// If the gradient has not the length of `x`.
    #[track_caller]
    pub fn gradient<T: Real>(
        self,
        mut f: impl FnMut(&[T]) -> T,
        mut gradient: impl FnMut(&[T]) -> Vec<T>,
        x: &[T],
    ) -> Report {
        // The cotangent of a number is 1.
        let vjp = RefCell::new(|x: &[T], _: &[T]| gradient(x));
        let claim = Claim { vjp: Some(&vjp), ..Claim::by_hand("hand-written gradient") };
        self.examine(|x: &[T]| vec![f(x)], &Shape::scalar(), claim, x)
    }

    /// Checks a gradient as [`gradient`](Self::gradient) does, and compares every entry with the
    /// [complex step](complex_step), which has no truncation and no cancellation: to the last
    /// digits. The function is one of [`Number`](crate::scalar::Number)s.
    ///
    /// ```
    /// use wengert_core::{Number, check};
    ///
    /// fn cost<A: Number>(x: &[A]) -> A {
    ///     x[0].exp() / (x[1].sin() + x[0])
    /// }
    /// fn gradient(x: &[f64]) -> Vec<f64> {
    ///     let (e, q) = (x[0].exp(), x[1].sin() + x[0]);
    ///     vec![e / q - e / (q * q), -e * x[1].cos() / (q * q)]
    /// }
    /// check::Options::default().plain().gradient_complex(cost, gradient, &[1.5, 0.5]).assert();
    /// ```
    ///
    /// # Panics
    /// If the gradient has not the length of `x`.
    #[track_caller]
    pub fn gradient_complex(
        self,
        f: impl Fn(&[Complex]) -> Complex,
        mut gradient: impl FnMut(&[f64]) -> Vec<f64>,
        x: &[f64],
    ) -> Report {
        let vjp = RefCell::new(|x: &[f64], _: &[f64]| gradient(x));
        let exact = || complex_step(&f, x);
        let claim = Claim {
            vjp: Some(&vjp),
            exact: Some(("complex step", &exact)),
            ..Claim::by_hand("hand-written gradient")
        };
        let value = |x: &[f64]| {
            let x: Vec<Complex> = x.iter().map(|&x| Complex::from(x)).collect();
            vec![f(&x).re]
        };
        self.examine(value, &Shape::scalar(), claim, x)
    }

    /// As [`plain::jacobian`](jacobian()).
    ///
    /// # Panics
    /// If it has not a row for each number, of the length of `x`.
    #[track_caller]
    pub fn jacobian<T: Real>(
        self,
        f: impl FnMut(&[T]) -> Vec<T>,
        jacobian: impl FnMut(&[T]) -> Vec<T>,
        x: &[T],
    ) -> Report {
        self.matrix("hand-written Jacobian", f, jacobian, x)
    }

    /// As [`plain::hessian`](hessian()).
    ///
    /// # Panics
    /// If it has not a row for each number, of the length of `x`.
    #[track_caller]
    pub fn hessian<T: Real>(
        self,
        gradient: impl FnMut(&[T]) -> Vec<T>,
        hessian: impl FnMut(&[T]) -> Vec<T>,
        x: &[T],
    ) -> Report {
        self.matrix("hand-written Hessian", gradient, hessian, x)
    }

    #[track_caller]
    fn matrix<T: Real>(
        self,
        subject: &'static str,
        mut f: impl FnMut(&[T]) -> Vec<T>,
        matrix: impl FnMut(&[T]) -> Vec<T>,
        x: &[T],
    ) -> Report {
        let rows = f(x).len();
        let matrix = RefCell::new(matrix);
        let length = (matrix.borrow_mut())(x).len();
        assert!(
            length == rows * x.len(),
            "the {subject} has the wrong length: got {length} entries, expected {rows} rows of {}",
            x.len()
        );
        let at = |x: &[T]| Tensor::new([rows, x.len()], (matrix.borrow_mut())(x));
        let jvp = RefCell::new(|x: &[T], v: &[T]| {
            along_matrix(&[at(x)], &[Tensor::from(v.to_vec())], &[rows].into()).to_vec()
        });
        let vjp = RefCell::new(|x: &[T], w: &[T]| {
            against_matrix(&Tensor::from(w.to_vec()), &at(x), &Tensor::from(x.to_vec())).to_vec()
        });
        let claim = Claim {
            jvp: Some(&jvp),
            vjp: Some(&vjp),
            matrix: Some(&matrix),
            ..Claim::by_hand(subject)
        };
        self.examine(f, &[rows].into(), claim, x)
    }

    /// As [`plain::products`](products).
    ///
    /// # Panics
    /// If a product has not the length of the value, or of `x`.
    #[track_caller]
    pub fn products<T: Real>(
        self,
        mut f: impl FnMut(&[T]) -> Vec<T>,
        jvp: impl FnMut(&[T], &[T]) -> Vec<T>,
        vjp: impl FnMut(&[T], &[T]) -> Vec<T>,
        x: &[T],
    ) -> Report {
        let (jvp, vjp) = (RefCell::new(jvp), RefCell::new(vjp));
        let claim = Claim {
            jvp: Some(&jvp),
            vjp: Some(&vjp),
            ..Claim::by_hand("hand-written jvp and vjp")
        };
        let shape = [f(x).len()].into();
        self.examine(f, &shape, claim, x)
    }

    /// As [`plain::vjp`](vjp()).
    ///
    /// # Panics
    /// If the product has not the length of `x`.
    #[track_caller]
    pub fn vjp<T: Real>(
        self,
        mut f: impl FnMut(&[T]) -> Vec<T>,
        vjp: impl FnMut(&[T], &[T]) -> Vec<T>,
        x: &[T],
    ) -> Report {
        let vjp = RefCell::new(vjp);
        let claim = Claim { vjp: Some(&vjp), ..Claim::by_hand("hand-written vjp") };
        let shape = [f(x).len()].into();
        self.examine(f, &shape, claim, x)
    }

    /// As [`plain::jvp`](jvp()).
    ///
    /// # Panics
    /// If the product has not the length of the value.
    #[track_caller]
    pub fn jvp<T: Real>(
        self,
        mut f: impl FnMut(&[T]) -> Vec<T>,
        jvp: impl FnMut(&[T], &[T]) -> Vec<T>,
        x: &[T],
    ) -> Report {
        let jvp = RefCell::new(jvp);
        let claim = Claim { jvp: Some(&jvp), ..Claim::by_hand("hand-written jvp") };
        let shape = [f(x).len()].into();
        self.examine(f, &shape, claim, x)
    }

    #[track_caller]
    fn examine<T: Real>(
        self,
        f: impl FnMut(&[T]) -> Vec<T>,
        shape: &Shape,
        claim: Claim<'_, T>,
        x: &[T],
    ) -> Report {
        let (options, subject) = (self.options, claim.subject);
        let names: Vec<String> = match self.parts {
            [] => vec![options.name(0)],
            parts => parts.iter().map(|(name, _)| (*name).to_owned()).collect(),
        };
        let x = &self.split(x);
        let function = &Slices { f: RefCell::new(f), shape: shape.clone() };
        let y = &function.value(x);
        // What is claimed, as functions of tensors.
        let product = |product: Product<'_, T>, v: &[T], length: usize| {
            let result = (product.borrow_mut())(&joined(x), v);
            let found = result.len();
            assert!(
                found == length,
                "the {subject} has the wrong length: got {found} numbers, expected {length}"
            );
            result
        };
        let count: usize = x.iter().map(Tensor::len).sum();
        let adjoint =
            claim.vjp.map(|vjp| move |w: &Tensor<T>| self.split(&product(vjp, &w.to_vec(), count)));
        let tangent = claim.jvp.map(|jvp| {
            move |v: &[Tensor<T>]| Tensor::new(shape, product(jvp, &joined(v), shape.elements()))
        });
        // How entries are compared: with difference quotients, unless something exact is at hand.
        let compare = |largest: f64, w: &Tensor<T>, v: &[Tensor<T>]| {
            let whole = claim.matrix.filter(|_| options.full || count <= ENTRIES);
            if let Some(matrix) = whole {
                let elements = (matrix.borrow_mut())(&joined(x));
                let claimed = Tensor::new([shape.elements(), count], elements);
                let right = differences::columns(function, x, shape.elements(), largest, &options);
                let room = room(y, x, largest, &options);
                return Comparison::of(&[claimed], &[right], None, room).named(claim.noun());
            }
            let along = |tangent: &dyn Fn(&[Tensor<T>]) -> Tensor<T>| {
                let right = differences::along(function, x, v, largest);
                let room = room(y, x, largest, &options);
                Comparison::of(&[tangent(v)], &[right], None, room).named("J v")
            };
            let Some(adjoint) = &adjoint else {
                return along(tangent.as_ref().expect("something is claimed"));
            };
            let claimed = adjoint(w);
            if let Some((_, exact)) = claim.exact {
                let tolerance = [options.tolerance.max(1e4 * T::epsilon().as_f64()), 0.0];
                return Comparison::of(&claimed, &self.split(&exact()), Some(x), tolerance);
            }
            let by_adjoint =
                Comparison::with_differences(function, x, y, w, &claimed, largest, &options);
            match &tangent {
                // The adjoint is right, so it is the tangent that is not.
                Some(tangent) if by_adjoint.differing == 0 => along(tangent),
                _ => by_adjoint,
            }
        };
        let question = Question {
            function,
            x,
            y,
            adjoint: adjoint.as_ref().map(|adjoint| adjoint as _),
            tangent: tangent.as_ref().map(|tangent| tangent as _),
            tape: None,
            compare: &compare,
            always_compares: claim.exact.is_some(),
            names,
            subject,
            suspect: "hand-written",
            trusted: claim.exact.map_or("difference quotient", |(name, _)| name),
        };
        question.examine(&options).report
    }

    /// The tensors of which a slice consists.
    #[track_caller]
    fn split<T: Real>(&self, x: &[T]) -> Vec<Tensor<T>> {
        let [_, ..] = self.parts else { return vec![Tensor::from(x.to_vec())] };
        let mut rest = x;
        let tensors = self.parts.iter().map(|(name, shape)| {
            let count = shape.iter().product();
            assert!(count <= rest.len(), "the slice of {} ends within {name}", x.len());
            let (own, after) = rest.split_at(count);
            rest = after;
            Tensor::new(*shape, own.to_vec())
        });
        let tensors = tensors.collect();
        assert!(rest.is_empty(), "the parts leave {} elements of the slice over", rest.len());
        tensors
    }
}
