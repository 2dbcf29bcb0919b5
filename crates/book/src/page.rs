//! What a page of the book is made of: fenced blocks of Markdown, and the list of pages.
//!
//! The build script, the tests and the preprocessor read pages by this one module.

/// A fenced block of a page.
#[derive(Debug, PartialEq)]
pub struct Block<'a> {
    /// What stands behind the opening fence: `rust`, `text`, ...
    pub language: &'a str,
    /// The lines between the fences, each with its end.
    pub text: &'a str,
    /// Where `text` begins in the page, in bytes.
    pub start: usize,
    /// The line of the opening fence, from 0.
    pub line: usize,
}

/// The fenced blocks of a page, in order.
///
/// ```
/// let page = "# Title\n\n```rust\nlet x = 1;\n```\n";
/// let blocks = wengert_book::page::blocks(page);
/// assert_eq!((blocks[0].language, blocks[0].text, blocks[0].line), ("rust", "let x = 1;\n", 2));
/// ```
pub fn blocks(page: &str) -> Vec<Block<'_>> {
    let (mut blocks, mut open, mut start) = (Vec::new(), None, 0);
    for (line, text) in page.split_inclusive('\n').enumerate() {
        let end = start + text.len();
        match (open, text.trim_end().strip_prefix("```")) {
            (None, Some(language)) => open = Some((language, end, line)),
            (Some((language, from, line)), Some("")) => {
                blocks.push(Block { language, text: &page[from..start], start: from, line });
                open = None;
            }
            _ => {}
        }
        start = end;
    }
    blocks
}

/// The chapters that `SUMMARY.md` lists, by file; those that stand below another one follow it.
///
/// ```
/// let summary = "# Summary\n\n- [One](one.md)\n  - [Two](two.md)\n- [Three](three.md)\n";
/// assert_eq!(wengert_book::page::chapters(summary), [vec!["one.md", "two.md"], vec!["three.md"]]);
/// ```
pub fn chapters(summary: &str) -> Vec<Vec<&str>> {
    let mut chapters: Vec<Vec<&str>> = Vec::new();
    for line in summary.lines() {
        let Some(file) = line.split_once("](").and_then(|(_, rest)| rest.strip_suffix(')')) else {
            continue;
        };
        match chapters.last_mut() {
            Some(chapter) if line.starts_with(' ') => chapter.push(file),
            _ => chapters.push(vec![file]),
        }
    }
    chapters
}
