//! Confusion matrices: which class was taken for which.

use std::fmt;

use wengert_core::{Real, Tensor};

use super::metrics::scores_of;

/// How often each class was taken for each, and what follows from it.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::train::Confusion;
///
/// let outputs = Tensor::from([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]);
/// let mut confusion = Confusion::new(2);
/// confusion.add(&outputs, &[0, 1, 1]);
/// assert_eq!(confusion.count(1, 0), 1); // a sample of class 1 was taken for class 0
/// assert_eq!((confusion.accuracy(), confusion.recall(1)), (2.0 / 3.0, 0.5));
/// println!("{confusion}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// What the classes are called in print; their numbers if there are none.
    names: Vec<String>,
    /// By class and by what it was taken for.
    counts: Vec<u64>,
}

impl Confusion {
    /// An empty matrix of `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, names: Vec::new(), counts: vec![0; classes * classes] }
    }

    /// With names of the classes, for printing.
    ///
    /// ```
    /// use wengert_nn::train::Confusion;
    ///
    /// let mut confusion = Confusion::new(2).with_names(["cat", "dog"]);
    /// confusion.add_answers(&[0, 1, 1], &[0, 1, 0]);
    /// assert_eq!(
    ///     confusion.to_string(),
    ///     "  class    cat    dog recall\n    cat      1      1  50.0%\n    \
    ///      dog      0      1 100.0%\n  prec. 100.0%  50.0%  66.7%",
    /// );
    /// ```
    ///
    /// # Panics
    /// If there is not one name for each class.
    #[must_use]
    #[track_caller]
    pub fn with_names<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let (classes, count) = (self.classes, names.len());
        assert!(count == classes, "expected a name for each of {classes} classes, got {count}");
        Self { names, ..self }
    }

    /// The counts as numbers, which are exact below 2^53.
    pub(super) fn state(&self) -> Vec<f64> {
        self.counts.iter().map(|&count| count as f64).collect()
    }

    pub(super) fn of_state(counts: &[f64]) -> Option<Self> {
        let classes = counts.len().isqrt();
        let counts: Vec<u64> = counts.iter().map(|&count| count as u64).collect();
        (classes * classes == counts.len()).then_some(Self { classes, names: Vec::new(), counts })
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Counts a batch: outputs of shape `[N, classes]`, the first of the largest of which
    /// is the answer, and labels.
    ///
    /// # Panics
    /// If shape or number do not fit, or a label is no class.
    #[track_caller]
    pub fn add<T: Real>(&mut self, outputs: &Tensor<T>, labels: &[usize]) {
        let scores = scores_of(outputs, labels);
        let (classes, shape) = (self.classes, outputs.shape());
        assert!(
            shape[1] == classes,
            "expected outputs for the {classes} classes of the matrix, got the shape {shape}"
        );
        for (scores, &label) in scores.chunks_exact(self.classes.max(1)).zip(labels) {
            let answer = (1..scores.len())
                .fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
            self.counts[label * self.classes + answer] += 1;
        }
    }

    /// Counts answers that are known already.
    ///
    /// # Panics
    /// If there is not one answer for each label, or one or the other is no class.
    #[track_caller]
    pub fn add_answers(&mut self, answers: &[usize], labels: &[usize]) {
        let classes = self.classes;
        let [given, due] = [answers.len(), labels.len()];
        assert!(given == due, "expected an answer for each of the {due} labels, got {given}");
        for (&answer, &label) in answers.iter().zip(labels) {
            let largest = label.max(answer);
            assert!(largest < classes, "class {largest} in a matrix of {classes} classes");
            self.counts[label * classes + answer] += 1;
        }
    }

    /// Counts what another matrix has counted.
    ///
    /// # Panics
    /// If it has another number of classes.
    #[track_caller]
    pub fn merge(&mut self, other: &Self) {
        assert!(
            self.classes == other.classes,
            "matrices of different classes: {} and {}",
            self.classes,
            other.classes
        );
        for (count, other) in self.counts.iter_mut().zip(&other.counts) {
            *count += other;
        }
    }

    /// How many samples of a class were taken for another, or for itself.
    ///
    /// # Panics
    /// If there is no such class.
    #[track_caller]
    pub fn count(&self, class: usize, answer: usize) -> u64 {
        let classes = self.classes;
        let largest = class.max(answer);
        assert!(largest < classes, "there is no class {largest} in a matrix of {classes} classes");
        self.counts[class * classes + answer]
    }

    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The share of samples that were recognised; NaN if there are none.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.classes).map(|class| self.count(class, class)).sum();
        right as f64 / self.samples() as f64
    }

    /// The share of a class that was recognised; NaN if it does not occur.
    ///
    /// # Panics
    /// If there is no such class.
    #[track_caller]
    pub fn recall(&self, class: usize) -> f64 {
        self.count(class, class) as f64 / self.of(class) as f64
    }

    /// The share of what was taken for a class that was of it; NaN if nothing was.
    ///
    /// # Panics
    /// If there is no such class.
    #[track_caller]
    pub fn precision(&self, class: usize) -> f64 {
        self.count(class, class) as f64 / self.taken_for(class) as f64
    }

    /// The harmonic mean of precision and recall of a class: `2 r / (n + m)`, where `n`
    /// samples are of it, `m` were taken for it, and `r` are both. NaN if `n + m` is 0.
    ///
    /// # Panics
    /// If there is no such class.
    #[track_caller]
    pub fn f1(&self, class: usize) -> f64 {
        2.0 * self.count(class, class) as f64 / (self.of(class) + self.taken_for(class)) as f64
    }

    /// The mean of [`f1`](Self::f1) over the classes that occur, as labels or as answers.
    pub fn macro_f1(&self) -> f64 {
        let f1 = (0..self.classes).map(|class| self.f1(class)).filter(|f1| !f1.is_nan());
        let (sum, count) = f1.fold((0.0, 0.0), |(sum, count), f1| (sum + f1, count + 1.0));
        sum / count
    }

    fn of(&self, class: usize) -> u64 {
        self.counts[class * self.classes..][..self.classes].iter().sum()
    }

    fn taken_for(&self, answer: usize) -> u64 {
        self.counts.iter().skip(answer).step_by(self.classes).sum()
    }
}

impl fmt::Display for Confusion {
    /// A row for each class, with its recall; a column for each answer, with its
    /// precision; the accuracy where they meet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |class: usize| match self.names.get(class) {
            Some(name) => name.clone(),
            None => class.to_string(),
        };
        let longest = (0..self.classes).map(|class| name(class).chars().count()).max().unwrap_or(0);
        let widest = self.counts.iter().max().map_or(1, |count| count.to_string().len());
        let (first, width) = (longest.max(7), widest.max(longest).max(6) + 1);
        let percent = |share: f64| {
            if share.is_nan() { "-".to_owned() } else { format!("{:.1}%", 100.0 * share) }
        };
        write!(f, "{:>first$}", "class")?;
        for answer in 0..self.classes {
            write!(f, "{:>width$}", name(answer))?;
        }
        writeln!(f, "{:>width$}", "recall")?;
        for class in 0..self.classes {
            write!(f, "{:>first$}", name(class))?;
            for answer in 0..self.classes {
                write!(f, "{:>width$}", self.count(class, answer))?;
            }
            writeln!(f, "{:>width$}", percent(self.recall(class)))?;
        }
        write!(f, "{:>first$}", "prec.")?;
        for answer in 0..self.classes {
            write!(f, "{:>width$}", percent(self.precision(answer)))?;
        }
        write!(f, "{:>width$}", percent(self.accuracy()))
    }
}
