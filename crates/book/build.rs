//! Writes a test for each chapter of the book: the Rust of its pages, joined, and after it what was printed.
//!
//! Lines keep their numbers where a chapter is one page, so that a compiler's message leads to the page.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

#[path = "src/page.rs"]
#[allow(dead_code)]
mod page;

fn main() {
    let book = Path::new("../../docs/book/src");
    println!("cargo::rerun-if-changed={}", book.display());
    println!("cargo::rerun-if-changed=src/page.rs");
    let out = env::var("OUT_DIR").expect("cargo names it");
    let summary = fs::read_to_string(book.join("SUMMARY.md")).expect("the book has a SUMMARY.md");
    let mut modules = String::new();
    for files in page::chapters(&summary) {
        let name = files[0].trim_end_matches(".md").replace(['/', '-'], "_");
        let read = |file| {
            fs::read_to_string(book.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
        };
        let pages: Vec<String> = files.iter().map(read).collect();
        // A page that includes another one has no program.
        if pages.iter().all(|text| page::blocks(text).is_empty()) {
            continue;
        }
        let mut program = format!("#[test] fn {name}() {{");
        for (file, text) in files.iter().zip(&pages) {
            append(&mut program, file, text);
        }
        program.push_str("crate::end(); }\n");
        let path = Path::new(&out).join(format!("{name}.rs"));
        fs::write(&path, program).expect("the folder can be written to");
        writeln!(modules, "include!({path:?});").expect("a string");
    }
    fs::write(Path::new(&out).join("chapters.rs"), modules).expect("the folder can be written to");
}

/// A line of the program for each line of the page: code, a look at what was printed, or nothing.
fn append(program: &mut String, file: &str, text: &str) {
    let mut lines = vec![String::new(); text.lines().count()];
    for (i, block) in page::blocks(text).iter().enumerate() {
        match block.language {
            "rust" => {
                for (line, code) in block.text.lines().enumerate() {
                    lines[block.line + 1 + line] = code.to_owned();
                }
            }
            "text" => lines[block.line] = format!("crate::printed(\"{file}\", {i});"),
            _ => {}
        }
    }
    program.push_str(&lines.join("\n"));
    program.push('\n');
}
