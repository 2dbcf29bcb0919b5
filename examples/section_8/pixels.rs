//! Gradients with respect to inputs: which pixel changes the class (Su, Vargas & Sakurai, 2017),
//! and a patch that does so on every image (Brown and others, 2017).
//!
//! The gradient of a class's lead over the others, with respect to the image, says what each
//! pixel contributes, and so which one to change. It is held against
//! trying all of them. The patch is a parameter like any other: sixteen pixels, laid over images
//! at random places, and trained so that they are taken for a four. It is held against
//! patches of random pixels.

use std::error::Error;
use std::path::Path;

use support::figures::pictures::{Image, Tone, images};
use wengert::nn::data::{DataLoader, Dataset};
use wengert::nn::random::{MatlabRng, index};
use wengert::op::Convolution;
use wengert::prelude::*;

use crate::digits::{self, Digits, PIXELS, Reader, SIDE, image};

/// Pixels on each side of the patch, and the places where it may lie on each side.
const PATCH: usize = 4;
const PLACES: usize = SIDE - PATCH + 1;
/// What images with the patch are to be taken for.
const TARGET: usize = 4;
/// Images in a row of the pictures.
const SHOWN: usize = 10;

pub fn run(out: &Path) -> Result<(), Box<dyn Error>> {
    let rng = &mut MatlabRng::new(8);
    let (train, other) = digits::read(rng)?;
    let mut net = Reader::new(rng);
    net.train(train.clone(), other.clone(), 15)?;
    // The network is data from now on, and its inputs are what varies.
    net.freeze();
    let right = read_correctly(&net, &other);
    println!(
        "Gradients of inputs: {} of {} digits are read correctly",
        right.1.len(),
        other.1.len()
    );
    one_pixel(out, &net, &right)?;
    patch(out, &net, &train, &right, rng)
}

/// Those of the digits that the network reads correctly.
fn read_correctly(net: &Reader, digits: &Digits) -> Digits {
    let (answers, labels) = (net.answers(&digits.0), &digits.1);
    let kept: Vec<usize> = (0..labels.len()).filter(|&i| answers[i] == labels[i]).collect();
    select(digits, &kept)
}

fn select(digits: &Digits, indices: &[usize]) -> Digits {
    let mut unused = wengert::random::SeedableRng::seed_from_u64(0);
    digits.batch(indices, &mut unused).expect("digits are in memory")
}

/// A pixel that is made white or black.
#[derive(Clone, Copy)]
struct Change {
    pixel: usize,
    ink: f64,
}

impl Change {
    fn all() -> impl Iterator<Item = Self> {
        (0..PIXELS).flat_map(|pixel| [0.0, 1.0].map(|ink| Self { pixel, ink }))
    }

    fn apply(self, mut pixels: Vec<f64>) -> Vec<f64> {
        pixels[self.pixel] = self.ink;
        pixels
    }
}

fn one_pixel(out: &Path, net: &Reader, (x, labels): &Digits) -> Result<(), Box<dyn Error>> {
    let tape = Tape::new();
    let input = tape.variable(x);
    // An image's lead depends on no other image: the gradient of the sum has that of each
    // lead in its row.
    let gradient = lead(net.forward(input), labels).sum().backward().wrt(input);

    let mut turned = 0;
    let mut guessed = Vec::new();
    for (i, &label) in labels.iter().enumerate() {
        let (pixels, slopes) = (image(x, i), image(&gradient, i));
        let tried: Vec<f64> = Change::all().flat_map(|c| c.apply(pixels.clone())).collect();
        let answers = net.answers(&Tensor::new([2 * PIXELS, PIXELS], tried));
        turned += usize::from(answers.iter().any(|&answer| answer != label));
        // By how much the lead falls, to first order.
        let fall = |change: &Change| slopes[change.pixel] * (pixels[change.pixel] - change.ink);
        let first = Change::all().zip(answers).max_by(|a, b| fall(&a.0).total_cmp(&fall(&b.0)));
        guessed.extend(first.filter(|(_, answer)| *answer != label).map(|first| (i, first)));
    }
    println!("  one pixel, any of {PIXELS}, made white or black, turns {turned} of them");
    println!("  the one that the gradient names turns {}", guessed.len());

    let mut rows = [("digit", Vec::new()), ("gradient", Vec::new()), ("one pixel", Vec::new())];
    for &(i, (change, answer)) in guessed.iter().take(SHOWN) {
        let (pixels, slopes) = (image(x, i), image(&gradient, i));
        let largest = slopes.iter().fold(0.0, |largest: f64, slope| largest.max(slope.abs()));
        let slopes = slopes.iter().map(|slope| slope / largest).collect();
        let tiles = [
            (pixels.clone(), Tone::Ink, labels[i].to_string()),
            (slopes, Tone::Signed, String::new()),
            (change.apply(pixels), Tone::Ink, format!("{} → {answer}", labels[i])),
        ];
        for ((_, row), (pixels, tone, caption)) in rows.iter_mut().zip(tiles) {
            row.push(Image { pixels, width: SIDE, tone, caption });
        }
    }
    images(out, "one_pixel", &rows)?;
    Ok(())
}

