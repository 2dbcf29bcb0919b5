//! Parameters: the numbers of a model that training changes.
//!
//! A parameter lives in the model, outside of every tape. A tape takes it in by
//! its [key](Param::key) when `forward` runs, and the optimiser looks its gradient
//! up by the same key; no handle has to be carried from one to the other, and a
//! parameter that is used twice is one variable.
//!
//! *Invariant*: the elements are contiguous, and the shape never changes.

use std::mem;
use std::panic::Location;
use std::slice::{Chunks, ChunksMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wengert_core::{Operand, Real, Shape, Tape, Tensor, Var, are_finite, threads, vectorised};

use crate::optim::number::not_negative;

/// A tensor of a model that training changes.
///
/// Besides the elements it has a key, unique in the process; a role, which says whether
/// it is trained, frozen, or a [buffer](Self::buffer); and two multipliers, of the learning rate and of the
/// weight decay, 1 unless set (MatConvNet gives filters and biases different
/// ones).
///
/// A clone is a *new* parameter with the same elements: it has a key of its own,
/// so that a model and its copy can stand on one tape and have gradients of their
/// own. An optimiser's memory of the original (its velocity) does not pass to the
/// clone; to go back to earlier elements, keep a
/// [`state_dict`](crate::Module::state_dict) instead.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::Param;
///
/// let weight = Param::new([1.0, 2.0]);
/// let tape = Tape::new();
/// let cost = weight.on(&tape).square().sum();
/// assert_eq!(cost.backward().wrt(weight.on(&tape)).to_vec(), [2.0, 4.0]);
/// ```
#[derive(Debug)]
pub struct Param<T: Real> {
    key: u64,
    value: Tensor<T>,
    /// Where the next elements go while a tape still reads the present ones.
    spare: Option<Tensor<T>>,
    role: Role,
    rate: f64,
    decay: f64,
    /// What messages call it, and the line that made it.
    name: &'static str,
    made: &'static Location<'static>,
}

/// What becomes of a parameter in a training step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It moves along its gradient.
    Trained,
    /// It stays.
    Frozen,
    /// It takes the value that the recording assigns to it.
    Buffer,
}

impl<T: Real> Param<T> {
    /// A trainable parameter that starts with the given elements.
    #[track_caller]
    pub fn new(value: impl Into<Tensor<T>>) -> Self {
        Self::named("parameter", value)
    }

    /// As [`new`](Self::new), with a name that error messages call it by, beside the line that made
    /// it. States and optimisers call it by its [place](crate::Path) in the model.
    ///
    /// ```
    /// use wengert_core::Tape;
    /// use wengert_nn::Param;
    ///
    /// let steepness = Param::named("steepness", [1.0, 2.0]);
    /// assert!(steepness.on(&Tape::new()).describe().contains("steepness, shape [2]"));
    /// ```
    #[track_caller]
    pub fn named(name: &'static str, value: impl Into<Tensor<T>>) -> Self {
        Self {
            key: next_key(),
            value: value.into().contiguous(),
            spare: None,
            role: Role::Trained,
            rate: 1.0,
            decay: 1.0,
            name,
            made: Location::caller(),
        }
    }

    /// The same with another line that made it: that of whoever asked for the layer.
    pub(crate) fn made_at(self, made: &'static Location<'static>) -> Self {
        Self { made, ..self }
    }

    /// The name, the shape and the line that made it, as they stand in messages.
    pub(crate) fn describe(&self) -> String {
        format!("{} {} made at {}", self.name, self.shape(), self.made)
    }

