//! Writes a figure to disk, as SVG for the web and print and as PNG for everything else.
//!
//! A figure is drawn twice by the same code, once for each format, on a page that is finer than
//! what the reader sees. `plotters` places everything on whole pixels and smooths edges only
//! here and there; on a page of `UNITS` steps to the pixel its rounding is invisible, and
//! averaging the PNG down smooths every edge alike.
//!
//! Text is set in a font that is compiled in, so that it appears on machines without any fonts.
//! The SVG merely asks for a sans-serif font, which every viewer has.
//!
//! Files are written under a temporary name and then renamed: a reader never meets half a file.

use std::fs;
use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, FontTransform, register_font};

/// Drawing units to a page pixel, as the SVG shows it.
const UNITS: u32 = 6;
/// Drawing units that are averaged into one PNG pixel: two PNG pixels to a page pixel.
const UNITS_PER_PNG_PIXEL: u32 = 3;
/// The name under which `plotters` finds the compiled-in font, and an SVG viewer one of its own.
const FONT: &str = "sans-serif";
/// Height of a capital letter or digit as a share of the font size.
const CAPITAL_HEIGHT: f64 = 0.54;

/// The outcome of drawing on a backend.
pub type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Something that can be drawn on any page.
pub trait Figure {
    /// Width and height in page pixels.
    fn size(&self) -> (u32, u32);

    /// Draws the whole figure.
    fn draw<B: DrawingBackend>(&self, page: &Page<B>) -> Drawn<B>;
}

/// A blank sheet, measured in page pixels from its upper left corner.
pub struct Page<B: DrawingBackend> {
    area: DrawingArea<B, Shift>,
    format: Format,
}

/// The kind of file a page ends up in, since `plotters` does not draw quite the same in both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Svg,
    Png,
}

impl Format {
    /// How far below a text's anchor `plotters` puts the baseline, as a share of the font size.
    fn text_drop(self) -> f64 {
        match self {
            // Half the height of an x, which is about half an em, which is size / 1.24.
            Self::Svg => 0.22,
            // Half a size less half an em.
            Self::Png => 0.10,
        }
    }
}

/// The way a text runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Across,
    Upwards,
}

impl<B: DrawingBackend> Page<B> {
    fn draw(backend: B, format: Format, figure: &impl Figure) -> io::Result<()> {
        let page = Self { area: backend.into_drawing_area(), format };
        page.area
            .fill(&WHITE)
            .and_then(|()| figure.draw(&page))
            .and_then(|()| page.area.present())
            .map_err(|error| io::Error::other(error.to_string()))
    }

    /// Draws a line through `points`, with round joins.
    pub fn line(&self, points: &[[f64; 2]], color: RGBColor, width: f64) -> Drawn<B> {
        let path: Vec<_> = points.iter().map(on_grid).collect();
        let style = color.stroke_width(units(width));
        if self.format == Format::Svg {
            return self.area.draw(&PathElement::new(path, style));
        }
        // In a bitmap, `plotters` mitres joins into long spikes and leaves holes where a line
        // crosses itself. Straight pieces with a disc at each join have neither. A disc covers its
        // middle as well, so it is kept within the line's width by one unit less of radius.
        for piece in path.windows(2) {
            self.area.draw(&PathElement::new(piece.to_vec(), style))?;
        }
        for &join in path.iter().skip(1).rev().skip(1) {
            let radius = (units(width) / 2).saturating_sub(1);
            self.area.draw(&Circle::new(join, radius, color.filled()))?;
        }
        Ok(())
    }

    /// Fills the inside of the ring of `points`.
    pub fn polygon(&self, points: &[[f64; 2]], color: RGBColor) -> Drawn<B> {
        let ring: Vec<_> = points.iter().map(on_grid).collect();
        self.area.draw(&Polygon::new(ring, color))
    }

    /// Draws the rim of a circle.
    pub fn circle(&self, center: [f64; 2], radius: f64, color: RGBColor, width: f64) -> Drawn<B> {
        let style = color.stroke_width(units(width));
        self.area.draw(&Circle::new(on_grid(&center), units(radius), style))
    }

    /// Fills the inside of a circle.
    pub fn disc(&self, center: [f64; 2], radius: f64, color: RGBColor) -> Drawn<B> {
        self.area.draw(&Circle::new(on_grid(&center), units(radius), color.filled()))
    }

