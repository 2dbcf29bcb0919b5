//! The figures that chapters show. They name the lines that recorded them, and so stand by themselves.

use wengert::nn::random::MatlabRng;
use wengert::prelude::*;

/// The first example of Griewank & Walther.
pub fn first_example() -> String {
    let x = [1.5, 0.5].map(Tensor::from);
    let f = func_n(|[x1, x2]| {
        let (quotient, power) = (x1 / x2, x2.exp());
        (quotient.sin() + quotient - power) * (quotient - power)
    });
    trace(f, x.each_ref()).without_lines().to_svg()
}

/// The paper's network at its start, with the names of the paper.
pub fn network() -> String {
    let mut rng = MatlabRng::new(5000);
    let tape = Tape::<f64>::new();
    let mut draw = |[rows, columns]: [usize; 2]| {
        tape.variable(Tensor::from_fn([columns, rows], |_| 0.5 * rng.randn()).transpose())
    };
    let w = [[2, 2], [3, 2], [2, 3]].map(&mut draw);
    let b = [[2, 1], [3, 1], [2, 1]].map(&mut draw);
    let mut a = tape.constant([[0.1], [0.1]]).named("x");
    for (l, (w, b)) in (2..).zip(w.into_iter().zip(b)) {
        let (w, b) = (w.named(format!("W{l}")), b.named(format!("b{l}")));
        let z = (w.matmul(a) + b).named(format!("z{l}")).adjoint_named(format!("delta{l}"));
        a = z.sigmoid().named(format!("a{l}"));
    }
    let cost = (0.5 * (a - [[1.0], [0.0]]).square().sum()).named("C");
    tape.trace(cost).without_lines().to_svg()
}
