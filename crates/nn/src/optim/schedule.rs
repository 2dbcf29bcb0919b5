//! Learning rates over time.
//!
//! A [`Schedule`] is a function of time, made of pieces one after the other: every schedule
//! that has a name is such a sequence. It remembers nothing, so there is nothing to save:
//! a resumed run asks for the rate at its own time. What does depend on the course of
//! training is a [`Plateau`], and its memory is two numbers.
//!
//! Time is counted in epochs, in steps, or in epochs with fractions; the schedule does not
//! mind, as long as whoever asks counts as whoever wrote it.

use std::f64::consts::PI;

use super::number::{not_negative, positive, share};

/// A learning rate as a function of time, from 0 on; after its end it keeps the last value.
///
/// ```
/// use wengert_nn::optim::Schedule;
///
/// // MatConvNet's for CIFAR-10, by epochs counted from 0.
/// let schedule = Schedule::steps(&[(30.0, 0.05), (10.0, 0.005), (5.0, 0.0005)]);
/// assert_eq!([0.0, 29.0, 30.0, 39.0, 40.0, 44.0].map(|epoch| schedule.rate(epoch)),
///            [0.05, 0.05, 0.005, 0.005, 0.0005, 0.0005]);
///
/// // Ten steps of warming up, then half a wave of the cosine.
/// let schedule = Schedule::linear(0.0, 0.1, 10.0).then(Schedule::cosine(0.1, 0.0, 90.0));
/// assert_eq!(schedule.rate(5.0), 0.05);
/// assert!((schedule.rate(55.0) - 0.05).abs() < 1e-15);
/// assert!(schedule.rate(100.0) < 1e-15);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pieces: Vec<Piece>,
}

/// The rate goes from one value to another over some time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    length: f64,
    from: f64,
    to: f64,
    shape: Shape,
}

/// How a rate goes from one value to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Linear,
    Cosine,
    Exponential,
}

impl Piece {
    fn rate(&self, time: f64) -> f64 {
        let share = (time / self.length).min(1.0);
        match self.shape {
            Shape::Linear => self.from + (self.to - self.from) * share,
            Shape::Cosine => self.to + (self.from - self.to) * 0.5 * (1.0 + (PI * share).cos()),
            Shape::Exponential => self.from * (self.to / self.from).powf(share),
        }
    }
}

impl Schedule {
    /// One rate at all times.
    ///
    /// # Panics
    /// If a rate is negative or not finite, as for all pieces.
    #[track_caller]
    pub fn constant(rate: f64) -> Self {
        Self::linear(rate, rate, 0.0)
    }

    /// A straight line from one rate to another: a warm-up, or a decay.
    ///
    /// # Panics
    /// If a rate or the length is negative or not finite, as for all pieces.
    #[track_caller]
    pub fn linear(from: f64, to: f64, length: f64) -> Self {
        Self::piece(from, to, length, Shape::Linear)
    }

    /// Half a wave of the cosine, flat at both ends (Loshchilov & Hutter, "SGDR", 2017).
    #[track_caller]
    pub fn cosine(from: f64, to: f64, length: f64) -> Self {
        Self::piece(from, to, length, Shape::Cosine)
    }

    /// A constant factor a unit of time. Both rates are positive.
    #[track_caller]
    pub fn exponential(from: f64, to: f64, length: f64) -> Self {
        let what = "a rate of an exponential schedule";
        Self::piece(positive(what, from), positive(what, to), length, Shape::Exponential)
    }

    #[track_caller]
    fn piece(from: f64, to: f64, length: f64, shape: Shape) -> Self {
        let from = not_negative("a rate of a schedule", from);
        let to = not_negative("a rate of a schedule", to);
        let length = not_negative("the length of a schedule", length);
        Self { pieces: vec![Piece { length, from, to, shape }] }
    }

