//! Figures of the examples on derivatives: a coloured sparse matrix, what checkpoints cost, and how
//! methods converge.

use std::io;
use std::path::Path;

use plotters::prelude::*;

use super::CURVE_WIDTH;
use super::axes::{Axes, Frame, Tick};
use super::page::{self, Drawn, Figure, Page};

/// Colours that can be told apart, in the order of use.
pub const PALETTE: [RGBColor; 10] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(127, 127, 127),
    RGBColor(188, 189, 34),
    RGBColor(23, 190, 207),
];

/// Draws where a square matrix has entries, each in the colour of its column.
pub fn coloured_matrix(
    dir: &Path,
    name: &str,
    size: usize,
    entries: impl Iterator<Item = [usize; 2]>,
    colours: &[usize],
) -> io::Result<()> {
    page::write(dir, name, &Coloured { size, entries: entries.collect(), colours })
}

struct Coloured<'a> {
    size: usize,
    entries: Vec<[usize; 2]>,
    colours: &'a [usize],
}

impl Figure for Coloured<'_> {
    fn size(&self) -> (u32, u32) {
        (640, 640)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        let size = self.size as f64;
        let frame = Frame { left: 30.0, right: 610.0, top: 30.0, bottom: 610.0 };
        // Rows are counted from the top.
        let axes = Axes::new(page, frame, [0.0, size], [0.0, size]);
        for &[row, column] in &self.entries {
            let (x, y) = (column as f64, size - row as f64);
            let cell = [[x, y], [x + 1.0, y], [x + 1.0, y - 1.0], [x, y - 1.0]];
            axes.fill(&cell, PALETTE[self.colours[column] % PALETTE.len()])?;
        }
        axes.draw_frame()
    }
}

/// Draws, over the number of states kept, how often a step is taken (blue) and how many
/// megabytes are held (red), on logarithmic axes.
pub fn checkpoint_costs(dir: &Path, name: &str, points: &[[f64; 3]]) -> io::Result<()> {
    page::write(dir, name, &Costs { points })
}

/// Draws costs over the work that they took, for several methods, on logarithmic axes.
pub fn convergence(
    dir: &Path,
    name: &str,
    work: &str,
    curves: &[(&str, Vec<[f64; 2]>)],
) -> io::Result<()> {
    page::write(dir, name, &Convergence { work, curves })
}

struct Convergence<'a> {
    work: &'a str,
    curves: &'a [(&'a str, Vec<[f64; 2]>)],
}

/// The decades between which numbers lie.
fn decades(numbers: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let (low, high) = (numbers.clone().fold(f64::MAX, f64::min), numbers.fold(f64::MIN, f64::max));
    [low.log10().floor(), high.log10().ceil()]
}

impl Figure for Convergence<'_> {
    fn size(&self) -> (u32, u32) {
        (900, 640)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        let points = || self.curves.iter().flat_map(|(_, curve)| curve);
        let across = decades(points().map(|point| point[0]));
        let upwards = decades(points().map(|point| point[1]));
        let frame = Frame { left: 112.0, right: 870.0, top: 60.0, bottom: 546.0 };
        let axes = Axes::new(page, frame, across, upwards);
        axes.draw_frame()?;
        let ticks: Vec<Tick> = (across[0] as i32..=across[1] as i32)
            .map(|decade| Tick::new(f64::from(decade), &10_f64.powi(decade).to_string()))
            .collect();
        axes.draw_x_ticks(&ticks)?;
        axes.draw_x_label(self.work)?;
        axes.draw_y_decades(upwards[0] as i32, upwards[1] as i32)?;
        for (k, ((name, curve), color)) in self.curves.iter().zip(PALETTE).enumerate() {
            let logs: Vec<[f64; 2]> = curve.iter().map(|point| point.map(f64::log10)).collect();
            axes.draw_curve(&logs, color, CURVE_WIDTH)?;
            axes.draw_entry(k, name, color)?;
        }
        Ok(())
    }
}

struct Costs<'a> {
    points: &'a [[f64; 3]],
}

impl Figure for Costs<'_> {
    fn size(&self) -> (u32, u32) {
        (720, 560)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        let logs: Vec<[f64; 3]> = self.points.iter().map(|point| point.map(f64::log10)).collect();
        let span = |of: &dyn Fn(&[f64; 3]) -> [f64; 2]| {
            let ends = logs.iter().map(of);
            let (low, high) = ends.fold((f64::MAX, f64::MIN), |(low, high), [a, b]| {
                (low.min(a).min(b), high.max(a).max(b))
            });
            [low.floor(), high.ceil()]
        };
        let across = span(&|point| [point[0]; 2]);
        let upwards = span(&|point| [point[1], point[2]]);
        let frame = Frame { left: 112.0, right: 690.0, top: 60.0, bottom: 466.0 };
        let axes = Axes::new(page, frame, across, upwards);
        axes.draw_frame()?;
        axes.draw_title("Blue: steps taken per step. Red: megabytes held")?;
        let ticks: Vec<Tick> = (across[0] as i32..=across[1] as i32)
            .map(|decade| Tick::new(f64::from(decade), &10_f64.powi(decade).to_string()))
            .collect();
        axes.draw_x_ticks(&ticks)?;
        axes.draw_x_label("States kept")?;
        axes.draw_y_decades(upwards[0] as i32, upwards[1] as i32)?;
        for (column, color) in [(1, BLUE), (2, RED)] {
            let curve: Vec<[f64; 2]> = logs.iter().map(|point| [point[0], point[column]]).collect();
            axes.draw_curve(&curve, color, CURVE_WIDTH)?;
        }
        Ok(())
    }
}
