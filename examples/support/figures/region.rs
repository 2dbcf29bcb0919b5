//! Finds the outline of a shaded area that is given node by node on a grid.
//!
//! A few smooth outlines instead of a quarter of a million grey squares keep an SVG small, and
//! leave no seams between neighbours at any zoom.
//!
//! Each node stands for the square around it. Unit sides between a shaded and an unshaded square
//! are joined into closed rings; the midpoints of the sides are where a contour at level 0.5
//! would pass. What remains are the stairs of the grid, which averaging along the ring removes.

use std::collections::BTreeMap;

/// Rounds of averaging: enough to remove stairs a dozen steps long.
const SMOOTHING_ROUNDS: usize = 60;
/// The furthest that smoothing moves a point along either axis, in grid steps. Less than half a
/// step, so that each point stays between the two nodes that it separates.
const LARGEST_SHIFT: f64 = 0.45;

/// The closed border of a shaded or an unshaded part of the unit square.
pub struct Outline {
    /// Whether the inside is shaded, up to smaller outlines that lie in it.
    pub shaded: bool,
    /// Points in the unit square; the last one is joined to the first.
    pub points: Vec<[f64; 2]>,
}

/// Outlines of the shaded part of an `n` by `n` grid over the unit square, rows from the bottom.
///
/// Larger outlines come first: painted in this order, holes end up on top of what they pierce.
pub fn outlines(n: usize, shaded: &[bool]) -> Vec<Outline> {
    let mut rings: Vec<(f64, Vec<[f64; 2]>)> = rings(n, shaded)
        .into_iter()
        .map(|corners| (signed_area(&corners), smooth(&midpoints(&corners, n), n)))
        .collect();
    rings.sort_by(|(a, _), (b, _)| b.abs().total_cmp(&a.abs()));
    rings
        .into_iter()
        .map(|(area, points)| Outline {
            // Rings have the shaded side on their left, so they run round it counterclockwise.
            shaded: area > 0.0,
            points,
        })
        .collect()
}

/// A corner between squares; node (x, y) is the square from corner (x, y) to (x + 1, y + 1).
type Corner = (usize, usize);

/// The closed rings of unit sides between shaded and unshaded squares, shaded squares at the left.
fn rings(n: usize, shaded: &[bool]) -> Vec<Vec<Corner>> {
    let mut sides: BTreeMap<Corner, Vec<Corner>> = BTreeMap::new();
    let mut add = |from: Corner, to: Corner| sides.entry(from).or_default().push(to);
    let is_shaded = |x: usize, y: usize| shaded[y * n + x];
    for y in 0..n {
        for x in (0..n).filter(|&x| is_shaded(x, y)) {
            if y == 0 || !is_shaded(x, y - 1) {
                add((x, y), (x + 1, y));
            }
            if x + 1 == n || !is_shaded(x + 1, y) {
                add((x + 1, y), (x + 1, y + 1));
            }
            if y + 1 == n || !is_shaded(x, y + 1) {
                add((x + 1, y + 1), (x, y + 1));
            }
            if x == 0 || !is_shaded(x - 1, y) {
                add((x, y + 1), (x, y));
            }
        }
    }

    let mut rings = Vec::new();
    while let Some(start) = sides.keys().next().copied() {
        let mut ring = vec![start];
        let (mut previous, mut here) = (None, start);
        // Every corner has as many sides that end there as start there, so a walk along unused
        // sides can only end where it began.
        while let Some(next) = take_side(&mut sides, previous, here) {
            if next == start {
                break;
            }
            ring.push(next);
            (previous, here) = (Some(here), next);
        }
        rings.push(ring);
    }
    rings
}

/// Takes the side that starts at `here`. Where two shaded squares touch by a corner only there
/// are two; the left turn is taken, which keeps the squares apart.
fn take_side(
    sides: &mut BTreeMap<Corner, Vec<Corner>>,
    previous: Option<Corner>,
    here: Corner,
) -> Option<Corner> {
    let ends = sides.get_mut(&here)?;
    let turns_left =
        |next: Corner| previous.is_some_and(|before| signed_area(&[before, here, next]) > 0.0);
    let chosen = ends.iter().position(|&next| turns_left(next)).unwrap_or(0);
    let next = ends.swap_remove(chosen);
    if ends.is_empty() {
        sides.remove(&here);
    }
    Some(next)
}

