//! What a tape computes, without the order in which it was recorded.
//!
//! The first step of a compilation: from the nodes of a tape to the values that
//! the outputs need. What no output needs is left out, what depends on constants
//! alone is worked out now, and what is computed twice is shared. Ops are compared
//! by their own equality; the graph knows none by name.

use std::any::{Any, TypeId};
use std::panic::Location;
use std::rc::Rc;

use indexmap::IndexMap;
use smallvec::SmallVec;

use super::error::CompileError;
use crate::op::{Domain, Elementwise, Operation, Permute, Samples};
use crate::scalar::{Number, Real};
use crate::tape::elemental::{Cost, DynOp};
use crate::tape::{Args, NodeId, OpHandle, Tape, Var};
use crate::tensor::{Layout, Shape, Tensor, View};

tuned! {
    /// Values of up to this many elements lie in one memory.
    pub(super) const SHORT = 256, tiny 2;
}

/// A value of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ValueId(u32);

impl ValueId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a value comes from.
pub(super) enum Source<T: Real> {
    /// Given for every run, or kept from run to run.
    Input,
    /// The same in every run.
    Constant(Tensor<T>),
    /// Computed.
    Op(OpHandle<T>, Args<ValueId>),
}

pub(super) struct Value<T: Real> {
    pub(super) source: Source<T>,
    pub(super) shape: Shape,
    /// The source line that recorded it.
    pub(super) location: &'static Location<'static>,
}

/// Values in an order in which they can be computed.
pub(super) struct Graph<T: Real> {
    pub(super) values: Vec<Value<T>>,
    pub(super) inputs: Vec<ValueId>,
    pub(super) outputs: Vec<ValueId>,
    /// Operations of the tape up to the last output.
    pub(super) recorded: usize,
}

/// What makes two values the same.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Op(TypeId, Args<ValueId>),
    Scalar(u64),
}

