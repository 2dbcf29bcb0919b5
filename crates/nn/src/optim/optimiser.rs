//! An optimiser: a rule, a learning rate, and what is remembered of each parameter.

use indexmap::IndexMap;
use smallvec::SmallVec;
use wengert_core::{Gradients, Plain, Real, Tensor, View, are_finite};

use super::Rule;
use super::clip::Clip;
use super::number::{not_negative, positive};
use super::plan::{Multipliers, Part, has_gradient, slopes};
use super::refusal::StepError;
use super::settled::Settled;
use crate::state::StateError;
use crate::{Module, Param, Path};

/// Moves the parameters of a model along their gradients, by a [`Rule`].
///
/// [`Sgd`](super::Sgd) and [`Adam`](super::Adam) are optimisers with the rule of that
/// name. Frozen parameters, and those on which the cost does not depend, are left
/// alone, memory and decay included. Gradients may be [clipped](Self::clip_norm) on their
/// way. What is remembered of an element is 0 once it lies below the normal numbers (1.2e-38 in single
/// precision): it would stay there, and slow down every step.
#[derive(Clone, Debug)]
pub struct Optimiser<T: Real, R> {
    rule: R,
    rate: f64,
    clip: Option<Clip>,
    /// Whether a step is taken on gradients that are not finite.
    lenient: bool,
    /// Steps taken.
    steps: u64,
    /// The states of each parameter, by its key.
    memory: IndexMap<u64, States<T>>,
    /// Room for a gradient whose elements do not lie in order.
    packed: Vec<T>,
}

/// What is remembered of a parameter: a list of numbers for each state.
pub(crate) type States<T> = SmallVec<[Vec<T>; 2]>;

