//! Hand tracking: a skeleton moves a skin of many vertices, which is to pass through measured points.
//!
//! 26 inputs, and three outputs for each point: the Jacobian is tall, so it goes forward, all 26 directions in one bundle.
//! Barycentric coordinates belong to one point each, so that one direction serves those of all points.
//! The skin is a product of matrices: of weights, vertices times bones, with the transformations of bones.

use serde_json::{Value, json};
use wengert::prelude::*;

use super::{Evaluate, Named};
use crate::clock::Clock;
use crate::input::{Error, Input, lists};

pub(super) const FUNCTIONS: &[Named<Evaluate>] =
    &[("objective", objective), ("jacobian", jacobian)];

/// Pose parameters: a rotation, a translation, and four angles for each of five fingers.
const PARAMETERS: usize = 26;
/// Below this angle the whole is not turned.
const SMALL: f64 = 1e-4;

/// What is known of a hand beside numbers.
struct Hand {
    /// The bone that each bone hangs on; the root hangs on none.
    parents: Vec<Option<usize>>,
    is_mirrored: bool,
    /// The vertices of each measured point: one, or the corners of its triangle.
    corners: Vec<Vec<usize>>,
}

/// The numbers that come in.
#[derive(Clone, Copy, Inputs)]
struct Numbers<X> {
    /// The pose.
    theta: X,
    /// The first two barycentric coordinates of each point, `[n, 2]`.
    us: X,
    /// The measured points, `[n, 3]`.
    points: X,
    /// `[bones, 4, 4]` each: of a bone in its parent, and of the world in a bone at rest.
    base_relatives: X,
    inverse_base_absolutes: X,
    /// Vertices at rest, `[vertices, 4]`, and how much each follows each bone, `[vertices, bones]`.
    base_positions: X,
    weights: X,
}

/// A matrix of scalars or of equally many numbers, as a tensor with its rows and columns as last axes.
fn matrix<'t, const N: usize>(rows: [[Var<'t, f64>; N]; N]) -> Var<'t, f64> {
    stack(&rows.map(|row| stack(&row, -1)), -2)
}

impl Hand {
    fn bones(&self) -> usize {
        self.parents.len()
    }

    /// Where the pose has a bone's angles about x and z. `PARAMETERS` stands for an angle of zero.
    fn angles(&self) -> [Vec<usize>; 2] {
        let mut about = [(); 2].map(|()| vec![PARAMETERS; self.bones()]);
        for finger in 0..5 {
            let (k, bone) = (6 + 4 * finger, 2 + 4 * finger);
            for (axis, bone, parameter) in
                [(0, bone, k), (1, bone, k + 1), (0, bone + 1, k + 2), (0, bone + 2, k + 3)]
            {
                if let Some(place) = about[axis].get_mut(bone) {
                    *place = parameter;
                }
            }
        }
        about
    }

    /// Rotations of all bones about x, then z, `[bones, 4, 4]`. (No bone turns about y.)
    fn rotations<'t>(&self, theta: Var<'t, f64>) -> Var<'t, f64> {
        let padded = theta.pad(0, 0, 1);
        let [about_x, about_z] = self.angles().map(|places| padded.gather(0, places));
        let [(sx, cx), (sz, cz)] = [about_x, about_z].map(|angle| (angle.sin(), angle.cos()));
        let constant = |x| theta.tape().constant(Tensor::full([self.bones()], x));
        let (zero, one) = (constant(0.0), constant(1.0));
        matrix([
            [cz, -sz * cx, sz * sx, zero],
            [sz, cz * cx, -cz * sx, zero],
            [zero, sx, cx, zero],
            [zero, zero, zero, one],
        ])
    }

    /// How each bone moves the vertices at rest, `[bones, 12]`: the upper three rows of a matrix.
    fn transforms<'t>(&self, hand: &Numbers<Var<'t, f64>>) -> Var<'t, f64> {
        let relatives = hand.base_relatives.matmul(self.rotations(hand.theta));
        let mut absolutes: Vec<Var<'t, f64>> = Vec::with_capacity(self.bones());
        for (bone, parent) in self.parents.iter().enumerate() {
            let relative = relatives.slice(0, bone..=bone).reshape([4, 4]);
            absolutes.push(parent.map_or(relative, |parent| absolutes[parent].matmul(relative)));
        }
        let all = stack(&absolutes, 0).matmul(hand.inverse_base_absolutes);
        all.slice(1, ..3).reshape([self.bones(), 12])
    }

    /// The vertices of the moved skin, `[vertices, 3]`.
    fn skin<'t>(&self, hand: &Numbers<Var<'t, f64>>) -> Var<'t, f64> {
        let vertices = hand.weights.shape()[0];
        let moved = hand.weights.matmul(self.transforms(hand)).reshape([vertices, 3, 4]);
        let skin = (moved * hand.base_positions.unsqueeze(1)).sum_over(-1);
        let skin = if self.is_mirrored { skin * [-1.0, 1.0, 1.0] } else { skin };
        skin.matmul_transposed(turn(hand.theta)) + hand.theta.slice(0, 3..6)
    }

    /// Measured points less where the skin is, `[n, 3]`.
    fn errors<'t>(&self, hand: Numbers<Var<'t, f64>>) -> Var<'t, f64> {
        let skin = self.skin(&hand);
        let corners: Vec<_> = self.corners.iter().map(|of| skin.gather(0, &of[..])).collect();
        match corners[..] {
            [a, b, c] => {
                let [u, v] = [0, 1].map(|k| hand.us.slice(1, k..=k));
                hand.points - (u * a + v * b + (1.0 - u - v) * c)
            }
            _ => hand.points - corners[0],
        }
    }

    /// The errors' Jacobian, `[n, 3, directions]`: by the own coordinates, if there are any, and by the pose.
    fn jacobian<'t>(&self, hand: Numbers<Var<'t, f64>>) -> Var<'t, f64> {
        let tape = hand.theta.tape();
        let errors = self.errors(hand);
        let mut columns = Vec::new();
        if self.corners.len() == 3 {
            for unit in [[1.0, 0.0], [0.0, 1.0]] {
                let direction = tape.constant(unit).broadcast_to(hand.us.shape());
                columns.push(errors.jvp(&[(hand.us, direction)]).unsqueeze(-1));
            }
        }
        let direction = tape.constant(Tensor::zeros([PARAMETERS]));
        let along = errors.jvp(&[(hand.theta, direction)]);
        let units = Tensor::from_fn([PARAMETERS, PARAMETERS], |i| {
            if i % PARAMETERS == i / PARAMETERS { 1.0 } else { 0.0 }
        });
        columns.push(along.vmap(&[(direction, tape.constant(units))]).move_axis(0, -1));
        concat(&columns, -1)
    }

    fn read(input: Input<'_>) -> Result<(Self, Numbers<Tensor<f64>>), Error> {
        let data = Input(input.field("data")?);
        let model = Input(data.field("model")?);
        let n = data.integers("correspondences")?.len();
        let us = input.tensor("us")?;
        let bones = model.integer("bone_count")?;
        let base_positions = model.tensor("base_positions")?;
        let vertices = base_positions.shape().first().copied().unwrap_or(0);
        let numbers = Numbers {
            theta: input.shaped("theta", [PARAMETERS])?,
            us: if us.is_empty() { us.clone() } else { input.shaped("us", [n, 2])? },
            points: data.shaped("points", [n, 3])?,
            base_relatives: model.shaped("base_relatives", [bones, 4, 4])?,
            inverse_base_absolutes: model.shaped("inverse_base_absolutes", [bones, 4, 4])?,
            base_positions: model.shaped("base_positions", [vertices, 4])?,
            weights: model.shaped("weights", [vertices, bones])?,
        };
        let hand = Self {
            parents: parents(model, bones)?,
            is_mirrored: model.field("is_mirrored")?.as_bool().unwrap_or(false),
            corners: corners(data, model, us.is_empty(), vertices)?,
        };
        Ok((hand, numbers))
    }
}

