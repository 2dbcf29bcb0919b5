//! The workloads. Each states what a unit of work is and a checksum, so that a
//! wrong result cannot be fast.

mod chain;
mod cifar_net;
mod netbp;

use crate::measure::Timing;

/// One way of running one workload.
#[derive(Clone, Copy)]
pub struct Workload {
    /// The name.
    pub name: &'static str,
    /// How it is run: `eager` records anew at every step.
    pub variant: &'static str,
    /// What one unit of time stands for.
    pub unit: &'static str,
    /// Runs it with so many samples; gives the timing and the checksum.
    pub run: fn(usize) -> (Timing, f64),
}

/// All workloads.
pub const WORKLOADS: &[Workload] = &[netbp::EAGER, chain::EAGER, cifar_net::EAGER];
