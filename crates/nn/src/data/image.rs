//! Images: PNG, PPM and PGM files, and folders of them.

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use png::{ColorType, Decoder, Transformations};
use wengert_core::random::Xoshiro256PlusPlus;
use wengert_core::{Real, Tensor};

use super::Dataset;
use crate::FileError;
use crate::file::Source;

/// What a PNG file begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Bytes that one byte of a deflated stream can stand for, at most.
const LARGEST_RATIO: usize = 1032;
/// The endings of the names of images in a folder.
const ENDINGS: [&str; 4] = ["png", "ppm", "pgm", "pnm"];

/// The image in a file, of shape `[channels, height, width]`: grey or red, green and
/// blue, and behind them opacity if there is any. The numbers are those of the file,
/// from 0 to 255.
///
/// Reads PNG, with palettes and lower depths expanded and higher ones cut, and binary
/// PPM and PGM; what a file is, its first bytes say.
///
/// ```
/// # let path = std::env::temp_dir().join("wengert-doc-image.ppm");
/// # std::fs::write(&path, b"P6 1 2 255\n\x01\x02\x03\x04\x05\x06").unwrap();
/// use wengert_core::Tensor;
/// use wengert_nn::data::read_image;
///
/// let image: Tensor<f32> = read_image(&path)?; // two pixels, one above the other
/// assert_eq!(image.shape()[..], [3, 2, 1]);
/// assert_eq!(image.to_vec(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// # Ok::<(), wengert_nn::FileError>(())
/// ```
///
/// # Errors
/// If there is no such file, it is of another kind, or cut short.
pub fn read_image<T: Real>(path: impl AsRef<Path>) -> Result<Tensor<T>, FileError> {
    let mut source = Source::open(path.as_ref())?;
    let [height, width, channels] = if source.bytes().starts_with(PNG) {
        return decode_png(&source);
    } else {
        pnm_head(&mut source)?
    };
    let size = height.checked_mul(width).and_then(|size| size.checked_mul(channels));
    let Some(size) = size else {
        return Err(source.error("extents of an image", format!("{width} x {height}")));
    };
    let pixels = source.take(size, format_args!("an image of {width} x {height} pixels"))?;
    Ok(planes(pixels, [height, width, channels]))
}

/// Channels of a pixel lie side by side in files, and in planes in tensors.
fn planes<T: Real>(pixels: &[u8], [height, width, channels]: [usize; 3]) -> Tensor<T> {
    let size = height * width;
    Tensor::from_fn([channels, height, width], |i| {
        T::from_f64(f64::from(pixels[i % size * channels + i / size]))
    })
}

/// Why a PNG image cannot be read.
enum Refused {
    Png(png::DecodingError),
    /// No file of its length could hold it: reserving memory for it would be a trap.
    Extents(String),
}

impl From<png::DecodingError> for Refused {
    fn from(error: png::DecodingError) -> Self {
        Self::Png(error)
    }
}

fn decode_png<T: Real>(source: &Source) -> Result<Tensor<T>, FileError> {
    let mut cursor = Cursor::new(source.bytes());
    let decoded = (|| {
        let mut decoder = Decoder::new(&mut cursor);
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info()?;
        let info = reader.info();
        let (height, width) = (info.height as usize, info.width as usize);
        let bits = height.checked_mul(width).and_then(|n| n.checked_mul(info.bits_per_pixel()));
        if bits.is_none_or(|bits| bits / 8 > source.bytes().len().saturating_mul(LARGEST_RATIO)) {
            let found = format!("a head that says {width} x {height} pixels");
            return Err(Refused::Extents(found));
        }
        let mut pixels = vec![0; reader.output_buffer_size()];
        let frame = reader.next_frame(&mut pixels)?;
        let channels = match frame.color_type {
            ColorType::Grayscale | ColorType::Indexed => 1,
            ColorType::GrayscaleAlpha => 2,
            ColorType::Rgb => 3,
            ColorType::Rgba => 4,
        };
        Ok((pixels, [frame.height as usize, frame.width as usize, channels]))
    })();
    match decoded {
        Ok((pixels, extents)) => Ok(planes(&pixels, extents)),
        Err(Refused::Extents(found)) => Err(source.error_at(16, "extents of a PNG image", found)),
        Err(Refused::Png(error)) => {
            let offset = (cursor.position() as usize).min(source.bytes().len());
            Err(source.error_at(offset, "more of a PNG image", error))
        }
    }
}

