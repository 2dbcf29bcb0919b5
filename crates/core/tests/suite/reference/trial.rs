//! One op on some operands: evaluated on a tape in several layouts, with several threads, and in
//! a program, and compared with its definition.

use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use wengert_core::op::{Domain, DynOp};
use wengert_core::{Real, Shape, Tape, Tensor, Var, threads};
use wengert_reference::{Array, Expected, expected};

use super::operands::{Layout, laid_out, operand, repeated};
use super::sizes::one_of;

/// What an op gives on a tape.
fn evaluated<T: Real>(op: &Rc<dyn DynOp<T>>, args: &[Tensor<T>]) -> Array {
    let tape = Tape::new();
    let args: Vec<Var<'_, T>> = args.iter().map(|arg| tape.constant(arg.clone())).collect();
    let value = tape.apply_dyn(op, &args).value();
    Array::from(&value)
}

/// What an op gives in a program, where short values have loops of their own.
fn compiled<T: Real>(op: &Rc<dyn DynOp<T>>, args: &[Tensor<T>]) -> Array {
    let tape = Tape::new();
    let args: Vec<Var<'_, T>> = args.iter().map(|arg| tape.constant(arg.clone())).collect();
    let value = tape.apply_dyn(op, &args);
    let mut program = tape.compile(&args, &[value]).expect("an op alone compiles");
    program.execute();
    Array::from(&program.output(0))
}

/// The most elements of a value that is also computed in a program.
const SHORT: usize = 64;

/// Tests of one process run at once, and the number of threads is the process's: one sets it at a time.
static SETTING: Mutex<()> = Mutex::new(());

/// Computes with the number of threads to itself. It is then what it was before.
pub fn with_threads_to_itself<R>(compute: impl FnOnce() -> R) -> R {
    let _setting = SETTING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = threads::count();
    let result = compute();
    threads::set(before);
    result
}

/// What an op gives with one thread, with three, and, if it is short, in a program.
fn in_every_way<T: Real>(op: &Rc<dyn DynOp<T>>, args: &[Tensor<T>]) -> Vec<(&'static str, Array)> {
    let on = |count: usize| {
        threads::set(count);
        evaluated(op, args)
    };
    with_threads_to_itself(|| {
        let (three, one) = (on(3), on(1));
        let is_short = one.elements.len() <= SHORT;
        let program = is_short.then(|| ("in a program", compiled(op, args)));
        [("", one), ("with three threads", three)].into_iter().chain(program).collect()
    })
}

/// Compares each way with the definition, and the bits of the ways with one another.
fn check(ways: &[(&str, Array)], expected: &Expected) -> Result<(), String> {
    let bits = |x: &Array| x.elements.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for (way, result) in ways {
        expected.check(result).map_err(|reason| format!("{way}: {reason}"))?;
    }
    match ways.iter().find(|(_, result)| bits(result) != bits(&ways[0].1)) {
        Some((way, _)) => Err(format!("{way}: other bits than on a tape with one thread")),
        None => Ok(()),
    }
}

/// Comparisons made, and what they found.
#[derive(Debug)]
pub struct Trials {
    /// Of how many trials one is made.
    pub one_of: usize,
    /// Those that were asked for.
    pub asked: usize,
    pub comparisons: usize,
    pub faults: Vec<String>,
    /// Whether one fault is enough, so that nothing is compared afterwards.
    pub is_done_with_one: bool,
}

impl Default for Trials {
    fn default() -> Self {
        let faults = Vec::new();
        Self { one_of: one_of(), asked: 0, comparisons: 0, faults, is_done_with_one: false }
    }
}

impl Trials {
    /// Whether the next trial is to be made. Which ones are has no pattern that loops over shapes
    /// might have as well.
    pub fn is_due(&mut self) -> bool {
        self.asked += 1;
        let hash = (self.asked as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        hash.is_multiple_of(self.one_of as u64)
    }

    /// Compares an op on plain operands, and with each of some layouts for all operands.
    pub fn all<T: Real>(&mut self, op: &Rc<dyn DynOp<T>>, args: &[Array], layouts: &[Layout]) {
        let Some(expected) = self.expected(op, args) else { return };
        self.compare(op, args, &expected, |x, _| laid_out(x, Layout::Plain), "", true);
        for layout in layouts {
            let how = format!("{layout:?}");
            self.compare(op, args, &expected, |x, _| laid_out(x, *layout), &how, false);
        }
    }

    /// Compares an op with operands that are stretched along an axis, without a copy.
    pub fn repeated<T: Real>(&mut self, op: &Rc<dyn DynOp<T>>, args: &[Array], axis: usize) {
        let has_axis = |x: &Array| x.rank() > axis && x.shape[axis] > 0;
        let same = |x: &Array| if has_axis(x) { repeated(x, axis) } else { x.clone() };
        let args: Vec<Array> = args.iter().map(same).collect();
        let Some(expected) = self.expected(op, &args) else { return };
        let stretched = |x: &Array, _: usize| match has_axis(x) {
            true => laid_out::<T>(x, Layout::Plain).slice(axis, 0, 1, 1).broadcast_to(&x.shape[..]),
            false => laid_out(x, Layout::Plain),
        };
        self.compare(op, &args, &expected, stretched, &format!("repeated along {axis}"), false);
    }

    pub fn expected<T: Real>(&mut self, op: &Rc<dyn DynOp<T>>, args: &[Array]) -> Option<Expected> {
        if self.is_done_with_one && !self.faults.is_empty() {
            return None;
        }
        let expected = expected(&**op, args);
        if expected.is_none() {
            self.faults.push(format!("{op:?} has no definition"));
        }
        expected
    }

    pub fn compare<T: Real>(
        &mut self,
        op: &Rc<dyn DynOp<T>>,
        args: &[Array],
        expected: &Expected,
        tensor: impl Fn(&Array, usize) -> Tensor<T>,
        how: &str,
        is_plain: bool,
    ) {
        self.comparisons += 1;
        let tensors: Vec<Tensor<T>> =
            args.iter().enumerate().map(|(k, arg)| tensor(arg, k)).collect();
        let ways = match is_plain {
            true => in_every_way(op, &tensors),
            false => vec![("", evaluated(op, &tensors))],
        };
        if let Err(reason) = check(&ways, expected) {
            let shapes: Vec<&[usize]> = args.iter().map(|arg| &arg.shape[..]).collect();
            let precision = std::any::type_name::<T>();
            self.faults.push(format!("{op:?} of {precision} {shapes:?} {how}: {reason}"));
        }
    }
}

/// Operands from shapes and domains.
pub fn operands<T: Real>(args: &[(Shape, Domain)]) -> Vec<Array> {
    let of = |(seed, (shape, domain)): (usize, &(Shape, Domain))| operand::<T>(shape, domain, seed);
    args.iter().enumerate().map(of).collect()
}
