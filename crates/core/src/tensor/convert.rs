//! Tensors from plain Rust values.

use super::Tensor;
use crate::scalar::Real;

impl<T: Real> From<T> for Tensor<T> {
    fn from(value: T) -> Self {
        Tensor::scalar(value)
    }
}

impl<T: Real> From<&Tensor<T>> for Tensor<T> {
    /// A cheap clone, which shares the elements.
    fn from(tensor: &Tensor<T>) -> Self {
        tensor.clone()
    }
}

impl<T: Real> From<Vec<T>> for Tensor<T> {
    fn from(elements: Vec<T>) -> Self {
        Tensor::new([elements.len()], elements)
    }
}

impl<T: Real> From<&[T]> for Tensor<T> {
    fn from(elements: &[T]) -> Self {
        elements.to_vec().into()
    }
}

impl<T: Real, const N: usize> From<[T; N]> for Tensor<T> {
    fn from(elements: [T; N]) -> Self {
        Tensor::new([N], elements.to_vec())
    }
}

impl<T: Real, const N: usize, const M: usize> From<[[T; M]; N]> for Tensor<T> {
    fn from(rows: [[T; M]; N]) -> Self {
        Tensor::new([N, M], rows.concat())
    }
}

impl<T: Real, const N: usize, const M: usize, const K: usize> From<[[[T; K]; M]; N]> for Tensor<T> {
    fn from(blocks: [[[T; K]; M]; N]) -> Self {
        let elements = blocks.into_iter().flatten().flatten().collect();
        Tensor::new([N, M, K], elements)
    }
}
