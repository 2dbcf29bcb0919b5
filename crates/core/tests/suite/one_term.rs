//! Products of one term, recorded and compiled: each element is one product, whatever kernel
//! computes it and whatever reads it in the same loop.

use wengert_core::{Real, Tape, Tensor, Var, stack};

/// Around what is plain loops (64), tiny (512), short (256), a block (512 and 1024), a part of a loop (32,768),
/// and too narrow for one (16).
const SHAPES: [[usize; 2]; 30] = [
    [0, 5],
    [5, 0],
    [1, 1],
    [7, 9],
    [8, 8],
    [5, 13],
    [1, 257],
    [257, 1],
    [15, 17],
    [16, 16],
    [17, 16],
    [20, 15],
    [20, 17],
    [33, 65],
    [31, 33],
    [16, 32],
    [27, 19],
    [3, 511],
    [3, 512],
    [3, 513],
    [2, 1023],
    [2, 1024],
    [1025, 3],
    [300, 512],
    [64, 511],
    [64, 513],
    [7, 40_000],
    [40_000, 2],
    [1, 33_000],
    [33_000, 1],
];

/// Numbers of both signs and all sizes, with zeros of both signs, infinities, and no numbers.
fn numbers<T: Real>(len: usize, seed: usize) -> Vec<T> {
    let special = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-40, -1e30];
    let number = |i: usize| {
        let hash = (i + 7 * seed).wrapping_mul(2_654_435_761) >> 7;
        match hash % 11 {
            0 => special[hash / 11 % special.len()],
            _ => (hash % 2003) as f64 / 1001.0 - 1.0,
        }
    };
    (0..len).map(|i| T::from_f64(number(i))).collect()
}

/// The bits; one pattern for all that is no number.
fn bits<T: Real>(x: T) -> u64 {
    let x = x.as_f64();
    if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }
}

/// The ways to write a column times a row.
fn ways<'t, T: Real>(column: Var<'t, T>, row: Var<'t, T>) -> [Var<'t, T>; 6] {
    [
        column.unsqueeze(-1).matmul(row.unsqueeze(0)),
        column.unsqueeze(0).matrix_transpose().matmul(row.unsqueeze(0)),
        column.unsqueeze(-1).matmul_transposed(row.unsqueeze(-1)),
        column.outer(row),
        // A column that the same loop may compute.
        -(-column).unsqueeze(-1).matmul(row.unsqueeze(0)),
        // Every second number of a longer column, and a row that lies backwards.
        stack(&[column, column], 1).slice(1, ..1).matmul(row.flip(0).unsqueeze(0)).flip(1),
    ]
}

fn is_one_product_each<T: Real>() {
    for [m, n] in SHAPES {
        let (a, b) = (numbers::<T>(m, 1), numbers::<T>(n, 2));
        let expected: Vec<u64> =
            a.iter().flat_map(|&x| b.iter().map(move |&y| bits(x * y))).collect();
        let halved: Vec<u64> = a
            .iter()
            .flat_map(|&x| b.iter().map(move |&y| bits(x * y * T::from_f64(0.5))))
            .collect();
        let tape = Tape::new();
        let column = tape.variable(Tensor::new([m], a.clone()));
        let row = tape.variable(Tensor::new([n], b.clone()));
        let products = ways(column, row);
        let half = products.map(|y| y * T::from_f64(0.5));
        let outputs: Vec<Var<'_, T>> = products.into_iter().chain(half).collect();
        let mut program = tape.compile(&[column, row], &outputs).unwrap();
        program.execute();
        for (k, output) in outputs.iter().enumerate() {
            let expected = if k < products.len() { &expected } else { &halved };
            let recorded: Vec<u64> = output.value().iter().map(bits).collect();
            assert!(recorded == *expected, "[{m}, {n}], way {k}, recorded");
            let compiled: Vec<u64> = program.output(k).iter().map(bits).collect();
            assert!(compiled == *expected, "[{m}, {n}], way {k}, compiled");
        }
    }
}

#[test]
fn an_element_is_one_product_in_single_precision() {
    is_one_product_each::<f32>();
}

#[test]
fn an_element_is_one_product_in_double_precision() {
    is_one_product_each::<f64>();
}

/// The gradient of one sample is computed where the update reads it, and never lies in memory.
#[test]
fn the_gradient_of_one_sample_takes_no_memory() {
    let (rows, columns) = (300, 500);
    let tape = Tape::<f32>::new();
    let number = |seed: usize| move |i: usize| ((i * 7 + seed) % 101) as f32 / 50.0 - 1.0;
    let [w, velocity] =
        [1, 2].map(|seed| tape.variable(Tensor::from_fn([rows, columns], number(seed))));
    let x = tape.variable(Tensor::from_fn([1, columns], number(3)));
    let [gradient] = x.matmul_transposed(w).tanh().square().sum().grad([w]);
    let next_velocity = velocity * 0.9 + gradient;
    let next = w - next_velocity * 0.01;
    let updates = [(w, next), (velocity, next_velocity)];
    let mut program = tape.compile_updating(&[x, w, velocity], &[], &updates).unwrap();
    let bytes = program.bytes();
    assert!(bytes < rows * columns, "{bytes} bytes");
    program.execute();
    assert_eq!(program.input(1), next.value());
    assert_eq!(program.input(2), next_velocity.value());
}
