//! Several processes that train one model: what they ask of each other.
//!
//! A batch is cut into shards, whatever the number of processes, and each process computes a run of
//! them. What the processes need of each other is little: bytes that everybody gets ([`Group`]), and
//! numbers that are dealt out and collected ([`Exchange`]). How gradients are added stands in `tree`, on
//! top of the two, and no engine has a say in it. The crate `wengert-mpi` implements both over MPI.
//!
//! *Invariant*: no bit depends on the number of processes (`tests/suite/exchange.rs`, and with MPI
//! `crates/mpi/ci`).

mod in_process;
mod message;
mod timed;
mod tree;

pub use in_process::InProcess;
pub(super) use message::{Reader, Writer};
pub(super) use timed::Timed;
pub(super) use tree::Total;

use super::TrainError;

/// Processes that work together, each of which has a number: its rank.
///
/// All methods but [`rank`](Self::rank) and [`size`](Self::size) are *collective*: every process calls
/// the same ones in the same order, and waits for the others.
///
/// [`Alone`] is the group of a process that works by itself.
pub trait Group {
    /// The number of this process, below [`size`](Self::size).
    fn rank(&self) -> usize;

    /// The number of processes, at least 1.
    fn size(&self) -> usize;

    /// The bytes that each process hands over, in the order of ranks. They may be of different
    /// lengths.
    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>>;

    /// The bytes that rank 0 hands over. Those of others are not looked at.
    fn broadcast(&self, own: Vec<u8>) -> Vec<u8>;

    /// Waits until every process has come here.
    fn barrier(&self) {
        self.gather(&[]);
    }

    /// Whether this is rank 0, which writes the log and the checkpoint.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }
}

/// A [`Group`] whose processes exchange numbers of a type.
///
/// Nothing is added up on the way, so that sums are the same for every engine. One thread makes all
/// calls, some of them while others of its process compute: who waits is to leave the CPU to those.
pub trait Exchange<T>: Group {
    /// Sends to each process a part of `own`, and receives a part of each one's. Parts lie one after
    /// another, in the order of ranks.
    ///
    /// `sent[q]` numbers go to rank `q`, and `received[q]` come from there.
    fn all_to_all(&self, own: &[T], sent: &[usize], all: &mut [T], received: &[usize]);

    /// Collects the parts of all processes, in the order of ranks; that of rank `q` has `lengths[q]`
    /// numbers.
    fn all_gather(&self, own: &[T], all: &mut [T], lengths: &[usize]);
}

/// The group of one process, which exchanges nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Group for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        vec![own.to_vec()]
    }

    fn broadcast(&self, own: Vec<u8>) -> Vec<u8> {
        own
    }
}

impl<T: Copy> Exchange<T> for Alone {
    fn all_to_all(&self, own: &[T], _: &[usize], all: &mut [T], _: &[usize]) {
        all.copy_from_slice(own);
    }

    fn all_gather(&self, own: &[T], all: &mut [T], _: &[usize]) {
        all.copy_from_slice(own);
    }
}

impl<E: Group> Group for &E {
    fn rank(&self) -> usize {
        (**self).rank()
    }

    fn size(&self) -> usize {
        (**self).size()
    }

    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        (**self).gather(own)
    }

    fn broadcast(&self, own: Vec<u8>) -> Vec<u8> {
        (**self).broadcast(own)
    }

    fn barrier(&self) {
        (**self).barrier();
    }
}

impl<T, E: Exchange<T>> Exchange<T> for &E {
    fn all_to_all(&self, own: &[T], sent: &[usize], all: &mut [T], received: &[usize]) {
        (**self).all_to_all(own, sent, all, received);
    }

    fn all_gather(&self, own: &[T], all: &mut [T], lengths: &[usize]) {
        (**self).all_gather(own, all, lengths);
    }
}

/// Whether any process says so.
pub(super) fn any(group: &impl Group, own: bool) -> bool {
    match group.size() {
        1 => own,
        _ => group.gather(&[u8::from(own)]).iter().any(|said| said == &[1]),
    }
}

/// What a process came to, if all processes succeeded. If one did not, it has its own error, and all
/// others one that names it: so all of them end. If several did not, that is the first one.
pub(super) fn agreed<X>(group: &impl Group, own: Result<X, TrainError>) -> Result<X, TrainError> {
    if group.size() == 1 {
        return own;
    }
    let said = match &own {
        Ok(_) | Err(TrainError::Elsewhere { .. }) => String::new(),
        Err(error) => error.to_string(),
    };
    let all = group.gather(said.as_bytes());
    match all.iter().position(|said| !said.is_empty()) {
        None => own,
        Some(rank) if rank == group.rank() => own,
        Some(rank) => {
            let message = String::from_utf8_lossy(&all[rank]).into_owned();
            Err(TrainError::Elsewhere { rank, message })
        }
    }
}
