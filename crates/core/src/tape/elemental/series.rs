//! Truncated power series, for Taylor mode (G&W, chapter 13).
//!
//! In Taylor mode every value is a curve `y(t) = y_0 + y_1 t + y_2 t^2 + ...`, and
//! what is wanted are its coefficients. A [`Series`] is such a curve, as an unknown
//! of a [`System`]: a rule says how coefficient `k` follows from lower ones, and
//! coefficients are found when they are asked for, each once. So equations may be
//! implicit: `y' = f'(x) x'` gives `y_k` from `y_0, ..., y_(k-1)`, and that alone
//! makes a Taylor rule of every local partial, which is a formula over
//! [`Number`](crate::scalar::Number), and of every `jvp`, which is recorded once and then
//! read as a formula of series.
//!
//! Coefficients are variables on the tape, or `None` for zero. Hence they can be
//! differentiated and compiled like anything else.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use super::{Call, Term, add_terms};
use crate::scalar::Real;
use crate::tape::{Args, NodeId, OpHandle, Tape, Var};

/// How a coefficient follows from lower ones.
type Rule<'t, T> = Rc<dyn Fn(&System<'t, T>, usize) -> Term<'t, T> + 't>;

/// An unknown series.
struct Unknown<'t, T: Real> {
    found: Vec<Term<'t, T>>,
    /// Without a rule, all further coefficients are 0.
    rule: Option<Rule<'t, T>>,
}

/// Power series that depend on each other.
pub struct System<'t, T: Real> {
    pub(crate) tape: &'t Tape<T>,
    unknowns: RefCell<Vec<Unknown<'t, T>>>,
}

impl<T: Real> fmt::Debug for System<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("series", &self.unknowns.borrow().len())
            .finish_non_exhaustive()
    }
}

impl<'t, T: Real> System<'t, T> {
    pub(crate) fn new(tape: &'t Tape<T>) -> Self {
        Self { tape, unknowns: RefCell::new(Vec::new()) }
    }

    /// The series with the given coefficients, and zeros after them.
    pub(crate) fn given(&self, coefficients: Vec<Term<'t, T>>) -> Series<'_, 't, T> {
        self.add(Unknown { found: coefficients, rule: None })
    }

    /// A value that does not move.
    pub(crate) fn constant(&self, value: Var<'t, T>) -> Series<'_, 't, T> {
        self.given(vec![Some(value)])
    }

    /// The integral, from a value, of a series that may be set later.
    pub(crate) fn integral(&self, start: Var<'t, T>) -> (Series<'_, 't, T>, Rc<Cell<usize>>) {
        let of = Rc::new(Cell::new(usize::MAX));
        let rate = of.clone();
        let series = self.defined(move |system, k| match k {
            0 => Some(start),
            _ => system.integrated(rate.get(), k),
        });
        (series, of)
    }

    /// The coefficient of `t^k`, from the first power on, of a series with this derivative.
    fn integrated(&self, rate: usize, k: usize) -> Term<'t, T> {
        let rate = self.at(rate, k - 1)?;
        Some(if k == 1 { rate } else { rate / T::from_f64(k as f64) })
    }

    pub(crate) fn tape(&self) -> &'t Tape<T> {
        self.tape
    }

    fn add(&self, unknown: Unknown<'t, T>) -> Series<'_, 't, T> {
        let mut unknowns = self.unknowns.borrow_mut();
        unknowns.push(unknown);
        Series { system: self, id: unknowns.len() - 1 }
    }

    pub(crate) fn defined(
        &self,
        rule: impl Fn(&System<'t, T>, usize) -> Term<'t, T> + 't,
    ) -> Series<'_, 't, T> {
        self.add(Unknown { found: Vec::new(), rule: Some(Rc::new(rule)) })
    }

    /// The coefficient of `t^order`, found if it is not known yet.
    pub(crate) fn at(&self, id: usize, order: usize) -> Term<'t, T> {
        loop {
            let (rule, next) = {
                let unknown = &self.unknowns.borrow()[id];
                if let Some(&found) = unknown.found.get(order) {
                    return found;
                }
                (unknown.rule.clone()?, unknown.found.len())
            };
            let coefficient = rule(self, next);
            self.unknowns.borrow_mut()[id].found.push(coefficient);
        }
    }

    /// The value at `t = 0`, as a number even if it is zero.
    pub(crate) fn start(&self, id: usize) -> Var<'t, T> {
        self.at(id, 0).unwrap_or_else(|| self.tape.scalar_constant(T::zero()))
    }
}

/// A power series in one variable, with tensors on a tape as coefficients.
///
/// It is a [`Number`](crate::scalar::Number), so the formulas of elementwise ops apply to
/// it; the rules are those of G&W, Tables 13.1 and 13.2. At a kink the choice is that
/// of the first derivative, made at `t = 0`: the piece that the value is on, and 0
/// for `abs` at 0.
pub struct Series<'s, 't, T: Real> {
    pub(crate) system: &'s System<'t, T>,
    pub(crate) id: usize,
}

