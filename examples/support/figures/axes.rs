//! A frame with ticks and labels in MATLAB's manner, and what is drawn inside it.
//!
//! `plotters` has charts of its own. They put ticks outside and on two sides only, know no typeset
//! powers of ten and centre labels a little differently in each format, so the few lines that make
//! up a MATLAB frame are drawn here instead.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::page::{Direction, Drawn, Page};

/// Sizes in page pixels.
const FRAME_WIDTH: f64 = 1.5;
const TICK_LENGTH: f64 = 7.0;
const MINOR_TICK_LENGTH: f64 = 4.0;
const LABEL_SIZE: f64 = 27.0;
const TITLE_SIZE: f64 = 29.0;
const EXPONENT_SIZE: f64 = 19.0;
/// From the frame to the near edge of the labels at its left.
const LABEL_GAP: f64 = 10.0;
/// From the frame to the middle of the labels below it.
const LABEL_DEPTH: f64 = 22.0;
/// How far an exponent's middle is above that of its base.
const EXPONENT_RISE: f64 = 10.0;
/// Room for an exponent between a power of ten and the frame.
const EXPONENT_ROOM: f64 = 24.0;
const MARKER_RADIUS: f64 = 12.0;
const MARKER_WIDTH: f64 = 6.0;

/// Where on the page a pair of axes is, in page pixels.
#[derive(Clone, Copy)]
pub struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// A labelled place on an axis.
pub struct Tick {
    place: f64,
    label: String,
}

impl Tick {
    pub fn new(place: f64, label: &str) -> Self {
        Self { place, label: label.to_owned() }
    }
}

/// A part of a page with coordinates of its own.
pub struct Axes<'a, B: DrawingBackend> {
    page: &'a Page<B>,
    frame: Frame,
    x_range: [f64; 2],
    y_range: [f64; 2],
}

impl<'a, B: DrawingBackend> Axes<'a, B> {
    pub fn new(page: &'a Page<B>, frame: Frame, x_range: [f64; 2], y_range: [f64; 2]) -> Self {
        Self { page, frame, x_range, y_range }
    }

