//! Where the work of a tape goes: by kinds of operations and by scopes, forward and reverse, beside the
//! bound of Griewank & Walther.

use std::fmt;
use std::time::Instant;

use indexmap::IndexMap;

use super::replay::replay;
use super::{Row, Trace, Work};
use crate::scalar::Real;
use crate::tape::{Memory, Tape, Var};

/// How often a time is measured; the first runs record, the others follow them.
const RUNS: usize = 21;

/// What an evaluation and its gradient cost, counted: see [`Tape::explain`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// Kinds of operations, the most expensive first.
    pub kinds: Vec<Share>,
    /// Scopes and layers, in the order of evaluation.
    pub scopes: Vec<Share>,
    /// All together.
    pub total: Share,
    /// What the tape holds.
    pub memory: Memory,
    /// What the tape would hold with a checkpoint around each scope; none without several scopes.
    pub checkpointed: Option<Checkpointed>,
}

/// What checkpoints around the outermost scopes would save, counted in results of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpointed {
    /// How many scopes there are.
    pub scopes: usize,
    /// The bytes of all results.
    pub all: u64,
    /// The bytes of those that are read outside of their scope, and of the largest scope while a sweep is
    /// in it.
    pub held: u64,
    /// The operations of the scopes, which a sweep would repeat.
    pub repeated: u64,
}

/// A part of the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The op, or the scope.
    pub name: String,
    /// How many rows it has.
    pub count: usize,
    /// What the values take.
    pub forward: Work,
    /// What a fast backward sweep takes besides.
    pub reverse: Work,
}

impl Share {
    fn empty(name: &str) -> Self {
        let none = Work::default();
        Self { name: name.to_owned(), count: 0, forward: none, reverse: none }
    }

    fn add(&mut self, forward: Work, reverse: Work) {
        self.count += 1;
        self.forward = self.forward.and(forward);
        self.reverse = self.reverse.and(reverse);
    }

    /// The operations of value and gradient together, over those of the value: 2.5, for instance. None
    /// where the value takes no operation.
    pub fn ratio(&self) -> Option<f64> {
        let forward = self.forward.operations();
        (forward > 0).then(|| (forward + self.reverse.operations()) as f64 / forward as f64)
    }
}

impl<T: Real> Tape<T> {
    /// Where the work of `y` and of its gradient goes, as counts that do not depend on the machine, and
    /// what the tape holds in memory.
    ///
    /// The *cheap gradient principle* (Griewank & Walther, section 3.3) bounds the time for value and
    /// gradient by 3 to 4 evaluations, however many variables there are. Counted in operations:
    ///
    /// ```
    /// use wengert_core::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(vec![0.5; 100]);
    /// let y = (x.sin() * x).sum();
    /// let explanation = tape.explain(y);
    /// // Sines, products and a sum of 100.
    /// assert_eq!(explanation.total.forward.operations(), 300);
    /// assert!(explanation.total.ratio().unwrap() < 4.0);
    /// println!("{explanation}");
    /// ```
    ///
    /// # Panics
    /// If `y` lies on another tape.
    #[track_caller]
    pub fn explain(&self, y: Var<'_, T>) -> Explanation {
        let memory = self.memory();
        self.trace(y).explanation(memory)
    }

    /// The time for `y` and its gradient over the time for `y` alone, measured: what
    /// [`Share::ratio`] counts, on this machine. Both are recorded again and again on a tape of their
    /// own, with the operands' values; the medians count. `None` if `y` depends on no variable.
    ///
    /// ```
    /// use wengert_core::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(vec![0.5; 10_000]);
    /// let ratio = tape.measured_ratio((x.sin() * x).sum()).unwrap();
    /// println!("counted 3, measured {ratio:.1}");
    /// ```
    ///
    /// # Panics
    /// If `y` lies on another tape.
    #[track_caller]
    pub fn measured_ratio(&self, y: Var<'_, T>) -> Option<f64> {
        self.expect_own(y);
        if !y.is_active() {
            return None;
        }
        let median = |run: &mut dyn FnMut()| {
            let mut seconds: Vec<f64> = (0..RUNS)
                .map(|_| {
                    let start = Instant::now();
                    run();
                    start.elapsed().as_secs_f64()
                })
                .collect();
            seconds.sort_by(f64::total_cmp);
            seconds[RUNS / 2]
        };
        let copied = |copy: &mut Tape<T>, sweeps: bool| {
            copy.reset();
            let last = replay(y, copy).pop().flatten().expect("the value itself is copied");
            if sweeps {
                last.sum().backward();
            }
        };
        let mut copy = Tape::new();
        let value = median(&mut || copied(&mut copy, false));
        let mut copy = Tape::new();
        Some(median(&mut || copied(&mut copy, true)) / value)
    }
}