/// The area inside a ring, negative if the ring runs clockwise.
fn signed_area(ring: &[Corner]) -> f64 {
    let next = ring.iter().cycle().skip(1);
    let doubled: f64 = ring
        .iter()
        .zip(next)
        .map(|(&(x0, y0), &(x1, y1))| x0 as f64 * y1 as f64 - x1 as f64 * y0 as f64)
        .sum();
    doubled / 2.0
}

/// Midpoints of a ring's sides in node coordinates, with the half squares beyond the grid cut off.
fn midpoints(ring: &[Corner], n: usize) -> Vec<[f64; 2]> {
    let last = (n - 1) as f64;
    let middle = |a: usize, b: usize| ((a + b) as f64 / 2.0 - 0.5).clamp(0.0, last);
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).map(|(&(x0, y0), &(x1, y1))| [middle(x0, x1), middle(y0, y1)]).collect()
}

/// Averages each point with its neighbours time and again, then scales to the unit square.
fn smooth(ring: &[[f64; 2]], n: usize) -> Vec<[f64; 2]> {
    let last = (n - 1) as f64;
    // Points on the border of the square stay: there is nothing beyond it to average with.
    let on_border = |point: &[f64; 2]| point.iter().any(|&value| value == 0.0 || value == last);
    let mut points = ring.to_vec();
    for _ in 0..SMOOTHING_ROUNDS {
        let before = points.clone();
        for (i, point) in points.iter_mut().enumerate() {
            if on_border(&ring[i]) {
                continue;
            }
            let previous = before[(i + ring.len() - 1) % ring.len()];
            let next = before[(i + 1) % ring.len()];
            for axis in 0..2 {
                let mean = (previous[axis] + 2.0 * before[i][axis] + next[axis]) / 4.0;
                let origin = ring[i][axis];
                point[axis] = mean.clamp(origin - LARGEST_SHIFT, origin + LARGEST_SHIFT);
            }
        }
    }
    points.iter().map(|point| point.map(|value| value / last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid in the order in which it is read: the top row first.
    fn grid(rows: &[&str]) -> Vec<bool> {
        let row = |row: &&str| row.chars().map(|node| node == '#').collect::<Vec<_>>();
        rows.iter().rev().flat_map(row).collect()
    }

    #[test]
    fn a_fully_shaded_grid_has_the_border_of_the_square() {
        let outlines = outlines(3, &[true; 9]);
        assert_eq!(outlines.len(), 1);
        assert!(outlines[0].shaded);
        let on_border = |point: &[f64; 2]| point.iter().any(|&value| value == 0.0 || value == 1.0);
        assert!(outlines[0].points.iter().all(on_border));
        for corner in [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] {
            assert!(outlines[0].points.contains(&corner));
        }
    }

    #[test]
    fn nothing_shaded_has_no_outline() {
        assert!(outlines(3, &[false; 9]).is_empty());
    }

    #[test]
    fn a_hole_follows_what_it_pierces_and_an_island_follows_the_hole() {
        let shaded = grid(&["#####", "#...#", "#.#.#", "#...#", "#####"]);
        let kinds: Vec<bool> = outlines(5, &shaded).iter().map(|o| o.shaded).collect();
        assert_eq!(kinds, [true, false, true]);
    }

    #[test]
    fn squares_that_touch_by_a_corner_stay_apart() {
        let kinds = |rows: &[&str]| -> Vec<bool> {
            outlines(4, &grid(rows)).iter().map(|o| o.shaded).collect()
        };
        assert_eq!(kinds(&["....", ".#..", "..#.", "...."]), [true, true]);
        assert_eq!(kinds(&["....", "..#.", ".#..", "...."]), [true, true]);
    }

    #[test]
    fn a_slanted_boundary_is_followed_to_within_a_grid_step() {
        let n = 41;
        let shaded: Vec<bool> = (0..n * n).map(|i| 7 * (i / n) < 2 * (i % n) + 60).collect();
        let outlines = outlines(n, &shaded);
        assert_eq!(outlines.len(), 1);
        // The outline is a function of x apart from the border; compare it with the true line.
        for point in &outlines[0].points {
            let [x, y] = point.map(|value| value * (n - 1) as f64);
            if x > 2.0 && x < 38.0 && y > 0.0 {
                assert!((y - (2.0 * x + 60.0) / 7.0).abs() < 1.0);
            }
        }
    }
}
