//! Colouring: which columns, or rows, can be computed together.
//!
//! Columns of one colour are added up in one product of the matrix with a vector of
//! zeros and ones. Their entries can be told apart afterwards if no two of them share
//! a row (Curtis, Powell & Reid 1974), which is a colouring at distance 2 of the graph
//! of rows and columns. A symmetric matrix shows most of its entries twice, so fewer
//! colours do: a *star colouring*, in which neighbours differ and every path of four
//! vertices has three colours (Coleman & More 1984). G&W, chapter 8; the algorithms are
//! greedy, from Gebremedhin, Manne & Pothen, "What color is your Jacobian?" (2005).

use super::Pattern;

/// A colour for each column, row or vertex.
///
/// ```
/// use wengert_core::sparse::{Colouring, Pattern};
///
/// let band = (0..7).flat_map(|i: usize| (i.saturating_sub(1)..=(i + 1).min(6)).map(move |j| [i, j]));
/// let tridiagonal = Pattern::new(7, 7, band);
/// assert_eq!(Colouring::of_columns(&tridiagonal).count(), 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colouring {
    colours: Vec<usize>,
    count: usize,
}

/// Not coloured yet.
const NONE: usize = usize::MAX;

impl Colouring {
    /// Columns of one colour have no row in common.
    pub fn of_columns(pattern: &Pattern) -> Self {
        let columns = pattern.transpose();
        Self::best_order(&columns, |column, colours, forbid| {
            for &row in columns.row(column) {
                pattern.row(row).iter().for_each(|&other| forbid(colours[other]));
            }
        })
    }

    /// Rows of one colour have no column in common.
    pub fn of_rows(pattern: &Pattern) -> Self {
        Self::of_columns(&pattern.transpose())
    }

    /// A star colouring of the graph whose edges are the entries beside the diagonal.
    ///
    /// # Panics
    /// If the pattern is not symmetric.
    #[track_caller]
    pub fn star(pattern: &Pattern) -> Self {
        assert!(pattern.is_symmetric(), "a star colouring is one of a symmetric pattern");
        let near = |vertex: usize| {
            pattern.row(vertex).iter().copied().filter(move |&other| other != vertex)
        };
        Self::best_order(pattern, |vertex, colours, forbid| {
            for next in near(vertex) {
                forbid(colours[next]);
                for second in near(next).filter(|&second| second != vertex) {
                    // A path of four that ends here would have two colours; or, as
                    // long as the middle has none, a path whose middle is here.
                    let third = || {
                        near(second).any(|third| third != next && colours[third] == colours[next])
                    };
                    if colours[next] == NONE || third() {
                        forbid(colours[second]);
                    }
                }
            }
        })
    }

    /// Colours vertices one after the other with the first colour that is free, in
    /// two orders, of which the better counts: as they stand, which is best for bands,
    /// and those with most entries first, which is best for arrows.
    fn best_order(
        entries: &Pattern,
        forbidden: impl Fn(usize, &[usize], &mut dyn FnMut(usize)),
    ) -> Self {
        let natural: Vec<usize> = (0..entries.rows()).collect();
        let mut by_size = natural.clone();
        by_size.sort_by_key(|&vertex| std::cmp::Reverse(entries.row(vertex).len()));
        let first = Self::greedy(&natural, &forbidden);
        if by_size == natural {
            return first;
        }
        let second = Self::greedy(&by_size, &forbidden);
        if second.count < first.count { second } else { first }
    }

    fn greedy(order: &[usize], forbidden: impl Fn(usize, &[usize], &mut dyn FnMut(usize))) -> Self {
        let mut colours = vec![NONE; order.len()];
        // Of each colour the last vertex, plus 1, that may not have it.
        let mut not_for: Vec<usize> = Vec::new();
        for &vertex in order {
            forbidden(vertex, &colours, &mut |colour| {
                if colour != NONE {
                    not_for[colour] = vertex + 1;
                }
            });
            let free = not_for.iter().position(|&other| other != vertex + 1);
            colours[vertex] = free.unwrap_or_else(|| {
                not_for.push(0);
                not_for.len() - 1
            });
        }
        Self { colours, count: not_for.len() }
    }

    /// The colours, from 0.
    pub fn colours(&self) -> &[usize] {
        &self.colours
    }

    /// How many colours there are: the number of products that give all entries.
    pub fn count(&self) -> usize {
        self.count
    }
}
