//! The pictures: files in CIFAR-10's binary format, and what the script does to them.

use std::fs;
use std::path::Path;
use std::time::Instant;

use wengert::nn::FileError;
use wengert::nn::data::read_cifar;
use wengert::nn::data::transform::{Centring, Contrast, Whitening, flip};
use wengert::nn::random::uniform;
use wengert::prelude::*;
use wengert::random::Xoshiro256PlusPlus;

/// Images `[N, 3, 32, 32]`, and which class they are of.
pub type Batch = (Tensor<f32>, Vec<usize>);

/// A set of pictures.
pub struct Pictures {
    pub images: Tensor<f32>,
    pub labels: Vec<usize>,
    pub classes: Vec<String>,
}

impl Pictures {
    /// What to train on and what to validate with.
    pub fn read(folder: &Path) -> Result<(Self, Self), Box<dyn std::error::Error>> {
        let official = folder.join("batches.meta.txt");
        let (names, train, test) = if official.exists() {
            let batches = (1..=5).map(|i| format!("data_batch_{i}.bin")).collect();
            (official, batches, "test_batch.bin")
        } else {
            (folder.join("classes.txt"), vec!["train.bin.gz".to_owned()], "test.bin.gz")
        };
        let names = fs::read_to_string(&names).map_err(|e| format!("{}: {e}", names.display()))?;
        let names = names.lines().map(str::trim).filter(|name| !name.is_empty());
        let classes: Vec<String> = names.map(str::to_owned).collect();
        let read = |files: &[String]| -> Result<Self, FileError> {
            let (mut elements, mut labels) = (Vec::new(), Vec::new());
            for file in files {
                let (images, own) = read_cifar::<f32>(folder.join(file), classes.len())?;
                elements.extend(images.iter());
                labels.extend(own);
            }
            let images = Tensor::new([labels.len(), 3, 32, 32], elements);
            Ok(Self { images, labels, classes: classes.clone() })
        };
        Ok((read(&train)?, read(&[test.to_owned()])?))
    }
}

/// The script's preprocessing: the mean image, the contrast, the whitening. Its covariance is
/// divided by the number of all pictures, though only those to train on are summed up.
pub fn prepare(train: &mut Pictures, test: &mut Pictures) {
    let [count, others] = [&*train, &*test].map(|pictures| pictures.labels.len());
    let clock = Instant::now();
    let seconds = || clock.elapsed().as_secs_f64();
    let centring = Centring::fit(&train.images);
    let sets = [&train.images, &test.images].map(|images| centring.apply(images));
    let centred = seconds();

    // The mean contrast is that of all pictures.
    let [own, other] = [&sets[0], &sets[1]].map(|images| Contrast::fit(images, 40.0).deviation());
    let all = (count + others) as f64;
    let deviation = (own * count as f64 + other * others as f64) / all;
    let contrast = Contrast::from_parts(deviation, 40.0);
    let sets = sets.map(|images| contrast.apply(&images));
    let contrasted = seconds();

    let whitening = Whitening::fit_divided_by(&sets[0], 10.0, count + others);
    let fitted = seconds();
    [train.images, test.images] = sets.map(|images| whitening.apply(&images));
    println!(
        "mean image {centred:.1} s, contrast {:.1} s, whitening fitted in {:.1} s and applied in {:.1} s",
        contrasted - centred,
        fitted - contrasted,
        seconds() - fitted
    );
}

/// The whole batch mirrored left to right with a chance of one half, as the script does for
/// validation as well.
pub fn mirrored((images, labels): Batch, rng: &mut Xoshiro256PlusPlus) -> Batch {
    (if uniform(rng) < 0.5 { flip(&images) } else { images }, labels)
}
