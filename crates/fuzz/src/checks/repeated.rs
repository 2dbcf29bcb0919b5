//! The same computation again, in another way: to the last bit, but for checkpoints.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use wengert_core::checkpoint::checkpoint;
use wengert_core::op::DynOp;
use wengert_core::{CompileError, Tape, Tensor, Var, threads};

use super::mapped::{packed, unpacked};
use super::sweeps::has_derivatives;
use super::{Kept, Made, Outcome, Session};
use crate::measure::{Kind, Subject, derivatives, directions, loss};
use crate::program::{Precision, Program};

/// Whether tensors are the same to the last bit, with the sign of zero. NaN is NaN.
fn same<T: Precision>(
    what: &str,
    a: &[Tensor<T>],
    b: &[Tensor<T>],
    how: &str,
) -> Result<(), String> {
    if a.len() != b.len() {
        return Err(format!("{} tensors, and {} {how}", a.len(), b.len()));
    }
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        if a.shape() != b.shape() {
            return Err(format!("{what} {index} has shape {}, and {} {how}", a.shape(), b.shape()));
        }
        let equal = |a: T, b: T| {
            a == b && a.is_sign_negative() == b.is_sign_negative() || a.is_nan() && b.is_nan()
        };
        if let Some((at, (a, b))) =
            a.iter().zip(b.iter()).enumerate().find(|(_, (a, b))| !equal(*a, *b))
        {
            let (a, b) = (a.as_f64(), b.as_f64());
            return Err(format!("{what} {index}, element {at}: {a:e}, and {b:e} {how}"));
        }
    }
    Ok(())
}

/// What one recording gives: values, the loss, and derivatives, of fast sweeps or recorded ones.
/// Directions are those of the numbers of `tensors`.
fn results<'t, T: Precision>(
    program: &Program,
    tensors: &[Tensor<T>],
    leaves: &[Var<'t, T>],
    recorded: bool,
) -> Vec<Var<'t, T>> {
    let mut all = program.record(leaves);
    let y = loss(program, &all);
    all.push(y);
    if !y.is_active() {
        return all;
    }
    let lines = directions(program, tensors, leaves);
    if recorded {
        let recorded = derivatives(y, &lines);
        all.extend(recorded.gradient);
        all.push(recorded.slope);
        all.extend(recorded.bend);
        return all;
    }
    let gradients = y.backward();
    all.extend(lines.iter().map(|(x, _)| gradients.on_tape(*x)));
    all
}