    /// A buffer: numbers that belong to a model's state and that no gradient moves,
    /// such as a running mean. Saved and loaded with the parameters, and not counted
    /// among them.
    ///
    /// ```
    /// use wengert_core::Tape;
    /// use wengert_nn::{Module, Param, Sgd};
    ///
    /// let mut net = (Param::new(1.0), Param::buffer(0.0));
    /// assert_eq!((net.parameter_count(), net.state_dict().len()), (1, 2));
    /// let tape = Tape::new();
    /// let (weight, seen) = (net.0.on(&tape), net.1.on(&tape));
    /// net.1.assign(seen + 1.0); // recorded: the buffer has it after the step
    /// Sgd::new(0.5).step(&mut net, &weight.square().backward());
    /// assert_eq!((net.0.value().item(), net.1.value().item()), (0.0, 1.0));
    /// ```
    #[track_caller]
    pub fn buffer(value: impl Into<Tensor<T>>) -> Self {
        Self { role: Role::Buffer, ..Self::named("buffer", value) }
    }

    /// The parameter with a multiplier of the learning rate.
    ///
    /// # Panics
    /// If it is negative or not finite, as for all multipliers.
    #[must_use]
    #[track_caller]
    pub fn with_rate(mut self, rate: f64) -> Self {
        self.set_rate(rate);
        self
    }

    /// The parameter with a multiplier of the weight decay; 0 excludes it, as the
    /// paper's equation (33) excludes biases.
    #[must_use]
    #[track_caller]
    pub fn with_decay(mut self, decay: f64) -> Self {
        self.set_decay(decay);
        self
    }

