//! A trace as a picture that needs no other program.

use std::fmt::Write;

use super::layout::layout;
use super::{Box, Graph, Kind};
use crate::trace::Trace;

/// The height of a line, and the width of a letter, of the two sizes of text.
const LINE: f64 = 16.0;
const LETTER: f64 = 7.4;
const SMALL_LETTER: f64 = 6.4;
/// Between boxes, sideways and downwards.
const GAP: f64 = 22.0;
const DROP: f64 = 34.0;
const MARGIN: f64 = 16.0;
/// The letters of a title.
const LONGEST: usize = 44;

const STYLE: &str = "\
text { font: 12px ui-monospace, 'DejaVu Sans Mono', monospace; fill: #1b2430 }
.note { font-size: 10.5px; fill: #4a5666 }
.upwards { fill: #a03a1c }
.arc { fill: none; stroke: #7b8794; stroke-width: 1.2 }
.passive { stroke-dasharray: 3 4 }
rect { stroke-width: 1.4 }
.independent { fill: #dff2e1; stroke: #2f8f4e }
.active { fill: #e3eefb; stroke: #2a6fb0 }
.output { fill: #ece4f8; stroke: #6a3fa0; stroke-width: 2 }
.scope { fill: #e3eefb; stroke: #2a6fb0; stroke-width: 2 }
.cut { fill: #fdf1d8; stroke: #b7791f; stroke-dasharray: 5 3 }
.constant { fill: #f1f3f5; stroke: #98a2ad; stroke-dasharray: 5 3 }
";

impl Trace {
    /// The trace as a picture: boxes in layers from the inputs down, the higher the more operations they
    /// take, with value and adjoint. Inputs are green; what derivatives go through is blue, the
    /// output violet, what they end at yellow, and constants grey. A large trace is folded by its scopes
    /// until it is readable, unless [`folded`](Self::folded) says how.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0).named("x");
    /// let picture = tape.trace(x.sin() * x).to_svg();
    /// assert!(picture.starts_with("<svg") && picture.contains("v1 = sin(x)"));
    /// ```
    pub fn to_svg(&self) -> String {
        draw(&Graph::readable(self))
    }
}

fn draw(graph: &Graph) -> String {
    let widths: Vec<f64> = graph.boxes.iter().map(width).collect();
    let arcs: Vec<(usize, usize)> = graph.arcs.iter().map(|&(from, to, _)| (from, to)).collect();
    let layout = layout(&widths, &arcs, GAP);
    // The top of each layer, and its height.
    let mut heights = vec![0.0_f64; layout.layers];
    for (item, &layer) in graph.boxes.iter().zip(&layout.layer) {
        heights[layer] = heights[layer].max(height(item));
    }
    let mut tops = vec![MARGIN];
    for height in &heights {
        tops.push(tops[tops.len() - 1] + height + DROP);
    }
    let full = [layout.width + 2.0 * MARGIN, tops[layout.layers] - DROP + MARGIN];
    let [full_width, full_height] = full.map(|x| x.max(2.0 * MARGIN).ceil());
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {full_width} {full_height}\" \
         width=\"{full_width}\" height=\"{full_height}\" role=\"img\">\n\
         <title>Computational graph of {} boxes</title>\n<style>\n{STYLE}</style>\n\
         <rect width=\"{full_width}\" height=\"{full_height}\" fill=\"#fff\"/>\n",
        graph.boxes.len()
    );
    let middle = |layer: usize| tops[layer] + heights[layer] / 2.0;
    let ends = |index: usize| {
        let (y, half) = (middle(layout.layer[index]), height(&graph.boxes[index]) / 2.0);
        [y - half, y + half]
    };
    for (&(from, to, is_active), bends) in graph.arcs.iter().zip(&layout.bends) {
        let (x, y) = (layout.x[from] + MARGIN, ends(from)[1]);
        let mut path = format!("M{x:.1} {y:.1}");
        let mut last = [x, y];
        let first = layout.layer[from] + 1;
        // Straight down past the boxes of a layer, and in a curve from one layer to the next.
        for (layer, x) in (first..).zip(bends) {
            let x = x + MARGIN;
            curve(&mut path, last, [x, tops[layer]]);
            let below = tops[layer] + heights[layer];
            let _ = write!(path, " L{x:.1} {below:.1}");
            last = [x, below];
        }
        curve(&mut path, last, [layout.x[to] + MARGIN, ends(to)[0]]);
        let class = if is_active { "arc" } else { "arc passive" };
        let _ = writeln!(out, "<path class=\"{class}\" d=\"{path}\"/>");
    }
    for (index, item) in graph.boxes.iter().enumerate() {
        let (x, [top, _]) = (layout.x[index] + MARGIN, ends(index));
        draw_box(&mut out, item, x, top, widths[index]);
    }
    out + "</svg>\n"
}

fn curve(path: &mut String, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
    let half = (y1 + y2) / 2.0;
    let _ = write!(path, " C{x1:.1} {half:.1} {x2:.1} {half:.1} {x2:.1} {y2:.1}");
}

fn draw_box(out: &mut String, item: &Box, x: f64, top: f64, width: f64) {
    let class = match item.kind {
        Kind::Independent => "independent",
        Kind::Constant => "constant",
        Kind::Active => "active",
        Kind::Cut => "cut",
        Kind::Output => "output",
        Kind::Scope => "scope",
    };
    let (left, height) = (x - width / 2.0, height(item));
    let of = item.row.map(|row| format!(" data-row=\"{row}\"")).unwrap_or_default();
    let _ = writeln!(
        out,
        "<g{of}><title>{}</title>\n<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" \
         width=\"{width:.1}\" height=\"{height:.1}\" rx=\"5\"/>",
        escaped(&item.hint)
    );
    let lines = 1 + item.notes.len();
    let mut y = top + (height - lines as f64 * LINE) / 2.0 + LINE * 0.75;
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>",
        escaped(&title(item))
    );
    for note in &item.notes {
        y += LINE;
        let class = if note.starts_with("bar ") { "note upwards" } else { "note" };
        let note =
            note.strip_prefix("bar ").map_or(note.clone(), |adjoint| format!("\u{2191} {adjoint}"));
        let _ = writeln!(
            out,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>",
            escaped(&note)
        );
    }
    out.push_str("</g>\n");
}

fn title(item: &Box) -> String {
    match item.title.chars().count() > LONGEST {
        true => item.title.chars().take(LONGEST - 2).collect::<String>() + "..",
        false => item.title.clone(),
    }
}

fn width(item: &Box) -> f64 {
    let notes = item.notes.iter().map(|note| note.chars().count() as f64 * SMALL_LETTER);
    notes.fold(title(item).chars().count() as f64 * LETTER, f64::max) + 18.0
}

/// The more operations, the higher.
fn height(item: &Box) -> f64 {
    (1 + item.notes.len()) as f64 * LINE + 10.0 + 5.0 * ((1 + item.operations) as f64).log10()
}

pub(in crate::trace) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