fn values<T: Precision>(vars: &[Var<'_, T>]) -> Vec<Tensor<T>> {
    vars.iter().map(|var| var.value().contiguous()).collect()
}

fn fresh<T: Precision>(subject: &Subject<T>, recorded: bool) -> Vec<Tensor<T>> {
    let tape = Tape::new();
    let leaves = subject.program.leaves(&tape, &subject.tensors);
    values(&results(&subject.program, &subject.tensors, &leaves, recorded))
}

/// A program gives the bits of the tape, at the inputs of the recording and at others, interpreted and as
/// machine code.
pub(super) fn compiled<T: Kept>(subject: &Subject<T>) -> Outcome {
    for recorded in [false, true] {
        let tape = Tape::new();
        let leaves = subject.program.leaves(&tape, &subject.tensors);
        let all = results(&subject.program, &subject.tensors, &leaves, recorded);
        let inputs: Vec<_> = subject.program.varied().into_iter().map(|i| leaves[i]).collect();
        let mut program = match tape.compile(&inputs, &all) {
            Ok(program) => program,
            // A rule that reads a value has no program, and is refused one.
            Err(CompileError::ValueRead { .. }) => return Ok(Made::No),
            Err(error) => return Err(error.to_string()),
        };
        for (variation, how) in [
            (0, "compiled"),
            (1, "compiled, at other inputs"),
            (0, "as machine code"),
            (1, "as machine code, at other inputs"),
        ] {
            if how == "as machine code" {
                program.native();
            }
            let other = Subject::<T>::new(&subject.program, variation);
            // A program takes the directions of the recording as fixed.
            let fresh = Tape::new();
            let again = other.program.leaves(&fresh, &other.tensors);
            let all = results(&other.program, &subject.tensors, &again, recorded);
            let expected = values(&all);
            for (place, input) in subject.program.varied().into_iter().enumerate() {
                program.set_input(place, &other.tensors[input]);
            }
            program.execute();
            let found: Vec<_> = (0..program.outputs()).map(|i| program.output(i)).collect();
            same("result", &expected, &found, how)?;
        }
    }
    Ok(Made::Yes)
}

/// A tape that held other programs gives the bits of a fresh one, and does so when it repeats
/// itself at other inputs.
pub(super) fn reused<T: Kept>(session: &Session, subject: &Subject<T>) -> Outcome {
    let mut tape = T::tape(session).borrow_mut();
    for (variation, recorded) in [(0, false), (1, false), (0, true), (1, true)] {
        let own = Subject::<T>::new(&subject.program, variation);
        tape.reset();
        let leaves = own.program.leaves(&tape, &own.tensors);
        let found = values(&results(&own.program, &own.tensors, &leaves, recorded));
        same("result", &fresh(&own, recorded), &found, "on a tape that was reset")?;
    }
    Ok(Made::Yes)
}

/// A recording that a panic ended leaves a tape that is as good as new after a reset.
pub(super) fn interrupted<T: Kept>(session: &Session, subject: &Subject<T>) -> Outcome {
    let mut tape = T::tape(session).borrow_mut();
    let program = &subject.program;
    let middle = program.steps.len() / 2;
    for way in 0..4 {
        tape.reset();
        let stopped = catch_unwind(AssertUnwindSafe(|| {
            let leaves = program.leaves(&tape, &subject.tensors);
            let stop = |index: usize, op: &Rc<dyn DynOp<T>>| {
                assert!(index < middle, "stopped on purpose");
                op.clone()
            };
            match way {
                // In the middle of a recording.
                0 => drop(program.record_with(&leaves, stop)),
                // In a mode.
                1 => tape.without_gradients(|| drop(program.record_with(&leaves, stop))),
                // Where an op refuses its operands, after a sweep.
                2 => {
                    let y = loss(program, &program.record(&leaves));
                    if y.is_active() {
                        y.backward();
                    }
                    tape.constant(vec![T::one(); 2]).matmul(tape.constant(vec![T::one(); 3]));
                }
                // In a function that is recorded elsewhere.
                _ => {
                    let x = tape.variable(packed(program, &subject.tensors));
                    let own = program.clone();
                    let stop = closure(move |[x]| {
                        let _ = own.record(&unpacked(&own, x));
                        assert!(own.steps.is_empty(), "stopped on purpose");
                        [x]
                    });
                    checkpoint(stop, [x]);
                }
            }
        }));
        if stopped.is_ok() {
            return Err(format!("way {way} of stopping a recording did not stop it"));
        }
        let recorded = way % 2 == 1;
        tape.reset();
        let leaves = program.leaves(&tape, &subject.tensors);
        let found = values(&results(program, &subject.tensors, &leaves, recorded));
        let how = format!("after a recording that was interrupted (way {way})");
        same("result", &fresh(subject, recorded), &found, &how)?;
    }
    Ok(Made::Yes)
}

/// Tells the compiler that a closure works for tapes of any lifetime.
fn closure<T: Precision, F>(f: F) -> F
where
    F: for<'s> Fn([Var<'s, T>; 1]) -> [Var<'s, T>; 1] + 'static,
{
    f
}

/// A checkpointed program has the value and the derivatives of a plain one.
pub(super) fn checkpointed<T: Kept>(subject: &Subject<T>) -> Outcome {
    if !has_derivatives(subject) {
        return Ok(Made::No);
    }
    let program = subject.program.clone();
    let tape = Tape::new();
    let lines = directions(
        &subject.program,
        &subject.tensors,
        &subject.program.leaves(&tape, &subject.tensors),
    );
    let x = tape.variable(packed(&subject.program, &subject.tensors));
    let f = closure(move |[x]| [loss(&program, &program.record(&unpacked(&program, x)))]);
    let v: Vec<T> = lines.iter().flat_map(|(_, v)| v.value().to_vec()).collect();
    let v = tape.constant(Tensor::new([v.len()], v));
    let [y] = checkpoint(f, [x]);
    subject.agrees(0, &y.value(), "under a checkpoint")?;
    let recorded = derivatives(y, &[(x, v)]);
    subject.agrees(subject.place(Kind::Slope), &recorded.slope.value(), "under a checkpoint")?;
    let fast = y.backward().wrt(x);
    let found = [
        (Kind::Gradient, recorded.gradient[0].value()),
        (Kind::Gradient, fast),
        (Kind::Bend, recorded.bend[0].value()),
        (Kind::Turned, recorded.turned[0].value()),
    ];
    for (kind, found) in found {
        let mut start = 0;
        for (place, i) in subject.program.varied().into_iter().enumerate() {
            let shape = &subject.program.inputs[i].shape;
            let own = found.slice(0, start, shape.elements(), 1).contiguous().reshape(shape);
            subject.agrees(subject.place(kind) + place, &own, "under a checkpoint")?;
            start += shape.elements();
        }
    }
    Ok(Made::Yes)
}

/// No bit depends on the number of threads.
pub(super) fn threads<T: Kept>(subject: &Subject<T>) -> Outcome {
    let count = threads::count();
    let on = |count: usize| {
        threads::set(count);
        fresh(subject, true)
    };
    let (one, three) = (on(1), on(3));
    threads::set(count);
    same("result", &one, &three, "on three threads")?;
    Ok(Made::Yes)
}
