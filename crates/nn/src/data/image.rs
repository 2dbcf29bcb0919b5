//! Images: PNG, JPEG, PPM and PGM files, and folders of them.

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use png::{ColorType, Decoder, Transformations};
use wengert_core::random::Xoshiro256PlusPlus;
use wengert_core::{Real, Tensor};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::Dataset;
use crate::FileError;
use crate::file::{Source, within_limit};

/// What a PNG file begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// What a JPEG file begins with.
const JPEG: &[u8] = b"\xff\xd8\xff";
/// Bytes that one byte of a deflated stream can stand for, at most.
const LARGEST_RATIO: usize = 1032;
/// The endings of the names of images in a folder.
const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "ppm", "pgm", "pnm"];

/// The image in a file, of shape `[channels, height, width]`: grey or red, green and
/// blue, and behind them opacity if there is any. The numbers are from 0 to 255.
///
/// Reads PNG, with palettes and lower depths expanded and higher ones cut; JPEG, baseline and
/// progressive; and binary PPM and PGM, whose largest value is scaled to 255. What a file is,
/// its first bytes say. [`with_channels`] makes images of unlike channels alike.
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
    match source.bytes() {
        bytes if bytes.starts_with(PNG) => decode_png(&source),
        bytes if bytes.starts_with(JPEG) => decode_jpeg(&source),
        _ => decode_pnm(&mut source),
    }
}

/// An image `[channels, height, width]` with another number of channels: grey (1), grey and
/// opacity (2), red, green and blue (3), or these and opacity (4). Grey becomes three equal
/// colours; colours become `0.299 R + 0.587 G + 0.114 B` (ITU-R BT.601); opacity is left out or
/// complete (255).
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::data::with_channels;
///
/// let grey = Tensor::from([[[7.0_f32, 9.0]]]);
/// assert_eq!(with_channels(&grey, 3).to_vec(), [7.0, 9.0, 7.0, 9.0, 7.0, 9.0]);
/// ```
///
/// # Panics
/// If the image has not, or is not to have, 1 to 4 channels.
#[track_caller]
pub fn with_channels<T: Real>(image: &Tensor<T>, channels: usize) -> Tensor<T> {
    let &[from, height, width] = &image.shape()[..] else {
        panic!("an image is [channels, height, width], and not {}", image.shape())
    };
    for count in [from, channels] {
        assert!((1..=4).contains(&count), "an image has 1 to 4 channels, and not {count}");
    }
    let size = height * width;
    let elements = image.to_vec();
    let plane = |channel: usize| &elements[channel * size..(channel + 1) * size];
    let grey = |i: usize| {
        let parts = [0.299, 0.587, 0.114].into_iter().enumerate();
        parts.map(|(channel, part)| plane(channel)[i] * T::from_f64(part)).sum()
    };
    Tensor::from_fn([channels, height, width], |i| {
        let (channel, i) = (i / size, i % size);
        match (channel, from > 2, channels > 2) {
            // The last of two or four is opacity.
            _ if channel == channels - 1 && channels.is_multiple_of(2) => match from % 2 {
                0 => plane(from - 1)[i],
                _ => T::from_f64(255.0),
            },
            (_, true, true) => plane(channel)[i],
            (_, true, false) => grey(i),
            (_, false, _) => plane(0)[i],
        }
    })
}

/// Channels of a pixel lie side by side in files, and in planes in tensors.
fn planes<T: Real>(pixels: &[u8], extents: [usize; 3]) -> Tensor<T> {
    planes_of(extents, |i| f64::from(pixels[i]))
}

fn planes_of<T: Real>(
    [height, width, channels]: [usize; 3],
    at: impl Fn(usize) -> f64,
) -> Tensor<T> {
    let size = height * width;
    Tensor::from_fn([channels, height, width], |i| T::from_f64(at(i % size * channels + i / size)))
}

fn decode_jpeg<T: Real>(source: &Source) -> Result<Tensor<T>, FileError> {
    let bytes = source.bytes();
    let refused = |error: &dyn std::fmt::Display| {
        source.error_at(0, "a JPEG image", format!("one that is damaged: {error}"))
    };
    let open = |colours| {
        let options = DecoderOptions::default().jpeg_set_out_colorspace(colours);
        JpegDecoder::new_with_options(ZCursor::new(bytes), options.set_strict_mode(true))
    };
    let mut head = open(ColorSpace::RGB);
    head.decode_headers().map_err(|error| refused(&error))?;
    let info = head.info().ok_or_else(|| refused(&"it has no head"))?;
    let (colours, channels) = match head.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    let (height, width) = (usize::from(info.height), usize::from(info.width));
    within_limit(source.path(), bytes.len(), height * width * channels)?;
    let pixels = open(colours).decode().map_err(|error| refused(&error))?;
    Ok(planes(&pixels, [height, width, channels]))
}

