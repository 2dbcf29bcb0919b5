//! Eigenvalues and eigenvectors of a symmetric matrix.
//!
//! Householder's reduction to a tridiagonal matrix, then the implicit QL iteration (Golub
//! & Van Loan, *Matrix Computations*, sections 8.3.1 and 8.3.5; Bowdler, Martin, Reinsch &
//! Wilkinson 1968). The textbook's order of work reads the whole matrix of vectors again
//! for each rotation; for the 3072 pixels of a small image that is all of the time. Here
//! the iteration runs on the tridiagonal matrix alone and keeps its rotations. As each row
//! of the vectors' matrix is multiplied by reflections and rotations from the right, a
//! stripe of rows can go through all of them while it stays in the cache, and stripes are
//! shared out among threads.
//!
//! *Invariant*: what is shared out are rows that do not depend on each other, so that
//! bits do not depend on the number of threads.

use super::norm::unit;
use super::threads;
use crate::scalar::dispatched;
use crate::tuned::damage::{Damage, damaged};

tuned! {
    /// Rows that go through reflections and rotations together. They lie side by side, one
    /// vector register after another, and a stripe of 3072 fits the second cache.
    const STRIPE = 32, tiny 2;
    /// Sums that a dot product keeps, so that its additions need not wait for each other.
    const LANES = 16, tiny 2;
}

/// Iterations for an eigenvalue after which it is given up; usual are two.
const ITERATIONS: usize = 60;

/// The eigenvalues of a symmetric matrix of `n` rows, ascending, and its eigenvectors, as
/// rows in the same order; `None` if the iteration does not converge.
pub(super) fn symmetric(n: usize, mut a: Vec<f64>) -> Option<(Vec<f64>, Vec<f64>)> {
    let unit = unit(&a);
    a.iter_mut().for_each(|x| *x /= unit);
    let (mut diagonal, mut beside, factors) = tridiagonal(n, &mut a);
    let rotations = ql(&mut diagonal, &mut beside)?;
    let vectors = vectors(n, &a, &factors, &rotations);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| diagonal[i].total_cmp(&diagonal[j]));
    let values = order.iter().map(|&i| diagonal[i] * unit).collect();
    Some((values, order.iter().flat_map(|&i| &vectors[i * n..][..n]).copied().collect()))
}

/// Reduces a matrix to its diagonal and what stands beside it. The reflection `I - factor
/// v v^T` of step `k` is left behind: `v` in row `k`, right of the diagonal.
///
/// A step subtracts `v w^T + w v^T` from what is left of the matrix, and the next one
/// needs a product with it. Both are done row by row in one pass, since reading the matrix
/// is what takes time.
fn tridiagonal(n: usize, a: &mut [f64]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (mut diagonal, mut beside, mut factors) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let (mut v, mut w) = (vec![0.0; n], vec![0.0; n]);
    for k in 0..n {
        let (done, rest) = a.split_at_mut((k + 1) * n);
        // Row `k` as the step before leaves it.
        let row = &mut done[k * n..];
        subtract(row, &v, &w, k, k);
        diagonal[k] = row[k];
        let (before_v, before_w) = (v.clone(), w.clone());
        let (factor, length) = reflection(&mut row[k + 1..]);
        (beside[k], factors[k]) = (length, factor);
        v[k + 1..].copy_from_slice(&row[k + 1..]);
        v[..=k].fill(0.0);
        w.fill(0.0);
        let size = n - k - 1;
        threads::share(
            size * size / 2,
            rest.chunks_exact_mut(n).zip(&mut w[k + 1..]).enumerate(),
            |rows| {
                for (i, (row, product)) in rows {
                    dispatched(
                        #[inline(always)]
                        || {
                            subtract(row, &before_v, &before_w, k + 1 + i, k + 1);
                            *product = factor * dot(&row[k + 1..], &v[k + 1..]);
                        },
                    );
                }
            },
        );
        let share = 0.5 * factor * dot(&w[k + 1..], &v[k + 1..]);
        w.iter_mut().zip(&v).for_each(|(w, v)| *w -= share * v);
    }
    (diagonal, beside, factors)
}

/// Takes the row `i` of `v w^T + w v^T` from a row, from column `first` on.
#[inline(always)]
fn subtract(row: &mut [f64], v: &[f64], w: &[f64], i: usize, first: usize) {
    let (own_v, own_w) = (v[i], w[i]);
    for ((x, v), w) in row[first..].iter_mut().zip(&v[first..]).zip(&w[first..]) {
        *x -= own_v * w + own_w * v;
    }
}