impl Trace {
    fn explanation(&self, memory: Memory) -> Explanation {
        let mut kinds: IndexMap<&str, Share> = IndexMap::new();
        let mut scopes: IndexMap<String, Share> = IndexMap::new();
        let mut total = Share::empty("total");
        for row in &self.rows {
            let Some(op) = row.op else { continue };
            let scope = row.scope.join(", ");
            let scope = if scope.is_empty() { "(no scope)".to_owned() } else { scope };
            let kind = kinds.entry(op).or_insert_with(|| Share::empty(op));
            let place = scopes.entry(scope.clone()).or_insert_with(|| Share::empty(&scope));
            for share in [kind, place, &mut total] {
                share.add(row.forward, row.reverse);
            }
        }
        let mut kinds: Vec<Share> = kinds.into_values().collect();
        kinds.sort_by_key(|share| {
            std::cmp::Reverse(share.forward.operations() + share.reverse.operations())
        });
        let checkpointed = self.checkpointed();
        Explanation { kinds, scopes: scopes.into_values().collect(), total, memory, checkpointed }
    }

    fn checkpointed(&self) -> Option<Checkpointed> {
        let element = if self.precision == f32::NAME { size_of::<f32>() } else { size_of::<f64>() };
        let outermost = |row: &Row| row.scope.first().cloned();
        let mut leaves_its_scope = vec![false; self.output().number + 1];
        leaves_its_scope[self.output().number] = true;
        for row in &self.rows {
            for &operand in &row.operands {
                let source = self.numbered(operand).and_then(outermost);
                leaves_its_scope[operand] |= source != outermost(row);
            }
        }
        // What each scope has inside, and what stays.
        let mut inside: IndexMap<String, u64> = IndexMap::new();
        let (mut stays, mut repeated) = (0, 0);
        for row in self.rows.iter().filter(|row| row.op.is_some()) {
            let elements = if row.is_view { 0 } else { row.value.shape.elements() };
            let bytes = (elements * element) as u64;
            let scope = outermost(row).map(|scope| inside.entry(scope).or_default());
            repeated += scope.as_ref().map_or(0, |_| row.forward.operations());
            match scope {
                Some(inside) if !leaves_its_scope[row.number] => *inside += bytes,
                _ => stays += bytes,
            }
        }
        let largest = inside.values().copied().max().unwrap_or(0);
        (inside.len() > 1).then(|| Checkpointed {
            scopes: inside.len(),
            all: stays + inside.values().sum::<u64>(),
            held: stays + largest,
            repeated,
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines =
            vec![["", "rows", "forward", "reverse", "bytes", "ratio"].map(str::to_owned)];
        let line = |share: &Share| {
            let bytes = share.forward.bytes + share.reverse.bytes;
            [
                share.name.clone(),
                share.count.to_string(),
                share.forward.operations().to_string(),
                share.reverse.operations().to_string(),
                bytes.to_string(),
                share.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
            ]
        };
        lines.extend(self.kinds.iter().map(line));
        if self.scopes.len() > 1 {
            lines.push(Default::default());
            lines.extend(self.scopes.iter().map(line));
        }
        lines.push(Default::default());
        lines.push(line(&self.total));
        let width = |column: usize| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..6).map(width).collect();
        for line in &lines {
            let mut text = format!("{:<w$}", line[0], w = widths[0]);
            for (cell, width) in line[1..].iter().zip(&widths[1..]) {
                text += &format!("  {cell:>width$}");
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        if let Some(ratio) = self.total.ratio() {
            writeln!(
                f,
                "value and gradient: {ratio:.2} times the operations of the value (Griewank & Walther \
                 bound the time by 3 to 4)"
            )?;
        }
        write!(f, "memory: {}", self.memory)?;
        match self.checkpointed {
            Some(Checkpointed { scopes, all, held, repeated }) => write!(
                f,
                "\nwith a checkpoint around each of the {scopes} outermost scopes: {held} bytes of results \
                 instead of {all}, and {repeated} operations repeated"
            ),
            None => Ok(()),
        }
    }
}
