//! From compressed products to entries.

use std::sync::Arc;

use super::domains::{IndexSets, index_domains};
use super::error::PatternError;
use super::{Colouring, Matrix, Pattern};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::Tensor;

/// What is added up in a product with zeros and ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Columns of one colour, by a forward sweep.
    Columns,
    /// Rows of one colour, by a reverse sweep.
    Rows,
    /// Columns of one colour of a symmetric matrix, by a forward sweep; entries may
    /// be read from their mirror image.
    Symmetric,
}

/// Which products to take, and where each entry is found among them.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) pattern: Arc<Pattern>,
    pub(super) compression: Compression,
    pub(super) colouring: Colouring,
    /// For each entry its place among the products, one after another.
    reads: Vec<usize>,
}

impl Plan {
    /// A plan for any matrix: by columns or rows, whichever needs fewer products.
    pub(super) fn of(pattern: Pattern) -> Self {
        let (columns, rows) = (Colouring::of_columns(&pattern), Colouring::of_rows(&pattern));
        let [height, width] = [pattern.rows(), pattern.columns()];
        let (compression, reads) = if columns.count() <= rows.count() {
            let read = |[row, column]: [usize; 2]| columns.colours()[column] * height + row;
            (Compression::Columns, pattern.iter().map(read).collect())
        } else {
            let read = |[row, column]: [usize; 2]| rows.colours()[row] * width + column;
            (Compression::Rows, pattern.iter().map(read).collect())
        };
        let colouring = if compression == Compression::Rows { rows } else { columns };
        Self { pattern: Arc::new(pattern), compression, colouring, reads }
    }

    /// A plan for a symmetric matrix.
    pub(super) fn symmetric(pattern: Pattern) -> Self {
        let colouring = Colouring::star(&pattern);
        let colours = colouring.colours();
        let size = pattern.rows();
        let mut reads = Vec::with_capacity(pattern.entries());
        // How many entries of this row have each colour.
        let mut seen = vec![0; colouring.count()];
        for row in 0..size {
            pattern.row(row).iter().for_each(|&column| seen[colours[column]] += 1);
            reads.extend(pattern.row(row).iter().map(|&column| {
                match row == column || seen[colours[column]] == 1 {
                    true => colours[column] * size + row,
                    // Its mirror image is alone, or there were a path of two colours.
                    false => colours[row] * size + column,
                }
            }));
            pattern.row(row).iter().for_each(|&column| seen[colours[column]] = 0);
        }
        let compression = Compression::Symmetric;
        Self { pattern: Arc::new(pattern), compression, colouring, reads }
    }

    /// The entries, from all products one after another.
    pub(super) fn recover<T: Real>(&self, products: &[T], values: &mut Vec<T>) {
        values.clear();
        values.extend(self.reads.iter().map(|&place| products[place]));
    }

    /// The zeros and ones of one product, for values of these shapes.
    pub(super) fn seeds<'t, T: Real>(&self, colour: usize, like: &[Var<'t, T>]) -> Vec<Var<'t, T>> {
        let mut colours = self.colouring.colours().iter();
        like.iter()
            .map(|var| {
                let seed = Tensor::from_fn(var.shape(), |_| {
                    let own = *colours.next().expect("a colour for each element");
                    if own == colour { T::one() } else { T::zero() }
                });
                var.tape().constant(seed)
            })
            .collect()
    }
}

/// The pattern of the Jacobian of some values with respect to inputs.
pub(super) fn pattern<T: Real>(inputs: &[Var<'_, T>], outputs: &[Var<'_, T>]) -> Pattern {
    let mut sets = IndexSets::new();
    let rows = index_domains(&mut sets, inputs, outputs);
    let columns = inputs.iter().map(|input| input.elements()).sum();
    let members = |&id| sets.get(id).iter().map(|&index| index as usize);
    Pattern::of_rows(columns, rows.iter().map(members))
}

/// Rounding errors that may gather in a sweep, in units of the element type's epsilon
/// and relative to the largest number that the sweep has computed.
const ROUNDINGS: f64 = 1000.0;

/// Looks for an entry outside of a matrix's pattern, where the matrix's product with
/// `vector` is not `product`: to half of the digits, since an entry that is missing is
/// no rounding error. `largest` is the largest number on the way to the product, and
/// `full` gives a row in full.
pub(super) fn verify<T: Real>(
    matrix: &Matrix<T>,
    vector: &[T],
    product: &[T],
    largest: f64,
    full: impl Fn(usize) -> Vec<T>,
) -> Result<(), PatternError> {
    let epsilon = T::epsilon().as_f64();
    let is_small =
        |x: f64, scale: f64| x.abs() <= (epsilon.sqrt() * scale).max(ROUNDINGS * epsilon * largest);
    let recovered = matrix.product(vector);
    let pattern = matrix.pattern();
    let mut is_symmetric = true;
    for (row, (&got, &expected)) in recovered.iter().zip(product).enumerate() {
        let first = pattern.starts()[row];
        let terms = pattern.row(row).iter().enumerate();
        let scale: f64 = terms
            .map(|(k, &column)| (matrix.values()[first + k] * vector[column]).as_f64().abs())
            .sum();
        if is_small((got - expected).as_f64(), scale + expected.as_f64().abs()) {
            continue;
        }
        let full = full(row);
        let size = full.iter().map(|entry| entry.as_f64().abs()).fold(0.0, f64::max);
        let outside = full.iter().enumerate().filter(|&(column, entry)| {
            !is_small(entry.as_f64(), size) && !pattern.contains(row, column)
        });
        let largest = outside.max_by(|a, b| a.1.as_f64().abs().total_cmp(&b.1.as_f64().abs()));
        if let Some((column, value)) = largest {
            return Err(PatternError::Outside { row, column, value: value.as_f64() });
        }
        let differs = |(k, &column): (usize, &usize)| {
            !is_small((matrix.values()[first + k] - full[column]).as_f64(), size)
        };
        is_symmetric &= !pattern.row(row).iter().enumerate().any(differs);
    }
    if is_symmetric { Ok(()) } else { Err(PatternError::NotSymmetric) }
}
