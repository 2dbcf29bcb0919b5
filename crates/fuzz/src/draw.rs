//! Draws a program.
//!
//! Each step is an op of the registry, at a sample whose shapes have grown. Its operands are
//! values that there are already, where one can be made to fit by views, else new inputs. So ops
//! are chained in every order, values are read several times, and operands lie in memory in every
//! way. Values that leave the domain in which an op is sampled are squashed into it.

use wengert_core::op::registry::{self, Entry};
use wengert_core::op::{self, Domain};
use wengert_core::{Shape, Tape, Tensor};

use crate::checks::guarded;
use crate::dice::Dice;
use crate::measure::{derivatives, directions, loss};
use crate::program::{Arrange, Fill, Input, OpPair, Program, Step, Value, evaluate};
use crate::shapes::{AXES, Limits, greatest_place, grown};

/// The ops that programs are made of.
#[derive(Debug)]
pub struct Catalogue {
    double: Vec<Entry<f64>>,
    single: Vec<Entry<f32>>,
}

impl Catalogue {
    /// All ops of the registry.
    pub fn all() -> Self {
        Self { double: registry::ops(), single: registry::ops() }
    }

    /// With one more op.
    #[must_use]
    pub fn with(mut self, (double, single): (Entry<f64>, Entry<f32>)) -> Self {
        self.double.push(double);
        self.single.push(single);
        self
    }

    /// The program of a number, of those that a seed draws.
    pub fn program(&self, seed: u64, number: u64) -> Program {
        let mut dice = Dice::of(seed, number);
        loop {
            let program = program(self, &mut dice);
            if derivatives_cost(&program) <= DERIVATIVES {
                return program;
            }
        }
    }

    /// Without the ops of other names.
    #[must_use]
    pub fn only(mut self, names: &[String]) -> Self {
        self.double.retain(|entry| names.iter().any(|name| name == entry.name));
        self.single.retain(|entry| names.iter().any(|name| name == entry.name));
        self
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.double.iter().map(|entry| entry.name)
    }
}

/// Scalar operations that a program and its second derivatives may take. Checks repeat them a
/// hundred times. What an op costs says little about its derivatives: those of a function of
/// symmetric matrices have a factor `n` more terms with each order.
const DERIVATIVES: u64 = 20_000_000;

/// What a program and its second derivatives take. A program that cannot be recorded is free, so
/// that the checks find it.
fn derivatives_cost(program: &Program) -> u64 {
    let recorded = guarded(|| {
        let tape = Tape::<f64>::new();
        let tensors = program.tensors(0);
        let leaves = program.leaves(&tape, &tensors);
        let y = loss(program, &program.record(&leaves));
        if y.is_active() {
            derivatives(y, &directions(program, &tensors, &leaves));
        }
        Ok(tape.lines().iter().map(|line| line.cost.total()).sum())
    });
    recorded.unwrap_or(0)
}

/// Draws a program of some steps.
fn program(catalogue: &Catalogue, dice: &mut Dice) -> Program {
    let limits = match dice.unit() {
        u if u < 0.70 => Limits { elements: 300, cost: 20_000 },
        u if u < 0.95 => Limits { elements: 3000, cost: 100_000 },
        _ => Limits { elements: 20_000, cost: 1_000_000 },
    };
    let mut drawn = Drawn { program: Program::default(), values: Vec::new(), limits };
    drawn.program.single = dice.chance(0.4);
    for _ in 0..1 + dice.below(5) {
        drawn.step(catalogue, dice);
    }
    drawn.program
}

/// A program in the making, with the value of all that there is.
struct Drawn {
    program: Program,
    values: Vec<(Value, Tensor<f64>)>,
    limits: Limits,
}

impl Drawn {
    fn step(&mut self, catalogue: &Catalogue, dice: &mut Dice) {
        let entry = dice.below(catalogue.double.len());
        let (double, single) = (&catalogue.double[entry], &catalogue.single[entry]);
        let case = dice.below(double.samples.cases.len());
        let sample = &double.samples.cases[case];
        let pair =
            OpPair { single: single.samples.cases[case].op.clone(), double: sample.op.clone() };
        let known: Vec<Shape> =
            self.values.iter().map(|(_, tensor)| tensor.shape().clone()).collect();
        let shapes = grown(&*sample.op, &sample.args, &known, self.limits, dice);
        let is_elementwise = double.family == "elementwise";
        let greatest = if is_elementwise { None } else { greatest_place(&sample.args, &shapes) };
        let mut args = Vec::new();
        for ((_, domain), shape) in sample.args.iter().zip(&shapes) {
            let mut domain = *domain;
            if let (true, Some(greatest)) = (domain.is_mask, greatest) {
                domain.high = domain.high.min(greatest as f64);
            }
            args.push(self.operand(shape, domain, dice));
        }
        self.push(pair, None, &args);
    }

