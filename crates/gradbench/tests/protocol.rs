//! The program on its standard input and output: a session, and whatever else may come in.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A running program.
struct Tool {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Tool {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wengert-gradbench"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, input, output }
    }

    /// The answer to a line, whatever is in it.
    fn answer(&mut self, line: &[u8]) -> Value {
        self.input.write_all(line).expect("the program reads");
        self.input.write_all(b"\n").expect("the program reads");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("the program answers");
        serde_json::from_str(&answer).expect("the answer is JSON")
    }

    fn ask(&mut self, message: Value) -> Value {
        self.answer(message.to_string().as_bytes())
    }

    fn evaluate(&mut self, id: u64, module: &str, function: &str, input: Value) -> Value {
        self.ask(json!({
            "id": id, "kind": "evaluate", "module": module, "function": function, "input": input
        }))
    }

    /// Ends the input, and waits for the end of the program.
    fn end(self) {
        let Self { mut child, input, .. } = self;
        drop(input);
        assert!(child.wait().expect("the program ends").success());
    }
}

/// The durations of a name, in nanoseconds.
fn timings(answer: &Value, name: &str) -> Vec<u64> {
    let all = answer["timings"].as_array().expect("timings");
    let named = all.iter().filter(|timing| timing["name"] == name);
    named.map(|timing| timing["nanoseconds"].as_u64().expect("whole nanoseconds")).collect()
}

#[test]
fn a_session() {
    let mut tool = Tool::start(&[]);
    let started = tool.ask(json!({ "id": 0, "kind": "start", "eval": "hello" }));
    assert_eq!(started, json!({ "id": 0, "tool": "wengert" }));
    let defined = tool.ask(json!({ "id": 1, "kind": "define", "module": "hello" }));
    assert_eq!(defined, json!({ "id": 1, "success": true }));
    let (mut x, mut id) = (json!(1.0), 2);
    for round in 0..4 {
        for function in ["square", "double"] {
            let answer = tool.evaluate(id, "hello", function, x);
            assert_eq!((&answer["id"], &answer["success"]), (&json!(id), &json!(true)));
            assert_eq!(timings(&answer, "evaluate").len(), 1);
            let analysed =
                tool.ask(json!({ "id": id + 1, "kind": "analysis", "of": id, "valid": true }));
            assert_eq!(analysed, json!({ "id": id + 1 }));
            (x, id) = (answer["output"].clone(), id + 2);
        }
        let expected: [f64; 4] = [2.0, 8.0, 128.0, 32768.0];
        assert_eq!(x.as_f64(), Some(expected[round]));
    }
    tool.end();
}

#[test]
fn all_problems_are_defined_and_others_are_not() {
    let mut tool = Tool::start(&["--multithreaded"]);
    let all = [
        "hello", "det", "lse", "ode", "gmm", "kmeans", "llsq", "lstm", "ba", "ht", "particle",
        "saddle",
    ];
    for module in all {
        let answer = tool.ask(json!({ "id": 7, "kind": "define", "module": module }));
        assert_eq!(answer, json!({ "id": 7, "success": true }), "{module}");
    }
    let answer = tool.ask(json!({ "id": 8, "kind": "define", "module": "fft" }));
    assert_eq!(answer["success"], json!(false));
    assert!(answer["error"].as_str().unwrap().contains("\"fft\""));
    tool.end();
}

#[test]
fn runs_are_as_many_and_as_long_as_asked() {
    let mut tool = Tool::start(&[]);
    let mut timed = |runs: Value, seconds: Value| {
        let input = json!({ "x": [1.0, 2.0], "min_runs": runs, "min_seconds": seconds });
        let answer = tool.evaluate(1, "lse", "gradient", input);
        assert_eq!(timings(&answer, "prepare").len(), 1);
        timings(&answer, "evaluate")
    };
    assert_eq!(timed(json!(1), json!(0.0)).len(), 1);
    assert_eq!(timed(json!(17), json!(0)).len(), 17);
    let long = timed(json!(1), json!(0.02));
    let (last, before) = long.split_last().unwrap();
    assert!(
        before.iter().sum::<u64>() < 20_000_000 && before.iter().sum::<u64>() + last >= 20_000_000
    );
    // Without a word about it: one run, and a second.
    let answer = tool.evaluate(2, "lse", "primal", json!({ "x": vec![1.0; 1000] }));
    assert!(timings(&answer, "evaluate").iter().sum::<u64>() >= 1_000_000_000);
    tool.end();
}

