//! Running averages of a model's weights.

use indexmap::IndexMap;
use wengert_core::{Plain, Real, Tensor};

use super::number::share;
use super::rule::moved;
use super::settled::Settled;
use crate::state::StateError;
use crate::{Module, Path};

/// An exponential moving average of a model's parameters (Polyak & Juditsky, 1992, average
/// all alike): after each step
///
/// ```text
/// a <- d a + (1 - d) w
/// ```
///
/// from the parameters at the start. Averaged weights often do better than the last ones.
/// Buffers are taken as they are.
///
/// ```
/// use wengert_nn::Param;
/// use wengert_nn::optim::Average;
///
/// let mut net = Param::new(1.0);
/// let mut average = Average::new(&net, 0.75);
/// net.elements_mut()[0] = 5.0; // a step
/// average.update(&net);
/// average.swap(&mut net); // to evaluate
/// assert_eq!(net.value().item(), 2.0);
/// average.swap(&mut net); // to go on
/// assert_eq!(net.value().item(), 5.0);
/// ```
#[derive(Clone, Debug)]
pub struct Average<T: Real> {
    keep: f64,
    /// Averages in the order of the visit.
    values: Vec<Vec<T>>,
}

impl<T: Real> Average<T> {
    /// An average that begins with the present parameters, of which a step keeps the share
    /// `keep`: 0.999, say.
    ///
    /// # Panics
    /// If it is not in [0, 1).
    #[track_caller]
    pub fn new<M: Module<T> + ?Sized>(net: &M, keep: f64) -> Self {
        let keep = share("the share that an average keeps", keep);
        let mut values = Vec::new();
        net.visit(&Path::root(), &mut |_, param| values.push(param.elements().to_vec()));
        Self { keep, values }
    }

    /// Takes the present parameters in.
    ///
    /// # Panics
    /// If the model has other parameters than the one it began with, as for all methods.
    #[track_caller]
    pub fn update<M: Module<T> + ?Sized>(&mut self, net: &M) {
        let mut values = self.values.iter_mut();
        net.visit(&Path::root(), &mut |_, param| {
            let own = values.next().filter(|own| own.len() == param.len());
            let own = own.expect("the average belongs to a model with other parameters");
            if param.is_buffer() {
                own.copy_from_slice(param.elements());
                return;
            }
            let settled = Settled::of::<T>();
            for (a, &w) in own.iter_mut().zip(param.elements()) {
                *a = settled.at(moved(Plain(*a), self.keep, Plain(w))).0;
            }
        });
    }

    /// Exchanges the model's parameters and the averages; a second time, back again.
    #[track_caller]
    pub fn swap<M: Module<T> + ?Sized>(&mut self, net: &mut M) {
        let mut values = self.values.iter_mut();
        net.visit_mut(&Path::root(), &mut |_, param| {
            let own = values.next().filter(|own| own.len() == param.len());
            let own = own.expect("the average belongs to a model with other parameters");
            param.elements_mut().swap_with_slice(own);
        });
    }

    /// The averages by the model's names, to be saved.
    #[track_caller]
    pub fn state_dict<M: Module<T> + ?Sized>(&self, net: &M) -> IndexMap<String, Tensor<T>> {
        let named = net.named_state();
        assert!(
            named.len() == self.values.len(),
            "the average belongs to a model with other parameters"
        );
        let tensor = |((name, param), own): ((String, &crate::Param<T>), &Vec<T>)| {
            (name, Tensor::new(param.shape(), own.clone()))
        };
        named.into_iter().zip(&self.values).map(tensor).collect()
    }

    /// Takes over what [`state_dict`](Self::state_dict) saved.
    ///
    /// # Errors
    /// If names are missing or unexpected, or shapes differ; nothing has changed then.
    pub fn load_state_dict<M: Module<T> + ?Sized>(
        &mut self,
        net: &M,
        state: &IndexMap<String, Tensor<T>>,
    ) -> Result<(), StateError> {
        let named = net.named_state();
        StateError::check(&named, state)?;
        self.values = named.iter().map(|(name, _)| state[name].to_vec()).collect();
        Ok(())
    }
}
