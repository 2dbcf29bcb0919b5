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

/// What an error says behind the name of its file.
pub fn message<X, E: std::fmt::Display>(result: Result<X, E>) -> String {
    let error = result.err().expect("an error").to_string();
    error.split_once(": ").expect("a file and what is wrong with it").1.to_owned()
}