    /// Where on the page a point of the axes is.
    fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let share = |value: f64, [from, to]: [f64; 2]| (value - from) / (to - from);
        let Frame { left, right, top, bottom } = self.frame;
        [
            left + share(x, self.x_range) * (right - left),
            bottom - share(y, self.y_range) * (bottom - top),
        ]
    }

    fn places(&self, points: &[[f64; 2]]) -> Vec<[f64; 2]> {
        points.iter().map(|&point| self.place(point)).collect()
    }

    pub fn draw_frame(&self) -> Drawn<B> {
        let Frame { left, right, top, bottom } = self.frame;
        // Every side reaches half a line further than its corners, which closes them.
        let half = FRAME_WIDTH / 2.0;
        for y in [top, bottom] {
            self.frame_line([left - half, y], [right + half, y])?;
        }
        for x in [left, right] {
            self.frame_line([x, top - half], [x, bottom + half])?;
        }
        Ok(())
    }

    fn frame_line(&self, from: [f64; 2], to: [f64; 2]) -> Drawn<B> {
        self.page.line(&[from, to], BLACK, FRAME_WIDTH)
    }

    /// Draws ticks at the bottom and the top, with labels at the bottom.
    pub fn draw_x_ticks(&self, ticks: &[Tick]) -> Drawn<B> {
        let Frame { left, right, top, bottom } = self.frame;
        for tick in ticks {
            let [x, _] = self.place([tick.place, self.y_range[0]]);
            // A mark along a side would only thicken it.
            if x > left && x < right {
                self.frame_line([x, bottom], [x, bottom - TICK_LENGTH])?;
                self.frame_line([x, top], [x, top + TICK_LENGTH])?;
            }
            self.label(&tick.label, [x, bottom + LABEL_DEPTH], HPos::Center)?;
        }
        Ok(())
    }

    /// Draws ticks at the left and the right, with labels at the left.
    pub fn draw_y_ticks(&self, ticks: &[Tick]) -> Drawn<B> {
        for tick in ticks {
            let y = self.y_tick_pair(tick.place, TICK_LENGTH)?;
            self.label(&tick.label, [self.frame.left - LABEL_GAP, y], HPos::Right)?;
        }
        Ok(())
    }

    /// Draws a tick at the left and the right; returns their height on the page.
    fn y_tick_pair(
        &self,
        place: f64,
        length: f64,
    ) -> Result<f64, DrawingAreaErrorKind<B::ErrorType>> {
        let Frame { left, right, top, bottom } = self.frame;
        let [_, y] = self.place([self.x_range[0], place]);
        if y > top && y < bottom {
            self.frame_line([left, y], [left + length, y])?;
            self.frame_line([right, y], [right - length, y])?;
        }
        Ok(y)
    }

    /// Draws the ticks of a logarithmic axis, whose coordinates are decimal logarithms.
    pub fn draw_y_decades(&self, lowest: i32, highest: i32) -> Drawn<B> {
        // No more labels than can be told apart, and minor ticks only where each decade has one.
        let stride = (highest - lowest).div_euclid(10) + 1;
        for decade in lowest..=highest {
            if (decade - lowest) % stride == 0 {
                let y = self.y_tick_pair(f64::from(decade), TICK_LENGTH)?;
                let end_of_base = self.frame.left - LABEL_GAP - EXPONENT_ROOM;
                self.power_of_ten("10", decade, [end_of_base, y])?;
            }
            if stride == 1 && decade < highest {
                for digit in 2..10 {
                    let place = f64::from(decade) + f64::from(digit).log10();
                    self.y_tick_pair(place, MINOR_TICK_LENGTH)?;
                }
            }
        }
        Ok(())
    }

    /// Writes the power of ten by which the labels of the horizontal axis are to be multiplied.
    pub fn draw_x_factor(&self, power: i32) -> Drawn<B> {
        let end_of_base = self.frame.right - EXPONENT_ROOM / 2.0;
        let y = self.frame.bottom + 2.6 * LABEL_DEPTH;
        self.power_of_ten("×10", power, [end_of_base, y])
    }

    /// Sets `base` so that it ends at `end`, with `power` as a superscript behind it.
    fn power_of_ten(&self, base: &str, power: i32, end: [f64; 2]) -> Drawn<B> {
        let [x, y] = end;
        self.label(base, end, HPos::Right)?;
        // The proper minus sign, which is as wide as a digit.
        let exponent = power.to_string().replace('-', "−");
        let position = [x + 1.0, y - EXPONENT_RISE];
        self.page.text(&exponent, position, HPos::Left, Direction::Across, EXPONENT_SIZE)
    }

    fn label(&self, text: &str, position: [f64; 2], align: HPos) -> Drawn<B> {
        self.page.text(text, position, align, Direction::Across, LABEL_SIZE)
    }

    pub fn draw_title(&self, title: &str) -> Drawn<B> {
        let Frame { left, right, top, .. } = self.frame;
        let position = [(left + right) / 2.0, top - 20.0];
        self.page.text(title, position, HPos::Center, Direction::Across, TITLE_SIZE)
    }

    pub fn draw_x_label(&self, label: &str) -> Drawn<B> {
        let Frame { left, right, bottom, .. } = self.frame;
        let position = [(left + right) / 2.0, bottom + 2.8 * LABEL_DEPTH];
        self.page.text(label, position, HPos::Center, Direction::Across, TITLE_SIZE)
    }

    pub fn draw_y_label(&self, label: &str) -> Drawn<B> {
        let Frame { left, top, bottom, .. } = self.frame;
        let position = [left - 86.0, (top + bottom) / 2.0];
        self.page.text(label, position, HPos::Center, Direction::Upwards, TITLE_SIZE)
    }

    /// Writes the `k`-th entry of a legend in the upper right corner, in the colour that it is
    /// about.
    pub fn draw_entry(&self, k: usize, name: &str, color: RGBColor) -> Drawn<B> {
        let Frame { right, top, .. } = self.frame;
        let y = top + 1.5 * LABEL_SIZE * (k as f64 + 1.0);
        self.page.line(&[[right - 40.0, y], [right - 14.0, y]], color, 4.0)?;
        self.page.text(name, [right - 50.0, y], HPos::Right, Direction::Across, LABEL_SIZE)
    }

    pub fn draw_curve(&self, points: &[[f64; 2]], color: RGBColor, width: f64) -> Drawn<B> {
        self.page.line(&self.places(points), color, width)
    }

    pub fn fill(&self, ring: &[[f64; 2]], color: RGBColor) -> Drawn<B> {
        self.page.polygon(&self.places(ring), color)
    }

    pub fn draw_circle(&self, center: [f64; 2], color: RGBColor) -> Drawn<B> {
        self.page.circle(self.place(center), MARKER_RADIUS, color, MARKER_WIDTH)
    }

    pub fn draw_dot(&self, center: [f64; 2], radius: f64, color: RGBColor) -> Drawn<B> {
        self.page.disc(self.place(center), radius, color)
    }

    /// Writes a name at a point.
    pub fn draw_name(&self, name: &str, point: [f64; 2]) -> Drawn<B> {
        self.label(name, self.place(point), HPos::Center)
    }

    pub fn draw_cross(&self, center: [f64; 2], color: RGBColor) -> Drawn<B> {
        let [x, y] = self.place(center);
        let reach = MARKER_RADIUS;
        for slope in [-1.0, 1.0] {
            let ends = [[x - reach, y - slope * reach], [x + reach, y + slope * reach]];
            self.page.line(&ends, color, MARKER_WIDTH)?;
        }
        Ok(())
    }
}
