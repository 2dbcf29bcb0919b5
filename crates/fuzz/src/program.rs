//! A random program as data: its inputs, and steps of which each is an op on earlier values.
//!
//! One program exists in both precisions, since a step holds its op twice. The numbers of an
//! input come from a formula, so that an input of any size is printed in one line, and stays
//! one when the input is made smaller. All numbers are those that single precision holds.

use std::fmt;
use std::rc::Rc;

use wengert_core::op::{DynOp, Operation};
use wengert_core::{Real, Shape, Tape, Tensor, Var};

use crate::noise::{Noisy, noise};

/// A precision that a step knows its op in.
pub trait Precision: Real {
    /// The op of a step.
    fn op(pair: &OpPair) -> &Rc<dyn DynOp<Self>>;
}

impl Precision for f32 {
    fn op(pair: &OpPair) -> &Rc<dyn DynOp<f32>> {
        &pair.single
    }
}

impl Precision for f64 {
    fn op(pair: &OpPair) -> &Rc<dyn DynOp<f64>> {
        &pair.double
    }
}

/// One op in both precisions.
#[derive(Clone, Debug)]
pub struct OpPair {
    /// In single precision.
    pub single: Rc<dyn DynOp<f32>>,
    /// In double precision.
    pub double: Rc<dyn DynOp<f64>>,
}

impl OpPair {
    /// Wraps an op.
    pub fn new<O, Family>(op: O) -> Self
    where
        O: Operation<f32, Family> + Operation<f64, Family> + Clone,
        <O as Operation<f32, Family>>::Dyn: 'static,
        <O as Operation<f64, Family>>::Dyn: 'static,
    {
        let single = <O as Operation<f32, Family>>::into_dyn(op.clone());
        Self {
            single: Rc::new(single),
            double: Rc::new(<O as Operation<f64, Family>>::into_dyn(op)),
        }
    }
}

/// The numbers of an input.
#[derive(Clone, Debug, PartialEq)]
pub enum Fill {
    /// Numbers between two others, which look random.
    Between {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
        /// Which numbers.
        phase: f64,
        /// Whether they are whole.
        whole: bool,
        /// What `i + 1` times is added to the element `(i, i)` of a matrix.
        diagonal: f64,
    },
    /// These.
    List(Vec<f64>),
}

impl Fill {
    /// One number everywhere.
    pub fn constant(value: f64) -> Self {
        Fill::Between { low: value, high: value, phase: 0.0, whole: false, diagonal: 0.0 }
    }

    /// Element `at` of a tensor of some shape.
    pub fn number(&self, shape: &Shape, at: usize) -> f64 {
        match self {
            Fill::List(numbers) => numbers[at],
            &Fill::Between { low, high, phase, whole, diagonal } => {
                let x = low + (high - low) * number(at, phase);
                let x = if whole { x.round() } else { x };
                f64::from((x + diagonal * place_on_diagonal(shape, at)) as f32)
            }
        }
    }

    /// Other numbers of the same kind.
    pub fn varied(&self, by: usize) -> Self {
        match self {
            &Fill::Between { low, high, phase, whole, diagonal } => {
                let phase = phase + 1000.0 * by as f64;
                Fill::Between { low, high, phase, whole, diagonal }
            }
            Fill::List(numbers) => {
                let factor = 1.0 - by as f64 / 128.0;
                Fill::List(numbers.iter().map(|x| f64::from((x * factor) as f32)).collect())
            }
        }
    }
}

/// A number from 0 to 1 that looks random. `print.rs` writes this formula into what it prints.
pub fn number(at: usize, phase: f64) -> f64 {
    (((at as f64 + phase) * 12.9898).sin() * 43758.5453).rem_euclid(1.0)
}

/// `i + 1` for the element `(i, i)` of a matrix over the last two axes, 0 for others.
fn place_on_diagonal(shape: &Shape, at: usize) -> f64 {
    match shape[..] {
        [.., n, m] if at / m % n == at % m => (at % m + 1) as f64,
        _ => 0.0,
    }
}

/// A leaf of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its shape.
    pub shape: Shape,
    /// Its numbers.
    pub fill: Fill,
    /// Whether derivatives treat it as constant: masks, places along an axis, factors.
    pub fixed: bool,
}

