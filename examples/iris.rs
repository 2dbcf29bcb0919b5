//! A classifier, from the file to a stated result: Fisher's irises of 1936, three species told
//! apart by the length and width of sepals and petals.
//!
//! The model is the smallest that there is, one layer and the softmax log loss (32), with the
//! penalty (33): multinomial logistic regression. Its cost is convex, so L-BFGS finds the
//! minimum from anywhere, and there is time to judge it as such small data should be: each
//! of the 150 flowers is left out once, and named by a model of the other 149. (Fisher's
//! linear discriminants, so judged, are wrong on 3.)
//!
//! ```text
//! cargo run --release --example iris
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use support::figures::pictures::{Plane, planes};
use support::options;
use wengert::nn::data::Table;
use wengert::nn::data::transform::Standardising;
use wengert::nn::loss::penalty;
use wengert::nn::optim::Lbfgs;
use wengert::nn::train::Confusion;
use wengert::prelude::*;

/// Tells three species of irises apart.
#[derive(Parser)]
struct Options {
    /// The factor of the penalty (33)
    #[arg(long, default_value_t = 0.1, value_parser = factor)]
    lambda: f64,
    /// The data
    #[arg(long, default_value = "examples/data/iris.csv")]
    data: PathBuf,
    /// Folder for the picture
    #[arg(long, default_value = "target/iris", value_parser = options::folder)]
    out: PathBuf,
}

/// A number that is not negative.
fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|x: &f64| *x >= 0.0 && x.is_finite());
    factor.ok_or_else(|| "a finite number from 0 is expected".to_owned())
}

const SPECIES: [&str; 3] = ["setosa", "versicolor", "virginica"];
/// Nodes of the picture's grid on each side.
const NODES: usize = 801;

/// Measurements, and the species of each flower.
type Flowers = (Tensor<f64>, Vec<usize>);

/// Measurements in units of deviations, through one layer.
struct Model {
    scale: Standardising<f64>,
    layer: Linear<f64>,
}

impl Model {
    fn fit((x, labels): &Flowers, lambda: f64) -> Self {
        let scale = Standardising::fit(x);
        let x = scale.apply(x);
        let width = x.shape()[1];
        let mut layer = Linear::from_parts(Tensor::zeros([3, width]), [0.0; 3]);
        Lbfgs::new().run(&mut layer, |layer, tape| {
            let cost = cross_entropy(layer.forward(tape.constant(&x)), labels);
            cost + penalty(layer, tape, lambda, labels.len())
        });
        Self { scale, layer }
    }

    /// A number for each species, the largest that of the answer.
    fn outputs(&self, x: &Tensor<f64>) -> Tensor<f64> {
        self.layer.forward(Tape::new().constant(self.scale.apply(x))).value()
    }
}

/// Some flowers of a list.
fn select((x, labels): &Flowers, indices: &[usize]) -> Flowers {
    let width = x.shape()[1];
    let rows = Tensor::from_fn([indices.len(), width], |i| x.at(&[indices[i / width], i % width]));
    (rows, indices.iter().map(|&i| labels[i]).collect())
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { lambda, data, out } = Options::parse();
    let clock = Instant::now();
    let table = Table::read(data)?;
    let flowers = (table.numbers(0..4)?, table.labels("species", 3)?);
    let count = flowers.1.len();

    let mut confusion = Confusion::new(3);
    for flower in 0..count {
        let others: Vec<usize> = (0..count).filter(|&other| other != flower).collect();
        let model = Model::fit(&select(&flowers, &others), lambda);
        let (x, label) = select(&flowers, &[flower]);
        confusion.add(&model.outputs(&x), &label);
    }
    println!("{}", SPECIES.join(", "));
    println!("by row, and what a model of the other flowers took them for:\n{confusion}\n");
    let wrong = (1.0 - confusion.accuracy()) * count as f64;
    println!(
        "{wrong:.0} of {count} flowers are taken for another species; {:.1} seconds for {count} models",
        clock.elapsed().as_secs_f64()
    );

    draw(&out, &table, flowers.1, lambda)?;
    println!("the petals' plane: {}", out.join("petals.svg").display());
    Ok(())
}

/// Draws a model of petals alone: the flowers, and what part of the plane is whose.
fn draw(out: &Path, table: &Table, labels: Vec<usize>, lambda: f64) -> Result<(), Box<dyn Error>> {
    let x = table.numbers::<f64>(&["petal_length", "petal_width"])?;
    let mut groups = vec![Vec::new(); 3];
    for (&point, &label) in x.to_vec().as_chunks().0.iter().zip(&labels) {
        groups[label].push(point);
    }
    let mut plane = Plane::new("Petals, and whose they are taken for", groups);
    plane.labels = ["length, cm", "width, cm"];
    // Beside the flowers.
    let places = [[1.5, 0.8], [3.0, 1.55], [4.2, 2.4]];
    plane.names = SPECIES.map(str::to_owned).into_iter().zip(places).collect();
    let [across, upwards] = plane.bounds;
    let place = |[from, to]: [f64; 2], i| from + (to - from) * i as f64 / (NODES - 1) as f64;
    let grid = Tensor::from_fn([NODES * NODES, 2], |i| match i % 2 {
        0 => place(across, i / 2 % NODES),
        _ => place(upwards, i / 2 / NODES),
    });
    let outputs = Model::fit(&(x, labels), lambda).outputs(&grid).to_vec();
    let largest = |row: &[f64; 3]| (0..3).fold(0, |a, b| if row[b] > row[a] { b } else { a });
    plane.regions = outputs.as_chunks().0.iter().map(largest).collect();
    planes(out, "petals", &[plane])?;
    Ok(())
}
