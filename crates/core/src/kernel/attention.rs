//! Attention without the matrix of all scores.
//!
//! A few queries go together: their scores with all keys that they see, the shares of these, and the mix of
//! the values, while the shares are in the cache. So memory grows with the length of a sequence, and
//! not with its square, and keys that none of the queries sees are left out. The adjoint computes the
//! shares once more: where keys are many, that takes less time than to read them from memory (Rabe and
//! Staats, "Self-attention does not need O(n^2) memory", 2021).
//!
//! What many products of a head read is laid out first: the queries with the scale in them, and keys
//! and values by columns.

use std::ops::Range;

use super::gemm::{self, Before, Matrix, MatrixLayout, Parts};
use super::row_functions::{softmax_adjoint_in_place, softmax_in_place};
use super::threads::{self, Cut};
use crate::scalar::{Aligned, Real, vectorised};
use crate::tensor::{LINE, Rows, View};
use crate::tuned::damage::{Damage, damaged};

tuned! {
    /// Queries that go together. The more they are, the less often keys and values are read; the
    /// fewer they are, the less is computed of what is not seen.
    const TOGETHER = 48, tiny 2;
    /// Rows of scores are no multiple of as many cache lines, so that they do not all lie at the same place of
    /// the cache.
    const LINES = 16, tiny 2;
}

/// The heads of attention, one matrix each of queries, keys and values.
pub(crate) struct Heads<'a, T: Real> {
    queries: Matrices<'a, T>,
    keys: Matrices<'a, T>,
    values: Matrices<'a, T>,
    scale: T,
    is_causal: bool,
}

/// The matrices over the last two axes of a view.
struct Matrices<'a, T> {
    data: &'a [T],
    starts: Vec<isize>,
    factor: MatrixLayout,
}

impl<'a, T: Real> Matrices<'a, T> {
    fn of(view: View<'a, T>) -> Self {
        let leading = view.layout().leading(2);
        let starts = Rows::new(&leading, view.offset()).places().map(|place| place as isize);
        let factor = MatrixLayout::left(view.layout());
        Self { data: view.data(), starts: starts.collect(), factor }
    }

    fn get(&self, head: usize) -> Matrix<'a, T> {
        Matrix { data: self.data, start: self.starts[head], factor: self.factor }
    }

    /// The rows and the columns of each.
    fn extents(&self) -> [usize; 2] {
        [self.factor.rows, self.factor.columns]
    }
}

/// The queries and the keys of a head as the product of scores reads them.
#[derive(Clone, Copy)]
struct Laid<'m, T> {
    /// A row for each query, times the scale.
    queries: Matrix<'m, T>,
    /// A column for each key.
    keys: Matrix<'m, T>,
}

impl<'a, T: Real> Heads<'a, T> {
    /// Heads of queries `[.., queries, width]`, keys `[.., keys, width]` and values `[.., keys,
    /// outputs]`. Scores are products of queries and keys, times `scale`. A query of a causal head sees
    /// keys up to its own number.
    pub(crate) fn new([q, k, v]: [View<'a, T>; 3], scale: f64, is_causal: bool) -> Self {
        let [queries, keys, values] = [q, k, v].map(Matrices::of);
        Self { queries, keys, values, scale: T::from_f64(scale), is_causal }
    }

    /// How many keys the queries before number `end` see.
    fn seen(&self, end: usize) -> usize {
        let keys = self.keys.factor.rows;
        if self.is_causal { end.min(keys) } else { keys }
    }

    /// Whether products read what was laid out for them: not for a single block of queries.
    fn is_laid(&self) -> bool {
        self.queries.factor.rows > TOGETHER
    }

    /// For how many keys a row of scores has memory: where keys are laid out, whole cache lines.
    fn span(&self, keys: usize) -> usize {
        if !self.is_laid() {
            return keys;
        }
        let line = LINE / size_of::<T>();
        let lines = keys.div_ceil(line);
        line * (lines + usize::from(lines.is_multiple_of(LINES)))
    }

    /// Queries that go together.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<T> {
        let parts = Parts::of(self.queries.factor.rows, TOGETHER);
        parts.iter().map(|(first, count)| first..first + count)
    }

