//! The binary format of CIFAR-10 and CIFAR-100: for each image its labels, a byte
//! each, and 32 x 32 bytes of red, green and blue.

use std::path::Path;

use wengert_core::{Real, Tensor};

use crate::FileError;
use crate::file::Source;

/// Bytes of an image.
const PIXELS: usize = 3 * 32 * 32;

/// The images of a file in the format of CIFAR-10, of shape `[N, 3, 32, 32]` with numbers
/// from 0 to 255, and their labels, below `classes`. The file may be compressed by gzip.
///
/// ```no_run
/// use wengert_core::Tensor;
/// use wengert_nn::data::read_cifar;
///
/// let (images, labels): (Tensor<f32>, _) = read_cifar("data_batch_1.bin", 10)?;
/// # Ok::<(), wengert_nn::FileError>(())
/// ```
///
/// # Errors
/// If there is no such file, it is no whole number of images, or a label is not below
/// `classes`.
pub fn read_cifar<T: Real>(
    path: impl AsRef<Path>,
    classes: usize,
) -> Result<(Tensor<T>, Vec<usize>), FileError> {
    read(path.as_ref(), [classes])
}

/// As [`read_cifar`], in the format of CIFAR-100, whose images have a coarse label, below
/// 20, and a fine one, below 100; these are the fine ones.
///
/// # Errors
/// As [`read_cifar`].
pub fn read_cifar100<T: Real>(
    path: impl AsRef<Path>,
) -> Result<(Tensor<T>, Vec<usize>), FileError> {
    read(path.as_ref(), [20, 100])
}

/// Reads images with labels below the given numbers, the last of which it gives.
fn read<T: Real, const LABELS: usize>(
    path: &Path,
    classes: [usize; LABELS],
) -> Result<(Tensor<T>, Vec<usize>), FileError> {
    let mut source = Source::open(path)?;
    let count = source.rest().len().div_ceil(LABELS + PIXELS);
    let mut labels = Vec::with_capacity(count);
    let mut elements = Vec::with_capacity(count * PIXELS);
    for image in 0..count {
        let start = source.offset();
        let own: [u8; LABELS] = source.array(format_args!("labels of image {image}"))?;
        for (i, (&label, &classes)) in own.iter().zip(&classes).enumerate() {
            if usize::from(label) >= classes {
                let expected = format!("a label below {classes} for image {image}");
                return Err(source.error_at(start + i, expected, label));
            }
        }
        labels.push(usize::from(own[LABELS - 1]));
        let pixels = source.take(PIXELS, format_args!("image {image}"))?;
        elements.extend(pixels.iter().map(|&x| T::from_f64(f64::from(x))));
    }
    Ok((Tensor::new([count, 3, 32, 32], elements), labels))
}
