//! Recurrent networks: a cell that goes along a sequence, in layers and both directions.
//!
//! A [`Cell`] is the formula of one step, and that is all in which RNN, LSTM and GRU
//! differ; the walk along time is written once. What the inputs give to all gates at all
//! times is one product before the walk; at each step one more takes the state to all gates.

mod cell;

pub use cell::{Cell, GruCell, LstmCell, ReluCell, RnnCell};

use std::array;
use std::panic::Location;

use rand::Rng;
use wengert_core::{Real, Var, concat, stack};

use super::{Dropout, Layer, not_empty};
use crate::{Module, Param, Path, init};

/// A plain recurrent network: `h = tanh(W x + b + V h + c)`.
pub type Rnn<T> = Recurrent<T, RnnCell, 1>;

/// A plain recurrent network of rectifiers: `h = max(0, W x + b + V h + c)` (Le, Jaitly & Hinton,
/// 2015).
pub type ReluRnn<T> = Recurrent<T, ReluCell, 1>;

/// Long short-term memory (Hochreiter and Schmidhuber, 1997; with the forget gate of Gers
/// et al., 2000), of states `[h, c]`: see [`LstmCell`].
pub type Lstm<T> = Recurrent<T, LstmCell, 2>;

/// The gated recurrent unit (Cho et al., 2014): see [`GruCell`].
pub type Gru<T> = Recurrent<T, GruCell, 1>;

/// A recurrent network of cells with `S` states.
///
/// From `[batch, time, inputs]` to `[batch, time, units]`: what the last layer gives at each
/// time. In both directions it is `[batch, time, 2 units]`, forwards first. The states have
/// shape `[layers * directions, batch, units]`, layer by layer.
///
/// Parameters have PyTorch's names, shapes and order: for layer `k` and forwards
/// `weight_ih_lk` of shape `[gates * units, inputs]`, `weight_hh_lk` of shape `[gates *
/// units, units]`, `bias_ih_lk` and `bias_hh_lk` of shape `[gates * units]`, and backwards
/// the same with `_reverse` at the end. An LSTM may be [projected](Lstm::projected).
///
/// ```
/// use wengert_core::{Tape, Tensor};
/// use wengert_nn::random::seeded;
/// use wengert_nn::{Layer, Lstm, Module};
///
/// let lstm = Lstm::<f64>::new(3, 5, &mut seeded(1));
/// let tape = Tape::new();
/// let x = tape.constant(Tensor::zeros([2, 7, 3]));
/// assert_eq!(lstm.forward(x).shape()[..], [2, 7, 5]);
/// let (outputs, [h, c]) = lstm.run(x, None);
/// assert_eq!(h.shape()[..], [1, 2, 5]);
/// // going on from where it stopped
/// let (_, [_, c]) = lstm.run(x, Some([h, c]));
/// assert_eq!((outputs.rank(), c.shape()), (3, h.shape()));
/// assert_eq!(lstm.named_parameters()[0].0, "weight_ih_l0");
/// ```
#[derive(Clone, Debug)]
pub struct Recurrent<T: Real, C, const S: usize> {
    /// Of each layer, forwards and then, if need be, backwards.
    directions: Vec<Direction<T>>,
    cell: C,
    units: usize,
    /// Elements of the state that a cell gives: as many as units, unless it is projected.
    outputs: usize,
    both_ways: bool,
    time_first: bool,
    dropout: Dropout,
}

/// The parameters of one layer in one direction.
#[derive(Clone, Debug)]
struct Direction<T: Real> {
    parameters: [Param<T>; 4],
    projection: Option<Param<T>>,
    /// With layer and direction, as PyTorch has them: kept, as a visit allocates nothing.
    names: [String; 5],
}

/// PyTorch's names of the parameters of a direction, that of the projection last.
const NAMES: [&str; 5] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"];

