//! The rooms of the crate, from below: which of them may see which, and which ops they may name.
//!
//! The table is the map of `docs/architecture.md`. A room sees those that stand before it and are
//! listed, through their own path: never through the crate's face, which would hide who needs whom.
//! In some rooms the files, too, stand one above the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from below, each with those that it may see.
const ROOMS: [(&str, &[&str]); 16] = [
    ("tuned", &[]),
    ("json", &[]),
    ("hash", &[]),
    ("scalar", &["hash"]),
    ("tensor", &["tuned", "scalar"]),
    ("kernel", &["tuned", "scalar", "tensor"]),
    ("random", &["scalar", "tensor"]),
    ("tape", &["hash", "scalar", "tensor", "kernel", "random"]),
    ("op", &["scalar", "tensor", "kernel", "tape"]),
    ("var", &["scalar", "tensor", "tape", "op"]),
    ("sweep", &["scalar", "tensor", "kernel", "tape", "op"]),
    ("program", &["tuned", "hash", "scalar", "tensor", "kernel", "random", "tape", "op", "var"]),
    ("transform", &["scalar", "tensor", "kernel", "random", "tape", "op", "var", "program"]),
    ("trace", &["json", "scalar", "tensor", "tape", "var"]),
    ("check", &["json", "scalar", "tensor", "tape", "op", "var", "program", "transform", "trace"]),
    ("lib", &[]),
];

/// The ops that rooms other than those of ops and of methods name: the sum of adjoints, the
/// transpose that a program packs, and what a product of one term is to it.
const OPS: [(&str, &[&str]); 2] = [("sweep", &["Add"]), ("program", &["Mul", "Permute"])];

/// Names of the room of ops that are no op.
const NO_OPS: [&str; 7] =
    ["Call", "Domain", "Elementwise", "Operation", "SampleSet", "Samples", "ShapeClass"];

/// The parts whose files stand one above the other.
const LAYERED: [&str; 3] = ["kernel", "check", "transform::checkpoint"];

/// A file as a module, with its code: no comments, no tests.
struct File {
    module: Vec<String>,
    code: String,
}

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    source_files(&root, &mut paths);
    let file = |path: &PathBuf| {
        let relative = path.strip_prefix(&root).expect("below the root").with_extension("");
        let mut module: Vec<String> =
            relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        module.retain(|part| part != "mod");
        let text = fs::read_to_string(path).expect("a source file");
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        File { module, code: lines.collect::<Vec<_>>().join("\n") }
    };
    paths.iter().map(file).collect()
}

/// A list between braces, cut at its commas.
fn parts(list: &str) -> Vec<String> {
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in list.chars() {
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                parts.last_mut().expect("at least one").push(c);
            }
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// The paths that a tree of imports names.
fn leaves(tree: &str, before: &str, found: &mut Vec<String>) {
    match tree.split_once('{') {
        None => {
            let path = tree.split(" as ").next().unwrap_or_default();
            found.push(format!("{before}{path}").replace(' ', ""));
        }
        Some((head, rest)) => {
            let list = rest.rsplit_once('}').expect("braces are closed").0;
            for part in parts(list) {
                leaves(&part, &format!("{before}{head}"), found);
            }
        }
    }
}

impl File {
    /// The files of its folder, if it stands for one.
    fn children(&self) -> impl Iterator<Item = &str> {
        let modules = self.code.lines().filter_map(|line| line.strip_suffix(';'));
        modules.filter_map(|line| line.rsplit_once("mod ")).map(|(_, name)| name)
    }

    /// The paths that the file imports or writes out, but for what it passes on.
    fn paths(&self) -> Vec<Vec<String>> {
        let children = self.children().map(|child| format!("{child}::"));
        let roots: Vec<String> = ["crate::", "super::", "self::"]
            .map(str::to_owned)
            .into_iter()
            .chain(children)
            .collect();
        let (mut found, mut rest) = (Vec::new(), String::new());
        for statement in self.code.split_inclusive(';') {
            let uses = statement.rsplit_once("use ").filter(|(before, tree)| {
                let is_word = before.chars().next_back().is_none_or(char::is_whitespace);
                is_word && roots.iter().any(|root| tree.starts_with(root))
            });
            match uses {
                Some((before, tree)) => {
                    rest += before;
                    let before = before.trim_end();
                    if !before.ends_with("pub") && !before.ends_with(')') {
                        let tree = tree.trim_end_matches(';').replace('\n', " ");
                        leaves(&tree, "", &mut found);
                    }
                }
                None => rest += statement,
            }
        }
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        for root in &roots {
            for (at, _) in rest.match_indices(root) {
                let before = rest[..at].chars().next_back();
                let begins = before.is_none_or(|c| !is_word(c) && !['$', ':', '.'].contains(&c));
                if begins && !rest[..at].ends_with("in ") {
                    let path = &rest[at..];
                    let end = path.find(|c| !is_word(c) && c != ':').unwrap_or(path.len());
                    found.push(path[..end].trim_end_matches(':').to_owned());
                }
            }
        }
        found.retain(|path| !path.ends_with("::SIZES"));
        found.iter().map(|path| self.absolute(path)).collect()
    }

    /// Whether an item of this name stands in the file itself.
    fn defines(&self, name: &str) -> bool {
        let kinds = ["struct", "enum", "trait", "type", "fn", "const", "static"];
        kinds.iter().any(|kind| {
            let item = format!("{kind} {name}");
            self.code.match_indices(&item).any(|(at, _)| {
                let next = self.code[at + item.len()..].chars().next();
                next.is_some_and(|c| !c.is_alphanumeric() && c != '_')
            })
        })
    }

    /// A path without `crate`, `self` and `super`.
    fn absolute(&self, path: &str) -> Vec<String> {
        let mut segments = path.split("::").peekable();
        let mut base = self.module.clone();
        if segments.next_if_eq(&"crate").is_some() {
            base.clear();
        }
        segments.next_if_eq(&"self");
        while segments.next_if_eq(&"super").is_some() {
            base.pop();
        }
        base.extend(segments.filter(|segment| *segment != "self").map(str::to_owned));
        base
    }
}

#[test]
fn rooms_see_those_below() {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.into_iter().collect();
    for (index, (room, sees)) in ROOMS.iter().enumerate() {
        let below: Vec<&str> = ROOMS[..index].iter().map(|(room, _)| *room).collect();
        assert!(sees.iter().all(|other| below.contains(other)), "{room} sees a room above it");
    }
    let mut used = BTreeSet::new();
    for file in files().iter().filter(|file| file.module[0] != "lib") {
        let room = file.module[0].as_str();
        let sees = rooms.get(room).unwrap_or_else(|| panic!("the table has no room {room}"));
        for path in file.paths() {
            let other = path[0].as_str();
            assert!(
                other == room || sees.contains(&other),
                "{} imports {}: {room} does not see {other}",
                file.module.join("::"),
                path.join("::")
            );
            used.insert((room.to_owned(), other.to_owned()));
        }
    }
    for (room, sees) in ROOMS {
        for other in sees {
            let is_used = used.contains(&(room.to_owned(), (*other).to_owned()));
            assert!(is_used, "{room} no longer needs {other}: take it out of the table");
        }
    }
}

#[test]
fn ops_are_named_in_their_own_room() {
    for file in
        files().iter().filter(|file| !["lib", "op", "var"].contains(&file.module[0].as_str()))
    {
        let room = file.module[0].as_str();
        let own = OPS.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, ops)| ops);
        for path in file.paths().iter().filter(|path| path[0] == "op") {
            let name = path.last().expect("a path has a name").as_str();
            let is_type = name.chars().next().is_some_and(char::is_uppercase);
            let is_allowed = !is_type
                || NO_OPS.contains(&name)
                || own.contains(&name)
                || path.contains(&"samples".to_owned());
            assert!(is_allowed, "{} names the op {name}", file.module.join("::"));
        }
    }
}

