//! The tree by which shards are added up.
//!
//! Its leaves are the shards `0..S`. A node of several shards is the sum of its two halves: `lo..hi` is
//! `lo..mid` plus `mid..hi`, where `mid - lo` is the largest power of two below `hi - lo`. So eight
//! shards are `((0+1)+(2+3))+((4+5)+(6+7))`, and six `((0+1)+(2+3))+(4+5)`: neighbours are added, and
//! neighbours of these, and one that is left over waits. The tree depends on `S` alone.
//!
//! Each process has a run of the shards, and adds up the largest nodes of the tree that lie within it:
//! one, if the number of processes is a power of two that divides `S`, and a few more otherwise. Then
//! every process gets a slice of the elements of all these nodes (all-to-all), adds what is left of the
//! tree on its slice, and gives the slice to all (all-gather). Every element is thus added by the same
//! tree, whoever adds, and no bit depends on the number of processes; a sum that the engine makes
//! (`MPI_Allreduce`) has other bits with another algorithm, topology or version.
//!
//! A process sends and receives two times the gradient or somewhat less, as the best sums of engines do.
//! It goes in pieces, so that buffers stay small.

use std::ops::Range;

use wengert_core::Real;

use super::Exchange;
use crate::data::part_of;
use crate::train::pool::{Pool, join};

/// The elements of a piece.
const PIECE: usize = 1 << 22;
/// The elements from which on an addition is shared out.
const SHARED: usize = 1 << 16;

/// Where a node of several shards has its second half.
fn middle(node: &Range<usize>) -> usize {
    node.start + node.len().next_power_of_two() / 2
}

/// The largest nodes of the tree that make up a run.
fn nodes_of(run: &Range<usize>, shards: usize) -> Vec<Range<usize>> {
    fn cover(node: Range<usize>, run: &Range<usize>, nodes: &mut Vec<Range<usize>>) {
        if node.start >= run.start && node.end <= run.end {
            nodes.push(node);
        } else if node.start < run.end && run.start < node.end {
            let middle = middle(&node);
            cover(node.start..middle, run, nodes);
            cover(middle..node.end, run, nodes);
        }
    }
    let mut nodes = Vec::new();
    if !run.is_empty() {
        cover(0..shards, run, &mut nodes);
    }
    nodes
}

/// Adds up a node from the pieces of which it consists: nodes below it, in their order, with the numbers
/// of each. The sum stands in the first of them then.
fn add_up<T: Real>(node: Range<usize>, pieces: &[Range<usize>], numbers: &mut [&mut [T]]) {
    let at = |shard| pieces.partition_point(|piece| piece.start < shard);
    let first = at(node.start);
    if pieces[first].end == node.end {
        return;
    }
    let middle = middle(&node);
    add_up(node.start..middle, pieces, numbers);
    add_up(middle..node.end, pieces, numbers);
    let (before, after) = numbers.split_at_mut(at(middle));
    add(before[first], after[0]);
}

/// Calls what adds vectors of a length: on a pool if there is one and that is worth while.
fn on<T: Real>(pool: Option<&Pool<T>>, length: usize, f: impl FnOnce() + Send) {
    match pool {
        Some(pool) if length > SHARED => pool.install(f),
        _ => f(),
    }
}

/// Adds numbers to others, each to its own.
fn add<T: Real>(sums: &mut [T], numbers: &[T]) {
    if sums.len() > SHARED {
        let half = sums.len() / 2;
        let (a, b) = sums.split_at_mut(half);
        join(|| add(a, &numbers[..half]), || add(b, &numbers[half..]));
    } else {
        sums.iter_mut().zip(numbers).for_each(|(sum, &x)| *sum += x);
    }
}

/// What adds up over the shards of all processes, and the memory that it takes.
#[derive(Debug)]
pub(crate) struct Total<T> {
    /// The elements of a piece.
    piece: usize,
    sent: Vec<T>,
    received: Vec<T>,
}

