//! Tables: what they read, and what they say.

use wengert_core::Tensor;
use wengert_nn::data::{Table, TableFormat, read_text};

use crate::files::{file, message, packed};

#[test]
fn tables() {
    let content = "x,name,\"y, z\"\n1,\"a, b\",-2.5\n3e2,c,0\n";
    let table = Table::read(file("table.csv", &packed(content.as_bytes()))).unwrap();
    assert_eq!((table.len(), table.columns()), (2, &["x", "name", "y, z"].map(str::to_owned)[..]));
    let numbers: Tensor<f64> = table.numbers(["y, z", "x"]).unwrap();
    assert_eq!(numbers, Tensor::from([[-2.5, 1.0], [0.0, 300.0]]));
    assert_eq!(table.text("name").unwrap(), ["a, b", "c"]);

    let read = |content: &str| Table::read(file("table-wrong.csv", content.as_bytes()));
    let wrong = |content: &str| message(read(content));
    assert_eq!(wrong(""), "at byte 0: expected a line of column names, found the end of the file");
    assert_eq!(wrong("a,b\n1,2\n3\n"), "at byte 8: expected 2 cells in line 3, found 1");
    let numbers = |content: &str| message(read(content).unwrap().numbers::<f32>(["b"]));
    assert_eq!(numbers("a\n1\n"), "at byte 0: expected a column `b`, found the columns a");
    let hint = ": `TableFormat::missing` takes it for NaN";
    for (cell, found) in [
        ("", format!("``{hint}")),
        ("two", "`two`".to_owned()),
        ("NaN", format!("`NaN`{hint}")),
        ("inf", "`inf`".to_owned()),
    ] {
        let expected = "at byte 8: expected a number in line 3, column `b`, found ";
        assert_eq!(numbers(&format!("a,b\n1,2\n3,{cell}\n")), format!("{expected}{found}"));
    }
    let labels = message(read("a\n1\n4\n").unwrap().labels("a", 4));
    assert_eq!(labels, "at byte 4: expected a label below 4 in line 3, column `a`, found `4`");
}

#[test]
fn the_first_line_may_be_a_row() {
    let path = file("rows.csv", b"1,2,0\n3,4.5,1.0\n");
    let refused = message(Table::read(&path));
    assert_eq!(
        refused,
        "at byte 0: expected names of columns in the first line, found only numbers: say \
         `TableFormat::new().without_names()` if they are the first row"
    );
    let table = TableFormat::new().without_names().read(&path).unwrap();
    assert_eq!((table.len(), table.width(), table.columns().len()), (2, 3, 0));
    let numbers: Tensor<f64> = table.numbers(0..2).unwrap();
    assert_eq!(numbers, Tensor::from([[1.0, 2.0], [3.0, 4.5]]));
    assert_eq!(table.labels(2, 2).unwrap(), [0, 1]);
    assert_eq!(
        message(table.numbers::<f64>(["x"])),
        "at byte 0: expected a column `x`, found columns without names: ask by number, from 0"
    );
    assert_eq!(
        message(table.numbers::<f64>([3])),
        "at byte 0: expected a column 3, from 0, found 3 columns"
    );
    let years = TableFormat::new().with_names().read(&path).unwrap();
    assert_eq!(years.numbers::<f64>(["2"]).unwrap().to_vec(), [4.5]);
}

#[test]
fn names_that_several_columns_have() {
    let table = Table::read(file("twice.csv", b"a,b,a\n1,2,3\n")).unwrap();
    assert_eq!(
        message(table.numbers::<f64>(["a"])),
        "at byte 0: expected one column `a`, found columns [0, 2] of that name: ask by number"
    );
    assert_eq!(table.numbers::<f64>([0, 2]).unwrap().to_vec(), [1.0, 3.0]);
    assert_eq!(table.numbers::<f64>(["b"]).unwrap().to_vec(), [2.0]);
}

#[test]
fn separators_comments_and_blanks() {
    let content = b"# a comment\nx ; kind\n 1 ;\" cat\"\n# another\n2;cat \n";
    let path = file("separated.csv", content);
    let table = TableFormat::new().separator(b';').comments(b'#').read(&path).unwrap();
    assert_eq!(table.numbers::<f64>(["x"]).unwrap().to_vec(), [1.0, 2.0]);
    assert_eq!(table.categories("kind").unwrap(), (vec![0, 0], vec!["cat".to_owned()]));
    let other = Table::read(file("semicolons.csv", b"x;y\n1;2\n")).unwrap();
    assert_eq!(
        message(other.numbers::<f64>(["x"])),
        "at byte 0: expected a column `x`, found the columns x;y: `TableFormat` takes ';' as separator"
    );
}

#[test]
fn what_is_missing() {
    let path = file("missing.csv", b"a,b\n1,\n,4\n3,NA\n");
    let table = TableFormat::new().missing(["", "NA"]).read(&path).unwrap();
    let numbers: Tensor<f64> = table.numbers(["a", "b"]).unwrap();
    let is_missing: Vec<bool> = numbers.iter().map(f64::is_nan).collect();
    assert_eq!(is_missing, [false, true, true, false, false, true]);
    let least = |known: &[f64]| known.iter().copied().fold(f64::INFINITY, f64::min);
    let filled: Tensor<f64> = table.numbers_with(["a", "b"], least).unwrap();
    assert_eq!(filled, Tensor::from([[1.0, 4.0], [1.0, 4.0], [3.0, 4.0]]));
    assert!(message(table.labels("a", 4)).contains("found ``"));
}

#[test]
fn labels_may_be_written_as_floats() {
    let table = Table::read(file("labels.csv", b"y\n0.0\n2\n1.5\n")).unwrap();
    assert_eq!(
        message(table.labels("y", 3)),
        "at byte 8: expected a label below 3 in line 4, column `y`, found `1.5`"
    );
    let table = Table::read(file("labels.csv", b"y\n0.0\n2\n1e0\n")).unwrap();
    assert_eq!(table.labels("y", 3).unwrap(), [0, 2, 1]);
}

#[test]
fn byte_order_marks_are_no_text() {
    let table = Table::read(file("mark.csv", "\u{feff}x\n1\n".as_bytes())).unwrap();
    assert_eq!(table.numbers::<f64>(["x"]).unwrap().to_vec(), [1.0]);
    assert_eq!(read_text(file("mark.txt", "\u{feff}x".as_bytes())).unwrap(), "x");
}
