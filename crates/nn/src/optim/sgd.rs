//! Stochastic gradient, with momentum.
//!
//! The authors of the paper call it that, and not "stochastic gradient descent",
//! because a single step need not go down (section 4). Momentum and decay follow
//! MatConvNet's `cnn_train.m`, with which the paper trains its large network.

use indexmap::IndexMap;
use wengert_core::{Gradients, Plain, Real, Tensor, View};

use super::Rule;
use crate::state::StateError;
use crate::{Module, Param, Path};

/// Stochastic gradient: `w <- w - rate * g`, the paper's (15)-(17), and its
/// variants with momentum, Nesterov's momentum, and weight decay.
///
/// With the gradient `g`, momentum `m`, decay `d`, and the parameter's multipliers
/// `r` of the rate and `c` of the decay, a step is
///
/// ```text
/// g <- g + d c w
/// v <- m v + g
/// w <- w - rate r v              plain
/// w <- w - rate r (g + m v)      Nesterov
/// ```
///
/// starting from `v = 0`. The rate multiplies the velocity where it is used, so a
/// changed rate acts at once. PyTorch does the same; MatConvNet keeps `-v`, which
/// gives the same steps.
///
/// Frozen parameters, and those on which the cost does not depend, are left alone,
/// velocity and decay included.
///
/// ```
/// use wengert_core::Tape;
/// use wengert_nn::{Param, Sgd};
///
/// let mut weight = Param::new(1.0);
/// let mut sgd = Sgd::new(0.1).momentum(0.9).weight_decay(1e-4);
/// let mut tape = Tape::new();
/// for _ in 0..200 {
///     tape.reset();
///     let cost = (weight.on(&tape) - 3.0).square();
///     sgd.step(&mut weight, &cost.backward());
/// }
/// assert!((weight.value().item() - 3.0_f64).abs() < 1e-3);
/// ```
#[derive(Clone, Debug)]
pub struct Sgd<T: Real> {
    rate: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    velocities: IndexMap<u64, Vec<T>>,
    /// Room for a gradient whose elements do not lie in order.
    packed: Vec<T>,
}

impl<T: Real> Sgd<T> {
    /// Plain steps of a learning rate, the paper's `eta`.
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            velocities: IndexMap::new(),
            packed: Vec::new(),
        }
    }

    /// With momentum: the share of the velocity that a step keeps, 0.9 in the
    /// paper's section 7.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// With Nesterov's momentum, which looks one step ahead, or the plain one.
    #[must_use]
    pub fn nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }

    /// With weight decay: this multiple of the parameter is added to its gradient.
    /// The penalty `lambda/N sum ||W||^2` of the paper's (33) is a decay of
    /// `2 lambda/N`, with a decay multiplier of 0 for biases.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// The learning rate.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Sets the learning rate of the steps to come.
    pub fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    /// Moves all parameters of a model by one step.
    ///
    /// All gradients are known before the first parameter changes, and the tape
    /// keeps the earlier values. Once each parameter has been seen, a step
    /// allocates nothing.
    pub fn step<M: Module<T> + ?Sized>(&mut self, net: &mut M, gradients: &Gradients<'_, T>) {
        let mut position = 0;
        net.visit_mut(&Path::root(), &mut |_, param| {
            if param.is_trainable() {
                gradients.with_parameter(param.key(), |gradient| {
                    self.update(position, param, gradient);
                });
            }
            position += 1;
        });
    }

    fn update(&mut self, position: usize, param: &mut Param<T>, gradient: View<'_, T>) {
        let rule = self.rule(param).plain_numbers();
        let gradient = match gradient.as_slice() {
            Some(gradient) => gradient,
            None => {
                self.packed.resize(gradient.len(), T::zero());
                gradient.copy_to(&mut self.packed);
                &self.packed
            }
        };
        if self.momentum == 0.0 {
            param.update(gradient, |w, &g| rule.plain(Plain(w), Plain(g)).0);
            return;
        }
        let velocity = velocity(&mut self.velocities, position, param);
        param.update(gradient.iter().zip(velocity), |w, (&g, v)| {
            let [w, faster] = rule.with_momentum(Plain(w), Plain(g), Plain(*v));
            *v = faster.0;
            w.0
        });
    }

    /// The step's formula for a parameter.
    pub(crate) fn rule(&self, param: &Param<T>) -> Rule<T> {
        let decay = self.weight_decay * param.decay();
        Rule {
            rate: T::from_f64(self.rate) * T::from_f64(param.rate()),
            decay: (decay != 0.0).then(|| T::from_f64(decay)),
            momentum: T::from_f64(self.momentum),
            nesterov: self.nesterov,
        }
    }

    pub(crate) fn has_momentum(&self) -> bool {
        self.momentum != 0.0
    }

    /// The velocity of a parameter, zeros if it has not moved yet.
    pub(crate) fn velocity_of(&self, param: &Param<T>) -> Tensor<T> {
        match self.velocities.get(&param.key()) {
            Some(velocity) => Tensor::new(param.shape(), velocity.clone()),
            None => Tensor::zeros(param.shape()),
        }
    }

    pub(crate) fn set_velocity(&mut self, param: &Param<T>, velocity: Vec<T>) {
        self.velocities.insert(param.key(), velocity);
    }

    /// The velocities of a model's parameters by name, to be saved along with its
    /// [state](Module::state_dict). Parameters that have not moved yet have none.
    pub fn velocities<M: Module<T> + ?Sized>(&self, net: &M) -> IndexMap<String, Tensor<T>> {
        let of = |(name, param): (String, &Param<T>)| {
            let velocity = self.velocities.get(&param.key())?.clone();
            Some((name, Tensor::new(param.shape(), velocity)))
        };
        net.named_parameters().into_iter().filter_map(of).collect()
    }

    /// Takes over velocities saved by [`velocities`](Self::velocities); parameters
    /// that have none start from 0.
    ///
    /// # Errors
    /// If names are unexpected, or shapes differ; nothing has changed then.
    pub fn load_velocities<M: Module<T> + ?Sized>(
        &mut self,
        net: &M,
        velocities: &IndexMap<String, Tensor<T>>,
    ) -> Result<(), StateError> {
        let parameters = net.named_parameters();
        match StateError::check(&parameters, velocities) {
            Err(error) if !error.unexpected.is_empty() || !error.mismatched.is_empty() => {
                return Err(StateError { missing: Vec::new(), ..error });
            }
            _ => {}
        }
        for (name, param) in &parameters {
            match velocities.get(name) {
                Some(velocity) => self.velocities.insert(param.key(), velocity.to_vec()),
                None => self.velocities.shift_remove(&param.key()),
            };
        }
        Ok(())
    }
}

/// The velocity of a parameter, zeros at first. As a model shows its parameters in
/// the same order at every step, the entry is usually at the same position as
/// before, and no key is hashed.
fn velocity<'v, T: Real>(
    velocities: &'v mut IndexMap<u64, Vec<T>>,
    position: usize,
    param: &Param<T>,
) -> &'v mut [T] {
    let key = param.key();
    let index = match velocities.get_index(position) {
        Some((&found, _)) if found == key => position,
        _ => velocities
            .get_index_of(&key)
            .unwrap_or_else(|| velocities.insert_full(key, vec![T::zero(); param.len()]).0),
    };
    &mut velocities[index]
}