impl<T: Real> Total<T> {
    pub(crate) fn new() -> Self {
        Self { piece: PIECE, sent: Vec::new(), received: Vec::new() }
    }

    /// Adds up `shards` vectors of one length, of which this process has its run. Every process has the
    /// sum in the first vector then, and one that has no shards has a vector for it. The others are lost.
    ///
    /// Additions are shared out among the threads of the pool, if there is one.
    pub(crate) fn of(
        &mut self,
        exchange: &impl Exchange<T>,
        pool: Option<&Pool<T>>,
        shards: usize,
        own: &mut [&mut [T]],
    ) {
        let run = part_of(shards, exchange.rank(), exchange.size());
        let expected = run.len().max(1);
        assert!(own.len() == expected, "expected the shards {run:?}, got {} vectors", own.len());
        let (nodes, length) = (nodes_of(&run, shards), own[0].len());
        let leaves: Vec<Range<usize>> = run.clone().map(|shard| shard..shard + 1).collect();
        on(pool, length, || nodes.iter().for_each(|node| add_up(node.clone(), &leaves, own)));
        if exchange.size() == 1 {
            return;
        }
        let firsts: Vec<usize> = nodes.iter().map(|node| node.start - run.start).collect();
        for start in (0..length).step_by(self.piece) {
            let piece = start..length.min(start + self.piece);
            self.exchange(exchange, pool, shards, piece, &firsts, own);
        }
    }

