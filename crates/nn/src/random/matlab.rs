//! Random numbers that equal MATLAB's, draw for draw.
//!
//! Higham and Higham's "Deep Learning: An Introduction for Applied Mathematicians" starts its
//! listings with `rng(5000)`. Whoever wants to check a reimplementation against the published
//! costs and figures needs the very same initial weights and the very same training points, not
//! merely equally distributed ones. [`MatlabRng`] therefore reproduces MATLAB's default
//! generator: the Mersenne Twister MT19937 of Matsumoto and Nishimura (1998), MATLAB's way of
//! turning its words into uniform numbers, and MATLAB's variant of the ziggurat method of
//! Marsaglia and Tsang (2000) for normal ones.
//!
//! MathWorks documents the generator but not how its words become normal numbers. That mapping
//! was inferred from published output; the tests below pin it to every golden value at hand. One
//! branch remains unverified, see [`MatlabRng::randn`].
//!
//! The generator also implements `rand`'s [`TryRng`] and thereby [`rand::Rng`], so it serves
//! wherever the `rand` crate expects a source of randomness. What `rand` draws from it, shuffles
//! included, is reproducible but follows `rand`'s algorithms and not MATLAB's.

use std::convert::Infallible;
use std::fmt;
use std::sync::LazyLock;

use rand::TryRng;

/// Words in the state of MT19937.
const STATE_WORDS: usize = 624;
/// Distance between the words that the recurrence of MT19937 combines.
const SHIFT_WORDS: usize = 397;
/// The seed that MATLAB uses at start-up and for `rng(0)`.
const DEFAULT_SEED: u32 = 5489;

/// Layers of the ziggurat.
const LAYERS: usize = 256;
/// Where the ziggurat's base layer ends and the tail of the normal distribution starts.
const TAIL_START: f64 = 3.654_152_885_361_009;
/// The area that all layers share, the base layer with its tail included.
const LAYER_AREA: f64 = 0.004_928_673_233_974_658;

/// The right edges of the ziggurat's layers, from the widest (the base) to zero.
static EDGES: LazyLock<[f64; LAYERS + 1]> = LazyLock::new(|| {
    let mut edges = [0.0; LAYERS + 1];
    // The base is as wide as a rectangle that has the area of its box and its tail together.
    edges[0] = LAYER_AREA / density(TAIL_START);
    edges[1] = TAIL_START;
    for i in 1..LAYERS - 1 {
        let top = LAYER_AREA / edges[i] + density(edges[i]);
        edges[i + 1] = (-2.0 * top.ln()).sqrt();
    }
    edges
});

/// The normal density without its constant factor, which the ziggurat does not need.
fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp()
}

/// MATLAB's default random number generator, as `rng(seed)` sets it up.
///
/// ```
/// use wengert_nn::random::MatlabRng;
///
/// // The first weights of the paper's network: rng(5000); W2 = 0.5*randn(2,2);
/// let mut rng = MatlabRng::new(5000);
/// let weights: [f64; 4] = std::array::from_fn(|_| 0.5 * rng.randn());
/// assert!((weights[0] + 0.186352174424076).abs() < 1e-15);
/// ```
///
/// It is a generator for the `rand` crate as well:
///
/// ```
/// use rand::seq::SliceRandom;
/// use wengert_nn::random::MatlabRng;
///
/// let mut order: Vec<usize> = (0..10).collect();
/// order.shuffle(&mut MatlabRng::new(1));
/// let mut again: Vec<usize> = (0..10).collect();
/// again.shuffle(&mut MatlabRng::new(1));
/// assert_eq!(order, again);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct MatlabRng {
    state: [u32; STATE_WORDS],
    /// Position in `state` of the next word to hand out; `STATE_WORDS` when all are used up.
    next: usize,
}

