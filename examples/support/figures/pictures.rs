//! Figures of the examples on data: rows of small images, points of a plane, and curves over
//! epochs.

use std::io;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::CURVE_WIDTH;
use super::axes::{Axes, Frame, Tick};
use super::derivatives::PALETTE;
use super::page::{self, Direction, Drawn, Figure, Page};

/// Intervals between ticks, about.
const INTERVALS: f64 = 5.0;

/// A small image with a word below it.
pub struct Image {
    /// Row by row, from the top.
    pub pixels: Vec<f64>,
    pub width: usize,
    pub tone: Tone,
    pub caption: String,
}

/// How numbers become colours.
#[derive(Clone, Copy)]
pub enum Tone {
    /// Ink: from 0, white, to 1, black.
    Ink,
    /// From -1, blue, by way of white to 1, red.
    Signed,
}

impl Tone {
    fn color(self, number: f64) -> RGBColor {
        let (dark, pale) = (number.clamp(-1.0, 1.0), 1.0 - number.abs().min(1.0));
        let channels = match self {
            Self::Ink => [1.0 - dark.max(0.0); 3],
            Self::Signed if dark > 0.0 => [1.0 - 0.2 * dark, pale, pale],
            Self::Signed => [pale, pale, 1.0 + 0.2 * dark],
        };
        let [r, g, b] = channels.map(|channel: f64| (255.0 * channel).round() as u8);
        RGBColor(r, g, b)
    }
}

/// Draws rows of images, each row with its name at the left.
pub fn images(dir: &Path, name: &str, rows: &[(&str, Vec<Image>)]) -> io::Result<()> {
    page::write(dir, name, &Images { rows })
}

struct Images<'a> {
    rows: &'a [(&'a str, Vec<Image>)],
}

impl Images<'_> {
    const SIDE: f64 = 84.0;
    const STEP: f64 = 96.0;
    const CAPTION: f64 = 20.0;
    const LEFT: f64 = 150.0;

    /// From the top of a row to that of the next one: words need room.
    fn height(row: &[Image]) -> f64 {
        let has_captions = row.iter().any(|image| !image.caption.is_empty());
        Self::STEP + if has_captions { 1.3 * Self::CAPTION } else { 0.0 }
    }
}

impl Figure for Images<'_> {
    fn size(&self) -> (u32, u32) {
        let longest = self.rows.iter().map(|(_, images)| images.len()).max().unwrap_or(0);
        let height: f64 = self.rows.iter().map(|(_, images)| Self::height(images)).sum();
        ((Self::LEFT + Self::STEP * longest as f64 + 8.0) as u32, (height + 16.0) as u32)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        let mut top = 14.0;
        for (name, images) in self.rows {
            let middle = [Self::LEFT - 14.0, top + Self::SIDE / 2.0];
            page.text(name, middle, HPos::Right, Direction::Across, Self::CAPTION)?;
            for (column, image) in images.iter().enumerate() {
                let left = Self::LEFT + Self::STEP * column as f64;
                let side = Self::SIDE / image.width as f64;
                let corner = |x: usize, y: usize| [left + side * x as f64, top + side * y as f64];
                for (i, &pixel) in image.pixels.iter().enumerate() {
                    let (x, y) = (i % image.width, i / image.width);
                    let ring =
                        [corner(x, y), corner(x + 1, y), corner(x + 1, y + 1), corner(x, y + 1)];
                    page.polygon(&ring, image.tone.color(pixel))?;
                }
                let end = corner(image.width, image.pixels.len() / image.width);
                let frame = [[left, top], [end[0], top], end, [left, end[1]], [left, top]];
                page.line(&frame, PALETTE[7], 1.0)?;
                let below = [(left + end[0]) / 2.0, end[1] + 0.8 * Self::CAPTION];
                page.text(&image.caption, below, HPos::Center, Direction::Across, Self::CAPTION)?;
            }
            top += Self::height(images);
        }
        Ok(())
    }
}

