//! What rules of eigenvectors and singular vectors divide by, and what they say where that
//! is 0.
//!
//! Vectors of equal values are any basis of their space: they have no derivative. A rule that
//! left out what it cannot divide would make one up, and even a cotangent of 0 does not help:
//! it may be the product of a 0 and an infinity whose limit is neither. So the derivative is
//! NaN there. Values count as equal up to a few roundings of the largest: no more digits are
//! known of them.

use crate::kernel::linalg;
use crate::op::{
    Along, Call, Cost, Dependence, Domain, Formula, Op, Samples, ShapeClass, Term, operands,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Shape, View};

/// The difference up to which values are equal.
fn resolution<T: Real>(values: &[f64]) -> f64 {
    let largest = values.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    values.len().max(32) as f64 * T::epsilon().as_f64() * largest
}

/// The least difference of neighbours.
pub(in crate::op) fn least_gap(values: &[f64]) -> f64 {
    values.windows(2).fold(f64::INFINITY, |least, pair| least.min((pair[1] - pair[0]).abs()))
}

/// The least number of each row of values, of all rows.
fn least_of_rows<T: Real>(values: View<'_, T>, least: impl Fn(&[f64]) -> f64) -> T {
    let n = values.shape().last().map_or(1, |&n| n.max(1));
    let all: Vec<f64> = values.iter().map(Real::as_f64).collect();
    T::from_f64(all.chunks(n).map(least).fold(f64::INFINITY, f64::min))
}

/// Elements of square matrices off the diagonal over differences of values, `x[i, j] / (l[j] -
/// l[i])`, or over their sums; 0 on the diagonal. Where the divisor is 0 to rounding, it is
/// NaN, unless `x` is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverGaps {
    /// Whether it is over sums, and not over differences.
    pub of_sums: bool,
}

impl OverGaps {
    /// `l[i] + l[j]` or `l[j] - l[i]`, of a tangent of the values.
    fn gaps<'t, T: Real>(self, values: Var<'t, T>) -> Var<'t, T> {
        let (row, column) = (values.unsqueeze(-2), values.unsqueeze(-1));
        if self.of_sums { row + column } else { row - column }
    }

    fn gap(self, left: f64, right: f64) -> f64 {
        if self.of_sums { right + left } else { right - left }
    }

    fn divide(self, least: f64, values: &[f64], x: &[f64], y: &mut [f64]) {
        let n = values.len();
        for (at, (y, &x)) in y.iter_mut().zip(x).enumerate() {
            let (i, j) = (at / n, at % n);
            let gap = self.gap(values[i], values[j]);
            *y = match x {
                _ if i == j => 0.0,
                0.0 => 0.0,
                _ if gap.abs() <= least => f64::NAN,
                _ => x / gap,
            };
        }
    }
}

/// The quotients of a matrix by the differences, or the sums, of values.
pub(in crate::op) fn over_gaps<'t, T: Real>(
    x: Var<'t, T>,
    values: Var<'t, T>,
    of_sums: bool,
) -> Var<'t, T> {
    x.tape().apply(OverGaps { of_sums }, &[values, x])
}

impl Op for OverGaps {
    const NAME: &'static str = "over_gaps";
    const FORMULA: Formula = Formula::new(
        "x[i, j] / (l[j] - l[i]), 0 where i = j (or over l[i] + l[j])",
        "dy = (dx - y (dl[j] - dl[i])) / (l[j] - l[i])",
        r"y_{ij} = \frac{x_{ij}}{\lambda_j \mp \lambda_i},\quad \dot y_{ij} = \frac{\dot x_{ij} - y_{ij} (\dot\lambda_j \mp \dot\lambda_i)}{\lambda_j \mp \lambda_i}",
    )
    .with_convention("where it would divide by 0 to rounding: 0 of 0, NaN of others");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [values, x] = operands(args)?;
        let n = super::solve::square(x)?;
        if has_columns(values, x) {
            Ok(x.clone())
        } else {
            Err(format!("a {values} has no {n} numbers for a {x}"))
        }
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let [.., n, _] = args[1].shape()[..] else { return };
        linalg::for_each_matrix(args, n * n, out, &|args, y| {
            self.divide(resolution::<T>(args[0]), args[0], args[1], y);
            Some(())
        });
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let moved = tangents[0].map(|values| -(call.value() * self.gaps(values)));
        let change = crate::op::add_terms([tangents[1], moved])?;
        Some(over_gaps(change, call.arg(0), self.of_sums))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let [of_x] = call.shared(|| [over_gaps(bar, call.arg(0), self.of_sums)]);
        if arg == 1 {
            return Some(of_x);
        }
        let of_gaps = -(of_x * call.value());
        let (of_row, of_column) = (of_gaps.sum_over(-2), of_gaps.sum_over(-1));
        Some(if self.of_sums { of_row + of_column } else { of_row - of_column })
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        Cost::adds(1).and(Cost::divs(1)).times(args[1].elements())
    }

    fn kink_distance<T: Real>(&self, args: &[View<'_, T>]) -> T {
        least_of_rows(args[0], |values| {
            let pairs = (0..values.len()).flat_map(|j| (0..j).map(move |i| (i, j)));
            let gaps = pairs.map(|(i, j)| self.gap(values[i], values[j]).abs());
            gaps.fold(f64::INFINITY, f64::min)
        })
    }

    fn dependence(&self, _: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        match arg {
            0 => {
                let lead = (0..result.rank() - 2).map(Along::Same);
                Dependence::Axes(lead.chain([Along::All]).collect())
            }
            _ => Dependence::Axes((0..result.rank()).map(Along::Same).collect()),
        }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for class in [ShapeClass::Scalar, ShapeClass::Vector] {
            samples.absent(class, "takes matrices");
        }
        let mut case = |values: Shape, x: Shape, of_sums| {
            let args = [(values, Domain::between(1.0, 9.0)), (x, Domain::reals())];
            samples.case(OverGaps { of_sums }, args);
        };
        case([3].into(), [3, 3].into(), false);
        case([3].into(), [3, 3].into(), true);
        case([2, 2].into(), [2, 2, 2].into(), false);
        case([1].into(), [1, 1].into(), false);
        case([0].into(), [0, 0].into(), false);
        let op = OverGaps { of_sums: false };
        samples.error(op, &[[2].into(), [2, 3].into()], "a [2, 3] is no square matrix");
        samples.error(op, &[[2].into(), [3, 3].into()], "a [2] has no 3 numbers for a [3, 3]");
    }
}

