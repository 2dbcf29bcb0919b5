//! Inner products, norms and magnitudes, in double precision.

use super::reduce::sum;
use crate::scalar::Real;
use crate::tensor::Tensor;

/// The power of 2 next to the largest magnitude, by which numbers are divided so that powers
/// of them neither overflow nor vanish; 1 of zeros. It costs no digits.
pub(super) fn unit(numbers: &[f64]) -> f64 {
    let largest = numbers.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if largest == 0.0 || largest.is_infinite() {
        return 1.0;
    }
    // The inverse of this is a number, too.
    largest.log2().floor().clamp(-1000.0, 1000.0).exp2()
}

impl<T: Real> Tensor<T> {
    /// The inner product `sum(x * y)`, added in double precision.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn dot(&self, other: &Self) -> f64 {
        self.expect_shape_of("dot", other);
        let products: Vec<f64> =
            self.iter().zip(other.iter()).map(|(x, y)| x.as_f64() * y.as_f64()).collect();
        sum(&products)
    }

    /// The Euclidean norm of all elements, in double precision.
    #[doc(alias = "vector_norm")]
    pub fn norm(&self) -> f64 {
        let square = self.dot(self);
        let largest = self.iter().map(|x| x.as_f64().abs()).fold(0.0, f64::max);
        if (1e-280..f64::INFINITY).contains(&square) || largest == 0.0 || largest.is_infinite() {
            return square.sqrt();
        }
        // Squares have overflowed or vanished.
        largest * self.iter().map(|x| (x.as_f64() / largest).powi(2)).sum::<f64>().sqrt()
    }
}
