//! particle and saddle.

use serde_json::json;

use crate::{assert_close, numbers, output};

const MODES: [&str; 4] = ["ff", "fr", "rf", "rr"];

/// What the benchmark's authors publish.
#[test]
fn published_results() {
    for mode in MODES {
        let w = numbers(&output("particle", mode, &json!({ "w": 0.0 })));
        assert_close(&w, &[0.2071918746486116], mode);
        let saddle = numbers(&output("saddle", mode, &json!({ "start": [1.0, 1.0] })));
        assert_close(&saddle, &[8.246324826140356e-06; 4], mode);
    }
}

/// A number with its derivative, in as few rules as the particle needs.
#[derive(Clone, Copy)]
struct Dual(f64, f64);

impl Dual {
    fn plus(self, by: f64, other: Self) -> Self {
        Self(self.0 + by * other.0, self.1 + by * other.1)
    }

    fn times(self, other: Self) -> Self {
        Self(self.0 * other.0, self.1 * other.0 + self.0 * other.1)
    }

    fn powf(self, exponent: f64) -> Self {
        Self(self.0.powf(exponent), exponent * self.0.powf(exponent - 1.0) * self.1)
    }
}

/// The square of where the particle lands. The acceleration is the sum of `(x - c) / |x - c|^3`.
fn landing(w: Dual) -> Dual {
    let (mut x, mut v) = ([Dual(0.0, 0.0), Dual(8.0, 0.0)], [Dual(0.75, 0.0), Dual(0.0, 0.0)]);
    let charges =
        [[Dual(10.0, 0.0), Dual(10.0, 0.0).plus(-1.0, w)], [Dual(10.0, 0.0), Dual(0.0, 0.0)]];
    loop {
        let mut acceleration = [Dual(0.0, 0.0); 2];
        for charge in charges {
            let from = [0, 1].map(|i| x[i].plus(-1.0, charge[i]));
            let square = from[0].times(from[0]).plus(1.0, from[1].times(from[1]));
            for (a, from) in acceleration.iter_mut().zip(from) {
                *a = a.plus(1.0, from.times(square.powf(-1.5)));
            }
        }
        x = [0, 1].map(|i| x[i].plus(0.1, v[i]));
        if x[1].0 <= 0.0 {
            let since = x[1].times(v[1].powf(-1.0));
            let place = x[0].plus(-1.0, since.times(v[0]));
            return place.times(place);
        }
        v = [0, 1].map(|i| v[i].plus(0.1, acceleration[i]));
    }
}

/// The descent of the benchmark, of one number.
fn descent(f: impl Fn(f64) -> (f64, f64), mut x: f64) -> f64 {
    let (mut rate, mut i, (mut value, mut slope)) = (1e-5, 0, f(x));
    loop {
        if slope.abs() <= 1e-5 {
            return x;
        } else if i == 10 {
            (rate, i) = (2.0 * rate, 0);
        } else {
            let next = x - rate * slope;
            if (x - next).abs() <= 1e-5 {
                return x;
            }
            let (next_value, next_slope) = f(next);
            if next_value < value {
                (x, value, slope, i) = (next, next_value, next_slope, i + 1);
            } else {
                (rate, i) = (rate / 2.0, 0);
            }
        }
    }
}

#[test]
fn other_starts() {
    for start in [0.1] {
        let f = |w| {
            let Dual(value, slope) = landing(Dual(w, 1.0));
            (value, slope)
        };
        let expected = descent(f, start);
        for mode in MODES {
            let w = numbers(&output("particle", mode, &json!({ "w": start })));
            assert_close(&w, &[expected], mode);
        }
    }
    // The components do not touch each other: |q|^2 goes down from where p starts, and p likewise.
    for mode in MODES {
        let saddle = numbers(&output("saddle", mode, &json!({ "start": [0.5, -0.25] })));
        assert!(saddle.iter().all(|x| x.abs() < 1e-4), "{saddle:?}");
        assert_close(&[saddle[1] / saddle[0], saddle[3] / saddle[2]], &[-0.5, -0.5], mode);
    }
}
