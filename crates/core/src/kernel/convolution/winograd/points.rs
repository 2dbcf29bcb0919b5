//! A short correlation as products at points.
//!
//! The product of two polynomials, of `r` and `m` coefficients, is known from its
//! values at `r + m - 1` points, infinity being one of them; and the values are
//! products of values. So with `E` for evaluation and `C` for interpolation,
//!
//! ```text
//! g y = C (E g . E y)
//! ```
//!
//! takes `r + m - 1` multiplications instead of `r m` (Toom and Cook). As a function
//! of `y` this is linear, and its transpose with respect to `y` is the correlation
//! of `r` taps `g` with `d`, at `m` positions:
//!
//! ```text
//! E' (E g . C' d)
//! ```
//!
//! (Winograd's short convolution), which is how a formula and its adjoint are each
//! other's algorithm. Its transpose with respect to `g` is the same expression with
//! the cotangent of the positions in the place of `g`. Along two axes each map is
//! applied to the columns and then to the rows.
//!
//! *Invariant*: the points are the same for any number of taps, so there is one `C'`;
//! what `C` divides by is multiplied into the values of the taps ([`SHARES`]). The
//! other two maps have entries that a binary number holds exactly.

use pulp::Simd;

use crate::scalar::Real;

/// The points, infinity being the last.
pub(super) const POINTS: usize = 6;

/// The others. Small ones, and in pairs of a point and its negative reciprocal, whose
/// powers grow no more than they shrink: that gives the smallest errors (Barabasz,
/// Anderson, Soodhalter, Gregg, 2020).
const FINITE: [f64; POINTS - 1] = [0.0, 1.0, -1.0, 0.5, -2.0];

/// For each point the reciprocal of the product of its distances from the others.
pub(super) const SHARES: [f64; POINTS] = {
    let mut shares = [1.0; POINTS];
    let mut i = 0;
    while i < FINITE.len() {
        let mut j = 0;
        while j < FINITE.len() {
            if i != j {
                shares[i] /= FINITE[i] - FINITE[j];
            }
            j += 1;
        }
        i += 1;
    }
    shares
};

/// A vector of each of [`POINTS`] numbers; and of as many rows of them.
pub(super) type Line<T, S> = [<T as crate::scalar::Lanes>::Vector<S>; POINTS];
pub(super) type Square<T, S> = [Line<T, S>; POINTS];

/// Room for a square.
#[inline(always)]
pub(super) fn square<T: Real, S: Simd>(simd: S) -> Square<T, S> {
    [[T::splat(simd, T::zero()); POINTS]; POINTS]
}

/// `c x + y`.
#[inline(always)]
fn plus<T: Real, S: Simd>(simd: S, c: f64, x: T::Vector<S>, y: T::Vector<S>) -> T::Vector<S> {
    T::multiply_add(simd, T::splat(simd, T::from_f64(c)), x, y)
}

/// `c x`.
#[inline(always)]
pub(super) fn scaled<T: Real, S: Simd>(simd: S, c: f64, x: T::Vector<S>) -> T::Vector<S> {
    plus::<T, S>(simd, c, x, T::splat(simd, T::zero()))
}

/// `E x`: the values of the polynomial with the first `COUNT` numbers for coefficients.
#[inline(always)]
pub(super) fn evaluate<T: Real, S: Simd, const COUNT: usize>(simd: S, x: Line<T, S>) -> Line<T, S> {
    let mut values = [x[COUNT - 1]; POINTS];
    for k in (0..COUNT - 1).rev() {
        for point in 1..FINITE.len() {
            values[point] = plus::<T, S>(simd, FINITE[point], values[point], x[k]);
        }
    }
    values[0] = x[0];
    values
}

