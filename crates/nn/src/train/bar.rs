//! The progress bar of a run, from the crate `indicatif`; without the feature `progress` there is none, as
//! where standard error is no terminal.

#[cfg(feature = "progress")]
pub(super) use with_bar::Bar;
#[cfg(not(feature = "progress"))]
pub(super) use without_bar::Bar;

#[cfg(feature = "progress")]
mod with_bar {
    use indicatif::{ProgressBar, ProgressStyle};

    #[derive(Debug)]
    pub(in super::super) struct Bar(ProgressBar);

    impl Bar {
        /// A bar for all batches, of which some are done; it hides itself where there is no
        /// terminal.
        pub(in super::super) fn new(batches: usize, done: usize) -> Self {
            let template = "{bar:30} {pos}/{len} batches, {eta} left  {msg}";
            let style = ProgressStyle::with_template(template).expect("the template is valid");
            let bar = ProgressBar::new(batches as u64).with_style(style);
            Self(bar.with_position(done as u64))
        }

        /// None.
        pub(in super::super) fn hidden() -> Self {
            Self(ProgressBar::hidden())
        }

        pub(in super::super) fn is_hidden(&self) -> bool {
            self.0.is_hidden()
        }

        pub(in super::super) fn advance(&self, batches: usize) {
            self.0.inc(batches as u64);
        }

        /// Says something beside the bar.
        pub(in super::super) fn set_message(&self, line: String) {
            self.0.set_message(line);
        }

        /// Writes a line that stays above the bar.
        pub(in super::super) fn line(&self, line: &str) {
            self.0.suspend(|| eprintln!("{line}"));
        }

        pub(in super::super) fn clear(&self) {
            self.0.finish_and_clear();
        }
    }
}

#[cfg(not(feature = "progress"))]
mod without_bar {
    #[derive(Debug)]
    pub(in super::super) struct Bar;

    impl Bar {
        pub(in super::super) fn new(_batches: usize, _done: usize) -> Self {
            Self
        }

        pub(in super::super) fn hidden() -> Self {
            Self
        }

        pub(in super::super) fn is_hidden(&self) -> bool {
            true
        }

        pub(in super::super) fn advance(&self, _batches: usize) {}

        pub(in super::super) fn set_message(&self, _line: String) {}

        pub(in super::super) fn line(&self, line: &str) {
            eprintln!("{line}");
        }

        pub(in super::super) fn clear(&self) {}
    }
}