#[test]
fn what_is_no_message_is_answered() {
    let mut tool = Tool::start(&[]);
    let lines: [&[u8]; 10] = [
        b"",
        b"{",
        b"null",
        b"17",
        b"[]",
        b"{}",
        b"{\"id\": 3}",
        b"\xff\xfe{}",
        b"{\"id\": 3, \"kind\": 5}",
        &[b'['; 100_000],
    ];
    for line in lines {
        let answer = tool.answer(line);
        assert_eq!(answer["success"], json!(false), "{answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    assert_eq!(tool.ask(json!({ "id": "a", "kind": "shutdown" })), json!({ "id": "a" }));
    tool.end();
}

#[test]
fn what_cannot_be_evaluated_is_refused_in_words() {
    let mut tool = Tool::start(&[]);
    let square = json!({ "A": [1.0, 2.0, 3.0, 4.0], "ell": 2 });
    let lstm = |state: Value| {
        json!({ "main_params": [[0.0, 0.0, 0.0, 0.0]], "extra_params": [[0.0], [0.0], [0.0]], "state": state,
                "sequence": [[0.0], [1.0]] })
    };
    let cases = [
        ("fft", "primal", json!({}), "problem"),
        ("lse", "hessian", json!({ "x": [1.0] }), "primal, gradient"),
        ("lse", "primal", Value::Null, "`x`"),
        ("lse", "primal", json!({}), "`x`"),
        ("lse", "primal", json!({ "x": "abc" }), "\"abc\""),
        ("lse", "primal", json!({ "x": [1.0, [2.0]] }), "equal lengths"),
        ("lse", "primal", json!({ "x": [] }), ""),
        ("lse", "primal", json!({ "x": [1.0], "min_runs": -1 }), "`min_runs`"),
        ("lse", "primal", json!({ "x": [1.0], "min_seconds": -1 }), "`min_seconds`"),
        ("lse", "primal", json!({ "x": [1.0], "min_seconds": "long" }), "`min_seconds`"),
        ("hello", "square", json!({ "x": 1.0 }), "a number"),
        ("hello", "square", json!(1e200), "infinite"),
        ("det", "primal", json!({ "A": [1.0, 2.0, 3.0], "ell": 2 }), "2 x 2"),
        ("det", "volume", square, "primal, gradient"),
        ("llsq", "primal", json!({ "x": [1.0], "n": 1.5 }), "`n`"),
        ("llsq", "primal", json!({ "x": [1.0], "n": 1 }), ""),
        ("ode", "primal", json!({ "x": [], "s": 3 }), "`x`"),
        ("ode", "gradient", json!({ "x": [1.0], "s": 1e300 }), "`s`"),
        (
            "ode",
            "gradient",
            json!({ "x": [1.0, 2.0], "s": 1_000_000_000 }),
            "at most 536870912 steps",
        ),
        ("det", "primal", json!({ "A": vec![1.0; 169], "ell": 13 }), "1 to 12"),
        ("kmeans", "cost", json!({ "points": [[1.0, 2.0]], "centroids": [[1.0]] }), ""),
        // A centroid without points has no second derivative.
        ("kmeans", "dir", json!({ "points": [[1.0]], "centroids": [[1.0], [2.0]] }), "NaN"),
        (
            "gmm",
            "objective",
            json!({ "d": 2, "k": 1, "n": 1, "m": 0, "gamma": 1.0, "alpha": [1.0, 2.0] }),
            "`alpha`",
        ),
        ("lstm", "objective", lstm(json!([])), ""),
        ("lstm", "objective", lstm(json!(1.0)), ""),
        ("lstm", "objective", lstm(json!([[0.0], [0.0]])), "`main_params`"),
        ("ba", "jacobian", json!({ "n": 0, "m": 1, "p": 1 }), "expected 1 to"),
        ("ba", "jacobian", json!({ "n": 1, "m": 1, "p": 1_000_000_000_000_u64 }), "expected 1 to"),
        ("ht", "objective", json!({ "theta": [0.0], "us": [] }), "`data`"),
        ("particle", "ff", json!({ "w": null }), "`w`"),
        ("saddle", "rr", json!({ "start": [1.0] }), "`start`"),
    ];
    for (id, (module, function, input, words)) in cases.into_iter().enumerate() {
        let answer = tool.evaluate(id as u64, module, function, input);
        assert_eq!((&answer["id"], &answer["success"]), (&json!(id), &json!(false)), "{answer}");
        let error = answer["error"].as_str().expect("an error in words");
        assert!(!error.is_empty() && error.contains(words), "{module}: {error}");
        assert_eq!(answer.as_object().unwrap().len(), 3, "{answer}");
    }
    // It goes on.
    let answer = tool.evaluate(99, "hello", "double", json!(3));
    assert_eq!(answer["output"], json!(6.0));
    tool.end();
}