/// Points of a plane in groups, each in its colour, and what part of it is whose.
pub struct Plane<'a> {
    pub title: &'a str,
    /// The ends of both axes.
    pub bounds: [[f64; 2]; 2],
    pub groups: Vec<Vec<[f64; 2]>>,
    /// What stands below the plane and beside it; may be empty.
    pub labels: [&'a str; 2],
    /// Words, and where they stand.
    pub names: Vec<(String, [f64; 2])>,
    /// A name for each group, at the right of all planes; may be empty.
    pub legend: Vec<String>,
    /// The group of each node of a square grid, row by row from the bottom; may be empty.
    pub regions: Vec<usize>,
}

impl<'a> Plane<'a> {
    /// Groups of points without names and regions, with a little room around them.
    pub fn new(title: &'a str, groups: Vec<Vec<[f64; 2]>>) -> Self {
        let bounds = [0, 1].map(|axis| {
            let places = groups.iter().flatten().map(|point| point[axis]);
            let (low, high) = places.fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(x), h.max(x)));
            let room = 0.05 * (high - low);
            [low - room, high + room]
        });
        let (names, legend, regions) = (Vec::new(), Vec::new(), Vec::new());
        Self { title, bounds, groups, labels: [""; 2], names, legend, regions }
    }
}

/// Draws planes side by side.
pub fn planes(dir: &Path, name: &str, planes: &[Plane]) -> io::Result<()> {
    page::write(dir, name, &Planes { planes })
}

struct Planes<'a> {
    planes: &'a [Plane<'a>],
}

impl Planes<'_> {
    const SIDE: f64 = 440.0;
    const STEP: f64 = 530.0;
    const DOT: f64 = 4.0;
    const LEGEND: f64 = 60.0;
    const LABEL: f64 = 34.0;

    /// Room for labels of axes: at the left of each plane, and below all.
    fn room(&self) -> f64 {
        let has_labels = self.planes.iter().any(|plane| plane.labels != [""; 2]);
        if has_labels { Self::LABEL } else { 0.0 }
    }

    /// Writes the names of groups, each behind a dot of its colour.
    fn draw_legend<B: DrawingBackend>(page: &Page<B>, names: &[String], left: f64) -> Drawn<B> {
        for (k, (name, color)) in names.iter().zip(PALETTE.iter().cycle()).enumerate() {
            let y = 70.0 + 34.0 * k as f64;
            page.disc([left, y], 1.5 * Self::DOT, *color)?;
            page.text(name, [left + 14.0, y], HPos::Left, Direction::Across, 27.0)?;
        }
        Ok(())
    }

    /// Fills the regions, row by row: every run of one group reaches into the next row, which is
    /// painted over it, so that no seams are seen.
    fn fill<B: DrawingBackend>(axes: &Axes<B>, plane: &Plane) -> Drawn<B> {
        let nodes = plane.regions.len().isqrt();
        let [[x0, x1], [y0, y1]] = plane.bounds;
        let place = |i: usize, from: f64, to: f64| {
            from + (to - from) * ((i as f64 - 0.5).max(0.0) / (nodes as f64 - 1.0))
        };
        for (row, groups) in plane.regions.chunks_exact(nodes.max(1)).enumerate() {
            let (bottom, top) = (place(row, y0, y1), place(row + 2, y0, y1).min(y1));
            let mut column = 0;
            for run in groups.chunk_by(|a, b| a == b) {
                let left = place(column, x0, x1);
                column += run.len();
                let right = place(column, x0, x1).min(x1);
                let ring = [[left, bottom], [right, bottom], [right, top], [left, top]];
                axes.fill(&ring, pale(PALETTE[run[0] % PALETTE.len()]))?;
            }
        }
        Ok(())
    }
}

fn pale(RGBColor(r, g, b): RGBColor) -> RGBColor {
    let towards_white = |channel: u8| 255 - (255 - channel) / 4;
    RGBColor(towards_white(r), towards_white(g), towards_white(b))
}