impl<T: Real> Direction<T> {
    #[track_caller]
    fn new<R: Rng + ?Sized>(
        suffix: &str,
        [inputs, units, outputs]: [usize; 3],
        gates: usize,
        rng: &mut R,
    ) -> Self {
        let bound = 1.0 / (units as f64).sqrt();
        let rows = gates * units;
        let made = Location::caller();
        let mut uniform = |name: &'static str, shape: &[usize]| {
            Param::named(name, init::uniform(shape, -bound, bound, rng)).made_at(made)
        };
        let [of_input, of_state, bias, second_bias, of_output] = NAMES;
        let parameters = [
            uniform(of_input, &[rows, inputs]),
            uniform(of_state, &[rows, outputs]),
            uniform(bias, &[rows]),
            uniform(second_bias, &[rows]),
        ];
        let projection = (outputs != units).then(|| uniform(of_output, &[outputs, units]));
        Self { parameters, projection, names: NAMES.map(|name| format!("{name}_{suffix}")) }
    }

    /// Those of `layers` layers.
    #[track_caller]
    fn stacked<R: Rng + ?Sized>(
        [inputs, units, outputs]: [usize; 3],
        gates: usize,
        layers: usize,
        both_ways: bool,
        rng: &mut R,
    ) -> Vec<Self> {
        not_empty("a recurrent layer", &[("inputs", inputs), ("units", units)]);
        let ways = if both_ways { 2 } else { 1 };
        let mut directions = Vec::new();
        // A loop and no closure, which would not know the caller's line.
        for i in 0..layers * ways {
            let inputs = if i < ways { inputs } else { ways * outputs };
            let reverse = if i % ways == 1 { "_reverse" } else { "" };
            let suffix = format!("l{}{reverse}", i / ways);
            directions.push(Self::new(&suffix, [inputs, units, outputs], gates, rng));
        }
        directions
    }
}

impl<T: Real, C: Cell<S> + Default, const S: usize> Recurrent<T, C, S> {
    /// One layer, forwards. All parameters are uniform within `1 / sqrt(units)` of 0, as
    /// in PyTorch.
    ///
    /// # Panics
    /// If there are no inputs or no units.
    #[track_caller]
    pub fn new<R: Rng + ?Sized>(inputs: usize, units: usize, rng: &mut R) -> Self {
        Self::stacked(inputs, units, 1, rng)
    }

    /// `layers` layers, each of which takes what the one before gives.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn stacked<R: Rng + ?Sized>(
        inputs: usize,
        units: usize,
        layers: usize,
        rng: &mut R,
    ) -> Self {
        Self::build(inputs, units, layers, false, rng)
    }

    /// `layers` layers of cells in both directions.
    ///
    /// # Panics
    /// If there is no layer.
    #[track_caller]
    pub fn bidirectional<R: Rng + ?Sized>(
        inputs: usize,
        units: usize,
        layers: usize,
        rng: &mut R,
    ) -> Self {
        Self::build(inputs, units, layers, true, rng)
    }

    #[track_caller]
    fn build<R: Rng + ?Sized>(
        inputs: usize,
        units: usize,
        layers: usize,
        both_ways: bool,
        rng: &mut R,
    ) -> Self {
        assert!(layers > 0, "a recurrent network has one layer at least");
        let directions =
            Direction::stacked([inputs, units, units], C::GATES, layers, both_ways, rng);
        Self {
            directions,
            cell: C::default(),
            units,
            outputs: units,
            both_ways,
            time_first: false,
            dropout: Dropout::new(0.0),
        }
    }
}

