//! The gradient of an operand that a batch shares is the sum of those of single samples: for
//! every op of several operands, at batches around the constants of the sums.
//!
//! The sum is a plain loop. The batch is made in two ways: the op takes it by broadcasting,
//! where its rule for shapes allows it, and `vmap` makes it of any op.

use wengert_core::op::registry::ops;
use wengert_core::op::samples::Sample;
use wengert_core::{Shape, Tape, Tensor, Var, stack};

const BATCHES: [usize; 5] = [1, 31, 32, 33, 65];

/// Numbers of an operand's domain, which differ from sample to sample.
fn operand(sample: &Sample<f64>, arg: usize, number: usize) -> Tensor<f64> {
    let (shape, domain) = &sample.args[arg];
    let last = shape.last().copied().unwrap_or(1);
    Tensor::from_fn(shape, |i| {
        let hash =
            ((i + 31 * arg + 7919 * number) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let x = domain.low + (domain.high - domain.low) * hash as f64 / 2_f64.powi(24);
        let x = if domain.is_mask { x.round() } else { x };
        // The diagonal of matrices whose domain asks for one.
        let rows = shape.len().checked_sub(2).map_or(1, |axis| shape[axis]);
        let (row, column) = (i / last % rows, i % last);
        x + if row == column { domain.diagonal * (row + 1) as f64 } else { 0.0 }
    })
}

fn weights(shape: &Shape, number: usize) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| 1.0 + ((7 * i + 13 * number) as f64).sin() / 2.0)
}

/// The gradient of a weighted sum of `y` with respect to the shared operand.
fn gradient<'t>(y: Var<'t, f64>, weights: &Tensor<f64>, shared: Var<'t, f64>) -> Tensor<f64> {
    let tape = y.tape();
    let [adjoint] = (y * tape.constant(weights)).sum().grad([shared]);
    adjoint.value()
}

struct Batch<'a> {
    sample: &'a Sample<f64>,
    /// The number of the operand that all samples share.
    shared: usize,
    /// The other operands of each sample.
    operands: Vec<Vec<Tensor<f64>>>,
    /// The gradients of single samples.
    single: Vec<Tensor<f64>>,
}

impl<'a> Batch<'a> {
    fn new(sample: &'a Sample<f64>, shared: usize) -> Self {
        let most = BATCHES[BATCHES.len() - 1];
        let own = |number: usize, arg| operand(sample, arg, if arg == shared { 0 } else { number });
        let operands: Vec<Vec<_>> = (0..most)
            .map(|number| (0..sample.args.len()).map(|arg| own(number, arg)).collect())
            .collect();
        let single = operands.iter().enumerate().map(|(number, args)| {
            let tape = Tape::new();
            let vars: Vec<_> = args.iter().map(|x| tape.variable(x)).collect();
            let y = sample.record(&vars);
            gradient(y, &weights(&y.shape(), number), vars[shared])
        });
        let single = single.collect();
        Self { sample, shared, operands, single }
    }

    /// Whether the gradient with respect to the shared operand is the sum of those of the
    /// first `count` samples.
    fn compare(&self, how: &str, count: usize, found: &Tensor<f64>) {
        let mut sum = vec![0.0; found.len()];
        let mut size = vec![1.0; found.len()];
        for gradient in &self.single[..count] {
            for ((sum, size), x) in sum.iter_mut().zip(&mut size).zip(gradient.iter()) {
                *sum += x;
                *size += x.abs();
            }
        }
        for (i, ((x, sum), size)) in found.iter().zip(sum).zip(size).enumerate() {
            assert!(
                (x - sum).abs() <= 1e-12 * size || x.is_nan() && sum.is_nan(),
                "{} of {:?}, operand {} shared by {count} {how}: got {x}, expected {sum} at {i}",
                self.sample.op.name(),
                self.sample.args.iter().map(|arg| arg.0.to_string()).collect::<Vec<_>>(),
                self.shared,
            );
        }
    }

