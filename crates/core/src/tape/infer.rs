//! What the shape rule of an op makes of its operands, and how it says that they do not fit.

use std::any::TypeId;
use std::panic::Location;

use super::Args;
use super::elemental::DynOp;
use super::layouts::SCALAR;
use super::node::{INLINE_ARGS, NodeId, Origin, line};
use super::plan::{Plan, Signature};
use super::recorder::Recorder;
use crate::scalar::Real;
use crate::tensor::{Layout, Shape};

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
