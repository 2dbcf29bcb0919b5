//! Modules: whatever holds parameters.
//!
//! One pair of methods, [`Module::visit`] and its mutable twin, shows every
//! parameter with its place; `#[derive(Module)]` writes both. Everything else one
//! wants of a model's parameters, counting, freezing, names, states, one long
//! vector, the optimiser's step, is a loop over that visit and no trait of its
//! own.
//!
//! *Invariant*: the visit's order is the order of declaration, the same every
//! time, and visiting allocates nothing.

use std::marker::PhantomData;

use indexmap::IndexMap;
use wengert_core::{Gradients, Real, Tape, Tensor};

use crate::Param;
pub use crate::path::Path;
use crate::state::StateError;

/// Something that holds parameters with elements `T`: a layer, or a whole model.
///
/// Derive it; `forward` is a plain method, with the inputs that the model has:
///
/// ```
/// use wengert_core::Var;
/// use wengert_nn::random::seeded;
/// use wengert_nn::{Layer, Linear, Module};
///
/// #[derive(Module)]
/// struct Net {
///     hidden: Linear<f32>,
///     out: Linear<f32>,
///     steepness: f32, // a plain number is no parameter
/// }
///
/// impl Net {
///     fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
///         self.out.forward((self.hidden.forward(x) * self.steepness).sigmoid())
///     }
/// }
///
/// let mut rng = seeded(1);
/// let (hidden, out) = (Linear::new(2, 3, &mut rng), Linear::new(3, 1, &mut rng));
/// let net = Net { hidden, out, steepness: 2.0 };
/// assert_eq!(net.parameter_count(), 13);
/// let names: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]);
/// ```
///
/// Numbers, strings and the like are modules without parameters, and function pointers are left out,
/// so that a model's settings need no attribute; a field of another type that holds none is
/// marked with `#[module(skip)]`. Containers of modules are modules: their
/// elements are named by position.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no module with parameters of `{T}`",
    label = "is no module with parameters of `{T}`",
    note = "all parameters of a model are numbers of one type; a type that holds parameters derives `Module`"
)]
pub trait Module<T: Real> {
    /// Shows every parameter and its place, below `path`, to `f`, in the order of
    /// declaration.
    fn visit<'a>(&'a self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a Param<T>));

    /// As [`visit`](Self::visit), for changing the parameters; in the same order.
    fn visit_mut<'a>(&'a mut self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a mut Param<T>));

    /// All parameters, in the order of the visit, without buffers.
    fn parameters(&self) -> Vec<&Param<T>> {
        let mut list = Vec::new();
        self.visit(&Path::root(), &mut |_, param| {
            if !param.is_buffer() {
                list.push(param);
            }
        });
        list
    }

    /// All parameters for changing, in the order of the visit.
    ///
    /// ```
    /// # use wengert_nn::{Linear, Module, random::seeded};
    /// let mut layer = Linear::<f64>::new(2, 3, &mut seeded(1));
    /// for param in layer.parameters_mut() {
    ///     param.set_rate(0.1);
    /// }
    /// ```
    fn parameters_mut(&mut self) -> Vec<&mut Param<T>> {
        let mut list = Vec::new();
        self.visit_mut(&Path::root(), &mut |_, param| {
            if !param.is_buffer() {
                list.push(param);
            }
        });
        list
    }

    /// All parameters with their names, in the order of the visit, without buffers.
    fn named_parameters(&self) -> Vec<(String, &Param<T>)> {
        chosen(self.named_state(), false)
    }

    /// All [buffers](Param::buffer) with their names, in the order of the visit.
    fn named_buffers(&self) -> Vec<(String, &Param<T>)> {
        chosen(self.named_state(), true)
    }

    /// All that the model's state consists of, parameters and buffers, with names and in
    /// the order of the visit.
    fn named_state(&self) -> Vec<(String, &Param<T>)> {
        let mut list = Vec::new();
        self.visit(&Path::root(), &mut |path, param| list.push((path.to_string(), param)));
        list
    }

    /// The number of elements of all parameters, frozen ones included, buffers not: the
    /// paper's `s`, 23 for its small network.
    fn parameter_count(&self) -> usize {
        let mut count = 0;
        self.visit(&Path::root(), &mut |_, param| {
            if !param.is_buffer() {
                count += param.len();
            }
        });
        count
    }

    /// Takes over what a recording has [assigned](Param::assign) to buffers. Optimisers do
    /// so at each step; this is for training by other means.
    fn update_buffers(&mut self, tape: &Tape<T>) {
        self.visit_mut(&Path::root(), &mut |_, param| {
            if param.is_buffer() {
                param.take_assigned(tape);
            }
        });
    }

    /// Has [traces](Tape::trace) on a tape call parameters and buffers by their names in the model,
    /// before the model is recorded or after.
    ///
    /// ```
    /// use wengert_core::Tape;
    /// use wengert_nn::random::seeded;
    /// use wengert_nn::{Layer, Linear, Module};
    ///
    /// let net = vec![Linear::<f64>::new(2, 3, &mut seeded(1))];
    /// let tape = Tape::new();
    /// net.name_on(&tape);
    /// let y = net[0].forward(tape.constant([1.0, 2.0])).sum();
    /// assert!(tape.trace(y).row("0.weight").is_some());
    /// ```
    fn name_on(&self, tape: &Tape<T>) {
        for (name, param) in self.named_state() {
            tape.name_parameter(param.key(), name);
        }
    }

    /// Excludes all parameters from training: tapes take them in as constants.
    fn freeze(&mut self) {
        self.visit_mut(&Path::root(), &mut |_, param| param.set_trainable(false));
    }

    /// Makes all parameters trainable.
    fn unfreeze(&mut self) {
        self.visit_mut(&Path::root(), &mut |_, param| param.set_trainable(true));
    }

    /// The values of all parameters and buffers by name, in the order of the visit.
    /// Cheap: the tensors share memory with the parameters until these change.
    ///
    /// # Panics
    /// If two of them have the same name, which a derived visit rules out.
    #[track_caller]
    fn state_dict(&self) -> IndexMap<String, Tensor<T>> {
        let mut state = IndexMap::new();
        for (name, param) in self.named_state() {
            let earlier = state.insert(name, param.value().clone());
            if earlier.is_some() {
                let name = state.last().map_or("", |(name, _)| name);
                panic!("two parameters are called {name:?}");
            }
        }
        state
    }

    /// Takes over the values of all parameters and buffers, by name.
    ///
    /// ```
    /// # use wengert_nn::{Linear, Module, random::seeded};
    /// let mut rng = seeded(1);
    /// let trained = Linear::<f64>::new(2, 3, &mut rng);
    /// let mut fresh = Linear::new(2, 3, &mut rng);
    /// fresh.load_state_dict(&trained.state_dict())?;
    /// assert_eq!(fresh.state_dict(), trained.state_dict());
    /// # Ok::<(), wengert_nn::StateError>(())
    /// ```
    ///
    /// # Errors
    /// If names are missing or unexpected, or shapes differ; the error lists them
    /// all, and nothing has changed.
    fn load_state_dict(&mut self, state: &IndexMap<String, Tensor<T>>) -> Result<(), StateError> {
        StateError::check(&self.named_state(), state)?;
        self.visit_mut(&Path::root(), &mut |path, param| param.set(&state[&path.to_string()]));
        Ok(())
    }

    /// All parameters as one vector, the paper's `p`: one after another in the
    /// order of the visit, each in row-major order.
    fn parameter_vector(&self) -> Vec<T> {
        let mut vector = Vec::with_capacity(self.parameter_count());
        self.visit(&Path::root(), &mut |_, param| {
            if !param.is_buffer() {
                vector.extend_from_slice(param.elements());
            }
        });
        vector
    }

    /// Takes over all parameters from one vector, in the order of
    /// [`parameter_vector`](Self::parameter_vector).
    ///
    /// # Panics
    /// If its length is not [`parameter_count`](Self::parameter_count).
    #[track_caller]
    fn set_parameter_vector(&mut self, vector: &[T]) {
        let count = self.parameter_count();
        let given = vector.len();
        assert!(given == count, "expected the {count} numbers of all parameters, got {given}");
        let mut rest = vector;
        self.visit_mut(&Path::root(), &mut |_, param| {
            if param.is_buffer() {
                return;
            }
            let (own, after) = rest.split_at(param.len());
            param.elements_mut().copy_from_slice(own);
            rest = after;
        });
    }

    /// The gradient with respect to all parameters as one vector, in the order of
    /// [`parameter_vector`](Self::parameter_vector): the paper's `grad Cost(p)`.
    /// Parameters that the output does not depend on, or that are frozen, get
    /// zeros.
    ///
    /// ```
    /// # use wengert_core::Tape;
    /// # use wengert_nn::{Module, Param};
    /// let net = (Param::new([1.0, 2.0]), Param::new(3.0));
    /// let tape = Tape::new();
    /// let cost = net.0.on(&tape).sum() * net.1.on(&tape);
    /// assert_eq!(net.gradient_vector(&cost.backward()), [3.0, 3.0, 3.0]);
    /// ```
    fn gradient_vector(&self, gradients: &Gradients<'_, T>) -> Vec<T> {
        let mut vector = vec![T::zero(); self.parameter_count()];
        let mut start = 0;
        self.visit(&Path::root(), &mut |_, param| {
            if param.is_buffer() {
                return;
            }
            let own = &mut vector[start..start + param.len()];
            start += param.len();
            gradients.with_parameter(param.key(), |gradient| gradient.copy_to(own));
        });
        vector
    }
}