/// `E' v`: its first `COUNT` numbers, for values `v` at the points.
#[inline(always)]
pub(super) fn moments<T: Real, S: Simd, const COUNT: usize>(simd: S, v: Line<T, S>) -> Line<T, S> {
    let mut powers = v;
    let mut out = v;
    for (k, out) in out[..COUNT].iter_mut().enumerate() {
        let [_, a, b, c, d, _] = powers;
        let pair = plus::<T, S>(simd, 1.0, a, b);
        let sum = plus::<T, S>(simd, 1.0, pair, plus::<T, S>(simd, 1.0, c, d));
        *out = if k == 0 { plus::<T, S>(simd, 1.0, sum, v[0]) } else { sum };
        for point in 1..FINITE.len() {
            powers[point] = scaled::<T, S>(simd, FINITE[point], powers[point]);
        }
    }
    out[COUNT - 1] = plus::<T, S>(simd, 1.0, out[COUNT - 1], v[POINTS - 1]);
    out
}

/// `C' d`, but for the divisions: for each point the coefficients of the polynomial
/// that is 0 at the others, times `d`.
#[inline(always)]
pub(super) fn prepare<T: Real, S: Simd>(simd: S, d: Line<T, S>) -> Line<T, S> {
    let [d0, d1, d2, d3, d4, d5] = d;
    let odd = plus::<T, S>(simd, -1.0, d1, d3);
    let even = plus::<T, S>(simd, -1.0, d2, d4);
    let first = plus::<T, S>(simd, 1.0, even, plus::<T, S>(simd, -1.0, d2, d0));
    let sum = plus::<T, S>(simd, 1.0, odd, even);
    let difference = plus::<T, S>(simd, -1.0, odd, even);
    let last = plus::<T, S>(simd, -1.0, odd, plus::<T, S>(simd, -1.0, d3, d5));
    [
        plus::<T, S>(simd, 1.5, odd, first),
        plus::<T, S>(simd, 1.5, plus::<T, S>(simd, 1.0, d2, d3), sum),
        plus::<T, S>(simd, 1.5, plus::<T, S>(simd, -1.0, d2, d3), difference),
        plus::<T, S>(simd, 2.0, odd, even),
        plus::<T, S>(simd, -0.5, odd, even),
        plus::<T, S>(simd, 1.5, even, last),
    ]
}

/// `M X M'` for a `map` that is `M`, and a matrix of `SIZE` rows and columns, which `read`
/// knows. `write` gets the first `ROWS` rows of the result; `half` is room for `M X`.
#[inline(always)]
pub(super) fn both_ways<T: Real, S: Simd, const SIZE: usize, const ROWS: usize>(
    half: &mut Square<T, S>,
    read: impl Fn(usize, usize) -> T::Vector<S>,
    map: impl Fn(Line<T, S>) -> Line<T, S>,
    mut write: impl FnMut(usize, Line<T, S>),
) {
    for column in 0..SIZE {
        let mut values = [read(0, column); POINTS];
        for (row, value) in values[..SIZE].iter_mut().enumerate() {
            *value = read(row, column);
        }
        let values = map(values);
        for (half, value) in half[..ROWS].iter_mut().zip(values) {
            half[column] = value;
        }
    }
    for (row, half) in half[..ROWS].iter().enumerate() {
        write(row, map(*half));
    }
}

#[cfg(test)]
mod tests {
    use pulp::Scalar;

    use super::*;

    #[test]
    fn a_correlation_is_products_at_points() {
        let g = [0.3, -1.7, 2.2, 0.9, -0.4];
        let d = [1.0, 0.25, -3.0, 7.0, 0.125, -2.5];
        check::<3, 4>(g, d);
        check::<5, 2>(g, d);
    }

    fn check<const TAPS: usize, const RESULTS: usize>(g: [f64; 5], d: [f64; POINTS]) {
        let simd = Scalar::new();
        let mut taps = [0.0; POINTS];
        taps[..TAPS].copy_from_slice(&g[..TAPS]);
        let values = evaluate::<f64, Scalar, TAPS>(simd, taps);
        let data = prepare::<f64, Scalar>(simd, d);
        let products = std::array::from_fn(|i| values[i] * SHARES[i] * data[i]);
        let sums = moments::<f64, Scalar, RESULTS>(simd, products);
        for (position, sum) in sums[..RESULTS].iter().enumerate() {
            let expected: f64 = (0..TAPS).map(|tap| g[tap] * d[position + tap]).sum();
            assert!((sum - expected).abs() < 1e-13, "{TAPS} taps: {sum} for {expected}");
        }
    }
}
