//! The reverse sweep: adjoints of everything from one pass (G&W, section 3.2).
//!
//! The tape is already in the order of evaluation, so the sweep walks node
//! numbers downwards. Each active node hands its adjoint to its arguments through
//! its op's transposed rule. This is the back propagation of Higham & Higham,
//! Lemma 1, freed from layers: their `delta` is the adjoint of `z`.

use std::fmt;

use super::adjoints::{AdjointsOf, Consumed};
use crate::scalar::Real;
use crate::tape::elemental::Call;
use crate::tape::{Adjoint, Adjoints, Args, NodeId, Ready, Tape, Var};
use crate::tensor::{Tensor, View};

/// The adjoints that a fast reverse sweep has left on its tape.
///
/// A `Copy` handle, like [`Var`]; the numbers live on the tape until it is reset.
#[derive(Clone, Copy)]
pub struct Gradients<'t, T: Real> {
    tape: &'t Tape<T>,
    /// The number of the sweep.
    sweep: usize,
    output: NodeId,
}

impl<'t, T: Real> Gradients<'t, T> {
    /// The tape that they lie on.
    pub fn tape(&self) -> &'t Tape<T> {
        self.tape
    }

    /// The gradient with respect to a variable or parameter, in its shape; zeros if
    /// the output does not depend on it.
    ///
    /// The sweep uses the memory of other values' adjoints again as soon as it has
    /// consumed them; [`Var::grad`] gives those that are wanted:
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(3.0);
    /// let z = x * 2.0;
    /// let y = z * z;
    /// let [dz] = tape.without_gradients(|| y.grad([z]));
    /// assert_eq!((y.backward().wrt(x).item(), dz.item()), (24.0, 12.0));
    /// ```
    ///
    /// # Panics
    /// If `x` lies on another tape, is no variable, or was recorded after the
    /// output.
    #[track_caller]
    pub fn wrt(&self, x: Var<'t, T>) -> Tensor<T> {
        self.check(x);
        // The recorder is given back before the value is read.
        let adjoint = self.tape.recorder().adjoint(self.sweep, x.id());
        match adjoint {
            Some(id) => {
                self.tape.note_read(id);
                self.tape.value_of(id)
            }
            None => Tensor::zeros(x.shape()),
        }
    }

    #[track_caller]
    fn check(&self, x: Var<'t, T>) {
        assert!(
            std::ptr::eq(self.tape, x.tape()),
            "the gradients belong to {}, the variable to {}",
            self.tape,
            x.tape()
        );
        assert!(
            !self.tape.is_frozen(x.id()),
            "no derivative is recorded for {}: have it trained by `set_trainable(true)`, or a whole \
             model by `unfreeze()`",
            x.describe()
        );
        assert!(
            x.is_active(),
            "no derivative is recorded for {}: take it in with `tape.variable`, outside of \
             `without_gradients`",
            x.describe()
        );
        assert!(
            self.tape.call(x.id()).is_none(),
            "a backward sweep keeps the gradients of variables and parameters, and this is {}; \
             `output.grad([x])` gives those of any values",
            x.describe()
        );
        assert!(
            x.id() <= self.output,
            "{} was recorded after the output, {}",
            x.describe(),
            self.tape.var(self.output).describe()
        );
    }

    /// The gradient with respect to a variable or parameter, as a value on the tape
    /// through which no derivative flows: for programs that go on
    /// computing with it, such as a training step that is
    /// [compiled](crate::tape::Tape::compile).
    ///
    /// # Panics
    /// As [`wrt`](Self::wrt).
    #[track_caller]
    pub fn on_tape(&self, x: Var<'t, T>) -> Var<'t, T> {
        self.check(x);
        // The recorder is given back before the value is read.
        let adjoint = self.tape.recorder().adjoint(self.sweep, x.id());
        match adjoint {
            Some(id) => self.tape.var(id),
            None => x.zeros_like(),
        }
    }

    /// Whether the gradients with respect to all parameters on the tape are finite.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// let (tape, weight) = (Tape::new(), Tensor::from(0.0));
    /// let w = tape.parameter(1, &weight);
    /// assert!(w.square().backward().are_finite());
    /// assert!(!w.sqrt().backward().are_finite());
    /// ```
    pub fn are_finite(&self) -> bool {
        self.tape.parameter_adjoints_are_finite(self.sweep, self.output)
    }

    /// Lets `read` see the gradient with respect to the parameter of a
    /// [key](Tape::parameter) without copying it; `None` if the output does not
    /// depend on that parameter.
    pub fn with_parameter<R>(&self, key: u64, read: impl FnOnce(View<'_, T>) -> R) -> Option<R> {
        let adjoint = self.tape.parameter_adjoint(self.sweep, key, self.output)?;
        Some(self.tape.with_value(adjoint, read))
    }

    /// Whether the output depends on the parameter of a [key](Tape::parameter).
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// let (tape, weight) = (Tape::new(), Tensor::from(3.0));
    /// let gradients = tape.parameter(1, &weight).square().backward();
    /// assert!(gradients.has_parameter(1) && !gradients.has_parameter(2));
    /// ```
    pub fn has_parameter(&self, key: u64) -> bool {
        self.tape.parameter_adjoint(self.sweep, key, self.output).is_some()
    }
}

impl<T: Real> fmt::Debug for Gradients<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gradients of {}", self.tape.var(self.output).describe())
    }
}

