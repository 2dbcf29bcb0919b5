//! Archives of files, as far as NumPy's npz needs them: stored or deflated, with the
//! larger sizes of Zip64, which NumPy writes for small files too.
//!
//! The format (PKWARE's APPNOTE): files one after another, each with a head; then a
//! directory of all; then a record that says where that is. Only directory and record
//! are trusted. Written by hand, for the crates that do it would be a third of what this
//! one takes to build.

use std::ops::Range;
use std::path::Path;

use crate::FileError;
use crate::file::{Source, deflated, replace, within_limit};

const HEAD: u32 = 0x0403_4b50;
const ENTRY: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;

/// Bytes of the parts that have a fixed length.
const HEAD_BYTES: usize = 30;
const ENTRY_BYTES: usize = 46;
const END_BYTES: usize = 22;
const LOCATOR_64_BYTES: usize = 20;
/// A size that stands in the field for larger ones.
const ELSEWHERE: u64 = 0xffff_ffff;

/// Fields of a part of the archive.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn at(&self, offset: usize, bytes: usize) -> u64 {
        self.0[offset..offset + bytes].iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte))
    }
}

/// A file in an archive, as the directory has it.
struct Entry {
    name: String,
    /// Where it stands, with its head.
    place: Range<usize>,
    /// Where its bytes begin.
    data: usize,
    /// How it is packed, and where that is said.
    method: (u64, usize),
    /// What it unpacks to, and the checksum of that.
    size: usize,
    crc: u32,
}

/// The files of an archive, in the order of its directory.
pub(super) fn read(source: &Source) -> Result<Vec<(String, Source)>, FileError> {
    let entries = entries(source)?;
    refuse_overlap(source, &entries)?;
    let (mut files, mut unpacked) = (Vec::new(), 0_usize);
    for entry in entries {
        let bytes = unpack(source, &entry)?;
        unpacked += bytes.len();
        within_limit(source.path(), source.bytes().len(), unpacked)?;
        let file = source.within(&entry.name, bytes);
        files.push((entry.name, file));
    }
    Ok(files)
}

/// What the directory says.
fn entries(source: &Source) -> Result<Vec<Entry>, FileError> {
    let (count, mut offset) = directory(source)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let entry = part(source, offset, ENTRY, ENTRY_BYTES, "an entry of the directory")?;
        let [name, extra, comment] = [28, 30, 32].map(|field| entry.at(field, 2) as usize);
        let (method, crc) = (entry.at(10, 2), entry.at(16, 4) as u32);
        let mut sizes = [entry.at(24, 4), entry.at(20, 4), entry.at(42, 4)];
        let start = offset + ENTRY_BYTES;
        larger(&mut sizes, source.at(start + name, extra, "further fields")?);
        let name_bytes = source.at(start, name, "a name")?;
        let name_text = String::from_utf8_lossy(name_bytes).into_owned();

        let [size, packed, head] = sizes.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let fields =
            part(source, head, HEAD, HEAD_BYTES, format_args!("the head of `{name_text}`"))?;
        let data = head + HEAD_BYTES + (fields.at(26, 2) + fields.at(28, 2)) as usize;
        let packed = source.at(data, packed, format_args!("`{name_text}`"))?;
        let place = head..data + packed.len();
        let method = (method, offset + 10);
        entries.push(Entry { name: name_text, place, data, method, size, crc });
        offset = start + name + extra + comment;
    }
    Ok(entries)
}

/// Files that share their bytes would unpack to any number of these.
fn refuse_overlap(source: &Source, entries: &[Entry]) -> Result<(), FileError> {
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_by_key(|entry| entry.place.start);
    match order.windows(2).find(|pair| pair[0].place.end > pair[1].place.start) {
        None => Ok(()),
        Some(pair) => {
            let expected = format!("the end of `{}` before `{}`", pair[0].name, pair[1].name);
            Err(source.error_at(pair[1].place.start, expected, "bytes that both have"))
        }
    }
}

/// The bytes of a file, which are as many as the directory says and have its checksum.
fn unpack(source: &Source, entry: &Entry) -> Result<Vec<u8>, FileError> {
    let &Entry { ref name, ref place, data, method: (method, said), size, crc } = entry;
    let packed = &source.bytes()[data..place.end];
    let bytes = match method {
        0 => packed.to_vec(),
        8 => deflated(packed, size)
            .map_err(|error| source.error_at(data, format!("`{name}` in deflated form"), error))?,
        other => {
            let expected = format!("`{name}` stored (0) or deflated (8)");
            return Err(source.error_at(said, expected, format!("method {other}")));
        }
    };
    let sum = crc32fast::hash(&bytes);
    if bytes.len() != size || sum != crc {
        within_limit(source.path(), source.bytes().len(), bytes.len())?;
        let expected = format!("{size} bytes of `{name}` with the checksum {crc:#010x}");
        let found = format!("{} with {:#010x}", bytes.len(), sum);
        return Err(source.error_at(data, expected, found));
    }
    Ok(bytes)
}