impl<T: Real, R: Rule> Optimiser<T, R> {
    /// An optimiser with a rule, which may be the user's, and a learning rate.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn with_rule(rule: R, rate: f64) -> Self {
        Self {
            rule,
            rate: not_negative("the learning rate", rate),
            clip: None,
            lenient: false,
            steps: 0,
            memory: IndexMap::new(),
            packed: Vec::new(),
        }
    }

    /// With steps on whatever gradient there is, to wherever they lead: NaN and infinities then
    /// stand in the parameters. By default, such a step is [refused](Self::step).
    ///
    /// ```
    /// use wengert_core::Tape;
    /// use wengert_nn::{Param, Sgd};
    ///
    /// let mut weight = Param::new(0.0);
    /// let tape = Tape::new();
    /// let cost = weight.on(&tape).sqrt(); // its derivative is infinite at 0
    /// Sgd::new(0.1).allow_non_finite().step(&mut weight, &cost.backward());
    /// assert_eq!(weight.value().item(), f64::NEG_INFINITY);
    /// ```
    #[must_use]
    pub fn allow_non_finite(self) -> Self {
        Self { lenient: true, ..self }
    }

    pub(crate) fn is_lenient(&self) -> bool {
        self.lenient
    }

    /// With every element of a gradient cut off at this size before the step.
    ///
    /// # Panics
    /// If the size is not positive or not finite.
    #[must_use]
    #[track_caller]
    pub fn clip_value(self, size: f64) -> Self {
        let size = positive("the size to clip gradients at", size);
        Self { clip: Some(Clip::Value(size)), ..self }
    }

    /// With all gradients multiplied by one factor before the step if their Euclidean norm,
    /// taken together, is larger than this, so that it is this (Pascanu, Mikolov & Bengio,
    /// 2013). Their direction remains.
    ///
    /// ```
    /// use wengert_core::Tape;
    /// use wengert_nn::{Param, Sgd};
    ///
    /// let mut weight = Param::new([3.0, 4.0]);
    /// let tape = Tape::new();
    /// let cost = weight.on(&tape).square().sum(); // the gradient is (6, 8)
    /// Sgd::new(1.0).clip_norm(5.0).step(&mut weight, &cost.backward());
    /// assert_eq!(weight.elements(), [0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the size is not positive or not finite.
    #[must_use]
    #[track_caller]
    pub fn clip_norm(self, size: f64) -> Self {
        let size = positive("the norm to clip gradients at", size);
        Self { clip: Some(Clip::Norm(size)), ..self }
    }

    pub(crate) fn clip(&self) -> Option<Clip> {
        self.clip
    }

    /// The rule.
    pub fn rule(&self) -> &R {
        &self.rule
    }

    pub(super) fn rule_mut(&mut self) -> &mut R {
        &mut self.rule
    }

    /// The learning rate.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Sets the learning rate of the steps to come.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn set_rate(&mut self, rate: f64) {
        self.rate = not_negative("the learning rate", rate);
    }

    /// The number of steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Moves all parameters of a model by one step.
    ///
    /// Buffers take the values that the recording has [assigned](Param::assign) to them.
    /// All gradients are known before the first parameter changes, and the tape
    /// keeps the earlier values. Once each parameter has been seen, a step
    /// allocates nothing but, if it clips, a list of the gradients.
    ///
    /// # Panics
    /// If a gradient is not finite, unless [allowed](Self::allow_non_finite), or if no parameter
    /// of the model would move: see [`StepError`]. Parameters and optimiser stay as they were. And
    /// if the step has made a parameter infinite or NaN, unless that is allowed: it has moved then.
    #[track_caller]
    #[inline]
    pub fn step<M: Module<T> + ?Sized>(&mut self, net: &mut M, gradients: &Gradients<'_, T>) {
        if let Err(error) = self.try_step(net, gradients) {
            panic!("{error}");
        }
    }

    /// As [`step`](Self::step), for training that goes on after a step that is refused.
    ///
    /// ```
    /// use wengert_core::Tape;
    /// use wengert_nn::optim::StepError;
    /// use wengert_nn::{Param, Sgd};
    ///
    /// let mut weight = Param::new(0.0);
    /// let tape = Tape::new();
    /// let cost = weight.on(&tape).sqrt(); // its derivative is infinite at 0
    /// let error = Sgd::new(0.1).try_step(&mut weight, &cost.backward()).unwrap_err();
    /// assert!(matches!(error, StepError::NotFinite { .. }));
    /// assert_eq!(weight.value().item(), 0.0);
    /// ```
    ///
    /// # Errors
    /// Where [`step`](Self::step) panics.
    pub fn try_step<M: Module<T> + ?Sized>(
        &mut self,
        net: &mut M,
        gradients: &Gradients<'_, T>,
    ) -> Result<(), StepError> {
        self.check(net, gradients)?;
        self.steps += 1;
        let (mut moves, mut spoiled) = (false, None);
        let mut clipped = self.clip.map(|clip| {
            let mut slopes = slopes(net, gradients);
            clip.apply(&mut slopes);
            slopes.into_iter()
        });
        let mut position = 0;
        net.visit_mut(&Path::root(), &mut |_, param| {
            let is_finite = match Part::of(param) {
                Part::Takes => param.take_assigned(gradients.tape()),
                Part::Stays => true,
                Part::Moves(multipliers) => {
                    let key = param.key();
                    let is_clipped = clipped.is_some() && has_gradient(param, gradients);
                    let update = |gradient: View<'_, T>| {
                        moves = true;
                        self.update(position, param, multipliers, gradient)
                    };
                    let updated = match &mut clipped {
                        None => gradients.with_parameter(key, update),
                        Some(slopes) => {
                            let slope = is_clipped.then(|| slopes.next()).flatten();
                            slope.map(|slope| slope.with_value(update))
                        }
                    };
                    updated.unwrap_or(true)
                }
            };
            if !is_finite && !self.lenient {
                spoiled.get_or_insert(position);
            }
            position += 1;
        });
        if let Some(position) = spoiled {
            return Err(StepError::spoiled(net, position, self.steps));
        }
        if moves {
            return Ok(());
        }
        // A step that is refused was none: Adam's shares depend on their number.
        StepError::unrelated(net, gradients).inspect_err(|_| self.steps -= 1)
    }

    /// Whether a step may be taken on these gradients: that they are finite.
    #[inline]
    pub(crate) fn check<M: Module<T> + ?Sized>(
        &self,
        net: &M,
        gradients: &Gradients<'_, T>,
    ) -> Result<(), StepError> {
        // Those of other models on the tape are looked at along with them, and do not count.
        if !self.lenient && !gradients.are_finite() {
            StepError::not_finite(net, gradients)?;
        }
        Ok(())
    }

    /// Moves a parameter, and says whether all its elements are finite then.
    fn update(
        &mut self,
        position: usize,
        param: &mut Param<T>,
        Multipliers { rate, decay }: Multipliers,
        gradient: View<'_, T>,
    ) -> bool {
        let gradient = match gradient.as_slice() {
            Some(gradient) => gradient,
            None => {
                self.packed.resize(gradient.len(), T::zero());
                gradient.copy_to(&mut self.packed);
                &self.packed
            }
        };
        let hyper = self.hyperparameters_of(rate, self.steps).map(|x| Plain(T::from_f64(x)));
        let rule = self.rule.clone();
        if rule.states() == 0 {
            return param.step(gradient, [], moved(rule, hyper, decay));
        }
        match &mut states(&mut self.memory, position, param, rule.states())[..] {
            [v] => param.step(gradient, [v], moved(rule, hyper, decay)),
            [m, v] => param.step(gradient, [m, v], moved(rule, hyper, decay)),
            many => {
                let settled = Settled::of::<T>();
                let mut states: SmallVec<[Plain<T>; 4]> = SmallVec::new();
                param.update(gradient.iter().enumerate(), |w, (i, &g)| {
                    states.clear();
                    states.extend(many.iter().map(|state| Plain(state[i])));
                    let moved = rule.apply(hyper, decay, Plain(w), Plain(g), &mut states).0;
                    for (state, &next) in many.iter_mut().zip(&states) {
                        state[i] = settled.at(next).0;
                    }
                    moved
                });
                are_finite(param.elements())
            }
        }
    }

    /// What is remembered of a parameter; zeros if it has not moved yet.
    pub(crate) fn states_of(&self, param: &Param<T>) -> States<T> {
        self.memory.get(&param.key()).cloned().unwrap_or_else(|| {
            (0..self.rule.states()).map(|_| vec![T::zero(); param.len()]).collect()
        })
    }

    pub(crate) fn set_states(&mut self, param: &Param<T>, states: States<T>) {
        self.memory.insert(param.key(), states);
    }

    /// What is remembered of a model's parameters, to be saved along with its
    /// [state](Module::state_dict): for each parameter and state a tensor named by
    /// both, such as `hidden.weight.velocity`. Parameters that have not moved yet have
    /// none.
    pub fn state_dict<M: Module<T> + ?Sized>(&self, net: &M) -> IndexMap<String, Tensor<T>> {
        let of = |(name, param): (String, &Param<T>)| {
            let states = self.memory.get(&param.key())?.clone();
            let shape = param.shape().clone();
            let named = states.into_iter().zip(R::STATES).map(move |(state, kind)| {
                (format!("{name}.{kind}"), Tensor::new(shape.clone(), state))
            });
            Some(named)
        };
        net.named_parameters().into_iter().filter_map(of).flatten().collect()
    }

    /// Takes over what [`state_dict`](Self::state_dict) saved after `steps` steps;
    /// parameters that have nothing there start from zero.
    ///
    /// # Errors
    /// If names are unexpected, or shapes differ; nothing has changed then.
    pub fn load_state_dict<M: Module<T> + ?Sized>(
        &mut self,
        net: &M,
        state: &IndexMap<String, Tensor<T>>,
        steps: u64,
    ) -> Result<(), StateError> {
        let kinds = &R::STATES[..self.rule.states()];
        let parameters = net.named_parameters();
        let expected: Vec<(String, &Param<T>)> = parameters
            .iter()
            .flat_map(|(name, param)| {
                kinds.iter().map(move |kind| (format!("{name}.{kind}"), *param))
            })
            .collect();
        match StateError::check(&expected, state) {
            Err(error) if !error.unexpected.is_empty() || !error.mismatched.is_empty() => {
                return Err(StateError { missing: Vec::new(), ..error });
            }
            _ => {}
        }
        for (name, param) in &parameters {
            let saved = |kind: &&str| Some(state.get(&format!("{name}.{kind}"))?.to_vec());
            match kinds.iter().map(saved).collect::<Option<States<T>>>() {
                Some(states) if !states.is_empty() => self.memory.insert(param.key(), states),
                _ => self.memory.shift_remove(&param.key()),
            };
        }
        self.steps = steps;
        Ok(())
    }
}