    /// The operands of `count` samples along a leading axis; the shared one stays as it is.
    fn together<'t>(&self, tape: &'t Tape<f64>, count: usize) -> Vec<Var<'t, f64>> {
        let whole = |arg: usize| {
            let each: Vec<_> =
                self.operands[..count].iter().map(|args| tape.constant(&args[arg])).collect();
            if arg == self.shared { tape.variable(&self.operands[0][arg]) } else { stack(&each, 0) }
        };
        (0..self.sample.args.len()).map(whole).collect()
    }

    fn stacked_weights(&self, each: &Shape, count: usize) -> Tensor<f64> {
        let all: Vec<f64> = (0..count).flat_map(|number| weights(each, number).to_vec()).collect();
        Tensor::new([&[count], &each[..]].concat(), all)
    }

    /// By broadcasting, if the op takes it and makes a batch of results of it.
    fn by_broadcasting(&self, each: &Shape, count: usize) -> bool {
        let tape = Tape::new();
        let vars = self.together(&tape, count);
        let shapes: Vec<Shape> = vars.iter().map(|var| var.shape()).collect();
        let expected = Shape::from([&[count], &each[..]].concat());
        if !self.sample.op.shape(&shapes.iter().collect::<Vec<_>>()).is_ok_and(|s| s == expected) {
            return false;
        }
        let y = self.sample.record(&vars);
        let found = gradient(y, &self.stacked_weights(each, count), vars[self.shared]);
        self.compare("by broadcasting", count, &found);
        true
    }

    fn by_map(&self, each: &Shape, count: usize) {
        let tape = Tape::new();
        let first: Vec<_> = self.operands[0].iter().map(|x| tape.variable(x)).collect();
        let all = self.together(&tape, count);
        let y = self.sample.record(&first);
        let others = (0..first.len()).filter(|&arg| arg != self.shared);
        let y = y.vmap(&others.map(|arg| (first[arg], all[arg])).collect::<Vec<_>>());
        let found = gradient(y, &self.stacked_weights(each, count), first[self.shared]);
        self.compare("by a map", count, &found);
    }
}

#[test]
fn by_a_batch_of_every_op() {
    let mut broadcast = Vec::new();
    for entry in ops::<f64>() {
        for sample in entry.samples.cases.iter().filter(|sample| sample.args.len() > 1) {
            if sample.args.iter().any(|(shape, _)| shape.contains(&0)) {
                continue;
            }
            for shared in (0..sample.args.len()).filter(|&arg| !sample.args[arg].1.is_mask) {
                let batch = Batch::new(sample, shared);
                let shapes: Vec<&Shape> = sample.args.iter().map(|arg| &arg.0).collect();
                let each = sample.op.shape(&shapes).unwrap();
                for count in BATCHES {
                    batch.by_map(&each, count);
                    if batch.by_broadcasting(&each, count) && broadcast.last() != Some(&entry.name)
                    {
                        broadcast.push(entry.name);
                    }
                }
            }
        }
    }
    for name in ["mul", "matmul", "matmul_transposed", "select"] {
        assert!(
            broadcast.contains(&name),
            "{name} was not tried with a shared operand: {broadcast:?}"
        );
    }
}

/// One matrix times each of a batch, and one system for many right-hand sides.
#[test]
fn one_matrix_for_a_batch_of_others() {
    for count in BATCHES {
        let tape = Tape::<f64>::new();
        let w = tape.variable([[1.0, 2.0], [3.0, 4.0]]);
        let x = tape.constant(Tensor::ones([count, 2, 3]));
        // Each entry of the gradient adds up 3 ones for each sample.
        let gradient = w.matmul(x).sum().backward().wrt(w);
        assert_eq!(gradient.to_vec(), [3.0 * count as f64; 4], "{count} samples");
        // f = sum of A^-1 b; its gradient is - A^-T 1 (A^-1 b)'. With A = 2 I and b = 1 it is -1/4.
        let a = tape.variable([[2.0, 0.0], [0.0, 2.0]]);
        let solved = a.solve(tape.constant(Tensor::ones([count, 2, 1])));
        let gradient = solved.sum().backward().wrt(a);
        assert_eq!(gradient.to_vec(), [-0.25 * count as f64; 4], "{count} samples");
    }
}
