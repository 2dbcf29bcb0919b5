//! Wengert's part in [GradBench](https://github.com/gradbench/gradbench), where tools for
//! automatic differentiation compute the same problems on the same numbers.
//!
//! The program of this crate speaks the benchmark's protocol ([`protocol`]) on its standard input
//! and output. Each [`problem`] is a module that states its function once, over variables of a
//! tape, and asks for the derivative in the mode that suits it. No derivative is written by hand.
//!
//! ```
//! use serde_json::json;
//! use wengert_gradbench::protocol::evaluate;
//!
//! let input = json!({ "x": [0.0, 0.0], "min_runs": 2, "min_seconds": 0.0 });
//! let evaluation = evaluate("lse", "gradient", &input).unwrap();
//! assert_eq!(evaluation.output, json!([0.5, 0.5]));
//! ```
//!
//! `docs/gradbench.md` has the times beside those of other tools.

pub mod chain;
pub mod clock;
pub mod input;
pub mod problem;
pub mod protocol;
