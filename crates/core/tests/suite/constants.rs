//! A compiled program reads constants as they lie on the tape, so that products go the same
//! way and give the same bits.

use wengert_core::{Real, Tape, Tensor, Var};

/// Numbers whose products are rounded.
fn numbers<T: Real>(shape: [usize; 2], seed: usize) -> Tensor<T> {
    Tensor::from_fn(shape, |i| {
        T::from_f64(((i * 7919 + seed * 104_729) % 1009) as f64 / 504.0 - 1.0)
    })
}

fn bits<T: Real>(x: &Tensor<T>) -> Vec<u64> {
    x.iter().map(|x| x.as_f64().to_bits()).collect()
}

/// How a factor of a product comes about.
#[derive(Clone, Copy, Debug)]
struct Factor {
    is_constant: bool,
    /// Whether it lies by columns.
    is_turned: bool,
}

const FACTORS: [Factor; 4] = [
    Factor { is_constant: false, is_turned: false },
    Factor { is_constant: false, is_turned: true },
    Factor { is_constant: true, is_turned: false },
    Factor { is_constant: true, is_turned: true },
];

impl Factor {
    /// The factor, and the leaf that it is made of.
    fn on<'t, T: Real>(self, tape: &'t Tape<T>, shape: [usize; 2], seed: usize) -> [Var<'t, T>; 2] {
        let [rows, columns] = shape;
        let value = numbers(if self.is_turned { [columns, rows] } else { shape }, seed);
        let leaf = if self.is_constant { tape.constant(value) } else { tape.variable(value) };
        [if self.is_turned { leaf.transpose() } else { leaf }, leaf]
    }
}

/// The first shape and factors at which the bits of a program are not those of the tape.
fn difference<T: Real>(shapes: impl Iterator<Item = [usize; 3]>) -> Option<String> {
    for [m, k, n] in shapes {
        for left in FACTORS {
            for right in FACTORS {
                let tape = Tape::<T>::new();
                let ([a, leaf_a], [b, leaf_b]) =
                    (left.on(&tape, [m, k], 1), right.on(&tape, [k, n], 2));
                let inputs: Vec<Var<'_, T>> = [(left, leaf_a), (right, leaf_b)]
                    .into_iter()
                    .filter_map(|(factor, leaf)| (!factor.is_constant).then_some(leaf))
                    .collect();
                let results = [a.matmul(b), a.matmul_transposed(b.transpose())];
                let mut program = tape.compile(&inputs, &results).expect("nothing was read");
                inputs.iter().enumerate().for_each(|(i, x)| program.set_input(i, x.value()));
                program.execute();
                for (i, recorded) in results.iter().enumerate() {
                    if bits(&recorded.value()) != bits(&program.output(i)) {
                        return Some(format!("{m} x {k} x {n}: {left:?} times {right:?}"));
                    }
                }
            }
        }
    }
    None
}

fn small() -> impl Iterator<Item = [usize; 3]> {
    (1..=12).flat_map(|m| (1..=12).flat_map(move |k| (1..=12).map(move |n| [m, k, n])))
}

/// Products of a short factor and a long one, in all three places of the short extents.
fn uneven() -> impl Iterator<Item = [usize; 3]> {
    [17, 33, 100].into_iter().flat_map(|long| {
        [[2, 3], [5, 8], [8, 8], [3, 20]]
            .into_iter()
            .flat_map(move |[p, q]| [[p, q, long], [long, p, q], [p, long, q]])
    })
}

#[test]
fn products_of_transposed_constants_have_the_bits_of_the_tape() {
    assert_eq!(difference::<f32>(small().chain(uneven())), None);
    assert_eq!(difference::<f64>(small().chain(uneven())), None);
}

/// What is known of a constant is known of its views, and what is computed of them is a
/// constant as well.
#[test]
fn views_of_constants_are_constants() {
    let tape = Tape::<f64>::new();
    let x = tape.variable(numbers([3, 2], 1));
    let c = tape.constant(numbers([2, 3], 2));
    let y = x * c.transpose().exp() + c.transpose().slice_by(0, .., -1);
    let mut program = tape.compile(&[x], &[y]).unwrap();
    assert_eq!(bits(&program.run([&x.value()])[0]), bits(&y.value()));
    // A multiplication and an addition: the exponentials were computed before.
    assert_eq!(program.cost().nonlinear, 0, "{program}");
    let tape = Tape::<f64>::new();
    let x = tape.variable(numbers([3, 2], 1));
    let one = tape.constant(1.0).broadcast_to([3, 2]);
    let program = tape.compile(&[x], &[x * one]).unwrap();
    assert_eq!(program.cost().muls, 0, "{program}");
}
