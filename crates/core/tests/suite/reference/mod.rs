//! The value of every op, held against definitions that share nothing with the kernels.
//!
//! Everything else that is tested compares this crate with itself: a compiled program with the
//! tape, one mode with another, a rule with differences of the same kernel. Here a plain loop in
//! double precision says what is right (`crates/reference`).
//!
//! Operands are as large as the constants of the kernels want it: [`sizes`] asks for them, so that
//! a new constant brings its own sizes.

mod cases;
mod enlarged;
mod operands;
mod sizes;
pub mod trial;

use std::rc::Rc;

use wengert_core::op::registry::ops;
use wengert_core::op::{Domain, DynOp};
use wengert_core::{Real, Shape};
use wengert_reference::Array;

use operands::{Layout, laid_out};
use trial::{Trials, operands};

/// Fails if trials have found a fault.
fn assert_none(what: &str, trials: &Trials) {
    let Trials { comparisons, ref faults, .. } = *trials;
    println!("{what}: {comparisons} comparisons");
    assert!(comparisons > 0);
    let shown = faults.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} faults of {comparisons} comparisons\n{shown}", faults.len());
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

/// Tests of both precisions, which run side by side.
macro_rules! in_both_precisions {
    ($($(#[$doc:meta])* $single:ident, $double:ident: $what:literal, $trials:ident;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $single() {
            assert_none($what, &$trials::<f32>());
        }

        $(#[$doc])*
        #[test]
        fn $double() {
            assert_none($what, &$trials::<f64>());
        }
    )*};
}

in_both_precisions! {
    /// The samples of the registry. An op without a definition is a fault.
    every_sample_in_single_precision, every_sample_in_double_precision: "samples", samples;
    /// Every op, at sizes around every constant, along each axis of its samples.
    every_op_at_every_size_in_single_precision, every_op_at_every_size_in_double_precision:
        "enlarged samples", ops_at_sizes;
    /// Ops whose parameters depend on the shapes of their operands, and those with kernels that
    /// several extents decide on together.
    every_kernel_at_every_size_in_single_precision, every_kernel_at_every_size_in_double_precision:
        "cases", kernels_at_sizes;
}

fn ops_at_sizes<T: Real>() -> Trials {
    enlarged::all::<T>(Trials::default())
}

fn kernels_at_sizes<T: Real>() -> Trials {
    cases::all::<T>(Trials::default())
}
