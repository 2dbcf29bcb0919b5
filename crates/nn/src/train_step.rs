//! Training steps compiled as a whole.
//!
//! Forward pass, gradients and the optimiser's update are recorded once and become
//! one [`Program`], in which the parameters and velocities are a state that moves
//! from run to run. Nothing is recorded or looked up at a step any more, so small
//! networks train several times as fast, with the same numbers to the last bit.

use wengert_core::{CompileError, Function, Inputs, Leaf, Program, Real, Tape, Tensor, Var};

use crate::optim::number::not_negative;
use crate::optim::{Momentum, Optimiser, Rule, Settings, States, StepError, called, index_of};
use crate::{Module, Param, Path};

/// A step of an optimiser on a model, compiled.
///
/// It keeps parameters and the optimiser's memory as a state of its own, starting
/// from those given; [`store`](Self::store) gives them back.
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
/// for _ in 0..1000 {
///     step.run((&x, &y));
/// }
/// step.store(&mut net, &mut sgd);
/// assert!((net.weight.elements()[0] - 2.0_f64).abs() < 1e-6);
/// # Ok::<(), wengert_core::CompileError>(())
/// ```
#[derive(Debug)]
pub struct TrainStep<T: Real, R = Momentum> {
    program: Program<T>,
    /// The inputs of a step. Behind them stand the optimiser's settings, for each
    /// multiplier of the learning rate in use; then, for each parameter, its value
    /// and states.
    inputs: usize,
    multipliers: Vec<f64>,
    /// The trained parameters.
    parameters: Vec<Trained>,
    /// The same of the buffers that a step moves.
    buffers: Vec<Trained>,
    rule: R,
    rate: f64,
    /// Whether steps may be taken on what is not finite.
    lenient: bool,
    steps: u64,
    /// The settings depend on the rate and, for some rules, on the step.
    settings: Settings,
}

/// A parameter or buffer that a step moves.
#[derive(Debug)]
struct Trained {
    key: u64,
    /// Where its value is among the inputs.
    index: usize,
    /// What messages call it.
    name: String,
}

