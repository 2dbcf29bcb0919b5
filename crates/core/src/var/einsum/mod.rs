//! Sums of products over named axes.
//!
//! Nothing here is an op: an expression is lowered to diagonals, sums, permuted axes
//! and products, and derives from them what its derivatives are. Operands are
//! contracted two at a time. Of two operands, each axis is one of four kinds:
//!
//! | kind | the axis stands in | it becomes |
//! | --- | --- | --- |
//! | summed | one, and nowhere else | a sum, before the product |
//! | batch | both, and later | a leading axis of the product |
//! | contracted | both, and nowhere else | the inner axis of the product |
//! | free | one, and later | rows of the left factor, or columns of the right |
//!
//! The pair that takes the fewest multiplications is contracted first (of equal ones
//! that with the smallest result, then the first), and so on with its result in place of
//! both. That is not always the best order of all, but is found in no time.

mod subscripts;

use crate::scalar::Real;
use crate::tape::{Operand, Var};
use crate::tensor::{AxisList, Shape};
use subscripts::{Label, Subscripts};

/// A value with a name for each axis.
struct Term<'t, T: Real> {
    value: Var<'t, T>,
    labels: Vec<Label>,
}

/// The extents of all labels.
struct Extents(Vec<(Label, usize)>);

impl Extents {
    fn of(&self, label: Label) -> usize {
        self.0.iter().find(|(own, _)| *own == label).expect("a label of an operand").1
    }

    fn shape(&self, labels: &[Label]) -> Shape {
        labels.iter().map(|&label| self.of(label)).collect()
    }

