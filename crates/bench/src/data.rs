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

/// Glorot's bound of uniform weights.
pub fn glorot(fan_in: usize, fan_out: usize) -> f64 {
    (6.0 / (fan_in + fan_out) as f64).sqrt()
}