#[inline(always)]
fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (x_lanes, x_rest) = x.as_chunks::<LANES>();
    let (y_lanes, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in x_lanes.iter().zip(y_lanes) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}

/// Turns `x` into the `v` of the reflection `I - factor v v^T` that takes `x` to a multiple
/// of the first unit vector; gives factor and multiple.
fn reflection(x: &mut [f64]) -> (f64, f64) {
    let largest = x.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if largest == 0.0 {
        return (0.0, 0.0);
    }
    // Scaled, so that squares neither overflow nor vanish.
    x.iter_mut().for_each(|x| *x /= largest);
    let norm = dot(x, x).sqrt();
    // Away from 0, where nothing cancels.
    let multiple = -norm.copysign(x[0]);
    x[0] -= multiple;
    // |v|^2 / 2 = norm (norm + |x_0|)
    ((norm * x[0].abs()).recip(), multiple * largest)
}

/// Rotations in the planes of rows `last - 1` and `last`, then of the two above, and so on:
/// cosines and sines.
struct Sweep {
    last: usize,
    rotations: Vec<[f64; 2]>,
}

/// The last row of the part that begins in row `first`: what stands beside the diagonal there
/// counts for nothing.
fn last_of_part(first: usize, d: &[f64], e: &[f64]) -> usize {
    let small = |i: &usize| e[*i].abs() <= f64::EPSILON * (d[*i].abs() + d[i + 1].abs());
    let last = (first..d.len() - 1).find(small).unwrap_or(d.len() - 1);
    // Sweeps round by the size of the largest number that they meet. Of a matrix that lacks rank,
    // some rows are no more than that, and their numbers never get small beside their neighbours.
    let largest =
        (first..=last).fold(0.0, |largest: f64, i| largest.max(d[i].abs()).max(e[i].abs()));
    let nothing = (f64::EPSILON * largest).max(f64::MIN_POSITIVE);
    (first..last).find(|&i| e[i].abs() <= nothing).unwrap_or(last)
}

/// Makes a tridiagonal matrix diagonal, with Wilkinson's shifts; gives its rotations.
fn ql(d: &mut [f64], e: &mut [f64]) -> Option<Vec<Sweep>> {
    let n = d.len();
    let mut sweeps = Vec::new();
    for first in 0..n {
        let mut iterations = 0..ITERATIONS;
        loop {
            let last = last_of_part(first, d, e);
            if last == first {
                break;
            }
            iterations.next()?;
            let slope = (d[first + 1] - d[first]) / (2.0 * e[first]);
            let shift = d[first] - e[first] / (slope + slope.hypot(1.0).copysign(slope));
            let mut sweep = Sweep { last, rotations: Vec::with_capacity(last - first) };
            let (mut sine, mut cosine, mut moved) = (1.0, 1.0, 0.0);
            let mut bulge = d[last] - shift;
            let mut is_split = false;
            for i in (first..last).rev() {
                let (f, b) = (sine * e[i], cosine * e[i]);
                let length = f.hypot(bulge);
                e[i + 1] = length;
                if length == 0.0 {
                    // The matrix falls into two parts here.
                    d[i + 1] -= moved;
                    e[last] = 0.0;
                    is_split = true;
                    break;
                }
                (sine, cosine) = (f / length, bulge / length);
                let g = d[i + 1] - moved;
                let r = (d[i] - g) * sine + 2.0 * cosine * b;
                moved = sine * r;
                d[i + 1] = g + moved;
                bulge = cosine * r - b;
                sweep.rotations.push([cosine, sine]);
            }
            sweeps.push(sweep);
            if !is_split {
                d[first] -= moved;
                e[first] = bulge;
                e[last] = 0.0;
            }
        }
    }
    Some(sweeps)
}

/// The eigenvectors, as rows: the unit matrix through all reflections and rotations.
fn vectors(n: usize, reflections: &[f64], factors: &[f64], sweeps: &[Sweep]) -> Vec<f64> {
    let rotations: usize = sweeps.iter().map(|sweep| sweep.rotations.len()).sum();
    let mut stripes: Vec<Vec<[f64; STRIPE]>> = (0..n.div_ceil(STRIPE))
        .map(|stripe| {
            let mut unit = vec![[0.0; STRIPE]; n];
            let own = unit[stripe * STRIPE..].iter_mut().take(STRIPE).enumerate();
            own.for_each(|(i, row)| row[i] = 1.0);
            unit
        })
        .collect();
    threads::share((n * n + rotations) * n / 2, stripes.iter_mut(), |stripes| {
        for stripe in stripes {
            dispatched(
                #[inline(always)]
                || {
                    for (k, &factor) in factors.iter().enumerate() {
                        reflect(
                            &mut stripe[k + 1..],
                            &reflections[k * n + k + 1..][..n - k - 1],
                            factor,
                        );
                    }
                    for Sweep { last, rotations } in sweeps {
                        rotate(&mut stripe[..=*last], rotations);
                    }
                },
            );
        }
    });
    let mut vectors = vec![0.0; n * n];
    for (stripe, rows) in stripes.iter().enumerate() {
        let first = stripe * STRIPE;
        let width = STRIPE.min(n - first) - usize::from(damaged(Damage::Stripe));
        for (vector, components) in vectors.chunks_exact_mut(n).zip(rows) {
            vector[first..][..width].copy_from_slice(&components[..width]);
        }
    }
    vectors
}

