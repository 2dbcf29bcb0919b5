//! Numbers at the places of a pattern.

use std::sync::Arc;

use super::Pattern;
use crate::scalar::Real;
use crate::tensor::Tensor;

/// A sparse matrix: the numbers of a [`Pattern`]'s entries, row by row.
///
/// In the CSR format it is `(pattern().starts(), pattern().indices(), values())`, and
/// [`entries`](Self::entries) shows it as a list of coordinates (COO).
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix<T> {
    pattern: Arc<Pattern>,
    pub(super) values: Vec<T>,
}

impl<T: Real> Matrix<T> {
    pub(super) fn new(pattern: Arc<Pattern>, values: Vec<T>) -> Self {
        debug_assert_eq!(pattern.entries(), values.len(), "a number for each entry");
        Self { pattern, values }
    }

    /// Where the entries are.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The numbers of the entries, row by row.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Row, column and number of each entry.
    pub fn entries(&self) -> impl Iterator<Item = (usize, usize, T)> {
        self.pattern.iter().zip(&self.values).map(|([row, column], &value)| (row, column, value))
    }

    /// The number at a place, which is 0 where there is no entry.
    ///
    /// # Panics
    /// If there is no such row.
    #[track_caller]
    pub fn at(&self, row: usize, column: usize) -> T {
        self.pattern.position(row, column).map_or(T::zero(), |position| self.values[position])
    }

    /// The matrix times a vector, of as many elements as the matrix has columns.
    ///
    /// # Panics
    /// If the vector has another number of elements.
    #[track_caller]
    pub fn product(&self, vector: &[T]) -> Vec<T> {
        let columns = self.pattern.columns();
        let found = vector.len();
        assert!(found == columns, "product: expected a vector of {columns} elements, got {found}");
        let starts = self.pattern.starts();
        let row = |row: usize| {
            let values = &self.values[starts[row]..starts[row + 1]];
            let terms = self.pattern.row(row).iter().zip(values);
            terms.fold(T::zero(), |sum, (&column, &value)| sum + value * vector[column])
        };
        (0..self.pattern.rows()).map(row).collect()
    }

    /// All numbers, zeros included, of shape `[rows, columns]`.
    pub fn to_dense(&self) -> Tensor<T> {
        let [rows, columns] = [self.pattern.rows(), self.pattern.columns()];
        let mut elements = vec![T::zero(); rows * columns];
        let (starts, indices) = (self.pattern.starts(), self.pattern.indices());
        for row in 0..rows {
            let first = row * columns;
            for entry in starts[row]..starts[row + 1] {
                elements[first + indices[entry]] = self.values[entry];
            }
        }
        Tensor::new([rows, columns], elements)
    }
}
