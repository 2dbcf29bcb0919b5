//! A stack of LSTM layers that reads a text, whose gates have a weight for each unit.
//!
//! A step of a layer is a few operations on a handful of numbers, of which a long text has many. So all layers
//! go at once, each one step of time behind the layer below it: a *wave* has operations of layers times units. Waves are
//! steps of a compiled loop; the loss is computed from the outputs of all times at once.

use serde_json::{Value, json};
use wengert::prelude::*;

use super::{Evaluate, Named};
use crate::chain::{Chain, Keep};
use crate::clock::Clock;
use crate::input::{Error, Input};

pub(super) const FUNCTIONS: &[Named<Evaluate>] =
    &[("objective", objective), ("jacobian", jacobian)];

/// What waves share: four weights and four biases of gates, and the weight of the text.
const SHARED: usize = 9;

/// Waves: from the layers' outputs and cells `[layers, units]`, a letter of the text and which layers have
/// begun, to the next outputs and cells, and the output of the last layer.
type Waves = Chain<2, 2, SHARED, 1>;

fn wave<'t>(
    [h, s]: [Var<'t, f64>; 2],
    [letter, runs]: [Var<'t, f64>; 2],
    shared: [Var<'t, f64>; SHARED],
) -> ([Var<'t, f64>; 2], [Var<'t, f64>; 1]) {
    let layers = h.shape()[0];
    let [
        forget,
        ingate,
        outgate,
        change,
        forget_bias,
        ingate_bias,
        outgate_bias,
        change_bias,
        text_weight,
    ] = shared;
    // Each layer reads what the one below gave in the wave before, and the first one the text.
    let z = concat(&[letter * text_weight, h.slice(0, ..layers - 1)], 0);
    let forget = (z * forget + forget_bias).sigmoid();
    let ingate = (h * ingate + ingate_bias).sigmoid();
    let outgate = (z * outgate + outgate_bias).sigmoid();
    let change = (h * change + change_bias).tanh();
    let next_s = s * forget + ingate * change;
    let next_h = outgate * next_s.tanh();
    let [next_h, next_s] = [runs.select(next_h, h), runs.select(next_s, s)];
    ([next_h, next_s], [next_h.slice(0, layers - 1..)])
}

/// The mean negative log-likelihood of the letters that followed `[times, units]`, from the last layer's
/// outputs.
fn loss<'t>([outputs, weight, bias, followed]: [Var<'t, f64>; 4]) -> Var<'t, f64> {
    let logits = outputs * weight + bias;
    let norms = (logits.exp().sum_keep(-1) + 2.0).ln();
    (followed * (norms - logits)).sum() / followed.elements() as f64
}

/// A network and a text.
struct Problem {
    layers: usize,
    units: usize,
    steps: usize,
    state: [Tensor<f64>; 2],
    shared: [Tensor<f64>; SHARED],
    /// Weight and bias of the outputs.
    output: [Tensor<f64>; 2],
    text: Tensor<f64>,
}

impl Problem {
    fn read(input: Input<'_>) -> Result<Self, Error> {
        let (text, state) = (input.tensor("sequence")?, input.tensor("state")?);
        let (&[times, units], &[rows, _]) = (&text.shape()[..], &state.shape()[..]) else {
            return Err(Error("`sequence` and `state`: expected lists of lists".into()));
        };
        let layers = rows / 2;
        if times < 2 || units == 0 || layers == 0 {
            return Err(Error("expected two times, a unit and a layer at least".into()));
        }
        let main = input.shaped("main_params", [2 * layers, 4 * units])?;
        let extra = input.shaped("extra_params", [3, units])?;
        let state = input.shaped("state", [2 * layers, units])?;
        // Rows of layers go by turns: weights and biases, outputs and cells.
        let of_layers = |all: &Tensor<f64>, row, first| {
            all.slice(0, row, layers, 2).slice(1, first, units, 1).contiguous()
        };
        let extra = |row| extra.slice(0, row, 1, 1).contiguous();
        Ok(Self {
            layers,
            units,
            steps: times - 1,
            state: [0, 1].map(|row| of_layers(&state, row, 0)),
            shared: std::array::from_fn(|k| match k {
                8 => extra(0),
                k => of_layers(&main, k / 4, k % 4 * units),
            }),
            output: [extra(1), extra(2)],
            text,
        })
    }

