//! Weights as files: what a [state dict](crate::Module::state_dict) holds, in the formats
//! that PyTorch and NumPy read.
//!
//! Names and layouts are those of the model, and where a layer has a twin in PyTorch they are
//! those of the twin, so that a state dict goes from one to the other as it is.
//!
//! ```
//! # let path = std::env::temp_dir().join("wengert-doc-weights.safetensors");
//! use wengert_nn::random::seeded;
//! use wengert_nn::{Linear, Module, weights};
//!
//! let mut rng = seeded(1);
//! let trained = Linear::<f32>::new(2, 3, &mut rng);
//! weights::save(&path, &trained.state_dict())?;
//!
//! let mut fresh = Linear::<f32>::new(2, 3, &mut rng);
//! fresh.load_state_dict(&weights::load(&path)?)?; // all or nothing
//! assert_eq!(fresh.parameter_vector(), trained.parameter_vector());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A file is written to a temporary one, which then takes its name: it is there as a whole
//! or not at all.

mod array;
mod npy;
mod tensors;
mod zip;

use std::path::Path;

use indexmap::IndexMap;
use wengert_core::{Real, Tensor};

pub(crate) use array::Array;
pub(crate) use tensors::{read_safetensors, safetensors_bytes, write_safetensors};

use crate::file::{Source, replace};
use crate::{FileError, Module, Path as Place, StateError};

/// Writes tensors and their names to a file: as npz if its name ends so, else as
/// safetensors.
///
/// # Errors
/// If the file cannot be written, or a tensor has a name that the format keeps for itself.
pub fn save<T: Real>(
    path: impl AsRef<Path>,
    state: &IndexMap<String, Tensor<T>>,
) -> Result<(), FileError> {
    let path = path.as_ref();
    let arrays = state.iter().map(|(name, tensor)| (name.clone(), Array::of(tensor)));
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz")) {
        let files = arrays.map(|(name, array)| (format!("{name}.npy"), npy::encode(&array)));
        zip::write(path, files)
    } else {
        // What programs of PyTorch's world look for.
        write_safetensors(path, arrays.collect(), ("format", "pt"))
    }
}

/// The tensors of a file and their names, in the order of the file; whether it is npz or
/// safetensors, its first bytes say. Numbers of other kinds are converted: whole ones, truth
/// values, and floats of 16 bits as well. Arrays of text in npz are left out.
///
/// ```
/// # let path = std::env::temp_dir().join("wengert-doc-weights.npz");
/// use indexmap::IndexMap;
/// use wengert_core::Tensor;
/// use wengert_nn::weights;
///
/// let state = IndexMap::from([("0.bias".to_owned(), Tensor::from([0.5_f32, 0.25]))]);
/// weights::save(&path, &state)?; // numpy.load(path)["0.bias"]
/// let state = weights::load::<f64>(&path)?;
/// assert_eq!(state["0.bias"], Tensor::from([0.5, 0.25]));
/// # Ok::<(), wengert_nn::FileError>(())
/// ```
///
/// # Errors
/// If there is no such file, it is cut short or of another kind, or holds numbers that
/// are not real.
pub fn load<T: Real>(path: impl AsRef<Path>) -> Result<IndexMap<String, Tensor<T>>, FileError> {
    let source = Source::open(path.as_ref())?;
    let arrays = if source.bytes().starts_with(b"PK") {
        if source.foreign_kind().is_some() {
            return Err(source.foreign("an archive of NumPy or a file of safetensors", "another"));
        }
        let named = |(name, file): (String, Source)| {
            let name = name.strip_suffix(".npy").map_or(name.clone(), str::to_owned);
            Ok(npy::decode(file)?.map(|array| (name, array)))
        };
        let arrays = zip::read(&source)?.into_iter().map(named);
        arrays.filter_map(Result::transpose).collect::<Result<_, FileError>>()?
    } else {
        read_safetensors(&source)?.0
    };
    Ok(arrays.into_iter().map(|(name, array)| (name, array.tensor())).collect())
}

/// Writes one tensor as a file of NumPy (.npy).
///
/// ```
/// # let path = std::env::temp_dir().join("wengert-doc-weights.npy");
/// use wengert_core::Tensor;
/// use wengert_nn::weights;
///
/// let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// weights::write_npy(&path, &x)?; // numpy.load(path)
/// assert_eq!(weights::read_npy::<f64>(&path)?, x);
/// # Ok::<(), wengert_nn::FileError>(())
/// ```
///
/// # Errors
/// If the file cannot be written.
pub fn write_npy<T: Real>(path: impl AsRef<Path>, tensor: &Tensor<T>) -> Result<(), FileError> {
    replace(path.as_ref(), &npy::encode(&Array::of(tensor)))
}

/// The tensor in a file of NumPy (.npy). Numbers of other kinds are converted as in [`load`].
///
/// # Errors
/// If there is no such file, it is cut short or of another kind, or holds no real numbers.
pub fn read_npy<T: Real>(path: impl AsRef<Path>) -> Result<Tensor<T>, FileError> {
    let path = path.as_ref();
    let array = npy::decode(Source::open(path)?)?;
    let array = array.ok_or_else(|| FileError::content(path, 0, "an array of numbers", "text"))?;
    Ok(array.tensor())
}

/// Takes over the values of those parameters of a model that a state has in their shape,
/// and leaves the others as they are: a part of a network that was trained for something
/// else, say. Gives what did not fit, if anything.
/// [`Module::load_state_dict`] wants all to fit.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::{Param, weights};
///
/// let mut net = (Param::new([1.0, 2.0]), Param::new(0.0));
/// let state = [("0".into(), Tensor::zeros([2])), ("head".into(), Tensor::zeros([]))];
/// let report = weights::load_matching(&mut net, &state.into()).unwrap();
/// assert_eq!(net.0.elements(), [0.0, 0.0]);
/// assert_eq!((report.missing, report.unexpected), (vec!["1".into()], vec!["head".into()]));
/// ```
pub fn load_matching<T: Real, M: Module<T> + ?Sized>(
    net: &mut M,
    state: &IndexMap<String, Tensor<T>>,
) -> Option<StateError> {
    let report = StateError::check(&net.named_state(), state).err();
    net.visit_mut(&Place::root(), &mut |path, param| {
        if let Some(value) = state.get(&path.to_string())
            && value.shape() == param.shape()
        {
            param.set(value);
        }
    });
    report
}