    /// The number of elements, as it is compared with others.
    fn size<'a>(&self, labels: impl IntoIterator<Item = &'a Label>) -> f64 {
        labels.into_iter().map(|&label| self.of(label) as f64).product()
    }

    /// Takes in the extents of an operand.
    fn add(&mut self, number: usize, labels: &[Label], shape: &Shape) -> Result<(), String> {
        for (&label, &extent) in labels.iter().zip(&**shape) {
            let known = self.0.iter_mut().find(|(own, _)| *own == label);
            let Some((_, known)) = known else {
                self.0.push((label, extent));
                continue;
            };
            match (label, *known) {
                (_, known) if known == extent => {}
                (Label::Unnamed(_), 1) => *known = extent,
                (Label::Unnamed(_), _) if extent == 1 => {}
                (_, known) => {
                    return Err(format!(
                        "{label} is {extent} in operand {}, of shape {shape}, and {known} before",
                        number + 1
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The sum of products that subscripts describe, as NumPy's and PyTorch's `einsum`.
///
/// Each axis of each operand has a letter; operands are separated by commas, and the
/// axes of the result follow an arrow. The result is the sum of the products of
/// elements over all letters that it does not name. A letter twice in one operand
/// stands for a diagonal; `...` stands for any axes, which broadcast and stay. Without
/// an arrow, the result has those and then the letters that stand only once, in
/// alphabetical order.
///
/// More than two operands are contracted two at a time, that pair first which takes
/// the fewest multiplications.
///
/// ```
/// use wengert_core::{Tape, einsum};
///
/// let tape = Tape::new();
/// let a = tape.variable([[1.0, 2.0], [3.0, 4.0]]);
/// let x = tape.variable([1.0, -1.0]);
/// assert_eq!(einsum("ij,j->i", &[a, x]).value().to_vec(), [-1.0, -1.0]);
/// assert_eq!(einsum("i,ij,j", &[x, a, x]).item(), 0.0);
/// assert_eq!(einsum("ii->i", &[a]).value().to_vec(), [1.0, 4.0]);
/// assert_eq!(einsum("ij->ji", &[a]).value().to_vec(), [1.0, 3.0, 2.0, 4.0]);
/// ```
///
/// # Panics
/// If the subscripts cannot be read or do not fit the operands, there are none, or
/// they are on two tapes.
#[track_caller]
pub fn einsum<'t, T: Real>(subscripts: &str, operands: &[Var<'t, T>]) -> Var<'t, T> {
    let contracted = match operands.first() {
        Some(first) => first.tape().on_behalf_of_caller(|| contract(subscripts, operands)),
        None => contract(subscripts, operands),
    };
    match contracted {
        Ok(result) => result,
        Err(reason) => {
            let describe =
                |(i, x): (usize, &Var<'t, T>)| format!("\n  operand {}: {}", i + 1, x.describe());
            let described: String = operands.iter().enumerate().map(describe).collect();
            panic!("einsum `{subscripts}`: {reason}{described}");
        }
    }
}

fn contract<'t, T: Real>(text: &str, operands: &[Var<'t, T>]) -> Result<Var<'t, T>, String> {
    let ranks: Vec<usize> = operands.iter().map(|x| x.rank()).collect();
    let Subscripts { operands: labels, result } = Subscripts::parse(text, &ranks)?;
    let mut extents = Extents(Vec::new());
    for (number, (x, labels)) in operands.iter().zip(&labels).enumerate() {
        extents.add(number, labels, &x.shape())?;
    }
    let mut terms = Vec::with_capacity(operands.len());
    for (&value, labels) in operands.iter().zip(labels) {
        terms.push(Term { value, labels }.diagonals().unstretched(&extents));
    }
    while terms.len() > 1 {
        let (a, b) = cheapest(&terms, &result, &extents);
        let (right, left) = (terms.remove(b), terms.remove(a));
        let kept = |label: &Label| {
            result.contains(label) || terms.iter().any(|term| term.labels.contains(label))
        };
        let product = left.times(right, kept, &extents);
        terms.push(product);
    }
    let term = terms.pop().expect("at least one operand").summed(|label| !result.contains(label));
    Ok(term.permuted(&result))
}

/// The pair of terms to be contracted next, in the order of the list.
fn cheapest<T: Real>(terms: &[Term<'_, T>], result: &[Label], extents: &Extents) -> (usize, usize) {
    let mut best = (0, 1);
    let mut least = (f64::INFINITY, f64::INFINITY);
    for b in 1..terms.len() {
        for a in 0..b {
            let (left, right) = (&terms[a].labels, &terms[b].labels);
            let own = right.iter().filter(|label| !left.contains(label));
            let union: Vec<Label> = left.iter().chain(own).copied().collect();
            let others = terms.iter().enumerate().filter(|&(i, _)| i != a && i != b);
            let kept = |label: &&Label| {
                result.contains(label) || others.clone().any(|(_, t)| t.labels.contains(label))
            };
            let cost = (extents.size(&union), extents.size(union.iter().filter(kept)));
            if cost < least {
                (best, least) = ((a, b), cost);
            }
        }
    }
    best
}

impl<'t, T: Real> Term<'t, T> {
    fn place(&self, label: Label) -> usize {
        self.labels.iter().position(|&own| own == label).expect("a label of the term")
    }

    /// With each label once: diagonals in place of labels that stand twice.
    #[track_caller]
    fn diagonals(mut self) -> Self {
        let mut place = 0;
        while place < self.labels.len() {
            let label = self.labels[place];
            match self.labels[place + 1..].iter().position(|&other| other == label) {
                Some(behind) => {
                    let other = place + 1 + behind;
                    self.value = self.value.diagonal(0, [place as isize, other as isize]);
                    self.labels.remove(other);
                    self.labels.remove(place);
                    self.labels.push(label);
                }
                None => place += 1,
            }
        }
        self
    }

    /// Without axes of extent 1 that broadcast: what has not an axis broadcasts
    /// along it, too.
    #[track_caller]
    fn unstretched(mut self, extents: &Extents) -> Self {
        for place in (0..self.labels.len()).rev() {
            let extent = self.value.shape()[place];
            if extent == 1 && extents.of(self.labels[place]) != 1 {
                self.value = self.value.squeeze(place as isize);
                self.labels.remove(place);
            }
        }
        self
    }

    /// Summed over some labels.
    #[track_caller]
    fn summed(mut self, over: impl Fn(&Label) -> bool) -> Self {
        let axes: AxisList = (0..self.labels.len()).filter(|&i| over(&self.labels[i])).collect();
        if !axes.is_empty() {
            self.value = self.value.sum_over(axes);
            self.labels.retain(|label| !over(label));
        }
        self
    }

    /// The value with its axes in another order.
    #[track_caller]
    fn permuted(&self, labels: &[Label]) -> Var<'t, T> {
        self.value.permute_axes(labels.iter().map(|&label| self.place(label)).collect())
    }

    /// The value with an axis for each label, of extent 1 where it has none.
    #[track_caller]
    fn aligned(&self, labels: &[Label], extents: &Extents) -> Var<'t, T> {
        let has = |label: &Label| self.labels.contains(label);
        let own: Vec<Label> = labels.iter().copied().filter(has).collect();
        let extent = |label: &Label| if has(label) { extents.of(*label) } else { 1 };
        self.permuted(&own).reshape(labels.iter().map(extent).collect::<Shape>())
    }

    /// The value as matrices: a batch of them, with the axes of two groups joined.
    #[track_caller]
    fn matrices(&self, [batch, rows, columns]: [&[Label]; 3], extents: &Extents) -> Var<'t, T> {
        let joined = |labels: &[Label]| extents.shape(labels).elements();
        let shape = |rows: &[Label], columns: &[Label]| -> Shape {
            let last = [joined(rows), joined(columns)];
            extents.shape(batch).iter().copied().chain(last).collect()
        };
        let straight = [batch, rows, columns].concat();
        let transposed = [batch, columns, rows].concat();
        if self.labels == transposed && self.labels != straight {
            // Products take transposed factors as they are, without a copy.
            return self.value.reshape(shape(columns, rows)).matrix_transpose();
        }
        self.permuted(&straight).reshape(shape(rows, columns))
    }

    /// The product of two terms, summed over all labels that are not kept.
    #[track_caller]
    fn times(self, other: Self, kept: impl Fn(&Label) -> bool, extents: &Extents) -> Self {
        let left = self.summed(|label| !kept(label) && !other.labels.contains(label));
        let right = other.summed(|label| !kept(label) && !left.labels.contains(label));
        let (mut batch, mut contracted, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for &label in &left.labels {
            let group = match (right.labels.contains(&label), kept(&label)) {
                (true, true) => &mut batch,
                (true, false) => &mut contracted,
                (false, _) => &mut rows,
            };
            group.push(label);
        }
        let mut columns = right.labels.clone();
        columns.retain(|label| !left.labels.contains(label));
        let labels = [&batch[..], &rows, &columns].concat();
        let value = if contracted.is_empty() {
            left.aligned(&labels, extents) * right.aligned(&labels, extents)
        } else if rows.is_empty() && columns.is_empty() {
            let all = [&batch[..], &contracted].concat();
            let axes: AxisList = (batch.len()..all.len()).collect();
            (left.aligned(&all, extents) * right.aligned(&all, extents)).sum_over(axes)
        } else {
            let left = left.matrices([&batch, &rows, &contracted], extents);
            let right = right.matrices([&batch, &contracted, &columns], extents);
            left.matmul(right).reshape(extents.shape(&labels))
        };
        Self { value, labels }
    }
}

