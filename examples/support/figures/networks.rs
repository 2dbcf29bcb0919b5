//! Drawings of networks: neurons and weights, as in Figures 3 and 6, and the blocks of a
//! convolutional one with what they make of a picture, as in Figure 10.

use std::io;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::page::{self, Direction, Drawn, Figure, Page};

const EDGE: RGBColor = RGBColor(150, 150, 150);

/// Draws a fully connected network: a column of neurons for each layer, the input first.
///
/// `marked` is a weight to stand out, as `[l, j, k]` in the paper's numbers, which begin at 1: that
/// of neuron `j` of layer `l` for neuron `k` of the layer before.
pub fn layers(
    dir: &Path,
    name: &str,
    sizes: &[usize],
    marked: Option<[usize; 3]>,
) -> io::Result<()> {
    page::write(dir, name, &Layers { sizes, marked })
}

struct Layers<'a> {
    sizes: &'a [usize],
    marked: Option<[usize; 3]>,
}

impl Layers<'_> {
    const STEP: [f64; 2] = [190.0, 80.0];
    const MARGIN: [f64; 2] = [90.0, 60.0];
    const RADIUS: f64 = 22.0;

    fn height(&self) -> f64 {
        self.sizes.iter().copied().max().unwrap_or(0) as f64 * Self::STEP[1]
    }

    /// The middle of a neuron; layer and neuron are counted from 0.
    fn neuron(&self, layer: usize, neuron: usize) -> [f64; 2] {
        let top = (self.height() - self.sizes[layer] as f64 * Self::STEP[1]) / 2.0;
        [
            Self::MARGIN[0] + layer as f64 * Self::STEP[0],
            Self::MARGIN[1] + top + (neuron as f64 + 0.5) * Self::STEP[1],
        ]
    }
}

impl Figure for Layers<'_> {
    fn size(&self) -> (u32, u32) {
        let width = 2.0 * Self::MARGIN[0] + (self.sizes.len() as f64 - 1.0) * Self::STEP[0];
        (width as u32, (self.height() + 2.0 * Self::MARGIN[1] + 40.0) as u32)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        for layer in 1..self.sizes.len() {
            for j in 0..self.sizes[layer] {
                for k in 0..self.sizes[layer - 1] {
                    page.line(&[self.neuron(layer - 1, k), self.neuron(layer, j)], EDGE, 1.5)?;
                }
            }
        }
        if let Some([l, j, k]) = self.marked {
            let (from, to) = (self.neuron(l - 2, k - 1), self.neuron(l - 1, j - 1));
            page.line(&[from, to], RED, 5.0)?;
            let label = format!("weight {j}, {k} of layer {l}");
            let middle = [(from[0] + to[0]) / 2.0, (from[1] + to[1]) / 2.0 + 28.0];
            page.text(&label, middle, HPos::Center, Direction::Across, 24.0)?;
        }
        for (layer, &size) in self.sizes.iter().enumerate() {
            for neuron in 0..size {
                let middle = self.neuron(layer, neuron);
                page.disc(middle, Self::RADIUS, WHITE)?;
                page.circle(middle, Self::RADIUS, BLACK, 2.5)?;
            }
            let x = self.neuron(layer, 0)[0];
            let bottom = self.height() + Self::MARGIN[1] + 24.0;
            let name = format!("layer {}", layer + 1);
            page.text(&name, [x, bottom], HPos::Center, Direction::Across, 24.0)?;
            let role = match layer {
                0 => "(input)",
                _ if layer + 1 == self.sizes.len() => "(output)",
                _ => "",
            };
            page.text(role, [x, bottom + 30.0], HPos::Center, Direction::Across, 24.0)?;
        }
        Ok(())
    }
}

/// What a block of a convolutional network gives: planes of numbers.
pub struct Planes {
    pub name: String,
    pub count: usize,
    pub side: usize,
    /// Plane after plane, row by row.
    pub values: Vec<f32>,
}

/// Draws what the blocks of a convolutional network make of a picture, from the picture to the
/// scores; each plane from its least number, black, to its largest, white.
pub fn blocks(dir: &Path, name: &str, blocks: &[Planes]) -> io::Result<()> {
    page::write(dir, name, &Blocks { blocks })
}

struct Blocks<'a> {
    blocks: &'a [Planes],
}

impl Blocks<'_> {
    const HEIGHT: f64 = 400.0;
    const TOP: f64 = 50.0;
    const GAP: f64 = 46.0;
    const SEAM: f64 = 3.0;

    /// Columns and rows of a block's planes, and the side of one on the page.
    fn grid(planes: &Planes) -> (usize, usize, f64) {
        let columns = planes.count.isqrt().next_power_of_two().min(planes.count);
        let rows = planes.count.div_ceil(columns);
        let largest = if planes.side == 1 { 26.0 } else { 110.0 };
        (columns, rows, (Self::HEIGHT / rows as f64 - Self::SEAM).min(largest))
    }

    fn width(planes: &Planes) -> f64 {
        let (columns, _, side) = Self::grid(planes);
        (columns as f64 * (side + Self::SEAM)).max(110.0)
    }
}

impl Figure for Blocks<'_> {
    fn size(&self) -> (u32, u32) {
        let width: f64 = self.blocks.iter().map(|planes| Self::width(planes) + Self::GAP).sum();
        ((width + Self::GAP) as u32, (Self::HEIGHT + Self::TOP + 20.0) as u32)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        let mut left = Self::GAP;
        for planes in self.blocks {
            let (columns, rows, side) = Self::grid(planes);
            let width = Self::width(planes);
            let middle = [left + width / 2.0, Self::TOP / 2.0];
            page.text(&planes.name, middle, HPos::Center, Direction::Across, 20.0)?;
            let inner = columns as f64 * (side + Self::SEAM);
            let top = Self::TOP + (Self::HEIGHT - rows as f64 * (side + Self::SEAM)) / 2.0;
            let all = |low: f32, high: f32, values: &[f32]| {
                values.iter().fold((low, high), |(low, high), &x| (low.min(x), high.max(x)))
            };
            let whole = all(f32::MAX, f32::MIN, &planes.values);
            for (index, plane) in planes.values.chunks_exact(planes.side * planes.side).enumerate()
            {
                let (row, column) = (index / columns, index % columns);
                let x0 = left + (width - inner) / 2.0 + column as f64 * (side + Self::SEAM);
                let y0 = top + row as f64 * (side + Self::SEAM);
                // A plane of one number has its brightness among the others.
                let (low, high) =
                    if planes.side == 1 { whole } else { all(f32::MAX, f32::MIN, plane) };
                let pixel = side / planes.side as f64;
                for (i, value) in plane.iter().enumerate() {
                    let level = (255.0 * (value - low) / (high - low).max(f32::MIN_POSITIVE)) as u8;
                    let x = x0 + pixel * (i % planes.side) as f64;
                    let y = y0 + pixel * (i / planes.side) as f64;
                    let corners = [[x, y], [x + pixel, y], [x + pixel, y + pixel], [x, y + pixel]];
                    page.polygon(&corners, RGBColor(level, level, level))?;
                }
                let frame =
                    [[x0, y0], [x0 + side, y0], [x0 + side, y0 + side], [x0, y0 + side], [x0, y0]];
                page.line(&frame, EDGE, 1.0)?;
            }
            left += width + Self::GAP;
        }
        Ok(())
    }
}
