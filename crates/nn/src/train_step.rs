//! Training steps compiled as a whole.
//!
//! Forward pass, gradients and the optimiser's update are recorded once and become
//! one [`Program`], in which the parameters and velocities are a state that moves
//! from run to run. Nothing is recorded or looked up at a step any more, so small
//! networks train several times as fast, with the same numbers to the last bit.

use wengert_core::{CompileError, Function, Inputs, Leaf, Program, Real, Tape, Tensor, Var};

use crate::optim::number::not_negative;
use crate::optim::plan::{Moved, Plan, slopes};
use crate::optim::settled::Settled;
use crate::optim::{
    Hyperparameters, Momentum, Optimiser, Rule, States, StepError, called, index_of,
};
use crate::{Module, Path};

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
    /// The inputs of a step. Behind them stand the hyperparameters, for each multiplier of the
    /// learning rate in use; then, for each parameter, its value and states; then the buffers.
    inputs: usize,
    plan: Plan,
    /// The buffers that a step moves.
    buffers: Vec<Buffer>,
    /// Whether an output says if all gradients are finite.
    watches: bool,
    rule: R,
    rate: f64,
    /// Whether steps may be taken on what is not finite.
    lenient: bool,
    steps: u64,
    /// The hyperparameters depend on the rate and, for some rules, on the step.
    hyperparameters: Hyperparameters,
}

/// Why there is no compiled step.
#[derive(Debug)]
pub(crate) enum NoStep {
    /// The recording can't be replayed.
    NotCompiled(CompileError),
    /// An optimiser would refuse it.
    Refused(StepError),
}

/// A step of which the user's line is to blame where an optimiser would refuse it.
#[track_caller]
fn compiled<S>(step: Result<S, NoStep>) -> Result<S, CompileError> {
    match step {
        Ok(step) => Ok(step),
        Err(NoStep::NotCompiled(error)) => Err(error),
        Err(NoStep::Refused(error)) => panic!("{error}"),
    }
}

