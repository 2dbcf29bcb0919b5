//! Which values are computed together.
//!
//! Long elementwise values that feed each other, and the sums over all of them,
//! become one loop: a block of elements goes through all functions while it lies
//! in the first-level cache, and only what is needed elsewhere is written to
//! memory. Products of one term are elementwise, too: the gradient of a weight
//! from one sample goes into the update that reads it. Everything else is a unit by itself.
//!
//! Two units may merge if nothing outside of both has to happen between them:
//! then the order among units stays one without circles (the same rule by which
//! compilers fuse loops).
//!
//! A product of matrices that one loop alone reads is computed by that loop, tile by tile.

use std::sync::Arc;

use super::graph::{Graph, Operand, SHORT, ValueId};
use crate::kernel::block::BlockKernel;
use crate::kernel::gemm::MatrixLayout;
use crate::op::{Mul, Operation};
use crate::scalar::Real;
use crate::tape::elemental::DynOp;
use crate::tensor::Layout;

tuned! {
    /// The fewest columns of a product of one term that is computed in a loop: factors go there row by row.
    const NARROWEST = 16, tiny 2;
}

/// Functions in one loop. More would take more blocks than the cache holds.
const MOST_MEMBERS: usize = 64;

/// Values that one instruction computes.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// In an order in which they can be computed.
    pub(super) members: Vec<ValueId>,
    /// Whether it is a loop over blocks of elements.
    pub(super) is_loop: bool,
    /// A product that the members alone read: the loop follows its tiles.
    pub(super) product: Option<ValueId>,
}

impl Unit {
    /// All values that it computes.
    pub(super) fn values(&self) -> impl Iterator<Item = ValueId> {
        self.product.iter().chain(&self.members).copied()
    }
}

/// How a value can take part in a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A function of each element.
    Map,
    /// A product of one term: in a loop, the [product](elementwise_product) of its factors' elements. By
    /// itself it has a kernel.
    Outer,
    /// The sum of all elements of its argument.
    Total,
    /// None: it is computed by itself.
    Alone,
}

impl Role {
    /// Whether an element depends on one element of each operand.
    pub(super) fn is_map(self) -> bool {
        matches!(self, Self::Map | Self::Outer)
    }
}

pub(super) struct Fusion<'g, T: Real> {
    graph: &'g Graph<T>,
    operands: &'g [Operand],
    roles: &'g [Role],
    units: Vec<Unit>,
    /// The unit of each value that is computed into memory of its own.
    unit_of: Vec<Option<usize>>,
    /// The values computed from each, of those that have a unit.
    read_by: Vec<Vec<ValueId>>,
    /// Stamps of a search, up and down, so that each unit is visited once.
    seen: Vec<[usize; 2]>,
    searches: usize,
}

/// The role of a value.
fn role<T: Real>(graph: &Graph<T>, operands: &[Operand], id: ValueId) -> Role {
    let Some((op, args)) = graph.op(id) else { return Role::Alone };
    if graph.value(id).shape.elements() > SHORT {
        if op.kernel().is_some() {
            return Role::Map;
        }
        if outer_factors(graph, operands, id).is_some() {
            return Role::Outer;
        }
    }
    match args {
        [arg] if op.total(&graph.value(*arg).shape).is_some() => {
            let operand = &operands[arg.index()];
            let elements = graph.value(operand.root).shape.elements();
            let is_long = elements > SHORT && operand.is_whole(elements);
            if is_long { Role::Total } else { Role::Alone }
        }
        _ => Role::Alone,
    }
}

/// The roles of all values.
pub(super) fn roles<T: Real>(graph: &Graph<T>, operands: &[Operand]) -> Vec<Role> {
    graph.ids().map(|id| role(graph, operands, id)).collect()
}

/// The factors of a product of two matrices.
fn matrices<T: Real>(
    graph: &Graph<T>,
    operands: &[Operand],
    id: ValueId,
) -> Option<[MatrixLayout; 2]> {
    let (op, &[a, b]) = graph.op(id)? else { return None };
    op.factors(&operands[a.index()].layout, &operands[b.index()].layout)
}