/// Of a state, the parameters or the buffers.
fn chosen<T: Real>(mut state: Vec<(String, &Param<T>)>, buffers: bool) -> Vec<(String, &Param<T>)> {
    state.retain(|(_, param)| param.is_buffer() == buffers);
    state
}

impl<T: Real> Module<T> for Param<T> {
    fn visit<'a>(&'a self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a Param<T>)) {
        f(path, self);
    }

    fn visit_mut<'a>(
        &'a mut self,
        path: &Path<'_>,
        f: &mut dyn FnMut(&Path<'_>, &'a mut Param<T>),
    ) {
        f(path, self);
    }
}

/// A box is invisible: what is inside has the box's name.
impl<T: Real, M: Module<T> + ?Sized> Module<T> for Box<M> {
    fn visit<'a>(&'a self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a Param<T>)) {
        (**self).visit(path, f);
    }

    fn visit_mut<'a>(
        &'a mut self,
        path: &Path<'_>,
        f: &mut dyn FnMut(&Path<'_>, &'a mut Param<T>),
    ) {
        (**self).visit_mut(path, f);
    }
}

/// An option is invisible: what is inside, if anything, has the option's name.
impl<T: Real, M: Module<T>> Module<T> for Option<M> {
    fn visit<'a>(&'a self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a Param<T>)) {
        if let Some(module) = self {
            module.visit(path, f);
        }
    }

    fn visit_mut<'a>(
        &'a mut self,
        path: &Path<'_>,
        f: &mut dyn FnMut(&Path<'_>, &'a mut Param<T>),
    ) {
        if let Some(module) = self {
            module.visit_mut(path, f);
        }
    }
}