impl<T: Real> Lstm<T> {
    /// With a linear map, at each step, of what each cell gives to `outputs` outputs, fewer than
    /// units (Sak, Senior & Beaufays, 2014): PyTorch's `proj_size`. The state `h` has them in place
    /// of the units, and so has what the next layer and the next step take; `c` stays as it is.
    /// There is one parameter more, `weight_hr_lk` of shape `[outputs, units]`, and all are drawn
    /// again.
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor};
    /// use wengert_nn::Lstm;
    /// use wengert_nn::random::seeded;
    ///
    /// let rng = &mut seeded(1);
    /// let lstm = Lstm::<f64>::stacked(3, 8, 2, rng).projected(5, rng);
    /// let tape = Tape::new();
    /// let (outputs, [h, c]) = lstm.run(tape.constant(Tensor::zeros([2, 7, 3])), None);
    /// assert_eq!(outputs.shape()[..], [2, 7, 5]);
    /// assert_eq!((&h.shape()[..], &c.shape()[..]), (&[2, 2, 5][..], &[2, 2, 8][..]));
    /// ```
    ///
    /// # Panics
    /// If there are no outputs, or not fewer than units.
    #[must_use]
    #[track_caller]
    pub fn projected<R: Rng + ?Sized>(self, outputs: usize, rng: &mut R) -> Self {
        let (units, layers) = (self.units, self.directions.len() / self.ways());
        assert!(
            (1..units).contains(&outputs),
            "a projection of {units} units has from 1 to {} outputs, not {outputs}",
            units.saturating_sub(1)
        );
        let sizes = [self.inputs(), units, outputs];
        let directions = Direction::stacked(sizes, LstmCell::GATES, layers, self.both_ways, rng);
        Self { directions, outputs, ..self }
    }
}

impl<T: Real, C: Cell<S>, const S: usize> Recurrent<T, C, S> {
    /// With time before the batch: from `[time, batch, inputs]`. A step's part then lies
    /// in one piece.
    #[must_use]
    pub fn time_first(self) -> Self {
        Self { time_first: true, ..self }
    }

