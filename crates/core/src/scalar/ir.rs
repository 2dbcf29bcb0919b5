//! Formulas as data: what machine code is made from.
//!
//! A formula over [`Number`](super::Number) has several readings. Floats compute it, variables record
//! it, and a [`Symbol`](super::Symbol) writes it down here, as a list of operations each of which is one
//! operation of IEEE 754 or of bits. So the polynomial that a float evaluates and the one that
//! machine code evaluates are the same line of source.
//!
//! Every node is computed before those that read it (static single assignment), and equal nodes are
//! one. Nothing is reassociated or contracted: a node rounds where the float does, so that both
//! give the same bits. Operations of constants are worked out here, by the same operations.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use super::Real;
use crate::hash::{Words, mixed};

/// A node of a [`Code`], by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u32);

impl Id {
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2^32 operations"))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What numbers of a [`Code`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    Single,
    Double,
}

impl Precision {
    pub(crate) fn of<T: Real>() -> Self {
        if size_of::<T>() == 4 { Self::Single } else { Self::Double }
    }

    /// Bytes of a number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Single => 4,
            Self::Double => 8,
        }
    }
}

/// The bits of a number.
pub(crate) fn bits<T: Real>(x: T) -> u64 {
    match Precision::of::<T>() {
        Precision::Single => bytemuck::cast::<T, u32>(x).into(),
        Precision::Double => bytemuck::cast(x),
    }
}

/// Operations of two numbers, or of their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    /// `if a > b { a } else { b }`: `b` if one is NaN.
    Max,
    /// `if a < b { a } else { b }`: `b` if one is NaN.
    Min,
    And,
    Or,
    Xor,
    /// The sum of the bits as whole numbers, without a carry out.
    AddBits,
    SubBits,
}

/// Comparisons; of floats, they are false where an operand is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    Less,
    LessEqual,
    Equal,
    /// Whether all bits are the same.
    EqualBits,
}

/// Which whole number a number is rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rounding {
    /// The nearest one, the even one of two.
    Nearest,
    Down,
    Up,
    ToZero,
}

/// A comparison of two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Comparison {
    pub(crate) test: Test,
    pub(crate) of: [Id; 2],
}

/// Places at equal distances: as many as a vector has numbers, at most.
///
/// A vector of fewer has the first one in their stead, so that it holds nothing that the others do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub(crate) place: u32,
    pub(crate) step: i32,
    pub(crate) count: u8,
}

impl Span {
    fn single(place: u32) -> Self {
        Self { place, step: 1, count: 1 }
    }

    pub(crate) fn places(self) -> impl Iterator<Item = u32> {
        (0..i32::from(self.count)).map(move |k| self.place.wrapping_add_signed(k * self.step))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// A number from outside; which one is for the reader to say.
    Read(u32),
    /// Some numbers from outside, side by side in a vector.
    ReadVector(Span),
    /// A number, by its bits.
    Constant(u64),
    Binary(Binary, [Id; 2]),
    Sqrt(Id),
    Round(Rounding, Id),
    /// `a * b + c`, rounded once.
    MulAdd([Id; 3]),
    /// The bits, moved to the left by a number of places; zeros come in.
    ShiftLeft(Id, u8),
    ShiftRight(Id, u8),
    /// `yes` where the comparison holds, else `no`.
    Select(Comparison, [Id; 2]),
}

impl Hash for Node {
    /// As one word.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let kind = match *self {
            Self::Read(place) => u64::from(place),
            Self::ReadVector(Span { place, step, .. }) => {
                8 << 32 | u64::from(place) ^ u64::from(step.cast_unsigned()) << 40
            }
            Self::Constant(bits) => bits,
            Self::Binary(binary, _) => 1 << 32 | binary as u64,
            Self::Sqrt(_) => 2 << 32,
            Self::Round(rounding, _) => 3 << 32 | rounding as u64,
            Self::MulAdd(_) => 4 << 32,
            Self::ShiftLeft(_, by) => 5 << 32 | u64::from(by),
            Self::ShiftRight(_, by) => 6 << 32 | u64::from(by),
            Self::Select(Comparison { test, .. }, _) => 7 << 32 | test as u64,
        };
        let operands = self.operands().map(|id| u64::from(id.0));
        state.write_u64(mixed([kind].into_iter().chain(operands)));
    }
}

impl Node {
    /// Whether it is found where it lies: no operation.
    pub(crate) fn is_given(&self) -> bool {
        matches!(self, Self::Read(_) | Self::ReadVector(_) | Self::Constant(_))
    }

