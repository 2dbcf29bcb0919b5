//! Every op at sizes from one element to millions: where does a larger size cost more an element?
//!
//! The ops and their operands are the registry's samples, stretched along an axis that the op lets
//! grow. Each is recorded, recorded with its gradient, and run as a program. A place where an
//! element costs more than [`RISE`] times what it costs at the size before is a cliff: a way of
//! computing that should not have been taken, or memory that is further away.

use std::time::Duration;

use serde_json::{Value, json};
use wengert::op::Domain;
use wengert::op::registry::{Entry, ops};
use wengert::op::samples::Sample;
use wengert::{Program, Shape, Tape, Tensor, Var};

use crate::measure::{Reps, time};

/// The growth of a cost an element from one size to the next that is told.
const RISE: f64 = 1.5;
/// Samples of each time.
const SAMPLES: usize = 5;
/// What a single run may take, so that ops of a higher order end early.
const LONGEST: Duration = Duration::from_millis(500);

/// Times some ops, all if none is named, up to `largest` elements.
pub fn sweep(names: &[String], largest: usize) {
    let wanted = |entry: &Entry<f32>| names.is_empty() || names.iter().any(|own| own == entry.name);
    for entry in ops::<f32>().into_iter().filter(wanted) {
        match entry.samples.cases.iter().find_map(Stretched::of) {
            Some(stretched) => stretched.sweep(entry.name, largest),
            None => {
                println!("{}", json!({ "op": entry.name, "sizes": "those of its samples only" }))
            }
        }
    }
}

/// The extent after another: 1, 2, 4, 5, 16, 17, 64, 65, ..., powers of 4 and what comes after
/// each. Loops are cut by powers of two, so an element more is another way of computing.
fn next(extent: usize) -> usize {
    match extent {
        1 | 2 => 2 * extent,
        _ if extent.is_power_of_two() => extent + 1,
        _ => 4 * (extent - 1),
    }
}

/// The nanoseconds of one way of computing, at an extent.
type Timed<'a> = fn(&Stretched<'a>, usize) -> Option<f64>;

/// A sample whose operands grow along one axis.
struct Stretched<'a> {
    sample: &'a Sample<f32>,
    axis: usize,
}

impl<'a> Stretched<'a> {
    /// The first axis along which the op takes any extent.
    fn of(sample: &'a Sample<f32>) -> Option<Self> {
        let rank = sample.args.first()?.0.rank();
        let grows = |axis: &usize| {
            let stretched = Self { sample, axis: *axis };
            let elements = |extent| stretched.elements(extent);
            [1, 5, 64, 1000].iter().all(|&extent| elements(extent).is_some())
                && elements(1000) > elements(64)
        };
        (0..rank).find(grows).map(|axis| Self { sample, axis })
    }

    fn shapes(&self, extent: usize) -> Vec<Shape> {
        let first = &self.sample.args[0].0;
        let stretched = |shape: &Shape| match shape.get(self.axis) {
            Some(&own) if own == first[self.axis] => shape
                .iter()
                .enumerate()
                .map(|(i, &n)| if i == self.axis { extent } else { n })
                .collect(),
            _ => shape.clone(),
        };
        self.sample.args.iter().map(|(shape, _)| stretched(shape)).collect()
    }

    /// The elements of the largest operand or of the result; `None` if the op does not take the
    /// extent.
    fn elements(&self, extent: usize) -> Option<usize> {
        let shapes = self.shapes(extent);
        let result = self.sample.op.shape(&shapes.iter().collect::<Vec<_>>()).ok()?;
        shapes.iter().chain([&result]).map(Shape::elements).max().filter(|&elements| elements > 0)
    }

    fn operands(&self, extent: usize) -> Vec<Tensor<f32>> {
        let domains = self.sample.args.iter().map(|(_, domain)| *domain);
        self.shapes(extent)
            .iter()
            .zip(domains)
            .map(|(shape, domain)| numbers(shape, domain))
            .collect()
    }

    fn sweep(&self, name: &str, largest: usize) {
        let kinds: [(&str, Timed<'a>); 3] = [
            ("recorded", Self::recorded),
            ("gradient", Self::gradient),
            ("compiled", Self::compiled),
        ];
        for (kind, nanoseconds) in kinds {
            let mut found: Vec<(usize, f64)> = Vec::new();
            let mut extent = 1;
            while let Some(elements) = self.elements(extent).filter(|&elements| elements <= largest)
            {
                let Some(whole) = nanoseconds(self, extent) else { break };
                found.push((elements, whole / elements as f64));
                if whole * 3.0 > LONGEST.as_nanos() as f64 {
                    break;
                }
                extent = next(extent);
            }
            println!("{}", json!({ "op": name, "kind": kind, "ns_per_element": list(&found) }));
            for pair in found.windows(2).filter(|pair| pair[1].1 > RISE * pair[0].1) {
                println!("{}", json!({ "op": name, "kind": kind, "rises": list(pair) }));
            }
        }
    }

    fn record<'t>(
        &self,
        tape: &'t Tape<f32>,
        operands: &[Tensor<f32>],
    ) -> (Vec<Var<'t, f32>>, Var<'t, f32>) {
        let take_in = |(x, (_, domain)): (&Tensor<f32>, &(Shape, Domain))| match domain.is_mask {
            true => tape.constant(x),
            false => tape.variable(x),
        };
        let vars: Vec<_> = operands.iter().zip(&self.sample.args).map(take_in).collect();
        let y = tape.apply_dyn(&self.sample.op, &vars);
        (vars, y)
    }

    fn recorded(&self, extent: usize) -> Option<f64> {
        let operands = self.operands(extent);
        let mut tape = Tape::new();
        Some(nanoseconds(|| {
            tape.reset();
            self.record(&tape, &operands);
        }))
    }

    /// `None` for ops without a derivative.
    fn gradient(&self, extent: usize) -> Option<f64> {
        let operands = self.operands(extent);
        let mut tape = Tape::new();
        if !self.record(&tape, &operands).1.is_active() {
            return None;
        }
        Some(nanoseconds(|| {
            tape.reset();
            self.record(&tape, &operands).1.sum().backward();
        }))
    }

    fn compiled(&self, extent: usize) -> Option<f64> {
        let tape = Tape::new();
        let (vars, y) = self.record(&tape, &self.operands(extent));
        let mut program: Program<f32> = tape.compile(&vars, &[y]).ok()?;
        Some(nanoseconds(|| program.execute()))
    }
}

fn nanoseconds(run: impl FnMut()) -> f64 {
    // The least, which other work on the machine disturbs least.
    time(Reps::Timed { samples: SAMPLES, budget: Duration::MAX }, 1, run).min_us * 1e3
}

fn list(found: &[(usize, f64)]) -> Vec<Value> {
    let rounded = |x: f64| (x * 1e3).round() / 1e3;
    found.iter().map(|&(elements, ns)| json!([elements, rounded(ns)])).collect()
}

/// Numbers of a domain, the same every time, spread over it by the golden ratio.
fn numbers(shape: &Shape, domain: Domain) -> Tensor<f32> {
    let Domain { low, high, is_mask, diagonal } = domain;
    Tensor::from_fn(shape, |at| {
        let x = low + (high - low) * (at as f64 * 0.618_033_988_749_895).fract();
        let on_diagonal = match shape[..] {
            [.., n, m] if at / m % n == at % m => (at % m + 1) as f64,
            _ => 0.0,
        };
        (if is_mask { x.round() } else { x + diagonal * on_diagonal }) as f32
    })
}
