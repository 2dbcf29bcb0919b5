//! A program and its derivatives in numbers, and how exact those can be.
//!
//! The program's results are made one number, the *loss*: the sum of `<w, y> + |y|^2 / 2` over
//! the results `y`, which has a second derivative where `y` is linear. Its derivatives of first
//! and second order, in several ways, are the quantities that checks compare.
//!
//! How much two ways may differ is not a constant, since a program may cancel almost everything
//! (`x - x`) or multiply errors (a factorisation, a long product). It is measured: the program runs
//! again with every result, input, cotangent and direction changed by a rounding, at random (see `noise.rs`), which
//! reaches whatever a real rounding would reach, in both directions of a sweep. What moves a quantity by
//! some amount there is allowed to move it by a multiple of that amount, and of its own rounding.

use std::cell::OnceCell;

use wengert_core::{Shape, Tape, Tensor, Var};

use crate::noise::shaken;
use crate::program::{Precision, Program, Value, number};

/// How many runs measure the effect of roundings, and how many where these do not explain a
/// difference. A number is moved little by three runs of a million, by chance alone.
const RUNS: u64 = 3;
const MORE_RUNS: u64 = 24;
/// What a quantity may be off by, in effects of one rounding everywhere. A sweep rounds a few
/// times where the program rounds once, and the runs are few; errors of a rule are larger by
/// orders of magnitude.
const ROUNDINGS: f64 = 64.0;

/// Where the numbers of the noise of inputs, cotangents and directions begin: behind steps.
const INPUTS: usize = 1 << 20;
const COTANGENTS: usize = 2 << 20;
const DIRECTIONS: usize = 3 << 20;

/// A program with the numbers that checks share.
pub struct Subject<T: Precision> {
    /// The program.
    pub program: Program,
    /// Its inputs.
    pub tensors: Vec<Tensor<T>>,
    base: OnceCell<Quantities<T>>,
    noise: OnceCell<Vec<f64>>,
    more_noise: OnceCell<Vec<f64>>,
}

/// What a program and its derivatives give.
#[derive(Clone, Debug)]
pub struct Quantities<T: Precision> {
    /// The value of each step.
    pub values: Vec<Tensor<T>>,
    /// The loss, as a tensor of one element.
    pub loss: Tensor<T>,
    /// The derivatives, if the loss has any.
    pub derivatives: Option<Derivatives<T>>,
}

/// Derivatives of a loss along a direction `v`.
#[derive(Clone, Debug)]
pub struct Derivatives<T: Precision> {
    /// By the recorded reverse sweep.
    pub gradient: Vec<Tensor<T>>,
    /// `<g, v>` by forward mode.
    pub slope: Tensor<T>,
    /// `H v`, forward over reverse.
    pub bend: Vec<Tensor<T>>,
    /// `H v`, reverse over forward.
    pub turned: Vec<Tensor<T>>,
    /// `<v, H v> / 2` by Taylor mode.
    pub curve: Tensor<T>,
}

impl<T: Precision> Quantities<T> {
    /// The same derivatives one after the other, each with its name.
    pub fn named(&self) -> Vec<(String, &Tensor<T>)> {
        let mut named = vec![("the loss".to_owned(), &self.loss)];
        let Some(derivatives) = &self.derivatives else { return named };
        let Derivatives { gradient, slope, bend, turned, curve } = derivatives;
        let each = |what: &str, tensors: &'_ [Tensor<T>]| -> Vec<String> {
            (0..tensors.len()).map(|i| format!("{what} of variable {i}")).collect()
        };
        let names = [each("the gradient", gradient), each("H v", bend), each("H' v", turned)];
        for (names, tensors) in names.into_iter().zip([gradient, bend, turned]) {
            named.extend(names.into_iter().zip(tensors));
        }
        named.push(("the slope".to_owned(), slope));
        named.push(("the curve".to_owned(), curve));
        named
    }

    /// Whether all numbers are finite.
    pub fn is_finite(&self) -> bool {
        let numbers = self.named().into_iter().flat_map(|(_, tensor)| tensor.iter());
        numbers.chain(self.values.iter().flat_map(|value| value.iter())).all(|x| x.is_finite())
    }
}

impl<T: Precision> Subject<T> {
    /// A program at its own inputs, or at others like them.
    pub fn new(program: &Program, variation: usize) -> Self {
        Self {
            program: program.clone(),
            tensors: program.tensors(variation),
            base: OnceCell::new(),
            noise: OnceCell::new(),
            more_noise: OnceCell::new(),
        }
    }

    /// What the program and its derivatives give, on a fresh tape.
    pub fn base(&self) -> &Quantities<T> {
        self.base.get_or_init(|| {
            let tape = Tape::new();
            let leaves = self.program.leaves(&tape, &self.tensors);
            quantities(&self.program, &self.tensors, &leaves, &self.program.record(&leaves))
        })
    }

