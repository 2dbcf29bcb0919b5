//! Processes that are threads of one: what tests of a run on several processes need no engine for.

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::{Exchange, Group};

/// A process of a group whose processes are threads.
///
/// It gives the bits that processes on several machines give, so that a test says before the first job
/// on a cluster whether a program trains there.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::data::DataLoader;
/// use wengert_nn::loss::mse;
/// use wengert_nn::random::seeded;
/// use wengert_nn::train::{InProcess, Trainer};
/// use wengert_nn::{Adam, Layer, Linear, Module};
///
/// let trained = |process: InProcess| {
///     let x = Tensor::from_fn([64, 1], |i| i as f64 / 64.0);
///     let loader = DataLoader::new((x.clone(), x.map(|x| 3.0 * x - 1.0)), 16).shuffled(1);
///     let (mut net, mut adam) = (Linear::new(1, 1, &mut seeded(1)), Adam::new(0.1));
///     let mut trainer = Trainer::new(5).quiet();
///     trainer.fit_on(process, 8, &mut net, &mut adam, &loader, |net, tape, (x, y), _| {
///         mse(net.forward(tape.constant(x)), tape.constant(y))
///     })?;
///     Ok::<_, wengert_nn::train::TrainError>(net.parameter_vector())
/// };
/// let (one, three) = (InProcess::run(1, trained), InProcess::run(3, trained));
/// assert_eq!(one[0].as_ref().unwrap(), three[2].as_ref().unwrap());
/// ```
#[derive(Debug)]
pub struct InProcess {
    rank: usize,
    to: Vec<Sender<Parcel>>,
    from: Vec<Receiver<Parcel>>,
}

type Parcel = Box<dyn Any + Send>;

impl InProcess {
    /// Calls a function on `size` processes, and gives what it gives in the order of ranks.
    ///
    /// # Panics
    /// If the function panics on one of them: the others panic when they next wait for it.
    pub fn run<X: Send>(size: usize, function: impl Fn(Self) -> X + Sync) -> Vec<X> {
        let mut all: Vec<Self> =
            (0..size).map(|rank| Self { rank, to: Vec::new(), from: Vec::new() }).collect();
        for sender in 0..size {
            for receiver in 0..size {
                let (to, from) = channel();
                all[sender].to.push(to);
                all[receiver].from.push(from);
            }
        }
        thread::scope(|scope| {
            let start = |process| scope.spawn(|| function(process));
            let threads: Vec<_> = all.into_iter().map(start).collect();
            let joined: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
            joined
                .into_iter()
                .map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        })
    }

    fn send<X: Send + 'static>(&self, rank: usize, content: X) {
        // Who does not listen any more has ended, and is missed when something is expected from there.
        let _ = self.to[rank].send(Box::new(content));
    }

    fn receive<X: 'static>(&self, rank: usize) -> X {
        let parcel = self.from[rank].recv();
        let parcel = parcel.unwrap_or_else(|_| panic!("rank {rank} has ended"));
        *parcel.downcast().expect("all processes make the same calls")
    }
}

impl Group for InProcess {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        (0..self.size()).for_each(|rank| self.send(rank, own.to_vec()));
        (0..self.size()).map(|rank| self.receive(rank)).collect()
    }

    fn broadcast(&self, own: Vec<u8>) -> Vec<u8> {
        if self.is_first() {
            (0..self.size()).for_each(|rank| self.send(rank, own.clone()));
        }
        self.receive(0)
    }
}

impl<T: Copy + Send + 'static> Exchange<T> for InProcess {
    fn all_to_all(&self, own: &[T], sent: &[usize], all: &mut [T], received: &[usize]) {
        let mut parts = own;
        for (rank, &count) in sent.iter().enumerate() {
            let (part, rest) = parts.split_at(count);
            self.send(rank, part.to_vec());
            parts = rest;
        }
        self.collect(all, received);
    }

    fn all_gather(&self, own: &[T], all: &mut [T], lengths: &[usize]) {
        (0..self.size()).for_each(|rank| self.send(rank, own.to_vec()));
        self.collect(all, lengths);
    }
}

impl InProcess {
    /// Receives a part from each process.
    fn collect<T: Copy + 'static>(&self, mut all: &mut [T], lengths: &[usize]) {
        for (rank, &length) in lengths.iter().enumerate() {
            let (part, rest) = all.split_at_mut(length);
            part.copy_from_slice(&self.receive::<Vec<T>>(rank));
            all = rest;
        }
        assert!(all.is_empty(), "the parts of all processes are the whole");
    }
}
