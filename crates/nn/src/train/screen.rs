//! What a run shows on standard error: a bar, or lines where there is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

use super::History;

/// The screen of a run.
#[derive(Debug)]
pub(super) struct Screen {
    bar: ProgressBar,
    quiet: bool,
    /// Whether it was said why steps are recorded.
    is_explained: bool,
}

impl Screen {
    /// A bar for all batches, of which some are done; it hides itself where there is no
    /// terminal.
    pub(super) fn new(quiet: bool, batches: usize, done: usize) -> Self {
        if quiet {
            return Self { bar: ProgressBar::hidden(), quiet, is_explained: false };
        }
        let template = "{bar:30} {pos}/{len} batches, {eta} left  {msg}";
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        let bar = ProgressBar::new(batches as u64).with_style(style);
        Self { bar: bar.with_position(done as u64), quiet, is_explained: false }
    }

    /// Moves the bar on.
    pub(super) fn advance(&self, batches: usize) {
        self.bar.inc(batches as u64);
    }

    /// Shows what the last epoch came to: beside the bar, or in a line.
    pub(super) fn show_epoch(&self, history: &History) {
        let shown = history.columns().filter(|(name, _)| *name != "rate");
        let values = shown.map(|(name, column)| format!("{name} {:.4}", column[column.len() - 1]));
        let values: Vec<String> = values.collect();
        let line = format!("epoch {}: {}", history.epochs(), values.join(", "));
        if self.bar.is_hidden() && !self.quiet {
            eprintln!("{line}");
        }
        self.bar.set_message(line);
    }

    /// Says once why steps are recorded that were to be compiled.
    pub(super) fn explain(&mut self, reason: &str) {
        if !self.quiet && !self.is_explained {
            self.bar.suspend(|| eprintln!("steps are recorded, not compiled: {reason}"));
        }
        self.is_explained = true;
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Says something that is to stay, after the bar is gone.
    pub(super) fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }
}