/// # Gradients
impl<'t, T: Real> Var<'t, T> {
    /// The gradients of a scalar with respect to all variables and parameters, by
    /// one fast sweep.
    ///
    /// # Panics
    /// If `self` has more than one element or depends on no variable.
    #[track_caller]
    pub fn backward(self) -> Gradients<'t, T> {
        self.assert_scalar("backward", "`backward_with` with a cotangent");
        self.assert_active("backward");
        let _mode = self.tape().mode(false);
        self.backward_from(self.seed(), None)
    }

    /// As [`backward`](Self::backward), and lets `ready` see the gradient with respect to each parameter
    /// as soon as the sweep has it, by its [key](Tape::parameter): to use it while the rest is computed.
    ///
    /// The sweep has the gradient when it comes to where the tape has taken the parameter in. So the
    /// order is the reverse of that one, in each recording and on each thread. Parameters on which
    /// `self` does not depend are not shown.
    ///
    /// ```
    /// # use wengert_core::{Tape, Tensor};
    /// let (tape, a, b) = (Tape::new(), Tensor::from(3.0), Tensor::from(5.0));
    /// let y = tape.parameter(1, &a).square() * tape.parameter(2, &b);
    /// let mut seen = Vec::new();
    /// y.backward_each(|key, gradient| seen.push((key, gradient.to_tensor().item())));
    /// assert_eq!(seen, [(2, 9.0), (1, 30.0)]);
    /// ```
    ///
    /// # Panics
    /// As `backward`, and if `ready` uses the tape.
    #[track_caller]
    pub fn backward_each(self, mut ready: impl FnMut(u64, View<'_, T>)) -> Gradients<'t, T> {
        self.assert_scalar("backward_each", "`backward_with` with a cotangent");
        self.assert_active("backward_each");
        let _mode = self.tape().mode(false);
        self.backward_from(self.seed(), Some(&mut ready))
    }

    /// The product of a cotangent with the Jacobian of `self` with respect to all
    /// variables and parameters, by one fast sweep.
    ///
    /// # Panics
    /// If the cotangent's shape is not that of `self`, or `self` depends on no
    /// variable.
    #[track_caller]
    pub fn backward_with(self, cotangent: &Tensor<T>) -> Gradients<'t, T> {
        self.expect_shape_of_its("backward_with", "cotangent", cotangent.shape());
        self.assert_active("backward_with");
        let _mode = self.tape().mode(false);
        self.backward_from(self.tape().constant(cotangent), None)
    }

    #[track_caller]
    fn assert_active(self, name: &str) {
        assert!(
            self.is_active(),
            "{name}: no variable feeds {}: {}",
            self.describe(),
            self.tape().why_constant(self)
        );
    }

    #[track_caller]
    fn backward_from(self, seed: Var<'t, T>, mut ready: Option<Ready<'_, T>>) -> Gradients<'t, T> {
        let tape = self.tape();
        let repeated = tape.recorder().repeat_sweep(self.id(), seed.id(), &mut ready);
        let sweep = repeated.unwrap_or_else(|| {
            tape.keep_sweep(self.id(), seed.id(), ready, |adjoints, mut ready| {
                let show = |leaf: NodeId, bar: Var<'t, T>| {
                    if let Some(ready) = &mut ready {
                        tape.recorder().show(leaf, bar.id(), *ready);
                    }
                };
                let seeds = [(self, seed)];
                sweep(&seeds, Consumed::Recycled, adjoints, |id| tape.is_active(id), show);
            })
        });
        Gradients { tape, sweep, output: self.id() }
    }

    /// The gradients of a scalar with respect to some values before it, recorded,
    /// so that they can be differentiated again (but for those that are taken
    /// [without gradients](Tape::without_gradients)).
    ///
    /// The values may be variables, constants or results: what counts is whether `self` depends
    /// on them. A value on which it does not depend, or only through
    /// [`stop_gradient`](Var::stop_gradient), a comparison, or what was computed earlier without
    /// gradients, gets zeros.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// let tape = Tape::new();
    /// let x = tape.variable(3.0);
    /// let [dx] = (x * x * x).grad([x]);
    /// let [ddx] = dx.grad([x]);
    /// assert_eq!((dx.item(), ddx.item()), (27.0, 18.0));
    /// ```
    ///
    /// # Panics
    /// If `self` has more than one element; if it was recorded without gradients, and asked
    /// outside of that; or if it depends on a derivative that was taken without gradients.
    #[track_caller]
    pub fn grad<const N: usize>(self, inputs: [Var<'t, T>; N]) -> [Var<'t, T>; N] {
        self.grad_of(&inputs).try_into().expect("one gradient an input")
    }

    /// As [`grad`](Self::grad), for a list of inputs.
    #[track_caller]
    pub(crate) fn grad_of(self, inputs: &[Var<'t, T>]) -> Vec<Var<'t, T>> {
        self.assert_scalar("grad", "`vjp` with a cotangent");
        self.vjp(self.seed(), inputs)
    }

    /// The product of a cotangent with the Jacobian of `self` with respect to
    /// some values before it, recorded. Values on which `self` does not depend
    /// get zeros.
    ///
    /// # Panics
    /// If the cotangent's shape is not that of `self`, or an input lies on
    /// another tape; and as [`grad`](Self::grad) where there is no derivative.
    #[track_caller]
    pub fn vjp(self, cotangent: Var<'t, T>, inputs: &[Var<'t, T>]) -> Vec<Var<'t, T>> {
        let tape = self.tape();
        for var in inputs.iter().chain([&cotangent]) {
            tape.expect_own(*var);
        }
        self.expect_shape_of_its("vjp", "cotangent", &cotangent.shape());
        tape.vjp_of(&[(self, cotangent)], inputs)
    }

    /// The cotangent 1, in the shape of a single element.
    #[track_caller]
    fn seed(self) -> Var<'t, T> {
        self.constant_like(1.0).broadcast_to(self.shape())
    }
}

