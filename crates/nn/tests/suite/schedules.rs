//! Learning rates over time, against their formulas.

use wengert_nn::optim::{Plateau, Schedule};

#[test]
fn pieces_follow_each_other() {
    let schedule = Schedule::linear(1.0, 3.0, 4.0)
        .then(Schedule::constant(7.0)) // of no length: what follows is at once there
        .then(Schedule::exponential(8.0, 2.0, 2.0));
    assert_eq!(schedule.length(), 6.0);
    let rates = [-1.0, 0.0, 1.0, 4.0, 5.0, 6.0, 100.0].map(|time| schedule.rate(time));
    assert_eq!(rates, [1.0, 1.0, 1.5, 8.0, 4.0, 2.0, 2.0]);
    assert_eq!(Schedule::constant(0.3).rate(5.0), 0.3);

    let restarts = Schedule::cosine(1.0, 0.0, 10.0).repeat(3);
    for time in [0.0, 3.0, 9.9] {
        let wave = 0.5 * (1.0 + (std::f64::consts::PI * time / 10.0).cos());
        assert!((restarts.rate(20.0 + time) - wave).abs() < 1e-14);
    }
    let warm = Schedule::steps(&[(5.0, 0.4), (5.0, 0.2)]).warmed_up(4.0);
    assert_eq!(
        [0.0, 1.0, 4.0, 8.9, 9.0, 20.0].map(|time| warm.rate(time)),
        [0.0, 0.1, 0.4, 0.4, 0.2, 0.2]
    );
}

/// PyTorch's `OneCycleLR` with its defaults, by its formula: annealing by the cosine from
/// peak / 25 to the peak and on to peak / 25e4.
#[test]
fn one_cycle() {
    let schedule = Schedule::one_cycle(0.5, 100.0);
    let anneal = |from: f64, to: f64, share: f64| {
        to + (from - to) / 2.0 * ((std::f64::consts::PI * share).cos() + 1.0)
    };
    for time in 0..100 {
        let time = f64::from(time);
        let expected = match time < 30.0 {
            true => anneal(0.02, 0.5, time / 30.0),
            false => anneal(0.5, 0.02 / 1e4, (time - 30.0) / 70.0),
        };
        assert!((schedule.rate(time) - expected).abs() < 1e-14);
    }
}

#[test]
fn a_plateau_waits_and_falls_no_lower_than_its_least_rate() {
    let mut plateau = Plateau::new(1.0).factor(0.5).patience(2).threshold(0.1).least(0.3);
    // 9.5 is no tenth better than 10.
    let rates = [10.0, 9.5, 9.2, 9.1, 8.0, 9.0, 9.0].map(|cost| plateau.observe(cost));
    assert_eq!(rates, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]);
    let mut resumed = Plateau::new(1.0).factor(0.5).patience(2).threshold(0.1).least(0.3);
    resumed.state = plateau.state;
    for plateau in [&mut plateau, &mut resumed] {
        assert_eq!([9.0, 9.0].map(|cost| plateau.observe(cost)), [0.3, 0.3]);
    }
    // A cost that is no number is no progress.
    let mut plateau = Plateau::new(1.0).patience(0);
    assert_eq!(plateau.observe(f64::NAN), 0.1);
}
