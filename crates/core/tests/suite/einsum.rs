//! Sums of products over named axes, against loops over all their indices.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wengert_core::{Tape, Tensor, check, compile_n, einsum};

/// The extent of an axis, by its letter.
fn extent(letter: char) -> usize {
    [2, 3, 1, 4, 2][letter as usize - 'a' as usize]
}

fn operand(letters: &str, seed: usize) -> Tensor<f64> {
    let shape: Vec<usize> = letters.chars().map(extent).collect();
    Tensor::from_fn(shape, |i| ((i * 13 + seed * 29) % 17) as f64 - 8.0)
}

/// The sum over all letters, one index after another.
fn by_loops(terms: &[String], result: &str, operands: &[Tensor<f64>]) -> Tensor<f64> {
    let mut letters: Vec<char> = result.chars().collect();
    for letter in terms.iter().flat_map(|term| term.chars()) {
        if !letters.contains(&letter) {
            letters.push(letter);
        }
    }
    let shape: Vec<usize> = result.chars().map(extent).collect();
    let mut sums = vec![0.0; shape.iter().product()];
    let count: usize = letters.iter().map(|&letter| extent(letter)).product();
    for number in 0..count {
        let mut rest = number;
        let mut index = vec![0; letters.len()];
        for (place, &letter) in letters.iter().enumerate().rev() {
            index[place] = rest % extent(letter);
            rest /= extent(letter);
        }
        let at = |letter: char| index[letters.iter().position(|&own| own == letter).unwrap()];
        let product: f64 = terms
            .iter()
            .zip(operands)
            .map(|(term, x)| x.at(&term.chars().map(at).collect::<Vec<_>>()))
            .product();
        let place = result.chars().fold(0, |place, letter| place * extent(letter) + at(letter));
        sums[place] += product;
    }
    Tensor::new(shape, sums)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(1964),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_expression_is_the_sum_over_its_letters(
        terms in prop::collection::vec("[a-e]{0,4}", 1..4),
        order in Just(vec!['a', 'b', 'c', 'd', 'e']).prop_shuffle(),
        kept in 0..32_u32,
    ) {
        let named = |letter: &char| terms.iter().any(|term| term.contains(*letter));
        let result: String = order
            .into_iter()
            .enumerate()
            .filter(|(i, letter)| kept >> i & 1 == 1 && named(letter))
            .map(|(_, letter)| letter)
            .collect();
        let operands: Vec<_> =
            terms.iter().enumerate().map(|(i, term)| operand(term, i)).collect();
        let tape = Tape::new();
        let vars: Vec<_> = operands.iter().map(|x| tape.variable(x)).collect();
        let text = format!("{}->{result}", terms.join(","));
        // Whole numbers, so that no order of additions matters.
        prop_assert_eq!(einsum(&text, &vars).value(), by_loops(&terms, &result, &operands));
    }
}

#[test]
fn axes_without_names_broadcast() {
    let tape = Tape::new();
    let fill = |shape: &[usize]| Tensor::from_fn(shape, |i| ((i * 7) % 11) as f64 - 5.0);
    let a = tape.constant(fill(&[4, 1, 2, 3]));
    let b = tape.constant(fill(&[5, 3, 2]));
    let expected = a.matmul(b).value();
    assert_eq!(einsum("...ij,...jk->...ik", &[a, b]).value(), expected);
    assert_eq!(einsum("...ij,...jk", &[a, b]).value(), expected);
    assert_eq!(expected.shape()[..], [4, 5, 2, 2]);
    // They may stand anywhere, and in one operand alone.
    let turned = einsum("...ij,jk...->ki...", &[a, b.permute([1, 2, 0])]).value();
    assert_eq!(turned, expected.permute(&[3, 2, 0, 1]));
    let weights = tape.constant(fill(&[3]));
    assert_eq!(einsum("...j,j->...", &[a, weights]).value(), a.matmul(weights).value());
    assert_eq!(einsum("...->...", &[a]).value(), a.value());
    assert_eq!(einsum("i...->...", &[a]).value(), a.sum_over(0).value());
    // Where all have extent 1, the axis stays.
    let ones = tape.constant(fill(&[1, 2]));
    assert_eq!(einsum("...i,...i->...", &[ones, ones]).shape()[..], [1]);
    // An axis without elements, and no letters at all.
    let none = tape.constant(fill(&[0, 2]));
    assert_eq!(einsum("ij,ik->jk", &[none, none]).value(), Tensor::zeros([2, 2]));
    assert_eq!(einsum(",->", &[tape.constant(3.0), tape.constant(4.0)]).item(), 12.0);
}