    /// Sets `text` at `position`, which is halfway up its capital letters.
    pub fn text(
        &self,
        text: &str,
        position: [f64; 2],
        align: HPos,
        direction: Direction,
        size: f64,
    ) -> Drawn<B> {
        let shift = (CAPITAL_HEIGHT / 2.0 - self.format.text_drop()) * size;
        let [x, y] = position;
        let (anchor, transform) = match direction {
            Direction::Across => ([x, y + shift], FontTransform::None),
            Direction::Upwards => ([x + shift, y], FontTransform::Rotate270),
        };
        let style = TextStyle::from((FONT, f64::from(units(size))).into_font())
            .transform(transform)
            .pos(Pos::new(align, VPos::Center));
        self.area.draw(&Text::new(text, on_grid(&anchor), style))
    }
}

fn units(length: f64) -> u32 {
    (length * f64::from(UNITS)).round() as u32
}

fn on_grid(&[x, y]: &[f64; 2]) -> (i32, i32) {
    let unit = |length: f64| (length * f64::from(UNITS)).round() as i32;
    (unit(x), unit(y))
}

/// Writes `figure` to `<name>.svg` and `<name>.png` in `dir`, which is created if need be.
pub fn write(dir: &Path, name: &str, figure: &impl Figure) -> io::Result<()> {
    register_font(FONT, FontStyle::Normal, notosans::REGULAR_TTF)
        .map_err(|_| io::Error::other("the compiled-in font cannot be read"))?;
    fs::create_dir_all(dir).map_err(|error| with_path(dir, &error))?;
    replace(dir, name, "svg", |path| fs::write(path, svg(figure)?))?;
    replace(dir, name, "png", |path| write_png(path, figure))
}

/// Has `write` fill a temporary file, then gives that file its final name.
fn replace(
    dir: &Path,
    name: &str,
    extension: &str,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let path = dir.join(format!("{name}.{extension}"));
    // The same folder, since a rename is atomic only within a file system.
    let temporary = dir.join(format!(".{name}-{}.{extension}", std::process::id()));
    write(&temporary).and_then(|()| fs::rename(&temporary, &path)).map_err(|error| {
        // The first error is the one to report, whether or not cleaning up succeeds.
        let _ = fs::remove_file(&temporary);
        with_path(&path, &error)
    })
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn svg(figure: &impl Figure) -> io::Result<String> {
    let (width, height) = figure.size();
    let (fine_width, fine_height) = (width * UNITS, height * UNITS);
    let mut document = String::new();
    let backend = SVGBackend::with_string(&mut document, (fine_width, fine_height));
    Page::draw(backend, Format::Svg, figure)?;
    // The view box keeps the fine units; what remains is to say how large they are to appear.
    // Round joins, as in the PNG.
    Ok(document.replacen(
        &format!("width=\"{fine_width}\" height=\"{fine_height}\""),
        &format!("width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\""),
        1,
    ))
}

fn write_png(path: &Path, figure: &impl Figure) -> io::Result<()> {
    let (width, height) = figure.size();
    let fine_size = (width * UNITS, height * UNITS);
    let mut fine = vec![0; fine_size.0 as usize * fine_size.1 as usize * 3];
    let backend = BitMapBackend::with_buffer(&mut fine, fine_size);
    Page::draw(backend, Format::Png, figure)?;

    let size = (fine_size.0 / UNITS_PER_PNG_PIXEL, fine_size.1 / UNITS_PER_PNG_PIXEL);
    let pixels = averaged(&fine, fine_size.0 as usize, UNITS_PER_PNG_PIXEL as usize);
    let mut backend = BitMapBackend::new(path, size);
    backend
        .blit_bitmap((0, 0), size, &pixels)
        .and_then(|()| backend.present())
        .map_err(|error| io::Error::other(error.to_string()))
}

/// Replaces each square of `side` by `side` RGB pixels with their mean.
fn averaged(pixels: &[u8], width: usize, side: usize) -> Vec<u8> {
    let samples = (side * side) as u32;
    let mut means = Vec::with_capacity(pixels.len() / (side * side));
    for band in pixels.chunks_exact(width * 3 * side) {
        let mut sums = vec![[0_u32; 3]; width / side];
        for row in band.chunks_exact(width * 3) {
            for (sum, group) in sums.iter_mut().zip(row.chunks_exact(side * 3)) {
                for (i, &value) in group.iter().enumerate() {
                    sum[i % 3] += u32::from(value);
                }
            }
        }
        means.extend(sums.as_flattened().iter().map(|sum| ((sum + samples / 2) / samples) as u8));
    }
    means
}