impl<T: Real> Tape<T> {
    /// As [`Var::vjp`], for some values with a cotangent each: the sum of their products, by one sweep.
    #[track_caller]
    pub(crate) fn vjp_of<'t>(
        &'t self,
        seeds: &[(Var<'t, T>, Var<'t, T>)],
        inputs: &[Var<'t, T>],
    ) -> Vec<Var<'t, T>> {
        let mut scratch = self.take_scratch();
        let reached = std::mem::take(&mut scratch.marks);
        let outputs: Args<Var<'t, T>> = seeds.iter().map(|&(output, _)| output).collect();
        let marks = self.mark_from(inputs, &outputs, reached);
        let (table, wanted) = (&mut scratch.adjoints, |id: NodeId| marks[id.index()]);
        let region = sweep(seeds, Consumed::Kept, table, wanted, |_, _| {});
        let adjoints = inputs
            .iter()
            .map(|input| scratch.adjoints.get(region + input.id().index()).copied().flatten())
            .collect::<Vec<_>>();
        scratch.adjoints.truncate(region);
        scratch.marks = marks;
        self.return_scratch(scratch);
        let adjoint = |(adjoint, input): (Option<Adjoint>, &Var<'t, T>)| match adjoint {
            Some(adjoint) => self.var(adjoint.id),
            None => input.zeros_like(),
        };
        adjoints.into_iter().zip(inputs).map(adjoint).collect()
    }
}

/// Walks from the last output down to the first node, recording adjoints of the nodes
/// that `wanted` selects at the end of the table. Returns where they begin.
///
/// `leaf` is told the adjoint of each leaf when the walk has come to it: its readers stand behind it,
/// so nothing is added to the adjoint any more.
fn sweep<'t, T: Real>(
    seeds: &[(Var<'t, T>, Var<'t, T>)],
    consumed: Consumed,
    table: &mut Adjoints,
    wanted: impl Fn(NodeId) -> bool,
    mut leaf: impl FnMut(NodeId, Var<'t, T>),
) -> usize {
    let region = table.len();
    let Some(last) = seeds.iter().map(|(output, _)| output.id().index()).max() else {
        return region;
    };
    let (tape, count) = (seeds[0].0.tape(), last + 1);
    table.resize(region + count, None);
    let mut adjoints = AdjointsOf::new(tape, &mut table[region..], consumed);
    // The last output first, as a sweep from all of them joined would.
    for &(output, seed) in seeds.iter().rev() {
        adjoints.begin(output, seed);
    }
    for index in (0..count).rev() {
        let id = NodeId::new(index);
        let Some(bar) = adjoints.of(id).filter(|_| wanted(id)) else { continue };
        let Some((op, args)) = tape.call(id) else {
            leaf(id, bar);
            continue;
        };
        tape.record_on_behalf(Some(id));
        let first = tape.len();
        let call = Call::new(&args, tape.var(id)).wanting(&wanted);
        for (position, arg) in args.iter().enumerate() {
            if wanted(arg.id()) {
                adjoints.add(op.get(), &call, position, bar, first);
            }
        }
        adjoints.end_rule(id, bar, first);
    }
    tape.record_on_behalf(None);
    region
}
