//! Bundle adjustment: how far points, seen by cameras, lie from where they were seen.
//!
//! The Jacobian is sparse. The errors of an observation depend on its camera, its point and its weight, 15 numbers, so rows of
//! different observations share no column that matters: one sweep back from all first errors gives their 15
//! partials each, and one from all second errors theirs. Two reverse sweeps for any number of observations.
//!
//! Observations are computed by blocks that stay in the cache, by a program that is compiled once.

use serde_json::{Value, json};
use wengert::prelude::*;

use super::{Evaluate, Named};
use crate::clock::Clock;
use crate::input::{Error, Input};

pub(super) const FUNCTIONS: &[Named<Evaluate>] =
    &[("objective", objective), ("jacobian", jacobian)];

/// Observations in a block.
const BLOCK: usize = 512;
/// Observations of a problem: a Jacobian of 12 GiB, whose columns fit into 32 bits.
const MOST: usize = 1 << 25;
/// What an observation's errors depend on: 11 numbers of the camera, 3 of the point, the weight.
const OWN: usize = 15;
/// The columns of a camera.
const CAMERA: usize = 11;
/// The columns of a point.
const POINT: usize = 3;

/// A vector in space, each component for many observations.
type Space<'t> = [Var<'t, f64>; 3];

fn dot<'t>(a: Space<'t>, b: Space<'t>) -> Var<'t, f64> {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross<'t>(a: Space<'t>, b: Space<'t>) -> Space<'t> {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// `x`, turned about the axis `r` by an angle as large as `r` is long.
fn rotated<'t>(r: Space<'t>, x: Space<'t>) -> Space<'t> {
    let square = dot(r, r);
    let turns = square.greater(0.0);
    // Where there is no axis, another formula is chosen below: the root has a derivative all the same.
    let angle = turns.select(square, 1.0).sqrt();
    let (sin, cos) = (angle.sin(), angle.cos());
    let axis = r.map(|r| r / angle);
    let (across, along) = (cross(axis, x), dot(axis, x) * (1.0 - cos));
    let small = cross(r, x);
    [0, 1, 2].map(|i| {
        let turned = x[i] * cos + across[i] * sin + axis[i] * along;
        turns.select(turned, x[i] + small[i])
    })
}

/// The two errors of observations: where cameras see points, less where they were seen, weighted.
fn reprojection<'t>(own: [Var<'t, f64>; OWN], seen: [Var<'t, f64>; 2]) -> [Var<'t, f64>; 2] {
    let [r1, r2, r3, c1, c2, c3, focal, u0, v0, k1, k2, x1, x2, x3, weight] = own;
    let [y1, y2, y3] = rotated([r1, r2, r3], [x1 - c1, x2 - c2, x3 - c3]);
    let on_plane = [y1 / y3, y2 / y3];
    let square = on_plane[0] * on_plane[0] + on_plane[1] * on_plane[1];
    let distortion = 1.0 + square * (k1 + k2 * square);
    let error = |e, centre, seen| weight * (e * distortion * focal + centre - seen);
    [error(on_plane[0], u0, seen[0]), error(on_plane[1], v0, seen[1])]
}

/// What is asked of a weight: to be 1.
fn weight_error(weight: Var<'_, f64>) -> Var<'_, f64> {
    1.0 - weight * weight
}

/// The errors of observations, reprojections first, from their 15 numbers and where they were seen.
fn errors<'t>(vars: [Var<'t, f64>; OWN + 2]) -> [Var<'t, f64>; 3] {
    let (own, seen) = vars.split_first_chunk().expect("the observation's own");
    let [first, second] = reprojection(*own, [seen[0], seen[1]]);
    [first, second, weight_error(own[OWN - 1])]
}