/// A buffer that a step moves.
#[derive(Debug)]
struct Buffer {
    key: u64,
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
        let mut values = Vec::new();
        inputs.values(&mut values);
        compiled(Self::build(
            net,
            optimiser,
            &values,
            |vars| loss(I::unflatten(&mut vars.into_iter())),
            |_| None,
        ))
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
        let mut values = Vec::new();
        inputs.values(&mut values);
        compiled(Self::build(
            net,
            optimiser,
            &values,
            |vars| loss(I::unflatten(&mut vars.into_iter())),
            |tape| Some(monitor(tape)),
        ))
    }

    /// Records a step as the [plan](crate::optim::plan) says it, and compiles the recording.
    #[track_caller]
    pub(crate) fn build<M: Module<T> + ?Sized>(
        net: &M,
        optimiser: &Optimiser<T, R>,
        values: &[Tensor<T>],
        loss: impl for<'t> Fn(Vec<Var<'t, T>>) -> Var<'t, T>,
        monitor: impl for<'t> Fn(&'t Tape<T>) -> Option<Var<'t, T>>,
    ) -> Result<Self, NoStep> {
        let tape = Tape::lazy();
        tape.train(0);
        // Taken in before the loss, which may assign to them.
        let before: Vec<(Buffer, Var<'_, T>)> = net
            .named_buffers()
            .iter()
            .map(|(name, buffer)| {
                (Buffer { key: buffer.key(), name: called(name, buffer) }, buffer.on(&tape))
            })
            .collect();
        let mut inputs: Vec<Var<'_, T>> = Vec::new();
        // A loop and no closure, which would not know the caller's line.
        for value in values {
            inputs.push(tape.constant(value));
        }
        let cost = loss(inputs.clone());
        let gradients = cost.backward();
        let plan = Plan::of(net, &gradients).map_err(NoStep::Refused)?;

        let (mut updates, mut outputs) = (Vec::new(), vec![cost]);
        let watches = !optimiser.is_lenient() && optimiser.hides_non_finite();
        tape.without_gradients(|| {
            let mut slopes = slopes(net, &gradients);
            if watches {
                // 0, or NaN where an element is not finite.
                let parts = slopes.iter().map(|&slope| (slope * T::zero()).sum());
                outputs.extend(parts.reduce(|sum, part| sum + part));
            }
            if let Some(clip) = optimiser.clip() {
                clip.apply(&mut slopes);
            }
            updates = record_moves(net, optimiser, &plan, &slopes, &mut inputs);
            tape.evaluate();
            outputs.extend(monitor(&tape));
        });
        let mut buffers = Vec::new();
        for (own, buffer) in before {
            if let Some(next) = tape.assigned(own.key) {
                buffers.push(own);
                inputs.push(buffer);
                updates.push((buffer, next));
            }
        }
        let program = tape.compile_updating(&inputs, &outputs, &updates);
        let program = program.map_err(NoStep::NotCompiled)?;
        let steps = optimiser.steps();
        Ok(Self {
            program,
            inputs: values.len(),
            plan,
            buffers,
            watches,
            rule: optimiser.rule().clone(),
            rate: optimiser.rate(),
            lenient: optimiser.is_lenient(),
            steps,
            hyperparameters: optimiser.hyperparameters_of(1.0, steps + 1),
        })
    }

    /// Where the value of a parameter is among the inputs of the program: its states are behind it.
    fn parameter(&self, position: usize) -> usize {
        let first = self.inputs + self.plan.rates.len() * self.hyperparameters.len();
        first + position * (1 + self.rule.states())
    }

    /// Where a buffer is.
    fn buffer(&self, position: usize) -> usize {
        self.parameter(self.plan.moved.len()) + position
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
        let hyper = self.rule.hyperparameters(self.rate, self.steps);
        if hyper != self.hyperparameters {
            self.give_hyperparameters();
            self.hyperparameters = hyper;
        }
        self.program.execute();
        let finite = self.loss().is_finite()
            && self.program.states_are_finite()
            && self.gradients_are_finite();
        if finite || self.lenient { Ok(()) } else { Err(self.refused()) }
    }

    /// Whether all gradients of the last step were finite, as far as that is not seen by what has moved.
    fn gradients_are_finite(&self) -> bool {
        !self.watches || self.program.with_output(1, |sum| sum.first().is_finite())
    }

    /// What is not finite after a step.
    #[cold]
    fn refused(&self) -> StepError {
        let (step, loss) = (self.steps, self.loss().as_f64());
        if !loss.is_finite() {
            return StepError::Loss { step, loss };
        }
        // A parameter first, then what is remembered of it, then buffers.
        let moved = (0..=self.rule.states()).flat_map(|k| {
            self.plan.moved.iter().enumerate().map(move |(position, own)| {
                let name = match k {
                    0 => own.name.clone(),
                    k => format!("the {} of {}", R::STATES[k - 1], own.name),
                };
                (self.parameter(position) + k, name)
            })
        });
        let buffers = self.buffers.iter().enumerate();
        let buffers = buffers.map(|(position, own)| (self.buffer(position), own.name.clone()));
        let found = moved.chain(buffers).find_map(|(input, name)| {
            let value = self.program.input(input);
            let at = value.iter().position(|x| !x.is_finite())?;
            Some((name, index_of(value.shape(), at), value.iter().nth(at)?.as_f64()))
        });
        let Some((parameter, index, value)) = found else {
            return StepError::Gradient { step };
        };
        let advice = "its gradient was not finite, or the step too long; `Optimiser::step` on a tape \
                      tells which, and `allow_non_finite` goes on";
        StepError::Spoiled { step, parameter, index, value, advice }
    }

    /// Gives the program the hyperparameters of the step to be taken, for each multiplier.
    fn give_hyperparameters(&mut self) {
        let mut index = self.inputs;
        for &multiplier in &self.plan.rates {
            for x in self.rule.hyperparameters(self.rate * multiplier, self.steps) {
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
        let monitor = 1 + usize::from(self.watches);
        let is_there = monitor < self.program.outputs();
        is_there.then(|| self.program.with_output(monitor, |value| value.first()))
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

    /// Takes parameters, buffers and memory over from the model that was compiled and its optimiser: the
    /// inverse of [`store`](Self::store).
    pub(crate) fn load<M: Module<T> + ?Sized>(&mut self, net: &M, optimiser: &Optimiser<T, R>) {
        self.steps = optimiser.steps();
        net.visit(&Path::root(), &mut |_, param| {
            if let Some(position) = self.buffers.iter().position(|own| own.key == param.key()) {
                self.program.set_input(self.buffer(position), param.value());
            }
            let moved = self.plan.moved.iter().position(|own| own.key == param.key());
            let Some(position) = moved else { return };
            let index = self.parameter(position);
            self.program.set_input(index, param.value());
            for (k, state) in optimiser.states_of(param).into_iter().enumerate() {
                self.program.set_input(index + 1 + k, Tensor::new(param.shape(), state));
            }
        });
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
        for (position, Moved { key, name, .. }) in self.plan.moved.iter().enumerate() {
            assert!(
                keys.contains(key),
                "the step was compiled for a model with {name}, which this one has not: store into \
                 the model that was compiled, and no clone of it, whose parameters are others"
            );
            let value = || self.program.input(self.parameter(position));
            assert!(
                self.lenient || value().iter().all(|x| x.is_finite()),
                "after {} steps, {name} is not finite: the model stays as it was",
                self.steps
            );
        }
        optimiser.set_steps(self.steps);
        net.visit_mut(&Path::root(), &mut |_, param| {
            if let Some(position) = self.buffers.iter().position(|own| own.key == param.key()) {
                param.set(self.program.input(self.buffer(position)));
            }
            let moved = self.plan.moved.iter().position(|own| own.key == param.key());
            let Some(position) = moved else { return };
            let index = self.parameter(position);
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

/// Records how the plan's parameters move, and gives each value that changes with the one that follows
/// it. The inputs that this takes are appended: the hyperparameters of each group, then each parameter
/// with its states.
fn record_moves<'t, T: Real, R: Rule, M: Module<T> + ?Sized>(
    net: &M,
    optimiser: &Optimiser<T, R>,
    plan: &Plan,
    slopes: &[Var<'t, T>],
    inputs: &mut Vec<Var<'t, T>>,
) -> Vec<(Var<'t, T>, Var<'t, T>)> {
    let Some(tape) = slopes.first().map(|slope| slope.tape()) else { return Vec::new() };
    let step = optimiser.steps() + 1;
    let hyper = plan.rates.iter().map(|&multiplier| {
        let numbers = optimiser.hyperparameters_of(multiplier, step);
        numbers.map(|x| tape.constant(T::from_f64(x)))
    });
    let hyper: Vec<[Var<'t, T>; 4]> = hyper.collect();
    inputs.extend(hyper.iter().flatten());

    let parameters = net.parameters();
    let (mut updates, mut assigned) = (Vec::new(), Vec::new());
    for (own, &g) in plan.moved.iter().zip(slopes) {
        let param = parameters.iter().find(|param| param.key() == own.key);
        let w = tape.parameter_variable(own.key).expect("it has a gradient");
        let states: Vec<Var<'t, T>> = optimiser
            .states_of(param.expect("the plan is of this model"))
            .into_iter()
            .map(|state| tape.constant(Tensor::new(w.shape(), state)))
            .collect();
        let mut next = states.clone();
        let moved = optimiser.rule().apply(hyper[own.group], own.decay, w, g, &mut next);
        inputs.push(w);
        inputs.extend(&states);
        assigned.push((own.key, moved));
        updates.push((w, moved));
        let settled = next.into_iter().map(|next| tape.apply(Settled::of::<T>(), &[next]));
        updates.extend(states.into_iter().zip(settled));
    }
    // From here on, the model on the tape is the one after the step.
    for (key, moved) in assigned {
        tape.assign(key, moved);
    }
    updates
}
