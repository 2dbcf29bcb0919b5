//! Damaged files, for every reader of files: none panics, none takes more memory than its file
//! and the limit of unpacking allow, and what a reader gives is whole.
//!
//! A file that should be right (`seeds`) is damaged in a few places (`damage`). Some damage is then
//! sealed: packed, put into an archive, given the checksum that it should have. Else most of it
//! would end at the checksum, and never see what stands behind.

mod damage;
mod seeds;

use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wengert_core::{Real, Tensor};
use wengert_nn::data::{
    TableFormat, read_cifar, read_cifar100, read_idx, read_idx_labels, read_image, read_text,
};
use wengert_nn::file::limit_unpacked;
use wengert_nn::train::Checkpoint;
use wengert_nn::{FileError, weights};

use crate::dice::Dice;

/// What files may unpack to, in bytes, while they are read here.
const UNPACKED: u64 = 1 << 20;

/// The memory that a reader may take for a byte of its file or of what it unpacks to: numbers of
/// one byte become ones of eight, and are copied into a tensor; cells of tables are strings.
const FOR_A_BYTE: u64 = 64;

/// What any reader may take.
const ANYWAY: u64 = 1 << 20;

type Wrap = fn(&[u8]) -> Vec<u8>;

/// A reader and files for it.
struct Target {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    /// What may be done to a damaged file.
    wraps: &'static [Wrap],
    read: fn(&Path) -> Result<(), FileError>,
}

/// The names of the targets.
pub fn names() -> Vec<&'static str> {
    targets(&std::env::temp_dir()).into_iter().map(|target| target.name).collect()
}

#[rustfmt::skip]
fn targets(folder: &Path) -> Vec<Target> {
    use seeds::*;
    let target = |name, seeds, wraps, read| Target { name, seeds, wraps, read };
    vec![
        target("idx", idx(), &[gzip], |path| whole(&read_idx::<f32>(path)?)),
        target("idx labels", idx(), &[gzip], |path| {
            read_idx_labels(path, 10).map(|labels| assert!(labels.iter().all(|label| *label < 10)))
        }),
        target("cifar", cifar(), &[gzip], |path| {
            read_cifar::<f32>(path, 10).map(|(_, labels)| assert!(labels.iter().all(|label| *label < 10)))?;
            Ok(())
        }),
        target("cifar100", cifar(), &[], |path| read_cifar100::<f64>(path).map(drop)),
        target("text", tables(), &[gzip], |path| read_text(path).map(drop)),
        target("table", tables(), &[gzip], |path| table(TableFormat::new(), path)),
        target("table without names", tables(), &[gzip], |path| {
            table(TableFormat::new().without_names().separator(b';').comments(b'#').missing(["", "nan"]), path)
        }),
        target("png", png(), &[sealed_png], |path| whole(&read_image::<f32>(path)?)),
        target("pnm", pnm(), &[], |path| whole(&read_image::<f64>(path)?)),
        target("jpeg", jpeg(), &[], |path| whole(&read_image::<f32>(path)?)),
        target("npy", npy(folder), &[], |path| whole(&weights::read_npy::<f64>(path)?)),
        target("npy in npz", npy(folder), &[npz], state),
        target("weights", weights_of_networks(folder), &[], state),
        target("checkpoint", checkpoints(folder), &[], checkpoint),
    ]
}

/// A tensor that was read has as many elements as its shape says.
fn whole<T: Real>(tensor: &Tensor<T>) -> Result<(), FileError> {
    assert_eq!(tensor.to_vec().len(), tensor.shape().iter().product::<usize>());
    Ok(())
}

fn state(path: &Path) -> Result<(), FileError> {
    weights::load::<f32>(path)?.values().try_for_each(whole)
}

fn table(format: TableFormat, path: &Path) -> Result<(), FileError> {
    let table = format.read(path)?;
    // What the cells are is another error, of the same kind.
    let numbers = table.numbers::<f64>(&["x"]);
    if let Ok(numbers) = numbers {
        assert_eq!(numbers.shape()[..], [table.len(), 1]);
    }
    Ok(())
}

