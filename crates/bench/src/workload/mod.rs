//! The workloads. Each states what a unit of work is and a checksum, so that a
//! wrong result cannot be fast.

mod chain;
mod cifar_net;
mod elementwise;
mod gemm;
mod lstm;
mod mlp;
mod netbp;
mod rosenbrock;
mod training;
mod transformer;

use crate::measure::Timing;

/// One way of running one workload.
#[derive(Clone, Copy)]
pub struct Workload {
    /// The name.
    pub name: &'static str,
    /// How it is run: `eager` records anew at every step, `compiled` replays.
    pub variant: &'static str,
    /// What one unit of time stands for.
    pub unit: &'static str,
    /// Runs it with so many samples; gives the timing and the checksum.
    pub run: fn(usize) -> (Timing, f64),
}

/// All workloads.
pub fn workloads() -> Vec<Workload> {
    let mut all = vec![netbp::EAGER, netbp::COMPILED, chain::EAGER, chain::COMPILED];
    all.extend([mlp::EAGER, mlp::COMPILED, mlp::HVP_EAGER, mlp::HVP_COMPILED]);
    all.extend([cifar_net::EAGER, cifar_net::COMPILED]);
    all.extend([transformer::EAGER, transformer::COMPILED, lstm::EAGER, lstm::COMPILED]);
    all.extend(elementwise::SHORT);
    all.extend(elementwise::LONG);
    all.extend([rosenbrock::EAGER, rosenbrock::COMPILED]);
    all.extend(gemm::ALL);
    all
}
