//! Tensors from and to the arrays of other crates. Those of `faer`, which takes longer to build than this
//! crate, where its feature is on.

#[cfg(feature = "faer")]
use faer::Mat;
use nalgebra::{DMatrix, DVector};
use ndarray::{Array2, ArrayD, ShapeBuilder};
use wengert_core::Tensor;

/// `10 i + j`, of `[2, 3]`, and of shapes without elements.
fn matrices() -> [Tensor<f64>; 3] {
    [
        Tensor::from([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]),
        Tensor::zeros([0, 3]),
        Tensor::zeros([2, 0]),
    ]
}

#[test]
fn ndarray() {
    for tensor in [&matrices()[..], &[Tensor::from(1.5), Tensor::zeros([2, 0, 3])]].concat() {
        let array = ArrayD::from(&tensor);
        assert_eq!(array.shape(), &tensor.shape()[..]);
        assert_eq!(Tensor::from(array), tensor);
    }
    let array = ArrayD::from(&matrices()[0]);
    assert_eq!(array[[1, 2]], 12.0);
    // Views of tensors, and arrays by columns.
    assert_eq!(ArrayD::from(&matrices()[0].transpose())[[2, 1]], 12.0);
    let columns = Array2::from_shape_vec((2, 3).f(), vec![0.0, 10.0, 1.0, 11.0, 2.0, 12.0]);
    assert_eq!(Tensor::from(columns.unwrap()), matrices()[0]);
}

#[test]
fn nalgebra() {
    for tensor in matrices() {
        let matrix = DMatrix::try_from(&tensor).unwrap();
        assert_eq!(Tensor::from(matrix), tensor);
    }
    assert_eq!(DMatrix::try_from(&matrices()[0]).unwrap()[(1, 2)], 12.0);
    let vector = DVector::from_vec(vec![1.0_f32, 2.0]);
    assert_eq!(DVector::try_from(&Tensor::from(vector.clone())).unwrap(), vector);
    let error = DVector::try_from(&matrices()[0]).unwrap_err().to_string();
    assert_eq!(error, "a vector has one axis, and the tensor is [2, 3]");
}

#[cfg(feature = "faer")]
#[test]
fn faer() {
    for tensor in matrices() {
        let matrix: Mat<f64> = (&tensor).try_into().unwrap();
        assert_eq!(Tensor::from(matrix), tensor);
    }
    let matrix: Mat<f64> = (&matrices()[0]).try_into().unwrap();
    assert_eq!((matrix[(1, 2)], matrix.nrows()), (12.0, 2));
    let error = Mat::try_from(&Tensor::from([1.0])).unwrap_err().to_string();
    assert_eq!(error, "a matrix has two axes, and the tensor is [1]");
}

#[test]
fn serde() {
    let written = serde_json::to_string(&matrices()[0]).unwrap();
    assert_eq!(written, r#"{"shape":[2,3],"elements":[0.0,1.0,2.0,10.0,11.0,12.0]}"#);
    assert_eq!(serde_json::from_str::<Tensor<f64>>(&written).unwrap(), matrices()[0]);
    for (text, said) in [
        (r#"{"shape":[2],"elements":[1.0]}"#, "a [2] has not 1 elements"),
        (r#"{"shape":[4294967296,4294967296],"elements":[]}"#, "has not 0 elements"),
    ] {
        let error = serde_json::from_str::<Tensor<f32>>(text).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
