//! The order in which units run.
//!
//! Each unit runs after those that it reads, as close to the recording's order as that allows. A loop that
//! follows a product goes where the product was recorded, so that the product's factors are not kept for
//! long: the update of a weight runs as soon as its gradient can be computed. What it needs goes with it.
//!
//! A state is updated where it lies if all that read it have run, so such an update waits for these.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use super::fuse::Unit;
use super::graph::{Graph, Operand, ValueId};
use crate::scalar::Real;

/// Which units run before which.
struct Order {
    /// The units that have to wait for each.
    after: Vec<Vec<usize>>,
    /// For how many units each has to wait.
    waiting: Vec<usize>,
}

/// The units in the order in which they run. Of each pair in `updates`, the input takes the value of the
/// second after a run.
pub(super) fn ordered<T: Real>(
    graph: &Graph<T>,
    operands: &[Operand],
    units: Vec<Unit>,
    updates: &[(ValueId, ValueId)],
) -> Vec<Unit> {
    let mut unit_of: Vec<Option<usize>> = vec![None; graph.values.len()];
    for (index, unit) in units.iter().enumerate() {
        unit.values().for_each(|id| unit_of[id.index()] = Some(index));
    }
    // The units that read each value's memory.
    let mut read_by: Vec<Vec<usize>> = vec![Vec::new(); graph.values.len()];
    for (index, unit) in units.iter().enumerate() {
        for id in unit.values() {
            let (_, args) = graph.op(id).expect("units are computed");
            args.iter().for_each(|arg| read_by[operands[arg.index()].root.index()].push(index));
        }
    }
    let mut order = Order { after: vec![Vec::new(); units.len()], waiting: vec![0; units.len()] };
    for (source, readers) in unit_of.iter().zip(&read_by) {
        let Some(source) = *source else { continue };
        readers
            .iter()
            .filter(|&&reader| reader != source)
            .for_each(|&reader| order.add(source, reader));
    }
    for &(input, next) in updates {
        let Some(update) = unit_of[operands[next.index()].root.index()] else { continue };
        // What waits for the update cannot run before it.
        let behind = order.behind(update);
        let readers = read_by[input.index()].iter().filter(|reader| !behind.contains(reader));
        readers.for_each(|&reader| order.add(reader, update));
    }
    let keys = order.keys(&units);
    let mut units: Vec<Option<Unit>> = units.into_iter().map(Some).collect();
    order.walk(|unit| keys[unit], |unit| units[unit].take().expect("each unit runs once"))
}

impl Order {
    fn add(&mut self, before: usize, after: usize) {
        self.after[before].push(after);
        self.waiting[after] += 1;
    }

    /// The units that have to wait for one, and itself.
    fn behind(&self, unit: usize) -> HashSet<usize> {
        let mut found = HashSet::new();
        let mut next = vec![unit];
        while let Some(unit) = next.pop() {
            if found.insert(unit) {
                next.extend(&self.after[unit]);
            }
        }
        found
    }

    /// By which of the units that could run one is chosen: the first value that it computes, or the
    /// first product whose loop waits for it.
    fn keys(&self, units: &[Unit]) -> Vec<ValueId> {
        let mut keys: Vec<ValueId> =
            units.iter().map(|unit| unit.values().min().expect("a unit has members")).collect();
        if units.iter().all(|unit| unit.product.is_none()) {
            return keys;
        }
        let mut urgent: Vec<Option<ValueId>> = units.iter().map(|unit| unit.product).collect();
        for unit in self.walk(|unit| unit, |unit| unit).into_iter().rev() {
            let waiting = self.after[unit].iter().filter_map(|&after| urgent[after]);
            urgent[unit] = waiting.chain(urgent[unit]).min();
            keys[unit] = urgent[unit].map_or(keys[unit], |urgent| urgent.min(keys[unit]));
        }
        keys
    }

    /// Visits each unit after those that it waits for. Of units that wait no longer, the one with the
    /// least key comes first.
    fn walk<K: Ord, V>(
        &self,
        key: impl Fn(usize) -> K,
        mut visit: impl FnMut(usize) -> V,
    ) -> Vec<V> {
        let mut waiting = self.waiting.clone();
        let entry = |unit: usize| Reverse((key(unit), unit));
        let mut ready: BinaryHeap<_> =
            (0..waiting.len()).filter(|&unit| waiting[unit] == 0).map(entry).collect();
        let mut visited = Vec::with_capacity(waiting.len());
        while let Some(Reverse((_, unit))) = ready.pop() {
            visited.push(visit(unit));
            for &after in &self.after[unit] {
                waiting[after] -= 1;
                if waiting[after] == 0 {
                    ready.push(entry(after));
                }
            }
        }
        visited
    }
}
