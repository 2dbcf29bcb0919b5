//! Gradients travel in buckets while the sweep goes on: with the bits of one process, whatever the size
//! of a bucket.

use wengert_core::{Tape, Tensor, Var};
use wengert_nn::data::{DataLoader, Dataset};
use wengert_nn::random::seeded;
use wengert_nn::train::{DataParallel, Group, InProcess, Metrics, Trainer};
use wengert_nn::{Adam, Layer, Linear, Module, Param, Sgd};

use crate::exchange::{Broken, SIZES, alike, first_lines, root, run, said};
use crate::training::{Net, loss, trainer};

/// In bytes: of one number, of a parameter and a half of the net, of most of it, larger than all.
const BUCKETS: [usize; 4] = [8, 100, 300, usize::MAX];

#[test]
fn no_bit_depends_on_the_size_of_a_bucket() {
    for accumulate in [1, 3] {
        let trace = |size, bucket| {
            let trainer = || trainer(2).accumulate(accumulate).bucket(bucket);
            alike(InProcess::run(size, |process| run(process, 6, trainer())))
        };
        let expected = trace(1, usize::MAX);
        for (size, bucket) in SIZES.iter().flat_map(|&size| BUCKETS.map(|bucket| (size, bucket))) {
            assert_eq!(trace(size, bucket), expected, "{size} processes, {bucket} bytes");
        }
    }
}

/// A model with parameters of all kinds, in another order than that of its layers.
#[derive(Module)]
struct Odd {
    /// It is called last.
    out: Linear<f64>,
    /// On the tape, and the loss does not use it.
    unused: Param<f64>,
    /// Not on the tape.
    absent: Param<f64>,
    /// Read twice, first and last of all.
    tied: Param<f64>,
    frozen: Linear<f64>,
    /// Assigned on every other shard.
    mean: Param<f64>,
    hidden: Linear<f64>,
}

impl Odd {
    fn new() -> Self {
        let rng = &mut seeded(3);
        let mut layer = || Linear::new(3, 3, rng);
        let (out, mut frozen, hidden) = (layer(), layer(), layer());
        frozen.freeze();
        let param = |x: f64| Param::new(Tensor::full([3], x));
        Self {
            out,
            unused: param(0.1),
            absent: param(0.2),
            tied: param(0.3),
            frozen,
            mean: Param::buffer(Tensor::zeros([3])),
            hidden,
        }
    }
}

fn odd<'t>(net: &Odd, tape: &'t Tape<f64>, x: &Tensor<f64>, _: &mut Metrics) -> Var<'t, f64> {
    net.unused.on(tape);
    let h = net.frozen.forward(tape.constant(x) * net.tied.on(tape)).tanh();
    if x.iter().next() > Some(0.0) {
        net.mean.assign(net.mean.on(tape) + h.mean_over(0));
    }
    let y = net.out.forward(net.hidden.forward(h).sigmoid());
    (y * net.tied.on(tape)).square().mean()
}

/// A step of six shards of two samples, against the gradients of plain sweeps added by hand:
/// `((0+1)+(2+3))+(4+5)`.
#[test]
fn a_step_in_buckets_is_the_sum_by_the_tree() {
    let batch = Tensor::from_fn([12, 3], |i| ((i * i) as f64).sin());
    let before = Odd::new();
    let of_shard = |shard: usize| {
        let part = batch.batch(&[2 * shard, 2 * shard + 1], &mut seeded(0)).unwrap();
        let tape = Tape::new();
        let gradients = odd(&before, &tape, &part, &mut Metrics::default()).backward();
        before.gradient_vector(&gradients).into_iter().map(|g| g * (2.0 / 12.0)).collect()
    };
    let shards: Vec<Vec<f64>> = (0..6).map(of_shard).collect();
    let by_hand = |i: usize| {
        let [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(|shard: usize| shards[shard][i]);
        ((a + b) + (c + d)) + (e + f)
    };
    let sums: Vec<f64> = (0..shards[0].len()).map(by_hand).collect();
    let weights = before.parameter_vector();
    let expected: Vec<f64> = weights.iter().zip(&sums).map(|(w, g)| w - g).collect();
    assert_ne!(expected, weights);
    let mut means = Vec::new();
    for (size, bucket) in SIZES.iter().flat_map(|&size| BUCKETS.map(|bucket| (size, bucket))) {
        let moved = InProcess::run(size, |process| {
            let (mut net, mut sgd) = (Odd::new(), Sgd::new(1.0));
            let mut parallel = DataParallel::on(process, 6).bucket(bucket);
            parallel.step(&mut net, &mut sgd, &batch, odd).unwrap();
            (net.parameter_vector(), net.mean.elements().to_vec())
        });
        for (after, mean) in moved {
            assert_eq!(after, expected, "{size} processes, {bucket} bytes");
            means.push(mean);
        }
    }
    assert!(means.iter().all(|mean| *mean == means[0] && mean[0] != 0.0));
}

/// A process that fails, before its sweep or after it, leaves none waiting for its buckets.
#[test]
fn a_process_that_fails_ends_all() {
    let said_of_file = said(4, |process| {
        let (mut net, mut adam) = (Net::new(), Adam::new(0.1));
        let train = DataLoader::new(Broken(21), 16);
        let mut trainer = trainer(1).bucket(8);
        trainer.fit_on(process, 8, &mut net, &mut adam, &train, loss).map(|_| ())
    });
    let other = "1 has said: missing: no such sample";
    assert_eq!(said_of_file, [other, "itself: missing: no such sample", other, other]);
    let said = first_lines(said(3, |process| {
        let (mut net, mut sgd) = (Two::new(), Sgd::new(1e-3));
        let rows = Tensor::from([[4.0], [1.0], [1.0], [9.0], [4.0], [0.0]]);
        let train = DataLoader::new(rows, 6);
        let mut trainer = Trainer::new(1).quiet().bucket(8);
        let fit =
            trainer.fit_on(process, 3, &mut net, &mut sgd, &train, |net, tape, x, metrics| {
                root(&net.first, tape, x, metrics) * net.last.on(tape).sum()
            });
        assert_eq!(net.parameter_vector(), [1.0, 1.0]);
        fit.map(|_| ())
    }));
    let start = "epoch 1, batch 1: the gradient of `first`";
    assert!(said[2].starts_with(&format!("itself: {start}")), "{said:?}");
    assert!(said[..2].iter().all(|said| said.starts_with(&format!("2 has said: {start}"))));
}

#[derive(Module)]
struct Two {
    first: Param<f64>,
    last: Param<f64>,
}

impl Two {
    fn new() -> Self {
        Self { first: Param::new([1.0]), last: Param::new([1.0]) }
    }
}

#[test]
#[should_panic(
    expected = "rank 0 has 2 of 2 numbers in all (buckets: 2), and rank 1 has 2 of 2 numbers in all (buckets: 1)"
)]
fn processes_of_other_models_are_refused() {
    InProcess::run(2, |process| {
        let bucket = if process.is_first() { 8 } else { 16 };
        let mut parallel = DataParallel::on(process, 2).bucket(bucket);
        let x = Tensor::from([1.0, 2.0]);
        parallel.step(&mut Two::new(), &mut Sgd::new(0.1), &x, |net: &Two, tape, x, metrics| {
            root(&net.first, tape, x, metrics)
        })
    });
}

