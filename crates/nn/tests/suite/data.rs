//! Datasets, loaders and transforms.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert_core::Tensor;
use wengert_core::random::{SeedableRng, Xoshiro256PlusPlus, normals, uniform};
use wengert_nn::data::transform::{
    Centring, Contrast, Standardising, Whitening, crop_at_random, flip, flip_some,
};
use wengert_nn::data::{DataLoader, Dataset};
use wengert_nn::random::{MatlabRng, derived_seed, shuffle};

/// The k-th sample is the pair of k and 10 k.
fn numbers(count: usize) -> (Tensor<f64>, Vec<usize>) {
    (Tensor::from_fn([count], |i| i as f64), (0..count).map(|i| 10 * i).collect())
}

/// The batches of an epoch, with noise on them.
fn epoch(threads: usize, epoch: u64) -> Vec<(Vec<f64>, Vec<usize>)> {
    let noisy = numbers(23).augmented(|(x, labels), rng| (x.map(|x| x + uniform(rng)), labels));
    let loader = DataLoader::new(noisy, 4).shuffled(5).threads(threads);
    loader.epoch(epoch).map(Result::unwrap).map(|(x, labels)| (x.to_vec(), labels)).collect()
}

#[test]
fn batches_are_the_same_for_any_number_of_threads() {
    for number in [0, 7] {
        let expected = epoch(0, number);
        assert_eq!(expected.len(), 6);
        for threads in [1, 2, 3, 9] {
            assert_eq!(epoch(threads, number), expected);
        }
    }
    assert_ne!(epoch(1, 0), epoch(1, 1));
}

/// An epoch of a run has one seed for what layers draw, and its order and its batches have
/// others, also where run and loader were given the same.
#[test]
fn equal_seeds_of_run_and_loader_give_independent_streams() {
    let draw = |seed: u64| uniform(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
    let drawn = vec![(); 6].augmented(|_, rng| vec![uniform(rng)]);
    let loader = DataLoader::new(drawn, 1).shuffled(5);
    let mut all: Vec<f64> = Vec::new();
    for epoch in 0..4 {
        let run = derived_seed(5, epoch);
        let mut order: Vec<usize> = (0..6).collect();
        shuffle(&mut order, &mut Xoshiro256PlusPlus::seed_from_u64(run));
        assert_ne!(loader.order(epoch), order);
        // The run's stream, and those of the shards of a batch.
        all.push(draw(run));
        all.extend((0..6).map(|part| draw(derived_seed(run, part))));
        all.extend(loader.epoch(epoch).flat_map(Result::unwrap));
    }
    assert_eq!(all.len(), 4 * 13);
    all.sort_by(f64::total_cmp);
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn an_epoch_visits_each_sample_once_and_keeps_pairs_together() {
    let mut seen = Vec::new();
    for (x, labels) in epoch(2, 3) {
        assert!(x.iter().zip(&labels).all(|(x, &label)| x.floor() * 10.0 == label as f64));
        seen.extend(labels);
    }
    seen.sort_unstable();
    assert_eq!(seen, numbers(23).1);
}

#[test]
fn a_loader_without_a_seed_keeps_the_order_and_can_drop_the_rest() {
    let sizes = |loader: &DataLoader<Vec<usize>>| -> Vec<usize> {
        let batches: Vec<Vec<usize>> = loader.epoch(0).map(Result::unwrap).collect();
        assert_eq!(batches.len(), loader.len());
        assert!(batches.concat().into_iter().eq(0..batches.concat().len()));
        (0..loader.len()).for_each(|i| assert_eq!(batches[i].len(), loader.batch_len(i)));
        batches.iter().map(Vec::len).collect()
    };
    let samples: Vec<usize> = (0..10).collect();
    assert_eq!(sizes(&DataLoader::new(samples.clone(), 4)), [4, 4, 2]);
    assert_eq!(sizes(&DataLoader::new(samples.clone(), 4).drop_last()), [4, 4]);
    assert!(DataLoader::new(samples, 11).drop_last().is_empty());
    assert_eq!(DataLoader::new(Vec::<u8>::new(), 3).epoch(0).count(), 0);
}

#[test]
fn an_epoch_may_be_left_early() {
    let loader = DataLoader::new((0..1000).collect::<Vec<usize>>(), 1).threads(3);
    let mut batches = loader.epoch(0);
    assert_eq!(batches.next().unwrap().unwrap(), [0]);
    drop(batches); // waits for the threads
    assert_eq!(loader.epoch(0).count(), 1000);
}

#[test]
fn a_panic_in_a_dataset_arrives_and_ends_the_epoch() {
    let poisoned = (0..9).collect::<Vec<usize>>().augmented(|batch: Vec<usize>, _| {
        assert!(batch != [1], "this sample is poisoned");
        batch
    });
    let mut batches = DataLoader::new(poisoned, 1).threads(3).epoch(0);
    assert_eq!(batches.next().unwrap().unwrap(), [0]);
    let panic = catch_unwind(AssertUnwindSafe(|| batches.next())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"this sample is poisoned"));
    // The other threads' batches would come in another order.
    assert!(batches.len() == 0 && batches.next().is_none());
}

#[test]
#[should_panic(expected = "the parts of a dataset have one length, not [3, 2]")]
fn parts_of_different_lengths_are_refused() {
    DataLoader::new((Tensor::<f32>::zeros([3, 1]), vec![0, 1]), 2).len();
}

#[test]
fn strided_tensors_give_their_rows() {
    let tensor = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).transpose();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let rows = tensor.batch(&[2, 0], &mut rng).unwrap();
    assert_eq!(rows, Tensor::from([[3.0, 6.0], [1.0, 4.0]]));
}