/// # Sums over products
impl<'t, T: Real> Var<'t, T> {
    /// The sum of products over pairs of axes, one of `self` and one of `other`; the
    /// result has the other axes of `self`, and then those of `other`.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let a = tape.variable([[1.0, 2.0], [3.0, 4.0]]);
    /// let b = tape.variable([[1.0, 0.0], [0.0, 10.0]]);
    /// assert_eq!(a.tensordot(b, [&[0], &[1]]).value().to_vec(), [1.0, 30.0, 2.0, 40.0]);
    /// assert_eq!(a.tensordot(b, [&[0, 1], &[0, 1]]).item(), 41.0);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice, the extents of a pair or the
    /// numbers of axes differ, or the operands are on two tapes.
    #[track_caller]
    pub fn tensordot(self, other: impl Operand<'t, T>, [left, right]: [&[isize]; 2]) -> Self {
        let other = other.on(self.tape());
        let describe = || format!("\n  {}\n  {}", self.describe(), other.describe());
        assert!(left.len() == right.len(), "tensordot: {left:?} and {right:?} are no pairs");
        let (own, others) = (self.rank(), other.rank());
        let mut labels: Vec<Label> = (own..own + others).map(Label::Unnamed).collect();
        let mut contracted = Vec::with_capacity(left.len());
        for (&mine, &theirs) in left.iter().zip(right) {
            let mine = self.resolve_axis("tensordot", mine, own);
            let theirs = other.resolve_axis("tensordot", theirs, others);
            let is_new = !contracted.contains(&Label::Unnamed(mine));
            let is_free = labels[theirs] == Label::Unnamed(own + theirs);
            assert!(is_new && is_free, "tensordot: an axis is named twice{}", describe());
            let extents = (self.shape()[mine], other.shape()[theirs]);
            assert!(
                extents.0 == extents.1,
                "tensordot: the extents {} and {} of a pair differ{}",
                extents.0,
                extents.1,
                describe()
            );
            labels[theirs] = Label::Unnamed(mine);
            contracted.push(labels[theirs]);
        }
        let left = Term { value: self, labels: (0..own).map(Label::Unnamed).collect() };
        let right = Term { value: other, labels };
        let shapes = [(&left.labels, self.shape()), (&right.labels, other.shape())];
        let known = |(labels, shape): (&Vec<Label>, Shape)| {
            labels.iter().copied().zip(shape.to_vec()).collect::<Vec<_>>()
        };
        let extents = Extents(shapes.into_iter().flat_map(known).collect());
        left.times(right, |label| !contracted.contains(label), &extents).value
    }

    /// The Kronecker product: a copy of `other` for each element of `self`, times
    /// that element. Both have the same number of axes.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let (a, b) = (tape.variable([[1.0, 2.0]]), tape.variable([[1.0], [10.0]]));
    /// assert_eq!(a.kron(b).value().to_vec(), [1.0, 2.0, 10.0, 20.0]);
    /// ```
    ///
    /// # Panics
    /// If the numbers of axes differ, or the operands are on two tapes.
    #[track_caller]
    pub fn kron(self, other: impl Operand<'t, T>) -> Self {
        let other = other.on(self.tape());
        let (own, others) = (self.shape(), other.shape());
        assert!(
            own.rank() == others.rank(),
            "kron: expected as many axes, got shapes {own} and {others}\n  operand 1: {}\n  operand 2: {}",
            self.describe(),
            other.describe()
        );
        let outer: Shape = own.iter().flat_map(|&extent| [extent, 1]).collect();
        let inner: Shape = others.iter().flat_map(|&extent| [1, extent]).collect();
        let joined: Shape = own.iter().zip(&*others).map(|(a, b)| a * b).collect();
        (self.reshape(outer) * other.reshape(inner)).reshape(joined)
    }
}
