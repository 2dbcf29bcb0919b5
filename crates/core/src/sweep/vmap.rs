//! The vectorised map: a recorded function of many values at once.
//!
//! A sweep like the others: it walks the tape from some inputs to some outputs, and
//! lets each op say how it is applied to operands that lie along a new leading axis. So
//! whatever is recorded can be mapped, derivatives included, and bundles of directions or
//! cotangents take one pass over the tape: a derivative is recorded for one direction, and
//! mapped over all of them.

use crate::op::stack;
use crate::scalar::Real;
use crate::tape::elemental::{Stacked, Term};
use crate::tape::{Args, NodeId, Tape, Var};

/// # Many values at once
impl<'t, T: Real> Var<'t, T> {
    /// The value for many values of some inputs, which are given with one more leading axis
    /// and all of the same extent; so the result has it.
    ///
    /// Recorded, so that it can be differentiated. Inputs may be any values that were
    /// recorded before; what does not depend on them is shared, and what was recorded
    /// [without gradients](Tape::without_gradients) counts as constant again.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let (x, a) = (tape.variable([1.0, 2.0]), tape.variable(3.0));
    /// let y = (x * x).sum() * a;
    /// let xs = tape.constant([[1.0, 2.0], [0.0, 1.0], [2.0, 2.0]]);
    /// assert_eq!(y.vmap(&[(x, xs)]).value().to_vec(), [15.0, 3.0, 24.0]);
    ///
    /// // All directions in one pass: a Jacobian.
    /// let direction = tape.constant([0.0, 0.0]);
    /// let tangent = (x * x * a).jvp(&[(x, direction)]);
    /// let basis = tape.constant([[1.0, 0.0], [0.0, 1.0]]);
    /// assert_eq!(tangent.vmap(&[(direction, basis)]).value().to_vec(), [6.0, 0.0, 0.0, 12.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes are not those of the inputs behind one leading axis, which is not empty;
    /// if a value lies on another tape; or if the recording read a value that depends on
    /// the inputs, as what followed may hold for that value only.
    #[track_caller]
    pub fn vmap(self, inputs: &[(Var<'t, T>, Var<'t, T>)]) -> Var<'t, T> {
        let [value] = self.tape().vmap([self], inputs);
        value
    }
}

impl<T: Real> Tape<T> {
    /// As [`Var::vmap`], for several outputs in one pass.
    ///
    /// # Panics
    /// As [`Var::vmap`].
    #[track_caller]
    pub fn vmap<'t, const N: usize>(
        &'t self,
        outputs: [Var<'t, T>; N],
        inputs: &[(Var<'t, T>, Var<'t, T>)],
    ) -> [Var<'t, T>; N] {
        self.mapped(&outputs, inputs).try_into().expect("one value an output")
    }

    #[track_caller]
    pub(crate) fn mapped<'t>(
        &'t self,
        outputs: &[Var<'t, T>],
        inputs: &[(Var<'t, T>, Var<'t, T>)],
    ) -> Vec<Var<'t, T>> {
        // What is needed, and what is given.
        let extent = self.check_mapped(outputs, inputs);
        let count = outputs.iter().map(|output| output.id().index() + 1).max().unwrap_or(0);
        let needed = self.needed_for(outputs);
        let kept = self.kept_values();
        let detached = self.detached(0..count);
        let mut table: Vec<Term<'t, T>> = vec![None; count];
        for (input, values) in inputs {
            if let Some(slot) = table.get_mut(input.id().index()) {
                *slot = Some(*values);
            }
        }
        let first = inputs.iter().map(|(input, _)| input.id().index()).min().unwrap_or(count);
        // Forwards over the tape: whatever has a stacked operand is stacked.
        for index in first..count {
            let id = NodeId::new(index);
            if !needed[index] || table[index].is_some() {
                continue;
            }
            let Some((op, args)) = self.call(id) else { continue };
            let is_stacked: Args<bool> =
                args.iter().map(|arg| table[arg.id().index()].is_some()).collect();
            if !is_stacked.contains(&true) {
                continue;
            }
            let operands: Args<Var<'t, T>> = args
                .iter()
                .map(|arg| {
                    let arg_index = arg.id().index();
                    table[arg_index].unwrap_or_else(|| {
                        assert!(
                            kept[arg_index],
                            "the memory of {} was used again by a fast sweep; record what is to be \
                             mapped with `grad` or `vjp`, outside of `without_gradients`",
                            arg.describe()
                        );
                        *arg
                    })
                })
                .collect();
            self.record_on_behalf(Some(id));
            let stacked = Stacked::new(&op, &operands, &is_stacked, extent);
            let mapped = || op.get().stacked(&stacked).unwrap_or_else(|| one_by_one(&stacked));
            // What counts as constant does so for each of the values.
            let value = if detached[index] { self.without_gradients(mapped) } else { mapped() };
            debug_assert_eq!(
                value.shape(),
                stacked.shape(&self.shape_of(id)),
                "{}",
                op.get().name()
            );
            table[index] = Some(value);
        }
        self.record_on_behalf(None);
        // What depends on no input is repeated.
        let value = |output: &Var<'t, T>| {
            table[output.id().index()]
                .unwrap_or_else(|| output.broadcast_to(output.shape().inserting(0, extent)))
        };
        outputs.iter().map(value).collect()
    }

    /// The extent of the leading axis.
    #[track_caller]
    fn check_mapped(&self, outputs: &[Var<'_, T>], inputs: &[(Var<'_, T>, Var<'_, T>)]) -> usize {
        let all = inputs.iter().flat_map(|&(input, values)| [input, values]);
        for var in all.chain(outputs.iter().copied()) {
            self.expect_own(var);
        }
        let extents: Vec<usize> =
            inputs.iter().filter_map(|(_, values)| values.shape().first().copied()).collect();
        let extent = extents.first().copied().unwrap_or(0);
        assert!(extent > 0, "vmap: expected values along a leading axis, got none");
        for (input, values) in inputs {
            let expected = input.shape().inserting(0, extent);
            assert!(
                values.shape() == expected,
                "vmap: expected {extent} values in shape {expected}, got {}\n  input: {}\n  values: {}",
                values.shape(),
                input.describe(),
                values.describe()
            );
        }
        let varied: Vec<Var<'_, T>> = inputs.iter().map(|&(input, _)| input).collect();
        self.expect_unread(self.data_dependent_read(&varied, outputs));
        extent
    }

    /// Panics if there is a value that was read, with its line.
    #[track_caller]
    pub(crate) fn expect_unread(&self, read: Option<(String, String)>) {
        if let Some((value, line)) = read {
            panic!(
                "the value of {value} was read at {line} while the function was recorded; what was \
                 recorded after that may hold for this value only, so it cannot be mapped"
            );
        }
    }
}

/// The op on one operand after the other.
#[track_caller]
fn one_by_one<'t, T: Real>(operands: &Stacked<'_, 't, T>) -> Var<'t, T> {
    let one = |k| operands.recorded(&operands.one(k));
    let each: Vec<Var<'t, T>> = (0..operands.extent()).map(one).collect();
    stack(&each, 0)
}
