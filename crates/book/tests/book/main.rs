//! Every chapter of the book runs and prints what it shows; links lead somewhere; formulas are formulas.
//!
//! `WENGERT_WRITE_DOCS=1` writes what a program prints into its page.

mod figures;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use wengert_book::{formulas, page};

thread_local! {
    /// What the program of this thread has printed since its last look.
    static PRINTED: RefCell<String> = const { RefCell::new(String::new()) };
}

// In the chapters, these stand in place of those of the standard library.
macro_rules! print {
    ($($argument:tt)*) => { crate::PRINTED.with_borrow_mut(|printed| *printed += &format!($($argument)*)) };
}
macro_rules! println {
    () => { print!("\n") };
    ($($argument:tt)*) => {{ print!($($argument)*); print!("\n"); }};
}

#[allow(dead_code, unused_imports)]
mod chapters {
    include!(concat!(env!("OUT_DIR"), "/chapters.rs"));
}

fn book() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/book/src")
}

fn read(file: &str) -> String {
    fs::read_to_string(book().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Compares what was printed with a block of a page.
#[track_caller]
fn printed(file: &str, block: usize) {
    let text = PRINTED.take();
    let text: String =
        text.trim_end().lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let content = read(file);
    let block = &page::blocks(&content)[block];
    if text == block.text {
        return;
    }
    if env::var_os("WENGERT_WRITE_DOCS").is_some() {
        let end = block.start + block.text.len();
        let content = [&content[..block.start], &text, &content[end..]].concat();
        fs::write(book().join(file), content).expect("the page can be written");
        return;
    }
    let line = block.line + 1;
    panic!("docs/book/src/{file}:{line} shows\n{}but its program printed\n{text}", block.text);
}

/// Nothing may have been printed that no page shows.
#[track_caller]
fn end() {
    let rest = PRINTED.take();
    assert!(rest.is_empty(), "printed after the last block of the chapter:\n{rest}");
}

/// All pages, by their path in the book.
fn pages() -> BTreeSet<String> {
    fn walk(folder: &Path, root: &Path, into: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder of the book") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, root, into);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let inside = path.strip_prefix(root).expect("it is inside");
                into.insert(inside.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    let mut pages = BTreeSet::new();
    walk(&book(), &book(), &mut pages);
    pages
}

#[test]
fn every_page_is_a_chapter() {
    let summary = read("SUMMARY.md");
    let mut listed: BTreeSet<String> =
        page::chapters(&summary).concat().into_iter().map(str::to_owned).collect();
    listed.insert("SUMMARY.md".to_owned());
    assert_eq!(listed, pages());
}

#[test]
fn each_chapter_ends_with_a_trace() {
    let summary = read("SUMMARY.md");
    for chapter in page::chapters(&summary) {
        // The pages of the reference are included from elsewhere.
        let Some(last) = chapter.last().filter(|file| !file.starts_with("reference/")) else {
            continue;
        };
        assert!(read(last).contains("\n## The trace"), "{last} has no section on the trace");
    }
}

/// Targets of links and pictures outside of code.
fn links(content: &str) -> Vec<String> {
    let mut text = content.to_owned();
    for block in page::blocks(content) {
        text = text.replace(block.text, "");
    }
    let parts = text.split("](").skip(1);
    parts.filter_map(|part| Some(part.split_once(')')?.0.to_owned())).collect()
}

#[test]
fn links_lead_to_files_and_none_out_of_the_house() {
    let mut count = 0;
    for file in pages() {
        let folder = book().join(&file).parent().expect("a page is in a folder").to_owned();
        let mut content = read(&file);
        // A page of `docs` that is included: its links to other pages stay in the book, and those to
        // sources lead out of it.
        let included =
            content.strip_prefix("{{#include ").and_then(|rest| rest.trim_end().strip_suffix("}}"));
        let included = included.map(|path| folder.join(path));
        if let Some(page) = &included {
            content = fs::read_to_string(page).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        let docs = included.as_ref().and_then(|page| page.parent());
        for link in links(&content) {
            // The page about GradBench says where that is; it loads nothing from there.
            if link.starts_with("https://github.com/gradbench/") {
                continue;
            }
            assert!(!link.contains("://"), "{file}: {link}");
            let path = link.split('#').next().expect("a first part");
            let from = docs.filter(|_| path.starts_with("../")).unwrap_or(&folder);
            assert!(
                path.is_empty() || from.join(path).exists(),
                "{file}: there is no {link}; pages of docs are included in docs/book/src/reference"
            );
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn figures_are_what_is_drawn() {
    for (file, drawn) in [
        ("ad/first_example.svg", figures::first_example()),
        ("paper/network.svg", figures::network()),
    ] {
        if env::var_os("WENGERT_WRITE_DOCS").is_some() {
            fs::write(book().join(file), &drawn).expect("the figure can be written");
        }
        assert!(
            read(file) == drawn,
            "docs/book/src/{file} is another figure than what is drawn now"
        );
    }
}

#[test]
fn snippets_fit_a_page() {
    for file in pages() {
        let content = read(&file);
        for block in page::blocks(&content).iter().filter(|block| block.language == "rust") {
            let wide = block.text.lines().find(|line| line.chars().count() > 96);
            assert_eq!(wide, None, "{file}: wider than 96 characters");
        }
    }
}

#[test]
fn formulas_are_understood() {
    for file in pages() {
        formulas::render(&read(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

/// The addresses from which a page would load something.
fn loaded(html: &str) -> Vec<&str> {
    let marks = ["src=\"", "<link href=\"", "url(", "@import "];
    let parts = marks.iter().flat_map(|mark| html.split(mark).skip(1));
    let addresses = parts.map(|part| &part[..part.find(['"', ')', '\n', ' ']).unwrap_or(0)]);
    addresses.filter(|address| address.contains("//")).collect()
}

#[test]
fn the_built_book_asks_for_nothing_from_elsewhere() {
    if Command::new("mdbook").arg("--version").output().is_err() {
        eprintln!("skipped: there is no mdbook on this machine");
        return;
    }
    let out = env::temp_dir().join(format!("wengert-book-{}", std::process::id()));
    // The preprocessor as it is built for this test: `mdbook` would call cargo, which waits for this test.
    let built = Command::new("mdbook")
        .args(["build", "--dest-dir"])
        .arg(&out)
        .arg(book().join(".."))
        .env("MDBOOK_PREPROCESSOR__FORMULAS__COMMAND", env!("CARGO_BIN_EXE_wengert-book"))
        .output()
        .expect("mdbook runs");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success() && !said.contains("WARN"), "{said}");
    for file in pages().into_iter().filter(|file| file != "SUMMARY.md") {
        let name = file.replace(".md", ".html");
        let html =
            fs::read_to_string(out.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(loaded(&html), Vec::<&str>::new(), "{name}");
        assert_eq!(read(&file).contains('$'), html.contains("<math"), "{name}");
    }
    fs::remove_dir_all(&out).ok();
}
