//! The inputs of the workloads: numbers from an integer hash of their index, so
//! that a program in any language can build the same bits.

/// A number in [-1, 1) for an index and a seed.
pub fn hash(index: u32, seed: u32) -> f64 {
    let mut z = index.wrapping_mul(0x9E37_79B1).wrapping_add(seed.wrapping_mul(0x85EB_CA6B));
    z ^= z >> 15;
    z = z.wrapping_mul(0x2C1B_3C6D);
    z ^= z >> 12;
    z = z.wrapping_mul(0x297A_2D39);
    z ^= z >> 15;
    f64::from(z) / 2_147_483_648.0 - 1.0
}

/// The first `count` numbers of a seed.
pub fn fill(count: usize, seed: u32) -> Vec<f64> {
    (0..count as u32).map(|index| hash(index, seed)).collect()
}

/// Labels below `classes`.
pub fn labels(count: usize, classes: usize, seed: u32) -> Vec<usize> {
    let label = |x: f64| ((x + 1.0) * 0.5 * classes as f64) as usize;
    fill(count, seed).into_iter().map(label).collect()
}

/// The first `count` weights by Glorot's rule, for units with so many inputs and
/// outputs.
pub fn glorot(count: usize, [inputs, outputs]: [usize; 2], seed: u32) -> Vec<f32> {
    let scale = (6.0 / (inputs + outputs) as f64).sqrt();
    fill(count, seed).into_iter().map(|x| (x * scale) as f32).collect()
}
