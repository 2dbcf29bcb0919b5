//! Tensors from and to the arrays of other crates, each behind a feature of its name. Elements are
//! copied: the others lay them out as they like.

#[cfg(any(feature = "faer", feature = "nalgebra"))]
use super::{Shape, Tensor};
#[cfg(any(feature = "faer", feature = "nalgebra"))]
use crate::scalar::Real;

/// A tensor that is no matrix or no vector.
#[cfg(any(feature = "faer", feature = "nalgebra"))]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} has {axes}, and the tensor is {shape}")]
pub struct AxesError {
    what: &'static str,
    axes: &'static str,
    shape: Shape,
}

/// The extents of a matrix.
#[cfg(any(feature = "faer", feature = "nalgebra"))]
fn matrix<T: Real>(tensor: &Tensor<T>) -> Result<[usize; 2], AxesError> {
    match tensor.shape()[..] {
        [rows, columns] => Ok([rows, columns]),
        _ => Err(AxesError { what: "a matrix", axes: "two axes", shape: tensor.shape().clone() }),
    }
}

#[cfg(feature = "ndarray")]
mod with_ndarray {
    use ndarray::{Array, ArrayD, Dimension, IxDyn};

    use crate::scalar::Real;
    use crate::tensor::Tensor;

    impl<T: Real, D: Dimension> From<Array<T, D>> for Tensor<T> {
        fn from(array: Array<T, D>) -> Self {
            // In row-major order, whatever the layout.
            Tensor::new(array.shape(), array.iter().copied().collect())
        }
    }

    impl<T: Real> From<&Tensor<T>> for ArrayD<T> {
        fn from(tensor: &Tensor<T>) -> Self {
            let array = ArrayD::from_shape_vec(IxDyn(tensor.shape()), tensor.to_vec());
            array.expect("as many elements as the shape says")
        }
    }
}

#[cfg(feature = "nalgebra")]
mod with_nalgebra {
    use nalgebra::{DMatrix, DVector};

    use super::{AxesError, matrix};
    use crate::scalar::Real;
    use crate::tensor::Tensor;

    impl<T: Real> From<DMatrix<T>> for Tensor<T> {
        fn from(matrix: DMatrix<T>) -> Self {
            let extents = [matrix.nrows(), matrix.ncols()];
            // It stands there column by column.
            Tensor::new(extents, matrix.transpose().as_slice().to_vec())
        }
    }

    impl<T: Real> From<DVector<T>> for Tensor<T> {
        fn from(vector: DVector<T>) -> Self {
            Tensor::new([vector.len()], vector.as_slice().to_vec())
        }
    }

    impl<T: Real> TryFrom<&Tensor<T>> for DMatrix<T> {
        type Error = AxesError;

        fn try_from(tensor: &Tensor<T>) -> Result<Self, AxesError> {
            let [rows, columns] = matrix(tensor)?;
            Ok(DMatrix::from_row_slice(rows, columns, &tensor.to_vec()))
        }
    }

    impl<T: Real> TryFrom<&Tensor<T>> for DVector<T> {
        type Error = AxesError;

        fn try_from(tensor: &Tensor<T>) -> Result<Self, AxesError> {
            match tensor.shape().rank() {
                1 => Ok(DVector::from_vec(tensor.to_vec())),
                _ => {
                    let shape = tensor.shape().clone();
                    Err(AxesError { what: "a vector", axes: "one axis", shape })
                }
            }
        }
    }
}

#[cfg(feature = "faer")]
mod with_faer {
    use faer::{Mat, MatRef};

    use super::{AxesError, matrix};
    use crate::scalar::Real;
    use crate::tensor::Tensor;

    impl<T: Real> From<MatRef<'_, T>> for Tensor<T> {
        fn from(matrix: MatRef<'_, T>) -> Self {
            let columns = matrix.ncols();
            Tensor::from_fn([matrix.nrows(), columns], |i| matrix[(i / columns, i % columns)])
        }
    }

    impl<T: Real> From<Mat<T>> for Tensor<T> {
        fn from(matrix: Mat<T>) -> Self {
            matrix.as_ref().into()
        }
    }

    impl<T: Real> TryFrom<&Tensor<T>> for Mat<T> {
        type Error = AxesError;

        fn try_from(tensor: &Tensor<T>) -> Result<Self, AxesError> {
            let [rows, columns] = matrix(tensor)?;
            let elements = tensor.to_vec();
            Ok(Mat::from_fn(rows, columns, |i, j| elements[i * columns + j]))
        }
    }
}

#[cfg(feature = "serde")]
mod with_serde {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::scalar::Real;
    use crate::tensor::{Shape, Tensor};

    /// What is written: `{"shape": [2, 1], "elements": [1.0, 2.0]}`, in row-major order.
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "Tensor")]
    struct Written<T> {
        shape: Vec<usize>,
        elements: Vec<T>,
    }

    impl<T: Real + Serialize> Serialize for Tensor<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let (shape, elements) = (self.shape().to_vec(), self.to_vec());
            Written { shape, elements }.serialize(serializer)
        }
    }

    impl<'de, T: Real + Deserialize<'de>> Deserialize<'de> for Tensor<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let Written { shape, elements } = Written::deserialize(deserializer)?;
            let shape = Shape::from(&shape[..]);
            if shape.checked_elements() != Some(elements.len()) {
                let found = elements.len();
                return Err(D::Error::custom(format!("a {shape} has not {found} elements")));
            }
            Ok(Tensor::new(shape, elements))
        }
    }
}
