//! Writes a program as Rust source that reproduces what was found.
//!
//! What an op's `Debug` says is almost the source that makes it: only lists of any length want an
//! `into()`, and infinities a name.

use std::fmt::Write;

use crate::checks::Failure;
use crate::program::{Fill, Input, Program, Value};

/// The fields of ops that hold lists, and no arrays.
const LISTS: [&str; 4] = ["shape", "axes", "order", "indices"];

/// The source.
pub fn source(program: &Program, failure: &Failure) -> String {
    let real = if program.single { "f32" } else { "f64" };
    let mut text = String::new();
    let mut line = |line: &str| {
        text += line;
        text.push('\n');
    };
    for part in failure.message.lines() {
        line(&format!("//! {}: {part}", failure.check));
    }
    line("use wengert_core::op::*;");
    line("use wengert_core::{Tape, Tensor, Var};");
    line("");
    line("/// A number from 0 to 1.");
    line("fn number(at: usize, phase: f64) -> f64 {");
    line("    (((at as f64 + phase) * 12.9898).sin() * 43758.5453).rem_euclid(1.0)");
    line("}");
    line("");
    line("/// Numbers from 1/2 to 1 of either sign.");
    line(&format!("fn signed(shape: &[usize], which: usize) -> Tensor<{real}> {{"));
    line("    Tensor::from_fn(shape, |at| {");
    line("        let x = number(at, 0.5 + 7.0 * which as f64) as f32;");
    line(&format!("        {real}::from(if x < 0.5 {{ -0.5 - x }} else {{ x }})"));
    line("    })");
    line("}");
    line("");
    line(&format!("fn inputs() -> Vec<Tensor<{real}>> {{"));
    line("    vec![");
    for &index in &program.varied() {
        line(&format!("        {},", tensor(&program.inputs[index], real)));
    }
    line("    ]");
    line("}");
    line("");
    let signature = format!(
        "fn f<'t>(tape: &'t Tape<{real}>, x: &[Var<'t, {real}>]) -> (Var<'t, {real}>, Vec<Var<'t, {real}>>) {{"
    );
    line(&signature);
    for (index, input) in program.inputs.iter().enumerate().filter(|(_, input)| input.fixed) {
        line(&format!("    let c{index} = tape.constant({});", tensor(input, real)));
    }
    let varied = program.varied();
    for (index, step) in program.steps.iter().enumerate() {
        let name = |value: &Value| match *value {
            Value::Step(i) => format!("y{i}"),
            Value::Input(i) => match varied.iter().position(|&own| own == i) {
                Some(place) => format!("x[{place}]"),
                None => format!("c{i}"),
            },
        };
        let args: Vec<String> = step.args.iter().map(name).collect();
        let op = op(&format!("{:?}", step.op.double));
        line(&format!("    let y{index} = tape.apply({op}, &[{}]);", args.join(", ")));
    }
    let terms: Vec<String> = program
        .outputs()
        .iter()
        .enumerate()
        .map(|(place, y)| {
            format!(
                "(y{y} * tape.constant(signed(&y{y}.shape(), {place})) + y{y} * y{y} * 0.5).sum()"
            )
        })
        .collect();
    line(&format!("    let loss = {};", terms.join(" + ")));
    let all: Vec<String> = (0..program.steps.len()).map(|i| format!("y{i}")).collect();
    line(&format!("    (loss, vec![{}])", all.join(", ")));
    line("}");
    line("");
    line("fn main() {");
    line("    let tape = Tape::new();");
    line("    let x: Vec<_> = inputs().iter().map(|x| tape.variable(x)).collect();");
    line("    let (loss, values) = f(&tape, &x);");
    for end in tail(failure.check).lines() {
        line(&format!("    {end}"));
    }
    line("}");
    text
}