/// The factors of a product of one term, as they broadcast to it.
pub(super) fn outer_factors<T: Real>(
    graph: &Graph<T>,
    operands: &[Operand],
    id: ValueId,
) -> Option<[Layout; 2]> {
    let [column, row] = matrices(graph, operands, id)?;
    // A vector times a matrix, whose result is a vector, is left to the library.
    let is_matrix = graph.value(id).shape.rank() == 2;
    let is_wide = row.columns == 1 || row.columns >= NARROWEST;
    (column.columns == 1 && is_matrix && is_wide).then(|| column.broadcastable(&row))
}

/// How a product of one term is computed in a loop.
pub(super) fn elementwise_product<T: Real>() -> Arc<dyn BlockKernel<T>> {
    let op: &dyn DynOp<T> = &Operation::<T, _>::into_dyn(Mul);
    op.kernel().expect("it is elementwise")
}

/// The factors of a product that a loop can follow tile by tile.
pub(super) fn factors<T: Real>(
    graph: &Graph<T>,
    operands: &[Operand],
    id: ValueId,
) -> Option<[MatrixLayout; 2]> {
    let [left, right] = matrices(graph, operands, id)?;
    let is_long = graph.value(id).shape.elements() > SHORT;
    (is_long && left.has_epilogue(&right)).then_some([left, right])
}

/// The units of a graph, in any order.
pub(super) fn units<T: Real>(graph: &Graph<T>, operands: &[Operand], roles: &[Role]) -> Vec<Unit> {
    let mut fusion = Fusion {
        graph,
        operands,
        roles,
        units: Vec::new(),
        unit_of: vec![None; graph.values.len()],
        read_by: vec![Vec::new(); graph.values.len()],
        seen: Vec::new(),
        searches: 0,
    };
    for id in graph.ids() {
        if graph.op(id).is_some() && operands[id.index()].root == id {
            fusion.add(id);
        }
    }
    fusion.take_products_in();
    fusion.units.retain(|unit| !unit.members.is_empty());
    fusion.units
}