/// A checkpoint, and if only its checksum is wrong, one with the right one, which the message names.
fn checkpoint(path: &Path) -> Result<(), FileError> {
    let load = || Checkpoint::<f64>::load(path).map(drop);
    let Err(error) = load() else { return Ok(()) };
    let message = error.to_string();
    let sums =
        message.split_once("the checksum ").and_then(|(_, rest)| rest.split_once(", found "));
    let Some((said, found)) = sums else { return Err(error) };
    let (Some(found), true) = (found.get(..8), said.len() == 8) else { return Err(error) };
    let mut bytes = fs::read(path).expect("the file that was written");
    let places: Vec<_> = bytes
        .windows(8)
        .enumerate()
        .filter(|(_, part)| *part == said.as_bytes())
        .map(|(i, _)| i)
        .collect();
    for place in places {
        bytes[place..place + 8].copy_from_slice(found.as_bytes());
    }
    fs::write(path, bytes).expect("a folder that can be written");
    load()
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// From where damage is drawn.
    pub seed: u64,
    /// Files for each reader.
    pub inputs: u64,
    /// The names of the [targets](names) to run, if not all.
    pub targets: Vec<String>,
    /// Where files are written; the one that was read last stays there.
    pub folder: PathBuf,
}

/// What came of a target.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The target.
    pub name: &'static str,
    /// Files that were read.
    pub inputs: u64,
    /// Those that were taken.
    pub taken: u64,
    /// The longest that a file took.
    pub longest: Duration,
    /// The most memory that a file took, in bytes.
    pub memory: u64,
    /// What was wrong first, and the file with which it was.
    pub fault: Option<(String, PathBuf)>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, inputs, taken, longest, memory, fault } = self;
        write!(
            f,
            "{name:<20} {inputs:>8} files, {taken:>7} taken, {:>6.1} ms and {:>6.2} MB at most",
            longest.as_secs_f64() * 1e3,
            *memory as f64 / 1e6
        )?;
        match fault {
            Some((what, path)) => write!(f, "\n    {what}\n    with the file {}", path.display()),
            None => Ok(()),
        }
    }
}

/// Runs the targets, one after the other. `memory` calls a function and gives the most bytes that it held.
///
/// # Panics
/// If the folder can't be written.
pub fn run(
    options: &Options,
    mut memory: impl FnMut(&mut dyn FnMut()) -> u64,
    mut report: impl FnMut(&Outcome),
) -> bool {
    fs::create_dir_all(&options.folder).expect("a folder that can be written");
    limit_unpacked(UNPACKED);
    let mut is_clean = true;
    for (number, target) in targets(&options.folder).into_iter().enumerate() {
        if !options.targets.is_empty() && options.targets.iter().all(|own| own != target.name) {
            continue;
        }
        let outcome = attack(&target, number as u64, options, &mut memory);
        is_clean &= outcome.fault.is_none();
        report(&outcome);
    }
    is_clean
}

fn attack(
    target: &Target,
    number: u64,
    options: &Options,
    memory: &mut impl FnMut(&mut dyn FnMut()) -> u64,
) -> Outcome {
    let path = options.folder.join(target.name.replace(' ', "-"));
    let (longest, memory_at_most) = (Duration::ZERO, 0);
    let mut outcome = Outcome {
        name: target.name,
        inputs: 0,
        taken: 0,
        longest,
        memory: memory_at_most,
        fault: None,
    };
    for input in 0..options.inputs {
        let dice = &mut Dice::of(options.seed.wrapping_add(number << 32), input);
        let (seed, other) = (dice.pick(&target.seeds), dice.pick(&target.seeds));
        // The seeds themselves come first.
        let mut bytes = match target.seeds.get(input as usize) {
            Some(seed) => seed.clone(),
            None => damage::damaged(seed, other, dice),
        };
        if !target.wraps.is_empty() && dice.chance(0.5) {
            bytes = dice.pick(target.wraps)(&bytes);
        }
        fs::write(&path, &bytes).expect("a folder that can be written");
        let start = Instant::now();
        let mut result = None;
        let held =
            memory(&mut || result = Some(catch_unwind(AssertUnwindSafe(|| (target.read)(&path)))));
        outcome.longest = outcome.longest.max(start.elapsed());
        outcome.memory = outcome.memory.max(held);
        outcome.inputs += 1;
        let allowed = ANYWAY
            + FOR_A_BYTE
                * (bytes.len() as u64).max(if bytes.starts_with(&[0x1f, 0x8b]) {
                    UNPACKED
                } else {
                    0
                });
        let fault = match result.expect("a result") {
            Err(panic) => Some(format!("a panic: {}", words(&*panic))),
            Ok(Err(error)) if !error.to_string().starts_with(&*path.to_string_lossy()) => {
                Some(format!("an error that does not name the file: {error}"))
            }
            Ok(_) if held > allowed => Some(format!("{held} bytes for a file of {}", bytes.len())),
            Ok(result) => {
                outcome.taken += u64::from(result.is_ok());
                None
            }
        };
        if let Some(fault) = fault {
            let kept = path.with_extension(format!("{input}"));
            fs::write(&kept, &bytes).expect("a folder that can be written");
            outcome.fault = Some((fault, kept));
            break;
        }
    }
    outcome
}

/// The words of a panic.
fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}