/// That it happens: a sweep that waits, in its middle, for the exchange of what it has computed.
#[cfg(feature = "threads")]
mod meanwhile {
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    use wengert_core::op::{Call, Cost, Op, Samples};
    use wengert_core::{Real, Shape, Tensor, Var, View};
    use wengert_nn::Sgd;
    use wengert_nn::train::{DataParallel, Exchange, Group, InProcess};

    use super::Two;

    /// Calls of `all_to_all`: in each step, one of each process for each of two buckets.
    static EXCHANGED: Mutex<usize> = Mutex::new(0);
    static HEARD: Condvar = Condvar::new();

    struct Counted(InProcess);

    impl Group for Counted {
        fn rank(&self) -> usize {
            self.0.rank()
        }

        fn size(&self) -> usize {
            self.0.size()
        }

        fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
            self.0.gather(own)
        }

        fn broadcast(&self, own: Vec<u8>) -> Vec<u8> {
            self.0.broadcast(own)
        }
    }

    impl Exchange<f64> for Counted {
        fn all_to_all(&self, own: &[f64], sent: &[usize], all: &mut [f64], received: &[usize]) {
            self.0.all_to_all(own, sent, all, received);
            *EXCHANGED.lock().unwrap() += 1;
            HEARD.notify_all();
        }

        fn all_gather(&self, own: &[f64], all: &mut [f64], lengths: &[usize]) {
            self.0.all_gather(own, all, lengths);
        }
    }

    /// Gives its operand. Its adjoint waits until the first bucket has been exchanged.
    #[derive(Clone, Debug, PartialEq)]
    struct Gate {
        is_closed: bool,
    }

    impl Op for Gate {
        const NAME: &'static str = "gate";

        fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
            Ok(args[0].clone())
        }

        fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
            args[0].copy_to(out);
            if self.is_closed {
                // So long that only a mistake lasts longer.
                let patience = Duration::from_secs(60);
                let count = EXCHANGED.lock().unwrap();
                let is_before = |count: &mut usize| *count % 4 < 2;
                let wait = HEARD.wait_timeout_while(count, patience, is_before).unwrap().1;
                assert!(!wait.timed_out(), "the bucket did not travel during the sweep");
            }
        }

        fn jvp<'t, T: Real>(
            &self,
            _: &Call<'_, 't, T>,
            tangents: &[Option<Var<'t, T>>],
        ) -> Option<Var<'t, T>> {
            tangents[0]
        }

        fn vjp<'t, T: Real>(
            &self,
            _: &Call<'_, 't, T>,
            _: usize,
            cotangent: Var<'t, T>,
        ) -> Option<Var<'t, T>> {
            Some(cotangent.apply(Self { is_closed: true }))
        }

        fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
            Cost::NONE
        }

        fn samples(_: &mut Samples<Self>) {}
    }

    /// In the first step, whose sweep is recorded, and in later ones, which repeat it.
    #[test]
    fn a_bucket_travels_while_the_sweep_goes_on() {
        InProcess::run(2, |process| {
            let (mut net, mut sgd) = (Two::new(), Sgd::new(0.1));
            let mut parallel = DataParallel::on(Counted(process), 2).bucket(8);
            for _ in 0..3 {
                let x = Tensor::from([1.0, 2.0]);
                let step = parallel.step(&mut net, &mut sgd, &x, |net: &Two, tape, x, _| {
                    let h =
                        (net.first.on(tape) * tape.constant(x)).apply(Gate { is_closed: false });
                    (h * net.last.on(tape)).mean()
                });
                step.unwrap();
            }
        });
        assert_eq!(*EXCHANGED.lock().unwrap(), 2 * 2 * 3);
    }
}
