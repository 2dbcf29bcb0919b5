//! Where a parameter stands in a model.
//!
//! An optimiser visits every parameter at every step and asks for no name, so a
//! path is a chain of borrowed segments on the stack; only whoever wants the name
//! pays for writing it.

use std::fmt;

/// The place of a module or parameter in a model; displayed as the names from the
/// outside in, with dots between, such as `layers.0.weight`.
///
/// ```
/// use wengert_nn::module::Path;
///
/// let root = Path::root();
/// let layers = root.field("layers");
/// assert_eq!(layers.index(0).field("weight").to_string(), "layers.0.weight");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Path<'a>(Step<'a>);

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// The model itself; its name is empty.
    pub const fn root() -> Self {
        Path(Step::Root)
    }
}

impl<'a> Path<'a> {
    /// The field of a name in what stands here.
    pub fn field(&'a self, name: &'a str) -> Path<'a> {
        Path(Step::Field(self, name))
    }

    /// The element at a position in what stands here.
    pub fn index(&'a self, position: usize) -> Path<'a> {
        Path(Step::Index(self, position))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outer = match self.0 {
            Step::Root => return Ok(()),
            Step::Field(outer, _) | Step::Index(outer, _) => outer,
        };
        if !matches!(outer.0, Step::Root) {
            write!(f, "{outer}.")?;
        }
        match self.0 {
            Step::Root => Ok(()),
            Step::Field(_, name) => f.write_str(name),
            Step::Index(_, position) => write!(f, "{position}"),
        }
    }
}
