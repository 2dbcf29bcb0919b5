//! From closures and recordings to programs.

use super::Program;
use super::error::CompileError;
use super::graph::Graph;
use super::recording::Recording;
use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::var::inputs::{record, taken_in};
use crate::var::{Function, Inputs};

/// Compiles a function of tensors, recorded at the given ones.
///
/// It takes what [`grad`](crate::transform::grad) and [`vmap`](crate::vmap) take; [`compile_n`] takes a function
/// with several results. The function is called once, and all that is no input is taken as fixed.
///
/// ```
/// use wengert_core::{Tensor, compile, func};
///
/// let f = func(|x| (x.sin() * x).sum());
/// let mut program = compile(f, &Tensor::from([1.0, 2.0]))?;
/// assert_eq!(program.run(&Tensor::from([0.0, 1.0]))[0].item(), 1.0_f64.sin());
/// # Ok::<(), wengert_core::CompileError>(())
/// ```
///
/// # Errors
/// If the function reads a value that depends on its inputs: it may have decided by it, and a run on
/// other inputs could not decide again. ([`Tape::compile`] is asked by whoever has read, so it refuses
/// only what was recorded after a read.)
///
/// # Panics
/// If the result lies on another tape.
#[doc(alias = "jit")]
#[track_caller]
pub fn compile<T: Real, I: Inputs<T>>(
    f: impl for<'t> Function<'t, T, I>,
    inputs: I,
) -> Result<Program<T>, CompileError> {
    let tape = Tape::lazy();
    let (vars, y) = record(&tape, &f, &inputs);
    tape.refuse_reads(&vars)?;
    tape.compile(&vars, &[y])
}

/// As [`compile`], for a function that gives several results, as an array: a value with its
/// gradient ([`Var::grad`], or [`Var::backward`] with
/// [`Gradients::on_tape`](crate::sweep::Gradients::on_tape)), any derivatives.
///
/// ```
/// use wengert_core::{Tensor, compile_n};
///
/// let x = Tensor::from([1.0, 2.0]);
/// let mut program = compile_n(
///     |x| {
///         let y = (x.sin() * x).sum();
///         let [dx] = y.grad([x]);
///         [y, dx]
///     },
///     &x,
/// )?;
/// let results = program.run(&Tensor::from([0.0, 1.0]));
/// assert_eq!(results[1].at(&[1]), 1.0_f64.cos() + 1.0_f64.sin());
/// # Ok::<(), wengert_core::CompileError>(())
/// ```
///
/// # Errors
/// As [`compile`].
///
/// # Panics
/// As [`compile`].
#[track_caller]
pub fn compile_n<T: Real, I: Inputs<T>, const M: usize>(
    f: impl for<'t> Functions<'t, T, I, M>,
    inputs: I,
) -> Result<Program<T>, CompileError> {
    let tape = Tape::lazy();
    let (list, vars) = taken_in(&tape, &inputs);
    let results = f(vars);
    tape.refuse_reads(&list)?;
    tape.compile(&list, &results)
}

/// A function with several results, of the variables that stand for inputs `I`.
///
/// As [`Function`]: it follows for every closure of the right signature.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function from variables of `{T}` to an array of them",
    note = "it takes the variables in the arrangement of the inputs, and gives `[Var<{T}>; N]`"
)]
pub trait Functions<'t, T: Real, I: Inputs<T>, const M: usize>:
    Fn(I::Vars<'t>) -> [Var<'t, T>; M]
where
    T: 't,
{
}