impl<T: Real> Graph<T> {
    /// The graph of some outputs as a function of some leaves.
    pub(super) fn new(
        tape: &Tape<T>,
        inputs: &[Var<'_, T>],
        outputs: &[Var<'_, T>],
    ) -> Result<Self, CompileError> {
        let needed = tape.needed_for(outputs);
        let kept = tape.kept_values();
        let mut builder = Builder {
            graph: Self {
                values: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                recorded: 0,
            },
            known: IndexMap::new(),
            views: IndexMap::new(),
        };
        let mut ids: Vec<Option<ValueId>> = vec![None; needed.len()];
        // Inputs first: they exist even where nothing needs them.
        for input in inputs {
            let id = builder.push(Source::Input, input.shape(), tape.location_of(input.id()));
            builder.graph.inputs.push(id);
            if let Some(slot) = ids.get_mut(input.id().index()) {
                *slot = Some(id);
            }
        }
        for (index, is_needed) in needed.iter().enumerate() {
            let id = NodeId::new(index);
            let call = tape.call(id);
            builder.graph.recorded += usize::from(call.is_some());
            if !is_needed || ids[index].is_some() {
                continue;
            }
            let location = tape.location_of(id);
            ids[index] = Some(match call {
                None if !kept[index] => {
                    return Err(CompileError::Overwritten { value: tape.describe(id) });
                }
                None => builder.constant(tape.value_of(id), location),
                Some((op, args)) => {
                    let args: Args<ValueId> = args
                        .iter()
                        .map(|arg| ids[arg.id().index()].expect("arguments come first"))
                        .collect();
                    builder.op(op, args, tape.shape_of(id), location)
                }
            });
        }
        let Builder { mut graph, .. } = builder;
        graph.outputs = outputs
            .iter()
            .map(|output| ids[output.id().index()].expect("outputs are needed"))
            .collect();
        Ok(graph)
    }

    /// Gives memory of their own to the results from position `outputs` on, which
    /// the inputs numbered in `updated` take over: by a copy, where they share it with
    /// an output, an input or each other. So for outputs that show an input's memory.
    pub(super) fn separate(&mut self, outputs: usize, updated: &[usize]) {
        let operands = operands(self);
        let states: Vec<ValueId> = updated.iter().map(|&input| self.inputs[input]).collect();
        let mut roots: Vec<ValueId> = Vec::new();
        for position in 0..self.outputs.len() {
            let id = self.outputs[position];
            let root = operands[id.index()].root;
            let must_copy = match position < outputs {
                true => states.contains(&root),
                false => self.op(id).is_none() || root != id || roots.contains(&root),
            };
            if must_copy {
                self.outputs[position] = self.copied(id);
            }
            roots.push(if must_copy { self.outputs[position] } else { root });
        }
    }

    /// A value copied to memory of its own.
    pub(super) fn copied(&mut self, id: ValueId) -> ValueId {
        let shape = self.value(id).shape.clone();
        self.added(OpHandle::Stored(Rc::new(Operation::<T, _>::into_dyn(Copied))), id, shape)
    }

    /// A matrix transposed.
    pub(super) fn transposed(&mut self, id: ValueId) -> ValueId {
        let shape = self.value(id).shape.iter().rev().copied().collect();
        let transpose = Permute { order: [1, 0].into_iter().collect() };
        self.added(OpHandle::Stored(Rc::new(Operation::<T, _>::into_dyn(transpose))), id, shape)
    }

    /// A value that was not recorded.
    fn added(&mut self, op: OpHandle<T>, arg: ValueId, shape: Shape) -> ValueId {
        let source = Source::Op(op, [arg].into_iter().collect());
        let location = self.value(arg).location;
        self.push(Value { source, shape, location })
    }

    /// Adds a value behind the others, among which its arguments are.
    pub(super) fn push(&mut self, value: Value<T>) -> ValueId {
        self.values.push(value);
        ValueId(u32::try_from(self.values.len() - 1).expect("fewer than 2^32 values"))
    }

    pub(super) fn value(&self, id: ValueId) -> &Value<T> {
        &self.values[id.index()]
    }

    pub(super) fn ids(&self) -> impl DoubleEndedIterator<Item = ValueId> + use<T> {
        (0..self.values.len() as u32).map(ValueId)
    }

    /// The op of a computed value and its arguments.
    pub(super) fn op(&self, id: ValueId) -> Option<(&dyn DynOp<T>, &[ValueId])> {
        match &self.value(id).source {
            Source::Op(op, args) => Some((op.get(), args)),
            _ => None,
        }
    }

    /// The scalar operations that one run computes.
    pub(super) fn cost(&self) -> Cost {
        let costs = self.ids().filter_map(|id| {
            let (op, args) = self.op(id)?;
            let shapes: Args<&Shape> = args.iter().map(|&arg| &self.value(arg).shape).collect();
            Some(op.cost(&shapes, &self.value(id).shape))
        });
        costs.fold(Cost::NONE, Cost::and)
    }
}

/// A value copied to memory of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Copied;

impl Elementwise<1> for Copied {
    const NAME: &'static str = "copy";
    const COST: Cost = Cost::NONE;

    fn eval<A: Number>(self, [x]: [A; 1]) -> A {
        x
    }

    fn partial<A: Number>(self, _: usize, [x]: [A; 1], _: A) -> A {
        x.constant(1.0)
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        samples.over(Copied, [Domain::reals()]);
    }
}

struct Builder<T: Real> {
    graph: Graph<T>,
    /// Values by what makes them equal. Ops of one type with the same arguments
    /// may still differ in their parameters, hence the list.
    known: IndexMap<Key, SmallVec<[ValueId; 1]>>,
    /// Constants that show a short constant's memory in another order. Products take other
    /// ways where a factor lies otherwise, and then round otherwise; so these stay the views
    /// that they are on the tape, and are known here for what they hold.
    views: IndexMap<ValueId, Tensor<T>>,
}

impl<T: Real> Builder<T> {
    fn push(
        &mut self,
        source: Source<T>,
        shape: Shape,
        location: &'static Location<'static>,
    ) -> ValueId {
        self.graph.push(Value { source, shape, location })
    }

    fn constant(&mut self, value: Tensor<T>, location: &'static Location<'static>) -> ValueId {
        // Short values lie side by side without gaps, on the tape as here.
        let value = if value.len() <= SHORT { value.contiguous() } else { value };
        let shape = value.shape().clone();
        if shape.rank() > 0 {
            return self.push(Source::Constant(value), shape, location);
        }
        let key = Key::Scalar(value.item().as_f64().to_bits());
        if let Some(&[id]) = self.known.get(&key).map(|ids| &ids[..]) {
            return id;
        }
        let id = self.push(Source::Constant(value), shape, location);
        self.known.insert(key, [id].into_iter().collect());
        id
    }

    fn op(
        &mut self,
        op: OpHandle<T>,
        args: Args<ValueId>,
        shape: Shape,
        location: &'static Location<'static>,
    ) -> ValueId {
        let view = self.constant_view(op.get(), &args);
        let is_kept = |value: &Tensor<T>| value.len() <= SHORT && value.as_slice().is_none();
        if !view.as_ref().is_some_and(is_kept)
            && let Some(value) = view.clone().or_else(|| self.folded(op.get(), &args, &shape))
        {
            return self.constant(value, location);
        }
        let known: Args<Option<T>> = args.iter().map(|&arg| self.number(arg)).collect();
        if let Some(operand) = op.get().identity(&known)
            && self.graph.value(args[operand]).shape == shape
        {
            return args[operand];
        }
        let key = Key::Op((op.get() as &dyn Any).type_id(), args.clone());
        let twins = self.known.get(&key).map_or(&[] as &[ValueId], |ids| ids);
        let equal = |id: &ValueId| {
            self.graph.op(*id).is_some_and(|(other, _)| op.get().equals(other as &dyn Any))
        };
        if let Some(&id) = twins.iter().find(|id| equal(id)) {
            return id;
        }
        let id = self.push(Source::Op(op, args), shape, location);
        self.known.entry(key).or_default().push(id);
        if let Some(view) = view {
            self.views.insert(id, view);
        }
        id
    }

    /// What a constant holds.
    fn constant_value(&self, id: ValueId) -> Option<&Tensor<T>> {
        match &self.graph.value(id).source {
            Source::Constant(value) => Some(value),
            _ => self.views.get(&id),
        }
    }

    /// The number that a constant is throughout.
    fn number(&self, id: ValueId) -> Option<T> {
        let value = self.constant_value(id)?;
        value.parts().2.is_splat().then(|| value.view().first())
    }

    /// The value of an op that only looks at a constant in another way.
    fn constant_view(&self, op: &dyn DynOp<T>, args: &[ValueId]) -> Option<Tensor<T>> {
        let &[arg] = args else { return None };
        let (buffer, offset, layout) = self.constant_value(arg)?.parts();
        let (layout, moved) = op.view(layout)?;
        Some(Tensor::from_parts(buffer.clone(), (offset as isize + moved) as usize, layout))
    }

    /// The value of an op whose arguments are constants.
    fn folded(&self, op: &dyn DynOp<T>, args: &[ValueId], shape: &Shape) -> Option<Tensor<T>> {
        let constant = |&id: &ValueId| self.constant_value(id);
        let args: Args<&Tensor<T>> = args.iter().map(constant).collect::<Option<_>>()?;
        let views: Args<View<'_, T>> = args.iter().map(|arg| arg.view()).collect();
        let mut elements = vec![T::zero(); shape.elements()];
        op.eval(&views, shape, &mut elements);
        Some(Tensor::new(shape.clone(), elements))
    }
}

/// A value as another one's memory shows it: some ops only look at elements in
/// another way.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    /// The value that owns the memory.
    pub(super) root: ValueId,
    /// The first element, counted from the root's.
    pub(super) offset: isize,
    pub(super) layout: Layout,
}

impl Operand {
    /// Whether it is all of its root, in the root's order.
    pub(super) fn is_whole(&self, elements: usize) -> bool {
        self.offset == 0 && self.layout.is_contiguous() && self.layout.elements() == elements
    }
}

/// Each value as its root's memory shows it.
pub(super) fn operands<T: Real>(graph: &Graph<T>) -> Vec<Operand> {
    let mut operands: Vec<Operand> = Vec::with_capacity(graph.values.len());
    for id in graph.ids() {
        let value = graph.value(id);
        let own = |layout: Layout| Operand { root: id, offset: 0, layout };
        operands.push(match &value.source {
            Source::Constant(tensor) => own(tensor.parts().2.clone()),
            Source::Input => own(Layout::contiguous(value.shape.clone())),
            Source::Op(op, args) => match &args[..] {
                [arg] => match op.get().view(&operands[arg.index()].layout) {
                    Some((layout, moved)) => {
                        let Operand { root, offset, .. } = operands[arg.index()];
                        Operand { root, offset: offset + moved, layout }
                    }
                    None => own(Layout::contiguous(value.shape.clone())),
                },
                _ => own(Layout::contiguous(value.shape.clone())),
            },
        });
    }
    operands
}