/// How far the output of each image's class, `[N]`, is ahead of the largest other one.
fn lead<'t>(outputs: Var<'t, f64>, labels: &[usize]) -> Var<'t, f64> {
    let own =
        Tensor::from_fn([labels.len(), 10], |i| f64::from(u8::from(labels[i / 10] == i % 10)));
    let own = outputs.tape().constant(own);
    (outputs * own).sum_over(1) - outputs.masked_fill(own, f64::NEG_INFINITY).max_over(1)
}

/// Images `[N, PIXELS]` with a patch `[PATCH, PATCH]` over each of them, at places that count
/// from the upper left one, row by row.
///
/// A transposed convolution spreads a filter from each element of an image: from a single 1,
/// it lays the filter down in that place.
fn laid<'t>(x: &Tensor<f64>, patch: Var<'t, f64>, places: &[usize]) -> Var<'t, f64> {
    let (tape, count) = (patch.tape(), places.len());
    let ones = Tensor::from_fn([count, 1, PLACES, PLACES], |i| {
        f64::from(u8::from(places[i / (PLACES * PLACES)] == i % (PLACES * PLACES)))
    });
    let ones = tape.constant(ones);
    let lay = |filter: Var<'t, f64>| {
        let filter = filter.reshape([1, 1, PATCH, PATCH]);
        let image = ones.conv_transpose2d(filter, Convolution::default(), [SIDE, SIDE]);
        image.reshape([count, PIXELS])
    };
    let covered = lay(tape.constant(Tensor::ones([PATCH, PATCH])));
    tape.constant(x) * (1.0 - covered) + lay(patch)
}

fn patch(
    out: &Path,
    net: &Reader,
    train: &Digits,
    other: &Digits,
    rng: &mut MatlabRng,
) -> Result<(), Box<dyn Error>> {
    // A pixel is the sigmoid of a number, so that it stays between white and black.
    let mut numbers = Param::new(Tensor::zeros([PATCH, PATCH]));
    let (mut adam, mut tape) = (Adam::new(0.05), Tape::new());
    let loader = DataLoader::new(train.0.clone(), 64).shuffled(1);
    for epoch in 0..15 {
        for x in loader.epoch(epoch) {
            let x = x?;
            let count = x.shape()[0];
            let places: Vec<usize> = (0..count).map(|_| index(PLACES * PLACES, rng)).collect();
            tape.reset();
            let covered = laid(&x, numbers.on(&tape).sigmoid(), &places);
            let loss = cross_entropy(net.forward(covered), &vec![TARGET; count]);
            adam.step(&mut numbers, &loss.backward());
        }
    }

    // Others, of other classes, and the patch on each of them at every place.
    let kept: Vec<usize> = (0..other.1.len()).filter(|&i| other.1[i] != TARGET).collect();
    let (x, labels) = select(other, &kept);
    let taken = |pixels: &Tensor<f64>| {
        let tape = Tape::new();
        let counts = (0..PLACES * PLACES).map(|place| {
            let covered = laid(&x, tape.constant(pixels), &vec![place; labels.len()]);
            net.answers(&covered.value()).iter().filter(|&&answer| answer == TARGET).count()
        });
        100.0 * counts.sum::<usize>() as f64 / (PLACES * PLACES * labels.len()) as f64
    };
    let trained = numbers.value().map(|x| 1.0 / (1.0 + (-x).exp()));
    let random = |rng: &mut MatlabRng| Tensor::from_fn([PATCH, PATCH], |_| rng.rand());
    let mean = (0..10).map(|_| taken(&random(rng))).sum::<f64>() / 10.0;
    println!("  a patch of {PATCH} x {PATCH} pixels, anywhere on digits that are no {TARGET}:");
    println!("  {:.1} % are taken for one; with random pixels {mean:.1} %", taken(&trained));

    let picture = |pixels, width, caption| Image { pixels, width, tone: Tone::Ink, caption };
    let some: Vec<usize> = (0..SHOWN).map(|k| k * labels.len() / SHOWN).collect();
    let (x, labels) = select(&(x, labels), &some);
    let places: Vec<usize> = some.iter().map(|_| index(PLACES * PLACES, rng)).collect();
    let covered = laid(&x, Tape::new().constant(&trained), &places).value();
    let answers = net.answers(&covered);
    let row = (0..SHOWN)
        .map(|i| picture(image(&covered, i), SIDE, format!("{} → {}", labels[i], answers[i])));
    images(
        out,
        "patch",
        &[
            ("patch", vec![picture(trained.to_vec(), PATCH, String::new())]),
            ("on digits", row.collect()),
        ],
    )?;
    Ok(())
}
