//! Examples refuse options that do not fit before they compute anything.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The names of all examples.
fn names() -> impl Iterator<Item = String> {
    let sources = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
    let paths = sources.map(|source| source.unwrap().path());
    let is_example = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").exists()
    };
    paths.filter(is_example).map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
}

/// The examples that were built beside this test; none where a test is built alone.
fn examples() -> Vec<PathBuf> {
    let folder = env::current_exe().unwrap().parent().unwrap().with_file_name("examples");
    let built = names().map(|name| folder.join(name).with_extension(env::consts::EXE_EXTENSION));
    built.filter(|path| path.exists()).collect()
}

#[test]
fn the_readme_tells_level_and_time_of_each_example() {
    let readme = include_str!("../README.md");
    for name in names() {
        let command = format!("cargo run --release --example {name} ");
        let mut lines = readme.lines().filter_map(|line| line.strip_prefix(&command));
        let told = lines.any(|line| {
            let line = line.trim_start().trim_start_matches("# ");
            ["first, ", "next, ", "advanced, "].iter().any(|level| line.starts_with(level))
        });
        assert!(told, "README.md has no line of {name} that begins with its level and time");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told_at_once() {
    let file = env::temp_dir().join(format!("wengert-options-{}", std::process::id()));
    fs::write(&file, "no folder").unwrap();
    let out = file.join("folder");
    let examples = examples();
    if examples.is_empty() {
        return println!("no examples are built: `cargo test` without a name builds them");
    }
    for example in examples {
        let name = example.file_stem().unwrap().to_string_lossy().into_owned();
        // It prints to the console alone.
        if name == "implicit" {
            continue;
        }
        let output = Command::new(&example).arg("--out").arg(&out).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{name} takes a file for a folder");
        assert!(said.contains("--out") || said.contains("folder"), "{name}: {said}");
        assert!(!said.contains("Os {"), "{name} prints an error as Rust sees it: {said}");
        assert!(output.stdout.is_empty(), "{name} computes before it refuses its options");
    }
    fs::remove_file(file).unwrap();
}