#[test]
fn random_parts_are_disjoint_and_all_of_it() {
    let (first, second) = (0..9).collect::<Vec<usize>>().random_split(5, &mut MatlabRng::new(1));
    let mut all = [first.indices(), second.indices()].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..9));
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    assert_eq!(
        second.batch(&[3, 0], &mut rng).unwrap(),
        [second.indices()[3], second.indices()[0]]
    );
}

fn close(a: &Tensor<f64>, b: &Tensor<f64>, tolerance: f64) {
    assert_eq!(a.shape(), b.shape());
    let apart = a.zip_map(b, |a, b| (a - b).abs()).iter().fold(0.0, f64::max);
    assert!(apart <= tolerance, "apart by {apart:e}");
}

fn samples(shape: [usize; 4]) -> Tensor<f64> {
    let noise: Tensor<f64> = normals(shape, &mut Xoshiro256PlusPlus::seed_from_u64(3));
    // Correlated, and not centred.
    let mut last = 0.0;
    noise.map(|x| {
        last = 0.7 * last + 20.0 * x + 3.0;
        last
    })
}

#[test]
fn centring_and_standardising_are_plain_loops() {
    let x = samples([7, 1, 2, 2]);
    let mean: [f64; 4] =
        std::array::from_fn(|j| (0..7).map(|i| x.to_vec()[4 * i + j]).sum::<f64>() / 7.0);
    let centred = Tensor::from_fn([7, 1, 2, 2], |i| x.to_vec()[i] - mean[i % 4]);
    close(&Centring::fit(&x).apply(&x), &centred, 1e-12);

    let deviation: [f64; 4] = std::array::from_fn(|j| {
        ((0..7).map(|i| centred.to_vec()[4 * i + j].powi(2)).sum::<f64>() / 6.0).sqrt()
    });
    let scaled = Tensor::from_fn([7, 1, 2, 2], |i| centred.to_vec()[i] / deviation[i % 4]);
    let standardising = Standardising::fit(&x);
    close(&standardising.apply(&x), &scaled, 1e-12);
    close(&standardising.undo(&scaled), &x, 1e-12);
}

/// The channel of one image would broadcast over the two of another.
#[test]
#[should_panic(
    expected = "expected samples of shape [1, 2, 2] along axis 0, found the shape [7, 2, 2, 2]"
)]
fn samples_of_another_shape_are_refused() {
    Centring::fit(&samples([7, 1, 2, 2])).apply(&samples([7, 2, 2, 2]));
}

