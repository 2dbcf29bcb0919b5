//! Tables: files of values separated by commas, with names of columns in the first line.

use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder};
use wengert_core::{Real, Tensor};

use crate::FileError;
use crate::file::Source;

/// A table of text, whose columns are read as numbers, labels or categories.
///
/// ```
/// # let path = std::env::temp_dir().join("wengert-doc-table.csv");
/// # std::fs::write(&path, "length,kind\n1.5,cat\n2.5,dog\n0.5,cat\n").unwrap();
/// use wengert_core::Tensor;
/// use wengert_nn::data::Table;
///
/// let table = Table::read(&path)?; // length,kind / 1.5,cat / 2.5,dog / 0.5,cat
/// let lengths: Tensor<f64> = table.numbers(&["length"])?;
/// let (kinds, names) = table.categories("kind")?;
/// assert_eq!((lengths.to_vec(), kinds), (vec![1.5, 2.5, 0.5], vec![0, 1, 0]));
/// assert_eq!(names, ["cat", "dog"]);
/// # Ok::<(), wengert_nn::FileError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    path: PathBuf,
    columns: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    cells: Vec<String>,
    /// Where it stands in the file.
    offset: usize,
    line: u64,
}

impl Table {
    /// Reads a table. The file may be compressed by gzip; cells may be quoted.
    ///
    /// # Errors
    /// If there is no such file, it is no UTF-8, it has no line of names, or a line has
    /// more or fewer cells than that.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let source = Source::open(path.as_ref())?;
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).from_reader(source.bytes());
        let (mut record, mut rows) = (ByteRecord::new(), Vec::<Row>::new());
        loop {
            let (offset, line) = (reader.position().byte() as usize, reader.position().line());
            let more = reader.read_byte_record(&mut record);
            match more {
                Ok(false) => break,
                Err(error) => return Err(source.error_at(offset, "a line of cells", error)),
                Ok(true) => {}
            }
            let place = record.position().map_or((offset, line), |p| (p.byte() as usize, p.line()));
            let (offset, line) = place;
            if let Some(first) = rows.first()
                && first.cells.len() != record.len()
            {
                let expected = format!("{} cells in line {line}", first.cells.len());
                return Err(source.error_at(offset, expected, record.len()));
            }
            let cell = |cell: &[u8]| {
                String::from_utf8(cell.to_vec()).map_err(|_| {
                    let found = String::from_utf8_lossy(cell);
                    source.error_at(offset, format!("UTF-8 in line {line}"), format!("`{found}`"))
                })
            };
            let cells = record.iter().map(cell).collect::<Result<_, _>>()?;
            rows.push(Row { cells, offset, line });
        }
        if rows.is_empty() {
            return Err(source.error("a line of column names", "the end of the file"));
        }
        let columns = rows.remove(0).cells;
        Ok(Self { path: source.path().to_owned(), columns, rows })
    }

    /// The number of rows, that of the names left out.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The cells of a column.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn text(&self, column: &str) -> Result<Vec<&str>, FileError> {
        let index = self.column(column)?;
        Ok(self.rows.iter().map(|row| &*row.cells[index]).collect())
    }

    /// Columns of numbers, in the order asked for: of shape `[rows, columns]`.
    ///
    /// # Errors
    /// If a column is missing, or a cell holds no finite number.
    pub fn numbers<T: Real>(&self, columns: &[impl AsRef<str>]) -> Result<Tensor<T>, FileError> {
        let names = columns.iter().map(|column| self.column(column.as_ref()));
        let indices = names.collect::<Result<Vec<usize>, _>>()?;
        let mut elements = Vec::with_capacity(self.len() * indices.len());
        for row in &self.rows {
            for &index in &indices {
                let number = self.parsed(row, index, "a number", |x: &f64| x.is_finite())?;
                elements.push(T::from_f64(number));
            }
        }
        Ok(Tensor::new([self.len(), indices.len()], elements))
    }

    /// A column of whole numbers below `classes`.
    ///
    /// # Errors
    /// If there is no such column, or a cell holds no such number.
    pub fn labels(&self, column: &str, classes: usize) -> Result<Vec<usize>, FileError> {
        let (index, expected) = (self.column(column)?, format!("a label below {classes}"));
        let label = |row| self.parsed(row, index, &expected, |&label: &usize| label < classes);
        self.rows.iter().map(label).collect()
    }

    /// A column of names as numbers: for each row the place of its name among those that
    /// occur, in alphabetical order, and these.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn categories(&self, column: &str) -> Result<(Vec<usize>, Vec<String>), FileError> {
        let cells = self.text(column)?;
        let mut names = cells.clone();
        names.sort_unstable();
        names.dedup();
        let place = |cell| names.binary_search(&cell).expect("all names are among them");
        let places = cells.into_iter().map(place).collect();
        Ok((places, names.into_iter().map(str::to_owned).collect()))
    }

    fn column(&self, name: &str) -> Result<usize, FileError> {
        self.columns.iter().position(|column| column == name).ok_or_else(|| {
            let found = format!("the columns {}", self.columns.join(", "));
            FileError::content(&self.path, 0, format!("a column `{name}`"), found)
        })
    }

    fn parsed<X: std::str::FromStr>(
        &self,
        row: &Row,
        index: usize,
        expected: &str,
        is_valid: impl Fn(&X) -> bool,
    ) -> Result<X, FileError> {
        let cell = row.cells[index].trim();
        cell.parse().ok().filter(is_valid).ok_or_else(|| {
            let expected =
                format!("{expected} in line {}, column `{}`", row.line, self.columns[index]);
            FileError::content(&self.path, row.offset, expected, format!("`{cell}`"))
        })
    }
}
