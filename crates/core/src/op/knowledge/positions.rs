//! Lists of positions, for statements of what an element depends on.

use crate::kernel::window::Slide;

/// Positions, for each of `count` positions of a result, of which some do not exist.
pub(in crate::op) fn listed(
    count: usize,
    position: impl Fn(usize) -> Option<usize>,
) -> Vec<Vec<usize>> {
    (0..count).map(|i| position(i).into_iter().collect()).collect()
}

/// For each position of a window the elements under it.
pub(in crate::op) fn windows(slide: &Slide) -> Vec<Vec<usize>> {
    let under = |position| (0..slide.taps).filter_map(|tap| slide.element(position, tap)).collect();
    (0..slide.positions).map(under).collect()
}

/// For each tap of a window the elements that it reads.
pub(in crate::op) fn reads(slide: &Slide) -> Vec<Vec<usize>> {
    let of = |tap: usize| slide.inside(tap).filter_map(|at| slide.element(at, tap)).collect();
    (0..slide.taps).map(of).collect()
}

/// For each tap of a window the positions at which it reads an element.
pub(in crate::op) fn places(slide: &Slide) -> Vec<Vec<usize>> {
    (0..slide.taps).map(|tap| slide.inside(tap).collect()).collect()
}

/// The transpose of a relation: for each of `count` positions, where it is listed.
pub(in crate::op) fn transposed(lists: &[Vec<usize>], count: usize) -> Vec<Vec<usize>> {
    let mut transposed = vec![Vec::new(); count];
    for (i, list) in lists.iter().enumerate() {
        for &position in list {
            transposed[position].push(i);
        }
    }
    transposed
}
