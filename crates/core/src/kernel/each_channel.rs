//! Calling a function of channels, whose elements lie in many places.
//!
//! In `[outer, channels, inner]` a channel is `outer` pieces of `inner` elements. Some channels at a time
//! are brought together in rows, which stay near while functions of rows go through them, and
//! go back from there: memory is read once and written once.

use super::threads;
use crate::scalar::micro::transpose;
use crate::scalar::{Aligned, Real};
use crate::tensor::Shape;

tuned! {
    /// Elements of the channels of an operand that are brought together.
    const NEAR = 1 << 15, tiny 8;
    /// The most channels that are.
    const MOST = 32, tiny 2;
}

/// Nanoseconds that functions of channels are thought to take for an element.
const ELEMENT: usize = 1;

/// How the channels of an array lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channels {
    outer: usize,
    channels: usize,
    inner: usize,
}

impl Channels {
    /// Those of `[batch, channels, ..]`.
    ///
    /// # Panics
    /// If there are fewer axes.
    pub(crate) fn of(shape: &Shape) -> Self {
        Self { outer: shape[0], channels: shape[1], inner: shape[2..].iter().product() }
    }

    /// Elements of a channel.
    pub(crate) fn count(&self) -> usize {
        self.outer * self.inner
    }

    fn elements(&self) -> usize {
        self.count() * self.channels
    }

    /// Channels that are brought together.
    fn together(&self) -> usize {
        (NEAR / self.count().max(1)).clamp(1, MOST)
    }

    /// Brings channels from `first` on together: as many as `rows` has room for.
    fn collect<T: Real>(&self, x: &[T], first: usize, rows: &mut [T]) {
        let &Self { outer, channels, inner } = self;
        let together = rows.len() / self.count();
        if inner == 1 {
            return transpose([outer, together], &x[first..], channels, rows, outer);
        }
        for (n, x) in x.chunks_exact(channels * inner).enumerate() {
            let pieces = x[first * inner..].chunks_exact(inner);
            for (row, piece) in rows.chunks_exact_mut(self.count()).zip(pieces) {
                row[n * inner..][..inner].copy_from_slice(piece);
            }
        }
    }

    /// Takes rows apart again: `places` are the elements of these channels, one piece of memory for
    /// each position of the outer axis.
    fn scatter<T: Real>(&self, rows: &[T], places: &mut [&mut [T]]) {
        let inner = self.inner;
        for (n, place) in places.iter_mut().enumerate() {
            for (piece, row) in place.chunks_exact_mut(inner).zip(rows.chunks_exact(self.count())) {
                piece.copy_from_slice(&row[n * inner..][..inner]);
            }
        }
    }

    /// Calls `visit` with the number of each channel, its elements in operands and room for as many,
    /// which become those of `out`. Channels are shared out to threads.
    pub(crate) fn map<T: Real, const N: usize>(
        &self,
        args: [&[T]; N],
        out: &mut [T],
        visit: impl Fn(usize, [&[T]; N], &mut [T]) + Sync,
    ) {
        let (count, together) = (self.count(), self.together());
        if self.elements() == 0 {
            return;
        }
        // For each tile of channels its part of each position of the outer axis.
        let mut tiles: Vec<Vec<&mut [T]>> = Vec::new();
        tiles.resize_with(self.channels.div_ceil(together), Vec::new);
        for position in out.chunks_exact_mut(self.channels * self.inner) {
            let parts = position.chunks_mut(together * self.inner);
            tiles.iter_mut().zip(parts).for_each(|(tile, part)| tile.push(part));
        }
        let work = self.elements() * ELEMENT;
        threads::share(work, tiles.into_iter().enumerate(), |tiles| {
            let mut rows: [Aligned<T>; N] =
                std::array::from_fn(|_| Aligned::zeros(together * count));
            let mut results = Aligned::zeros(together * count);
            for (number, mut places) in tiles {
                let first = number * together;
                let len = together.min(self.channels - first) * count;
                for (rows, x) in rows.iter_mut().zip(args) {
                    self.collect(x, first, &mut rows[..len]);
                }
                for (k, out) in results[..len].chunks_exact_mut(count).enumerate() {
                    let rows = rows.each_ref().map(|rows| &rows[k * count..][..count]);
                    visit(first + k, rows, out);
                }
                self.scatter(&results[..len], &mut places);
            }
        });
    }

    /// Calls `visit` with the elements of each channel in operands, room for as many, and the channel's
    /// numbers in `out`, of which each channel has as many as any other. Channels are shared out to
    /// threads.
    pub(crate) fn reduce<T: Real, const N: usize>(
        &self,
        args: [&[T]; N],
        out: &mut [T],
        visit: impl Fn([&[T]; N], &mut [T], &mut [T]) + Sync,
    ) {
        let (count, together) = (self.count(), self.together());
        let width = out.len() / self.channels.max(1);
        if width == 0 {
            return;
        }
        let tiles = out.chunks_mut(together * width).enumerate();
        threads::share(self.elements() * ELEMENT, tiles, |tiles| {
            let mut rows: [Aligned<T>; N] =
                std::array::from_fn(|_| Aligned::zeros(together * count));
            let mut room = Aligned::zeros(count);
            for (number, out) in tiles {
                let len = out.len() / width * count;
                for (rows, x) in rows.iter_mut().zip(args) {
                    if len > 0 {
                        self.collect(x, number * together, &mut rows[..len]);
                    }
                }
                for (k, out) in out.chunks_exact_mut(width).enumerate() {
                    let rows = rows.each_ref().map(|rows| &rows[k * count..][..count]);
                    visit(rows, &mut room, out);
                }
            }
        });
    }
}