/// The partials of observations: `[observation, error, number]` for both reprojection errors, and that
/// of the weight error.
fn partials<'t>(vars: [Var<'t, f64>; OWN + 2]) -> [Var<'t, f64>; 2] {
    let own: [Var<'t, f64>; OWN] = *vars.first_chunk().expect("the observation's own");
    let [first, second, weight] = errors(vars);
    // Errors of one observation do not depend on the numbers of another, so the gradient of their sum
    // has the partials of each.
    let rows = [first, second].map(|error| stack(&error.sum().grad(own), -1));
    let [weight] = weight.sum().grad([own[OWN - 1]]);
    [stack(&rows, 1), weight]
}

/// Cameras, points, weights and sights, as many as the problem has.
struct Scene {
    cameras: Vec<[f64; CAMERA]>,
    points: Vec<[f64; POINT]>,
    weights: Vec<f64>,
    seen: Vec<[f64; 2]>,
}

impl Scene {
    /// The benchmark gives one of each, to be replicated.
    fn read(input: Input<'_>) -> Result<Self, Error> {
        let [n, m, p] = ["n", "m", "p"].map(|name| input.integer(name));
        let (n, m, p) = (n?, m?, p?);
        if [n, m, p].iter().any(|count| !(1..=MOST).contains(count)) {
            return Err(Error(format!(
                "`n`, `m` and `p`: expected 1 to {MOST}, got {n}, {m}, {p}"
            )));
        }
        let vector = |name, extent: usize| Ok::<_, Error>(input.shaped(name, [extent])?.to_vec());
        Ok(Self {
            cameras: vec![vector("cam", CAMERA)?.try_into().expect("of this extent"); n],
            points: vec![vector("x", POINT)?.try_into().expect("of this extent"); m],
            weights: vec![input.number("w")?; p],
            seen: vec![vector("feat", 2)?.try_into().expect("of this extent"); p],
        })
    }

    fn observations(&self) -> usize {
        self.weights.len()
    }

    fn camera_of(&self, observation: usize) -> usize {
        observation % self.cameras.len()
    }

    fn point_of(&self, observation: usize) -> usize {
        observation % self.points.len()
    }

    /// The 17 numbers of each observation of a block, a column each. A block that the observations do
    /// not fill repeats the last one.
    fn gather(&self, first: usize, columns: &mut [Vec<f64>; OWN + 2]) {
        let last = self.observations() - 1;
        let observations = (first..first + columns[0].len()).map(|i| i.min(last));
        let (of_cameras, rest) = columns.split_at_mut(CAMERA);
        let (of_points, rest) = rest.split_at_mut(POINT);
        let (of_weights, of_sights) = rest.split_at_mut(1);
        let put = |columns: &mut [Vec<f64>], i: usize, numbers: &[f64]| {
            columns.iter_mut().zip(numbers).for_each(|(column, &number)| column[i] = number);
        };
        for (i, observation) in observations.enumerate() {
            put(of_cameras, i, &self.cameras[self.camera_of(observation)]);
            put(of_points, i, &self.points[self.point_of(observation)]);
            put(of_weights, i, &[self.weights[observation]]);
            put(of_sights, i, &self.seen[observation]);
        }
    }

    /// Compiles a function for a block of observations.
    fn compiled<const M: usize>(
        &self,
        f: impl for<'t> wengert::Functions<'t, f64, [&'static Tensor<f64>; OWN + 2], M>,
    ) -> Result<Blocks, Error> {
        let extent = BLOCK.min(self.observations());
        let mut columns: [Vec<f64>; OWN + 2] = std::array::from_fn(|_| vec![0.0; extent]);
        self.gather(0, &mut columns);
        let tape = Tape::lazy();
        let vars: [Var<'_, f64>; OWN + 2] = std::array::from_fn(|i| tape.variable(&columns[i][..]));
        Ok(Blocks { program: tape.compile(&vars, &f(vars))?, columns })
    }
}

/// A program for a block of observations, and the numbers that go in.
struct Blocks {
    program: Program<f64>,
    columns: [Vec<f64>; OWN + 2],
}

impl Blocks {
    /// Runs through all observations. `read` sees the program after each block, with the block's
    /// observations.
    fn run(&mut self, scene: &Scene, mut read: impl FnMut(&Program<f64>, std::ops::Range<usize>)) {
        let extent = self.columns[0].len();
        for first in (0..scene.observations()).step_by(extent) {
            scene.gather(first, &mut self.columns);
            for (index, column) in self.columns.iter().enumerate() {
                self.program.set_input(index, &column[..]);
            }
            self.program.execute();
            read(&self.program, first..scene.observations().min(first + extent));
        }
    }
}

/// A matrix by rows: where each begins, and the columns and values of its entries.
#[derive(Default)]
struct Rows {
    starts: Vec<u32>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl Rows {
    /// The memory is kept.
    fn clear(&mut self) {
        self.starts.clear();
        self.starts.push(0);
        self.columns.clear();
        self.values.clear();
    }

    /// Ends a row.
    fn end(&mut self) {
        self.starts.push(self.columns.len() as u32);
    }

    /// The Jacobian of all errors.
    fn fill(&mut self, scene: &Scene, blocks: &mut Blocks) {
        self.clear();
        let points = scene.cameras.len() * CAMERA;
        let weights = points + scene.points.len() * POINT;
        let mut of_weights = Vec::with_capacity(scene.observations());
        blocks.run(scene, |program, observations| {
            let count = observations.len();
            for observation in observations {
                let camera = scene.camera_of(observation) * CAMERA;
                let point = points + scene.point_of(observation) * POINT;
                for _ in 0..2 {
                    self.columns.extend((camera..camera + CAMERA).map(|column| column as u32));
                    self.columns.extend((point..point + POINT).map(|column| column as u32));
                    self.columns.push((weights + observation) as u32);
                    self.end();
                }
            }
            program.with_output(0, |view| {
                let partials = view.as_slice().expect("a stack lies in order");
                self.values.extend_from_slice(&partials[..count * 2 * OWN]);
            });
            program.with_output(1, |view| of_weights.extend(view.iter().take(count)));
        });
        for (observation, value) in of_weights.into_iter().enumerate() {
            self.columns.push((weights + observation) as u32);
            self.values.push(value);
            self.end();
        }
    }
}

/// The first thirty of a list, and the last one.
fn excerpt<X: Copy + Into<Value>>(list: &[X]) -> Value {
    list.iter().take(30).chain(list.last()).map(|&x| x.into()).collect()
}

fn objective(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let scene = Scene::read(input)?;
    let mut blocks = clock.prepare(|| scene.compiled(errors))?;
    let p = scene.observations();
    let (mut reprojections, mut weights) = (vec![[0.0; 2]; p], Vec::with_capacity(p));
    clock.evaluate(|| {
        weights.clear();
        blocks.run(&scene, |program, observations| {
            let count = observations.len();
            for k in 0..2 {
                let errors = &mut reprojections[observations.clone()];
                program.with_output(k, |view| {
                    errors.iter_mut().zip(view.iter()).for_each(|(error, x)| error[k] = x);
                });
            }
            program.with_output(2, |view| weights.extend(view.iter().take(count)));
        });
    });
    Ok(json!({
        "reproj_error": { "elements": reprojections[0], "repeated": p },
        "w_err": { "element": weights[0], "repeated": p },
    }))
}

fn jacobian(input: Input<'_>, clock: &mut Clock) -> Result<Value, Error> {
    let scene = Scene::read(input)?;
    let mut blocks = clock.prepare(|| scene.compiled(partials))?;
    let mut rows = Rows::default();
    clock.evaluate(|| rows.fill(&scene, &mut blocks));
    let Rows { starts, columns, values } = &rows;
    Ok(json!({ "rows": excerpt(starts), "cols": excerpt(columns), "vals": excerpt(values) }))
}
