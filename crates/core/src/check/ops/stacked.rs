//! An op on many operands at once is the op on one after the other.

use super::case::{Case, ROUNDING, close, numbers};
use crate::check::evidence::problem::{Draw, record_op};
use crate::op::stack;
use crate::tape::Tape;
use crate::tensor::Tensor;

/// How many operands at once.
const EXTENT: usize = 3;

pub(super) fn many_at_once(case: &Case<f64>) -> Result<(), String> {
    let mut draw = Draw::new(5);
    let mut sets = vec![case.args.clone()];
    sets.resize_with(EXTENT, || {
        let args = case.args.iter().zip(&case.domains);
        args.map(|(arg, domain)| numbers(arg.shape(), *domain, &mut draw)).collect()
    });
    let count = case.args.len();
    compare(case, &sets, &vec![true; count])?;
    for own in (0..count).filter(|_| count > 1) {
        compare(case, &sets, &(0..count).map(|arg| arg == own).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn compare(case: &Case<f64>, sets: &[Vec<Tensor<f64>>], is_stacked: &[bool]) -> Result<(), String> {
    let tape = Tape::new();
    let masks = vec![None; is_stacked.len()];
    let vars: Vec<_> = sets[0].iter().map(|x| tape.variable(x)).collect();
    let y = record_op(&case.op, &tape, &vars, &masks);
    let along = |arg: usize| {
        let all: Vec<_> = sets.iter().map(|set| tape.constant(&set[arg])).collect();
        (vars[arg], stack(&all, 0))
    };
    let inputs: Vec<_> = (0..vars.len()).filter(|&arg| is_stacked[arg]).map(along).collect();
    let found = y.vmap(&inputs).value();
    let one = |set: &Vec<Tensor<f64>>| {
        let own = |arg: usize| if is_stacked[arg] { &set[arg] } else { &sets[0][arg] };
        let args: Vec<_> = (0..vars.len()).map(|arg| tape.constant(own(arg))).collect();
        record_op(&case.op, &tape, &args, &masks)
    };
    let expected = stack(&sets.iter().map(one).collect::<Vec<_>>(), 0).value();
    let which: Vec<_> = (0..is_stacked.len())
        .filter(|&arg| is_stacked[arg])
        .map(|arg| (arg + 1).to_string())
        .collect();
    close(
        &format!("operands {} at once and one by one", which.join(", ")),
        &found,
        &expected,
        ROUNDING,
    )
}
