//! An orbit by Taylor series of high degree: the two-body problem with eccentricity 0.8.
//!
//! Taylor mode gives as many coefficients of the solution `x(t)` of `x' = f(x)` as are
//! wanted: each coefficient of `f(x(t))` gives the next one of `x(t)` (Griewank &
//! Walther, section 13.1). The series is then followed for as long as its last terms stay below
//! rounding, and begun again from there. The method has no tables of its own: the degree
//! is a number, and the size of a step follows from the coefficients (Jorba & Zou, "A
//! software package for the numerical integration of ODEs by means of high-order Taylor
//! methods", Experimental Mathematics 14, 2005).
//!
//! The coefficients are variables on a tape, so they are compiled once and the program is run
//! for every step. After each of ten revolutions the planet must be where it began, and
//! energy must be what it was; the errors are printed for several degrees. The picture shows the
//! last orbit: dots where steps begin, and the line between them from the same series. Steps are
//! short near the sun, where the planet is fast, and long far from it.
//!
//! ```text
//! cargo run --release --example taylor_ode
//! cargo run --release --example taylor_ode -- --out target/orbit.svg
//! ```

use std::error::Error;
use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use clap::Parser;
use plotters::prelude::*;
use support::options;
use wengert::prelude::*;

/// Of the orbit; the sun stands in one focus, at the origin.
const ECCENTRICITY: f64 = 0.8;
const REVOLUTIONS: usize = 10;
/// What the last terms of a series may contribute, relative to the position.
const TOLERANCE: f64 = 1e-16;

/// Integrates a planet's orbit by Taylor series.
#[derive(Parser)]
struct Options {
    /// Where the picture goes
    #[arg(long, default_value = "target/taylor_ode.svg", value_parser = options::file)]
    out: PathBuf,
}

/// Newton's law: the acceleration towards the origin.
fn gravity<'t>(position: Var<'t, f64>) -> Var<'t, f64> {
    -position / position.square().sum().powf(1.5)
}

/// Coefficients of position and velocity, from the lowest.
struct Step {
    position: Vec<[f64; 2]>,
    velocity: Vec<[f64; 2]>,
}

impl Step {
    /// The program from a state to the coefficients of the motion from there.
    fn compile(degree: usize) -> Result<Program<f64>, Box<dyn Error>> {
        let tape = Tape::new();
        let (x, v) = (tape.variable([1.0, 0.0]), tape.variable([0.0, 1.0]));
        let [position, velocity] = tape.ode_series([(x, v), (v, gravity(x))], degree);
        Ok(tape.compile(&[x, v], &[position, velocity].concat())?)
    }

    fn run(program: &mut Program<f64>, x: [f64; 2], v: [f64; 2]) -> Self {
        let results = program.run([&Tensor::from(x), &Tensor::from(v)]);
        let mut pairs = results.iter().map(|c| [c.at(&[0]), c.at(&[1])]).collect::<Vec<_>>();
        let velocity = pairs.split_off(pairs.len() / 2);
        Self { position: pairs, velocity }
    }

    /// How long the last two terms stay below the tolerance: two, since one may vanish.
    fn length(&self) -> f64 {
        let size = |c: &[f64; 2]| c[0].hypot(c[1]);
        let first = size(&self.position[0]);
        let last = self.position.len() - 1;
        let term = |k: usize| (TOLERANCE * first / size(&self.position[k])).powf(1.0 / k as f64);
        term(last).min(term(last - 1))
    }

    /// Horner's scheme.
    fn at(series: &[[f64; 2]], t: f64) -> [f64; 2] {
        series.iter().rev().fold([0.0; 2], |sum, c| [sum[0] * t + c[0], sum[1] * t + c[1]])
    }
}

/// The last state, the number of steps, and of the last revolution the beginnings of
/// steps and the line.
struct Orbit {
    x: [f64; 2],
    v: [f64; 2],
    steps: usize,
    beginnings: Vec<(f64, f64)>,
    line: Vec<(f64, f64)>,
}

/// The point nearest to the sun.
fn start() -> ([f64; 2], [f64; 2]) {
    let speed = ((1.0 + ECCENTRICITY) / (1.0 - ECCENTRICITY)).sqrt();
    ([1.0 - ECCENTRICITY, 0.0], [0.0, speed])
}

fn integrate(degree: usize) -> Result<Orbit, Box<dyn Error>> {
    let mut program = Step::compile(degree)?;
    let (mut x, mut v) = start();
    let (mut t, end) = (0.0, TAU * REVOLUTIONS as f64);
    let (mut steps, mut beginnings, mut line) = (0, Vec::new(), Vec::new());
    while t < end {
        let step = Step::run(&mut program, x, v);
        let length = step.length().min(end - t);
        if t > end - TAU {
            beginnings.push((x[0], x[1]));
            line.extend((0..=20).map(|i| {
                let [x, y] = Step::at(&step.position, length * f64::from(i) / 20.0);
                (x, y)
            }));
        }
        x = Step::at(&step.position, length);
        v = Step::at(&step.velocity, length);
        // The last step ends at the end and not a rounding before it.
        t = if length < end - t { t + length } else { end };
        steps += 1;
    }
    Ok(Orbit { x, v, steps, beginnings, line })
}

fn energy(x: [f64; 2], v: [f64; 2]) -> f64 {
    0.5 * (v[0] * v[0] + v[1] * v[1]) - 1.0 / x[0].hypot(x[1])
}

fn draw(orbit: &Orbit, out: &Path) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let area = SVGBackend::new(out, (800, 560)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart =
        ChartBuilder::on(&area).margin(20).build_cartesian_2d(-2.0..0.5, -0.875..0.875)?;
    chart.draw_series([PathElement::new(orbit.line.clone(), BLUE.stroke_width(2))])?;
    let dots = orbit.beginnings.iter().map(|&at| Circle::new(at, 4, RED.filled()));
    chart.draw_series(dots)?;
    chart.draw_series([Circle::new((0.0, 0.0), 9, RGBColor(240, 180, 0).filled())])?;
    area.present()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { out } = Options::parse();
    let (x, v) = start();
    println!("{REVOLUTIONS} revolutions, eccentricity {ECCENTRICITY}");
    println!("degree  steps  error of position  error of energy");
    let mut last = None;
    for degree in [8, 12, 16, 20, 24, 28] {
        let orbit = integrate(degree)?;
        let error = (orbit.x[0] - x[0]).hypot(orbit.x[1] - x[1]);
        let drift = (energy(orbit.x, orbit.v) - energy(x, v)).abs();
        println!("{degree:6}  {:5}  {error:17.1e}  {drift:15.1e}", orbit.steps);
        last = Some(orbit);
    }
    if let Some(orbit) = last {
        draw(&orbit, &out)?;
        println!("the last orbit, step by step: {}", out.display());
    }
    Ok(())
}
