//! Code against the list of operations that it was made from, and against a disassembler.

mod forms;

use rand::{RngExt, SeedableRng};

use super::Operand;
use super::encode::Width;
use super::map::{InMemory, OverArrays};
use crate::random::Xoshiro256PlusPlus;
use crate::scalar::ir::{
    Binary, Code, Comparison, Effect, Id, Node, Precision, Rounding, Span, Test,
};
use crate::scalar::{InstructionSet, Real, instruction_set};

/// The widths that this CPU has.
fn widths() -> Vec<Width> {
    match instruction_set() {
        InstructionSet::Avx512 => vec![Width::Scalar, Width::Bits256, Width::Bits512],
        InstructionSet::Avx2 => vec![Width::Scalar, Width::Bits256],
        _ => Vec::new(),
    }
}

const BINARY: [Binary; 11] = [
    Binary::Add,
    Binary::Sub,
    Binary::Mul,
    Binary::Div,
    Binary::Max,
    Binary::Min,
    Binary::And,
    Binary::Or,
    Binary::Xor,
    Binary::AddBits,
    Binary::SubBits,
];
const TESTS: [Test; 4] = [Test::Less, Test::LessEqual, Test::Equal, Test::EqualBits];
const ROUNDINGS: [Rounding; 4] =
    [Rounding::Nearest, Rounding::Down, Rounding::Up, Rounding::ToZero];
/// Numbers that a code reads, and those that it writes.
const READS: u32 = 5;
const WRITES: u32 = 24;

/// The bits of a number, by its value.
fn bits(precision: Precision, x: f64) -> u64 {
    match precision {
        Precision::Single => (x as f32).to_bits().into(),
        Precision::Double => x.to_bits(),
    }
}

/// Appends any operations: `count` of them, most of them on what was computed just before if `near`.
fn operations(
    code: &mut Code,
    ids: &mut Vec<Id>,
    rng: &mut Xoshiro256PlusPlus,
    count: usize,
    near: bool,
) {
    for _ in 0..count {
        let mut any = || {
            let first = if near { ids.len().saturating_sub(8) } else { 0 };
            ids[rng.random_range(first..ids.len())]
        };
        let (a, b, c, d) = (any(), any(), any(), any());
        let by = rng.random_range(1..code.precision.bytes() as u8 * 8);
        let comparison = Comparison { test: TESTS[rng.random_range(0..TESTS.len())], of: [a, b] };
        let node = match rng.random_range(0..11) {
            10 => Node::Round(ROUNDINGS[rng.random_range(0..4)], a),
            0 => Node::Sqrt(a),
            1 => Node::ShiftLeft(a, by),
            2 => Node::ShiftRight(a, by),
            3 | 4 => Node::MulAdd([a, b, c]),
            5 => Node::Select(comparison, [c, d]),
            _ => Node::Binary(BINARY[rng.random_range(0..BINARY.len())], [a, b]),
        };
        ids.push(code.push(node));
    }
}

/// Any operations on numbers in arrays or in one memory.
fn any_code(rng: &mut Xoshiro256PlusPlus, precision: Precision, count: usize, near: bool) -> Code {
    let mut code = Code::new(precision);
    let mut ids: Vec<Id> = (0..READS).map(|place| code.push(Node::Read(place))).collect();
    for x in [0.0, -0.0, 1.0, -2.5, 1e300, f64::NAN, f64::INFINITY, 3e-310] {
        ids.push(code.push(Node::Constant(bits(precision, x))));
    }
    operations(&mut code, &mut ids, rng, count, near);
    for place in 0..WRITES {
        code.write(ids[ids.len() - 1 - 2 * place as usize % ids.len()], READS + place);
    }
    code
}

fn is_nan(precision: Precision, bits: u64) -> bool {
    match precision {
        Precision::Single => f32::from_bits(bits as u32).is_nan(),
        Precision::Double => f64::from_bits(bits).is_nan(),
    }
}

/// Whether bits of a NaN are computed with: arithmetic promises no payload.
fn reads_payload(code: &Code, values: &[u64]) -> bool {
    use Binary::{AddBits, And, Or, SubBits, Xor};
    code.nodes.iter().any(|node| {
        let is_on_bits = match node {
            Node::ShiftLeft(..) | Node::ShiftRight(..) => true,
            Node::Select(Comparison { test: Test::EqualBits, .. }, _) => true,
            Node::Binary(binary, _) => matches!(binary, And | Or | Xor | AddBits | SubBits),
            _ => false,
        };
        is_on_bits && node.operands().any(|id| is_nan(code.precision, values[id.index()]))
    })
}

/// Asserts that what was written is what the list of operations gives; NaN is NaN. Gives whether
/// there was something to compare.
#[track_caller]
fn assert_written(code: &Code, width: Width, element: usize, numbers: &[u64]) -> bool {
    let values = code.values(0, |place| numbers[place as usize]);
    if reads_payload(code, &values) {
        return false;
    }
    for (_, effect) in &code.effects {
        let &Effect::Write(id, place) = effect else { continue };
        let (expected, got) = (values[id.index()], numbers[place as usize]);
        let are_nan = [expected, got].map(|bits| is_nan(code.precision, bits));
        assert!(
            expected == got || are_nan == [true; 2],
            "{width:?}, element {element}, place {place}: expected {expected:x}, got {got:x}, of {code:#?}"
        );
    }
    true
}

