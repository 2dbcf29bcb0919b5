//! The variables of the environment that kernels go by. They are read once a process, so each case
//! is a process: the child of a test is the ignored `child`.

use std::env;
use std::process::Command;

use insta::assert_snapshot;
use wengert_core::{InstructionSet, Tape, Tensor, instruction_set};

use crate::messages::tidy;

/// What the child prints between two marks, or the message of its panic.
fn child(variable: &str, value: &str) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "environment::child_of_a_test", "--ignored", "--nocapture"])
        .env_remove("WENGERT_SIMD")
        .env_remove("WENGERT_THREADS")
        .env_remove("WENGERT_NATIVE")
        .env("RUST_BACKTRACE", "0")
        .env(variable, value)
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    match out.split("<<").nth(1).and_then(|rest| rest.split(">>").next()) {
        Some(printed) => printed.to_owned(),
        None => {
            let errors = String::from_utf8(output.stderr).unwrap();
            let message = errors.split("panicked at ").nth(1).expect("a panic");
            tidy(message.split("note: run with").next().unwrap()).trim().to_owned()
        }
    }
}

/// Whether products round before they add, which fused instructions do not.
///
/// `a^2 - round(a^2)` is 2^-60 for `a = 1 + 2^-30`, and 0 once `a^2` is rounded.
#[test]
#[ignore = "what the tests of this file run as a process"]
fn child_of_a_test() {
    const N: usize = 48;
    let a = 1.0 + (-30.0_f64).exp2();
    let row = [1.0, a, 0.0, 0.0, 0.0];
    let column = [-(a * a), a, 0.0, 0.0, 0.0];
    let tape = Tape::<f64>::new();
    let left = tape.constant(Tensor::from_fn([N, row.len()], |i| row[i % row.len()]));
    let right = tape.constant(Tensor::from_fn([column.len(), N], |i| column[i / N]));
    let product = left.matmul(right).value();
    let rest = product.at(&[N - 1, N - 1]);
    assert!(product.iter().all(|x| x == rest));
    println!("<<{}: {}>>", instruction_set(), rest / (-60.0_f64).exp2());
}

#[test]
fn vector_instructions_are_limited() {
    assert_eq!(child("WENGERT_SIMD", "portable"), "portable: 0");
    // Of a child without the variable, for this process may have it.
    let widest = child("UNRELATED", "");
    let narrower = child("WENGERT_SIMD", " avx2");
    match &*widest {
        "avx512: 1" => assert_eq!(narrower, "avx2: 1"),
        _ => assert_eq!(narrower, widest),
    }
    if cfg!(target_arch = "x86_64") {
        assert_ne!(widest, "portable: 1", "portable instructions are not fused");
    }
    assert_eq!(InstructionSet::Avx512.to_string(), "avx512");
}

#[test]
fn values_that_mean_nothing_are_told_where_the_first_tape_is_made() {
    assert_snapshot!(child("WENGERT_SIMD", "sse9"), @r#"
    environment.rs:_:
    WENGERT_SIMD is "sse9": expected avx2 or portable, to which vector instructions are limited, or no such variable
    "#);
    assert_snapshot!(child("WENGERT_THREADS", "two"), @r#"
    environment.rs:_:
    WENGERT_THREADS is "two": expected a number of threads, 1 or more
    "#);
    assert_snapshot!(child("WENGERT_THREADS", "0"), @r#"
    environment.rs:_:
    WENGERT_THREADS is "0": expected a number of threads, 1 or more
    "#);
    assert_snapshot!(child("WENGERT_NATIVE", "off"), @r#"
    environment.rs:_:
    WENGERT_NATIVE is "off": expected 0, so that programs run no machine code of their own, or 1, or no such variable
    "#);
}
