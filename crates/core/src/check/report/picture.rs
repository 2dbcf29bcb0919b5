//! The picture of a check: the error of a difference quotient against its step.
//!
//! Both axes are logarithmic, so that truncation, which falls with the step, and rounding, which
//! grows as the step falls, are straight lines; the best step is where they meet. A wrong
//! derivative shows as a level that the points do not go below.

use std::fmt::Write;

use crate::check::evidence::rate::{Rate, Rung};
use crate::check::evidence::verdict::Verdict;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 420.0;
/// Left, right, top and bottom of the plot.
const FRAME: [f64; 4] = [70.0, 620.0, 66.0, 366.0];

/// The plane of powers of ten: step and error.
struct Plane {
    h: [f64; 2],
    error: [f64; 2],
}

impl Plane {
    fn x(&self, h: f64) -> f64 {
        let [left, right, ..] = FRAME;
        left + (h.log10() - self.h[0]) / (self.h[1] - self.h[0]) * (right - left)
    }

    fn y(&self, error: f64) -> f64 {
        let [.., top, bottom] = FRAME;
        let share = (error.log10() - self.error[0]) / (self.error[1] - self.error[0]);
        (bottom - share * (bottom - top)).clamp(top, bottom)
    }

    fn holds(&self, error: f64) -> bool {
        (self.error[0]..=self.error[1]).contains(&error.log10())
    }

    /// A line of the given slope through a point, as far as it lies on the plane.
    fn line(&self, out: &mut String, class: &str, (h, error): (f64, f64), slope: f64) {
        let count = 200;
        let points = (0..=count).filter_map(|i| {
            let share = f64::from(i) / f64::from(count);
            let at = 10_f64.powf(self.h[0] + share * (self.h[1] - self.h[0]));
            let value = error * (at / h).powf(slope);
            self.holds(value).then(|| (self.x(at), self.y(value)))
        });
        let points: Vec<_> = points.collect();
        if let [(x1, y1), .., (x2, y2)] = points[..] {
            let _ = writeln!(
                out,
                r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
            );
        }
    }
}

/// The relative error of the difference quotient of a rung.
fn error(rate: &Rate, rung: &Rung) -> f64 {
    rung.remainder / rung.h.powi(rate.order as i32 - 1) / rate.natural
}

/// The rungs that are drawn, those beyond the last that counts among them.
fn rungs(rate: &Rate) -> impl Iterator<Item = &Rung> {
    rate.rungs.iter().chain(&rate.tail).filter(|rung| error(rate, rung).is_normal())
}

impl Plane {
    /// The decades that hold all points, or `None` if there are fewer than two.
    fn of(rate: &Rate) -> Option<Self> {
        let points: Vec<(f64, f64)> = rungs(rate).map(|rung| (rung.h, error(rate, rung))).collect();
        let decade = |x: f64, up: f64| (x.log10() / 2.0 + 0.499 * up).round() * 2.0;
        let range = |of: fn(&(f64, f64)) -> f64| {
            let least = points.iter().map(of).fold(f64::INFINITY, f64::min);
            let most = points.iter().map(of).fold(0.0, f64::max);
            [decade(least, -1.0), decade(most, 1.0)]
        };
        (points.len() > 1).then(|| Self { h: range(|p| p.0), error: range(|p| p.1) })
    }
}

/// The image of a rate, or `None` if no step could be taken.
pub(in crate::check) fn draw(rate: &Rate, verdict: Verdict, subject: &str) -> Option<String> {
    let plane = Plane::of(rate)?;
    let mut out = header();
    let [left, ..] = FRAME;
    text(&mut out, left, 20.0, "start", "title", verdict.headline());
    text(&mut out, left, 36.0, "start", "", &subject.chars().take(90).collect::<String>());
    grid(&mut out, &plane);
    curves(&mut out, &plane, rate, verdict);
    points(&mut out, &plane, rate);
    best_step(&mut out, &plane, rate);
    legend(&mut out, rate);
    out.push_str("</svg>\n");
    Some(out)
}

