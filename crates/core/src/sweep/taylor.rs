//! The Taylor sweep: coefficients of curves along with the values (G&W, chapter 13).
//!
//! Order by order, so that a coefficient finds all lower ones ready, and within an
//! order in the order of the tape, so that nothing recurses through it.

use crate::scalar::Real;
use crate::tape::elemental::{Series, SeriesCall, System};
use crate::tape::{NodeId, Tape, Var};

/// # Taylor coefficients
impl<'t, T: Real> Var<'t, T> {
    /// The coefficients `y_0, ..., y_degree` of `y(t) = y_0 + y_1 t + y_2 t^2 + ...`,
    /// where values before it move along curves: each is given with its
    /// coefficients from the first power on, `x(t) = x + x_1 t + x_2 t^2 + ...`.
    /// `k! y_k` is the `k`-th derivative at 0.
    ///
    /// Recorded, so that coefficients can be differentiated and compiled. The cost is
    /// of the order `degree^2`.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let (x, one) = (tape.variable(0.0), tape.constant(1.0));
    /// let y = x.exp().taylor(&[(x, &[one])], 3);
    /// let y: Vec<f64> = y.into_iter().map(|y| y.item()).collect();
    /// assert_eq!(y, [1.0, 1.0, 0.5, 1.0 / 6.0]);
    /// ```
    ///
    /// # Panics
    /// If a coefficient's shape is not that of its value, or one lies on another
    /// tape; and as [`grad`](Self::grad) where there is no derivative.
    #[doc(alias = "jet")]
    #[track_caller]
    pub fn taylor(self, curves: &[(Var<'t, T>, &[Var<'t, T>])], degree: usize) -> Vec<Var<'t, T>> {
        let [coefficients] = self.tape().taylor([self], curves, degree);
        coefficients
    }
}

impl<T: Real> Tape<T> {
    /// The Taylor coefficients of several values at once, from one sweep: see
    /// [`Var::taylor`].
    ///
    /// # Panics
    /// As [`Var::taylor`].
    #[track_caller]
    pub fn taylor<'t, const N: usize>(
        &'t self,
        outputs: [Var<'t, T>; N],
        curves: &[(Var<'t, T>, &[Var<'t, T>])],
        degree: usize,
    ) -> [Vec<Var<'t, T>>; N] {
        for (input, coefficients) in curves {
            for var in coefficients.iter().chain([input]) {
                self.expect_own(*var);
                input.expect_shape_of_its("taylor", "coefficient", &var.shape());
            }
        }
        let system = System::new(self);
        let inputs = curves.iter().map(|&(input, coefficients)| {
            let coefficients = [input].into_iter().chain(coefficients.iter().copied());
            (input, system.given(coefficients.map(Some).collect()))
        });
        let sweep = Sweep::new(&system, &inputs.collect::<Vec<_>>(), &outputs);
        sweep.advance(degree);
        outputs.map(|output| sweep.coefficients(output, degree))
    }

    /// The Taylor coefficients of the solution of a differential equation `x' = f(x)`, for
    /// one or more values `x`, each given with what `f` has given for it. One sweep, in
    /// which every coefficient of `f(x(t))` at once gives the next one of `x(t)`.
    ///
    /// With it a Taylor series of high degree is a method for integrating the equation (G&W,
    /// section 13.1).
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// // An oscillator, x' = v and v' = -x, from (0, 1): x = sin t.
    /// let tape = Tape::new();
    /// let (x, v) = (tape.variable(0.0), tape.variable(1.0));
    /// let [sin, cos] = tape.ode_series([(x, v), (v, -x)], 3);
    /// let sin: Vec<f64> = sin.into_iter().map(|x| x.item()).collect();
    /// assert_eq!(sin, [0.0, 1.0, 0.0, -1.0 / 6.0]);
    /// # assert_eq!(cos[2].item(), -0.5);
    /// ```
    ///
    /// # Panics
    /// If the shapes of a pair differ, or a value lies on another tape.
    #[track_caller]
    pub fn ode_series<'t, const N: usize>(
        &'t self,
        equations: [(Var<'t, T>, Var<'t, T>); N],
        degree: usize,
    ) -> [Vec<Var<'t, T>>; N] {
        for (x, rate) in equations {
            for var in [x, rate] {
                self.expect_own(var);
            }
            x.expect_shape_of_its("ode_series", "rate", &rate.shape());
        }
        let system = System::new(self);
        let states = equations.map(|(x, _)| (x, system.integral(x)));
        let rates = equations.map(|(_, rate)| rate);
        let inputs = states.each_ref().map(|(x, (series, _))| (*x, *series));
        let sweep = Sweep::new(&system, &inputs, &rates);
        for ((_, (_, of)), rate) in states.iter().zip(rates) {
            let series = sweep.table.get(rate.id().index()).copied().flatten();
            of.set(series.unwrap_or_else(|| system.constant(rate)).id());
        }
        sweep.advance(degree);
        equations.map(|(x, _)| sweep.coefficients(x, degree))
    }
}

/// The series of all nodes that move.
struct Sweep<'s, 't, T: Real> {
    tape: &'t Tape<T>,
    table: Vec<Option<Series<'s, 't, T>>>,
}

impl<'s, 't, T: Real> Sweep<'s, 't, T> {
    /// Writes the equations of the nodes between inputs and outputs.
    fn new(
        system: &'s System<'t, T>,
        inputs: &[(Var<'t, T>, Series<'s, 't, T>)],
        outputs: &[Var<'t, T>],
    ) -> Self {
        let tape = system.tape();
        let sources: Vec<_> = inputs.iter().map(|&(input, _)| input).collect();
        // An input may stand behind all outputs.
        let ends: Vec<_> = sources.iter().chain(outputs).copied().collect();
        let marks = tape.mark_from(&sources, &ends, Vec::new());
        let mut table: Vec<Option<Series<'s, 't, T>>> = vec![None; marks.len()];
        for &(input, series) in inputs {
            table[input.id().index()] = Some(series);
        }
        for index in (0..marks.len()).filter(|&index| marks[index]) {
            if table[index].is_none() {
                let node = tape.var(NodeId::new(index));
                tape.record_on_behalf(Some(node.id()));
                table[index] = Some(SeriesCall::solve(system, node, |arg| table[arg.index()]));
            }
        }
        tape.record_on_behalf(None);
        Self { tape, table }
    }

    /// Finds the coefficients up to a degree.
    fn advance(&self, degree: usize) {
        for order in 1..=degree {
            for (index, series) in self.table.iter().enumerate() {
                if let Some(series) = series {
                    self.tape.record_on_behalf(Some(NodeId::new(index)));
                    series.coefficient(order);
                }
            }
        }
        self.tape.record_on_behalf(None);
    }

    fn coefficients(&self, output: Var<'t, T>, degree: usize) -> Vec<Var<'t, T>> {
        let series = self.table.get(output.id().index()).copied().flatten();
        let higher = (1..=degree).map(|order| {
            let found = series.and_then(|series| series.coefficient(order));
            match found {
                // Rules are read off formulas, which are recorded with derivatives.
                Some(found) if found.is_active() && !self.tape.records_derivatives() => {
                    found.alias()
                }
                Some(found) => found,
                None => output.zeros_like(),
            }
        });
        [output].into_iter().chain(higher).collect()
    }
}
