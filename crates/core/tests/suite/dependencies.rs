//! `docs/dependencies.md` gives a reason for each crate that the workspace names, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    fs::read_to_string(path).expect("the workspace has it")
}

/// The names in `workspace.dependencies`, without the workspace's own.
fn named() -> BTreeSet<String> {
    let manifest = text("Cargo.toml");
    let (_, section) = manifest.split_once("[workspace.dependencies]\n").expect("a section");
    let (section, _) = section.split_once("\n[").expect("another section");
    let names = section.lines().filter(|line| !line.starts_with('#'));
    let names = names.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()));
    names.filter(|name| !name.starts_with("wengert")).collect()
}

/// The names in the first cells of the page's tables.
fn explained() -> BTreeSet<String> {
    let page = text("docs/dependencies.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let cells = rows.flat_map(|cell| cell.split(", "));
    cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
}

#[test]
fn every_dependency_has_its_reason() {
    assert_eq!(named(), explained());
}
