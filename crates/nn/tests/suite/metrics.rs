//! Metrics and histories.

use wengert_core::{Tape, Tensor};
use wengert_nn::data::{Table, TableFormat};
use wengert_nn::train::*;

use crate::files::place;

#[test]
fn metrics_are_plain_counts() {
    let outputs =
        Tensor::from([[0.5, 0.2, 0.2], [0.1, 0.8, 0.9], [0.3, 0.3, 0.3], [0.0, 1.0, f64::NAN]]);
    let labels = [0, 1, 2, 2];
    let right = [1, 2, 3].map(|k| in_top(k, &outputs, &labels));
    assert_eq!(right, [1, 2, 3]);

    let mut confusion = Confusion::new(3);
    confusion.add(&outputs, &labels);
    let counts = [[1, 0, 0], [0, 0, 1], [1, 1, 0]];
    for (class, row) in counts.iter().enumerate() {
        assert!((0..3).all(|answer| confusion.count(class, answer) == row[answer]));
    }
    assert_eq!(
        (confusion.accuracy(), confusion.precision(0), confusion.recall(2)),
        (0.25, 0.5, 0.0)
    );
    assert_eq!([0, 1, 2].map(|class| confusion.f1(class)), [2.0 / 3.0, 0.0, 0.0]);
    assert_eq!(confusion.macro_f1(), 2.0 / 9.0);
    let mut unused = Confusion::new(4);
    unused.add(&Tensor::from([[1.0, 0.0, 0.0, 0.0]]), &[0]);
    assert_eq!(unused.macro_f1(), 1.0);

    // Far from 0, where sums of squares would lose all digits.
    let targets = Tensor::from_fn([40, 2], |i| 1e8 + (i as f64).sin());
    let outputs = Tensor::from_fn([40, 2], |i| 1e8 + (i as f64).sin() * 0.75);
    let mut r_squared = RSquared::default();
    r_squared.add(&outputs, &targets);
    let each = |column: usize| {
        let y: Vec<f64> = (0..40).map(|i| targets.at(&[i, column]) - 1e8).collect();
        let mean = y.iter().sum::<f64>() / 40.0;
        let errors: f64 =
            (0..40).map(|i| (targets.at(&[i, column]) - outputs.at(&[i, column])).powi(2)).sum();
        1.0 - errors / y.iter().map(|y| (y - mean).powi(2)).sum::<f64>()
    };
    assert!((r_squared.value() - (each(0) + each(1)) / 2.0).abs() < 1e-9);
}

#[test]
#[should_panic(expected = "expected outputs for the 2 classes of the matrix, got the shape [1, 4]")]
fn outputs_of_other_classes_are_not_counted() {
    Confusion::new(2).add(&Tensor::from([[1.0, 0.0, 0.0, 0.0]]), &[0]);
}

#[test]
fn metrics_of_parts_are_those_of_the_whole() {
    let (tape, targets) = (Tape::new(), Tensor::from_fn([12, 1], |i| (i * i % 7) as f64));
    let outputs = targets.map(|y| 0.5 * y + 1.0);
    let labels: Vec<usize> = (0..12).map(|i| i % 2).collect();
    let scores = Tensor::from_fn([12, 2], |i| (i % 5) as f64);
    let measured = |range: std::ops::Range<usize>| {
        let part = |tensor: &Tensor<f64>| tensor.slice(0, range.start, range.len(), 1).contiguous();
        let mut metrics = Metrics::default();
        metrics.r_squared(tape.constant(part(&outputs)), &part(&targets));
        metrics.confusion(tape.constant(part(&scores)), &labels[range.clone()]);
        metrics.top_k(2, tape.constant(part(&scores)), &labels[range.clone()]);
        metrics
    };
    let (mut parts, whole) = (Metrics::default(), measured(0..12));
    [0..5, 5..6, 6..12].into_iter().for_each(|range| parts.merge(&measured(range)));
    for (name, value) in whole.values() {
        assert!((parts.value(name).unwrap() - value).abs() < 1e-14, "{name}");
    }
    assert_eq!(parts.matrix(), whole.matrix());
}

