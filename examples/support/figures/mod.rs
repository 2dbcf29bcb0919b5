//! The figures of Higham and Higham's "Deep Learning: An Introduction for Applied
//! Mathematicians", each written as an SVG and as a PNG.
//!
//! The examples share this module. It takes plain numbers and knows nothing of the rest of the
//! workspace, so a figure can be drawn from freshly trained values as well as from a file, and
//! the look of the figures can change without touching the examples. The look follows the
//! paper's MATLAB pictures, so that both can be laid side by side.
//!
//! `page` turns a figure into files, `axes` holds what all figures have in common, and `region`
//! finds the outline of a shaded area. `classes` has those of section 7, `networks` the
//! drawings of networks; `derivatives` and `pictures` have figures that are not the paper's.

mod axes;
pub mod classes;
pub mod derivatives;
pub mod networks;
mod page;
pub mod pictures;
mod region;

use std::io;
use std::path::Path;

use plotters::prelude::*;

use axes::{Axes, Frame, Tick};
use page::{Drawn, Figure, Page};

/// The grey of the paper's decision regions: 0.8 of white.
const SHADE: RGBColor = RGBColor(204, 204, 204);

/// Width of the lines that show data, in page pixels.
const CURVE_WIDTH: f64 = 4.0;

/// Draws labelled points of the unit square, as in Figure 1: red circles for class A, blue
/// crosses for class B.
pub fn scatter(
    dir: &Path,
    name: &str,
    class_a: &[[f64; 2]],
    class_b: &[[f64; 2]],
) -> io::Result<()> {
    let figure = UnitSquare { shaded: Vec::new(), class_a, class_b };
    page::write(dir, name, &figure)
}

/// Draws the sigmoid function over a scaled and shifted copy of it, as in Figure 2.
pub fn sigmoids(dir: &Path, name: &str) -> io::Result<()> {
    page::write(dir, name, &Sigmoids)
}

/// Draws a cost that falls over many decades against the iteration number, as in Figure 7.
///
/// `points` are pairs of iteration and cost. The vertical axis spans the paper's 1e-4 to 1e2 and
/// grows by whole decades where the data need it. Costs have to be positive, since others have no
/// place on a logarithmic axis, and iterations count from 0 or later.
pub fn cost_curve(dir: &Path, name: &str, points: &[(f64, f64)]) -> io::Result<()> {
    let drawable =
        |&(step, cost): &(f64, f64)| step >= 0.0 && cost > 0.0 && (step + cost).is_finite();
    if points.len() < 2 || !points.iter().all(drawable) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{name}: a cost curve needs two points or more, all finite, \
                 with iterations from 0 and positive costs"
            ),
        ));
    }
    page::write(dir, name, &CostCurve { points })
}

/// Draws which parts of the unit square a classifier assigns to class A, as in Figures 8 and 9.
///
/// `shaded` holds one answer for each node of an `n` by `n` grid over the square, row by row from
/// the bottom, each row from the left; `true` is shaded grey. The labelled points lie on top.
pub fn decision_regions(
    dir: &Path,
    name: &str,
    n: usize,
    shaded: &[bool],
    class_a: &[[f64; 2]],
    class_b: &[[f64; 2]],
) -> io::Result<()> {
    if n < 2 || shaded.len() != n * n {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name}: expected {n} by {n} grid nodes and n above 1, got {}", shaded.len()),
        ));
    }
    let figure = UnitSquare { shaded: region::outlines(n, shaded), class_a, class_b };
    page::write(dir, name, &figure)
}

/// Labelled points on the unit square, with or without shaded regions behind them.
struct UnitSquare<'a> {
    shaded: Vec<region::Outline>,
    class_a: &'a [[f64; 2]],
    class_b: &'a [[f64; 2]],
}

impl Figure for UnitSquare<'_> {
    fn size(&self) -> (u32, u32) {
        (600, 600)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        let frame = Frame { left: 44.0, right: 572.0, top: 28.0, bottom: 556.0 };
        let axes = Axes::new(page, frame, [0.0, 1.0], [0.0, 1.0]);
        for outline in &self.shaded {
            let color = if outline.shaded { SHADE } else { WHITE };
            axes.fill(&outline.points, color)?;
        }
        let ends = [Tick::new(0.0, "0"), Tick::new(1.0, "1")];
        axes.draw_frame()?;
        axes.draw_x_ticks(&ends)?;
        axes.draw_y_ticks(&ends)?;
        for &point in self.class_a {
            axes.draw_circle(point, RED)?;
        }
        for &point in self.class_b {
            axes.draw_cross(point, BLUE)?;
        }
        Ok(())
    }
}

