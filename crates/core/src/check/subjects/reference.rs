//! Gradients without a tape and without a rule: numbers to compare with.
//!
//! Both are for functions of few variables, since they take one or more evaluations for each.
//!
//! - [`complex_step`]: exact to rounding, for functions that can be evaluated at complex numbers
//! - [`richardson`]: differences extrapolated to step 0, for any smooth function, each with an
//!   estimate of its error

pub use super::complex::Complex;

/// The imaginary step: so small that its square vanishes beside any number.
const STEP: f64 = 1e-150;

/// The gradient by the complex step, `Im f(x + ih) / h`: no difference is taken, so nothing cancels, and
/// `h` can be so small that nothing is truncated (Squire & Trapp, "Using complex variables to
/// estimate derivatives of real functions", SIAM Review 40, 1998).
///
/// ```
/// use wengert_core::Number;
/// use wengert_core::check::reference::complex_step;
///
/// fn f<A: Number>(x: &[A]) -> A {
///     x[0].exp() / x[1]
/// }
/// let gradient = complex_step(f, &[1.0, 3.0]);
/// assert_eq!(gradient, [1.0_f64.exp() / 3.0, -1.0_f64.exp() / 9.0]);
/// ```
pub fn complex_step(f: impl Fn(&[Complex]) -> Complex, x: &[f64]) -> Vec<f64> {
    let mut z: Vec<Complex> = x.iter().map(|&x| Complex::from(x)).collect();
    (0..x.len())
        .map(|i| {
            z[i].im = STEP;
            let slope = f(&z).im / STEP;
            z[i].im = 0.0;
            slope
        })
        .collect()
}

/// A number, and how far it may be off.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// An estimate of its error.
    pub error: f64,
}

/// The gradient by central differences of steps `h, h/2, h/4, ...`, extrapolated to step 0 with
/// polynomials in `h^2` (Richardson; Ridders, "Accurate computation of F'(x) and F'(x) F''(x)",
/// Advances in Engineering Software 4, 1982). Of all extrapolations the one counts that differs least
/// from those before it, and by how much it does is the estimate of its error.
///
/// ```
/// use wengert_core::check::reference::richardson;
///
/// let [slope] = richardson(|x| x[0].sin(), &[1.0])[..] else { unreachable!() };
/// assert!((slope.value - 1.0_f64.cos()).abs() < 1e-12);
/// assert!(slope.error < 1e-10);
/// ```
pub fn richardson(mut f: impl FnMut(&[f64]) -> f64, x: &[f64]) -> Vec<Estimate> {
    const ROWS: usize = 10;
    let mut there = x.to_vec();
    (0..x.len())
        .map(|i| {
            let mut quotient = |h: f64| {
                let mut at = |h: f64| {
                    there[i] = x[i] + h;
                    (there[i], f(&there))
                };
                let ((a, low), (b, high)) = (at(-h), at(h));
                there[i] = x[i];
                (high - low) / (b - a)
            };
            let mut h = 0.1 * if x[i] == 0.0 { 1.0 } else { x[i].abs() };
            let mut best = Estimate { value: quotient(h), error: f64::INFINITY };
            let mut before = vec![best.value];
            for _ in 1..ROWS {
                h /= 2.0;
                let mut row = vec![quotient(h)];
                let mut factor = 1.0;
                for k in 0..before.len() {
                    factor *= 4.0;
                    let value = row[k] + (row[k] - before[k]) / (factor - 1.0);
                    let error = (value - row[k]).abs().max((value - before[k]).abs());
                    if error < best.error {
                        best = Estimate { value, error };
                    }
                    row.push(value);
                }
                before = row;
            }
            best
        })
        .collect()
}
