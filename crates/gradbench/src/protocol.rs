//! The protocol: messages of a benchmark, and their answers.
//!
//! A message is an object of JSON on a line, with an `id` and a `kind`, and has one answer with the same `id`. Whatever comes in
//! is answered: a message that is not understood, or a problem that cannot be computed, with
//! `"success": false` and an `error`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::input::{Error, Input, finite};
use crate::problem;

/// The result of a function, in the form of the protocol.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// What the last run gave.
    pub output: Value,
    /// `prepare` and `evaluate`, in nanoseconds.
    pub timings: Value,
}

/// The answer to a line.
pub fn answer(line: &[u8]) -> Value {
    let message: Value = match serde_json::from_slice(line) {
        Ok(message) => message,
        Err(error) => return failure(&Value::Null, &format!("this is no JSON: {error}")),
    };
    let id = &message["id"];
    let text = |field: &str| message[field].as_str().unwrap_or_default();
    let Some(kind) = message["kind"].as_str() else {
        return failure(id, "expected an object with an `id` and a `kind`");
    };
    match kind {
        "start" => json!({ "id": id, "tool": "wengert" }),
        "define" => match problem::functions(text("module")) {
            Ok(_) => json!({ "id": id, "success": true }),
            Err(error) => failure(id, &error.0),
        },
        "evaluate" => match evaluate(text("module"), text("function"), &message["input"]) {
            Ok(Evaluation { output, timings }) => {
                json!({ "id": id, "success": true, "output": output, "timings": timings })
            }
            Err(error) => failure(id, &error.0),
        },
        _ => json!({ "id": id }),
    }
}

fn failure(id: &Value, error: &str) -> Value {
    json!({ "id": id, "success": false, "error": error })
}

/// Evaluates a function of a problem.
///
/// # Errors
/// If there is no such function, the input is not the problem's, or the result is not finite.
/// A panic is an error as well.
pub fn evaluate(module: &str, function: &str, input: &Value) -> Result<Evaluation, Error> {
    let function = problem::function(module, function)?;
    let work = || {
        let mut clock = Clock::new(&Input(input))?;
        let output = finite(function(Input(input), &mut clock)?)?;
        Ok(Evaluation { output, timings: clock.timings() })
    };
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Error(words.unwrap_or("the function panicked").into()))
    })
}
