//! Random relabelling (Zhang and others, 2017): a network that reads digits well enough has room
//! to learn labels that mean nothing.
//!
//! The same network is trained twice on the same images: with their labels, and with labels
//! drawn at random. Its error in training goes to nothing either way; on other images the second
//! is as wrong as chance, nine times in ten. So what is learnt in training says nothing
//! on what was understood: that is what other images are for.

use std::error::Error;
use std::path::Path;

use support::figures::pictures::curves;
use wengert::nn::random::{MatlabRng, index};
use wengert::nn::train::History;

use crate::digits::{self, Digits, Reader};

/// Images to train on.
const COUNT: usize = 500;
const EPOCHS: usize = 150;

pub fn run(out: &Path) -> Result<(), Box<dyn Error>> {
    let rng = &mut MatlabRng::new(8);
    let ((x, labels), other) = digits::read(rng)?;
    let x = x.slice(0, 0, COUNT, 1).contiguous();
    let random = (0..COUNT).map(|_| index(10, rng)).collect();

    println!("Random relabelling: {COUNT} digits, {EPOCHS} epochs");
    println!("  labels        wrong in training  wrong on others");
    let mut drawn = Vec::new();
    for (name, labels) in [("true", labels[..COUNT].to_vec()), ("random", random)] {
        let train: Digits = (x.clone(), labels);
        let mut net = Reader::new(&mut MatlabRng::new(1));
        let history = net.train(train.clone(), other.clone(), EPOCHS)?;
        let wrong = |(x, labels): &Digits| {
            let wrong = net.answers(x).iter().zip(labels).filter(|(a, b)| a != b).count();
            100.0 * wrong as f64 / labels.len() as f64
        };
        println!("  {name:<12}  {:>15.1} %  {:>13.1} %", wrong(&train), wrong(&other));
        drawn.push(errors(&history, "train accuracy"));
        drawn.push(errors(&history, "validation accuracy"));
    }
    println!("  chance                             {:>10.1} %", 90.0);
    let names =
        ["true labels, training", "true labels, others", "random, training", "random, others"];
    let drawn: Vec<(&str, Vec<[f64; 2]>)> = names.into_iter().zip(drawn).collect();
    curves(out, "relabelling", ["Epoch", "Share of errors"], &drawn)?;
    Ok(())
}

fn errors(history: &History, column: &str) -> Vec<[f64; 2]> {
    let shares = history.column(column).unwrap_or_default();
    shares.iter().zip(1_u32..).map(|(share, epoch)| [f64::from(epoch), 1.0 - share]).collect()
}