/// What shows the fault that a check finds.
fn tail(check: &str) -> &'static str {
    match check {
        "value" => {
            "println!(\"loss {:?}\", loss.value());\n\
             values.iter().for_each(|y| println!(\"{:?}\", y.value()));"
        }
        "fast" => {
            "let recorded = loss.vjp(tape.constant(1.0), &x);\n\
             let fast = loss.backward();\n\
             for (x, recorded) in x.iter().zip(recorded) {\n    \
                 println!(\"{:?} {:?}\", fast.wrt(*x), recorded.value());\n\
             }\n\
             drop(values);"
        }
        "compiled" => {
            "let mut all = [&[loss][..], &values, &loss.vjp(tape.constant(1.0), &x)].concat();\n\
             let v: Vec<_> = x.iter().enumerate().map(|(i, &x)| (x, tape.constant(signed(&x.shape(), 1000 + i)))).collect();\n\
             all.extend(loss.vjp(tape.constant(1.0), &x).iter().map(|g| g.jvp(&v)));\n\
             let mut program = tape.compile(&x, &all).unwrap();\n\
             for as_code in [false, true] {\n    \
                 if as_code {\n        \
                     program.native();\n    \
                 }\n    \
                 program.execute();\n    \
                 for (i, own) in all.iter().enumerate() {\n        \
                     println!(\"{:?}\\n{:?}\", own.value(), program.output(i));\n    \
                 }\n\
             }"
        }
        "vmap" => {
            "let g = loss.vjp(tape.constant(1.0), &x);\n\
             let v: Vec<_> = x.iter().enumerate().map(|(i, &x)| (x, tape.constant(signed(&x.shape(), 1000 + i)))).collect();\n\
             let twice: Vec<_> = x.iter().map(|&x| (x, wengert_core::stack(&[x, x], 0))).collect();\n\
             println!(\"{:?} {:?}\", loss.value(), loss.vmap(&twice).value());\n\
             for g in g {\n    \
                 println!(\"{:?} {:?}\", g.value(), g.vmap(&twice).value());\n    \
                 println!(\"{:?} {:?}\", g.jvp(&v).value(), g.jvp(&v).vmap(&twice).value());\n\
             }\n\
             drop(values);"
        }
        _ => {
            "let one = tape.constant(1.0);\n\
             let v: Vec<_> = x.iter().enumerate().map(|(i, &x)| (x, tape.constant(signed(&x.shape(), 1000 + i)))).collect();\n\
             let (g, slope) = (loss.vjp(one, &x), loss.jvp(&v));\n\
             println!(\"loss {:?}, slope {:?}\", loss.value(), slope.value());\n\
             for (g, turned) in g.iter().zip(slope.vjp(one, &x)) {\n    \
                 println!(\"gradient {:?}\", g.value());\n    \
                 println!(\"H v {:?} {:?}\", g.jvp(&v).value(), turned.value());\n\
             }\n\
             drop(values);"
        }
    }
}

/// An input's tensor as source.
fn tensor(input: &Input, real: &str) -> String {
    let shape = input.shape.to_vec();
    match &input.fill {
        Fill::List(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(|&x| number(x)).collect();
            format!("Tensor::new(vec!{shape:?}, vec![{}])", numbers.join(", "))
        }
        &Fill::Between { low, high, diagonal: 0.0, .. } if low == high => {
            format!("Tensor::full(vec!{shape:?}, {})", number(low))
        }
        &Fill::Between { low, high, phase, whole, diagonal } => {
            let mut x = format!("{} + {} * number(at, {phase:?})", number(low), number(high - low));
            if whole {
                x = format!("({x}).round()");
            }
            if let (true, [.., n, m]) = (diagonal != 0.0, &shape[..]) {
                x += &format!(
                    " + if at / {m} % {n} == at % {m} {{ {diagonal:?} * (at % {m} + 1) as f64 }} \
                     else {{ 0.0 }}"
                );
            }
            format!("Tensor::from_fn(vec!{shape:?}, |at| {real}::from(({x}) as f32))")
        }
    }
}

fn number(x: f64) -> String {
    match x {
        x if x.is_nan() => "f64::NAN as _".to_owned(),
        x if x == f64::INFINITY => "f64::INFINITY as _".to_owned(),
        x if x == f64::NEG_INFINITY => "f64::NEG_INFINITY as _".to_owned(),
        x => format!("{x:?}"),
    }
}

/// An op as source, from its `Debug`: without the shell around it.
fn op(debug: &str) -> String {
    let inner = debug.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    let inner = inner.unwrap_or(debug).replace("-inf", "f64::NEG_INFINITY");
    let inner = inner.replace(": inf", ": f64::INFINITY");
    let mut text = String::new();
    let mut rest = inner.as_str();
    while let Some(open) = rest.find('[') {
        let before = &rest[..open];
        let is_list = LISTS.iter().any(|name| before.ends_with(&format!("{name}: ")));
        if !is_list {
            text += &rest[..=open];
            rest = &rest[open + 1..];
            continue;
        }
        let close = open + rest[open..].find(']').expect("what opens, closes");
        let _ = write!(text, "{before}vec!{}.into()", &rest[open..=close]);
        rest = &rest[close + 1..];
    }
    text + rest
}
