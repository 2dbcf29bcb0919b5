//! Products of rows.

use super::softmax::{empty_rows, row_shape, rows};
use crate::kernel::each_row::for_each_row_of;
use crate::kernel::row_functions;
use crate::op::{Call, Cost, Formula, Op, Samples, Term};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Axes, Shape, View};

/// The product of each row; of an empty row, 1.
///
/// Its derivative multiplies all elements but one, by running products from both
/// ends. Nothing is divided, so it is right where elements are 0, to every order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prod;

impl Op for Prod {
    const NAME: &'static str = "prod";
    const FORMULA: Formula = Formula::new(
        "product over i of x[i]",
        "dy = sum over i of (product of x[j], j != i) dx[i]",
        r"y = \prod_i x_i,\quad \dot y = \sum_i \dot x_i \prod_{j \ne i} x_j",
    );
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        Ok(row_shape(args)?.0)
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        out.fill(T::one());
        for_each_row_of([args[0]], out, |[row], y| y[0] = row_functions::product(row));
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let x = call.arg(0);
        Some((tangents[0]? * x.product_of_others(x.rank() - 1)).sum_over(-1))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, _: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let x = call.arg(0);
        Some(bar.unsqueeze(-1) * x.product_of_others(x.rank() - 1))
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        Cost::muls(args[0].elements() as u64)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        rows(samples, Prod);
        empty_rows(samples, Prod, true);
    }
}

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