/// Each bone's parent, which comes before it.
fn parents(model: Input<'_>, bones: usize) -> Result<Vec<Option<usize>>, Error> {
    let list = model.tensor("parents")?.to_vec();
    let fits = |(bone, &parent): (usize, &f64)| parent.fract() == 0.0 && parent < bone as f64;
    if bones == 0 || list.len() != bones || !list.iter().enumerate().all(fits) {
        return Err(Error("`parents`: expected an earlier bone for each, or -1".into()));
    }
    Ok(list.into_iter().map(|parent| (parent >= 0.0).then_some(parent as usize)).collect())
}

/// The vertices that belong to each point, a list for each corner.
fn corners(
    data: Input<'_>,
    model: Input<'_>,
    simple: bool,
    vertices: usize,
) -> Result<Vec<Vec<usize>>, Error> {
    let correspondences = data.integers("correspondences")?;
    let corners = if simple {
        vec![correspondences]
    } else {
        let triangles = model.tensor("triangles")?;
        let count = triangles.shape().first().copied().unwrap_or(0);
        let triangles = model.shaped("triangles", [count, 3])?;
        if correspondences.iter().any(|&triangle| triangle >= count) {
            return Err(Error(format!("`correspondences`: expected triangles below {count}")));
        }
        let corner =
            |k| correspondences.iter().map(|&of| triangles.at(&[of, k]) as usize).collect();
        vec![corner(0), corner(1), corner(2)]
    };
    if corners.iter().flatten().any(|&vertex| vertex >= vertices) {
        return Err(Error(format!("expected vertices below {vertices}")));
    }
    Ok(corners)
}

/// The rotation of the whole, `[3, 3]`, about the axis `theta[0..3]` by its length.
fn turn(theta: Var<'_, f64>) -> Var<'_, f64> {
    let axis = theta.slice(0, ..3);
    let square = axis.square().sum();
    let turns = square.greater_equal(SMALL * SMALL);
    let angle = turns.select(square, 1.0).sqrt();
    let (sin, cos) = (angle.sin(), angle.cos());
    let axis = axis / angle;
    let [x, y, z] = [0, 1, 2].map(|i| axis.slice(0, i..=i).reshape([]));
    let zero = theta.tape().constant(0.0);
    let across = matrix([[zero, -z, y], [z, zero, -x], [-y, x, zero]]);
    let identity = Tensor::from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    let turned = cos * &identity + sin * across + (1.0 - cos) * axis.outer(axis);
    turns.select(turned, &identity)
}

fn objective(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let (hand, numbers) = Hand::read(input)?;
    let errors = clock.run(|vars: Numbers<Var<'_, f64>>| hand.errors(vars), &numbers)?;
    Ok(json!(errors.to_vec()))
}

fn jacobian(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let (hand, numbers) = Hand::read(input)?;
    let jacobian = clock.run(|vars: Numbers<Var<'_, f64>>| hand.jacobian(vars), &numbers)?;
    let directions = jacobian.shape()[2];
    Ok(lists(&jacobian.reshape([jacobian.len() / directions, directions])))
}
