//! What traces look like: text, Markdown, LaTeX, JSON, DOT and SVG.

use insta::assert_snapshot;
use wengert_core::{Tape, Tensor, trace};

use crate::trace::{at_the_books_point, item};

#[test]
fn a_trace_is_written_in_every_format() {
    let trace = at_the_books_point().without_lines();
    assert_snapshot!(trace.to_markdown(), @r"
    | forward, down | value | adjoint | reverse, up | term |
    | --- | --- | --- | --- | --- |
    | `x1` | 1.5 | 3.01184 |  |  |
    | `x2` | 0.5 | -13.724 |  |  |
    | `v2 = x1 / x2` | 3 | 1.50592 | `x2bar += v2bar * (-v2 / x2)` | -9.03553 |
    |  |  |  | `x1bar += v2bar * (1 / x2)` | 3.01184 |
    | `v3 = exp(x2)` | 1.64872 | -2.84368 | `x2bar += v3bar * v3` | -4.68843 |
    | `v4 = sin(v2)` | 0.14112 | 1.35128 | `v2bar += v4bar * cos(v2)` | -1.33776 |
    | `v5 = v4 + v2` | 3.14112 | 1.35128 | `v2bar += v5bar` | 1.35128 |
    |  |  |  | `v4bar += v5bar` | 1.35128 |
    | `v6 = v5 - v3` | 1.4924 | 1.35128 | `v3bar += -v6bar` | -1.35128 |
    |  |  |  | `v5bar += v6bar` | 1.35128 |
    | `v7 = v2 - v3` | 1.35128 | 1.4924 | `v3bar += -v7bar` | -1.4924 |
    |  |  |  | `v2bar += v7bar` | 1.4924 |
    | `y = v6 * v7` | 2.01665 | 1 | `v7bar += ybar * v6` | 1.4924 |
    |  |  |  | `v6bar += ybar * v7` | 1.35128 |
    ");
    assert_snapshot!(trace.to_latex(), @r"
    \begin{array}{rcrcl}
    x_{1} &=& 1.5 && \\
    x_{2} &=& 0.5 && \\
    v_{2} &=& \frac{x_{1}}{x_{2}} &=& 3 \\
    v_{3} &=& e^{x_{2}} &=& 1.64872 \\
    v_{4} &=& \sin\left(v_{2}\right) &=& 0.14112 \\
    v_{5} &=& v_{4} + v_{2} &=& 3.14112 \\
    v_{6} &=& v_{5} - v_{3} &=& 1.4924 \\
    v_{7} &=& v_{2} - v_{3} &=& 1.35128 \\
    y &=& v_{6} \cdot v_{7} &=& 2.01665 \\
    \hline
    \bar{y} &=& 1 && \\
    \bar{v_{6}} &\mathrel{+}=& \bar{y} \cdot v_{7} &=& 1.35128 \\
    \bar{v_{7}} &\mathrel{+}=& \bar{y} \cdot v_{6} &=& 1.4924 \\
    \bar{v_{2}} &\mathrel{+}=& \bar{v_{7}} &=& 1.4924 \\
    \bar{v_{3}} &\mathrel{+}=& -\bar{v_{7}} &=& -1.4924 \\
    \bar{v_{5}} &\mathrel{+}=& \bar{v_{6}} &=& 1.35128 \\
    \bar{v_{3}} &\mathrel{+}=& -\bar{v_{6}} &=& -1.35128 \\
    \bar{v_{4}} &\mathrel{+}=& \bar{v_{5}} &=& 1.35128 \\
    \bar{v_{2}} &\mathrel{+}=& \bar{v_{5}} &=& 1.35128 \\
    \bar{v_{2}} &\mathrel{+}=& \bar{v_{4}} \cdot \cos\left(v_{2}\right) &=& -1.33776 \\
    \bar{x_{2}} &\mathrel{+}=& \bar{v_{3}} \cdot v_{3} &=& -4.68843 \\
    \bar{x_{1}} &\mathrel{+}=& \bar{v_{2}} \cdot \left(\frac{1}{x_{2}}\right) &=& 3.01184 \\
    \bar{x_{2}} &\mathrel{+}=& \bar{v_{2}} \cdot \left(-\frac{v_{2}}{x_{2}}\right) &=& -9.03553 \\
    \end{array}
    ");
    assert_snapshot!(trace.to_dot(), @r#"
    digraph trace {
      node [shape=box, fontname=sans];
      n0 [style=filled, label="x1\n1.5\nbar 3.01184"];
      n1 [style=filled, label="x2\n0.5\nbar -13.724"];
      n2 [style=rounded, label="v2 = x1 / x2\n3\nbar 1.50592"];
      n3 [style=rounded, label="v3 = exp(x2)\n1.64872\nbar -2.84368"];
      n4 [style=rounded, label="v4 = sin(v2)\n0.14112\nbar 1.35128"];
      n5 [style=rounded, label="v5 = v4 + v2\n3.14112\nbar 1.35128"];
      n6 [style=rounded, label="v6 = v5 - v3\n1.4924\nbar 1.35128"];
      n7 [style=rounded, label="v7 = v2 - v3\n1.35128\nbar 1.4924"];
      n8 [style="rounded,bold", label="y = v6 * v7\n2.01665\nbar 1"];
      n0 -> n2;
      n1 -> n2;
      n1 -> n3;
      n2 -> n4;
      n2 -> n5;
      n2 -> n7;
      n3 -> n6;
      n3 -> n7;
      n4 -> n5;
      n5 -> n6;
      n6 -> n8;
      n7 -> n8;
    }
    "#);
    let json: serde_json::Value = serde_json::from_str(&trace.to_json()).unwrap();
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), trace.rows().len());
    assert_eq!(rows[0]["adjoint"]["elements"][0].as_f64(), Some(item(&trace, "x1").1));
    assert_eq!(rows[4]["op"], "sin");
}

#[test]
fn large_values_are_told_by_norm_extremes_and_picture() {
    let tape = Tape::<f32>::new();
    let x = tape.variable(Tensor::from_fn([10, 100], |i| if i == 7 { f32::NAN } else { i as f32 }));
    let y = x.transpose().sum();
    let trace = tape.trace(y);
    let value = &trace.rows()[0].value;
    assert_eq!((value.smallest, value.largest, value.not_finite), (0.0, 999.0, 1));
    assert_eq!(value.histogram.iter().sum::<usize>(), 999);
    let square: f64 = (0..1000).filter(|&i| i != 7).map(|i| f64::from(i * i)).sum();
    assert!((value.norm - square.sqrt()).abs() < 1e-9 * square.sqrt());
    let picture = value.picture.as_ref().unwrap();
    assert_eq!((picture.columns, picture.levels.len()), (24, 240));
    assert!(picture.levels[239] > 0.99 && picture.levels[1].is_nan());
    assert!(trace.rows()[1].is_view);
    let json: serde_json::Value = serde_json::from_str(&trace.to_json()).unwrap();
    assert_eq!(json["rows"][2]["value"]["elements"][0], "NaN");
}

#[test]
fn the_readme_shows_what_is_printed() {
    let (x1, x2) = (Tensor::from(1.5), Tensor::from(0.5));
    let shown = trace(|[x1, x2]| x1 * x2 + x1.sin(), [&x1, &x2]).without_lines().to_string();
    let readme = include_str!("../../../../README.md");
    assert!(readme.contains(&format!("```text\n{shown}```")), "{shown}");
}

#[test]
fn a_value_without_a_finite_element_says_so() {
    for (fill, square) in
        [(f64::NAN, "5 elements, none finite"), (1e300, "5 elements, none finite")]
    {
        let tape = Tape::new();
        let y = tape.variable(Tensor::full([5], fill)).square().sum();
        assert_eq!(tape.trace(y).rows()[1].value.brief(), square);
    }
    let tape = Tape::new();
    let y = tape.variable([1.0, 2.0, 3.0, 4.0, f64::NAN]).sum();
    assert_eq!(tape.trace(y).rows()[0].value.brief(), "norm 5.477, 1 to 4, 1 not finite");
}

#[test]
fn a_picture_of_many_rows_is_folded_by_scopes() {
    // As in a residual network: 16 blocks in 4 stages, of 6 results each.
    let tape = Tape::new();
    let mut x = tape.variable([0.1, 0.2]).named("x");
    for stage in 0..4 {
        x = tape.scope(format!("stage {stage}"), || {
            (0..4).fold(x, |x, block| {
                tape.scope(format!("block {stage}.{block}"), || {
                    x + x.sin().tanh().exp().sin().tanh()
                })
            })
        });
    }
    let trace = tape.trace(x.sum());
    assert_eq!(trace.rows().len(), 1 + 16 * 6 + 1);
    let drawn = |picture: &str| picture.matches("<rect").count();
    let picture = trace.to_svg();
    for block in 0..16 {
        let name = format!("block {}.{}", block / 4, block % 4);
        assert!(picture.contains(&name), "{name} is not in the picture");
    }
    assert!(!picture.contains("tanh("), "rows of a block are not drawn");
    // The input, the blocks and the output; where a reader folds, that counts.
    assert_eq!(drawn(&picture), drawn(&trace.clone().folded(1).to_svg()));
    let stages = trace.clone().folded(0).to_svg();
    assert!(stages.contains("stage 3") && !stages.contains("block 3.0"));
    assert!(drawn(&stages) < drawn(&picture));
}
