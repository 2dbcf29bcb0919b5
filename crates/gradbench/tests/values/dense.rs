//! lse, llsq, gmm, kmeans and det.

use std::f64::consts::PI;

use serde_json::json;

use crate::number::{Big, big, bigs, floats, gradient, sum};
use crate::{Draw, assert_close, numbers, output};

#[test]
fn log_sum_exp() {
    for n in [1, 2, 3, 100, 2500] {
        let x: Vec<f64> = Draw(n as u64).vector(n).iter().map(|x| 5.0 * x + 300.0).collect();
        // Without the largest: these numbers have exponents enough.
        let terms: Vec<Big> = bigs(&x).iter().map(Big::exp).collect();
        let total = sum(terms.iter().cloned());
        let input = json!({ "x": x });
        let value = numbers(&output("lse", "primal", &input));
        assert_close(&value, &[total.ln().to_f64()], "lse");
        let shares: Vec<f64> = terms.iter().map(|term| (term / &total).to_f64()).collect();
        assert_close(&numbers(&output("lse", "gradient", &input)), &shares, "softmax");
    }
}

#[test]
fn equal_numbers_share() {
    let input = json!({ "x": [4.0, 4.0, 4.0, 4.0] });
    assert_close(&numbers(&output("lse", "gradient", &input)), &[0.25; 4], "lse");
}

#[test]
fn least_squares() {
    for (m, n) in [(1, 2), (2, 3), (3, 16), (5, 17), (17, 100), (128, 16), (128, 600)] {
        let x = Draw((m + n) as u64).vector(m);
        let (mut value, mut slopes) = (big(0.0), vec![big(0.0); m]);
        for i in 0..n {
            let t = big(2.0 * i as f64) / (n as f64 - 1.0) - 1.0;
            let sign =
                if 2 * i == n - 1 { 0.0 } else { (2.0 * i as f64 - (n as f64 - 1.0)).signum() };
            let mut powers = vec![big(1.0)];
            (1..m).for_each(|j| powers.push(&powers[j - 1] * &t));
            let residual = big(sign) - sum(powers.iter().zip(&x).map(|(p, &x)| p.clone() * x));
            value = value + &residual * &residual / big(2.0);
            for (slope, power) in slopes.iter_mut().zip(&powers) {
                *slope = &*slope - &(&residual * power);
            }
        }
        let input = json!({ "x": x, "n": n });
        assert_close(&numbers(&output("llsq", "primal", &input)), &[value.to_f64()], "llsq");
        assert_close(&numbers(&output("llsq", "gradient", &input)), &floats(&slopes), "llsq");
    }
}

/// The logarithm of the gamma function at half of a whole number, from `G(x + 1) = x G(x)`.
fn log_gamma_of_half(twice: usize) -> Big {
    let (start, from) =
        if twice.is_multiple_of(2) { (big(0.0), 2) } else { (big(PI).ln() / 2.0, 1) };
    (from..twice).step_by(2).fold(start, |sum, twice| sum + (big(twice as f64) / 2.0).ln())
}

/// The log-likelihood term by term, of `alpha`, `mu`, `q` and `l` one after another.
fn mixture(p: &[Big], x: &[Vec<f64>], [d, k, m]: [usize; 3], gamma: f64) -> Big {
    let triangle = d * (d - 1) / 2;
    let (alpha, rest) = p.split_at(k);
    let (mu, rest) = rest.split_at(k * d);
    let (q, l) = rest.split_at(k * d);
    let log_sum = |terms: Vec<Big>| sum(terms.iter().map(Big::exp)).ln();
    let log_det = |c: usize| sum(q[c * d..(c + 1) * d].iter().cloned());
    let squared = |c: usize, x: &[f64]| {
        let shifted: Vec<Big> = (0..d).map(|j| big(x[j]) - mu[c * d + j].clone()).collect();
        let mut whitened: Vec<Big> =
            (0..d).map(|i| q[c * d + i].exp() * shifted[i].clone()).collect();
        let mut below = l[c * triangle..(c + 1) * triangle].iter();
        for (column, shifted) in shifted.iter().enumerate() {
            for whitened in &mut whitened[column + 1..] {
                *whitened = &*whitened + &(below.next().expect("an element") * shifted);
            }
        }
        sum(whitened.iter().map(|w| w * w))
    };
    let points = x.iter().map(|x| {
        log_sum((0..k).map(|c| alpha[c].clone() + log_det(c) - squared(c, x) / 2.0).collect())
    });
    let n = x.len() as f64;
    let nu = d + m + 1;
    let log_gamma = big(PI).ln() * (d * (d - 1)) as f64 / 4.0
        + sum((1..=d).map(|j| log_gamma_of_half(nu + 1 - j)));
    let constant = (big(gamma).ln() - big(2.0).ln() / 2.0) * (nu * d) as f64 - log_gamma;
    let squares = sum(q.iter().map(|q| (q.clone() * 2.0).exp())) + sum(l.iter().map(|l| l * l));
    let prior =
        constant * k as f64 + sum((0..k).map(log_det)) * m as f64 - squares * (gamma * gamma / 2.0);
    sum(points) - big(2.0 * PI).ln() * n * d as f64 / 2.0 - log_sum(alpha.to_vec()) * n + prior
}

