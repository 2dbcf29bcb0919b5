//! Makes a program that fails small.
//!
//! A change is kept if the program still fails the same check. First results and steps go, a step
//! being replaced by an input that holds what it gave; then variables become constants, extents
//! become smaller wherever they stand, and numbers simpler. Changes are tried again until none
//! helps, so what is left is small in every one of these ways.

use wengert_core::{Shape, Tensor};

use crate::checks::{Failure, Session, guarded, run};
use crate::program::{Arrange, Fill, Input, Program, Step, Value};

/// Programs that are tried at most.
const TRIES: usize = 1500;

/// A small program that fails as the given one does, and how it fails.
pub fn shrunk(session: &Session, program: &Program, failure: &Failure) -> (Program, Failure) {
    let (mut least, mut failure) = (program.clone(), failure.clone());
    let mut tries = 0;
    loop {
        let (mut at, mut helped) = (0, false);
        // What did not help a moment ago is tried again in the next round only.
        while let Some(candidate) = candidates(&least).into_iter().nth(at) {
            if format!("{candidate:?}") == format!("{least:?}") {
                at += 1;
                continue;
            }
            tries += 1;
            if tries > TRIES {
                return (least, failure);
            }
            match fails(session, &candidate, failure.check) {
                Some(again) => (least, failure, helped) = (candidate, again, true),
                None => at += 1,
            }
        }
        if !helped {
            return (least, failure);
        }
    }
}

/// How a program fails a check, on tapes that held nothing before.
pub fn fails(session: &Session, program: &Program, check: &'static str) -> Option<Failure> {
    let valid = guarded(|| {
        let values = program.evaluate(&program.tensors(0));
        values.ok_or_else(|| "shapes do not fit".to_owned())
    });
    if program.steps.is_empty() || program.varied().is_empty() || valid.is_err() {
        return None;
    }
    session.forget();
    run(session, program, &[check]).1
}

/// Programs that are smaller in one way, those that are much smaller first.
fn candidates(program: &Program) -> Vec<Program> {
    let mut all = Vec::new();
    let outputs = program.outputs();
    if outputs.len() > 1 {
        all.extend(outputs.iter().map(|&one| program.pruned(&[one])));
        all.extend(outputs.iter().map(|one| {
            program.pruned(&outputs.iter().copied().filter(|own| own != one).collect::<Vec<_>>())
        }));
    }
    if program.steps.len() > 1 {
        // A result that is some other step.
        all.extend((0..program.steps.len()).map(|one| program.pruned(&[one])));
        all.extend((0..program.steps.len()).rev().flat_map(|step| without(program, step)));
    }
    for (index, input) in program.inputs.iter().enumerate() {
        if !input.fixed {
            all.push(with_input(program, index, Input { fixed: true, ..input.clone() }));
        }
    }
    all.extend(smaller(program));
    all.extend(simpler(program));
    if program.single {
        all.push(Program { single: false, ..program.clone() });
    }
    all
}

/// The program with a step replaced by an operand, or by an input of its own.
fn without(program: &Program, step: usize) -> Vec<Program> {
    let Ok(Some(values)) = guarded(|| Ok(program.evaluate(&program.tensors(0)))) else {
        return Vec::new();
    };
    let outputs = program.outputs();
    let mut all = Vec::new();
    let mut replaced = |by: Value, inputs: &[Input]| {
        let put = |value: &Value| if *value == Value::Step(step) { by } else { *value };
        let steps = program
            .steps
            .iter()
            .map(|own| Step { args: own.args.iter().map(put).collect(), ..own.clone() });
        let changed =
            Program { inputs: inputs.to_vec(), steps: steps.collect(), ..program.clone() };
        all.push(changed.pruned(&outputs));
    };
    if outputs.contains(&step) {
        return Vec::new();
    }
    for &arg in &program.steps[step].args {
        replaced(arg, &program.inputs);
    }
    let shape = values[step].shape().clone();
    for fill in [
        Fill::Between { low: -1.0, high: 1.0, phase: 0.0, whole: false, diagonal: 0.0 },
        Fill::Between { low: 0.5, high: 1.0, phase: 0.0, whole: false, diagonal: 0.0 },
        Fill::List(values[step].iter().map(|x| f64::from(x as f32)).collect()),
    ] {
        let own = Input { shape: shape.clone(), fill, fixed: false };
        let inputs = [program.inputs.as_slice(), &[own]].concat();
        replaced(Value::Input(program.inputs.len()), &inputs);
    }
    all
}