    /// The variable that stands for the parameter on a tape: always the same one
    /// until the tape is reset. A frozen parameter is a constant, and so is a buffer: what
    /// was last [assigned](Self::assign) to it.
    #[track_caller]
    pub fn on<'t>(&self, tape: &'t Tape<T>) -> Var<'t, T> {
        match self.role {
            Role::Trained => tape.named_parameter(self.key, &self.value, self.name, self.made),
            Role::Frozen => tape.frozen(&self.value),
            Role::Buffer => tape.state(self.key, &self.value),
        }
    }

    /// Records the value that a buffer has after the step: an optimiser moves it there
    /// along with the parameters, and so does a compiled step
    /// ([`Module::update_buffers`](crate::Module::update_buffers) does so by hand). The
    /// model itself is not changed, so evaluating leaves no trace.
    ///
    /// # Panics
    /// If it is no buffer, or the shape is another one.
    #[track_caller]
    pub fn assign(&self, value: Var<'_, T>) {
        assert!(self.is_buffer(), "a parameter is moved by its gradient; assign to buffers");
        let (own, given) = (self.shape(), value.shape());
        assert!(own == &given, "a buffer of shape {own} cannot take {}", value.describe());
        value.tape().assign(self.key, value);
    }

    /// Takes over what a tape has assigned, if anything, and says whether that is finite.
    pub(crate) fn take_assigned(&mut self, tape: &Tape<T>) -> bool {
        let Some(value) = tape.assigned(self.key) else { return true };
        value.with_value(|value| value.copy_to(self.elements_mut()));
        are_finite(self.elements())
    }

    /// The number that names the parameter in this process, and on tapes
    /// ([`Tape::parameter`]).
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The elements as a tensor.
    pub fn value(&self) -> &Tensor<T> {
        &self.value
    }

    /// The extents.
    pub fn shape(&self) -> &Shape {
        self.value.shape()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// The elements in row-major order.
    pub fn elements(&self) -> &[T] {
        self.value.as_slice().expect("a parameter's elements are contiguous")
    }

    /// The elements for writing, in row-major order.
    ///
    /// Variables and tensors taken from the parameter before keep the earlier
    /// elements. While a tape shares the memory, the elements are copied to a
    /// second buffer and the two change places; the buffer left behind is free
    /// again once the tape is reset, so that writing at every step allocates
    /// nothing once warm.
    ///
    /// ```
    /// # use wengert_nn::Param;
    /// let mut weight = Param::new([1.0, 2.0]);
    /// let before = weight.value().clone();
    /// weight.elements_mut()[0] = 5.0;
    /// assert_eq!(weight.elements(), [5.0, 2.0]);
    /// assert_eq!(before.to_vec(), [1.0, 2.0]);
    /// ```
    pub fn elements_mut(&mut self) -> &mut [T] {
        if self.value.is_shared() {
            let mut fresh = self.take_spare();
            fresh.as_mut_slice().copy_from_slice(self.elements());
            self.spare = Some(mem::replace(&mut self.value, fresh));
        }
        self.value.as_mut_slice()
    }

    /// Replaces each element, in row-major order, by `f` of it and of the item
    /// that belongs to it: an optimiser's step. As [`elements_mut`](Self::elements_mut),
    /// but without a separate copy while a tape shares the
    /// memory.
    ///
    /// ```
    /// # use wengert_nn::Param;
    /// let mut weight = Param::new([1.0, 2.0]);
    /// weight.update([10.0, 20.0], |w, g| w - 0.1 * g);
    /// assert_eq!(weight.elements(), [0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If there is not one item for each element.
    #[track_caller]
    pub fn update<I>(&mut self, items: I, mut f: impl FnMut(T, I::Item) -> T)
    where
        I: IntoIterator<IntoIter: ExactSizeIterator>,
    {
        let items = items.into_iter();
        assert!(
            items.len() == self.len(),
            "expected one item for each of the {} elements of a parameter, got {}",
            self.len(),
            items.len()
        );
        if self.value.is_shared() {
            let mut fresh = self.take_spare();
            let elements = fresh.as_mut_slice().iter_mut().zip(self.elements());
            vectorised(
                items.len(),
                #[inline(always)]
                move || {
                    for ((fresh, &element), item) in elements.zip(items) {
                        *fresh = f(element, item);
                    }
                },
            );
            self.spare = Some(mem::replace(&mut self.value, fresh));
        } else {
            let elements = self.value.as_mut_slice();
            vectorised(
                items.len(),
                #[inline(always)]
                move || {
                    for (element, item) in elements.iter_mut().zip(items) {
                        *element = f(*element, item);
                    }
                },
            );
        }
    }

    /// An optimiser's step on several threads: each element and what is remembered of it
    /// become what `f` makes of them and of the element's gradient.
    ///
    /// `f` should hold all that it reads by value, so that the loop is vectorised. Says whether all
    /// elements are finite then: each part is looked at while it lies in the cache.
    pub(crate) fn step<const N: usize>(
        &mut self,
        gradient: &[T],
        states: [&mut Vec<T>; N],
        f: impl Fn(T, T, [T; N]) -> (T, [T; N]) + Clone + Sync,
    ) -> bool {
        let len = self.len();
        assert!(gradient.len() == len, "a gradient has an element for each of the parameter's");
        // Tiny networks live on this.
        if len <= PART && !self.value.is_shared() {
            return step(
                self.value.as_mut_slice(),
                gradient,
                states.map(|state| &mut state[..]),
                f,
            );
        }
        let (gradients, states) =
            (gradient.chunks(PART), states.map(|state| state.chunks_mut(PART)));
        // Memory allows about an element a nanosecond.
        let work = len;
        let finite = AtomicBool::new(true);
        let note = |part_is_finite: bool| {
            if !part_is_finite {
                finite.store(false, Ordering::Relaxed);
            }
        };
        if self.value.is_shared() {
            let mut fresh = self.take_spare();
            let elements = fresh.as_mut_slice().chunks_mut(PART).zip(self.elements().chunks(PART));
            let parts = Parts { elements, gradients, states };
            threads::share(work, parts, |parts| {
                for ((fresh, before), gradient, states) in parts {
                    fresh.copy_from_slice(before);
                    note(step(fresh, gradient, states, f.clone()));
                }
            });
            self.spare = Some(mem::replace(&mut self.value, fresh));
        } else {
            let elements = self.value.as_mut_slice().chunks_mut(PART);
            let parts = Parts { elements, gradients, states };
            threads::share(work, parts, |parts| {
                for (elements, gradient, states) in parts {
                    note(step(elements, gradient, states, f.clone()));
                }
            });
        }
        finite.into_inner()
    }

    /// A buffer that nobody reads, of arbitrary elements.
    fn take_spare(&mut self) -> Tensor<T> {
        let spare = self.spare.take().filter(|spare| !spare.is_shared());
        spare.unwrap_or_else(|| Tensor::zeros(self.shape()))
    }

    /// Takes over the elements of a tensor.
    ///
    /// # Panics
    /// If its shape is another one.
    #[track_caller]
    pub fn set(&mut self, value: impl Into<Tensor<T>>) {
        let value = value.into();
        let shape = self.shape();
        assert!(
            value.shape() == shape,
            "a parameter of shape {shape} keeps its shape, got {}",
            value.shape()
        );
        self.value = value.contiguous();
    }

    /// Whether training changes it.
    pub fn is_trainable(&self) -> bool {
        self.role == Role::Trained
    }

    /// Says whether training changes it. Takes effect when a tape takes it in. A buffer
    /// stays one.
    pub fn set_trainable(&mut self, trainable: bool) {
        if !self.is_buffer() {
            self.role = if trainable { Role::Trained } else { Role::Frozen };
        }
    }

    /// Whether it is a [buffer](Self::buffer).
    pub fn is_buffer(&self) -> bool {
        self.role == Role::Buffer
    }

    /// The multiplier of the learning rate.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Sets the multiplier of the learning rate.
    #[track_caller]
    pub fn set_rate(&mut self, rate: f64) {
        self.rate = not_negative("the multiplier of a rate", rate);
    }

    /// The multiplier of the weight decay.
    pub fn decay(&self) -> f64 {
        self.decay
    }

    /// Sets the multiplier of the weight decay.
    #[track_caller]
    pub fn set_decay(&mut self, decay: f64) {
        self.decay = not_negative("the multiplier of a decay", decay);
    }
}

