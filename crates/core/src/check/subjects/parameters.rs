//! The derivatives of a model, parameter by parameter.
//!
//! One direction through all parameters of a large model would drown a mistake in a small one. So each
//! parameter has directions of its own, and the cost is that of some dozens of evaluations a
//! parameter, however many elements it has. The tape takes parameters in by their keys, so that
//! others can stand for them while the model records itself: it is not touched.

use std::fmt;

use crate::check::evidence::options::Options;
use crate::check::evidence::problem::{Draw, Problem, recorder};
use crate::check::evidence::verdict::Verdict;
use crate::check::judge::locate::culprit_node;
use crate::check::report::Report;
use crate::json::Json;
use crate::scalar::Real;
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, Tensor};

/// What a check found of one parameter, or of an input of a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParameterReport {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// What was found: of the model as a function of this parameter. `None` if the model does not depend
    /// on it.
    pub report: Option<Report>,
}

/// What a check of a model found.
#[derive(Clone, Debug)]
#[must_use = "a report says whether derivatives are right: `assert` it, or ask `is_right`"]
#[non_exhaustive]
pub struct ParametersReport {
    verdict: Verdict,
    precision: &'static str,
    /// In which mode the model was recorded, in words.
    mode: String,
    inputs: Vec<ParameterReport>,
    parameters: Vec<ParameterReport>,
    /// The report on all parameters together, which has the second derivative.
    together: Report,
    culprit: Option<String>,
    unchecked: Vec<String>,
}

impl Options<'_> {
    /// As [`check::parameters`](crate::check::parameters()).
    pub fn parameters<T: Real>(
        self,
        named: &[(String, u64, Tensor<T>)],
        loss: impl for<'t> Fn(&'t Tape<T>) -> Var<'t, T>,
    ) -> ParametersReport {
        self.parameters_of(named, 0, &loss)
    }

    /// As [`check::parameters`](crate::check::parameters()), of a model whose inputs are taken in under keys
    /// as well. They are checked like parameters, and do not count as any.
    ///
    /// ```
    /// use wengert_core::{Tensor, check::Options};
    ///
    /// let (w, x) = (Tensor::from([1.0, 2.0]), Tensor::from([0.5, -1.0]));
    /// let report = Options::default().model(
    ///     &[("input".to_owned(), 1, x.clone())],
    ///     &[("weight".to_owned(), 2, w.clone())],
    ///     |tape| (tape.parameter(2, &w) * tape.parameter(1, &x)).sum().exp(),
    /// );
    /// assert!(report.is_right(), "{report}");
    /// assert_eq!((report.parameters().len(), report.inputs().len()), (1, 1));
    /// ```
    pub fn model<T: Real>(
        self,
        inputs: &[(String, u64, Tensor<T>)],
        named: &[(String, u64, Tensor<T>)],
        loss: impl for<'t> Fn(&'t Tape<T>) -> Var<'t, T>,
    ) -> ParametersReport {
        self.parameters_of(&[inputs, named].concat(), inputs.len(), &loss)
    }

    /// What does not depend on the closure's type, of which every model brings one.
    fn parameters_of<T: Real>(
        self,
        named: &[(String, u64, Tensor<T>)],
        inputs: usize,
        loss: &dyn for<'t> Fn(&'t Tape<T>) -> Var<'t, T>,
    ) -> ParametersReport {
        // The loss as it is, and which parameters it uses.
        let names = |chosen: &[usize]| chosen.iter().map(|&i| named[i].0.clone()).collect();
        let tape = Tape::new();
        if let Some(seed) = self.training {
            tape.train(seed);
        }
        let y = loss(&tape);
        let places: Vec<Option<usize>> = named
            .iter()
            .map(|(_, key, _)| {
                let var = tape.parameter_variable(*key)?;
                (var.is_active() && y.is_active()).then(|| var.id().index())
            })
            .collect();
        let used: Vec<usize> = (0..named.len()).filter(|&i| places[i].is_some()).collect();
        // A check of some parameters, with the others as they are.
        let check = |chosen: &[usize], options: Self| {
            let record = recorder(|tape, vars| {
                for (&i, &var) in chosen.iter().zip(vars) {
                    // Taken in first, under its key, so that the model finds it there.
                    tape.parameter(named[i].1, &named[i].2);
                    tape.replace_parameter(named[i].1, var);
                }
                loss(tape)
            });
            let x = chosen.iter().map(|&i| named[i].2.clone()).collect();
            let problem = Problem::new(&record, x).in_training(self.training);
            options.own(&problem, names(chosen))
        };
        // Entries are compared parameter by parameter.
        let together = check(&used, Self { full: false, ..self });
        let is_judged = !matches!(together.verdict, Verdict::NotFinite | Verdict::NotRepeatable);
        let mut parameters: Vec<ParameterReport> = (0..named.len())
            .map(|i| {
                let is_used = used.contains(&i) && is_judged;
                let report = is_used.then(|| {
                    let mut report = check(&[i], self.first_order());
                    report.beside(&together);
                    report
                });
                ParameterReport {
                    name: named[i].0.clone(),
                    shape: named[i].2.shape().clone(),
                    report,
                }
            })
            .collect();
        // What follows from all of them.
        let verdicts = parameters.iter().filter_map(|p| Some(p.report.as_ref()?.verdict));
        let verdict = worst(verdicts, together.verdict);
        let culprit = (verdict == Verdict::Wrong)
            .then(|| culprit_node(y, &Draw::new(self.seed).cotangent(&y.shape()), self.seed))
            .flatten()
            .map(|(node, what)| what + &uses_around(node, &used, &places, named));
        let unchecked = match is_judged {
            true => self.unchecked(&together, &parameters),
            false => Vec::new(),
        };
        let own = parameters.split_off(inputs);
        ParametersReport {
            verdict,
            precision: T::NAME,
            mode: self.mode_of(&tape),
            inputs: parameters,
            parameters: own,
            together,
            culprit,
            unchecked,
        }
    }

    /// In which mode the loss was recorded, in words.
    fn mode_of<T: Real>(self, tape: &Tape<T>) -> String {
        match self.training {
            Some(seed) => format!("training mode, samples of seed {seed}"),
            // The model may have said so itself.
            None if tape.is_training() => "training mode".to_owned(),
            None => "evaluation mode".to_owned(),
        }
    }

    /// What the checks have left out, in words.
    fn unchecked(self, together: &Report, parameters: &[ParameterReport]) -> Vec<String> {
        let mut unchecked = Vec::new();
        if !self.full {
            let reports = parameters.iter().filter_map(|p| p.report.as_ref());
            let entries: usize = reports
                .filter(|report| report.comparison.is_none())
                .map(|report| report.entries)
                .sum();
            unchecked.push(format!("{entries} entries one by one"));
        }
        if together.second.is_none() {
            unchecked.push("the second derivative".to_owned());
        }
        let unused = parameters.iter().filter(|parameter| parameter.report.is_none());
        let words = |parameter: &ParameterReport| {
            format!("{}, which is frozen or not used", parameter.name)
        };
        unchecked.extend(unused.map(words));
        unchecked
    }
}

