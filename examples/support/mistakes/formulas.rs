//! Eighteen more mistakes, in derivatives that people write by hand beside back propagation: logistic
//! regression, softmax, convolution, recurrence, single precision, sparse Jacobians, products, and
//! what solvers ask for.

use wengert::check::{Options, Report, plain};

/// A derivative with a mistake.
pub struct Planted {
    /// What the mistake is.
    pub what: &'static str,
    /// What a check says.
    pub report: fn() -> Report,
    /// What a reader must find in the first four lines of it.
    pub leads: &'static [&'static str],
}

/// All of them.
pub const PLANTED: [Planted; 18] = [
    Planted {
        what: "logistic regression: the cost is a mean, the gradient of the data a sum",
        report: || logistic(|data, penalty| 5.0 * data + penalty),
        leads: &["factor: all but a penalty 0.0500 |x|^2 is 5.0000 x what it should be"],
    },
    Planted {
        what: "logistic regression: label minus prediction instead of prediction minus label",
        report: || logistic(|data, penalty| penalty - data),
        leads: &["factor: all but a penalty 0.0500 |x|^2 is -1.0000 x what it should be"],
    },
    Planted {
        what: "logistic regression: the penalty on the weights is forgotten",
        report: || logistic(|data, _| data),
        leads: &["missing term: 0.1000 x the input itself, as of a penalty 0.0500 |x|^2"],
    },
    Planted {
        what: "logistic regression: the penalty is counted twice",
        report: || logistic(|data, penalty| data + 2.0 * penalty),
        leads: &["excess term: 0.1000 x the input itself", "0.0500 |x|^2 that is counted twice"],
    },
    Planted {
        what: "logistic regression: the penalty is on the bias as well",
        report: || {
            let gradient = |w: &[f64]| {
                let mut gradient = logistic_gradient(w, |data, penalty| data + penalty);
                gradient[0] += PENALTY * w[0];
                gradient
            };
            plain::gradient(logistic_cost, gradient, &WEIGHTS)
        },
        leads: &["unexplained", "1 of 5 in input 1, worst input 1 [0]"],
    },
    Planted {
        what: "softmax and cross-entropy: the labels are not subtracted",
        report: || softmax(|p, _| p),
        leads: &["constant: every wrong entry is off by 0.3333", "3 of 12"],
    },
    Planted {
        what: "softmax and cross-entropy: a slope p (1 - p), as of single outputs",
        report: || softmax(|p, y| (p - y) * p * (1.0 - p)),
        leads: &["unexplained", "all of input 1"],
    },
    Planted {
        what: "softmax: its Jacobian taken as diagonal",
        report: || {
            let jacobian = |z: &[f64]| {
                let p = probabilities(z);
                let entry =
                    |k: usize| if k / 4 == k % 4 { p[k / 4] * (1.0 - p[k / 4]) } else { 0.0 };
                (0..16).map(entry).collect()
            };
            plain::jacobian(probabilities, jacobian, &[0.3, -0.5, 1.1, 0.2])
        },
        leads: &["missing term: the Jacobian is 0 where it should not be", "12 of 16 in Jacobian"],
    },
    Planted {
        what: "convolution: the gradient of the filter is turned",
        report: || convolution(|w, k| w.len() - 1 - k, 0),
        leads: &["order: input 1 holds its gradient in the reverse order"],
    },
    Planted {
        what: "convolution: the signal is read one place too late",
        report: || convolution(|_, k| k, 1),
        leads: &["unexplained", "all of input 1"],
    },
    Planted {
        what: "recurrence: only the last step is differentiated",
        report: || plain::gradient(recurrence, |p| recurrence_gradient(p, 1), &[0.7, -0.4, 0.2]),
        leads: &["unexplained", "all of input 1"],
    },
    Planted {
        what: "single precision: a factor 2 is forgotten",
        report: || {
            let f = |x: &[f32]| x.iter().map(|x| x * x * x).sum::<f32>();
            plain::gradient(f, |x| x.iter().map(|x| 1.5 * x * x).collect(), &[0.5, -1.2, 0.8, 1.1])
        },
        leads: &["factor: the gradient is 0.5", "all of input 1"],
    },
    Planted {
        what: "single precision: a constant of two digits, one per cent too large",
        report: || {
            let f = |x: &[f32]| x.iter().map(|x| (3.0 * x).sin()).sum::<f32>();
            let off = |x: &[f32]| x.iter().map(|x| 3.03 * (3.0 * x).cos()).collect();
            plain::gradient(f, off, &[0.1, 0.5, 1.2])
        },
        leads: &["unexplained"],
    },
    Planted {
        what: "a sparse Jacobian: the diagonal above the main one is left out",
        report: || {
            let jacobian = |x: &[f64]| {
                let entry = |k: usize| match (k / 8, k % 8) {
                    (i, j) if i == j => 2.0 + 3.0 * x[i] * x[i],
                    (i, j) if i == j + 1 => -1.0,
                    _ => 0.0,
                };
                (0..64).map(entry).collect()
            };
            let x: Vec<f64> = (0..8).map(|i| (1.3 * f64::from(i)).sin()).collect();
            plain::jacobian(chain, jacobian, &x)
        },
        leads: &["missing term: the Jacobian is 0 where it should not be", "7 of 64 in Jacobian"],
    },
    Planted {
        what: "products: the vjp multiplies by the matrix instead of its transpose",
        report: || plain::products(curved, curved_jvp, curved_jvp, &[0.5, -1.2]),
        leads: &["J' w (vjp, reverse mode) is contradicted by the function, and J v"],
    },
    Planted {
        what: "products: the jvp forgets the tangent of the second argument",
        report: || {
            let jvp = |x: &[f64], v: &[f64]| curved_jvp(x, &[v[0], 0.0]);
            plain::products(curved, jvp, curved_vjp, &[0.5, -1.2])
        },
        leads: &["J v (jvp, forward mode) is contradicted by the function, and J' w"],
    },
    Planted {
        what: "least squares: the solver minimises |r|^2, the gradient is J' r",
        report: || {
            let cost = |x: &[f64]| curved(x).iter().map(|r| r * r).sum();
            plain::gradient(cost, |x| curved_vjp(x, &curved(x)), &[0.5, -1.2])
        },
        leads: &["factor: the gradient is 0.5000 x what it should be"],
    },
    Planted {
        what: "Newton: a Hessian whose entries beside the diagonal have the wrong sign",
        report: || {
            let gradient = |x: &[f64]| {
                let off = x[1] - x[0] * x[0];
                vec![-2.0 * (1.0 - x[0]) - 400.0 * x[0] * off, 200.0 * off]
            };
            let hessian = |x: &[f64]| {
                let corner = 2.0 - 400.0 * (x[1] - 3.0 * x[0] * x[0]);
                vec![corner, 400.0 * x[0], 400.0 * x[0], 200.0]
            };
            Options::default().plain().hessian(gradient, hessian, &[-0.8, 0.9])
        },
        leads: &["sign: the Hessian is -1 x what it should be", "2 of 4 in Hessian"],
    },
];