    /// The difference that roundings may make to each of the named quantities.
    fn noise(&self) -> &[f64] {
        self.noise.get_or_init(|| self.noise_of(RUNS))
    }

    /// The same by more runs.
    fn more_noise(&self) -> &[f64] {
        self.more_noise.get_or_init(|| self.noise_of(MORE_RUNS))
    }

    /// The largest difference that a number of runs makes to each of the named quantities.
    fn noise_of(&self, runs: u64) -> Vec<f64> {
        let base = self.base().named();
        let mut noise = vec![0.0_f64; base.len()];
        for run in 0..runs {
            let noisy = self.noisy(run);
            for (most, ((_, a), (_, b))) in noise.iter_mut().zip(base.iter().zip(noisy.named())) {
                *most = most.max(distance(a, b));
            }
        }
        noise
    }

    /// The quantities with everything off by a rounding.
    fn noisy(&self, run: u64) -> Quantities<T> {
        let program = Program { noise: Some(run), ..self.program.clone() };
        let inputs = program.inputs.iter().zip(&self.tensors).enumerate();
        let moved: Vec<Tensor<T>> = inputs
            .map(|(i, (input, x))| match input.fixed {
                true => x.clone(),
                false => shaken(x.clone(), program.noise, INPUTS + i),
            })
            .collect();
        let tape = Tape::new();
        let leaves = program.leaves(&tape, &moved);
        // The directions are those of the inputs as they are.
        quantities(&program, &self.tensors, &leaves, &program.record(&leaves))
    }

    /// Whether `found`, a tensor that should be the named quantity `index`, is it.
    ///
    /// # Errors
    /// Both numbers, and the difference that would be allowed.
    pub fn agrees(&self, index: usize, found: &Tensor<T>, how: &str) -> Result<(), String> {
        let base = self.base().named();
        let (name, expected) = &base[index];
        if expected.shape() != found.shape() {
            return Err(format!(
                "{name} has shape {} {how}, not {}",
                found.shape(),
                expected.shape()
            ));
        }
        let room = own_roundings::<T>(largest(expected).max(largest(found)));
        let off = distance(expected, found);
        if off <= room {
            return Ok(());
        }
        let explained = |noise: &[f64]| room + ROUNDINGS * noise[index];
        if off <= explained(self.noise()) || off <= explained(self.more_noise()) {
            return Ok(());
        }
        let room = explained(self.more_noise());
        let pairs = expected.iter().zip(found.iter());
        let worst = pairs.enumerate().max_by(|(_, a), (_, b)| {
            let off = |(a, b): &(T, T)| (a.as_f64() - b.as_f64()).abs();
            let known = |x: f64| if x.is_nan() { f64::INFINITY } else { x };
            known(off(a)).total_cmp(&known(off(b)))
        });
        let (at, (a, b)) = worst.expect("a difference stands somewhere");
        let (a, b) = (a.as_f64(), b.as_f64());
        Err(format!(
            "{name}, element {at} of {}: {a:e}, and {b:e} {how}; roundings explain {room:.1e}",
            expected.shape()
        ))
    }

    /// Where the quantities of a kind begin among those that are named.
    pub fn place(&self, kind: Kind) -> usize {
        let count = self.program.varied().len();
        match kind {
            Kind::Loss => 0,
            Kind::Gradient => 1,
            Kind::Bend => 1 + count,
            Kind::Turned => 1 + 2 * count,
            Kind::Slope => 1 + 3 * count,
            Kind::Curve => 2 + 3 * count,
        }
    }

    /// What roundings explain of a quantity.
    pub fn room(&self, index: usize) -> f64 {
        let own = own_roundings::<T>(largest(self.base().named()[index].1));
        own + ROUNDINGS * self.noise()[index]
    }
}

/// The kinds of [named](Quantities::named) quantities.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One number.
    Loss,
    /// One for each variable.
    Gradient,
    /// One for each variable.
    Bend,
    /// One for each variable.
    Turned,
    /// One number.
    Slope,
    /// One number.
    Curve,
}

/// The greatest difference of two tensors of one shape: infinite where one is not finite and the
/// other another number.
pub fn distance<T: Precision>(a: &Tensor<T>, b: &Tensor<T>) -> f64 {
    if a.shape() != b.shape() {
        return f64::INFINITY;
    }
    a.iter().zip(b.iter()).fold(0.0, |most: f64, (a, b)| {
        let (a, b) = (a.as_f64(), b.as_f64());
        let off = (a - b).abs();
        let same = a == b || a.is_nan() && b.is_nan();
        most.max(if same {
            0.0
        } else if off.is_nan() {
            f64::INFINITY
        } else {
            off
        })
    })
}

/// What a quantity of some size is off by, whatever it comes of. Below the normal numbers digits
/// are lost however small the roundings are.
fn own_roundings<T: Precision>(size: f64) -> f64 {
    8.0 * (T::epsilon().as_f64() * size + T::min_positive_value().as_f64())
}