/// What a rule makes of an element, its gradient and its states.
///
/// All that it reads it has by value: behind a reference, every write to an element might
/// change it, and nothing would be vectorised.
fn moved<T: Real, R: Rule, const N: usize>(
    rule: R,
    hyper: [Plain<T>; 4],
    decay: f64,
) -> impl Fn(T, T, [T; N]) -> (T, [T; N]) + Clone + Sync {
    let settled = Settled::of::<T>();
    #[inline(always)]
    move |w, g, states| {
        let mut states = states.map(Plain);
        let moved = rule.apply(hyper, decay, Plain(w), Plain(g), &mut states).0;
        (moved, states.map(|state| settled.at(state).0))
    }
}

/// What is remembered of a parameter. As a model shows its parameters in the same
/// order at every step, the entry is usually at the same position as before, and
/// no key is hashed.
fn states<'v, T: Real>(
    memory: &'v mut IndexMap<u64, States<T>>,
    position: usize,
    param: &Param<T>,
    count: usize,
) -> &'v mut States<T> {
    let key = param.key();
    let index = match memory.get_index(position) {
        Some((&found, _)) if found == key => position,
        _ => memory.get_index_of(&key).unwrap_or_else(|| {
            let zeros = (0..count).map(|_| vec![T::zero(); param.len()]).collect();
            memory.insert_full(key, zeros).0
        }),
    };
    &mut memory[index]
}