#[test]
fn a_history_is_a_table_and_a_picture() {
    let mut history = History::default();
    history.push([("rate", 0.1), ("train loss", 2.0)]);
    history.push([("train loss", 1.0 / 3.0), ("validation F1 <of 2>", 0.5)]);
    assert_eq!(
        history.to_csv(),
        "epoch,rate,train loss,validation F1 <of 2>\n1,0.1,2,\n2,,0.3333333333333333,0.5\n"
    );
    let svg = history.to_svg();
    assert_eq!(svg.matches("<polyline").count(), 2);
    assert!(svg.contains(">F1 &lt;of 2></text>"), "{svg}");
    // A panel for each, and a curve from the upper left to the lower right.
    assert!(svg.contains("width=\"1008\""), "{svg}");
    assert!(svg.contains("points=\"0.0,11.8 420.0,248.2\""), "{svg}");
    // The legend stands above the plot, whose upper end is at 0.
    let legend = "y=\"-14.0\" text-anchor=\"end\" fill=\"#1f6fb2\">train</text>";
    assert!(svg.contains(legend), "{svg}");
    // What has no number draws nothing, and does not fail.
    history.push([("train loss", f64::NAN)]);
    assert!(!history.to_svg().contains("NaN"));
    assert!(History::default().to_svg().ends_with("</svg>\n"));
}

#[test]
fn names_of_metrics_may_have_commas() {
    let mut history = History::default();
    let names = ["hits, at 5", "the \"best\"", "two\nlines", "plain"];
    history.push(names.iter().copied().zip([1.0, 2.0, 3.0, 4.5]));
    let path = place("commas.csv");
    history.save(&path).unwrap();
    let table = Table::read(&path).unwrap();
    assert_eq!(table.columns()[1..], names);
    assert_eq!(table.numbers::<f64>(&names).unwrap().to_vec(), [1.0, 2.0, 3.0, 4.5]);
}

/// What is written can be read: cells without a number are empty.
#[test]
fn a_history_is_a_table() {
    let mut history = History::default();
    history.push([("train loss", 0.1 + 0.2), ("validation loss", f64::NAN)]);
    history.push([("train loss", 1e-300), ("validation loss", 2.0)]);
    let path = place("history-with-gaps.csv");
    history.save(&path).unwrap();
    let table = TableFormat::new().missing([""]).read(&path).unwrap();
    let read: Tensor<f64> = table.numbers(["train loss", "validation loss"]).unwrap();
    assert_eq!([read.at(&[0, 0]), read.at(&[1, 0]), read.at(&[1, 1])], [0.1 + 0.2, 1e-300, 2.0]);
    assert!(read.at(&[0, 1]).is_nan());
}

/// As scikit-learn's `r2_score`, whose documentation has the two cases: 1 and 0.
#[test]
fn targets_that_never_change_have_no_variation_to_explain() {
    let of = |outputs: &[f64], targets: &[f64]| {
        let mut r_squared = RSquared::default();
        for (&output, &target) in outputs.iter().zip(targets) {
            r_squared.add(&Tensor::from([output]), &Tensor::from([target]));
        }
        r_squared.value()
    };
    assert_eq!(of(&[-2.0, -2.0, -2.0], &[-2.0, -2.0, -2.0]), 1.0);
    assert_eq!(of(&[-2.0, -2.0, -2.0 + 1e-8], &[-2.0, -2.0, -2.0]), 0.0);
    // Ten times 0.3: the mean is the target, to the last bit.
    assert_eq!(of(&[0.3; 10], &[0.3; 10]), 1.0);
    assert_eq!(of(&[0.25; 10], &[0.3; 10]), 0.0);
    assert!(of(&[f64::NAN], &[1.0]).is_nan());
    assert!(of(&[], &[]).is_nan());
}

#[test]
fn curves_mark_the_best_epoch() {
    let mut history = History::default();
    for loss in [3.0, 1.0, 2.0] {
        history.push([("train loss", loss / 2.0), ("validation loss", loss)]);
    }
    let plain = history.to_svg();
    assert!(!plain.contains(">best<") && !plain.contains("<circle"));
    history.mark(Some(1));
    let (marked, path) = (history.to_svg(), place("curves.svg"));
    history.save(&path).unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), marked);
    // The second of three epochs: in the middle of 420.
    assert!(marked.contains("<line x1=\"210.0\" y1=\"0.0\" x2=\"210.0\" y2=\"260.0\""), "{marked}");
    assert_eq!((marked.matches(">best<").count(), marked.matches("<circle").count()), (1, 2));
}