impl Figure for Planes<'_> {
    fn size(&self) -> (u32, u32) {
        let has_legend = self.planes.iter().any(|plane| !plane.legend.is_empty());
        let legend = if has_legend { Self::LEGEND } else { 0.0 };
        let width = (Self::STEP + self.room()) * self.planes.len() as f64 + 10.0 + legend;
        (width as u32, (550.0 + self.room()) as u32)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        for (column, plane) in self.planes.iter().enumerate() {
            let left = (Self::STEP + self.room()) * column as f64 + 76.0 + self.room();
            let (right, bottom) = (left + Self::SIDE, 54.0 + Self::SIDE);
            let [across, upwards] = plane.bounds;
            let axes = Axes::new(page, Frame { left, right, top: 54.0, bottom }, across, upwards);
            Self::fill(&axes, plane)?;
            let is_inside = |point: &&[f64; 2]| {
                plane.bounds.iter().zip(*point).all(|([from, to], x)| from <= x && x <= to)
            };
            for (group, color) in plane.groups.iter().zip(PALETTE.iter().cycle()) {
                for &point in group.iter().filter(is_inside) {
                    axes.draw_dot(point, Self::DOT, *color)?;
                }
            }
            for (name, place) in &plane.names {
                axes.draw_name(name, *place)?;
            }
            axes.draw_frame()?;
            axes.draw_x_ticks(&ticks(across))?;
            axes.draw_y_ticks(&ticks(upwards))?;
            axes.draw_title(plane.title)?;
            axes.draw_x_label(plane.labels[0])?;
            axes.draw_y_label(plane.labels[1])?;
            let end = (Self::STEP + self.room()) * self.planes.len() as f64;
            Self::draw_legend(page, &plane.legend, end + 14.0)?;
        }
        Ok(())
    }
}

/// Draws curves with names on axes from 0, whose labels are `[below, beside]`; there is room for
/// the names above the curves.
pub fn curves(
    dir: &Path,
    name: &str,
    labels: [&str; 2],
    curves: &[(&str, Vec<[f64; 2]>)],
) -> io::Result<()> {
    page::write(dir, name, &Curves { labels, curves })
}

struct Curves<'a> {
    labels: [&'a str; 2],
    curves: &'a [(&'a str, Vec<[f64; 2]>)],
}

impl Figure for Curves<'_> {
    fn size(&self) -> (u32, u32) {
        (900, 640)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        let end = |axis: usize| {
            let points = self.curves.iter().flat_map(|(_, curve)| curve);
            [0.0, points.map(|point| point[axis]).fold(0.0, f64::max)]
        };
        // Names take a fourteenth of the height each.
        let share = 1.0 - (self.curves.len() as f64 + 0.8) / 14.0;
        let (across, upwards) = (end(0), [0.0, end(1)[1] / share]);
        let frame = Frame { left: 112.0, right: 870.0, top: 30.0, bottom: 546.0 };
        let axes = Axes::new(page, frame, across, upwards);
        axes.draw_frame()?;
        axes.draw_x_ticks(&ticks(across))?;
        axes.draw_y_ticks(&ticks(upwards))?;
        axes.draw_x_label(self.labels[0])?;
        axes.draw_y_label(self.labels[1])?;
        for ((_, curve), color) in self.curves.iter().zip(PALETTE) {
            axes.draw_curve(curve, color, CURVE_WIDTH)?;
        }
        for (k, ((name, _), color)) in self.curves.iter().zip(PALETTE).enumerate() {
            axes.draw_entry(k, name, color)?;
        }
        Ok(())
    }
}

/// Round numbers between two, in steps of 1, 2 or 5 times a power of ten.
fn ticks([from, to]: [f64; 2]) -> Vec<Tick> {
    let rough = (to - from) / INTERVALS;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|factor| factor * power);
    let step = step.into_iter().find(|&step| step >= 0.75 * rough).unwrap_or(10.0 * power);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let ends = [(from / step - 1e-9).ceil() as i64, (to / step + 1e-9).floor() as i64];
    let place = |i: i64| i as f64 * step;
    let label = |i| format!("{:.decimals$}", place(i)).replace('-', "−");
    (ends[0]..=ends[1]).map(|i| Tick::new(place(i), &label(i))).collect()
}