    /// Adds up the elements of a piece, of the vectors that have the nodes of this process.
    fn exchange(
        &mut self,
        exchange: &impl Exchange<T>,
        pool: Option<&Pool<T>>,
        shards: usize,
        piece: Range<usize>,
        firsts: &[usize],
        own: &mut [&mut [T]],
    ) {
        let (rank, size) = (exchange.rank(), exchange.size());
        let slice = |rank: usize| {
            let of = part_of(piece.len(), rank, size);
            piece.start + of.start..piece.start + of.end
        };
        let lengths: Vec<usize> = (0..size).map(|rank| slice(rank).len()).collect();
        self.sent.clear();
        for rank in 0..size {
            firsts.iter().for_each(|&first| self.sent.extend(&own[first][slice(rank)]));
        }
        let sent: Vec<usize> = lengths.iter().map(|length| length * firsts.len()).collect();
        let nodes = |rank| nodes_of(&part_of(shards, rank, size), shards);
        let counts: Vec<usize> = (0..size).map(|rank| nodes(rank).len()).collect();
        let received: Vec<usize> = counts.iter().map(|count| count * lengths[rank]).collect();
        self.received.resize(received.iter().sum(), T::zero());
        exchange.all_to_all(&self.sent, &sent, &mut self.received, &received);
        if lengths[rank] > 0 {
            let pieces: Vec<Range<usize>> = (0..size).flat_map(nodes).collect();
            let mut numbers: Vec<&mut [T]> =
                self.received.chunks_exact_mut(lengths[rank]).collect();
            on(pool, lengths[rank], || add_up(0..shards, &pieces, &mut numbers));
        }
        exchange.all_gather(&self.received[..lengths[rank]], &mut own[0][piece], &lengths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Alone, InProcess};

    /// A node as a formula.
    fn formula(node: Range<usize>) -> String {
        if node.len() == 1 {
            return node.start.to_string();
        }
        let middle = middle(&node);
        format!("({}+{})", formula(node.start..middle), formula(middle..node.end))
    }

    /// Neighbours added level by level, one that is left over passed on: the definition in words.
    fn in_levels(shards: usize) -> String {
        let mut level: Vec<String> = (0..shards).map(|shard| shard.to_string()).collect();
        while level.len() > 1 {
            let pair = |pair: &[String]| match pair {
                [a, b] => format!("({a}+{b})"),
                [a, ..] => a.clone(),
                [] => unreachable!(),
            };
            level = level.chunks(2).map(pair).collect();
        }
        level.remove(0)
    }

    #[test]
    fn the_tree_adds_neighbours() {
        assert_eq!(formula(0..8), "(((0+1)+(2+3))+((4+5)+(6+7)))");
        assert_eq!(formula(0..6), "(((0+1)+(2+3))+(4+5))");
        for shards in 1..=33 {
            assert_eq!(formula(0..shards), in_levels(shards));
        }
    }

    #[test]
    fn the_nodes_of_all_runs_are_the_shards() {
        for (shards, size) in (1..20).flat_map(|shards| (1..12).map(move |size| (shards, size))) {
            let runs = (0..size).map(|rank| part_of(shards, rank, size));
            let nodes: Vec<_> = runs.flat_map(|run| nodes_of(&run, shards)).collect();
            let all: Vec<usize> = nodes.iter().cloned().flatten().collect();
            assert_eq!(all, (0..shards).collect::<Vec<_>>());
        }
        assert_eq!(nodes_of(&(2..5), 8), [2..4, 4..5]);
        assert_eq!(nodes_of(&(4..8), 8), vec![4..8; 1]);
        assert_eq!(nodes_of(&(4..6), 6), vec![4..6; 1]);
    }

    /// Numbers whose sums show their order.
    fn x(shard: usize, i: usize) -> f32 {
        10_f32.powi(((7 * shard + i) % 5) as i32) / 3.0
    }

    fn summed(
        process: &impl Exchange<f32>,
        shards: usize,
        length: usize,
        piece: usize,
    ) -> Vec<f32> {
        let run = part_of(shards, process.rank(), process.size());
        let mut own: Vec<Vec<f32>> =
            run.map(|shard| (0..length).map(|i| x(shard, i)).collect()).collect();
        if own.is_empty() {
            own.push(vec![f32::NAN; length]);
        }
        let mut vectors: Vec<&mut [f32]> = own.iter_mut().map(|shard| &mut shard[..]).collect();
        let pool = process.is_first().then(|| Pool::new(0..2, 2));
        Total { piece, ..Total::new() }.of(process, pool.as_ref(), shards, &mut vectors);
        own.swap_remove(0)
    }

    /// A length at which additions are shared out.
    #[test]
    fn one_process_adds_by_the_tree() {
        let sums = summed(&Alone, 6, SHARED + 3, PIECE);
        assert_eq!(sums.len(), SHARED + 3);
        for (i, sum) in sums.iter().enumerate() {
            let by_hand = ((x(0, i) + x(1, i)) + (x(2, i) + x(3, i))) + (x(4, i) + x(5, i));
            assert_eq!(sum.to_bits(), by_hand.to_bits());
        }
    }

    /// Lengths around those of a piece, and below the number of processes.
    #[test]
    fn processes_add_by_the_same_tree() {
        fn by_hand(node: Range<usize>, i: usize) -> f32 {
            if node.len() == 1 {
                return x(node.start, i);
            }
            let middle = middle(&node);
            by_hand(node.start..middle, i) + by_hand(middle..node.end, i)
        }
        for (shards, length) in
            [(1, 9), (2, 10), (5, 11), (6, 19), (8, 20), (8, 21), (13, 1), (8, 0)]
        {
            for size in [1, 2, 3, 4, 5, 8, 9] {
                let sums = InProcess::run(size, |process| summed(&process, shards, length, 10));
                for sums in sums {
                    assert_eq!(sums.len(), length);
                    for (i, sum) in sums.iter().enumerate() {
                        let expected = by_hand(0..shards, i);
                        assert_eq!(sum.to_bits(), expected.to_bits(), "{shards} {length} {size}");
                    }
                }
            }
        }
    }

    /// Left to right has other bits, so the tests above tell the two apart.
    #[test]
    fn the_order_shows() {
        let in_order = |i| (1..8).fold(x(0, i), |sum, shard| sum + x(shard, i));
        let sums = summed(&Alone, 8, 100, PIECE);
        assert!((0..100).any(|i| in_order(i).to_bits() != sums[i].to_bits()));
    }
}
