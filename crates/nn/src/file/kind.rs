//! What a file is that no reader takes: a download that went wrong is mostly a page or a
//! pointer, and an archive of another program looks like one of NumPy.

/// The beginnings of files of other kinds, and what to do about them.
const BEGINNINGS: [(&[u8], &str); 11] = [
    (
        b"version https://git-lfs",
        "a pointer of Git LFS and not the file: fetch it with `git lfs pull`",
    ),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"%PDF", "a PDF document"),
    (b"\x93NUMPY", "an array of NumPy (.npy)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"BZh", "packed by bzip2: unpack it first"),
    (b"\xfd7zXZ\0", "packed by xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd: unpack it first"),
];

/// What PyTorch's `torch.save` writes, and what to do about it.
const PICKLE: &str = "a pickle of PyTorch, which only Python reads: save its state dict with `safetensors.torch.save_file`";

/// The bytes in which a page or a list of an archive's files is looked for.
const HEAD: usize = 512;

/// What a file is, if it is none that a reader of this crate takes as it is.
pub(super) fn of(bytes: &[u8]) -> Option<&'static str> {
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(kind);
    }
    let head = &bytes[..bytes.len().min(HEAD)];
    let contains = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    // A pickle of protocol 2 begins with a number or a dictionary; newer ones are in an archive.
    if bytes.starts_with(b"\x80\x02") || (bytes.starts_with(b"PK") && contains(b"data.pkl")) {
        return Some(PICKLE);
    }
    let text = head.trim_ascii_start().to_ascii_lowercase();
    let is_page = text.starts_with(b"<!doctype html") || text.starts_with(b"<html");
    is_page.then_some("a page of HTML: the download has failed")
}