/// The beginning of the document, with its style.
fn header() -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">
<style>
text {{ font: 12px sans-serif; fill: #333 }}
.title {{ font-size: 14px; font-weight: bold }}
.grid {{ stroke: #e4e4e4 }}
.frame {{ fill: none; stroke: #888 }}
.truncation {{ stroke: #2a6fb0; stroke-dasharray: 6 4; stroke-width: 1.5 }}
.rounding {{ stroke: #b0572a; stroke-dasharray: 2 4; stroke-width: 1.5 }}
.wrong {{ stroke: #c22020; stroke-width: 1.5 }}
.best {{ stroke: #2a8a3c; stroke-width: 1.2 }}
.point {{ fill: #222 }}
.drowned {{ fill: #fff; stroke: #888 }}
</style>
<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>
"##
    )
}

/// Writes words at a point.
fn text(out: &mut String, x: f64, y: f64, anchor: &str, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        out,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#
    );
}

/// The decades of both axes, the frame, and what the axes are.
fn grid(out: &mut String, plane: &Plane) {
    let [left, right, top, bottom] = FRAME;
    for (range, is_step) in [(plane.h, true), (plane.error, false)] {
        let each = if range[1] - range[0] > 12.0 { 4 } else { 2 };
        for exponent in (range[0] as i32..=range[1] as i32).step_by(each) {
            let at = 10_f64.powi(exponent);
            let (x1, y1, x2, y2) = match is_step {
                true => (plane.x(at), top, plane.x(at), bottom),
                false => (left, plane.y(at), right, plane.y(at)),
            };
            let _ = writeln!(
                out,
                r#"<line class="grid" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
            );
            let label = format!("1e{exponent}");
            match is_step {
                true => text(out, x1, bottom + 17.0, "middle", "", &label),
                false => text(out, left - 8.0, y1 + 4.0, "end", "", &label),
            }
        }
    }
    let _ = writeln!(
        out,
        r#"<rect class="frame" x="{left}" y="{top}" width="{}" height="{}"/>"#,
        right - left,
        bottom - top
    );
    text(
        out,
        (left + right) / 2.0,
        bottom + 38.0,
        "middle",
        "",
        "step h, relative to the size of x",
    );
    text(out, left, top - 6.0, "start", "", "relative error of the difference quotient");
}

/// How truncation and rounding behave, and the level of an error.
fn curves(out: &mut String, plane: &Plane, rate: &Rate, verdict: Verdict) {
    let [_, right, ..] = FRAME;
    let finest = rate.rungs.iter().rfind(|rung| rung.counts());
    let is_wrong = verdict == Verdict::Wrong && rate.verdict == Verdict::Wrong;
    if let Some(finest) = finest.filter(|_| !is_wrong && rate.verdict == Verdict::Right) {
        plane.line(out, "truncation", (finest.h, error(rate, finest)), 1.0);
    }
    if is_wrong {
        plane.line(out, "wrong", (1.0, rate.error), 0.0);
        let label = format!("the derivative is off by {:.1e} along v", rate.error);
        text(out, right - 10.0, plane.y(rate.error) + 20.0, "end", "", &label);
    }
    let noise = rate.noise / rate.natural;
    plane.line(out, "rounding", (1.0, noise), 1.0 - f64::from(rate.order));
}

/// The rungs: full where they count.
fn points(out: &mut String, plane: &Plane, rate: &Rate) {
    for rung in rungs(rate) {
        let class = if rung.counts() { "point" } else { "drowned" };
        let (x, y) = (plane.x(rung.h), plane.y(error(rate, rung)));
        let _ = writeln!(out, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="3.5"/>"#);
    }
}

/// The step at which a difference quotient is most accurate.
fn best_step(out: &mut String, plane: &Plane, rate: &Rate) {
    let [_, _, top, bottom] = FRAME;
    if let Some(best) = rate.best_step().filter(|&h| (plane.h[0]..plane.h[1]).contains(&h.log10()))
    {
        let x = plane.x(best);
        let _ = writeln!(
            out,
            r#"<line class="best" x1="{x:.1}" y1="{top}" x2="{x:.1}" y2="{bottom}"/>"#
        );
        text(out, x + 6.0, top + 16.0, "start", "", &format!("best h = {best:.0e}"));
    }
}

/// Which line is which.
fn legend(out: &mut String, rate: &Rate) {
    let [_, right, _, bottom] = FRAME;
    // What the lines are, where none of them comes: small errors at large steps.
    let mut legend = vec![("rounding", "rounding, as 1/h")];
    if rate.verdict == Verdict::Right {
        legend.insert(0, ("truncation", "truncation, as h"));
    }
    for (i, (class, label)) in legend.into_iter().enumerate() {
        let y = bottom - 14.0 - 16.0 * i as f64;
        let _ = writeln!(
            out,
            r#"<line class="{class}" x1="{}" y1="{y}" x2="{}" y2="{y}"/>"#,
            right - 150.0,
            right - 122.0
        );
        text(out, right - 116.0, y + 4.0, "start", "", label);
    }
}
