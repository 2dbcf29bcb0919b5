//! Products of rows.

use super::{empty_rows, rows};
use crate::kernel::row_functions;
use crate::op::{Cost, Formula, RowReduction, Samples};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::Axes;

/// The product of each row; of an empty row, 1.
///
/// Its derivative multiplies all elements but one, by running products from both
/// ends. Nothing is divided, so it is right where elements are 0, to every order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prod;

impl RowReduction for Prod {
    const NAME: &'static str = "prod";
    const FORMULA: Formula = Formula::new(
        "product over i of x[i]",
        "dy = sum over i of (product of x[j], j != i) dx[i]",
        r"y = \prod_i x_i,\quad \dot y = \sum_i \dot x_i \prod_{j \ne i} x_j",
    );

    fn of_nothing(&self) -> Result<f64, &'static str> {
        Ok(1.0)
    }

    fn reduce<T: Real>(&self, row: &[T]) -> T {
        row_functions::product(row)
    }

    fn scaled_gradient<'t, T: Real>(
        &self,
        x: Var<'t, T>,
        _: Var<'t, T>,
        factor: Var<'t, T>,
    ) -> Var<'t, T> {
        factor * x.product_of_others(x.rank() - 1)
    }

    fn cost(&self, elements: usize, _: usize) -> Cost {
        Cost::muls(elements as u64)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, Prod);
        empty_rows(samples, Prod, true);
    }
}

/// # Products of elements
impl<'t, T: Real> Var<'t, T> {
    /// The product of all elements.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([2.0, 0.0, 5.0]);
    /// assert_eq!(x.prod().backward().wrt(x).to_vec(), [0.0, 10.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn prod(self) -> Self {
        self.prod_over(..)
    }

    /// The product over some axes, which disappear.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[doc(alias = "prod")]
    #[track_caller]
    pub fn prod_over(self, axes: impl Axes) -> Self {
        let axes = self.resolve("prod", axes);
        self.to_rows(&axes).apply(Prod)
    }
}