impl<T: Real> Fusion<'_, T> {
    fn role(&self, id: ValueId) -> Role {
        self.roles[id.index()]
    }

    fn add(&mut self, id: ValueId) {
        let unit = self.units.len();
        let role = self.role(id);
        self.units.push(Unit { members: vec![id], is_loop: role == Role::Map, product: None });
        self.seen.push([0; 2]);
        self.unit_of[id.index()] = Some(unit);
        let (_, args) = self.graph.op(id).expect("units are computed");
        for arg in args {
            self.read_by[self.operands[arg.index()].root.index()].push(id);
        }
        if role == Role::Alone {
            return;
        }
        for arg in args {
            let root = self.operands[arg.index()].root;
            if let Some(other) = self.unit_of[root.index()]
                && self.may_merge(other, self.unit_of[id.index()].expect("just set"))
            {
                self.merge(other, self.unit_of[id.index()].expect("just set"));
            }
        }
    }

    /// The elements that a unit's loop goes over.
    fn elements(&self, unit: usize) -> usize {
        let first = self.units[unit].members[0];
        match self.role(first) {
            Role::Total => {
                let (_, args) = self.graph.op(first).expect("a total is computed");
                self.graph.value(args[0]).shape.elements()
            }
            _ => self.graph.value(first).shape.elements(),
        }
    }

    /// The values outside of views that a unit reads.
    fn reads(&self, unit: usize) -> impl Iterator<Item = (ValueId, &Operand)> {
        self.units[unit].members.iter().flat_map(move |&id| {
            let (_, args) = self.graph.op(id).expect("units are computed");
            args.iter().map(move |arg| (id, &self.operands[arg.index()]))
        })
    }

    fn may_merge(&mut self, a: usize, b: usize) -> bool {
        if a == b {
            return false;
        }
        let fusable = |unit: &Unit| unit.members.iter().all(|&id| self.role(id) != Role::Alone);
        let elements = self.elements(a);
        if !fusable(&self.units[a])
            || !fusable(&self.units[b])
            || !(self.units[a].is_loop || self.units[b].is_loop)
            || elements != self.elements(b)
            || self.units[a].members.len() + self.units[b].members.len() > MOST_MEMBERS
        {
            return false;
        }
        // Within a loop, element i of one value may depend on element i of another
        // one only, and on no total.
        let direct = |from: usize, to: usize| {
            self.reads(from).all(|(_, operand)| {
                self.unit_of[operand.root.index()] != Some(to)
                    || (self.role(operand.root).is_map() && operand.is_whole(elements))
            })
        };
        direct(a, b) && direct(b, a) && !self.detour(a, b) && !self.detour(b, a)
    }

    /// Whether `from` depends on `to` through a third unit: searched from both ends by turns, until
    /// one has nothing left. What is upstream of a step of a long recurrence is all that was before,
    /// and what is downstream is next to nothing.
    fn detour(&mut self, from: usize, to: usize) -> bool {
        self.searches += 1;
        let is_other = |unit: &usize| *unit != to && *unit != from;
        let mut up: Vec<usize> = self.inputs(from).filter(is_other).collect();
        let mut down: Vec<usize> = self.outputs(to).filter(is_other).collect();
        loop {
            let Some(unit) = up.pop() else { return false };
            if unit == to {
                return true;
            }
            if std::mem::replace(&mut self.seen[unit][0], self.searches) != self.searches {
                up.extend(self.inputs(unit));
            }
            let Some(unit) = down.pop() else { return false };
            if unit == from {
                return true;
            }
            if std::mem::replace(&mut self.seen[unit][1], self.searches) != self.searches {
                down.extend(self.outputs(unit));
            }
        }
    }

    /// The units that a unit reads.
    fn inputs(&self, unit: usize) -> impl Iterator<Item = usize> {
        let roots = self.reads(unit).map(|(_, operand)| operand.root);
        roots.filter_map(|root| self.unit_of[root.index()])
    }

    /// The units that read a unit.
    fn outputs(&self, unit: usize) -> impl Iterator<Item = usize> {
        let readers = self.units[unit].members.iter().flat_map(|id| &self.read_by[id.index()]);
        readers.filter_map(|id| self.unit_of[id.index()])
    }

    /// Has loops follow the products that they alone read.
    fn take_products_in(&mut self) {
        for id in self.graph.ids() {
            if let Some(unit) = self.follower(id) {
                let own = self.unit_of[id.index()].replace(unit).expect("it is computed");
                self.units[own].members.clear();
                self.units[unit].product = Some(id);
            }
        }
    }

    /// The loop that alone reads a product, if it can follow its tiles.
    fn follower(&self, id: ValueId) -> Option<usize> {
        // Most values are no products, and are done with here.
        factors(self.graph, self.operands, id)?;
        let readers = &self.read_by[id.index()];
        let unit = self.unit_of[readers.first()?.index()]?;
        let Unit { members, is_loop, product } = &self.units[unit];
        let elements = self.graph.value(id).shape.elements();
        let is_only = readers.iter().all(|reader| self.unit_of[reader.index()] == Some(unit));
        let is_kept =
            self.graph.outputs.iter().any(|output| self.operands[output.index()].root == id);
        if !is_loop || product.is_some() || !is_only || is_kept || self.elements(unit) != elements {
            return None;
        }
        // Sums are added up part by part.
        let has_sum = members.iter().any(|&member| !self.role(member).is_map());
        let is_whole =
            self.reads(unit).all(|(_, operand)| operand.root != id || operand.is_whole(elements));
        (!has_sum && is_whole).then_some(unit)
    }

    fn merge(&mut self, into: usize, from: usize) {
        let moved = std::mem::take(&mut self.units[from].members);
        for id in &moved {
            self.unit_of[id.index()] = Some(into);
        }
        let unit = &mut self.units[into];
        unit.members.extend(moved);
        unit.members.sort_unstable();
        unit.is_loop = true;
    }
}
