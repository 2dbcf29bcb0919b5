//! The forward sweep: tangents along with the values (G&W, section 3.1).

use crate::op::Call;
use crate::tape::{Args, NodeId};
use crate::{Real, Var};

impl<'t, T: Real> Var<'t, T> {
    /// The tangent of `self` for given tangents of some values before it: the
    /// Jacobian times a direction. Recorded, so that it can be differentiated
    /// again, unless derivatives are not being recorded.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 2.0]);
    /// let v = tape.constant([1.0, 10.0]);
    /// assert_eq!((x * x).jvp(&[(x, v)]).value().to_vec(), [2.0, 40.0]);
    /// ```
    ///
    /// # Panics
    /// If a tangent's shape is not that of its value, or one lies on another
    /// tape.
    #[track_caller]
    pub fn jvp(self, tangents: &[(Var<'t, T>, Var<'t, T>)]) -> Var<'t, T> {
        let tape = self.tape();
        let inputs: Args<Var<'t, T>> = tangents.iter().map(|&(input, _)| input).collect();
        for (input, tangent) in tangents {
            assert!(std::ptr::eq(tape, input.tape()), "{tape} and {} are two tapes", input.tape());
            assert_eq!(input.shape(), tangent.shape(), "a tangent has the shape of its value");
        }
        let mut scratch = tape.take_scratch();
        let reached = std::mem::take(&mut scratch.marks);
        let marks = tape.mark_from(&inputs, self.id(), reached);
        let count = self.id().index() + 1;
        let region = scratch.adjoints.len();
        scratch.adjoints.resize(region + count, None);
        let table = &mut scratch.adjoints[region..];
        for (input, tangent) in tangents {
            if let Some(slot) = table.get_mut(input.id().index()) {
                *slot = Some(tangent.id().into());
            }
        }
        let first = inputs.iter().map(|input| input.id().index()).min().unwrap_or(count);
        for index in first..count {
            let id = NodeId::new(index);
            if !marks[index] || table[index].is_some() {
                continue;
            }
            let Some((op, args)) = tape.call(id) else { continue };
            let tangents: Args<Option<Var<'t, T>>> = args
                .iter()
                .map(|arg| table[arg.id().index()].map(|tangent| tape.var(tangent.id)))
                .collect();
            tape.record_on_behalf(Some(id));
            let value = tape.var(id);
            let tangent = op.get().jvp(&Call::new(&args, value), &tangents);
            if let Some(tangent) = tangent {
                assert!(
                    tape.same_shape(tangent.id(), id),
                    "the forward rule of {} gave shape {} for {}",
                    op.get().name(),
                    tangent.shape(),
                    value.describe()
                );
            }
            table[index] = tangent.map(|tangent| tangent.id().into());
        }
        tape.record_on_behalf(None);
        let tangent = table[self.id().index()];
        scratch.adjoints.truncate(region);
        scratch.marks = marks;
        tape.return_scratch(scratch);
        match tangent {
            Some(tangent) => tape.var(tangent.id),
            None => self.zeros_like(),
        }
    }
}
