//! The book of `docs/book`: its pages are programs, and its formulas MathML.
//!
//! Each chapter is one program: the build script joins the Rust of a page, and of the pages below it, and a
//! test runs it. What a program prints has to be what stands in the page. The binary is the preprocessor that
//! `mdbook` calls for formulas, so that a reader needs `mdbook` and nothing else.

pub mod formulas;
pub mod page;
