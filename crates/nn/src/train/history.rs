//! What a run has come to, epoch by epoch.

use std::borrow::Cow;
use std::path::Path;

use indexmap::IndexMap;

use super::curves;
use crate::FileError;
use crate::file::replace;

/// A table with a row for each epoch: the rate, the losses and metrics, of training and of
/// validation, such as `train loss` and `validation accuracy`.
///
/// ```
/// use wengert_nn::train::History;
///
/// let mut history = History::default();
/// history.push([("train loss", 2.0), ("validation loss", 2.5)]);
/// history.push([("train loss", 1.0), ("validation loss", 2.75)]);
/// assert_eq!((history.epochs(), history.last("train loss")), (2, Some(1.0)));
/// assert_eq!(history.to_csv(), "epoch,train loss,validation loss\n1,2,2.5\n2,1,2.75\n");
/// ```
#[derive(Clone, Debug, Default)]
pub struct History {
    epochs: usize,
    /// One number an epoch; NaN where there was none.
    columns: IndexMap<String, Vec<f64>>,
    /// The epoch that pictures mark.
    marked: Option<usize>,
}

impl History {
    /// Adds an epoch.
    pub fn push<'a>(&mut self, row: impl IntoIterator<Item = (&'a str, f64)>) {
        for (name, value) in row {
            let column = self.columns.entry(name.to_owned()).or_default();
            column.resize(self.epochs, f64::NAN);
            column.push(value);
        }
        self.epochs += 1;
        self.columns.values_mut().for_each(|column| column.resize(self.epochs, f64::NAN));
    }

    /// The number of epochs.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// The columns and their names.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.columns.iter().map(|(name, column)| (&**name, &**column))
    }

    /// A column: a number for each epoch.
    pub fn column(&self, name: &str) -> Option<&[f64]> {
        self.columns.get(name).map(|column| &**column)
    }

    /// A column's number in the last epoch.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.column(name)?.last().copied()
    }

    /// Marks an epoch, from 0, in pictures: the best one, which a [`Trainer`](super::Trainer) marks
    /// if it [keeps](super::Trainer::keep_best) that.
    pub fn mark(&mut self, epoch: Option<usize>) {
        self.marked = epoch;
    }

    /// The epoch that is marked.
    pub fn marked(&self) -> Option<usize> {
        self.marked
    }

    /// The table as text, with commas between values, which are written with as many
    /// digits as they have. Names with commas, quotes or line ends are quoted (RFC 4180), as
    /// [`Table`](crate::data::Table) reads them. Where an epoch has no number (NaN), the cell is
    /// empty: [`TableFormat::missing`](crate::data::TableFormat::missing) with `[""]` reads it.
    pub fn to_csv(&self) -> String {
        let names = self.columns.keys().map(|name| format!(",{}", quoted(name)));
        let mut text = format!("epoch{}\n", names.collect::<String>());
        for epoch in 0..self.epochs {
            let cells = self.columns.values().map(|column| match column[epoch] {
                number if number.is_nan() => ",".to_owned(),
                number => format!(",{number}"),
            });
            text += &format!("{}{}\n", epoch + 1, cells.collect::<String>());
        }
        text
    }

    /// The curves as a picture (SVG): a panel for each metric, training and validation
    /// in one.
    pub fn to_svg(&self) -> String {
        curves::svg(self)
    }

    /// Writes the table or the curves to a file: the curves if its name ends in `svg`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        let path = path.as_ref();
        let is_svg = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("svg"));
        let text = if is_svg { self.to_svg() } else { self.to_csv() };
        replace(path, text.as_bytes())
    }
}

/// A cell of a table as text.
fn quoted(cell: &str) -> Cow<'_, str> {
    if !cell.contains([',', '"', '\n', '\r']) {
        return cell.into();
    }
    format!("\"{}\"", cell.replace('"', "\"\"")).into()
}

/// Which epoch of a run is the best, and how long to wait for a better one.
///
/// It is a function of the history alone, so that a run that is resumed decides as one
/// that was never interrupted.
#[derive(Clone, Debug)]
pub struct Best {
    column: String,
    lowest: bool,
    patience: Option<usize>,
    min_delta: f64,
}

impl Best {
    /// The epoch with the lowest number in a column, such as `validation loss`.
    pub fn lowest(column: &str) -> Self {
        Self { column: column.to_owned(), lowest: true, patience: None, min_delta: 0.0 }
    }

    /// The epoch with the highest number in a column, such as `validation accuracy`.
    pub fn highest(column: &str) -> Self {
        Self { lowest: false, ..Self::lowest(column) }
    }

    /// Stops the run after `epochs` epochs in a row that were no better.
    #[must_use]
    pub fn patience(self, epochs: usize) -> Self {
        Self { patience: Some(epochs), ..self }
    }

    /// Takes an epoch for better only if it is so by more than this.
    ///
    /// # Panics
    /// If it is negative or NaN.
    #[must_use]
    #[track_caller]
    pub fn min_delta(self, delta: f64) -> Self {
        assert!(delta >= 0.0, "expected a least improvement of 0 or more, got {delta}");
        Self { min_delta: delta, ..self }
    }

    /// The best epoch, counted from 0: of equal ones the first. NaN is never best.
    ///
    /// # Panics
    /// If the history has columns, but not this one.
    #[track_caller]
    pub fn epoch(&self, history: &History) -> Option<usize> {
        let column = history.column(&self.column);
        if column.is_none() && !history.columns.is_empty() {
            let names: Vec<&str> = history.columns().map(|(name, _)| name).collect();
            panic!("there is no `{}` in the history, which has {}", self.column, names.join(", "));
        }
        let better = |x: f64, y: f64| {
            let gain = if self.lowest { y - x } else { x - y };
            // Of two infinities none is better.
            gain > self.min_delta
        };
        let values = column.unwrap_or_default().iter().copied().enumerate();
        let best = values
            .filter(|(_, x)| !x.is_nan())
            .reduce(|best, next| if better(next.1, best.1) { next } else { best });
        best.map(|(epoch, _)| epoch)
    }

    /// Which epoch is the best, in words.
    pub(super) fn criterion(&self) -> String {
        let extreme = if self.lowest { "lowest" } else { "highest" };
        match self.min_delta {
            0.0 => format!("{extreme} {}", self.column),
            delta => format!("{extreme} {} by {delta}", self.column),
        }
    }

    /// That a run with or without validation will have the column.
    ///
    /// # Panics
    /// If it will not.
    #[track_caller]
    pub(super) fn check(&self, validates: bool) {
        let is_of =
            |phase: &str| self.column.strip_prefix(phase).is_some_and(|rest| !rest.is_empty());
        let column = &self.column;
        assert!(
            column == "rate" || is_of("train ") || is_of("validation "),
            "a history has the columns `rate`, `train ...` and `validation ...`, and no `{column}`"
        );
        assert!(
            validates || !is_of("validation "),
            "the best epoch is to be told by `{column}`, and there is no loader for validation"
        );
    }

    /// Whether the patience is spent.
    pub(super) fn is_over(&self, history: &History) -> bool {
        let since = self.epoch(history).map_or(0, |best| best + 1);
        self.patience.is_some_and(|patience| history.epochs() - since >= patience.max(1))
    }
}
