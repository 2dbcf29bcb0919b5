//! Mutation of kernels: whatever is damaged in a loop, the definitions notice it.
//!
//! ```sh
//! cargo test -p wengert-core --features tiny-kernels --test kernel_damage
//! ```
//!
//! One process, one test: a fault is switched on for all threads.

#[path = "suite/reference/cases.rs"]
mod cases;
#[path = "suite/reference/enlarged.rs"]
mod enlarged;
#[path = "suite/reference/operands.rs"]
mod operands;
#[path = "suite/reference/sizes.rs"]
mod sizes;
#[path = "suite/reference/trial.rs"]
mod trial;

use wengert_core::{Damage, damage};

use trial::Trials;

/// The first difference that a fault makes, and after how many comparisons it was found.
fn noticed(fault: Option<Damage>) -> (usize, Option<String>) {
    damage(fault);
    let trials = enlarged::all::<f64>(Trials { is_done_with_one: true, ..Trials::default() });
    let trials = cases::all::<f64>(trials);
    damage(None);
    (trials.comparisons, trials.faults.into_iter().next())
}

#[test]
fn every_damage_of_a_kernel_is_noticed() {
    let (count, fault) = noticed(None);
    assert_eq!(fault, None, "kernels without damage are right");
    println!("no damage: {count} comparisons");
    let mut survivors = Vec::new();
    for &fault in Damage::ALL {
        let (count, difference) = noticed(Some(fault));
        match difference {
            Some(difference) => println!("{fault:?}: comparison {count}: {difference:.160}"),
            None => survivors.push(fault),
        }
    }
    assert!(survivors.is_empty(), "nobody notices {survivors:?}");
}
