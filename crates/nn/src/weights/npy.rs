//! NumPy's format for one array: a head that is a Python dictionary, and the numbers.

use super::Array;
use super::array::Kind;
use crate::FileError;
use crate::file::Source;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The numbers begin at a multiple of this.
const ALIGNMENT: usize = 64;

/// The kinds under their names there, those of floats first.
const KINDS: [(Kind, &str); 12] = [
    (Kind::F64, "<f8"),
    (Kind::F32, "<f4"),
    (Kind::F16, "<f2"),
    (Kind::I64, "<i8"),
    (Kind::I32, "<i4"),
    (Kind::I16, "<i2"),
    (Kind::I8, "|i1"),
    (Kind::U64, "<u8"),
    (Kind::U32, "<u4"),
    (Kind::U16, "<u2"),
    (Kind::U8, "|u1"),
    (Kind::Bool, "|b1"),
];

/// An array as a file.
pub(super) fn encode(array: &Array) -> Vec<u8> {
    let known = KINDS.iter().find(|(kind, _)| *kind == array.kind);
    let descr = known.expect("tensors are floats").1;
    let extents: String = array.shape.iter().map(|extent| format!("{extent}, ")).collect();
    let mut head =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({extents}), }}");
    // Magic, version and length of the head before it, a line end behind it.
    let before = MAGIC.len() + 4;
    let size = (before + head.len() + 1).next_multiple_of(ALIGNMENT) - before;
    head.extend(std::iter::repeat_n(' ', size - head.len() - 1));
    head.push('\n');
    let length = u16::try_from(head.len()).expect("a shape of few axes");
    [&MAGIC[..], &[1, 0], &length.to_le_bytes(), head.as_bytes(), &array.bytes].concat()
}

/// The array in a file, or nothing if it is one of text.
pub(super) fn decode(mut source: Source) -> Result<Option<Array>, FileError> {
    let (start, head) = head(&mut source)?;
    let refused = |expected: &str| source.error_at(start, expected, format!("`{}`", head.trim()));
    let descr = value(&head, "descr").and_then(|text| text.strip_prefix('\'')?.split('\'').next());
    if descr.is_some_and(|descr| descr.get(1..2).is_some_and(|kind| matches!(kind, "U" | "S"))) {
        return Ok(None);
    }
    // A kind of one byte has no order, and `=` would be that of the machine that wrote it.
    let kind = descr.and_then(|descr| {
        let same = |name: &str| name[1..] == descr[1..] && matches!(&descr[..1], "<" | "|");
        (descr.len() == 3 && descr.is_ascii())
            .then(|| KINDS.iter().find(|(_, name)| same(name)))
            .flatten()
    });
    let &(kind, _) =
        kind.ok_or_else(|| refused("a kind of real numbers, the lowest byte first"))?;
    let by_columns = match value(&head, "fortran_order") {
        Some(text) if text.starts_with("False") => false,
        Some(text) if text.starts_with("True") => true,
        _ => return Err(refused("`fortran_order`: True or False")),
    };
    let mut shape = value(&head, "shape")
        .and_then(|text| text.strip_prefix('(')?.split_once(')'))
        .and_then(|(extents, _)| {
            let extents = extents.split(',').map(str::trim).filter(|extent| !extent.is_empty());
            extents.map(|extent| extent.parse().ok()).collect::<Option<Vec<usize>>>()
        })
        .ok_or_else(|| refused("`shape`: a tuple of numbers"))?;
    let count = kind.bytes_of(&shape).ok_or_else(|| refused("extents of a file"))?;
    let bytes = source.take(count, format_args!("numbers of shape {shape:?}"))?.to_vec();
    source.end()?;
    if !by_columns {
        return Ok(Some(Array { kind, shape, bytes }));
    }
    // The same numbers, read with the axes reversed.
    shape.reverse();
    let transposed = Array { kind, shape, bytes }.tensor::<f64>().transpose();
    Ok(Some(Array::of(&transposed)))
}

/// The dictionary, and where it begins.
fn head(source: &mut Source) -> Result<(usize, String), FileError> {
    let magic: [u8; 6] = source.array("the beginning of an array of NumPy")?;
    if magic != *MAGIC {
        let found = magic.escape_ascii();
        return Err(source.foreign(format!("`{}`", MAGIC.escape_ascii()), format!("`{found}`")));
    }
    let [major, _minor] = source.array("a version")?;
    let length = if major == 1 {
        usize::from(u16::from_le_bytes(source.array("the length of the head")?))
    } else {
        u32::from_le_bytes(source.array("the length of the head")?) as usize
    };
    let start = source.offset();
    Ok((start, String::from_utf8_lossy(source.take(length, "the head")?).into_owned()))
}

/// What stands behind a key of the dictionary.
fn value<'a>(head: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = head.split_once(&format!("'{key}'"))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}
