//! The small problem of Higham & Higham: its points, its network, its start.
//!
//! The examples about sections 2 to 6 share this module. The network is written
//! as equation (4) stands in the paper, on variables of a tape; what the paper
//! derives by hand, in Lemma 1, is in [`lemma`], to be compared with the tape; its
//! training is in [`trainer`] and, by least squares, in [`squares`].

pub mod lemma;
pub mod squares;
pub mod trainer;

use wengert::nn::random::MatlabRng;
use wengert::nn::{Module, Param};
use wengert::prelude::*;

/// Labelled points of the unit square: category A first, then category B.
pub struct Points {
    /// The coordinates.
    pub positions: Vec<[f64; 2]>,
    /// How many of them, from the first on, belong to category A.
    pub in_a: usize,
}

impl Points {
    /// The ten points of Figure 1.
    pub fn ten() -> Self {
        let a = [[0.1, 0.1], [0.3, 0.4], [0.1, 0.5], [0.6, 0.9], [0.4, 0.2]];
        let b = [[0.6, 0.3], [0.5, 0.6], [0.9, 0.2], [0.4, 0.4], [0.7, 0.6]];
        Self { positions: [a, b].concat(), in_a: a.len() }
    }

    /// The eleven points of Figures 5 and 9: one more of category B.
    pub fn eleven() -> Self {
        let mut points = Self::ten();
        points.positions.push([0.3, 0.7]);
        points
    }

    /// The number of points.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// The target (5) of a point: (1, 0) in category A and (0, 1) in category B.
    pub fn target(&self, point: usize) -> [f64; 2] {
        if point < self.in_a { [1.0, 0.0] } else { [0.0, 1.0] }
    }

    /// All positions, of shape [points, 2].
    pub fn inputs(&self) -> Tensor<f64> {
        Tensor::new([self.len(), 2], self.positions.concat())
    }

    /// All targets, of shape [points, 2].
    pub fn targets(&self) -> Tensor<f64> {
        let targets: Vec<_> = (0..self.len()).flat_map(|point| self.target(point)).collect();
        Tensor::new([self.len(), 2], targets)
    }

    /// The points of category A, and those of category B.
    pub fn classes(&self) -> (&[[f64; 2]], &[[f64; 2]]) {
        self.positions.split_at(self.in_a)
    }
}

/// One layer (3): `sigma(W a + b)` for one point of shape [n], or for many, as
/// rows of shape [points, n].
fn layer<'t>(a: Var<'t, f64>, w: Var<'t, f64>, b: Var<'t, f64>) -> Var<'t, f64> {
    let product = if a.rank() == 1 { w.matmul(a) } else { a.matmul(w.transpose()) };
    (product + b).sigmoid()
}

/// The network (4): `F(x) = sigma(W4 sigma(W3 sigma(W2 x + b2) + b3) + b4)`.
pub fn network<'t>(x: Var<'t, f64>, parameters: [Var<'t, f64>; 6]) -> Var<'t, f64> {
    let [w2, w3, w4, b2, b3, b4] = parameters;
    layer(layer(layer(x, w2, b2), w3, b3), w4, b4)
}

/// The 23 parameters of the network.
#[derive(Module)]
pub struct Net {
    pub w2: Param<f64>,
    pub w3: Param<f64>,
    pub w4: Param<f64>,
    pub b2: Param<f64>,
    pub b3: Param<f64>,
    pub b4: Param<f64>,
}

impl Net {
    /// The start of listing 6.1: `0.5 * randn`, drawn in the order W2, W3, W4, b2,
    /// b3, b4, matrices column by column, as MATLAB fills them.
    pub fn start(rng: &mut MatlabRng) -> Self {
        let mut draw = |rows: usize, columns: usize| -> Tensor<f64> {
            Tensor::from_fn([columns, rows], |_| 0.5 * rng.randn()).transpose().contiguous()
        };
        let [w2, w3, w4] = [draw(2, 2), draw(3, 2), draw(2, 3)];
        let [b2, b3, b4] = [2, 3, 2].map(|n| draw(n, 1).reshape([n]));
        let [w2, w3, w4, b2, b3, b4] = [w2, w3, w4, b2, b3, b4].map(Param::new);
        Self { w2, w3, w4, b2, b3, b4 }
    }

    /// The parameters, in the order of the network's arguments.
    pub fn parameters(&self) -> [&Param<f64>; 6] {
        [&self.w2, &self.w3, &self.w4, &self.b2, &self.b3, &self.b4]
    }

    /// `F(x)` for one point of shape `[2]`, or for many of shape `[points, 2]`.
    pub fn forward<'t>(&self, x: Var<'t, f64>) -> Var<'t, f64> {
        network(x, self.parameters().map(|parameter| parameter.on(x.tape())))
    }
}

/// The cost over all points as the paper's listing computes it: the sum of the
/// squared norms of the residuals, 20 times the cost (6) of ten points.
pub fn code_cost<'t>(output: Var<'t, f64>, targets: &Tensor<f64>) -> Var<'t, f64> {
    (output - output.tape().constant(targets)).square().sum()
}

/// For each node of a grid over the unit square, with `intervals` intervals on each side, row by
/// row from the bottom: does `F1 > F2`?
pub fn decide(net: &Net, intervals: usize) -> Vec<bool> {
    let coordinate = |i: usize| i as f64 / intervals as f64;
    let mut tape = Tape::new();
    let mut shaded = Vec::new();
    for row in 0..=intervals {
        let nodes = (0..=intervals).flat_map(|column| [coordinate(column), coordinate(row)]);
        let x = Tensor::new([intervals + 1, 2], nodes.collect());
        tape.reset();
        let output = tape.without_gradients(|| net.forward(tape.constant(x)).value().to_vec());
        shaded.extend(output.as_chunks().0.iter().map(|[f1, f2]| f1 > f2));
    }
    shaded
}

/// How many points are on the wrong side.
pub fn misclassified(net: &Net, points: &Points) -> usize {
    let tape = Tape::new();
    let output = net.forward(tape.constant(points.inputs())).value();
    let is_wrong =
        |&point: &usize| (output.at(&[point, 0]) > output.at(&[point, 1])) != (point < points.in_a);
    (0..points.len()).filter(is_wrong).count()
}
