//! Samples: their distributions, and that each step and each run sees its own.

use wengert_core::random::Distribution::{Dropout, Normal};
use wengert_core::random::{self, Rng, SeedableRng, Xoshiro256PlusPlus};
use wengert_core::{Real, Tape, Tensor, compile_n};

fn rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

fn moments(x: &Tensor<f64>) -> [f64; 3] {
    let mean = |f: &dyn Fn(f64) -> f64| x.iter().map(f).sum::<f64>() / x.len() as f64;
    let first = mean(&|x| x);
    [first, mean(&|x| (x - first).powi(2)), mean(&|x| (x - first).powi(4))]
}

#[test]
fn the_moments_are_those_of_the_distributions() {
    const N: usize = 200_000;
    let near = |found: [f64; 3], expected: [f64; 3]| {
        let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.02 * (1.0 + b));
        assert!(close, "{found:?}, not {expected:?}");
    };
    near(moments(&random::uniforms([N], &mut rng(1))), [0.5, 1.0 / 12.0, 1.0 / 80.0]);
    near(moments(&random::normals([N], &mut rng(2))), [0.0, 1.0, 3.0]);
    // Euler's constant, pi^2 / 6, and the distribution function at 0.
    let gumbels = random::gumbels([N], &mut rng(3));
    let [mean, variance, _] = moments(&gumbels);
    let below = gumbels.iter().filter(|&x| x < 0.0).count() as f64 / N as f64;
    let expected = [0.577_215_664_901_532_9, std::f64::consts::PI.powi(2) / 6.0, (-1.0_f64).exp()];
    near([mean, variance, below], expected);
    near(moments(&random::bernoulli(0.3, [N], &mut rng(4))), [0.3, 0.21, 0.0777]);
    let [mean, ..] = moments(&random::dropout_mask(0.75, [N], &mut rng(5)));
    assert!((mean - 1.0).abs() < 0.02, "{mean}");
}

#[test]
fn normal_numbers_are_those_of_box_and_muller() {
    let mut uniform = rng(9);
    let found: Tensor<f64> = random::normals([301], &mut rng(9));
    for pair in found.to_vec().chunks(2) {
        let (u, v) = (random::uniform(&mut uniform), random::uniform(&mut uniform));
        let radius = (-2.0 * (1.0 - u).ln()).sqrt();
        let angle = std::f64::consts::TAU * v;
        for (x, expected) in pair.iter().zip([radius * angle.cos(), radius * angle.sin()]) {
            assert!((x - expected).abs() < 1e-14, "{x}, not {expected}");
        }
    }
    // A draw alone is the first of a pair, and longer tensors begin like shorter ones.
    assert_eq!(random::normal(&mut rng(9)), found.at(&[0]));
    let few: Tensor<f64> = random::normals([3], &mut rng(9));
    assert_eq!(few.to_vec(), found.to_vec()[..3]);
}

/// Gives the largest words only, and the smallest.
struct Extreme(bool);

impl rand::TryRng for Extreme {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.0 = !self.0;
        Ok(if self.0 { u32::MAX } else { u32::MAX - 1 })
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from(self.next_u32()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(u8::MAX);
        Ok(())
    }
}

#[test]
fn uniform_numbers_are_less_than_1_in_every_precision() {
    fn largest<T: Real>() -> f64 {
        random::uniforms::<T, _>([1], &mut Extreme(false)).item().as_f64()
    }
    assert_eq!(largest::<f64>(), 1.0 - f64::EPSILON / 2.0);
    assert_eq!(largest::<f32>(), 1.0 - f64::from(f32::EPSILON) / 2.0);
    assert!(random::normals::<f64, _>([2], &mut Extreme(false)).iter().all(f64::is_finite));
}

#[test]
fn a_tape_that_repeats_itself_computes_with_the_new_sample() {
    let mut tape = Tape::<f64>::new();
    let mut noise_source = rng(6);
    let mut seen = Vec::new();
    for _ in 0..4 {
        tape.reset();
        let (mean, deviation) = (tape.variable([1.0, 2.0]), tape.variable([0.5, 3.0]));
        let sample: Tensor<f64> = random::normals([2], &mut noise_source);
        let y = mean + deviation * tape.constant(&sample);
        let gradients = y.sum().backward();
        assert_eq!(gradients.wrt(mean).to_vec(), [1.0, 1.0]);
        assert_eq!(gradients.wrt(deviation), sample);
        seen.push(y.value().to_vec());
    }
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
    let again: Tensor<f64> = random::normals([2], &mut rng(6));
    assert_eq!(seen[0], [1.0 + 0.5 * again.at(&[0]), 2.0 + 3.0 * again.at(&[1])]);
}

