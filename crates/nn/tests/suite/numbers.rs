//! Every number that an optimiser, a schedule or a parameter takes is looked at where it comes in.

use wengert_nn::optim::{
    AdaDelta, AdaGrad, AdamW, Average, Lion, NAdam, Plateau, RmsProp, Schedule,
};
use wengert_nn::{Adam, Param, Sgd};

use crate::mistakes::message;

const NO_NUMBER: [f64; 2] = [f64::NAN, f64::INFINITY];

/// Refuses what is below 0 or no finite number, at this file's line, and takes what is above.
#[track_caller]
fn not_negative(what: &str, f: impl Fn(f64)) {
    [0.0, 1e-300, 0.5, 1.0, 1e300].into_iter().for_each(&f);
    for x in NO_NUMBER.into_iter().chain([-1e-300, -0.1, f64::NEG_INFINITY]) {
        let message = message(|| f(x));
        assert_eq!(message, format!("{what}: expected a finite number of at least 0, got {x}"));
    }
}

/// Refuses what is not in [0, 1).
#[track_caller]
fn share(what: &str, f: impl Fn(f64)) {
    [0.0, 0.5, 1.0 - f64::EPSILON].into_iter().for_each(&f);
    for x in NO_NUMBER.into_iter().chain([-1e-300, 1.0, 1.5]) {
        let message = message(|| f(x));
        assert_eq!(message, format!("{what}: expected at least 0 and less than 1, got {x}"));
    }
}

/// Refuses what is not a finite number above 0.
#[track_caller]
fn positive(what: &str, f: impl Fn(f64)) {
    [1e-300, 1.0, 1e300].into_iter().for_each(&f);
    for x in NO_NUMBER.into_iter().chain([-1.0, 0.0]) {
        let message = message(|| f(x));
        assert_eq!(message, format!("{what}: expected a finite number of more than 0, got {x}"));
    }
}

macro_rules! takes {
    ($($rule:ident($what:literal) of $x:ident { $($made:expr;)* })*) => {$($(
        $rule($what, |$x| {
            let _ = $made;
        });
    )*)*};
}

#[test]
fn optimisers_refuse_numbers_out_of_range() {
    takes! {
        not_negative("the learning rate") of x {
            Sgd::<f32>::new(x);
            Adam::<f32>::new(x);
            AdamW::<f32>::new(x);
            NAdam::<f32>::new(x);
            AdaGrad::<f32>::new(x);
            AdaDelta::<f32>::new(x);
            RmsProp::<f32>::new(x);
            Lion::<f32>::new(x);
            Sgd::<f32>::new(0.1).set_rate(x);
            Plateau::new(x);
        }
        not_negative("the weight decay") of x {
            Sgd::<f32>::new(0.1).weight_decay(x);
            AdamW::<f32>::new(0.1).weight_decay(x);
            Lion::<f32>::new(0.1).weight_decay(x);
        }
        not_negative("epsilon") of x {
            Adam::<f32>::new(0.1).epsilon(x);
            AdamW::<f32>::new(0.1).epsilon(x);
            NAdam::<f32>::new(0.1).epsilon(x);
            AdaGrad::<f32>::new(0.1).epsilon(x);
            AdaDelta::<f32>::new(0.1).epsilon(x);
            RmsProp::<f32>::new(0.1).epsilon(x);
        }
        not_negative("the decay of the momentum") of x { NAdam::<f32>::new(0.1).momentum_decay(x); }
        share("momentum") of x {
            Sgd::<f32>::new(0.1).momentum(x);
            RmsProp::<f32>::new(0.1).momentum(x);
        }
        share("the first beta") of x {
            Adam::<f32>::new(0.1).betas(x, 0.9);
            AdamW::<f32>::new(0.1).betas(x, 0.9);
            NAdam::<f32>::new(0.1).betas(x, 0.9);
        }
        share("the second beta") of x {
            Adam::<f32>::new(0.1).betas(0.9, x);
            AdamW::<f32>::new(0.1).betas(0.9, x);
            NAdam::<f32>::new(0.1).betas(0.9, x);
        }
        share("the beta of the sign") of x { Lion::<f32>::new(0.1).betas(x, 0.9); }
        share("the beta of the mean") of x { Lion::<f32>::new(0.1).betas(0.9, x); }
        share("the share that a mean keeps") of x {
            AdaDelta::<f32>::new(0.1).keep(x);
            RmsProp::<f32>::new(0.1).keep(x);
        }
        share("the share that an average keeps") of x { Average::new(&Param::new(1.0), x); }
        positive("the size to clip gradients at") of x { Sgd::<f32>::new(0.1).clip_value(x); }
        positive("the norm to clip gradients at") of x { Sgd::<f32>::new(0.1).clip_norm(x); }
        not_negative("the multiplier of a rate") of x {
            Param::new(1.0).with_rate(x);
            Param::new(1.0).set_rate(x);
        }
        not_negative("the multiplier of a decay") of x {
            Param::new(1.0).with_decay(x);
            Param::new(1.0).set_decay(x);
        }
    }
}

#[test]
fn schedules_refuse_numbers_out_of_range() {
    takes! {
        not_negative("a rate of a schedule") of x {
            Schedule::constant(x);
            Schedule::linear(x, 0.1, 1.0);
            Schedule::linear(0.1, x, 1.0);
            Schedule::cosine(x, 0.1, 1.0);
            Schedule::cosine(0.1, x, 1.0);
            Schedule::steps(&[(1.0, 0.1), (1.0, x)]);
            Schedule::one_cycle(x, 1.0);
        }
        not_negative("the length of a schedule") of x {
            Schedule::linear(0.1, 0.2, x);
            Schedule::cosine(0.1, 0.2, x);
            Schedule::exponential(0.1, 0.2, x);
            Schedule::steps(&[(x, 0.1), (1.0, 0.1)]);
            Schedule::one_cycle(0.1, x);
            Schedule::constant(0.1).warmed_up(x);
        }
        positive("a rate of an exponential schedule") of x {
            Schedule::exponential(x, 0.1, 1.0);
            Schedule::exponential(0.1, x, 1.0);
        }
        share("the factor of a plateau") of x { Plateau::new(0.1).factor(x); }
        not_negative("the threshold of a plateau") of x { Plateau::new(0.1).threshold(x); }
        not_negative("the least rate of a plateau") of x { Plateau::new(0.1).least(x); }
    }
    assert_eq!(message(|| Schedule::steps(&[])), "a schedule has at least one step");
}