    /// A value of a shape, in a domain.
    fn operand(&mut self, shape: &Shape, domain: Domain, dice: &mut Dice) -> Value {
        if domain.is_mask {
            return self.input(shape.clone(), domain, true, dice);
        }
        if !self.values.is_empty() && dice.chance(0.7) {
            let (value, tensor) = dice.pick(&self.values).clone();
            if let Some(fitted) = self.fitted(value, tensor.shape(), shape, dice) {
                return self.squashed(fitted, domain, dice);
            }
        }
        // The formula of a diagonal knows the shape, so such inputs are drawn as they are.
        if domain.diagonal == 0.0 && dice.chance(0.4) {
            let other = self.seen_from(shape, dice);
            let value = self.input(other.clone(), domain, false, dice);
            if let Some(fitted) = self.fitted(value, &other, shape, dice) {
                return fitted;
            }
        }
        self.input(shape.clone(), domain, false, dice)
    }

    /// A shape of which a view has the given one.
    fn seen_from(&self, shape: &Shape, dice: &mut Dice) -> Shape {
        let mut extents = shape.to_vec();
        if extents.is_empty() {
            return [1 + dice.below(3)].into();
        }
        let axis = dice.below(extents.len());
        match dice.below(4) {
            0 => extents.reverse(),
            1 => extents[axis] = 1,
            2 => extents[axis] = extents[axis] * 2 + 1,
            _ => extents[axis] += dice.below(3),
        }
        match extents.iter().product::<usize>() <= 2 * self.limits.elements {
            true => extents.into(),
            false => shape.clone(),
        }
    }

    /// A new input.
    fn input(&mut self, shape: Shape, domain: Domain, fixed: bool, dice: &mut Dice) -> Value {
        let Domain { low, high, is_mask, diagonal } = domain;
        // Elements beside the diagonal of a large matrix are small, so that it stays what its
        // domain says: far from singular.
        let last = shape.last().copied().unwrap_or(1) as f64;
        let scale = if diagonal == 0.0 { 1.0 } else { (4.0 / last).min(1.0) };
        let phase = dice.below(1000) as f64 / 8.0;
        let fill =
            Fill::Between { low: low * scale, high: high * scale, phase, whole: is_mask, diagonal };
        self.leaf(Input { shape, fill, fixed })
    }

    fn leaf(&mut self, input: Input) -> Value {
        let value = Value::Input(self.program.inputs.len());
        // Fixed ones are no operands of later steps: their numbers mean something.
        if !input.fixed {
            self.values.push((value, input.tensor(0)));
        }
        self.program.inputs.push(input);
        value
    }

    fn tensor(&self, value: Value) -> Tensor<f64> {
        match value {
            Value::Input(i) => self.program.inputs[i].tensor(0),
            Value::Step(_) => {
                let known = self.values.iter().find(|(own, _)| *own == value);
                known.expect("steps are known").1.clone()
            }
        }
    }

    fn push(&mut self, op: OpPair, arrange: Option<Arrange>, args: &[Value]) -> Value {
        let tensors: Vec<Tensor<f64>> = args.iter().map(|&arg| self.tensor(arg)).collect();
        let result = evaluate(&*op.double, &tensors.iter().collect::<Vec<_>>());
        let value = Value::Step(self.program.steps.len());
        self.values.push((value, result.expect("shapes were tried")));
        self.program.steps.push(Step { op, arrange, args: args.to_vec() });
        value
    }

    fn arranged(&mut self, arrange: Arrange, value: Value) -> Value {
        self.push(arrange.op(), Some(arrange), &[value])
    }

    /// A value seen as one of another shape, if there is a way.
    fn fitted(&mut self, value: Value, from: &Shape, to: &Shape, dice: &mut Dice) -> Option<Value> {
        let ways: [Way; 7] = [turned, permuted, reshaped, repeated, sliced, summed, cut];
        let first = dice.below(ways.len());
        let arranges =
            (0..ways.len()).find_map(|i| ways[(first + i) % ways.len()](from, to, dice))?;
        Some(arranges.into_iter().fold(value, |value, arrange| self.arranged(arrange, value)))
    }

