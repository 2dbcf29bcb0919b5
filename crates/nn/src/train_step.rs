//! Training steps compiled as a whole.
//!
//! Forward pass, gradients and the optimiser's update are recorded once and become
//! one [`Program`], in which the parameters and velocities are a state that moves
//! from run to run. Nothing is recorded or looked up at a step any more, so small
//! networks train several times as fast, with the same numbers to the last bit.

use wengert_core::{CompileError, Function, Inputs, Leaf, Program, Real, Tape, Tensor, Var};

use crate::optim::Rule;
use crate::{Module, Path, Sgd};

/// A step of stochastic gradient on a model, compiled.
///
/// It keeps parameters and velocities of its own, starting from those of the model
/// and the optimiser; [`store`](Self::store) gives them back.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::loss::quadratic_cost;
/// use wengert_nn::{Layer, Linear, Sgd, TrainStep};
///
/// let mut net = Linear::from_parts([[0.0]], [0.0]);
/// let mut sgd = Sgd::new(0.5);
/// let (x, y) = (Tensor::from([[1.0], [2.0]]), Tensor::from([[5.0], [7.0]]));
/// let mut step = TrainStep::compile(
///     &net,
///     &sgd,
///     |(x, y)| quadratic_cost(net.forward(x), y),
///     (&x, &y),
/// )?;
/// for _ in 0..200 {
///     step.run((&x, &y));
/// }
/// step.store(&mut net, &mut sgd);
/// assert!((net.weight.elements()[0] - 2.0_f64).abs() < 1e-6);
/// # Ok::<(), wengert_core::CompileError>(())
/// ```
#[derive(Debug)]
pub struct TrainStep<T: Real> {
    program: Program<T>,
    /// The inputs of a step; the learning rate stands behind them.
    inputs: usize,
    /// Keys of the trained parameters. Their values are the program's next inputs,
    /// then come their velocities, if there is momentum.
    keys: Vec<u64>,
    has_velocities: bool,
}

impl<T: Real> TrainStep<T> {
    /// Compiles a step on a loss of some inputs, recorded at the given ones: batches
    /// to come have their shapes.
    ///
    /// Inputs that change from step to step, targets included, must come in as
    /// inputs; everything else is taken as fixed.
    ///
    /// # Errors
    /// As [`wengert_core::compile`].
    ///
    /// # Panics
    /// If the loss is no single number or depends on no variable.
    #[track_caller]
    pub fn compile<M: Module<T> + ?Sized, I: Inputs<T>>(
        net: &M,
        sgd: &Sgd<T>,
        loss: impl for<'t> Function<'t, T, I>,
        inputs: I,
    ) -> Result<Self, CompileError> {
        Self::build(net, sgd, loss, inputs, |_| None)
    }