fn decode_pnm<T: Real>(source: &mut Source) -> Result<Tensor<T>, FileError> {
    let ([height, width, channels], largest) = pnm_head(source)?;
    let bytes = if largest > 255 { 2 } else { 1 };
    let size = [width, channels, bytes].into_iter().try_fold(height, usize::checked_mul);
    let Some(size) = size else {
        return Err(source.error("extents of an image", format!("{width} x {height}")));
    };
    let pixels = source.take(size, format_args!("an image of {width} x {height} pixels"))?;
    Ok(planes_of([height, width, channels], |i| {
        let number =
            pixels[i * bytes..][..bytes].iter().fold(0, |n, &byte| n << 8 | u32::from(byte));
        // Exact where the largest value is 255.
        f64::from(number) * 255.0 / largest as f64
    }))
}

/// Why a PNG image cannot be read.
enum Refused {
    Png(png::DecodingError),
    /// No file of its length could hold it: reserving memory for it would be a trap.
    Extents(String),
    /// It may not be unpacked.
    File(FileError),
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
        // Notes say nothing of pixels, and some programs write them wrong.
        decoder.set_ignore_text_chunk(true);
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info()?;
        let info = reader.info();
        let (height, width) = (info.height as usize, info.width as usize);
        let bits = height.checked_mul(width).and_then(|n| n.checked_mul(info.bits_per_pixel()));
        if bits.is_none_or(|bits| bits / 8 > source.bytes().len().saturating_mul(LARGEST_RATIO)) {
            let found = format!("a head that says {width} x {height} pixels");
            return Err(Refused::Extents(found));
        }
        let size = reader.output_buffer_size();
        within_limit(source.path(), source.bytes().len(), size).map_err(Refused::File)?;
        let mut pixels = vec![0; size];
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
        Err(Refused::File(error)) => Err(error),
        Err(Refused::Extents(found)) => Err(source.error_at(16, "extents of a PNG image", found)),
        Err(Refused::Png(error)) => {
            let offset = (cursor.position() as usize).min(source.bytes().len());
            Err(source.error_at(offset, "more of a PNG image", error))
        }
    }
}

/// Height, width and channels, and the largest value, from the head of a PPM or PGM file.
fn pnm_head(source: &mut Source) -> Result<([usize; 3], usize), FileError> {
    let what = "an image: PNG, JPEG, PPM (P6) or PGM (P5)";
    let channels = match &source.array::<2>(what)? {
        b"P5" => 1,
        b"P6" => 3,
        other => {
            let found = String::from_utf8_lossy(other).escape_debug().to_string();
            return Err(source.foreign(what, format!("`{found}`")));
        }
    };
    let width = pnm_number(source, "a width")?;
    let height = pnm_number(source, "a height")?;
    let start = source.offset();
    let largest = pnm_number(source, "the largest value, up to 65535")?;
    if !(1..=65535).contains(&largest) {
        return Err(source.error_at(start, "the largest value, up to 65535", largest));
    }
    // One blank, before the pixels.
    source.take(1, "a blank")?;
    Ok(([height, width, channels], largest))
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
/// everywhere. Names that begin with a dot are hidden files of some system, and no images. All
/// images have one shape, for which [`channels`](Self::channels) can be made alike. A batch has
/// their pixels, `[N, channels, height, width]`, from 0 to 255, and their labels.
#[derive(Clone, Debug)]
pub struct ImageFolder<T> {
    classes: Vec<String>,
    images: Vec<(PathBuf, usize)>,
    channels: Option<usize>,
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
        Ok(Self { classes, images, channels: None, precision: std::marker::PhantomData })
    }

    /// Makes all images have this number of channels, as [`with_channels`] does.
    ///
    /// # Panics
    /// If it is not 1 to 4.
    #[must_use]
    #[track_caller]
    pub fn channels(self, channels: usize) -> Self {
        assert!((1..=4).contains(&channels), "an image has 1 to 4 channels, and not {channels}");
        Self { channels: Some(channels), ..self }
    }

    /// The names of the classes: those of the folders.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }
}

/// What is in a folder and not hidden, in alphabetical order.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let list = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
    let mut entries: Vec<PathBuf> = list().map_err(|error| FileError::system(folder, error))?;
    let is_hidden = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    entries.retain(|path| !is_hidden(path));
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
            let mut image: Tensor<T> = read_image(path)?;
            if let Some(channels) = self.channels {
                image = with_channels(&image, channels);
            }
            let shape = shape.get_or_insert_with(|| image.shape().clone());
            if image.shape() != shape {
                let expected = format!("an image of shape {shape}, as the others of the batch");
                let found = match image.shape()[1..] == shape[1..] {
                    true => format!("{}: `channels` makes them alike", image.shape()),
                    false => image.shape().to_string(),
                };
                return Err(FileError::content(path, 0, expected, found));
            }
            elements.extend(image.iter());
        }
        let shape = [indices.len()].into_iter().chain(shape.unwrap_or_default().to_vec());
        let labels = indices.iter().map(|&index| self.images[index].1).collect();
        Ok((Tensor::new(shape.collect::<Vec<usize>>(), elements), labels))
    }
}