#[inline(always)]
fn reflect(stripe: &mut [[f64; STRIPE]], v: &[f64], factor: f64) {
    let mut dots = [0.0; STRIPE];
    for (row, v) in stripe.iter().zip(v) {
        for i in 0..STRIPE {
            dots[i] += row[i] * v;
        }
    }
    for (row, v) in stripe.iter_mut().zip(v) {
        let v = factor * v;
        for i in 0..STRIPE {
            row[i] -= dots[i] * v;
        }
    }
}

#[inline(always)]
fn rotate(stripe: &mut [[f64; STRIPE]], rotations: &[[f64; 2]]) {
    let Some((below, above)) = stripe.split_last_mut() else { return };
    let mut below = below;
    for (row, &[cosine, sine]) in above.iter_mut().rev().zip(rotations) {
        for i in 0..STRIPE {
            let (x, y) = (row[i], below[i]);
            below[i] = sine * x + cosine * y;
            row[i] = cosine * x - sine * y;
        }
        below = row;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `A z = d z`, with orthonormal `z` and `d` ascending, to rounding.
    fn assert_eigen(n: usize, element: impl Fn(usize, usize) -> f64) {
        let a: Vec<f64> = (0..n * n).map(|i| element(i / n, i % n)).collect();
        let (values, vectors) = symmetric(n, a.clone()).expect("the iteration converges");
        assert!(values.is_sorted(), "{values:?}");
        let size = a.iter().map(|x| x * x).sum::<f64>().sqrt();
        let tolerance = 4.0 * f64::EPSILON * n as f64;
        let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        for (i, z) in vectors.chunks_exact(n).enumerate() {
            for (row, z_row) in a.chunks_exact(n).zip(z) {
                let error = product(row, z) - values[i] * z_row;
                assert!(error.abs() <= tolerance * size, "{n}: {error} in vector {i}");
            }
            for (j, other) in vectors.chunks_exact(n).enumerate() {
                let error = product(z, other) - if i == j { 1.0 } else { 0.0 };
                assert!(error.abs() <= tolerance, "{n}: {error} between vectors {i} and {j}");
            }
        }
    }

    #[test]
    fn vectors_are_orthonormal_and_multiplied_by_their_values() {
        for n in [1, 2, 3, 31, 32, 33, 64, 65, 100, 128] {
            // Any numbers; zeros; values of which all but one are equal; a matrix that falls
            // into parts; two of small rank; magnitudes from 1 down to 1e-15 and near overflow.
            let any = |i: usize, j: usize| (1.0 + (i * j + i + j) as f64).sin();
            assert_eigen(n, any);
            assert_eigen(n, |_, _| 0.0);
            assert_eigen(n, |i, j| if i == j { 2.0 } else { 1.0 });
            assert_eigen(n, |i, j| if i / 5 == j / 5 { any(i, j) } else { 0.0 });
            assert_eigen(n, |i, j| ((i % 3) * (j % 3)) as f64);
            assert_eigen(n, |i, j| any(i % 3, j % 3));
            assert_eigen(n, |i, j| any(i, j) * 10_f64.powf(-15.0 * i.max(j) as f64 / n as f64));
            assert_eigen(n, |i, j| any(i, j) * 1e150);
        }
    }

    /// The second differences, whose eigenvalues are `2 - 2 cos(k pi / (n + 1))`.
    #[test]
    fn values_of_second_differences() {
        let n = 40;
        let element = |i: usize| [2.0, -1.0, 0.0][(i / n).abs_diff(i % n).min(2)];
        let (values, _) = symmetric(n, (0..n * n).map(element).collect()).unwrap();
        for (k, value) in (1..).zip(values) {
            let expected = 2.0 - 2.0 * (f64::from(k) * std::f64::consts::PI / 41.0).cos();
            assert!((value - expected).abs() < 1e-14, "{value} is not {expected}");
        }
    }
}
