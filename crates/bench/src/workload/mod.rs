//! The workloads. Each states what a unit of work is and a checksum, so that a
//! wrong result cannot be fast.

mod chain;
mod cifar_net;
mod elementwise;
mod gemm;
mod gpt6;
mod gradient;
mod hvp;
mod kernels;
mod lorenz;
mod lstm;
mod mlp;
mod netbp;
mod pinn;
mod recurrent;
mod resnet18;
mod rosenbrock;
mod training;
mod transformer;
mod unet;

use crate::measure::{Reps, Timing};

/// One way of running one workload.
#[derive(Clone, Copy)]
pub struct Workload {
    /// The name.
    pub name: &'static str,
    /// How it is run: `eager` records at every step, `frugal` too, on a tape that gives values up, and `compiled`
    /// replays.
    pub variant: &'static str,
    /// What one unit of time stands for.
    pub unit: &'static str,
    /// Runs it; gives the timing and the checksum.
    pub run: fn(Reps) -> (Timing, f64),
}

/// How much more a value with its gradient takes than the value alone, both
/// recorded at each run (G&W, section 3.4: at most about 5 for the reverse mode).
pub struct CostRatio {
    /// The workload's name.
    pub name: &'static str,
    /// Measures both.
    pub measure: fn(Reps) -> f64,
}

/// The cost ratios of the workloads that train a model.
pub const COST_RATIOS: &[CostRatio] = &[
    CostRatio { name: "mlp", measure: |reps| mlp::training().cost_ratio(reps) },
    CostRatio { name: "cifar_net", measure: |reps| cifar_net::training().cost_ratio(reps) },
    CostRatio { name: "transformer", measure: |reps| transformer::training().cost_ratio(reps) },
    CostRatio { name: "lstm", measure: |reps| lstm::training().cost_ratio(reps) },
    CostRatio { name: "mlp4096", measure: |reps| mlp::wide().cost_ratio(reps) },
    CostRatio { name: "resnet18", measure: |reps| resnet18::training().cost_ratio(reps) },
    CostRatio { name: "unet", measure: |reps| unet::training().cost_ratio(reps) },
    CostRatio { name: "gpt6", measure: |reps| gpt6::training().cost_ratio(reps) },
    CostRatio { name: "lstm512", measure: |reps| recurrent::lstm().cost_ratio(reps) },
    CostRatio { name: "gru512", measure: |reps| recurrent::gru().cost_ratio(reps) },
];

/// All workloads.
pub fn workloads() -> Vec<Workload> {
    let mut all = vec![netbp::EAGER, netbp::COMPILED, chain::EAGER, chain::COMPILED];
    all.extend(mlp::ALL);
    all.extend([hvp::EAGER, hvp::COMPILED]);
    all.extend(cifar_net::ALL.into_iter().chain(transformer::ALL).chain(lstm::ALL));
    all.extend(resnet18::ALL.into_iter().chain(unet::ALL).chain(gpt6::ALL));
    all.extend(recurrent::ALL.into_iter().chain(pinn::ALL));
    all.extend(elementwise::SHORT);
    all.extend(elementwise::LONG);
    all.extend([rosenbrock::EAGER, rosenbrock::COMPILED]);
    all.extend(lorenz::ALL);
    all.extend(kernels::ALL);
    all.extend(gemm::ALL);
    all
}
