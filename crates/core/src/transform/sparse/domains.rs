//! Index domains: on which elements of the inputs each element of a value depends
//! (G&W, section 7.3).
//!
//! A pass over the tape, in its order, hands sets of input elements from operands to
//! results, as each op states its [`Dependence`]. Sets are kept once: equal sets
//! have one number, so a value is a list of numbers, a view of it is another list of
//! the same numbers, and an elementwise function passes its operand's list on.

use indexmap::IndexSet;
use smallvec::SmallVec;

use crate::scalar::Real;
use crate::tape::elemental::{Along, Dependence, DynOp};
use crate::tape::{NodeId, Var};
use crate::tensor::{Layout, Rows, Shape};

/// The number of a set.
pub(crate) type SetId = u32;

/// Sets of input elements, each kept once.
pub(crate) struct IndexSets {
    sets: IndexSet<Box<[u32]>>,
    /// What a union is made of.
    parts: Vec<SetId>,
    members: Vec<u32>,
}

impl IndexSets {
    /// The number of the set without elements.
    pub(crate) const EMPTY: SetId = 0;

    pub(crate) fn new() -> Self {
        let sets = [Box::from([])].into_iter().collect();
        Self { sets, parts: Vec::new(), members: Vec::new() }
    }

    pub(crate) fn get(&self, id: SetId) -> &[u32] {
        &self.sets[id as usize]
    }

    /// The set of one element.
    pub(crate) fn single(&mut self, element: usize) -> SetId {
        let element = u32::try_from(element).expect("inputs have fewer than 2^32 elements");
        self.number(&[element])
    }

    /// The set of all elements of some sets.
    pub(crate) fn union(&mut self, sets: impl IntoIterator<Item = SetId>) -> SetId {
        let mut parts = std::mem::take(&mut self.parts);
        parts.clear();
        for id in sets {
            if id != Self::EMPTY && parts.last() != Some(&id) {
                parts.push(id);
            }
        }
        parts.sort_unstable();
        parts.dedup();
        let union = match parts[..] {
            [] => Self::EMPTY,
            [id] => id,
            _ => {
                let mut members = std::mem::take(&mut self.members);
                members.clear();
                for &id in &parts {
                    members.extend_from_slice(self.get(id));
                }
                members.sort_unstable();
                members.dedup();
                let union = self.number(&members);
                self.members = members;
                union
            }
        };
        self.parts = parts;
        union
    }

    fn number(&mut self, members: &[u32]) -> SetId {
        let known = self.sets.get_index_of(members);
        let index = known.unwrap_or_else(|| self.sets.insert_full(members.into()).0);
        SetId::try_from(index).expect("fewer than 2^32 sets")
    }
}

