//! Where the numbers of each parameter lie: in buckets, each of which the processes add up by itself.
//!
//! A bucket has consecutive parameters of the model, and the first bucket has the last ones: a sweep is
//! usually done with those first, since a model shows its layers in the order in which it calls them.
//! So the buckets, and their order, follow from the model alone. All processes have the same ones,
//! whatever their recordings do, and nothing depends on which gradient is there first.

use std::ops::Range;

use indexmap::IndexMap;
use wengert_core::Real;

use super::exchange::{Group, Reader, Writer};
use crate::{Module, Path};

/// The bytes of a bucket, unless told otherwise.
pub(super) const BUCKET: usize = 1 << 22;

/// The numbers of a parameter or buffer.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) bucket: usize,
    /// Where they stand there.
    pub(super) range: Range<usize>,
    pub(super) is_buffer: bool,
}

/// The numbers of what a step moves: trained parameters, and buffers.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By key, in the order of the visit.
    places: IndexMap<u64, Place>,
    /// The numbers of each bucket.
    buckets: Vec<usize>,
}

impl Places {
    /// Takes the places of a model, in buckets of `bytes`: a parameter that is larger has one of its own.
    /// Says whether they are other ones than before.
    pub(super) fn set<T: Real, M: Module<T> + ?Sized>(&mut self, net: &M, bytes: usize) -> bool {
        let before = self.lengths();
        self.places.clear();
        net.visit(&Path::root(), &mut |_, param| {
            if param.is_trainable() || param.is_buffer() {
                let (range, is_buffer) = (0..param.len(), param.is_buffer());
                self.places.insert(param.key(), Place { bucket: 0, range, is_buffer });
            }
        });
        let most = bytes / size_of::<T>();
        self.buckets.clear();
        for place in self.places.values_mut().rev() {
            let len = place.range.len();
            match self.buckets.last() {
                Some(bucket) if bucket + len <= most => {}
                _ => self.buckets.push(0),
            }
            place.bucket = self.buckets.len() - 1;
            let bucket = &mut self.buckets[place.bucket];
            place.range = *bucket..*bucket + len;
            *bucket += len;
        }
        self.lengths() != before
    }

    /// The numbers of each parameter, and those of each bucket.
    fn lengths(&self) -> Vec<usize> {
        let parameters = self.places.values().map(|place| place.range.len());
        parameters.chain(self.buckets.iter().copied()).collect()
    }

    /// The number of parameters and buffers.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The numbers of each bucket.
    pub(super) fn buckets(&self) -> &[usize] {
        &self.buckets
    }

    /// The places in the order of the visit, with their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&u64, &Place)> {
        self.places.iter()
    }

    /// The place of a parameter, and its position in the order of the visit.
    pub(super) fn find(&self, key: u64) -> Option<(usize, &Place)> {
        let (position, _, place) = self.places.get_full(&key)?;
        Some((position, place))
    }

    /// Stops if another process has other places: its numbers would be added to those of other
    /// parameters, or never come.
    ///
    /// # Panics
    /// If so.
    #[track_caller]
    pub(super) fn expect_same(&self, group: &impl Group) {
        if group.size() == 1 {
            return;
        }
        let mut writer = Writer::default();
        writer.number(self.buckets.len() as u64);
        self.lengths().into_iter().for_each(|length| writer.number(length as u64));
        let all = group.gather(&writer.finish());
        let description = |said: &[u8]| {
            let mut reader = Reader(said);
            let (buckets, mut parameters, mut numbers) = (reader.number(), 0, 0);
            while reader.left() > 8 * buckets as usize {
                (parameters, numbers) = (parameters + 1, numbers + reader.number());
            }
            format!("{parameters} of {numbers} numbers in all (buckets: {buckets})")
        };
        if let Some(rank) = all.iter().position(|said| *said != all[0]) {
            panic!(
                "expected every process to train the same parameters and buffers, in the same order and \
                 in buckets of the same size; rank 0 has {}, and rank {rank} has {}",
                description(&all[0]),
                description(&all[rank])
            );
        }
    }
}