    fn compiled(&self) -> Result<Waves, Error> {
        let (letter, runs) = (Tensor::zeros([1, self.units]), Tensor::zeros([self.layers, 1]));
        Ok(Chain::new(wave, self.state.each_ref(), [&letter, &runs], self.shared.each_ref())?)
    }

    /// The last wave is when the last layer has read the last letter but one.
    fn waves(&self) -> usize {
        self.steps + self.layers - 1
    }

    /// Gives a wave its letter and the layers that have begun.
    fn input(&self, wave: usize, program: &mut Program<f64>, first: usize) {
        // Behind the text, what the first layers compute is read by no output.
        let letter = self.text.slice(0, wave.min(self.steps), 1, 1);
        let runs = Tensor::from_fn([self.layers, 1], |layer| f64::from(layer <= wave));
        program.set_input(first, letter);
        program.set_input(first + 1, runs);
    }

    /// The outputs of the last layer at all times.
    fn outputs(&self, waves: &mut Waves, keep: Keep) -> Tensor<f64> {
        let mut outputs = Vec::with_capacity(self.waves() * self.units);
        waves.run(
            keep,
            self.waves(),
            self.state.each_ref(),
            |wave, program, first| self.input(wave, program, first),
            self.shared.each_ref(),
            |program| program.with_output(0, |view| outputs.extend(view.iter())),
        );
        // Those of waves before the last layer began are none.
        outputs.drain(..(self.layers - 1) * self.units);
        Tensor::new([self.steps, self.units], outputs)
    }

    /// The letters that followed.
    fn followed(&self) -> Tensor<f64> {
        self.text.slice(0, 1, self.steps, 1).contiguous()
    }

    /// Gradients of the main parameters and then the extra ones, in the order of the input.
    fn arranged(&self, shared: &[Tensor<f64>; SHARED], output: &[Tensor<f64>]) -> Vec<f64> {
        let mut all = Vec::new();
        for layer in 0..self.layers {
            let row = |gate: &Tensor<f64>| gate.slice(0, layer, 1, 1).to_vec();
            all.extend(shared[..8].iter().flat_map(row));
        }
        all.extend(shared[8].iter());
        all.extend(output.iter().flat_map(Tensor::iter));
        all
    }
}

fn objective(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let problem = Problem::read(input)?;
    let ([weight, bias], followed) = (&problem.output, problem.followed());
    let outputs = Tensor::zeros(followed.shape());
    let mut waves = clock.prepare(|| problem.compiled())?;
    let mut loss = clock.prepare(|| compile(loss, [&outputs, weight, bias, &followed]))?;
    let value = clock.evaluate(|| {
        let outputs = problem.outputs(&mut waves, Keep::Nothing);
        loss.run([&outputs, weight, bias, &followed]).remove(0)
    });
    Ok(json!(value.item()))
}

fn jacobian(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let problem = Problem::read(input)?;
    let ([weight, bias], followed) = (&problem.output, problem.followed());
    let outputs = Tensor::zeros(followed.shape());
    let mut waves = clock.prepare(|| problem.compiled())?;
    let mut slopes = clock.prepare(|| {
        compile_n(
            |[outputs, weight, bias, followed]| {
                loss([outputs, weight, bias, followed]).grad([outputs, weight, bias])
            },
            [&outputs, weight, bias, &followed],
        )
    })?;
    let none = Tensor::zeros(problem.state[0].shape());
    let unread = vec![0.0; problem.units];
    let (shared, output) = clock.evaluate(|| {
        let outputs = problem.outputs(&mut waves, Keep::States);
        let mut slopes = slopes.run([&outputs, weight, bias, &followed]);
        let output = slopes.split_off(1);
        let of_outputs = slopes[0].to_vec();
        let shared = waves.back(
            [&none, &none],
            |wave, program, first| problem.input(wave, program, first),
            problem.shared.each_ref(),
            |wave, program, first| {
                let time = (wave + 1).checked_sub(problem.layers);
                let row = time.map_or(&unread[..], |time| {
                    &of_outputs[time * problem.units..][..problem.units]
                });
                program.set_input(first, Tensor::new([1, problem.units], row.to_vec()));
            },
        );
        (shared, output)
    });
    Ok(json!(problem.arranged(&shared, &output)))
}
