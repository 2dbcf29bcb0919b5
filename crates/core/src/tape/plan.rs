//! What becomes of an operation, kept for the next one on operands that lie in the same way.

use std::any::TypeId;
use std::hash::{Hash, Hasher};
use std::panic::Location;

use super::Args;
use super::elemental::DynOp;
use super::layouts::{LayoutId, SCALAR, WordHasher};
use super::node::{INLINE_ARGS, NodeId, Origin, line};
use super::recorder::Recorder;
use crate::scalar::Real;
use crate::tensor::{Layout, Shape};

/// The layouts of an operation's operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) layouts: [LayoutId; INLINE_ARGS],
    pub(super) count: usize,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// The result looks at the operand's memory, so far from its first element.
    View { layout: LayoutId, moved: isize },
    /// The result is computed into memory of its own.
    Compute { layout: LayoutId },
}

/// Plans of ops without parameters, found by op and signature, for programs that
/// do not repeat themselves. Each has one place in the table, where a newer one
/// replaces it.
#[derive(Default)]
pub(super) struct Plans(Vec<Option<(TypeId, Signature, Plan)>>);

impl Plans {
    const PLACES: usize = 256;

    fn place(op: TypeId, signature: &Signature) -> usize {
        let mut hasher = WordHasher::default();
        op.hash(&mut hasher);
        let mix = |hash: u64, layout: LayoutId| {
            (hash.rotate_left(5) ^ u64::from(layout.number())).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        };
        let hash = signature.layouts.into_iter().fold(hasher.finish(), mix);
        // The top bits depend on all of the key.
        (hash >> (u64::BITS - Self::PLACES.ilog2())) as usize
    }

    pub(super) fn get(&self, op: TypeId, signature: &Signature) -> Option<Plan> {
        match self.0.get(Self::place(op, signature)) {
            Some(Some((own, of, plan))) if *own == op && of == signature => Some(*plan),
            _ => None,
        }
    }

    pub(super) fn insert(&mut self, op: TypeId, signature: Signature, plan: Plan) {
        self.0.resize(Self::PLACES, None);
        self.0[Self::place(op, &signature)] = Some((op, signature, plan));
    }
}

impl<T: Real> Recorder<T> {
    /// What the op makes of its operands' layouts.
    #[track_caller]
    pub(super) fn plan(&mut self, origin: Origin<T>, op: TypeId, args: &[NodeId]) -> Plan {
        if matches!(origin, Origin::Stored(_)) || args.len() > INLINE_ARGS {
            return self.make_plan(origin, args);
        }
        let mut signature = Signature { layouts: [SCALAR; INLINE_ARGS], count: args.len() };
        for (layout, arg) in signature.layouts.iter_mut().zip(args) {
            *layout = self.node(*arg).layout;
        }
        // Not by a closure, which would have a line of its own.
        if let Some(plan) = self.plans.get(op, &signature) {
            return plan;
        }
        let plan = self.make_plan(origin, args);
        self.plans.insert(op, signature, plan);
        plan
    }

    /// Applies the shape rule.
    #[track_caller]
    fn make_plan(&mut self, origin: Origin<T>, args: &[NodeId]) -> Plan {
        let op = self.ops.get(origin).expect("a recorded op is no leaf");
        let shape = match self.infer(op, args) {
            Ok(shape) => shape,
            Err(reason) => self.reject(op.name(), args, &reason),
        };
        if let [arg] = args
            && let Some((layout, moved)) = op.view(self.layout(*arg))
        {
            return Plan::View { layout: self.layouts.intern(&layout), moved };
        }
        Plan::Compute { layout: self.layouts.intern(&Layout::contiguous(shape)) }
    }

    fn infer(&self, op: &dyn DynOp<T>, args: &[NodeId]) -> Result<Shape, String> {
        let shapes: Args<&Shape> = args.iter().map(|&arg| self.shape(arg)).collect();
        let shape = op.shape(&shapes)?;
        shape.check_elements()?;
        Ok(shape)
    }

    /// Stops with a message that shows the operands and where they came from.
    #[cold]
    #[track_caller]
    fn reject(&self, name: &str, args: &[NodeId], reason: &str) -> ! {
        let location = self.on_behalf.unwrap_or(Location::caller());
        let mut message = format!("{name}: {reason}\n  at {}{}", line(location), self.places.now());
        for (i, &arg) in args.iter().enumerate() {
            message += &format!("\n  operand {}: {}", i + 1, self.describe(arg));
        }
        panic!("{message}");
    }
}