/// A type of numbers, and its bits.
trait Bits: Real {
    fn of_bits(bits: u64) -> Self;
    fn bits(self) -> u64;
}

impl Bits for f32 {
    fn of_bits(bits: u64) -> Self {
        Self::from_bits(bits as u32)
    }
    fn bits(self) -> u64 {
        self.to_bits().into()
    }
}

impl Bits for f64 {
    fn of_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }
    fn bits(self) -> u64 {
        self.to_bits()
    }
}

/// Numbers of all magnitudes, and any bits.
fn any_number<T: Bits>(rng: &mut Xoshiro256PlusPlus) -> T {
    let any: u64 = rng.random();
    match rng.random_range(0..4) {
        0 => T::of_bits(any),
        1 => T::from_f64(rng.random_range(-4..4).into()),
        _ => T::from_f64(rng.random_range(-2.0..2.0)),
    }
}

/// Runs code on arrays of some vectors and the rest of one, and compares each element. Gives how many it compared.
fn assert_on_arrays<T: Bits>(
    code: &Code,
    width: Width,
    rng: &mut Xoshiro256PlusPlus,
    [vectors, rest]: [usize; 2],
) -> usize {
    // The last operand is one vector, which every turn reads.
    let is_uniform: Vec<bool> = (0..READS).map(|place| place == READS - 1).collect();
    let function = OverArrays::<T>::new(code, width, is_uniform.clone(), WRITES as usize);
    let function = function.expect("this system runs code");
    let count = vectors * function.lanes + rest % function.lanes;
    let read: Vec<Vec<T>> = is_uniform
        .iter()
        .map(|&is_uniform| match is_uniform {
            true => vec![any_number(rng); count.max(function.lanes)],
            false => (0..count).map(|_| any_number(rng)).collect(),
        })
        .collect();
    let mut written = vec![vec![T::zero(); count]; WRITES as usize];
    let operands: Vec<Operand<'_, T>> = read.iter().map(|array| Operand::Array(array)).collect();
    let mut targets: Vec<&mut [T]> = written.iter_mut().map(|array| &mut array[..]).collect();
    assert!(function.run(&operands, &mut targets, count), "nothing is required");
    if code.reads_before_it_writes() {
        assert_in_place(&function, operands, &written, count);
    }
    let is_compared = |&element: &usize| {
        let read = read.iter().map(|array| array[element].bits());
        let numbers: Vec<u64> =
            read.chain(written.iter().map(|array| array[element].bits())).collect();
        assert_written(code, width, element, &numbers)
    };
    (0..count).filter(is_compared).count()
}

/// The same where results take the place of operands.
fn assert_in_place<T: Bits>(
    function: &OverArrays<T>,
    mut operands: Vec<Operand<'_, T>>,
    expected: &[Vec<T>],
    count: usize,
) {
    let mut written = vec![vec![T::zero(); count]; expected.len()];
    // All but the last, which is one vector.
    for result in 0..READS as usize - 1 {
        if let Operand::Array(array) = operands[result] {
            written[result].copy_from_slice(array);
            operands[result] = Operand::Result(result);
        }
    }
    let mut targets: Vec<&mut [T]> = written.iter_mut().map(|array| &mut array[..]).collect();
    assert!(function.run(&operands, &mut targets, count), "nothing is required");
    let bits = |arrays: &[Vec<T>]| -> Vec<Vec<u64>> {
        arrays.iter().map(|array| array.iter().map(|x| x.bits()).collect()).collect()
    };
    assert_eq!(bits(&written), bits(expected), "{count} elements in place");
}

/// Numbers of a memory from which vectors are read, and those to which they are written.
const NUMBERS: u32 = 128;

/// Any operations on vectors and single numbers of one memory.
fn any_mixed(rng: &mut Xoshiro256PlusPlus, precision: Precision, count: usize) -> Code {
    let lanes = 64 / precision.bytes() as u32;
    let mut code = Code::new(precision);
    let mut ids: Vec<Id> = (0..3).map(|place| code.push(Node::Read(place))).collect();
    ids.push(code.push(Node::Constant(bits(precision, 1.5))));
    for _ in 0..5 {
        let count = rng.random_range(2..=lanes) as u8;
        let (place, step) = match rng.random_range(0..5) {
            0 => (rng.random_range(0..16), rng.random_range(2..7)),
            1 => (rng.random_range(100..NUMBERS), -rng.random_range(1..6)),
            _ => (rng.random_range(0..NUMBERS - lanes), 1),
        };
        ids.push(code.push(Node::ReadVector(Span { place, step, count })));
    }
    operations(&mut code, &mut ids, rng, count, true);
    for k in 0..12 {
        let (id, place) = (ids[ids.len() - 1 - k % ids.len()], NUMBERS + k as u32 * lanes);
        let count = rng.random_range(2..=lanes) as u8;
        match k % 4 {
            0 => code.write(id, place),
            _ => code.append(Effect::WriteVector(id, Span { place, step: 1, count })),
        }
    }
    code
}