impl<T: Real, R: Rule> TrainStep<T, R> {
    /// Compiles a step on a loss of some inputs, recorded at the given ones: batches
    /// to come have their shapes.
    ///
    /// Inputs that change from step to step, targets included, must come in as
    /// inputs; everything else is taken as fixed, but for samples that layers draw and
    /// buffers that they assign to: the recording is one of [training](Tape::train).
    ///
    /// # Errors
    /// As [`wengert_core::compile`].
    ///
    /// # Panics
    /// If the loss is no single number or depends on no parameter of the model.
    #[track_caller]
    pub fn compile<M: Module<T> + ?Sized, I: Inputs<T>>(
        net: &M,
        optimiser: &Optimiser<T, R>,
        loss: impl for<'t> Function<'t, T, I>,
        inputs: I,
    ) -> Result<Self, CompileError> {
        Self::build(net, optimiser, loss, inputs, |_| None)
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
        optimiser: &Optimiser<T, R>,
        loss: impl for<'t> Function<'t, T, I>,
        inputs: I,
        monitor: impl for<'t> Fn(&'t Tape<T>) -> Var<'t, T>,
    ) -> Result<Self, CompileError> {
        Self::build(net, optimiser, loss, inputs, |tape| Some(monitor(tape)))
    }

    #[track_caller]
    fn build<M: Module<T> + ?Sized, I: Inputs<T>>(
        net: &M,
        optimiser: &Optimiser<T, R>,
        loss: impl for<'t> Function<'t, T, I>,
        inputs: I,
        monitor: impl for<'t> Fn(&'t Tape<T>) -> Option<Var<'t, T>>,
    ) -> Result<Self, CompileError> {
        let tape = Tape::new();
        tape.train(0);
        let before: Vec<(u64, String, Var<'_, T>)> = net
            .named_buffers()
            .iter()
            .map(|(name, buffer)| (buffer.key(), called(name, buffer), buffer.on(&tape)))
            .collect();
        let mut values = Vec::new();
        inputs.values(&mut values);
        let mut program_inputs: Vec<Var<'_, T>> = Vec::new();
        // A loop and no closure, which would not know the caller's line.
        for value in &values {
            program_inputs.push(tape.constant(value));
        }
        let batch = program_inputs.len();
        let cost = loss(I::unflatten(&mut program_inputs.iter().copied()));
        let gradients = cost.backward();

        let (rule, rate) = (optimiser.rule().clone(), optimiser.rate());
        let mut trained: Vec<&Param<T>> = Vec::new();
        let mut names = Vec::new();
        for (name, param) in net.named_parameters() {
            // What the cost does not depend on stays as it is.
            let is_used = || gradients.with_parameter(param.key(), |_| ()).is_some();
            if param.is_trainable() && is_used() {
                trained.push(param);
                names.push(called(&name, param));
            }
        }
        if trained.is_empty()
            && let Err(error) = StepError::unrelated(net, &gradients)
        {
            panic!("{error}");
        }
        let mut multipliers: Vec<f64> = Vec::new();
        let mut settings: Vec<[Var<'_, T>; 4]> = Vec::new();
        for param in &trained {
            if !multipliers.contains(&param.rate()) {
                multipliers.push(param.rate());
                let numbers = rule.settings(rate * param.rate(), optimiser.steps() + 1);
                settings.push(numbers.map(|x| tape.constant(T::from_f64(x))));
            }
        }
        program_inputs.extend(settings.iter().flatten());

        let (mut parameters, mut updates, mut outputs) = (Vec::new(), Vec::new(), vec![cost]);
        tape.without_gradients(|| {
            let variable = |param: &&Param<T>| {
                tape.parameter_variable(param.key()).expect("it has a gradient")
            };
            let of = |param| gradients.on_tape(variable(param));
            let mut slopes: Vec<Var<'_, T>> = trained.iter().map(of).collect();
            if let Some(clip) = optimiser.clip() {
                clip.apply(&mut slopes);
            }
            for ((param, name), &g) in trained.iter().zip(names).zip(&slopes) {
                let w = variable(param);
                let states: Vec<Var<'_, T>> = optimiser
                    .states_of(param)
                    .into_iter()
                    .map(|state| tape.constant(Tensor::new(param.shape(), state)))
                    .collect();
                let mut next = states.clone();
                let group = multipliers.iter().position(|&rate| rate == param.rate());
                let settings = settings[group.expect("collected above")];
                let moved = rule.apply(settings, param.decay(), w, g, &mut next);
                parameters.push(Trained { key: param.key(), index: program_inputs.len(), name });
                program_inputs.push(w);
                program_inputs.extend(&states);
                updates.push((w, moved));
                updates.extend(states.into_iter().zip(next));
            }
            for (param, &(_, moved)) in
                trained.iter().zip(updates.iter().step_by(1 + rule.states()))
            {
                tape.assign(param.key(), moved);
            }
            tape.evaluate();
            outputs.extend(monitor(&tape));
        });
        let mut buffers = Vec::new();
        for (key, name, buffer) in before {
            if let Some(next) = tape.assigned(key) {
                buffers.push(Trained { key, index: program_inputs.len(), name });
                program_inputs.push(buffer);
                updates.push((buffer, next));
            }
        }
        let program = tape.compile_updating(&program_inputs, &outputs, &updates)?;
        let steps = optimiser.steps();
        let settings = rule.settings(rate, steps + 1);
        let (inputs, lenient) = (batch, optimiser.is_lenient());
        Ok(Self {
            program,
            inputs,
            multipliers,
            parameters,
            buffers,
            rule,
            rate,
            lenient,
            steps,
            settings,
        })
    }

    /// Takes a step on new inputs, in the arrangement of the recording, and gives the
    /// loss before it.
    ///
    /// # Panics
    /// If the number of inputs or a shape is not that of the recording, and as
    /// [`step`](Self::step).
    #[track_caller]
    pub fn run<I: Inputs<T>>(&mut self, inputs: I) -> T {
        let mut values = Vec::new();
        inputs.values(&mut values);
        assert!(
            values.len() == self.inputs,
            "a step takes the inputs that it was compiled for: expected {}, got {}",
            self.inputs,
            values.len()
        );
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
        assert!(index < self.inputs, "a step of {} inputs has no input {index}", self.inputs);
        self.program.set_input(index, value);
    }

    /// Takes a step on the inputs as they stand.
    ///
    /// # Panics
    /// If the loss is not finite, or a parameter, a buffer or what the optimiser remembers is not
    /// after the step, unless the optimiser [allows](Optimiser::allow_non_finite) it. The step's
    /// parameters are lost then, while the model still has those of before; recorded on a tape, the
    /// same step names the value that is to blame.
    #[inline]
    #[track_caller]
    pub fn step(&mut self) {
        if let Err(error) = self.try_step() {
            panic!("{error}");
        }
    }

    /// As [`step`](Self::step), with what is not finite as an error.
    ///
    /// ```
    /// use wengert_core::Tensor;
    /// use wengert_nn::{Param, Sgd, TrainStep};
    ///
    /// let weight = Param::new(1.0);
    /// let (sgd, x) = (Sgd::new(1e300), Tensor::scalar(1e300));
    /// let mut step = TrainStep::compile(&weight, &sgd, |x| x * weight.on(x.tape()), &x)?;
    /// let error = step.try_step().unwrap_err().to_string();
    /// assert!(error.starts_with("step 1 made parameter [] made at "), "{error}");
    /// # Ok::<(), wengert_core::CompileError>(())
    /// ```
    ///
    /// # Errors
    /// Where [`step`](Self::step) panics.
    #[inline]
    pub fn try_step(&mut self) -> Result<(), StepError> {
        self.steps += 1;
        let settings = self.rule.settings(self.rate, self.steps);
        if settings != self.settings {
            self.give_settings();
            self.settings = settings;
        }
        self.program.execute();
        let finite = self.loss().is_finite() && self.program.states_are_finite();
        if finite || self.lenient { Ok(()) } else { Err(self.refused()) }
    }

    /// What is not finite after a step.
    #[cold]
    fn refused(&self) -> StepError {
        let (step, loss) = (self.steps, self.loss().as_f64());
        if !loss.is_finite() {
            return StepError::Loss { step, loss };
        }
        let first = |index| {
            let value = self.program.input(index);
            let at = value.iter().position(|x| !x.is_finite())?;
            Some((index_of(value.shape(), at), value.iter().nth(at)?.as_f64()))
        };
        // A parameter first, then what is remembered of it, then buffers.
        let states = 0..=self.rule.states();
        let moved = states.flat_map(|k| self.parameters.iter().map(move |own| (own, k)));
        let moved = moved.map(|(own, k)| match k {
            0 => (own.index, own.name.clone()),
            k => (own.index + k, format!("the {} of {}", R::STATES[k - 1], own.name)),
        });
        let buffers = self.buffers.iter().map(|own| (own.index, own.name.clone()));
        let mut all = moved.chain(buffers);
        let found = all.find_map(|(index, name)| Some((name, first(index)?)));
        let (parameter, (index, value)) = found.expect("a state that is not finite");
        let advice = "its gradient was not finite, or the step too long; `Optimiser::step` on a tape \
                      tells which, and `allow_non_finite` goes on";
        StepError::Spoiled { step, parameter, index, value, advice }
    }

    /// The settings of the step to be taken, for each multiplier.
    fn give_settings(&mut self) {
        let mut index = self.inputs;
        for &multiplier in &self.multipliers {
            for x in self.rule.settings(self.rate * multiplier, self.steps) {
                self.program.set_input(index, T::from_f64(x));
                index += 1;
            }
        }
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
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn set_rate(&mut self, rate: f64) {
        self.rate = not_negative("the learning rate", rate);
    }

    /// Draws the samples of the steps to come from a seed, as a tape in
    /// [training](Tape::train) with that seed would. The seed is 0 at first.
    pub fn seed(&mut self, seed: u64) {
        self.program.seed(seed);
    }

    /// Gives parameters, buffers and memory back to the model and the optimiser.
    ///
    /// # Panics
    /// If the model has not all parameters of the one that the step was compiled for: a clone has
    /// others, though of the same names and values. And if a parameter is not finite, unless the
    /// optimiser [allows](Optimiser::allow_non_finite) it. Nothing has changed then.
    #[track_caller]
    pub fn store<M: Module<T> + ?Sized>(&self, net: &mut M, optimiser: &mut Optimiser<T, R>) {
        let keys: Vec<u64> = net.parameters().iter().map(|param| param.key()).collect();
        for Trained { key, index, name } in &self.parameters {
            assert!(
                keys.contains(key),
                "the step was compiled for a model with {name}, which this one has not: store into \
                 the model that was compiled, and no clone of it, whose parameters are others"
            );
            let is_finite = || self.program.input(*index).iter().all(|x| x.is_finite());
            assert!(
                self.lenient || is_finite(),
                "after {} steps, {name} is not finite: the model stays as it was",
                self.steps
            );
        }
        optimiser.set_steps(self.steps);
        net.visit_mut(&Path::root(), &mut |_, param| {
            if let Some(own) = self.buffers.iter().find(|own| own.key == param.key()) {
                param.set(self.program.input(own.index));
            }
            let own = self.parameters.iter().find(|trained| trained.key == param.key());
            let Some(&Trained { index, .. }) = own else { return };
            param.set(self.program.input(index));
            let state = |k: usize| self.program.input(index + 1 + k).to_vec();
            let states: States<T> = (0..self.rule.states()).map(state).collect();
            if !states.is_empty() {
                optimiser.set_states(param, states);
            }
        });
    }

    /// The program, to be printed.
    pub fn program(&self) -> &Program<T> {
        &self.program
    }
}
