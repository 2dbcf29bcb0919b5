//! Extents that surround every constant of every kernel.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// No axis is longer, but for a few long rows. Tiny kernels need no long ones.
pub const LONGEST: usize = if cfg!(feature = "tiny-kernels") { 20 } else { 1100 };

/// The environment's word for [`one_of`].
const VARIABLE: &str = "WENGERT_ONE_OF";

/// Of how many trials one is made: a debug build, which is slow, makes a part of them; one for users makes
/// all, unless the environment says otherwise.
pub fn one_of() -> usize {
    let is_slow = cfg!(debug_assertions) && !cfg!(feature = "tiny-kernels");
    let said = std::env::var(VARIABLE).ok();
    said.map_or(if is_slow { 8 } else { 1 }, |said| {
        let number = said.parse().ok().filter(|&number| number > 0);
        number.unwrap_or_else(|| panic!("{VARIABLE} is a whole number above 0, not {said:?}"))
    })
}

/// Extents at, below and above each constant, its half and its double, and a few others.
/// Constants that count bytes are those of 4 and of 8 for a number.
pub fn around() -> Vec<usize> {
    let mut sizes = BTreeSet::from([0, 1, 2, 3, 5, 7, 300]);
    for (_, size) in wengert_core::sizes() {
        let bytes = if size > LONGEST { &[4, 8][..] } else { &[1] };
        for size in bytes.iter().map(|bytes| size / bytes) {
            sizes.extend([size.saturating_sub(1), size, size + 1]);
        }
    }
    for power in 3..11 {
        sizes.extend([(1 << power) - 1, 1 << power, (1 << power) + 1]);
    }
    sizes.into_iter().filter(|&size| size <= LONGEST).collect()
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("the sources are there").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("sources are text");
            found.push((path.display().to_string(), text));
        }
    }
    found
}

/// A size that nobody knows of is tried by nobody: constants of kernels are declared by
/// `tuned!`, and all of them are listed.
#[test]
fn every_constant_is_known() {
    // They weigh work, or say what a type of number is like.
    const NO_SIZES: [&str; 20] = [
        "TERMS",
        "NEGLIGIBLE",
        "SWEEPS",
        "FEWEST",
        "ELEMENTS_A_NANOSECOND",
        "STEPS_A_NANOSECOND",
        "ROW_ELEMENT",
        "ELEMENT",
        "ANY",
        "PIECES",
        "LOOKS",
        "CLOSED",
        "HELPER",
        "ITERATIONS",
        "GROUP",
        "INDEX",
        "MEMORY",
        "FACTORS",
        "GATHER",
        "NEAR",
    ];
    // Fixed by what they count: operands, points, registers, cache lines.
    const FIXED: [&str; 14] = [
        "MOST_TAPS",
        "SQUARE",
        "MAX_OPERANDS",
        "SHORT_OPERANDS",
        "MOST_MEMBERS",
        "POINTS",
        "VECTORS",
        "MOST",
        "LINE",
        "OPERANDS",
        "BIAS",
        "FRAME",
        "UNPINNED",
        "WIDEST",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut declared = 0;
    for (path, text) in sources(&root) {
        declared += text.matches(", tiny ").count();
        if !path.contains("/kernel/") && !path.contains("/program/") {
            continue;
        }
        for line in text.lines() {
            let Some((before, value)) = line.trim().split_once(": usize = ") else { continue };
            let Some(name) = before.rsplit_once("const ").map(|(_, name)| name) else { continue };
            let is_number = value.starts_with(|c: char| c.is_ascii_digit());
            assert!(
                !is_number || NO_SIZES.contains(&name) || FIXED.contains(&name),
                "{path}: {name} is a size that no test knows; declare it by `tuned!`"
            );
        }
    }
    // One of the matches is the macro's own.
    let listed = wengert_core::sizes().len();
    assert_eq!(listed, declared - 1, "src/lib.rs lists {listed} of {} constants", declared - 1);
}
