//! The loops over elements.
//!
//! *Invariant*: kernels see slices and views, never tapes or derivatives. Reductions add in an
//! order that depends on the shape alone, so that results repeat to the last bit.

pub(crate) mod along;
pub(crate) mod attention;
pub(crate) mod block;
pub(crate) mod convolution;
pub(crate) mod each_channel;
pub(crate) mod each_row;
mod eigen;
#[allow(unsafe_code)]
pub(crate) mod gemm;
pub(crate) mod linalg;
pub(crate) mod map;
pub(crate) mod minors;
mod norm;
pub(crate) mod order;
pub(crate) mod pairwise;
pub(crate) mod pool;
pub(crate) mod reduce;
pub(crate) mod row_functions;
pub(crate) mod scan;
mod singular;
pub(crate) mod spectral;
pub mod threads;
pub(crate) mod window;

use crate::scalar::{allows_code, instruction_set};
use crate::tuned::Size;

/// The tuned sizes of all files of this room.
pub(crate) const SIZES_OF_FILES: &[&[Size]] = &[
    along::SIZES,
    attention::SIZES,
    block::SIZES,
    convolution::SIZES,
    convolution::correlate::SIZES,
    convolution::weights::SIZES,
    convolution::winograd::patches::SIZES,
    convolution::winograd::factors::SIZES,
    convolution::winograd::filters::SIZES,
    convolution::winograd::weights::SIZES,
    each_channel::SIZES,
    eigen::SIZES,
    map::SIZES,
    order::SIZES,
    pairwise::SIZES,
    pool::vectors::SIZES,
    gemm::SIZES,
    gemm::blocked::SIZES,
    gemm::epilogue::SIZES,
    gemm::pack::SIZES,
    gemm::tiny::SIZES,
    reduce::SIZES,
    scan::SIZES,
    threads::SIZES,
];

/// Reads the variables of the environment that kernels and programs go by, so that a wrong one is told before
/// anything is computed.
///
/// # Panics
/// If one of them has a value that means nothing.
#[track_caller]
pub(crate) fn check_environment() {
    threads::count();
    instruction_set();
    allows_code();
}
