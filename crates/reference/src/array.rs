//! Numbers with a shape, in row-major order, and the walk over their indices.

use wengert_core::{Real, Tensor};

/// Numbers with a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The extent of each axis.
    pub shape: Vec<usize>,
    /// The elements, the last axis fastest.
    pub elements: Vec<f64>,
}

impl Array {
    /// An array of a shape and as many elements.
    ///
    /// # Panics
    /// If the numbers of elements differ.
    pub fn new(shape: impl Into<Vec<usize>>, elements: Vec<f64>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.iter().product::<usize>(), elements.len(), "{shape:?}");
        Self { shape, elements }
    }

    /// An array of a function of the index.
    pub fn from_fn(shape: impl Into<Vec<usize>>, of: impl FnMut(&[usize]) -> f64) -> Self {
        let shape = shape.into();
        let mut of = of;
        let elements = indices(&shape).map(|index| of(&index)).collect();
        Self { shape, elements }
    }

    /// Where an element lies among the others.
    pub fn place(&self, index: &[usize]) -> usize {
        debug_assert_eq!(index.len(), self.shape.len());
        self.shape.iter().zip(index).fold(0, |place, (&extent, &i)| {
            debug_assert!(i < extent);
            place * extent + i
        })
    }

    /// The element at an index.
    pub fn at(&self, index: &[usize]) -> f64 {
        self.elements[self.place(index)]
    }

    /// The element that broadcasting puts at an index of a shape with as many axes or more.
    pub fn stretched_at(&self, index: &[usize]) -> f64 {
        let index = &index[index.len() - self.shape.len()..];
        let place = self
            .shape
            .iter()
            .zip(index)
            .fold(0, |place, (&extent, &i)| place * extent + if extent == 1 { 0 } else { i });
        self.elements[place]
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The magnitudes of the elements.
    #[must_use]
    pub fn abs(&self) -> Self {
        Self::new(&self.shape[..], self.elements.iter().map(|x| x.abs()).collect())
    }

    /// The matrices over the last two axes, one after another.
    pub fn matrices(&self) -> Vec<Array> {
        let [.., m, n] = self.shape[..] else { panic!("{:?} holds no matrices", self.shape) };
        let count = self.shape[..self.rank() - 2].iter().product();
        let matrix = |k: usize| self.elements[k * m * n..(k + 1) * m * n].to_vec();
        (0..count).map(|k| Array::new([m, n], matrix(k))).collect()
    }
}

impl<T: Real> From<&Tensor<T>> for Array {
    fn from(tensor: &Tensor<T>) -> Self {
        let elements = tensor.to_vec().into_iter().map(T::as_f64).collect();
        Array::new(&tensor.shape()[..], elements)
    }
}

/// All indices of a shape, the last axis fastest. A scalar has one, without numbers.
pub fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let shape = shape.to_vec();
    let mut next = (!shape.contains(&0)).then(|| vec![0; shape.len()]);
    std::iter::from_fn(move || {
        let index = next.take()?;
        let mut following = index.clone();
        for axis in (0..shape.len()).rev() {
            following[axis] += 1;
            if following[axis] < shape[axis] {
                next = Some(following);
                break;
            }
            following[axis] = 0;
        }
        Some(index)
    })
}

/// An index with the number along one axis replaced.
pub(crate) fn with(index: &[usize], axis: usize, number: usize) -> Vec<usize> {
    let mut index = index.to_vec();
    index[axis] = number;
    index
}
