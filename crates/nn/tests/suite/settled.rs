//! What optimisers remember of elements whose gradient has become 0 comes to rest at 0, and not among
//! the subnormal numbers, where some CPUs take ten times as long.

use wengert_core::{Tape, Tensor, Var};
use wengert_nn::optim::{AdaDelta, AdamW, Average, Lion, NAdam, Optimiser, RmsProp, Rule};
use wengert_nn::{Adam, Param, Sgd, TrainStep};

/// Gradients at the first step: a large one, and such whose squares are subnormal.
const SLOPES: [f32; 6] = [1e3, 1.0, -1e-9, 1e-18, -3e-20, 0.0];

fn cost<'t>(param: &Param<f32>, slopes: Var<'t, f32>) -> Var<'t, f32> {
    (param.on(slopes.tape()) * slopes).sum()
}

/// The slopes of a step: none after the first one.
fn slopes(step: usize) -> Tensor<f32> {
    if step == 0 { Tensor::from(SLOPES) } else { Tensor::zeros([SLOPES.len()]) }
}

/// What an optimiser remembers of each element after some steps.
fn remembered<R: Rule>(optimiser: &Optimiser<f32, R>, steps: usize) -> Vec<f32> {
    let numbers = |optimiser: &Optimiser<f32, R>, param: &Param<f32>| -> Vec<f32> {
        let states = optimiser.state_dict(param);
        let of_elements = states.iter().filter(|(_, state)| state.len() == SLOPES.len());
        of_elements.flat_map(|(_, state)| state.to_vec()).chain(param.elements().to_vec()).collect()
    };
    let (mut param, mut recorded) = (Param::new([1.0; 6]), optimiser.clone());
    let (mut other, mut compiled) = (Param::new([1.0; 6]), optimiser.clone());
    let mut step = TrainStep::compile(&other, &compiled, |x| cost(&other, x), &slopes(0)).unwrap();
    let mut tape = Tape::new();
    for k in 0..steps {
        tape.reset();
        let gradients = cost(&param, tape.constant(slopes(k))).backward();
        recorded.step(&mut param, &gradients);
        step.run(&slopes(k));
    }
    step.store(&mut other, &mut compiled);
    let numbers = [numbers(&recorded, &param), numbers(&compiled, &other)]
        .map(|numbers| numbers.into_iter().map(f32::to_bits).collect::<Vec<_>>());
    assert_eq!(numbers[0], numbers[1], "a compiled step remembers other numbers");
    let mut numbers: Vec<f32> = numbers[0].iter().map(|&bits| f32::from_bits(bits)).collect();
    assert!(numbers.iter().all(|x| *x == 0.0 || x.is_normal()), "{numbers:?}");
    numbers.truncate(numbers.len() - SLOPES.len());
    numbers
}

#[test]
fn velocities_come_to_rest_at_0() {
    let velocities = [
        remembered(&Sgd::new(0.1).momentum(0.9), 1000),
        remembered(&Sgd::new(0.1).momentum(0.9).rate_in_velocity(true), 1000),
        remembered(&Sgd::new(0.1).momentum(0.5).nesterov(true), 200),
        remembered(&Lion::new(0.1), 10_000),
    ];
    for velocity in velocities {
        assert_eq!(velocity, [0.0; SLOPES.len()]);
    }
}

/// At every number of steps, down to where numbers are subnormal and beyond.
#[test]
fn velocities_are_those_of_a_plain_loop() {
    let (mut w, mut v) = ([1.0_f32; SLOPES.len()], [0.0_f32; SLOPES.len()]);
    let (mut param, mut sgd) = (Param::new(w), Sgd::new(0.1).momentum(0.9));
    let mut tape = Tape::new();
    for step in 0..1000 {
        tape.reset();
        let gradients = cost(&param, tape.constant(slopes(step))).backward();
        sgd.step(&mut param, &gradients);
        for (i, slope) in slopes(step).to_vec().into_iter().enumerate() {
            let next = 0.9 * v[i] + slope;
            w[i] -= 0.1 * next;
            v[i] = if next.abs() < f32::MIN_POSITIVE { 0.0 } else { next };
        }
        let states = sgd.state_dict(&param);
        let velocity = states.values().find(|state| state.len() == SLOPES.len()).unwrap();
        assert_eq!(velocity.to_vec(), v, "step {step}");
        assert_eq!(param.elements(), w, "step {step}");
    }
}

/// Means of squares take longer, but none of them is subnormal on the way.
#[test]
fn running_means_are_0_or_normal() {
    remembered(&Adam::new(0.1), 2000);
    remembered(&AdamW::new(0.1), 2000);
    remembered(&NAdam::new(0.1), 2000);
    remembered(&RmsProp::new(0.1), 2000);
    remembered(&AdaDelta::new(0.1), 2000);
    assert_eq!(remembered(&Adam::new(0.1).betas(0.9, 0.9), 2000), [0.0; 2 * SLOPES.len()]);
}

#[test]
fn an_average_of_zeros_comes_to_rest_at_0() {
    let mut net = Param::new([1.0_f64, 2.0]);
    let mut average = Average::new(&net, 0.5);
    net.elements_mut()[0] = 0.0;
    for _ in 0..1030 {
        average.update(&net);
    }
    average.swap(&mut net);
    assert_eq!(net.elements(), [0.0, 2.0]);
}
