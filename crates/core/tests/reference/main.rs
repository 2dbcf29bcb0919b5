//! The value of every op, held against definitions that share nothing with the kernels.
//!
//! Everything else that is tested compares this crate with itself: a compiled program with the
//! tape, one mode with another, a rule with differences of the same kernel. Here a plain loop in
//! double precision says what is right (`crates/reference`).
//!
//! Operands are as large as the constants of the kernels want it: [`sizes`] asks for them, so that
//! a new constant brings its own sizes. Apart from the suite, since it sets the number of threads.

mod cases;
mod enlarged;
mod operands;
mod sizes;
mod trial;

use std::rc::Rc;

use wengert_core::op::registry::ops;
use wengert_core::op::{Domain, DynOp};
use wengert_core::{Real, Shape};
use wengert_reference::Array;

use operands::{Layout, laid_out};
use trial::{Trials, operands};

/// Fails if trials in either precision have found a fault.
fn assert_none(what: &str, single: Trials, double: Trials) {
    let faults = [single.faults, double.faults].concat();
    let count = single.comparisons + double.comparisons;
    println!("{what}: {count} comparisons");
    assert!(count > 0);
    let shown = faults.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} faults of {count} comparisons\n{shown}", faults.len());
}

/// Compares an op with operands of its domains in every layout, each operand alone and all
/// together, and with operands that are repeated along an axis.
fn every_view<T: Real>(trials: &mut Trials, op: &Rc<dyn DynOp<T>>, args: &[(Shape, Domain)]) {
    let args = operands::<T>(args);
    let rank = args.iter().map(Array::rank).max().unwrap_or(0);
    let mut layouts = vec![Layout::Transposed, Layout::Strided];
    layouts.extend((0..rank).flat_map(|axis| [Layout::Backwards(axis), Layout::Part(axis)]));
    trials.all(op, &args, &layouts);
    let Some(expected) = trials.expected(op, &args) else { return };
    for (which, layout) in (0..args.len()).flat_map(|k| layouts.iter().map(move |l| (k, l))) {
        let own = |k: usize| if k == which { *layout } else { Layout::Plain };
        let how = format!("operand {which} {layout:?}");
        trials.compare(op, &args, &expected, |x, k| laid_out(x, own(k)), &how, false);
    }
    for axis in 0..rank {
        trials.repeated(op, &args, axis);
    }
}

fn samples<T: Real>() -> Trials {
    let mut trials = Trials::default();
    for entry in ops::<T>() {
        for sample in &entry.samples.cases {
            every_view(&mut trials, &sample.op, &sample.args);
        }
    }
    trials
}

/// The samples of the registry. An op without a definition is a fault.
#[test]
fn every_sample_has_the_value_of_its_definition() {
    assert_none("samples", samples::<f32>(), samples::<f64>());
}

/// Every op, at sizes around every constant, along each axis of its samples.
#[test]
fn every_op_at_every_size() {
    assert_none(
        "enlarged samples",
        enlarged::all::<f32>(Trials::default()),
        enlarged::all::<f64>(Trials::default()),
    );
}

/// Ops whose parameters depend on the shapes of their operands, and those with kernels that
/// several extents decide on together.
#[test]
fn every_kernel_at_every_size() {
    assert_none(
        "cases",
        cases::all::<f32>(Trials::default()),
        cases::all::<f64>(Trials::default()),
    );
}