    /// The elements of keys, or of values, that are laid out by columns, and of the scores of a block.
    fn sizes(&self) -> [usize; 2] {
        let [keys, width] = self.keys.extents();
        let span = self.span(keys);
        let columns = if self.is_laid() { width * span } else { 0 };
        [columns, TOGETHER.min(self.queries.factor.rows) * span]
    }

    /// Writes what each head gives to `out`, `[.., queries, outputs]`.
    pub(crate) fn eval(&self, out: &mut [T]) {
        let ([queries, width], outputs) = (self.queries.extents(), self.values.factor.columns);
        let [columns, scores] = self.sizes();
        let sizes = [queries * width, columns, scores];
        self.for_each(2, sizes, queries * outputs, out, |head, [q, k, scores], out| {
            let (laid, values) = (self.lay(head, q, k), self.values.get(head));
            for block in self.blocks() {
                let seen = self.seen(block.end);
                let shares = self.shares(laid, block.clone(), scores).columns(0, seen);
                let out = &mut out[block.start * outputs..block.end * outputs];
                gemm::product(shares, values.rows(0, seen), out, Before::Overwritten);
            }
        });
    }

    /// Writes the adjoints of each head's queries, keys and values to `out`, one below the other:
    /// `[.., queries + 2 keys, width]`. Values are as wide as keys.
    pub(crate) fn adjoint(&self, cotangent: View<'_, T>, out: &mut [T]) {
        let ([queries, width], [keys, outputs]) = (self.queries.extents(), self.values.extents());
        assert_eq!(width, outputs, "values are as wide as keys");
        let ([columns, scores], cotangents) = (self.sizes(), Matrices::of(cotangent));
        let sizes = [queries * width, columns, columns, scores, scores];
        let size = (queries + 2 * keys) * width;
        self.for_each(5, sizes, size, out, |head, [q, k, v, scores, bars], out| {
            let laid = self.lay(head, q, k);
            let (values, cotangent) =
                (self.by_columns(self.values.get(head), v), cotangents.get(head));
            let (q_bar, rest) = out.split_at_mut(queries * width);
            rest.fill(T::zero());
            let (k_bar, v_bar) = rest.split_at_mut(keys * width);
            for block in self.blocks() {
                let seen = self.seen(block.end);
                let [q, c] = [laid.queries, cotangent].map(|x| x.rows(block.start, block.len()));
                let shares = self.shares(laid, block.clone(), scores);
                let bars = self.bars(shares, c, values, block.start, bars).columns(0, seen);
                let shares = shares.columns(0, seen);
                let q_bar = &mut q_bar[block.start * width..block.end * width];
                gemm::product(bars, self.keys.get(head).rows(0, seen), q_bar, Before::Overwritten);
                q_bar.iter_mut().for_each(|x| *x *= self.scale);
                let [k_bar, v_bar] = [&mut *k_bar, &mut *v_bar].map(|x| &mut x[..seen * width]);
                gemm::product(bars.transposed(), q, k_bar, Before::AddedTo);
                gemm::product(shares.transposed(), c, v_bar, Before::AddedTo);
            }
        });
    }

    /// Calls `each` with the number of each head, memory of some sizes, and the head's part of `out`, of
    /// `size` elements. The heads are shared out; where they are few, their products are.
    fn for_each<const N: usize>(
        &self,
        products: usize,
        sizes: [usize; N],
        size: usize,
        out: &mut [T],
        each: impl Fn(usize, [&mut [T]; N], &mut [T]) + Sync,
    ) {
        if size == 0 {
            return;
        }
        let mut heads = out.chunks_exact_mut(size).enumerate();
        let [queries, width] = self.queries.extents();
        let pairs = heads.len() * queries * self.seen(queries);
        let work = gemm::work::<T>(products * pairs * width);
        let participant = |heads: &mut dyn Iterator<Item = (usize, &mut [T])>| {
            let mut memory = sizes.map(Aligned::zeros);
            for (head, out) in heads {
                each(head, memory.each_mut().map(|part| &mut part[..]), out);
            }
        };
        if heads.len() < Cut::of(work).threads {
            participant(&mut heads);
        } else {
            threads::share(work, heads, participant);
        }
    }

