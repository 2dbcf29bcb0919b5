//! Models that others have trained, made of the nn crate's layers, with their weights under
//! the names of those who published them.
//!
//! The examples run them, and the tests of the repository hold what they give against numbers that
//! other programs have computed.

pub mod bert;
pub mod silero;

use wengert::Tensor;

/// The largest distance between two tensors' elements.
///
/// # Panics
/// If they do not have the same number of elements.
#[track_caller]
pub fn distance(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    assert_eq!(a.len(), b.len(), "{} beside {}", a.shape(), b.shape());
    // Through `total_cmp`, so that NaN is not lost.
    a.iter().zip(b.iter()).map(|(a, b)| (a - b).abs()).max_by(f64::total_cmp).unwrap_or(0.0)
}