    /// A value within a domain.
    fn squashed(&mut self, value: Value, domain: Domain, dice: &mut Dice) -> Value {
        let Domain { low, high, diagonal, .. } = domain;
        let tensor = self.tensor(value);
        let inside = |x: f64| x >= low && x <= high;
        if diagonal == 0.0 && tensor.iter().all(inside) {
            return value;
        }
        let last = tensor.shape().last().copied().unwrap_or(1) as f64;
        let scale = if diagonal == 0.0 { 1.0 } else { (4.0 / last).min(1.0) };
        let fixed = |x: f64| Input {
            shape: Shape::scalar(),
            fill: Fill::constant(f64::from(x as f32)),
            fixed: true,
        };
        // A bounded function whose slope is nowhere 0, or one that turns.
        let bounded = match dice.chance(0.5) {
            true => OpPair::new(op::Tanh),
            false => OpPair::new(op::Sin),
        };
        let inner = self.push(bounded, None, &[value]);
        let half = self.leaf(fixed(0.499 * scale * (high - low)));
        let middle = self.leaf(fixed(0.5 * scale * (high + low)));
        let scaled = self.push(OpPair::new(op::Mul), None, &[inner, half]);
        let moved = self.push(OpPair::new(op::Add), None, &[scaled, middle]);
        if diagonal == 0.0 {
            return moved;
        }
        let fill = Fill::Between { low: 0.0, high: 0.0, phase: 0.0, whole: false, diagonal };
        let own = self.leaf(Input { shape: tensor.shape().clone(), fill, fixed: true });
        self.push(OpPair::new(op::Add), None, &[moved, own])
    }
}

/// How a value of one shape can be seen as one of another, if it can.
type Way = fn(&Shape, &Shape, &mut Dice) -> Option<Vec<Arrange>>;

/// The same shape: as it is, backwards along an axis, or with two equal axes exchanged.
fn turned(from: &Shape, to: &Shape, dice: &mut Dice) -> Option<Vec<Arrange>> {
    if from != to {
        return None;
    }
    if from.rank() == 0 || from.elements() == 0 || dice.chance(0.5) {
        return Some(vec![]);
    }
    let (a, b) = (dice.below(from.rank()), dice.below(from.rank()));
    if a != b && from[a] == from[b] {
        let mut order: Vec<usize> = (0..from.rank()).collect();
        order.swap(a, b);
        return Some(vec![Arrange::Permute(order)]);
    }
    Some(vec![Arrange::Slice { axis: a, start: from[a] - 1, count: from[a], step: -1 }])
}

fn permuted(from: &Shape, to: &Shape, _: &mut Dice) -> Option<Vec<Arrange>> {
    if from.rank() != to.rank() || from == to {
        return None;
    }
    let mut order: Vec<usize> = Vec::new();
    for &extent in to.iter() {
        let free = (0..from.rank()).rev().find(|&i| from[i] == extent && !order.contains(&i))?;
        order.push(free);
    }
    Some(vec![Arrange::Permute(order)])
}

fn reshaped(from: &Shape, to: &Shape, _: &mut Dice) -> Option<Vec<Arrange>> {
    (from.elements() == to.elements() && from != to).then(|| vec![Arrange::Reshape(to.clone())])
}

fn repeated(from: &Shape, to: &Shape, _: &mut Dice) -> Option<Vec<Arrange>> {
    (from.broadcasts_to(to) && from != to).then(|| vec![Arrange::BroadcastTo(to.clone())])
}

/// Parts of the axes that are too long, at some distance from each other, either way round.
fn sliced(from: &Shape, to: &Shape, dice: &mut Dice) -> Option<Vec<Arrange>> {
    if from.rank() != to.rank() || from == to {
        return None;
    }
    let mut slices = Vec::new();
    for (axis, (&extent, &count)) in from.iter().zip(to.iter()).enumerate() {
        if extent < count {
            return None;
        }
        if extent > count {
            slices.push(slice(axis, extent, count, dice));
        }
    }
    Some(slices)
}

fn slice(axis: usize, extent: usize, count: usize, dice: &mut Dice) -> Arrange {
    let longest = if count > 1 { (extent - 1) / (count - 1) } else { 1 };
    let step = 1 + dice.below(longest.min(3));
    let reach = count.saturating_sub(1) * step;
    let first = dice.below(extent - reach);
    match count > 1 && dice.chance(0.4) {
        true => Arrange::Slice { axis, start: first + reach, count, step: -(step as isize) },
        false => Arrange::Slice { axis, start: first, count, step: step as isize },
    }
}

/// The sum over leading axes, or over those that the shape has in extent 1.
fn summed(from: &Shape, to: &Shape, dice: &mut Dice) -> Option<Vec<Arrange>> {
    if !to.broadcasts_to(from) || from == to {
        return None;
    }
    let lead = from.rank() - to.rank();
    if to[..] == from[lead..] && dice.chance(0.5) {
        return Some(vec![Arrange::Sum { axes: (0..lead).collect(), keep: false }]);
    }
    Some(vec![Arrange::SumTo(to.clone())])
}

/// Some of the elements in order, whatever the shapes.
fn cut(from: &Shape, to: &Shape, dice: &mut Dice) -> Option<Vec<Arrange>> {
    let (have, want) = (from.elements(), to.elements());
    if have < want || want == 0 || to.rank() > AXES {
        return None;
    }
    let line = Arrange::Reshape([have].into());
    Some(vec![line, slice(0, have, want, dice), Arrange::Reshape(to.clone())])
}
