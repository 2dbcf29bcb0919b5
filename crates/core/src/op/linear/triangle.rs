//! The triangles of matrices.

use crate::op::{Domain, Formula, Linear, Samples, ShapeClass, Shapes, Stacked, Term, operands};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// The elements of each matrix on one side of a diagonal, and zeros on the other;
/// what is left out may be anything, even NaN. It is its own transpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Triangle {
    /// Whether the elements above the diagonal stay, or those below it; those on it
    /// stay in either case.
    pub upper: bool,
    /// The diagonal, counted from the main one to the right.
    pub diagonal: isize,
}

impl Linear for Triangle {
    const NAME: &'static str = "triangle";
    const FORMULA: Formula = Formula::new(
        "x[i, j] where j - i >= d (or <= d), else 0",
        "x's adjoint += the same triangle of y's",
        r"y_{ij} = [j - i \gtrless d]\, x_{ij},\quad \bar x_{ij} \mathrel{+}= [j - i \gtrless d]\, \bar y_{ij}",
    );

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [x] = operands(args)?;
        if x.rank() < 2 {
            return Err(format!("a {x} is no matrix"));
        }
        Ok(x.clone())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        if out.is_empty() {
            return;
        }
        args[0].copy_to(out);
        let [.., rows, columns] = args[0].shape()[..] else { return };
        for (i, row) in out.chunks_exact_mut(columns).enumerate() {
            let own = self.diagonal.saturating_add((i % rows) as isize);
            let column = |j: isize| j.clamp(0, columns as isize) as usize;
            if self.upper {
                row[..column(own)].fill(T::zero());
            } else {
                row[column(own.saturating_add(1))..].fill(T::zero());
            }
        }
    }

    fn transpose<'t, T: Real>(
        &self,
        _: Shapes<'_, 't, T>,
        _: usize,
        bar: Var<'t, T>,
    ) -> Var<'t, T> {
        bar.apply(*self)
    }

    fn stacked<'t, T: Real>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        Some(operands.each())
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for class in [ShapeClass::Scalar, ShapeClass::Vector] {
            samples.absent(class, "takes matrices");
        }
        let mut triangle = |shape: Shape, upper, diagonal| {
            samples.case(Triangle { upper, diagonal }, [(shape, Domain::reals())]);
        };
        triangle([3, 3].into(), true, 0);
        triangle([3, 3].into(), false, 0);
        triangle([3, 4].into(), true, 1);
        triangle([4, 3].into(), false, -2);
        triangle([2, 3, 3].into(), true, -1);
        triangle([2, 3].into(), false, 5);
        triangle([1, 3].into(), true, 2);
        triangle([0, 3].into(), true, 0);
        let op = Triangle { upper: true, diagonal: 0 };
        samples.error(op, &[[3].into()], "a [3] is no matrix");
    }
}

/// # Triangles of matrices
impl<'t, T: Real> Var<'t, T> {
    /// The upper triangle of each matrix: the elements on a diagonal and above it,
    /// and zeros elsewhere. Diagonals are counted from the main one, which is 0, to
    /// the right.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.triu(0).value().to_vec(), [1.0, 2.0, 0.0, 4.0]);
    /// assert_eq!(x.tril(-1).value().to_vec(), [0.0, 0.0, 3.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn triu(self, diagonal: isize) -> Self {
        self.apply(Triangle { upper: true, diagonal })
    }

    /// The lower triangle of each matrix: the elements on a diagonal and below it,
    /// and zeros elsewhere; see [`triu`](Self::triu).
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn tril(self, diagonal: isize) -> Self {
        self.apply(Triangle { upper: false, diagonal })
    }
}
