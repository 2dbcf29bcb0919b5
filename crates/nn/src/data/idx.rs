//! The IDX format of MNIST and its relatives: a kind of number, extents, and the numbers,
//! all of them with the highest byte first.

use std::path::Path;

use wengert_core::{Real, Shape, Tensor};

use crate::FileError;
use crate::file::Source;

/// How a number is stored.
struct Kind {
    bytes: usize,
    read: fn(&[u8]) -> f64,
}

macro_rules! big_endian {
    ($t:ty) => {
        Kind {
            bytes: size_of::<$t>(),
            read: |bytes| {
                f64::from(<$t>::from_be_bytes(bytes.try_into().expect("as many as it has")))
            },
        }
    };
}

/// The numbers of an IDX file, as they stand there, in the shape that it states. The
/// file may be compressed by gzip.
///
/// ```no_run
/// use wengert_core::Tensor;
/// use wengert_nn::data::{read_idx, read_idx_labels};
///
/// let images: Tensor<f32> = read_idx("train-images-idx3-ubyte.gz")?; // [60000, 28, 28]
/// let labels = read_idx_labels("train-labels-idx1-ubyte.gz", 10)?;
/// let images = images.map(|x| x / 255.0);
/// # Ok::<(), wengert_nn::FileError>(())
/// ```
///
/// # Errors
/// If there is no such file, it is no IDX file, or it is shorter or longer than its
/// extents say.
pub fn read_idx<T: Real>(path: impl AsRef<Path>) -> Result<Tensor<T>, FileError> {
    let (mut source, kind, shape) = open(path.as_ref())?;
    let bytes = shape.checked_elements().and_then(|elements| elements.checked_mul(kind.bytes));
    let Some(bytes) = bytes else {
        return Err(source.error("extents of a file", format!("the extents {shape:?}")));
    };
    let elements = source.take(bytes, format_args!("numbers of shape {shape:?}"))?;
    let elements = elements.chunks_exact(kind.bytes).map(|x| T::from_f64((kind.read)(x))).collect();
    source.end()?;
    Ok(Tensor::new(shape, elements))
}

/// The labels of an IDX file: whole numbers below `classes`, along one axis.
///
/// # Errors
/// As [`read_idx`]; if the numbers are no bytes along one axis, or a label is not below
/// `classes`.
pub fn read_idx_labels(path: impl AsRef<Path>, classes: usize) -> Result<Vec<usize>, FileError> {
    let (mut source, kind, shape) = open(path.as_ref())?;
    let &[count] = &shape[..] else {
        return Err(source.error_at(3, "labels along 1 axis", format!("{} axes", shape.len())));
    };
    if kind.bytes != 1 {
        let found = format!("numbers of {} bytes", kind.bytes);
        return Err(source.error_at(2, "labels of 1 byte each", found));
    }
    let start = source.offset();
    let labels: Vec<usize> =
        source.take(count, "labels")?.iter().map(|&label| usize::from(label)).collect();
    source.end()?;
    match labels.iter().position(|&label| label >= classes) {
        None => Ok(labels),
        Some(i) => {
            let expected = format!("a label below {classes} for sample {i}");
            Err(source.error_at(start + i, expected, labels[i]))
        }
    }
}

/// Reads the head of a file.
fn open(path: &Path) -> Result<(Source, Kind, Shape), FileError> {
    let mut source = Source::open(path)?;
    let [zero, null, kind, rank] = source.array("an IDX file's first number")?;
    if (zero, null) != (0, 0) {
        let found = format!("{zero:#04x} {null:#04x}");
        return Err(source.foreign("the two zeros that an IDX file begins with", found));
    }
    let kind = match kind {
        0x08 => big_endian!(u8),
        0x09 => big_endian!(i8),
        0x0b => big_endian!(i16),
        0x0c => big_endian!(i32),
        0x0d => big_endian!(f32),
        0x0e => big_endian!(f64),
        other => {
            let expected = "a kind of numbers, one of 0x08, 0x09, 0x0b to 0x0e";
            return Err(source.error_at(2, expected, format!("{other:#04x}")));
        }
    };
    let extent =
        |axis| Ok(u32::from_be_bytes(source.array(format_args!("extent {axis}"))?) as usize);
    let shape = (0..rank).map(extent).collect::<Result<_, FileError>>()?;
    Ok((source, kind, shape))
}
