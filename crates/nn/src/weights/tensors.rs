//! The format safetensors: names, kinds and shapes as JSON, and then the numbers.

use std::collections::HashMap;
use std::path::Path;

use indexmap::IndexMap;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::Array;
use super::array::Kind;
use crate::FileError;
use crate::file::{Source, replace};

/// The name under which a file has its notes.
const METADATA: &str = "__metadata__";

/// What a file holds: arrays by name, in the order of their bytes, and notes.
pub(crate) type Content = (IndexMap<String, Array>, HashMap<String, String>);

/// Writes arrays, and one note. (The library writes several in no fixed order, and the
/// bytes of a file should follow from what it says.)
pub(crate) fn write_safetensors(
    path: &Path,
    arrays: Vec<(String, Array)>,
    note: (&str, &str),
) -> Result<(), FileError> {
    let refused = |(expected, found): Refusal| FileError::content(path, 0, expected, found);
    replace(path, &safetensors_bytes(arrays, note).map_err(refused)?)
}

/// What was expected of arrays, and what was found.
type Refusal = (String, String);

/// The bytes of such a file.
pub(crate) fn safetensors_bytes(
    arrays: Vec<(String, Array)>,
    (key, note): (&str, &str),
) -> Result<Vec<u8>, Refusal> {
    // The format keeps its notes under this name, and a tensor would be lost.
    if arrays.iter().any(|(name, _)| name == METADATA) {
        let expected = format!("tensors of other names than `{METADATA}`, which is the format's");
        return Err((expected, "one of that name".to_owned()));
    }
    let views = arrays.iter().map(|(name, array)| {
        let view = TensorView::new(dtype(array.kind), array.shape.clone(), &array.bytes);
        (name, view.expect("an array has as many bytes as its shape says"))
    });
    let notes = HashMap::from([(key.to_owned(), note.to_owned())]);
    safetensors::serialize(views, Some(notes))
        .map_err(|error| ("tensors that can be written".to_owned(), error.to_string()))
}

/// Reads arrays and notes.
pub(crate) fn read_safetensors(source: &Source) -> Result<Content, FileError> {
    let bytes = source.bytes();
    let refused = |error| source.foreign("a file in the format safetensors", error);
    let tensors = SafeTensors::deserialize(bytes).map_err(refused)?;
    let (_, notes) = SafeTensors::read_metadata(bytes).map_err(refused)?;
    let array = |name: String| {
        let view = tensors.tensor(&name).map_err(refused)?;
        let Some(kind) = kind(view.dtype()) else {
            let offset = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
            let expected = format!("numbers of a real type in `{name}`");
            return Err(source.error_at(offset, expected, view.dtype()));
        };
        let shape = view.shape().to_vec();
        if kind.bytes_of(&shape).is_none() {
            let expected = format!("extents of a tensor in `{name}`");
            return Err(source.error_at(0, expected, format!("the extents {shape:?}")));
        }
        let array = Array { kind, shape, bytes: view.data().to_vec() };
        Ok((name, array))
    };
    // The order of the file, and not that of the library's hash.
    let named = notes.offset_keys().into_iter();
    let arrays = named.map(array).collect::<Result<_, _>>()?;
    Ok((arrays, notes.metadata().clone().unwrap_or_default()))
}

/// The kinds under their names there.
const KINDS: [(Kind, Dtype); 13] = [
    (Kind::F64, Dtype::F64),
    (Kind::F32, Dtype::F32),
    (Kind::F16, Dtype::F16),
    (Kind::BF16, Dtype::BF16),
    (Kind::I64, Dtype::I64),
    (Kind::I32, Dtype::I32),
    (Kind::I16, Dtype::I16),
    (Kind::I8, Dtype::I8),
    (Kind::U64, Dtype::U64),
    (Kind::U32, Dtype::U32),
    (Kind::U16, Dtype::U16),
    (Kind::U8, Dtype::U8),
    (Kind::Bool, Dtype::BOOL),
];

fn kind(dtype: Dtype) -> Option<Kind> {
    KINDS.iter().find(|(_, other)| *other == dtype).map(|&(kind, _)| kind)
}

fn dtype(kind: Kind) -> Dtype {
    KINDS.iter().find(|(other, _)| *other == kind).expect("all kinds have a name").1
}
