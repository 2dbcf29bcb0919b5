//! What a run shows on standard error: a bar, or lines where there is no terminal.

use super::History;
use super::bar::Bar;

/// The screen of a run.
#[derive(Debug)]
pub(super) struct Screen {
    bar: Bar,
    quiet: bool,
    /// Whether it was said why steps are recorded.
    is_explained: bool,
}

impl Screen {
    /// A bar for all batches, of which some are done; it hides itself where there is no
    /// terminal.
    pub(super) fn new(quiet: bool, batches: usize, done: usize) -> Self {
        let bar = if quiet { Bar::hidden() } else { Bar::new(batches, done) };
        Self { bar, quiet, is_explained: false }
    }

    /// Moves the bar on.
    pub(super) fn advance(&self, batches: usize) {
        self.bar.advance(batches);
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
            self.bar.line(&format!("steps are recorded, not compiled: {reason}"));
        }
        self.is_explained = true;
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.bar.clear();
    }

    /// Says something that is to stay, after the bar is gone.
    pub(super) fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }
}
