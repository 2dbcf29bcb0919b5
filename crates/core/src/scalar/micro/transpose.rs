//! Transposing a matrix by small squares, for factors that are read across their rows, and for
//! images whose channels come together.
//!
//! One element at a time takes as long as a good part of what is computed with them; in registers,
//! two vectors are exchanged crosswise at a time.

use std::ops::Range;

use super::Micro;
use crate::scalar::Real;

/// Reads a square of `n` rows, `row` elements apart, from `from`, and writes its columns as rows,
/// `column` elements apart, to `to`.
///
/// The function asks its caller that `from` is valid for reads of `n` elements at each of `n`
/// offsets `i * row`, that `to` is valid for writes of `n` elements at each of `n` offsets
/// `j * column`, and that the CPU has its instructions.
pub(crate) type Transpose<T> = unsafe fn(*const T, isize, *mut T, usize);

/// Writes element `[i, j]` of a matrix of `rows` rows and `columns` columns, `from[i * row + j]`,
/// to `to[j * column + i]`.
///
/// # Panics
/// If the matrix does not fit into `from` or its transpose into `to`.
pub(crate) fn transpose<T: Real>(
    [rows, columns]: [usize; 2],
    from: &[T],
    row: usize,
    to: &mut [T],
    column: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    let fits = |count: usize, step: usize, len: usize, memory: usize| {
        (count - 1).checked_mul(step).is_some_and(|last| last <= memory && len <= memory - last)
    };
    assert!(fits(rows, row, columns, from.len()), "the matrix lies in its memory");
    assert!(fits(columns, column, rows, to.len()), "so does its transpose");
    let Micro { lanes, transpose, .. } = T::micro();
    let [squares_down, squares_across] = [rows, columns].map(|count| count - count % lanes);
    for i in (0..squares_down).step_by(lanes) {
        for j in (0..squares_across).step_by(lanes) {
            let (from, to) = (&from[i * row + j..], &mut to[j * column + i..]);
            // SAFETY: the square's rows are parts of the matrix's, its columns of the transpose's; both
            // lie in their memory, as was asserted, and a unique borrow does not overlap a shared one.
            // The CPU has the instructions of what `micro` gives.
            unsafe { transpose(from.as_ptr(), row as isize, to.as_mut_ptr(), column) };
        }
    }
    // Below the squares, and to the right of them.
    by_rows(squares_down..rows, 0..squares_across, from, row, to, column);
    by_rows(0..rows, squares_across..columns, from, row, to, column);
}

/// A part of a matrix, some rows together: a cache line of the transpose is written at once.
fn by_rows<T: Real>(
    rows: Range<usize>,
    columns: Range<usize>,
    from: &[T],
    row: usize,
    to: &mut [T],
    column: usize,
) {
    let mut next = rows.start;
    for together in [8, 4, 1] {
        while next + together <= rows.end {
            let (from, to) = (&from[next * row..], &mut to[next..]);
            match together {
                8 => rows_together::<T, 8>(columns.clone(), from, row, to, column),
                4 => rows_together::<T, 4>(columns.clone(), from, row, to, column),
                _ => rows_together::<T, 1>(columns.clone(), from, row, to, column),
            }
            next += together;
        }
    }
}

/// The first `N` rows of a matrix.
fn rows_together<T: Real, const N: usize>(
    columns: Range<usize>,
    from: &[T],
    row: usize,
    to: &mut [T],
    column: usize,
) {
    let sources: [&[T]; N] =
        std::array::from_fn(|k| &from[k * row + columns.start..][..columns.len()]);
    for j in 0..columns.len() {
        let together = sources.map(|source| source[j]);
        to[(columns.start + j) * column..][..N].copy_from_slice(&together);
    }
}