/// Height, width and channels, from the head of a PPM or PGM file.
fn pnm_head(source: &mut Source) -> Result<[usize; 3], FileError> {
    let what = "an image: PNG, PPM (P6) or PGM (P5)";
    let channels = match &source.array::<2>(what)? {
        b"P5" => 1,
        b"P6" => 3,
        other => {
            let found = String::from_utf8_lossy(other).escape_debug().to_string();
            return Err(source.error_at(0, what, format!("`{found}`")));
        }
    };
    let width = pnm_number(source, "a width")?;
    let height = pnm_number(source, "a height")?;
    let start = source.offset();
    let largest = pnm_number(source, "the largest value, up to 255")?;
    if !(1..=255).contains(&largest) {
        return Err(source.error_at(start, "the largest value, up to 255", largest));
    }
    // One blank, before the pixels.
    source.take(1, "a blank")?;
    Ok([height, width, channels])
}

/// A decimal number, after blanks and comments.
fn pnm_number(source: &mut Source, what: &str) -> Result<usize, FileError> {
    let mut comment = false;
    while let Some(&byte) = source.rest().first()
        && (comment || byte == b'#' || byte.is_ascii_whitespace())
    {
        comment = byte != b'\n' && (comment || byte == b'#');
        source.take(1, what)?;
    }
    let digits = source.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = String::from_utf8_lossy(&source.rest()[..digits]).into_owned();
    let Ok(number) = text.parse() else {
        let found = match source.rest().first() {
            None => "the end of the file".to_owned(),
            Some(_) if digits > 0 => format!("`{text}`"),
            Some(&byte) => format!("`{}`", char::from(byte).escape_debug()),
        };
        return Err(source.error(what, found));
    };
    source.take(digits, what)?;
    Ok(number)
}

/// Images in folders, one folder for each class; read when they are asked for.
///
/// Classes and images stand in alphabetical order, so that a folder is the same dataset
/// everywhere. All images have one shape. A batch has their pixels, `[N, channels,
/// height, width]`, from 0 to 255, and their labels.
#[derive(Clone, Debug)]
pub struct ImageFolder<T> {
    classes: Vec<String>,
    images: Vec<(PathBuf, usize)>,
    precision: std::marker::PhantomData<T>,
}

impl<T: Real> ImageFolder<T> {
    /// Lists the images of a folder.
    ///
    /// # Errors
    /// If there is no such folder, it has no folders, or one of these has no images.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        let (mut classes, mut images) = (Vec::new(), Vec::new());
        for folder in entries(path)?.into_iter().filter(|entry| entry.is_dir()) {
            let is_image = |file: &PathBuf| {
                let ending = file.extension().and_then(|ending| ending.to_str());
                ending.is_some_and(|ending| ENDINGS.contains(&&*ending.to_ascii_lowercase()))
            };
            let files: Vec<PathBuf> = entries(&folder)?.into_iter().filter(is_image).collect();
            if files.is_empty() {
                let expected = format!("images: {}", ENDINGS.join(", "));
                return Err(FileError::content(&folder, 0, expected, "none"));
            }
            images.extend(files.into_iter().map(|file| (file, classes.len())));
            classes.push(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
        if classes.is_empty() {
            return Err(FileError::content(path, 0, "a folder for each class", "none"));
        }
        Ok(Self { classes, images, precision: std::marker::PhantomData })
    }

    /// The names of the classes: those of the folders.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }
}

/// What is in a folder, in alphabetical order.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let list = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
    let mut entries: Vec<PathBuf> = list().map_err(|error| FileError::system(folder, error))?;
    entries.sort();
    Ok(entries)
}

impl<T: Real> Dataset for ImageFolder<T> {
    type Batch = (Tensor<T>, Vec<usize>);

    fn len(&self) -> usize {
        self.images.len()
    }

    fn batch(
        &self,
        indices: &[usize],
        _: &mut Xoshiro256PlusPlus,
    ) -> Result<Self::Batch, FileError> {
        let (mut elements, mut shape) = (Vec::new(), None);
        for &index in indices {
            let path = &self.images[index].0;
            let image: Tensor<T> = read_image(path)?;
            let shape = shape.get_or_insert_with(|| image.shape().clone());
            if image.shape() != shape {
                let expected = format!("an image of shape {shape}, as the others of the batch");
                return Err(FileError::content(path, 0, expected, image.shape()));
            }
            elements.extend(image.iter());
        }
        let shape = [indices.len()].into_iter().chain(shape.unwrap_or_default().to_vec());
        let labels = indices.iter().map(|&index| self.images[index].1).collect();
        Ok((Tensor::new(shape.collect::<Vec<usize>>(), elements), labels))
    }
}
