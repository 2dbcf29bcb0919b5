//! lstm and ode.

use serde_json::json;

use crate::number::{Big, big, bigs, differences, floats, gradient, sum};
use crate::{Draw, assert_close, numbers, output};

/// The loss of a text, layer by layer and step by step: of the main parameters and then the extra ones.
fn loss(p: &[Big], state: &[Vec<f64>], text: &[Vec<f64>]) -> Big {
    let (layers, units) = (state.len() / 2, text[0].len());
    let (main, extra) = p.split_at(8 * layers * units);
    let mut h: Vec<Vec<Big>> = (0..layers).map(|y| bigs(&state[2 * y])).collect();
    let mut s: Vec<Vec<Big>> = (0..layers).map(|y| bigs(&state[2 * y + 1])).collect();
    let mut total = big(0.0);
    for t in 0..text.len() - 1 {
        let mut z: Vec<Big> = (0..units).map(|i| extra[i].clone() * text[t][i]).collect();
        for y in 0..layers {
            for i in 0..units {
                let at =
                    |row: usize, gate: usize| &main[(2 * y + row) * 4 * units + gate * units + i];
                let gate = |k: usize, x: &Big| &(x * at(0, k)) + at(1, k);
                let (forget, outgate) = (gate(0, &z[i]).sigmoid(), gate(2, &z[i]).sigmoid());
                let (ingate, change) = (gate(1, &h[y][i]).sigmoid(), gate(3, &h[y][i]).tanh());
                s[y][i] = &(&s[y][i] * &forget) + &(&ingate * &change);
                h[y][i] = &outgate * &s[y][i].tanh();
            }
            z.clone_from(&h[y]);
        }
        let outputs: Vec<Big> =
            (0..units).map(|i| &(&z[i] * &extra[units + i]) + &extra[2 * units + i]).collect();
        let norm = (sum(outputs.iter().map(Big::exp)) + 2.0).ln();
        total = total + sum((0..units).map(|i| (&outputs[i] - &norm) * text[t + 1][i]));
    }
    -total / ((text.len() - 1) * units) as f64
}

#[test]
fn texts() {
    // (layers, times, units), with fewer times than layers among them.
    for (layers, times, units) in
        [(1, 2, 1), (1, 5, 3), (2, 2, 2), (2, 6, 3), (3, 3, 2), (5, 3, 1), (4, 9, 2)]
    {
        let mut draw = Draw((layers * 10 + times) as u64);
        let (main, extra) = (draw.matrix(2 * layers, 4 * units), draw.matrix(3, units));
        let state = draw.matrix(2 * layers, units);
        let mut text = draw.matrix(times, units);
        text.iter_mut().flatten().for_each(|bit| *bit = f64::from(*bit > 0.0));
        let input =
            json!({ "main_params": main, "extra_params": extra, "state": state, "sequence": text });
        let parameters = [main.concat(), extra.concat()].concat();
        let f = |p: &[Big]| loss(p, &state, &text);
        let value = f(&bigs(&parameters)).to_f64();
        assert_close(&numbers(&output("lstm", "objective", &input)), &[value], "lstm");
        assert_close(
            &numbers(&output("lstm", "jacobian", &input)),
            &gradient(f, &parameters),
            "lstm",
        );
    }
}

/// The state after `steps` steps of the Runge-Kutta method.
fn solution(x: &[Big], steps: usize) -> Vec<Big> {
    let h = big(2.0) / steps as f64;
    let slope = |y: &[Big]| -> Vec<Big> {
        (0..x.len()).map(|i| if i == 0 { x[0].clone() } else { &x[i] * &y[i - 1] }).collect()
    };
    let moved = |y: &[Big], h: &Big, k: &[Big]| -> Vec<Big> {
        y.iter().zip(k).map(|(y, k)| y + &(h * k)).collect()
    };
    let half = h.clone() / 2.0;
    let mut y = vec![big(0.0); x.len()];
    for _ in 0..steps {
        let k1 = slope(&y);
        let k2 = slope(&moved(&y, &half, &k1));
        let k3 = slope(&moved(&y, &half, &k2));
        let k4 = slope(&moved(&y, &h, &k3));
        for i in 0..x.len() {
            let mean =
                (k1[i].clone() + k2[i].clone() * 2.0 + k3[i].clone() * 2.0 + k4[i].clone()) / 6.0;
            y[i] = &y[i] + &(&h * &mean);
        }
    }
    y
}

#[test]
fn differential_equations() {
    for (n, steps) in [
        (1, 1),
        (2, 3),
        (3, 1),
        (3, 10),
        (3, 100),
        (5, 11),
        (5, 100),
        (8, 100),
        (3, 1000),
        (5, 1000),
        (8, 1000),
    ] {
        let x: Vec<f64> = Draw((n * steps) as u64).vector(n).iter().map(|x| x + 1.5).collect();
        let input = json!({ "x": x, "s": steps });
        let expected = floats(&solution(&bigs(&x), steps));
        assert_close(&numbers(&output("ode", "primal", &input)), &expected, "ode");
        let slopes = if steps < 1000 || n == 3 {
            differences(|x| vec![solution(x, steps).pop().expect("a state")], &x).concat()
        } else {
            // The last component is a product of all inputs and a number.
            x.iter().map(|x| expected[n - 1] / x).collect()
        };
        assert_close(&numbers(&output("ode", "gradient", &input)), &slopes, "ode");
    }
}

#[test]
fn components_of_low_degree_are_exact() {
    // The method integrates polynomials to degree 4, whatever the steps: x0 .. xi t^(i + 1) / (i + 1)!.
    let x = [0.9, 1.1, 1.3, 0.7];
    let expected = [
        2.0 * x[0],
        2.0 * x[0] * x[1],
        4.0 / 3.0 * x[0] * x[1] * x[2],
        2.0 / 3.0 * x.iter().product::<f64>(),
    ];
    for steps in [1, 7, 40] {
        assert_close(
            &numbers(&output("ode", "primal", &json!({ "x": x, "s": steps }))),
            &expected,
            "ode",
        );
    }
}