    /// The nodes that it reads.
    pub(crate) fn operands(&self) -> impl Iterator<Item = Id> {
        let none: [Option<Id>; 4] = [None; 4];
        let some = |ids: &[Id]| {
            let mut all = none;
            all.iter_mut().zip(ids).for_each(|(all, &id)| *all = Some(id));
            all
        };
        let all = match *self {
            Self::Read(_) | Self::ReadVector(_) | Self::Constant(_) => none,
            Self::Binary(_, of) => some(&of),
            Self::Sqrt(x) | Self::Round(_, x) | Self::ShiftLeft(x, _) | Self::ShiftRight(x, _) => {
                some(&[x])
            }
            Self::MulAdd(of) => some(&of),
            Self::Select(Comparison { of: [a, b], .. }, [yes, no]) => some(&[a, b, yes, no]),
        };
        all.into_iter().flatten()
    }
}

/// What a formula does beside computing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// The node is written to the given place.
    Write(Id, u32),
    /// A vector's first numbers are written to the given places, side by side.
    WriteVector(Id, Span),
    /// The code stops where the comparison does not hold: another way of computing is needed.
    Require(Comparison),
}

/// A list of operations.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) precision: Precision,
    pub(crate) nodes: Vec<Node>,
    /// Each effect, with the number of nodes that stand before it.
    pub(crate) effects: Vec<(usize, Effect)>,
    known: HashMap<Node, Id, Words>,
}

impl Code {
    pub(crate) fn new(precision: Precision) -> Self {
        Self { precision, nodes: Vec::new(), effects: Vec::new(), known: HashMap::default() }
    }

    /// The node itself, or what it comes to.
    pub(crate) fn push(&mut self, node: Node) -> Id {
        let node = self.simplified(node);
        let next = Id::new(self.nodes.len());
        let nodes = &mut self.nodes;
        *self.known.entry(node).or_insert_with(|| {
            nodes.push(node);
            next
        })
    }

    pub(crate) fn write(&mut self, id: Id, place: u32) {
        self.append(Effect::Write(id, place));
    }

    /// What happens after all nodes until now.
    pub(crate) fn append(&mut self, effect: Effect) {
        self.effects.push((self.nodes.len(), effect));
    }

    /// The places that it writes.
    pub(crate) fn written(&self) -> impl Iterator<Item = u32> {
        let span = |&(_, effect): &(usize, Effect)| match effect {
            Effect::Write(_, place) => Some(Span::single(place)),
            Effect::WriteVector(_, span) => Some(span),
            Effect::Require(_) => None,
        };
        self.effects.iter().filter_map(span).flat_map(Span::places)
    }

    /// The places that it reads.
    pub(crate) fn read(&self) -> impl Iterator<Item = u32> {
        let span = |&node: &Node| match node {
            Node::Read(place) => Some(Span::single(place)),
            Node::ReadVector(span) => Some(span),
            _ => None,
        };
        self.nodes.iter().filter_map(span).flat_map(Span::places)
    }

    /// Whether some nodes are vectors, and not the same number all along.
    pub(crate) fn has_vectors(&self) -> bool {
        let writes = |effect: &Effect| matches!(effect, Effect::WriteVector(..));
        self.nodes.iter().any(|node| matches!(node, Node::ReadVector(_)))
            || self.effects.iter().any(|(_, effect)| writes(effect))
    }

    /// Whether it stops at some numbers.
    pub(crate) fn requires(&self) -> bool {
        self.effects.iter().any(|(_, effect)| matches!(effect, Effect::Require(_)))
    }

    /// Whether it reads all that it reads before it writes anything, and comes to its end: what
    /// it writes may then take the place of what it reads.
    pub(crate) fn reads_before_it_writes(&self) -> bool {
        self.effects.iter().all(|&(before, effect)| match effect {
            Effect::Write(id, _) => {
                before == self.nodes.len() && !matches!(self.nodes[id.index()], Node::Read(_))
            }
            Effect::WriteVector(..) | Effect::Require(_) => false,
        })
    }

    fn constant(&self, id: Id) -> Option<u64> {
        match self.nodes[id.index()] {
            Node::Constant(bits) => Some(bits),
            _ => None,
        }
    }

