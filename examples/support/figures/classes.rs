//! Figures about classes of pictures: which was taken for which, and a gallery of errors.

use std::io;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::page::{self, Direction, Drawn, Figure, Page};

const RIGHT: RGBColor = RGBColor(188, 230, 196);
const WRONG: RGBColor = RGBColor(249, 196, 192);
const MARGIN: RGBColor = RGBColor(240, 240, 240);

/// Draws which classes were taken for which, as in Figures 13 and 14: a row for each answer and
/// a column for each class, with counts and their share of all; at the margins, which share
/// of a row or column is right.
pub fn confusion(
    dir: &Path,
    name: &str,
    classes: &[String],
    count: impl Fn(usize, usize) -> u64,
) -> io::Result<()> {
    let n = classes.len();
    let counts = (0..n * n).map(|i| count(i % n, i / n)).collect();
    page::write(dir, name, &Matrix { classes, counts })
}

/// Draws pictures in rows of four, as in Figure 15, with a line of text above each. A picture
/// is 32 x 32 bytes of red, then of green and of blue.
pub fn gallery(dir: &Path, name: &str, pictures: &[(String, Vec<u8>)]) -> io::Result<()> {
    page::write(dir, name, &Gallery { pictures })
}

struct Matrix<'a> {
    classes: &'a [String],
    /// By answer and class.
    counts: Vec<u64>,
}

const CELL: [f64; 2] = [84.0, 56.0];
const NAMES: f64 = 170.0;

impl Matrix<'_> {
    fn cell<B: DrawingBackend>(
        page: &Page<B>,
        [row, column]: [usize; 2],
        lines: [String; 2],
        color: RGBColor,
    ) -> Drawn<B> {
        let (x, y) = (NAMES + CELL[0] * column as f64, 20.0 + CELL[1] * row as f64);
        rectangle(page, [x, y], [CELL[0] - 2.0, CELL[1] - 2.0], color)?;
        for (i, line) in lines.iter().enumerate() {
            let place = [x + CELL[0] / 2.0, y + 18.0 + 20.0 * i as f64];
            page.text(line, place, HPos::Center, Direction::Across, 17.0)?;
        }
        Ok(())
    }
}

impl Figure for Matrix<'_> {
    fn size(&self) -> (u32, u32) {
        let cells = (self.classes.len() + 1) as f64;
        ((NAMES + CELL[0] * cells + 20.0) as u32, (CELL[1] * cells + 20.0 + NAMES) as u32)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        let n = self.classes.len();
        let at = |answer: usize, class: usize| self.counts[answer * n + class];
        let all: u64 = self.counts.iter().sum();
        let percent = |part: u64, whole: u64| match whole {
            0 => "–".to_owned(),
            _ => format!("{:.1} %", 100.0 * part as f64 / whole as f64),
        };
        let shares =
            |right: u64, whole: u64| [percent(right, whole), percent(whole - right, whole)];
        for answer in 0..n {
            for class in 0..n {
                let count = at(answer, class);
                let color = match count {
                    _ if answer == class => RIGHT,
                    0 => MARGIN,
                    _ => WRONG,
                };
                Self::cell(page, [answer, class], [count.to_string(), percent(count, all)], color)?;
            }
            let row = (0..n).map(|class| at(answer, class)).sum();
            Self::cell(page, [answer, n], shares(at(answer, answer), row), MARGIN)?;
        }
        for class in 0..n {
            let column = (0..n).map(|answer| at(answer, class)).sum();
            Self::cell(page, [n, class], shares(at(class, class), column), MARGIN)?;
        }
        let right = (0..n).map(|class| at(class, class)).sum();
        Self::cell(page, [n, n], shares(right, all), SILVER)?;
        let bottom = 20.0 + CELL[1] * (n + 1) as f64;
        for (i, name) in self.classes.iter().enumerate() {
            let y = 20.0 + CELL[1] * (i as f64 + 0.5);
            page.text(name, [NAMES - 10.0, y], HPos::Right, Direction::Across, 17.0)?;
            let x = NAMES + CELL[0] * (i as f64 + 0.5);
            page.text(name, [x, bottom + 8.0], HPos::Right, Direction::Upwards, 17.0)?;
        }
        page.text("answer", [12.0, bottom + 20.0], HPos::Left, Direction::Across, 20.0)?;
        let middle = [NAMES - 10.0, bottom + 60.0];
        page.text("class", middle, HPos::Right, Direction::Across, 20.0)
    }
}

const SILVER: RGBColor = RGBColor(200, 210, 225);

struct Gallery<'a> {
    pictures: &'a [(String, Vec<u8>)],
}

/// Extent of a picture, and of the place that it has.
const PICTURE: f64 = 160.0;
const PLACE: [f64; 2] = [250.0, 210.0];

impl Figure for Gallery<'_> {
    fn size(&self) -> (u32, u32) {
        let rows = self.pictures.len().div_ceil(4).max(1) as f64;
        ((4.0 * PLACE[0]) as u32, (PLACE[1] * rows + 10.0) as u32)
    }

    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B> {
        for (i, (title, pixels)) in self.pictures.iter().enumerate() {
            let left = PLACE[0] * (i % 4) as f64;
            let top = PLACE[1] * (i / 4) as f64 + 40.0;
            let middle = left + PLACE[0] / 2.0;
            page.text(title, [middle, top - 14.0], HPos::Center, Direction::Across, 14.0)?;
            let side = PICTURE / 32.0;
            for pixel in 0..32 * 32 {
                let color = [0, 1, 2].map(|plane| pixels[1024 * plane + pixel]);
                let x = middle - PICTURE / 2.0 + side * (pixel % 32) as f64;
                let y = top + side * (pixel / 32) as f64;
                rectangle(page, [x, y], [side, side], RGBColor(color[0], color[1], color[2]))?;
            }
        }
        Ok(())
    }
}

fn rectangle<B: DrawingBackend>(
    page: &Page<B>,
    [x, y]: [f64; 2],
    [width, height]: [f64; 2],
    color: RGBColor,
) -> Drawn<B> {
    let corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
    page.polygon(&corners, color)
}