/// The verdict that outweighs the others.
fn worst(verdicts: impl Iterator<Item = Verdict>, together: Verdict) -> Verdict {
    let weight = |verdict: &Verdict| match verdict {
        Verdict::RoundingFloor => 0,
        Verdict::Right => 1,
        Verdict::Unresolved => 2,
        Verdict::Kink => 3,
        Verdict::NotFinite => 4,
        Verdict::NotRepeatable => 5,
        Verdict::Wrong => 6,
    };
    verdicts.chain([together]).max_by_key(weight).unwrap_or(together)
}

/// Where a node lies in the model, in words: parameters are taken in as they are used.
fn uses_around<T>(
    node: usize,
    used: &[usize],
    places: &[Option<usize>],
    named: &[(String, u64, Tensor<T>)],
) -> String {
    let order = |i: &&usize| places[**i].unwrap_or_default();
    let before = used.iter().filter(|i| order(i) < node).max_by_key(order);
    let after = used.iter().filter(|i| order(i) > node).min_by_key(order);
    match (before, after) {
        (Some(&a), Some(&b)) => {
            format!("\n  after the first use of {}, before that of {}", named[a].0, named[b].0)
        }
        (Some(&a), None) => format!("\n  after the first use of {}", named[a].0),
        (None, Some(&b)) => format!("\n  before the first use of {}", named[b].0),
        (None, None) => String::new(),
    }
}

impl ParametersReport {
    /// What the check concludes: the worst of what it found.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether all derivatives are right, as far as rounding can tell.
    pub fn is_right(&self) -> bool {
        self.verdict.is_right()
    }

    /// What was found of each parameter.
    pub fn parameters(&self) -> &[ParameterReport] {
        &self.parameters
    }

    /// What was found of each input of the [model](Options::model).
    pub fn inputs(&self) -> &[ParameterReport] {
        &self.inputs
    }

    /// Inputs and parameters.
    fn all(&self) -> impl Iterator<Item = &ParameterReport> {
        self.inputs.iter().chain(&self.parameters)
    }

    /// What was found of all of them together.
    pub fn together(&self) -> &Report {
        &self.together
    }

    /// The operation whose rule is wrong, with the line that recorded it and the parameters
    /// between whose uses it stands.
    pub fn culprit(&self) -> Option<&str> {
        self.culprit.as_deref()
    }