fn with_input(program: &Program, index: usize, input: Input) -> Program {
    let mut changed = program.clone();
    changed.inputs[index] = input;
    changed
}

/// The program with an extent made smaller wherever it stands, or without an axis.
fn smaller(program: &Program) -> Vec<Program> {
    let mut extents: Vec<usize> =
        program.inputs.iter().flat_map(|input| input.shape.to_vec()).filter(|&e| e > 1).collect();
    extents.sort_unstable();
    extents.dedup();
    let mut all = Vec::new();
    for &old in extents.iter().rev() {
        let mut new = vec![1, 2, 3, 4, old / 2, old * 3 / 4, old - 1];
        new.retain(|&new| new < old && new > 0);
        new.dedup();
        for new in new {
            let put = |extent: usize| if extent == old { new } else { extent };
            all.push(reshaped(program, &|shape| shape.iter().map(|&e| put(e)).collect()));
            // In one input only: an operand that another is stretched to.
            for (index, input) in program.inputs.iter().enumerate() {
                let extents: Vec<usize> = input.shape.iter().map(|&e| put(e)).collect();
                all.push(with_input(program, index, resized(input, extents.into())));
            }
        }
    }
    let rank = program.inputs.iter().map(|input| input.shape.rank()).max().unwrap_or(0);
    let leads = |shape: &Shape| usize::from(rank > 0 && shape.rank() == rank);
    all.push(reshaped(program, &|shape| shape[leads(shape)..].to_vec()));
    all
}

/// The program with all shapes changed in the same way.
fn reshaped(program: &Program, change: &dyn Fn(&Shape) -> Vec<usize>) -> Program {
    let mut changed = program.clone();
    for input in &mut changed.inputs {
        let shape = change(&input.shape).into();
        *input = resized(input, shape);
    }
    for step in &mut changed.steps {
        let arrange = match &step.arrange {
            Some(Arrange::Reshape(shape)) => Arrange::Reshape(change(shape).into()),
            Some(Arrange::BroadcastTo(shape)) => Arrange::BroadcastTo(change(shape).into()),
            Some(Arrange::SumTo(shape)) => Arrange::SumTo(change(shape).into()),
            &Some(Arrange::Slice { axis, count, step, .. }) => {
                let count = change(&[count].into()).first().copied().unwrap_or(count);
                let start = if step < 0 { (count - 1) * step.unsigned_abs() } else { 0 };
                Arrange::Slice { axis, start, count, step }
            }
            _ => continue,
        };
        step.op = arrange.op();
        step.arrange = Some(arrange);
    }
    changed
}

/// The input in another shape.
fn resized(input: &Input, shape: Shape) -> Input {
    let mut resized = input.clone();
    if let Fill::List(numbers) = &input.fill {
        let mut numbers = numbers.clone();
        numbers.resize(shape.elements(), numbers.last().copied().unwrap_or(1.0));
        resized.fill = Fill::List(numbers);
    }
    resized.shape = shape;
    resized
}

/// The program with simpler numbers in one input.
fn simpler(program: &Program) -> Vec<Program> {
    let mut all = Vec::new();
    for (index, input) in program.inputs.iter().enumerate() {
        let tensor: Tensor<f64> = input.tensor(0);
        let mut fills = vec![Fill::constant(1.0), Fill::constant(0.5)];
        if tensor.len() <= 8 {
            let rounded = |digits: f64| {
                Fill::List(
                    tensor
                        .iter()
                        .map(|x| f64::from(((x * digits).round() / digits) as f32))
                        .collect(),
                )
            };
            fills.extend([rounded(2.0), rounded(10.0)]);
        }
        let is_constant = tensor.iter().all(|x| Some(x) == tensor.iter().next());
        let settled = match &input.fill {
            Fill::Between { low, high, .. } => low == high,
            Fill::List(_) => is_constant,
        };
        if settled || input.fixed {
            continue;
        }
        for fill in fills {
            // Only towards what is simpler, so that it ends.
            let is_list = matches!(fill, Fill::List(_));
            if fill != input.fill && !(is_list && matches!(input.fill, Fill::List(_))) {
                all.push(with_input(program, index, Input { fill, ..input.clone() }));
            }
        }
    }
    all
}
