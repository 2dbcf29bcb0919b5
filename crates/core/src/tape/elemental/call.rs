//! One application of an op, and sums of what rules give.

use std::cell::OnceCell;
use std::fmt;

use crate::scalar::Real;
use crate::tape::{Args, NodeId, Var};

/// One application of an op, as a derivative rule sees it.
pub struct Call<'a, 't, T: Real> {
    args: &'a [Var<'t, T>],
    value: Var<'t, T>,
    shared: OnceCell<Args<Var<'t, T>>>,
    /// Of which nodes a reverse sweep wants the adjoints, unless it wants all.
    wanted: Option<&'a dyn Fn(NodeId) -> bool>,
}

impl<T: Real> fmt::Debug for Call<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("args", &self.args)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

impl<'a, 't, T: Real> Call<'a, 't, T> {
    pub(crate) fn new(args: &'a [Var<'t, T>], value: Var<'t, T>) -> Self {
        Self { args, value, shared: OnceCell::new(), wanted: None }
    }

    /// In a reverse sweep that wants the adjoints of some nodes.
    #[inline]
    pub(crate) fn wanting(self, wanted: &'a dyn Fn(NodeId) -> bool) -> Self {
        Self { wanted: Some(wanted), ..self }
    }

    /// Of each argument whether the adjoint is wanted: for rules that find those of several
    /// arguments in one go.
    pub(crate) fn wanted(&self) -> Vec<bool> {
        self.args.iter().map(|arg| self.wanted.is_none_or(|wanted| wanted(arg.id()))).collect()
    }

    /// The arguments.
    pub fn args(&self) -> &'a [Var<'t, T>] {
        self.args
    }

    /// One argument.
    pub fn arg(&self, index: usize) -> Var<'t, T> {
        self.args[index]
    }

    /// The result.
    pub fn value(&self) -> Var<'t, T> {
        self.value
    }

    /// What the rules of several operands have in common: recorded when the first one
    /// asks for it, and the same for all that ask.
    ///
    /// # Panics
    /// If the rules ask for different numbers of variables.
    pub fn shared<const N: usize>(
        &self,
        record: impl FnOnce() -> [Var<'t, T>; N],
    ) -> [Var<'t, T>; N] {
        let shared = self.shared.get_or_init(|| record().into_iter().collect());
        shared[..].try_into().expect("the rules of an op share the same variables")
    }

    /// Whether rules share a variable: one that a rule gives as its own may be another's
    /// too.
    pub(crate) fn is_shared(&self, var: Var<'t, T>) -> bool {
        self.shared.get().is_some_and(|shared| shared.iter().any(|own| own.id() == var.id()))
    }
}

/// What a rule gives: a variable, or `None` for zero.
pub type Term<'t, T> = Option<Var<'t, T>>;

/// The sum of contributions of which some may be zero.
pub(crate) fn add_terms<'t, T: Real>(terms: impl IntoIterator<Item = Term<'t, T>>) -> Term<'t, T> {
    terms.into_iter().flatten().reduce(|sum, term| sum + term)
}
