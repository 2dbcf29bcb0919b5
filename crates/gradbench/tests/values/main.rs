//! Every problem against a computation that shares nothing with it: closed forms, or plain loops in numbers of many
//! digits and their differences. Sizes that no example of the benchmark has are among them.

mod dense;
mod geometry;
mod nested;
mod number;
mod sequences;

use serde_json::Value;
use wengert_gradbench::protocol;

/// What a function of a problem gives, once.
fn output(module: &str, function: &str, input: &Value) -> Value {
    let mut input = input.clone();
    input["min_seconds"] = 0.0.into();
    match protocol::evaluate(module, function, &input) {
        Ok(evaluation) => evaluation.output,
        Err(error) => panic!("{module} {function}: {error}"),
    }
}

/// All numbers of an answer, in order.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().expect("a number")],
    }
}

/// Compares to nine digits of each number. What cancels to less than a millionth of the largest is held
/// against that.
#[track_caller]
fn assert_close(got: &[f64], expected: &[f64], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let allowed = 1e-9 * expected.abs().max(1e-6 * largest);
        assert!((got - expected).abs() <= allowed, "{what}: {got:e} at {i}, {expected:e} expected");
    }
}

/// Numbers between -1 and 1 without a pattern, the same every time.
struct Draw(u64);

impl Draw {
    fn number(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / 2_f64.powi(52) - 1.0
    }

    fn vector(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.number()).collect()
    }

    fn matrix(&mut self, rows: usize, columns: usize) -> Vec<Vec<f64>> {
        (0..rows).map(|_| self.vector(columns)).collect()
    }
}