/// A square of `N` rows, one element at a time.
///
/// # Safety
/// As [`Transpose`] says, for squares of `N` rows.
pub(super) unsafe fn plain<T: Copy, const N: usize>(
    from: *const T,
    row: isize,
    to: *mut T,
    column: usize,
) {
    for i in 0..N {
        for j in 0..N {
            // SAFETY: `i` and `j` are below `N`.
            unsafe { *to.add(j * column + i) = *from.offset(i as isize * row).add(j) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx {
    use std::arch::x86_64::*;

    /// 8 x 8 elements: pairs, fours, and the two halves of a vector.
    ///
    /// # Safety
    /// As [`Transpose`](super::Transpose) says, for a CPU with AVX.
    #[target_feature(enable = "avx")]
    pub(crate) unsafe fn f32s(from: *const f32, row: isize, to: *mut f32, column: usize) {
        // SAFETY: a row has as many elements as a vector, and there are as many rows.
        let rows: [__m256; 8] =
            std::array::from_fn(|i| unsafe { _mm256_loadu_ps(from.offset(i as isize * row)) });
        // Within each half, places 4h and 4h + 1 of two rows, then of four.
        let mut pairs = rows;
        for i in (0..8).step_by(2) {
            pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
        }
        let double = |x| _mm256_castps_pd(x);
        let mut fours = pairs;
        for i in (0..8).step_by(4) {
            for half in 0..2 {
                let (a, b) = (double(pairs[i + half]), double(pairs[i + half + 2]));
                fours[i + 2 * half] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
                fours[i + 2 * half + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
            }
        }
        // `fours[4 g + c]` holds, in half h, column 4 h + c of rows 4 g to 4 g + 3.
        for c in 0..4 {
            let (a, b) = (fours[c], fours[c + 4]);
            // SAFETY: each column has a place for a vector at its offset.
            unsafe {
                _mm256_storeu_ps(to.add(c * column), _mm256_permute2f128_ps::<0x20>(a, b));
                _mm256_storeu_ps(to.add((c + 4) * column), _mm256_permute2f128_ps::<0x31>(a, b));
            }
        }
    }

    /// 4 x 4 elements.
    ///
    /// # Safety
    /// As [`Transpose`](super::Transpose) says, for a CPU with AVX.
    #[target_feature(enable = "avx")]
    pub(crate) unsafe fn f64s(from: *const f64, row: isize, to: *mut f64, column: usize) {
        // SAFETY: a row has as many elements as a vector, and there are as many rows.
        let rows: [__m256d; 4] =
            std::array::from_fn(|i| unsafe { _mm256_loadu_pd(from.offset(i as isize * row)) });
        // `even` and `odd` hold, in half h, columns 2 h and 2 h + 1 of two rows.
        let even = [_mm256_unpacklo_pd(rows[0], rows[1]), _mm256_unpacklo_pd(rows[2], rows[3])];
        let odd = [_mm256_unpackhi_pd(rows[0], rows[1]), _mm256_unpackhi_pd(rows[2], rows[3])];
        for (c, [a, b]) in [even, odd].into_iter().enumerate() {
            // SAFETY: each column has a place for a vector at its offset.
            unsafe {
                _mm256_storeu_pd(to.add(c * column), _mm256_permute2f128_pd::<0x20>(a, b));
                _mm256_storeu_pd(to.add((c + 2) * column), _mm256_permute2f128_pd::<0x31>(a, b));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx512 {
    use std::arch::x86_64::*;

    /// 16 x 16 elements: pairs, fours, and the four quarters of a vector.
    ///
    /// # Safety
    /// As [`Transpose`](super::Transpose) says, for a CPU with AVX-512.
    #[target_feature(enable = "avx512f")]
    pub(crate) unsafe fn f32s(from: *const f32, row: isize, to: *mut f32, column: usize) {
        // SAFETY: a row has as many elements as a vector, and there are as many rows.
        let rows: [__m512; 16] =
            std::array::from_fn(|i| unsafe { _mm512_loadu_ps(from.offset(i as isize * row)) });
        // Within each quarter, places 4q and 4q + 1 of two rows, then of four.
        let mut pairs = rows;
        for i in (0..16).step_by(2) {
            pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
        }
        let double = |x| _mm512_castps_pd(x);
        let mut fours = pairs;
        for i in (0..16).step_by(4) {
            for half in 0..2 {
                let (a, b) = (double(pairs[i + half]), double(pairs[i + half + 2]));
                fours[i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
                fours[i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
            }
        }
        // `fours[4 g + c]` holds, in quarter q, column 4 q + c of rows 4 g to 4 g + 3.
        for c in 0..4 {
            let columns = quarters([c, c + 4, c + 8, c + 12].map(|i| double(fours[i])));
            for (quarter, values) in columns.into_iter().enumerate() {
                let place = (4 * quarter + c) * column;
                // SAFETY: each column has a place for a vector at its offset.
                unsafe { _mm512_storeu_ps(to.add(place), _mm512_castpd_ps(values)) };
            }
        }
    }

    /// The first quarters of four vectors, the second ones, and so on.
    ///
    /// # Safety
    /// The CPU has AVX-512.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn quarters([a, b, c, d]: [__m512d; 4]) -> [__m512d; 4] {
        let even = [_mm512_shuffle_f64x2::<0x88>(a, b), _mm512_shuffle_f64x2::<0x88>(c, d)];
        let odd = [_mm512_shuffle_f64x2::<0xdd>(a, b), _mm512_shuffle_f64x2::<0xdd>(c, d)];
        [
            _mm512_shuffle_f64x2::<0x88>(even[0], even[1]),
            _mm512_shuffle_f64x2::<0x88>(odd[0], odd[1]),
            _mm512_shuffle_f64x2::<0xdd>(even[0], even[1]),
            _mm512_shuffle_f64x2::<0xdd>(odd[0], odd[1]),
        ]
    }

    /// 8 x 8 elements.
    ///
    /// # Safety
    /// As [`Transpose`](super::Transpose) says, for a CPU with AVX-512.
    #[target_feature(enable = "avx512f")]
    pub(crate) unsafe fn f64s(from: *const f64, row: isize, to: *mut f64, column: usize) {
        // SAFETY: a row has as many elements as a vector, and there are as many rows.
        let rows: [__m512d; 8] =
            std::array::from_fn(|i| unsafe { _mm512_loadu_pd(from.offset(i as isize * row)) });
        let mut pairs = rows;
        for i in (0..8).step_by(2) {
            pairs[i] = _mm512_unpacklo_pd(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm512_unpackhi_pd(rows[i], rows[i + 1]);
        }
        // `pairs[2 g + c]` holds, in quarter q, column 2 q + c of rows 2 g and 2 g + 1.
        for c in 0..2 {
            let columns = quarters([c, c + 2, c + 4, c + 6].map(|i| pairs[i]));
            for (quarter, values) in columns.into_iter().enumerate() {
                // SAFETY: each column has a place for a vector at its offset.
                unsafe { _mm512_storeu_pd(to.add((2 * quarter + c) * column), values) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_transposes<T: Real>() {
        for rows in (0..40).chain([63, 64, 65]) {
            for columns in (0..40).chain([63, 64, 65]) {
                // Elements beside the matrix stay as they are.
                let (row, column) = (columns + 3, rows + 2);
                let from: Vec<T> = (0..rows * row + 1).map(|i| T::from_f64(i as f64)).collect();
                let mut to = vec![-T::one(); columns * column + 1];
                transpose([rows, columns], &from, row, &mut to, column);
                let expected = (0..to.len()).map(|place| match (place / column, place % column) {
                    (j, i) if j < columns && i < rows => from[i * row + j],
                    _ => -T::one(),
                });
                assert!(to.iter().copied().eq(expected), "{rows} by {columns}");
            }
        }
    }

    #[test]
    fn elements_change_their_places() {
        assert_transposes::<f32>();
        assert_transposes::<f64>();
    }

    #[test]
    #[should_panic(expected = "so does its transpose")]
    fn a_transpose_without_room_is_refused() {
        transpose([3, 2], &[0.0; 6], 2, &mut [0.0; 5], 3);
    }
}
