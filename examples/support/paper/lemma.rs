//! Back propagation by hand: Lemma 1 of Higham & Higham.
//!
//! Plain loops over plain numbers, from the paper's page to Rust, and nothing of
//! Wengert in them: an independent derivation for the tape to agree with.

/// The weights and bias of one layer, by rows.
type Layer = (Vec<Vec<f64>>, Vec<f64>);

fn sigma(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// The gradient of the cost (6), `1/N sum of 1/2 |y - a|^2`, over the given
/// points, from 23 parameters in the order W2, W3, W4, b2, b3, b4, matrices by
/// rows; it comes back in the same order.
pub fn gradient(parameters: &[f64], points: &[[f64; 2]], targets: &[[f64; 2]]) -> Vec<f64> {
    let sizes = [2, 2, 3, 2];
    let mut rest = parameters.iter().copied();
    let mut take = |count: usize| -> Vec<f64> { rest.by_ref().take(count).collect() };
    let weights: Vec<Vec<Vec<f64>>> =
        (0..3).map(|l| (0..sizes[l + 1]).map(|_| take(sizes[l])).collect()).collect();
    let biases: Vec<Vec<f64>> = (0..3).map(|l| take(sizes[l + 1])).collect();
    let layers: Vec<Layer> = weights.into_iter().zip(biases).collect();

    let mut weight_gradients = [0.0; 16];
    let mut bias_gradients = [0.0; 7];
    for (x, y) in points.iter().zip(targets) {
        // (7), (19), (20): the forward pass.
        let mut activations = vec![x.to_vec()];
        for (w, b) in &layers {
            let a = activations.last().expect("the input is the first activation");
            let z = w.iter().zip(b).map(|(row, b)| dot(row, a) + b);
            activations.push(z.map(sigma).collect());
        }
        // (22): delta[L] = sigma'(z[L]) o (a[L] - y), where sigma' = a (1 - a).
        let output = &activations[3];
        let mut delta: Vec<f64> =
            output.iter().zip(y).map(|(a, y)| a * (1.0 - a) * (a - y)).collect();
        let (mut weights_before, mut biases_before) = (16, 7);
        for l in (0..3).rev() {
            let (w, b) = &layers[l];
            let a = &activations[l];
            // (24) and (25): dC/db_j = delta_j and dC/dw_jk = delta_j a_k.
            weights_before -= b.len() * a.len();
            biases_before -= b.len();
            for (j, delta) in delta.iter().enumerate() {
                bias_gradients[biases_before + j] += delta;
                for (k, a) in a.iter().enumerate() {
                    weight_gradients[weights_before + j * sizes[l] + k] += delta * a;
                }
            }
            // (23): delta[l] = sigma'(z[l]) o W[l+1]^T delta[l+1].
            delta = (0..a.len())
                .map(|k| {
                    let column = w.iter().map(|row| row[k]);
                    let sum: f64 = column.zip(&delta).map(|(w, delta)| w * delta).sum();
                    a[k] * (1.0 - a[k]) * sum
                })
                .collect();
        }
    }
    let count = points.len() as f64;
    weight_gradients.iter().chain(&bias_gradients).map(|g| g / count).collect()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}