/// Two stacked panels over [-10, 10]: the sigmoid, and the sigmoid of 3(x - 5).
struct Sigmoids;

impl Sigmoids {
    fn draw_panel<B: DrawingBackend>(
        page: &Page<B>,
        top: f64,
        title: &str,
        argument: impl Fn(f64) -> f64,
    ) -> Drawn<B> {
        let frame = Frame { left: 72.0, right: 616.0, top, bottom: top + 210.0 };
        // A little room above 1 and below 0 keeps the flat ends of the curve off the frame.
        let axes = Axes::new(page, frame, [-10.0, 10.0], [-0.1, 1.1]);
        axes.draw_frame()?;
        axes.draw_x_ticks(&[
            Tick::new(-10.0, "−10"),
            Tick::new(-5.0, "−5"),
            Tick::new(0.0, "0"),
            Tick::new(5.0, "5"),
            Tick::new(10.0, "10"),
        ])?;
        axes.draw_y_ticks(&[Tick::new(0.0, "0"), Tick::new(0.5, "0.5"), Tick::new(1.0, "1")])?;
        axes.draw_title(title)?;
        let curve: Vec<[f64; 2]> = (-100..=100)
            .map(|i| f64::from(i) / 10.0)
            .map(|x| [x, 1.0 / (1.0 + (-argument(x)).exp())])
            .collect();
        axes.draw_curve(&curve, BLUE, CURVE_WIDTH)
    }
}

impl Figure for Sigmoids {
    fn size(&self) -> (u32, u32) {
        (640, 600)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        Self::draw_panel(page, 46.0, "Sigmoid function σ(x)", |x| x)?;
        let title = "Scaled and shifted sigmoid function σ(3(x − 5))";
        Self::draw_panel(page, 346.0, title, |x| 3.0 * (x - 5.0))
    }
}

/// A cost on a logarithmic axis against the iteration number.
struct CostCurve<'a> {
    points: &'a [(f64, f64)],
}

impl CostCurve<'_> {
    /// The decades that the vertical axis spans: the paper's, or more where the data need it.
    fn decades(&self) -> (i32, i32) {
        self.points.iter().fold((-4, 2), |(low, high), &(_, cost)| {
            let decade = cost.log10();
            (low.min(decade.floor() as i32), high.max(decade.ceil() as i32))
        })
    }

    /// The last iteration on the axis, the distance of its ticks and the power of ten that their
    /// labels leave out, as MATLAB does for large numbers.
    fn iterations(&self) -> (f64, f64, i32) {
        let last = self.points.iter().fold(1.0, |last, &(step, _)| step.max(last));
        // A full power of ten counts as ten of the one below: ticks at 0, 2, ..., 10.
        let power = (last.log10().ceil() as i32 - 1).max(0);
        let unit = 10_f64.powi(power);
        let distance = match last / unit {
            share if share <= 2.0 => 0.5 * unit,
            share if share <= 5.0 => unit,
            _ => 2.0 * unit,
        };
        let hidden_power = if power < 4 { 0 } else { power };
        ((last / distance).ceil() * distance, distance, hidden_power)
    }
}

impl Figure for CostCurve<'_> {
    fn size(&self) -> (u32, u32) {
        (720, 560)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        let frame = Frame { left: 112.0, right: 690.0, top: 28.0, bottom: 466.0 };
        let (lowest, highest) = self.decades();
        let (last, distance, power) = self.iterations();
        let axes = Axes::new(page, frame, [0.0, last], [f64::from(lowest), f64::from(highest)]);
        axes.draw_frame()?;

        let unit = 10_f64.powi(power);
        let count = (last / distance).round() as u32;
        let ticks: Vec<Tick> = (0..=count)
            .map(|i| f64::from(i) * distance)
            .map(|step| Tick::new(step, &format!("{}", step / unit)))
            .collect();
        axes.draw_x_ticks(&ticks)?;
        if power != 0 {
            axes.draw_x_factor(power)?;
        }
        axes.draw_y_decades(lowest, highest)?;
        axes.draw_x_label("Iteration Number")?;
        axes.draw_y_label("Value of cost function")?;

        let curve: Vec<[f64; 2]> =
            self.points.iter().map(|&(step, cost)| [step, cost.log10()]).collect();
        axes.draw_curve(&curve, BLUE, CURVE_WIDTH)
    }
}
