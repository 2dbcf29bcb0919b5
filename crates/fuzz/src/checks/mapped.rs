//! Many inputs at once, against one after the other.

use wengert_core::{Tape, Tensor, Var, stack, vmap};

use super::sweeps::has_derivatives;
use super::{Kept, Made, Outcome};
use crate::measure::{Kind, Quantities, Subject, derivatives, directions, loss};
use crate::program::{Precision, Program};

/// How many inputs at once.
const EXTENT: usize = 3;

pub(super) fn mapped<T: Kept>(subject: &Subject<T>) -> Outcome {
    let Some(points) = points(subject) else { return Ok(Made::No) };
    derivatives_of_a_map(&points)?;
    map_of_derivatives(&points)?;
    Ok(Made::Yes)
}

/// A function that asks for derivatives can be mapped.
pub(super) fn within<T: Kept>(subject: &Subject<T>) -> Outcome {
    let Some(points) = points(subject) else { return Ok(Made::No) };
    map_of_a_function(&points)?;
    Ok(Made::Yes)
}

/// The program at several inputs, if it has derivatives at all of them.
fn points<T: Kept>(subject: &Subject<T>) -> Option<Vec<Subject<T>>> {
    if !has_derivatives(subject) || subject.tensors.iter().any(Tensor::is_empty) {
        return None;
    }
    let points: Vec<Subject<T>> =
        (0..EXTENT).map(|variation| Subject::new(&subject.program, variation)).collect();
    points.iter().all(has_derivatives).then_some(points)
}

/// The inputs of all points along a new leading axis, as variables.
fn all<'t, T: Precision>(points: &[Subject<T>], tape: &'t Tape<T>) -> Vec<Var<'t, T>> {
    let varied = points[0].program.varied().into_iter();
    varied
        .map(|i| {
            let own: Vec<_> = points.iter().map(|p| tape.constant(&p.tensors[i])).collect();
            tape.variable(stack(&own, 0).value())
        })
        .collect()
}

/// The part of a mapped value that belongs to a point.
fn part<T: Precision>(of: &Tensor<T>, point: usize) -> Tensor<T> {
    let part = of.slice(0, point, 1, 1).contiguous();
    part.reshape(&of.shape()[1..])
}

/// Recorded derivatives, mapped.
fn map_of_derivatives<T: Kept>(points: &[Subject<T>]) -> Result<(), String> {
    let program = &points[0].program;
    let tape = Tape::new();
    let leaves = program.leaves(&tape, &points[0].tensors);
    let y = loss(program, &program.record(&leaves));
    let lines = directions(program, &points[0].tensors, &leaves);
    let recorded = derivatives(y, &lines);
    let all = all(points, &tape);
    let mut inputs: Vec<_> = lines.iter().zip(&all).map(|((x, _), all)| (*x, *all)).collect();
    // Each point has directions of its own.
    for (place, i) in program.varied().into_iter().enumerate() {
        let own: Vec<_> = points
            .iter()
            .map(|point| tape.constant(crate::measure::direction(&point.tensors[i], i)))
            .collect();
        inputs.push((lines[place].1, stack(&own, 0)));
    }
    let mut found: Vec<(usize, Var<'_, T>)> =
        vec![(0, y), (points[0].place(Kind::Slope), recorded.slope)];
    let kinds = [
        (Kind::Gradient, &recorded.gradient),
        (Kind::Bend, &recorded.bend),
        (Kind::Turned, &recorded.turned),
    ];
    for (kind, vars) in kinds {
        found.extend(vars.iter().enumerate().map(|(i, &var)| (points[0].place(kind) + i, var)));
    }
    for (index, var) in found {
        let mapped = var.vmap(&inputs).value();
        for (number, point) in points.iter().enumerate() {
            let how = format!("mapped, at point {number}");
            point.agrees(index, &part(&mapped, number), &how)?;
        }
    }
    Ok(())
}

/// The gradient of a mapped function.
fn derivatives_of_a_map<T: Kept>(points: &[Subject<T>]) -> Result<(), String> {
    let program = &points[0].program;
    let tape = Tape::new();
    let leaves = program.leaves(&tape, &points[0].tensors);
    let y = loss(program, &program.record(&leaves));
    let all = all(points, &tape);
    let varied = program.varied().into_iter();
    let inputs: Vec<_> = varied.map(|i| leaves[i]).zip(all.iter().copied()).collect();
    let losses = y.vmap(&inputs);
    let gradients = losses.sum().vjp(tape.constant(T::one()), &all);
    for (number, point) in points.iter().enumerate() {
        point.agrees(0, &part(&losses.value(), number), &format!("mapped, at point {number}"))?;
        for (place, gradient) in gradients.iter().enumerate() {
            let how = format!("through the map, at point {number}");
            let index = point.place(Kind::Gradient) + place;
            point.agrees(index, &part(&gradient.value(), number), &how)?;
        }
    }
    Ok(())
}

/// A function that asks for derivatives, mapped.
fn map_of_a_function<T: Kept>(points: &[Subject<T>]) -> Result<(), String> {
    let program = &points[0].program;
    let packed: Vec<Tensor<T>> =
        points.iter().map(|point| packed(program, &point.tensors)).collect();
    let width = packed[0].len();
    let rows = Tensor::new([EXTENT, width], packed.iter().flat_map(Tensor::iter).collect());
    let gradients = vmap(
        |x| {
            let leaves = unpacked(program, x);
            let [g] = loss(program, &program.record(&leaves)).grad([x]);
            g
        },
        &rows,
    );
    for (number, point) in points.iter().enumerate() {
        let Quantities { derivatives, .. } = point.base();
        let own = part(&gradients, number);
        let mut start = 0;
        let expected = &derivatives.as_ref().expect("there are some").gradient;
        for (place, gradient) in expected.iter().enumerate() {
            let one = own.slice(0, start, gradient.len(), 1).contiguous();
            let how = format!("by vmap of a gradient, at point {number}");
            let index = point.place(Kind::Gradient) + place;
            point.agrees(index, &one.reshape(gradient.shape()), &how)?;
            start += gradient.len();
        }
    }
    Ok(())
}

/// All inputs that vary, one after the other.
pub(super) fn packed<T: Precision>(program: &Program, tensors: &[Tensor<T>]) -> Tensor<T> {
    let numbers: Vec<T> = program.varied().into_iter().flat_map(|i| tensors[i].to_vec()).collect();
    Tensor::new([numbers.len()], numbers)
}

/// The inputs from [packed] ones.
pub(super) fn unpacked<'t, T: Precision>(program: &Program, x: Var<'t, T>) -> Vec<Var<'t, T>> {
    let mut start = 0;
    program
        .inputs
        .iter()
        .map(|input| {
            if input.fixed {
                return x.tape().constant(input.tensor(0));
            }
            let end = start + input.shape.elements();
            let own = x.slice(0, start..end).reshape(&input.shape);
            start = end;
            own
        })
        .collect()
}