#[test]
fn what_does_not_fit_is_named() {
    for (text, message) in [
        ("ij,kj->ik", "`j` is 4 in operand 2, of shape [3, 4], and 3 before"),
        ("ij,jk,kl", "it names 3 operands, not 2"),
        ("ij,jk->i?", "`?` in `i?` is no letter"),
        ("ii,jk", "`i` is 3 in operand 1, of shape [2, 3], and 2 before"),
    ] {
        let panic = std::panic::catch_unwind(|| {
            let tape = Tape::new();
            let a = tape.variable(Tensor::<f64>::ones([2, 3]));
            let b = tape.variable(Tensor::ones([3, 4]));
            einsum(text, &[a, b]).value()
        });
        let panic = panic.expect_err("the operands do not fit");
        let found = panic.downcast_ref::<String>().expect("a message");
        assert!(found.starts_with(&format!("einsum `{text}`: {message}\n")), "{found}");
        assert!(found.contains("operand 2: ") && found.contains("einsum.rs"), "{found}");
    }
}

#[test]
fn the_cheapest_pair_is_contracted_first() {
    // From the left, a product of matrices takes n^3 multiplications; from the right,
    // where a vector stands, n^2 each time.
    let tape = Tape::new();
    let square = tape.variable(Tensor::<f64>::ones([100, 100]));
    let vector = tape.variable(Tensor::ones([100]));
    let y = einsum("ij,jk,k->i", &[square, square, vector]);
    assert_eq!(y.value().at(&[3]), 1e4);
    let report = tape.compile(&[square, vector], &[y]).unwrap().to_string();
    assert!(report.contains("20000 multiplications"), "{report}");
}

#[test]
fn derivatives_and_programs() {
    let [a, b, c] = [[2, 3], [3, 4], [2, 4]]
        .map(|shape| Tensor::<f64>::from_fn(shape, |i| (i as f64 * 1.3).sin()));
    let f = "ij,jk,ik->k";
    check::gradient(|[a, b, c]| einsum(f, &[a, b, c]), [&a, &b, &c]).assert();
    let square = Tensor::<f64>::from_fn([3, 3], |i| (i as f64).cos());
    check::gradient(|x| einsum("ii,ij,j...->i...", &[x, x, x]), &square).assert();
    check::gradient(|[a, b]| a.tensordot(b, [&[1], &[0]]).kron(a), [&a, &b]).assert();
    let mut program = compile_n(
        |[a, b, c]| {
            let y = einsum(f, &[a, b, c]);
            let [da] = y.square().sum().grad([a]);
            [y, da]
        },
        [&a, &b, &c],
    )
    .unwrap();
    let other = a.map(|x| x * x - 0.3);
    let found = program.run([&other, &b, &c]);
    let tape = Tape::new();
    let [x, b, c] = [&other, &b, &c].map(|t| tape.variable(t));
    let y = einsum(f, &[x, b, c]);
    let [dx] = y.square().sum().grad([x]);
    assert_eq!(found, [y.value(), dx.value()]);
}

#[test]
fn products_over_pairs_of_axes() {
    let tape = Tape::new();
    let fill = |shape: &[usize]| Tensor::from_fn(shape, |i| ((i * 5) % 13) as f64 - 6.0);
    let (a, b) = (tape.constant(fill(&[2, 3, 4])), tape.constant(fill(&[4, 5, 3])));
    let found = a.tensordot(b, [&[1, -1], &[2, 0]]).value();
    assert_eq!(found, einsum("ijk,klj->il", &[a, b]).value());
    let found = a.tensordot(b, [&[], &[]]).value();
    assert_eq!(found, einsum("ijk,lmn->ijklmn", &[a, b]).value());
    let kron = a.kron(b).value();
    assert_eq!(kron.shape()[..], [8, 15, 12]);
    for (i, j, k) in [(0, 0, 0), (7, 14, 11), (3, 8, 5)] {
        let outer = a.value().at(&[i / 4, j / 5, k / 3]);
        assert_eq!(kron.at(&[i, j, k]), outer * b.value().at(&[i % 4, j % 5, k % 3]));
    }
}
