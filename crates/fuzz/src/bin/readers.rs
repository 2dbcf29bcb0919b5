//! `wengert-fuzz-readers`: reads damaged files with every reader.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use wengert_fuzz::readers::{Options, names, run};

/// Damaged files for every reader of files: none panics, and none takes more memory than its file
/// allows. Ends with 1 if one does; the file is kept.
#[derive(Parser)]
struct Arguments {
    /// From where damage is drawn.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Files for each reader.
    #[arg(long, default_value_t = 1000)]
    inputs: u64,
    /// Only these readers, separated by commas.
    #[arg(long, value_delimiter = ',')]
    readers: Vec<String>,
    /// Where files are written.
    #[arg(long, default_value_os_t = std::env::temp_dir().join("wengert-fuzz-readers"))]
    folder: PathBuf,
}

fn main() -> ExitCode {
    let Arguments { seed, inputs, readers, folder } = Arguments::parse();
    let known = names();
    if let Some(unknown) = readers.iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!("there is no reader `{unknown}`; the readers are {}", known.join(", "));
        return ExitCode::from(2);
    }
    // Panics are caught and told once.
    std::panic::set_hook(Box::new(|_| ()));
    let options = Options { seed, inputs, targets: readers, folder };
    let memory = |read: &mut dyn FnMut()| allocation_counter::measure(read).bytes_max;
    let is_clean = run(&options, memory, |outcome| println!("{outcome}"));
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
