//! Tables: files of values between separators, mostly with names of columns in the first line.
//!
//! A table keeps the text of its file and reads the cells when a column is asked for: a cell of
//! two characters would take twenty times its size as a string.

use std::fmt;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Reader, ReaderBuilder, Trim};
use wengert_core::{Real, Tensor};

use crate::FileError;
use crate::file::Source;

/// A table of text, whose columns are read as numbers, labels or categories. Columns are named,
/// or numbered from 0. Blanks around cells do not count.
///
/// ```
/// # let path = std::env::temp_dir().join("wengert-doc-table.csv");
/// # std::fs::write(&path, "length,kind\n1.5,cat\n2.5,dog\n0.5,cat\n").unwrap();
/// use wengert_core::Tensor;
/// use wengert_nn::data::Table;
///
/// let table = Table::read(&path)?; // length,kind / 1.5,cat / 2.5,dog / 0.5,cat
/// let lengths: Tensor<f64> = table.numbers(["length"])?;
/// let (kinds, names) = table.categories("kind")?;
/// assert_eq!((lengths.to_vec(), kinds), (vec![1.5, 2.5, 0.5], vec![0, 1, 0]));
/// assert_eq!(names, ["cat", "dog"]);
/// # Ok::<(), wengert_nn::FileError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    path: PathBuf,
    bytes: Vec<u8>,
    format: TableFormat,
    names: Vec<String>,
    width: usize,
    rows: usize,
}

/// How a table stands in its file: [`Table::read`] wants commas and names.
///
/// ```
/// # let path = std::env::temp_dir().join("wengert-doc-format.csv");
/// # std::fs::write(&path, "# measured in May\n1,5;NA\n2;3\n".replace(",", ".")).unwrap();
/// use wengert_nn::data::TableFormat;
///
/// // # measured in May / 1.5;NA / 2;3
/// let format = TableFormat::new().separator(b';').comments(b'#').without_names();
/// let table = format.missing(["NA"]).read(&path)?;
/// let numbers = table.numbers::<f64>(0..2)?;
/// assert!(numbers.at(&[0, 1]).is_nan());
/// // A rule for what is missing: the mean of the others.
/// let filled = table.numbers_with::<f64>(0..2, |known| known.iter().sum::<f64>() / known.len() as f64)?;
/// assert_eq!(filled.to_vec(), [1.5, 3.0, 2.0, 3.0]);
/// # Ok::<(), wengert_nn::FileError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TableFormat {
    separator: u8,
    comments: Option<u8>,
    /// Whether the first line has names; nothing if the file is to tell.
    named: Option<bool>,
    missing: Vec<String>,
}

impl Default for TableFormat {
    fn default() -> Self {
        Self { separator: b',', comments: None, named: None, missing: Vec::new() }
    }
}

impl TableFormat {
    /// Commas, no comments, names in the first line, and no missing values.
    pub fn new() -> Self {
        Self::default()
    }

    /// With another separator: `b';'`, `b'\t'`.
    pub fn separator(self, separator: u8) -> Self {
        Self { separator, ..self }
    }

    /// Leaves lines out that begin with this.
    pub fn comments(self, mark: u8) -> Self {
        Self { comments: Some(mark), ..self }
    }

    /// Takes the first line for names even if all of them are numbers.
    pub fn with_names(self) -> Self {
        Self { named: Some(true), ..self }
    }

    /// Takes the first line for the first row.
    pub fn without_names(self) -> Self {
        Self { named: Some(false), ..self }
    }

    /// The cells that stand for no number: `["", "NA", "?"]`. [`Table::numbers`] gives NaN for
    /// them, and [`Table::numbers_with`] what a rule says.
    pub fn missing<S: Into<String>>(self, cells: impl IntoIterator<Item = S>) -> Self {
        Self { missing: cells.into_iter().map(Into::into).collect(), ..self }
    }

    /// Reads a table. The file may be compressed by gzip; cells may be quoted.
    ///
    /// # Errors
    /// If there is no such file, it is no UTF-8, it has no line, a line has more or fewer cells
    /// than the first one, or all names are numbers and neither
    /// [`with_names`](Self::with_names) nor [`without_names`](Self::without_names) says what
    /// these are.
    pub fn read(self, path: impl AsRef<Path>) -> Result<Table, FileError> {
        let source = Source::open(path.as_ref())?;
        if source.foreign_kind().is_some() {
            return Err(source.foreign("a table", "a file of another kind"));
        }
        let (path, bytes) = (source.path().to_owned(), source.into_bytes());
        let mut table = Table { path, bytes, format: self, names: Vec::new(), width: 0, rows: 0 };
        let mut lines = table.lines();
        let first = lines.next_row()?.map(|row| row.cells().map(str::to_owned).collect());
        let first: Vec<String> = first.ok_or_else(|| {
            FileError::content(&table.path, 0, "a line of column names", "the end of the file")
        })?;
        let mut rows = 0;
        while let Some(row) = lines.next_row()? {
            if row.record.len() != first.len() {
                let expected = format!("{} cells in line {}", first.len(), row.line);
                return Err(table.error(&row, expected, row.record.len()));
            }
            rows += 1;
        }
        let numbers = first.iter().all(|name| name.parse::<f64>().is_ok());
        match table.format.named {
            None if numbers => {
                let expected = "names of columns in the first line";
                let found = "only numbers: say `TableFormat::new().without_names()` if they are the first row";
                return Err(FileError::content(&table.path, 0, expected, found));
            }
            Some(false) => (table.width, table.rows) = (first.len(), rows + 1),
            _ => (table.width, table.rows, table.names) = (first.len(), rows, first),
        }
        Ok(table)
    }
}

