//! Curves of a run as a picture.
//!
//! Written by hand: a few lines and texts of SVG, where a library of figures would
//! double what this crate takes to build.

use std::fmt::Write;

use super::History;

/// Extents of a panel's plot, and the room around it.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 34.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 46.0;
/// The width of a letter, about.
const LETTER: f64 = 6.0;
/// Intervals between marks on an axis, at most.
const INTERVALS: f64 = 8.0;

/// The phases of an epoch, as columns name them, and their colours.
const PHASES: [(&str, &str); 2] = [("train", "#1f6fb2"), ("validation", "#d1562b")];

/// The picture: a panel for each metric, side by side.
pub(super) fn svg(history: &History) -> String {
    let mut metrics: Vec<&str> = Vec::new();
    for (name, _) in history.columns() {
        let metric =
            PHASES.iter().find_map(|(phase, _)| name.strip_prefix(phase)?.strip_prefix(' '));
        metrics.extend(metric.filter(|metric| !metrics.contains(metric)));
    }
    let panel = LEFT + WIDTH + RIGHT;
    let (width, height) = (panel * metrics.len().max(1) as f64, TOP + HEIGHT + BOTTOM);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (i, metric) in metrics.iter().enumerate() {
        let curves: Vec<(&str, &str, &[f64])> = PHASES
            .iter()
            .filter_map(|&(phase, colour)| {
                Some((phase, colour, history.column(&format!("{phase} {metric}"))?))
            })
            .collect();
        let _ = writeln!(out, "<g transform=\"translate({}, {TOP})\">", LEFT + panel * i as f64);
        draw(&mut out, metric, history, &curves);
        out += "</g>\n";
    }
    out + "</svg>\n"
}

/// Draws a panel whose plot has its upper left corner at the origin.
fn draw(out: &mut String, metric: &str, history: &History, curves: &[(&str, &str, &[f64])]) {
    let finite = || curves.iter().flat_map(|(_, _, ys)| *ys).copied().filter(|y| y.is_finite());
    let (low, high) =
        finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(y), h.max(y)));
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    // A curve that stays where it is runs through the middle.
    let margin = if high > low { 0.05 * (high - low) } else { high.abs().max(1.0) / 2.0 };
    let (low, high) = (low - margin, high + margin);
    let last = (history.epochs() as f64).max(2.0);
    let x = |epoch: f64| (epoch - 1.0) / (last - 1.0) * WIDTH;
    let y = |value: f64| (high - value) / (high - low) * HEIGHT;

    let mut line = |x1: f64, y1: f64, x2: f64, y2: f64, colour: &str| {
        let _ = writeln!(
            out,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>"
        );
    };
    let (x_marks, y_marks) = (marks(1.0, last, 1.0), marks(low, high, 0.0));
    y_marks.iter().for_each(|&(mark, _)| line(0.0, y(mark), WIDTH, y(mark), "#e4e4e4"));
    x_marks.iter().for_each(|&(mark, _)| line(x(mark), HEIGHT, x(mark), HEIGHT + 4.0, "black"));
    line(0.0, HEIGHT, WIDTH, HEIGHT, "black");
    line(0.0, 0.0, 0.0, HEIGHT, "black");
    let best = history.marked().map(|epoch| x(epoch as f64 + 1.0));
    if let Some(best) = best {
        line(best, 0.0, best, HEIGHT, "#888888");
    }

    let mut text = |x: f64, y: f64, anchor: &str, style: &str, text: &str| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{style}>{text}</text>"
        );
    };
    text(0.0, -14.0, "start", " font-size=\"14\" font-weight=\"bold\"", metric);
    text(WIDTH / 2.0, HEIGHT + 36.0, "middle", "", "epoch");
    x_marks.iter().for_each(|(mark, label)| text(x(*mark), HEIGHT + 18.0, "middle", "", label));
    y_marks.iter().for_each(|(mark, label)| text(-8.0, y(*mark) + 4.0, "end", "", label));
    if let Some(best) = best {
        // On the side where there is room.
        let (anchor, aside) = if best > WIDTH / 2.0 { ("end", -5.0) } else { ("start", 5.0) };
        text(best + aside, 12.0, anchor, " fill=\"#666666\"", "best");
    }
    // The legend stands above the plot, where no curve comes.
    let mut end = WIDTH;
    for (phase, colour, _) in curves.iter().rev() {
        text(end, -14.0, "end", &format!(" fill=\"{colour}\""), phase);
        end -= LETTER * phase.len() as f64 + 16.0;
    }
    for (_, colour, ys) in curves {
        let points: Vec<String> = (1..)
            .zip(*ys)
            .filter(|(_, value)| value.is_finite())
            .map(|(epoch, &value)| format!("{:.1},{:.1}", x(f64::from(epoch)), y(value)))
            .collect();
        if let [only] = &points[..] {
            let (x, y) = only.split_once(',').expect("as written above");
            let _ = writeln!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let at_best = history.marked().and_then(|epoch| Some((epoch, *ys.get(epoch)?)));
        if let Some((epoch, value)) = at_best.filter(|(_, value)| value.is_finite()) {
            let (x, y) = (x(epoch as f64 + 1.0), y(value));
            let _ =
                writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
        }
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
    }
}

/// Round numbers between two, in steps of 1, 2 or 5 times a power of ten and no smaller
/// than `least`, and how they are written.
fn marks(low: f64, high: f64, least: f64) -> Vec<(f64, String)> {
    let rough = (high - low) / INTERVALS;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough).max(least);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    let label = |mark: f64| {
        if step >= 1e6 || decimals > 6 { format!("{mark:e}") } else { format!("{mark:.decimals$}") }
    };
    (first..=last).map(|i| i as f64 * step).map(|mark| (mark, label(mark))).collect()
}
