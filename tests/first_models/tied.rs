//! Weights that are tied and positive: two signals are coded together and decoded by the same weights,
//! transposed, which are positive as a softplus is. With a schedule, early stopping and files. What is
//! left out are the parts that no positive weights need: parts of the signals that come alone are
//! found, and decoding is the projection on them.

use wengert::nn::data::DataLoader;
use wengert::nn::optim::Schedule;
use wengert::nn::random::{seeded, uniform};
use wengert::nn::train::{Best, Trainer};
use wengert::nn::{init, weights};
use wengert::prelude::*;
use wengert::random::Rng;

type Pair<'t> = [Var<'t, f64>; 2];

#[derive(Module)]
struct Tied {
    a: Param<f64>,
    b: Param<f64>,
}

impl Tied {
    fn new(rng: &mut impl Rng) -> Self {
        let mut weight = |n: usize| Param::new(init::uniform([n, 2], -1.0, 0.0, rng));
        Self { a: weight(4), b: weight(3) }
    }

    /// The weights that are used, all of them positive.
    fn weights<'t>(&self, tape: &'t Tape<f64>) -> Pair<'t> {
        [&self.a, &self.b].map(|weight| weight.on(tape).softplus())
    }

    fn forward<'t>(&self, [x, y]: Pair<'t>) -> Pair<'t> {
        let [a, b] = self.weights(x.tape());
        let code = x.matmul(a) + y.matmul(b);
        [code.matmul_transposed(a), code.matmul_transposed(b)]
    }
}

/// Two parts of length 1, in the first signal and in the second.
const PARTS: [[f64; 7]; 2] =
    [[0.6, 0.48, 0.0, 0.0, 0.64, 0.0, 0.0], [0.0, 0.0, 0.8, 0.0, 0.0, 0.36, 0.48]];

#[test]
fn parts_are_found() -> Result<(), wengert::nn::Error> {
    let rng = &mut seeded(1);
    let mut signals = |n: usize| {
        let amounts: Vec<f64> = (0..2 * n).map(|_| uniform(rng)).collect();
        let element = |i: usize, k: usize| (0..2).map(|p| amounts[2 * i + p] * PARTS[p][k]).sum();
        let x = Tensor::from_fn([n, 4], |at| element(at / 4, at % 4));
        (x, Tensor::from_fn([n, 3], |at| element(at / 3, 4 + at % 3)))
    };
    let train = DataLoader::new(signals(256), 32).shuffled(1);
    let validation = DataLoader::new(signals(64), 64);
    let (mut net, mut adam) = (Tied::new(&mut seeded(2)), Adam::new(0.05));
    let rates = Schedule::linear(0.0, 0.05, 5.0).then(Schedule::cosine(0.05, 0.001, 295.0));
    let report = Trainer::new(300)
        .schedule(|progress| rates.rate(progress.epoch as f64))
        .keep_best(Best::lowest("validation loss").patience(60))
        .fit(&mut net, &mut adam, (&train, &validation), |net, tape, (x, y), _| {
            let given = [tape.constant(x), tape.constant(y)];
            let [x, y] = net.forward(given);
            mse(x, given[0]) + mse(y, given[1])
        })?;
    assert!(report.history.epochs() > 50);

    let path =
        std::env::temp_dir().join(format!("wengert_tied_{}.safetensors", std::process::id()));
    weights::save(&path, &net.state_dict())?;
    let mut loaded = Tied::new(&mut seeded(3));
    loaded.load_state_dict(&weights::load(&path)?)?;
    std::fs::remove_file(&path).expect("it was written");
    let tape = Tape::new();
    let both = concat(&loaded.weights(&tape), 0);
    let projection = both.matmul_transposed(both).value();
    for (i, j) in (0..49).map(|at| (at / 7, at % 7)) {
        let expected = PARTS.iter().map(|part| part[i] * part[j]).sum::<f64>();
        let error = projection.at(&[i, j]) - expected;
        assert!(error.abs() < 0.05, "{error} at {i}, {j}");
    }
    Ok(())
}