/// For each element of a value the set of input elements on which it depends;
/// inputs are numbered through, one after another. A set may be too large where an op
/// states no better, and is never too small.
pub(crate) fn index_domains<T: Real>(
    sets: &mut IndexSets,
    inputs: &[Var<'_, T>],
    outputs: &[Var<'_, T>],
) -> Vec<SetId> {
    let Some(tape) = outputs.first().map(|output| output.tape()) else { return Vec::new() };
    let marks = tape.mark_from(inputs, outputs, Vec::new());
    let mut domains: Vec<Option<Vec<SetId>>> = vec![None; marks.len()];
    let mut first = 0;
    for input in inputs {
        let own = first..first + input.elements();
        first = own.end;
        if let Some(domain) = domains.get_mut(input.id().index()) {
            *domain = Some(own.map(|element| sets.single(element)).collect());
        }
    }
    for (index, _) in marks.iter().enumerate().filter(|(_, reached)| **reached) {
        let id = NodeId::new(index);
        let Some((op, args)) = tape.call(id).filter(|_| domains[index].is_none()) else { continue };
        let shapes: Vec<Shape> = args.iter().map(|arg| arg.shape()).collect();
        let own = |arg: &Var<'_, T>| domains[arg.id().index()].as_deref();
        let args: Vec<Option<&[SetId]>> = args.iter().map(own).collect();
        domains[index] = Some(through(op.get(), &shapes, &args, &tape.shape_of(id), sets));
    }
    let domain = |output: &Var<'_, T>| match &domains[output.id().index()] {
        Some(domain) => domain.clone(),
        None => vec![IndexSets::EMPTY; output.elements()],
    };
    outputs.iter().flat_map(domain).collect()
}

/// The sets of the elements of an op's result, from those of its operands; `None`
/// stands for an operand that depends on no input.
pub(crate) fn through<T: Real>(
    op: &dyn DynOp<T>,
    shapes: &[Shape],
    args: &[Option<&[SetId]>],
    result: &Shape,
    sets: &mut IndexSets,
) -> Vec<SetId> {
    if let ([shape], [Some(arg)]) = (shapes, args)
        && let Some((layout, first)) = op.view(&Layout::contiguous(shape.clone()))
    {
        let first = usize::try_from(first).expect("a view looks into its operand");
        return Rows::new(&layout, first).places().map(|at| arg[at]).collect();
    }
    let shapes: Vec<&Shape> = shapes.iter().collect();
    let mut domain: Option<Vec<SetId>> = None;
    for (position, arg) in args.iter().enumerate() {
        let Some(arg) = arg else { continue };
        let term = match op.dependence(&shapes, position, result) {
            Dependence::Nothing => continue,
            Dependence::Everything => vec![sets.union(arg.iter().copied()); result.elements()],
            Dependence::Axes(axes) => boxes(arg, shapes[position], &axes, result, sets),
        };
        domain = Some(match domain {
            None => term,
            Some(before) => before
                .into_iter()
                .zip(term)
                .map(|(a, b)| if a == b { a } else { sets.union([a, b]) })
                .collect(),
        });
    }
    domain.unwrap_or_else(|| vec![IndexSets::EMPTY; result.elements()])
}

/// For each element of the result the union over its box of the operand. A box is a
/// product of sides, so the union is taken along one axis after the other.
fn boxes(
    arg: &[SetId],
    shape: &Shape,
    axes: &[Along],
    result: &Shape,
    sets: &mut IndexSets,
) -> Vec<SetId> {
    let mut current = arg.to_vec();
    let mut extents: Vec<usize> = shape.to_vec();
    extents.resize(axes.len(), 1);
    for (axis, along) in axes.iter().enumerate() {
        let [outer, inner]: [usize; 2] =
            [&extents[..axis], &extents[axis + 1..]].map(|extents| extents.iter().product());
        let extent = extents[axis];
        let whole;
        let lists = match along {
            Along::Same(_) => continue,
            Along::All => {
                whole = [(0..extent).collect()];
                &whole[..]
            }
            Along::Listed(_, lists) => lists,
        };
        let mut joined = Vec::with_capacity(outer * lists.len() * inner);
        for before in current.chunks_exact((extent * inner).max(1)).take(outer) {
            for list in lists {
                joined.extend((0..inner).map(|inside| {
                    sets.union(list.iter().map(|position| before[position * inner + inside]))
                }));
            }
        }
        // Without elements there was nothing to join.
        joined.resize(outer * lists.len() * inner, IndexSets::EMPTY);
        current = joined;
        extents[axis] = lists.len();
    }
    let mut strides = SmallVec::from_elem(0, result.rank());
    let mut stride = 1;
    for (along, extent) in axes.iter().zip(&extents).rev() {
        match along {
            Along::Same(axis) | Along::Listed(axis, _) if *extent > 1 => strides[*axis] += stride,
            _ => {}
        }
        stride *= *extent as isize;
    }
    let layout = Layout::strided(result.clone(), strides);
    Rows::new(&layout, 0).places().map(|at| current[at]).collect()
}