impl Input {
    /// The tensor, or one like it with other numbers. Fixed ones have no others.
    pub fn tensor<T: Real>(&self, variation: usize) -> Tensor<T> {
        let varied;
        let fill = if self.fixed || variation == 0 {
            &self.fill
        } else {
            varied = self.fill.varied(variation);
            &varied
        };
        Tensor::from_fn(&self.shape, |at| T::from_f64(fill.number(&self.shape, at)))
    }
}

/// A value of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// One of the inputs.
    Input(usize),
    /// The result of a step.
    Step(usize),
}

/// What looks at a value in another way. Extents of such ops are drawn here and not taken from a
/// sample, so that they change when a program is made smaller.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrange {
    /// The axes in another order.
    Permute(Vec<usize>),
    /// Another shape of as many elements.
    Reshape(Shape),
    /// Repeated along axes.
    BroadcastTo(Shape),
    /// A part of an axis, forwards or backwards.
    Slice {
        /// Which axis.
        axis: usize,
        /// Where it begins.
        start: usize,
        /// How many elements.
        count: usize,
        /// From one to the next.
        step: isize,
    },
    /// The sum over some axes.
    Sum {
        /// Which axes.
        axes: Vec<usize>,
        /// Whether they stay, with extent 1.
        keep: bool,
    },
    /// The sum over what was broadcast.
    SumTo(Shape),
}

impl Arrange {
    /// The op.
    pub fn op(&self) -> OpPair {
        use wengert_core::op;
        match self.clone() {
            Arrange::Permute(order) => OpPair::new(op::Permute { order: order.into() }),
            Arrange::Reshape(shape) => OpPair::new(op::Reshape { shape }),
            Arrange::BroadcastTo(shape) => OpPair::new(op::BroadcastTo { shape }),
            Arrange::Slice { axis, start, count, step } => {
                OpPair::new(op::Slice { axis, start, count, step })
            }
            Arrange::Sum { axes, keep } => OpPair::new(op::Sum { axes: axes.into(), keep }),
            Arrange::SumTo(shape) => OpPair::new(op::SumTo { shape }),
        }
    }
}

/// One op on earlier values.
#[derive(Clone, Debug)]
pub struct Step {
    /// The op.
    pub op: OpPair,
    /// What it does, where its parameters were drawn.
    pub arrange: Option<Arrange>,
    /// Its operands.
    pub args: Vec<Value>,
}

/// A random program.
#[derive(Clone, Default)]
pub struct Program {
    /// Whether it runs in single precision.
    pub single: bool,
    /// A number, if everything that it computes and reads is to be off by a rounding.
    pub noise: Option<u64>,
    /// The leaves.
    pub inputs: Vec<Input>,
    /// The ops, in order.
    pub steps: Vec<Step>,
}

impl Program {
    /// The inputs' tensors, or others like them.
    pub fn tensors<T: Real>(&self, variation: usize) -> Vec<Tensor<T>> {
        self.inputs.iter().map(|input| input.tensor(variation)).collect()
    }

    /// The inputs that derivatives are asked for.
    pub fn varied(&self) -> Vec<usize> {
        (0..self.inputs.len()).filter(|&i| !self.inputs[i].fixed).collect()
    }