/// Elements of a part of a step: those of a parameter, of its gradient and of its states stay in
/// the first-level cache together.
const PART: usize = 2048;

/// The parts of a parameter, of its gradient and of its states, side by side.
struct Parts<'a, E, T, const N: usize> {
    elements: E,
    gradients: Chunks<'a, T>,
    states: [ChunksMut<'a, T>; N],
}

impl<'a, E: Iterator, T, const N: usize> Iterator for Parts<'a, E, T, N> {
    type Item = (E::Item, &'a [T], [&'a mut [T]; N]);

    fn next(&mut self) -> Option<Self::Item> {
        let (elements, gradient) = (self.elements.next()?, self.gradients.next()?);
        let states = self.states.each_mut().map(|chunks| chunks.next().expect("as long"));
        Some((elements, gradient, states))
    }
}

/// One part of [`Param::step`].
fn step<T: Real, const N: usize>(
    elements: &mut [T],
    gradient: &[T],
    states: [&mut [T]; N],
    f: impl Fn(T, T, [T; N]) -> (T, [T; N]),
) -> bool {
    let len = elements.len();
    let (gradient, mut states) = (&gradient[..len], states.map(|state| &mut state[..len]));
    let written = &mut *elements;
    vectorised(
        len,
        #[inline(always)]
        move || {
            for i in 0..len {
                let mut before = [T::zero(); N];
                for (before, state) in before.iter_mut().zip(&states) {
                    *before = state[i];
                }
                let (element, after) = f(written[i], gradient[i], before);
                written[i] = element;
                for (state, after) in states.iter_mut().zip(after) {
                    state[i] = after;
                }
            }
        },
    );
    are_finite(elements)
}

/// Never the same number twice in a process.
fn next_key() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A parameter stands beside a variable as it is: `x * &self.weight`.
impl<'t, T: Real> Operand<'t, T> for &Param<T> {
    #[track_caller]
    fn on(self, tape: &'t Tape<T>) -> Var<'t, T> {
        Param::on(self, tape)
    }
}

impl<T: Real> Clone for Param<T> {
    /// A new parameter, with a key of its own, that starts with the same elements
    /// and settings.
    fn clone(&self) -> Self {
        Self { key: next_key(), value: self.value.clone(), spare: None, ..*self }
    }
}
