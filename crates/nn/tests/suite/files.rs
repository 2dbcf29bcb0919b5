//! Files for tests: written to the build's folder for temporary ones.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The place of a file of one test, which no other test uses.
pub fn place(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("suite");
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// A file with some content.
pub fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = place(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

/// The content as gzip packs it.
pub fn packed(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A zip archive of one stored file.
pub fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let checksum = !content.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    let size = (content.len() as u32).to_le_bytes();
    let entry = [&checksum.to_le_bytes()[..], &size, &size, &[name.len() as u8, 0, 0, 0]].concat();
    let local =
        [b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0", &entry[..], name.as_bytes(), content].concat();
    let central =
        [b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0", &entry[..], &[0; 14], name.as_bytes()].concat();
    let [start, length] = [&local, &central].map(|part| (part.len() as u32).to_le_bytes());
    [&local[..], &central, b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length, &start, &[0; 2]].concat()
}

/// What an error says behind the name of its file.
pub fn message<X, E: std::fmt::Display>(result: Result<X, E>) -> String {
    let error = result.err().expect("an error").to_string();
    error.split_once(": ").expect("a file and what is wrong with it").1.to_owned()
}
