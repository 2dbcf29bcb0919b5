//! Right operands that several products share, packed once.
//!
//! A product reads the columns of its right operand side by side. One that lies the other
//! way, as the weights of most layers do, is packed again by each product that reads it:
//! a recurrent layer does that at every step of time. Here such an operand is packed
//! once in a run, in memory of its own.

use indexmap::IndexMap;

use super::graph::{Graph, Source, ValueId, operands};
use crate::scalar::Real;
use crate::tensor::Layout;

tuned! {
    /// The fewest products that share a packed operand: a copy is written once and read once more.
    const SHARED = 3, tiny 2;
}

/// How an operand is copied, so that it lies as products read it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    Straight,
    Transposed,
}

impl<T: Real> Graph<T> {
    /// Packs every right operand that at least [`SHARED`] products read across its rows.
    pub(super) fn pack_shared_operands(&mut self) {
        let operands = operands(self);
        let mut shared: IndexMap<(ValueId, Form), Vec<ValueId>> = IndexMap::new();
        for id in self.ids() {
            let Some((op, &[a, b])) = self.op(id) else { continue };
            let [own, other] = [a, b].map(|arg| &operands[arg.index()].layout);
            let Some([left, right]) = op.factors(own, other) else { continue };
            // Other products have ways that depend on how the operands lie, and so do their bits.
            if right.column_stride == 1 || !left.is_blocked(&right) {
                continue;
            }
            let form = match op.factors(own, &Layout::contiguous(other.shape().clone())) {
                Some([_, right]) if right.column_stride == 1 => Form::Straight,
                _ => Form::Transposed,
            };
            shared.entry((b, form)).or_default().push(id);
        }
        shared.retain(|_, products| products.len() >= SHARED);
        if !shared.is_empty() {
            self.insert(&shared);
        }
    }

    /// Puts each copy behind its factor, so that values stay in an order in which they can be
    /// computed, and has the products read it.
    fn insert(&mut self, shared: &IndexMap<(ValueId, Form), Vec<ValueId>>) {
        let ids = self.ids();
        let values = std::mem::take(&mut self.values);
        let mut now: Vec<ValueId> = Vec::with_capacity(values.len());
        let mut factors: Vec<Option<ValueId>> = vec![None; values.len()];
        for (id, mut value) in ids.zip(values) {
            if let Source::Op(_, args) = &mut value.source {
                args.iter_mut().for_each(|arg| *arg = now[arg.index()]);
                if let Some(factor) = factors[id.index()] {
                    args[1] = factor;
                }
            }
            let factor = self.push(value);
            now.push(factor);
            for form in [Form::Straight, Form::Transposed] {
                let Some(products) = shared.get(&(id, form)) else { continue };
                let packed = match form {
                    Form::Straight => self.copied(factor),
                    Form::Transposed => {
                        let transposed = self.transposed(factor);
                        let copied = self.copied(transposed);
                        self.transposed(copied)
                    }
                };
                products.iter().for_each(|product| factors[product.index()] = Some(packed));
            }
        }
        for id in self.inputs.iter_mut().chain(&mut self.outputs) {
            *id = now[id.index()];
        }
    }
}