    /// Takes the inputs in.
    pub fn leaves<'t, T: Real>(&self, tape: &'t Tape<T>, tensors: &[Tensor<T>]) -> Vec<Var<'t, T>> {
        let leaf = |(input, tensor): (&Input, &Tensor<T>)| match input.fixed {
            true => tape.constant(tensor),
            false => tape.variable(tensor),
        };
        self.inputs.iter().zip(tensors).map(leaf).collect()
    }

    /// Records the steps on the inputs' variables, each with the op that is chosen for it.
    pub fn record_with<'t, T: Precision>(
        &self,
        leaves: &[Var<'t, T>],
        mut choose: impl FnMut(usize, &Rc<dyn DynOp<T>>) -> Rc<dyn DynOp<T>>,
    ) -> Vec<Var<'t, T>> {
        let mut results: Vec<Var<'t, T>> = Vec::with_capacity(self.steps.len());
        for (index, step) in self.steps.iter().enumerate() {
            let arg = |value: &Value| match *value {
                Value::Input(i) => leaves[i],
                Value::Step(i) => results[i],
            };
            let args: Vec<_> = step.args.iter().map(arg).collect();
            let op = choose(index, T::op(&step.op));
            results.push(args[0].tape().apply_dyn(&op, &args));
        }
        results
    }

    /// The same, as it is.
    pub fn record<'t, T: Precision>(&self, leaves: &[Var<'t, T>]) -> Vec<Var<'t, T>> {
        self.record_with(leaves, |step, op| match self.noise {
            Some(run) => Rc::new(Noisy { op: op.clone(), run: noise(run, step) }),
            None => op.clone(),
        })
    }

    /// The steps that no other reads: the results of the program.
    pub fn outputs(&self) -> Vec<usize> {
        let mut read = vec![false; self.steps.len()];
        for value in self.steps.iter().flat_map(|step| &step.args) {
            if let Value::Step(i) = *value {
                read[i] = true;
            }
        }
        (0..read.len()).filter(|&i| !read[i]).collect()
    }

    /// Drops steps and inputs that nothing needs, of which `kept` are the steps to keep.
    #[must_use]
    pub fn pruned(&self, kept: &[usize]) -> Self {
        let mut steps = vec![false; self.steps.len()];
        let mut inputs = vec![false; self.inputs.len()];
        for &index in kept {
            steps[index] = true;
        }
        for index in (0..steps.len()).rev().filter(|&i| i < self.steps.len()) {
            for arg in if steps[index] { self.steps[index].args.as_slice() } else { &[] } {
                match *arg {
                    Value::Input(i) => inputs[i] = true,
                    Value::Step(i) => steps[i] = true,
                }
            }
        }
        let places = |kept: &[bool]| -> Vec<usize> {
            kept.iter()
                .scan(0, |count, &kept| {
                    *count += usize::from(kept);
                    Some(count.saturating_sub(1))
                })
                .collect()
        };
        let (input_places, step_places) = (places(&inputs), places(&steps));
        let moved = |value: &Value| match *value {
            Value::Input(i) => Value::Input(input_places[i]),
            Value::Step(i) => Value::Step(step_places[i]),
        };
        Self {
            single: self.single,
            noise: self.noise,
            inputs: (0..inputs.len())
                .filter(|&i| inputs[i])
                .map(|i| self.inputs[i].clone())
                .collect(),
            steps: (0..steps.len())
                .filter(|&i| steps[i])
                .map(|i| Step {
                    args: self.steps[i].args.iter().map(moved).collect(),
                    ..self.steps[i].clone()
                })
                .collect(),
        }
    }

    /// All values in double precision, op by op on tensors that lie in order. `None` if an op
    /// does not take its operands.
    pub fn evaluate(&self, tensors: &[Tensor<f64>]) -> Option<Vec<Tensor<f64>>> {
        let mut results = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let args: Vec<&Tensor<f64>> = step
                .args
                .iter()
                .map(|value| match *value {
                    Value::Input(i) => &tensors[i],
                    Value::Step(i) => &results[i],
                })
                .collect();
            let result = evaluate(&*step.op.double, &args)?;
            results.push(result);
        }
        Some(results)
    }
}

/// An op on tensors. `None` if it does not take them.
pub fn evaluate(op: &dyn DynOp<f64>, args: &[&Tensor<f64>]) -> Option<Tensor<f64>> {
    let shape = op.shape(&args.iter().map(|arg| arg.shape()).collect::<Vec<_>>()).ok()?;
    let mut out = vec![f64::NAN; shape.elements()];
    op.eval(&args.iter().map(|arg| arg.view()).collect::<Vec<_>>(), &shape, &mut out);
    Some(Tensor::new(shape, out))
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.single { "f32" } else { "f64" })?;
        self.inputs.iter().try_for_each(|input| writeln!(f, "{input:?}"))?;
        self.steps
            .iter()
            .try_for_each(|step| writeln!(f, "{:?} of {:?}", step.op.double, step.args))
    }
}
