//! What happens to a file: bytes change, parts go, come twice, or are those of another file.

use crate::dice::Dice;

/// Numbers at which arithmetic on lengths goes wrong.
const EXTREMES: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 32,
    1 << 62,
    i64::MAX as u64,
    u64::MAX,
];

/// Digits, for files that say their lengths in words.
const WORDS: [&str; 12] = [
    "0",
    "-1",
    "65536",
    "4294967296",
    "18446744073709551615",
    "1e999",
    "nan",
    "\"",
    "\n",
    ",",
    "]",
    "\u{feff}",
];

/// A seed, damaged in one to eight places. `other` is another seed.
pub(super) fn damaged(seed: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(8) {
        once(&mut bytes, other, dice);
    }
    bytes
}

fn once(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    if bytes.is_empty() {
        return bytes.extend_from_slice(other);
    }
    // Heads decide most, so half of the damage is done to the first 64 bytes.
    let reach = if dice.chance(0.5) { bytes.len().min(64) } else { bytes.len() };
    let place = dice.below(reach);
    let length = 1 + dice.below((bytes.len() - place).min(32));
    match dice.below(9) {
        0 => bytes[place] ^= 1 << dice.below(8),
        1 => bytes[place] = dice.below(256) as u8,
        2 => extreme(&mut bytes[place..], dice),
        3 => bytes.truncate(place),
        4 => drop(bytes.drain(place..place + length)),
        5 => {
            let part = bytes[place..place + length].to_vec();
            bytes.splice(place..place, part);
        }
        6 => {
            let word = dice.pick(&WORDS).bytes();
            let end = place + if dice.chance(0.5) { length.min(word.len()) } else { 0 };
            bytes.splice(place..end, word);
        }
        7 => {
            let from = dice.below(other.len().max(1)).min(other.len());
            bytes.splice(place.., other[from..].iter().copied());
        }
        _ => {
            let (a, b) = (place, dice.below(bytes.len()));
            bytes.swap(a, b);
        }
    }
}

/// Writes an extreme number of 2, 4 or 8 bytes, of either order.
fn extreme(bytes: &mut [u8], dice: &mut Dice) {
    let number = dice.pick(&EXTREMES).to_le_bytes();
    let size = *dice.pick(&[2, 4, 8]);
    let mut number = number[..size].to_vec();
    if dice.chance(0.5) {
        number.reverse();
    }
    bytes.iter_mut().zip(number).for_each(|(byte, new)| *byte = new);
}