#[test]
fn a_program_takes_samples_as_inputs() {
    let draw = |source: &mut Xoshiro256PlusPlus| {
        let mask = random::dropout_mask(0.5, [2, 3], source);
        [mask, random::gumbels([2, 3], source)]
    };
    let x = Tensor::from([[0.1, 0.7, -0.4], [1.0, 0.0, 0.3]]);
    let mut source = rng(8);
    let [mask, noise] = draw(&mut source);
    let mut program = compile_n(
        |[x, mask, noise]| {
            let y = (x * mask).gumbel_softmax(noise, 0.7, -1);
            let [dx] = y.square().sum().grad([x]);
            [y, dx, (x + noise).argmax(-1)]
        },
        [&x, &mask, &noise],
    )
    .unwrap();
    for _ in 0..3 {
        let [mask, noise] = draw(&mut source);
        let found = program.run([&x, &mask, &noise]);
        let tape = Tape::new();
        let var = tape.variable(&x);
        let [mask, noise] = [mask, noise].map(|t| tape.constant(t));
        let y = (var * mask).gumbel_softmax(noise, 0.7, -1);
        let [dx] = y.square().sum().grad([var]);
        assert_eq!(found, [y.value(), dx.value(), (var + noise).argmax(-1).value()]);
    }
}

/// What a layer with a sample and a state records: noise on the operand, and how often
/// it was asked.
fn noisy<'t>(x: wengert_core::Var<'t, f64>, count: &Tensor<f64>) -> wengert_core::Var<'t, f64> {
    let tape = x.tape();
    if !tape.is_training() {
        return x;
    }
    tape.assign(1, tape.state(1, count) + 1.0);
    x * tape.sample(Dropout(0.5), x.shape()) + tape.sample(Normal, x.shape())
}

#[test]
fn a_tape_and_its_program_draw_the_same() {
    for len in [3, 500] {
        let x = Tensor::from_fn([len], |i| 1.0 + i as f64);
        let count = Tensor::from(0.0);
        let mut tape = Tape::new();
        tape.train(7);
        let mut eager = Vec::new();
        for _ in 0..4 {
            tape.reset();
            let var = tape.variable(&x);
            let y = noisy(noisy(var, &count), &count);
            let gradients = y.square().sum().backward();
            eager.push((y.value().to_vec(), gradients.wrt(var).to_vec()));
            assert_eq!(tape.assigned(1).expect("assigned").item(), 2.0);
        }
        assert!(eager.windows(2).all(|pair| pair[0] != pair[1]), "another sample each time");

        let tape = Tape::new();
        tape.train(7);
        let (var, held) = (tape.variable(&x), tape.state(1, &count));
        let y = noisy(noisy(var, &count), &count);
        let [dx] = y.square().sum().grad([var]);
        let next = tape.assigned(1).expect("assigned");
        let mut program = tape.compile_updating(&[var, held], &[y, dx], &[(held, next)]).unwrap();
        for (step, (y, dx)) in eager.iter().enumerate() {
            program.execute();
            assert_eq!(
                (program.output(0).to_vec(), program.output(1).to_vec()),
                (y.clone(), dx.clone())
            );
            assert_eq!(program.input(1).item(), 2.0 * (step + 1) as f64);
        }
        program.seed(7);
        program.execute();
        assert_eq!(program.output(0).to_vec(), eager[0].0);
    }
}

#[test]
fn a_tape_evaluates_unless_it_trains() {
    let tape = Tape::new();
    let (x, count) = (tape.constant([1.0, 2.0]), Tensor::from(0.0));
    assert_eq!(noisy(x, &count).value().to_vec(), [1.0, 2.0]);
    assert!(tape.assigned(1).is_none());
    tape.train(1);
    assert_ne!(noisy(x, &count).value().to_vec(), [1.0, 2.0]);
    tape.evaluate();
    assert_eq!(noisy(x, &count).value().to_vec(), [1.0, 2.0]);
}

#[test]
#[should_panic(expected = "call `train` with a seed first")]
fn an_evaluation_draws_nothing() {
    Tape::<f64>::new().sample(Normal, [3]);
}

#[test]
#[should_panic(expected = "asks whether its tape is training; hand in")]
fn what_is_recorded_again_cannot_depend_on_the_mode() {
    let tape = Tape::new();
    tape.train(1);
    let x = tape.variable([1.0, 2.0]);
    wengert_core::checkpoint(|[x]| [noisy(x, &Tensor::from(0.0))], [x]);
}