impl<T: Real, M: Module<T>> Module<T> for [M] {
    fn visit<'a>(&'a self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a Param<T>)) {
        for (i, module) in self.iter().enumerate() {
            module.visit(&path.index(i), f);
        }
    }

    fn visit_mut<'a>(
        &'a mut self,
        path: &Path<'_>,
        f: &mut dyn FnMut(&Path<'_>, &'a mut Param<T>),
    ) {
        for (i, module) in self.iter_mut().enumerate() {
            module.visit_mut(&path.index(i), f);
        }
    }
}

impl<T: Real, M: Module<T>> Module<T> for Vec<M> {
    fn visit<'a>(&'a self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a Param<T>)) {
        self.as_slice().visit(path, f);
    }

    fn visit_mut<'a>(
        &'a mut self,
        path: &Path<'_>,
        f: &mut dyn FnMut(&Path<'_>, &'a mut Param<T>),
    ) {
        self.as_mut_slice().visit_mut(path, f);
    }
}

impl<T: Real, M: Module<T>, const N: usize> Module<T> for [M; N] {
    fn visit<'a>(&'a self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a Param<T>)) {
        self.as_slice().visit(path, f);
    }

    fn visit_mut<'a>(
        &'a mut self,
        path: &Path<'_>,
        f: &mut dyn FnMut(&Path<'_>, &'a mut Param<T>),
    ) {
        self.as_mut_slice().visit_mut(path, f);
    }
}

macro_rules! tuples {
    ($(($($module:ident $index:tt),*))*) => {$(
        impl<T: Real, $($module: Module<T>),*> Module<T> for ($($module,)*) {
            fn visit<'a>(&'a self, path: &Path<'_>, f: &mut dyn FnMut(&Path<'_>, &'a Param<T>)) {
                $(self.$index.visit(&path.index($index), f);)*
            }

            fn visit_mut<'a>(
                &'a mut self,
                path: &Path<'_>,
                f: &mut dyn FnMut(&Path<'_>, &'a mut Param<T>),
            ) {
                $(self.$index.visit_mut(&path.index($index), f);)*
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}

/// What a model's settings consist of: nothing to train.
macro_rules! without_parameters {
    ($($(#[$generic:ident])? $t:ty),* $(,)?) => {$(
        impl<T: Real $(, $generic: ?Sized)?> Module<T> for $t {
            fn visit<'a>(&'a self, _: &Path<'_>, _: &mut dyn FnMut(&Path<'_>, &'a Param<T>)) {}

            fn visit_mut<'a>(
                &'a mut self,
                _: &Path<'_>,
                _: &mut dyn FnMut(&Path<'_>, &'a mut Param<T>),
            ) {
            }
        }
    )*};
}

without_parameters! {
    (), bool, char, f32, f64, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize,
    String, &'static str, #[X] PhantomData<X>,
}