impl Table {
    /// Reads a table with commas and names, as [`TableFormat::read`] does.
    ///
    /// # Errors
    /// As there.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, FileError> {
        TableFormat::new().read(path)
    }

    /// The number of rows, without that of the names.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The names of the columns; none if the file has none.
    pub fn columns(&self) -> &[String] {
        &self.names
    }

    /// The cells of a column.
    ///
    /// # Errors
    /// If there is no such column, or several have its name.
    pub fn text(&self, column: impl Column) -> Result<Vec<String>, FileError> {
        let index = column.of(self)?;
        let mut cells = Vec::with_capacity(self.rows);
        self.for_each_row(|row| {
            cells.push(row.cell(index).to_owned());
            Ok(())
        })?;
        Ok(cells)
    }

    /// Columns of numbers, in the order asked for: of shape `[rows, columns]`. A
    /// [missing](TableFormat::missing) one is NaN.
    ///
    /// ```no_run
    /// # use wengert_core::Tensor;
    /// # use wengert_nn::data::Table;
    /// let table = Table::read("weather.csv")?;
    /// let some: Tensor<f64> = table.numbers(["rain", "wind"])?;
    /// let all: Tensor<f64> = table.numbers(0..table.width())?;
    /// # Ok::<(), wengert_nn::FileError>(())
    /// ```
    ///
    /// # Errors
    /// If a column is not there, several have its name, or a cell holds no finite number.
    pub fn numbers<T: Real>(
        &self,
        columns: impl IntoIterator<Item = impl Column>,
    ) -> Result<Tensor<T>, FileError> {
        self.numbers_with(columns, |_| f64::NAN)
    }

    /// As [`numbers`](Self::numbers), with a rule for missing ones: it is given the numbers of
    /// the column that are there.
    ///
    /// # Errors
    /// As there.
    pub fn numbers_with<T: Real>(
        &self,
        columns: impl IntoIterator<Item = impl Column>,
        rule: impl Fn(&[f64]) -> f64,
    ) -> Result<Tensor<T>, FileError> {
        let indices: Vec<usize> =
            columns.into_iter().map(|column| column.of(self)).collect::<Result<_, _>>()?;
        let mut elements = Vec::with_capacity(self.rows * indices.len());
        let mut missing = Vec::new();
        self.for_each_row(|row| {
            for (place, &index) in indices.iter().enumerate() {
                if self.format.missing.iter().any(|word| word == row.cell(index)) {
                    missing.push((elements.len(), place));
                    elements.push(T::nan());
                } else {
                    let number = self.parsed(row, index, "a number", |x: &f64| x.is_finite())?;
                    elements.push(T::from_f64(number));
                }
            }
            Ok(())
        })?;
        for place in 0..indices.len() {
            let mut own = missing.iter().filter(|(_, column)| *column == place).peekable();
            if own.peek().is_some() {
                let column = elements.iter().skip(place).step_by(indices.len());
                let known: Vec<f64> = column.map(|x| x.as_f64()).filter(|x| !x.is_nan()).collect();
                let value = T::from_f64(rule(&known));
                own.for_each(|(at, _)| elements[*at] = value);
            }
        }
        Ok(Tensor::new([self.rows, indices.len()], elements))
    }

    /// A column of whole numbers below `classes`, which may stand there as `1` or `1.0`.
    ///
    /// # Errors
    /// If there is no such column, several have its name, or a cell holds no such number.
    pub fn labels(&self, column: impl Column, classes: usize) -> Result<Vec<usize>, FileError> {
        let (index, expected) = (column.of(self)?, format!("a label below {classes}"));
        let mut labels = Vec::with_capacity(self.rows);
        self.for_each_row(|row| {
            let is_label = |x: &f64| x.fract() == 0.0 && *x >= 0.0 && *x < classes as f64;
            labels.push(self.parsed(row, index, &expected, is_label)? as usize);
            Ok(())
        })?;
        Ok(labels)
    }

    /// A column of names as numbers: for each row the place of its name among those that
    /// occur, in alphabetical order, and these.
    ///
    /// # Errors
    /// If there is no such column, or several have its name.
    pub fn categories(&self, column: impl Column) -> Result<(Vec<usize>, Vec<String>), FileError> {
        let cells = self.text(column)?;
        let mut names = cells.clone();
        names.sort_unstable();
        names.dedup();
        let place = |cell| names.binary_search(cell).expect("all names are among them");
        let indices = cells.iter().map(place).collect();
        Ok((indices, names))
    }

    /// The lines of the file, that of the names included.
    fn lines(&self) -> Lines<'_> {
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.format.separator)
            .comment(self.format.comments)
            .trim(Trim::All)
            .from_reader(&self.bytes[..]);
        Lines { table: self, reader, record: ByteRecord::new() }
    }

    fn for_each_row(
        &self,
        mut f: impl FnMut(&Row<'_>) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let mut lines = self.lines();
        if !self.names.is_empty() {
            lines.next_row()?;
        }
        while let Some(row) = lines.next_row()? {
            f(&row)?;
        }
        Ok(())
    }

    /// How a message calls a column.
    fn name(&self, index: usize) -> String {
        self.names.get(index).map_or_else(|| format!("{index}"), |name| format!("`{name}`"))
    }

    fn error(
        &self,
        row: &Row<'_>,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> FileError {
        FileError::content(&self.path, row.offset, expected, found)
    }

    fn parsed(
        &self,
        row: &Row<'_>,
        index: usize,
        expected: &str,
        is_valid: impl Fn(&f64) -> bool,
    ) -> Result<f64, FileError> {
        let cell = row.cell(index);
        cell.parse().ok().filter(is_valid).ok_or_else(|| {
            let column = self.name(index);
            let expected = format!("{expected} in line {}, column {column}", row.line);
            let is_missing = cell.is_empty() || cell.parse().is_ok_and(f64::is_nan);
            let hint = if is_missing { ": `TableFormat::missing` takes it for NaN" } else { "" };
            self.error(row, expected, format_args!("`{cell}`{hint}"))
        })
    }
}

