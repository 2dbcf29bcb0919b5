//! The lines of source that recorded a tape, where their files can be read.

use std::collections::HashMap;
use std::path::Path;

/// Files that were looked for, by the path that the compiler gave.
#[derive(Default)]
pub(super) struct Sources(HashMap<&'static str, Option<Vec<String>>>);

impl Sources {
    /// The text of a line, counted from 1.
    pub(super) fn line(&mut self, file: &'static str, line: u32) -> Option<String> {
        let text = self.0.entry(file).or_insert_with(|| lines_of(file)).as_ref()?;
        text.get((line as usize).checked_sub(1)?).cloned()
    }
}

/// The compiler names files as seen from the workspace: from where the program runs, or from a folder
/// above it.
fn lines_of(file: &str) -> Option<Vec<String>> {
    let here = std::env::current_dir().unwrap_or_default();
    let text = here.ancestors().find_map(|folder| {
        let path = Path::new(folder).join(file);
        std::fs::read_to_string(path).ok()
    })?;
    Some(text.lines().map(str::to_owned).collect())
}