/// As MatConvNet's script writes it: `z = z - mean(z); n = std(z); z = z * mean(n) /
/// max(n, floor)`, each image a column.
#[test]
fn contrast_is_that_of_the_script() {
    let x = samples([5, 2, 1, 3]);
    let images: Vec<Vec<f64>> = x.to_vec().chunks(6).map(<[f64]>::to_vec).collect();
    let mean = |z: &[f64]| z.iter().sum::<f64>() / 6.0;
    let deviations: Vec<f64> = images
        .iter()
        .map(|z| (z.iter().map(|x| (x - mean(z)).powi(2)).sum::<f64>() / 5.0).sqrt())
        .collect();
    let floor = deviations[2];
    assert!(deviations.iter().any(|&n| n < floor));
    let all = deviations.iter().sum::<f64>() / 5.0;
    let expected = images.iter().zip(&deviations).flat_map(|(z, n)| {
        z.iter().map(move |x| (x - mean(z)) * all / n.max(floor)).collect::<Vec<f64>>()
    });
    let expected = Tensor::new([5, 2, 1, 3], expected.collect());
    close(&Contrast::fit(&x, floor).apply(&x), &expected, 1e-11);
}

#[test]
fn whitened_samples_are_uncorrelated_with_one_variance() {
    let x = samples([40, 1, 2, 3]);
    let x = Centring::fit(&x).apply(&x);
    let covariance = |x: &Tensor<f64>| {
        let x = x.to_vec();
        Tensor::from_fn([6, 6], |k| {
            (0..40).map(|i| x[6 * i + k / 6] * x[6 * i + k % 6]).sum::<f64>() / 40.0
        })
    };
    let before = covariance(&x);
    let variance = (0..6).map(|i| before.at(&[i, i])).sum::<f64>() / 6.0;
    let whitening = Whitening::fit(&x, 0.0);
    let identity = Tensor::from_fn([6, 6], |k| if k % 7 == 0 { variance } else { 0.0 });
    close(&covariance(&whitening.apply(&x)), &identity, 1e-9 * variance);
    // It is symmetric: images stay as they are turned.
    close(whitening.matrix(), &whitening.matrix().transpose(), 1e-12);
    // With a floor above all deviations, all directions are scaled by one number.
    let scaled = Whitening::fit(&x, 1e3).apply(&x);
    close(&scaled, &x.map(|x| x * variance.sqrt() / 1e3), 1e-9);
    // Another divisor changes nothing where no floor is reached.
    close(&Whitening::fit_divided_by(&x, 0.0, 48).apply(&x), &whitening.apply(&x), 1e-9);
}

#[test]
fn what_was_fitted_is_made_again_from_its_numbers() {
    let x = samples([9, 1, 2, 2]);
    let (a, b) = (Centring::fit(&x), Standardising::fit(&x));
    let (c, d) = (Contrast::fit(&x, 10.0), Whitening::fit(&x, 0.5));
    assert_eq!(Centring::from_mean(a.mean()), a);
    assert_eq!(Standardising::from_parts(b.mean(), b.deviation()), b);
    assert_eq!(Contrast::from_parts(c.deviation(), 10.0), c);
    assert_eq!(Whitening::from_matrix(d.matrix()), d);
}

#[test]
fn flips_and_crops_move_pixels() {
    let images = Tensor::from_fn([60, 2, 3, 4], |i| (i + 1) as f64);
    let flipped = flip(&images);
    let mirrored = |i: usize| images.to_vec()[i / 4 * 4 + 3 - i % 4];
    assert_eq!(flipped, Tensor::from_fn([60, 2, 3, 4], mirrored));

    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let some = flip_some(&images, 0.5, &mut rng).to_vec();
    let kinds = (0..60).map(|i| {
        let range = 24 * i..24 * (i + 1);
        let is = |whole: &Tensor<f64>| some[range.clone()] == whole.to_vec()[range.clone()];
        assert!(is(&images) ^ is(&flipped));
        is(&flipped)
    });
    assert!((15..45).contains(&kinds.filter(|&flipped| flipped).count()));

    let cropped = crop_at_random(&images, 1, &mut rng);
    let mut moves = std::collections::BTreeSet::new();
    for n in 0..60 {
        let matches = |&(down, right): &(isize, isize)| {
            (0..24).all(|i| {
                let (c, y, x) = (i / 12, (i / 4 % 3) as isize + down, (i % 4) as isize + right);
                let inside = (0..3).contains(&y) && (0..4).contains(&x);
                let from = if inside { images.at(&[n, c, y as usize, x as usize]) } else { 0.0 };
                cropped.at(&[n, c, i / 4 % 3, i % 4]) == from
            })
        };
        let moved =
            (-1..=1).flat_map(|down| (-1..=1).map(move |right| (down, right))).find(matches);
        moves.insert(moved.expect("it is the image, moved by up to a pixel"));
    }
    assert_eq!(moves.len(), 9);
}