    /// What the check did not look at, in words.
    pub fn unchecked(&self) -> &[String] {
        &self.unchecked
    }

    /// The names of the parameters of which a report says something.
    fn named(&self, holds: impl Fn(&Report) -> bool) -> Vec<&str> {
        let named = self.all().filter(|p| p.report.as_ref().is_some_and(&holds));
        named.map(|p| p.name.as_str()).collect()
    }

    /// Stops with the report unless all derivatives are right.
    ///
    /// # Panics
    /// If one is wrong or could not be judged.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.is_right(), "{self}");
    }

    /// The report as a line of JSON.
    pub fn to_json(&self) -> String {
        let parameter = |parameter: &ParameterReport| {
            Json::Object(vec![
                ("name", Json::text(&parameter.name)),
                ("shape", Json::list(parameter.shape.iter().copied(), Json::Count)),
                ("report", Json::option(parameter.report.as_ref(), Report::json)),
            ])
        };
        Json::Object(vec![
            ("verdict", Json::text(self.verdict.headline())),
            ("culprit", Json::option(self.culprit.as_ref(), Json::text)),
            ("mode", Json::text(&self.mode)),
            ("inputs", Json::list(&self.inputs, parameter)),
            ("parameters", Json::list(&self.parameters, parameter)),
            ("together", self.together.json()),
            ("not_checked", Json::list(&self.unchecked, Json::text)),
        ])
        .write()
    }
}

impl fmt::Display for ParametersReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, precision, mode, inputs, parameters, together, .. } = self;
        let elements: usize = parameters.iter().map(|p| p.shape.elements()).sum();
        // The verdict, and what leads to the mistake.
        write!(
            f,
            "{}: derivatives of a model of {} parameters, {elements} elements{}, in {precision}, {mode}",
            verdict.headline(),
            parameters.len(),
            match inputs.len() {
                0 => String::new(),
                1 => ", and its input".to_owned(),
                count => format!(", and its {count} inputs"),
            }
        )?;
        if let Some(note) = together.note.as_ref().filter(|_| !verdict.is_right()) {
            write!(f, "\n  {note}")?;
        }
        if let Some(culprit) = &self.culprit {
            write!(f, "\n  wrong rule: {culprit}")?;
        }
        let wrong = self.named(|report| report.verdict == Verdict::Wrong);
        let right = self.named(Report::is_right);
        if !wrong.is_empty() {
            write!(f, "\n  wrong: {}; right: {}", wrong.join(", "), right.join(", "))?;
        } else if let Some(cause) = &together.cause {
            write!(f, "\n  likely cause: {cause}")?;
        }
        // A row for each parameter.
        let rows: Vec<[String; 5]> = self
            .all()
            .map(|p| {
                let (verdict, rate, error) = match &p.report {
                    None => ("not checked", String::new(), String::new()),
                    Some(report) => {
                        let rate = report.first.as_ref();
                        let slope = rate.and_then(|rate| rate.slope);
                        let verdict = match report.verdict {
                            Verdict::RoundingFloor => "right, to rounding",
                            Verdict::Kink => "kink",
                            Verdict::Unresolved => "not judged",
                            verdict => verdict.headline(),
                        };
                        let error = rate.map_or_else(String::new, |rate| match report.verdict {
                            Verdict::Wrong => format!("{:.1e}", report.error(rate)),
                            _ if report.is_right() => {
                                let of = if report.is_beside { " of all" } else { "" };
                                format!("below {:.0e}{of}", rate.resolution)
                            }
                            _ => String::new(),
                        });
                        (verdict, slope.map_or_else(String::new, |s| format!("{s:.2}")), error)
                    }
                };
                [p.name.clone(), p.shape.to_string(), verdict.to_owned(), rate, error]
            })
            .collect();
        // The rows as a table.
        let heads = ["parameter", "shape", "verdict", "rate", "relative error"].map(str::to_owned);
        let width = |column: usize| {
            let cells = rows.iter().chain([&heads]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        f.write_str("\n")?;
        for row in [&heads].into_iter().chain(&rows) {
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(i, cell)| format!("{cell:<w$}", w = width(i)))
                .collect();
            write!(f, "\n  {}", cells.join("  ").trim_end())?;
        }
        // The whole report of the first that is wrong.
        for parameter in self.all() {
            if let Some(report) = parameter.report.as_ref().filter(|r| r.verdict == Verdict::Wrong)
            {
                write!(f, "\n\n{}: {}", parameter.name, report)?;
                break;
            }
        }
        if !self.unchecked.is_empty() {
            write!(f, "\n\n  not checked: {}", self.unchecked.join("; "))?;
        }
        Ok(())
    }
}