/// The largest absolute value.
pub fn largest<T: Precision>(x: &Tensor<T>) -> f64 {
    x.iter().fold(0.0, |most: f64, x| most.max(x.as_f64().abs()))
}

/// Numbers from 1/2 to 1 of either sign, the same for the same number. `print.rs` writes this
/// formula into what it prints.
pub fn signed<T: Precision>(shape: &Shape, which: usize) -> Tensor<T> {
    Tensor::from_fn(shape, |at| {
        let x = number(at, 0.5 + 7.0 * which as f64) as f32;
        T::from_f64(f64::from(if x < 0.5 { -0.5 - x } else { x }))
    })
}

/// A direction for an input, as large as its numbers are.
pub fn direction<T: Precision>(x: &Tensor<T>, which: usize) -> Tensor<T> {
    let scale = x.norm() / (x.len().max(1) as f64).sqrt();
    let scale = if scale.is_normal() { scale.min(2.0) as f32 } else { 1.0 };
    // Numbers of single precision, so that both precisions go the same way.
    let rounded = |v: T| f64::from((v.as_f64() * f64::from(scale)) as f32);
    signed::<T>(x.shape(), 1000 + which).map(|v| T::from_f64(rounded(v)))
}

/// The loss of recorded results.
pub fn loss<'t, T: Precision>(program: &Program, results: &[Var<'t, T>]) -> Var<'t, T> {
    let terms = program.outputs().into_iter().enumerate().map(|(place, index)| {
        let y = results[index];
        let w = y.tape().constant(shaken(
            signed::<T>(&y.shape(), place),
            program.noise,
            COTANGENTS + place,
        ));
        (y * w + y * y * T::from_f64(0.5)).sum()
    });
    terms.reduce(|sum, term| sum + term).expect("a program has a result")
}

/// Inputs that are varied, with a direction for each that fits the numbers of `tensors`.
pub fn directions<'t, T: Precision>(
    program: &Program,
    tensors: &[Tensor<T>],
    leaves: &[Var<'t, T>],
) -> Vec<(Var<'t, T>, Var<'t, T>)> {
    let varied = program.varied().into_iter();
    varied
        .map(|i| {
            let v = shaken(direction(&tensors[i], i), program.noise, DIRECTIONS + i);
            (leaves[i], leaves[i].tape().constant(v))
        })
        .collect()
}

/// Records derivatives of every kind.
pub fn quantities<T: Precision>(
    program: &Program,
    tensors: &[Tensor<T>],
    leaves: &[Var<'_, T>],
    results: &[Var<'_, T>],
) -> Quantities<T> {
    let values = |vars: &[Var<'_, T>]| -> Vec<Tensor<T>> {
        vars.iter().map(|var| var.value().contiguous()).collect()
    };
    let y = loss(program, results);
    let derivatives = y.is_active().then(|| {
        let lines = directions(program, tensors, leaves);
        let Recorded { gradient, slope, bend, turned } = derivatives(y, &lines);
        let curves: Vec<_> = lines.iter().map(|(x, v)| (*x, std::slice::from_ref(v))).collect();
        let curve = y.taylor(&curves, 2)[2];
        Derivatives {
            gradient: values(&gradient),
            slope: slope.value(),
            bend: values(&bend),
            turned: values(&turned),
            curve: curve.value(),
        }
    });
    Quantities { values: values(results), loss: y.value(), derivatives }
}

/// Derivatives on a tape.
pub struct Recorded<'t, T: Precision> {
    /// The adjoints.
    pub gradient: Vec<Var<'t, T>>,
    /// The tangent.
    pub slope: Var<'t, T>,
    /// Tangents of the adjoints.
    pub bend: Vec<Var<'t, T>>,
    /// Adjoints of the tangent.
    pub turned: Vec<Var<'t, T>>,
}

/// Records first and second derivatives along a line.
pub fn derivatives<'t, T: Precision>(
    y: Var<'t, T>,
    lines: &[(Var<'t, T>, Var<'t, T>)],
) -> Recorded<'t, T> {
    let one = y.tape().constant(T::one());
    let vars: Vec<_> = lines.iter().map(|(x, _)| *x).collect();
    let gradient = y.vjp(one, &vars);
    let slope = y.jvp(lines);
    let bend = gradient.iter().map(|g| g.jvp(lines)).collect();
    let turned = slope.vjp(one, &vars);
    Recorded { gradient, slope, bend, turned }
}

/// The values that a step reads.
pub fn operands<T: Precision>(
    program: &Program,
    step: usize,
    tensors: &[Tensor<T>],
    values: &[Tensor<T>],
) -> Vec<Tensor<T>> {
    let own = |value: &Value| match *value {
        Value::Input(i) => tensors[i].clone(),
        Value::Step(i) => values[i].clone(),
    };
    program.steps[step].args.iter().map(own).collect()
}
