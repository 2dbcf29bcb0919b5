//! The memory that readers take, counted: an allocator of its own, so a test program of its own.

use std::fmt::Write;
use std::fs;

use wengert_nn::data::Table;

/// A table of numbers is read within three times its file: the text, and the numbers of all columns.
#[test]
fn a_table_takes_no_more_than_three_times_its_file() {
    const COLUMNS: usize = 20;
    let mut text = (0..COLUMNS).map(|i| format!("column{i}")).collect::<Vec<_>>().join(",");
    for row in 0..20_000 {
        for column in 0..COLUMNS {
            let mark = if column == 0 { '\n' } else { ',' };
            write!(text, "{mark}{:.6}", (row * COLUMNS + column) as f64 / 7.0).unwrap();
        }
    }
    let path = std::env::temp_dir().join(format!("wengert-table-{}.csv", std::process::id()));
    fs::write(&path, &text).unwrap();
    let info = allocation_counter::measure(|| {
        let table = Table::read(&path).unwrap();
        let names: Vec<String> = (0..COLUMNS).map(|i| format!("column{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let numbers = table.numbers::<f64>(&names).unwrap();
        assert_eq!(numbers.shape()[..], [20_000, COLUMNS]);
    });
    fs::remove_file(&path).unwrap();
    let times = info.bytes_max as f64 / text.len() as f64;
    assert!(times < 3.0, "{times} times the file");
}