/// Runs code on vectors of one memory, and compares all of the memory. Gives whether there was
/// something to compare.
fn is_right_on_vectors<T: Bits>(code: &Code, rng: &mut Xoshiro256PlusPlus) -> bool {
    let lanes = 64 / size_of::<T>();
    let memory: Vec<T> = (0..NUMBERS as usize + 12 * lanes).map(|_| any_number(rng)).collect();
    let mut after = memory.clone();
    assert!(InMemory::new(code).expect("this system runs code").run(&mut after));
    let mut expected: Vec<u64> = memory.iter().map(|x| x.bits()).collect();
    let before = expected.clone();
    for lane in 0..lanes {
        let values = code.values(lane, |place| before[place as usize]);
        if reads_payload(code, &values) {
            return false;
        }
        for (_, effect) in &code.effects {
            match *effect {
                Effect::Write(id, place) if lane == 0 => {
                    expected[place as usize] = values[id.index()];
                }
                Effect::WriteVector(id, span) if lane < usize::from(span.count) => {
                    expected[span.place as usize + lane] = values[id.index()];
                }
                _ => {}
            }
        }
    }
    for (place, (expected, got)) in expected.into_iter().zip(after).enumerate() {
        let got = got.bits();
        let are_nan = [expected, got].map(|bits| is_nan(code.precision, bits));
        assert!(
            expected == got || are_nan == [true; 2],
            "place {place}: expected {expected:x}, got {got:x}, of {code:#?}"
        );
    }
    true
}

#[test]
fn vectors_beside_single_numbers_have_the_bits_of_their_operations() {
    if !widths().contains(&Width::Bits512) {
        return;
    }
    fn compared<T: Bits>() -> usize {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
        let counts = [0, 1, 3, 10, 40, 120].into_iter().cycle().take(600);
        let codes = counts.map(|count| any_mixed(&mut rng, Precision::of::<T>(), count));
        let codes: Vec<Code> = codes.collect();
        codes.iter().filter(|code| is_right_on_vectors::<T>(code, &mut rng)).count()
    }
    let compared = [compared::<f32>(), compared::<f64>()];
    assert!(compared.iter().all(|&compared| compared > 200), "{compared:?} codes are enough");
}

/// Runs code on numbers in one memory.
fn assert_in_memory<T: Bits>(code: &Code, rng: &mut Xoshiro256PlusPlus) {
    let mut memory: Vec<T> = (0..READS + WRITES).map(|_| any_number(rng)).collect();
    let function = InMemory::<T>::new(code).expect("this system runs code");
    assert!(function.run(&mut memory), "nothing is required");
    let numbers: Vec<u64> = memory.iter().map(|x| x.bits()).collect();
    assert_written(code, Width::Scalar, 0, &numbers);
}

fn assert_any_code<T: Bits>() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut compared = 0;
    for round in 0..400 {
        let count = [0, 1, 3, 10, 40, 200][round % 6];
        let code = any_code(&mut rng, Precision::of::<T>(), count, round % 2 == 0);
        for width in widths() {
            compared += assert_on_arrays::<T>(&code, width, &mut rng, [round % 4, round / 4 % 16]);
        }
        if !widths().is_empty() {
            assert_in_memory::<T>(&code, &mut rng);
        }
    }
    assert!(widths().is_empty() || compared > 2000, "{compared} elements are enough");
}

#[test]
fn code_gives_the_bits_of_its_operations() {
    assert_any_code::<f32>();
    assert_any_code::<f64>();
}

/// Code that requires `test` of what it reads and 2.
fn assert_leaves<T: Bits>(test: Test) {
    let mut code = Code::new(Precision::of::<T>());
    let x = code.push(Node::Read(0));
    let bound = code.push(Node::Constant(bits(code.precision, 2.0)));
    code.effects.push((2, Effect::Require(Comparison { test, of: [x, bound] })));
    code.write(x, 1);
    let is_equality = matches!(test, Test::Equal | Test::EqualBits);
    // What holds in the lanes beside it.
    let other = T::from_f64(if is_equality { 2.0 } else { 1.0 });
    for width in widths() {
        let function = OverArrays::<T>::new(&code, width, vec![false], 1).expect("code");
        for lane in 0..function.lanes {
            for (x, holds) in
                [(1.0, !is_equality), (2.0, test != Test::Less), (3.0, false), (f64::NAN, false)]
            {
                let mut from = vec![other; function.lanes];
                from[lane] = T::from_f64(x);
                let mut to = vec![T::zero(); function.lanes];
                let ended = function.run(&[Operand::Array(&from)], &mut [&mut to], function.lanes);
                assert_eq!(ended, holds, "{width:?}, {test:?} of {x} in lane {lane}");
                assert!(!ended || from == to, "{width:?}: what is read is written");
            }
        }
    }
}

#[test]
fn code_leaves_where_a_comparison_does_not_hold() {
    for test in TESTS {
        assert_leaves::<f32>(test);
        assert_leaves::<f64>(test);
    }
}
