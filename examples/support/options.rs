//! Options that are checked as they are read: what is missing or does not fit is told at once, and not
//! after minutes of training.
use std::fs;
use std::path::{Path, PathBuf};

/// A folder to write to, which is made if there is none, and tried.
pub fn folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let tried = fs::create_dir_all(&path).and_then(|()| {
        let probe = path.join(format!(".probe-{}", std::process::id()));
        fs::write(&probe, []).and_then(|()| fs::remove_file(probe))
    });
    tried.map(|()| path).map_err(|error| format!("cannot write to this folder: {error}"))
}

/// A file to write, in a folder that is made if there is none, and tried.
pub fn file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    folder(&parent.unwrap_or(Path::new(".")).to_string_lossy())?;
    match path.file_name() {
        Some(_) if !path.is_dir() => Ok(path),
        _ => Err("expected the name of a file, found a folder".to_owned()),
    }
}

/// A whole number of at least 1.
pub fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number of at least 1".to_owned()),
        Ok(count) => Ok(count),
    }
}

/// A finite number.
pub fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| "expected a finite number".to_owned())
}

/// That a table has enough rows to be divided into the parts of an example.
pub fn enough(data: &Path, rows: usize, needed: usize) -> Result<(), String> {
    if rows >= needed {
        return Ok(());
    }
    Err(format!("--data {}: expected at least {needed} rows, found {rows}", data.display()))
}

/// That a file has the tensors of these names.
pub fn names(file: &Path, names: &[&str], has: impl Fn(&str) -> bool) -> Result<(), String> {
    match names.iter().find(|name| !has(name)) {
        None => Ok(()),
        Some(name) => Err(format!("{}: expected a tensor `{name}`, found none", file.display())),
    }
}