/// The factor of the penalty on weights, which spares the bias.
const PENALTY: f64 = 0.1;

/// The bias, and four weights.
const WEIGHTS: [f64; 5] = [0.3, -0.7, 0.5, 1.1, -0.2];

/// Five samples of four features behind a 1, and their labels.
fn samples() -> impl Iterator<Item = ([f64; 5], f64)> {
    (0..5_u8).map(|i| {
        let feature = |j: u8| f64::from(7 * i + 3 * j).sin();
        ([1.0, feature(1), feature(2), feature(3), feature(4)], f64::from(i % 2))
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn logistic_cost(w: &[f64]) -> f64 {
    let costs = samples().map(|(x, y)| dot(w, &x).exp().ln_1p() - y * dot(w, &x));
    costs.sum::<f64>() / 5.0 + 0.5 * PENALTY * w[1..].iter().map(|w| w * w).sum::<f64>()
}

/// The gradient, put together from that of the data and that of the penalty.
fn logistic_gradient(w: &[f64], entry: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let mut data = [0.0; 5];
    for (x, y) in samples() {
        let delta = 1.0 / (1.0 + (-dot(w, &x)).exp()) - y;
        data.iter_mut().zip(x).for_each(|(g, x)| *g += delta * x / 5.0);
    }
    let penalty = |i: usize| if i == 0 { 0.0 } else { PENALTY * w[i] };
    data.iter().enumerate().map(|(i, &g)| entry(g, penalty(i))).collect()
}

fn logistic(entry: fn(f64, f64) -> f64) -> Report {
    plain::gradient(logistic_cost, |w| logistic_gradient(w, entry), &WEIGHTS)
}

fn probabilities(z: &[f64]) -> Vec<f64> {
    let sum: f64 = z.iter().map(|z| z.exp()).sum();
    z.iter().map(|z| z.exp() / sum).collect()
}

/// Three samples of four classes: the gradient of the mean cross-entropy by the logits.
fn softmax(entry: fn(f64, f64) -> f64) -> Report {
    const LABELS: [usize; 3] = [2, 0, 3];
    let cost = |z: &[f64]| {
        let costs = z.chunks(4).zip(LABELS).map(|(z, label)| -probabilities(z)[label].ln());
        costs.sum::<f64>() / 3.0
    };
    let gradient = |z: &[f64]| {
        let rows = z.chunks(4).zip(LABELS).flat_map(|(z, label)| {
            let labelled = move |k: usize| f64::from(u8::from(k == label));
            let entries = probabilities(z).into_iter().enumerate();
            entries.map(|(k, p)| entry(p, labelled(k)) / 3.0).collect::<Vec<f64>>()
        });
        rows.collect()
    };
    let z: Vec<f64> = (0..12).map(|i| (1.7 * f64::from(i)).sin()).collect();
    plain::gradient(cost, gradient, &z)
}

const SIGNAL: [f64; 8] = [0.3, -1.0, 2.0, 0.7, 1.5, -0.4, 0.9, -1.3];

/// The gradient by a filter of half the squares of what it gives; where each entry is put, and how
/// many places too late the signal is read.
fn convolution(place: fn(&[f64], usize) -> usize, late: usize) -> Report {
    let outputs = |w: &[f64]| SIGNAL.windows(3).map(|x| dot(x, w)).collect::<Vec<f64>>();
    let cost = |w: &[f64]| outputs(w).iter().map(|y| 0.5 * y * y).sum();
    let gradient = |w: &[f64]| {
        let mut gradient = vec![0.0; 3];
        for (i, y) in outputs(w).into_iter().enumerate() {
            for k in 0..3 {
                gradient[place(w, k)] += y * SIGNAL.get(i + k + late).copied().unwrap_or(0.0);
            }
        }
        gradient
    };
    plain::gradient(cost, gradient, &[0.4, -0.2, 1.0])
}

/// `h_t = tanh(w h_(t-1) + u x_t + b)`, and half the square of the last.
fn recurrence(p: &[f64]) -> f64 {
    0.5 * states(p).last().map_or(0.0, |h| h * h)
}

fn states(p: &[f64]) -> Vec<f64> {
    let mut h = vec![0.0];
    for (t, x) in SIGNAL.iter().enumerate() {
        h.push((p[0] * h[t] + p[1] * x + p[2]).tanh());
    }
    h
}

/// The gradient through the last `steps` steps.
fn recurrence_gradient(p: &[f64], steps: usize) -> Vec<f64> {
    let h = states(p);
    let mut adjoint = h[h.len() - 1];
    let mut gradient = vec![0.0; 3];
    for t in (1..h.len()).rev().take(steps) {
        let delta = adjoint * (1.0 - h[t] * h[t]);
        gradient[0] += delta * h[t - 1];
        gradient[1] += delta * SIGNAL[t - 1];
        gradient[2] += delta;
        adjoint = delta * p[0];
    }
    gradient
}

/// A chain of springs: `2 x_i + x_i^3` less the neighbours.
fn chain(x: &[f64]) -> Vec<f64> {
    let at = |i: usize| x.get(i).copied().unwrap_or(0.0);
    (0..x.len()).map(|i| 2.0 * x[i] + x[i].powi(3) - at(i.wrapping_sub(1)) - at(i + 1)).collect()
}

/// A function of two numbers to two.
fn curved(x: &[f64]) -> Vec<f64> {
    vec![x[0] * x[1] + 1.0, x[0].exp() - x[1].sin()]
}

fn curved_jvp(x: &[f64], v: &[f64]) -> Vec<f64> {
    vec![x[1] * v[0] + x[0] * v[1], x[0].exp() * v[0] - x[1].cos() * v[1]]
}

fn curved_vjp(x: &[f64], w: &[f64]) -> Vec<f64> {
    vec![x[1] * w[0] + x[0].exp() * w[1], x[0] * w[0] - x[1].cos() * w[1]]
}

/// The same derivatives without a mistake.
pub fn right() -> Vec<Report> {
    let sample = [0.5, -1.2];
    vec![
        logistic(|data, penalty| data + penalty),
        softmax(|p, y| p - y),
        convolution(|_, k| k, 0),
        plain::gradient(recurrence, |p| recurrence_gradient(p, SIGNAL.len()), &[0.7, -0.4, 0.2]),
        plain::products(curved, curved_jvp, curved_vjp, &sample),
    ]
}