    /// Lays out queries and keys of a head.
    fn lay<'m>(&'m self, head: usize, queries: &'m mut [T], keys: &'m mut [T]) -> Laid<'m, T> {
        lay_rows(self.queries.get(head), self.scale, queries);
        let queries = rows_of(queries, self.queries.factor.columns);
        Laid { queries, keys: self.by_columns(self.keys.get(head), keys) }
    }

    /// A column for each key, from a row for each; where that is laid out, zeros behind the last one.
    fn by_columns<'m>(&self, rows: Matrix<'m, T>, memory: &'m mut [T]) -> Matrix<'m, T> {
        if !self.is_laid() {
            return rows.transposed();
        }
        let span = self.span(rows.factor.rows);
        gemm::transpose(rows, span, memory);
        rows_of(memory, span)
    }

    /// The shares of the keys in a block of queries. Those that a query does not see have none.
    fn shares<'m>(
        &self,
        laid: Laid<'_, T>,
        block: Range<usize>,
        memory: &'m mut [T],
    ) -> Matrix<'m, T> {
        let (span, count) = (self.span(self.seen(block.end)), block.len());
        let shares = &mut memory[..count * span];
        let (queries, keys) = (laid.queries.rows(block.start, count), laid.keys.columns(0, span));
        gemm::product(queries, keys, shares, Before::Overwritten);
        for (query, row) in block.zip(shares.chunks_exact_mut(span.max(1))) {
            let seen = self.seen(query + 1);
            let seen = seen - usize::from(damaged(Damage::LastKey) && seen > 1);
            let (seen, unseen) = row.split_at_mut(seen);
            softmax_in_place(seen);
            unseen.fill(T::zero());
        }
        rows_of(shares, span).rows(0, count)
    }

    /// The cotangents of the scores of a block, whose first query is `first`, from the cotangents `c` of its
    /// results. `values` has a column for each key.
    fn bars<'m>(
        &self,
        shares: Matrix<'_, T>,
        c: Matrix<'_, T>,
        values: Matrix<'_, T>,
        first: usize,
        memory: &'m mut [T],
    ) -> Matrix<'m, T> {
        let MatrixLayout { rows: count, columns: span, .. } = shares.factor;
        let bars = &mut memory[..count * span];
        gemm::product(c, values.columns(0, span), bars, Before::Overwritten);
        let rows = shares.data.chunks_exact(span.max(1)).zip(bars.chunks_exact_mut(span.max(1)));
        for (query, (shares, bars)) in (first..).zip(rows) {
            let (bars, unseen) = bars.split_at_mut(self.seen(query + 1));
            softmax_adjoint_in_place(&shares[..bars.len()], bars);
            unseen.fill(T::zero());
        }
        rows_of(bars, span).rows(0, count)
    }
}

/// Rows of `columns` elements that follow one another.
fn rows_of<T>(data: &[T], columns: usize) -> Matrix<'_, T> {
    let rows = data.len().checked_div(columns).unwrap_or(0);
    let factor = MatrixLayout { rows, columns, row_stride: columns as isize, column_stride: 1 };
    Matrix { data, start: 0, factor }
}

/// Writes the rows of a matrix one after the other, times a number.
fn lay_rows<T: Real>(matrix: Matrix<'_, T>, scale: T, out: &mut [T]) {
    let MatrixLayout { columns, column_stride, .. } = matrix.factor;
    if columns == 0 {
        return;
    }
    let at = |row, column| matrix.factor.at(matrix.start as usize, row, column);
    vectorised(
        out.len(),
        #[inline(always)]
        || {
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                if column_stride == 1 {
                    let row = &matrix.data[at(row, 0)..][..columns];
                    out.iter_mut().zip(row).for_each(|(y, &x)| *y = x * scale);
                } else {
                    let elements = (0..columns).map(|column| matrix.data[at(row, column)]);
                    out.iter_mut().zip(elements).for_each(|(y, x)| *y = x * scale);
                }
            }
        },
    );
}
