//! The tape as a table.

use insta::assert_snapshot;
use wengert_core::Tape;

#[test]
fn a_tape_reads_as_a_list() {
    let tape = Tape::new();
    let x = tape.variable([1.0, 2.0, 4.0, 8.0]);
    let w = tape.variable(2.5);
    let y = (x * w - 0.5).relu() / x;
    let loss = y.sum();
    assert_eq!(loss.item(), 9.0625);
    assert_snapshot!(tape.table().without_lines(), @r"
        operation    shape  value                active
    v0  variable     [4]    1, 2, 4, ...         yes
    v1  variable     []     2.5                  yes
    v2  mul(v0, v1)  [4]    2.5, 5, 10, ...      yes
    v3  constant     []     0.5
    v4  sub(v2, v3)  [4]    2, 4.5, 9.5, ...     yes
    v5  relu(v4)     [4]    2, 4.5, 9.5, ...     yes
    v6  div(v5, v0)  [4]    2, 2.25, 2.375, ...  yes
    v7  sum(v6)      []     9.0625               yes
    8 lines: 12 additions, 4 multiplications, 4 divisions, 0 nonlinear
    ");
    let first = tape.table().to_string().lines().nth(1).map(str::to_owned).unwrap_or_default();
    assert!(first.trim_end().ends_with("table.rs:9"), "{first}");
}

#[test]
fn a_tape_is_a_graph() {
    let tape = Tape::new();
    let x = tape.variable([1.0, 2.0]);
    let y = (x * 2.0).sum();
    assert_eq!(y.item(), 6.0);
    let lines = line!() - 2;
    let graph = tape.to_dot().replace(&format!("table.rs:{lines}"), "here");
    let graph = graph.replace(&format!("table.rs:{}", lines - 1), ".");
    assert_snapshot!(graph, @r#"
    digraph tape {
      node [shape=box, fontname=sans];
      v0 [style=filled, label="v0 = variable [2]\n."];
      v1 [style=dashed, label="v1 = constant []\nhere"];
      v2 [style=rounded, label="v2 = mul [2]\nhere"];
      v0 -> v2;
      v1 -> v2 [style=dashed];
      v3 [style=rounded, label="v3 = sum []\nhere"];
      v2 -> v3;
    }
    "#);
}