    /// Works out operations of constants, takes bounds for what they are, and selects by the
    /// comparison itself where one asked whether the number of a comparison is 0.
    fn simplified(&self, node: Node) -> Node {
        let mut known = [0; 4];
        let is_known = !node.is_given()
            && node.operands().zip(&mut known).all(|(id, known)| {
                let bits = self.constant(id);
                *known = bits.unwrap_or_default();
                bits.is_some()
            });
        if is_known {
            return Node::Constant(self.precision.evaluate(node, &known));
        }
        match node {
            Node::Select(Comparison { test: Test::Less, of: [a, b] }, [yes, no]) => {
                match (yes == a, yes == b, no == a, no == b) {
                    // a < b ? b : a
                    (_, true, true, _) => Node::Binary(Binary::Max, [b, a]),
                    // a < b ? a : b
                    (true, _, _, true) => Node::Binary(Binary::Min, [a, b]),
                    _ => node,
                }
            }
            Node::Select(Comparison { test: Test::Equal, of: [a, b] }, [yes, no]) => {
                let zero = 0;
                match self.nodes[a.index()] {
                    Node::Select(comparison, [one, other])
                        if self.constant(b) == Some(zero)
                            && self.constant(other) == Some(zero)
                            && self.constant(one).is_some_and(|one| one << 1 != zero) =>
                    {
                        self.simplified(Node::Select(comparison, [no, yes]))
                    }
                    _ => node,
                }
            }
            _ => node,
        }
    }

    /// How often each node is read by nodes and effects that matter.
    pub(crate) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.nodes.len()];
        for (_, effect) in &self.effects {
            match effect {
                Effect::Write(id, _) | Effect::WriteVector(id, _) => uses[id.index()] += 1,
                Effect::Require(comparison) => {
                    comparison.of.iter().for_each(|id| uses[id.index()] += 1);
                }
            }
        }
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if uses[index] > 0 {
                node.operands().for_each(|id| uses[id.index()] += 1);
            }
        }
        uses
    }

    /// Computes all nodes from the bits of what is read: of vectors, the numbers of one place in them.
    #[cfg(test)]
    pub(crate) fn values(&self, lane: usize, read: impl Fn(u32) -> u64) -> Vec<u64> {
        let mut values: Vec<u64> = Vec::with_capacity(self.nodes.len());
        for &node in &self.nodes {
            let mut operands = [0; 4];
            for (operand, id) in operands.iter_mut().zip(node.operands()) {
                *operand = values[id.index()];
            }
            values.push(match node {
                Node::Read(place) => read(place),
                Node::ReadVector(span) => read(span.places().nth(lane).unwrap_or(span.place)),
                Node::Constant(bits) => bits,
                _ => self.precision.evaluate(node, &operands),
            });
        }
        values
    }
}

/// The operations of a node on bits of a float type.
macro_rules! evaluate {
    ($float:ty as $bits:ty: $node:expr, $operands:expr) => {{
        let bits = |k: usize| $operands[k] as $bits;
        let float = |k: usize| <$float>::from_bits(bits(k));
        let result = match $node {
            Node::Binary(binary, _) => {
                let (a, b) = (float(0), float(1));
                match binary {
                    Binary::Add => (a + b).to_bits(),
                    Binary::Sub => (a - b).to_bits(),
                    Binary::Mul => (a * b).to_bits(),
                    Binary::Div => (a / b).to_bits(),
                    Binary::Max => {
                        if a > b {
                            bits(0)
                        } else {
                            bits(1)
                        }
                    }
                    Binary::Min => {
                        if a < b {
                            bits(0)
                        } else {
                            bits(1)
                        }
                    }
                    Binary::And => bits(0) & bits(1),
                    Binary::Or => bits(0) | bits(1),
                    Binary::Xor => bits(0) ^ bits(1),
                    Binary::AddBits => bits(0).wrapping_add(bits(1)),
                    Binary::SubBits => bits(0).wrapping_sub(bits(1)),
                }
            }
            Node::Sqrt(_) => float(0).sqrt().to_bits(),
            Node::Round(rounding, _) => match rounding {
                Rounding::Nearest => float(0).round_ties_even(),
                Rounding::Down => float(0).floor(),
                Rounding::Up => float(0).ceil(),
                Rounding::ToZero => float(0).trunc(),
            }
            .to_bits(),
            Node::MulAdd(_) => float(0).mul_add(float(1), float(2)).to_bits(),
            Node::ShiftLeft(_, by) => bits(0) << by,
            Node::ShiftRight(_, by) => bits(0) >> by,
            Node::Select(Comparison { test, .. }, _) => {
                let holds = match test {
                    Test::Less => float(0) < float(1),
                    Test::LessEqual => float(0) <= float(1),
                    Test::Equal => float(0) == float(1),
                    Test::EqualBits => bits(0) == bits(1),
                };
                bits(if holds { 2 } else { 3 })
            }
            Node::Read(_) | Node::ReadVector(_) | Node::Constant(_) => {
                unreachable!("these are no operations")
            }
        };
        u64::from(result)
    }};
}

impl Precision {
    /// The value of an operation, from the bits of its operands.
    fn evaluate(self, node: Node, operands: &[u64; 4]) -> u64 {
        match self {
            Self::Single => evaluate!(f32 as u32: node, operands),
            Self::Double => evaluate!(f64 as u64: node, operands),
        }
    }
}
