//! The problems of the benchmark, a module each.

mod ba;
mod descent;
mod det;
mod gmm;
mod hello;
mod ht;
mod kmeans;
mod llsq;
mod lse;
mod lstm;
mod ode;
mod particle;
mod saddle;

use serde_json::Value;

use crate::clock::Clock;
use crate::input::{Error, Input};

/// A function as the protocol has it: reads its input, is timed by the clock, gives its output.
pub type Evaluate = fn(Input<'_>, &mut Clock) -> Result<Value, Error>;

/// A name, and the function that it stands for.
type Named<F> = (&'static str, F);

/// All problems, with their functions.
const PROBLEMS: &[Named<&[Named<Evaluate>]>] = &[
    ("hello", hello::FUNCTIONS),
    ("lse", lse::FUNCTIONS),
    ("llsq", llsq::FUNCTIONS),
    ("gmm", gmm::FUNCTIONS),
    ("kmeans", kmeans::FUNCTIONS),
    ("lstm", lstm::FUNCTIONS),
    ("ba", ba::FUNCTIONS),
    ("ht", ht::FUNCTIONS),
    ("det", det::FUNCTIONS),
    ("ode", ode::FUNCTIONS),
    ("particle", particle::FUNCTIONS),
    ("saddle", saddle::FUNCTIONS),
];

/// The functions of a problem.
///
/// # Errors
/// If there is no such problem.
pub fn functions(module: &str) -> Result<&'static [Named<Evaluate>], Error> {
    find("problem", PROBLEMS, module).copied()
}

/// A function of a problem.
///
/// # Errors
/// If there is no such function.
pub fn function(module: &str, function: &str) -> Result<Evaluate, Error> {
    find(&format!("function of {module}"), functions(module)?, function).copied()
}

fn find<'a, F>(what: &str, among: &'a [Named<F>], name: &str) -> Result<&'a F, Error> {
    among.iter().find(|(other, _)| *other == name).map(|(_, found)| found).ok_or_else(|| {
        let names: Vec<_> = among.iter().map(|(name, _)| *name).collect();
        Error(format!("expected a {what}, one of {}, got {name:?}", names.join(", ")))
    })
}