impl<'t, T: Real, I: Inputs<T>, const M: usize, F: Fn(I::Vars<'t>) -> [Var<'t, T>; M]>
    Functions<'t, T, I, M> for F
{
}

impl<T: Real> Tape<T> {
    /// A function that has read a value may have decided by it which of its values to give.
    fn refuse_reads(&self, inputs: &[Var<'_, T>]) -> Result<(), CompileError> {
        match self.any_read(inputs) {
            Some((value, line)) => Err(CompileError::ValueRead { value, line }),
            None => Ok(()),
        }
    }

    /// Compiles what is recorded: the outputs as a function of some leaves. Other
    /// leaves are constants.
    ///
    /// # Errors
    /// As [`compile`]; and if an input is no leaf, or given twice.
    ///
    /// # Panics
    /// If an input or output lies on another tape.
    #[track_caller]
    pub fn compile(
        &self,
        inputs: &[Var<'_, T>],
        outputs: &[Var<'_, T>],
    ) -> Result<Program<T>, CompileError> {
        self.compile_updating(inputs, outputs, &[])
    }

    /// As [`compile`](Self::compile), for programs with a state, such as a training
    /// step: at the end of each run the first of each pair, one of the inputs, takes
    /// the value of the second.
    ///
    /// ```
    /// use wengert_core::Tape;
    ///
    /// let tape = Tape::new();
    /// let (x, w) = (tape.constant(2.0), tape.variable(1.0));
    /// let cost = (w * x - 6.0).square();
    /// let [gradient] = cost.grad([w]);
    /// let mut step = tape.compile_updating(&[x, w], &[cost], &[(w, w - 0.1 * gradient)])?;
    /// for _ in 0..50 {
    ///     step.execute();
    /// }
    /// assert!((step.input(1).item() - 3.0_f64).abs() < 1e-9);
    /// # Ok::<(), wengert_core::CompileError>(())
    /// ```
    ///
    /// # Errors
    /// As [`compile`](Self::compile).
    ///
    /// # Panics
    /// As [`compile`](Self::compile), and if an updated variable is no input or the
    /// shapes of a pair differ.
    #[track_caller]
    pub fn compile_updating(
        &self,
        inputs: &[Var<'_, T>],
        outputs: &[Var<'_, T>],
        updates: &[(Var<'_, T>, Var<'_, T>)],
    ) -> Result<Program<T>, CompileError> {
        let samples = self.samples();
        let given = inputs;
        // A sample that is an input is given.
        let drawn = samples.iter().flat_map(|samples| &samples.drawn);
        let drawn = drawn.filter(|(sample, _)| given.iter().all(|input| input.id() != *sample));
        let sampled = drawn.clone().map(|&(sample, _)| self.var(sample));
        let inputs: Vec<Var<'_, T>> = given.iter().copied().chain(sampled).collect();
        let results: Vec<Var<'_, T>> =
            outputs.iter().copied().chain(updates.iter().map(|&(_, next)| next)).collect();
        for var in inputs.iter().chain(&results) {
            self.expect_own(*var);
        }
        for (position, input) in inputs.iter().enumerate() {
            let is_leaf = self.call(input.id()).is_none();
            if !is_leaf || inputs[..position].iter().any(|other| other.id() == input.id()) {
                return Err(CompileError::NoInput { value: input.describe() });
            }
        }
        if let Some((value, line)) = self.data_dependent_read(&inputs, &results) {
            return Err(CompileError::ValueRead { value, line });
        }
        let mut updated = Vec::with_capacity(updates.len());
        for (state, next) in updates {
            state.expect_shape_of_its("compile_updating", "new value", &next.shape());
            match given.iter().position(|input| input.id() == state.id()) {
                Some(position) => updated.push(position),
                None => panic!(
                    "compile_updating: {} is updated, and is not among the inputs",
                    state.describe()
                ),
            }
        }
        let mut graph = Graph::new(self, &inputs, &results)?;
        graph.separate(outputs.len(), &updated);
        graph.pack_shared_operands();
        let recording = Recording::new(self, &inputs, &results, updated.clone());
        let mut program = Program::new(&graph, outputs.len(), &updated, recording);
        for (index, input) in inputs.iter().enumerate() {
            program.set_input(index, self.value_of(input.id()));
        }
        program.samples = drawn.map(|&(_, distribution)| distribution).collect();
        if let Some(samples) = &samples {
            program.rng = samples.start.clone();
        }
        Ok(program)
    }
}
