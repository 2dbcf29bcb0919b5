//! Where a matrix may have entries other than zero.

use std::fmt;

/// The places of a matrix's entries, row by row: compressed sparse rows without
/// numbers.
///
/// ```
/// use wengert_core::sparse::Pattern;
///
/// let pattern = Pattern::new(2, 3, [[0, 0], [1, 2], [0, 1]]);
/// assert_eq!(pattern.row(0), [0, 1]);
/// assert_eq!((pattern.starts(), pattern.indices()), (&[0, 2, 3][..], &[0, 1, 2][..]));
/// assert_eq!(pattern.to_string(), "xx.\n..x");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    columns: usize,
    starts: Vec<usize>,
    indices: Vec<usize>,
}

impl Pattern {
    /// The pattern with entries at some `[row, column]`, in any order.
    ///
    /// # Panics
    /// If an entry lies outside of the matrix.
    #[track_caller]
    pub fn new(rows: usize, columns: usize, entries: impl IntoIterator<Item = [usize; 2]>) -> Self {
        let mut lists = vec![Vec::new(); rows];
        for [row, column] in entries {
            assert!(
                row < rows && column < columns,
                "the entry [{row}, {column}] lies outside of a {rows} x {columns} matrix"
            );
            lists[row].push(column);
        }
        for list in &mut lists {
            list.sort_unstable();
            list.dedup();
        }
        Self::of_rows(columns, lists)
    }

    /// From the columns of each row, which ascend.
    pub(super) fn of_rows<R>(columns: usize, rows: impl IntoIterator<Item = R>) -> Self
    where
        R: IntoIterator<Item = usize>,
    {
        let (mut starts, mut indices) = (vec![0], Vec::new());
        for row in rows {
            indices.extend(row);
            starts.push(indices.len());
        }
        Self { columns, starts, indices }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The number of entries.
    pub fn entries(&self) -> usize {
        self.indices.len()
    }

    /// The columns of a row's entries, ascending.
    ///
    /// # Panics
    /// If there is no such row.
    #[track_caller]
    pub fn row(&self, row: usize) -> &[usize] {
        &self.indices[self.starts[row]..self.starts[row + 1]]
    }

    /// Where each row begins among the entries, and behind them their number: the
    /// row pointers of the CSR format.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The columns of all entries, row by row: the column indices of the CSR format.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// The `[row, column]` of each entry, row by row.
    pub fn iter(&self) -> impl Iterator<Item = [usize; 2]> {
        (0..self.rows()).flat_map(|row| self.row(row).iter().map(move |&column| [row, column]))
    }

    /// The number of an entry, counted row by row.
    pub fn position(&self, row: usize, column: usize) -> Option<usize> {
        let found = self.row(row).binary_search(&column).ok()?;
        Some(self.starts[row] + found)
    }

    /// Whether there is an entry at a place.
    pub fn contains(&self, row: usize, column: usize) -> bool {
        self.position(row, column).is_some()
    }

    /// The pattern of the transposed matrix.
    #[must_use]
    pub fn transpose(&self) -> Self {
        let mut lists = vec![Vec::new(); self.columns];
        for [row, column] in self.iter() {
            lists[column].push(row);
        }
        Self::of_rows(self.rows(), lists)
    }

    /// Whether it is that of its transpose.
    pub fn is_symmetric(&self) -> bool {
        self.rows() == self.columns && self.transpose() == *self
    }

    /// The entries that both patterns have.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let common =
            |row| self.row(row).iter().copied().filter(move |&column| other.contains(row, column));
        Self::of_rows(self.columns, (0..self.rows()).map(common))
    }
}

impl fmt::Display for Pattern {
    /// A line for each row, with an `x` for each entry.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in 0..self.rows() {
            if row > 0 {
                writeln!(f)?;
            }
            let mut line = vec![b'.'; self.columns];
            for &column in self.row(row) {
                line[column] = b'x';
            }
            f.write_str(&String::from_utf8_lossy(&line))?;
        }
        Ok(())
    }
}