/// The number of entries, and where they begin.
fn directory(source: &Source) -> Result<(u64, usize), FileError> {
    let bytes = source.bytes();
    // The record stands at the end, with a comment of up to 65535 bytes behind it.
    let last = bytes.len().saturating_sub(END_BYTES);
    let mark = END.to_le_bytes();
    let end = (last.saturating_sub(0xffff)..=last)
        .rev()
        .find(|&offset| bytes[offset..].starts_with(&mark))
        .ok_or_else(|| {
            source.error_at(bytes.len(), "the directory's record at the end of an archive", "none")
        })?;
    let record = part(source, end, END, END_BYTES, "the directory's record")?;
    let (count, offset) = (record.at(10, 2), record.at(16, 4));
    if count != 0xffff && offset != ELSEWHERE {
        return Ok((count, offset as usize));
    }
    let locator = end.checked_sub(LOCATOR_64_BYTES).unwrap_or(end);
    let locator = part(source, locator, LOCATOR_64, LOCATOR_64_BYTES, "the larger record's place")?;
    let place = usize::try_from(locator.at(8, 8)).unwrap_or(usize::MAX);
    let record = part(source, place, END_64, 56, "the larger record")?;
    Ok((record.at(32, 8), usize::try_from(record.at(48, 8)).unwrap_or(usize::MAX)))
}

/// A part of the archive, which begins with its mark.
fn part(
    source: &Source,
    offset: usize,
    mark: u32,
    bytes: usize,
    what: impl std::fmt::Display,
) -> Result<Fields<'_>, FileError> {
    let fields = Fields(source.at(offset, bytes, &what)?);
    match fields.at(0, 4) {
        found if found == u64::from(mark) => Ok(fields),
        found => {
            Err(source.error_at(offset, format!("{what} ({mark:#010x})"), format!("{found:#010x}")))
        }
    }
}

/// Replaces sizes that did not fit by those in the field of Zip64, which has only these.
fn larger(sizes: &mut [u64; 3], mut extra: &[u8]) {
    while extra.len() >= 4 {
        let (head, rest) = extra.split_at(4);
        let (kind, length) = (Fields(head).at(0, 2), Fields(head).at(2, 2) as usize);
        let (mut field, rest) = rest.split_at(length.min(rest.len()));
        extra = rest;
        if kind != 1 {
            continue;
        }
        for size in sizes.iter_mut().filter(|size| **size == ELSEWHERE) {
            if field.len() >= 8 {
                *size = Fields(field).at(0, 8);
                field = &field[8..];
            }
        }
    }
}

/// Writes an archive of stored files, the same bytes for the same files. It has no fields of
/// Zip64: what only fits into these is an error.
pub(super) fn write(
    path: &Path,
    files: impl Iterator<Item = (String, Vec<u8>)>,
) -> Result<(), FileError> {
    let (mut archive, mut directory, mut count) = (Vec::new(), Vec::new(), 0);
    // The largest number of a field says that the number stands elsewhere.
    let small = |size: usize| {
        let fits = u32::try_from(size).ok().filter(|&size| size < u32::MAX);
        let refused = || format!("{size} bytes");
        fits.ok_or_else(|| FileError::content(path, size, "less than 4 GiB for npz", refused()))
    };
    let few = |number: usize, what: &str| {
        let fits = u16::try_from(number).ok().filter(|&number| number < u16::MAX);
        let expected = format!("fewer than {} {what} for npz", u16::MAX);
        fits.ok_or_else(|| FileError::content(path, 0, expected, format!("{number}")))
    };
    for (name, bytes) in files {
        let name_length = few(name.len(), "bytes of a name")?.to_le_bytes();
        count += 1;
        few(count, "arrays")?;
        let offset = small(archive.len())?.to_le_bytes();
        let sum = crc32fast::hash(&bytes);
        let size = small(bytes.len())?.to_le_bytes();
        // Names beyond ASCII are of an old code page unless a flag says UTF-8.
        let flags: u16 = if name.is_ascii() { 0 } else { 0x0800 };
        let [low, high] = flags.to_le_bytes();
        // Version 2.0, stored, midnight of 1 January 1980.
        let mut common = vec![20, 0, low, high, 0, 0, 0, 0, 0x21, 0];
        common.extend(sum.to_le_bytes());
        common.extend([size, size].concat());
        common.extend(name_length);
        common.extend([0, 0]);
        archive.extend(HEAD.to_le_bytes());
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(&bytes);
        directory.extend(ENTRY.to_le_bytes());
        directory.extend([20, 0]);
        directory.extend(&common);
        // No comment, first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(offset);
        directory.extend(name.as_bytes());
    }
    let count = few(count, "arrays")?;
    let (size, offset) = (small(directory.len())?, small(archive.len())?);
    archive.append(&mut directory);
    archive.extend(END.to_le_bytes());
    archive.extend([0; 4]);
    archive.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    archive.extend([size.to_le_bytes(), offset.to_le_bytes()].concat());
    archive.extend([0, 0]);
    replace(path, &archive)
}
