//! A graph convolutional network (Kipf & Welling, 2017) on Zachary's karate club (1977): it is told the
//! sides of the two leaders, and finds from who meets whom which side each of the others took when
//! the club broke up.

use wengert::nn::random::seeded;
use wengert::prelude::*;

/// Whom each member meets, of those with a higher number.
const MEETS: &str = "1 2 3 4 5 6 7 8 10 11 12 13 17 19 21 31, 2 3 7 13 17 19 21 30, 3 7 8 9 13 27 28 32, \
     7 12 13, 6 10, 6 10 16, 16, , 30 32 33, 33, , , , 33, 32 33, 32 33, , , 32 33, 33, 32 33, , \
     32 33, 25 27 29 32 33, 25 27 31, 31, 29 33, 33, 31 33, 32 33, 32 33, 32 33, 33";
const WITH_THE_TEACHER: [usize; 17] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 16, 17, 19, 21];

#[derive(Module)]
struct GraphNet {
    hidden: Linear<f64>,
    out: Linear<f64>,
}

impl GraphNet {
    fn forward<'t>(&self, graph: Var<'t, f64>) -> Var<'t, f64> {
        // Members have no features but who they are, so the first product is the graph itself.
        self.out.forward(graph.matmul(self.hidden.forward(graph).tanh()))
    }
}

#[test]
fn a_club_breaks_up_as_it_did() {
    let rng = &mut seeded(1);
    let mut net = GraphNet { hidden: Linear::new(34, 8, rng), out: Linear::new(8, 2, rng) };
    let mut meet = [[0.0; 34]; 34];
    for (i, others) in MEETS.split(',').enumerate() {
        for j in others.split_whitespace().map(|j| j.parse::<usize>().unwrap()) {
            (meet[i][j], meet[j][i]) = (1.0, 1.0);
        }
    }
    (0..34).for_each(|i| meet[i][i] = 1.0);
    let degree = meet.map(|row| row.iter().sum::<f64>());
    let normalised = |i: usize, j: usize| meet[i][j] / (degree[i] * degree[j]).sqrt();
    let graph = Tensor::from_fn([34, 34], |k| normalised(k / 34, k % 34));
    let (mut adam, mut tape) = (Adam::new(0.02), Tape::new());
    for _ in 0..200 {
        tape.reset();
        let logits = net.forward(tape.constant(&graph)).gather(0, [0, 33]);
        adam.step(&mut net, &cross_entropy(logits, &[0, 1]).backward());
    }
    let tape = Tape::new();
    let sides = net.forward(tape.constant(&graph)).argmax(1).value();
    let right =
        (0..34).filter(|i| (sides.at(&[*i]) == 0.0) == WITH_THE_TEACHER.contains(i)).count();
    assert!(right >= 32, "{right} of 34");
}