    /// With a [`Dropout`] between the layers.
    ///
    /// # Panics
    /// If the chance is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        Self { dropout: Dropout::new(p), ..self }
    }

    /// How many directions a layer has.
    fn ways(&self) -> usize {
        if self.both_ways { 2 } else { 1 }
    }

    /// Elements of an input at a time.
    fn inputs(&self) -> usize {
        self.directions[0].parameters[0].shape()[1]
    }

    /// Goes along a sequence, from states or from zeros: what the last layer gives at each
    /// time, and the states at the end (backwards, that is the first time).
    ///
    /// # Panics
    /// If the input is not `[batch, time, inputs]`, its time has no steps, or the states have
    /// not shape `[layers * directions, batch, units]`.
    #[track_caller]
    pub fn run<'t>(
        &self,
        x: Var<'t, T>,
        states: Option<[Var<'t, T>; S]>,
    ) -> (Var<'t, T>, [Var<'t, T>; S]) {
        let (outputs, states) = self.walk(x, states, true);
        (outputs.expect("outputs were asked for"), states)
    }

    /// The states at the end of a sequence alone, as [`run`](Self::run) gives them; what the
    /// last layer gives on the way is not put together.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    #[track_caller]
    pub fn last<'t>(&self, x: Var<'t, T>, states: Option<[Var<'t, T>; S]>) -> [Var<'t, T>; S] {
        self.walk(x, states, false).1
    }

    #[track_caller]
    fn walk<'t>(
        &self,
        x: Var<'t, T>,
        states: Option<[Var<'t, T>; S]>,
        outputs: bool,
    ) -> (Option<Var<'t, T>>, [Var<'t, T>; S]) {
        let inputs = self.inputs();
        let (order, time_axis) =
            if self.time_first { ("time, batch", 0) } else { ("batch, time", 1) };
        let shape = x.shape();
        assert!(
            shape.rank() == 3 && shape[2] == inputs && shape[time_axis as usize] > 0,
            "a recurrent network takes [{order}, {inputs}] with a step at least, not {}",
            x.describe()
        );
        // The first state is what a cell gives.
        let state_shapes: [[usize; 3]; S] = array::from_fn(|i| {
            let elements = if i == 0 { self.outputs } else { self.units };
            [self.directions.len(), shape[1 - time_axis as usize], elements]
        });
        for (state, shape) in states.iter().flatten().zip(state_shapes) {
            assert!(
                state.shape()[..] == shape,
                "a state has shape {shape:?}, [layers * directions, batch, elements], not {}",
                state.describe()
            );
        }
        let zeros = || state_shapes.map(|shape| x.tape().constant(T::zero()).broadcast_to(shape));
        let states = states.unwrap_or_else(zeros);
        let first = |direction: usize| {
            states.map(|state| state.slice(0, direction..direction + 1).squeeze(0))
        };

        let mut ends: [Vec<Var<'t, T>>; S] = array::from_fn(|_| Vec::new());
        let layers = self.directions.len() / self.ways();
        let mut value = Some(x);
        for layer in 0..layers {
            let last = layer + 1 == layers;
            let x = value.take().expect("only the last layer gives nothing");
            let x = if layer > 0 { self.dropout.forward(x) } else { x };
            let mut ways = Vec::with_capacity(self.ways());
            for way in 0..self.ways() {
                let index = layer * self.ways() + way;
                let direction = &self.directions[index];
                let (steps, end) = self.go(direction, x, time_axis, way == 1, first(index));
                if outputs || !last {
                    ways.push(stack(&steps, time_axis));
                }
                for (ends, end) in ends.iter_mut().zip(end) {
                    ends.push(end);
                }
            }
            value = match ways[..] {
                [] => None,
                [forwards] => Some(forwards),
                _ => Some(concat(&ways, -1)),
            };
        }
        (value, ends.map(|ends| stack(&ends, 0)))
    }

    /// One layer in one direction: its state `h` at each time, and all states at the end.
    #[track_caller]
    fn go<'t>(
        &self,
        direction: &Direction<T>,
        x: Var<'t, T>,
        time_axis: isize,
        backwards: bool,
        mut states: [Var<'t, T>; S],
    ) -> (Vec<Var<'t, T>>, [Var<'t, T>; S]) {
        let [w_input, w_state, b_input, b_state] =
            direction.parameters.each_ref().map(|param| param.on(x.tape()));
        let projection = direction.projection.as_ref().map(|param| param.on(x.tape()));
        // Where a cell adds the two parts of its gates, so are their biases, once.
        let (bias, b_state) =
            if C::ADDS { (b_input + b_state, None) } else { (b_input, Some(b_state)) };
        let from_inputs = x.matmul_transposed(w_input) + bias;
        let time = x.shape()[time_axis as usize];
        let mut steps = Vec::with_capacity(time);
        for step in 0..time {
            let at = if backwards { time - 1 - step } else { step };
            let input = from_inputs.slice(time_axis, at..at + 1).squeeze(time_axis);
            let product = states[0].matmul_transposed(w_state);
            let state = b_state.map_or(product, |bias| product + bias);
            states = self.cell.step(input, state, states);
            if let Some(projection) = projection {
                states[0] = states[0].matmul_transposed(projection);
            }
            steps.push(states[0]);
        }
        if backwards {
            steps.reverse();
        }
        (steps, states)
    }
}

impl<T: Real, C: Cell<S>, const S: usize> Layer<T> for Recurrent<T, C, S> {
    /// What the last layer gives at each time, from states of zeros.
    ///
    /// # Panics
    /// As [`Recurrent::run`].
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.run(x, None).0
    }
}

/// By hand, since PyTorch puts layer and direction into the names.
impl<T: Real, C, const S: usize> Module<T> for Recurrent<T, C, S> {
    fn visit<'a>(&'a self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a Param<T>)) {
        for Direction { parameters, projection, names } in &self.directions {
            for (param, name) in parameters.iter().chain(projection).zip(names) {
                f(&path.field(name), param);
            }
        }
    }

    fn visit_mut<'a>(
        &'a mut self,
        path: &Path<'_>,
        f: &mut dyn FnMut(&Path<'_>, &'a mut Param<T>),
    ) {
        for Direction { parameters, projection, names } in &mut self.directions {
            for (param, name) in parameters.iter_mut().chain(projection).zip(names) {
                f(&path.field(name), param);
            }
        }
    }
}