impl MatlabRng {
    /// A generator in the state that MATLAB's `rng(seed)` leaves; 0 selects MATLAB's default
    /// seed, 5489.
    ///
    /// ```
    /// use wengert_nn::random::MatlabRng;
    ///
    /// assert_eq!(MatlabRng::new(0), MatlabRng::new(5489));
    /// ```
    #[must_use]
    pub fn new(seed: u32) -> Self {
        let mut state = [0; STATE_WORDS];
        state[0] = if seed == 0 { DEFAULT_SEED } else { seed };
        for i in 1..STATE_WORDS {
            let previous = state[i - 1];
            state[i] =
                (previous ^ (previous >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { state, next: STATE_WORDS }
    }

    /// A uniform number in [0, 1) with 53 random bits, MATLAB's `rand`.
    ///
    /// ```
    /// use wengert_nn::random::MatlabRng;
    ///
    /// let mut rng = MatlabRng::new(0);
    /// assert_eq!(format!("{:.4}", rng.rand()), "0.8147");
    /// ```
    pub fn rand(&mut self) -> f64 {
        let high = self.word() >> 5;
        let low = self.word() >> 6;
        (f64::from(high) * f64::from(1 << 26) + f64::from(low)) / (1_u64 << 53) as f64
    }

    /// A uniform integer from 1 to `n`, both included, MATLAB's `randi(n)`.
    ///
    /// ```
    /// use wengert_nn::random::MatlabRng;
    ///
    /// // randi([-10 10]) after rng(2)
    /// let mut rng = MatlabRng::new(2);
    /// assert_eq!(rng.randi(21) as i64 - 11, -1);
    /// ```
    ///
    /// # Panics
    ///
    /// If `n` is 0 or above 2^53, where `rand` no longer reaches every integer; MATLAB rejects
    /// both as well.
    pub fn randi(&mut self, n: usize) -> usize {
        assert!(n > 0 && n as u64 <= 1 << 53, "randi needs a limit from 1 to 2^53, got {n}");
        (n as f64 * self.rand()) as usize + 1
    }

    /// A standard normal number, MATLAB's `randn`.
    ///
    /// About one draw in 4000 lies beyond 3.65 and comes from the distribution's tail. No
    /// published MATLAB output that exercises this branch was at hand, so it follows Marsaglia's
    /// standard method: correctly distributed, but unverified against MATLAB.
    ///
    /// ```
    /// use wengert_nn::random::MatlabRng;
    ///
    /// let mut rng = MatlabRng::new(1);
    /// assert!((rng.randn() + 0.649013765191241).abs() < 1e-14);
    /// ```
    pub fn randn(&mut self) -> f64 {
        let edges = &*EDGES;
        loop {
            // Two words give 53 bits for the place within the layer and 8 bits for the layer.
            let high = self.word() >> 3;
            let low = self.word();
            let place = f64::from(high) * f64::from(1 << 24) + f64::from(low & 0x00ff_ffff);
            let signed_place = place / (1_u64 << 52) as f64 - 1.0;
            let layer = LAYERS - 1 - (low >> 24) as usize;

            let candidate = signed_place * edges[layer];
            if candidate.abs() < edges[layer + 1] {
                return candidate;
            }
            if layer == 0 {
                return self.tail().copysign(signed_place);
            }
            let (bottom, top) = (density(edges[layer]), density(edges[layer + 1]));
            if bottom + self.rand() * (top - bottom) < density(candidate) {
                return candidate;
            }
        }
    }

    /// A normal number beyond `TAIL_START`, by Marsaglia's exponential rejection.
    fn tail(&mut self) -> f64 {
        loop {
            // 1 - rand is in (0, 1], so the logarithm stays finite.
            let beyond = -(1.0 - self.rand()).ln() / TAIL_START;
            let height = -(1.0 - self.rand()).ln();
            if 2.0 * height > beyond * beyond {
                return TAIL_START + beyond;
            }
        }
    }

    /// The next word of MT19937.
    fn word(&mut self) -> u32 {
        if self.next == STATE_WORDS {
            self.refill();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// Advances the whole state by one turn of the recurrence.
    fn refill(&mut self) {
        for i in 0..STATE_WORDS {
            let joined =
                (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % STATE_WORDS] & 0x7fff_ffff);
            let twist = if joined & 1 == 0 { 0 } else { 0x9908_b0df };
            self.state[i] = self.state[(i + SHIFT_WORDS) % STATE_WORDS] ^ (joined >> 1) ^ twist;
        }
        self.next = 0;
    }
}

/// Leaves out the 624 words of state, which tell a reader nothing.
impl fmt::Debug for MatlabRng {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MatlabRng").finish_non_exhaustive()
    }
}

/// Makes the generator a [`rand::Rng`]: that trait covers every [`TryRng`] which cannot fail.
impl TryRng for MatlabRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.word());
        Ok(u64::from(self.word()) << 32 | low)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.word().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use rand::seq::SliceRandom;

    /// `0.5*randn` after `rng(5000)`: the paper's W2, W3, W4, b2, b3, b4, column by column.
    const INITIAL_PARAMETERS: [f64; 23] = [
        -0.186352174424076,
        -0.233230934964767,
        0.205109715856837,
        -0.803145034320578,
        0.231177048902782,
        0.419115915963323,
        0.349135019568862,
        -0.913247666943717,
        0.776768551364655,
        -0.896162062400765,
        -0.122129995317972,
        0.413375825691641,
        1.23672794081058,
        -0.022999514167749,
        -0.124999189164334,
        0.084833712987258,
        -0.774242298662459,
        0.175153189253870,
        -0.069613125936078,
        0.079050509307479,
        0.077898207121658,
        -0.249940080664584,
        0.432240371264996,
    ];

    #[test]
    fn words_are_those_of_the_reference_implementation() {
        let mut rng = MatlabRng::new(5489);
        let words = [rng.next_u32(), rng.next_u32(), rng.next_u32()];
        assert_eq!(words, [3499211612, 581869302, 3890346734]);
        // The C++ standard fixes the 10000th word; 3 are drawn, 9996 more come before it.
        for _ in 0..9996 {
            rng.next_u32();
        }
        assert_eq!(rng.next_u32(), 4123659995);
    }

    #[test]
    fn the_default_stream_is_the_one_matlab_starts_with() {
        let mut rng = MatlabRng::new(0);
        for expected in [0.8147, 0.9058, 0.1270, 0.9134, 0.6324] {
            assert!((rng.rand() - expected).abs() < 5e-5);
        }
        let mut rng = MatlabRng::new(0);
        for expected in [0.5377, 1.8339, -2.2588, 0.8622, 0.3188, -1.3077, -0.4336] {
            assert!((rng.randn() - expected).abs() < 5e-5);
        }
    }

    #[test]
    fn integers_match_a_published_series() {
        let mut rng = MatlabRng::new(2);
        let series: [i64; 8] = std::array::from_fn(|_| rng.randi(21) as i64 - 11);
        assert_eq!(series, [-1, -10, 1, -1, -2, -4, -6, 3]);
    }

    #[test]
    #[should_panic(expected = "randi needs a limit")]
    fn an_empty_integer_range_is_refused() {
        MatlabRng::new(1).randi(0);
    }

    #[test]
    fn first_normal_number_matches_a_published_one() {
        // Published with fifteen digits and off by one in the last, hence 2e-15 and not less.
        assert!((MatlabRng::new(1).randn() + 0.649013765191241).abs() < 2e-15);
    }

    #[test]
    fn the_papers_start_and_training_indices_are_reproduced() {
        let mut rng = MatlabRng::new(5000);
        for expected in INITIAL_PARAMETERS {
            assert!((0.5 * rng.randn() - expected).abs() < 1e-15);
        }
        let indices: [usize; 20] = std::array::from_fn(|_| rng.randi(10));
        assert_eq!(indices, [1, 2, 3, 2, 4, 4, 7, 7, 10, 5, 6, 8, 2, 4, 4, 7, 4, 2, 1, 9]);
    }

    #[test]
    fn normal_numbers_have_the_right_moments_and_tail() {
        let mut rng = MatlabRng::new(7);
        let draws: Vec<f64> = (0..1_000_000).map(|_| rng.randn()).collect();
        let mean = |power: i32| draws.iter().map(|x| x.powi(power)).sum::<f64>() / 1e6;
        assert!(mean(1).abs() < 0.005);
        assert!((mean(2) - 1.0).abs() < 0.01);
        assert!(mean(3).abs() < 0.02);
        assert!((mean(4) - 3.0).abs() < 0.05);
        // 2 * (1 - Phi(TAIL_START)) = 2.58e-4: expect 258 draws, give or take five deviations.
        let beyond = draws.iter().filter(|x| x.abs() > TAIL_START).count();
        assert!((178..338).contains(&beyond), "{beyond} draws in the tail");
    }

    #[test]
    fn it_serves_as_a_generator_of_the_rand_crate() {
        let mut order: Vec<usize> = (0..100).collect();
        order.shuffle(&mut MatlabRng::new(3));
        assert!(!order.is_sorted());
        order.sort_unstable();
        assert!(order.into_iter().eq(0..100));

        // Bytes and words come from the same stream, a last partial word included.
        let mut bytes = [0; 7];
        MatlabRng::new(0).fill_bytes(&mut bytes);
        let mut rng = MatlabRng::new(0);
        let (first, second) = (rng.next_u32().to_le_bytes(), rng.next_u32().to_le_bytes());
        assert_eq!(bytes[..4], first);
        assert_eq!(bytes[4..], second[..3]);
    }
}