    /// As [`compile`](Self::compile), and evaluates `monitor` after each update, with
    /// the parameters moved: a cost over all points, say, which
    /// [`monitored`](Self::monitored) gives.
    ///
    /// # Errors
    /// As [`wengert_core::compile`].
    ///
    /// # Panics
    /// As [`compile`](Self::compile).
    #[track_caller]
    pub fn compile_monitored<M: Module<T> + ?Sized, I: Inputs<T>>(
        net: &M,
        sgd: &Sgd<T>,
        loss: impl for<'t> Function<'t, T, I>,
        inputs: I,
        monitor: impl for<'t> Fn(&'t Tape<T>) -> Var<'t, T>,
    ) -> Result<Self, CompileError> {
        Self::build(net, sgd, loss, inputs, |tape| Some(monitor(tape)))
    }

    #[track_caller]
    fn build<M: Module<T> + ?Sized, I: Inputs<T>>(
        net: &M,
        sgd: &Sgd<T>,
        loss: impl for<'t> Function<'t, T, I>,
        inputs: I,
        monitor: impl for<'t> Fn(&'t Tape<T>) -> Option<Var<'t, T>>,
    ) -> Result<Self, CompileError> {
        let tape = Tape::new();
        let mut values = Vec::new();
        inputs.values(&mut values);
        let mut program_inputs: Vec<Var<'_, T>> =
            values.iter().map(|value| tape.constant(value)).collect();
        let batch = program_inputs.len();
        let cost = loss(I::unflatten(&mut program_inputs.iter().copied()));
        let gradients = cost.backward();
        let rate = tape.constant(T::from_f64(sgd.rate()));
        program_inputs.push(rate);

        let (mut keys, mut states, mut velocities) = (Vec::new(), Vec::new(), Vec::new());
        let mut outputs = vec![cost];
        tape.without_gradients(|| {
            net.visit(&Path::root(), &mut |_, param| {
                // What the cost does not depend on stays as it is.
                let is_used = gradients.with_parameter(param.key(), |_| ()).is_some();
                if !param.is_trainable() || !is_used {
                    return;
                }
                let w = tape.parameter_variable(param.key()).expect("it has a gradient");
                let g = gradients.on_tape(w);
                let rule = sgd.rule(param).on_tape(rate, T::from_f64(param.rate()));
                keys.push(param.key());
                if sgd.has_momentum() {
                    let v = tape.constant(&sgd.velocity_of(param));
                    let [moved, faster] = rule.with_momentum(w, g, v);
                    states.push((w, moved));
                    velocities.push((v, faster));
                } else {
                    states.push((w, rule.plain(w, g)));
                }
            });
            for (&key, &(_, moved)) in keys.iter().zip(&states) {
                tape.replace_parameter(key, moved);
            }
            outputs.extend(monitor(&tape));
        });
        let has_velocities = !velocities.is_empty();
        states.extend(velocities);
        program_inputs.extend(states.iter().map(|&(state, _)| state));
        let program = tape.compile_updating(&program_inputs, &outputs, &states)?;
        Ok(Self { program, inputs: batch, keys, has_velocities })
    }

    /// Takes a step on new inputs, in the arrangement of the recording, and gives the
    /// loss before it.
    ///
    /// # Panics
    /// If the number of inputs or a shape is not that of the recording.
    #[track_caller]
    pub fn run<I: Inputs<T>>(&mut self, inputs: I) -> T {
        let mut values = Vec::new();
        inputs.values(&mut values);
        assert_eq!(values.len(), self.inputs, "the step was compiled for other inputs");
        for (index, value) in values.into_iter().enumerate() {
            self.program.set_input(index, value);
        }
        self.step();
        self.loss()
    }

    /// Gives one input its value for the steps to come, without allocating.
    ///
    /// # Panics
    /// If there is no such input or its shape is not that of the recording.
    #[track_caller]
    pub fn set_input(&mut self, index: usize, value: impl Leaf<T>) {
        assert!(index < self.inputs, "the step has {} inputs", self.inputs);
        self.program.set_input(index, value);
    }

    /// Takes a step on the inputs as they stand.
    #[inline]
    pub fn step(&mut self) {
        self.program.execute();
    }

    /// The loss of the last step, before its update.
    pub fn loss(&self) -> T {
        self.program.with_output(0, |loss| loss.first())
    }

    /// The monitored value after the last step, if the step was compiled with one.
    pub fn monitored(&self) -> Option<T> {
        let has_monitor = self.program.outputs() > 1;
        has_monitor.then(|| self.program.with_output(1, |value| value.first()))
    }

    /// Sets the learning rate of the steps to come.
    pub fn set_rate(&mut self, rate: f64) {
        self.program.set_input(self.inputs, T::from_f64(rate));
    }

    /// Gives parameters and velocities back to the model and the optimiser.
    pub fn store<M: Module<T> + ?Sized>(&self, net: &mut M, sgd: &mut Sgd<T>) {
        let first = self.inputs + 1;
        net.visit_mut(&Path::root(), &mut |_, param| {
            let Some(index) = self.keys.iter().position(|&key| key == param.key()) else { return };
            param.set(self.program.input(first + index));
            if self.has_velocities {
                let velocity: Tensor<T> = self.program.input(first + self.keys.len() + index);
                sgd.set_velocity(param, velocity.to_vec());
            }
        });
    }

    /// The program, to be printed.
    pub fn program(&self) -> &Program<T> {
        &self.program
    }
}

impl<T: Real> Rule<T> {
    /// The rule for variables, with a learning rate that stands on their tape.
    fn on_tape<'t>(&self, rate: Var<'t, T>, multiplier: T) -> Rule<Var<'t, T>> {
        let tape = rate.tape();
        let rate = if multiplier == T::one() { rate } else { rate * multiplier };
        Rule {
            rate,
            decay: self.decay.map(|decay| tape.constant(decay)),
            momentum: tape.constant(self.momentum),
            nesterov: self.nesterov,
        }
    }
}