/// The lines of a table, one after the other.
struct Lines<'a> {
    table: &'a Table,
    reader: Reader<&'a [u8]>,
    record: ByteRecord,
}

/// A line, and where it stands in the file. Its cells are UTF-8.
struct Row<'a> {
    record: &'a ByteRecord,
    offset: usize,
    line: u64,
}

impl Lines<'_> {
    fn next_row(&mut self) -> Result<Option<Row<'_>>, FileError> {
        let path = &self.table.path;
        let before = self.reader.position().byte() as usize;
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(FileError::content(path, before, "a line of cells", error)),
        }
        let place = self.record.position();
        let (offset, line) = place.map_or((before, 0), |p| (p.byte() as usize, p.line()));
        if let Some(cell) = self.record.iter().find(|cell| str::from_utf8(cell).is_err()) {
            let found = format!("`{}`", String::from_utf8_lossy(cell));
            return Err(FileError::content(path, offset, format!("UTF-8 in line {line}"), found));
        }
        Ok(Some(Row { record: &self.record, offset, line }))
    }
}

impl Row<'_> {
    fn cells(&self) -> impl Iterator<Item = &str> {
        self.record.iter().map(|cell| str::from_utf8(cell).expect("cells are UTF-8"))
    }

    fn cell(&self, index: usize) -> &str {
        str::from_utf8(&self.record[index]).expect("cells are UTF-8")
    }
}

/// What tells a column: its name, or its number from 0.
pub trait Column {
    /// The number of the column.
    ///
    /// # Errors
    /// If there is no such column, or several have the name.
    fn of(&self, table: &Table) -> Result<usize, FileError>;
}

impl Column for usize {
    fn of(&self, table: &Table) -> Result<usize, FileError> {
        if *self < table.width {
            return Ok(*self);
        }
        let found = format!("{} columns", table.width);
        Err(FileError::content(&table.path, 0, format!("a column {self}, from 0"), found))
    }
}

impl Column for str {
    fn of(&self, table: &Table) -> Result<usize, FileError> {
        let indices: Vec<usize> =
            (0..table.names.len()).filter(|&i| table.names[i] == *self).collect();
        let (expected, found) = match (&indices[..], &table.names[..]) {
            (&[place], _) => return Ok(place),
            ([], []) => {
                let found = "columns without names: ask by number, from 0".to_owned();
                (format!("a column `{self}`"), found)
            }
            ([], names) => {
                let mut found = format!("the columns {}", names.join(", "));
                let other = [';', '\t', '|'].into_iter().find(|&mark| names[0].contains(mark));
                if let (1, Some(mark)) = (names.len(), other) {
                    found += &format!(": `TableFormat` takes {mark:?} as separator");
                }
                (format!("a column `{self}`"), found)
            }
            (indices, _) => {
                let found = format!("columns {indices:?} of that name: ask by number");
                (format!("one column `{self}`"), found)
            }
        };
        Err(FileError::content(&table.path, 0, expected, found))
    }
}

impl Column for String {
    fn of(&self, table: &Table) -> Result<usize, FileError> {
        self.as_str().of(table)
    }
}

impl<C: Column + ?Sized> Column for &C {
    fn of(&self, table: &Table) -> Result<usize, FileError> {
        (**self).of(table)
    }
}
