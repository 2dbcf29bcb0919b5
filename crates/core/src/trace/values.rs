//! What a trace keeps of a value: all of a small one; of a large one its size, its extremes, and a
//! picture of few points.

use crate::scalar::Real;
use crate::tensor::{Shape, View};

use super::number;

/// Elements up to which a value is kept in full.
const SMALL: usize = 64;
/// The most rows and columns of a picture.
const SIDE: usize = 24;
/// The bins of a histogram.
const BINS: usize = 24;

/// A value, an adjoint or a tangent, as a trace shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// The extents.
    pub shape: Shape,
    /// The elements in row-major order: all of them up to 64, else the first few.
    pub elements: Vec<f64>,
    /// The Euclidean norm.
    pub norm: f64,
    /// The smallest element that is a number.
    pub smallest: f64,
    /// The largest element that is a number.
    pub largest: f64,
    /// How many elements are not finite.
    pub not_finite: usize,
    /// How many finite elements lie in each part of the range between the extremes; empty for small
    /// values.
    pub histogram: Vec<usize>,
    /// A picture, if the value is a tensor.
    pub picture: Option<Picture>,
}

/// A tensor as rows of levels from 0 (its smallest) to 1 (its largest): the last two axes as an image,
/// further ones beside each other. Of a large image, each point is the mean of a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The points of a row.
    pub columns: usize,
    /// The levels, row by row; NaN where a part has no finite mean, and between images.
    pub levels: Vec<f32>,
}

impl Values {
    pub(super) fn of<T: Real>(view: View<'_, T>) -> Self {
        let shape = view.shape().clone();
        let count = shape.elements();
        let elements = || view.iter().map(Real::as_f64);
        let finite = || elements().filter(|x| x.is_finite());
        let (smallest, largest) =
            (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        // Scaled, so that no square overflows.
        let scale = smallest.abs().max(largest.abs());
        let norm = match scale > 0.0 && scale.is_finite() {
            true => scale * finite().map(|x| (x / scale).powi(2)).sum::<f64>().sqrt(),
            false => 0.0,
        };
        let mut histogram = Vec::new();
        if count > SMALL && largest > smallest {
            histogram.resize(BINS, 0);
            for x in finite() {
                let share = (x - smallest) / (largest - smallest);
                histogram[((share * BINS as f64) as usize).min(BINS - 1)] += 1;
            }
        }
        let kept = if count <= SMALL { count } else { 3 };
        Self {
            elements: elements().take(kept).collect(),
            norm,
            smallest,
            largest,
            not_finite: count - finite().count(),
            histogram,
            picture: (count > 1).then(|| picture(&shape, elements(), [smallest, largest])),
            shape,
        }
    }

    /// The number, of a value with one element.
    pub fn item(&self) -> Option<f64> {
        (self.shape.elements() == 1).then(|| self.elements[0])
    }

    /// The value in a few words: a number, a few elements, or norm and extremes.
    pub fn brief(&self) -> String {
        let count = self.shape.elements();
        let numbers = |digits| {
            let numbers: Vec<String> = self.elements.iter().map(|x| number(*x, digits)).collect();
            numbers.join(", ")
        };
        match count {
            0 => "[]".to_owned(),
            1 => number(self.elements[0], 6),
            2..=4 => format!("[{}]", numbers(4)),
            _ if self.not_finite == count => format!("{count} elements, none finite"),
            _ => {
                let (low, high) = (number(self.smallest, 3), number(self.largest, 3));
                let bad = if self.not_finite > 0 {
                    format!(", {} not finite", self.not_finite)
                } else {
                    String::new()
                };
                format!("norm {}, {low} to {high}{bad}", number(self.norm, 4))
            }
        }
    }
}

/// The picture of elements in row-major order.
fn picture(shape: &Shape, elements: impl Iterator<Item = f64>, range: [f64; 2]) -> Picture {
    let rank = shape.rank();
    let width = shape[rank - 1].max(1);
    // A matrix and a vector are one image; of more axes, the images stand in a square of tiles.
    let height = if rank >= 2 { shape[rank - 2].max(1) } else { 1 };
    let images = (shape.elements() / (width * height)).max(1);
    let across = ((images as f64 * height as f64 / width as f64).sqrt().ceil() as usize).max(1);
    let down = images.div_ceil(across);
    let (full_width, full_height) = (across * width, down * height);
    let (columns, rows) = (full_width.min(SIDE), full_height.min(SIDE));
    let mut sums = vec![(0.0, 0_usize); columns * rows];
    for (i, x) in elements.enumerate() {
        let (image, within) = (i / (width * height), i % (width * height));
        let column = image % across * width + within % width;
        let row = image / across * height + within / width;
        let point = &mut sums[row * rows / full_height * columns + column * columns / full_width];
        *point = (point.0 + x, point.1 + 1);
    }
    let [low, high] = range;
    let level = |(sum, count): (f64, usize)| match high > low {
        true => ((sum / count as f64 - low) / (high - low)) as f32,
        false if count == 0 => f32::NAN,
        false => 0.5,
    };
    Picture { columns, levels: sums.into_iter().map(level).collect() }
}