/// How many of each label are among the samples.
fn counts(labels: &[usize]) -> [usize; 3] {
    [0, 1, 2].map(|class| labels.iter().filter(|&&label| label == class).count())
}

/// 60, 30 and 10 of a hundred; of 33, shares of 19.8, 9.9 and 3.3.
#[test]
fn stratified_splits_have_the_shares_of_the_whole() {
    let mut labels: Vec<usize> =
        (0..100).map(|i| usize::from(i >= 60) + usize::from(i >= 90)).collect();
    shuffle(&mut labels, &mut MatlabRng::new(4));
    let split = |count, seed| {
        let rng = &mut MatlabRng::new(seed);
        labels.clone().stratified_split(count, &labels, rng)
    };
    for (count, expected) in
        [(50, [30, 15, 5]), (20, [12, 6, 2]), (33, [20, 10, 3]), (1, [1, 0, 0])]
    {
        let (train, rest) = split(count, 1);
        assert_eq!(counts(&train.all().unwrap()), expected, "{count}");
        let mut all = [train.indices(), rest.indices()].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100));
        assert_eq!(train.indices(), split(count, 1).0.indices());
    }
    assert_ne!(split(50, 1).0.indices(), split(50, 2).0.indices());
    let (all, none) = split(100, 1);
    assert_eq!((all.len(), none.len()), (100, 0));
}

#[test]
fn loaders_draw_by_weight_and_by_class() {
    let labels: Vec<usize> = (0..90).map(|i| usize::from(i % 3 == 0)).collect();
    let indices: Vec<usize> = (0..90).collect();
    let weights: Vec<f64> =
        labels.iter().map(|&label| if label == 1 { 0.0 } else { 1.0 }).collect();
    for threads in [0, 1, 3] {
        let loader = DataLoader::new(indices.clone(), 9).threads(threads);
        let loader = loader.stratified(&labels, 5);
        for (number, batch) in loader.epoch(2).map(Result::unwrap).enumerate() {
            let ones: usize = batch.iter().map(|&i| labels[i]).sum();
            assert_eq!(ones, 3, "a third of batch {number}");
        }
        assert_eq!(loader.order(2), loader.order(2));
        assert_ne!(loader.order(2), loader.order(3));
        let rest: Vec<Vec<usize>> = loader.epoch_from(2, 7).map(Result::unwrap).collect();
        assert_eq!(rest.concat(), loader.order(2)[63..]);
        assert_eq!(loader.epoch_from(2, 11).count(), 0);

        let loader = DataLoader::new(indices.clone(), 8).weighted(&weights, 5).threads(threads);
        let drawn: Vec<usize> = loader.epoch(0).flat_map(Result::unwrap).collect();
        assert_eq!(drawn.len(), 90);
        assert!(drawn.iter().all(|&i| labels[i] == 0));
        assert_eq!(drawn, loader.order(0));
    }
    let message = |f: &dyn Fn()| {
        let panic = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    };
    let loader = || DataLoader::new(vec![0, 1, 2], 2);
    assert_eq!(
        message(&|| drop(loader().weighted(&[1.0], 1))),
        "expected a weight for each of 3 samples, got 1"
    );
    assert_eq!(
        message(&|| drop(loader().stratified(&[1], 1))),
        "expected a label for each of 3 samples, got 1"
    );
}