impl<T: Real> fmt::Debug for Series<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Series").field(&self.id).finish()
    }
}

impl<T: Real> Clone for Series<'_, '_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Real> Copy for Series<'_, '_, T> {}

impl<'s, 't, T: Real> Series<'s, 't, T> {
    /// Its number in the system.
    pub(crate) fn id(self) -> usize {
        self.id
    }

    /// The coefficient of `t^order`; `None` stands for zero.
    pub fn coefficient(self, order: usize) -> Term<'t, T> {
        self.system.at(self.id, order)
    }

    /// The series with all coefficients but the first times a factor: for tests that damage
    /// rules.
    #[doc(hidden)]
    pub fn stretched(self, factor: f64) -> Self {
        let own = self.id;
        self.system.defined(move |system, k| {
            let found = system.at(own, k)?;
            Some(if k == 0 { found } else { found * T::from_f64(factor) })
        })
    }

    /// Whether it is known not to depend on `t`.
    pub(crate) fn is_constant(self) -> bool {
        let unknown = &self.system.unknowns.borrow()[self.id];
        unknown.rule.is_none() && unknown.found.iter().skip(1).all(Option::is_none)
    }

    pub(crate) fn define(self, rule: impl Fn(&System<'t, T>, usize) -> Term<'t, T> + 't) {
        self.system.unknowns.borrow_mut()[self.id].rule = Some(Rc::new(rule));
    }

    /// Takes the value at `t = 0` as known, unless it is.
    pub(crate) fn starts_at(self, value: Var<'t, T>) {
        let found = &mut self.system.unknowns.borrow_mut()[self.id].found;
        if found.is_empty() {
            found.push(Some(value));
        }
    }

    /// The derivative in `t`.
    pub(crate) fn rate(self) -> Self {
        let x = self.id;
        self.system.defined(move |system, k| {
            let x = system.at(x, k + 1)?;
            Some(if k == 0 { x } else { x * T::from_f64((k + 1) as f64) })
        })
    }

    /// The solution of `y' = rate(y)` that starts at a value.
    pub(crate) fn solution(
        self,
        start: impl Fn(&System<'t, T>) -> Var<'t, T> + 't,
        rate: impl FnOnce(Self) -> Self,
    ) -> Self {
        let y = self.system.given(Vec::new());
        let rate = rate(y).id;
        y.define(move |system, k| match k {
            0 => Some(start(system)),
            _ => system.integrated(rate, k),
        });
        y
    }
}

/// One application of an op whose operands move, as its Taylor rule sees it.
pub struct SeriesCall<'s, 't, T: Real> {
    op: OpHandle<T>,
    args: Args<Var<'t, T>>,
    value: Var<'t, T>,
    moving: Vec<Series<'s, 't, T>>,
    system: &'s System<'t, T>,
}

impl<T: Real> fmt::Debug for SeriesCall<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesCall")
            .field("args", &self.args)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

impl<'s, 't, T: Real> SeriesCall<'s, 't, T> {
    /// The series of a node's value, from those of its arguments; `known` has none for
    /// an argument that does not move.
    pub(crate) fn solve(
        system: &'s System<'t, T>,
        node: Var<'t, T>,
        known: impl Fn(NodeId) -> Option<Series<'s, 't, T>>,
    ) -> Series<'s, 't, T> {
        let still = || system.constant(node);
        let Some((op, args)) = system.tape.call(node.id()) else { return still() };
        let moving: Vec<_> = args
            .iter()
            .map(|arg| known(arg.id()).unwrap_or_else(|| system.constant(*arg)))
            .collect();
        if !op.get().is_differentiable() || moving.iter().all(|series| series.is_constant()) {
            return still();
        }
        let call = SeriesCall { op: op.clone(), args, value: node, moving, system };
        op.get().taylor(call)
    }

    /// The operands.
    pub(crate) fn args(&self) -> &[Series<'s, 't, T>] {
        &self.moving
    }

    /// The result as an unknown of which coefficients follow from a rule. They take the
    /// shape of the value.
    fn result(
        &self,
        rule: impl Fn(&System<'t, T>, usize) -> Term<'t, T> + 't,
    ) -> Series<'s, 't, T> {
        let value = self.value;
        self.system.defined(move |system, k| match k {
            0 => Some(value),
            _ => rule(system, k).map(|found| found.broadcast_to(value.shape())),
        })
    }

    /// For ops that are linear in all operands together: each coefficient is mapped
    /// by itself.
    pub(crate) fn linear(self) -> Series<'s, 't, T> {
        let moving: Vec<usize> = self.moving.iter().map(|series| series.id).collect();
        let (op, args, value) = (self.op.clone(), self.args.clone(), self.value);
        self.result(move |system, k| {
            let tangents: Args<_> = moving.iter().map(|&id| system.at(id, k)).collect();
            op.get().jvp(&Call::new(&args, value), &tangents)
        })
    }

    /// For products: the convolution of both series.
    pub(crate) fn bilinear(
        self,
        product: impl Fn(Var<'t, T>, Var<'t, T>) -> Var<'t, T> + 't,
    ) -> Series<'s, 't, T> {
        let (a, b) = (self.moving[0].id, self.moving[1].id);
        self.result(move |system, k| {
            convolution(0..=k, |j| Some(product(system.at(a, j)?, system.at(b, k - j)?)))
        })
    }

    /// For functions of numbers that are written with the functions of a
    /// [`Number`](crate::scalar::Number).
    pub(crate) fn closed(self, y: Series<'s, 't, T>) -> Series<'s, 't, T> {
        y.starts_at(self.value);
        let y = y.id;
        self.result(move |system, k| system.at(y, k))
    }

    /// For functions of numbers: the solution of `y' = sum of dy/dx x'`, where `term` gives
    /// `dy/dx x'` of an operand from the result and `x'`.
    pub(crate) fn solved(
        self,
        term: &dyn Fn(usize, Series<'s, 't, T>, Series<'s, 't, T>) -> Series<'s, 't, T>,
    ) -> Series<'s, 't, T> {
        let value = self.value;
        let y = self.moving[0].solution(
            move |_| value,
            |y| {
                let moving = self.moving.iter().enumerate().filter(|(_, x)| !x.is_constant());
                moving
                    .map(|(arg, x)| term(arg, y, x.rate()))
                    .reduce(|sum, term| sum + term)
                    .expect("some operand moves")
            },
        );
        self.closed(y)
    }

    /// For all ops: the forward rule is recorded once, along `x'(0)`, and what it
    /// recorded is then read as the equation `y' = jvp(x, y, x')` of series.
    pub(crate) fn by_jvp(self) -> Series<'s, 't, T> {
        let moving: Vec<usize> = self.moving.iter().map(|series| series.id).collect();
        let (op, args, value) = (self.op, self.args, self.value);
        let y = self.system.given(vec![Some(value)]);
        let own = y.id;
        // The rule's own series, once there is need of them.
        let rate: RefCell<Option<Option<usize>>> = RefCell::new(None);
        y.define(move |system, k| {
            let known = *rate.borrow();
            let found = known.unwrap_or_else(|| {
                let found = record_jvp(system, &op, &args, value, &moving, own);
                *rate.borrow_mut() = Some(found);
                found
            });
            system.integrated(found?, k)
        });
        y
    }
}

/// Records a forward rule and reads it as series: gives that of the tangent.
fn record_jvp<'t, T: Real>(
    system: &System<'t, T>,
    op: &OpHandle<T>,
    args: &[Var<'t, T>],
    value: Var<'t, T>,
    moving: &[usize],
    own: usize,
) -> Option<usize> {
    let tape = system.tape;
    let series = |id| Series { system, id };
    let mut known: HashMap<usize, usize> = HashMap::from([(value.id().index(), own)]);
    let mut tangents: Args<Term<'t, T>> = Args::new();
    for (arg, &x) in args.iter().zip(moving) {
        if series(x).is_constant() {
            tangents.push(None);
            continue;
        }
        known.insert(arg.id().index(), x);
        // A node of its own: `x'(0)` may be a value that the rule reads for itself.
        let start = system.at(x, 1).unwrap_or_else(|| arg.zeros_like());
        let start = start.alias();
        known.insert(start.id().index(), series(x).rate().id);
        tangents.push(Some(start));
    }
    let first = tape.len();
    // Rules in one go have no series; formulas do.
    let tangent = tape.with_gradients(|| op.get().jvp(&Call::new(args, value), &tangents))?;
    // What the rule takes as constant does not move.
    let detached = tape.detached(first..tape.len());
    for index in (first..tape.len()).filter(|index| !detached[index - first]) {
        let node = tape.var(NodeId::new(index));
        let found =
            SeriesCall::solve(system, node, |id| known.get(&id.index()).map(|&s| series(s)));
        known.insert(index, found.id);
    }
    Some(match known.get(&tangent.id().index()) {
        Some(&found) => found,
        None => system.constant(tangent).id,
    })
}

/// The sum of those terms that are not zero.
pub(crate) fn convolution<'t, T: Real>(
    range: impl Iterator<Item = usize>,
    term: impl Fn(usize) -> Term<'t, T>,
) -> Term<'t, T> {
    add_terms(range.map(term))
}
