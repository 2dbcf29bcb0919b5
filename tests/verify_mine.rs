//! Thirty planted mistakes: twelve in a back propagation by hand, eighteen in other derivatives. The
//! first lines of the report lead to each, by its cause or by an honest "unexplained".

#[path = "../tests/detour/mod.rs"]
mod detour;

use clap::ValueEnum;
use support::mistakes::formulas::{self, PLANTED, Planted};
use support::mistakes::{Mistake, Problem};
use wengert::check::Verdict;

/// What a reader must find in the first three lines.
fn leads(mistake: Mistake) -> &'static [&'static str] {
    match mistake {
        Mistake::None => &["right: hand-written gradient"],
        Mistake::Sign => &["WRONG", "sign: the gradient is -1 x", "all of W2"],
        Mistake::Mean => &["WRONG", "factor: the gradient is 10.0000 x", "all of W2"],
        Mistake::Transpose => &["WRONG", "transpose: W2", "right: W3, W4, b2, b3, b4"],
        Mistake::Order => &["WRONG", "W3 holds", "column by column", "right: W2, W4, b2, b3, b4"],
        Mistake::Missing => &["WRONG", "missing term: the gradient is 0", "all of b3", "right: W2"],
        Mistake::Exchange => &["WRONG", "exchange: b2 has the gradient of b4", "right: W2, W3, W4"],
        Mistake::LastSlope => &["WRONG", "what all inputs share", "all of W2", "all of b4"],
        Mistake::HiddenSlope => {
            &["WRONG", "what the wrong inputs share", "all of W2", "right: W4, b4"]
        }
        Mistake::Entry => &["WRONG", "1 of 6 in W3, worst W3 [2, 1]", "right: W2, W4, b2, b3, b4"],
        Mistake::Penalty => &["WRONG", "missing term: 0.0200 x the input", "right: b2, b3, b4"],
        Mistake::Single => &["WRONG", "precision: errors of", "fewer digits"],
        Mistake::Accumulate => &["does not repeat", "every call adds as much", "not cleared"],
    }
}

#[test]
fn the_first_three_lines_lead_to_each_mistake() {
    for &mistake in Mistake::value_variants() {
        let report = Problem::new(mistake).report();
        assert_eq!(report.is_right(), mistake == Mistake::None, "{report}");
        let text = report.to_string();
        let head: Vec<&str> = text.lines().take(3).collect();
        for lead in leads(mistake) {
            assert!(head.iter().any(|line| line.contains(lead)), "{mistake:?}: {lead} in {text}");
        }
    }
}

#[test]
fn the_first_four_lines_lead_to_each_other_mistake() {
    for Planted { what, report, leads } in PLANTED {
        let report = report();
        assert_eq!(report.verdict(), Verdict::Wrong, "{what}: {report}");
        let text = report.to_string();
        let head: Vec<&str> = text.lines().take(4).collect();
        for lead in leads {
            assert!(head.iter().any(|line| line.contains(lead)), "{what}: {lead} in {text}");
        }
    }
    for report in formulas::right() {
        assert!(report.is_right(), "{report}");
    }
}

#[test]
fn reports_are_json_and_pictures_are_well_formed() {
    for mistake in [Mistake::None, Mistake::Entry, Mistake::Accumulate] {
        let report = Problem::new(mistake).report();
        let json: serde_json::Value =
            serde_json::from_str(&report.to_json()).expect("the report is JSON");
        assert_eq!(json["verdict"], report.verdict().headline());
        let worst = &json["comparison"]["worst"];
        if mistake == Mistake::Entry {
            assert_eq!((&worst[0]["input"], &worst[0]["index"][1]), (&"W3".into(), &1.into()));
        }
        match report.to_svg() {
            None => assert_eq!(report.verdict(), Verdict::NotRepeatable),
            Some(picture) => {
                let (opened, closed) = (picture.matches('<').count(), picture.matches('>').count());
                assert!(opened == closed && !picture.contains("NaN"), "{picture}");
            }
        }
    }
}

/// The path of a file goes there and back; what is printed of it does not.
#[test]
fn messages_name_paths_without_detours() {
    let (file, texts) = detour::said();
    assert!(file.contains("/../"), "{file}");
    for text in texts {
        assert!(text.contains("at tests/detour/mod.rs:") && !text.contains(".."), "{text}");
    }
}
