//! A small writer of JSON: reports are trees of a few kinds of values.

use std::fmt::Write;

/// A value to write.
pub(crate) enum Json {
    Null,
    Bool(bool),
    Count(usize),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
    /// An object with names that are only known at run time.
    Map(Vec<(String, Json)>),
}

impl Json {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn list<X>(items: impl IntoIterator<Item = X>, f: impl Fn(X) -> Json) -> Self {
        Self::List(items.into_iter().map(f).collect())
    }

    /// The value, or null for none.
    pub(crate) fn option<X>(item: Option<X>, f: impl FnOnce(X) -> Json) -> Self {
        item.map_or(Self::Null, f)
    }

    pub(crate) fn write(&self) -> String {
        let mut text = String::new();
        self.append(&mut text);
        text
    }

    fn append(&self, out: &mut String) {
        match self {
            Self::Bool(value) => *out += &value.to_string(),
            Self::Count(count) => *out += &count.to_string(),
            // JSON has no infinities.
            Self::Number(x) if x.is_finite() => *out += &format!("{x:e}"),
            Self::Number(_) | Self::Null => *out += "null",
            Self::Text(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    *out += if i > 0 { "," } else { "" };
                    item.append(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                append_fields(out, fields.iter().map(|(name, value)| (*name, value)));
            }
            Self::Map(fields) => {
                append_fields(out, fields.iter().map(|(name, value)| (&**name, value)));
            }
        }
    }
}

fn append_fields<'a>(out: &mut String, fields: impl Iterator<Item = (&'a str, &'a Json)>) {
    out.push('{');
    for (i, (name, value)) in fields.enumerate() {
        *out += if i > 0 { "," } else { "" };
        quote(name, out);
        out.push(':');
        value.append(out);
    }
    out.push('}');
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => *out += "\\\"",
            '\\' => *out += "\\\\",
            '\n' => *out += "\\n",
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
