//! The part of a tape that a value depends on, recorded again on a tape of its own.
//!
//! Sweeps record. On the copy they may, and the copy has the same nodes: ops, values to the last bit, and
//! what derivatives go through.

use crate::scalar::Real;
use crate::tape::{NodeId, Tape, Var};

/// The nodes of the copy by those of the tape: none for what `y` does not depend on.
pub(super) fn replay<'c, T: Real>(y: Var<'_, T>, copy: &'c Tape<T>) -> Vec<Option<Var<'c, T>>> {
    let tape = y.tape();
    let needed = tape.needed_for(&[y]);
    let mut copies: Vec<Option<Var<'c, T>>> = vec![None; needed.len()];
    for index in (0..needed.len()).filter(|&index| needed[index]) {
        let id = NodeId::new(index);
        let is_active = tape.is_active(id);
        copies[index] = Some(match tape.call(id) {
            None if is_active => copy.variable(tape.value_of(id)),
            None => copy.constant(tape.value_of(id)),
            Some((op, args)) => {
                let args: Vec<Var<'c, T>> = args
                    .iter()
                    .map(|arg| copies[arg.id().index()].expect("operands stand before it"))
                    .collect();
                let _mode = copy.mode(is_active);
                copy.record_again(&op, &args)
            }
        });
    }
    copies
}

/// Whether a node depends on a variable and passes no derivative on.
pub(super) fn cut<T: Real>(y: Var<'_, T>) -> Vec<bool> {
    let tape = y.tape();
    let count = y.id().index() + 1;
    let mut varied = vec![false; count];
    let mut cut = vec![false; count];
    for index in 0..count {
        let id = NodeId::new(index);
        let args = tape.call(id).map(|(_, args)| args).unwrap_or_default();
        varied[index] = tape.is_active(id) || args.iter().any(|arg| varied[arg.id().index()]);
        cut[index] = varied[index] && !tape.is_active(id);
    }
    cut
}
