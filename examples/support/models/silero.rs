//! Silero VAD: is somebody speaking? A network of 309,633 numbers that is told 32 ms of sound
//! at a time, at 16,000 samples a second.
//!
//! A chunk is 512 samples with the 64 before them. A convolution with the waves of a Fourier
//! transform makes magnitudes of it, four convolutions make 128 features, and an LSTM, whose
//! states go from chunk to chunk, weighs them. Only the LSTM has to wait for the chunk before,
//! so the convolutions see all chunks of a recording as one batch, and the LSTM then sees the
//! chunks as its time.

use std::error::Error;
use std::path::Path;

use wengert::nn::random::MatlabRng;
use wengert::nn::{Conv1d, Lstm, weights};
use wengert::prelude::*;

/// New samples of a chunk.
pub const CHUNK: usize = 512;
/// Samples of the chunk before that it has again.
const AGAIN: usize = 64;
/// Samples that are seen again at a chunk's end, backwards.
const REFLECTED: usize = 64;
/// Frequencies of the transform: of a window of 256, up to half of the rate.
const FREQUENCIES: usize = 129;
/// Numbers of a state.
const UNITS: usize = 128;

/// The model, with the published names but those of the LSTM's parameters.
#[derive(Module)]
pub struct Silero {
    stft_conv: Conv1d<f64>,
    conv1: Conv1d<f64>,
    conv2: Conv1d<f64>,
    conv3: Conv1d<f64>,
    conv4: Conv1d<f64>,
    lstm: Lstm<f64>,
    final_conv: Conv1d<f64>,
}

/// What becomes of some chunks in a row.
pub struct Heard<'t> {
    /// What the layers before the LSTM give, with their names, `[chunks, channels, time]`.
    pub layers: Vec<(&'static str, Var<'t, f64>)>,
    /// The states `h` and `c` after the last chunk, `[1, 1, 128]`.
    pub states: [Var<'t, f64>; 2],
    /// That somebody speaks, `[chunks]`.
    pub probabilities: Var<'t, f64>,
}

impl Silero {
    /// The model with the weights of a file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Box<dyn Error>> {
        let rng = &mut MatlabRng::new(1);
        let mut conv =
            |inputs, outputs, window| Conv1d::new(inputs, outputs, window, rng).padding(window / 2);
        let mut model = Self {
            conv1: conv(FREQUENCIES, 128, 3),
            conv2: conv(128, 64, 3).stride(2),
            conv3: conv(64, 64, 3).stride(2),
            conv4: conv(64, UNITS, 3),
            final_conv: conv(UNITS, 1, 1),
            stft_conv: Conv1d::new(1, 2 * FREQUENCIES, 256, rng).stride(128).without_bias(),
            lstm: Lstm::new(UNITS, UNITS, rng),
        };
        // There the LSTM is one cell, which has no layers to tell apart.
        let own_name = |name: String| match name.strip_prefix("lstm_cell.") {
            Some(parameter) => format!("lstm.{parameter}_l0"),
            None => name,
        };
        let state = weights::load(path)?.into_iter().map(|(name, value)| (own_name(name), value));
        model.load_state_dict(&state.collect())?;
        Ok(model)
    }

    /// Listens to chunks in a row, `[chunks, 576]`, from states or from silence.
    #[track_caller]
    pub fn forward<'t>(
        &self,
        chunks: Var<'t, f64>,
        states: Option<[Var<'t, f64>; 2]>,
    ) -> Heard<'t> {
        let count = chunks.shape()[0];
        let end = AGAIN + CHUNK;
        // The last sample is not repeated.
        let reflected = chunks.slice(1, end - 1 - REFLECTED..end - 1).flip(1);
        let padded = concat(&[chunks, reflected], 1).unsqueeze(1);
        // Cosines, then sines.
        let waves = self.stft_conv.forward(padded);
        let time = waves.shape()[2];
        let magnitude = waves.reshape([count, 2, FREQUENCIES, time]).norm(1);
        let mut layers = vec![("stft_magnitude", magnitude)];
        let mut x = magnitude;
        for (name, conv) in [
            ("conv1_relu", &self.conv1),
            ("conv2_relu", &self.conv2),
            ("conv3_relu", &self.conv3),
            ("conv4_relu", &self.conv4),
        ] {
            x = conv.forward(x).relu();
            layers.push((name, x));
        }
        let (h, states) = self.lstm.run(x.reshape([1, count, UNITS]), states);
        let logits = self.final_conv.forward(h.relu().reshape([count, UNITS, 1]));
        Heard { layers, states, probabilities: logits.reshape([count]).sigmoid() }
    }
}

/// The chunks of a recording, each with the end of the one before it, which is silence at first;
/// what is left over at the end is no chunk.
pub fn chunks(audio: &Tensor<f64>) -> Tensor<f64> {
    let mut samples = vec![0.0; AGAIN];
    samples.extend(audio.iter());
    let rows: Vec<&[f64]> = samples.windows(AGAIN + CHUNK).step_by(CHUNK).collect();
    Tensor::new([rows.len(), AGAIN + CHUNK], rows.concat())
}