/// Whether there is a number for each column of each matrix.
fn has_columns(values: &Shape, columns: &Shape) -> bool {
    let lead = columns.rank().saturating_sub(2);
    columns.rank() >= 2
        && values.rank() == lead + 1
        && values[..lead] == columns[..lead]
        && values[lead] == columns[lead + 1]
}

/// The columns of a matrix as they are, of which each belongs to one of some values, which are
/// in order. Where a value is equal to its neighbour to rounding, its column has no
/// derivative: that is NaN, whatever it is multiplied with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DistinctColumns {
    /// Whether a value of 0 leaves its column undetermined, too.
    pub of_zero: bool,
    /// Whether undetermined columns are NaN themselves, and not only their derivative.
    pub marks: bool,
}

impl DistinctColumns {
    /// Whether each value is equal to a neighbour.
    fn is_tied<T: Real>(self, values: &[f64]) -> Vec<bool> {
        let least = resolution::<T>(values);
        let is_tied = |i: usize| {
            let (before, after) = (i.saturating_sub(1), (i + 2).min(values.len()));
            least_gap(&values[before..=i]).min(least_gap(&values[i..after])) <= least
                || self.of_zero && values[i].abs() <= least
        };
        (0..values.len()).map(is_tied).collect()
    }

    /// A tangent or cotangent of the columns.
    fn marked<'t, T: Real>(self, values: Var<'t, T>, columns: Var<'t, T>) -> Var<'t, T> {
        columns.tape().apply(Self { marks: true, ..self }, &[values, columns])
    }
}

/// Columns that have the derivative NaN where their values are equal, or 0 if `of_zero`.
pub(in crate::op) fn distinct<'t, T: Real>(
    columns: Var<'t, T>,
    values: Var<'t, T>,
    of_zero: bool,
) -> Var<'t, T> {
    columns.tape().apply(DistinctColumns { of_zero, marks: false }, &[values, columns])
}

impl Op for DistinctColumns {
    const NAME: &'static str = "distinct_columns";
    const FORMULA: Formula = Formula::new(
        "B, each column of which belongs to one of the values l",
        "dY = dB",
        r"Y = B,\quad \dot Y = \dot B",
    )
    .with_convention(
        "of columns whose values have an equal neighbour, NaN; nothing flows to the values",
    );
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [values, columns] = operands(args)?;
        if has_columns(values, columns) {
            Ok(columns.clone())
        } else {
            Err(format!("a {values} has no number for each column of a {columns}"))
        }
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        args[1].copy_to(out);
        let [.., m, n] = args[1].shape()[..] else { return };
        if !self.marks || out.is_empty() {
            return;
        }
        let values: Vec<f64> = args[0].iter().map(Real::as_f64).collect();
        for (values, columns) in values.chunks_exact(n).zip(out.chunks_exact_mut(m * n)) {
            let is_tied = self.is_tied::<T>(values);
            for row in columns.chunks_exact_mut(n) {
                let tied = row.iter_mut().zip(&is_tied).filter(|(_, is_tied)| **is_tied);
                tied.for_each(|(x, _)| *x = T::nan());
            }
        }
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        Some(self.marked(call.arg(0), tangents[1]?))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        (arg == 1).then(|| self.marked(call.arg(0), bar))
    }

    fn cost(&self, _: &[&Shape], _: &Shape) -> Cost {
        Cost::NONE
    }

    fn kink_distance<T: Real>(&self, args: &[View<'_, T>]) -> T {
        least_of_rows(args[0], |values| {
            let zeros = values.iter().filter(|_| self.of_zero).map(|x| x.abs());
            zeros.fold(least_gap(values), f64::min)
        })
    }

    fn dependence(&self, _: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        match arg {
            0 => Dependence::Nothing,
            _ => Dependence::Axes((0..result.rank()).map(Along::Same).collect()),
        }
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        for class in [ShapeClass::Scalar, ShapeClass::Vector] {
            samples.absent(class, "takes matrices");
        }
        let mut case = |values: Shape, columns: Shape, [of_zero, marks]: [bool; 2]| {
            let mask = Domain { is_mask: true, ..Domain::between(1.0, 9.0) };
            let args = [(values, mask), (columns, Domain::reals())];
            samples.case(DistinctColumns { of_zero, marks }, args);
        };
        case([2].into(), [3, 2].into(), [false, false]);
        case([2, 3].into(), [2, 2, 3].into(), [true, true]);
        case([1].into(), [1, 1].into(), [true, false]);
        case([0].into(), [3, 0].into(), [false, true]);
        let op = DistinctColumns { of_zero: false, marks: false };
        samples.error(op, &[[2].into(), [2, 3].into()], "has no number for each column");
    }
}
