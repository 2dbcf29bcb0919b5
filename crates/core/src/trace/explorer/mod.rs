//! The explorer: a trace as one page that needs nothing else, neither a network nor a server.
//!
//! Its style and its scripts are the files beside this one; they are put together here, with the trace as
//! JSON, the lines of source around those that recorded it, and the [graph](Trace::to_svg).

use std::collections::BTreeMap;

use super::Trace;
use super::source::Sources;
use crate::json::Json;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPTS: [&str; 4] = [
    include_str!("evaluate.js"),
    include_str!("sweeps.js"),
    include_str!("view.js"),
    include_str!("main.js"),
];

/// Lines of source that are shown around those of the trace, and the most of a file.
const AROUND: usize = 6;
const MOST: usize = 400;

impl Trace {
    /// The trace as a page to explore in a browser: one step after another through both sweeps, the sum
    /// over the uses of each value, the source beside it, heat maps of tensors. Of a tape of single
    /// numbers, inputs can be changed there. The page is one file and asks for nothing else. The list
    /// holds rows by the ten thousand.
    ///
    /// ```
    /// # use wengert_core::{Tensor, trace};
    /// let page = trace(|x| x.sin() * x, &Tensor::from(2.0)).to_html("A product");
    /// assert!(page.contains("<title>A product</title>"));
    /// // std::fs::write("trace.html", page)?;
    /// ```
    pub fn to_html(&self, title: &str) -> String {
        let sources = Json::Map(self.excerpts());
        let data = self.json(vec![("sources", sources)]).write();
        let parts = [
            ("title", super::graph::escaped(title)),
            ("style", STYLE.to_owned()),
            ("graph", self.to_svg()),
            // What ends a script in HTML is no end within a string of JSON.
            ("data", data.replace("</", "<\\/").replace("<!--", "<\\u0021--")),
            ("script", SCRIPTS.join("\n")),
        ];
        let mut page = String::new();
        let mut rest = PAGE;
        // What is put in is not searched again.
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").expect("a name ends");
            page += before;
            page += &parts.iter().find(|(part, _)| *part == name).expect("a known part").1;
            rest = after;
        }
        page + rest
    }

    /// Of each file, the lines around those that recorded rows.
    fn excerpts(&self) -> Vec<(String, Json)> {
        let mut range: BTreeMap<&'static str, [usize; 2]> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.source.is_some()) {
            let line = row.line as usize;
            let [first, last] = range.entry(row.file).or_insert([line, line]);
            (*first, *last) = ((*first).min(line), (*last).max(line));
        }
        let mut sources = Sources::default();
        let excerpt = |(file, [first, last]): (&'static str, [usize; 2])| {
            let first = first.saturating_sub(AROUND).max(1);
            let lines = (first..=last + AROUND).take(MOST);
            let lines = lines.map_while(|line| sources.line(file, line as u32));
            let fields =
                vec![("first", Json::Count(first)), ("lines", Json::list(lines, Json::Text))];
            (file.to_owned(), Json::Object(fields))
        };
        range.into_iter().map(excerpt).collect()
    }
}
