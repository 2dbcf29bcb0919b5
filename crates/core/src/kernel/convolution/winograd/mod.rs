//! Convolutions of many channels with small windows, by fewer multiplications.
//!
//! Results are cut into patches, which are so large that they and the window make
//! [`POINTS`](points::POINTS) along each axis: 2 x 2 results for a window of 5 x 5,
//! 4 x 4 for one of 3 x 3. A patch of the source and the window go to products at
//! points (see [points]), where a convolution is a product of matrices for each of
//! the 36 points: patches by channels, and channels by features. That takes a third
//! of the multiplications or less, and the transforms are additions, which the many
//! channels share.
//!
//! The results are those of the [direct](super::correlate) loops but for their last
//! digits: errors are two to four times as large. But they are in proportion to the largest
//! number of a patch, and a number that is not finite spreads over all of it. So an image that
//! has a few numbers much larger than the others is for the caller to compute directly, and so
//! are results that are not finite.

mod correlate;
pub(in crate::kernel) mod factors;
pub(in crate::kernel) mod filters;
pub(in crate::kernel) mod patches;
mod points;
mod transform;
pub(in crate::kernel) mod weights;

pub(super) use correlate::correlate;
pub(super) use patches::Patches;

use super::Geometry;
use crate::scalar::Real;

/// Writes the sum over positions and images of the products of a convolution's input and output.
pub(super) fn accumulate<T: Real>(
    geometry: &Geometry,
    patches: &Patches,
    x: &[T],
    y: &[T],
    out: &mut [T],
) {
    if patches.are_few(geometry) {
        filters::accumulate(geometry, patches, x, y, out);
    } else {
        weights::accumulate(geometry, patches, x, y, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::super::Geometry;
    use super::super::phase::Reading;
    use super::super::{Extents, correlate as directly, weights as direct_weights};
    use super::*;
    use crate::kernel::window::Slide;
    use crate::scalar::Real;

    /// Numbers between -1 and 1, the same in both precisions.
    fn numbers<T: Real>(len: usize, seed: u64) -> Vec<T> {
        let mut random = StdRng::seed_from_u64(seed);
        (0..len).map(|_| T::from_f64(random.random_range(-1.0..1.0_f32).into())).collect()
    }

    /// The convolution, its transpose and the sum over positions, by patches or directly.
    fn products<T: Real>(geometry: &Geometry, by_patches: bool) -> [Vec<T>; 3] {
        let images = geometry.images * geometry.groups;
        let x = numbers::<T>(images * geometry.input(), 3);
        let y = numbers::<T>(images * geometry.output(), 5);
        let w = numbers::<T>(geometry.groups * geometry.features * geometry.taps(), 8);
        let mut results = [&y, &x, &w].map(|like| vec![T::nan(); like.len()]);
        let [of_x, of_y, of_w] = &mut results;
        let input = Extents::of_input::<T>(geometry);
        let output = Extents::of_output::<T>(geometry);
        if by_patches {
            // With many images it would be worth it.
            let many = Geometry { images: 1000, ..*geometry };
            let patches = Patches::of_input(&many).expect("a window that fits");
            let reversed = Patches::of_output(&many).expect("a window that fits");
            correlate(&input, &patches, &x, &w, of_x);
            correlate(&output, &reversed, &y, &w, of_y);
            accumulate(geometry, &patches, &x, &y, of_w);
        } else {
            let readings = geometry.slides.map(|slide| Reading::of_input(&slide));
            let reversed = geometry.slides.map(|slide| Reading::of_output(&slide));
            directly(&input, readings, &x, &w, of_x);
            directly(&output, reversed, &y, &w, of_y);
            direct_weights::accumulate(geometry, &x, &y, of_w);
        }
        results
    }

    /// The error of results, in units of the type's precision and of the results' size,
    /// both in root mean square.
    fn error<T: Real>(results: &[T], exact: &[f64]) -> f64 {
        let square: f64 = exact.iter().map(|x| x * x).sum();
        let differences = results.iter().zip(exact).map(|(a, b)| a.as_f64() - b);
        let error: f64 = differences.map(|x| x * x).sum();
        (error / square).sqrt() / T::epsilon().as_f64()
    }

    prop_compose! {
        fn geometries()(
            [images, groups] in [1..4_usize, 1..3],
            [channels, features] in [16..40_usize, 16..40],
            taps in prop_oneof![Just(3), Just(5)],
            room in [0..3_usize, 0..3],
            positions in [10..19_usize, 10..19],
        ) -> Geometry {
            let slide = |axis: usize| {
                let before = room[axis];
                let extent = positions[axis] + taps - 1 - before;
                Slide::new(extent, taps, 1, [before, 0], 1).expect("a window that fits")
            };
            Geometry { images, groups, channels, features, slides: [slide(0), slide(1)] }
        }
    }

    /// In blocks and tiles of which the last are not full; channels whose sums are taken in parts.
    #[test]
    fn few_patches_lead_to_what_the_direct_loops_say() {
        for (images, groups, channels, features, extent, taps) in [
            (33, 1, 300, 260, 8, 3),
            (17, 1, 65, 70, 4, 3),
            (2, 2, 33, 40, 4, 3),
            (1, 1, 128, 97, 16, 3),
            (4, 1, 80, 100, 6, 5),
        ] {
            let slide = Slide::new(extent, taps, 1, [taps / 2; 2], 1).expect("a window that fits");
            let geometry = Geometry { images, groups, channels, features, slides: [slide; 2] };
            let patches = Patches::of_input(&Geometry { images: 1000, ..geometry });
            assert!(patches.expect("a window that fits").are_few(&geometry), "{geometry:?}");
            let exact = products::<f64>(&geometry, false);
            let short = products::<f64>(&geometry, true);
            let single = products::<f32>(&geometry, true);
            for ((short, single), exact) in short.iter().zip(&single).zip(&exact) {
                let errors = [error(short, exact), error(single, exact)];
                assert!(errors.iter().all(|&error| error < 20.0), "{geometry:?}: {errors:?}");
            }
        }
    }

    /// How much is lost, of which this module's head speaks.
    #[test]
    #[cfg_attr(
        feature = "tiny-kernels",
        ignore = "tiny direct loops add in double precision sooner"
    )]
    fn errors_are_a_few_times_those_of_the_direct_loops() {
        for taps in [3, 5] {
            let slide = Slide::new(16, taps, 1, [taps / 2; 2], 1).expect("a window that fits");
            let geometry =
                Geometry { images: 4, groups: 1, channels: 32, features: 32, slides: [slide; 2] };
            let exact = products::<f64>(&geometry, false);
            let short = products::<f32>(&geometry, true);
            let direct = products::<f32>(&geometry, false);
            for ((short, direct), exact) in short.iter().zip(&direct).zip(&exact) {
                let [short, direct] = [error(short, exact), error(direct, exact)];
                assert!(short < 4.5 * direct, "{taps} taps: {short} and {direct}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn patches_lead_to_what_the_direct_loops_say(geometry in geometries()) {
            let exact = products::<f64>(&geometry, false);
            let short = products::<f64>(&geometry, true);
            let single = products::<f32>(&geometry, true);
            for ((short, single), exact) in short.iter().zip(&single).zip(&exact) {
                let errors = [error(short, exact), error(single, exact)];
                prop_assert!(errors.iter().all(|&error| error < 20.0), "{errors:?}");
            }
        }
    }
}
