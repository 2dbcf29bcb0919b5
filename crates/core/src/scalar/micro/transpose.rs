//! Transposing a small square, for factors that are read across their rows.
//!
//! The loops in `kernel::product` pack such a factor square by square. One element at a
//! time that takes as long as a good part of the product itself; in registers, two vectors are
//! exchanged crosswise at a time.

/// Reads a square of `n` rows, `row` elements apart, from `from`, and writes its columns as rows,
/// `column` elements apart, to `to`.
///
/// The function asks its caller that `from` is valid for reads of `n` elements at each of `n`
/// offsets `i * row`, that `to` is valid for writes of `n` elements at each of `n` offsets
/// `j * column`, and that the CPU has its instructions.
pub(crate) type Transpose<T> = unsafe fn(*const T, isize, *mut T, usize);

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
