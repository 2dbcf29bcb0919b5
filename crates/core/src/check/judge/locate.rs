//! Which operation has the wrong rule.
//!
//! A tape can be replayed from any node: the values after it follow from the ops' evaluations, and
//! no derivative takes part. So the adjoint of *every* value can be compared with a difference
//! quotient, not only that of the inputs. Walking back from the output, the first adjoint that is wrong
//! was made by a rule of one of its readers, and those readers' own adjoints are right: that names the
//! op and the user's line.

use crate::check::evidence::problem::{Draw, inner, moved};
use crate::scalar::Real;
use crate::tape::{NodeId, Var};
use crate::tensor::Tensor;

/// Nodes up to which adjoints are looked at one by one.
const NODES: usize = 5000;

/// A recording with numbers of its own, which change without the tape.
struct Replay<'t, 'a, T: Real> {
    y: Var<'t, T>,
    w: &'a Tensor<T>,
    values: Vec<Tensor<T>>,
}

impl<T: Real> Replay<'_, '_, T> {
    /// `<w, y>` with another value in one node, which all nodes see or only some.
    fn contracted(&self, node: usize, value: Tensor<T>, sees: impl Fn(usize) -> bool) -> f64 {
        let tape = self.y.tape();
        let end = self.y.id().index();
        let mut changed: Vec<Option<Tensor<T>>> = vec![None; end + 1];
        changed[node] = Some(value);
        for index in node + 1..=end {
            let id = NodeId::new(index);
            let Some((op, args)) = tape.call(id) else { continue };
            let new = |arg: usize| changed[arg].as_ref().filter(|_| arg != node || sees(index));
            if args.iter().all(|arg| new(arg.id().index()).is_none()) {
                continue;
            }
            let views: Vec<_> = args
                .iter()
                .map(|arg| new(arg.id().index()).unwrap_or(&self.values[arg.id().index()]).view())
                .collect();
            let shape = self.values[index].shape();
            let mut out = vec![T::zero(); shape.elements()];
            op.get().eval(&views, shape, &mut out);
            changed[index] = Some(Tensor::new(shape, out));
        }
        changed[end].as_ref().unwrap_or(&self.values[end]).dot(self.w)
    }

    /// The slope along a direction in one node, and how far it can be trusted.
    fn slope(&self, node: usize, v: &Tensor<T>, sees: impl Fn(usize) -> bool) -> (f64, f64) {
        let epsilon = T::epsilon().as_f64();
        let quotient = |h: f64| {
            let at = |h: f64| self.contracted(node, moved(&self.values[node], h, v), &sees);
            (at(h) - at(-h)) / (2.0 * h)
        };
        let h = 4.0 * epsilon.cbrt();
        let (coarse, fine) = (quotient(h), quotient(h / 4.0));
        let size = self.values[self.y.id().index()].dot(self.w).abs();
        (fine, 2.0 * (coarse - fine).abs() + 100.0 * epsilon * size / h)
    }
}

/// What gives the first wrong adjoint of `<w, y>` on the way back, in words.
pub(in crate::check) fn culprit<T: Real>(
    y: Var<'_, T>,
    w: &Tensor<T>,
    seed: u64,
) -> Option<String> {
    culprit_node(y, w, seed).map(|(_, what)| what)
}

/// The same, with the number of its node.
pub(in crate::check) fn culprit_node<T: Real>(
    y: Var<'_, T>,
    w: &Tensor<T>,
    seed: u64,
) -> Option<(usize, String)> {
    let (tape, end) = (y.tape(), y.id().index());
    if end >= NODES {
        return None;
    }
    let mut draw = Draw::new(seed);
    let node = |index: usize| tape.var(NodeId::new(index));
    let active: Vec<usize> = (0..=end).filter(|&index| node(index).is_active()).collect();
    let vars: Vec<_> = active.iter().map(|&index| node(index)).collect();
    let adjoints = tape.without_gradients(|| y.vjp(tape.constant(w), &vars));
    let values = (0..=end).map(|index| tape.value_of(NodeId::new(index))).collect();
    let replay = Replay { y, w, values };
    let reads = |reader: usize, arg: usize| {
        let args = tape.call(NodeId::new(reader)).map(|(_, args)| args).unwrap_or_default();
        args.iter().any(|var| var.id().index() == arg)
    };
    let differs = |(claimed, size): (f64, f64), (right, doubt): (f64, f64)| {
        let room = doubt + 1e3 * T::epsilon().as_f64().powf(2.0 / 3.0) * (size + right.abs());
        // A NaN does not differ: what cannot be computed is not judged.
        (claimed - right).abs() > room
    };
    let wrong = active.iter().zip(&adjoints).rev().find_map(|(&index, adjoint)| {
        let v = draw.direction(&replay.values[index..=index]).pop()?;
        let claimed = inner(&[adjoint.value()], std::slice::from_ref(&v));
        differs(claimed, replay.slope(index, &v, |_| true)).then_some((index, v))
    });
    let (arg, v) = wrong?;
    let readers: Vec<usize> = (arg + 1..=end).filter(|&reader| reads(reader, arg)).collect();
    // Of several readers, the one that adds something else than what it should: what the
    // output owes to it, if it alone, and what it computes its value from, sees the change. An
    // op with a rule of the user's computes its value by nodes without derivatives.
    let is_cut = |index: usize| tape.is_cut(NodeId::new(index));
    let candidates: Vec<usize> =
        readers.into_iter().filter(|&reader| node(reader).is_active() || is_cut(reader)).collect();
    let own = candidates.iter().copied().find(|&reader| {
        let mut own = vec![false; end + 1];
        own[reader] = true;
        for index in (arg + 1..reader).rev() {
            own[index] = !node(index).is_active()
                && !is_cut(index)
                && (index + 1..=reader).any(|later| own[later] && reads(later, index));
        }
        let Some((op, args)) = tape.call(NodeId::new(reader)) else { return false };
        let call = crate::op::Call::new(&args, node(reader));
        let mut claimed = (0.0, 0.0);
        let position = active.iter().position(|&index| index == reader);
        for (place, _) in args.iter().enumerate().filter(|(_, var)| var.id().index() == arg) {
            let term = position.and_then(|position| {
                tape.without_gradients(|| op.get().vjp(&call, place, adjoints[position]))
            });
            if let Some(term) = term {
                let (sum, size) = inner(&[term.value()], std::slice::from_ref(&v));
                claimed = (claimed.0 + sum, claimed.1 + size);
            }
        }
        differs(claimed, replay.slope(arg, &v, |index| own[index]))
    });
    let reader = own.or_else(|| candidates.first().copied())?;
    let rule = match node(reader).is_active() {
        true => format!("for its operand {}", node(arg).describe()),
        false => "which passes no derivative on".to_owned(),
    };
    Some((reader, format!("{}, {rule}", node(reader).describe())))
}
