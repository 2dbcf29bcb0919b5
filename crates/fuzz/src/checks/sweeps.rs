//! One derivative in several ways.

use wengert_core::{Tape, Tensor};

use super::{Kept, Made, Outcome};
use crate::measure::{Kind, Subject, direction, loss};
use crate::program::Precision;

/// Whether derivatives can be compared: there are some, and all numbers are finite.
pub(super) fn has_derivatives<T: Precision>(subject: &Subject<T>) -> bool {
    subject.base().derivatives.is_some() && subject.base().is_finite()
}

/// The fast sweep gives what the recorded one gives.
pub(super) fn fast<T: Kept>(subject: &Subject<T>) -> Outcome {
    if !has_derivatives(subject) {
        return Ok(Made::No);
    }
    let tape = Tape::new();
    let leaves = subject.program.leaves(&tape, &subject.tensors);
    let results = subject.program.record(&leaves);
    let y = loss(&subject.program, &results);
    let gradients = y.backward();
    for (place, input) in subject.program.varied().into_iter().enumerate() {
        let found = gradients.wrt(leaves[input]);
        subject.agrees(subject.place(Kind::Gradient) + place, &found, "by the fast sweep")?;
    }
    Ok(Made::Yes)
}

/// `<g, v>`, and the roundings of its terms.
fn product<T: Precision>(subject: &Subject<T>, of: &[Tensor<T>], kind: Kind) -> (f64, f64) {
    let (mut sum, mut room) = (0.0, 0.0);
    for (place, (input, g)) in subject.program.varied().into_iter().zip(of).enumerate() {
        let v = direction(&subject.tensors[input], input);
        let terms = g.iter().zip(v.iter()).map(|(g, v)| g.as_f64() * v.as_f64());
        let (own, size) = total(terms);
        // Errors of the elements are of both signs and add up like a random walk.
        let elements = (g.len() as f64).sqrt();
        sum += own;
        room += subject.room(subject.place(kind) + place) * elements
            + 8.0 * T::epsilon().as_f64() * size;
    }
    (sum, room)
}

/// A sum, with the errors of its additions caught (Neumaier, 1974), and that of the magnitudes.
fn total(terms: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut sum, mut lost, mut size) = (0.0_f64, 0.0, 0.0);
    for term in terms {
        let next = sum + term;
        let [large, small] = if sum.abs() >= term.abs() { [sum, term] } else { [term, sum] };
        lost += (large - next) + small;
        sum = next;
        size += term.abs();
    }
    (sum + lost, size)
}

fn close(what: [&str; 2], a: f64, b: f64, room: f64) -> Outcome {
    match (a - b).abs() <= room {
        true => Ok(Made::Yes),
        false => Err(format!(
            "{} is {a:e}, and {} is {b:e}; roundings explain {room:.1e}",
            what[0], what[1]
        )),
    }
}

/// `<w, J v> = <J' w, v>`.
pub(super) fn forward<T: Kept>(subject: &Subject<T>) -> Outcome {
    if !has_derivatives(subject) {
        return Ok(Made::No);
    }
    let derivatives = subject.base().derivatives.as_ref().expect("there are some");
    let (across, room) = product(subject, &derivatives.gradient, Kind::Gradient);
    let slope = derivatives.slope.item().as_f64();
    let room = room + subject.room(subject.place(Kind::Slope));
    close(["the slope by forward mode", "by reverse mode it"], slope, across, room)
}

/// The Hessian is symmetric: forward over reverse gives what reverse over forward gives.
pub(super) fn second<T: Kept>(subject: &Subject<T>) -> Outcome {
    if !has_derivatives(subject) {
        return Ok(Made::No);
    }
    let derivatives = subject.base().derivatives.as_ref().expect("there are some");
    for (place, turned) in derivatives.turned.iter().enumerate() {
        let index = subject.place(Kind::Bend) + place;
        let how = "by reverse over forward mode";
        if subject.agrees(index, turned, how).is_err() {
            // What one way cancels, the other may not.
            let other = subject.place(Kind::Turned) + place;
            subject.agrees(other, &derivatives.bend[place], "by forward over reverse mode")?;
        }
    }
    Ok(Made::Yes)
}

/// Taylor mode gives the curvature of the line.
pub(super) fn taylor<T: Kept>(subject: &Subject<T>) -> Outcome {
    if !has_derivatives(subject) {
        return Ok(Made::No);
    }
    let derivatives = subject.base().derivatives.as_ref().expect("there are some");
    let (bend, room) = product(subject, &derivatives.bend, Kind::Bend);
    let curve = 2.0 * derivatives.curve.item().as_f64();
    let room = room + 2.0 * subject.room(subject.place(Kind::Curve));
    close(["<v, H v> by Taylor mode", "by forward over reverse mode it"], curve, bend, room)
}

/// Single precision gives what double precision gives for the same numbers.
pub(super) fn precision<T: Kept>(subject: &Subject<T>) -> Outcome {
    if !subject.program.single || !has_derivatives(subject) {
        return Ok(Made::No);
    }
    let wide = Subject::<f64>::new(&subject.program, 0);
    for (index, (_, expected)) in wide.base().named().into_iter().enumerate() {
        subject.agrees(index, &expected.cast(), "in double precision")?;
    }
    Ok(Made::Yes)
}