    /// Rates that are constant for a while: pairs of a length and a rate.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn steps(steps: &[(f64, f64)]) -> Self {
        assert!(!steps.is_empty(), "a schedule has at least one step");
        let mut pieces = Vec::new();
        // A loop and no closure, which would not know the caller's line.
        for &(length, rate) in steps {
            pieces.extend(Self::linear(rate, rate, length).pieces);
        }
        Self { pieces }
    }

    /// One cycle (Smith & Topin, 2018): by cosines from a 25th of the peak up to it in the
    /// first 30 hundredths of the time, then down to a 250,000th: PyTorch's defaults.
    #[track_caller]
    pub fn one_cycle(peak: f64, length: f64) -> Self {
        let peak = not_negative("a rate of a schedule", peak);
        let length = not_negative("the length of a schedule", length);
        let start = peak / 25.0;
        let rise = Self::cosine(start, peak, 0.3 * length);
        rise.then(Self::cosine(peak, start * 1e-4, 0.7 * length))
    }

    /// This schedule, and another one from its end on.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.pieces.extend(next.pieces);
        self
    }

    /// This schedule several times, with restarts.
    ///
    /// # Panics
    /// If it is no time at all.
    #[must_use]
    #[track_caller]
    pub fn repeat(&self, times: usize) -> Self {
        assert!(times > 0, "a schedule is repeated once or more");
        Self { pieces: self.pieces.repeat(times) }
    }

    /// After a straight line from 0, of some length, to the first rate.
    #[must_use]
    #[track_caller]
    pub fn warmed_up(self, length: f64) -> Self {
        Self::linear(0.0, self.rate(0.0), length).then(self)
    }

    /// How long it takes until the rate stays as it is.
    pub fn length(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.length).sum()
    }

    /// The rate at a time.
    pub fn rate(&self, time: f64) -> f64 {
        let mut rest = time.max(0.0);
        for piece in &self.pieces {
            if rest < piece.length {
                return piece.rate(rest);
            }
            rest -= piece.length;
        }
        self.pieces.last().expect("a schedule has a piece or more").to
    }
}

/// A learning rate that falls when a cost no longer does.
///
/// ```
/// use wengert_nn::optim::Plateau;
///
/// let mut plateau = Plateau::new(0.5).patience(1).factor(0.5);
/// let rates = [5.0, 4.0, 4.0, 4.0, 3.0].map(|cost| plateau.observe(cost));
/// assert_eq!(rates, [0.5, 0.5, 0.5, 0.25, 0.25]);
/// ```
///
/// It is saved by its [`PlateauState`]:
///
/// ```
/// # use wengert_nn::optim::Plateau;
/// # let mut plateau = Plateau::new(0.1).patience(1);
/// plateau.observe(5.0);
/// let saved = plateau.state;
/// let mut resumed = Plateau::new(0.1).patience(1);
/// resumed.state = saved;
/// assert_eq!(plateau, resumed);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plateau {
    factor: f64,
    patience: u64,
    threshold: f64,
    least: f64,
    /// What is remembered.
    pub state: PlateauState,
}

/// What a [`Plateau`] remembers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlateauState {
    /// The rate.
    pub rate: f64,
    /// The smallest cost that was seen.
    pub best: f64,
    /// For how many observations in a row the cost was not below it.
    pub waited: u64,
}

impl Plateau {
    /// Begins with a rate; a tenth of it after more than ten observations without a cost
    /// that is smaller than the best by a ten-thousandth, unless set otherwise.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        let rate = not_negative("the learning rate", rate);
        let state = PlateauState { rate, best: f64::INFINITY, waited: 0 };
        Self { factor: 0.1, patience: 10, threshold: 1e-4, least: 0.0, state }
    }

    /// With another factor by which the rate falls.
    ///
    /// # Panics
    /// If it is not in [0, 1).
    #[must_use]
    #[track_caller]
    pub fn factor(self, factor: f64) -> Self {
        let factor = share("the factor of a plateau", factor);
        Self { factor, ..self }
    }

    /// With another number of observations that are waited for.
    #[must_use]
    pub fn patience(self, patience: u64) -> Self {
        Self { patience, ..self }
    }

    /// With another share of the best cost by which a better one is smaller.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn threshold(self, threshold: f64) -> Self {
        let threshold = not_negative("the threshold of a plateau", threshold);
        Self { threshold, ..self }
    }

    /// With a rate below which it never falls, 0 unless set.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn least(self, least: f64) -> Self {
        let least = not_negative("the least rate of a plateau", least);
        Self { least, ..self }
    }

    /// The rate after a cost is known, that of an epoch on validation data, say.
    pub fn observe(&mut self, cost: f64) -> f64 {
        let state = &mut self.state;
        // The first cost is better than none; infinity has no share.
        let bound = if state.best.is_finite() {
            state.best - self.threshold * state.best.abs()
        } else {
            state.best
        };
        if cost < bound {
            (state.best, state.waited) = (cost, 0);
        } else {
            state.waited += 1;
        }
        if state.waited > self.patience {
            state.rate = (state.rate * self.factor).max(self.least);
            state.waited = 0;
        }
        state.rate
    }
}
