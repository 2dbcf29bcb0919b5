//! The forward sweep: tangents along with the values (G&W, section 3.1).

use crate::scalar::Real;
use crate::tape::elemental::{Call, Term};
use crate::tape::{Adjoint, Args, NodeId, Tape, Var};

/// # Tangents
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
    /// tape; and as [`grad`](Self::grad) where there is no derivative.
    #[track_caller]
    pub fn jvp(self, tangents: &[(Var<'t, T>, Var<'t, T>)]) -> Var<'t, T> {
        let [tangent] = self.tape().jvp([self], tangents);
        tangent
    }
}

impl<T: Real> Tape<T> {
    /// The tangents of several values at once, from one sweep: see [`Var::jvp`].
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let (x, v) = (tape.variable(3.0), tape.constant(1.0));
    /// let [square, cube] = tape.jvp([x * x, x * x * x], &[(x, v)]);
    /// assert_eq!((square.item(), cube.item()), (6.0, 27.0));
    /// ```
    ///
    /// # Panics
    /// As [`Var::jvp`].
    #[track_caller]
    pub fn jvp<'t, const N: usize>(
        &'t self,
        outputs: [Var<'t, T>; N],
        tangents: &[(Var<'t, T>, Var<'t, T>)],
    ) -> [Var<'t, T>; N] {
        self.tangents_of(&outputs, tangents).try_into().expect("one tangent an output")
    }

    #[track_caller]
    pub(crate) fn tangents_of<'t>(
        &'t self,
        outputs: &[Var<'t, T>],
        tangents: &[(Var<'t, T>, Var<'t, T>)],
    ) -> Vec<Var<'t, T>> {
        let inputs: Args<Var<'t, T>> = tangents.iter().map(|&(input, _)| input).collect();
        for (input, tangent) in tangents {
            self.expect_own(*input);
            self.expect_own(*tangent);
            input.expect_shape_of_its("jvp", "tangent", &tangent.shape());
        }
        let Some(last) = outputs.iter().map(|output| output.id()).max() else { return Vec::new() };
        let mut scratch = self.take_scratch();
        let reached = std::mem::take(&mut scratch.marks);
        let marks = self.mark_from(&inputs, outputs, reached);
        let count = last.index() + 1;
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
            let Some((op, args)) = self.call(id) else { continue };
            let tangents: Args<Term<'t, T>> = args
                .iter()
                .map(|arg| table[arg.id().index()].map(|tangent| self.var(tangent.id)))
                .collect();
            self.record_on_behalf(Some(id));
            let value = self.var(id);
            let tangent = op.get().jvp(&Call::new(&args, value), &tangents);
            if let Some(tangent) = tangent {
                assert!(
                    self.same_shape(tangent.id(), id),
                    "the forward rule of {} gave shape {} for {}",
                    op.get().name(),
                    tangent.shape(),
                    value.describe()
                );
            }
            table[index] = tangent.map(|tangent| tangent.id().into());
        }
        self.record_on_behalf(None);
        let found: Vec<_> = outputs.iter().map(|output| table[output.id().index()]).collect();
        scratch.adjoints.truncate(region);
        scratch.marks = marks;
        self.return_scratch(scratch);
        let tangent = |(tangent, output): (Option<Adjoint>, &Var<'t, T>)| match tangent {
            Some(tangent) => self.var(tangent.id),
            None => output.zeros_like(),
        };
        found.into_iter().zip(outputs).map(tangent).collect()
    }
}