/// Where `unsafe` may stand, as `docs/architecture.md` says.
const UNSAFE: [&str; 4] =
    ["kernel::gemm", "scalar::micro", "kernel::threads::helpers", "program::native::map"];

#[test]
fn unsafe_stands_in_its_places() {
    let mut places = BTreeSet::new();
    for file in files() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if file.code.split(|c| !is_word(c)).any(|word| word == "unsafe") {
            let module = file.module.join("::");
            let place = UNSAFE.iter().find(|place| module.starts_with(*place));
            places.insert(*place.unwrap_or_else(|| panic!("unsafe code in {module}")));
        }
    }
    assert_eq!(places.len(), UNSAFE.len(), "a place without unsafe code: take it out of the list");
}

/// The file in which the item of a path stands: that of its module, or the one below it from which
/// that passes it on.
fn file_of<'f>(path: &[String], files: &'f [File]) -> Option<&'f File> {
    let module =
        (1..=path.len()).rev().find_map(|len| files.iter().find(|f| f.module == path[..len]))?;
    let Some(name) = path.get(module.module.len()) else { return Some(module) };
    let is_below = |file: &&File| file.module.starts_with(&module.module);
    if module.defines(name) {
        return Some(module);
    }
    files.iter().filter(is_below).find(|file| file.defines(name)).or(Some(module))
}

#[test]
fn files_of_layered_parts_stand_one_above_the_other() {
    let files = files();
    for part in LAYERED {
        let mut sees: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let inside = |file: &&File| {
            let module = file.module.join("::");
            module == part || module.starts_with(&format!("{part}::"))
        };
        for file in files.iter().filter(inside) {
            let others = file.paths().into_iter().filter_map(|path| file_of(&path, &files));
            let others = others.filter(inside).map(|other| other.module.join("::"));
            let own = file.module.join("::");
            let others = others.filter(|other| *other != own).collect();
            sees.insert(own, others);
        }
        assert!(sees.len() > 5, "{part} has files");
        // Whoever sees nobody that is left is taken off, until none is left.
        let lowest = |sees: &BTreeMap<String, BTreeSet<String>>| {
            let sees_none =
                |others: &BTreeSet<String>| !others.iter().any(|o| sees.contains_key(o));
            sees.iter().find(|(_, others)| sees_none(others)).map(|(own, _)| own.clone())
        };
        while let Some(lowest) = lowest(&sees) {
            sees.remove(&lowest);
        }
        assert!(sees.is_empty(), "a circle among these files of {part}: {sees:#?}");
    }
}