#[test]
fn gaussian_mixtures() {
    let cases = [
        (1, 1, 1, 0, 1.0),
        (1, 2, 3, 1, 0.5),
        (2, 3, 5, 0, 1.0),
        (3, 2, 4, 2, 1.5),
        (5, 3, 7, 0, 0.7),
    ];
    for (d, k, n, m, gamma) in cases {
        let mut draw = Draw((d * 100 + k) as u64);
        let triangle = d * (d - 1) / 2;
        let (alpha, mu, q) = (draw.vector(k), draw.matrix(k, d), draw.matrix(k, d));
        let (l, x) = (draw.matrix(k, triangle), draw.matrix(n, d));
        let input = json!({ "d": d, "k": k, "n": n, "m": m, "gamma": gamma, "alpha": alpha, "mu": mu, "q": q,
                            "l": l, "x": x });
        let parameters = [alpha, mu.concat(), q.concat(), l.concat()].concat();
        let f = |p: &[Big]| mixture(p, &x, [d, k, m], gamma);
        let value = f(&bigs(&parameters)).to_f64();
        assert_close(&numbers(&output("gmm", "objective", &input)), &[value], "gmm");
        let jacobian = output("gmm", "jacobian", &input);
        let got: Vec<f64> =
            ["alpha", "mu", "q", "l"].iter().flat_map(|key| numbers(&jacobian[key])).collect();
        assert_close(&got, &gradient(f, &parameters), "gmm");
        assert_eq!(jacobian["l"].as_array().unwrap().len(), k);
    }
}

#[test]
fn means_of_clusters() {
    for (k, n, d) in [(1, 1, 1), (1, 5, 2), (3, 20, 4), (10, 100, 8), (70, 900, 3)] {
        let mut draw = Draw((k * n + d) as u64);
        let points = draw.matrix(n, d);
        // Near a point each, so that none is without points.
        let centroids: Vec<Vec<f64>> = points[..k]
            .iter()
            .map(|p| p.iter().map(|p| p + 1e-3 * draw.number()).collect())
            .collect();
        let distance =
            |p: &[f64], c: &[f64]| p.iter().zip(c).map(|(p, c)| (p - c).powi(2)).sum::<f64>();
        let (mut cost, mut sums, mut counts) = (0.0, vec![vec![0.0; d]; k], vec![0.0; k]);
        for p in &points {
            let nearest = (0..k)
                .min_by(|&a, &b| distance(p, &centroids[a]).total_cmp(&distance(p, &centroids[b])))
                .expect("a centroid");
            cost += distance(p, &centroids[nearest]);
            counts[nearest] += 1.0;
            sums[nearest].iter_mut().zip(p).for_each(|(sum, p)| *sum += p);
        }
        let input = json!({ "points": points, "centroids": centroids });
        assert_close(&numbers(&output("kmeans", "cost", &input)), &[cost], "kmeans");
        let expected: Vec<f64> = (0..k)
            .flat_map(|c| {
                (0..d).map(|j| centroids[c][j] - sums[c][j] / counts[c]).collect::<Vec<_>>()
            })
            .collect();
        assert_close(&numbers(&output("kmeans", "dir", &input)), &expected, "kmeans");
    }
}

/// The determinant by elimination, and its gradient: the determinant times the transposed inverse.
fn eliminated(a: &[f64], order: usize) -> (f64, Vec<f64>) {
    let mut rows: Vec<Vec<Big>> = (0..order)
        .map(|i| {
            let unit = (0..order).map(|j| big(f64::from(i == j)));
            bigs(&a[i * order..(i + 1) * order]).into_iter().chain(unit).collect()
        })
        .collect();
    let mut det = big(1.0);
    for pivot in 0..order {
        let row: Vec<Big> = rows[pivot].iter().map(|x| x / &rows[pivot][pivot]).collect();
        det = &det * &rows[pivot][pivot];
        for (i, other) in rows.iter_mut().enumerate().filter(|(i, _)| *i != pivot) {
            let factor = other[pivot].clone();
            other.iter_mut().zip(&row).for_each(|(x, r)| *x = &*x - &(&factor * r));
            debug_assert_ne!(i, pivot);
        }
        rows[pivot] = row;
    }
    let gradient =
        (0..order * order).map(|at| (&det * &rows[at % order][order + at / order]).to_f64());
    (det.to_f64(), gradient.collect())
}

#[test]
fn determinants() {
    for order in [1, 2, 3, 4, 5, 6, 7, 8] {
        let a = Draw(order as u64).vector(order * order);
        let (det, cofactors) = eliminated(&a, order);
        let input = json!({ "A": a, "ell": order });
        assert_close(&numbers(&output("det", "primal", &input)), &[det], "det");
        assert_close(&numbers(&output("det", "gradient", &input)), &cofactors, "det");
    }
}
