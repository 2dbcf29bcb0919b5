//! The training of the paper's section 6: stochastic gradient (15), one point a
//! step, and the cost over all points after a step.
//!
//! A step is recorded on a tape that keeps its memory, or compiled once and
//! then replayed. Both give the same numbers to the last bit.

use wengert::CompileError;
use wengert::prelude::*;

use super::{Net, Points, code_cost};

/// Moves a network step by step.
pub enum Trainer<'a> {
    /// Records every step.
    Recorded(Box<Recorder<'a>>),
    /// Replays a compiled step, which computes the cost too.
    Compiled { points: &'a Points, step: Box<TrainStep<f64>> },
}

/// What recording takes: a tape each for training and for monitoring, so that both
/// follow their own last recording.
pub struct Recorder<'a> {
    points: &'a Points,
    tape: Tape<f64>,
    monitor: Monitor,
    sgd: Sgd<f64>,
}

impl<'a> Trainer<'a> {
    /// A trainer that records steps of size `eta`.
    pub fn recorded(points: &'a Points, eta: f64) -> Self {
        let (tape, monitor) = (Tape::new(), Monitor::new(points));
        Self::Recorded(Box::new(Recorder { points, tape, monitor, sgd: Sgd::new(eta) }))
    }

    /// A trainer that replays a compiled step of size `eta`, from the network's
    /// parameters on.
    pub fn compiled(points: &'a Points, net: &Net, eta: f64) -> Result<Self, CompileError> {
        let (x, y) = (Tensor::from(points.positions[0]), Tensor::from(points.target(0)));
        let (inputs, targets) = (points.inputs(), points.targets());
        let step = TrainStep::compile_monitored(
            net,
            &Sgd::new(eta),
            |(x, y)| point_cost(net, x, y),
            (&x, &y),
            |tape| code_cost(net.forward(tape.constant(&inputs)), &targets),
        )?;
        Ok(Self::Compiled { points, step: Box::new(step) })
    }

    /// One step on one point.
    pub fn step(&mut self, net: &mut Net, point: usize) {
        match self {
            Self::Recorded(recorder) => {
                let Recorder { points, tape, sgd, .. } = &mut **recorder;
                tape.reset();
                let x = tape.constant(points.positions[point]);
                let cost = point_cost(net, x, tape.constant(points.target(point)));
                sgd.step(net, &cost.backward());
            }
            Self::Compiled { points, step } => {
                step.set_input(0, points.positions[point]);
                step.set_input(1, points.target(point));
                step.step();
            }
        }
    }

    /// The cost over all points after the last step, in the listing's scale.
    pub fn cost(&mut self, net: &Net) -> f64 {
        match self {
            Self::Recorded(recorder) => recorder.monitor.cost(net),
            Self::Compiled { step, .. } => step.monitored().expect("compiled with a monitor"),
        }
    }

    /// Ends the training: the network has its parameters.
    pub fn finish(self, net: &mut Net) {
        if let Self::Compiled { step, .. } = self {
            // Plain steps leave nothing behind in the optimiser.
            step.store(net, &mut Sgd::new(1.0));
        }
    }
}

/// The cost (13) of one point.
fn point_cost<'t>(net: &Net, x: Var<'t, f64>, y: Var<'t, f64>) -> Var<'t, f64> {
    (net.forward(x) - y).square().sum() * 0.5
}

/// Evaluates the cost over all points, on a tape of its own.
pub struct Monitor {
    tape: Tape<f64>,
    inputs: Tensor<f64>,
    targets: Tensor<f64>,
}

impl Monitor {
    /// A monitor of some points.
    pub fn new(points: &Points) -> Self {
        Self { tape: Tape::new(), inputs: points.inputs(), targets: points.targets() }
    }

    /// The cost in the listing's scale, without recording derivatives.
    pub fn cost(&mut self, net: &Net) -> f64 {
        let Self { tape, inputs, targets } = self;
        tape.reset();
        tape.without_gradients(|| code_cost(net.forward(tape.constant(&*inputs)), targets).item())
    }
}
