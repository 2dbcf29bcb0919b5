//! `docs/ops.md`, the list of all ops, is written from the registry.

use std::path::Path;

use wengert_core::op::{Cost, Domain, ShapeClass, registry};
use wengert_core::{Shape, Tensor};

use crate::names::NAMES;

const COMMAND: &str = "WENGERT_WRITE_DOCS=1 cargo test -p wengert-core --test suite ops_page";

const FAMILIES: [(&str, &str); 6] = [
    ("elementwise", "Each element by itself; operands broadcast. Costs are those of one element."),
    ("linear", "Maps that are their own derivative: the adjoint is the transposed map."),
    ("bilinear", "Products: linear in each of two operands."),
    ("row reduction", "One number of each row, with a gradient that states both rules."),
    (
        "selection",
        "Elements read or added at places that the first operand tells; linear in the second.",
    ),
    ("general", "Ops that state both of their rules by hand."),
];

/// A formula in a cell of a table.
fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', r"\|")) }
}

fn cost(cost: Cost) -> String {
    let parts = [
        (cost.adds, "addition"),
        (cost.muls, "multiplication"),
        (cost.divs, "division"),
        (cost.nonlinear, "nonlinear"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|&(count, _)| count > 0)
        .map(|(count, name)| {
            let plural = if count > 1 && name != "nonlinear" { "s" } else { "" };
            format!("{count} {name}{plural}")
        })
        .collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

/// The cost of the first sample of matrices, or of the first one that is not empty; of
/// an elementwise op, of the first one, a number.
fn sampled_cost(entry: &registry::Entry<f64>) -> String {
    let cases = &entry.samples.cases;
    let classes = |shapes: &[Shape]| ShapeClass::of(shapes);
    let shapes_of =
        |i: usize| -> Vec<Shape> { cases[i].args.iter().map(|(shape, _)| shape.clone()).collect() };
    let find = |wanted: &dyn Fn(&[ShapeClass]) -> bool| {
        (0..cases.len()).find(|&i| wanted(&classes(&shapes_of(i))))
    };
    let is_elementwise = entry.family == "elementwise";
    let index = if is_elementwise { Some(0) } else { find(&|c| c == [ShapeClass::Matrix]) };
    let index = index.or_else(|| find(&|c| !c.contains(&ShapeClass::Empty))).expect("a sample");
    let (op, shapes) = (&cases[index].op, shapes_of(index));
    let operands: Vec<&Shape> = shapes.iter().collect();
    let result = op.shape(&operands).expect("samples fit");
    let cost = cost(op.cost(&operands, &result));
    if is_elementwise {
        return cost;
    }
    let shapes: Vec<String> = shapes.iter().map(Shape::to_string).collect();
    format!("{}: {cost}", shapes.join(" and "))
}

fn page() -> String {
    let ops = registry::ops::<f64>();
    let mut page = format!(
        "# Ops\n\nAll {} ops of the registry, family by family. This page is written by a test:\n\n\
         ```sh\n{COMMAND}\n```\n\n\
         The derivative is that of the value, `dy`, for changes `dx`, `da`, ... of the operands. Every\n\
         derivative is itself made of ops, so that there are derivatives of every order. The convention\n\
         says which derivative is taken where there is none (kinks, jumps) or where the formula has no\n\
         value. The cost counts scalar operations of the value; one that is `none` only looks at elements\n\
         in another way, or moves them. For families other than the elementwise it is that of a sample\n\
         with the shapes that are given.\n\n\
         Whatever chooses (`maximum`, `relu`, `clamp`, `select`, `max`, `triangle`, pooling, orders, places)\n\
         gives what it did not choose an exact 0, in every mode: no infinity and no NaN gets through, so that\n\
         the gradient of `sqrt(relu x)` at -1 is 0. From there on it is a number like any other, and 0\n\
         times an infinite slope is NaN: that of `select(x > 0, sqrt x, 0)` at 0, by reverse mode, and the\n\
         tangent of `sqrt(relu x)` at -1. There, choose the operand too.\n",
        ops.len()
    );
    for (family, about) in FAMILIES {
        page += &format!(
            "\n## {}{}\n\n{about}\n\n| op | value | derivative | convention | cost |\n\
             | --- | --- | --- | --- | --- |\n",
            family[..1].to_uppercase(),
            &family[1..]
        );
        for op in ops.iter().filter(|op| op.family == family) {
            page += &format!(
                "| {} | {} | {} | {} | {} |\n",
                code(op.name),
                code(op.formula.value),
                code(op.formula.derivative),
                op.formula.convention.replace('|', r"\|"),
                sampled_cost(op)
            );
        }
    }
    page += "\n## Names elsewhere\n\nWhat other libraries call it. Names of PyTorch stand below `torch`, those of \
             NumPy below `numpy`\nor are SciPy's. Two names mislead: `gather` here is `index_select` there, \
             and `repeat` here is NumPy's.\nAxes come first (`x.gather(0, [2, 1])`), `..` \
             stands for all of them, and forms that end in `_keep` leave\nthem with extent 1. `Var` has these as \
             methods, but for `concat`, `stack`, `einsum` and what takes closures.\n\n\
             | op | here | PyTorch | NumPy, SciPy | JAX |\n| --- | --- | --- | --- | --- |\n";
    for name in NAMES {
        let ops: Vec<String> = name.ops.split_whitespace().map(code).collect();
        let cells = [name.here, name.torch, name.numpy, &name.jax()].map(code);
        page += &format!("| {} | {} |\n", ops.join(", "), cells.join(" | "));
    }
    page
}

#[test]
fn ops_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ops.md");
    let expected = page();
    if std::env::var_os("WENGERT_WRITE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("docs/ops.md can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "docs/ops.md is out of date{}\nto write it again: {COMMAND}",
        differs.map_or_else(String::new, |(found, expected)| format!(
            ":\n  found    {found}\n  expected {expected}"
        ))
    );
}

#[test]
fn ops_page_has_every_family() {
    for op in registry::ops::<f64>() {
        assert!(FAMILIES.iter().any(|(family, _)| *family == op.family), "{}", op.family);
    }
}

/// Numbers spread over a domain.
fn spread(shape: &Shape, Domain { low, high, .. }: Domain, seed: usize) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| {
        let fraction = (0.618_034 * (i + 1) as f64 + 0.37 * seed as f64).fract();
        low + (high - low) * fraction
    })
}

#[test]
fn every_op_with_a_kink_states_its_convention() {
    let mut with_kinks = 0;
    for entry in registry::ops::<f64>() {
        let has_kink = entry.samples.cases.iter().any(|sample| {
            let args = sample.args.iter().enumerate();
            let args: Vec<_> = args.map(|(i, (shape, domain))| spread(shape, *domain, i)).collect();
            let views: Vec<_> = args.iter().map(Tensor::view).collect();
            sample.op.kink_distance(&views).is_finite()
        });
        with_kinks += usize::from(has_kink);
        assert!(
            !has_kink || !entry.formula.convention.is_empty(),
            "{} has a kink, and its formula states no convention for it",
            entry.name
        );
    }
    assert!(with_kinks >= 25, "only {with_kinks} ops have kinks");
}
