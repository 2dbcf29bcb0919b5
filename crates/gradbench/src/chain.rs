//! Long loops of small steps: a step is compiled once, and so is the sweep back over it.
//!
//! [`Scan`](wengert::checkpoint::Scan) is the same loop as one operation of a tape, compiled in the same way, with few states kept.
//! A chain is no operation of a tape: it keeps all states, and has no derivatives of second order.

use wengert::{CompileError, Program, Tape, Tensor, Var};

/// A loop that carries `S` states, reads `I` inputs at each step, has `K` values that all steps share, and gives `M` outputs at each step.
#[derive(Debug)]
pub struct Chain<const S: usize, const I: usize, const K: usize, const M: usize> {
    forward: Program<f64>,
    /// From the states before a step and the cotangents of what it gives: moves the states'
    /// cotangents to before the step, and adds up those of shared values.
    back: Program<f64>,
    /// The states before each step of the last run that kept them. The memory serves the next one.
    kept: Vec<[Tensor<f64>; S]>,
}

/// What a run keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: the values are all that is wanted.
    Nothing,
    /// The states before all steps, for the way back.
    States,
}

/// What a step computes: the next states, and outputs.
pub trait Step<'t, const S: usize, const I: usize, const K: usize, const M: usize>:
    Fn(
    [Var<'t, f64>; S],
    [Var<'t, f64>; I],
    [Var<'t, f64>; K],
) -> ([Var<'t, f64>; S], [Var<'t, f64>; M])
{
}

impl<'t, F, const S: usize, const I: usize, const K: usize, const M: usize> Step<'t, S, I, K, M>
    for F
where
    F: Fn(
        [Var<'t, f64>; S],
        [Var<'t, f64>; I],
        [Var<'t, f64>; K],
    ) -> ([Var<'t, f64>; S], [Var<'t, f64>; M]),
{
}

impl<const S: usize, const I: usize, const K: usize, const M: usize> Chain<S, I, K, M> {
    /// Compiles a step for states, inputs of a step and shared values like these.
    ///
    /// # Errors
    /// If the step decides on a value.
    pub fn new(
        step: impl for<'t> Step<'t, S, I, K, M>,
        state: [&Tensor<f64>; S],
        inputs: [&Tensor<f64>; I],
        shared: [&Tensor<f64>; K],
    ) -> Result<Self, CompileError> {
        Ok(Self {
            forward: Self::forward(&step, state, inputs, shared)?,
            back: Self::backward(&step, state, inputs, shared)?,
            kept: Vec::new(),
        })
    }

    /// A step of the loop.
    fn forward(
        step: &impl for<'t> Step<'t, S, I, K, M>,
        state: [&Tensor<f64>; S],
        inputs: [&Tensor<f64>; I],
        shared: [&Tensor<f64>; K],
    ) -> Result<Program<f64>, CompileError> {
        let tape = Tape::lazy();
        let states = state.map(|value| tape.variable(value));
        let inputs = inputs.map(|value| tape.variable(value));
        let shared = shared.map(|value| tape.variable(value));
        let (next, outputs) = step(states, inputs, shared);
        let moves: Vec<_> = states.into_iter().zip(next).collect();
        tape.compile_updating(&[&states[..], &inputs, &shared].concat(), &outputs, &moves)
    }

    /// A step of the way back.
    fn backward(
        step: &impl for<'t> Step<'t, S, I, K, M>,
        state: [&Tensor<f64>; S],
        inputs: [&Tensor<f64>; I],
        shared: [&Tensor<f64>; K],
    ) -> Result<Program<f64>, CompileError> {
        let tape = Tape::lazy();
        let states = state.map(|value| tape.variable(value));
        let inputs = inputs.map(|value| tape.variable(value));
        let shared = shared.map(|value| tape.variable(value));
        let (next, outputs) = step(states, inputs, shared);
        let like = |var: Var<'_, f64>| tape.variable(Tensor::zeros(var.shape()));
        let (cotangents, of_outputs) = (next.map(like), outputs.map(like));
        let totals = shared.map(like);
        let given = next.into_iter().chain(outputs).zip(cotangents.into_iter().chain(of_outputs));
        let products = given.map(|(value, cotangent)| (value * cotangent).sum());
        let product = products.reduce(|sum, term| sum + term).expect("a state");
        let (before, of_shared) = (product.grad(states), product.grad(shared));
        let sums = totals.iter().zip(of_shared).map(|(&total, term)| (total, total + term));
        let moves: Vec<_> = cotangents.into_iter().zip(before).chain(sums).collect();
        let all = [&states[..], &inputs, &shared, &cotangents, &of_outputs, &totals].concat();
        tape.compile_updating(&all, &[], &moves)
    }

    /// Takes `n` steps, with the inputs that `input` gives for each, and lets `read` see the outputs of
    /// each. Gives the last states.
    pub fn run(
        &mut self,
        keep: Keep,
        n: usize,
        state: [&Tensor<f64>; S],
        mut input: impl FnMut(usize, &mut Program<f64>, usize),
        shared: [&Tensor<f64>; K],
        mut read: impl FnMut(&Program<f64>),
    ) -> [Tensor<f64>; S] {
        self.kept.truncate(n);
        let program = &mut self.forward;
        state.iter().enumerate().for_each(|(i, &value)| program.set_input(i, value));
        shared.iter().enumerate().for_each(|(i, &value)| program.set_input(S + I + i, value));
        for k in 0..n {
            if keep == Keep::States {
                Self::keep(&mut self.kept, k, program);
            }
            input(k, program, S);
            program.execute();
            read(program);
        }
        std::array::from_fn(|i| program.input(i))
    }

    /// Copies the states before step `k`, as a program that shares its states with a tensor takes new memory for
    /// the next ones.
    fn keep(kept: &mut Vec<[Tensor<f64>; S]>, k: usize, program: &Program<f64>) {
        let states: [Tensor<f64>; S] = std::array::from_fn(|i| program.input(i));
        if k == kept.len() {
            kept.push(states.each_ref().map(|state| Tensor::new(state.shape(), state.to_vec())));
            return;
        }
        for (old, state) in kept[k].iter_mut().zip(&states) {
            let state = state.as_slice().expect("a state lies in order");
            old.as_mut_slice().copy_from_slice(state);
        }
    }

    /// Goes back over the steps of the last run, which has kept its states: from the cotangents of the last states, and of
    /// outputs as `cotangent` gives them, to those of shared values.
    pub fn back(
        &mut self,
        state_cotangents: [&Tensor<f64>; S],
        mut input: impl FnMut(usize, &mut Program<f64>, usize),
        shared: [&Tensor<f64>; K],
        mut cotangent: impl FnMut(usize, &mut Program<f64>, usize),
    ) -> [Tensor<f64>; K] {
        let program = &mut self.back;
        let (cotangents, of_outputs) = (S + I + K, S + I + K + S);
        let totals = of_outputs + M;
        for (i, &value) in shared.iter().enumerate() {
            program.set_input(S + I + i, value);
            program.set_input(totals + i, Tensor::zeros(value.shape()));
        }
        state_cotangents
            .iter()
            .enumerate()
            .for_each(|(i, &c)| program.set_input(cotangents + i, c));
        for (k, states) in self.kept.iter().enumerate().rev() {
            states.iter().enumerate().for_each(|(i, state)| program.set_input(i, state));
            input(k, program, S);
            cotangent(k, program, of_outputs);
            program.execute();
        }
        std::array::from_fn(|i| program.input(totals + i))
    }
}
